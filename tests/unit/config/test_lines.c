#include "config/config_text.h"

#include "base/buf.h"
#include "config/keys.h"

static void all_errors_in_the_order_of_lines(void **state)
{
    struct config_errors errors = {0};

    assert_null(parse("[route r]\nordr = topic\n[backend b]\nbearer = @none\n[broker]\nport = x\n", &errors));
    static const char *const starts[] = {
        "a.conf:1: ", "a.conf:2: ", "a.conf:3: ", "a.conf:4: ", "a.conf:6: "};
    assert_int_equal(errors.count, ARRAY_LEN(starts));
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        assert_memory_equal(errors.lines[i], starts[i], strlen(starts[i]));
    config_errors_done(&errors);
}

static void several_files(void **state)
{
    static const char first[] = "[broker]\nhost = h\n[backend b]\n",
                      second[] = "[backend b]\nurl = https://h\n" ROUTE,
                      third[] = "host = x\n[broker]\nhost = other\n";
    struct config_errors errors = {0};
    struct config_parser *parser = config_parser_new(&errors, fake_secret, NULL);

    config_parser_text(parser, "1.conf", first, strlen(first));
    config_parser_text(parser, "2.conf", second, strlen(second));
    struct config *config = config_parser_finish(parser);
    assert_non_null(config);
    assert_string_equal(config->backends[0].url, "https://h");
    config_free(config);

    parser = config_parser_new(&errors, fake_secret, NULL);
    config_parser_text(parser, "1.conf", first, strlen(first));
    config_parser_text(parser, "2.conf", second, strlen(second));
    config_parser_text(parser, "3.conf", third, strlen(third));
    assert_null(config_parser_finish(parser));
    assert_int_equal(errors.count, 2);
    assert_string_equal(
        errors.lines[0],
        "3.conf:1: key 'host' comes before the first section; write it below a line such as [broker]");
    assert_string_equal(errors.lines[1], "3.conf:3: host is already set in 1.conf:2; delete one of the two");
    config_errors_done(&errors);
}

static void an_unknown_key_causes_the_list_of_all(void **state)
{
    const struct config_keys *table = &config_keys[CONFIG_BACKEND];
    struct buf expected cleanup_buf;

    buf_init(&expected, 4096);
    buf_append_text(&expected, "3: unknown key 'xxxxxxxxxxxxxxxx' in [backend]; its keys are ");
    for (size_t i = 0; i < table->count; i++)
        buf_printf(&expected, "%s%s", i > 0 ? ", " : "", table->keys[i].name);
    expect_error(BACKEND "xxxxxxxxxxxxxxxx = 1\n" ROUTE, buf_text(&expected));
}

static void layout(void **state)
{
    struct config *config = parsed("\xef\xbb\xbf; a comment\r\n# another\r\n\r\n"
                                   "  [ backend   garden ] ; comment\r\n"
                                   "\turl=https://h/a ; comment\r\n"
                                   "    query = k = v;w\r\n" /* indented, and yet a line of its own */
                                   "[route a-b_C9] # comment\ntopic = a/#");

    assert_string_equal(config->backends[0].name, "garden");
    assert_string_equal(config->backends[0].url, "https://h/a");
    assert_string_equal(config->backends[0].query.items[0].name, "k");
    assert_string_equal(config->backends[0].query.items[0].value, "v;w");
    assert_string_equal(config->routes[0].name, "a-b_C9");
    assert_string_equal(config->routes[0].topics.items[0], "a/#");
    config_free(config);
}

static void long_names(void **state)
{
    char name[66] = {0};
    memset(name, 'x', 63);
    cleanup_free char *text = xasprintf("[backend %sa]\nurl = https://a\n[backend %sb]\nurl = https://b\n"
                                        "[route %sr]\ntopic = t\nbackend = %sb\n",
                                        name, name, name, name);
    struct config *config = parsed(text);

    assert_int_equal(config->backend_count, 2);
    assert_int_equal(strlen(config->backends[1].name), 64);
    assert_int_equal(config->routes[0].backend, 1);
    config_free(config);

    memset(name, 'x', 65);
    cleanup_free char *longer = xasprintf("%s%s[route %s]\ntopic = t\n", BACKEND, ROUTE, name);
    expect_error(longer, "5: [route x");
}

/* Of a query line with this many bytes in all. */
static char *line_of(size_t bytes)
{
    static const char start[] = "query = k=";
    char *line = xcalloc(bytes + 1, 1);

    memset(line, 'x', bytes);
    memcpy(line, start, strlen(start));
    return line;
}

static void long_lines(void **state)
{
    cleanup_free char *longest = line_of(8192), *too_long = line_of(8193);
    cleanup_free char *fits = xasprintf("%s   %s  \n%s", BACKEND, longest, ROUTE);
    struct config *config = parsed(fits);
    assert_int_equal(strlen(config->backends[0].query.items[0].value), 8192 - strlen("query = k="));
    config_free(config);

    cleanup_free char *refused = xasprintf("%s%s\n%s", BACKEND, too_long, ROUTE);
    expect_error(refused, "3: the line has 8193 bytes; at most 8192 are allowed");

    cleanup_free char *comment = xasprintf("; %s\n%s%s", too_long, BACKEND, ROUTE);
    config_free(parsed(comment));
}

static uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * UINT32_C(1664525) + UINT32_C(1013904223);
    return *seed >> 8;
}

/* Whatever comes, it is a configuration or at least one error, and nothing
 * crashes (this runs under the sanitisers as well). */
static void take_anything(const char *text, size_t bytes)
{
    struct config_errors errors = {0};
    struct config_parser *parser = config_parser_new(&errors, fake_secret, NULL);
    /* On the heap and without a NUL at its end, so that reading too far is found. */
    char *copy = xcalloc(bytes > 0 ? bytes : 1, 1);

    memcpy(copy, text, bytes);
    config_parser_text(parser, "a.conf", copy, bytes);
    free(copy);
    struct config *config = config_parser_finish(parser);
    assert_true((config != NULL) == (errors.count == 0));
    for (size_t i = 0; i < errors.count; i++)
        assert_null(strpbrk(errors.lines[i], "\n\r\x1b"));
    config_free(config);
    config_errors_done(&errors);
}

static void random_bytes(void **state)
{
    char text[600];
    uint32_t seed = 1;

    for (int round = 0; round < 3000; round++) {
        size_t bytes = random_next(&seed) % sizeof(text);
        for (size_t i = 0; i < bytes; i++)
            text[i] = (char)random_next(&seed);
        take_anything(text, bytes);
    }
}

/* A good configuration with a few bytes changed, and cut anywhere: gets further
 * into the parser than noise does. */
static void mutilated_configurations(void **state)
{
    static const char good[] =
        "[broker]\nhost = localhost\nport = 1883\nusername = a\npassword = @key\n"
        "keepalive = 30s\nsession_expiry = 30d\n[queue]\npath = /q\ncommit_batch = 10\n"
        "[backend garden]\nurl = https://u@[fd00::1]:8443/api?x#y\nquery = user_key=@key\n"
        "header = X-Key: @lines\nbearer = @key\ntimeout = 30s\n"
        "on_status = 404:dead, 409 : delivered\nrate = 100\n[route sensor]\n"
        "topic = garden/+/sensor\nbackend = garden\npath = /collections/{2}\n"
        "content_type = application/json ; comment\norder = topic\n"
        "body = json\nadd = host={2}, timestamp={received_s}\nadd = site=\"a, b\"\n"
        "batch = 10\nbatch_size = 64K\nlinger = 1s\n";
    static const char spice[] = "[]=:;#@{}/%?\n\r\t \0\xff+.-\"9";
    char text[sizeof(good)];
    uint32_t seed = 2;

    for (int round = 0; round < 5000; round++) {
        memcpy(text, good, sizeof(good));
        for (uint32_t changes = random_next(&seed) % 6; changes > 0; changes--)
            text[random_next(&seed) % (sizeof(good) - 1)] = spice[random_next(&seed) % (sizeof(spice) - 1)];
        take_anything(text,
                      random_next(&seed) % 3 == 0 ? random_next(&seed) % sizeof(good) : sizeof(good) - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_errors_in_the_order_of_lines),
        cmocka_unit_test(several_files),
        cmocka_unit_test(an_unknown_key_causes_the_list_of_all),
        cmocka_unit_test(layout),
        cmocka_unit_test(long_names),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(random_bytes),
        cmocka_unit_test(mutilated_configurations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
