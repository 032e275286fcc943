/* cmd/send.c - sluice send TOPIC [PAYLOAD | - | -l]: puts messages into the queue as if
 * they had come by MQTT, and ends with 0 only when they are durable.
 *
 * With -l, lines that came together are stored together, and while that is done the
 * next ones come. What cannot be stored now, for the queue is full or sluice is just
 * being started, is tried again: nobody is there who could read the line once more.
 */
#include "cmd/send.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/locate.h"
#include "message/topic.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    TRIES_MS = 100,
    TRIES = 100,
    TELL_TRIES = 20, /* a daemon that is about to start or to stop takes no longer */
    PATIENCE_MS = 1000,
};

struct sending {
    const char *config_path, *topic, *payload; /* NULL: empty, or lines */
    bool lines;
    struct config_place place;
    struct cmd_send_store store;
};

static int fail(const struct sending *sending, int status, const char *words)
{
    fprintf(stderr, "sluice send: %s%s%s\n", sending->topic ? sending->topic : "", sending->topic ? ": " : "",
            words);
    return status;
}

static void wait_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* What one piece means for the command. */
static int status_of(const struct sending *sending, const struct cmd_send_piece *piece)
{
    const char *words = sending->store.words ? sending->store.words : "it could not be stored";
    switch (piece->fate) {
    case CMD_SEND_STORED:
        return CMD_EXIT_OK;
    case CMD_SEND_UNROUTED:
        return fail(sending, CMD_EXIT_DATA,
                    "no route takes this topic; see [route NAME] in the configuration");
    case CMD_SEND_REFUSED:
        return fail(sending, CMD_EXIT_DATA, words);
    case CMD_SEND_DROPPED:
        return fail(sending, CMD_EXIT_AGAIN, "the queue is full, and it was dropped (when_full)");
    case CMD_SEND_AHEAD:
        return fail(sending, CMD_EXIT_AGAIN,
                    "this reading (\"s\") is more than 64 ahead of one that is missing: send that one first");
    default:
        return fail(sending, sending->store.hopeless ? CMD_EXIT_FAILED : CMD_EXIT_AGAIN, words);
    }
}

/* ---- one message ---- */

static int send_one(struct sending *sending, const char *payload, size_t bytes)
{
    struct cmd_send_piece piece = {.payload = payload, .payload_bytes = bytes};
    if (bytes > CMD_SEND_PAYLOAD)
        return fail(sending, CMD_EXIT_DATA, "a payload has at most 1 MiB");
    for (int i = 0; i < TRIES && piece.fate == CMD_SEND_WAITS; i++) {
        if (i > 0)
            wait_ms(TRIES_MS);
        cmd_send_store(&sending->store, &piece, 1);
    }
    return status_of(sending, &piece);
}

static int send_input(struct sending *sending)
{
    struct buf input cleanup_buf;
    buf_init(&input, CMD_SEND_PAYLOAD + 1);
    char piece[16 * 1024];
    ssize_t got;
    while ((got = read(STDIN_FILENO, piece, sizeof piece)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(sending, CMD_EXIT_FAILED, strerror(errno));
        if (buf_append(&input, piece, (size_t)got) != 0)
            return fail(sending, CMD_EXIT_DATA, "a payload has at most 1 MiB");
    }
    return send_one(sending, buf_text(&input), input.bytes);
}

/* ---- lines ---- */

struct batch {
    struct cmd_send_piece pieces[CMD_SEND_BATCH];
    size_t count;
};

static bool is_under_way(const struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->pieces[i].fate == CMD_SEND_WAITS)
            return true;
    return false;
}

/* Those that could not be stored now wait again. True when there are any. */
static bool turn_back(struct batch *batch)
{
    bool any = false;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->pieces[i].fate == CMD_SEND_AGAIN) {
            batch->pieces[i].fate = CMD_SEND_WAITS;
            any = true;
        }
    return any;
}

static int send_batch(struct sending *sending, struct batch *batch)
{
    bool told = false;
    int status = CMD_EXIT_OK;
    for (int tries = 1; is_under_way(batch); tries++) {
        cmd_send_store(&sending->store, batch->pieces, batch->count);
        bool again = !sending->store.hopeless && turn_back(batch);
        bool lasts = is_under_way(batch) && (again || tries >= TELL_TRIES);
        if (lasts && !told && sending->store.words) {
            fprintf(stderr, "sluice send: %s; trying again\n", sending->store.words);
            told = true;
        }
        if (is_under_way(batch))
            wait_ms(again ? PATIENCE_MS : TRIES_MS);
    }
    if (told)
        fprintf(stderr, "sluice send: stored\n");
    for (size_t i = 0; i < batch->count && (status == CMD_EXIT_OK || status == CMD_EXIT_AGAIN); i++) {
        int one = status_of(sending, &batch->pieces[i]);
        status = one != CMD_EXIT_OK ? one : status;
    }
    return status;
}

/* Takes a line out of the input; at the end also what has no line end. A blank one,
 * and the CR that serial lines end with, are nothing. False: it is too long. */
static bool take_line(struct batch *batch, const char *line, size_t bytes)
{
    if (bytes > 0 && line[bytes - 1] == '\r')
        bytes--;
    if (bytes > CMD_SEND_PAYLOAD)
        return false;
    if (bytes > 0)
        batch->pieces[batch->count++] = (struct cmd_send_piece){.payload = line, .payload_bytes = bytes};
    return true;
}

/* How many bytes of the input are whole lines that fit into a batch, up to one that is too long. */
static size_t fill(struct batch *batch, const struct buf *input, bool end)
{
    size_t at = 0;
    batch->count = 0;
    while (at < input->bytes && batch->count < CMD_SEND_BATCH && at < CMD_SEND_BATCH_BYTES) {
        const char *line = input->data + at, *newline = memchr(line, '\n', input->bytes - at);
        if (!newline && !end)
            break;
        size_t bytes = newline ? (size_t)(newline - line) : input->bytes - at;
        if (!take_line(batch, line, bytes))
            break;
        at += bytes + (newline != NULL);
    }
    return at;
}

static int send_lines(struct sending *sending)
{
    struct buf input cleanup_buf;
    struct batch batch;
    buf_init(&input, CMD_SEND_PAYLOAD + 64 * 1024);
    int status = CMD_EXIT_OK;
    for (bool end = false; status == CMD_EXIT_OK || status == CMD_EXIT_AGAIN;) {
        char piece[64 * 1024];
        size_t used = fill(&batch, &input, end);
        if (used > 0) {
            int one = send_batch(sending, &batch);
            status = one != CMD_EXIT_OK ? one : status;
            memmove(input.data, input.data + used, input.bytes - used);
            input.bytes -= used;
            continue;
        }
        if (input.bytes > CMD_SEND_PAYLOAD + (end ? 0U : 1U)) /* one may be a CR */
            return fail(sending, CMD_EXIT_DATA, "a line has at most 1 MiB");
        if (end)
            break;
        ssize_t got = read(STDIN_FILENO, piece, sizeof piece);
        if (got < 0 && errno != EINTR)
            return fail(sending, CMD_EXIT_FAILED, strerror(errno));
        end = got == 0;
        if (got > 0)
            buf_append(&input, piece, (size_t)got);
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
        fprintf(stderr, "sluice send: '%s' is no topic: %s\n", sending.topic, why);
        return CMD_EXIT_DATA;
    }
    status = locate_queue("sluice send", sending.config_path, &sending.place);
    if (status != CMD_EXIT_OK)
        return status;
    sending.store = (struct cmd_send_store){
        .config_path = sending.config_path,
        .place = &sending.place,
        .topic = sending.topic,
        .patient = sending.lines,
        .fd = -1,
    };
    if (sending.lines)
        status = send_lines(&sending);
    else if (sending.payload && strcmp(sending.payload, "-") == 0)
        status = send_input(&sending);
    else
        status = send_one(&sending, sending.payload ? sending.payload : "",
                          sending.payload ? strlen(sending.payload) : 0);
    cmd_send_store_done(&sending.store);
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
            "  PAYLOAD  as it is, at most 1 MiB; default: none; after -- if it begins with -\n"
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
