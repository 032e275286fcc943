/* cmd/send_store.c - through the daemon's socket, or into the queue of one that is
 * stopped; see cmd/send.h.
 *
 * There is one writer of new messages at a time: the daemon while it runs, and for a
 * moment this process while it does not. Whoever has the queue's lock is the one; a
 * daemon that starts meanwhile waits for that moment, and after it has time to come to
 * its turn, however much there is to be sent.
 */
#include "base/clock.h"
#include "base/log.h"
#include "cmd/client.h"
#include "cmd/send.h"
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
    YIELD_MS = 150, /* longer than a daemon that starts lets pass between two looks at the lock */
    ANSWER_WAIT_S = 30,
    ANSWER_MOST = 512,
};

static void say(struct cmd_send_store *store, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(struct cmd_send_store *store, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    free(store->words);
    store->words = xvasprintf(format, arguments);
    va_end(arguments);
}

static void hang_up(struct cmd_send_store *store)
{
    if (store->fd >= 0)
        close(store->fd);
    store->fd = -1;
}

void cmd_send_store_done(struct cmd_send_store *store)
{
    hang_up(store);
    free(store->words);
}

/* ---- through the socket ---- */

/* A daemon took nothing, or said nothing, for so long. Whether to go on waiting for it. */
static bool wait_longer(struct cmd_send_store *store)
{
    say(store, "sluice hangs, or is very busy: no answer for %d s; the message may be stored all the same",
        ANSWER_WAIT_S);
    if (store->patient && !store->told_of_hanging)
        fprintf(stderr, "sluice send: sluice hangs, or is very busy: waiting for its answer\n");
    store->told_of_hanging = true;
    return store->patient;
}

/* 0, or -Exxx; -EAGAIN: it hangs. */
static int write_all(struct cmd_send_store *store, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t sent = send(store->fd, data, bytes, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EINTR || (errno == EAGAIN && wait_longer(store))))
            continue;
        if (sent <= 0)
            return sent < 0 ? -errno : -EPIPE;
        data += sent;
        bytes -= (size_t)sent;
    }
    return 0;
}

static int write_pieces(struct cmd_send_store *store, const struct cmd_send_piece *pieces, size_t count)
{
    struct buf frames cleanup_buf;
    buf_init(&frames, SIZE_MAX / 4);
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].fate != CMD_SEND_WAITS)
            continue;
        buf_printf(&frames, "%zu %zu\n%s", strlen(store->topic), pieces[i].payload_bytes, store->topic);
        buf_append(&frames, pieces[i].payload, pieces[i].payload_bytes);
    }
    return write_all(store, buf_text(&frames), frames.bytes);
}

/* Answers are short and few: a byte at a time would do, but they are read as they come. */
struct reader {
    char data[4096];
    size_t bytes, at;
};

/* One line, without its end. 0, or -Exxx; -EAGAIN: it hangs. */
static int read_line(struct cmd_send_store *store, struct reader *reader, char line[static ANSWER_MOST])
{
    size_t used = 0;
    for (;;) {
        if (reader->at == reader->bytes) {
            ssize_t got = read(store->fd, reader->data, sizeof reader->data);
            if (got < 0 && (errno == EINTR || (errno == EAGAIN && wait_longer(store))))
                continue;
            if (got <= 0)
                return got < 0 ? -errno : -ECONNRESET;
            reader->bytes = (size_t)got;
            reader->at = 0;
        }
        char c = reader->data[reader->at++];
        if (c == '\n')
            break;
        if (used < ANSWER_MOST - 1)
            line[used++] = c;
    }
    line[used] = '\0';
    store->told_of_hanging = false;
    return 0;
}

static enum cmd_send_fate fate_of(struct cmd_send_store *store, const char *line)
{
    static const struct {
        const char *word;
        enum cmd_send_fate fate;
    } fates[] = {{"stored", CMD_SEND_STORED},     {"dropped", CMD_SEND_DROPPED}, {"ahead", CMD_SEND_AHEAD},
                 {"unrouted", CMD_SEND_UNROUTED}, {"wrong", CMD_SEND_REFUSED},   {"full", CMD_SEND_AGAIN},
                 {"failed", CMD_SEND_AGAIN}};
    size_t word_bytes = strcspn(line, " ");
    const char *rest = line + word_bytes + (line[word_bytes] == ' ');
    for (size_t i = 0; i < ARRAY_LEN(fates); i++) {
        if (strlen(fates[i].word) != word_bytes || strncmp(fates[i].word, line, word_bytes) != 0)
            continue;
        if (strcmp(fates[i].word, "full") == 0)
            say(store, "the queue is full (%s)", rest);
        else if (*rest)
            say(store, "%s", rest);
        return fates[i].fate;
    }
    say(store, "sluice answers '%s', which is not known here", line);
    return CMD_SEND_AGAIN;
}

static void refuse_all(struct cmd_send_piece *pieces, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pieces[i].fate == CMD_SEND_WAITS)
            pieces[i].fate = CMD_SEND_AGAIN;
}

/* What has no answer when the connection ends is sent again; it may have been stored. */
static void send_pieces(struct cmd_send_store *store, struct cmd_send_piece *pieces, size_t count)
{
    struct reader reader = {.bytes = 0};
    char line[ANSWER_MOST];
    int error = write_pieces(store, pieces, count);
    for (size_t i = 0; i < count && error == 0; i++) {
        if (pieces[i].fate != CMD_SEND_WAITS)
            continue;
        error = read_line(store, &reader, line);
        if (error == 0)
            pieces[i].fate = fate_of(store, line);
    }
    if (error != 0)
        hang_up(store);
    if (error == -EAGAIN)
        refuse_all(pieces, count); /* once more would be twice */
}

/* ---- into the queue ---- */

static void ignore_release(void *unused)
{
    (void)unused;
}

/* Stores the waiting pieces by one commit, and tells their fates in `taken`. */
static int take_pieces(const struct cmd_send_store *store, struct batch *batch,
                       const struct cmd_send_piece *pieces, size_t count, enum cmd_send_fate *taken)
{
    static const enum cmd_send_fate fates[] = {[INTAKE_STORED] = CMD_SEND_STORED,
                                               [INTAKE_AGAIN] = CMD_SEND_STORED,
                                               [INTAKE_DROPPED] = CMD_SEND_DROPPED,
                                               [INTAKE_AHEAD] = CMD_SEND_AHEAD,
                                               [INTAKE_UNROUTED] = CMD_SEND_UNROUTED};
    int error = batch_begin(batch);
    if (error != 0)
        return error;
    for (size_t i = 0; i < count; i++) {
        struct intake_message message = {.topic = store->topic,
                                         .source = "send",
                                         .payload = pieces[i].payload,
                                         .payload_bytes = pieces[i].payload_bytes,
                                         .copy = &(struct route_copy){.filter_count = 0}};
        taken[i] = pieces[i].fate == CMD_SEND_WAITS ? fates[batch_take(batch, &message)] : pieces[i].fate;
    }
    return batch_commit(batch);
}

static void store_in(struct cmd_send_store *store, struct queue *queue, const struct config *config,
                     struct cmd_send_piece *pieces, size_t count)
{
    struct metrics metrics = {0};
    enum cmd_send_fate taken[CMD_SEND_BATCH];
    queue_limit(queue, &config->queue);
    struct intake *intake = intake_new(queue, config, &metrics, ignore_release, NULL);
    struct batch *batch =
        batch_new(intake, NULL, &(struct batch_limits){.messages = CMD_SEND_BATCH}, NULL, NULL);
    int error = take_pieces(store, batch, pieces, count, taken);
    if (error == 0) {
        for (size_t i = 0; i < count; i++)
            pieces[i].fate = taken[i];
    } else if (error == -ENOBUFS) {
        cleanup_free char *full = queue_full_text(queue);
        say(store, "the queue is full (%s), and sluice is stopped", full);
        refuse_all(pieces, count);
    } else {
        say(store, "%s: %s", store->place->queue, batch_error_text(error));
        refuse_all(pieces, count);
    }
    batch_free(batch);
    intake_free(intake);
}

/* While no daemon has it. -EBUSY: one has it by now; the pieces go on waiting. */
static void store_alone(struct cmd_send_store *store, struct cmd_send_piece *pieces, size_t count)
{
    struct config_errors errors = {0};
    struct config *config = config_file_load_hidden(store->config_path, &errors);
    if (!config) {
        say(store, "sluice is stopped, and its configuration is invalid: %s", errors.lines[0]);
        store->hopeless = true;
        refuse_all(pieces, count);
    }
    config_errors_done(&errors);
    if (!config)
        return;
    if (config->queue.trust_clock)
        clock_trust();
    struct queue *queue = NULL;
    cleanup_free char *why = NULL;
    log_init(LOG_LEVEL_WARNING);
    int error = queue_open(store->place->queue, &queue, &why);
    if (error == 0) {
        store_in(store, queue, config, pieces, count);
        queue_close(queue);
        store->yields_to_ms = clock_uptime_ms() + YIELD_MS;
    } else if (error == -EACCES) { /* not hopeless: it is being restarted, most of the time */
        say(store,
            "sluice is stopped, and only root and its user may write its queue: start it, or use sudo");
        refuse_all(pieces, count);
    } else if (error != -EBUSY) {
        say(store, "sluice is stopped, and %s", why);
        store->hopeless = error != -ENOSPC;
        refuse_all(pieces, count);
    }
    config_free(config);
}

static void yield(const struct cmd_send_store *store)
{
    int64_t wait_ms = store->yields_to_ms - clock_uptime_ms();
    if (wait_ms > 0)
        nanosleep(&(struct timespec){.tv_nsec = wait_ms * 1000000}, NULL);
}

/* ---- whichever ---- */

static int connect_to_daemon(struct cmd_send_store *store)
{
    if (store->fd >= 0)
        return 0;
    int fd = client_connect(store->place->socket);
    if (fd < 0)
        return fd;
    struct timeval most = {.tv_sec = ANSWER_WAIT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
    store->fd = fd;
    store->let_in = true;
    if (write_all(store, "send\n", strlen("send\n")) == 0)
        return 0;
    hang_up(store);
    return -ECONNREFUSED;
}

void cmd_send_store(struct cmd_send_store *store, struct cmd_send_piece *pieces, size_t count)
{
    yield(store);
    int error = connect_to_daemon(store);
    if (error == 0) {
        send_pieces(store, pieces, count);
    } else if (error == -EACCES) {
        say(store,
            "%s: you may not: members of the group sluice may (usermod -aG sluice YOUR-NAME, and log "
            "in again), or use sudo",
            store->place->socket);
        store->hopeless = !store->let_in; /* while it starts, its directory is not the group's yet */
        refuse_all(pieces, count);
    } else if (queue_admin_holder(store->place->queue) == 0) {
        store_alone(store, pieces, count);
    } else {
        say(store, "sluice runs, but does not listen at %s: its log says why; mend that, and restart it",
            store->place->socket);
    }
}
