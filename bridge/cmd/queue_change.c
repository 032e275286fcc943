/* cmd/queue_change.c - sluice queue retry, drop: what a person decides about messages.
 *
 * Both first survey the messages, and change only these: a message that arrives, or is
 * dead-lettered, while a person thinks about the question stays.
 */
#include "cmd/client.h"
#include "cmd/queue.h"
#include "cmd/queue_list.h"
#include "cmd/queue_open.h"
#include "cmd/terminal.h"
#include "text/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SHOWN_MOST = 10 };

struct survey {
    struct queue_changed counts;
    int64_t highest;
    bool keeps; /* the ids, for a person who is asked: */
    int64_t *ids;
    size_t capacity;
};

static bool survey_glance(void *context, const struct queue_glance *glance)
{
    struct survey *survey = context;
    size_t count = (size_t)(survey->counts.messages + survey->counts.dead_letters);
    if (survey->keeps && count == survey->capacity) {
        survey->capacity = survey->capacity > 0 ? 2 * survey->capacity : QUEUE_ADMIN_ROWS;
        survey->ids = xrealloc(survey->ids, survey->capacity * sizeof *survey->ids);
    }
    if (survey->keeps)
        survey->ids[count] = glance->id;
    survey->counts.messages += !glance->dead;
    survey->counts.dead_letters += glance->dead;
    survey->highest = glance->id;
    return true;
}

static void show_progress(void *context, uint64_t changed)
{
    progress_show(context, changed);
}

static int missing(const struct queue_command *queue, uint64_t found, const char *what, const char *hint)
{
    size_t asked = queue->filter.id_count;
    if (asked == 0 || found >= asked)
        return CMD_EXIT_OK;
    fprintf(stderr, "%s: %" PRIu64 " of %zu are no %s in the queue%s\n", queue->command,
            (uint64_t)asked - found, asked, what, hint);
    return CMD_EXIT_NONE;
}

/* "3 dead letters", "1 deferred message and 3 dead letters"; the caller frees it. */
static char *describe(const struct queue_changed *counts, const char *kind)
{
    char messages[UNITS_BYTES], dead[UNITS_BYTES];
    units_count((int64_t)counts->messages, messages);
    units_count((int64_t)counts->dead_letters, dead);
    const char *ending = counts->messages == 1 ? "" : "s";
    const char *letters = counts->dead_letters == 1 ? "dead letter" : "dead letters";
    if (counts->dead_letters == 0)
        return xasprintf("%s %s message%s", messages, kind, ending);
    if (counts->messages == 0)
        return xasprintf("%s %s", dead, letters);
    return xasprintf("%s %s message%s and %s %s", messages, kind, ending, dead, letters);
}

static int retry(struct queue_command *queue)
{
    struct survey survey = {.keeps = false};
    struct queue_filter filter;
    if (!queue_admin_retried(&queue->filter, &filter)) {
        fprintf(stderr,
                "%s: --state waiting: must be deferred or dead; sluice delivers waiting messages anyway\n",
                queue->command);
        return CMD_EXIT_USAGE;
    }
    struct queue_changed changed = {.messages = 0};
    int error = queue_admin_glance(queue->admin, &filter, false, survey_glance, &survey);
    uint64_t count = survey.counts.messages + survey.counts.dead_letters;
    struct progress progress = {.doing = "retried", .of = count};
    filter.up_to = survey.highest;
    if (error == 0 && count > 0)
        error = queue_admin_retry(queue->admin, &filter, show_progress, &progress, &changed);
    progress_end(&progress);
    count = changed.messages + changed.dead_letters;
    if (count > 0)
        client_look(&queue->place);
    int status = queue_command_close(queue, error);
    cleanup_free char *what = describe(&changed, "deferred");
    if (status == CMD_EXIT_OK || count > 0)
        printf("%s will be delivered again\n", count > 0 ? what : "0 messages");
    return status != CMD_EXIT_OK ? status
                                 : missing(queue, count, "dead letters or deferred messages",
                                           "; waiting messages are delivered anyway");
}

const struct command cmd_queue_retry = {
    .run = queue_command_run,
    .work = &(const struct queue_work){.run = retry,
                                       .writes = true,
                                       .required =
                                           "IDs, or options such as --route, or --all for all dead letters "
                                           "and deferred messages"},
    .options =
        (const struct command_option[]){QUEUE_OPTIONS_FILTER, QUEUE_OPTION_STATE, QUEUE_OPTION_ALL, {0}},
    .help = "Makes dead letters and deferred messages waiting ones again: each takes its old\n"
            "place in the order of its topic, and sluice delivers it at once, with its old\n"
            "key and all its attempts. Waiting messages do not change.\n\n" QUEUE_HELP_FILTER
            "  --state STATE   deferred messages, or dead ones (dead letters)\n"
            "  --all           all dead letters and all deferred messages\n" QUEUE_HELP_CONFIG,
};

/* ---- drop ---- */

/* Shows what would go, and asks. Sets *ret_go_on; 0 or -Exxx. */
static int ask(const struct queue_command *queue, const struct queue_filter *filter,
               const struct survey *survey, bool *ret_go_on)
{
    struct queue_listed listed;
    cleanup_free char *what = describe(&survey->counts, "pending");
    int error = queue_list_print(queue->admin, filter, SHOWN_MOST, &listed);
    if (error != 0)
        return error;
    if (listed.more)
        printf("... and older ones\n");
    if (isatty(STDIN_FILENO) != 1) {
        fflush(stdout);
        fprintf(stderr, "%s: %s would be dropped; standard input is not a terminal: give --yes\n",
                queue->command, what);
        *ret_go_on = false;
        return 0;
    }
    cleanup_free char *question = xasprintf("Drop %s for ever?", what);
    *ret_go_on = terminal_confirm(question);
    if (!*ret_go_on)
        printf("nothing was dropped\n");
    return 0;
}

static int drop(struct queue_command *queue)
{
    struct survey survey = {.keeps = !queue->yes};
    struct queue_filter filter = queue->filter;
    struct queue_changed changed = {.messages = 0};
    bool go_on = true;
    int error = queue_admin_glance(queue->admin, &filter, false, survey_glance, &survey);
    filter.up_to = survey.highest;
    uint64_t count = survey.counts.messages + survey.counts.dead_letters;
    if (survey.keeps) { /* a pending message may be dead-lettered meanwhile */
        filter.ids = survey.ids;
        filter.id_count = (size_t)count;
    }
    if (error == 0 && count > 0 && !queue->yes)
        error = ask(queue, &filter, &survey, &go_on);
    struct progress progress = {.doing = "dropped", .of = count};
    if (error == 0 && count > 0 && go_on)
        error = queue_admin_drop(queue->admin, &filter, show_progress, &progress, &changed);
    progress_end(&progress);
    free(survey.ids);
    count = changed.messages + changed.dead_letters;
    if (count > 0)
        client_look(&queue->place);
    int status = queue_command_close(queue, error);
    if (!go_on)
        return CMD_EXIT_FAILED;
    char number[UNITS_BYTES];
    if (status == CMD_EXIT_OK || count > 0)
        printf("%s message%s dropped\n", units_count((int64_t)count, number), count == 1 ? "" : "s");
    return status != CMD_EXIT_OK ? status : missing(queue, count, "messages", "");
}

const struct command cmd_queue_drop = {
    .run = queue_command_run,
    .work =
        &(const struct queue_work){
            .run = drop,
            .writes = true,
            .required =
                "IDs, or options such as --route, or --all for all pending messages and dead letters"},
    .options =
        (const struct command_option[]){
            QUEUE_OPTIONS_FILTER, QUEUE_OPTION_STATE, QUEUE_OPTION_ALL, QUEUE_OPTION_YES, {0}},
    .help = "Deletes pending messages and dead letters. It shows them, and asks.\n"
            "\n" QUEUE_HELP_FILTER QUEUE_HELP_STATE "  --all           everything\n"
            "  -y, --yes       do not ask\n" QUEUE_HELP_CONFIG,
};
