/* test_halves.c - how a batch that failed is taken apart: what it costs, that nobody
 * overtakes, and that the stack has room. */
#include "unit.h"

#include "deliver/bisect.h"

enum { MESSAGES_MOST = 1000 };

/* A lane of messages with ids 10, 20, ..., some of which are bad, and a backend that
 * refuses every request with one of these in it. */
struct lane {
    int64_t ids[MESSAGES_MOST];
    bool bad[MESSAGES_MOST];
    unsigned count, first, batch;
    bool ragged; /* requests are often shorter than they might be; some break, and are sent whole again */
    struct halves halves;
    uint64_t random;
    unsigned requests, delivered, rejected, deepest;
};

static unsigned chance(struct lane *lane, unsigned below)
{
    lane->random = lane->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(lane->random >> 33) % below;
}

static void fill(struct lane *lane, unsigned count, unsigned batch, unsigned bad, uint64_t seed)
{
    *lane = (struct lane){.count = count, .batch = batch, .random = seed};
    for (unsigned i = 0; i < count; i++)
        lane->ids[i] = (i + 1) * INT64_C(10);
    while (bad > 0) {
        unsigned at = chance(lane, count);
        bad -= !lane->bad[at];
        lane->bad[at] = true;
    }
}

/* How many of its first messages the lane sends next. */
static unsigned next_batch(struct lane *lane)
{
    const struct half *half = halves_next(&lane->halves, lane->ids[lane->first]);
    unsigned count = 0;
    while (count < lane->batch && lane->first + count < lane->count &&
           (!half || lane->ids[lane->first + count] <= half->end_id))
        count++;
    assert_true(count > 0);
    return lane->ragged && chance(lane, 3) > 0 ? 1 + chance(lane, count) : count;
}

static bool is_refused(const struct lane *lane, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (lane->bad[lane->first + i])
            return true;
    return false;
}

static void send_lane(struct lane *lane)
{
    static const struct half like = {0};
    unsigned count = next_batch(lane);
    lane->requests++;
    if (!is_refused(lane, count)) {
        lane->first += count;
        lane->delivered += count;
    } else if (count == 1) {
        lane->first++;
        lane->rejected++;
    } else {
        bool whole = lane->ragged && chance(lane, 8) == 0;
        halves_split(&lane->halves, lane->ids + lane->first, count, whole, &like);
    }
    if (lane->halves.count > lane->deepest)
        lane->deepest = lane->halves.count;
}

static void send_all(struct lane *lane, unsigned bad, unsigned requests_most)
{
    while (lane->first < lane->count && lane->requests <= requests_most)
        send_lane(lane);
    if (lane->requests > requests_most)
        fail_msg("%u messages in batches of %u, %u of them bad, take more than %u requests", lane->count,
                 lane->batch, bad, requests_most);
    assert_int_equal(lane->rejected, bad);
    assert_int_equal(lane->delivered, lane->count - bad);
    assert_null(halves_next(&lane->halves, INT64_MAX));
}

static unsigned log2_up(unsigned n)
{
    unsigned log = 0;
    while ((1u << log) < n)
        log++;
    return log;
}

static void a_part_ends_where_the_picture_says(void **state)
{
    static const int64_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const struct half like = {.passes = 7, .isolate = true};
    struct halves halves = {0};
    assert_null(halves_next(&halves, 1));
    halves_split(&halves, ids, 8, false, &like);
    assert_int_equal(halves_next(&halves, 1)->end_id, 4);
    halves_split(&halves, ids, 4, false, &like);
    assert_int_equal(halves_next(&halves, 1)->end_id, 2);
    assert_int_equal(halves_next(&halves, 2)->end_id, 2);
    assert_int_equal(halves_next(&halves, 3)->end_id, 4);
    const struct half *rest = halves_next(&halves, 5);
    assert_int_equal(rest->end_id, 8);
    assert_int_equal(rest->passes, 7);
    assert_true(rest->isolate);
    assert_null(halves_next(&halves, 9));
    assert_int_equal(halves.count, 0);
}

static void an_odd_one_goes_with_the_second_half(void **state)
{
    static const int64_t ids[] = {1, 2, 3};
    static const struct half like = {0};
    struct halves halves = {0};
    halves_split(&halves, ids, 3, false, &like);
    assert_int_equal(halves_next(&halves, 1)->end_id, 1);
    assert_int_equal(halves_next(&halves, 2)->end_id, 3);
}

static void whole_ones_and_single_ones_stay_in_one_part(void **state)
{
    static const int64_t ids[] = {1, 2, 3, 4};
    static const struct half like = {.isolate = true};
    struct halves halves = {0};
    halves_split(&halves, ids, 4, true, &like);
    assert_int_equal(halves.count, 1);
    assert_int_equal(halves_next(&halves, 1)->end_id, 4);
    halves_split(&halves, ids, 1, false, &like); /* shorter than its part, which stays */
    assert_int_equal(halves_next(&halves, 1)->end_id, 1);
    assert_int_equal(halves_next(&halves, 2)->end_id, 4);
}

static void what_vanished_takes_its_part_along(void **state)
{
    static const int64_t ids[] = {1, 2, 3, 4};
    static const struct half like = {0};
    struct halves halves = {0};
    halves_split(&halves, ids, 4, false, &like);
    assert_int_equal(halves_next(&halves, 4)->end_id, 4); /* 1 to 3 are gone */
    assert_int_equal(halves.count, 1);
    assert_null(halves_next(&halves, 100));
}

static void only_a_later_pass_convicts(void **state)
{
    struct scope scope = {.passes = 5};
    assert_false(halves_is_to_blame(NULL));
    assert_false(halves_is_to_blame(&(struct half){.scope = NULL}));
    assert_false(halves_is_to_blame(&(struct half){.scope = &scope, .passes = 5}));
    scope.passes++;
    assert_true(halves_is_to_blame(&(struct half){.scope = &scope, .passes = 5}));
}

/* Each bad message has at most log2(n) batches above it that fail, and each of
 * these makes two. */
static void k_bad_ones_in_n_cost_2k_log2_n(void **state)
{
    static struct lane lane;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        fill(&lane, 1, 1, 0, seed);
        unsigned count = 1 + chance(&lane, seed % 2 ? 40 : MESSAGES_MOST), batch = 1 + chance(&lane, count);
        unsigned most = chance(&lane, 2) ? count : 1 + count / 20, bad = chance(&lane, most + 1);
        fill(&lane, count, batch, bad, seed);
        unsigned batches = (count + batch - 1) / batch + bad; /* parts that end early shift the others */
        send_all(&lane, bad, batches + 2 * bad * log2_up(batch));
    }
}

static void batches_shorter_than_their_parts_fit_as_well(void **state)
{
    static struct lane lane;
    unsigned deepest = 0;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        fill(&lane, 1, 1, 0, seed);
        unsigned count = 2 + chance(&lane, MESSAGES_MOST - 1), bad = chance(&lane, count);
        fill(&lane, count, count, bad, seed);
        lane.ragged = true;
        send_all(&lane, bad, 8 * count + 100);
        deepest = lane.deepest > deepest ? lane.deepest : deepest;
    }
    assert_in_range(deepest, 10, HALVES_MOST);
}

/* Worse than it can be: always one message shorter than might be, and sent whole again
 * twice, as one that broke the connection and as one that a proxy answered, before
 * each halving. */
static void the_stack_always_has_room(void **state)
{
    static struct lane lane;
    static const struct half like = {0};
    fill(&lane, MESSAGES_MOST, MESSAGES_MOST, 0, 1);
    lane.bad[0] = true;
    for (unsigned count = MESSAGES_MOST; count > 1;) {
        for (int whole = 0; whole < 2; whole++) {
            halves_split(&lane.halves, lane.ids, count, true, &like);
            count -= count > 2;
        }
        halves_split(&lane.halves, lane.ids, count, false, &like);
        count = next_batch(&lane);
        count -= count > 2;
    }
    assert_in_range(lane.halves.count, HALVES_MOST - 4, HALVES_MOST);
    send_all(&lane, 1, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_ends_where_the_picture_says),
        cmocka_unit_test(an_odd_one_goes_with_the_second_half),
        cmocka_unit_test(whole_ones_and_single_ones_stay_in_one_part),
        cmocka_unit_test(what_vanished_takes_its_part_along),
        cmocka_unit_test(only_a_later_pass_convicts),
        cmocka_unit_test(k_bad_ones_in_n_cost_2k_log2_n),
        cmocka_unit_test(batches_shorter_than_their_parts_fit_as_well),
        cmocka_unit_test(the_stack_always_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
