/* intake/batch.c - see intake/batch.h. */
#include "intake/batch.h"
#include "base/clock.h"
#include "intake/internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
    LOCK_RETRY_MS = 10,
    LOCK_MOST_MS = 10000,      /* a database that is locked longer is storage that fails */
    BATCH_BYTES = 1024 * 1024, /* payloads in one commit, about: a slow disk takes long for more */
};

enum batch_state { BATCH_IDLE, BATCH_LOCKED, BATCH_OPEN };

struct batch {
    struct intake *intake;
    struct batch_limits limits;
    batch_ready_fn *ready; /* NULL: the timer is not used */
    void *context;
    uv_timer_t timer; /* active: ready will be called */
    enum batch_state state;
    int64_t locked_ms; /* uptime since when it is LOCKED */
    unsigned messages;
    size_t bytes; /* of their payloads */
    bool release_due;
    bool failed; /* since the last trial commit */
};

struct batch *batch_new(struct intake *intake, uv_loop_t *loop, const struct batch_limits *limits,
                        batch_ready_fn *ready, void *context)
{
    struct batch *batch = xcalloc(1, sizeof *batch);
    batch->intake = intake;
    batch->limits = *limits;
    batch->ready = ready;
    batch->context = context;
    batch->timer.data = batch;
    if (ready)
        uv_timer_init(loop, &batch->timer);
    return batch;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void batch_free(struct batch *batch)
{
    if (!batch)
        return;
    assert(batch->state != BATCH_OPEN);
    if (batch->ready)
        uv_close((uv_handle_t *)&batch->timer, on_closed);
    else
        free(batch);
}

/* ---- waiting ---- */

static void on_timer(uv_timer_t *timer)
{
    struct batch *batch = timer->data;
    batch->ready(batch->context);
}

bool batch_is_waiting(const struct batch *batch)
{
    return batch->ready && uv_is_active((const uv_handle_t *)&batch->timer);
}

bool batch_is_locked(const struct batch *batch)
{
    return batch->state == BATCH_LOCKED && batch_is_waiting(batch);
}

static void stop_timer(struct batch *batch)
{
    if (batch->ready)
        uv_timer_stop(&batch->timer);
}

void batch_end_lock_wait(struct batch *batch)
{
    if (batch->state != BATCH_LOCKED)
        return;
    int64_t waited_ms = clock_uptime_ms() - batch->locked_ms;
    if (waited_ms > batch->intake->metrics->longest_lock_ms)
        batch->intake->metrics->longest_lock_ms = waited_ms;
    batch->state = BATCH_IDLE;
    stop_timer(batch);
}

void batch_stop_waiting(struct batch *batch)
{
    batch_end_lock_wait(batch);
    stop_timer(batch);
}

void batch_set_most(struct batch *batch, unsigned messages)
{
    batch->limits.messages = messages;
}

void batch_hurry(struct batch *batch)
{
    batch->limits.delay_ms = 0;
    batch_stop_waiting(batch);
}

int batch_wait_for_lock(struct batch *batch)
{
    int64_t now_ms = clock_uptime_ms();
    if (batch->state != BATCH_LOCKED)
        batch->locked_ms = now_ms;
    batch->state = BATCH_LOCKED;
    if (!batch->ready || now_ms - batch->locked_ms >= LOCK_MOST_MS) {
        batch_end_lock_wait(batch);
        batch->failed = true;
        return -EBUSY;
    }
    uv_timer_start(&batch->timer, on_timer, LOCK_RETRY_MS, 0);
    return -EAGAIN;
}

/* ---- the transaction ---- */

static int begin(struct intake *intake)
{
    assert(!intake->open);
    int error = queue_begin(intake->queue);
    if (error != 0)
        return error;
    intake->open = true;
    intake->error = 0;
    intake->received = intake->stored = intake->dropped = 0;
    intake->unrouted = intake->excepted = intake->retained = 0;
    return 0;
}

int batch_begin_now(struct batch *batch)
{
    assert(batch->state != BATCH_OPEN);
    batch->messages = 0;
    batch->bytes = 0;
    int error = begin(batch->intake);
    if (error == -EBUSY)
        error = batch_wait_for_lock(batch);
    if (error == -EAGAIN)
        return error;
    batch_end_lock_wait(batch);
    if (error == 0)
        batch->state = BATCH_OPEN;
    else
        batch->failed = true;
    return error;
}

int batch_begin(struct batch *batch)
{
    if (batch_is_waiting(batch))
        return -EAGAIN;
    if (!queue_hold(batch->intake->queue))
        return batch_begin_now(batch);
    batch_end_lock_wait(batch);
    return -ENOBUFS;
}

bool batch_is_open(const struct batch *batch)
{
    return batch->state == BATCH_OPEN;
}

void batch_count_message(struct batch *batch, size_t bytes)
{
    assert(batch->state == BATCH_OPEN);
    batch->messages++;
    batch->bytes += bytes;
}

enum intake_fate batch_take(struct batch *batch, const struct intake_message *message)
{
    batch_count_message(batch, message->payload_bytes);
    return intake_take(batch->intake, message);
}

int batch_take_request(struct batch *batch, const struct intake_request *request,
                       char ret_key[static MESSAGE_KEY_BYTES])
{
    batch_count_message(batch, request->payload_bytes);
    return intake_take_request(batch->intake, request, ret_key);
}

unsigned batch_messages(const struct batch *batch)
{
    return batch->messages;
}

bool batch_is_full(const struct batch *batch)
{
    return batch->messages >= batch->limits.messages || batch->bytes >= BATCH_BYTES ||
           queue_hold(batch->intake->queue);
}

/* The next commit is delayed by not beginning it: what comes meanwhile waits with its
 * senders, unacknowledged, and shares that commit. The first message after a pause waits
 * for nothing. Nor does what follows a full batch: more than that cannot share a commit. */
static void delay_next(struct batch *batch)
{
    if (batch->limits.delay_ms > 0 && batch->messages > 0 && !batch_is_full(batch))
        uv_timer_start(&batch->timer, on_timer, (uint64_t)batch->limits.delay_ms, 0);
}

static int commit_to_disk(struct intake *intake)
{
    int64_t start_ms = clock_uptime_ms();
    int error = queue_commit(intake->queue);
    int64_t took_ms = clock_uptime_ms() - start_ms;
    if (took_ms > intake->metrics->longest_commit_ms)
        intake->metrics->longest_commit_ms = took_ms;
    intake->metrics->commit_ms += took_ms;
    return error;
}

static void count_commit(const struct intake *intake)
{
    struct metrics *metrics = intake->metrics;
    if (intake->stored > 0 || intake->dropped > 0)
        metrics->commits++;
    metrics->dropped += intake->dropped;
    metrics->received += intake->received;
    metrics->stored += intake->stored;
    metrics->unrouted += intake->unrouted;
    metrics->excepted += intake->excepted;
    metrics->retained += intake->retained;
}

int batch_commit(struct batch *batch)
{
    struct intake *intake = batch->intake;
    assert(batch->state == BATCH_OPEN && intake->open);
    batch->state = BATCH_IDLE;
    intake->open = false;
    int error = intake->error != 0 ? intake->error : devices_save(intake->devices);
    if (error != 0)
        queue_rollback(intake->queue);
    else
        error = commit_to_disk(intake);
    devices_committed(intake->devices, error == 0);
    if (error != 0) {
        intake->metrics->commit_failures++;
        batch->failed = true;
        return error;
    }
    count_commit(intake);
    batch->release_due = batch->release_due || batch->messages > 0;
    delay_next(batch);
    return 0;
}

void batch_release(struct batch *batch)
{
    if (!batch->release_due)
        return;
    batch->release_due = false;
    batch->intake->released(batch->intake->context);
}

void batch_fail(struct batch *batch)
{
    batch->failed = true;
}

int batch_try_storage(struct batch *batch)
{
    struct queue *queue = batch->intake->queue;
    int error = batch->failed || queue_fails(queue) ? queue_trial_commit(queue) : 0;
    batch->failed = error != 0;
    return error;
}

const char *batch_error_text(int error)
{
    switch (error) {
    case -EBUSY:
        return "another process has locked the database";
    case -EBADMSG:
        return "the database is damaged";
    case -ESTALE:
        return "the files of the queue were deleted or replaced";
    default:
        return strerror(-error);
    }
}
