/* queue/claims.c - messages in flight: no limit drops them. (queue_unclaim is in
 * queue/drop.c, because it may drop.) */
#include "queue/claims.h"

#include <assert.h>

void queue_claim(struct queue *queue, struct queue_claim *claim, const int64_t *ids, size_t count)
{
    assert(count > 0);
    *claim = (struct queue_claim){.ids = ids, .count = count};
    LIST_INSERT_HEAD(&queue->claims, claim, others);
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

struct queue_claim *queue_claim_find(const struct queue *queue, int64_t id)
{
    struct queue_claim *claim;
    LIST_FOREACH(claim, &queue->claims, others)
        if (bsearch(&id, claim->ids, claim->count, sizeof id, by_id))
            return claim;
    return NULL;
}

bool queue_is_claimed(const struct queue *queue, int64_t id)
{
    return queue_claim_find(queue, id) != NULL;
}
