/* queue/dropped.c - what limits dropped: the table `dropped`, and the log.
 *
 * The log has the first drop, their number once a minute, and the end.
 */
#include "queue/dropped.h"
#include "base/clock.h"
#include "base/log.h"
#include "queue/limits.h"

#include <assert.h>
#include <string.h>

enum { REPORT_MS = 60 * 1000 }; /* between two reports in the log */

/* ---- counting ---- */

static enum queue_reason find_reason(const char *word)
{
    enum queue_reason reason = REASON_SIZE;
    while (reason < REASONS && strcmp(queue_reasons[reason], word) != 0)
        reason++;
    assert(reason < REASONS);
    return reason;
}

static int count(struct queue *queue, enum queue_reason reason, const char *route, size_t bytes, bool newest)
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
    return count(queue, find_reason(reason), route, bytes, true);
}

int queue_count_dropped_row(struct queue *queue, enum queue_reason reason, const char *route, size_t bytes)
{
    return count(queue, reason, route, bytes, false);
}

/* ---- the log ---- */

static void report_first(const struct queue *queue, enum queue_reason reason)
{
    const char *limit = queue_limit_text(queue, reason);
    switch (reason) {
    case REASON_AGE:
        log_warning(EVENT_MESSAGES_DROPPED,
                    "messages are older than allowed (%s); the table `dropped` counts them", limit);
        break;
    case REASON_EXPIRED:
        log_notice(EVENT_MESSAGES_DROPPED,
                   "messages were not delivered before they expired, as their senders wanted (%s); the table "
                   "`dropped` counts them",
                   limit);
        break;
    case REASON_DEAD:
        log_warning(
            EVENT_MESSAGES_DROPPED,
            "dead letters take more space than they may (%s, and less while the queue is nearly full): "
            "the oldest are dropped; the table `dropped` counts them",
            limit);
        break;
    case REASON_DEAD_MESSAGES:
        log_warning(
            EVENT_MESSAGES_DROPPED,
            "there are more dead letters than allowed (%s): the oldest are dropped; the table `dropped` "
            "counts them",
            limit);
        break;
    default:
        log_warning(EVENT_MESSAGES_DROPPED,
                    "the queue is full (%s): %s are dropped; the table `dropped` counts them", limit,
                    queue->drops.tallies[reason].newest ? "new messages" : "the oldest messages");
    }
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
