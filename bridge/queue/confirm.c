/* queue/confirm.c - which messages has the broker read our acknowledgement of? The rule
 * is in queue/confirm.h. */
#include "queue/confirm.h"
#include "queue/tx.h"

/* Each save costs a page, so it waits until this many ids were confirmed. That is far fewer
 * than there are packet identifiers: after a crash, a row that is not known to be confirmed
 * must be the last one that had its identifier. */
enum { CONFIRMED_MOST = 4096, SAVE_EVERY_MS = 10000 };

void queue_confirm(struct queue *queue, int64_t id)
{
    if (id > queue->confirm.id)
        queue->confirm.id = id;
}

int64_t queue_confirmed_id(const struct queue *queue)
{
    return queue->confirm.id;
}

void queue_release_awaited(struct queue *queue)
{
    queue->confirm.released_id = queue->last_id;
}

int64_t queue_awaited_after(const struct queue *queue)
{
    const struct confirm *confirm = &queue->confirm;
    return confirm->id > confirm->released_id ? confirm->id : confirm->released_id;
}

bool queue_is_awaited(const struct queue *queue, int64_t id)
{
    return id > queue_awaited_after(queue);
}

/* ---- saving ---- */

int queue_confirmed_read(struct queue *queue)
{
    static const char salvaged[] = "SELECT max(id) FROM fingerprint WHERE packet_id = 0";
    struct confirm *confirm = &queue->confirm;
    int error = db_number(&queue->db, "SELECT confirmed_id FROM run ORDER BY id DESC LIMIT 1", &confirm->id);
    return error != 0 ? error : db_number(&queue->db, salvaged, &confirm->salvaged_id);
}

int queue_confirmed_write(struct queue *queue)
{
    struct confirm *confirm = &queue->confirm;
    confirm->is_written = true;
    int error = queue_run(queue, Q_CONFIRMED, queue->run, confirm->id, "save the confirmed id");
    return error != 0 ? error
                      : queue_run(queue, Q_FINGERPRINTS_DELETE, confirm->id, 0, "delete fingerprints");
}

void queue_confirm_ended(struct queue *queue, const struct queue_end *end)
{
    struct confirm *confirm = &queue->confirm;
    if (end->committed && confirm->is_written) {
        confirm->saved_id = confirm->id;
        confirm->is_save_due = false;
    }
    confirm->is_written = false;
}

static int write(struct queue *queue, void *unused)
{
    (void)unused;
    return queue_confirmed_write(queue);
}

int queue_confirmed_save(struct queue *queue)
{
    if (queue->confirm.id == queue->confirm.saved_id)
        return 0;
    return queue_transaction(queue, DB_SYNC, write, NULL);
}

void queue_confirmed_save_with_commit(struct queue *queue)
{
    queue->confirm.is_save_due = queue->confirm.id > queue->confirm.saved_id;
}

bool queue_confirmed_is_due(const struct queue *queue)
{
    const struct confirm *confirm = &queue->confirm;
    return confirm->is_save_due || confirm->id - confirm->saved_id >= CONFIRMED_MOST;
}

int queue_confirmed_step(struct queue *queue, int64_t oldest_waiting, int64_t now_ms)
{
    struct confirm *confirm = &queue->confirm;
    if (confirm->id == confirm->saved_id || now_ms < confirm->save_after_ms ||
        (oldest_waiting > confirm->id && queue_number(queue, Q_OLDEST_FINGERPRINT) == 0))
        return 0;
    confirm->save_after_ms = now_ms + SAVE_EVERY_MS;
    return queue_transaction(queue, DB_LAZY, write, NULL);
}

/* ---- fingerprints ---- */

int queue_fingerprints_keep(struct queue *queue, int64_t first, int64_t last)
{
    return last <= queue->confirm.id
               ? 0
               : queue_run(queue, Q_FINGERPRINTS_KEEP, first, last, "keep fingerprints");
}

void queue_append_fingerprint(struct queue *queue, uint16_t packet_id, uint64_t digest)
{
    sqlite3_stmt *statement = queue->statements[Q_FINGERPRINT_ADD];
    sqlite3_bind_int64(statement, 1, queue->next_id++);
    sqlite3_bind_int(statement, 2, packet_id);
    sqlite3_bind_int64(statement, 3, (int64_t)digest);
    int error = db_run(&queue->db, statement, "keep a fingerprint");
    if (error != 0)
        queue_tx_fail(queue, error);
    queue->tx.is_worth_a_sync = true;
}

bool queue_was_salvaged(const struct queue *queue)
{
    return queue->confirm.salvaged_id > queue->confirm.id;
}

int queue_unconfirmed_each(struct queue *queue, unsigned limit, queue_packet_fn *visit, void *context)
{
    sqlite3_stmt *statement = queue->statements[Q_UNCONFIRMED];
    int64_t newest = queue->last_id - limit; /* not next_id: ids may have been left out */
    sqlite3_bind_int64(statement, 1, queue->confirm.id > newest ? queue->confirm.id : newest);
    int code;
    while ((code = db_step(statement, "iii")) == SQLITE_ROW)
        visit(context, sqlite3_column_int64(statement, 0), (uint16_t)sqlite3_column_int(statement, 1),
              (uint64_t)sqlite3_column_int64(statement, 2));
    int error = db_result(&queue->db, code, "read the newest messages");
    sqlite3_reset(statement);
    return error;
}
