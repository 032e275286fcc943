/* Damaged pages: the rows of all other pages are copied unchanged, with their old keys, no
 * delivered message comes back, and no input makes the salvage crash. */
#include "salvage_place.h"

#include "queue/salvage/copy.h"

enum { FUZZ_SEEDS = 300, RANDOM_DAMAGES = 200 };

/* ---- pages ---- */

typedef void spoil_fn(uint8_t *page);

static void zeros(uint8_t *page)
{
    memset(page, 0, PAGE_BYTES);
}

static void ones(uint8_t *page)
{
    memset(page, 0xff, PAGE_BYTES);
}

static void noise(uint8_t *page)
{
    for (size_t i = 0; i < PAGE_BYTES; i++)
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

/* The content of another page. */
static void foreign_page(uint8_t *page)
{
    memcpy(page, file_bytes + 4 * PAGE_BYTES, PAGE_BYTES);
}

static void assert_page_costs_its_rows_only(spoil_fn *spoil, uint32_t number, unsigned extra)
{
    uint8_t kept[PAGE_BYTES];
    uint8_t *page = file_bytes + (size_t)(number - 1) * PAGE_BYTES;
    memcpy(kept, page, PAGE_BYTES);
    spoil(page);
    put_template();
    memcpy(page, kept, PAGE_BYTES);
    salvage();
    unsigned lost = lost_rows();
    unsigned most = layout[number].message_leaf ? layout[number].rows : layout[number].overflow ? 1 : 0;
    if (lost > most + extra)
        fail_msg("page %u: %u rows are lost, but it has %u", number, lost, most);
}

/* Other content in the last page of a payload may be payload: nothing shows that it is
 * not. */
static void each_page(spoil_fn *spoil, unsigned extra)
{
    static uint32_t turn; /* another start for each kind of damage */
    for (uint32_t number = 1 + turn++ % test_step(); number <= file_size / PAGE_BYTES; number += test_step())
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
    for (uint32_t number = 2; number <= file_size / PAGE_BYTES; number++) {
        uint8_t *page = file_bytes + (size_t)(number - 1) * PAGE_BYTES;
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

static void a_misplaced_page_costs_its_rows_only(void **state)
{
    each_page(foreign_page, 2);
}

static unsigned live_rows;

static void check_live_row(int64_t id, const char *text)
{
    if (id <= LAST_DELIVERED)
        return;
    check_row(id, text);
    live_rows++;
}

static void two_pages_of_the_structure_cost_nothing(void **state)
{
    for (uint32_t number = 2; number <= file_size / PAGE_BYTES; number++) {
        if (layout[number].message_leaf || layout[number].overflow)
            continue;
        uint8_t kept[PAGE_BYTES];
        memcpy(kept, file_bytes, PAGE_BYTES);
        zeros(file_bytes); /* page 1 */
        uint8_t *page = file_bytes + (size_t)(number - 1) * PAGE_BYTES;
        uint8_t kept_too[PAGE_BYTES];
        memcpy(kept_too, page, PAGE_BYTES);
        ones(page);
        put_template();
        memcpy(page, kept_too, PAGE_BYTES);
        memcpy(file_bytes, kept, PAGE_BYTES);
        salvage();
        /* Without pointer map and free list, delivered messages may come back. */
        if (each_row(number == 2 ? check_live_row : check_row) < ROWS - LAST_DELIVERED)
            fail_msg("pages 1 and %u: rows are lost", number);
    }
}

static void a_truncated_file_keeps_the_rows_of_its_pages(void **state)
{
    size_t whole = file_size;
    for (uint32_t pages = 0; pages <= whole / PAGE_BYTES; pages++) {
        unsigned most = 0;
        for (uint32_t i = pages + 1; i <= whole / PAGE_BYTES; i++)
            most += layout[i].message_leaf ? layout[i].rows : layout[i].overflow;
        for (int odd = 0; odd < 2; odd++) { /* also in the middle of a page */
            file_size = pages * PAGE_BYTES + (odd ? 1700 : 0);
            put_template();
            file_size = whole;
            salvage();
            if (lost_rows() > most)
                fail_msg("cut off after page %u: %u rows are lost of %u", pages, lost_rows(), most);
        }
    }
}

/* ---- rows ---- */

/* A page from before the message was dead-lettered may count too, when nothing shows its
 * age. */
static void a_message_is_in_one_table(void **state)
{
    put_template();
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    execute(handle,
            "INSERT INTO message (id, run, route, topic, uptime_ms, source, method, target, content_type,"
            " idempotency_key, packet_id, late_since_uptime_ms, payload)"
            " SELECT id, run, route, topic, uptime_ms, source, method, target, content_type,"
            " idempotency_key, packet_id, late_since_uptime_ms, payload FROM dead_letter");
    sqlite3_close(handle);
    salvage();
    assert_int_equal(lost_rows(), 0);
}

/* An id is changed: the message would be sent with the key of another one. */
static void a_row_out_of_order_is_not_copied(void **state)
{
    uint32_t number = 1;
    while (!layout[number].message_leaf || layout[number].rows < 10)
        number++;
    for (int other = 0; other < 2; other++) {
        uint8_t *page = file_bytes + (size_t)(number - 1) * PAGE_BYTES, kept[PAGE_BYTES];
        memcpy(kept, page, PAGE_BYTES);
        uint8_t *id = page + get2(page + 8 + 2 * 4); /* of the fifth cell, after its length */
        id += id[0] & 0x80 ? 2 : 1;
        assert_true(id[0] & 0x80 && !(id[1] & 0x80)); /* two bytes, because it is 128 or more */
        id[0] = other ? 0xff : 0x80;
        id[1] = 0x7f; /* 16383 or 127 */
        put_template();
        memcpy(page, kept, PAGE_BYTES);
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
        memset(file_bytes + (size_t)(sqlite3_column_int(row, 0) - 1) * PAGE_BYTES, 0, PAGE_BYTES);
    sqlite3_finalize(row);
    sqlite3_close(handle);
}

static void tokens_of_lost_runs_come_from_the_index(void **state)
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
    queue_fetch_done(queue);
    queue_close(queue);
}

/* ---- any damage ---- */

/* Several pages, each damaged in another way. */
static void random_damage_costs_the_rows_of_its_pages_only(void **state)
{
    static spoil_fn *const kinds[] = {zeros, ones, noise, first_sector, foreign_page};
    static uint8_t kept[FILE_MOST];
    memcpy(kept, file_bytes, file_size);
    for (unsigned seed = 1; seed <= test_cases(RANDOM_DAMAGES); seed++) {
        random_state = seed;
        unsigned most = 0, hits = 1 + chance(4);
        for (unsigned i = 0; i < hits; i++) {
            uint32_t number = 1 + chance((uint32_t)(file_size / PAGE_BYTES));
            spoil_fn *spoil = kinds[chance(ARRAY_LEN(kinds))];
            if (layout[number].last_overflow)
                spoil = noise; /* other content may be payload */
            spoil(file_bytes + (size_t)(number - 1) * PAGE_BYTES);
            most += layout[number].message_leaf ? layout[number].rows : layout[number].overflow ? 1 : 0;
            most += spoil == foreign_page ? 2 : 0;
        }
        put_template();
        memcpy(file_bytes, kept, file_size);
        salvage();
        live_rows = 0;
        each_row(check_live_row); /* pointer map and free list may both be hit */
        if (live_rows + most < ROWS - LAST_DELIVERED)
            fail_msg("seed %u: %u rows are saved; at most %u are on damaged pages", seed, live_rows, most);
    }
}

static void random_flips_never_crash_the_salvage(void **state)
{
    static uint8_t kept[FILE_MOST];
    memcpy(kept, file_bytes, file_size);
    size_t whole = file_size;
    for (unsigned seed = 1; seed <= test_cases(FUZZ_SEEDS); seed++) {
        random_state = seed;
        flip(file_bytes, file_size);
        if (chance(8) == 0)
            file_size = chance((uint32_t)whole);
        put_template();
        struct pages pages;
        struct salvage_result result;
        cleanup_free char *to = beside(".to");
        assert_int_equal(pages_open(place.path, &pages), 0);
        int error = salvage_copy(&pages, to, &result);
        pages_close(&pages);
        if (error != 0)
            fail_msg("seed %u: %s", seed, strerror(-error));
        memcpy(file_bytes, kept, whole);
        file_size = whole;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_fast_place(a_page_of_zeros_costs_its_rows_only),
        in_fast_place(a_page_of_ones_costs_its_rows_only),
        in_fast_place(a_page_of_noise_costs_its_rows_only),
        in_fast_place(a_sector_costs_the_rows_of_its_page_only),
        in_fast_place(a_wrong_page_type_costs_nothing),
        in_fast_place(a_misplaced_page_costs_its_rows_only),
        in_fast_place(two_pages_of_the_structure_cost_nothing),
        in_fast_place(a_truncated_file_keeps_the_rows_of_its_pages),
        in_fast_place(a_message_is_in_one_table),
        in_fast_place(a_row_out_of_order_is_not_copied),
        in_fast_place(tokens_of_lost_runs_come_from_the_index),
        in_fast_place(messages_of_a_lost_run_get_new_keys),
        in_fast_place(random_damage_costs_the_rows_of_its_pages_only),
        in_fast_place(random_flips_never_crash_the_salvage),
    };
    return cmocka_run_group_tests(tests, make_template, free_template);
}
