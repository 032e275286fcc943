#include "unit.h"

#include "request/gzip.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

/* Compresses, and has zlib take it apart again as a gzip file of just one member. */
static size_t round_trip(struct gzip *gzip, const void *data, size_t bytes)
{
    cleanup_buf struct buf out;
    buf_init(&out, bytes + bytes / 100 + 100);
    assert_int_equal(gzip_compress(gzip, data, bytes, &out), 0);

    cleanup_free unsigned char *back = xcalloc(bytes + 1, 1);
    z_stream stream = {.next_in = (unsigned char *)out.data,
                       .avail_in = out.bytes,
                       .next_out = back,
                       .avail_out = bytes + 1};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(stream.total_out, bytes);
    assert_memory_equal(back, data, bytes);
    inflateEnd(&stream);
    return out.bytes;
}

static char *readings(size_t count, size_t *ret_bytes)
{
    struct buf text;
    buf_init(&text, 100 * count);
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "{ \"host\": \"wino-%06zx\", \"soil\": %zu, \"timestamp\": %zu},", i % 50 * 4711,
                   512 + i * i % 97, 1795368796 + i);
    *ret_bytes = text.bytes;
    return text.data;
}

static void what_is_compressed_comes_back(void **state)
{
    struct gzip *gzip = gzip_new();
    size_t bytes;
    cleanup_free char *text = readings(500, &bytes);

    round_trip(gzip, "", 0);
    round_trip(gzip, "{}", 2);
    assert_true(round_trip(gzip, text, bytes) < bytes / 4);
    round_trip(gzip, text, 70);

    /* Noise grows a little, and takes more than one piece. */
    enum { NOISE = 1000000 };
    cleanup_free unsigned char *noise = xcalloc(NOISE, 1);
    uint32_t chance = 1;
    for (size_t i = 0; i < NOISE; i++)
        noise[i] = (unsigned char)((chance = chance * 1664525u + 1013904223u) >> 24);
    round_trip(gzip, noise, NOISE);
    round_trip(gzip, text, bytes);
    gzip_free(gzip);
    gzip_free(NULL);
}

/* A retry sends the same bytes under the same key. */
static void the_same_becomes_the_same(void **state)
{
    struct gzip *gzip = gzip_new();
    size_t bytes;
    cleanup_free char *text = readings(20, &bytes);
    cleanup_buf struct buf first, second;
    buf_init(&first, 10000);
    buf_init(&second, 10000);
    assert_int_equal(gzip_compress(gzip, text, bytes, &first), 0);
    assert_int_equal(gzip_compress(gzip, "in between", 10, &second), 0);
    assert_int_equal(gzip_compress(gzip, text, bytes, &second), 0);
    assert_int_equal(first.bytes, second.bytes);
    assert_memory_equal(first.data, second.data, first.bytes);
    gzip_free(gzip);
}

static void what_does_not_fit_leaves_nothing(void **state)
{
    struct gzip *gzip = gzip_new();
    cleanup_buf struct buf out;
    buf_init(&out, 25);
    assert_int_equal(gzip_compress(gzip, "0123456789", 10, &out), -EMSGSIZE);
    assert_int_equal(out.bytes, 0);
    assert_false(buf_overflowed(&out));
    assert_int_equal(gzip_compress(gzip, "", 0, &out), 0); /* and it works on */
    assert_int_equal(out.bytes, 20);
    round_trip(gzip, "0123456789", 10);
    gzip_free(gzip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_compressed_comes_back),
        cmocka_unit_test(the_same_becomes_the_same),
        cmocka_unit_test(what_does_not_fit_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
