/* control/send.c - messages that clients of the control socket send.
 *
 * What a client sent until now is stored by one commit, up to a limit, and then
 * answered, so one that does not wait for each answer pays for few commits. While the
 * database is locked, or there is more than the limit, nothing more is read from it:
 * what it goes on to send waits in its socket.
 */
#include "base/clock.h"
#include "control/internal.h"
#include "message/topic.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    BATCH_MESSAGES = 500, /* in one commit */
    BATCH_MS = 10,        /* to take them, beside the commit */
    ROUND_MS = 20,        /* for all clients, before the loop comes round */
    ANSWER_MOST = 200,    /* bytes of one answer */
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

/* What one transaction holds. */
struct taking {
    struct client *client;
    struct buf answers;
    size_t bytes; /* of the frames that were taken */
    unsigned count;
    bool broken; /* what follows is no frame */
};

static void take_frame(struct taking *taking, const struct frame *frame)
{
    const char *why;
    if (!topic_name_valid(frame->topic, &why)) {
        buf_printf(&taking->answers, "wrong %s\n", why);
        return;
    }
    struct intake_message message = {
        .topic = frame->topic,
        .source = "send",
        .payload = frame->payload,
        .payload_bytes = frame->payload_bytes,
        .copy = &(struct route_copy){.filter_count = 0}, /* it stands for all filters */
    };
    switch (batch_take(taking->client->batch, &message)) {
    case INTAKE_STORED:
    case INTAKE_AGAIN:
        buf_append_text(&taking->answers, "stored\n");
        break;
    case INTAKE_DROPPED:
        buf_append_text(&taking->answers,
                        "dropped the queue is full, and its configuration says so (when_full)\n");
        break;
    case INTAKE_AHEAD:
        buf_append_text(&taking->answers, "ahead\n");
        break;
    case INTAKE_UNROUTED:
        buf_append_text(&taking->answers, "unrouted\n");
        break;
    }
}

static void take_frames(struct taking *taking)
{
    struct buf *in = &taking->client->in;
    struct frame frame;
    int result = 0;
    int64_t end_ms = clock_uptime_ms() + BATCH_MS;
    while (!batch_is_full(taking->client->batch) && taking->bytes < in->bytes &&
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
static void refuse(struct taking *taking, const char *word, const char *why)
{
    buf_reset(&taking->answers);
    for (unsigned i = 0; i < taking->count; i++)
        buf_printf(&taking->answers, "%s %s\n", word, why);
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

/* 0 when all of it is answered, or -EAGAIN. */
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
        refuse(taking, "full", full);
    } else if (error != 0) {
        refuse(taking, "failed", batch_error_text(error));
    }
    return 0;
}

/* Whether clients had their share of this round of the loop. */
static bool is_spent(struct control *control)
{
    if (control->round_ms != uv_now(control->loop)) {
        control->round_ms = uv_now(control->loop);
        control->spent_ms = 0;
    }
    return control->spent_ms >= ROUND_MS;
}

static bool has_frame(const struct client *client)
{
    struct frame frame = {.topic = NULL};
    int result = client->in.bytes > 0 ? read_frame(&client->in, 0, &frame) : 0;
    free(frame.topic);
    return result != 0;
}

static void take_again(void *context)
{
    control_take(context);
    control_close_if_done(context);
}

static void on_again(uv_timer_t *timer)
{
    take_again(timer->data);
}

/* Whatever is left is the beginning of a message; all of it has its time from then on,
 * however often a little more of it comes. */
static void go_on(struct client *client)
{
    if (client->unread == 0 && client->in.bytes == 0)
        client->waits_ms = 0;
    else if (client->waits_ms == 0)
        client->waits_ms = clock_uptime_ms();
    control_read_on(client);
}

void control_take(struct client *client)
{
    if (client->closing || uv_is_active((uv_handle_t *)&client->again) || batch_is_waiting(client->batch))
        return;
    if (!has_frame(client)) {
        go_on(client);
        return;
    }
    control_read_stop(client);
    if (client->unread == 0)
        client->waits_ms = 0; /* it is our turn */
    if (is_spent(client->control)) {
        uv_timer_start(&client->again, on_again, 1, 0);
        return;
    }
    struct taking taking = {.client = client};
    buf_init(&taking.answers, (BATCH_MESSAGES + 1) * ANSWER_MOST);
    int64_t start_ms = clock_uptime_ms();
    int error = store(&taking);
    client->control->spent_ms += clock_uptime_ms() - start_ms;
    if (error == 0) {
        memmove(client->in.data, client->in.data + taking.bytes, client->in.bytes - taking.bytes);
        client->in.bytes -= taking.bytes;
        if (client->in.bytes == 0)
            buf_done(&client->in); /* it may be large, and the client be silent for hours */
        if (taking.broken)
            buf_append_text(&taking.answers, "wrong this is no message\n");
        if (!taking.broken && has_frame(client))
            uv_timer_start(&client->again, on_again, 0, 0);
        control_answer(client, buf_text(&taking.answers), taking.answers.bytes, taking.broken);
        batch_release(client->batch);
        if (!taking.broken)
            go_on(client);
    }
    buf_done(&taking.answers);
}

void control_take_first(struct client *client)
{
    const struct batch_limits limits = {.messages = BATCH_MESSAGES};
    client->batch = batch_new(client->control->intake, client->control->loop, &limits, take_again, client);
    control_take(client);
}
