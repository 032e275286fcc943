/* cmd/status_print.c - the status for people: the problems come last, next to the prompt. */
#include "cmd/status_print.h"
#include "base/buf.h"
#include "base/clock.h"
#include "cmd/terminal.h"
#include "text/display.h"
#include "text/units.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

enum { DEVICES_SHOWN = 20 };

struct printing {
    const struct status_facts *facts;
    struct terminal terminal;
};

/* "broker        localhost:1883 connected", cut where the terminal ends. */
static void print_text(const struct printing *printing, const char *label, const char *text)
{
    size_t columns = printing->terminal.columns;
    struct buf line cleanup_buf;
    buf_init(&line, BUF_MOST_BYTES);
    display_append_payload(&line, text, strlen(text), columns > 24 ? columns - 14 : 1000);
    printf("%s%-13s%s %s\n", terminal_style(&printing->terminal, TERMINAL_BOLD), label,
           terminal_style(&printing->terminal, TERMINAL_PLAIN), buf_text(&line));
}

static void print_line(const struct printing *printing, const char *label, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void print_line(const struct printing *printing, const char *label, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    cleanup_free char *text = xvasprintf(format, arguments);
    va_end(arguments);
    print_text(printing, label, text);
}

static const char *age(int64_t wall_ms, char text[static UNITS_BYTES])
{
    int64_t age_ms = clock_wall_ms() - wall_ms;
    return units_duration(age_ms >= 1000 ? age_ms / 1000 * 1000 : 1000, text);
}

static const char *count(const cJSON *from, enum status_field field, char text[static UNITS_BYTES])
{
    return units_count(status_number(from, field, 0), text);
}

static void print_head(const struct printing *printing)
{
    const struct status_facts *facts = printing->facts;
    const struct terminal *terminal = &printing->terminal;
    char time[UNITS_BYTES], up[UNITS_BYTES];
    if (facts->daemon) {
        int64_t since_ms = status_time(facts->daemon, STATUS_DAEMON_SINCE);
        printf("%ssluice %s%s is %s since %s, for %s, pid %d\n", terminal_style(terminal, TERMINAL_GREEN),
               status_text(facts->daemon, STATUS_VERSION), terminal_style(terminal, TERMINAL_PLAIN),
               status_facts_state(facts), units_time(since_ms, false, time), age(since_ms, up),
               (int)facts->pid);
    } else if (facts->no_daemon && facts->pid == 0 &&
               !facts->moved) { /* without permission to ask, the pid is hidden too */
        printf("%swhether sluice runs is unknown%s: %s\n", terminal_style(terminal, TERMINAL_YELLOW),
               terminal_style(terminal, TERMINAL_PLAIN), facts->no_daemon);
    } else if (facts->no_daemon) {
        cleanup_free char *pid = facts->pid ? xasprintf(" (pid %d)", (int)facts->pid) : xstrdup("");
        printf("%ssluice runs%s%s, but does not respond: %s\n", terminal_style(terminal, TERMINAL_YELLOW),
               terminal_style(terminal, TERMINAL_PLAIN), pid, facts->no_daemon);
    } else {
        printf("%ssluice is stopped%s; the queue has:\n", terminal_style(terminal, TERMINAL_RED),
               terminal_style(terminal, TERMINAL_PLAIN));
    }
}

/* ---- from the daemon ---- */

static void print_broker(const struct printing *printing)
{
    const cJSON *broker = status_get(printing->facts->daemon, STATUS_BROKER);
    char time[UNITS_BYTES];
    if (!broker)
        return;
    const char *protocol = status_text(broker, STATUS_BROKER_PROTOCOL);
    print_line(printing, "broker", "%s:%lld %s%s%s, since %s", status_text(broker, STATUS_BROKER_HOST),
               (long long)status_number(broker, STATUS_BROKER_PORT, 0),
               status_text(broker, STATUS_BROKER_STATE), protocol ? ", MQTT " : "", protocol ? protocol : "",
               units_time(status_time(broker, STATUS_BROKER_SINCE), true, time));
}

/* "garden 0.0.0.0:8118, [::]:8118 (not listening), 3 of 64 connections" */
static void print_listeners(const struct printing *printing, const char *label, const cJSON *http)
{
    const char *name = status_text(http, STATUS_HTTP_NAME);
    char open[UNITS_BYTES], most[UNITS_BYTES];
    struct buf line cleanup_buf;
    buf_init(&line, BUF_MOST_BYTES);
    buf_printf(&line, "%s%s", name, *name ? " " : "");
    const cJSON *address = status_first(http, STATUS_HTTP_LISTEN);
    for (; address; address = address->next)
        buf_printf(&line, "%s%s, ", status_text(address, STATUS_LISTEN_ADDRESS),
                   status_is(address, STATUS_LISTEN_LISTENING) ? "" : " (not listening)");
    buf_printf(&line, "%s of %s connections", count(http, STATUS_HTTP_CONNECTIONS, open),
               count(http, STATUS_HTTP_MAX_CONNECTIONS, most));
    print_text(printing, label, buf_text(&line));
}

static void print_http(const struct printing *printing)
{
    const cJSON *http = status_first(printing->facts->daemon, STATUS_HTTP);
    for (const char *label = "http"; http; http = http->next, label = "") {
        char n[5][UNITS_BYTES];
        print_listeners(printing, label, http);
        print_line(printing, "", "%s stored, %s repeated, %s passed on, %s refused, %s sent away (503)",
                   count(http, STATUS_HTTP_STORED, n[0]), count(http, STATUS_HTTP_REPEATED, n[1]),
                   count(http, STATUS_HTTP_PASSED_ON, n[2]), count(http, STATUS_HTTP_REFUSED, n[3]),
                   count(http, STATUS_HTTP_SENT_AWAY, n[4]));
    }
}

static void print_backends(const struct printing *printing)
{
    const cJSON *backend = status_first(printing->facts->daemon, STATUS_BACKENDS);
    for (const char *label = "backends"; backend; backend = backend->next, label = "")
        print_line(printing, label, "%s %s, %s", status_text(backend, STATUS_BACKEND_NAME),
                   status_text(backend, STATUS_SCOPE_STATE), status_text(backend, STATUS_BACKEND_URL));
}

static void print_rates(const struct printing *printing)
{
    const cJSON *minute = status_get(printing->facts->daemon, STATUS_LAST_MINUTE);
    const cJSON *total = status_get(printing->facts->daemon, STATUS_SINCE_START);
    int64_t seconds = status_number(minute, STATUS_MINUTE_SECONDS, 0);
    char in[UNITS_BYTES], out[UNITS_BYTES], time[UNITS_BYTES];
    struct buf line cleanup_buf;
    buf_init(&line, BUF_MOST_BYTES);
    if (seconds > 0) /* 0: it has just started */
        buf_printf(&line, "%s in and %s out in the last %s; ", count(minute, STATUS_MINUTE_STORED, in),
                   count(minute, STATUS_MINUTE_DELIVERED, out),
                   seconds >= 59 ? "minute" : units_duration(seconds * 1000, time));
    buf_printf(&line, "%s in and %s out since the start", count(total, STATUS_STORED, in),
               count(total, STATUS_DELIVERED, out));
    print_text(printing, "messages", buf_text(&line));
    if (status_number(total, STATUS_REPAIRED, 0) > 0)
        print_line(printing, "", "%s of these were repaired", count(total, STATUS_REPAIRED, out));
    if (status_number(total, STATUS_IGNORED, 0) > 0)
        print_line(printing, "", "%s were ignored, because they are no JSON objects",
                   count(total, STATUS_IGNORED, out));
    if (status_number(total, STATUS_UNROUTED, 0) > 0)
        print_line(printing, "", "%s more matched no route and were not forwarded",
                   count(total, STATUS_UNROUTED, in));
    if (status_number(total, STATUS_EXCEPTED, 0) > 0)
        print_line(printing, "", "%s more were left out by except", count(total, STATUS_EXCEPTED, in));
}

/* Only where devices number their readings. */
static void print_readings(const struct printing *printing)
{
    const cJSON *total = status_get(printing->facts->daemon, STATUS_SINCE_START);
    char n[4][UNITS_BYTES];
    if (status_number(total, STATUS_ACKS, 0) + status_number(total, STATUS_READINGS_AGAIN, 0) +
            status_number(total, STATUS_READINGS_LOST, 0) +
            status_number(total, STATUS_READINGS_MALFORMED, 0) >
        0)
        print_line(printing, "readings",
                   "since the start: %s acknowledgements, %s came again, %s lost, %s malformed",
                   count(total, STATUS_ACKS, n[0]), count(total, STATUS_READINGS_AGAIN, n[1]),
                   count(total, STATUS_READINGS_LOST, n[2]), count(total, STATUS_READINGS_MALFORMED, n[3]));
}

/* ---- from the database ---- */

static int64_t count_dead(const cJSON *queue, const char *route)
{
    int64_t sum = 0;
    for (const cJSON *part = status_first(queue, STATUS_DEAD_LETTERS); part; part = part->next)
        if (strcmp(status_text(part, STATUS_DEAD_ROUTE), route) == 0)
            sum += status_number(part, STATUS_DEAD_MESSAGES, 0);
    return sum;
}

/* "sensor ok, 312 waiting, the oldest for 2 h 4 min, 3 late, 5 deferred, 1 dead letter" */
static void print_route(const struct printing *printing, const char *label, const char *name,
                        const char *state)
{
    const cJSON *queue = printing->facts->queue;
    const cJSON *route = status_find(queue, STATUS_QUEUE_ROUTES, STATUS_QUEUE_ROUTE_NAME, name);
    int64_t oldest_ms = status_time(route, STATUS_QUEUE_ROUTE_OLDEST), dead = count_dead(queue, name);
    char text[UNITS_BYTES];
    struct buf line cleanup_buf;
    buf_init(&line, BUF_MOST_BYTES);
    buf_printf(&line, "%s %s%s%s waiting", name, state, *state ? ", " : "",
               count(route, STATUS_QUEUE_ROUTE_WAITING, text));
    if (oldest_ms > 0)
        buf_printf(&line, ", the oldest for %s", age(oldest_ms, text));
    if (status_number(route, STATUS_QUEUE_ROUTE_LATE, 0) > 0)
        buf_printf(&line, ", %s late", count(route, STATUS_QUEUE_ROUTE_LATE, text));
    if (status_number(route, STATUS_QUEUE_ROUTE_DEFERRED, 0) > 0)
        buf_printf(&line, ", %s deferred", count(route, STATUS_QUEUE_ROUTE_DEFERRED, text));
    if (dead > 0)
        buf_printf(&line, ", %s dead letter%s", units_count(dead, text), dead == 1 ? "" : "s");
    print_text(printing, label, buf_text(&line));
}

/* Whether the route of a dead letter was shown: the daemon has it, or it has pending
 * messages, or the list has it before this entry. */
static bool is_shown(const struct status_facts *facts, const cJSON *entry, const char *route)
{
    return status_find(facts->daemon, STATUS_ROUTES, STATUS_ROUTE_NAME, route) ||
           status_find(facts->queue, STATUS_QUEUE_ROUTES, STATUS_QUEUE_ROUTE_NAME, route) ||
           status_find(facts->queue, STATUS_DEAD_LETTERS, STATUS_DEAD_ROUTE, route) != entry;
}

/* The routes of the configuration, then other routes that the queue has something of. */
static void print_routes(const struct printing *printing)
{
    const struct status_facts *facts = printing->facts;
    const char *held = facts->daemon ? "held" : "", *label = "routes";
    const cJSON *route = status_first(facts->daemon, STATUS_ROUTES);
    for (; route; route = route->next, label = "")
        print_route(printing, label, status_text(route, STATUS_ROUTE_NAME),
                    status_text(route, STATUS_SCOPE_STATE));
    for (route = status_first(facts->queue, STATUS_QUEUE_ROUTES); route; route = route->next) {
        const char *name = status_text(route, STATUS_QUEUE_ROUTE_NAME);
        if (status_find(facts->daemon, STATUS_ROUTES, STATUS_ROUTE_NAME, name))
            continue;
        print_route(printing, label, name, held);
        label = "";
    }
    for (route = status_first(facts->queue, STATUS_DEAD_LETTERS); route; route = route->next) {
        const char *name = status_text(route, STATUS_DEAD_ROUTE);
        if (is_shown(facts, route, name))
            continue;
        print_route(printing, label, name, held);
        label = "";
    }
}

/* "garden/a/ack acknowledged up to 1,417, 3 lost, 1 missing, last 40 s ago" */
static void print_device(const struct printing *printing, const char *label, const cJSON *device)
{
    int64_t last_ms = status_time(device, STATUS_DEVICE_LAST_SEEN);
    char up_to[UNITS_BYTES], lost[UNITS_BYTES], text[UNITS_BYTES];
    struct buf line cleanup_buf;
    buf_init(&line, BUF_MOST_BYTES);
    buf_printf(&line, "%s acknowledged up to %s, %s lost", status_text(device, STATUS_DEVICE_NAME),
               count(device, STATUS_DEVICE_ACKNOWLEDGED, up_to), count(device, STATUS_DEVICE_LOST, lost));
    if (status_number(device, STATUS_DEVICE_GAPS, 0) > 0)
        buf_printf(&line, ", %s missing", count(device, STATUS_DEVICE_GAPS, text));
    if (last_ms > 0)
        buf_printf(&line, ", last %s ago", age(last_ms, text));
    print_text(printing, label, buf_text(&line));
}

/* As many as a screen takes; --json has all. */
static void print_devices(const struct printing *printing)
{
    const cJSON *device = status_first(printing->facts->queue, STATUS_DEVICES);
    const char *label = "devices";
    for (int shown = 0; device && shown < DEVICES_SHOWN; shown++, device = device->next, label = "")
        print_device(printing, label, device);
    int64_t more = 0;
    for (; device; device = device->next)
        more++;
    char number[UNITS_BYTES];
    if (more > 0)
        print_line(printing, "", "and %s more: sluice status%s --json", units_count(more, number),
                   printing->facts->option);
}

/* "3 rejected, 1 path": by reason, over all routes. Drops and dead letters have the same
 * names for the two fields. */
static void print_by_reason(const struct printing *printing, const char *label, enum status_field list)
{
    const cJSON *queue = printing->facts->queue;
    struct buf line cleanup_buf;
    buf_init(&line, BUF_MOST_BYTES);
    for (const cJSON *part = status_first(queue, list); part; part = part->next) {
        const char *reason = status_text(part, STATUS_DROP_REASON);
        if (status_find(queue, list, STATUS_DROP_REASON, reason) != part)
            continue; /* it was counted with the first */
        int64_t sum = 0;
        for (const cJSON *same = part; same; same = same->next)
            if (strcmp(status_text(same, STATUS_DROP_REASON), reason) == 0)
                sum += status_number(same, STATUS_DROP_MESSAGES, 0);
        char number[UNITS_BYTES];
        buf_printf(&line, "%s%s %s", line.bytes > 0 ? ", " : "", units_count(sum, number), reason);
    }
    print_text(printing, label, line.bytes > 0 ? buf_text(&line) : "none");
}

static void print_disk(const struct printing *printing)
{
    const cJSON *disk = status_get(printing->facts->queue, STATUS_DISK);
    const cJSON *minute = status_get(printing->facts->daemon, STATUS_LAST_MINUTE);
    char size[UNITS_BYTES], wal[UNITS_BYTES], left[UNITS_BYTES];
    double fsync_ms = status_fraction(minute, STATUS_MINUTE_FSYNC_MS, -1);
    cleanup_free char *fsync = fsync_ms >= 0 ? xasprintf("; fsync takes %.1f ms", fsync_ms) : xstrdup("");
    print_line(printing, "disk", "queue %s, its log %s, %s free%s",
               units_size(status_number(disk, STATUS_DATABASE_BYTES, 0), size),
               units_size(status_number(disk, STATUS_WRITE_AHEAD_LOG_BYTES, 0), wal),
               units_size(status_number(disk, STATUS_DISK_FREE_BYTES, 0), left), fsync);
    if (status_text(disk, STATUS_DISK_VOLATILE))
        print_line(printing, "", "warning: %s", status_text(disk, STATUS_DISK_VOLATILE));
}

static void print_clock(const struct printing *printing)
{
    const cJSON *clock = status_get(printing->facts->daemon, STATUS_CLOCK);
    if (status_is(clock, STATUS_CLOCK_RIGHT))
        print_line(printing, "clock", "right%s",
                   status_is(clock, STATUS_CLOCK_TRUSTED) ? " (clock = trust)" : "");
    else
        print_line(printing, "clock", "not right (%s): deliveries are marked",
                   status_text(clock, STATUS_CLOCK_KERNEL));
}

/* Not cut, whatever the width of the terminal. */
static void print_problem(const struct printing *printing, const char *text)
{
    const struct terminal *terminal = &printing->terminal;
    struct buf line cleanup_buf;
    buf_init(&line, BUF_MOST_BYTES);
    display_append_safe(&line, text, strlen(text));
    printf("%s! %s%s\n", terminal_style(terminal, TERMINAL_RED), buf_text(&line),
           terminal_style(terminal, TERMINAL_PLAIN));
}

void status_print(const struct status_facts *facts)
{
    struct printing printing = {.facts = facts, .terminal = terminal_detect()};
    print_head(&printing);
    if (facts->daemon) {
        print_broker(&printing);
        print_http(&printing);
        print_backends(&printing);
    }
    if (facts->queue) {
        print_routes(&printing);
        print_devices(&printing);
    }
    if (facts->daemon) {
        print_rates(&printing);
        print_readings(&printing);
    }
    if (facts->queue) {
        print_by_reason(&printing, "dead letters", STATUS_DEAD_LETTERS);
        print_by_reason(&printing, "dropped", STATUS_DROPS);
        print_disk(&printing);
    }
    if (facts->daemon)
        print_clock(&printing);
    if (facts->no_queue)
        print_problem(&printing, facts->no_queue);
    for (size_t i = 0; i < facts->problem_count; i++)
        print_problem(&printing, facts->problems[i]);
}
