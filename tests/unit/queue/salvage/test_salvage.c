/* A damaged queue: what can be read comes out whole and under its old key, nothing
 * that was delivered comes back, and no input whatever makes it crash. */
#include "queue/queue_place.h"

#include "queue/salvage/internal.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
    ROWS = 400,      /* messages in the template */
    DELIVERED = 150, /* of them; ids 1 to this */
    DEAD = 12,       /* dead letters */
    PAGE = 4096,
    FILE_MOST = 1 << 20,
    FUZZ_SEEDS = 800,
    FUZZ_PAGES = 50000,
    FUZZ_OPENS = 150,
};

/* The template: a database file, and every row in it as a line, by id. */
static uint8_t file_bytes[FILE_MOST];
static size_t file_size;
static char *rows[ROWS + 1];
/* Of each page, by number: of which tree, how many rows, as SQLite has it. */
static struct {
    bool message_leaf, overflow, last_overflow;
    unsigned rows;
} layout[FILE_MOST / PAGE + 1];

static uint32_t random_state;

static uint32_t chance(uint32_t below)
{
    random_state = random_state * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)random_state * below) >> 32);
}

/* ---- files ---- */

static char *beside(const char *suffix)
{
    return xasprintf("%s%s", place.path, suffix);
}

static size_t get_file(const char *path, uint8_t *data, size_t most)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    size_t bytes = fread(data, 1, most, file);
    fclose(file);
    return bytes;
}

/* In memory where possible: thousands of databases are made here. */
static int make_fast_place(void **state)
{
    snprintf(place.dir, sizeof place.dir, "%s/sluice-salvage-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(place.dir))
        return -1;
    snprintf(place.path, sizeof place.path, "%s/queue.db", place.dir);
    return 0;
}

static void empty_place(void)
{
    DIR *directory = opendir(place.dir);
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        cleanup_free char *name = xasprintf("%s/%s", place.dir, entry->d_name);
        unlink(name);
    }
    closedir(directory);
}

static int remove_fast_place(void **state)
{
    empty_place();
    return rmdir(place.dir);
}

/* The one name that was set aside, and its log if it has one. */
static unsigned count_files(const char *start, bool logs)
{
    unsigned count = 0;
    DIR *directory = opendir(place.dir);
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        size_t bytes = strlen(entry->d_name);
        bool is_log = bytes > 4 && strcmp(entry->d_name + bytes - 4, "-wal") == 0;
        count += strncmp(entry->d_name, start, strlen(start)) == 0 && is_log == logs;
    }
    closedir(directory);
    return count;
}

/* ---- the template ---- */

static const char rows_sql[] =
    "SELECT m.id, r.token || '-' || m.id || ' ' || m.route || ' ' || m.topic || ' ' || m.uptime_ms || ' '"
    " || coalesce(m.packet_id, '-') || ' ' || m.attempts || ' ' || coalesce(m.history, '-') || ' '"
    " || hex(m.payload)"
    " FROM message AS m JOIN run AS r ON r.id = m.run"
    " UNION ALL SELECT d.id, 'dead ' || r.token || '-' || d.id || ' ' || d.reason || ' ' || d.last_error"
    " || ' ' || d.history || ' ' || hex(d.payload) FROM dead_letter AS d JOIN run AS r ON r.id = d.run";

typedef void row_fn(int64_t id, const char *text);

static unsigned each_row(row_fn *call)
{
    unsigned count = 0;
    sqlite3 *handle = look(SQLITE_OPEN_READONLY);
    sqlite3_stmt *row = NULL;
    assert_int_equal(sqlite3_prepare_v2(handle, rows_sql, -1, &row, NULL), SQLITE_OK);
    int code;
    for (; (code = sqlite3_step(row)) == SQLITE_ROW; count++)
        call(sqlite3_column_int64(row, 0), (const char *)sqlite3_column_text(row, 1));
    assert_int_equal(code, SQLITE_DONE);
    sqlite3_finalize(row);
    sqlite3_close(handle);
    return count;
}

static void keep_row(int64_t id, const char *text)
{
    assert_in_range(id, 1, ROWS);
    rows[id] = xstrdup(text);
}

static void read_layout(void)
{
    sqlite3 *handle = look(SQLITE_OPEN_READONLY);
    sqlite3_stmt *row = NULL;
    const char *sql = "SELECT pageno, name, pagetype, ncell FROM dbstat";
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &row, NULL), SQLITE_OK);
    while (sqlite3_step(row) == SQLITE_ROW) {
        int page = sqlite3_column_int(row, 0);
        const char *name = (const char *)sqlite3_column_text(row, 1);
        const char *type = (const char *)sqlite3_column_text(row, 2);
        bool ours = strcmp(name, "message") == 0 || strcmp(name, "dead_letter") == 0;
        layout[page].message_leaf = ours && strcmp(type, "leaf") == 0;
        layout[page].overflow = ours && strcmp(type, "overflow") == 0;
        layout[page].last_overflow =
            layout[page].overflow && get4(file_bytes + (size_t)(page - 1) * PAGE) == 0;
        layout[page].rows = (unsigned)sqlite3_column_int(row, 3);
    }
    sqlite3_finalize(row);
    sqlite3_close(handle);
}

static int64_t store_row(struct queue *queue, int i)
{
    static uint8_t payload[20000];
    size_t bytes = i % 10 == 3 ? 5000 + (size_t)i * 30 : (size_t)(i * 37 % 300);
    for (size_t j = 0; j < bytes; j++)
        payload[j] = (uint8_t)(i + (int)j * 7);
    cleanup_free char *topic = xasprintf("garden/bed-%d/sensor", i);
    struct message message = reading(topic, payload, bytes);
    message.packet_id = i;
    return append(queue, &message);
}

static void fill(struct queue *queue)
{
    assert_int_equal(queue_begin(queue), 0);
    for (int i = 1; i <= ROWS; i++)
        store_row(queue, i);
    assert_int_equal(queue_commit(queue), 0);
    queue_confirm(queue, ROWS);
    for (int i = 1; i <= DELIVERED; i++)
        queue_settle(queue, i, true);
    assert_int_equal(queue_settle_commit(queue, SIZE_MAX), 0);
    for (int i = 0; i < DEAD; i++)
        assert_int_equal(queue_bury(queue, ROWS - 10 * i, 3, 400, "rejected", "no", 1000), 0);
    assert_int_equal(queue_blame(queue, ROWS - 1, 4, 500, "why", 1000), 0);
    assert_int_equal(queue_subscription_add(queue, "garden/+/sensor"), 0);
    assert_int_equal(queue_subscription_grant(queue, "garden/+/sensor", true), 0);
    for (uint64_t stored = 1; stored <= 3; stored++) {
        const struct device device = {
            .lives = {{.boot = 7, .up_to = (uint32_t)stored}, {.boot = 5, .ahead = 2}},
            .life_count = 2,
            .begun = 2,
            .stored = stored};
        assert_int_equal(queue_begin(queue), 0);
        assert_int_equal(queue_device_save(queue, "garden/a/ack", "sensor", &device), 0);
        assert_int_equal(queue_commit(queue), 0);
    }
}

static int make_template(void **state)
{
    if (make_fast_place(state) != 0)
        return -1;
    struct queue *queue = open_queue();
    fill(queue);
    queue_close(queue);
    file_size = get_file(place.path, file_bytes, FILE_MOST);
    assert_true(file_size > 40 * PAGE && file_size < FILE_MOST);
    assert_int_equal(each_row(keep_row), ROWS - DELIVERED);
    read_layout();
    return remove_fast_place(state);
}

static int free_template(void **state)
{
    for (int i = 0; i <= ROWS; i++)
        free(rows[i]);
    return 0;
}

/* ---- comparing ---- */

static void check_row(int64_t id, const char *text)
{
    if (id < 1 || id > ROWS || !rows[id] || strcmp(rows[id], text) != 0)
        fail_msg("message %lld came out as %.120s", (long long)id, text);
}

static void check_live_row(int64_t id, const char *text)
{
    if (id > DELIVERED)
        check_row(id, text);
}

static void salvage(void)
{
    char *why = NULL;
    if (queue_salvage(place.path, NULL, NULL, &why) != 0)
        fail_msg("%s", why);
}

/* All that came out is as it was; returns how much did not. */
static unsigned lost_rows(void)
{
    return ROWS - DELIVERED - each_row(check_row);
}

static void put_template(void)
{
    empty_place();
    put_file(place.path, file_bytes, file_size);
}

/* ---- tests: the whole ---- */

static void a_sound_database_comes_out_as_it_was(void **state)
{
    put_template();
    cleanup_free char *runs = ask("SELECT id, token, boot_id, epoch_ms, synchronised, confirmed_id FROM run");
    cleanup_free char *subscriptions = ask("SELECT * FROM subscription");
    cleanup_free char *devices = ask("SELECT * FROM device_state");
    salvage();
    assert_int_equal(lost_rows(), 0);
    assert_answer("SELECT id, token, boot_id, epoch_ms, synchronised, confirmed_id FROM run", runs);
    assert_answer("SELECT * FROM subscription", subscriptions);
    assert_answer("SELECT * FROM device_state", devices);
    assert_answer("SELECT acknowledged, stored FROM device", "3|3");
    assert_answer("PRAGMA integrity_check", "ok");
    assert_answer("PRAGMA auto_vacuum", "2");
    struct queue *queue = open_queue();
    store_text(queue, "new", "1");
    queue_close(queue);
    assert_answer("SELECT id FROM message WHERE topic = 'new'", "401");
    assert_int_equal(count_files("queue.db.damaged-", false), 1);
    assert_int_equal(count_files("queue.db.salvage", false), 0);
}

static void what_was_counted_and_noted_is_kept(void **state)
{
    put_template();
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    execute(handle, "INSERT INTO dropped VALUES ('max_age', 'sensor', 3, 400, 5, 6)");
    execute(handle, "INSERT INTO problem VALUES ('full', 7, 'max_size')");
    sqlite3_close(handle);
    salvage();
    assert_answer("SELECT * FROM dropped", "max_age|sensor|3|400|5|6");
    assert_answer("SELECT * FROM problem", "full|7|max_size");
}

/* ---- tests: pages ---- */

typedef void spoil_fn(uint8_t *page);

static void zeros(uint8_t *page)
{
    memset(page, 0, PAGE);
}

static void ones(uint8_t *page)
{
    memset(page, 0xff, PAGE);
}

static void noise(uint8_t *page)
{
    for (size_t i = 0; i < PAGE; i++)
        page[i] = (uint8_t)chance(256);
}

static void first_sector(uint8_t *page)
{
    memset(page, 0, 512);
}

static void first_byte(uint8_t *page)
{
    page[0] ^= 0x08; /* a leaf becomes an interior page, and the other way round */
}

/* A page that was another one's. */
static void foreign_page(uint8_t *page)
{
    memcpy(page, file_bytes + 4 * PAGE, PAGE);
}

static void assert_page_costs_its_rows_only(spoil_fn *spoil, uint32_t number, unsigned extra)
{
    uint8_t kept[PAGE];
    uint8_t *page = file_bytes + (size_t)(number - 1) * PAGE;
    memcpy(kept, page, PAGE);
    spoil(page);
    put_template();
    memcpy(page, kept, PAGE);
    salvage();
    unsigned lost = lost_rows();
    unsigned most = layout[number].message_leaf ? layout[number].rows : layout[number].overflow ? 1 : 0;
    if (lost > most + extra)
        fail_msg("page %u: %u rows are lost, and it has %u", number, lost, most);
}

/* Zeros in the last page of a payload may be payload: nothing tells that they are
 * not. */
static void each_page(spoil_fn *spoil, unsigned extra)
{
    for (uint32_t number = 1; number <= file_size / PAGE; number++)
        if (!layout[number].last_overflow || spoil == ones || spoil == noise)
            assert_page_costs_its_rows_only(spoil, number, extra);
}

static void a_page_of_zeros_costs_its_rows_only(void **state)
{
    each_page(zeros, 0);
}

static void a_page_of_ones_costs_its_rows_only(void **state)
{
    each_page(ones, 0);
}

static void a_page_of_noise_costs_its_rows_only(void **state)
{
    random_state = 1;
    each_page(noise, 0);
}

static void a_sector_costs_the_rows_of_its_page_only(void **state)
{
    each_page(first_sector, 0);
}

static void a_wrong_page_type_costs_nothing(void **state)
{
    for (uint32_t number = 2; number <= file_size / PAGE; number++) {
        uint8_t *page = file_bytes + (size_t)(number - 1) * PAGE;
        if (!layout[number].message_leaf)
            continue;
        first_byte(page);
        put_template();
        first_byte(page);
        salvage();
        if (lost_rows() > 0)
            fail_msg("page %u: rows are lost", number);
    }
}

static void a_page_in_anothers_place_costs_its_rows_only(void **state)
{
    each_page(foreign_page, 2);
}

static void two_pages_of_the_structure_cost_nothing(void **state)
{
    for (uint32_t number = 2; number <= file_size / PAGE; number++) {
        if (layout[number].message_leaf || layout[number].overflow)
            continue;
        uint8_t kept[PAGE];
        memcpy(kept, file_bytes, PAGE);
        zeros(file_bytes); /* page 1, and */
        uint8_t *page = file_bytes + (size_t)(number - 1) * PAGE;
        uint8_t kept_too[PAGE];
        memcpy(kept_too, page, PAGE);
        ones(page);
        put_template();
        memcpy(page, kept_too, PAGE);
        memcpy(file_bytes, kept, PAGE);
        salvage();
        /* Without pointer map and free list, what was delivered may come back. */
        if (each_row(number == 2 ? check_live_row : check_row) < ROWS - DELIVERED)
            fail_msg("pages 1 and %u: rows are lost", number);
    }
}

static void a_file_cut_off_anywhere_keeps_what_is_left(void **state)
{
    size_t whole = file_size;
    for (uint32_t pages = 0; pages <= whole / PAGE; pages++) {
        unsigned most = 0;
        for (uint32_t i = pages + 1; i <= whole / PAGE; i++)
            most += layout[i].message_leaf ? layout[i].rows : layout[i].overflow;
        for (int odd = 0; odd < 2; odd++) { /* also in the middle of a page */
            file_size = pages * PAGE + (odd ? 1700 : 0);
            put_template();
            file_size = whole;
            salvage();
            if (lost_rows() > most)
                fail_msg("cut off behind page %u: %u rows are lost of %u", pages, lost_rows(), most);
        }
    }
}

/* ---- tests: rows ---- */

/* A page from before it was set aside may count too, when nothing tells its age. */
static void a_message_is_in_one_table(void **state)
{
    put_template();
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    execute(handle,
            "INSERT INTO message SELECT id, run, route, topic, uptime_ms, source, method, target,"
            " content_type, idempotency_key, packet_id, late_since_uptime_ms, 0, NULL, NULL, NULL, payload"
            " FROM dead_letter");
    sqlite3_close(handle);
    salvage();
    assert_int_equal(lost_rows(), 0);
}

/* An id is changed: the message would go out under another's key. */
static void a_row_out_of_order_is_not_believed(void **state)
{
    uint32_t number = 1;
    while (!layout[number].message_leaf || layout[number].rows < 10)
        number++;
    for (int other = 0; other < 2; other++) {
        uint8_t *page = file_bytes + (size_t)(number - 1) * PAGE, kept[PAGE];
        memcpy(kept, page, PAGE);
        uint8_t *id = page + get2(page + 8 + 2 * 4); /* of the fifth cell: length, id */
        id += id[0] & 0x80 ? 2 : 1;
        assert_true(id[0] & 0x80 && !(id[1] & 0x80)); /* of two bytes, as from 128 on */
        id[0] = other ? 0xff : 0x80;
        id[1] = 0x7f; /* 16383 or 127 */
        put_template();
        memcpy(page, kept, PAGE);
        salvage();
        assert_int_equal(lost_rows(), 1);
    }
}

static void spoil_rows_of(const char *sql)
{
    sqlite3 *handle = look(SQLITE_OPEN_READONLY);
    sqlite3_stmt *row = NULL;
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &row, NULL), SQLITE_OK);
    while (sqlite3_step(row) == SQLITE_ROW)
        memset(file_bytes + (size_t)(sqlite3_column_int(row, 0) - 1) * PAGE, 0, PAGE);
    sqlite3_finalize(row);
    sqlite3_close(handle);
}

static void lost_run_rows_are_known_by_their_index(void **state)
{
    static uint8_t kept[FILE_MOST];
    memcpy(kept, file_bytes, file_size);
    put_template();
    spoil_rows_of("SELECT pageno FROM dbstat WHERE name = 'run'");
    put_template();
    memcpy(file_bytes, kept, file_size);
    salvage();
    assert_int_equal(lost_rows(), 0); /* which compares keys */
    assert_answer("SELECT synchronised FROM run", "0");
}

static void messages_of_a_lost_run_get_new_keys(void **state)
{
    static uint8_t kept[FILE_MOST];
    memcpy(kept, file_bytes, file_size);
    put_template();
    cleanup_free char *old = ask("SELECT token FROM run");
    spoil_rows_of("SELECT pageno FROM dbstat WHERE name IN ('run', 'sqlite_autoindex_run_1')");
    put_template();
    memcpy(file_bytes, kept, file_size);
    salvage();
    assert_answer("SELECT count(*) FROM pending WHERE idempotency_key IS NOT NULL", "238");
    assert_answer("SELECT count(*), sum(synchronised) FROM run", "1|0");
    cleanup_free char *new = ask("SELECT token FROM run");
    assert_string_not_equal(old, new);
    struct queue *queue = open_queue();
    struct message message;
    assert_int_equal(queue_fetch(queue, ROWS - 1, &message), 0);
    assert_false(message.clock_synchronised);
    assert_int_equal(strncmp(message.key, new, 16), 0);
    queue_release(queue);
    queue_close(queue);
}

/* ---- tests: any damage at all ---- */

static void flip(uint8_t *data, size_t bytes)
{
    unsigned flips = 1 + chance(chance(4) == 0 ? 400 : 12);
    for (unsigned i = 0; i < flips; i++) {
        size_t at = chance((uint32_t)bytes);
        if (chance(3) == 0) /* where the structure is */
            at = at / PAGE * PAGE + chance(40);
        data[at] = chance(2) ? (uint8_t)chance(256) : data[at] ^ (uint8_t)(1u << chance(8));
    }
}

/* The parts alone, on far more pages. */
static void no_page_crashes_the_parts(void **state)
{
    for (unsigned seed = 1; seed <= FUZZ_PAGES; seed++) {
        random_state = seed;
        /* On the heap and of the exact size: a byte too far is seen. */
        cleanup_free uint8_t *page = malloc(PAGE);
        uint32_t number = 1 + chance((uint32_t)(file_size / PAGE));
        memcpy(page, file_bytes + (size_t)(number - 1) * PAGE, PAGE);
        flip(page, PAGE);
        struct node node;
        if (!node_open(page, PAGE, number, chance(4) ? 0 : TABLE_LEAF, &node))
            continue;
        for (uint32_t i = 0; i < node.cells; i++) {
            struct cell cell;
            struct record record;
            if (!node_cell(&node, i, &cell) || cell.bytes == 0)
                continue;
            assert_true(cell.overflow != 0 || cell.local_bytes == cell.bytes);
            record_parse(cell.local, cell.local_bytes, cell.bytes, &record);
        }
    }
}

static void random_flips_never_crash_the_reader(void **state)
{
    static uint8_t kept[FILE_MOST];
    memcpy(kept, file_bytes, file_size);
    size_t whole = file_size;
    for (unsigned seed = 1; seed <= FUZZ_SEEDS; seed++) {
        random_state = seed;
        flip(file_bytes, file_size);
        if (chance(8) == 0)
            file_size = chance((uint32_t)whole);
        put_template();
        struct pages pages;
        struct salvage_result result;
        cleanup_free char *to = beside(".to");
        assert_int_equal(pages_open(place.path, &pages), 0);
        int error = salvage_copy(&pages, to, NULL, NULL, &result);
        pages_close(&pages);
        if (error != 0)
            fail_msg("seed %u: %s", seed, strerror(-error));
        memcpy(file_bytes, kept, whole);
        file_size = whole;
    }
}

static void ignore(void *context, int64_t id, const char *route, const char *topic)
{
    (*(int64_t *)context)++;
    assert_non_null(route);
    assert_non_null(topic);
    assert_true(id > 0);
}

static void ignore_packet(void *context, int64_t id, uint16_t packet_id, uint64_t digest)
{
}

/* Everything that the daemon does with a queue. */
static void use(struct queue *queue)
{
    int64_t after = 0, visited = 0;
    struct message message;
    queue_packets(queue, 1000, ignore_packet, NULL);
    for (int i = 0; i < 100; i++)
        if (queue_scan(queue, after, INT64_MAX, 10, ignore, &visited) <= 0)
            break;
        else
            after += 10;
    for (int64_t id = 1; id <= ROWS; id++) {
        if (queue_fetch(queue, id, &message) != 0)
            continue;
        assert_non_null(message.route);
        assert_non_null(message.topic);
        queue_release(queue);
        if (id % 3 == 0)
            confirm_and_settle(queue, id);
        if (id % 50 == 1)
            queue_bury(queue, id, 1, 400, "rejected", "x", 0);
    }
    if (queue_begin(queue) == 0) {
        int64_t id;
        message = reading("new", "1", 1);
        if (queue_append(queue, &message, &id) == 0)
            queue_commit(queue);
        else
            queue_rollback(queue);
    }
    if (queue_settled_count(queue) > 0)
        queue_settle_commit(queue, SIZE_MAX);
}

static void random_flips_never_stop_the_queue(void **state)
{
    static uint8_t kept[FILE_MOST];
    memcpy(kept, file_bytes, file_size);
    unsigned found = 0, salvaged = 0;
    for (unsigned seed = 1; seed <= FUZZ_OPENS; seed++) {
        random_state = seed * 7919;
        flip(file_bytes, file_size);
        put_template();
        memcpy(file_bytes, kept, file_size);
        struct queue *queue;
        char *why = NULL;
        int error = queue_open(place.path, &queue, &why);
        if (error == -EPROTONOSUPPORT || error == -EEXIST) { /* the version, or what it is, was hit */
            free(why);
            continue;
        }
        if (error != 0)
            fail_msg("seed %u: %s", seed, why);
        unsigned before = count_files("queue.db.damaged-", false);
        use(queue);
        if (queue_is_damaged(queue)) {
            found++;
            if (queue_reopen(queue, NULL, NULL, &why) != 0)
                fail_msg("seed %u: %s", seed, why);
            assert_false(queue_is_damaged(queue));
            use(queue);
            assert_false(queue_is_damaged(queue));
        }
        salvaged += before > 0;
        queue_close(queue);
        if (count_files("queue.db.damaged-", false) > 0)
            assert_answer("PRAGMA quick_check", "ok");
    }
    assert_true(found > 10 && salvaged > 10); /* both ways were gone */
}

/* ---- tests: the write-ahead log ---- */

/* A process that stored so many messages, each in a commit of its own, and was
 * killed: nothing is checkpointed. */
static void store_and_die(int from, int to)
{
    pid_t child = fork();
    if (child == 0) {
        struct queue *queue = open_queue();
        for (int i = from; i <= to; i++) {
            cleanup_free char *text = xasprintf("text %d", i);
            store_text(queue, "a", text);
        }
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static uint8_t wal_bytes[FILE_MOST];
static size_t wal_size;

static void read_wal(void)
{
    cleanup_free char *path = beside("-wal");
    wal_size = get_file(path, wal_bytes, FILE_MOST);
    assert_true(wal_size > 32 && wal_size < FILE_MOST);
}

static void write_wal(void)
{
    cleanup_free char *path = beside("-wal");
    put_file(path, wal_bytes, wal_size);
}

static void assert_wal_is(const char *words)
{
    cleanup_free char *found = queue_salvage_look(place.path);
    if (!words)
        assert_null(found);
    else if (!found || !strstr(found, words))
        fail_msg("it says: %s", found ? found : "(nothing)");
}

static const size_t frame_bytes = 24 + PAGE;

static void a_sound_log_is_no_damage(void **state)
{
    store_and_die(1, 30);
    assert_wal_is(NULL);
    queue_close(open_queue());
    assert_answer("SELECT count(*) FROM message", "30");
    assert_int_equal(count_files("queue.db.damaged-", false), 0);
}

/* As a power cut leaves it: what was not synced is torn. */
static void a_torn_end_of_the_log_is_no_damage(void **state)
{
    store_and_die(1, 30);
    read_wal();
    wal_size -= 1000;
    write_wal();
    assert_wal_is(NULL);
    queue_close(open_queue());
    assert_answer("SELECT count(*) FROM message", "29");
    assert_int_equal(count_files("queue.db.damaged-", false), 0);
}

static void a_log_damaged_in_the_middle_keeps_what_lies_behind(void **state)
{
    store_and_die(1, 30);
    read_wal();
    size_t frames = (wal_size - 32) / frame_bytes;
    for (int part = 0; part < 3; part++) { /* salts, checksum, page */
        empty_place();
        store_and_die(1, 30);
        read_wal();
        static const size_t parts[] = {9, 17, 3000};
        wal_bytes[32 + (frames / 2) * frame_bytes + parts[part]] ^= 0x40;
        write_wal();
        assert_wal_is("write-ahead log is damaged");
        queue_close(open_queue());
        assert_answer("SELECT count(*), count(DISTINCT payload) FROM message", "30|30");
        assert_int_equal(count_files("queue.db.damaged-", false), 1);
        assert_int_equal(count_files("queue.db.damaged-", true), 1);
    }
}

static void a_log_without_its_header_keeps_its_messages(void **state)
{
    for (int at = 0; at < 32; at += 3) {
        empty_place();
        store_and_die(1, 30);
        read_wal();
        wal_bytes[at] ^= 0x55;
        write_wal();
        assert_wal_is("write-ahead log is damaged");
        queue_close(open_queue());
        assert_answer("SELECT count(*) FROM message", "30");
    }
}

static void the_log_alone_is_enough(void **state)
{
    store_and_die(1, 30);
    assert_int_equal(unlink(place.path), 0);
    assert_wal_is("database is gone");
    queue_close(open_queue());
    assert_answer("SELECT count(*) FROM message", "30");

    empty_place();
    store_and_die(1, 30);
    assert_int_equal(truncate(place.path, 0), 0);
    queue_close(open_queue());
    assert_answer("SELECT count(*) FROM message", "30");
}

static void without_its_log_the_database_is_as_of_the_last_checkpoint(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    queue_close(queue);
    store_and_die(2, 30);
    cleanup_free char *wal = beside("-wal"), *shm = beside("-shm");
    assert_int_equal(unlink(wal), 0);
    unlink(shm);
    queue = open_queue(); /* which the log of the test has a line about */
    queue_close(queue);
    assert_answer("SELECT count(*) FROM message", "1");
}

static void the_log_of_another_database_is_not_taken(void **state)
{
    store_and_die(1, 20); /* the other one */
    read_wal();
    empty_place();
    struct queue *queue = open_queue();
    store_text(queue, "mine", "1");
    store_text(queue, "mine", "2");
    queue_close(queue);
    write_wal();
    assert_wal_is("another database");
    queue_close(open_queue());
    assert_answer("SELECT count(*), max(topic) FROM message", "2|mine");
    assert_int_equal(count_files("queue.db.damaged-", true), 1);
}

static void a_log_of_noise_is_passed_over(void **state)
{
    for (unsigned seed = 1; seed <= 300; seed++) {
        random_state = seed;
        put_template();
        wal_size = chance(3 * PAGE);
        for (size_t i = 0; i < wal_size; i++)
            wal_bytes[i] = (uint8_t)chance(256);
        write_wal();
        char *why = queue_salvage_look(place.path);
        assert_null(why);
        salvage();
        assert_int_equal(lost_rows(), 0);
    }
}

static void flips_in_the_log_never_crash_the_reader(void **state)
{
    store_and_die(1, 30);
    read_wal();
    static uint8_t kept[FILE_MOST];
    memcpy(kept, wal_bytes, wal_size);
    size_t whole = wal_size, database = get_file(place.path, file_bytes, FILE_MOST);
    for (unsigned seed = 1; seed <= FUZZ_OPENS; seed++) {
        random_state = seed;
        flip(wal_bytes, wal_size);
        empty_place();
        put_file(place.path, file_bytes, database);
        write_wal();
        memcpy(wal_bytes, kept, whole);
        struct queue *queue = open_queue();
        use(queue);
        queue_close(queue);
    }
    put_template();
}

/* ---- tests: finding it ---- */

static void a_small_database_is_checked_after_a_crash(void **state)
{
    store_and_die(1, 300);
    queue_close(open_queue()); /* a checkpoint */
    store_and_die(301, 301);
    read_wal();
    put_file(place.path, file_bytes, get_file(place.path, file_bytes, FILE_MOST));
    int leaf = 0;
    sqlite3 *handle = look(SQLITE_OPEN_READONLY);
    cleanup_free char *page =
        ask_with(handle, "SELECT pageno FROM dbstat WHERE name = 'message' AND pagetype = 'leaf'"
                         " ORDER BY pageno LIMIT 1 OFFSET 2");
    sqlite3_close(handle);
    leaf = (int)strtol(page, NULL, 10);
    assert_true(leaf > 2);
    size_t bytes = get_file(place.path, file_bytes, FILE_MOST);
    memset(file_bytes + (size_t)(leaf - 1) * PAGE, 0, PAGE);
    put_file(place.path, file_bytes, bytes);
    queue_close(open_queue());
    assert_int_equal(count_files("queue.db.damaged-", false), 1);
}

int main(void)
{
#define in_fast_place(test) cmocka_unit_test_setup_teardown(test, make_fast_place, remove_fast_place)
    const struct CMUnitTest tests[] = {
        in_fast_place(a_sound_database_comes_out_as_it_was),
        in_fast_place(what_was_counted_and_noted_is_kept),
        in_fast_place(a_page_of_zeros_costs_its_rows_only),
        in_fast_place(a_page_of_ones_costs_its_rows_only),
        in_fast_place(a_page_of_noise_costs_its_rows_only),
        in_fast_place(a_sector_costs_the_rows_of_its_page_only),
        in_fast_place(a_wrong_page_type_costs_nothing),
        in_fast_place(a_page_in_anothers_place_costs_its_rows_only),
        in_fast_place(two_pages_of_the_structure_cost_nothing),
        in_fast_place(a_file_cut_off_anywhere_keeps_what_is_left),
        in_fast_place(a_message_is_in_one_table),
        in_fast_place(a_row_out_of_order_is_not_believed),
        in_fast_place(lost_run_rows_are_known_by_their_index),
        in_fast_place(messages_of_a_lost_run_get_new_keys),
        in_fast_place(no_page_crashes_the_parts),
        in_fast_place(random_flips_never_crash_the_reader),
        in_fast_place(random_flips_never_stop_the_queue),
        in_fast_place(a_sound_log_is_no_damage),
        in_fast_place(a_torn_end_of_the_log_is_no_damage),
        in_fast_place(a_log_damaged_in_the_middle_keeps_what_lies_behind),
        in_fast_place(a_log_without_its_header_keeps_its_messages),
        in_fast_place(the_log_alone_is_enough),
        in_fast_place(without_its_log_the_database_is_as_of_the_last_checkpoint),
        in_fast_place(the_log_of_another_database_is_not_taken),
        in_fast_place(a_log_of_noise_is_passed_over),
        in_fast_place(a_small_database_is_checked_after_a_crash),
        in_fast_place(flips_in_the_log_never_crash_the_reader),
    };
    return cmocka_run_group_tests(tests, make_template, free_template);
}
