/* queue/ids.c - see queue/ids.h. */
#include "queue/ids.h"

static int64_t higher(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int queue_ids_read(struct queue *queue, int64_t left_out)
{
    static const char rows[] = "SELECT max((SELECT coalesce(max(id), 0) FROM message),"
                               " (SELECT coalesce(max(id), 0) FROM dead_letter),"
                               " (SELECT coalesce(max(id), 0) FROM fingerprint))";
    static const char last_run[] = "SELECT max(reserved_id, confirmed_id) FROM run ORDER BY id DESC LIMIT 1";
    int64_t reserved_id = 0;
    int error = db_number(&queue->db, rows, &queue->last_id);
    if (error == 0)
        error = db_number(&queue->db, last_run, &reserved_id);
    if (error == 0)
        queue->next_id = higher(queue->next_id, higher(queue->last_id, reserved_id) + left_out + 1);
    return error;
}

int queue_ids_reserve(struct queue *queue, int64_t run, int64_t more)
{
    queue->id_block.reserving_id = queue->next_id - 1 + more;
    return queue_run(queue, Q_RESERVE_IDS, run, queue->id_block.reserving_id, "reserve ids");
}

bool queue_ids_are_due(const struct queue *queue)
{
    return queue->next_id - 1 > queue->id_block.reserved_id;
}

void queue_ids_ended(struct queue *queue, const struct queue_end *end)
{
    struct id_block *block = &queue->id_block;
    if (end->committed && block->reserving_id != 0)
        block->reserved_id = block->reserving_id;
    block->reserving_id = 0;
}
