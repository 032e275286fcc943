/* When work comes round. */
#include "unit.h"

#include "net/pace.h"

static void test_moments_of_rest_are_the_same_for_all(void **state)
{
    assert_int_equal(pace_rest_ms(0), PACE_REST_MS);
    assert_int_equal(pace_rest_ms(1), PACE_REST_MS - 1);
    for (uint64_t now_ms = 100; now_ms < 3 * PACE_REST_MS; now_ms += 777)
        assert_int_equal((now_ms + pace_rest_ms(now_ms)) % PACE_REST_MS, 0);
}

struct counting {
    struct pace pace;
    unsigned count;
};

static bool count(void *context)
{
    struct counting *counting = context;
    counting->count++;
    return false;
}

static bool count_and_stop(void *context)
{
    struct counting *counting = context;
    counting->count++;
    pace_stop(&counting->pace);
    return true;
}

static void end(struct counting *counting, uv_loop_t *loop)
{
    uv_close((uv_handle_t *)&counting->pace.timer, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
}

static void test_work_at_rest_is_hurried(void **state)
{
    uv_loop_t loop;
    struct counting counting = {.count = 0};
    uv_loop_init(&loop);
    pace_start(&counting.pace, &loop, count, &counting);
    while (counting.count == 0)
        uv_run(&loop, UV_RUN_ONCE);
    assert_true(uv_is_active((uv_handle_t *)&counting.pace.timer));
    pace_hurry(&counting.pace);
    assert_in_range(uv_timer_get_due_in(&counting.pace.timer), 0, PACE_MS);
    end(&counting, &loop);
}

static void test_work_can_stop_itself(void **state)
{
    uv_loop_t loop;
    struct counting counting = {.count = 0};
    uv_loop_init(&loop);
    pace_start(&counting.pace, &loop, count_and_stop, &counting);
    uv_run(&loop, UV_RUN_DEFAULT); /* ends when no timer is active */
    assert_int_equal(counting.count, 1);
    pace_hurry(&counting.pace);
    assert_false(uv_is_active((uv_handle_t *)&counting.pace.timer));
    end(&counting, &loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments_of_rest_are_the_same_for_all),
        cmocka_unit_test(test_work_at_rest_is_hurried),
        cmocka_unit_test(test_work_can_stop_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
