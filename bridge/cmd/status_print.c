/* cmd/status_print.c - the status for people: what is wrong stands last, next to the
 * prompt. */
#include "base/clock.h"
#include "cmd/status.h"
#include "cmd/terminal.h"
#include "text/display.h"
#include "text/units.h"

#include <stdio.h>
#include <string.h>

enum { DEVICES_SHOWN = 20 };

struct printing {
    const struct cmd_status *status;
    struct cmd_terminal terminal;
};

/* "broker        localhost:1883  connected", cut where the terminal ends. */
static void print_line(const struct printing *printing, const char *label, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void print_line(const struct printing *printing, const char *label, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    cleanup_free char *text = xvasprintf(format, arguments);
    va_end(arguments);
    size_t columns = printing->terminal.columns;
    struct buf line cleanup_buf;
    buf_init(&line, SIZE_MAX / 4);
    display_append_payload(&line, text, strlen(text), columns > 24 ? columns - 14 : 1000);
    printf("%s%-13s%s %s\n", cmd_bold(&printing->terminal), label, cmd_plain(&printing->terminal),
           buf_text(&line));
}

static const char *age(int64_t wall_ms, char text[static UNITS_BYTES])
{
    int64_t age_ms = clock_wall_ms() - wall_ms;
    return units_duration(age_ms >= 1000 ? age_ms / 1000 * 1000 : 1000, text);
}

static void print_head(const struct printing *printing)
{
    const struct cmd_status *status = printing->status;
    const struct cmd_terminal *terminal = &printing->terminal;
    char time[UNITS_BYTES], up[UNITS_BYTES];
    if (status->daemon) {
        int64_t since_ms = cmd_status_time(status->daemon, "since");
        printf("%ssluice %s%s is %s since %s, for %s, pid %d\n", cmd_green(terminal),
               report_text(status->daemon, "version"), cmd_plain(terminal),
               report_text(status->daemon, "state"), units_time(since_ms, false, time), age(since_ms, up),
               (int)status->pid);
    } else if (status->no_daemon && status->pid == 0) { /* who may not ask may not see who has the queue */
        printf("%swhether sluice runs cannot be told%s: %s\n", cmd_yellow(terminal), cmd_plain(terminal),
               status->no_daemon);
    } else if (status->no_daemon) {
        printf("%ssluice runs%s (pid %d), but cannot be asked: %s\n", cmd_yellow(terminal),
               cmd_plain(terminal), (int)status->pid, status->no_daemon);
    } else {
        printf("%ssluice is stopped%s; what follows is what the queue tells\n", cmd_red(terminal),
               cmd_plain(terminal));
    }
}

/* ---- what the daemon says ---- */

static void print_broker(const struct printing *printing)
{
    const struct report *broker = report_get(printing->status->daemon, "broker");
    char time[UNITS_BYTES];
    if (!broker)
        return;
    const char *protocol = report_text(broker, "protocol");
    print_line(printing, "broker", "%s:%lld %s%s%s, since %s", report_text(broker, "host"),
               (long long)report_number(broker, "port", 0), report_text(broker, "state"),
               protocol ? ", MQTT " : "", protocol ? protocol : "",
               units_time(cmd_status_time(broker, "since"), true, time));
}

/* "0.0.0.0:8118, [::]:8118 (not listening)" */
static char *addresses(const struct report *door)
{
    char *text = xstrdup("");
    const struct report *address = report_first(report_get(door, "listen"));
    for (; address; address = report_next(address)) {
        char *longer = xasprintf("%s%s%s%s", text, *text ? ", " : "", report_text(address, "address"),
                                 report_truth(address, "listening") ? "" : " (not listening)");
        free(text);
        text = longer;
    }
    return text;
}

static const char *count(const struct report *from, const char *name, char text[static UNITS_BYTES])
{
    return units_count(report_number(from, name, 0), text);
}

static void print_http(const struct printing *printing)
{
    const struct report *door = report_first(report_get(printing->status->daemon, "http"));
    for (const char *label = "http"; door; door = report_next(door), label = "") {
        const char *name = report_text(door, "name");
        cleanup_free char *listen = addresses(door);
        char n[5][UNITS_BYTES];
        print_line(printing, label, "%s%s%s, %s of %s connections", name, *name ? " " : "", listen,
                   count(door, "connections", n[0]), count(door, "max_connections", n[1]));
        print_line(printing, "", "%s stored, %s repeated, %s passed on, %s refused, %s sent away (503)",
                   count(door, "stored", n[0]), count(door, "repeated", n[1]), count(door, "passed_on", n[2]),
                   count(door, "refused", n[3]), count(door, "sent_away", n[4]));
    }
}

static void print_backends(const struct printing *printing)
{
    const struct report *backend = report_first(report_get(printing->status->daemon, "backends"));
    for (const char *label = "backends"; backend; backend = report_next(backend), label = "")
        print_line(printing, label, "%s %s, %s", report_text(backend, "name"), report_text(backend, "state"),
                   report_text(backend, "url"));
}

static void print_rates(const struct printing *printing)
{
    const struct report *minute = report_get(printing->status->daemon, "last_minute");
    const struct report *total = report_get(printing->status->daemon, "since_start");
    int64_t seconds = report_number(minute, "seconds", 0);
    char in[UNITS_BYTES], out[UNITS_BYTES], all_in[UNITS_BYTES], all_out[UNITS_BYTES], time[UNITS_BYTES];
    cleanup_free char *lately =
        seconds == 0 ? NULL /* it has just been started */
                     : xasprintf("%s in and %s out in the last %s; ",
                                 units_count(report_number(minute, "stored", 0), in),
                                 units_count(report_number(minute, "delivered", 0), out),
                                 seconds >= 59 ? "minute" : units_duration(seconds * 1000, time));
    print_line(printing, "messages", "%s%s in and %s out since the start", lately ? lately : "",
               units_count(report_number(total, "stored", 0), all_in),
               units_count(report_number(total, "delivered", 0), all_out));
    int64_t unrouted = report_number(total, "unrouted", 0);
    if (unrouted > 0)
        print_line(printing, "", "%s more matched no route and were not forwarded",
                   units_count(unrouted, in));
}

/* Only where devices number theirs. */
static void print_readings(const struct printing *printing)
{
    const struct report *total = report_get(printing->status->daemon, "since_start");
    int64_t answers = report_number(total, "acks", 0), again = report_number(total, "readings_again", 0);
    int64_t lost = report_number(total, "readings_lost", 0);
    int64_t malformed = report_number(total, "readings_malformed", 0);
    char texts[4][UNITS_BYTES];
    if (answers > 0 || again > 0 || lost > 0 || malformed > 0)
        print_line(printing, "readings", "since the start: %s answers, %s came again, %s lost, %s malformed",
                   units_count(answers, texts[0]), units_count(again, texts[1]), units_count(lost, texts[2]),
                   units_count(malformed, texts[3]));
}

/* ---- what is in the queue ---- */

/* Of a route's dead letters, or drops. */
static int64_t sum_of(const struct report *list, const char *route)
{
    int64_t sum = 0;
    for (const struct report *part = report_first(list); part; part = report_next(part))
        if (strcmp(report_text(part, "route"), route) == 0)
            sum += report_number(part, "messages", 0);
    return sum;
}

static void print_route(const struct printing *printing, const char *label, const char *name,
                        const char *state)
{
    const struct report *queue = printing->status->queue;
    const struct report *facts = cmd_status_part(report_get(queue, "routes"), name);
    char number[UNITS_BYTES], oldest[UNITS_BYTES], late[UNITS_BYTES], dead[UNITS_BYTES];
    int64_t oldest_ms = cmd_status_time(facts, "oldest"), late_count = report_number(facts, "late", 0);
    int64_t dead_count = sum_of(report_get(queue, "dead_letters"), name);
    cleanup_free char *ages =
        oldest_ms > 0 ? xasprintf(", the oldest for %s", age(oldest_ms, oldest)) : xstrdup("");
    cleanup_free char *lates =
        late_count > 0 ? xasprintf(", %s late", units_count(late_count, late)) : xstrdup("");
    cleanup_free char *deads = dead_count > 0 ? xasprintf(", %s dead letter%s", units_count(dead_count, dead),
                                                          dead_count == 1 ? "" : "s")
                                              : xstrdup("");
    print_line(printing, label, "%s %s%s waiting%s%s%s", name, state,
               units_count(report_number(facts, "waiting", 0), number), ages, lates, deads);
}

/* Whether a dead letter's route was shown: it is the daemon's, has messages, or stood
 * further up in the list. */
static bool was_shown(const struct cmd_status *status, const struct report *entry, const char *name)
{
    if (cmd_status_part(report_get(status->daemon, "routes"), name) ||
        cmd_status_part(report_get(status->queue, "routes"), name))
        return true;
    const struct report *other = report_first(report_get(status->queue, "dead_letters"));
    while (other != entry && strcmp(report_text(other, "route"), name) != 0)
        other = report_next(other);
    return other != entry;
}

/* Those of the configuration, and others of which something is in the queue. */
static void print_routes(const struct printing *printing)
{
    const struct cmd_status *status = printing->status;
    const struct report *known = report_get(status->daemon, "routes");
    const char *held = status->daemon ? "held, " : "", *label = "routes";
    for (const struct report *route = report_first(known); route; route = report_next(route), label = "") {
        cleanup_free char *state = xasprintf("%s, ", report_text(route, "state"));
        print_route(printing, label, report_text(route, "name"), state);
    }
    const struct report *other = report_first(report_get(status->queue, "routes"));
    for (; other; other = report_next(other)) {
        if (cmd_status_part(known, report_text(other, "name")))
            continue;
        print_route(printing, label, report_text(other, "name"), held);
        label = "";
    }
    for (other = report_first(report_get(status->queue, "dead_letters")); other; other = report_next(other)) {
        if (was_shown(status, other, report_text(other, "route")))
            continue;
        print_route(printing, label, report_text(other, "route"), held);
        label = "";
    }
}

/* "garden/a/ack acknowledged up to 1,417, 3 lost, 1 missing, last 40 s ago" */
static void print_device(const struct printing *printing, const char *label, const struct report *device)
{
    char up_to[UNITS_BYTES], lost[UNITS_BYTES], gaps[UNITS_BYTES], last[UNITS_BYTES];
    int64_t gap_count = report_number(device, "gaps", 0), last_ms = cmd_status_time(device, "last_seen");
    cleanup_free char *missing =
        gap_count > 0 ? xasprintf(", %s missing", units_count(gap_count, gaps)) : xstrdup("");
    cleanup_free char *ago = last_ms > 0 ? xasprintf(", last %s ago", age(last_ms, last)) : xstrdup("");
    print_line(printing, label, "%s acknowledged up to %s, %s lost%s%s", report_text(device, "device"),
               units_count(report_number(device, "acknowledged", 0), up_to),
               units_count(report_number(device, "lost", 0), lost), missing, ago);
}

/* A screen of them; programs get all. */
static void print_devices(const struct printing *printing)
{
    const struct report *device = report_first(report_get(printing->status->queue, "devices"));
    const char *label = "devices";
    for (int shown = 0; device && shown < DEVICES_SHOWN; shown++, device = report_next(device), label = "")
        print_device(printing, label, device);
    int64_t more = 0;
    for (; device; device = report_next(device))
        more++;
    char number[UNITS_BYTES];
    if (more > 0)
        print_line(printing, "", "and %s more: sluice status --json", units_count(more, number));
}

/* "3 rejected, 1 path": by reason, over all routes. */
static char *by_reason(const struct report *list)
{
    char *text = xstrdup("");
    for (const struct report *part = report_first(list); part; part = report_next(part)) {
        const char *reason = report_text(part, "reason");
        int64_t sum = 0;
        bool before = false;
        const struct report *other = report_first(list);
        for (bool behind = false; other; other = report_next(other)) {
            behind = behind || other == part;
            bool same = strcmp(report_text(other, "reason"), reason) == 0;
            before = before || (same && !behind);
            sum += same ? report_number(other, "messages", 0) : 0;
        }
        if (before)
            continue;
        char number[UNITS_BYTES];
        char *longer = xasprintf("%s%s%s %s", text, *text ? ", " : "", units_count(sum, number), reason);
        free(text);
        text = longer;
    }
    return text;
}

static void print_counts(const struct printing *printing)
{
    const struct report *queue = printing->status->queue;
    cleanup_free char *dead = by_reason(report_get(queue, "dead_letters"));
    cleanup_free char *dropped = by_reason(report_get(queue, "dropped"));
    print_line(printing, "dead letters", "%s", *dead ? dead : "none");
    print_line(printing, "dropped", "%s", *dropped ? dropped : "none");
}

static void print_disk(const struct printing *printing)
{
    const struct report *disk = report_get(printing->status->queue, "disk");
    const struct report *minute = report_get(printing->status->daemon, "last_minute");
    char size[UNITS_BYTES], wal[UNITS_BYTES], left[UNITS_BYTES];
    double fsync_ms = report_fraction(minute, "fsync_ms");
    cleanup_free char *fsync = fsync_ms >= 0 ? xasprintf("; fsync takes %.1f ms", fsync_ms) : xstrdup("");
    print_line(printing, "disk", "queue %s, its log %s, %s free%s",
               units_size(report_number(disk, "database_bytes", 0), size),
               units_size(report_number(disk, "write_ahead_log_bytes", 0), wal),
               units_size(report_number(disk, "disk_free_bytes", 0), left), fsync);
}

static void print_clock(const struct printing *printing)
{
    const struct report *clock = report_get(printing->status->daemon, "clock");
    if (report_truth(clock, "right"))
        print_line(printing, "clock", "right%s", report_truth(clock, "trusted") ? " (clock = trust)" : "");
    else
        print_line(printing, "clock", "not right (%s): what is delivered is marked",
                   report_text(clock, "kernel"));
}

/* Whole, whatever the terminal's width. */
static void print_problems(const struct printing *printing)
{
    const struct cmd_terminal *terminal = &printing->terminal;
    for (size_t i = 0; i < printing->status->problem_count; i++) {
        struct buf line cleanup_buf;
        buf_init(&line, SIZE_MAX / 4);
        display_append_safe(&line, printing->status->problems[i], strlen(printing->status->problems[i]));
        printf("%s! %s%s\n", cmd_red(terminal), buf_text(&line), cmd_plain(terminal));
    }
}

void cmd_status_print(const struct cmd_status *status)
{
    struct printing printing = {.status = status, .terminal = cmd_terminal()};
    print_head(&printing);
    if (status->daemon) {
        print_broker(&printing);
        print_http(&printing);
        print_backends(&printing);
    }
    if (status->queue) {
        print_routes(&printing);
        print_devices(&printing);
    }
    if (status->daemon) {
        print_rates(&printing);
        print_readings(&printing);
    }
    if (status->queue) {
        print_counts(&printing);
        print_disk(&printing);
    }
    if (status->daemon)
        print_clock(&printing);
    if (status->no_queue)
        printf("%s! %s%s\n", cmd_red(&printing.terminal), status->no_queue, cmd_plain(&printing.terminal));
    print_problems(&printing);
}
