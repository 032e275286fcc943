/* control/send.c - see control/send.h.
 *
 * What a client has sent is stored by one commit, up to a limit, and then gets its results:
 * so a client that does not wait for each result pays for few commits. While the database is
 * locked, or there is more than the limit, we read nothing more from the client: what it
 * sends meanwhile waits in its socket.
 */
#include "control/send.h"
#include "base/clock.h"
#include "control/client.h"
#include "control/protocol.h"
#include "message/topic.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    BATCH_MESSAGES = 500, /* in one commit, with those that are not stored: each has a result */
    BATCH_BYTES = 1024 * 1024,
    BATCH_MS = 10, /* to take them, beside the commit */
    ROUND_MS = 20, /* for all clients, before the loop goes on */
};

/* A message as it lies in the buffer. */
struct frame {
    size_t bytes; /* with its head */
    char *topic;  /* with a NUL, for the caller to free */
    const char *payload;
    size_t payload_bytes;
};

/* ---- frames ---- */

/* "17 34\n" at the buffer's place `at`. Returns 1 and the frame, 0 when it is not
 * whole yet, -EINVAL when it never will be. */
static int read_frame(const struct buf *in, size_t at, struct frame *ret)
{
    const char *head = in->data + at;
    size_t there = in->bytes - at, topic_bytes, payload_bytes;
    const char *newline = memchr(head, '\n', there < CONTROL_HEAD_MOST ? there : CONTROL_HEAD_MOST);
    if (!newline)
        return there < CONTROL_HEAD_MOST ? 0 : -EINVAL;
    char line[CONTROL_HEAD_MOST + 1], rest;
    snprintf(line, sizeof line, "%.*s", (int)(newline - head), head);
    if (line[0] < '0' || line[0] > '9' ||
        sscanf(line, "%zu %zu%c", &topic_bytes, &payload_bytes, &rest) != 2 ||
        topic_bytes > CONTROL_TOPIC_MOST || payload_bytes > CONTROL_PAYLOAD_MOST)
        return -EINVAL;
    size_t head_bytes = (size_t)(newline - head) + 1, bytes = head_bytes + topic_bytes + payload_bytes;
    if (there < bytes)
        return 0;
    *ret = (struct frame){.bytes = bytes,
                          .topic = xcalloc(1, topic_bytes + 1),
                          .payload = newline + 1 + topic_bytes,
                          .payload_bytes = payload_bytes};
    memcpy(ret->topic, newline + 1, topic_bytes);
    if (strlen(ret->topic) != topic_bytes) /* a NUL; no topic has one */
        ret->topic[0] = '\0';
    return 1;
}

/* ---- storing ---- */

/* The messages of one batch. */
struct taking {
    struct control_client *client;
    struct buf results;
    size_t bytes; /* of the frames that were taken */
    unsigned count;
    bool broken; /* what follows is no frame */
};

static void add_result(struct taking *taking, enum control_result result, const char *reason)
{
    buf_printf(&taking->results, "%s%s%s\n", control_result_word(result), *reason ? " " : "", reason);
}

static void take_frame(struct taking *taking, const struct frame *frame)
{
    static const enum control_result results[] = {[INTAKE_STORED] = CONTROL_STORED,
                                                  [INTAKE_AGAIN] = CONTROL_STORED,
                                                  [INTAKE_DROPPED] = CONTROL_DROPPED,
                                                  [INTAKE_AHEAD] = CONTROL_AHEAD,
                                                  [INTAKE_UNROUTED] = CONTROL_UNROUTED};
    const char *why;
    if (!topic_name_valid(frame->topic, &why)) {
        add_result(taking, CONTROL_WRONG, why);
        return;
    }
    struct intake_message message = {
        .topic = frame->topic,
        .source = "send",
        .payload = frame->payload,
        .payload_bytes = frame->payload_bytes,
        .copy = &(struct route_copy){.filter_count = 0}, /* it stands for all filters */
    };
    enum control_result result = results[batch_take(taking->client->batch, &message)];
    add_result(taking, result, result == CONTROL_DROPPED ? "the queue is full (when_full)" : "");
}

static void take_frames(struct taking *taking)
{
    struct buf *in = &taking->client->in;
    struct frame frame;
    int result = 0;
    int64_t end_ms = clock_uptime_ms() + BATCH_MS;
    while (taking->count < BATCH_MESSAGES && taking->bytes < BATCH_BYTES &&
           !batch_is_full(taking->client->batch) && taking->bytes < in->bytes &&
           (taking->count == 0 || clock_uptime_ms() < end_ms) &&
           (result = read_frame(in, taking->bytes, &frame)) > 0) {
        take_frame(taking, &frame);
        free(frame.topic);
        taking->bytes += frame.bytes;
        taking->count++;
    }
    taking->broken = result < 0;
}

/* None of them was stored. */
static void refuse(struct taking *taking, enum control_result result, const char *reason)
{
    buf_reset(&taking->results);
    for (unsigned i = 0; i < taking->count; i++)
        add_result(taking, result, reason);
}

static void skip_frames(struct taking *taking)
{
    struct frame frame;
    while (taking->count < BATCH_MESSAGES && taking->bytes < taking->client->in.bytes &&
           read_frame(&taking->client->in, taking->bytes, &frame) > 0) {
        free(frame.topic);
        taking->bytes += frame.bytes;
        taking->count++;
    }
}

/* 0 when all messages have a result, or -EAGAIN. */
static int store(struct taking *taking)
{
    struct batch *batch = taking->client->batch;
    int error = batch_begin(batch);
    if (error == -EAGAIN)
        return error;
    if (error == 0) {
        take_frames(taking);
        error = batch_commit(batch);
    } else {
        skip_frames(taking);
    }
    if (error == -ENOBUFS) {
        cleanup_free char *full = queue_full_text(taking->client->control->queue);
        refuse(taking, CONTROL_FULL, full);
    } else if (error != 0) {
        refuse(taking, CONTROL_FAILED, batch_error_text(error));
    }
    return 0;
}

static void begin_round(struct control *control)
{
    if (control->round_ms == uv_now(control->loop))
        return;
    control->round_ms = uv_now(control->loop);
    control->spent_ms = 0;
}

static bool has_frame(const struct control_client *client)
{
    struct frame frame = {.topic = NULL};
    int result = client->in.bytes > 0 ? read_frame(&client->in, 0, &frame) : 0;
    free(frame.topic);
    return result != 0;
}

/* What is left is the beginning of a message, whose time runs from now on, however often a
 * little more of it comes. */
static void go_on(struct control_client *client)
{
    if (client->unread == 0 && client->in.bytes == 0)
        client->waits_ms = 0;
    else if (client->waits_ms == 0)
        client->waits_ms = clock_uptime_ms();
    control_client_read(client);
}

static void take_again(uv_timer_t *timer);

/* Stores the whole messages that are there, and responds. */
static void take(struct control_client *client)
{
    if (client->closing || uv_is_active((uv_handle_t *)&client->again) || batch_is_waiting(client->batch))
        return;
    if (!has_frame(client)) {
        go_on(client);
        return;
    }
    control_client_stop_reading(client);
    if (client->unread == 0)
        client->waits_ms = 0; /* it is our turn */
    begin_round(client->control);
    if (client->control->spent_ms >= ROUND_MS) {
        uv_timer_start(&client->again, take_again, 1, 0);
        return;
    }
    struct taking taking = {.client = client};
    buf_init(&taking.results, (BATCH_MESSAGES + 1) * CONTROL_RESULT_MOST);
    int64_t start_ms = clock_uptime_ms();
    int error = store(&taking);
    client->control->spent_ms += clock_uptime_ms() - start_ms;
    if (error == 0) {
        control_client_consume(client, taking.bytes);
        if (taking.broken)
            add_result(&taking, CONTROL_WRONG, "this is no message");
        else if (has_frame(client))
            uv_timer_start(&client->again, take_again, 0, 0);
        assert(!buf_overflowed(&taking.results));
        control_client_respond(client, buf_text(&taking.results), taking.results.bytes, taking.broken);
        batch_release(client->batch);
        if (!taking.broken)
            go_on(client);
    }
    buf_done(&taking.results);
}

static void on_ready(void *context)
{
    take(context);
    control_client_close_if_done(context);
}

static void take_again(uv_timer_t *timer)
{
    on_ready(timer->data);
}

void control_send_begin(struct control_client *client)
{
    const struct batch_limits limits = {.messages = BATCH_MESSAGES};
    client->control->sender_count++;
    client->batch = batch_new(client->control->intake, client->control->loop, &limits, on_ready, client);
    client->received = take;
    client->waits_ms = 0; /* its first message has its own time */
    take(client);
}
