/* cmd/terminal.h - standard output and standard error: of a person, or of a program. */
#ifndef SLUICE_CMD_TERMINAL_H
#define SLUICE_CMD_TERMINAL_H

#include "base/base.h"
#include <stdbool.h>

struct terminal {
    size_t columns; /* of a line, from $COLUMNS or the terminal; 0: no limit */
    bool colour;    /* standard output is a terminal, and $NO_COLOR does not forbid it */
};
struct terminal terminal_detect(void);

/* Whether everything that was printed so far was written. */
bool output_works(void);
/* The same at the end of a command; reports the error. */
bool output_close(const char *command);

#define TERMINAL_BOLD   "\033[1m"
#define TERMINAL_RED    "\033[31m"
#define TERMINAL_GREEN  "\033[32m"
#define TERMINAL_YELLOW "\033[33m"
#define TERMINAL_PLAIN  "\033[0m" /* ends the others */
/* The escape sequence, or "" without colour. */
const char *terminal_style(const struct terminal *terminal, const char *escape);

/* Asks a person. True if the answer starts with 'y'. */
bool terminal_confirm(const char *question);

/* The progress of long work: one line on standard error if that is a terminal, written over
 * a few times a second, and erased at the end. */
struct progress {
    const char *doing; /* "dropped" */
    uint64_t of;       /* 0: unknown */
    int64_t next_ms;   /* uptime; 0: nothing was shown yet */
    bool quiet;        /* show nothing */
};
void progress_show(struct progress *progress, uint64_t done);
void progress_end(const struct progress *progress);

#endif
