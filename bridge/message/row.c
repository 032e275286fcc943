/* message/row.c - a message and what became of it so far, as JSON; see message/row.h. */
#include "message/row.h"

#include "base/base64.h"
#include "base/utf8.h"
#include "message/history.h"

#include <string.h>

const char *message_row_state(const struct message_row *row)
{
    return row->dead ? row->reason : "pending";
}

char *message_row_target(const struct message_row *row)
{
    const char *target = row->message.target;
    if (!target)
        return NULL;
    size_t path_bytes = strcspn(target, "?");
    return xasprintf("%.*s%s", (int)path_bytes, target, target[path_bytes] != '\0' ? "?***" : "");
}

static void add_payload(struct report *to, const struct message *message)
{
    report_add_number(to, "bytes", (int64_t)message->payload_bytes);
    bool text = utf8_valid(message->payload, message->payload_bytes) &&
                !(message->payload_bytes > 0 && memchr(message->payload, '\0', message->payload_bytes));
    struct buf out cleanup_buf;
    buf_init(&out, SIZE_MAX / 4);
    if (text)
        buf_append(&out, message->payload, message->payload_bytes);
    else
        base64_append(&out, message->payload, message->payload_bytes);
    report_add_text(to, "payload", buf_text(&out));
    if (!text)
        report_add_text(to, "encoding", "base64");
}

static void add_if(struct report *to, const char *name, const char *text)
{
    if (text)
        report_add_text(to, name, text);
}

static void add_event(void *context, const struct message_event *event)
{
    struct report *to = report_append_object(context);
    report_add_number(to, "number", event->number);
    report_add_time(to, "time", event->wall_ms);
    report_add_text(to, "event", event->event);
    if (event->attempt > 0)
        report_add_number(to, "attempt", event->attempt);
    if (event->status != 0)
        report_add_number(to, "status", event->status);
    add_if(to, "words", event->words);
}

struct report *message_row_report(const struct message_row *row)
{
    const struct message *message = &row->message;
    cleanup_free char *target = message_row_target(row);
    struct report *report = report_new();
    report_add_number(report, "id", message->id);
    report_add_text(report, "state", row->dead ? "dead" : "pending");
    report_add_text(report, "key", message->key);
    report_add_text(report, "route", message->route);
    report_add_text(report, "topic", message->topic);
    report_add_time(report, "received", message->received_ms);
    report_add_text(report, "clock", message->clock_synchronised ? "synchronised" : "unsynchronised");
    if (message->late)
        report_add_time(report, "late_since", message->late_since_ms);
    report_add_text(report, "source", message->source);
    add_if(report, "method", message->method);
    add_if(report, "target", target);
    add_if(report, "content_type", message->content_type);
    report_add_number(report, "attempts", message->attempts);
    if (row->last_status != 0)
        report_add_number(report, "last_status", row->last_status);
    add_if(report, "last_error", row->last_error);
    if (row->history)
        message_history_each(row->history, add_event, report_add_array(report, "history"));
    if (row->dead) {
        report_add_text(report, "reason", row->reason);
        report_add_time(report, "died", row->died_ms);
    }
    add_payload(report, message);
    return report;
}
