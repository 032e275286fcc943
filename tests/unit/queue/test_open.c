/* Opening a damaged queue again. */
#include "queue/queue_place.h"

#include <dirent.h>

static unsigned count_damaged(void)
{
    unsigned count = 0;
    DIR *dir = opendir(place.dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += strstr(entry->d_name, ".damaged-") && !strstr(entry->d_name, "-wal");
    closedir(dir);
    return count;
}

static void fetch_all(struct queue *queue)
{
    struct message message;
    for (int64_t id = 1; id <= 8; id++)
        if (queue_fetch(queue, id, &message) == 0)
            queue_fetch_done(queue);
}

/* One flipped bit must not cost a copy of the database with every look at it. */
static void a_message_of_an_unknown_run_is_salvaged_once(void **state)
{
    for (int i = 0; i < 9; i++) {
        struct queue *queue = open_queue();
        for (int j = 0; i > 4 && j < 2; j++)
            store_text(queue, "t", "1");
        queue_close(queue);
    }
    sqlite3 *bit = look(SQLITE_OPEN_READWRITE);
    execute(bit, "UPDATE message SET run = run | 64 WHERE id = 6");
    sqlite3_close(bit);

    struct queue *queue = open_queue();
    fetch_all(queue);
    assert_true(queue_is_damaged(queue));
    char *why = NULL;
    assert_int_equal(queue_reopen(queue, &why), 0);
    fetch_all(queue);
    assert_false(queue_is_damaged(queue));
    queue_close(queue);
    queue = open_queue();
    fetch_all(queue);
    assert_false(queue_is_damaged(queue));
    queue_close(queue);
    assert_int_equal(count_damaged(), 1);
    assert_answer("SELECT count(*) FROM message", "8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_of_an_unknown_run_is_salvaged_once, make_place,
                                        remove_whole_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
