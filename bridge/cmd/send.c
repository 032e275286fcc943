/* cmd/send.c - sluice send: puts messages into the queue as if they had come by MQTT. Exit
 * status 0 means that they are durable.
 *
 * With -l, lines that come together are stored together, and the next ones come meanwhile. A
 * line that cannot be stored now, because the queue is full or sluice is starting, is tried
 * again, because it cannot be read from standard input again.
 */
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/locate.h"
#include "cmd/send_store.h"
#include "control/protocol.h"
#include "message/topic.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    TRY_WAIT_MS = 100,
    TRIES_MOST = 100,
    REPORT_TRIES = 20,    /* a daemon that starts or stops takes no longer */
    AGAIN_WAIT_MS = 1000, /* after the sender reported a reason */
};

struct sending {
    const char *config_path, *topic, *payload; /* NULL: lines */
    bool lines;
    struct config_place place;
    struct sender sender;
};

static int fail(const struct sending *sending, int status, const char *message)
{
    fprintf(stderr, "sluice send: %s%s%s\n", sending->topic ? sending->topic : "", sending->topic ? ": " : "",
            message);
    return status;
}

static void wait_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* The exit status for one message; reports why it is not stored. */
static int status_of(const struct sending *sending, const struct send_message *message)
{
    const char *reason = sending->sender.reason ? sending->sender.reason : "it could not be stored";
    switch (message->result) {
    case SEND_STORED:
        return CMD_EXIT_OK;
    case SEND_UNROUTED:
        return fail(sending, CMD_EXIT_DATA,
                    "no route takes this topic; see [route NAME] in the configuration");
    case SEND_REFUSED:
        return fail(sending, CMD_EXIT_DATA, reason);
    case SEND_DROPPED:
        return fail(sending, CMD_EXIT_AGAIN, "the queue is full, and it was dropped (when_full)");
    case SEND_AHEAD:
        return fail(sending, CMD_EXIT_AGAIN,
                    "this reading (\"s\") is more than 64 ahead of one that is missing: send that one first");
    default:
        return fail(sending, sending->sender.permanent ? CMD_EXIT_FAILED : CMD_EXIT_AGAIN, reason);
    }
}

/* ---- one message ---- */

static int send_one(struct sending *sending, const char *payload, size_t bytes)
{
    struct send_message message = {.payload = payload, .payload_bytes = bytes};
    if (bytes > CONTROL_PAYLOAD_MOST)
        return fail(sending, CMD_EXIT_DATA, "a payload has at most 1 MiB");
    for (int i = 0; i < TRIES_MOST && message.result == SEND_PENDING; i++) {
        if (i > 0)
            wait_ms(TRY_WAIT_MS);
        sender_store(&sending->sender, &message, 1);
    }
    return status_of(sending, &message);
}

static int send_input(struct sending *sending)
{
    struct buf input cleanup_buf;
    buf_init(&input, CONTROL_PAYLOAD_MOST + 1);
    char chunk[16 * 1024];
    ssize_t got;
    while ((got = read(STDIN_FILENO, chunk, sizeof chunk)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(sending, CMD_EXIT_FAILED, strerror(errno));
        if (buf_append(&input, chunk, (size_t)got) != 0)
            return fail(sending, CMD_EXIT_DATA, "a payload has at most 1 MiB");
    }
    return send_one(sending, buf_text(&input), input.bytes);
}

/* ---- lines ---- */

struct line_batch {
    struct send_message messages[SEND_BATCH_MESSAGES];
    size_t count;
};

static bool has_pending(const struct line_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->messages[i].result == SEND_PENDING)
            return true;
    return false;
}

/* Makes the messages pending again that could not be stored now. Returns whether there are any. */
static bool retry_failed(struct line_batch *batch)
{
    bool any = false;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->messages[i].result == SEND_AGAIN) {
            batch->messages[i].result = SEND_PENDING;
            any = true;
        }
    return any;
}

static int send_batch(struct sending *sending, struct line_batch *batch)
{
    bool reported = false;
    int status = CMD_EXIT_OK;
    for (int tries = 1; has_pending(batch); tries++) {
        sender_store(&sending->sender, batch->messages, batch->count);
        bool again = !sending->sender.permanent && retry_failed(batch);
        bool lasts = has_pending(batch) && (again || tries >= REPORT_TRIES);
        if (lasts && !reported && sending->sender.reason) {
            fprintf(stderr, "sluice send: %s; trying again\n", sending->sender.reason);
            reported = true;
        }
        if (has_pending(batch))
            wait_ms(again ? AGAIN_WAIT_MS : TRY_WAIT_MS);
    }
    if (reported)
        fprintf(stderr, "sluice send: stored\n");
    for (size_t i = 0; i < batch->count && (status == CMD_EXIT_OK || status == CMD_EXIT_AGAIN); i++) {
        int one = status_of(sending, &batch->messages[i]);
        status = one != CMD_EXIT_OK ? one : status;
    }
    return status;
}

/* Adds a line to the batch, without the CR that serial lines end with, unless it is blank.
 * Returns false if it is too long. */
static bool add_line(struct line_batch *batch, const char *line, size_t bytes)
{
    if (bytes > 0 && line[bytes - 1] == '\r')
        bytes--;
    if (bytes > CONTROL_PAYLOAD_MOST)
        return false;
    if (bytes > 0)
        batch->messages[batch->count++] = (struct send_message){.payload = line, .payload_bytes = bytes};
    return true;
}

/* Fills the batch with whole lines of the input, up to one that is too long; at the end of the
 * input, the last line needs no line end. Returns the number of their bytes. */
static size_t fill(struct line_batch *batch, const struct buf *input, bool end)
{
    size_t at = 0;
    batch->count = 0;
    while (at < input->bytes && batch->count < SEND_BATCH_MESSAGES && at < SEND_BATCH_BYTES) {
        const char *line = input->data + at, *newline = memchr(line, '\n', input->bytes - at);
        if (!newline && !end)
            break;
        size_t bytes = newline ? (size_t)(newline - line) : input->bytes - at;
        if (!add_line(batch, line, bytes))
            break;
        at += bytes + (newline != NULL);
    }
    return at;
}

static int send_lines(struct sending *sending)
{
    struct buf input cleanup_buf;
    struct line_batch batch;
    buf_init(&input, CONTROL_PAYLOAD_MOST + 64 * 1024);
    int status = CMD_EXIT_OK;
    for (bool end = false; status == CMD_EXIT_OK || status == CMD_EXIT_AGAIN;) {
        char chunk[64 * 1024];
        size_t used = fill(&batch, &input, end);
        if (used > 0) {
            int one = send_batch(sending, &batch);
            status = one != CMD_EXIT_OK ? one : status;
            memmove(input.data, input.data + used, input.bytes - used);
            input.bytes -= used;
            continue;
        }
        if (input.bytes > CONTROL_PAYLOAD_MOST + (end ? 0U : 1U)) /* the last byte may be a CR */
            return fail(sending, CMD_EXIT_DATA, "a line has at most 1 MiB");
        if (end)
            break;
        ssize_t got = read(STDIN_FILENO, chunk, sizeof chunk);
        if (got < 0 && errno != EINTR)
            return fail(sending, CMD_EXIT_FAILED, strerror(errno));
        end = got == 0;
        if (got > 0)
            buf_append(&input, chunk, (size_t)got);
    }
    return status;
}

/* ---- the command line ---- */

static int read_args(struct sending *sending, const struct command *command, int argc, char **argv)
{
    struct args args = {.command = "sluice send", .options = command->options, .argc = argc, .argv = argv};
    const char *value = NULL;
    int letter;
    while ((letter = args_next(&args, &value)) != ARGS_END) {
        if (letter == ARGS_WRONG)
            return CMD_EXIT_USAGE;
        if (letter == 'c')
            sending->config_path = value;
        else if (letter == 'l')
            sending->lines = true;
        else if (!sending->topic)
            sending->topic = value;
        else if (!sending->payload)
            sending->payload = value;
        else
            return args_wrong(&args, "unexpected '%s'; put a payload with blanks into quotes", value);
    }
    if (!sending->topic)
        return args_wrong(&args, "the topic is missing");
    if (!sending->lines && !sending->payload)
        return args_wrong(&args,
                          "the payload is missing; use - for standard input, or '' for an empty payload");
    if (sending->lines && sending->payload)
        return args_wrong(&args, "-l takes payloads from standard input, and none from here");
    return CMD_EXIT_OK;
}

static int send_command(const struct command *command, int argc, char **argv)
{
    struct sending sending = {.config_path = CMD_DEFAULT_CONFIG};
    int status = read_args(&sending, command, argc, argv);
    if (status != CMD_EXIT_OK)
        return status;
    const char *why;
    if (!topic_name_valid(sending.topic, &why)) {
        fprintf(stderr, "sluice send: '%s' is not a topic: %s\n", sending.topic, why);
        return CMD_EXIT_DATA;
    }
    status = locate_queue("sluice send", sending.config_path, &sending.place);
    if (status != CMD_EXIT_OK)
        return status;
    sending.sender = (struct sender){
        .config_path = sending.config_path,
        .place = &sending.place,
        .topic = sending.topic,
        .patient = sending.lines,
        .fd = -1,
    };
    if (sending.lines)
        status = send_lines(&sending);
    else if (strcmp(sending.payload, "-") == 0)
        status = send_input(&sending);
    else
        status = send_one(&sending, sending.payload, strlen(sending.payload));
    sender_done(&sending.sender);
    config_place_done(&sending.place);
    return status;
}

const struct command cmd_send = {
    .run = send_command,
    .options = (const struct command_option[]){{'c', NULL, true}, {'l', NULL, false}, {0}},
    .help = "Puts a message into the queue as if it had come by MQTT: through a running\n"
            "sluice, or into the queue of a stopped one. Exit status 0 means that it is on\n"
            "the disk.\n"
            "\n"
            "  TOPIC    goes to every route whose topic filter matches\n"
            "  PAYLOAD  as it is, at most 1 MiB; after -- if it begins with -\n"
            "  -        the payload is all of standard input\n"
            "  -l       each line of standard input is a payload, until it ends, as in\n"
            "               sluice send -l garden/usb/sensor </dev/ttyUSB0\n"
            "           Blank lines are left out. A line that is not stored is tried again;\n"
            "           if sluice ends before it acknowledges, it may be stored twice.\n"
            "  -c FILE  the configuration; default " CMD_DEFAULT_CONFIG "\n"
            "\n"
            "Exit status: 0 stored, 1 failed, 2 wrong command line, 65 no route takes the\n"
            "topic, or it is invalid, or the payload is too long, 75 not stored now: try\n"
            "again, 78 the configuration cannot be read.\n",
};
