/* deliver/bisect.c - how a batch that failed is taken apart. See deliver/bisect.h. */
#include "deliver/bisect.h"

#include <assert.h>

const struct half *halves_next(struct halves *halves, int64_t first_id)
{
    while (halves->count > 0 && halves->parts[halves->count - 1].end_id < first_id)
        halves->count--;
    return halves->count > 0 ? &halves->parts[halves->count - 1] : NULL;
}

static void push(struct halves *halves, int64_t end_id, const struct half *like)
{
    assert(halves->count < HALVES_MOST);
    struct half *half = &halves->parts[halves->count++];
    *half = *like;
    half->end_id = end_id;
}

void halves_split(struct halves *halves, const int64_t *ids, unsigned count, bool whole,
                  const struct half *like)
{
    assert(count > 0);
    int64_t end_id = ids[count - 1];
    if (halves->count > 0 && halves->parts[halves->count - 1].end_id <= end_id)
        halves->count--;
    push(halves, end_id, like);
    if (count > 1 && !whole)
        push(halves, ids[count / 2 - 1], like);
}

bool halves_is_to_blame(const struct half *half)
{
    return half && half->scope && half->scope->passes > half->passes;
}
