#include "unit.h"

#include "message/fields.h"

#include <errno.h>
#include <string.h>

static const struct message message = {
    .topic = "garden/wino-0013a2//g\xc3\xbcnes \"Beet\"\\/5",
    .key = "5f0c9a3b00112233-42",
    .received_ms = 1795368796123, /* 2026-11-22T17:33:16.123Z */
};
static const struct fields_facts facts = {.age_ms = 212, .measured_ago_ms = 5200, .gateway = "pi-shed"};

static struct fields *parse(const char *text)
{
    struct fields *fields = NULL;
    cleanup_free char *why = NULL;
    if (fields_parse(text, &fields, &why) < 0)
        fail_msg("%s: %s", text, why);
    return fields;
}

/* All of them, as in an object. */
static void expect_values(const char *text, const struct message *of, const struct fields_facts *with,
                          const char *expected)
{
    struct fields *fields = parse(text);
    cleanup_buf struct buf out;
    buf_init(&out, 1000);
    for (size_t i = 0; i < fields_count(fields); i++) {
        if (!fields_has_value(fields, i, of, with))
            continue;
        buf_printf(&out, "%s%s:", out.bytes > 0 ? " " : "", fields_name(fields, i));
        assert_int_equal(fields_append_value(fields, i, of, with, &out), 0);
    }
    if (strcmp(buf_text(&out), expected) != 0)
        fail_msg("%s: %s instead of %s", text, buf_text(&out), expected);
    fields_free(fields);
}

/* In a batch no header can say so. */
static void doubtful_times_are_told(void **state)
{
    const struct message late = {.topic = "a",
                                 .late = true,
                                 .late_since_ms = INT64_C(1795368796123),
                                 .received_ms = INT64_C(1795368796123)};
    const struct message good = {.topic = "a", .clock_synchronised = true};
    expect_values("c={clock}, l={late_since}", &good, &facts, "c:\"synchronised\"");
    expect_values("c={clock}, l={late_since}", &late, &facts,
                  "c:\"unsynchronised\" l:\"2026-11-22T17:33:16.123Z\"");
}

static void templates_become_values(void **state)
{
    static const struct {
        const char *text, *values;
    } cases[] = {
        {"host={2}", "host:\"wino-0013a2\""},
        {"host={2}, timestamp={received_s}, label=\"bed {2}, {3}\", version=3",
         "host:\"wino-0013a2\" timestamp:1795368796 label:\"bed wino-0013a2, \" version:3"},
        {"a={1},b={2}", "a:\"garden\" b:\"wino-0013a2\""},
        {" \ta = {1} ,\tb\t=\tx y \t", "a:\"garden\" b:\"x y\""},
        {"empty={3}", "empty:\"\""},
        {"level={5}", "level:\"5\""}, /* text, whatever it looks like */
        {"t={topic}", "t:\"garden/wino-0013a2//g\xc3\xbcnes \\\"Beet\\\"\\\\/5\""},
        {"k={key}", "k:\"5f0c9a3b00112233-42\""},
        {"g={gateway}", "g:\"pi-shed\""},
        {"r={received}", "r:\"2026-11-22T17:33:16.123Z\""},
        {"r={received_ms}, m={measured_s}, a={age_ms}", "r:1795368796123 m:1795368790 a:212"},
        {"r=at {received_s}", "r:\"at 1795368796\""},
        {"r={received_s}{age_ms}", "r:\"1795368796212\""},
        {"r=\"{received_s}\"", "r:\"1795368796\""},
        {"a={1}-{2}", "a:\"garden-wino-0013a2\""},
        {"a=0, b=-1.50e+3, c=12345678901234567890, d=21.40", "a:0 b:-1.50e+3 c:12345678901234567890 d:21.40"},
        {"a=true, b=false, c=null", "a:true b:false c:null"},
        {"a=\"3\", b=\"true\"", "a:\"3\" b:\"true\""},
        {"a=01, b=+1, c=1., d=True, e=1 2, f=0x1",
         "a:\"01\" b:\"+1\" c:\"1.\" d:\"True\" e:\"1 2\" f:\"0x1\""},
        {"a=\"\"", "a:\"\""},
        {"a=\" x \"", "a:\" x \""},
        {"a=\"x, y = \\\"z\\\" \\\\\" , b=1", "a:\"x, y = \\\"z\\\" \\\\\" b:1"},
        {"a={{1}}", "a:\"{1}\""},
        {"a={{{1}}}", "a:\"{garden}\""},
        {"a=}}{{", "a:\"}{\""},
        {"a=C:\\dir\tx", "a:\"C:\\\\dir\\tx\""},
        {"a=\xe2\x82\xac 5", "a:\"\xe2\x82\xac 5\""},
        {"@timestamp={received_s}, g\xc3\xbc.x-y_1=1, Host=2, host=3",
         "@timestamp:1795368796 g\xc3\xbc.x-y_1:1 Host:2 host:3"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_values(cases[i].text, &message, &facts, cases[i].values);
}

static void what_is_not_there_leaves_the_field_out(void **state)
{
    const struct fields_facts nothing = {.age_ms = -1};
    expect_values("a={1}, b={6}, c={99}, d=x{6}y, e={age_ms}, f=\"{age_ms}\", g={gateway}, h=1", &message,
                  &nothing, "a:\"garden\" h:1");
    const struct fields_facts zero = {.age_ms = 0};
    expect_values("a={age_ms}, b={measured_s}", &message, &zero, "a:0 b:1795368796");
}

static void seconds_are_rounded_down(void **state)
{
    static const struct {
        int64_t received_ms, ago_ms;
        const char *values;
    } cases[] = {
        {0, 0, "r:0 m:0"},
        {999, 0, "r:0 m:0"},
        {1000, 1, "r:1 m:0"},
        {-1, 0, "r:-1 m:-1"},
        {-1000, 0, "r:-1 m:-1"},
        {-1001, 0, "r:-2 m:-2"},
        {0, UINT32_MAX, "r:0 m:-4294968"},
        {4102444800000, 1, "r:4102444800 m:4102444799"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct message of = {.received_ms = cases[i].received_ms};
        const struct fields_facts with = {.measured_ago_ms = cases[i].ago_ms};
        expect_values("r={received_s}, m={measured_s}", &of, &with, cases[i].values);
    }
}

/* Whatever a topic holds, the value is JSON. */
static void text_is_escaped(void **state)
{
    const struct message of = {.topic = "\"\\/\b\f\n\r\t\x01\x1f\x7f \xf0\x9f\x8c\xb1 \xff\xc3"};
    expect_values(
        "t={topic}", &of, &facts,
        "t:\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f \xf0\x9f\x8c\xb1 \xef\xbf\xbd\xef\xbf\xbd\"");
}

static void mistakes_are_explained(void **state)
{
    static const struct {
        const char *text, *words; /* words that the reason must contain */
    } cases[] = {
        {"", "NAME=VALUE"},
        {"  ", "NAME=VALUE"},
        {"=1", "name is missing"},
        {",a=1", "name is missing"},
        {"a=1,,b=2", "name is missing"},
        {"a=1,", "leave the ',' out"},
        {"a=1, ", "leave the ',' out"},
        {"host", "host={2}"},
        {"host, b=1", "host={2}"},
        {"a=", "a=\"\""},
        {"a= , b=1", "a=\"\""},
        {"a=1, b=2, a=3", "'a' is given twice"},
        {"a b=1", "'a b' is no name"},
        {"\"a\"=1", "is no name"},
        {"{1}=1", "is no name"},
        {"a\\=1", "is no name"},
        {"a\x01=1", "is no name"},
        {"host={2} timestamp={received_s}", "separate fields by ','"},
        {"a=\"x", "not closed"},
        {"a=\"x\\\"", "not closed"},
        {"a=\"x\\", "'\\'"},
        {"a=\"x\\n\"", "'\\'"},
        {"a=\"x\" y", "only a ','"},
        {"a=\"x\"b=1", "only a ','"},
        {"a=x\"y\"", "must enclose all"},
        {"a={", "{{"},
        {"a={1", "{{"},
        {"a={1,b=2}", "{{"},
        {"a=}", "}}"},
        {"a={1}}", "}}"},
        {"a=\"{1\"", "{{"},
        {"a={}", "{} is unknown; there are {1} to {99}, {topic}, {key}"},
        {"a={0}", "{1} to {99}"},
        {"a={01}", "{1} to {99}"},
        {"a={100}", "{1} to {99}"},
        {"a={-1}", "{measured_s}, {age_ms}, {clock}, {late_since}, {retained}, "},
        {"a={1 }", "{1} to {99}"},
        {"a={recieved_s}", "did you mean {received_s}?"},
        {"a={Topic}", "did you mean {topic}?"},
        {"a={timestamp}", "{timestamp} is unknown; there are"},
        {"a=\xff", "UTF-8"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fields *fields = NULL;
        cleanup_free char *why = NULL;
        if (fields_parse(cases[i].text, &fields, &why) != -EINVAL)
            fail_msg("%s was accepted", cases[i].text);
        assert_null(fields);
        if (!strstr(why, cases[i].words))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, why, cases[i].words);
    }
}

static void the_highest_level_is_known(void **state)
{
    static const struct {
        const char *text;
        unsigned level;
    } cases[] = {{"a=1", 0}, {"a={topic}", 0}, {"a={2}, b=\"x{7}{99}y\", c={3}", 99}, {"a={{5}}", 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fields *fields = parse(cases[i].text);
        assert_int_equal(fields_highest_level(fields), cases[i].level);
        fields_free(fields);
    }
    assert_int_equal(fields_highest_level(NULL), 0);
    assert_int_equal(fields_count(NULL), 0);
    fields_free(NULL);
}

static void a_value_that_does_not_fit_is_not_begun(void **state)
{
    struct fields *fields = parse("a=\"{2} x\"");
    for (size_t limit = 2; limit < 20; limit++) {
        cleanup_buf struct buf out;
        buf_init(&out, limit);
        buf_append_text(&out, "a:");
        int r = fields_append_value(fields, 0, &message, &facts, &out);
        assert_int_equal(r, limit < 17 ? -EMSGSIZE : 0);
        assert_string_equal(buf_text(&out), limit < 17 ? "a:" : "a:\"wino-0013a2 x\"");
    }
    fields_free(fields);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_become_values),
        cmocka_unit_test(doubtful_times_are_told),
        cmocka_unit_test(what_is_not_there_leaves_the_field_out),
        cmocka_unit_test(seconds_are_rounded_down),
        cmocka_unit_test(text_is_escaped),
        cmocka_unit_test(mistakes_are_explained),
        cmocka_unit_test(the_highest_level_is_known),
        cmocka_unit_test(a_value_that_does_not_fit_is_not_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
