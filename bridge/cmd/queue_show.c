/* cmd/queue_show.c - sluice queue show: everything that is known about a message, and the
 * request that the present configuration makes of it.
 *
 * It does not read secrets, because a person who may read the queue need not know them.
 */
#include "base/clock.h"
#include "cmd/client.h"
#include "cmd/queue.h"
#include "cmd/queue_open.h"
#include "cmd/queue_request.h"
#include "cmd/status_facts.h"
#include "cmd/terminal.h"
#include "message/body.h"
#include "message/history.h"
#include "text/display.h"
#include "text/units.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct showing {
    struct queue_command *queue;
    struct config *config; /* NULL: it is invalid, */
    char *no_config;       /* for this reason */
    cJSON *daemon;         /* STATUS_DAEMON; NULL: sluice does not respond, */
    bool stopped;          /* or is stopped */
    struct terminal terminal;
    size_t shown;
};

/* ---- the outage that it waits for ---- */

/* The outage of its backend or route; NULL: none is known. Freed by the caller. */
static char *describe_wait(const struct showing *showing, const struct message_row *row)
{
    if (row->dead)
        return NULL;
    if (showing->stopped)
        return xstrdup("sluice, which is stopped");
    const cJSON *route = status_find(showing->daemon, STATUS_ROUTES, STATUS_ROUTE_NAME, row->message.route);
    const char *name = status_text(route, STATUS_ROUTE_BACKEND);
    const cJSON *backend =
        name ? status_find(showing->daemon, STATUS_BACKENDS, STATUS_BACKEND_NAME, name) : NULL;
    bool by_backend = backend && !status_part_works(backend);
    if (!by_backend && (!route || status_part_works(route)))
        return NULL;
    int64_t waiting =
        status_number(status_get(showing->daemon, STATUS_DAEMON_QUEUE), STATUS_DAEMON_QUEUE_WAITING, -1);
    bool in_all = status_first(showing->daemon, by_backend ? STATUS_BACKENDS : STATUS_ROUTES)->next != NULL;
    cleanup_free char *outage = status_part_outage(by_backend ? backend : route, true, waiting, in_all);
    return xasprintf("%s %s: %s", by_backend ? "backend" : "route", by_backend ? name : row->message.route,
                     outage);
}

static void ask_daemon(struct showing *showing)
{
    const struct config_place *place = &showing->queue->place;
    if (client_status(place, &showing->daemon) != 0)
        showing->stopped = queue_admin_holder(place->queue) == 0;
}

/* ---- for people ---- */

static void print_fact(const char *name, const char *format, ...) PRINTF_LIKE(2, 3);

static void print_fact(const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    cleanup_free char *text = xvasprintf(format, arguments);
    va_end(arguments);
    struct buf safe cleanup_buf;
    buf_init(&safe, BUF_MOST_BYTES);
    display_append_safe(&safe, text, strlen(text));
    printf("  %-13s %s\n", name, buf_text(&safe));
}

static void print_times(const struct message_row *row)
{
    const struct message *message = &row->message;
    char time[UNITS_BYTES], since[UNITS_BYTES], ago[UNITS_BYTES];
    int64_t age_ms = queue_message_age_ms(message);
    units_time(message->received_ms, false, time);
    if (age_ms >= 0)
        print_fact("received", "%s, %s ago%s", time, units_duration(age_ms, ago),
                   message->clock_synchronised ? "" : "; the clock was not right then");
    else
        print_fact("received", "%s by a clock that was not right; its age is unknown", time);
    if (message->late && message->late_since_ms > 0)
        print_fact("late", "it waited at the broker, and was published after %s",
                   units_time(message->late_since_ms, false, since));
    else if (message->late)
        print_fact("late", "it waited at the broker; the time is unknown");
    if (row->dead)
        print_fact("dead-lettered", "%s, reason: %s", units_time(row->died_ms, false, time), row->reason);
}

struct history {
    int64_t last; /* number of the event that was shown last */
};

/* "2026-11-22 17:37:40  attempt 10: 409: conflict; dead-lettered, reason: attempts" */
static void print_event(void *context, const struct message_event *event)
{
    struct history *history = context;
    char time[UNITS_BYTES];
    bool retried = strcmp(event->event, MESSAGE_RETRIED) == 0;
    bool dead = !retried && strcmp(event->event, MESSAGE_FAILED) != 0;
    if (event->number > history->last + 1 && history->last > 0)
        print_fact("", "... %" PRId64 " more", event->number - history->last - 1);
    cleanup_free char *attempt =
        event->attempt > 0 && !dead ? xasprintf("attempt %u: ", event->attempt) : xstrdup("");
    cleanup_free char *words = event->error         ? xstrdup(event->error)
                               : event->status != 0 ? xasprintf("%d", event->status)
                               : retried            ? xstrdup("retried by hand")
                               : dead               ? xstrdup("")
                                                    : xstrdup("no response");
    print_fact(history->last == 0 ? "history" : "", "%s  %s%s%s%s%s", units_time(event->wall_ms, false, time),
               attempt, words, dead && *words ? "; " : "", dead ? "dead-lettered, reason: " : "",
               dead ? event->event : "");
    history->last = event->number;
}

static void print_history(const struct message_row *row)
{
    unsigned attempts = row->message.attempts;
    if (attempts > 0)
        print_fact("attempts", "%u failed by its own fault", attempts);
    else if (!row->history)
        print_fact("attempts", "none failed by its own fault");
    if (row->history) {
        struct history history = {.last = 0};
        message_history_each(row->history, print_event, &history);
    } else if (row->last_error)
        print_fact("last response", "%s", row->last_error);
    else if (row->last_status != 0)
        print_fact("last response", "%d", row->last_status);
}

/* What its sender said of it. */
static void print_properties(const struct message *message)
{
    char after[UNITS_BYTES];
    if (message->content_type)
        print_fact("content type", "%s", message->content_type);
    if (message->properties)
        print_fact("properties", "%s", message->properties);
    if (message->retained)
        print_fact("retained", "the broker had it before sluice subscribed");
    if (message->expires_after_ms > 0)
        print_fact("expires", "%s after it was received", units_duration(message->expires_after_ms, after));
}

static void print_hex(const unsigned char *data, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 16) {
        printf("    %06zx ", at);
        for (size_t i = at; i < at + 16; i++)
            if (i < bytes)
                printf(" %02x", data[i]);
            else
                fputs("   ", stdout);
        fputs("  ", stdout);
        for (size_t i = at; i < bytes && i < at + 16; i++)
            putchar(data[i] >= 0x20 && data[i] < 0x7f ? data[i] : '.');
        putchar('\n');
    }
}

static void print_payload(const struct message *message)
{
    const char *payload = message->payload;
    bool json = strcmp(body_content_type(payload, message->payload_bytes), "application/json") == 0;
    bool text = json || display_is_text(payload, message->payload_bytes);
    if (message->payload_bytes == 0) {
        print_fact("payload", "empty");
        return;
    }
    size_t bad = display_bad_bytes(payload, message->payload_bytes);
    cleanup_free char *escaped =
        text && bad > 0 ? xasprintf(", %zu of them shown as \\xNN", bad) : xstrdup("");
    print_fact("payload", "%zu byte%s, %s%s", message->payload_bytes, message->payload_bytes == 1 ? "" : "s",
               json   ? "JSON"
               : text ? "text"
                      : "binary",
               escaped);
    if (!text) {
        print_hex((const unsigned char *)payload, message->payload_bytes);
        return;
    }
    print_indented(payload, message->payload_bytes);
}

static void print_head(const struct showing *showing, const struct message_row *row)
{
    const struct terminal *terminal = &showing->terminal;
    const char *plain = terminal_style(terminal, TERMINAL_PLAIN);
    printf("%s%smessage %" PRId64 "%s, ", showing->shown > 0 ? "\n" : "",
           terminal_style(terminal, TERMINAL_BOLD), row->message.id, plain);
    if (row->dead)
        printf("%sdead letter%s\n", terminal_style(terminal, TERMINAL_RED), plain);
    else if (row->deferred)
        printf("%sdeferred%s: it failed while others passed, and is tried again by itself\n",
               terminal_style(terminal, TERMINAL_YELLOW), plain);
    else
        printf("waiting\n");
}

static void print_row(const struct showing *showing, const struct message_row *row)
{
    const struct message *message = &row->message;
    cleanup_free char *target = message_row_target(row);
    print_head(showing, row);
    print_fact("key", "%s", message->key);
    print_fact("route", "%s", message->route);
    print_fact("topic", "%s", message->topic);
    print_times(row);
    print_fact("came by", "%s%s%s%s%s", message->source, message->method ? ", " : "",
               message->method ? message->method : "", target ? " " : "", target ? target : "");
    print_properties(message);
    print_history(row);
    cleanup_free char *waits_for = describe_wait(showing, row);
    if (waits_for)
        print_fact("waits for", "%s", waits_for);
    print_payload(message);
    if (showing->config)
        queue_request_print(showing->config, message);
    else
        printf("  no request can be made: %s\n", showing->no_config);
}

/* ---- the command ---- */

static bool show_row(void *context, const struct message_row *row)
{
    struct showing *showing = context;
    if (showing->queue->json) {
        cJSON *json = message_row_json(row);
        cleanup_free char *waits_for = describe_wait(showing, row);
        if (waits_for)
            cJSON_AddStringToObject(json, "waits_for", waits_for);
        if (showing->config)
            queue_request_add(showing->config, &row->message, json);
        else
            cJSON_AddStringToObject(json, "no_request", showing->no_config);
        cleanup_free char *text = cJSON_PrintUnformatted(json);
        cJSON_Delete(json);
        puts(text);
    } else {
        print_row(showing, row);
    }
    showing->shown++;
    return !ferror(stdout);
}

static void load_config(struct showing *showing)
{
    struct config_errors errors = {0};
    showing->config = config_file_load_hidden(showing->queue->config_path, &errors);
    if (!showing->config)
        showing->no_config = xasprintf("the configuration is invalid: %s", errors.lines[0]);
    config_errors_done(&errors);
}

static int show(struct queue_command *queue)
{
    struct showing showing = {.queue = queue, .terminal = terminal_detect()};
    load_config(&showing);
    ask_daemon(&showing);
    int error = queue_admin_rows(queue->admin, &queue->filter, false, show_row, &showing);
    config_free(showing.config);
    cJSON_Delete(showing.daemon);
    free(showing.no_config);
    int status = queue_command_close(queue, error);
    if (status != CMD_EXIT_OK || showing.shown == queue->filter.id_count)
        return status;
    fprintf(stderr, "%s: %zu of %zu messages are not in the queue: delivered, dropped, or never there\n",
            queue->command, queue->filter.id_count - showing.shown, queue->filter.id_count);
    return CMD_EXIT_NONE;
}

const struct command cmd_queue_show = {
    .run = queue_command_run,
    .work = &(const struct queue_work){.run = show, .required = "IDs; sluice queue ls shows them"},
    .options = (const struct command_option[]){{'c', NULL, true}, QUEUE_OPTION_JSON, {0}},
    .help = "Prints everything that is known about messages: their times, attempts and\n"
            "responses, their payloads, and the requests that would be sent. It does not\n"
            "read secrets.\n\n"
            "  ID ...          these messages\n"
            "  --json          one JSON object a line\n" QUEUE_HELP_CONFIG,
};
