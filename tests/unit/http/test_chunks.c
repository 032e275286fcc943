#include "unit.h"

#include "base/buf.h"
#include "http/chunks.h"

#include <errno.h>
#include <string.h>

/* Reads data in pieces of `step` bytes. Returns how many bytes belong to the body, -EINVAL, or 0:
 * its end is not there. */
static ssize_t read_all(const char *data, size_t bytes, size_t step, struct buf *body)
{
    struct chunks chunks = {0};
    size_t at = 0;
    buf_reset(body);
    while (at < bytes) {
        const char *piece;
        size_t piece_bytes;
        size_t next = step < bytes - at ? step : bytes - at;
        ssize_t used = chunks_read(&chunks, data + at, next, &piece, &piece_bytes);
        if (used < 0)
            return used;
        assert_true(piece >= data + at && piece_bytes <= (size_t)used);
        buf_append(body, piece, piece_bytes);
        at += (size_t)used;
        if (chunks.state == CHUNKS_END)
            return (ssize_t)at;
        assert_true(used > 0);
    }
    return 0;
}

static void bodies(void **state)
{
    static const struct {
        const char *data;
        ssize_t end;
        const char *body;
    } cases[] = {
        {"0\r\n\r\n", 5, ""},
        {"0\n\n", 3, ""},
        {"2\r\nab\r\n0\r\n\r\nGET", 12, "ab"},
        {"2\nab\n0\n\nGET", 8, "ab"},
        {"1;x=y\r\na\r\n1\nb\n0\r\nT: x\r\n\r\n", 25, "ab"},
        {"1;x=\"\t;\"\r\na\r\n0;last\r\n\r\n", 23, "a"},
        {"0000a\r\n0123456789\r\n000\r\nX: y\r\nZ:\r\n\r\n", 36, "0123456789"},
        {"A\r\n\r\n0\r\n\r\n\r\n\r\r\n0\r\n\r\n", 20, "\r\n0\r\n\r\n\r\n\r"},
        {"", 0, ""},
        {"2\r\na", 0, "a"},
        {"2\r\nab\r\n0\r\n", 0, "ab"},
        {"2\r\nab\r\n0\r\nX: y\r\n", 0, "ab"},
        {"fffffffffffffff\r\na", 0, "a"},
        {"\r\n", -EINVAL, NULL},
        {"x\r\n", -EINVAL, NULL},
        {"-1\r\n", -EINVAL, NULL},
        {"+1\r\n", -EINVAL, NULL},
        {"0x1\r\n", -EINVAL, NULL},
        {" 1\r\n", -EINVAL, NULL},
        {"1 \r\n", -EINVAL, NULL},
        {"1 1\r\n", -EINVAL, NULL},
        {"1\ra", -EINVAL, NULL},
        {"1;\ra", -EINVAL, NULL},
        {"1;\x01\r\n", -EINVAL, NULL},
        {"1\r\nab", -EINVAL, NULL},
        {"1\r\na\rb", -EINVAL, NULL},
        {"1\r\na0\r\n\r\n", -EINVAL, NULL},
        {"ffffffffffffffff\r\n", -EINVAL, NULL},
        {"0000000000000001\r\n", -EINVAL, NULL},
        {"0\r\n\rX", -EINVAL, NULL},
        {"0\r\nX\x01\r\n", -EINVAL, NULL},
    };
    struct buf body cleanup_buf;
    buf_init(&body, 100);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t bytes = strlen(cases[i].data);
        for (size_t step = 1; step <= 100; step = step == 1 ? 3 : step + 48)
            if (read_all(cases[i].data, bytes, step, &body) != cases[i].end ||
                (cases[i].body && strcmp(buf_text(&body), cases[i].body) != 0))
                fail_msg("%s in steps of %zu: %s", cases[i].data, step, buf_text(&body));
    }
}

/* A client cannot keep us busy with what is dropped. */
static void lines_are_limited(void **state)
{
    static char data[10000];
    struct buf body cleanup_buf;
    buf_init(&body, 10);
    memset(data, 'x', sizeof data);
    memcpy(data, "1;", 2);
    assert_int_equal(read_all(data, sizeof data, 100, &body), -EINVAL);
    for (size_t at = 0; at < sizeof data; at += 4)
        memcpy(data + at, at == 0 ? "0\r\n\n" : "X:\r\n", 4);
    memcpy(data, "000\n", 4);
    assert_int_equal(read_all(data, sizeof data, 100, &body), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies),
        cmocka_unit_test(lines_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
