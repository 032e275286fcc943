/* cmd/problem.c - see cmd/problem.h. */
#include "cmd/problem.h"
#include "cmd/owner.h"
#include "text/shell.h"
#include "text/units.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <string.h>

void add_problem(struct status_facts *facts, const char *format, ...)
{
    if (facts->problem_count == STATUS_FACTS_PROBLEMS)
        return;
    va_list arguments;
    va_start(arguments, format);
    facts->problems[facts->problem_count++] = xvasprintf(format, arguments);
    va_end(arguments);
}

const struct cJSON *problem_first(const struct status_facts *facts)
{
    return facts->daemon
               ? status_first(status_get(facts->daemon, STATUS_DAEMON_QUEUE), STATUS_DAEMON_PROBLEMS)
               : status_first(facts->queue, STATUS_QUEUE_PROBLEMS);
}

const struct cJSON *problem_find(const struct status_facts *facts, const char *name)
{
    const struct cJSON *problem = problem_first(facts);
    while (problem && strcmp(status_text(problem, STATUS_PROBLEM_NAME), name) != 0)
        problem = problem->next;
    return problem;
}

void problem_of_storage(struct status_facts *facts)
{
    const struct cJSON *problem = problem_find(facts, "storage");
    char time[UNITS_BYTES];
    if (problem)
        add_problem(facts, "queue: cannot be written since %s (%s)",
                    units_time(status_time(problem, STATUS_PROBLEM_SINCE), true, time),
                    status_text(problem, STATUS_PROBLEM_DESCRIPTION));
}

void problem_of_owner(struct status_facts *facts, const char *queue)
{
    bool stopped = !facts->daemon && !facts->no_daemon;
    cleanup_free char *fault = stopped ? owner_fault(queue) : NULL;
    if (fault)
        add_problem(facts, "queue: %s", fault);
}

/* Which configuration is in force instead of the files. */
static char *in_force(const struct cJSON *daemon)
{
    int64_t kept_ms = status_time(daemon, STATUS_CONFIGURATION_KEPT);
    char time[UNITS_BYTES];
    if (kept_ms == 0)
        return xstrdup("the earlier configuration stays in force");
    return xasprintf("sluice started with the last one that was in force, of %s",
                     units_time(kept_ms, false, time));
}

void problem_of_configuration(struct status_facts *facts)
{
    int64_t errors = status_number(facts->daemon, STATUS_CONFIGURATION_ERRORS, 0);
    const char *restart = status_text(facts->daemon, STATUS_CONFIGURATION_RESTART);
    cleanup_free char *old = in_force(facts->daemon);
    cleanup_free char *reload =
        *facts->option ? xasprintf("sluice reload%s", facts->option) : xstrdup("systemctl reload sluice");
    cleanup_free char *more =
        errors > 1 ? xasprintf(" (and %lld more: sluice check%s)", (long long)errors - 1, facts->option)
                   : xstrdup("");
    if (errors > 0)
        add_problem(facts, "configuration: %s%s; %s: correct the file, then %s",
                    status_text(facts->daemon, STATUS_CONFIGURATION_ERROR), more, old, reload);
    else if (status_time(facts->daemon, STATUS_CONFIGURATION_KEPT) != 0)
        add_problem(facts, "configuration: %s, because the files had errors; now they have none: %s", old,
                    reload);
    if (restart)
        add_problem(facts, "configuration: restart sluice to apply the changes of: %s%s", restart,
                    *facts->option ? "" : " (sudo systemctl restart sluice)");
}

void problem_of_session_left(struct status_facts *facts, const cJSON *session)
{
    const char *client_id = status_text(session, STATUS_SESSION_CLIENT_ID);
    const char *broker = status_text(session, STATUS_SESSION_BROKER);
    const char *port = strrchr(broker, ':');
    int64_t expires_ms = status_time(session, STATUS_SESSION_EXPIRES);
    cleanup_free char *word = shell_word(client_id);
    char time[UNITS_BYTES];
    add_problem(facts,
                "session %s: the configuration had this client_id before, and the broker still collects "
                "messages in its session%s%s. To get them, use this client_id again. To delete them: "
                "mosquitto_sub -h %.*s -p %s -i %s -t %s -E, and then sluice queue forget%s %s",
                client_id, expires_ms > 0 ? " until " : "",
                expires_ms > 0 ? units_time(expires_ms, true, time) : "",
                (int)(port ? port - broker : (ptrdiff_t)strlen(broker)), broker, port ? port + 1 : "1883",
                word, word, facts->option, word);
}
