/* queue_settle.c - messages on their way out: what was delivered is remembered,
 * and deleted later.
 *
 * A delete needs no sync of its own: when it is lost, one more delivery is made
 * under the same key. So deletes ride on the next commit, or are made together.
 */
#include "queue_private.h"

#include <string.h>

static void ids_add(struct ids *ids, int64_t id)
{
    if (ids->count == ids->capacity) {
        ids->capacity = ids->capacity > 0 ? 2 * ids->capacity : 64;
        ids->ids = xrealloc(ids->ids, ids->capacity * sizeof *ids->ids);
    }
    ids->ids[ids->count++] = id;
    if (id > ids->highest)
        ids->highest = id;
}

static bool ids_have(const struct ids *ids, int64_t id)
{
    if (id > ids->highest) /* as usual: what is read lies ahead of what was delivered */
        return false;
    for (size_t i = 0; i < ids->count; i++)
        if (ids->ids[i] == id)
            return true;
    return false;
}

bool queue_is_settled(const struct queue *queue, int64_t id)
{
    return ids_have(&queue->settled, id) || ids_have(&queue->unconfirmed, id);
}

void queue_settle(struct queue *queue, int64_t id)
{
    ids_add(id <= queue->confirmed ? &queue->settled : &queue->unconfirmed, id);
}

void queue_confirm(struct queue *queue, int64_t id)
{
    if (id <= queue->confirmed)
        return;
    queue->confirmed = id;
    size_t kept = 0;
    for (size_t i = 0; i < queue->unconfirmed.count; i++) {
        int64_t delivered = queue->unconfirmed.ids[i];
        if (delivered <= id)
            ids_add(&queue->settled, delivered);
        else
            queue->unconfirmed.ids[kept++] = delivered;
    }
    queue->unconfirmed.count = kept;
}

int64_t queue_confirmed_id(const struct queue *queue)
{
    return queue->confirmed;
}

size_t queue_settled_count(const struct queue *queue)
{
    return queue->settled.count;
}

size_t queue_unconfirmed_count(const struct queue *queue)
{
    return queue->unconfirmed.count;
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int queue_delete(struct queue *queue, int64_t first, int64_t last, const char *doing)
{
    sqlite3_stmt *statement = queue->statements[Q_DELETE];
    sqlite3_bind_int64(statement, 1, first);
    sqlite3_bind_int64(statement, 2, last);
    return db_run(&queue->db, statement, doing);
}

/* Neighbours go together. */
int queue_delete_settled(struct queue *queue, void *unused)
{
    (void)unused;
    const struct ids *settled = &queue->settled;
    qsort(settled->ids, settled->count, sizeof settled->ids[0], by_id);
    for (size_t i = 0, next; i < settled->count; i = next) {
        for (next = i + 1; next < settled->count && settled->ids[next] == settled->ids[next - 1] + 1; next++)
            ;
        int error = queue_delete(queue, settled->ids[i], settled->ids[next - 1], "delete what was delivered");
        if (error != 0)
            return error;
    }
    return 0;
}

int queue_settle_commit(struct queue *queue, size_t most)
{
    struct ids *settled = &queue->settled;
    size_t count = settled->count;
    if (most < count) {
        qsort(settled->ids, count, sizeof settled->ids[0], by_id);
        settled->count = most;
    }
    int error = queue_transaction(queue, DB_LAZY, queue_delete_settled, NULL);
    size_t gone = error == 0 ? settled->count : 0;
    memmove(settled->ids, settled->ids + gone, (count - gone) * sizeof settled->ids[0]);
    settled->count = count - gone;
    return error;
}
