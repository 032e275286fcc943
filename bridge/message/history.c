/* message/history.c - see message/history.h. */
#include "message/history.h"

#include "base/buf.h"
#include "text/report.h"

#include <string.h>

/* The report that the event's texts lie in, to be freed by the caller; NULL: it is none. */
static struct report *read_line(const char *line, size_t bytes, struct message_event *ret)
{
    struct report *report = report_parse(line, bytes);
    const char *event = report ? report_text(report, "event") : NULL;
    if (!event) {
        report_free(report);
        return NULL;
    }
    *ret = (struct message_event){.number = report_number(report, "number", 0),
                                  .wall_ms = report_number(report, "time", 0),
                                  .event = event,
                                  .attempt = (unsigned)report_number(report, "attempt", 0),
                                  .status = (int)report_number(report, "status", 0),
                                  .words = report_text(report, "words")};
    return report;
}

void message_history_each(const char *history, message_event_fn *visit, void *context)
{
    for (const char *line = history, *next; line && *line != '\0'; line = next) {
        size_t bytes = strcspn(line, "\n");
        next = line + bytes + (line[bytes] == '\n');
        struct message_event event;
        cleanup_report struct report *report = read_line(line, bytes, &event);
        if (report)
            visit(context, &event);
    }
}

static bool is_same_answer(const struct message_event *a, const struct message_event *b)
{
    return a->attempt == b->attempt && a->status == b->status && a->words && b->words &&
           strcmp(a->words, b->words) == 0;
}

static char *print_line(const struct message_event *event, const struct message_event *before)
{
    cleanup_report struct report *report = report_new();
    bool said = strcmp(before->event, MESSAGE_FAILED) == 0 && is_same_answer(event, before);
    report_add_number(report, "number", before->number + 1);
    report_add_number(report, "time", event->wall_ms);
    report_add_text(report, "event", event->event);
    if (event->attempt > 0)
        report_add_number(report, "attempt", event->attempt);
    if (event->status != 0 && !said)
        report_add_number(report, "status", event->status);
    if (event->words && !said)
        report_add_text(report, "words", event->words);
    return report_print(report, false);
}

char *message_history_add(const char *history, const struct message_event *event)
{
    const char *old = history ? history : "", *last = strrchr(old, '\n');
    last = last ? last + 1 : old;
    struct message_event before, nothing = {.event = ""};
    cleanup_report struct report *report = read_line(last, strlen(last), &before);
    cleanup_free char *line = print_line(event, report ? &before : &nothing);
    if (*old == '\0')
        return xstrdup(line);
    size_t first_bytes = strcspn(old, "\n"), events = 1;
    const char *kept = last; /* the latest that stay, but for the new one */
    for (; kept > old && events < MESSAGE_HISTORY_LAST - 1; events++)
        for (kept--; kept > old && kept[-1] != '\n'; kept--)
            ;
    if (kept == old)
        return xasprintf("%s\n%s", old, line);
    return xasprintf("%.*s\n%s\n%s", (int)first_bytes, old, kept, line);
}
