/* fuzz_fields.c - any text as a reference, and as the value of the key `add`. */
#include "fuzz.h"

#include "base/utf8.h"
#include "message/fields.h"
#include "message/reference.h"
#include "text/json_judge.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("host={2}, timestamp={received_s}, label=\"bed {2}, {3}\", version=3"),
    FUZZ_SEED("a={1},b={topic} , c={key},d={gateway},e={received},f={received_ms}"),
    FUZZ_SEED("a={measured_s},b={age_ms},c=-1.50e+3,d=true,e=null,f=\"3\""),
    FUZZ_SEED("a=\"x, \\\"y\\\" \\\\ = {{1}}\", b=}}{{{99}}}"),
    FUZZ_SEED("g\xc3\xbcn=\xe2\x82\xac 5\t\x01\x7f"),
    {NULL, 0},
};

const char *const fuzz_tokens[] = {"{",        "}",      "{{",   "}}",   "{1}", "{99}", "{topic}",
                                   "{age_ms}", ",",      "=",    "\"",   "\\",  "\\\"", " ",
                                   "a=",       "b=\"\"", "\xc3", "\xff", "-0",  NULL};

static void check_field(const struct fields *fields, size_t i)
{
    static const struct message message = {
        .topic = "gard\"en/\xc3\xbc/\xff", .key = "5f-1", .received_ms = -1};
    static const struct fields_facts facts = {.age_ms = -1, .gateway = "pi"};
    const char *name = fields_name(fields, i);
    assert(*name && !name[strcspn(name, "\"\\{},= \n")] && utf8_valid(name, strlen(name)));
    for (size_t k = 0; k < i; k++)
        assert(strcmp(name, fields_name(fields, k)) != 0);

    cleanup_buf struct buf out;
    buf_init(&out, 1 << 20);
    buf_append_char(&out, ':');
    if (!fields_has_value(fields, i, &message, &facts))
        return;
    assert(fields_append_value(fields, i, &message, &facts, &out) == 0);
    assert(json_judge(out.data + 1, out.bytes - 1));
}

/* A field can be made of every reference that is found. */
static void check_references(const char *text)
{
    const char *end = text + strlen(text);
    for (const char *at = text; (at = strchr(at, '{')); at++) {
        struct reference reference = {.kind = REFERENCE_NONE};
        const char *after = reference_parse(at, end, &reference), *level_end = NULL;
        assert(reference_parse_level(at, &level_end) == reference.level &&
               level_end == (reference.level ? after : NULL));
        if (!after) {
            assert(reference.kind == REFERENCE_NONE);
            cleanup_free char *why = strchr(at, '}') ? reference_fault(at, end) : NULL;
            assert(!why || *why);
            continue;
        }
        assert(after > at + 2 && after <= end && after[-1] == '}' &&
               !memchr(at, '}', (size_t)(after - 1 - at)));
        assert((reference.kind == REFERENCE_LEVEL) == (reference.level > 0) && reference.level <= 99);
        cleanup_free char *add = xasprintf("a=%.*s", (int)(after - at), at), *why = NULL;
        struct fields *fields = NULL;
        assert(fields_parse(add, &fields, &why) == 0 && fields_highest_level(fields) == reference.level);
        fields_free(fields);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    cleanup_free char *text = xstrndup((const char *)data, bytes);
    cleanup_free char *why = NULL;
    struct fields *fields = NULL;
    check_references(text);
    int r = fields_parse(text, &fields, &why);
    assert(r == 0 ? fields && !why : r == -EINVAL && !fields && why && *why);
    if (r < 0)
        return 0;
    assert(fields_count(fields) > 0 && fields_count(fields) <= FIELDS_MOST);
    assert(fields_highest_level(fields) <= 99);
    for (size_t i = 0; i < fields_count(fields); i++)
        check_field(fields, i);
    fields_free(fields);
    return 0;
}
