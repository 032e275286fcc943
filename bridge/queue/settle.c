/* queue/settle.c - messages on their way out: a delivered message is remembered, and
 * its row is deleted later.
 *
 * A delete needs no sync of its own: when it is lost, the message is delivered once more under
 * the same key. So deletes are part of the next commit, or are made together. Which rows
 * must stay for a while is the rule in queue/confirm.h.
 */
#include "queue/settle.h"
#include "queue/clock.h"
#include "queue/confirm.h"
#include "queue/count.h"

#include <string.h>

/* ---- lists of ids ----
 *
 *     | deleted by the open transaction | the others            |
 *     0                                 deleted                 count
 *
 * The first part is always sorted. */

static void add(struct ids *ids, int64_t id)
{
    if (ids->count == ids->capacity) {
        ids->capacity = ids->capacity > 0 ? 2 * ids->capacity : 64;
        ids->ids = xrealloc(ids->ids, ids->capacity * sizeof *ids->ids);
    }
    ids->ids[ids->count++] = id;
    ids->sorted = ids->count == ids->deleted + 1 || (ids->sorted && id > ids->highest);
    if (id > ids->highest)
        ids->highest = id;
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void sort(struct ids *ids)
{
    if (!ids->sorted && ids->count > ids->deleted)
        qsort(ids->ids + ids->deleted, ids->count - ids->deleted, sizeof ids->ids[0], by_id);
    ids->sorted = true;
}

static bool have(struct ids *ids, int64_t id)
{
    if (ids->count == 0 || id > ids->highest) /* the usual case: the scan is ahead of deliveries */
        return false;
    sort(ids);
    const int64_t *others = ids->ids + ids->deleted;
    return bsearch(&id, ids->ids, ids->deleted, sizeof id, by_id) ||
           bsearch(&id, others, ids->count - ids->deleted, sizeof id, by_id);
}

/* Adjacent ids are deleted together. */
static int delete_ids(struct queue *queue, struct ids *ids, size_t most)
{
    sort(ids);
    size_t end = ids->count - ids->deleted > most ? ids->deleted + most : ids->count;
    while (ids->deleted < end) {
        size_t next = ids->deleted + 1;
        while (next < end && ids->ids[next] == ids->ids[next - 1] + 1)
            next++;
        int64_t first = ids->ids[ids->deleted], last = ids->ids[next - 1];
        int error = queue_rows_delete(queue, first, last, "delete delivered messages");
        if (error != 0)
            return error;
        ids->deleted = next;
    }
    return 0;
}

static void end_ids(struct ids *ids, bool committed)
{
    if (committed && ids->deleted > 0) {
        ids->count -= ids->deleted;
        memmove(ids->ids, ids->ids + ids->deleted, ids->count * sizeof ids->ids[0]);
    } else if (ids->deleted > 0) {
        ids->sorted = false; /* both parts together */
    }
    ids->deleted = 0;
}

/* ---- delivered messages ---- */

/* Moves those that were confirmed or released meanwhile to the list that may be deleted. */
static void sort_out(struct queue *queue)
{
    struct ids *unconfirmed = &queue->unconfirmed;
    int64_t awaited_after = queue_awaited_after(queue);
    if (awaited_after == queue->sorted_out_to)
        return;
    queue->sorted_out_to = awaited_after;
    size_t kept = unconfirmed->deleted;
    for (size_t i = kept; i < unconfirmed->count; i++) {
        int64_t id = unconfirmed->ids[i];
        if (id > awaited_after)
            unconfirmed->ids[kept++] = id;
        else
            add(&queue->settled, id);
    }
    unconfirmed->count = kept;
}

void queue_settle(struct queue *queue, int64_t id, bool may_come_again)
{
    bool waits = may_come_again && queue_is_awaited(queue, id);
    add(waits ? &queue->unconfirmed : &queue->settled, id);
}

bool queue_is_settled(struct queue *queue, int64_t id)
{
    return have(&queue->settled, id) || have(&queue->unconfirmed, id);
}

size_t queue_settled_count(struct queue *queue)
{
    sort_out(queue);
    return queue->settled.count;
}

size_t queue_unconfirmed_count(struct queue *queue)
{
    sort_out(queue);
    return queue->unconfirmed.count;
}

int64_t queue_waiting(const struct queue *queue)
{
    const struct ids *settled = &queue->settled, *unconfirmed = &queue->unconfirmed;
    if (!queue->count.known)
        return -1;
    int64_t delivered =
        (int64_t)(settled->count - settled->deleted + unconfirmed->count - unconfirmed->deleted);
    int64_t rows = queue_count_rows(queue);
    return rows > delivered ? rows - delivered : 0;
}

int64_t queue_oldest_waiting(struct queue *queue)
{
    int64_t oldest = queue_number(queue, Q_OLDEST_ID);
    return oldest == 0 || queue_is_settled(queue, oldest) ? INT64_MAX : oldest;
}

/* ---- deleting ---- */

int queue_settled_delete(struct queue *queue, size_t most)
{
    sort_out(queue);
    return delete_ids(queue, &queue->settled, most);
}

int queue_delivered_delete(struct queue *queue)
{
    int error = queue_settled_delete(queue, SIZE_MAX);
    return error != 0 ? error : delete_ids(queue, &queue->unconfirmed, SIZE_MAX);
}

void queue_settle_ended(struct queue *queue, const struct queue_end *end)
{
    end_ids(&queue->settled, end->committed);
    end_ids(&queue->unconfirmed, end->committed);
}

static int delete_settled(struct queue *queue, void *context)
{
    int error = queue_settled_delete(queue, *(const size_t *)context);
    return error != 0 ? error : queue_drained_save(queue, false);
}

int queue_settle_commit(struct queue *queue, size_t most)
{
    return queue_transaction(queue, DB_LAZY, delete_settled, &most);
}
