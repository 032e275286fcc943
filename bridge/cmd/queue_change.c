/* cmd/queue_change.c - sluice queue retry, drop: what a person decides of messages.
 *
 * Both look first at what there is, and change no more than that: what arrives, or is
 * set aside, while a person thinks about the question stays.
 */
#include "cmd/client.h"
#include "cmd/queue.h"
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

static void tell_progress(void *context, uint64_t changed)
{
    cmd_progress_show(context, changed);
}

static int missing(const struct cmd_queue *queue, uint64_t found, const char *what, const char *hint)
{
    size_t asked = queue->filter.id_count;
    if (asked == 0 || found >= asked)
        return CMD_EXIT_OK;
    fprintf(stderr, "%s: %" PRIu64 " of %zu are no %s in the queue%s\n", queue->command,
            (uint64_t)asked - found, asked, what, hint);
    return CMD_EXIT_NONE;
}

/* The daemon looks once a second anyway; this is faster. */
static void tell_daemon(const struct cmd_queue *queue)
{
    client_look(queue->place.socket);
}

static void print_changed(uint64_t changed, const char *what, const char *how)
{
    char number[UNITS_BYTES];
    printf("%s %s%s %s\n", units_count((int64_t)changed, number), what, changed == 1 ? "" : "s", how);
}

int cmd_queue_retry(struct cmd_queue *queue)
{
    int status;
    struct queue_admin *admin = cmd_queue_open(queue, true, &status);
    if (!admin)
        return status;
    struct survey survey = {.dead = 0};
    struct queue_filter dead = queue->filter;
    dead.dead = true;
    dead.pending = false;
    uint64_t changed = 0;
    int error = queue_admin_glance(admin, &dead, false, survey_glance, &survey);
    struct cmd_progress progress = {.doing = "brought back", .of = survey.dead};
    dead.up_to = survey.highest;
    if (error == 0 && survey.dead > 0)
        error = queue_admin_retry(admin, &dead, tell_progress, &progress, &changed);
    cmd_progress_end(&progress);
    if (changed > 0)
        tell_daemon(queue);
    status = cmd_queue_close(queue, admin, error);
    if (status == CMD_EXIT_OK || changed > 0)
        print_changed(changed, "dead letter", "will be delivered again");
    return status != CMD_EXIT_OK
               ? status
               : missing(queue, changed, "dead letters", "; what waits there is delivered anyway");
}

/* ---- drop ---- */

static char *describe(const struct survey *survey)
{
    char pending[UNITS_BYTES], dead[UNITS_BYTES];
    units_count((int64_t)survey->pending, pending);
    units_count((int64_t)survey->dead, dead);
    const char *waiting = survey->pending == 1 ? "message that waits" : "messages that wait";
    const char *letters = survey->dead == 1 ? "dead letter" : "dead letters";
    if (survey->dead == 0)
        return xasprintf("%s %s", pending, waiting);
    if (survey->pending == 0)
        return xasprintf("%s %s", dead, letters);
    return xasprintf("%s %s and %s %s", pending, waiting, dead, letters);
}

/* Shows what would go, and asks. Sets *ret_go_on; 0 or -Exxx. */
static int ask(const struct cmd_queue *queue, struct queue_admin *admin, const struct queue_filter *filter,
               const struct survey *survey, bool *ret_go_on)
{
    struct cmd_queue_listed listed;
    cleanup_free char *what = describe(survey);
    int error = cmd_queue_print(admin, filter, SHOWN_MOST, &listed);
    if (error != 0)
        return error;
    if (listed.more)
        printf("... and older ones\n");
    if (isatty(STDIN_FILENO) != 1) {
        fflush(stdout);
        fprintf(stderr, "%s: %s would be dropped; nobody can be asked here: say --yes\n", queue->command,
                what);
        *ret_go_on = false;
        return 0;
    }
    cleanup_free char *question = xasprintf("Drop %s for ever?", what);
    *ret_go_on = cmd_confirm(question);
    if (!*ret_go_on)
        printf("nothing was dropped\n");
    return 0;
}

int cmd_queue_drop(struct cmd_queue *queue)
{
    int status;
    struct queue_admin *admin = cmd_queue_open(queue, true, &status);
    if (!admin)
        return status;
    struct survey survey = {.keeps = !queue->yes};
    struct queue_filter filter = queue->filter;
    uint64_t changed = 0;
    bool go_on = true;
    int error = queue_admin_glance(admin, &filter, false, survey_glance, &survey);
    filter.up_to = survey.highest;
    uint64_t count = survey.pending + survey.dead;
    if (survey.keeps) { /* what waited before those may have been set aside meanwhile */
        filter.ids = survey.ids;
        filter.id_count = (size_t)count;
    }
    if (error == 0 && count > 0 && !queue->yes)
        error = ask(queue, admin, &filter, &survey, &go_on);
    struct cmd_progress progress = {.doing = "dropped", .of = count};
    if (error == 0 && count > 0 && go_on)
        error = queue_admin_drop(admin, &filter, tell_progress, &progress, &changed);
    cmd_progress_end(&progress);
    free(survey.ids);
    if (changed > 0)
        tell_daemon(queue);
    status = cmd_queue_close(queue, admin, error);
    if (!go_on)
        return CMD_EXIT_FAILED;
    if (status == CMD_EXIT_OK || changed > 0)
        print_changed(changed, "message", "dropped");
    return status != CMD_EXIT_OK ? status : missing(queue, changed, "messages", "");
}
