/* queue/read.c - what is in the queue: scan, fetch, and what came last. */
#include "base/clock.h"
#include "queue/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int queue_scan(struct queue *queue, int64_t after, int64_t up_to, int limit, queue_visit_fn *visit,
               void *context)
{
    sqlite3_stmt *statement = queue->statements[Q_SCAN];
    sqlite3_bind_int64(statement, 1, after);
    sqlite3_bind_int64(statement, 2, up_to);
    sqlite3_bind_int(statement, 3, limit);
    int count = 0, code;
    while ((code = db_step(statement, "itt")) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(statement, 0);
        if (id <= after || id > up_to) { /* a page is in another's place */
            code = SQLITE_CORRUPT;
            break;
        }
        after = id;
        visit(context, id, (const char *)sqlite3_column_text(statement, 1),
              (const char *)sqlite3_column_text(statement, 2));
        count++;
    }
    int error = db_result(&queue->db, code, "read the queue");
    sqlite3_reset(statement);
    return error != 0 ? error : count;
}

/* Nearly all messages are of one run, or of a few. */
static int read_run(struct queue *queue, int64_t id)
{
    if (queue->known_run.id == id)
        return 0;
    sqlite3_stmt *row = queue->statements[Q_RUN];
    sqlite3_bind_int64(row, 1, id);
    int code = db_step(row, "ttiiI");
    if (code == SQLITE_DONE)
        code = SQLITE_CORRUPT; /* a message has a run */
    if (code == SQLITE_ROW) {
        struct run *run = &queue->known_run;
        run->id = id;
        snprintf(run->token, sizeof run->token, "%s", (const char *)sqlite3_column_text(row, 0));
        run->this_boot = strcmp((const char *)sqlite3_column_text(row, 1), clock_boot_id()) == 0;
        run->epoch_ms = sqlite3_column_int64(row, 2);
        run->synchronised = sqlite3_column_int(row, 3) != 0;
        run->away_since_ms = sqlite3_column_int64(row, 4);
    }
    int error = db_result(&queue->db, code, "read a run");
    sqlite3_reset(row);
    return error;
}

/* What the run says of a message. */
static int complete(struct queue *queue, int64_t run_id, struct message *message)
{
    int error = read_run(queue, run_id);
    if (error != 0)
        return error;
    const struct run *run = &queue->known_run;
    message->this_boot = run->this_boot;
    message->clock_synchronised = run->synchronised;
    message->received_ms = run->epoch_ms + message->uptime_ms;
    if (message->late) /* schema/001_queue.sql; when nothing is known, 1970 is true as well */
        message->late_since_ms =
            message->late_since_ms > 0 ? run->epoch_ms + message->late_since_ms : run->away_since_ms;
    if (message->idempotency_key)
        snprintf(message->key, sizeof message->key, "%s", message->idempotency_key);
    else
        snprintf(message->key, sizeof message->key, "%s-%lld", run->token, (long long)message->id);
    return 0;
}

/* A row of ROW_COLUMNS and the payload; pointers are SQLite's. */
static struct message read_row(sqlite3_stmt *row)
{
    return (struct message){
        .id = sqlite3_column_int64(row, 0),
        .route = (const char *)sqlite3_column_text(row, 2),
        .topic = (const char *)sqlite3_column_text(row, 3),
        .source = (const char *)sqlite3_column_text(row, 4),
        .method = (const char *)sqlite3_column_text(row, 5),
        .target = (const char *)sqlite3_column_text(row, 6),
        .content_type = (const char *)sqlite3_column_text(row, 7),
        .uptime_ms = sqlite3_column_int64(row, 8),
        .late = sqlite3_column_type(row, 9) != SQLITE_NULL,
        .late_since_ms = sqlite3_column_int64(row, 9),
        .packet_id = sqlite3_column_int(row, 10),
        .attempts = (unsigned)sqlite3_column_int(row, 11),
        .idempotency_key = (const char *)sqlite3_column_text(row, 12),
        .payload = sqlite3_column_blob(row, 13),
        .payload_bytes = (size_t)sqlite3_column_bytes(row, 13),
    };
}

int queue_fetch(struct queue *queue, int64_t id, struct message *ret)
{
    sqlite3_stmt *statement = queue->statements[Q_FETCH];
    sqlite3_bind_int64(statement, 1, id);
    int code = db_step(statement, "iitttTTTiIIiTb");
    int error = db_result(&queue->db, code, "read a message");
    struct message message;
    if (code == SQLITE_ROW) {
        message = read_row(statement);
        error = complete(queue, sqlite3_column_int64(statement, 1), &message);
    } else if (error == 0) {
        error = -ENOENT;
    }
    if (error != 0) {
        sqlite3_reset(statement);
        return error;
    }
    *ret = message;
    return 0;
}

void queue_fetch_done(struct queue *queue)
{
    sqlite3_reset(queue->statements[Q_FETCH]);
}

/* ---- copies ---- */

enum { COPY_TEXTS = 7, COPY_MOST_BYTES = 1024 };

struct queue_copy {
    uint64_t edition;
    int64_t id, run, uptime_ms, late_since_ms;
    bool late;
    uint32_t payload_bytes;
    uint16_t packet_id;
    uint16_t attempts;
    uint16_t text_bytes[COPY_TEXTS]; /* with its NUL; 0: NULL */
    char bytes[];                    /* the texts, then the payload */
};

static void list_texts(struct message *message, const char **texts[static COPY_TEXTS])
{
    const char **const list[COPY_TEXTS] = {&message->route,          &message->topic,  &message->source,
                                           &message->method,         &message->target, &message->content_type,
                                           &message->idempotency_key};
    memcpy(texts, list, sizeof list);
}

static struct queue_copy *copy_row(const struct queue *queue, sqlite3_stmt *row)
{
    struct message message = read_row(row);
    const char **texts[COPY_TEXTS];
    list_texts(&message, texts);
    size_t text_bytes[COPY_TEXTS], bytes = message.payload_bytes;
    for (int i = 0; i < COPY_TEXTS; i++) {
        text_bytes[i] = *texts[i] ? strlen(*texts[i]) + 1 : 0;
        bytes += text_bytes[i];
    }
    if (bytes > COPY_MOST_BYTES)
        return NULL;
    struct queue_copy *copy = xcalloc(1, sizeof *copy + bytes);
    *copy = (struct queue_copy){.edition = queue->edition,
                                .id = message.id,
                                .run = sqlite3_column_int64(row, 1),
                                .uptime_ms = message.uptime_ms,
                                .late_since_ms = message.late_since_ms,
                                .late = message.late,
                                .payload_bytes = (uint32_t)message.payload_bytes,
                                .packet_id = (uint16_t)message.packet_id,
                                .attempts = (uint16_t)message.attempts};
    char *at = copy->bytes;
    for (int i = 0; i < COPY_TEXTS; i++) {
        copy->text_bytes[i] = (uint16_t)text_bytes[i];
        if (text_bytes[i] > 0)
            memcpy(at, *texts[i], text_bytes[i]);
        at += text_bytes[i];
    }
    if (message.payload_bytes > 0)
        memcpy(at, message.payload, message.payload_bytes);
    return copy;
}

struct queue_copy *queue_copy(struct queue *queue, int64_t id)
{
    struct queue_copy *copy = NULL;
    sqlite3_stmt *row = queue->statements[Q_COPY];
    sqlite3_bind_int64(row, 1, id);
    if (db_step(row, "iitttTTTiIIiTB") == SQLITE_ROW && sqlite3_column_type(row, 13) != SQLITE_NULL)
        copy = copy_row(queue, row);
    sqlite3_reset(row); /* what went wrong shows again when it is fetched */
    return copy;
}

int queue_copied(struct queue *queue, const struct queue_copy *copy, struct message *ret)
{
    if (copy->edition != queue->edition)
        return -ESTALE;
    struct message message = {
        .id = copy->id,
        .uptime_ms = copy->uptime_ms,
        .late = copy->late,
        .late_since_ms = copy->late_since_ms,
        .packet_id = copy->packet_id,
        .attempts = copy->attempts,
        .payload_bytes = copy->payload_bytes,
    };
    const char **texts[COPY_TEXTS], *at = copy->bytes;
    list_texts(&message, texts);
    for (int i = 0; i < COPY_TEXTS; i++) {
        *texts[i] = copy->text_bytes[i] > 0 ? at : NULL;
        at += copy->text_bytes[i];
    }
    message.payload = at;
    int error = complete(queue, copy->run, &message);
    if (error == 0)
        *ret = message;
    return error;
}

void queue_refresh(struct queue *queue)
{
    sqlite3_stmt *statement = queue->statements[Q_VERSION];
    if (sqlite3_step(statement) != SQLITE_ROW || sqlite3_column_int64(statement, 0) != queue->data_version) {
        queue->edition++;
        queue->known_run.id = 0;
        queue->data_version = sqlite3_column_int64(statement, 0);
    }
    sqlite3_reset(statement);
}
