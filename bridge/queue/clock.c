/* queue/clock.c - runs, and the times of their messages.
 *
 * A message has an uptime, and its run has epoch_ms, the wall clock at uptime 0; the sum is the
 * time of the message. Slewing moves both clocks alike. So a right epoch is right for the whole
 * boot, also for messages that were received before the time was known, and one UPDATE of a
 * few rows repairs a wrong one:
 *
 *                          the wall clock steps, and is then
 *      epoch_ms was    │  synchronised             │ unsynchronised
 *     ─────────────────┼───────────────────────────┼────────────────
 *      unsynchronised  │  repaired, for all runs   │ kept
 *                      │  of this boot             │
 *      synchronised    │  kept; new messages       │ kept
 *                      │  belong to another run    │
 *      trusted         │  repaired, for all runs   │ -
 *                      │  of this boot             │
 *
 * Kept, on the right: when a person sets the clock by hand, the kernel no longer calls it
 * synchronised, until an NTP daemon sets it back; the epoch was right all the time. It is the
 * same in an outage: after hours without NTP the kernel no longer calls the clock synchronised,
 * but it drifts only by a second a day.
 *
 * Another run: the kernel called the clock synchronised before and after the step. So time has
 * passed that the uptime does not count (a virtual machine was paused), or the clock had
 * drifted. In both cases the stored messages have the right time already.
 *
 * Repaired, in the last row: with `clock = trust`, nothing shows that the clock was right before
 * the step. Most likely the step was NTP, late.
 *
 * A new run takes over a synchronised epoch of its boot, even if the kernel no longer calls the
 * clock synchronised.
 *
 * This file also keeps the uptime at which the broker last had nothing left for us (`drained`,
 * see schema/001_queue.sql). Because a write costs a page, it is saved seldom, in transactions
 * that happen anyway: after a crash, it is up to SAVE_EVERY_MS too low.
 */
#include "queue/clock.h"
#include "base/log.h"
#include "queue/confirm.h"
#include "queue/ids.h"
#include "queue/tx.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum {
    STEP_LEAST_MS = 500, /* less is not worth a write; NTP daemons slew it */
    SAVE_EVERY_MS = 10 * 60 * 1000,
};

static bool is_step(const struct clock_epoch *from, const struct clock_epoch *to)
{
    int64_t by_ms = to->ms - from->ms;
    return by_ms > STEP_LEAST_MS || by_ms < -STEP_LEAST_MS;
}

/* ---- a run begins ---- */

/* The times that the new run takes over from the last one. */
static int read_last(struct queue *queue, const struct clock_epoch *now, struct run_clock *ret)
{
    struct run_clock next = {.epoch = *now};
    sqlite3_stmt *row = queue->statements[Q_LAST_RUN];
    int code = db_step(row, "tiiII");
    if (code == SQLITE_ROW) {
        struct clock_epoch was = {.ms = sqlite3_column_int64(row, 1),
                                  .synchronised = sqlite3_column_int(row, 2) != 0};
        bool same_boot = strcmp((const char *)sqlite3_column_text(row, 0), clock_boot_id()) == 0;
        bool is_kept =
            same_boot && was.synchronised && !now->trusted && !(now->synchronised && is_step(&was, now));
        int64_t drained_ms = sqlite3_column_int64(row, 3);
        next.away_since_ms = sqlite3_column_int64(row, 4);
        if (is_kept)
            next.epoch = (struct clock_epoch){.ms = was.ms, .synchronised = true};
        if (is_kept || (same_boot && (!was.synchronised || now->trusted)))
            next.drained_ms = drained_ms;
        else if (drained_ms > 0 && was.synchronised)
            next.away_since_ms = was.ms + drained_ms;
    }
    int error = db_result(&queue->db, code, "read the last run");
    sqlite3_reset(row);
    next.saved_ms = next.drained_ms;
    if (error == 0)
        *ret = next;
    return error;
}

static int insert_run(struct queue *queue, struct run_clock *run)
{
    uint64_t token;
    if (getrandom(&token, sizeof token, 0) != (ssize_t)sizeof token)
        return -EIO;
    snprintf(run->token, sizeof run->token, "%016llx", (unsigned long long)token);
    sqlite3_stmt *insert = queue->statements[Q_RUN_INSERT];
    queue_bind_text(insert, 1, run->token);
    queue_bind_text(insert, 2, clock_boot_id());
    sqlite3_bind_int64(insert, 3, run->epoch.ms);
    sqlite3_bind_int(insert, 4, run->epoch.synchronised);
    sqlite3_bind_int64(insert, 5, run->drained_ms);
    sqlite3_bind_int64(insert, 6, run->away_since_ms);
    sqlite3_bind_int64(insert, 7, queue_confirmed_id(queue));
    int error = db_run(&queue->db, insert, "start a run");
    run->run = sqlite3_last_insert_rowid(queue->db.handle);
    return error;
}

/* All runs of this boot that were not synchronised; with `clock = trust`, all runs of it. */
static int repair(struct queue *queue, const struct clock_epoch *now)
{
    sqlite3_stmt *update = queue->statements[Q_RUNS_REPAIR];
    queue_bind_text(update, 1, clock_boot_id());
    sqlite3_bind_int64(update, 2, now->ms);
    sqlite3_bind_int(update, 3, now->trusted);
    return db_run(&queue->db, update, "repair the time of messages");
}

int queue_run_start(struct queue *queue, const struct clock_epoch *now, struct run_clock *ret)
{
    int error = read_last(queue, now, ret);
    if (error == 0 && now->synchronised)
        error = repair(queue, now);
    if (error == 0)
        error = insert_run(queue, ret);
    return error != 0 ? error : queue_ids_reserve(queue, ret->run, IDS_MOST);
}

/* ---- the clock changes ---- */

struct change {
    const struct clock_epoch *now;
    struct run_clock next;
};

static int repair_runs(struct queue *queue, void *context)
{
    struct change *change = context;
    change->next.epoch = *change->now;
    return repair(queue, change->now);
}

static int start_another(struct queue *queue, void *context)
{
    struct change *change = context;
    int error = queue_drained_save(queue, true);
    return error != 0 ? error : queue_run_start(queue, change->now, &change->next);
}

static double seconds(int64_t ms)
{
    return (double)ms / 1000;
}

int queue_clock_set(struct queue *queue, const struct clock_epoch *now)
{
    const struct clock_epoch was = queue->clock.epoch;
    if (!now->synchronised || (was.synchronised && !is_step(&was, now)))
        return 0;
    bool repairs = !was.synchronised || now->trusted;
    struct change change = {.now = now, .next = queue->clock};
    int error = queue_transaction(queue, DB_SYNC, repairs ? repair_runs : start_another, &change);
    if (error != 0)
        return error;
    queue->clock = change.next;
    queue->run = change.next.run;
    queue->known_run.id = 0;
    queue->edition++;
    queue->drops.age_cursor = 0; /* ages may be known now */
    log_notice(repairs ? EVENT_CLOCK_SYNCHRONISED : EVENT_CLOCK_STEPPED,
               repairs ? "the times of messages received since boot are corrected by %+.3f s"
                       : "by %+.3f s; messages received before keep their times",
               seconds(now->ms - was.ms));
    return 0;
}

int queue_clock_changed(struct queue *queue)
{
    struct clock_epoch now = clock_epoch();
    return queue_clock_set(queue, &now);
}

bool queue_clock_is_right(const struct queue *queue)
{
    return queue->clock.epoch.synchronised;
}

int64_t queue_now_ms(const struct queue *queue)
{
    return queue->clock.epoch.ms + clock_uptime_ms();
}

/* ---- late messages ---- */

void queue_drained_set(struct queue *queue, int64_t uptime_ms)
{
    queue->clock.drained_ms = uptime_ms;
}

int64_t queue_drained_wall_ms(const struct queue *queue)
{
    const struct run_clock *run = &queue->clock;
    return run->drained_ms > 0 ? run->epoch.ms + run->drained_ms : run->away_since_ms;
}

int queue_drained_save(struct queue *queue, bool at_end)
{
    struct run_clock *run = &queue->clock;
    bool recent = run->saved_ms > 0 && run->drained_ms - run->saved_ms < SAVE_EVERY_MS;
    if (run->drained_ms == run->saved_ms || (recent && !at_end))
        return 0;
    int error =
        queue_run(queue, Q_DRAINED, run->run, run->drained_ms, "save when the broker had nothing left");
    if (error == 0)
        run->saved_ms = run->drained_ms;
    return error;
}

int64_t queue_age_ms(const struct queue *queue, const struct message *message)
{
    if (message->this_boot)
        return clock_uptime_ms() - message->uptime_ms;
    if (message->clock_synchronised && queue_clock_is_right(queue))
        return queue_now_ms(queue) - message->received_ms;
    return -1;
}
