/* queue/devices.c - the state of devices that number their readings.
 *
 * The transaction that stores readings of a device also writes its row, and the next one
 * reads it: so the state always matches the stored readings.
 */
#include "queue/tx.h"

#include <assert.h>
#include <errno.h>

enum { LIFE_BYTES = 16 };

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static uint64_t get(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

static void read_earlier(const uint8_t *blob, size_t bytes, struct device *device)
{
    device->life_count = 1;
    for (; bytes >= LIFE_BYTES && device->life_count < DEVICE_LIVES; bytes -= LIFE_BYTES, blob += LIFE_BYTES)
        device->lives[device->life_count++] = (struct device_life){
            .boot = (uint32_t)get(blob, 4), .up_to = (uint32_t)get(blob + 4, 4), .ahead = get(blob + 8, 8)};
}

int queue_device(struct queue *queue, const char *ack_topic, struct device *ret, int64_t *ret_silent_ms)
{
    sqlite3_stmt *row = queue->statements[Q_DEVICE];
    queue_bind_text(row, 1, ack_topic);
    int code = db_step(row, "iiibiiiiiiii");
    int error = db_result(&queue->db, code, "read a device");
    if (code == SQLITE_ROW) {
        struct device device = {.lives = {{.boot = (uint32_t)sqlite3_column_int64(row, 0),
                                           .up_to = (uint32_t)sqlite3_column_int64(row, 1),
                                           .ahead = (uint64_t)sqlite3_column_int64(row, 2)}},
                                .begun = (uint64_t)sqlite3_column_int64(row, 4),
                                .first = (uint32_t)sqlite3_column_int64(row, 5),
                                .stored = (uint64_t)sqlite3_column_int64(row, 6),
                                .lost = (uint64_t)sqlite3_column_int64(row, 7),
                                .speaker = (uint32_t)sqlite3_column_int64(row, 8),
                                .steady = (uint16_t)sqlite3_column_int(row, 9),
                                .returns = (uint16_t)sqlite3_column_int(row, 10)};
        read_earlier(sqlite3_column_blob(row, 3), (size_t)sqlite3_column_bytes(row, 3), &device);
        *ret = device;
        *ret_silent_ms = queue_now_ms(queue) - sqlite3_column_int64(row, 11);
    } else if (error == 0) {
        error = -ENOENT;
    }
    sqlite3_reset(row);
    return error;
}

int queue_device_save(struct queue *queue, const char *ack_topic, const char *route,
                      const struct device *device)
{
    uint8_t earlier[(DEVICE_LIVES - 1) * LIFE_BYTES] = {0}, *at = earlier;
    assert(device->life_count > 0);
    for (unsigned i = 1; i < device->life_count; i++, at += LIFE_BYTES) {
        put(at, device->lives[i].boot, 4);
        put(at + 4, device->lives[i].up_to, 4);
        put(at + 8, device->lives[i].ahead, 8);
    }
    sqlite3_stmt *statement = queue->statements[Q_DEVICE_SAVE];
    queue_bind_text(statement, 1, ack_topic);
    queue_bind_text(statement, 2, route);
    sqlite3_bind_int64(statement, 3, device->lives[0].boot);
    sqlite3_bind_int64(statement, 4, device->lives[0].up_to);
    sqlite3_bind_int64(statement, 5, (int64_t)device->lives[0].ahead);
    sqlite3_bind_int64(statement, 6, device_gaps(device));
    sqlite3_bind_blob(statement, 7, earlier, (int)(at - earlier), SQLITE_STATIC);
    sqlite3_bind_int64(statement, 8, (int64_t)device->begun);
    sqlite3_bind_int64(statement, 9, device->first);
    sqlite3_bind_int64(statement, 10, (int64_t)device->stored);
    sqlite3_bind_int64(statement, 11, (int64_t)device->lost);
    sqlite3_bind_int64(statement, 12, queue_now_ms(queue));
    sqlite3_bind_int64(statement, 13, device->speaker);
    sqlite3_bind_int64(statement, 14, device->steady);
    sqlite3_bind_int64(statement, 15, device->returns);
    int error = db_run(&queue->db, statement, "save a device");
    queue->tx.is_worth_a_sync = true;
    return error != 0 ? queue_tx_fail(queue, error) : 0;
}

int queue_devices_prune(struct queue *queue)
{
    int error = queue_run(queue, Q_DEVICES_PRUNE, QUEUE_DEVICES, 0, "forget devices");
    return error != 0 ? queue_tx_fail(queue, error) : 0;
}
