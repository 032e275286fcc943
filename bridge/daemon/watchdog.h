/* daemon/watchdog.h - tells systemd that sluice works (WatchdogSec of the unit).
 *
 * The loop reports with a timer. It cannot while it waits for the disk, or salvages the queue.
 * Then a thread reports in its place, and asks for more time for a start or a stop
 * (EXTEND_TIMEOUT_USEC, sd_notify(3)), for at most WATCHDOG_DISK_MOST_MS without progress. A
 * loop that hangs elsewhere gets no such help, and systemd ends the process. The thread also logs that
 * it waits: the loop cannot, and if the disk never responds, that is the last line.
 */
#ifndef SLUICE_DAEMON_WATCHDOG_H
#define SLUICE_DAEMON_WATCHDOG_H

#include "base/disk.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#define WATCHDOG_DISK_MOST_MS (10 * 60 * 1000)

/* What the thread sees at a look. */
struct watchdog_look {
    uint64_t reports; /* of the loop */
    struct disk_signs disk;
    uint64_t helped_ms; /* since the last progress */
    uint64_t waited_ms; /* one and the same operation has been in flight for this long, or longer */
};

struct watchdog {
    uv_timer_t timer; /* of the loop; to be ended by uv_close() */
    atomic_ullong reports;
    bool has_thread, ends;
    uint64_t look_ms;
    uv_thread_t thread;
    uv_mutex_t mutex; /* of `ends` */
    uv_cond_t ended;
};

/* Starts the thread, before any work on the disk. Without systemd there is none. */
void watchdog_start(struct watchdog *watchdog);
/* Starts the timer. */
void watchdog_watch(struct watchdog *watchdog, uv_loop_t *loop);
/* Ends the thread. */
void watchdog_stop(struct watchdog *watchdog);

/* Whether the thread must report in place of the loop. Pure. last: the look of look_ms ago,
 * which becomes `now`. */
bool watchdog_must_help(struct watchdog_look *last, struct watchdog_look now, uint64_t look_ms);

#endif
