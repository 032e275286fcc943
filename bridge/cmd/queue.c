/* cmd/queue.c - sluice queue ls | show | retry | drop | export | count: looks into the
 * queue and mends it, beside a daemon that runs or not. */
#include "cmd/queue.h"
#include "cmd/locate.h"
#include "cmd/terminal.h"
#include "message/topic.h"
#include "text/nearest.h"
#include "text/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WHICH                                                                                                \
    "  ID ...          these messages\n"                                                                     \
    "  --route NAME    of this route\n"                                                                      \
    "  --topic FILTER  on these topics, such as garden/+/sensor\n"                                           \
    "  --reason WORD   dead letters that were set aside for this, such as rejected\n"                        \
    "  --older TIME    received so long ago at least: 30s 5m 2h 7d\n"                                        \
    "  --newer TIME    received since then\n"
#define STATE  "  --state STATE   pending (it waits) or dead (it was set aside)\n"
#define CONFIG "  -c FILE         the configuration; default " CMD_DEFAULT_CONFIG "\n"

static const struct {
    const char *name;
    int (*run)(struct cmd_queue *queue);
    const char *options; /* letters of those that it takes */
    const char *which;   /* a bare command must not mean everything: what to say instead */
    const char *summary;
    const char *help;
} commands[] = {
    {"ls", cmd_queue_ls, "crtseNOjn", NULL, "list messages, newest last",
     "Lists messages that wait and dead letters, one a line, the newest last.\n\n" WHICH STATE
     "  -n COUNT        so many of the newest; 0: all. Default 50, with --json all\n"
     "  --json          an object a line, with everything, as export writes it\n" CONFIG},
    {"show", cmd_queue_show, "cj", "IDs; sluice queue ls shows them", "print all that is known of a message",
     "Prints everything known of messages: their times, attempts and what the backend\n"
     "said, their payloads, and what would be sent where. Secrets are not read.\n\n"
     "  ID ...          these messages\n"
     "  --json          an object a line\n" CONFIG},
    {"retry", cmd_queue_retry, "crteNOa", "IDs, options such as --route, or --all for all dead letters",
     "have dead letters delivered again",
     "Makes dead letters messages again: they are delivered under their old keys, and\n"
     "have all their attempts before them. Messages that wait are left alone.\n\n" WHICH
     "  --all           all dead letters\n" CONFIG},
    {"drop", cmd_queue_drop, "crtseNOay",
     "IDs, options such as --route, or --all for all that wait and all dead letters",
     "delete messages for ever",
     "Deletes messages that wait and dead letters. It shows what, and asks.\n\n" WHICH STATE
     "  --all           everything\n"
     "  -y, --yes       do not ask\n" CONFIG},
    {"export", cmd_queue_export, "crtseNO", NULL, "write messages as JSON, one a line",
     "Writes messages to standard output, oldest first, a JSON object a line. What is\n"
     "no text is in base64, beside \"encoding\". Nothing is changed.\n\n" WHICH STATE CONFIG},
    {"count", cmd_queue_count, "crtseNO", NULL, "print how many messages there are",
     "Prints how many messages there are, a bare number.\n\n" WHICH STATE CONFIG},
};

static const struct cmd_option options[] = {
    {'c', NULL, true},     {'r', "route", true}, {'t', "topic", true}, {'s', "state", true},
    {'e', "reason", true}, {'O', "older", true}, {'N', "newer", true}, {'a', "all", false},
    {'y', "yes", false},   {'j', "json", false}, {'n', NULL, true},
};

/* ---- help ---- */

static void print_commands(FILE *out)
{
    fputs("usage: sluice queue COMMAND [OPTION ...] [ID ...]\n\n"
          "Looks into the queue and mends it, beside a running sluice or without one.\n\n",
          out);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(out, "  %-7s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`sluice queue COMMAND --help` says more.\n"
          "\n"
          "Exit status: 0 done, 1 it failed, 2 wrong command line, 3 show, retry, drop:\n"
          "there is no message with such an ID, 78 the configuration cannot be read.\n",
          out);
}

static int unknown_command(const char *name)
{
    const char *known[ARRAY_LEN(commands)];
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        known[i] = commands[i].name;
    size_t near = nearest_find(name, known, ARRAY_LEN(known));
    if (near != SIZE_MAX)
        fprintf(stderr, "sluice queue: unknown command '%s'; did you mean '%s'?\n", name, known[near]);
    else
        fprintf(stderr, "sluice queue: unknown command '%s'; sluice queue --help lists them\n", name);
    return CMD_EXIT_USAGE;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* ---- which messages ---- */

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int add_id(struct cmd_queue *queue, const struct cmd_args *args, const char *word)
{
    char *end;
    errno = 0;
    long long id = strtoll(word, &end, 10);
    if (errno != 0 || *end != '\0' || id <= 0)
        return cmd_args_wrong(args, "'%s' is no ID: a number, as ls shows it", word);
    size_t count = queue->filter.id_count++;
    queue->ids = xrealloc(queue->ids, (count + 1) * sizeof *queue->ids);
    queue->ids[count] = id;
    queue->filter.ids = queue->ids;
    return CMD_EXIT_OK;
}

static void sort_ids(struct cmd_queue *queue)
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

static int set_state(struct cmd_queue *queue, const struct cmd_args *args, const char *value)
{
    queue->filter.pending = strcmp(value, "pending") == 0;
    queue->filter.dead = strcmp(value, "dead") == 0;
    if (queue->filter.pending || queue->filter.dead)
        return CMD_EXIT_OK;
    static const char *const known[] = {"pending", "dead"};
    size_t near = nearest_find(value, known, ARRAY_LEN(known));
    if (near == SIZE_MAX)
        return cmd_args_wrong(args, "--state %s: must be pending or dead", value);
    return cmd_args_wrong(args, "--state %s: must be pending or dead; did you mean '%s'?", value,
                          known[near]);
}

/* The one that was nearly said; any other may be that of a newer sluice. */
static int set_reason(struct cmd_queue *queue, const struct cmd_args *args, const char *value)
{
    static const char *const known[] = {"rejected", "attempts", "path", "body"};
    size_t near = nearest_find(value, known, ARRAY_LEN(known));
    queue->filter.reason = value;
    if (near == SIZE_MAX || strcmp(known[near], value) == 0)
        return CMD_EXIT_OK;
    return cmd_args_wrong(args, "--reason %s: unknown; did you mean '%s'?", value, known[near]);
}

static int set_age(const struct cmd_args *args, const char *name, const char *value, int64_t *age_ms)
{
    if (units_parse_duration(value, age_ms) == 0 && *age_ms > 0)
        return CMD_EXIT_OK;
    return cmd_args_wrong(args, "--%s %s: must be a whole number and its unit, such as 2h (s, m, h, d, w)",
                          name, value);
}

static int set_most(struct cmd_queue *queue, const struct cmd_args *args, const char *value)
{
    char *end;
    errno = 0;
    queue->most = strtoull(value, &end, 10);
    queue->most_given = true;
    if (errno == 0 && *end == '\0' && value[0] >= '0' && value[0] <= '9')
        return CMD_EXIT_OK;
    return cmd_args_wrong(args, "-n %s: must be a number; 0 means all", value);
}

static int set_topic(struct cmd_queue *queue, const struct cmd_args *args, const char *value)
{
    const char *why;
    queue->filter.topic = value;
    return topic_filter_valid(value, &why) ? CMD_EXIT_OK : cmd_args_wrong(args, "--topic %s: %s", value, why);
}

static int set(struct cmd_queue *queue, const struct cmd_args *args, int letter, const char *value)
{
    queue->filtered = queue->filtered || (letter != 'c' && letter != 'j' && letter != 'y' && letter != 'n');
    switch (letter) {
    case CMD_ARG_OPERAND:
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

/* ---- for the commands ---- */

struct queue_admin *cmd_queue_open(const struct cmd_queue *queue, bool write, int *ret_status)
{
    struct queue_admin *admin = NULL;
    cleanup_free char *why = NULL;
    if (queue_admin_open(queue->place.queue, write, &admin, &why) == 0)
        return admin;
    fprintf(stderr, "%s: %s\n", queue->command, why);
    *ret_status = CMD_EXIT_FAILED;
    return NULL;
}

int cmd_queue_close(const struct cmd_queue *queue, struct queue_admin *admin, int error)
{
    if (error != 0)
        fprintf(stderr, "%s: %s\n", queue->command, queue_admin_words(admin));
    int sync_error = queue_admin_close(admin);
    if (sync_error != 0)
        fprintf(stderr, "%s: %s: what was changed is not safe on the disk: %s\n", queue->command,
                queue->place.queue, strerror(-sync_error));
    bool written = cmd_output_ended(queue->command);
    return error == 0 && sync_error == 0 && written ? CMD_EXIT_OK : CMD_EXIT_FAILED;
}

/* ---- the command line ---- */

static bool note_found(void *context, const struct queue_glance *glance)
{
    (void)glance;
    *(bool *)context = true;
    return false;
}

/* Those of a route that the configuration lost are held, and can be asked for. */
static bool queue_has_route(const struct cmd_queue *queue)
{
    const struct queue_filter route = {.route = queue->filter.route};
    bool found = false;
    int status;
    struct queue_admin *admin = cmd_queue_open(queue, false, &status);
    if (!admin)
        return true; /* the command finds out why */
    queue_admin_glance(admin, &route, false, note_found, &found);
    queue_admin_close(admin);
    return found;
}

/* One that was nearly said would seem to have no messages. */
static int check_route(const struct cmd_queue *queue, const struct cmd_args *args)
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
    if (near != SIZE_MAX && strcmp(names[near], route) != 0 && !queue_has_route(queue))
        status = cmd_args_wrong(args, "--route %s: unknown; did you mean '%s'?", route, names[near]);
    free(names);
    config_free(config);
    return status;
}

static int run(size_t which, int argc, char **argv)
{
    cleanup_free char *name = xasprintf("sluice queue %s", commands[which].name);
    struct cmd_option known[ARRAY_LEN(options)];
    size_t known_count = 0;
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (strchr(commands[which].options, options[i].letter))
            known[known_count++] = options[i];
    struct cmd_args args = {
        .command = name, .options = known, .option_count = known_count, .argc = argc, .argv = argv};
    struct cmd_queue queue = {.command = name, .config_path = CMD_DEFAULT_CONFIG};
    int status = CMD_EXIT_OK, letter;
    const char *value = NULL;
    while (status == CMD_EXIT_OK && (letter = cmd_args_next(&args, &value)) != CMD_ARG_END)
        status = letter == CMD_ARG_WRONG ? CMD_EXIT_USAGE : set(&queue, &args, letter, value);
    if (status == CMD_EXIT_OK && commands[which].which && !queue.filtered)
        status = cmd_args_wrong(&args, "say which: %s", commands[which].which);
    if (status == CMD_EXIT_OK) {
        sort_ids(&queue);
        status = locate_queue(name, queue.config_path, &queue.place);
    }
    if (status == CMD_EXIT_OK)
        status = check_route(&queue, &args);
    if (status == CMD_EXIT_OK)
        status = commands[which].run(&queue);
    config_place_done(&queue.place);
    free(queue.ids);
    return status;
}

int cmd_queue(int argc, char **argv)
{
    if (argc < 2) {
        print_commands(stderr);
        return CMD_EXIT_USAGE;
    }
    size_t which = 0;
    while (which < ARRAY_LEN(commands) && strcmp(commands[which].name, argv[1]) != 0)
        which++;
    if (which == ARRAY_LEN(commands))
        return unknown_command(argv[1]);
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (!is_help(argv[i]))
            continue;
        printf("usage: sluice queue %s [OPTION ...] [ID ...]\n\n%s", commands[which].name,
               commands[which].help);
        return CMD_EXIT_OK;
    }
    return run(which, argc - 2, argv + 2);
}

void cmd_queue_help(FILE *out)
{
    print_commands(out);
}
