/* queue_read.c - what is in the queue: scan, fetch, and what came last. */
#include "clock.h"
#include "queue_private.h"

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
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        visit(context, sqlite3_column_int64(statement, 0), (const char *)sqlite3_column_text(statement, 1),
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
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW) {
        struct run *run = &queue->known_run;
        run->id = id;
        snprintf(run->token, sizeof run->token, "%s", (const char *)sqlite3_column_text(row, 0));
        run->this_boot = strcmp((const char *)sqlite3_column_text(row, 1), clock_boot_id()) == 0;
        run->epoch_ms = sqlite3_column_int64(row, 2);
        run->synchronised = sqlite3_column_int(row, 3) != 0;
    }
    int error = db_result(&queue->db, code, "read a run");
    sqlite3_reset(row);
    return code == SQLITE_ROW ? 0 : error != 0 ? error : -ENOENT;
}

static void read_row(struct queue *queue, int64_t id, struct message *ret)
{
    sqlite3_stmt *row = queue->statements[Q_FETCH];
    const struct run *run = &queue->known_run;
    *ret = (struct message){
        .id = id,
        .route = (const char *)sqlite3_column_text(row, 0),
        .topic = (const char *)sqlite3_column_text(row, 1),
        .uptime_ms = sqlite3_column_int64(row, 2),
        .source = (const char *)sqlite3_column_text(row, 3),
        .method = (const char *)sqlite3_column_text(row, 4),
        .target = (const char *)sqlite3_column_text(row, 5),
        .content_type = (const char *)sqlite3_column_text(row, 6),
        .packet_id = sqlite3_column_int(row, 7),
        .late_since_ms = sqlite3_column_int64(row, 8),
        .attempts = (unsigned)sqlite3_column_int(row, 9),
        .payload = sqlite3_column_blob(row, 10),
        .payload_bytes = (size_t)sqlite3_column_bytes(row, 10),
        .this_boot = run->this_boot,
        .clock_synchronised = run->synchronised,
    };
    ret->received_ms = run->epoch_ms + ret->uptime_ms;
    snprintf(ret->key, sizeof ret->key, "%s-%lld", run->token, (long long)id);
}

int queue_fetch(struct queue *queue, int64_t id, struct message *ret)
{
    sqlite3_stmt *statement = queue->statements[Q_FETCH];
    sqlite3_bind_int64(statement, 1, id);
    int code = sqlite3_step(statement);
    int error = db_result(&queue->db, code, "read a message");
    if (code == SQLITE_ROW)
        error = read_run(queue, sqlite3_column_int64(statement, 11));
    else if (error == 0)
        error = -ENOENT;
    if (error != 0) {
        sqlite3_reset(statement);
        return error;
    }
    read_row(queue, id, ret);
    return 0;
}

void queue_release(struct queue *queue)
{
    sqlite3_reset(queue->statements[Q_FETCH]);
}

int queue_packets(struct queue *queue, unsigned limit, queue_packet_fn *visit, void *context)
{
    sqlite3_stmt *statement = queue->statements[Q_PACKETS];
    sqlite3_bind_int64(statement, 1, limit);
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        visit(context, (uint16_t)sqlite3_column_int(statement, 1),
              (const char *)sqlite3_column_text(statement, 2), sqlite3_column_blob(statement, 3),
              (size_t)sqlite3_column_bytes(statement, 3));
    int error = db_result(&queue->db, code, "read the newest messages");
    sqlite3_reset(statement);
    return error;
}
