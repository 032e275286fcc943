/* http/store.c - see http/store.h. */
#include "http/store.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/throttle.h"
#include "intake/batch.h"

#include <errno.h>
#include <string.h>

enum {
    DELAY_MOST_MS = 1000, /* of a commit (commit_delay): clients do not wait for ever */
    TRIAL_MS = 2000,      /* while the storage fails */
    REPORT_EVERY_MS = 60 * 1000,
};

struct waiting {
    struct http_request *request;
    const struct config_http *http;
    const struct config_route *route;
    char key[MESSAGE_KEY_BYTES]; /* once it is taken; empty: it is not stored */
    bool repeated;
};

struct http_store {
    struct queue *queue;
    struct batch *batch;
    struct waiting *waiting;
    size_t count, capacity;
    uv_timer_t trial; /* active: a commit failed */
    struct throttle reports;
};

/* ---- what is not stored ---- */

void http_send_away(struct http_store *store, struct http_request *request, const char *reason)
{
    http_respond_error(request, 503, HTTP_RETRY_AFTER_S, reason);
    uint64_t times = throttle_due(&store->reports, 1, clock_uptime_ms(), REPORT_EVERY_MS);
    if (times > 0)
        log_warning(EVENT_HTTP_UNAVAILABLE, "%s: %llu requests got 503 since the last line", reason,
                    (unsigned long long)times);
}

static void send_all_away(struct http_store *store, const char *reason)
{
    for (size_t i = 0; i < store->count; i++)
        http_send_away(store, store->waiting[i].request, reason);
    store->count = 0;
}

const char *http_store_full(const struct http_store *store)
{
    const char *full = queue_hold(store->queue);
    if (!full)
        return NULL;
    return strcmp(full, "storage") == 0 ? "the queue cannot be written" : "the queue is full";
}

/* ---- the commit ---- */

static void take(struct http_store *store, struct waiting *waiting)
{
    const struct http_request *request = waiting->request;
    const char *target = http_request_target(request);
    const char *type = http_request_header(request, "Content-Type");
    char client[ADDRESS_TEXT_BYTES];
    address_format(http_request_client(request), client);
    cleanup_free char *topic = xasprintf("%s%.*s", client, (int)strcspn(target, "?"), target);
    struct intake_request message = {
        .route = waiting->route->name,
        .topic = topic,
        .method = http_request_method(request),
        .target = target,
        .content_type = type && *type ? type : NULL,
        .idempotency_key = http_request_header(request, "Idempotency-Key"),
    };
    message.payload = http_request_body(request, &message.payload_bytes);
    waiting->repeated = batch_take_request(store->batch, &message, waiting->key) == -EEXIST;
    if (waiting->repeated)
        log_debug(EVENT_HTTP_REPEATED, "topic %s: a request with the same key is in the queue already",
                  topic);
}

/* The key, which holds visible ASCII only, as JSON. */
static void respond_stored(const struct waiting *waiting)
{
    struct buf body cleanup_buf;
    buf_init(&body, 2 * MESSAGE_KEY_BYTES + 16);
    buf_append_text(&body, "{\"id\":\"");
    for (const char *key = waiting->key; *key; key++) {
        if (*key == '"' || *key == '\\')
            buf_append_char(&body, '\\');
        buf_append_char(&body, *key);
    }
    buf_append_text(&body, "\"}\n");
    http_respond(waiting->request, &(struct http_response){.status = waiting->http->accepted_status,
                                                           .body = body.data,
                                                           .body_bytes = body.bytes,
                                                           .repeated = waiting->repeated});
}

/* Returns what batch_begin and batch_commit do. */
static int store_batch(struct http_store *store)
{
    int error = batch_begin(store->batch);
    if (error != 0)
        return error;
    size_t count = 0;
    do
        take(store, &store->waiting[count]);
    while (++count < store->count && !batch_is_full(store->batch));
    error = batch_commit(store->batch);
    if (error != 0)
        return error;
    fault_fails("http.response");
    for (size_t i = 0; i < count; i++) {
        if (store->waiting[i].key[0] != '\0')
            respond_stored(&store->waiting[i]);
        else
            http_send_away(store, store->waiting[i].request, "the queue is full");
    }
    store->count -= count;
    memmove(store->waiting, store->waiting + count, store->count * sizeof store->waiting[0]);
    return 0;
}

static void on_trial(uv_timer_t *timer)
{
    struct http_store *store = timer->data;
    if (batch_try_storage(store->batch) == 0)
        uv_timer_stop(timer);
}

static void commit(struct http_store *store)
{
    int error = 0;
    while (store->count > 0 && error != -EAGAIN) {
        error = store_batch(store);
        if (error == -ENOBUFS) {
            const char *full = http_store_full(store);
            send_all_away(store, full ? full : "the queue is full");
        } else if (error != 0 && error != -EAGAIN) {
            send_all_away(store, "the queue cannot be written");
            if (!uv_is_active((const uv_handle_t *)&store->trial))
                uv_timer_start(&store->trial, on_trial, TRIAL_MS, TRIAL_MS);
        }
    }
}

void http_store_round(struct http_store *store)
{
    batch_release(store->batch);
    commit(store);
}

void http_store_settle(struct http_store *store)
{
    batch_stop_waiting(store->batch);
    commit(store);
    batch_stop_waiting(store->batch);
    send_all_away(store, "the queue is locked");
    batch_release(store->batch); /* no round may follow: the section may be gone */
}

void http_store_hurry(struct http_store *store)
{
    batch_hurry(store->batch);
    commit(store);
}

void http_store_add(struct http_store *store, struct http_request *request, const struct config_http *http,
                    const struct config_route *route)
{
    if (store->count == store->capacity) {
        store->capacity = store->capacity > 0 ? 2 * store->capacity : 64;
        store->waiting = xrealloc(store->waiting, store->capacity * sizeof store->waiting[0]);
    }
    store->waiting[store->count++] = (struct waiting){.request = request, .http = http, .route = route};
}

/* ---- life ---- */

static void on_ready(void *context)
{
    struct http_store *store = context;
    commit(store);
}

struct http_store *http_store_new(uv_loop_t *loop, const struct config_queue *commits, struct intake *intake,
                                  struct queue *queue)
{
    struct http_store *store = xcalloc(1, sizeof *store);
    store->queue = queue;
    int64_t delay_ms = commits->commit_delay_ms < DELAY_MOST_MS ? commits->commit_delay_ms : DELAY_MOST_MS;
    const struct batch_limits limits = {.messages = commits->commit_batch, .delay_ms = delay_ms};
    store->batch = batch_new(intake, loop, &limits, on_ready, store);
    uv_timer_init(loop, &store->trial);
    store->trial.data = store;
    return store;
}

static void on_closed(uv_handle_t *handle)
{
    struct http_store *store = handle->data;
    free(store->waiting);
    free(store);
}

void http_store_free(struct http_store *store)
{
    batch_free(store->batch);
    uv_close((uv_handle_t *)&store->trial, on_closed);
}
