/* fuzz_json_repair.c - any bytes as what a device sends in place of JSON. */
#include "fuzz.h"

#include "text/json_judge.h"
#include "text/json_repair.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("{\"t\":nan,\"h\":-inf,\"p\":NaN,\"q\":Infinity,\"r\":[+inf,1.5e-3]}"),
    FUZZ_SEED("{\"note\":\"nan, -inf \\\"nan\\\" \\\\\",\"list\":[ nan,{\"x\":inf } ]}"),
    FUZZ_SEED("\xef\xbb\xbf{\"t\":21.40}\r\n\0 \0"),
    FUZZ_SEED("{\"ort\":\"K\xfc"
              "che\",\"grad\":\"\xb0"
              "C\",\"utf8\":\"\xc3\xbc\xf0\x9f\x8c\xb1\"}"),
    FUZZ_SEED("{\"a\":\"\\\xe9\",\"b\":true,\"c\":null}\0"),
    {NULL, 0},
};

const char *const fuzz_tokens[] = {"{",    "}",    "[",    "]",        ",",
                                   ":",    "\"",   "\\",   "\\\"",     "\\\\",
                                   "nan",  "inf",  "-inf", "Infinity", "\xef\xbb\xbf",
                                   "\xc2", "\xff", "\x80", " ",        "\n",
                                   "1e5",  "null", NULL};

static void repair(const char *text, size_t bytes, struct buf *out)
{
    buf_init(out, JSON_REPAIR_MOST(bytes));
    assert(json_repair(text, bytes, out) == 0);
}

/* The ASCII of all strings, quotes included. */
static void read_strings(const char *text, size_t bytes, struct buf *out)
{
    bool inside = false, escaped = false;
    buf_init(out, bytes);
    for (size_t i = 0; i < bytes; i++) {
        bool quote = text[i] == '"' && !escaped;
        if ((inside || quote) && (unsigned char)text[i] < 0x80)
            buf_append_char(out, text[i]);
        escaped = inside && text[i] == '\\' && !escaped;
        inside ^= quote;
    }
}

static bool same(const struct buf *one, const char *other, size_t bytes)
{
    return one->bytes == bytes && (bytes == 0 || memcmp(one->data, other, bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *text = (const char *)data;
    struct buf repaired cleanup_buf, again cleanup_buf, before cleanup_buf, after cleanup_buf;
    repair(text, bytes, &repaired);
    if (json_judge(text, bytes))
        assert(same(&repaired, text, bytes));

    repair(repaired.data, repaired.bytes, &again);
    assert(same(&again, repaired.data, repaired.bytes));

    size_t end = bytes; /* a string that does not end may lose NUL bytes */
    while (end > 0 && (text[end - 1] == '\0' || strchr(" \t\r\n", text[end - 1])))
        end--;
    read_strings(text, end, &before);
    read_strings(repaired.data, repaired.bytes, &after);
    assert(after.bytes >= before.bytes &&
           (before.bytes == 0 || memcmp(after.data, before.data, before.bytes) == 0));
    return 0;
}
