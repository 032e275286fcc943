/* http/edge.c - the HTTP edge: read, commit, and only then answer.
 *
 * POST, PUT and PATCH below /api are stored as messages. Their clients wait until the
 * commit is on the disk; all that came together share one (on_round), as messages from
 * the broker do. What cannot be stored is answered 503, and the client keeps it.
 *
 *     requests ──► waiting ──► BEGIN, a row each, COMMIT ──► 202, {"id":"<key>"}
 *                     ▲                │ locked: again in a moment
 *                     └────────────────┘ fails: 503
 *
 * GET and HEAD are passed on at once (http/passthrough.c). Everything else goes nowhere.
 */
#include "http/edge.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "http/passthrough.h"
#include "http/server.h"
#include "intake/batch.h"
#include "request/target.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

enum {
    DELAY_MOST_MS = 1000,   /* of a commit (commit_delay): clients do not wait for ever */
    TRIAL_MS = 2000,        /* while the storage fails */
    TELL_MS = 60 * 1000,    /* clients that are sent away */
    VALUE_MOST_BYTES = 255, /* of a header that is kept */
};

struct door {
    struct intake_http *http;
    const struct config_http *config;
    char *name;
    bool closing; /* it takes nothing more, and says so */
    struct httpd *httpd;
    struct pass *pass; /* NULL before it is used */
};

struct intake_http {
    uv_loop_t *loop;
    const struct config *config;
    struct queue *queue;
    struct batch *batch;
    struct door **doors;
    size_t door_count;
    struct httpd_request **waiting; /* for the commit */
    size_t waiting_count, waiting_capacity;
    uv_timer_t trial;   /* active: a commit failed */
    int64_t told_ms;    /* of clients that were sent away; 0: never yet */
    uint64_t sent_away; /* since that was told */
};

/* ---- what is taken ---- */

/* What is kept of a header goes into one of a request: visible ASCII and blanks. */
static bool is_fit(const char *value, bool blanks)
{
    size_t bytes = 0;
    for (; value[bytes]; bytes++) {
        unsigned char c = (unsigned char)value[bytes];
        if (c > 0x7e || c < (blanks ? 0x20 : 0x21))
            return false;
    }
    return bytes > 0 && bytes <= VALUE_MOST_BYTES;
}

static void send_away(struct intake_http *http, struct httpd_request *request, const char *words)
{
    httpd_refuse(request, 503, words);
    int64_t now_ms = clock_uptime_ms();
    http->sent_away++;
    if (http->told_ms != 0 && now_ms - http->told_ms < TELL_MS)
        return;
    log_warning(EVENT_HTTP_UNAVAILABLE, "%s: %llu requests got 503 since the last line", words,
                (unsigned long long)http->sent_away);
    http->told_ms = now_ms;
    http->sent_away = 0;
}

/* Why the queue takes nothing (queue_hold). */
static const char *hold_text(const struct intake_http *http)
{
    const char *full = queue_hold(http->queue);
    return full && strcmp(full, "storage") == 0 ? "the queue cannot be written" : "the queue is full";
}

static void check_message(struct intake_http *http, struct httpd_request *request)
{
    const char *type = httpd_header(request, "Content-Type");
    const char *encoding = httpd_header(request, "Content-Encoding");
    const char *key = httpd_header(request, "Idempotency-Key");
    if (type && *type && !is_fit(type, true))
        httpd_refuse(request, 400, "Content-Type is too long, or holds more than visible ASCII");
    else if (key && (!is_fit(key, false) || strlen(key) >= MESSAGE_KEY_BYTES))
        httpd_refuse(request, 400, "Idempotency-Key must be 1 to 128 visible ASCII characters");
    else if (encoding && strcasecmp(encoding, "identity") != 0)
        httpd_refuse(request, 415, "Content-Encoding is not understood here: send the body as it is");
    else if (queue_hold(http->queue))
        send_away(http, request, hold_text(http));
}

static bool is_one_of(const char *method, const char *const methods[3])
{
    for (int i = 0; i < 3 && methods[i]; i++)
        if (strcmp(method, methods[i]) == 0)
            return true;
    return false;
}

static bool is_message(const struct httpd_request *request)
{
    static const char *const methods[3] = {"POST", "PUT", "PATCH"};
    return is_one_of(httpd_method(request), methods);
}

static bool is_query(const struct httpd_request *request)
{
    static const char *const methods[3] = {"GET", "HEAD"};
    return is_one_of(httpd_method(request), methods);
}

static void refuse_method(struct httpd_request *request, bool passthrough)
{
    static const char body[] = "{\"error\":\"this method is not taken here\"}\n";
    httpd_answer(request, &(struct httpd_answer){.status = 405,
                                                 .body = body,
                                                 .body_bytes = sizeof body - 1,
                                                 .allow = passthrough ? "GET, HEAD, PATCH, POST, PUT"
                                                                      : "PATCH, POST, PUT"});
}

static void on_head(void *context, struct httpd_request *request)
{
    struct door *door = context;
    const char *target = httpd_target(request), *why = NULL;
    switch (target_check(target, strlen(target), &why)) {
    case TARGET_BAD:
        httpd_refuse(request, 400, why);
        return;
    case TARGET_ELSEWHERE:
        httpd_refuse(request, 404, "there is nothing here but /api");
        return;
    case TARGET_FINE:
        break;
    }
    if (door->closing)
        send_away(door->http, request, "sluice is stopping");
    else if (is_message(request))
        check_message(door->http, request);
    else if (!is_query(request) || !door->config->passthrough)
        refuse_method(request, door->config->passthrough);
}

/* ---- the commit ---- */

static char *topic_of(const struct httpd_request *request)
{
    char client[ADDRESS_TEXT_BYTES];
    address_format(httpd_client(request), client);
    const char *target = httpd_target(request);
    return xasprintf("%s%.*s", client, (int)strcspn(target, "?"), target);
}

struct taken {
    char key[MESSAGE_KEY_BYTES]; /* empty: it is not stored */
    bool repeated;
};

static void take(struct intake_http *http, const struct httpd_request *request, struct taken *ret)
{
    const struct door *door = httpd_context(request);
    cleanup_free char *topic = topic_of(request);
    const char *type = httpd_header(request, "Content-Type");
    struct intake_request message = {
        .route = http->config->routes[door->config->route].name,
        .topic = topic,
        .method = httpd_method(request),
        .target = httpd_target(request),
        .content_type = type && *type ? type : NULL,
        .idempotency_key = httpd_header(request, "Idempotency-Key"),
    };
    message.payload = httpd_body(request, &message.payload_bytes);
    ret->key[0] = '\0';
    ret->repeated = batch_take_request(http->batch, &message, ret->key) == -EEXIST;
    if (ret->repeated)
        log_debug(EVENT_HTTP_REPEATED, "topic %s: a request with the same key is in the queue already",
                  topic);
}

/* The key, which holds visible ASCII only, as JSON. */
static void confirm(struct httpd_request *request, const struct taken *taken)
{
    const struct door *door = httpd_context(request);
    struct buf body cleanup_buf;
    buf_init(&body, 2 * MESSAGE_KEY_BYTES + 16);
    buf_append_text(&body, "{\"id\":\"");
    for (const char *key = taken->key; *key; key++) {
        if (*key == '"' || *key == '\\')
            buf_append_char(&body, '\\');
        buf_append_char(&body, *key);
    }
    buf_append_text(&body, "\"}\n");
    httpd_answer(request, &(struct httpd_answer){.status = door->config->accepted_status,
                                                 .body = body.data,
                                                 .body_bytes = body.bytes,
                                                 .repeated = taken->repeated});
}

static void forget(struct intake_http *http, size_t count)
{
    http->waiting_count -= count;
    memmove(http->waiting, http->waiting + count, http->waiting_count * sizeof http->waiting[0]);
}

static void send_all_away(struct intake_http *http, const char *words)
{
    for (size_t i = 0; i < http->waiting_count; i++)
        send_away(http, http->waiting[i], words);
    http->waiting_count = 0;
}

/* Returns what batch_begin and batch_commit do. */
static int store_batch(struct intake_http *http)
{
    int error = batch_begin(http->batch);
    if (error != 0)
        return error;
    struct taken *taken = xcalloc(http->waiting_count, sizeof *taken);
    size_t count = 0;
    do
        take(http, http->waiting[count], &taken[count]);
    while (++count < http->waiting_count && !batch_is_full(http->batch));
    error = batch_commit(http->batch);
    if (error == 0)
        fault_fails("http.answer");
    for (size_t i = 0; error == 0 && i < count; i++) {
        if (taken[i].key[0] != '\0')
            confirm(http->waiting[i], &taken[i]);
        else
            send_away(http, http->waiting[i], "the queue is full");
    }
    free(taken);
    if (error == 0)
        forget(http, count);
    return error;
}

static void on_trial(uv_timer_t *timer)
{
    struct intake_http *http = timer->data;
    if (batch_try_storage(http->batch) == 0)
        uv_timer_stop(timer);
}

static void commit(struct intake_http *http)
{
    while (http->waiting_count > 0) {
        int error = store_batch(http);
        if (error == -EAGAIN)
            return;
        if (error == -ENOBUFS) {
            send_all_away(http, hold_text(http));
        } else if (error != 0) {
            send_all_away(http, "the queue cannot be written");
            if (!uv_is_active((const uv_handle_t *)&http->trial))
                uv_timer_start(&http->trial, on_trial, TRIAL_MS, TRIAL_MS);
        }
    }
}

/* The answers to what was committed are on their way by now. */
static void on_round(void *context)
{
    struct door *door = context;
    struct intake_http *http = door->http;
    batch_release(http->batch);
    commit(http);
}

static void flush_all(struct intake_http *http)
{
    for (size_t i = 0; i < http->door_count; i++)
        httpd_flush(http->doors[i]->httpd);
}

static void on_ready(void *context)
{
    struct intake_http *http = context;
    commit(http);
    flush_all(http);
}

static void on_whole(void *context, struct httpd_request *request)
{
    struct door *door = context;
    struct intake_http *http = door->http;
    if (door->closing) {
        send_away(http, request, "sluice is stopping");
        return;
    }
    if (!is_message(request)) {
        if (!door->pass)
            door->pass = pass_new(http->loop, http->config, door->config);
        pass_start(door->pass, request);
        return;
    }
    if (http->waiting_count == http->waiting_capacity) {
        http->waiting_capacity = http->waiting_capacity > 0 ? 2 * http->waiting_capacity : 64;
        http->waiting = xrealloc(http->waiting, http->waiting_capacity * sizeof http->waiting[0]);
    }
    http->waiting[http->waiting_count++] = request;
}

/* ---- life ---- */

static const struct httpd_calls calls = {.head = on_head, .whole = on_whole, .round = on_round};

static struct door *open_door(struct intake_http *http, const struct config_http *config)
{
    struct door *door = xcalloc(1, sizeof *door);
    *door = (struct door){.http = http, .config = config, .name = xstrdup(config->name)};
    door->httpd = httpd_new(http->loop, config, &calls, door);
    return door;
}

/* Its requests have been answered, but the answers may not be out. */
static void close_door(struct door *door)
{
    door->closing = true;
    httpd_close(door->httpd);
    httpd_flush(door->httpd);
    httpd_free(door->httpd);
    free(door->name);
    free(door);
}

/* Every request that waits is answered: those for the commit once it is made, those for
 * the backend without waiting for it. */
static void settle_waiting(struct intake_http *http)
{
    for (size_t i = 0; i < http->door_count; i++) {
        pass_free(http->doors[i]->pass);
        http->doors[i]->pass = NULL;
    }
    batch_stop_waiting(http->batch);
    commit(http);
    send_all_away(http, "the queue is locked");
}

static struct door *take_door(struct intake_http *http, const char *name)
{
    for (size_t i = 0; i < http->door_count; i++) {
        struct door *door = http->doors[i];
        if (door && strcmp(door->name, name) == 0) {
            http->doors[i] = NULL;
            return door;
        }
    }
    return NULL;
}

static void open_doors(struct intake_http *http)
{
    struct door **doors = xcalloc(http->config->http_count, sizeof *doors);
    size_t count = 0;
    for (size_t i = 0; i < http->config->http_count; i++) {
        const struct config_http *config = &http->config->https[i];
        if (config->listens.count == 0)
            continue;
        struct door *door = take_door(http, config->name);
        if (door) {
            door->config = config;
            httpd_reconfigure(door->httpd, config);
        }
        doors[count++] = door;
    }
    for (size_t i = 0; i < http->door_count; i++)
        if (http->doors[i])
            close_door(http->doors[i]);
    /* New ones open when old ones have let their addresses go. */
    for (size_t i = 0, next = 0; i < http->config->http_count; i++) {
        if (http->config->https[i].listens.count == 0)
            continue;
        if (!doors[next])
            doors[next] = open_door(http, &http->config->https[i]);
        next++;
    }
    free(http->doors);
    http->doors = doors;
    http->door_count = count;
}

void intake_http_describe(const struct intake_http *http, struct cJSON *array)
{
    const char *full = queue_full(http->queue);
    bool newest = http->config->queue.when_full == CONFIG_FULL_DROP_NEWEST;
    bool holding = queue_hold(http->queue) || (full && newest);
    cleanup_free char *why = holding ? queue_full_text(http->queue) : NULL;
    for (size_t i = 0; i < http->door_count; i++) {
        struct cJSON *to = status_append(array);
        status_add_text(to, STATUS_HTTP_NAME, http->doors[i]->name);
        status_add_text(to, STATUS_HTTP_STATE, holding ? "holding" : "ok");
        status_add_text(to, STATUS_HTTP_WHY, why);
        httpd_describe(http->doors[i]->httpd, to);
    }
}

void intake_http_reconfigure(struct intake_http *http, const struct config *config)
{
    settle_waiting(http);
    http->config = config;
    open_doors(http);
    flush_all(http);
}

struct intake_http *intake_http_new(uv_loop_t *loop, const struct config *config, struct intake *intake,
                                    struct queue *queue)
{
    struct intake_http *http = xcalloc(1, sizeof *http);
    http->loop = loop;
    http->config = config;
    http->queue = queue;
    int64_t delay_ms = config->queue.commit_delay_ms;
    const struct batch_limits limits = {.messages = config->queue.commit_batch,
                                        .delay_ms = delay_ms < DELAY_MOST_MS ? delay_ms : DELAY_MOST_MS};
    http->batch = batch_new(intake, loop, &limits, on_ready, http);
    uv_timer_init(loop, &http->trial);
    http->trial.data = http;
    open_doors(http);
    return http;
}

void intake_http_hurry(struct intake_http *http)
{
    for (size_t i = 0; i < http->door_count; i++)
        httpd_close(http->doors[i]->httpd);
    batch_hurry(http->batch);
    commit(http);
    flush_all(http);
}

static void on_closed(uv_handle_t *handle)
{
    struct intake_http *http = handle->data;
    free(http->waiting);
    free(http);
}

void intake_http_free(struct intake_http *http)
{
    if (!http)
        return;
    settle_waiting(http);
    for (size_t i = 0; i < http->door_count; i++)
        close_door(http->doors[i]);
    http->door_count = 0;
    free(http->doors);
    batch_free(http->batch);
    uv_close((uv_handle_t *)&http->trial, on_closed);
}
