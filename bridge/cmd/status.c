/* cmd/status.c - sluice status [--json]: how it is, and what is wrong.
 *
 * The daemon says what it alone knows: the broker, backends, rates. What is in the
 * queue is counted here, from the database, so a daemon that is stopped has a status,
 * too. Nothing that is read needs more than sluice's group.
 */
#include "cmd/status.h"
#include "base/clock.h"
#include "cmd/args.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/locate.h"
#include "cmd/terminal.h"
#include "queue/admin/admin.h"
#include "text/outage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct cmd_option options[] = {{'c', NULL, true}, {'j', "json", false}, {'q', "quiet", false}};

int64_t cmd_status_time(const struct report *from, const char *name)
{
    const char *text = report_text(from, name);
    struct tm utc = {.tm_year = 0};
    int ms = 0;
    if (!text || sscanf(text, "%d-%d-%dT%d:%d:%d.%3dZ", &utc.tm_year, &utc.tm_mon, &utc.tm_mday, &utc.tm_hour,
                        &utc.tm_min, &utc.tm_sec, &ms) != 7)
        return 0;
    utc.tm_year -= 1900;
    utc.tm_mon -= 1;
    return (int64_t)timegm(&utc) * 1000 + ms;
}

const struct report *cmd_status_part(const struct report *list, const char *name)
{
    const struct report *part = report_first(list);
    while (part && strcmp(report_text(part, "name"), name) != 0)
        part = report_next(part);
    return part;
}

/* ---- what is wrong ---- */

static void add_problem(struct cmd_status *status, const char *format, ...) PRINTF_LIKE(2, 3);

static void add_problem(struct cmd_status *status, const char *format, ...)
{
    if (status->problem_count == CMD_STATUS_PROBLEMS)
        return;
    va_list arguments;
    va_start(arguments, format);
    status->problems[status->problem_count++] = xvasprintf(format, arguments);
    va_end(arguments);
}

char *cmd_status_outage(const struct report *part, bool probes, int64_t waiting, bool in_all)
{
    int64_t next_ms = cmd_status_time(part, "next_try"), wait_ms = next_ms - clock_wall_ms();
    return outage_text(
        &(struct outage){.state = report_text(part, "state"),
                         .since_ms = cmd_status_time(part, "since"),
                         .why = report_text(part, "why"),
                         .waiting = waiting,
                         .in_all = in_all,
                         .probes = probes,
                         .trying = report_truth(part, "probing") || (next_ms > 0 && wait_ms < 1000),
                         .wait_ms = next_ms > 0 ? wait_ms : 0});
}

bool cmd_status_is_well(const struct report *part)
{
    const char *state = report_text(part, "state");
    return state &&
           (strcmp(state, "ok") == 0 || strcmp(state, "untried") == 0 || strcmp(state, "connected") == 0);
}

/* How many messages wait for a route, or for a backend: those of its routes. */
static int64_t count_waiting(const struct cmd_status *status, const char *name, bool backend)
{
    const struct report *known = report_get(status->daemon, "routes");
    const struct report *route = report_first(report_get(status->queue, "routes"));
    int64_t waiting = status->queue ? 0 : -1;
    for (; route; route = report_next(route)) {
        const char *of = report_text(route, "name");
        if (backend)
            of = report_text(cmd_status_part(known, of), "backend");
        if (of && strcmp(of, name) == 0)
            waiting += report_number(route, "waiting", 0);
    }
    return waiting;
}

static void judge_parts(struct cmd_status *status, const char *list, const char *kind)
{
    bool backends = strcmp(kind, "backend") == 0;
    const struct report *part = report_first(report_get(status->daemon, list));
    for (; part; part = report_next(part)) {
        const char *name = report_text(part, "name");
        if (report_truth(part, "held"))
            add_problem(status, "%s %s: too many messages in a row were rejected: nothing more is set aside",
                        kind, name);
        if (cmd_status_is_well(part))
            continue;
        int64_t waiting = count_waiting(status, name, backends);
        cleanup_free char *state = cmd_status_outage(part, true, waiting, false);
        add_problem(status, "%s %s: %s", kind, name, state);
    }
}

static void judge_http(struct cmd_status *status)
{
    const struct report *door = report_first(report_get(status->daemon, "http"));
    for (; door; door = report_next(door)) {
        const struct report *address = report_first(report_get(door, "listen"));
        for (; address; address = report_next(address))
            if (!report_truth(address, "listening"))
                add_problem(status, "http %s: cannot be listened on: %s", report_text(address, "address"),
                            report_text(address, "why"));
        const char *name = report_text(door, "name");
        if (!cmd_status_is_well(door))
            add_problem(status, "http%s%s: requests are answered 503 (%s)", *name ? " " : "", name,
                        report_text(door, "why"));
    }
}

static void judge_daemon(struct cmd_status *status)
{
    const struct report *broker = report_get(status->daemon, "broker");
    if (broker && !cmd_status_is_well(broker)) { /* there is none where only HTTP is taken */
        cleanup_free char *state = cmd_status_outage(broker, false, -1, false);
        add_problem(status, "broker %s:%lld: %s", report_text(broker, "host"),
                    (long long)report_number(broker, "port", 0), state);
    }
    judge_http(status);
    judge_parts(status, "backends", "backend");
    judge_parts(status, "routes", "route");
}

static void judge_devices(struct cmd_status *status)
{
    const struct report *device = report_first(report_get(status->queue, "devices"));
    for (; device; device = report_next(device))
        if (report_truth(device, "shared"))
            add_problem(
                status,
                "device %s: several devices seem to use this name: give each a name and a topic of its "
                "own",
                report_text(device, "device"));
}

static void judge_queue(struct cmd_status *status)
{
    const struct report *trouble = report_first(report_get(status->queue, "troubles"));
    for (; trouble; trouble = report_next(trouble))
        add_problem(status, "%s: %s", report_text(trouble, "what"), report_text(trouble, "words"));
    const struct report *route = report_first(report_get(status->queue, "routes"));
    const struct report *known = report_get(status->daemon, "routes");
    for (; status->daemon && route; route = report_next(route)) {
        const char *name = report_text(route, "name");
        if (!cmd_status_part(known, name))
            add_problem(status, "route %s: %lld messages are held: the configuration does not have it", name,
                        (long long)report_number(route, "waiting", 0));
    }
    judge_devices(status);
}

/* ---- asking ---- */

static char *why_no_answer(int error, const char *path)
{
    switch (error) {
    case -EACCES:
        return xasprintf("%s: you may not ask it: members of the group sluice may, or use sudo", path);
    case -ENOENT:
    case -ECONNREFUSED:
        return xasprintf("it does not listen at %s: it is just starting, or stopping, or its log says why",
                         path);
    case -ETIMEDOUT:
        return xasprintf("it does not answer at %s: it is very busy, or hangs", path);
    case -EIO:
    case -EBADMSG:
    case -ECONNRESET:
        return xasprintf("it hung up at %s: too many others ask it, or it is just stopping", path);
    default:
        return xasprintf("%s: %s", path, strerror(-error));
    }
}

static void ask_daemon(struct cmd_status *status, const struct config_place *place)
{
    int error = cmd_control_status(place->socket, &status->daemon);
    status->pid = queue_admin_holder(place->queue);
    if (error == 0)
        status->pid = (pid_t)report_number(status->daemon, "pid", status->pid);
    else if (status->pid != 0 || error == -EACCES)
        status->no_daemon = why_no_answer(error, place->socket);
}

static void ask_queue(struct cmd_status *status, const struct config_place *place)
{
    struct queue_admin *admin = NULL;
    if (queue_admin_open(place->queue, false, &admin, &status->no_queue) != 0)
        return;
    status->queue = report_new();
    if (queue_admin_facts(admin, status->queue) != 0) {
        status->no_queue = xstrdup(queue_admin_words(admin));
        report_free(status->queue);
        status->queue = NULL;
    }
    queue_admin_close(admin);
}

/* ---- telling ---- */

static const char *word_of(const struct cmd_status *status)
{
    return status->daemon      ? report_text(status->daemon, "state")
           : status->no_daemon ? "no answer"
                               : "stopped";
}

static void print_json(struct cmd_status *status)
{
    struct report *report = report_new();
    report_add_text(report, "state", word_of(status));
    struct report *problems = report_add_array(report, "problems");
    for (size_t i = 0; i < status->problem_count; i++)
        report_append_text(problems, status->problems[i]);
    if (status->no_daemon)
        report_add_text(report, "no_answer", status->no_daemon);
    if (status->no_queue)
        report_add_text(report, "no_queue", status->no_queue);
    if (status->daemon)
        report_add_report(report, "daemon", status->daemon);
    if (status->queue)
        report_add_report(report, "queue", status->queue);
    status->daemon = status->queue = NULL; /* they belong to it now */
    cleanup_free char *text = report_print(report, true);
    report_free(report);
    puts(text);
}

static int exit_status(const struct cmd_status *status)
{
    if (status->no_daemon || status->no_queue)
        return CMD_EXIT_FAILED;
    if (!status->daemon)
        return CMD_EXIT_NONE;
    return status->problem_count > 0 ? CMD_EXIT_TROUBLE : CMD_EXIT_OK;
}

static int tell(const struct config_place *place, bool json, bool quiet)
{
    struct cmd_status status = {.pid = 0};
    ask_daemon(&status, place);
    ask_queue(&status, place);
    if (status.daemon)
        judge_daemon(&status);
    if (status.queue)
        judge_queue(&status);
    int exit = exit_status(&status);
    if (json)
        print_json(&status);
    else if (!quiet)
        cmd_status_print(&status);
    if (!cmd_output_ended("sluice status"))
        exit = CMD_EXIT_FAILED;
    report_free(status.daemon);
    report_free(status.queue);
    free(status.no_daemon);
    free(status.no_queue);
    for (size_t i = 0; i < status.problem_count; i++)
        free(status.problems[i]);
    return exit;
}

int cmd_status(int argc, char **argv)
{
    struct cmd_args args = {.command = "sluice status",
                            .options = options,
                            .option_count = ARRAY_LEN(options),
                            .argc = argc - 1,
                            .argv = argv + 1};
    const char *config_path = CMD_DEFAULT_CONFIG, *value = NULL;
    bool json = false, quiet = false;
    int letter;
    while ((letter = cmd_args_next(&args, &value)) != CMD_ARG_END) {
        if (letter == CMD_ARG_WRONG)
            return CMD_EXIT_USAGE;
        if (letter == CMD_ARG_OPERAND)
            return cmd_args_wrong(&args, "unexpected '%s'", value);
        config_path = letter == 'c' ? value : config_path;
        json = json || letter == 'j';
        quiet = quiet || letter == 'q';
    }
    struct config_place place;
    int status = cmd_place_find("sluice status", config_path, &place);
    if (status != CMD_EXIT_OK)
        return status;
    status = tell(&place, json, quiet);
    config_place_done(&place);
    return status;
}
