/* queue/settle.c - messages on their way out: what was delivered is remembered,
 * and deleted later.
 *
 * A delete needs no sync of its own: when it is lost, one more delivery is made
 * under the same key. So deletes ride on the next commit, or are made together.
 */
#include "queue/internal.h"

#include <string.h>

static void ids_add(struct ids *ids, int64_t id)
{
    if (ids->count == ids->capacity) {
        ids->capacity = ids->capacity > 0 ? 2 * ids->capacity : 64;
        ids->ids = xrealloc(ids->ids, ids->capacity * sizeof *ids->ids);
    }
    ids->ids[ids->count++] = id;
    ids->sorted = ids->count == 1 || (ids->sorted && id > ids->highest);
    if (id > ids->highest)
        ids->highest = id;
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void ids_sort(struct ids *ids)
{
    if (!ids->sorted && ids->count > 0)
        qsort(ids->ids, ids->count, sizeof ids->ids[0], by_id);
    ids->sorted = true;
}

static bool ids_have(struct ids *ids, int64_t id)
{
    if (ids->count == 0 || id > ids->highest) /* as usual: what is read lies ahead of what was delivered */
        return false;
    ids_sort(ids);
    return bsearch(&id, ids->ids, ids->count, sizeof ids->ids[0], by_id) != NULL;
}

bool queue_is_settled(struct queue *queue, int64_t id)
{
    return ids_have(&queue->settled, id) || ids_have(&queue->unconfirmed, id);
}

void queue_settle(struct queue *queue, int64_t id, bool may_come_again)
{
    bool waits = may_come_again && queue_is_awaited(queue, id);
    ids_add(waits ? &queue->unconfirmed : &queue->settled, id);
}

/* Those up to this id may be deleted. */
static void release(struct queue *queue, int64_t id)
{
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

void queue_confirm(struct queue *queue, int64_t id)
{
    if (id <= queue->confirmed)
        return;
    queue->confirmed = id;
    release(queue, id);
}

void queue_let_go(struct queue *queue)
{
    queue->let_go = queue->last_id;
    release(queue, queue->last_id);
}

void queue_note_with_commit(struct queue *queue)
{
    queue->note_due = queue->confirmed > queue->confirmed_written;
}

bool queue_is_awaited(const struct queue *queue, int64_t id)
{
    return id > queue->confirmed && id > queue->let_go;
}

int queue_write_confirmed(struct queue *queue, void *unused)
{
    (void)unused;
    sqlite3_stmt *statement = queue->statements[Q_CONFIRMED];
    sqlite3_bind_int64(statement, 1, queue->run);
    sqlite3_bind_int64(statement, 2, queue->confirmed);
    int error = db_run(&queue->db, statement, "note what is confirmed");
    if (error != 0)
        return error;
    sqlite3_bind_int64(queue->statements[Q_DELETE_MARKS], 1, queue->confirmed);
    return db_run(&queue->db, queue->statements[Q_DELETE_MARKS], "delete what is confirmed");
}

int queue_note_confirmed(struct queue *queue)
{
    int64_t confirmed = queue->confirmed;
    if (confirmed == queue->confirmed_written)
        return 0;
    int error = queue_transaction(queue, DB_SYNC, queue_write_confirmed, NULL);
    if (error == 0)
        queue->confirmed_written = confirmed;
    return error;
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

int queue_delete(struct queue *queue, int64_t first, int64_t last, const char *doing)
{
    int64_t split = queue_count_split(queue);
    if (first <= split && split < last) {
        int error = queue_delete(queue, first, split, doing);
        return error != 0 ? error : queue_delete(queue, split + 1, last, doing);
    }
    sqlite3_stmt *statement = queue->statements[Q_DELETE];
    sqlite3_bind_int64(statement, 1, first);
    sqlite3_bind_int64(statement, 2, last);
    int error = db_run(&queue->db, statement, doing);
    if (error == 0)
        queue_count_deleted(queue, last, sqlite3_changes(queue->db.handle));
    return error;
}

typedef int range_fn(struct queue *queue, int64_t first, int64_t last);

/* Neighbours go together. */
static int each_range(struct queue *queue, struct ids *list, range_fn *work)
{
    ids_sort(list);
    for (size_t i = 0, next; i < list->count; i = next) {
        for (next = i + 1; next < list->count && list->ids[next] == list->ids[next - 1] + 1; next++)
            ;
        int error = work(queue, list->ids[i], list->ids[next - 1]);
        if (error != 0)
            return error;
    }
    return 0;
}

/* What is deleted before it is confirmed leaves a mark, in the same transaction. */
static int mark_range(struct queue *queue, int64_t first, int64_t last)
{
    sqlite3_stmt *statement = queue->statements[Q_LEAVE_MARK];
    sqlite3_bind_int64(statement, 1, first);
    sqlite3_bind_int64(statement, 2, last);
    queue->marked = last > queue->marked ? last : queue->marked;
    return db_run(&queue->db, statement, "mark what was delivered");
}

static int delete_range(struct queue *queue, int64_t first, int64_t last)
{
    int error = last > queue->confirmed && first <= queue->let_go ? mark_range(queue, first, last) : 0;
    return error != 0 ? error : queue_delete(queue, first, last, "delete what was delivered");
}

static int delete_unconfirmed_range(struct queue *queue, int64_t first, int64_t last)
{
    int error = mark_range(queue, first, last);
    return error != 0 ? error : queue_delete(queue, first, last, "delete what was delivered");
}

int queue_delete_settled(struct queue *queue, void *unused)
{
    (void)unused;
    int error = each_range(queue, &queue->settled, delete_range);
    return error != 0 ? error : queue_note_drained(queue, false);
}

int queue_delete_delivered(struct queue *queue)
{
    int error = each_range(queue, &queue->settled, delete_range);
    return error != 0 ? error : each_range(queue, &queue->unconfirmed, delete_unconfirmed_range);
}

int queue_settle_commit(struct queue *queue, size_t most)
{
    struct ids *settled = &queue->settled;
    size_t count = settled->count;
    ids_sort(settled);
    if (most < count)
        settled->count = most;
    int error = queue_transaction(queue, DB_LAZY, queue_delete_settled, NULL);
    size_t gone = error == 0 ? settled->count : 0;
    if (gone < count)
        memmove(settled->ids, settled->ids + gone, (count - gone) * sizeof settled->ids[0]);
    settled->count = count - gone;
    return error;
}
