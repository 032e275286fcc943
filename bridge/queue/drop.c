/* queue/drop.c - what limits drop, and how that is counted and reported.
 *
 * Each dropped message is counted in the same transaction (table `dropped`). A message in
 * flight is never dropped. Delivered messages are deleted first, then the oldest are
 * dropped, and dead letters only when no message waits.
 *
 * The log has the first drop, their number once a minute, and the end.
 */
#include "queue/drop.h"
#include "base/clock.h"
#include "base/log.h"
#include "queue/claims.h"
#include "queue/count.h"
#include "queue/limits.h"
#include "queue/settle.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
    STEP_ROWS = 500,         /* in a transaction of the upkeep */
    REPORT_MS = 60 * 1000,   /* between two reports in the log */
    SPARE_BYTES = 16 * 1024, /* room that is made beyond what is needed */
};

/* ---- counting ---- */

static enum queue_reason find_reason(const char *word)
{
    enum queue_reason reason = REASON_SIZE;
    while (reason < REASONS && strcmp(queue_reasons[reason], word) != 0)
        reason++;
    assert(reason < REASONS);
    return reason;
}

static int count_dropped(struct queue *queue, enum queue_reason reason, const char *route, size_t bytes,
                         bool newest)
{
    sqlite3_stmt *statement = queue->statements[Q_DROPPED];
    queue_bind_text(statement, 1, queue_reasons[reason]);
    queue_bind_text(statement, 2, route ? route : "");
    sqlite3_bind_int64(statement, 3, (int64_t)bytes);
    sqlite3_bind_int64(statement, 4, clock_wall_ms());
    int error = db_run(&queue->db, statement, "count dropped messages");
    sqlite3_clear_bindings(statement);
    if (error != 0)
        return queue_tx_fail(queue, error);
    queue->tx.is_worth_a_sync = true;
    queue->drops.tallies[reason].uncommitted++;
    queue->drops.tallies[reason].newest = newest;
    return 0;
}

int queue_count_dropped(struct queue *queue, const char *reason, const char *route, size_t bytes)
{
    return count_dropped(queue, find_reason(reason), route, bytes, true);
}

/* ---- dropping ---- */

/* A row that may be dropped. */
struct victim {
    int64_t id;
    char *route;
    size_t bytes;
};

/* The oldest row of a table above an id; -ENOENT: there is none. */
static int read_victim(struct queue *queue, bool dead, int64_t after, struct victim *ret)
{
    sqlite3_stmt *statement = queue->statements[dead ? Q_OLDEST_DEAD : Q_OLDEST];
    sqlite3_bind_int64(statement, 1, after);
    int code = db_step(statement, "iti");
    if (code == SQLITE_ROW)
        *ret = (struct victim){.id = sqlite3_column_int64(statement, 0),
                               .route = xstrdup((const char *)sqlite3_column_text(statement, 1)),
                               .bytes = (size_t)sqlite3_column_int64(statement, 2)};
    int error = db_result(&queue->db, code, "find what may be dropped");
    sqlite3_reset(statement);
    return code == SQLITE_ROW ? 0 : error != 0 ? error : -ENOENT;
}

static int drop(struct queue *queue, enum queue_reason reason, bool dead, const struct victim *victim)
{
    int error = dead ? queue_run(queue, Q_DELETE_DEAD, victim->id, 0, "drop a dead letter")
                     : queue_rows_delete(queue, victim->id, victim->id, "drop a message");
    return error != 0 ? error : count_dropped(queue, reason, victim->route, victim->bytes, false);
}

/* Drops the oldest row that is not in flight; -ENOENT: there is none. */
static int drop_one(struct queue *queue, enum queue_reason reason, bool dead, size_t *ret_bytes)
{
    int64_t cursor = dead ? 0 : queue->drops.cursor;
    struct victim victim;
    int error;
    while ((error = read_victim(queue, dead, cursor, &victim)) == 0) {
        cleanup_free char *route = victim.route;
        (void)route; /* only freed here */
        cursor = victim.id;
        if (!dead)
            queue->drops.cursor = cursor;
        if (!dead && queue_claim_find(queue, victim.id))
            continue;
        *ret_bytes = victim.bytes;
        return drop(queue, reason, dead, &victim);
    }
    return error;
}

/* The limit that leaves no room for these bytes, or REASONS. */
static enum queue_reason too_small(const struct queue *queue, int64_t bytes)
{
    if (queue_messages_room(queue) <= 0)
        return REASON_MESSAGES;
    if (queue->limits.size_room < bytes)
        return REASON_SIZE;
    return queue->limits.free_room < bytes ? REASON_FREE : REASONS;
}

/* Dropping a row frees a page only when it was the last row there, so it may take many rows.
 * But one message does not drop more than its share: if a limit was lowered,
 * queue_drop_step drops the rest. */
static int drop_oldest(struct queue *queue, int64_t bytes)
{
    int64_t dropped_bytes = 0;
    int rows = 0;
    enum queue_reason reason;
    while ((reason = too_small(queue, bytes)) != REASONS) {
        if (rows >= 2 && dropped_bytes > 2 * bytes + SPARE_BYTES)
            return 0;
        size_t row_bytes;
        int error = drop_one(queue, reason, false, &row_bytes);
        if (error == -ENOENT && reason != REASON_MESSAGES)
            error = drop_one(queue, reason, true, &row_bytes);
        if (error != 0)
            return error == -ENOENT ? -ENOSPC : error;
        rows++;
        dropped_bytes += queue_row_bytes(row_bytes);
        if (reason != REASON_MESSAGES)
            queue_limits_measure(queue);
    }
    return 0;
}

int queue_make_room(struct queue *queue, size_t bytes)
{
    const struct limits *limits = &queue->limits;
    int64_t row_bytes = queue_row_bytes(bytes);
    if (!limits->given || (limits->measured_ms != 0 && too_small(queue, row_bytes) == REASONS))
        return 0;
    queue_limits_measure(queue);
    if (too_small(queue, row_bytes) == REASONS)
        return 0;
    if (!queue->drops.delivered_deleted) {
        int error = queue_delivered_delete(queue);
        if (error != 0)
            return queue_tx_fail(queue, error);
        queue->drops.delivered_deleted = true;
        queue_limits_measure(queue);
    }
    int error = drop_oldest(queue, row_bytes);
    return error != 0 && error != -ENOSPC ? queue_tx_fail(queue, error) : error;
}

/* ---- max_age ---- */

/* In ms; negative: not known. The age is certain if the message is of this boot; otherwise the
 * clock must have been right then, and must be right now. (A time in the future is negative.) */
static int64_t age_of(struct queue *queue, sqlite3_stmt *row)
{
    int64_t uptime_ms = sqlite3_column_int64(row, 3);
    const char *boot_id = (const char *)sqlite3_column_text(row, 4);
    if (boot_id && strcmp(boot_id, clock_boot_id()) == 0)
        return clock_uptime_ms() - uptime_ms;
    if (!boot_id || sqlite3_column_int(row, 6) == 0 || !queue_clock_is_right(queue))
        return -1;
    return queue_now_ms(queue) - (sqlite3_column_int64(row, 5) + uptime_ms);
}

struct expired {
    struct victim rows[STEP_ROWS];
    size_t count;
    int64_t cursor; /* all messages up to this id are checked */
};

/* Rows are in the order of their receipt: after one that is not too old, none is. After one of
 * unknown age, one may be. */
static int find_expired(struct queue *queue, struct expired *expired)
{
    sqlite3_stmt *statement = queue->statements[Q_AGES];
    expired->cursor = queue->drops.age_cursor;
    sqlite3_bind_int64(statement, 1, expired->cursor);
    sqlite3_bind_int(statement, 2, STEP_ROWS);
    int code;
    while ((code = db_step(statement, "itiiTII")) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(statement, 0), age_ms = age_of(queue, statement);
        if (age_ms >= 0 && age_ms < queue->limits.config.max_age_ms)
            break;
        struct queue_claim *claim = queue_claim_find(queue, id);
        if (claim)
            claim->expired |= age_ms >= 0;
        else if (age_ms >= 0 && !queue_is_settled(queue, id))
            expired->rows[expired->count++] =
                (struct victim){.id = id,
                                .route = xstrdup((const char *)sqlite3_column_text(statement, 1)),
                                .bytes = (size_t)sqlite3_column_int64(statement, 2)};
        expired->cursor = id;
    }
    int error = code == SQLITE_ROW ? 0 : db_result(&queue->db, code, "find messages that are too old");
    sqlite3_reset(statement);
    return error;
}

static int drop_expired(struct queue *queue, void *context)
{
    const struct expired *expired = context;
    int error = 0;
    for (size_t i = 0; i < expired->count && error == 0; i++)
        error = drop(queue, REASON_AGE, false, &expired->rows[i]);
    return error;
}

static int expire(struct queue *queue)
{
    struct expired *expired = xcalloc(1, sizeof *expired);
    int error = find_expired(queue, expired);
    if (error == 0 && expired->count > 0)
        error = queue_transaction(queue, DB_LAZY, drop_expired, expired);
    if (error == 0)
        queue->drops.age_cursor = expired->cursor;
    for (size_t i = 0; i < expired->count; i++)
        free(expired->rows[i].route);
    free(expired);
    return error;
}

/* A message that is sent again and again may be in flight whenever queue_drop_step looks, so
 * its age counts here too. */
void queue_unclaim(struct queue *queue, struct queue_claim *claim)
{
    LIST_REMOVE(claim, others);
    for (size_t i = 0; claim->expired && i < claim->count; i++) {
        if (queue_is_settled(queue, claim->ids[i]))
            continue;
        if (claim->ids[i] <= queue->drops.age_cursor)
            queue->drops.age_cursor = claim->ids[i] - 1;
        expire(queue);
        return; /* the first is the oldest */
    }
}

/* ---- limits that were lowered ---- */

/* The limit that is exceeded, not just reached, or REASONS. */
static enum queue_reason exceeded(struct queue *queue)
{
    queue_limits_measure(queue);
    if (queue_messages_room(queue) < 0)
        return REASON_MESSAGES;
    return queue->limits.size_room < 0 ? REASON_SIZE : REASONS;
}

static int drop_surplus(struct queue *queue, void *unused)
{
    (void)unused;
    enum queue_reason reason;
    int error = queue_delivered_delete(queue); /* that makes room too */
    if (error != 0)
        return error;
    for (int rows = 0; rows < STEP_ROWS && (reason = exceeded(queue)) != REASONS; rows++) {
        size_t bytes;
        error = drop_one(queue, reason, false, &bytes);
        if (error != 0)
            return error == -ENOENT ? 0 : error;
    }
    return 0;
}

int queue_drop_step(struct queue *queue)
{
    const struct limits *limits = &queue->limits;
    int error = limits->config.max_age_ms > 0 ? expire(queue) : 0;
    if (error != 0 || limits->config.when_full != CONFIG_FULL_DROP_OLDEST || exceeded(queue) == REASONS)
        return error;
    return queue_transaction(queue, DB_LAZY, drop_surplus, NULL);
}

/* ---- the log ---- */

static void report_first(const struct queue *queue, enum queue_reason reason)
{
    const char *limit = queue_limit_text(queue, reason);
    if (reason == REASON_AGE)
        log_warning(EVENT_MESSAGES_DROPPED,
                    "messages are older than allowed (%s); the table `dropped` counts them", limit);
    else
        log_warning(EVENT_MESSAGES_DROPPED,
                    "the queue is full (%s): %s are dropped; the table `dropped` counts them", limit,
                    queue->drops.tallies[reason].newest ? "new messages" : "the oldest messages");
}

void queue_drop_ended(struct queue *queue, const struct queue_end *end)
{
    struct drops *drops = &queue->drops;
    int64_t now_ms = clock_uptime_ms();
    for (enum queue_reason reason = REASON_SIZE; reason < REASONS; reason++) {
        struct tally *tally = &drops->tallies[reason];
        uint64_t rows = tally->uncommitted;
        tally->uncommitted = 0;
        if (!end->committed || rows == 0)
            continue;
        queue->edition++; /* no copy of a dropped row may be sent */
        if (tally->in_all == 0) {
            tally->began_ms = now_ms;
            report_first(queue, reason);
            tally->reports = (struct throttle){.reported_ms = now_ms};
        }
        tally->in_all += rows;
        tally->reports.count += rows;
        drops->messages += rows;
    }
    queue->limits.measured_ms = 0;
    drops->cursor = 0;
    drops->delivered_deleted = false;
}

void queue_drop_report(struct queue *queue)
{
    int64_t now_ms = clock_uptime_ms();
    for (enum queue_reason reason = REASON_SIZE; reason < REASONS; reason++) {
        struct tally *tally = &queue->drops.tallies[reason];
        if (tally->in_all == 0 || now_ms - tally->reports.reported_ms < REPORT_MS)
            continue;
        unsigned long long in_all = tally->in_all, rows = throttle_due(&tally->reports, 0, now_ms, REPORT_MS);
        if (rows > 0) {
            log_warning(EVENT_MESSAGES_DROPPED, "%llu messages in the last minute (%s), %llu in %lld minutes",
                        rows, queue_limit_text(queue, reason), in_all,
                        (long long)(now_ms - tally->began_ms) / 60000);
        } else {
            log_notice(EVENT_DROPPING_ENDED,
                       "nothing was dropped in the last minute (%s); %llu messages were dropped before",
                       queue_limit_text(queue, reason), in_all);
            *tally = (struct tally){.in_all = 0};
        }
    }
}

uint64_t queue_dropped(const struct queue *queue)
{
    return queue->drops.messages;
}
