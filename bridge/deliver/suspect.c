/* deliver/suspect.c - what is held against the first message of a lane; see deliver/suspect.h. */
#include "deliver/suspect.h"

bool suspect_is_first(const struct lane *lane)
{
    return lane->count > 0 && lane->suspect.id == lane_at(lane, 0)->id;
}

void suspect_clear(struct lane *lane)
{
    free(lane->suspect.last.reason);
    free(lane->suspect.first.reason);
    lane->suspect = (struct suspect){.id = 0};
}

void suspect_note(struct flight *flight, const struct scope *scope, const struct failure *failure,
                  bool isolate, bool may_be_its_fault)
{
    struct lane *lane = flight->lane;
    struct suspect *suspect = &lane->suspect;
    if (lane_at(lane, 0)->id != flight->ids[0]) {
        suspect->unrelieved += may_be_its_fault;
        return; /* a probe with a later message: the suspect stays */
    }
    if (suspect->id != flight->ids[0])
        suspect_clear(lane);
    if (suspect->scope != scope || suspect->passes != scope->passes)
        suspect->unrelieved = 0;
    suspect->unrelieved += may_be_its_fault;
    suspect->id = flight->ids[0];
    suspect->attempts = flight->attempts;
    suspect->isolate = isolate;
    suspect->owed = !isolate || flight->isolated;
    suspect->scope = scope;
    suspect->passes = scope->passes;
    free(suspect->last.reason);
    suspect->last = *failure;
    suspect->last.reason = xstrdup(failure->reason);
}

bool suspect_owes(const struct flight *flight)
{
    const struct suspect *suspect = &flight->lane->suspect;
    return suspect->id == flight->ids[0] && suspect->owed;
}

void suspect_write_first(struct deliver *deliver, struct lane *lane, int64_t id)
{
    struct failure *first = &lane->suspect.first;
    if (lane->suspect.id != id || !first->reason)
        return;
    queue_blame(deliver->queue, id, 1, first->status, first->reason, first->wall_ms);
    free(first->reason);
    first->reason = NULL;
}

/* The first failure that counts stays in memory, so that an outage costs no writes: after
 * one, every message that was in flight when it began has one. */
void suspect_count(struct flight *flight)
{
    struct suspect *suspect = &flight->lane->suspect;
    if (suspect->id != flight->ids[0])
        return;
    if (suspect->owed && suspect->scope->passes > suspect->passes) {
        suspect->owed = false;
        suspect->attempts++;
        suspect->unrelieved = 0;
        flight->blamed = true;
        const struct failure *last = &suspect->last;
        if (suspect->attempts > 1) {
            suspect_write_first(flight->deliver, flight->lane, flight->ids[0]);
            queue_blame(flight->deliver->queue, flight->ids[0], suspect->attempts, last->status, last->reason,
                        last->wall_ms);
        } else {
            free(suspect->first.reason);
            suspect->first = *last;
            suspect->first.reason = xstrdup(last->reason);
        }
    }
    if (suspect->attempts > flight->attempts)
        flight->attempts = suspect->attempts;
}
