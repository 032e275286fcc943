/* cmd/terminal.c - see cmd/terminal.h. */
#include "cmd/terminal.h"
#include "base/clock.h"
#include "text/units.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { PROGRESS_MS = 200, COLUMNS_LEAST = 40 };

static size_t columns(bool tty)
{
    const char *set = getenv("COLUMNS");
    unsigned long number = set ? strtoul(set, NULL, 10) : 0;
    struct winsize size;
    if (number == 0 && tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        number = size.ws_col;
    if (number == 0)
        return tty ? 80 : 0;
    return number < COLUMNS_LEAST ? COLUMNS_LEAST : number < 10000 ? number : 10000;
}

struct terminal terminal_detect(void)
{
    bool tty = isatty(STDOUT_FILENO) == 1;
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
    bool plain = (no_colour && *no_colour) || (term && strcmp(term, "dumb") == 0);
    return (struct terminal){.columns = columns(tty), .colour = tty && !plain};
}

bool output_works(void)
{
    return fflush(stdout) == 0 && !ferror(stdout);
}

bool output_close(const char *command)
{
    bool works = output_works();
    if (!works)
        fprintf(stderr, "%s: standard output cannot be written\n", command);
    return works;
}

const char *terminal_style(const struct terminal *terminal, const char *escape)
{
    return terminal->colour ? escape : "";
}

bool terminal_confirm(const char *question)
{
    char answer[16] = "";
    fflush(stdout);
    fprintf(stderr, "%s [y/N] ", question);
    fflush(stderr);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

void progress_show(struct progress *progress, uint64_t done)
{
    int64_t now_ms = clock_uptime_ms();
    if (progress->quiet || now_ms < progress->next_ms || isatty(STDERR_FILENO) != 1)
        return;
    progress->next_ms = now_ms + PROGRESS_MS;
    char number[UNITS_BYTES], all[UNITS_BYTES];
    if (progress->of > 0)
        fprintf(stderr, "\r%s of %s messages %s\033[K", units_count((int64_t)done, number),
                units_count((int64_t)progress->of, all), progress->doing);
    else
        fprintf(stderr, "\r%s messages %s\033[K", units_count((int64_t)done, number), progress->doing);
}

void progress_end(const struct progress *progress)
{
    if (progress->next_ms != 0)
        fputs("\r\033[K", stderr);
}
