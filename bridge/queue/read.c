/* queue/read.c - reading the queue: scan, fetch, copies. */
#include "queue/internal.h"

#include <errno.h>
#include <string.h>

/* Which way the ids of a scan go. */
enum direction { UPWARDS, DOWNWARDS };

/* The statement is bound. Each id must come after the last one: otherwise a page is in another's
 * place. */
static int scan(struct queue *queue, sqlite3_stmt *statement, enum direction direction, int64_t last,
                queue_visit_fn *visit, void *context)
{
    int count = 0, code;
    while ((code = db_step(statement, "itti")) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(statement, 0);
        if (direction == UPWARDS ? id <= last : id >= last) {
            code = SQLITE_CORRUPT;
            break;
        }
        last = id;
        visit(context, id, (const char *)sqlite3_column_text(statement, 1),
              (const char *)sqlite3_column_text(statement, 2), sqlite3_column_int(statement, 3) != 0);
        count++;
    }
    int error = db_result(&queue->db, code, "read the queue");
    sqlite3_reset(statement);
    return error != 0 ? error : count;
}

int queue_scan(struct queue *queue, int64_t after, int64_t up_to, int limit, queue_visit_fn *visit,
               void *context)
{
    sqlite3_stmt *statement = queue->statements[Q_SCAN];
    sqlite3_bind_int64(statement, 1, after);
    sqlite3_bind_int64(statement, 2, up_to);
    sqlite3_bind_int(statement, 3, limit);
    return scan(queue, statement, UPWARDS, after, visit, context);
}

int queue_scan_newest(struct queue *queue, int64_t up_to, int limit, queue_visit_fn *visit, void *context)
{
    sqlite3_stmt *statement = queue->statements[Q_SCAN_NEWEST];
    sqlite3_bind_int64(statement, 1, up_to);
    sqlite3_bind_int(statement, 2, limit);
    return scan(queue, statement, DOWNWARDS, up_to + 1, visit, context);
}

int queue_scan_deferred(struct queue *queue, int64_t after, int limit, queue_visit_deferred_fn *visit,
                        void *context)
{
    sqlite3_stmt *statement = queue->statements[Q_SCAN_DEFERRED];
    sqlite3_bind_int64(statement, 1, after);
    sqlite3_bind_int(statement, 2, limit);
    int count = 0, code;
    while ((code = db_step(statement, "iti")) == SQLITE_ROW) {
        visit(context, sqlite3_column_int64(statement, 0), (const char *)sqlite3_column_text(statement, 1),
              (unsigned)sqlite3_column_int(statement, 2));
        count++;
    }
    int error = db_result(&queue->db, code, "read the deferred messages");
    sqlite3_reset(statement);
    return error != 0 ? error : count;
}

/* Nearly all messages are of one run, or of a few. */
static int complete(struct queue *queue, int64_t run_id, struct message *message)
{
    int error = 0;
    if (queue->known_run.id != run_id) {
        sqlite3_stmt *row = queue->statements[Q_RUN];
        sqlite3_bind_int64(row, 1, run_id);
        int code = db_step(row, "ttiiI");
        if (code == SQLITE_DONE)
            code = SQLITE_CORRUPT; /* each message has a run */
        if (code == SQLITE_ROW)
            queue->known_run = columns_read_run(row, run_id);
        error = db_result(&queue->db, code, "read a run");
        sqlite3_reset(row);
    }
    if (error == 0)
        columns_complete(message, &queue->known_run);
    return error;
}

int queue_fetch(struct queue *queue, int64_t id, struct message *ret)
{
    sqlite3_stmt *row = queue->statements[Q_FETCH];
    sqlite3_bind_int64(row, 1, id);
    int code = db_step(row, MESSAGE_TYPES "b");
    int error = db_result(&queue->db, code, "read a message");
    struct message message;
    if (code == SQLITE_ROW) {
        int64_t run;
        message = columns_read(row, &run);
        error = complete(queue, run, &message);
    } else if (error == 0) {
        error = -ENOENT;
    }
    if (error == 0)
        *ret = message;
    else
        sqlite3_reset(row);
    return error;
}

void queue_fetch_done(struct queue *queue)
{
    sqlite3_reset(queue->statements[Q_FETCH]);
}

/* ---- copies ----
 *
 * Many are kept at a time, so they are small: texts have lengths instead of pointers. */

#define COUNT_ONE(name, type) +1
enum { COPY_TEXTS = 0 MESSAGE_TEXTS(COUNT_ONE), COPY_MOST_BYTES = 1024 };

struct queue_copy {
    uint64_t edition;
    int64_t id, run, late_since_ms;
#define NUMBER_MEMBER(name, type) int64_t name;
    MESSAGE_NUMBERS(NUMBER_MEMBER)
    uint32_t payload_bytes;
    bool late;
    uint16_t attempts;
    uint16_t text_bytes[COPY_TEXTS]; /* with its NUL; 0: NULL */
    char bytes[];                    /* the texts, then the payload */
};

static void list_texts(struct message *message, const char **texts[static COPY_TEXTS])
{
#define TEXT_ADDRESS(name, type) &message->name,
    const char **const list[] = {MESSAGE_TEXTS(TEXT_ADDRESS)};
    memcpy(texts, list, sizeof list);
}

static struct queue_copy *copy_row(const struct queue *queue, sqlite3_stmt *row)
{
    int64_t run;
    struct message message = columns_read(row, &run);
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
                                .run = run,
                                .late = message.late,
                                .late_since_ms = message.late_since_ms,
                                .attempts = (uint16_t)message.attempts,
                                .payload_bytes = (uint32_t)message.payload_bytes,
#define COPY_NUMBER(name, type) .name = message.name,
                                MESSAGE_NUMBERS(COPY_NUMBER)};
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
    if (db_step(row, MESSAGE_TYPES "B") == SQLITE_ROW &&
        sqlite3_column_type(row, COLUMN_payload) != SQLITE_NULL)
        copy = copy_row(queue, row);
    sqlite3_reset(row); /* an error shows again when it is fetched */
    return copy;
}

int queue_copied(struct queue *queue, const struct queue_copy *copy, struct message *ret)
{
    if (copy->edition != queue->edition)
        return -ESTALE;
    struct message message = {.id = copy->id,
                              .late = copy->late,
                              .late_since_ms = copy->late_since_ms,
                              .attempts = copy->attempts,
                              .payload_bytes = copy->payload_bytes,
#define RESTORE_NUMBER(name, type) .name = copy->name,
                              MESSAGE_NUMBERS(RESTORE_NUMBER)};
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
