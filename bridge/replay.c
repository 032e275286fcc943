/* replay.c - tells a redelivered PUBLISH from a new one. See replay.h. */
#include "replay.h"

#include <assert.h>
#include <string.h>

struct entry {
    uint64_t digest;
    uint16_t packet_id; /* 0: empty */
};

struct replay {
    bool expected;
    unsigned window;
    unsigned next; /* in known, a ring */
    unsigned waiting_count, waiting_capacity;
    struct entry *waiting; /* received, and not committed yet */
    struct entry known[];
};

struct replay *replay_new(unsigned window)
{
    assert(window > 0);
    struct replay *replay = xcalloc(1, sizeof *replay + window * sizeof replay->known[0]);
    replay->window = window;
    return replay;
}

void replay_free(struct replay *replay)
{
    if (!replay)
        return;
    free(replay->waiting);
    free(replay);
}

/* FNV-1a, 64 bits. */
static uint64_t hash(uint64_t state, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++)
        state = (state ^ at[i]) * UINT64_C(0x100000001b3);
    return state;
}

uint64_t replay_digest(const char *topic, const void *payload, size_t payload_bytes)
{
    uint64_t state = hash(UINT64_C(0xcbf29ce484222325), topic, strlen(topic) + 1);
    return hash(state, payload, payload_bytes);
}

void replay_received(struct replay *replay, uint16_t packet_id, uint64_t digest)
{
    if (packet_id == 0)
        return;
    if (replay->waiting_count == replay->waiting_capacity) {
        replay->waiting_capacity = replay->waiting_capacity > 0 ? 2 * replay->waiting_capacity : 16;
        replay->waiting = xrealloc(replay->waiting, replay->waiting_capacity * sizeof *replay->waiting);
    }
    replay->waiting[replay->waiting_count++] = (struct entry){.digest = digest, .packet_id = packet_id};
}

void replay_committed(struct replay *replay)
{
    for (unsigned i = 0; i < replay->waiting_count; i++) {
        replay->known[replay->next] = replay->waiting[i];
        replay->next = (replay->next + 1) % replay->window;
    }
    replay->waiting_count = 0;
}

void replay_discarded(struct replay *replay)
{
    replay->waiting_count = 0;
}

void replay_connected(struct replay *replay, bool session_present)
{
    replay->expected = session_present;
}

bool replay_expected(const struct replay *replay)
{
    return replay->expected;
}

bool replay_is_duplicate(struct replay *replay, bool dup, uint16_t packet_id, uint64_t digest)
{
    if (!replay->expected || packet_id == 0)
        return false;
    if (!dup) {
        replay->expected = false;
        return false;
    }
    for (unsigned i = 0; i < replay->window; i++)
        if (replay->known[i].packet_id == packet_id && replay->known[i].digest == digest)
            return true;
    return false;
}
