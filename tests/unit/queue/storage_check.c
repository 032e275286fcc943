/* storage_check.c - what the next start finds, held against the account. See
 * storage_scenario.h.
 *
 * Looks at the tables as a person would, and at the queue as the daemon would. The
 * first fault is the one that is reported.
 */
#include "queue/queue.h"
#include "queue/storage_scenario.h"

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct check {
    const struct ledger *ledger;
    bool power_was_cut;
    struct {
        bool waits, dead;
    } found[sizeof((struct ledger *)0)->entries / sizeof(struct entry)];
    char tokens[16][17]; /* of each generation, once seen */
    char *complaint;
};

static void find(struct check *check, const char *format, ...) PRINTF_LIKE(2, 3);
static void find(struct check *check, const char *format, ...)
{
    if (check->complaint)
        return;
    va_list arguments;
    va_start(arguments, format);
    check->complaint = xvasprintf(format, arguments);
    va_end(arguments);
}

static void check_token(struct check *check, unsigned number, const char *token)
{
    unsigned generation = check->ledger->entries[number].generation;
    char(*tokens)[17] = check->tokens;
    if (generation >= ARRAY_LEN(check->tokens)) {
        find(check, "too many generations");
        return;
    }
    if (!token) {
        find(check, "message %u has lost its run, and so its key", number);
        return;
    }
    if (!tokens[generation][0])
        snprintf(tokens[generation], sizeof tokens[generation], "%s", token);
    if (strcmp(tokens[generation], token) != 0)
        find(check, "message %u has a key of another run", number);
    for (unsigned i = 0; i < ARRAY_LEN(check->tokens); i++)
        if (i != generation && strcmp(tokens[i], token) == 0)
            find(check, "message %u has a key of another run", number);
}

/* The ledger's number of a message, by its topic; or -1. */
static int number_of(const struct ledger *ledger, const char *topic)
{
    unsigned number;
    if (!topic || sscanf(topic, "garden/%u/sensor", &number) != 1 || number >= ledger->count)
        return -1;
    return (int)number;
}

static void check_row(struct check *check, sqlite3_stmt *row)
{
    bool dead = sqlite3_column_int(row, 0) != 0;
    int64_t id = sqlite3_column_int64(row, 1);
    int number = number_of(check->ledger, (const char *)sqlite3_column_text(row, 3));
    if (number < 0) {
        find(check, "row %lld was never appended", (long long)id);
        return;
    }
    const struct entry *entry = &check->ledger->entries[number];
    if (entry->id != id)
        find(check, "message %d has id %lld, not %lld", number, (long long)id, (long long)entry->id);
    if ((size_t)sqlite3_column_bytes(row, 4) != entry->bytes)
        find(check, "message %d has another length", number);
    else if (entry->bytes > 0 && memcmp(sqlite3_column_blob(row, 4),
                                        scenario_payload((unsigned)number, entry->bytes), entry->bytes) != 0)
        find(check, "message %d has other bytes", number);
    if (check->found[number].waits || check->found[number].dead)
        find(check, "message %d is there twice", number);
    check_token(check, (unsigned)number, (const char *)sqlite3_column_text(row, 2));
    *(dead ? &check->found[number].dead : &check->found[number].waits) = true;
}

static void each_row(struct check *check, sqlite3 *handle, const char *sql,
                     void (*each)(struct check *check, sqlite3_stmt *row))
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL);
    while (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        each(check, statement);
    if (sqlite3_finalize(statement) != SQLITE_OK || code != SQLITE_OK)
        find(check, "%s: %s", sql, sqlite3_errmsg(handle));
}

static void check_integrity(struct check *check, sqlite3_stmt *row)
{
    if (strcmp((const char *)sqlite3_column_text(row, 0), "ok") != 0)
        find(check, "integrity_check: %s", (const char *)sqlite3_column_text(row, 0));
}

static void check_subscription(struct check *check, sqlite3_stmt *row)
{
    if (check->ledger->subscribed && sqlite3_column_int(row, 0) != 1)
        find(check, "the subscription is lost");
}

static void check_database(struct check *check, const char *path)
{
    sqlite3 *handle = NULL;
    if (sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        find(check, "cannot look: %s", sqlite3_errmsg(handle));
    each_row(check, handle, "PRAGMA integrity_check", check_integrity);
    each_row(
        check, handle,
        "SELECT 0, m.id, r.token, m.topic, m.payload FROM message AS m LEFT JOIN run AS r ON r.id = m.run"
        " UNION ALL SELECT 1, d.id, r.token, d.topic, d.payload FROM dead_letter AS d"
        " LEFT JOIN run AS r ON r.id = d.run",
        check_row);
    each_row(check, handle, "SELECT count(*) FROM subscription WHERE filter = 'garden/+/sensor'",
             check_subscription);
    sqlite3_close(handle);
}

/* What opening it left beside it: nothing, unless it was found damaged. */
static void check_neighbours(struct check *check, const char *path)
{
    static const char *const known[] = {"", "-wal", "-shm", "-lock", "-reserve", "-journal"};
    cleanup_free char *dir = xstrdup(path);
    char *name = strrchr(dir, '/');
    *name++ = '\0';
    DIR *entries = opendir(dir);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        bool expected = entry->d_name[0] == '.' || entry->d_type == DT_DIR;
        for (size_t i = 0; i < ARRAY_LEN(known); i++) {
            cleanup_free char *neighbour = xasprintf("%s%s", name, known[i]);
            expected |= strcmp(entry->d_name, neighbour) == 0;
        }
        if (!expected)
            find(check, "the database was damaged: %s", entry->d_name);
    }
    if (entries)
        closedir(entries);
}

/* Compares one entry of the account with the rows. */
static void check_entry(struct check *check, unsigned number)
{
    const struct entry *entry = &check->ledger->entries[number];
    bool waits = check->found[number].waits, dead = check->found[number].dead;
    switch (entry->state) {
    case ENTRY_ACKED:
        if (!waits && !dead && !entry->settled)
            find(check, "message %u (id %lld) was acknowledged and is lost", number, (long long)entry->id);
        if (dead && !entry->rejected)
            find(check, "message %u was dead-lettered by nobody", number);
        if (waits && entry->deleted && !check->power_was_cut)
            find(check, "message %u was deleted and is back", number);
        if (waits && entry->dead && !check->power_was_cut)
            find(check, "message %u was dead-lettered and is back", number);
        return;
    case ENTRY_REFUSED:
        if (waits || dead)
            find(check, "message %u was not committed and is back", number);
        return;
    case ENTRY_APPENDED:
    case ENTRY_FAILED:
        for (unsigned i = 0; i < check->ledger->count; i++)
            if (check->ledger->entries[i].batch == entry->batch && check->found[i].waits != waits)
                find(check, "half of the batch of message %u is there", number);
        return;
    }
}

/* What the daemon does next: reads all that waits, and goes on. */

struct seen {
    int64_t ids[ARRAY_LEN(((struct ledger *)0)->entries)];
    int count;
};

static void see(void *context, int64_t id, const char *route, const char *topic, bool deferred)
{
    (void)route, (void)topic;
    struct seen *seen = context;
    if (seen->count < (int)ARRAY_LEN(seen->ids))
        seen->ids[seen->count++] = id;
}

static void check_fetches(struct check *check, struct queue *queue)
{
    struct seen seen = {.count = 0};
    if (queue_scan(queue, 0, INT64_MAX, (int)ARRAY_LEN(seen.ids), see, &seen) < 0)
        find(check, "the queue cannot be scanned");
    for (int i = 0; i < seen.count; i++) {
        struct message message;
        int error = queue_fetch(queue, seen.ids[i], &message);
        if (error != 0) {
            find(check, "id %lld cannot be fetched: %d", (long long)seen.ids[i], error);
            continue;
        }
        int number = number_of(check->ledger, message.topic);
        char key[48];
        if (number >= 0) {
            const struct entry *entry = &check->ledger->entries[number];
            snprintf(key, sizeof key, "%s-%lld", check->tokens[entry->generation], (long long)entry->id);
            if (strcmp(key, message.key) != 0)
                find(check, "message %d has the key %s, not %s", number, message.key, key);
        }
        queue_fetch_done(queue);
    }
}

static void check_goes_on(struct check *check, struct queue *queue)
{
    struct message message = {
        .route = "sensor", .topic = "later", .source = "mqtt", .payload = "1", .payload_bytes = 1};
    int64_t id = 0;
    int error = queue_begin(queue);
    if (error == 0)
        error = queue_append(queue, &message, &id);
    if (error == 0)
        error = queue_commit(queue);
    if (error != 0) {
        find(check, "nothing can be stored any more: %d", error);
        return;
    }
    if (queue_fetch(queue, id, &message) != 0)
        find(check, "a message that was stored afterwards cannot be fetched");
    for (unsigned i = 0; i < ARRAY_LEN(check->tokens); i++)
        if (check->tokens[i][0] && strncmp(check->tokens[i], message.key, 16) == 0)
            find(check, "a run token is used again");
    queue_fetch_done(queue);
}

char *ledger_check(const struct ledger *ledger, const char *path, bool power_was_cut)
{
    struct check check = {.ledger = ledger, .power_was_cut = power_was_cut};
    if (ledger->complaint[0])
        find(&check, "%s", ledger->complaint);
    struct queue *queue = NULL;
    char *why = NULL;
    int error = queue_open(path, &queue, &why);
    if (error != 0) {
        find(&check, "queue_open: %d: %s", error, why ? why : "");
        free(why);
        return check.complaint;
    }
    check_neighbours(&check, path);
    check_database(&check, path);
    for (unsigned i = 0; i < ledger->count; i++)
        check_entry(&check, i);
    check_fetches(&check, queue);
    check_goes_on(&check, queue);
    queue_close(queue);
    return check.complaint;
}

void empty_directory(const char *dir)
{
    DIR *entries = opendir(dir);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        cleanup_free char *path = xasprintf("%s/%s", dir, entry->d_name);
        if (entry->d_type == DT_REG)
            unlink(path);
    }
    if (entries)
        closedir(entries);
}
