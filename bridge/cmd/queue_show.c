/* cmd/queue_show.c - sluice queue show: everything that is known of a message, and
 * what would be sent for it now, by the configuration as it is now.
 *
 * Secrets are not read: whoever may look into the queue need not know them. Where one
 * would stand, the request has "...".
 */
#include "base/clock.h"
#include "cmd/client.h"
#include "cmd/queue.h"
#include "cmd/queue_open.h"
#include "cmd/status_facts.h"
#include "cmd/terminal.h"
#include "message/body.h"
#include "message/history.h"
#include "request/redact.h"
#include "request/request.h"
#include "text/display.h"
#include "text/units.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct showing {
    struct queue_command *queue;
    struct config *config; /* NULL: it is not to be had, */
    char *no_config;       /* for this reason */
    cJSON *daemon;         /* STATUS_DAEMON; NULL: sluice does not answer, */
    bool stopped;          /* or is stopped */
    struct cmd_terminal terminal;
    size_t shown;
};

/* Each line indented. */
static void print_text(const char *text, size_t bytes)
{
    const char *end = text + bytes;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *line_end = newline ? newline : end;
        struct buf safe cleanup_buf;
        buf_init(&safe, SIZE_MAX / 4);
        display_append_safe(&safe, text, (size_t)(line_end - text));
        printf("    %s\n", buf_text(&safe));
        text = newline ? newline + 1 : end;
    }
}

/* ---- what would be sent ---- */

static int64_t age_of(const struct message *message)
{
    if (message->this_boot)
        return clock_uptime_ms() - message->uptime_ms;
    return message->clock_synchronised ? clock_wall_ms() - message->received_ms : -1;
}

/* NULL and why not, to be freed by the caller. *request is to be ended in any case. */
static const struct config_backend *make_request(const struct showing *showing, const struct message *message,
                                                 struct request *request, char **ret_why)
{
    const struct config *config = showing->config;
    if (!config) {
        *ret_why = xstrdup(showing->no_config);
        return NULL;
    }
    size_t number = config_find_route(config, message->route);
    if (number == SIZE_MAX) {
        *ret_why =
            xasprintf("the configuration has no [route %s]: it is held until there is one", message->route);
        return NULL;
    }
    const struct config_route *route = &config->routes[number];
    const struct config_backend *backend = &config->backends[route->backend];
    const char *reason;
    request_begin(request, config->gateway, backend, route, (size_t)route->batch_size);
    if (request_add(request, message, age_of(message), &reason, ret_why) == 0 &&
        request_finish(request, &reason, ret_why) == 0)
        return backend;
    return NULL;
}

/* Where it is not the payload as it is. */
static bool has_own_body(const struct request *request)
{
    return request->made.bytes > 0;
}

/* What is behind the scheme of an Authorization header was made of a secret. */
static const char *header_value(const char *header, size_t name_bytes, char *masked, size_t masked_bytes)
{
    const char *value = header + name_bytes + 2;
    if (name_bytes != strlen("Authorization") || strncasecmp(header, "Authorization", name_bytes) != 0)
        return value;
    snprintf(masked, masked_bytes, "%.*s " CONFIG_FILE_HIDDEN, (int)strcspn(value, " "), value);
    return masked;
}

static const char *method_of(const struct request *request)
{
    return request->method[0] != '\0' ? request->method : "POST";
}

/* The request's URL, in which what an HTTP client sent in its query, its key maybe, does
 * not show; the names do. To be freed by the caller. */
static char *url_of(const struct request *request, const struct message *message)
{
    const char *url = buf_text(&request->url);
    const char *query = message->target ? strchr(message->target, '?') : NULL;
    if (!query)
        return xstrdup(url);
    const char *at = strchr(url, '?') + 1; /* the client's query comes first, as it was sent */
    const char *end = at + strlen(query + 1);
    struct buf shown;
    buf_init(&shown, SIZE_MAX / 4);
    buf_append(&shown, url, (size_t)(at - url));
    while (at < end) {
        size_t pair = strcspn(at, "&"), name = strcspn(at, "=");
        if (name < pair)
            buf_append(&shown, at, name + 1);
        if (pair > 0)
            buf_append_text(&shown, CONFIG_FILE_HIDDEN);
        at += pair;
        if (at < end)
            buf_append_char(&shown, *at++);
    }
    buf_append_text(&shown, end);
    return shown.data; /* the caller's */
}

typedef void header_fn(void *context, const char *name, const char *value);

static void each_header(const struct request *request, header_fn *visit, void *context)
{
    const char *at = buf_text(&request->headers), *end = at + request->headers.bytes;
    for (; at < end; at += strlen(at) + 1) {
        char masked[64];
        size_t name_bytes = strcspn(at, ":");
        cleanup_free char *name = xstrndup(at, name_bytes);
        visit(context, name, header_value(at, name_bytes, masked, sizeof masked));
    }
}

static void print_header(void *unused, const char *name, const char *value)
{
    (void)unused;
    printf("    %s: %s\n", name, value);
}

static void add_header(void *context, const char *name, const char *value)
{
    cJSON_AddStringToObject(context, name, value);
}

static void print_request(const struct showing *showing, const struct message *message)
{
    cleanup_free char *why = NULL;
    struct request request = {.messages = 0};
    const struct config_backend *backend = make_request(showing, message, &request, &why);
    if (backend) {
        cleanup_free char *url = url_of(&request, message);
        printf("  would be sent to backend %s\n    %s %s\n", backend->name, method_of(&request), url);
        each_header(&request, print_header, NULL);
        if (request.route->batch > 1 && !request.alone)
            printf("  with up to %u others in one body\n", request.route->batch - 1);
        if (has_own_body(&request)) {
            printf("  with this body%s\n", backend->gzip ? ", compressed" : "");
            print_text(request.made.data, request.made.bytes);
        }
    } else {
        printf("  what would be sent cannot be told: %s\n", why);
    }
    request_done(&request);
}

static void add_request(const struct showing *showing, const struct message *message, cJSON *to)
{
    cleanup_free char *why = NULL;
    struct request request = {.messages = 0};
    const struct config_backend *backend = make_request(showing, message, &request, &why);
    if (backend) {
        cJSON *made = cJSON_AddObjectToObject(to, "request");
        cJSON_AddStringToObject(made, "backend", backend->name);
        cleanup_free char *url = url_of(&request, message);
        cJSON_AddStringToObject(made, "method", method_of(&request));
        cJSON_AddStringToObject(made, "url", url);
        each_header(&request, add_header, cJSON_AddObjectToObject(made, "headers"));
        if (has_own_body(&request))
            cJSON_AddStringToObject(made, "body", buf_text(&request.made));
    } else {
        cJSON_AddStringToObject(to, "no_request", why);
    }
    request_done(&request);
}

/* ---- what it waits for ---- */

/* What keeps all messages of its kind: NULL where nothing does, as far as is known. Freed
 * by the caller. */
static char *what_it_waits_for(const struct showing *showing, const struct message_row *row)
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
    if (client_status(place->socket, &showing->daemon) != 0)
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
    buf_init(&safe, SIZE_MAX / 4);
    display_append_safe(&safe, text, strlen(text));
    printf("  %-13s %s\n", name, buf_text(&safe));
}

static void print_times(const struct message_row *row)
{
    const struct message *message = &row->message;
    char time[UNITS_BYTES], since[UNITS_BYTES], ago[UNITS_BYTES];
    int64_t age_ms = age_of(message);
    units_time(message->received_ms, false, time);
    if (age_ms >= 0)
        print_fact("received", "%s, %s ago%s", time, units_duration(age_ms, ago),
                   message->clock_synchronised ? "" : "; the clock was not right then");
    else
        print_fact("received", "%s by a clock that was not right; its age is not known", time);
    if (message->late && message->late_since_ms > 0)
        print_fact("late", "it waited at the broker, and was published after %s",
                   units_time(message->late_since_ms, false, since));
    else if (message->late)
        print_fact("late", "it waited at the broker; since when is not known");
    if (row->dead)
        print_fact("set aside", "%s, for: %s", units_time(row->died_ms, false, time), row->reason);
}

struct history {
    int64_t last; /* number of the event that was shown last */
};

/* "2026-11-22 17:37:40  attempt 10: 409: conflict; set aside, for: attempts" */
static void print_event(void *context, const struct message_event *event)
{
    struct history *history = context;
    char time[UNITS_BYTES];
    bool retried = strcmp(event->event, MESSAGE_RETRIED) == 0;
    bool aside = !retried && strcmp(event->event, MESSAGE_FAILED) != 0;
    if (event->number > history->last + 1 && history->last > 0)
        print_fact("", "... %" PRId64 " more", event->number - history->last - 1);
    cleanup_free char *attempt =
        event->attempt > 0 && !aside ? xasprintf("attempt %u: ", event->attempt) : xstrdup("");
    cleanup_free char *words = event->words         ? xstrdup(event->words)
                               : event->status != 0 ? xasprintf("%d", event->status)
                               : retried            ? xstrdup("retried by hand")
                               : aside              ? xstrdup("")
                                                    : xstrdup("no answer");
    print_fact(history->last == 0 ? "history" : "", "%s  %s%s%s%s%s", units_time(event->wall_ms, false, time),
               attempt, words, aside && *words ? "; " : "", aside ? "set aside, for: " : "",
               aside ? event->event : "");
    history->last = event->number;
}

static void print_history(const struct message_row *row)
{
    unsigned attempts = row->message.attempts;
    if (attempts > 0)
        print_fact("attempts", "%u that failed by its own fault", attempts);
    else if (!row->history)
        print_fact("attempts", "none failed by its own fault");
    if (row->history) {
        struct history history = {.last = 0};
        message_history_each(row->history, print_event, &history);
    } else if (row->last_error)
        print_fact("last answer", "%s", row->last_error);
    else if (row->last_status != 0)
        print_fact("last answer", "%d", row->last_status);
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
    print_fact("payload", "%zu bytes, %s", message->payload_bytes, json ? "JSON" : text ? "text" : "binary");
    if (!text) {
        print_hex((const unsigned char *)payload, message->payload_bytes);
        return;
    }
    print_text(payload, message->payload_bytes);
}

static void print_row(const struct showing *showing, const struct message_row *row)
{
    const struct message *message = &row->message;
    cleanup_free char *target = message_row_target(row);
    printf("%s%smessage %" PRId64 "%s, %s%s%s\n", showing->shown > 0 ? "\n" : "",
           cmd_bold(&showing->terminal), message->id, cmd_plain(&showing->terminal),
           row->dead ? cmd_red(&showing->terminal) : "", row->dead ? "dead letter" : "pending",
           row->dead ? cmd_plain(&showing->terminal) : "");
    print_fact("key", "%s", message->key);
    print_fact("route", "%s", message->route);
    print_fact("topic", "%s", message->topic);
    print_times(row);
    print_fact("came by", "%s%s%s%s%s", message->source, message->method ? ", " : "",
               message->method ? message->method : "", target ? " " : "", target ? target : "");
    if (message->content_type)
        print_fact("content type", "%s", message->content_type);
    print_history(row);
    cleanup_free char *waits_for = what_it_waits_for(showing, row);
    if (waits_for)
        print_fact("waits for", "%s", waits_for);
    print_payload(message);
    print_request(showing, message);
}

/* ---- the command ---- */

static bool show_row(void *context, const struct message_row *row)
{
    struct showing *showing = context;
    if (showing->queue->json) {
        cJSON *json = message_row_json(row);
        cleanup_free char *waits_for = what_it_waits_for(showing, row);
        if (waits_for)
            cJSON_AddStringToObject(json, "waits_for", waits_for);
        add_request(showing, &row->message, json);
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
    struct showing showing = {.queue = queue, .terminal = cmd_terminal()};
    load_config(&showing);
    ask_daemon(&showing);
    int error = queue_admin_rows(queue->admin, &queue->filter, false, show_row, &showing);
    config_free(showing.config);
    cJSON_Delete(showing.daemon);
    free(showing.no_config);
    int status = queue_command_close(queue, error);
    if (status != CMD_EXIT_OK || showing.shown == queue->filter.id_count)
        return status;
    fprintf(stderr, "%s: %zu of %zu messages are not in the queue: delivered, or dropped\n", queue->command,
            queue->filter.id_count - showing.shown, queue->filter.id_count);
    return CMD_EXIT_NONE;
}

static int run_show(int argc, char **argv)
{
    return queue_command_run(&cmd_queue_show, false, "IDs; sluice queue ls shows them", show, argc, argv);
}

const struct command cmd_queue_show = {
    .run = run_show,
    .options = (const struct command_option[]){{'c', NULL, true}, QUEUE_OPTION_JSON, {0}},
    .help = "Prints everything that is known about messages: their times, attempts and\n"
            "responses, their payloads, and the requests that would be sent. It does not\n"
            "read secrets.\n\n"
            "  ID ...          these messages\n"
            "  --json          one JSON object a line\n" QUEUE_HELP_CONFIG,
};
