/* cmd/args.h - a command's arguments, one after the other. */
#ifndef SLUICE_CMD_ARGS_H
#define SLUICE_CMD_ARGS_H

#include "base/base.h"
#include <stdbool.h>

struct cmd_option {
    char letter;      /* what cmd_args_next returns; also "-x" where it is a letter */
    const char *name; /* "--name", or NULL */
    bool has_value;
};

struct cmd_args {
    const char *command; /* for errors: "sluice queue ls" */
    const struct cmd_option *options;
    size_t option_count;
    int argc;
    char **argv;
    int at;   /* the next one */
    bool end; /* "--" came: no options any more */
};

enum { CMD_ARG_END = -1, CMD_ARG_WRONG = '?', CMD_ARG_OPERAND = 0 };

/* The letter of the next option, and its value; CMD_ARG_OPERAND, and what it is;
 * CMD_ARG_END; CMD_ARG_WRONG once it said what is wrong. Options and operands may
 * come in any order; "-" is an operand, so is a number below 0, and everything behind "--". */
int cmd_args_next(struct cmd_args *args, const char **ret_value);

/* Says what is wrong with the command line, and how to get help; returns
 * CMD_EXIT_USAGE. */
int cmd_args_wrong(const struct cmd_args *args, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
