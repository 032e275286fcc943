/* The words of the control socket, which programs other than ours may use: they do not change. */
#include "unit.h"

#include "base/base.h"
#include "control/protocol.h"

static const char *const words[CONTROL_RESULTS] = {"stored", "dropped", "ahead", "unrouted",
                                                   "wrong",  "full",    "failed"};

static void each_result_has_its_word(void **state)
{
    const char *reason;
    for (int result = 0; result < CONTROL_RESULTS; result++) {
        assert_string_equal(control_result_word(result), words[result]);
        assert_int_equal(control_result_parse(words[result], &reason), result);
        assert_string_equal(reason, "");
    }
}

static void a_reason_follows_the_word(void **state)
{
    const char *reason;
    assert_int_equal(control_result_parse("full max_size 1G", &reason), CONTROL_FULL);
    assert_string_equal(reason, "max_size 1G");
}

static void other_words_are_no_result(void **state)
{
    static const char *const lines[] = {"", "store", "storedx", "Stored", " stored"};
    const char *reason;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        assert_int_equal(control_result_parse(lines[i], &reason), CONTROL_RESULTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_result_has_its_word),
        cmocka_unit_test(a_reason_follows_the_word),
        cmocka_unit_test(other_words_are_no_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
