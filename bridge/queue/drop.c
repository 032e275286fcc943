/* queue/drop.c - what limits drop.
 *
 * Each dropped message is counted in the same transaction (table `dropped`). A message in
 * flight is never dropped. Delivered messages are deleted first. Then dead letters are dropped,
 * and that already when the queue is nearly full: so it neither holds nor drops messages because of
 * them. Then the oldest messages are dropped, with when_full =
 * drop-oldest. The dead letters that hold a route are dropped when no message waits.
 */
#include "queue/drop.h"
#include "base/clock.h"
#include "queue/claims.h"
#include "queue/count.h"
#include "queue/dead.h"
#include "queue/dropped.h"
#include "queue/limits.h"
#include "queue/settle.h"

#include <errno.h>
#include <string.h>

enum {
    STEP_ROWS = 500,         /* in a transaction of the upkeep */
    SPARE_BYTES = 16 * 1024, /* room that is made beyond what is needed */
};

/* ---- dropping ---- */

/* The oldest message above an id; -ENOENT: there is none. */
static int read_victim(struct queue *queue, int64_t after, struct victim *ret)
{
    sqlite3_stmt *statement = queue->statements[Q_OLDEST];
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

int queue_drop_message(struct queue *queue, enum queue_reason reason, const struct victim *victim)
{
    int error = queue_rows_delete(queue, victim->id, victim->id, "drop a message");
    return error != 0 ? error : queue_count_dropped_row(queue, reason, victim->route, victim->bytes);
}

/* Drops the oldest message that is not in flight; -ENOENT: there is none. */
static int drop_one(struct queue *queue, enum queue_reason reason, size_t *ret_bytes)
{
    struct victim victim;
    int error;
    while ((error = read_victim(queue, queue->drops.cursor, &victim)) == 0) {
        cleanup_free char *route = victim.route;
        (void)route; /* only freed here */
        queue->drops.cursor = victim.id;
        if (queue_claim_find(queue, victim.id))
            continue;
        *ret_bytes = victim.bytes;
        return queue_drop_message(queue, reason, &victim);
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
 * But one message of these bytes does not drop more than its share: if a limit was lowered,
 * queue_drop_step drops the rest. */
struct share {
    int64_t bytes;
    int64_t dropped_bytes;
    int rows;
};

static bool is_used_up(const struct share *share)
{
    return share->rows >= 2 && share->dropped_bytes > 2 * share->bytes + SPARE_BYTES;
}

static void take(struct share *share, size_t row_bytes)
{
    share->rows++;
    share->dropped_bytes += queue_row_bytes(row_bytes);
}

/* -ENOENT: there is none. */
static int drop_dead_letter(struct queue *queue, size_t *ret_bytes)
{
    bool held = queue->count.known && queue_count_rows(queue) == 0;
    int error = queue_dead_drop(queue, REASON_DEAD, held, ret_bytes);
    if (error == 0)
        queue_limits_measure(queue);
    return error;
}

static int drop_dead_letters(struct queue *queue, int64_t bytes)
{
    struct share share = {.bytes = bytes};
    int error = 0;
    while (error == 0 && queue_dead_can_help(queue) && !is_used_up(&share)) {
        size_t row_bytes = 0;
        error = drop_dead_letter(queue, &row_bytes);
        take(&share, row_bytes);
    }
    return error == -ENOENT ? 0 : error;
}

static int drop_oldest(struct queue *queue, int64_t bytes)
{
    struct share share = {.bytes = bytes};
    enum queue_reason reason;
    while ((reason = too_small(queue, bytes)) != REASONS && !is_used_up(&share)) {
        size_t row_bytes;
        int error = drop_one(queue, reason, &row_bytes);
        if (error == -ENOENT && reason != REASON_MESSAGES)
            error = queue_dead_drop(queue, REASON_DEAD, true, &row_bytes);
        if (error != 0)
            return error == -ENOENT ? -ENOSPC : error;
        take(&share, row_bytes);
        if (reason != REASON_MESSAGES)
            queue_limits_measure(queue);
    }
    return 0;
}

static bool wants_room(const struct queue *queue, int64_t bytes)
{
    return queue_dead_can_help(queue) || (queue_drops_oldest(queue) && too_small(queue, bytes) != REASONS);
}

int queue_make_room(struct queue *queue, size_t bytes)
{
    const struct limits *limits = &queue->limits;
    int64_t row_bytes = queue_row_bytes(bytes);
    if (!limits->given || (limits->measured_ms != 0 && !wants_room(queue, row_bytes)))
        return 0;
    queue_limits_measure(queue);
    if (!wants_room(queue, row_bytes))
        return 0;
    if (!queue->drops.delivered_deleted) {
        int error = queue_delivered_delete(queue);
        if (error != 0)
            return queue_tx_fail(queue, error);
        queue->drops.delivered_deleted = true;
        queue_limits_measure(queue);
    }
    int error = drop_dead_letters(queue, row_bytes);
    if (error == 0 && queue_drops_oldest(queue))
        error = drop_oldest(queue, row_bytes);
    return error != 0 && error != -ENOSPC ? queue_tx_fail(queue, error) : error;
}

/* ---- max_age ---- */

/* In ms; negative: not known. The age is certain if the message is of this boot; otherwise the
 * clock must have been right then, and must be right now. (A time in the future is negative.) */
int64_t queue_row_age_ms(struct queue *queue, sqlite3_stmt *row)
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
        int64_t id = sqlite3_column_int64(statement, 0), age_ms = queue_row_age_ms(queue, statement);
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
        error = queue_drop_message(queue, REASON_AGE, &expired->rows[i]);
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

/* The limit of messages that is exceeded, not just reached, or REASONS. */
static enum queue_reason exceeded(const struct queue *queue)
{
    if (!queue_drops_oldest(queue))
        return REASONS;
    if (queue_messages_room(queue) < 0)
        return REASON_MESSAGES;
    return queue->limits.size_room < 0 ? REASON_SIZE : REASONS;
}

static bool is_surplus(const struct queue *queue)
{
    return queue_dead_can_help(queue) || exceeded(queue) != REASONS;
}

static int drop_surplus(struct queue *queue, void *unused)
{
    (void)unused;
    int error = queue_delivered_delete(queue); /* that makes room too */
    queue_limits_measure(queue);
    for (int rows = 0; error == 0 && rows < STEP_ROWS && is_surplus(queue); rows++) {
        size_t bytes;
        error = queue_dead_can_help(queue) ? drop_dead_letter(queue, &bytes) : -ENOENT;
        if (error == -ENOENT && exceeded(queue) != REASONS)
            error = drop_one(queue, exceeded(queue), &bytes);
        queue_limits_measure(queue);
    }
    return error == -ENOENT ? 0 : error;
}

static int drop_dead_surplus(struct queue *queue, void *unused)
{
    (void)unused;
    return queue_dead_bound(queue);
}

int queue_drop_step(struct queue *queue)
{
    const struct limits *limits = &queue->limits;
    int error = limits->config.max_age_ms > 0 ? expire(queue) : 0;
    if (error == 0 && queue_dead_exceeded(queue) != REASONS)
        error = queue_transaction(queue, DB_LAZY, drop_dead_surplus, NULL);
    queue_limits_measure(queue);
    return error != 0 || !is_surplus(queue) ? error : queue_transaction(queue, DB_LAZY, drop_surplus, NULL);
}
