/* cmd/queue_open.h - the command line of a `sluice queue` command, and the queue that it
 * names. */
#ifndef SLUICE_CMD_QUEUE_OPEN_H
#define SLUICE_CMD_QUEUE_OPEN_H

#include "cmd/cmd.h"
#include "config/file.h"
#include "queue/admin/admin.h"

struct queue_command {
    const char *command; /* "sluice queue ls" */
    const char *config_path;
    struct config_place place;
    struct queue_filter filter;
    int64_t *ids;  /* filter.ids */
    bool filtered; /* the command line says which messages */
    bool all, yes, json;
    bool most_given;
    uint64_t most; /* -n */
    struct queue_admin *admin;
};

/* The `work` of such a command. */
struct queue_work {
    /* Ends with queue_command_close(). Returns the exit status. */
    int (*run)(struct queue_command *queue);
    bool writes;
    /* What the command line must have, for a command that must not mean every message by
     * default; or NULL. */
    const char *required;
};

/* The `run` of such a command: reads the command line, opens the queue, and does the work. */
int queue_command_run(const struct command *command, int argc, char **argv);
/* Closes the queue, after which the changes are on the disk; reports an error of the queue
 * (0: none) and returns the exit status. */
int queue_command_close(struct queue_command *queue, int error);

/* ---- options and their help, for the commands ---- */

/* clang-format off */
#define QUEUE_OPTIONS_FILTER {'c', NULL, true}, {'r', "route", true}, {'t', "topic", true}, \
    {'e', "reason", true}, {'O', "older", true}, {'N', "newer", true}
#define QUEUE_OPTION_STATE {'s', "state", true}
#define QUEUE_OPTION_ALL   {'a', "all", false}
#define QUEUE_OPTION_YES   {'y', "yes", false}
#define QUEUE_OPTION_JSON  {'j', "json", false}
#define QUEUE_OPTION_COUNT {'n', NULL, true}
/* clang-format on */

#define QUEUE_HELP_FILTER                                                                                    \
    "  ID ...          these messages\n"                                                                     \
    "  --route NAME    messages of this route\n"                                                             \
    "  --topic FILTER  messages on these topics, such as garden/+/sensor\n"                                  \
    "  --reason WORD   messages dead-lettered for this reason, such as rejected\n"                           \
    "  --older TIME    messages received at least this long ago: 30s 5m 2h 7d\n"                             \
    "  --newer TIME    messages received since then\n"
#define QUEUE_HELP_STATE  "  --state STATE   pending (waiting or deferred), waiting, deferred, or dead\n"
#define QUEUE_HELP_CONFIG "  -c FILE         the configuration; default " CMD_DEFAULT_CONFIG "\n"

#endif
