/* test_redact.c - secrets never reach what people see. */
#include "unit.h"

#include "request/redact.h"
#include <string.h>

static struct config_pair query[] = {{"user_key", "s3cr3t/key+1", true}, {"unit", "celsius", false}};
static struct config_pair headers[] = {{"X-Token", "header token", true}};
static const struct config_backend basic = {.query = query,
                                            .query_count = ARRAY_LEN(query),
                                            .headers = headers,
                                            .header_count = ARRAY_LEN(headers),
                                            .username = "pi",
                                            .password = "raspberry"};
static const struct config_backend bearer = {.bearer = "abc.def"};
static const struct config_backend tricky = {.bearer = "==\"'&~~?"};

static void assert_redacted(const struct config_backend *backend, const char *words, const char *expected)
{
    cleanup_free char *line = redact_words(backend, words, strlen(words));
    assert_string_equal(line, expected);
}

static void authorization_as_the_rfcs_say(void **state)
{
    (void)state;
    cleanup_free char *one = redact_authorization(&basic);
    assert_string_equal(one, "Basic cGk6cmFzcGJlcnJ5");
    cleanup_free char *two = redact_authorization(&bearer);
    assert_string_equal(two, "Bearer abc.def");
    const struct config_backend none = {0};
    assert_null(redact_authorization(&none));
}

static void secrets_are_struck_out_in_every_form(void **state)
{
    (void)state;
    assert_redacted(&basic, "bad key s3cr3t/key+1!", "bad key ***!");
    assert_redacted(&basic, "/api?user_key=s3cr3t%2Fkey%2B1&unit=celsius", "/api?user_key=***&unit=celsius");
    assert_redacted(&basic, "X-Token: header token", "X-Token: ***");
    assert_redacted(&basic, "Authorization: Basic cGk6cmFzcGJlcnJ5", "Authorization: Basic ***");
    assert_redacted(&basic, "raspberryraspberry raspberry", "****** ***");
    assert_redacted(&basic, "czNjcjN0L2tleSsx", "***");                           /* base64 */
    assert_redacted(&basic, "{\"key\":\"s3cr3t\\/key+1\"}", "{\"key\":\"***\"}"); /* JSON */
    assert_redacted(&basic, "s3cr3t%2fkey%2B1", "***");
    assert_redacted(&basic, "s3cr3t%252Fkey%252B1, %73%33cr3t/key+1", "***, ***");
    assert_redacted(&basic, "s3cr3t\\u002fkey\\u002B1, s3cr3t&#x2F;key&#43;1", "***, ***");
    assert_redacted(&basic, "header+token, header%20token, header\\u0020token", "***, ***, ***");
    assert_redacted(&basic, "Basic cGk6cmFzcGJlcnJ5", "Basic ***");
    assert_redacted(&tricky, "?k=%3D%3D%22&#39;%26~%7e%3F ==\\\"'&~~? ==&quot;&#x27;&amp;~~?",
                    "?k=*** *** ***");
    assert_redacted(&tricky, "PT0iJyZ-fj8, PT0iJyZ+fj8=, PT0iJyZ%2Bfj8%3D", "***, ***, ***");
    assert_redacted(&basic, "s3cr3t/key+2, s3cr3t%2, s3cr3t%2E!, none",
                    "s3cr3t/key+2, s3cr3t%2, s3cr3t%2E!, none");
    assert_redacted(&bearer, "token abc.def expired", "token *** expired");
}

/* Whatever it looks like, and so would be read as the writing of something else. */
static void a_secret_that_looks_escaped(void **state)
{
    (void)state;
    static char secret[] = "a%25b&amp;c\\\\d";
    const struct config_backend backend = {.bearer = secret};
    assert_redacted(&backend, "key a%25b&amp;c\\\\d!", "key ***!");
    assert_redacted(&backend, "key a%2525b%26amp%3Bc%5C%5Cd!", "key ***!");
    assert_redacted(&backend, "key a%252525b%2526amp%253Bc%255C%255Cd!", "key ***!");
    assert_redacted(&backend, "key a%25b&amp;amp;c\\\\\\\\d!", "key ***!");
}

/* A backend's answer is read up to some length: the rest of a secret may lie behind it. */
static void what_was_cut_off_in_a_secret(void **state)
{
    (void)state;
    assert_redacted(&basic, "bad key s3cr3t/ke", "bad key ***");
    assert_redacted(&basic, "bad key s3cr3t%", "bad key ***");
    assert_redacted(&basic, "bad key s3cr3t%2", "bad key ***");
    assert_redacted(&basic, "bad key s3cr3t&#x2", "bad key ***");
    assert_redacted(&basic, "bad key s3c", "bad key s3c");
}

static void one_line_without_control_characters(void **state)
{
    (void)state;
    assert_redacted(&bearer, "  a\r\nb\t\x1b[31mc  ", "a b [31mc");
    assert_redacted(&bearer, "a\xc2\x9b[31mb", "a [31mb");
    assert_redacted(&bearer, "", "");
    assert_redacted(&bearer, "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
    assert_redacted(&bearer, "\xff\xfe!",
                    "?"
                    "?!");
}

static void cut_between_characters(void **state)
{
    (void)state;
    char words[REDACT_WORDS_BYTES + 10];
    memset(words, 'x', sizeof words);
    memcpy(words + REDACT_WORDS_BYTES - 1, "\xc3\xbc", 2);
    cleanup_free char *line = redact_words(&bearer, words, sizeof words);
    assert_int_equal(strlen(line), REDACT_WORDS_BYTES - 1);
}

/* What a client sent in its own query, and what an [http] adds. */
static void a_client_s_own_secrets(void **state)
{
    (void)state;
    static struct config_pair own[] = {{"key", "of the door", true}};
    const struct config_route route = {.query = own, .query_count = 1};
    static const char words[] =
        "no user_key=s%cret/1 (s%25cret%2F1, s%25cret/1), of+the+door, of the door, 12, 12345";
    cleanup_free char *line = redact_words_about(
        &bearer, &route, "/api/12345?user_key=s%25cret/1&n=12&&flag&empty=", words, strlen(words));
    assert_string_equal(line, "no user_key=*** (***, ***), ***, ***, 12, 12345");
    cleanup_free char *all = redact_words_about(&bearer, &route, "/api?12345&abc%", words, strlen(words));
    assert_string_equal(all, "no user_key=s%cret/1 (s%25cret%2F1, s%25cret/1), ***, ***, 12, ***");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(authorization_as_the_rfcs_say),
        cmocka_unit_test(secrets_are_struck_out_in_every_form),
        cmocka_unit_test(a_secret_that_looks_escaped),
        cmocka_unit_test(what_was_cut_off_in_a_secret),
        cmocka_unit_test(a_client_s_own_secrets),
        cmocka_unit_test(one_line_without_control_characters),
        cmocka_unit_test(cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
