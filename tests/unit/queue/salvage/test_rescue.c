/* The files of a queue were deleted, and the disk cannot read all of them. */
#include "queue/queue_place.h"

#include "queue/fault_vfs.h"

#include <dirent.h>

enum { MESSAGES = 300, READS = 20 };

static void delete_files(void)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        cleanup_free char *name = xasprintf("%s%s", place.path, suffixes[i]);
        assert_int_equal(unlink(name), 0);
    }
}

/* SQLite gives up at the first page that cannot be read. */
static void a_read_error_does_not_stop_the_rescue(void **state)
{
    static const char text[] =
        "a message that makes the database larger than a few pages, which are read one by one";
    for (unsigned nth = 1; nth <= READS; nth++) {
        make_place(state);
        struct queue *queue = open_queue();
        char *why = NULL;
        for (int i = 0; i < MESSAGES; i++)
            store_text(queue, "t", text);
        queue_trim(queue);
        delete_files();
        fault_vfs_arm(&(struct fault_plan){.ops = FAULT_READ, .nth = nth, .code = SQLITE_IOERR_READ});
        int error = queue_reopen(queue, &why);
        if (error != 0)
            fail_msg("read %u: %s", nth, why);
        assert_true(fault_vfs_fired());
        fault_vfs_heal();
        assert_false(queue_is_lost(queue) || queue_is_damaged(queue));
        assert_answer("SELECT count(*) FROM message", "300");
        queue_close(queue);
        remove_whole_place(state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_error_does_not_stop_the_rescue),
    };
    fault_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
