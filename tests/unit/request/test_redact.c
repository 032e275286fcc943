/* test_redact.c - secrets never reach what people see. */
#include "unit.h"

#include "request/redact.h"
#include <string.h>

static struct config_pair query[] = {{"user_key", "s3cr3t/key+1", true}, {"unit", "celsius", false}};
static struct config_pair headers[] = {{"X-Token", "header token", true}};
static const struct config_backend basic = {.query = {query, ARRAY_LEN(query)},
                                            .headers = {headers, ARRAY_LEN(headers)},
                                            .username = "pi",
                                            .password = "raspberry"};
static const struct config_backend bearer = {.bearer = "abc.def"};
static const struct config_backend umlaut = {.bearer = "gr\xc3\xbc\xc3\x9f"};
static const struct config_backend hex = {.bearer = "ab/cd"};
static const struct config_backend tricky = {.bearer = "==\"'&~~?"};

static void assert_line(const struct config_backend *backend, const char *text, const char *expected)
{
    cleanup_free char *line = redact_text(backend, NULL, NULL, text, strlen(text));
    if (strcmp(line, expected) != 0)
        fail_msg("%s becomes %s instead of %s", text, line, expected);
}

static void assert_withheld(const struct config_backend *backend, const char *text)
{
    assert_line(backend, text, REDACT_WITHHELD);
}

static void assert_shown(const struct config_backend *backend, const char *text)
{
    assert_line(backend, text, text);
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

static void a_text_with_a_secret_in_any_form_is_withheld(void **state)
{
    (void)state;
    static const char *const basic_texts[] = {
        "bad key s3cr3t/key+1!",
        "/api?user_key=s3cr3t%2Fkey%2B1&unit=celsius",
        "X-Token: header token",
        "Authorization: Basic cGk6cmFzcGJlcnJ5",
        "x raspberryraspberry",
        "czNjcjN0L2tleSsx",             /* base64 */
        "{\"key\":\"s3cr3t\\/key+1\"}", /* JSON */
        "s3cr3t%2fkey%2B1",
        "s3cr3t%252Fkey%252B1",
        "%73%33cr3t/key+1",
        "s3cr3t\\u002fkey\\u002B1",
        "s3cr3t&#x2F;key&#43;1",
        "s3cr3t&#X2F;key&#43;1",
        "s3cr3t&#x02f;key%2B1", /* each character in its own way */
        "header+token",
        "header%20token",
        "header\\u0020token",
        "Basic cGk6cmFzcGJlcnJ5",
        "like 's3cr3t/key+1%', and nothing else",
    };
    for (size_t i = 0; i < ARRAY_LEN(basic_texts); i++)
        assert_withheld(&basic, basic_texts[i]);
    static const char *const tricky_texts[] = {"?k=%3D%3D%22&#39;%26~%7e%3F",
                                               "==\\\"'&~~?",
                                               "==&quot;&#x27;&amp;~~?",
                                               "PT0iJyZ-fj8",
                                               "PT0iJyZ+fj8=",
                                               "PT0iJyZ%2Bfj8%3D"};
    for (size_t i = 0; i < ARRAY_LEN(tricky_texts); i++)
        assert_withheld(&tricky, tricky_texts[i]);
    assert_withheld(&bearer, "token abc.def expired");
    assert_withheld(&umlaut, "gr\xc3\xbc\xc3\x9f dich");
    assert_withheld(&umlaut, "gr%C3%BC%c3%9f dich");
    assert_withheld(&umlaut, "gr\\u00fc\\u00DF dich");
    assert_withheld(&umlaut, "gr&#252;&#xdf; dich");
    assert_withheld(&hex, "like '%ab&#x2F;cd%'"); /* "%ab" is no escape there */
    assert_withheld(&hex, "100%ab\\/cd");
}

static void a_text_without_a_secret_is_shown(void **state)
{
    (void)state;
    assert_shown(&basic, "s3cr3t/key+2, s3cr3t%2, s3cr3t%2E!, none");
    assert_shown(&basic, "unit=celsius is unknown to pi & 100% wrong \\ &lt;p&gt; &#1;");
    assert_shown(&bearer, "abc def");
    const struct config_backend none = {0};
    assert_shown(&none, "Unauthorized");
}

/* Whatever it looks like, and so would be read as the writing of something else. */
static void a_secret_that_looks_escaped(void **state)
{
    (void)state;
    static char secret[] = "a%25b&amp;c\\\\d";
    const struct config_backend backend = {.bearer = secret};
    assert_withheld(&backend, "key a%25b&amp;c\\\\d!");
    assert_withheld(&backend, "key a%2525b%26amp%3Bc%5C%5Cd!");
    assert_withheld(&backend, "key a%252525b%2526amp%253Bc%255C%255Cd!");
    assert_withheld(&backend, "key a%25b&amp;amp;c\\\\\\\\d!");
}

/* A backend's response is read up to some length: the rest of a secret may be missing. */
static void a_secret_that_was_cut_off(void **state)
{
    (void)state;
    assert_withheld(&basic, "bad key s3cr3t/ke");
    assert_withheld(&basic, "bad key s3cr3t%");
    assert_withheld(&basic, "bad key s3cr3t%2");
    assert_withheld(&basic, "bad key s3cr3t%25");
    assert_withheld(&basic, "bad key s3cr3t&#x2");
    assert_shown(&basic, "bad key s3c");
}

/* What lies far behind the part that is shown may be quoted once more, or cut off. */
static void a_secret_anywhere_in_a_long_text(void **state)
{
    (void)state;
    char text[4096];
    memset(text, 'x', sizeof text);
    for (size_t at = 0; at + 7 <= sizeof text; at += 511) {
        memcpy(text + at, "abc.def", 7);
        cleanup_free char *line = redact_text(&bearer, NULL, NULL, text, sizeof text);
        assert_string_equal(line, REDACT_WITHHELD);
        memcpy(text + at, "xxxxxxx", 7);
    }
}

static void one_line_without_control_characters(void **state)
{
    (void)state;
    assert_line(&bearer, "  a\r\nb\t\x1b[31mc  ", "a b [31mc");
    assert_line(&bearer, "a\xc2\x9b[31mb", "a [31mb");
    assert_line(&bearer, "", "");
    assert_line(&bearer, "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
    assert_line(&bearer, "\xff\xfe!",
                "?"
                "?!");
}

static void cut_between_characters(void **state)
{
    (void)state;
    char words[REDACT_TEXT_BYTES + 10];
    memset(words, 'x', sizeof words);
    memcpy(words + REDACT_TEXT_BYTES - 1, "\xc3\xbc", 2);
    cleanup_free char *line = redact_text(&bearer, NULL, NULL, words, sizeof words);
    assert_int_equal(strlen(line), REDACT_TEXT_BYTES - 1);
}

/* What a client sent in its own query, and what an [http] adds. */
static void a_client_s_own_secrets(void **state)
{
    (void)state;
    static struct config_pair own[] = {{"key", "of the door", true}};
    const struct config_route route = {.query = {own, 1}};
    static const struct {
        const char *target, *text;
        bool withheld;
    } cases[] = {
        {"/api/12345?user_key=s%25cret/1&n=12&&flag&empty=", "no user_key=s%cret/1", true},
        {"/api/12345?user_key=s%25cret/1&n=12&&flag&empty=", "no s%25cret%2F1", true},
        {"/api/12345?user_key=s%25cret/1&n=12&&flag&empty=", "no s%25cret/1", true},
        {"/api/12345?user_key=s%25cret/1&n=12&&flag&empty=", "of+the+door", true},
        {"/api/12345?user_key=s%25cret/1&n=12&&flag&empty=", "of the door", true},
        {"/api/12345?user_key=s%25cret/1&n=12&&flag&empty=", "flag", true},
        {"/api/12345?user_key=s%25cret/1&n=12&&flag&empty=", "no user_key 12, 12345", false},
        {"/api?12345&abc%", "12345", true},
        {"/api?12345&abc%", "abc%", true},
        {"/api?12345&abc%", "12, s%cret/1, abc", false},
        {"/api", "12345", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *line =
            redact_text(&bearer, &route, cases[i].target, cases[i].text, strlen(cases[i].text));
        assert_string_equal(line, cases[i].withheld ? REDACT_WITHHELD : cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(authorization_as_the_rfcs_say),
        cmocka_unit_test(a_text_with_a_secret_in_any_form_is_withheld),
        cmocka_unit_test(a_text_without_a_secret_is_shown),
        cmocka_unit_test(a_secret_anywhere_in_a_long_text),
        cmocka_unit_test(a_secret_that_looks_escaped),
        cmocka_unit_test(a_secret_that_was_cut_off),
        cmocka_unit_test(a_client_s_own_secrets),
        cmocka_unit_test(one_line_without_control_characters),
        cmocka_unit_test(cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
