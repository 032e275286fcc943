/* cmd/args.h - the arguments of a command, one after the other, by getopt_long(3). */
#ifndef SLUICE_CMD_ARGS_H
#define SLUICE_CMD_ARGS_H

#include "cmd/command.h"

struct args {
    const char *command; /* for errors: "sluice queue ls" */
    const struct command_option *options;
    int argc;
    char **argv; /* [0] is the name of the command */
    bool ended;  /* "--" came: everything after it is an operand */
};

enum { ARGS_END = -1, ARGS_WRONG = '?', ARGS_OPERAND = 0 };

/* Returns the letter of the next option, and its value; or ARGS_OPERAND, and the operand;
 * ARGS_END; or ARGS_WRONG after it reported the error. Options and operands may come in any
 * order. "-" and negative numbers are operands. For one command line in a process. */
int args_next(struct args *args, const char **ret_value);

/* Prints what is wrong with the command line, and where help is; returns CMD_EXIT_USAGE. */
int args_wrong(const struct args *args, const char *format, ...) PRINTF_LIKE(2, 3);

/* What a command needs that a hint names: " -c FILE", or "" for the default configuration. The caller
 * frees it. */
char *args_config(const char *config_path);

#endif
