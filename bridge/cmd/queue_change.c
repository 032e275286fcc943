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
    uint64_t pending, dead;
    int64_t highest;
    bool keeps; /* the ids, for a person who is asked: */
    int64_t *ids;
    size_t capacity;
};

static bool survey_glance(void *context, const struct queue_glance *glance)
{
    struct survey *survey = context;
    size_t count = (size_t)(survey->pending + survey->dead);
    if (survey->keeps && count == survey->capacity) {
        survey->capacity = survey->capacity > 0 ? 2 * survey->capacity : QUEUE_ADMIN_ROWS;
        survey->ids = xrealloc(survey->ids, survey->capacity * sizeof *survey->ids);
    }
    if (survey->keeps)
        survey->ids[count] = glance->id;
    survey->pending += !glance->dead;
    survey->dead += glance->dead;
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

static void print_changed(uint64_t changed, const char *what, const char *how)
{
    char number[UNITS_BYTES];
    printf("%s %s%s %s\n", units_count((int64_t)changed, number), what, changed == 1 ? "" : "s", how);
}

static int retry(struct queue_command *queue)
{
    struct survey survey = {.dead = 0};
    struct queue_filter dead = queue->filter;
    dead.dead = true;
    dead.pending = false;
    uint64_t changed = 0;
    int error = queue_admin_glance(queue->admin, &dead, false, survey_glance, &survey);
    struct progress progress = {.doing = "made pending", .of = survey.dead};
    dead.up_to = survey.highest;
    if (error == 0 && survey.dead > 0)
        error = queue_admin_retry(queue->admin, &dead, show_progress, &progress, &changed);
    progress_end(&progress);
    if (changed > 0)
        client_look(queue->place.socket);
    int status = queue_command_close(queue, error);
    if (status == CMD_EXIT_OK || changed > 0)
        print_changed(changed, "dead letter", "will be delivered again");
    return status != CMD_EXIT_OK
               ? status
               : missing(queue, changed, "dead letters", "; pending messages are delivered anyway");
}

const struct command cmd_queue_retry = {
    .run = queue_command_run,
    .work = &(const struct queue_work){.run = retry,
                                       .writes = true,
                                       .required =
                                           "IDs, or options such as --route, or --all for all dead letters"},
    .options = (const struct command_option[]){QUEUE_OPTIONS_FILTER, QUEUE_OPTION_ALL, {0}},
    .help = "Makes dead letters pending again: sluice delivers them with their old keys, and\n"
            "they have all their attempts again. Pending messages do not change.\n\n" QUEUE_HELP_FILTER
            "  --all           all dead letters\n" QUEUE_HELP_CONFIG,
};

/* ---- drop ---- */

static char *describe(const struct survey *survey)
{
    char pending[UNITS_BYTES], dead[UNITS_BYTES];
    units_count((int64_t)survey->pending, pending);
    units_count((int64_t)survey->dead, dead);
    const char *waiting = survey->pending == 1 ? "pending message" : "pending messages";
    const char *letters = survey->dead == 1 ? "dead letter" : "dead letters";
    if (survey->dead == 0)
        return xasprintf("%s %s", pending, waiting);
    if (survey->pending == 0)
        return xasprintf("%s %s", dead, letters);
    return xasprintf("%s %s and %s %s", pending, waiting, dead, letters);
}

/* Shows what would go, and asks. Sets *ret_go_on; 0 or -Exxx. */
static int ask(const struct queue_command *queue, const struct queue_filter *filter,
               const struct survey *survey, bool *ret_go_on)
{
    struct queue_listed listed;
    cleanup_free char *what = describe(survey);
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
    uint64_t changed = 0;
    bool go_on = true;
    int error = queue_admin_glance(queue->admin, &filter, false, survey_glance, &survey);
    filter.up_to = survey.highest;
    uint64_t count = survey.pending + survey.dead;
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
    if (changed > 0)
        client_look(queue->place.socket);
    int status = queue_command_close(queue, error);
    if (!go_on)
        return CMD_EXIT_FAILED;
    if (status == CMD_EXIT_OK || changed > 0)
        print_changed(changed, "message", "dropped");
    return status != CMD_EXIT_OK ? status : missing(queue, changed, "messages", "");
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
    .help = "Deletes pending messages and dead letters. It shows them, and asks.\n\n" QUEUE_HELP_FILTER
        QUEUE_HELP_STATE "  --all           everything\n"
            "  -y, --yes       do not ask\n" QUEUE_HELP_CONFIG,
};
