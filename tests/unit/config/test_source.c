/* The texts of a configuration, kept and read again. */
#include "config/config.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char MAIN[] =
    "[broker]\nhost = a\n[backend b]\nurl = https://b.example/api\n[route r]\ntopic = t\n";
static const char PART[] = "; no newline at the end\n[route r]\npath = /x";

static int no_secret(void *context, const char *name, char **ret_value, char **ret_why)
{
    (void)context;
    (void)name;
    *ret_value = xstrdup("hidden");
    (void)ret_why;
    return 0;
}

static struct config *parse(void)
{
    struct config_errors errors = {0};
    struct config_parser *parser = config_parser_new(&errors, no_secret, NULL);
    config_parser_text(parser, "/etc/a b.conf", MAIN, strlen(MAIN));
    config_parser_text(parser, "/etc/empty.conf", "", 0);
    config_parser_text(parser, "/etc/part.conf", PART, strlen(PART));
    struct config *config = config_parser_finish(parser);
    assert_non_null(config);
    return config;
}

/* What config_parser_source() returns; *ret is the configuration. */
static int read_again(const char *first, const char *source, size_t bytes, struct config **ret)
{
    struct config_errors errors = {0};
    struct config_parser *parser = config_parser_new(&errors, no_secret, NULL);
    int error = config_parser_source(parser, first, source, bytes);
    *ret = config_parser_finish(parser);
    config_errors_done(&errors);
    return error;
}

static void all_texts_come_back(void **state)
{
    struct config *config = parse(), *again;
    assert_int_equal(read_again("/etc/a b.conf", config->source, config->source_bytes, &again), 0);
    assert_non_null(again);
    assert_int_equal(again->route_count, 1);
    assert_int_equal(again->source_bytes, config->source_bytes);
    assert_memory_equal(again->source, config->source, config->source_bytes);
    config_free(config);
    config_free(again);
}

static void another_configuration_is_refused(void **state)
{
    struct config *config = parse(), *again;
    assert_int_equal(read_again("/etc/a", config->source, config->source_bytes, &again), -EBADMSG);
    config_free(again);
    config_free(config);
}

/* Cut off anywhere except after a whole file, and with each byte of its lines changed. */
static void damage_is_refused(void **state)
{
    struct config *config = parse(), *again;
    size_t whole[] = {0, 0, config->source_bytes};
    whole[0] = strlen("XX /etc/a b.conf\n") + strlen(MAIN) + 1;
    whole[1] = whole[0] + strlen("0 /etc/empty.conf\n") + 1;
    for (size_t bytes = 0; bytes <= config->source_bytes; bytes++) {
        bool is_whole = bytes == whole[0] || bytes == whole[1] || bytes == whole[2];
        char *copy = malloc(bytes + 1); /* a sanitiser sees what is read after its end */
        memcpy(copy, config->source, bytes);
        assert_int_equal(read_again("/etc/a b.conf", copy, bytes, &again), is_whole ? 0 : -EBADMSG);
        config_free(again);
        free(copy);
    }
    static const char *const wrong[] = {"-1 f\n",  "9999999999999999999999 f\n", "1f\n", "x f\n", "0 f\nx",
                                        " 0 f\n\n"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(read_again("f", wrong[i], strlen(wrong[i]), &again), -EBADMSG);
        config_free(again);
    }
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_texts_come_back),
        cmocka_unit_test(another_configuration_is_refused),
        cmocka_unit_test(damage_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
