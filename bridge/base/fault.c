/* base/fault.c - points at which the tests can make the daemon stop or fail; see base/fault.h.
 * A release contains nothing of this file.
 *
 * A SLUICE_FAULT that cannot be parsed ends the process: a test must not pass because its
 * fault was misspelt.
 */
#include "base/fault.h"

#ifdef SLUICE_FAULTS

#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define MAX_ARMED 16u

enum action { ACTION_KILL, ACTION_FAIL, ACTION_STOP, ACTION_HANG };

static const char *const action_names[] = {
    [ACTION_KILL] = "kill",
    [ACTION_FAIL] = "fail",
    [ACTION_STOP] = "stop",
    [ACTION_HANG] = "hang",
};

struct armed {
    char *point;
    unsigned long first, times; /* acts at visit `first`, and at the next times - 1 visits */
    enum action action;
    unsigned long visits;
};

static void __attribute__((noreturn)) misspelt(const char *what)
{
    fprintf(stderr, "SLUICE_FAULT: '%s' is not NAME:N:kill|fail|stop|hang[:TIMES]\n", what);
    abort();
}

/* A number from 1 that ends at the next ':' or at the end of text. */
static unsigned long parse_number(const char *text, const char *whole)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (errno || end == text || *end || number == 0)
        misspelt(whole);
    return number;
}

static struct armed parse_one(char *text)
{
    cleanup_free char *whole = xstrdup(text);
    struct armed armed = {.times = 1};
    char *point = strsep(&text, ":");
    const char *first = strsep(&text, ":");
    const char *action = strsep(&text, ":");
    const char *times = strsep(&text, ":");
    if (!*point || !first || !action || text)
        misspelt(whole);

    armed.point = xstrdup(point);
    armed.first = parse_number(first, whole);
    if (times)
        armed.times = parse_number(times, whole);
    size_t i = 0;
    while (i < ARRAY_LEN(action_names) && strcmp(action_names[i], action))
        i++;
    if (i == ARRAY_LEN(action_names))
        misspelt(whole);
    armed.action = (enum action)i;
    return armed;
}

static size_t parse_all(struct armed *armed)
{
    const char *variable = getenv("SLUICE_FAULT");
    if (!variable || !*variable)
        return 0;
    cleanup_free char *copy = xstrdup(variable);
    char *rest = copy, *one;
    size_t count = 0;
    while ((one = strsep(&rest, ",")) != NULL) {
        if (count == MAX_ARMED)
            misspelt(variable);
        armed[count++] = parse_one(one);
    }
    return count;
}

/* A handler of a signal restarts both calls (SA_RESTART). */
static void hang(void)
{
    const char *name = getenv("SLUICE_HANG");
    char nothing;
    int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    while (fd >= 0 && read(fd, &nothing, 1) > 0)
        continue;
    if (fd >= 0)
        close(fd);
}

bool fault_fails(const char *point)
{
    static struct armed all[MAX_ARMED];
    static size_t count;
    static bool parsed;
    if (!parsed) {
        count = parse_all(all);
        parsed = true;
    }

    bool fails = false;
    for (size_t i = 0; i < count; i++) {
        struct armed *armed = &all[i];
        if (strcmp(armed->point, point))
            continue;
        armed->visits++;
        if (armed->visits < armed->first || armed->visits - armed->first >= armed->times)
            continue;
        switch (armed->action) {
        case ACTION_KILL:
            kill(getpid(), SIGKILL);
            break;
        case ACTION_FAIL:
            fails = true;
            break;
        case ACTION_STOP:
            raise(SIGSTOP);
            break;
        case ACTION_HANG:
            hang();
            break;
        }
    }
    return fails;
}

/* While a test writes the file, its last complete content counts. */
bool fault_clock(int64_t *ret_offset_ms, char ret_state[static FAULT_STATE_BYTES])
{
    static int64_t offset_ms;
    static char state[FAULT_STATE_BYTES];
    const char *name = getenv("SLUICE_CLOCK");
    if (!name)
        return false;
    char text[64];
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[bytes > 0 ? bytes : 0] = '\0';
    char *end;
    int64_t number = strtoll(text, &end, 10);
    if (end != text && *end == ' ') {
        offset_ms = number;
        snprintf(state, sizeof state, "%.*s", (int)strcspn(end + 1, "\n"), end + 1);
    }
    *ret_offset_ms = offset_ms;
    memcpy(ret_state, state, sizeof state);
    return true;
}

int fault_clock_fd(void)
{
    const char *name = getenv("SLUICE_CLOCK");
    if (!name)
        return -1;
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd >= 0)
        inotify_add_watch(fd, name, IN_CLOSE_WRITE);
    return fd;
}

/* The second number of schedstat (proc(5), sched-stats.rst of the kernel). */
int64_t fault_run_delay_ns(void)
{
    static int fd = -1;
    if (fd < 0)
        fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    char text[128];
    ssize_t bytes = fd < 0 ? -1 : pread(fd, text, sizeof text - 1, 0);
    if (bytes <= 0)
        return 0;
    text[bytes] = '\0';
    const char *second = strchr(text, ' ');
    return second ? strtoll(second, NULL, 10) : 0;
}

#endif
