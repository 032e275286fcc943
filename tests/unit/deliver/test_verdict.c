#include "unit.h"

#include "deliver/verdict.h"

/* The table of deliver/verdict.h, written a second time and in another way: by verdict,
 * with the statuses that are not listed left to their class. */
static enum verdict expected(int status)
{
    switch (status) {
    case 408:
    case 425:
    case 429:
        return VERDICT_AWAY;
    case 401:
    case 402:
    case 403:
    case 404:
    case 405:
    case 407:
    case 451:
    case 501:
    case 505:
    case 511:
        return VERDICT_MISCONFIGURED;
    case 409:
        return VERDICT_LATER;
    }
    switch (status / 100) {
    case 2:
        return VERDICT_DELIVERED;
    case 1:
    case 3:
        return VERDICT_MISCONFIGURED;
    case 4:
        return VERDICT_BAD;
    }
    return VERDICT_AWAY;
}

static void every_status_has_its_verdict(void **state)
{
    for (int status = 100; status <= 599; status++)
        if (verdict_of(TRANSFER_OK, status, true) != expected(status))
            fail_msg("%d has verdict %d", status, (int)verdict_of(TRANSFER_OK, status, true));
}

static void a_status_that_is_none_counts_as_a_5xx(void **state)
{
    static const int cases[] = {-1, 0, 1, 99, 600, 999, 0x7fffffff};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(verdict_of(TRANSFER_OK, cases[i], true), VERDICT_AWAY);
}

static void failures_below_http_have_theirs(void **state)
{
    /* The status must not count: here it is one that would mean "delivered". */
    for (int synchronised = 0; synchronised <= 1; synchronised++) {
        assert_int_equal(verdict_of(TRANSFER_UNREACHABLE, 200, synchronised), VERDICT_AWAY);
        assert_int_equal(verdict_of(TRANSFER_BROKEN, 200, synchronised), VERDICT_AWAY);
        assert_int_equal(verdict_of(TRANSFER_TLS, 200, synchronised), VERDICT_MISCONFIGURED);
        assert_int_equal(verdict_of(TRANSFER_LOCAL, 200, synchronised), VERDICT_MISCONFIGURED);
    }
}

static void an_expired_certificate_may_be_our_own_clock(void **state)
{
    assert_int_equal(verdict_of(TRANSFER_CERTIFICATE_TIME, 0, false), VERDICT_AWAY);
    assert_int_equal(verdict_of(TRANSFER_CERTIFICATE_TIME, 0, true), VERDICT_MISCONFIGURED);
}

static void the_configuration_overrides_single_statuses(void **state)
{
    static const struct config_status_rule route[] = {{404, CONFIG_MEANS_DEAD},
                                                      {599, CONFIG_MEANS_DELIVERED}},
                                           backend[] = {{100, CONFIG_MEANS_LATER}, {404, CONFIG_MEANS_RETRY}};
    static const struct {
        int status;
        enum verdict verdict;
    } cases[] = {
        {100, VERDICT_LATER},     {101, VERDICT_MISCONFIGURED}, {403, VERDICT_MISCONFIGURED},
        {404, VERDICT_BAD},       {405, VERDICT_MISCONFIGURED}, {598, VERDICT_AWAY},
        {599, VERDICT_DELIVERED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int status = cases[i].status;
        enum verdict verdict = verdict_of(TRANSFER_OK, status, true);
        bool by_backend = verdict_override(backend, ARRAY_LEN(backend), status, &verdict);
        bool by_route = verdict_override(route, ARRAY_LEN(route), status, &verdict);
        assert_int_equal(verdict, cases[i].verdict);
        assert_int_equal(by_backend, status == 100 || status == 404);
        assert_int_equal(by_route, status == 404 || status == 599);
    }
    enum verdict verdict = VERDICT_LATER;
    assert_false(verdict_override(NULL, 0, 404, &verdict));
    assert_int_equal(verdict, VERDICT_LATER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_its_verdict),
        cmocka_unit_test(a_status_that_is_none_counts_as_a_5xx),
        cmocka_unit_test(failures_below_http_have_theirs),
        cmocka_unit_test(an_expired_certificate_may_be_our_own_clock),
        cmocka_unit_test(the_configuration_overrides_single_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
