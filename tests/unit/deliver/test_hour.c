#include "unit.h"

#include "deliver/hour.h"

enum { MINUTE_MS = 60 * 1000, START_MS = 1000 * HOUR_PART_MS };

static void note(struct hour *hour, uint64_t delivered, uint64_t dead, int64_t now_ms)
{
    hour_note(hour, &(struct hour_count){.delivered = delivered, .dead = dead}, now_ms);
}

static void expect(const struct hour *hour, int64_t now_ms, uint64_t delivered, uint64_t dead)
{
    struct hour_count sum = hour_sum(hour, now_ms);
    assert_int_equal(sum.delivered, delivered);
    assert_int_equal(sum.dead, dead);
}

static void it_counts_the_last_hour(void **state)
{
    struct hour hour = {.part = 0};
    expect(&hour, START_MS, 0, 0);
    note(&hour, 10, 1, START_MS);
    note(&hour, 5, 0, START_MS + 20 * MINUTE_MS);
    expect(&hour, START_MS + 20 * MINUTE_MS, 15, 1);
    expect(&hour, START_MS + 59 * MINUTE_MS, 15, 1);
    expect(&hour, START_MS + 60 * MINUTE_MS, 5, 0);
    expect(&hour, START_MS + 80 * MINUTE_MS, 0, 0);
}

static void a_part_is_used_again(void **state)
{
    struct hour hour = {.part = 0};
    for (int i = 0; i < 100; i++) {
        note(&hour, 2, 1, START_MS + i * HOUR_PART_MS);
        unsigned parts = i < HOUR_PARTS ? (unsigned)i + 1 : HOUR_PARTS;
        expect(&hour, START_MS + i * HOUR_PART_MS, 2 * parts, parts);
    }
    note(&hour, 1, 0, START_MS + 1000 * HOUR_PART_MS);
    expect(&hour, START_MS + 1000 * HOUR_PART_MS, 1, 0);
}

static void it_works_right_after_the_boot(void **state)
{
    struct hour hour = {.part = 0};
    note(&hour, 1, 1, 10);
    note(&hour, 1, 1, HOUR_PART_MS);
    expect(&hour, HOUR_PART_MS, 2, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_counts_the_last_hour),
        cmocka_unit_test(a_part_is_used_again),
        cmocka_unit_test(it_works_right_after_the_boot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
