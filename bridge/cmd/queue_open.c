/* cmd/queue_open.c - see cmd/queue_open.h. */
#include "cmd/queue_open.h"
#include "cmd/args.h"
#include "cmd/locate.h"
#include "cmd/owner.h"
#include "cmd/terminal.h"
#include "message/topic.h"
#include "text/nearest.h"
#include "text/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- which messages ---- */

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int add_id(struct queue_command *queue, const struct args *args, const char *word)
{
    char *end;
    errno = 0;
    long long id = strtoll(word, &end, 10);
    if (errno != 0 || *end != '\0' || id <= 0)
        return args_wrong(args, "'%s' is no ID: must be a number, as ls shows it", word);
    size_t count = queue->filter.id_count++;
    queue->ids = xrealloc(queue->ids, (count + 1) * sizeof *queue->ids);
    queue->ids[count] = id;
    queue->filter.ids = queue->ids;
    return CMD_EXIT_OK;
}

static void sort_ids(struct queue_command *queue)
{
    size_t kept = 0, count = queue->filter.id_count;
    if (count == 0)
        return;
    qsort(queue->ids, count, sizeof *queue->ids, by_number);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || queue->ids[i] != queue->ids[kept - 1])
            queue->ids[kept++] = queue->ids[i];
    queue->filter.id_count = kept;
}

static int set_state(struct queue_command *queue, const struct args *args, const char *value)
{
    struct queue_filter *filter = &queue->filter;
    bool pending = strcmp(value, "pending") == 0;
    filter->waiting = pending || strcmp(value, "waiting") == 0;
    filter->deferred = pending || strcmp(value, "deferred") == 0;
    filter->dead = strcmp(value, "dead") == 0;
    if (filter->waiting || filter->deferred || filter->dead)
        return CMD_EXIT_OK;
    static const char *const known[] = {"pending", "waiting", "deferred", "dead"};
    size_t near = nearest_find(value, known, ARRAY_LEN(known));
    if (near == SIZE_MAX)
        return args_wrong(args, "--state %s: must be pending, waiting, deferred or dead", value);
    return args_wrong(args, "--state %s: must be pending, waiting, deferred or dead; did you mean '%s'?",
                      value, known[near]);
}

/* An unknown reason may be one of a newer sluice, unless it is nearly a known one. */
static int set_reason(struct queue_command *queue, const struct args *args, const char *value)
{
    static const char *const known[] = {"rejected", "attempts", "path", "body", "packet"};
    size_t near = nearest_find(value, known, ARRAY_LEN(known));
    queue->filter.reason = value;
    if (near == SIZE_MAX || strcmp(known[near], value) == 0)
        return CMD_EXIT_OK;
    return args_wrong(args, "--reason %s: unknown; did you mean '%s'?", value, known[near]);
}

static int set_age(const struct args *args, const char *name, const char *value, int64_t *age_ms)
{
    if (units_parse_duration(value, age_ms) == 0 && *age_ms > 0)
        return CMD_EXIT_OK;
    return args_wrong(args, "--%s %s: must be a whole number and its unit, such as 2h (s, m, h, d, w)", name,
                      value);
}

static int set_most(struct queue_command *queue, const struct args *args, const char *value)
{
    char *end;
    errno = 0;
    queue->most = strtoull(value, &end, 10);
    queue->most_given = true;
    if (errno == 0 && *end == '\0' && value[0] >= '0' && value[0] <= '9')
        return CMD_EXIT_OK;
    return args_wrong(args, "-n %s: must be a number; 0 means all", value);
}

static bool has_star_level(const char *filter)
{
    for (const char *level = filter; level; level = strchr(level, '/')) {
        level += *level == '/';
        size_t bytes = strcspn(level, "/");
        if (bytes > 0 && strspn(level, "*") == bytes)
            return true;
    }
    return false;
}

static int set_topic(struct queue_command *queue, const struct args *args, const char *value)
{
    const char *why;
    queue->filter.topic = value;
    if (!topic_filter_valid(value, &why))
        return args_wrong(args, "--topic %s: %s", value, why);
    if (has_star_level(value))
        return args_wrong(args,
                          "--topic %s: '*' is no wildcard of MQTT: write + for one level, or # for all the "
                          "levels that follow, as the last one",
                          value);
    return CMD_EXIT_OK;
}

static int set_option(struct queue_command *queue, const struct args *args, int letter, const char *value)
{
    queue->filtered = queue->filtered || (letter != 'c' && letter != 'j' && letter != 'y' && letter != 'n');
    switch (letter) {
    case ARGS_OPERAND:
        return add_id(queue, args, value);
    case 'c':
        queue->config_path = value;
        break;
    case 'r':
        queue->filter.route = value;
        break;
    case 't':
        return set_topic(queue, args, value);
    case 's':
        return set_state(queue, args, value);
    case 'e':
        return set_reason(queue, args, value);
    case 'O':
        return set_age(args, "older", value, &queue->filter.older_ms);
    case 'N':
        return set_age(args, "newer", value, &queue->filter.newer_ms);
    case 'n':
        return set_most(queue, args, value);
    case 'a':
        queue->all = true;
        break;
    case 'y':
        queue->yes = true;
        break;
    default:
        queue->json = true;
    }
    return CMD_EXIT_OK;
}

/* ---- the queue ---- */

static bool note_found(void *context, const struct queue_glance *glance)
{
    (void)glance;
    *(bool *)context = true;
    return false;
}

/* The queue may have messages of a route that the configuration no longer has. */
static bool queue_has_route(const struct queue_command *queue)
{
    const struct queue_filter route = {.route = queue->filter.route};
    bool found = false;
    return queue_admin_glance(queue->admin, &route, false, note_found, &found) != 0 || found;
}

static int unknown_route(const struct args *args, const char *route, const char *const *names, size_t count)
{
    struct buf list cleanup_buf;
    buf_init(&list, BUF_MOST_BYTES);
    for (size_t i = 0; i < count; i++)
        buf_printf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
    return args_wrong(args, "--route %s: unknown; the configuration has %s", route, buf_text(&list));
}

/* A misspelt route would seem to have no messages. */
static int check_route(const struct queue_command *queue, const struct args *args)
{
    const char *route = queue->filter.route;
    struct config_errors errors = {0};
    struct config *config = route ? config_file_load_hidden(queue->config_path, &errors) : NULL;
    config_errors_done(&errors);
    if (!config)
        return CMD_EXIT_OK;
    const char **names = xcalloc(config->route_count + 1, sizeof *names);
    for (size_t i = 0; i < config->route_count; i++)
        names[i] = config->routes[i].name;
    int status = CMD_EXIT_OK;
    size_t near = nearest_find(route, names, config->route_count);
    bool known = near != SIZE_MAX && strcmp(names[near], route) == 0;
    if (!known && !queue_has_route(queue) && near != SIZE_MAX)
        status = args_wrong(args, "--route %s: unknown; did you mean '%s'?", route, names[near]);
    else if (!known && !queue_has_route(queue))
        status = unknown_route(args, route, names, config->route_count);
    free(names);
    config_free(config);
    return status;
}

static int read_command_line(struct queue_command *queue, struct args *args, const char *required)
{
    int status = CMD_EXIT_OK, letter;
    const char *value = NULL;
    while (status == CMD_EXIT_OK && (letter = args_next(args, &value)) != ARGS_END)
        status = letter == ARGS_WRONG ? CMD_EXIT_USAGE : set_option(queue, args, letter, value);
    if (status == CMD_EXIT_OK && required && !queue->filtered)
        status = args_wrong(args, "which messages? Give %s", required);
    sort_ids(queue);
    return status;
}

static int open_admin(struct queue_command *queue, bool write)
{
    cleanup_free char *why = NULL;
    if (queue_admin_open(queue->place.queue, write, &queue->admin, &why) == 0)
        return CMD_EXIT_OK;
    cleanup_free char *owner = owner_fault(queue->place.queue);
    fprintf(stderr, "%s: %s%s%s\n", queue->command, owner ? queue->place.queue : "", owner ? ": " : "",
            owner ? owner : why);
    return CMD_EXIT_FAILED;
}

int queue_command_run(const struct command *command, int argc, char **argv)
{
    const struct queue_work *work = command->work;
    cleanup_free char *name = xasprintf("sluice queue %s", argv[0]);
    struct queue_command queue = {.command = name, .config_path = CMD_DEFAULT_CONFIG};
    struct args args = {.command = name, .options = command->options, .argc = argc, .argv = argv};
    int status = read_command_line(&queue, &args, work->required);
    if (status == CMD_EXIT_OK)
        status = locate_queue(name, queue.config_path, &queue.place);
    if (status == CMD_EXIT_OK)
        status = open_admin(&queue, work->writes);
    if (status == CMD_EXIT_OK)
        status = check_route(&queue, &args);
    if (status == CMD_EXIT_OK)
        status = work->run(&queue);
    queue_admin_close(queue.admin);
    config_place_done(&queue.place);
    free(queue.ids);
    return status;
}

int queue_command_close(struct queue_command *queue, int error)
{
    if (error != 0)
        fprintf(stderr, "%s: %s\n", queue->command, queue_admin_error(queue->admin));
    int sync_error = queue_admin_close(queue->admin);
    queue->admin = NULL;
    if (sync_error != 0)
        fprintf(stderr, "%s: %s: the changes are not safe on the disk: %s\n", queue->command,
                queue->place.queue, strerror(-sync_error));
    bool written = output_close(queue->command);
    return error == 0 && sync_error == 0 && written ? CMD_EXIT_OK : CMD_EXIT_FAILED;
}
