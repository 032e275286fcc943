/* Space that is kept for a full disk. */
#include "queue/queue_place.h"
#include "queue/reserve.h"

#include <sys/stat.h>

static char reserve_path[128];

static int make_reserve_place(void **state)
{
    if (make_place(state) != 0)
        return -1;
    snprintf(reserve_path, sizeof reserve_path, "%s-reserve", place.path);
    return 0;
}

static struct stat look_at_file(void)
{
    struct stat file;
    assert_int_equal(stat(reserve_path, &file), 0);
    return file;
}

static void make_whole(struct queue_reserve *reserve)
{
    for (int steps = 0; !queue_reserve_is_made(reserve); steps++) {
        assert_true(steps < 100);
        assert_int_equal(queue_reserve_step(reserve), 0);
    }
}

static void it_takes_space_on_the_disk_for_real(void **state)
{
    struct queue_reserve *reserve = queue_reserve_new(place.path);
    assert_false(queue_reserve_is_made(reserve));
    assert_int_equal(queue_reserve_lacks(reserve), QUEUE_RESERVE_BYTES);
    make_whole(reserve);
    assert_int_equal(queue_reserve_lacks(reserve), 0);
    struct stat file = look_at_file();
    assert_int_equal(file.st_size, QUEUE_RESERVE_BYTES);
    assert_true(file.st_blocks * 512 >= QUEUE_RESERVE_BYTES);
    assert_int_equal(file.st_mode & 07777, 0640);
    queue_reserve_free(reserve);
}

/* The loop must go on: a step writes a little. */
static void it_is_written_in_small_steps(void **state)
{
    struct queue_reserve *reserve = queue_reserve_new(place.path);
    int64_t before = 0;
    while (!queue_reserve_is_made(reserve)) {
        assert_int_equal(queue_reserve_step(reserve), 0);
        int64_t bytes = look_at_file().st_size;
        assert_in_range(bytes - before, 0, 2 * 1024 * 1024);
        before = bytes;
    }
    queue_reserve_free(reserve);
}

static void no_file_system_finds_much_to_compress(void **state)
{
    struct queue_reserve *reserve = queue_reserve_new(place.path);
    make_whole(reserve);
    queue_reserve_free(reserve);
    static unsigned char data[QUEUE_RESERVE_BYTES];
    FILE *file = fopen(reserve_path, "r");
    assert_int_equal(fread(data, 1, sizeof data, file), sizeof data);
    fclose(file);
    size_t counts[256] = {0};
    for (size_t i = 0; i < sizeof data; i++)
        counts[data[i]]++;
    for (int i = 0; i < 256; i++)
        assert_in_range(counts[i], sizeof data / 256 * 9 / 10, sizeof data / 256 * 11 / 10);
    assert_memory_not_equal(data, data + 4096, 4096);
    assert_memory_not_equal(data, data + 65536, 65536);
}

static void one_that_is_there_is_not_written_again(void **state)
{
    struct queue_reserve *reserve = queue_reserve_new(place.path);
    make_whole(reserve);
    queue_reserve_free(reserve);
    ino_t inode = look_at_file().st_ino;
    reserve = queue_reserve_new(place.path);
    assert_true(queue_reserve_is_made(reserve));
    assert_int_equal(queue_reserve_step(reserve), 0);
    assert_int_equal(look_at_file().st_ino, inode);
    queue_reserve_free(reserve);
}

/* A crash in the middle, or a file with a hole. */
static void half_a_one_is_made_anew(void **state)
{
    struct queue_reserve *reserve = queue_reserve_new(place.path);
    assert_int_equal(queue_reserve_step(reserve), 0);
    queue_reserve_free(reserve);
    reserve = queue_reserve_new(place.path);
    assert_false(queue_reserve_is_made(reserve));
    make_whole(reserve);
    queue_reserve_free(reserve);

    assert_int_equal(truncate(reserve_path, 0), 0);
    assert_int_equal(truncate(reserve_path, QUEUE_RESERVE_BYTES), 0);
    reserve = queue_reserve_new(place.path);
    assert_false(queue_reserve_is_made(reserve));
    make_whole(reserve);
    assert_true(look_at_file().st_blocks * 512 >= QUEUE_RESERVE_BYTES);
    queue_reserve_free(reserve);
}

static void removed_it_gives_its_space_back(void **state)
{
    struct queue_reserve *reserve = queue_reserve_new(place.path);
    assert_false(queue_reserve_remove(reserve));
    assert_int_equal(queue_reserve_step(reserve), 0);
    assert_true(queue_reserve_remove(reserve));
    assert_int_equal(access(reserve_path, F_OK), -1);
    make_whole(reserve);
    assert_true(queue_reserve_remove(reserve));
    assert_int_equal(access(reserve_path, F_OK), -1);
    assert_int_equal(queue_reserve_lacks(reserve), QUEUE_RESERVE_BYTES);
    queue_reserve_free(reserve);
}

static void it_follows_no_link(void **state)
{
    cleanup_free char *other = xasprintf("%s-lock", place.path);
    put_file(other, "precious", 8);
    assert_int_equal(symlink(other, reserve_path), 0);
    struct queue_reserve *reserve = queue_reserve_new(place.path);
    assert_false(queue_reserve_is_made(reserve));
    make_whole(reserve);
    queue_reserve_free(reserve);
    struct stat file;
    assert_int_equal(stat(other, &file), 0);
    assert_int_equal(file.st_size, 8);
}

/* The disk has no space for it: what it took is given back at once. */
static void without_space_nothing_of_it_stays(void **state)
{
    put_file(reserve_path, "", 0);
    unlink(reserve_path);
    assert_int_equal(rmdir(place.dir), 0);
    struct queue_reserve *reserve = queue_reserve_new(place.path);
    assert_int_equal(queue_reserve_step(reserve), -ENOENT);
    assert_false(queue_reserve_is_made(reserve));
    assert_int_equal(mkdir(place.dir, 0700), 0);
    make_whole(reserve);
    queue_reserve_free(reserve);
}

#define here(test) cmocka_unit_test_setup_teardown(test, make_reserve_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        here(it_takes_space_on_the_disk_for_real),
        here(it_is_written_in_small_steps),
        here(no_file_system_finds_much_to_compress),
        here(one_that_is_there_is_not_written_again),
        here(half_a_one_is_made_anew),
        here(removed_it_gives_its_space_back),
        here(it_follows_no_link),
        here(without_space_nothing_of_it_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
