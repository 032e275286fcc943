/* cmd/terminal.h - what is known of whom a command talks to: a person, or a program. */
#ifndef SLUICE_CMD_TERMINAL_H
#define SLUICE_CMD_TERMINAL_H

#include "base/base.h"
#include <stdbool.h>

struct cmd_terminal {
    size_t columns; /* of a line; 0: no limit is known ($COLUMNS, or the terminal's) */
    bool colour;    /* standard output is a terminal, and nobody says no ($NO_COLOR) */
};
struct cmd_terminal cmd_terminal(void);

/* Whether what was written to standard output so far got there. */
bool cmd_output_works(void);
/* The same at the end, and says so where it did not. */
bool cmd_output_ended(const char *command);

/* Escapes, or "" where there is no colour. */
const char *cmd_bold(const struct cmd_terminal *terminal);
const char *cmd_red(const struct cmd_terminal *terminal);
const char *cmd_yellow(const struct cmd_terminal *terminal);
const char *cmd_green(const struct cmd_terminal *terminal);
const char *cmd_plain(const struct cmd_terminal *terminal); /* ends them */

/* Asks a person; true for a word that starts with 'y'. */
bool cmd_confirm(const char *question);

/* How far long work is, on standard error where that is a terminal: one line, written
 * over a few times a second, and wiped at the end. */
struct cmd_progress {
    const char *doing; /* "dropped" */
    uint64_t of;       /* 0: not known */
    int64_t next_ms;   /* uptime; 0: nothing was shown yet */
    bool quiet;        /* nothing is shown at all */
};
void cmd_progress_show(struct cmd_progress *progress, uint64_t done);
void cmd_progress_end(const struct cmd_progress *progress);

#endif
