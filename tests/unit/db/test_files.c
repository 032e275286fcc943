/* Whether the files of a database are in their places, and a copy of what is open. */
#include "db/db.h"
#include "db/files.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char dir[64], path[96], copy_path[96], other[96];

static int make(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/sluice-files-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/queue.db", dir);
    snprintf(copy_path, sizeof copy_path, "%s/copy.db", dir);
    snprintf(other, sizeof other, "%s/other", dir);
    return 0;
}

static int clean(void **state)
{
    cleanup_free char *command = xasprintf("rm -rf '%s'", dir);
    return system(command);
}

static struct db opened(void)
{
    struct db db;
    char *why = NULL;
    assert_int_equal(db_open(path, DB_TRUSTED, &db, &why), 0);
    assert_int_equal(db_exec(&db, "CREATE TABLE t (x)", "test"), 0);
    return db;
}

static void each_file_is_missed(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    struct db db = opened();
    struct db_files files;
    db_files_note(&db, path, &files);
    assert_true(db_files_are_there(&files, &db, path));
    for (int i = 0; i < DB_FILES; i++) {
        cleanup_free char *name = xasprintf("%s%s", path, suffixes[i]);
        assert_int_equal(rename(name, other), 0);
        assert_false(db_files_are_there(&files, &db, path));
        FILE *file = fopen(name, "w"); /* another one in its place */
        fclose(file);
        for (int k = 0; k < DB_FILES; k++)
            assert_int_equal(db_file_is_there(&files, &db, path, (enum db_file)k), k != i);
        assert_int_equal(rename(other, name), 0);
        assert_true(db_files_are_there(&files, &db, path));
    }
    db_close(&db);
}

static void memory_has_no_files(void **state)
{
    struct db db;
    struct db_files files;
    assert_int_equal(db_open_stand_in(&db), 0);
    db_files_note(&db, path, &files);
    assert_true(db_files_are_there(&files, &db, path));
    db_close(&db);
}

/* Also what only the write-ahead log of a deleted database has. */
static void a_copy_has_everything(void **state)
{
    struct db db = opened(), copy;
    char *why = NULL;
    int64_t rows = 0;
    assert_int_equal(db_exec(&db,
                             "INSERT INTO t WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n"
                             " WHERE x < 20000) SELECT x FROM n",
                             "test"),
                     0);
    unlink(path);
    assert_int_equal(db_copy(&db, copy_path), 0);
    assert_int_equal(db_copy(&db, copy_path), -EEXIST);
    db_close(&db);
    assert_int_equal(db_open(copy_path, DB_DOUBTED, &copy, &why), 0);
    assert_int_equal(db_number(&copy, "SELECT count(*) FROM t", &rows), 0);
    assert_int_equal(rows, 20000);
    assert_int_equal(db_number(&copy, "PRAGMA auto_vacuum", &rows), 0);
    assert_int_equal(rows, 2);
    db_close(&copy);
}

#define in_directory(test) cmocka_unit_test_setup_teardown(test, make, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_directory(each_file_is_missed),
        in_directory(memory_has_no_files),
        in_directory(a_copy_has_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
