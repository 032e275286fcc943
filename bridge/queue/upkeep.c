/* queue/upkeep.c - what the queue does about once a second. */
#include "base/clock.h"
#include "queue/confirm.h"
#include "queue/count.h"
#include "queue/drop.h"
#include "queue/dropped.h"
#include "queue/expiry.h"
#include "queue/files.h"
#include "queue/limits.h"
#include "queue/problems.h"
#include "queue/readers.h"
#include "queue/salvage/kept.h"
#include "queue/settle.h"
#include "queue/storage.h"

#include <errno.h>

enum { RETRY_MS = 5000, KEPT_LOOK_MS = 10000 };

/* Sets the problem "kept". */
static void look_at_kept(struct queue *queue)
{
    int64_t now_ms = clock_uptime_ms();
    if (now_ms < queue->kept_look_ms)
        return;
    queue->kept_look_ms = now_ms + KEPT_LOOK_MS;
    cleanup_free char *description = queue_kept_problem(queue->path);
    queue_problem_set(queue, "kept", description);
}

static bool is_at_rest(struct queue *queue)
{
    return queue_waiting(queue) == 0 && !queue_fails(queue) && !queue->lost && !queue_full(queue) &&
           !queue->storage.giving_back && queue_reserve_is_made(queue->storage.reserve);
}

bool queue_upkeep(struct queue *queue, bool quiet)
{
    queue_files_look(queue);
    queue_readers_step(queue);
    queue_count_step(queue);
    queue_drop_report(queue);
    queue_storage_problem_set(queue);
    queue_limits_problem_set(queue);
    look_at_kept(queue);
    int64_t now_ms = clock_uptime_ms();
    if (now_ms < queue->storage.try_again_ms)
        return false;
    int error = queue_free_pages_give_back(queue, quiet);
    if (error == 0)
        error = queue_drop_step(queue);
    if (error == 0)
        error = queue_expire_step(queue);
    if (error == 0)
        error = queue_problems_write(queue);
    if (error == 0)
        error = queue_reserve_make(queue);
    if (error == 0)
        error = queue_confirmed_step(queue, queue_oldest_waiting(queue), now_ms);
    if (error != 0 && error != -EBUSY)
        queue->storage.try_again_ms = now_ms + RETRY_MS;
    return error == 0 && is_at_rest(queue);
}
