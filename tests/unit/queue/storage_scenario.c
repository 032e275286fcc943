/* storage_scenario.c - a queue's whole life in a second. See storage_scenario.h.
 *
 * A message's number in the ledger is in its topic, and its payload is made from
 * that number, so that a row shows which message it must be, byte for byte.
 */
#include "queue/storage_scenario.h"
#include "base/clock.h"
#include "queue/confirm.h"
#include "queue/fault_vfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST = 40000, PATIENCE = 3, TRIES = 8 };

struct scenario {
    struct ledger *ledger;
    const char *path;
    struct queue *queue;
};

static void complain(struct ledger *ledger, const char *format, ...) PRINTF_LIKE(2, 3);
static void complain(struct ledger *ledger, const char *format, ...)
{
    if (ledger->complaint[0])
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ledger->complaint, sizeof ledger->complaint, format, arguments);
    va_end(arguments);
}

const unsigned char *scenario_payload(unsigned number, size_t bytes)
{
    static unsigned char data[LARGEST];
    uint32_t x = number * 2654435761u + 1;
    for (size_t i = 0; i < bytes; i++) {
        x = x * 1664525u + 1013904223u;
        data[i] = (unsigned char)(x >> 24);
    }
    return data;
}

/* ---- what the daemon does ---- */

static void on_failure(struct ledger *ledger, int error, const char *what)
{
    if (error >= 0 || error == -EBUSY)
        complain(ledger, "%s returned %d", what, error);
    ledger->failures++;
    if (ledger->gives_up)
        _exit(0);
    if (ledger->failures >= PATIENCE)
        fault_vfs_heal();
}

static void open_queue(struct scenario *s)
{
    for (int tries = 0; tries < TRIES; tries++) {
        char *why = NULL;
        int error = queue_open(s->path, &s->queue, &why);
        if (error == 0) {
            s->ledger->generations++;
            return;
        }
        if (!why)
            complain(s->ledger, "queue_open returned %d without a reason", error);
        free(why);
        on_failure(s->ledger, error, "queue_open");
    }
    complain(s->ledger, "the queue cannot be opened any more");
    _exit(1);
}

static void close_queue(struct scenario *s)
{
    queue_close(s->queue); /* it deletes what it can, and reports nothing */
    s->queue = NULL;
    for (unsigned i = 0; i < s->ledger->count; i++)
        s->ledger->entries[i].remembered = false;
}

static void set_state(struct ledger *ledger, unsigned batch, enum entry_state from, enum entry_state to)
{
    for (unsigned i = 0; i < ledger->count; i++)
        if ((batch == 0 || ledger->entries[i].batch == batch) && ledger->entries[i].state == from)
            ledger->entries[i].state = to;
}

static void deletes_committed(struct ledger *ledger)
{
    for (unsigned i = 0; i < ledger->count; i++)
        if (ledger->entries[i].remembered)
            ledger->entries[i].deleted = true;
}

static int append_one(struct scenario *s, uint32_t bytes)
{
    struct ledger *ledger = s->ledger;
    if (ledger->count == sizeof ledger->entries / sizeof ledger->entries[0]) {
        complain(ledger, "more messages than the account has lines");
        _exit(1);
    }
    struct entry *entry = &ledger->entries[ledger->count];
    cleanup_free char *topic = xasprintf("garden/%u/sensor", ledger->count);
    struct message message = {.route = "sensor",
                              .topic = topic,
                              .source = "mqtt",
                              .packet_id = (int)ledger->count + 1,
                              .uptime_ms = clock_uptime_ms(),
                              .payload = scenario_payload(ledger->count, bytes),
                              .payload_bytes = bytes};
    int64_t id = 0;
    int error = queue_append(s->queue, &message, &id);
    if (error != 0)
        return error;
    for (unsigned i = 0; i < ledger->count; i++)
        if (ledger->entries[i].generation == ledger->generations && ledger->entries[i].id >= id)
            complain(ledger, "id %lld was given twice, or does not grow", (long long)id);
    *entry = (struct entry){.id = id,
                            .bytes = bytes,
                            .batch = (uint16_t)ledger->batches,
                            .generation = (uint16_t)ledger->generations};
    ledger->count++;
    return 0;
}

static void ignore(void *context, int64_t id, const char *route, const char *topic, bool deferred)
{
    (void)context, (void)id, (void)route, (void)topic;
}

static int try_batch(struct scenario *s, const uint32_t *sizes, unsigned count)
{
    struct ledger *ledger = s->ledger;
    int error = queue_begin(s->queue);
    if (error != 0)
        return error;
    unsigned batch = ++ledger->batches, first = ledger->count;
    for (unsigned i = 0; error == 0 && i < count; i++)
        error = append_one(s, sizes[i]);
    if (error != 0) {
        queue_rollback(s->queue);
        set_state(ledger, batch, ENTRY_APPENDED, ENTRY_FAILED);
        return error;
    }
    error = queue_commit(s->queue);
    if (error != 0) {
        set_state(ledger, batch, ENTRY_APPENDED, ENTRY_FAILED);
        int64_t after = ledger->entries[first].id - 1;
        if (queue_scan(s->queue, after, INT64_MAX, 1, ignore, NULL) > 0)
            complain(ledger, "a batch is there though its commit failed");
        return error;
    }
    set_state(ledger, batch, ENTRY_APPENDED, ENTRY_ACKED);
    set_state(ledger, 0, ENTRY_FAILED, ENTRY_REFUSED);
    deletes_committed(ledger);
    if (queue_last_id(s->queue) != ledger->entries[ledger->count - 1].id)
        complain(ledger, "the last id is not that of the last message");
    return 0;
}

static void trial(struct scenario *s)
{
    for (int tries = 0; tries < TRIES; tries++) {
        int error = queue_trial_commit(s->queue);
        if (error == 0) {
            set_state(s->ledger, 0, ENTRY_FAILED, ENTRY_REFUSED);
            return;
        }
        on_failure(s->ledger, error, "queue_trial_commit");
    }
    complain(s->ledger, "the disk is well again, and trial commits fail");
}

static void store(struct scenario *s, const uint32_t *sizes, unsigned count)
{
    for (int tries = 0; tries < TRIES; tries++) {
        int error = try_batch(s, sizes, count);
        if (error == 0)
            return;
        on_failure(s->ledger, error, "storing a batch");
        trial(s);
    }
    complain(s->ledger, "trial commits pass, and batches fail");
}

#define STORE(s, ...)                                                                                        \
    store(s, (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void begin_and_roll_back(struct scenario *s)
{
    int error = queue_begin(s->queue);
    if (error == 0) {
        unsigned batch = ++s->ledger->batches;
        error = append_one(s, 300);
        queue_rollback(s->queue);
        set_state(s->ledger, batch, ENTRY_APPENDED, ENTRY_REFUSED);
    }
    if (error != 0)
        on_failure(s->ledger, error, "queue_append");
}

static struct entry *oldest_waiting(struct ledger *ledger)
{
    for (unsigned i = 0; i < ledger->count; i++) {
        struct entry *entry = &ledger->entries[i];
        if (entry->state == ENTRY_ACKED && !entry->settled && !entry->rejected)
            return entry;
    }
    complain(ledger, "nothing waits");
    _exit(1);
}

static void settle(struct scenario *s, unsigned count)
{
    queue_confirm(s->queue, queue_last_id(s->queue));
    for (unsigned i = 0; i < count; i++) {
        struct entry *entry = oldest_waiting(s->ledger);
        entry->settled = entry->remembered = true;
        queue_settle(s->queue, entry->id, true);
    }
}

static void settle_commit(struct scenario *s)
{
    int error = queue_settle_commit(s->queue, SIZE_MAX);
    if (error == 0)
        deletes_committed(s->ledger);
    else
        on_failure(s->ledger, error, "queue_settle_commit");
}

static void blame(struct scenario *s, unsigned attempts)
{
    int error =
        queue_blame(s->queue, oldest_waiting(s->ledger)->id, attempts, 422, "not this one", clock_wall_ms());
    if (error != 0)
        on_failure(s->ledger, error, "queue_blame");
}

static void dead_letter(struct scenario *s)
{
    struct entry *entry = oldest_waiting(s->ledger);
    entry->rejected = true;
    int error = queue_dead_letter(s->queue, entry->id, 3, 422, "rejected", "no", clock_wall_ms());
    if (error != 0)
        on_failure(s->ledger, error, "queue_dead_letter");
    else
        entry->dead = true;
}

static void subscribe(struct scenario *s)
{
    int error = queue_subscription_add(s->queue, "garden/+/sensor");
    if (error != 0)
        on_failure(s->ledger, error, "queue_subscription_add");
    else
        s->ledger->subscribed = true;
}

/* ---- the scenarios ---- */

void scenario_run(struct ledger *ledger, const char *path)
{
    struct scenario s = {.ledger = ledger, .path = path};
    open_queue(&s);
    subscribe(&s);
    STORE(&s, 10);
    STORE(&s, 0, 200, 5000);
    STORE(&s, 30000, 70, 3000, 12);
    settle(&s, 2); /* deleted by the next commit */
    STORE(&s, 100);
    settle(&s, 2);
    settle_commit(&s);
    blame(&s, 1);
    dead_letter(&s);
    begin_and_roll_back(&s);
    trial(&s);
    blame(&s, 1); /* not synced, and the next commit follows */
    STORE(&s, 9000, 1);
    dead_letter(&s);
    STORE(&s, 50);
    close_queue(&s);

    open_queue(&s);
    settle(&s, 1);
    STORE(&s, 700, 6000);
    dead_letter(&s);
    settle(&s, 1);
    settle_commit(&s);
    STORE(&s, 20);
    ledger->done = true;
}

void scenario_new(struct ledger *ledger, const char *path)
{
    struct scenario s = {.ledger = ledger, .path = path};
    open_queue(&s);
    subscribe(&s);
    STORE(&s, 10);
    STORE(&s, 0, 5000);
    settle(&s, 1);
    dead_letter(&s);
    close_queue(&s);

    open_queue(&s);
    settle(&s, 1);
    STORE(&s, 20);
    settle_commit(&s);
    ledger->done = true;
}

void scenario_large_batch(struct ledger *ledger, const char *path)
{
    struct scenario s = {.ledger = ledger, .path = path};
    open_queue(&s);
    uint32_t sizes[36];
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++)
        sizes[i] = LARGEST;
    store(&s, sizes, ARRAY_LEN(sizes));
    STORE(&s, 60);
    ledger->done = true;
}

/* How many pages the WAL holds. */
static int64_t wal_frames(const char *path)
{
    cleanup_free char *wal = xasprintf("%s-wal", path);
    struct stat status;
    return stat(wal, &status) == 0 ? (int64_t)status.st_size / (4096 + 24) : 0;
}

void scenario_age(struct ledger *ledger, const char *path)
{
    const int64_t automatic_checkpoint = 1000, lacks = 30;
    struct scenario s = {.ledger = ledger, .path = path};
    open_queue(&s);
    STORE(&s, 20, 3000, 12000);
    dead_letter(&s);
    for (unsigned i = 1; wal_frames(path) < automatic_checkpoint - lacks; i++)
        blame(&s, i);
    ledger->done = true;
}
