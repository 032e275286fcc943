/* message/replay.c - see message/replay.h. */
#include "message/replay.h"

#include <assert.h>
#include <string.h>

struct entry {
    uint64_t digest;
    int64_t id;         /* of the message, or of a later one */
    uint16_t packet_id; /* 0: forgotten */
};

struct entries {
    struct entry *entries;
    unsigned count, capacity;
};

struct replay {
    bool expected;
    int64_t confirmed;
    struct entries known;   /* in the order of ids */
    struct entries waiting; /* received, and not committed yet */
    unsigned older;         /* the first N known ones are of an earlier connection */
    unsigned next;          /* place in known: redeliveries come in the order of the messages; after
                             * one, that of the message after it */
};

struct replay *replay_new(void)
{
    return xcalloc(1, sizeof(struct replay));
}

void replay_free(struct replay *replay)
{
    if (!replay)
        return;
    free(replay->known.entries);
    free(replay->waiting.entries);
    free(replay);
}

static void add(struct entries *entries, const struct entry *entry)
{
    if (entries->count == entries->capacity) {
        entries->capacity = entries->capacity > 0 ? 2 * entries->capacity : 16;
        entries->entries = xrealloc(entries->entries, entries->capacity * sizeof *entries->entries);
    }
    entries->entries[entries->count++] = *entry;
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

/* The identifier is another message's now. */
static void forget(struct replay *replay, uint16_t packet_id)
{
    for (unsigned i = 0; i < replay->older; i++)
        if (replay->known.entries[i].packet_id == packet_id)
            replay->known.entries[i].packet_id = 0;
}

void replay_received(struct replay *replay, uint16_t packet_id, uint64_t digest)
{
    if (packet_id == 0)
        return;
    forget(replay, packet_id);
    add(&replay->waiting, &(struct entry){.digest = digest, .packet_id = packet_id});
}

void replay_committed(struct replay *replay, int64_t id)
{
    for (unsigned i = 0; i < replay->waiting.count && id > replay->confirmed; i++) {
        replay->waiting.entries[i].id = id;
        add(&replay->known, &replay->waiting.entries[i]);
    }
    replay->waiting.count = 0;
}

void replay_discarded(struct replay *replay)
{
    replay->waiting.count = 0;
}

void replay_confirmed(struct replay *replay, int64_t id)
{
    struct entries *known = &replay->known;
    unsigned gone = 0;
    while (gone < known->count && known->entries[gone].id <= id)
        gone++;
    replay->confirmed = id;
    replay->older -= gone < replay->older ? gone : replay->older;
    replay->next -= gone < replay->next ? gone : replay->next;
    known->count -= gone;
    if (known->count > 0) {
        memmove(known->entries, known->entries + gone, known->count * sizeof known->entries[0]);
        return;
    }
    free(known->entries); /* after a burst it may be large */
    *known = (struct entries){.count = 0};
}

void replay_connected(struct replay *replay, bool session_present)
{
    replay->expected = session_present;
    replay->older = replay->known.count;
    replay->next = 0;
}

bool replay_expected(const struct replay *replay)
{
    return replay->expected;
}

bool replay_recognise(struct replay *replay, bool dup, uint16_t packet_id, uint64_t digest)
{
    if (packet_id == 0)
        return false;
    if (!dup) {
        replay->expected = false;
        return false;
    }
    const struct entries *known = &replay->known;
    for (unsigned i = 0; i < known->count && replay->expected; i++) {
        unsigned at = (replay->next + i) % known->count;
        if (known->entries[at].packet_id == packet_id && known->entries[at].digest == digest) {
            replay->next = at + 1;
            return true;
        }
    }
    return false;
}

/* Messages of one commit have one id. */
int64_t replay_before(const struct replay *replay)
{
    const struct entry *entries = replay->known.entries;
    unsigned at = replay->next;
    while (at > 0 && entries[at - 1].id >= entries[replay->next - 1].id)
        at--;
    return at > 0 ? entries[at - 1].id : 0;
}
