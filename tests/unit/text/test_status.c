/* The fields of the status, written and read. */
#include "unit.h"

#include "text/status.h"

#include <cjson/cJSON.h>

static void fields_are_read_as_they_were_written(void **state)
{
    cJSON *json = cJSON_CreateObject();
    status_add_text(json, STATUS_STATE, "running");
    status_add_number(json, STATUS_PID, INT64_C(9007199254740991));
    status_add_fraction(json, STATUS_MINUTE_FSYNC_MS, 0.25);
    status_add_bool(json, STATUS_ROUTE_HELD, true);
    status_add_time(json, STATUS_DAEMON_SINCE, INT64_C(1795369000123));
    assert_string_equal(status_text(json, STATUS_STATE), "running");
    assert_int_equal(status_number(json, STATUS_PID, 0), INT64_C(9007199254740991));
    assert_true(status_fraction(json, STATUS_MINUTE_FSYNC_MS, 0) == 0.25);
    assert_true(status_is(json, STATUS_ROUTE_HELD));
    assert_int_equal(status_time(json, STATUS_DAEMON_SINCE), INT64_C(1795369000123));
    assert_string_equal(status_text(json, STATUS_DAEMON_SINCE), "2026-11-22T17:36:40.123Z");
    cJSON_Delete(json);
}

static void unknown_values_are_null(void **state)
{
    cJSON *json = cJSON_CreateObject();
    status_add_text(json, STATUS_HTTP_WHY, NULL);
    status_add_time(json, STATUS_SCOPE_NEXT_TRY, 0);
    cleanup_free char *text = cJSON_PrintUnformatted(json);
    assert_string_equal(text, "{\"why\":null,\"next_try\":null}");
    assert_null(status_text(json, STATUS_HTTP_WHY));
    assert_int_equal(status_time(json, STATUS_SCOPE_NEXT_TRY), 0);
    cJSON_Delete(json);
}

static void absent_fields_have_a_default(void **state)
{
    cJSON *json = cJSON_CreateObject();
    const cJSON *const from[] = {json, NULL};
    for (size_t i = 0; i < ARRAY_LEN(from); i++) {
        assert_null(status_get(from[i], STATUS_DAEMON));
        assert_null(status_text(from[i], STATUS_STATE));
        assert_int_equal(status_number(from[i], STATUS_PID, -1), -1);
        assert_false(status_is(from[i], STATUS_ROUTE_HELD));
        assert_int_equal(status_time(from[i], STATUS_DAEMON_SINCE), 0);
        assert_null(status_first(from[i], STATUS_ROUTES));
        assert_null(status_find(from[i], STATUS_ROUTES, STATUS_ROUTE_NAME, "sensor"));
    }
    cJSON_Delete(json);
}

static void an_object_of_a_list_is_found_by_a_text(void **state)
{
    cJSON *json = cJSON_CreateObject(), *list = status_add_list(json, STATUS_ROUTES);
    status_append(list); /* without a name */
    cJSON *sensor = status_append(list), *other = status_append(list);
    status_add_text(sensor, STATUS_ROUTE_NAME, "sensor");
    status_add_text(other, STATUS_ROUTE_NAME, "other");
    assert_ptr_equal(status_find(json, STATUS_ROUTES, STATUS_ROUTE_NAME, "other"), other);
    assert_ptr_equal(status_find(json, STATUS_ROUTES, STATUS_ROUTE_NAME, "sensor"), sensor);
    assert_null(status_find(json, STATUS_ROUTES, STATUS_ROUTE_NAME, "gone"));
    cJSON_Delete(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_read_as_they_were_written),
        cmocka_unit_test(unknown_values_are_null),
        cmocka_unit_test(absent_fields_have_a_default),
        cmocka_unit_test(an_object_of_a_list_is_found_by_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
