#include "config/config_text.h"

static void good_urls(void **state)
{
    static const struct {
        const char *url, *kept;
    } cases[] = {
        {"https://h", "https://h"},
        {"https://h/", "https://h"},
        {"https://h:1/", "https://h:1"},
        {"https://h:65535/api", "https://h:65535/api"},
        {"https://h/api/v1/", "https://h/api/v1"},
        {"https://127.0.0.1/a@b:c", "https://127.0.0.1/a@b:c"},
        {"https://[::1]", "https://[::1]"},
        {"https://a_b-c.d/~x/%20y", "https://a_b-c.d/~x/%20y"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *text = xasprintf("[backend b]\nurl = %s\n%s", cases[i].url, ROUTE);
        struct config *config = parsed(text);

        assert_string_equal(config->backends[0].url, cases[i].kept);
        config_free(config);
    }
}

static void bad_urls_never_show_what_may_be_secret(void **state)
{
    static const struct {
        const char *url, *start;
    } cases[] = {
        {"http://u:s3cret@h/?k=s3cret", "2: url = http://...@h/?...: only https:// is allowed"},
        {"https://u:s3cret@h", "2: url = https://...@h: the URL must not have a user name"},
        {"https://u:s3/cret@h", "2: url = https://...@h: the port"},
        {"https://h?s3cret", "2: url = https://h?...: the URL must not have a query"},
        {"https://h/#s3cret", "2: url = https://h/#...: the URL must not have a '#'"},
        {"u:s3cret@h", "2: url = ...@h: it must start with https://"},
        {"https:/u:s3cret@h", "2: url = ...@h: it must start with https://"},
        {"https://h//", "2: url = https://h//: it contains '//'"},
        {"https://h/..", "2: url = https://h/..: it contains a segment"},
        {"https://h/../", "2: url = https://h/../: it contains a segment"},
        {"https://h\\x/", "2: url = https://h\\x/: the host name contains"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *text = xasprintf("[backend b]\nurl = %s\n%s", cases[i].url, ROUTE);

        expect_error(text, cases[i].start);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls),
        cmocka_unit_test(bad_urls_never_show_what_may_be_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
