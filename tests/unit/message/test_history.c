/* What was tried for a message, in one column: bounded, in order, and readable whatever
 * a backend said. */
#include "unit.h"

#include "message/history.h"

#include <stdio.h>
#include <string.h>

static void note_event(void *context, const struct message_event *event)
{
    char *text = context, error[64] = "";
    if (event->error)
        snprintf(error, sizeof error, " %s", event->error);
    size_t used = strlen(text);
    snprintf(text + used, 1024 - used, "%lld@%lld %s %u/%d%s\n", (long long)event->number,
             (long long)event->wall_ms, event->event, event->attempt, event->status, error);
}

static void expect(const char *history, const char *expected)
{
    char text[1024] = "";
    message_history_each(history, note_event, text);
    assert_string_equal(text, expected);
}

static void add(char **history, struct message_event event)
{
    char *longer = message_history_add(*history, &event);
    free(*history);
    *history = longer;
}

static void events_are_told_in_order(void **state)
{
    char *history = NULL;
    expect(history, "");
    add(&history, (struct message_event){.wall_ms = 1000, .event = MESSAGE_FAILED, .attempt = 1});
    add(&history,
        (struct message_event){
            .wall_ms = 2000, .event = "rejected", .attempt = 1, .status = 422, .error = "422: \"\n\x01"});
    add(&history, (struct message_event){.wall_ms = 3000, .event = MESSAGE_RETRIED});
    expect(history, "1@1000 failed 1/0\n2@2000 rejected 1/422 422: \"\n\x01\n3@3000 retried 0/0\n");
    free(history);
}

/* The attempt that was one too many is noted when it fails; then the message is set
 * aside, and its answer is known. Another attempt with the same answer is told. */
static void the_same_attempt_is_told_once(void **state)
{
    struct message_event event = {.event = MESSAGE_FAILED, .attempt = 2, .status = 409, .error = "409"};
    char *history = NULL;
    add(&history, event);
    event.event = "attempts";
    add(&history, event);
    event.attempt = 3;
    add(&history, event);
    expect(history, "1@0 failed 2/409 409\n2@0 attempts 2/0\n3@0 attempts 3/409 409\n");
    free(history);
}

static void the_first_and_the_last_nine_stay(void **state)
{
    char *history = NULL, expected[1024] = "1@1 failed 1/500\n";
    for (unsigned i = 1; i <= 1234; i++) {
        add(&history,
            (struct message_event){.wall_ms = i, .event = MESSAGE_FAILED, .attempt = i, .status = 500});
        if (i == 10)
            assert_non_null(strstr(history, "\"number\":2,"));
    }
    for (unsigned i = 1226; i <= 1234; i++)
        snprintf(expected + strlen(expected), 64, "%u@%u failed %u/500\n", i, i, i);
    expect(history, expected);
    free(history);
}

static void what_cannot_be_read_is_passed_over(void **state)
{
    expect("\n\nnonsense\n{}\n[1]\n{\"event\":1}\n{\"event\":\"failed\",\"number\":\"x\"}",
           "0@0 failed 0/0\n");
    char *history = xstrdup("{\"event");
    add(&history, (struct message_event){.event = MESSAGE_FAILED, .attempt = 1});
    expect(history, "1@0 failed 1/0\n");
    free(history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_told_in_order),
        cmocka_unit_test(the_same_attempt_is_told_once),
        cmocka_unit_test(the_first_and_the_last_nine_stay),
        cmocka_unit_test(what_cannot_be_read_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
