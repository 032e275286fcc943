/* cmd/command.h - tables of commands: `sluice NAME`, and `sluice queue NAME`.
 *
 * A row of a table (cmd/cmd.h, cmd/queue.h) has the name, the synopsis and the summary; the
 * command's own file defines the rest. The help, the completion and sluice(8) are made of
 * these two, so a new command needs nothing else.
 */
#ifndef SLUICE_CMD_COMMAND_H
#define SLUICE_CMD_COMMAND_H

#include "base/base.h"
#include <stdbool.h>

struct command_option {
    char letter;      /* "-x"; 0 ends the list */
    const char *name; /* "--name", or NULL */
    bool has_value;
};

struct command_row {
    const char *name, *synopsis, *summary;
    const struct command *command;
};

struct command_table {
    const char *prefix;      /* "sluice", "sluice queue" */
    const char *about, *end; /* first and last paragraph of its help */
    const struct command_row *rows;
    size_t count;
};

struct command {
    /* argv[0] is the command's own name. Returns the exit status. */
    int (*run)(const struct command *command, int argc, char **argv);
    const void *work; /* what run needs to know, if several commands have the same run */
    const char *help; /* what follows the synopsis */
    const struct command_option *options;
    const struct command_table *commands; /* in place of all above */
};

/* Runs the command that argv[1] names, or prints help: "help", "--help" or "-h" as the name,
 * or "--help" as any argument before "--". Reports an unknown name with the nearest known
 * one. Returns the exit status.
 *
 * "help --complete WORD ..." is for the completion: it prints what may follow these words. */
int command_dispatch(const struct command_table *table, int argc, char **argv);

#endif
