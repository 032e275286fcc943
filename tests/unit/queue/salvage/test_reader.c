/* Reads single pages as whole tables: sound ones completely, and damaged ones safely. */
#include "salvage_place.h"

#include "queue/salvage/reader.h"

enum { FUZZ_PAGES = 5000, DEVICES = 300 };

static struct pages pages;
static struct db newest; /* an empty queue, which knows the columns */
static struct table_columns columns[TABLES];
static struct reader *reader;

static void open_reader(void)
{
    assert_int_equal(pages_open(place.path, &pages), 0);
    assert_int_equal(db_open_stand_in(&newest), 0);
    assert_int_equal(tables_learn(&newest, columns), 0);
    assert_int_equal(reader_open(&pages, columns, &reader), 0);
}

static void close_reader(void)
{
    reader_close(reader);
    tables_done(columns);
    sqlite3_close(newest.handle);
    pages_close(&pages);
}

/* Reads a page as each table that it may belong to. Returns the number of messages. */
static unsigned read_all(const uint8_t *page, uint32_t number, enum page_type type)
{
    unsigned messages = 0;
    int64_t ids[CELLS_MOST];
    for (int table = 0; table < TABLES; table++) {
        if (table_facts[table].rowid != (type == TABLE_LEAF))
            continue;
        uint32_t cells = reader_show(reader, page, number, type);
        assert_true(cells <= CELLS_MOST);
        assert_true(reader_ids(reader, ids) <= CELLS_MOST);
        reader_highest_message(reader);
        for (uint32_t i = 0; i < cells; i++)
            if (reader_row(reader, (enum table)table, i))
                messages += table == MESSAGE;
    }
    return messages;
}

static void the_leaves_hold_all_messages(void **state)
{
    unsigned messages = 0;
    put_template();
    open_reader();
    for (uint32_t i = 2; i <= file_size / PAGE_BYTES; i++)
        if (layout[i].message_leaf)
            messages += read_all(file_bytes + (size_t)(i - 1) * PAGE_BYTES, i, TABLE_LEAF);
    assert_int_equal(messages, ROWS - LAST_DELIVERED - DEAD);
    close_reader();
}

static void the_page_that_is_shown_replaces_the_one_before(void **state)
{
    static const uint8_t empty[PAGE_BYTES] = {0};
    put_template();
    open_reader();
    for (uint32_t i = 2; i <= file_size / PAGE_BYTES; i++) {
        const uint8_t *page = file_bytes + (size_t)(i - 1) * PAGE_BYTES;
        if (!layout[i].message_leaf)
            continue;
        int64_t ids[CELLS_MOST];
        assert_int_equal(reader_show(reader, page, i, TABLE_LEAF), layout[i].rows);
        assert_int_equal(reader_ids(reader, ids), layout[i].rows);
        reader_show(reader, empty, i, TABLE_LEAF);
        assert_int_equal(reader_ids(reader, ids), 0);
    }
    close_reader();
}

/* The tree of the devices has an interior page, which holds rows too. */
static void no_row_of_an_interior_index_page_is_lost(void **state)
{
    struct queue *queue = open_queue();
    for (int i = 0; i < DEVICES; i++) {
        cleanup_free char *name = xasprintf("garden/a-device-with-a-long-name-%d/ack", i);
        save_device(queue, name, 1);
    }
    queue_close(queue);
    cleanup_free char *interior =
        ask("SELECT count(*) FROM dbstat WHERE name = 'device_state' AND pagetype = 'internal'");
    assert_string_equal(interior, "1");
    size_t bytes = get_file(place.path, file_bytes, FILE_MOST);
    open_reader();
    unsigned devices = 0;
    for (uint32_t i = 2; i <= bytes / PAGE_BYTES; i++) {
        const uint8_t *page = file_bytes + (size_t)(i - 1) * PAGE_BYTES;
        if (page[0] != INDEX_LEAF && page[0] != INDEX_INTERIOR)
            continue;
        uint32_t cells = reader_show(reader, page, i, page[0]);
        for (uint32_t row = 0; row < cells; row++)
            devices += reader_row(reader, DEVICE, row) != NULL;
    }
    assert_int_equal(devices, DEVICES);
    close_reader();
}

static void no_page_crashes_the_reader(void **state)
{
    static const enum page_type types[] = {TABLE_LEAF, INDEX_LEAF, INDEX_INTERIOR};
    put_template();
    open_reader();
    for (unsigned seed = 1; seed <= test_cases(FUZZ_PAGES); seed++) {
        random_state = seed;
        /* On the heap and of the exact size: a sanitizer sees each byte that is read beyond it. */
        cleanup_free uint8_t *page = malloc(PAGE_BYTES);
        uint32_t number = 2 + chance((uint32_t)(file_size / PAGE_BYTES) - 1);
        memcpy(page, file_bytes + (size_t)(number - 1) * PAGE_BYTES, PAGE_BYTES);
        flip(page, PAGE_BYTES);
        read_all(page, number, types[chance(3)]);
    }
    close_reader();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_fast_place(the_leaves_hold_all_messages),
        in_fast_place(the_page_that_is_shown_replaces_the_one_before),
        in_fast_place(no_page_crashes_the_reader),
        in_fast_place(no_row_of_an_interior_index_page_is_lost),
    };
    return cmocka_run_group_tests(tests, make_template, free_template);
}
