/* cmd/send_store.c - see cmd/send_store.h.
 *
 * There is one writer of new messages at a time: the daemon while it runs, and otherwise, for
 * a moment, this process. The writer has the lock of the queue. A daemon that starts meanwhile
 * waits for the lock, and this process then leaves it free for long enough, however many
 * messages there are to send.
 */
#include "cmd/send_store.h"
#include "base/clock.h"
#include "base/log.h"
#include "cmd/client.h"
#include "cmd/owner.h"
#include "control/protocol.h"
#include "intake/batch.h"
#include "queue/admin/admin.h"
#include "queue/queue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    YIELD_MS = 150, /* a daemon that starts tries the lock more often than this */
    RESPONSE_WAIT_S = 30,
};

static void set_reason(struct sender *sender, const char *format, ...) PRINTF_LIKE(2, 3);

static void set_reason(struct sender *sender, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    free(sender->reason);
    sender->reason = xvasprintf(format, arguments);
    va_end(arguments);
}

static void disconnect(struct sender *sender)
{
    if (sender->fd >= 0)
        close(sender->fd);
    sender->fd = -1;
}

void sender_done(struct sender *sender)
{
    disconnect(sender);
    free(sender->reason);
}

/* ---- through the socket ---- */

/* The daemon did not read or answer for RESPONSE_WAIT_S. Returns whether to go on waiting. */
static bool report_hang(struct sender *sender)
{
    set_reason(sender, "sluice hangs, or is very busy: no response for %d s; the message may be stored",
               RESPONSE_WAIT_S);
    if (sender->patient && !sender->hang_reported)
        fprintf(stderr, "sluice send: sluice hangs, or is very busy: waiting for its response\n");
    sender->hang_reported = true;
    return sender->patient;
}

/* 0, or -Exxx; -EAGAIN: it hangs. */
static int write_all(struct sender *sender, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t sent = send(sender->fd, data, bytes, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EINTR || (errno == EAGAIN && report_hang(sender))))
            continue;
        if (sent <= 0)
            return sent < 0 ? -errno : -EPIPE;
        data += sent;
        bytes -= (size_t)sent;
    }
    return 0;
}

static int write_messages(struct sender *sender, const struct send_message *messages, size_t count)
{
    struct buf frames cleanup_buf;
    buf_init(&frames, BUF_MOST_BYTES);
    for (size_t i = 0; i < count; i++) {
        if (messages[i].result != SEND_PENDING)
            continue;
        buf_printf(&frames, "%zu %zu\n%s", strlen(sender->topic), messages[i].payload_bytes, sender->topic);
        buf_append(&frames, messages[i].payload, messages[i].payload_bytes);
    }
    return write_all(sender, buf_text(&frames), frames.bytes);
}

struct reader {
    char data[4096];
    size_t bytes, at;
};

/* One line, without its end. 0, or -Exxx; -EAGAIN: it hangs. */
static int read_line(struct sender *sender, struct reader *reader, char line[static CONTROL_RESULT_MOST])
{
    size_t used = 0;
    for (;;) {
        if (reader->at == reader->bytes) {
            ssize_t got = read(sender->fd, reader->data, sizeof reader->data);
            if (got < 0 && (errno == EINTR || (errno == EAGAIN && report_hang(sender))))
                continue;
            if (got <= 0)
                return got < 0 ? -errno : -ECONNRESET;
            reader->bytes = (size_t)got;
            reader->at = 0;
        }
        char c = reader->data[reader->at++];
        if (c == '\n')
            break;
        if (used < CONTROL_RESULT_MOST - 1)
            line[used++] = c;
    }
    line[used] = '\0';
    sender->hang_reported = false;
    return 0;
}

static enum send_result parse_result(struct sender *sender, const char *line)
{
    static const enum send_result results[] = {
        [CONTROL_STORED] = SEND_STORED,     [CONTROL_DROPPED] = SEND_DROPPED, [CONTROL_AHEAD] = SEND_AHEAD,
        [CONTROL_UNROUTED] = SEND_UNROUTED, [CONTROL_WRONG] = SEND_REFUSED,   [CONTROL_FULL] = SEND_AGAIN,
        [CONTROL_FAILED] = SEND_AGAIN,      [CONTROL_RESULTS] = SEND_AGAIN};
    const char *reason;
    enum control_result result = control_result_parse(line, &reason);
    if (result == CONTROL_RESULTS)
        set_reason(sender, "the response '%s' of sluice is unknown", line);
    else if (result == CONTROL_FULL)
        set_reason(sender, "the queue is full (%s)", reason);
    else if (*reason)
        set_reason(sender, "%s", reason);
    return results[result];
}

static void fail_pending(struct send_message *messages, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (messages[i].result == SEND_PENDING)
            messages[i].result = SEND_AGAIN;
}

/* A message without a response when the connection ends stays pending; it may be stored. */
static void send_messages(struct sender *sender, struct send_message *messages, size_t count)
{
    struct reader reader = {.bytes = 0};
    char line[CONTROL_RESULT_MOST];
    int error = write_messages(sender, messages, count);
    for (size_t i = 0; i < count && error == 0; i++) {
        if (messages[i].result != SEND_PENDING)
            continue;
        error = read_line(sender, &reader, line);
        if (error == 0)
            messages[i].result = parse_result(sender, line);
    }
    if (error != 0)
        disconnect(sender);
    if (error == -EAGAIN)
        fail_pending(messages, count); /* it may be stored: do not send it twice */
}

/* ---- into the queue ---- */

static void ignore_release(void *unused)
{
    (void)unused;
}

/* Stores the waiting messages by one commit, and sets their results in `taken`. */
static int take_messages(const struct sender *sender, struct batch *batch,
                         const struct send_message *messages, size_t count, enum send_result *taken)
{
    static const enum send_result results[] = {[INTAKE_STORED] = SEND_STORED,
                                               [INTAKE_AGAIN] = SEND_STORED,
                                               [INTAKE_DROPPED] = SEND_DROPPED,
                                               [INTAKE_AHEAD] = SEND_AHEAD,
                                               [INTAKE_UNROUTED] = SEND_UNROUTED};
    int error = batch_begin(batch);
    if (error != 0)
        return error;
    for (size_t i = 0; i < count; i++) {
        struct intake_message message = {.topic = sender->topic,
                                         .source = "send",
                                         .payload = messages[i].payload,
                                         .payload_bytes = messages[i].payload_bytes,
                                         .copy = &(struct route_copy){.filter_count = 0}};
        taken[i] =
            messages[i].result == SEND_PENDING ? results[batch_take(batch, &message)] : messages[i].result;
    }
    return batch_commit(batch);
}

static void store_by_batch(struct sender *sender, struct queue *queue, const struct config *config,
                           struct send_message *messages, size_t count)
{
    struct metrics metrics = {0};
    enum send_result taken[SEND_BATCH_MESSAGES];
    queue_limit(queue, &config->queue);
    struct intake *intake = intake_new(queue, config, &metrics, ignore_release, NULL);
    struct batch *batch =
        batch_new(intake, NULL, &(struct batch_limits){.messages = SEND_BATCH_MESSAGES}, NULL, NULL);
    int error = take_messages(sender, batch, messages, count, taken);
    if (error == 0) {
        for (size_t i = 0; i < count; i++)
            messages[i].result = taken[i];
    } else if (error == -ENOBUFS) {
        cleanup_free char *full = queue_full_text(queue);
        set_reason(sender, "the queue is full (%s), and sluice is stopped", full);
        fail_pending(messages, count);
    } else {
        set_reason(sender, "%s: %s", sender->place->queue, batch_error_text(error));
        fail_pending(messages, count);
    }
    batch_free(batch);
    intake_free(intake);
}

/* While no daemon has the queue. If one has it by now (-EBUSY), the messages stay pending. */
static void store_alone(struct sender *sender, struct send_message *messages, size_t count)
{
    struct config_errors errors = {0};
    struct config *config = config_file_load_hidden(sender->config_path, &errors);
    if (!config) {
        set_reason(sender, "sluice is stopped, and its configuration is invalid: %s", errors.lines[0]);
        sender->permanent = true;
        fail_pending(messages, count);
    }
    config_errors_done(&errors);
    if (!config)
        return;
    if (config->queue.trust_clock)
        clock_trust();
    struct queue *queue = NULL;
    cleanup_free char *why = owner_store_fault(sender->place->service, sender->place->queue);
    log_init(LOG_LEVEL_WARNING);
    int error = why ? -EPERM : queue_open(sender->place->queue, &queue, &why);
    cleanup_free char *owner = error != 0 && error != -EBUSY ? owner_fault(sender->place->queue) : NULL;
    if (error == 0) {
        store_by_batch(sender, queue, config, messages, count);
        queue_close(queue);
        sender->yield_until_ms = clock_uptime_ms() + YIELD_MS;
    } else if (owner) {
        set_reason(sender, "sluice is stopped, and %s", why);
        sender->permanent = true;
        fail_pending(messages, count);
    } else if (error == -EACCES) { /* not permanent: mostly, sluice is just restarting */
        set_reason(
            sender,
            "sluice is stopped, and only root and its user may write its queue: start it, or use sudo");
        fail_pending(messages, count);
    } else if (error != -EBUSY) {
        set_reason(sender, "sluice is stopped, and %s", why);
        sender->permanent = error != -ENOSPC;
        fail_pending(messages, count);
    }
    config_free(config);
}

static void yield(const struct sender *sender)
{
    int64_t wait_ms = sender->yield_until_ms - clock_uptime_ms();
    if (wait_ms > 0)
        nanosleep(&(struct timespec){.tv_nsec = (long)wait_ms * 1000000}, NULL);
}

/* ---- either ---- */

static int connect_to_daemon(struct sender *sender)
{
    if (sender->fd >= 0)
        return 0;
    int fd = client_connect(sender->place);
    if (fd < 0)
        return fd;
    struct timeval most = {.tv_sec = RESPONSE_WAIT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
    sender->fd = fd;
    sender->was_connected = true;
    if (write_all(sender, CONTROL_SEND "\n", strlen(CONTROL_SEND "\n")) == 0)
        return 0;
    disconnect(sender);
    return -ECONNREFUSED;
}

void sender_store(struct sender *sender, struct send_message *messages, size_t count)
{
    yield(sender);
    int error = connect_to_daemon(sender);
    if (error == 0) {
        send_messages(sender, messages, count);
    } else if (error == -EACCES) {
        set_reason(
            sender,
            "%s: permission denied: members of the group sluice may send (usermod -aG sluice YOUR-NAME, and "
            "log in again), or use sudo",
            sender->place->socket);
        /* While sluice starts, its directory does not belong to the group yet. */
        sender->permanent = !sender->was_connected;
        fail_pending(messages, count);
    } else if (queue_admin_holder(sender->place->queue) == 0) {
        store_alone(sender, messages, count);
    } else {
        set_reason(
            sender,
            "sluice runs, but does not listen at %s: its log has the reason; correct that, and restart it",
            sender->place->socket);
    }
}
