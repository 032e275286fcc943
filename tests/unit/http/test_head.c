#include "unit.h"

#include "base/buf.h"
#include "http/head.h"

#include <errno.h>
#include <string.h>

/* Reads a head that is complete. Its fields point into *ret_text, which the caller frees. */
static int check(const char *data, struct head *ret, char **ret_text)
{
    const char *why = NULL;
    assert_int_equal(head_find_end(data, strlen(data)), strlen(data));
    *ret_text = xstrdup(data);
    int status = head_read(ret, *ret_text, &why);
    assert_true(status == 0 || why);
    return status;
}

static void where_a_head_ends(void **state)
{
    static const struct {
        const char *data;
        ssize_t end;
    } cases[] = {
        {"", 0},
        {"G", 0},
        {"GET / HTTP/1.1\r\n", 0},
        {"GET / HTTP/1.1\r\n\r", 0},
        {"GET / HTTP/1.1\r\n\r\nGET", 18},
        {"GET / HTTP/1.1\n\nGET", 16},
        {"GET / HTTP/1.1\n\r\nGET", 17},
        {"GET / HTTP/1.1\r\n\nGET", 17},
        {"GET / HTTP/1.1\r\nX: y\r\n\r\n\r\n", 24},
        {"\r", 0},
        {"\rG", -EINVAL},
        {"\x16\x03\x01", -EINVAL},
        {" GET / HTTP/1.1\r\n\r\n", -EINVAL},
        {"\xff", -EINVAL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(head_find_end(cases[i].data, strlen(cases[i].data)), cases[i].end);
    assert_int_equal(head_find_end("\0", 1), -EINVAL);
    assert_int_equal(head_skip("\r\n\n\r\nGET", 8), 5);
    assert_int_equal(head_skip("\r\n\r", 3), 2);
    assert_int_equal(head_skip("GET\n", 4), 0);
    assert_int_equal(head_skip("", 0), 0);
}

static void a_request_line(void **state)
{
    static const struct {
        const char *line;
        int status;
        const char *target;
    } cases[] = {
        {"GET /api HTTP/1.1", 0, "/api"},
        {"GET /api HTTP/1.0", 0, "/api"},
        {"GET /api HTTP/1.7", 0, "/api"},
        {"M-SEARCH * HTTP/1.1", 0, "*"},
        {"GET \xc3\xbc HTTP/1.1", 0, "\xc3\xbc"},
        {"GET /api HTTP/2.0", 505, ""},
        {"GET /api HTTP/0.9", 505, ""},
        {"GET /api", 400, ""},
        {"GET", 400, ""},
        {"GET  HTTP/1.1", 400, ""},
        {"GET  /api HTTP/1.1", 400, ""},
        {"GET /api  HTTP/1.1", 400, ""},
        {"GET /a b HTTP/1.1", 400, ""},
        {"GET\t/api HTTP/1.1", 400, ""},
        {"GET /a\tb HTTP/1.1", 400, ""},
        {"GET /api HTTP/1.1 ", 400, ""},
        {"GET /api http/1.1", 400, ""},
        {"GET /api HTTP/1", 400, ""},
        {"GET /api HTTP/1.", 400, ""},
        {"GET /api HTTP/1.10", 400, ""},
        {"GET /api HTTP/11.0", 400, ""},
        {"GET /api HTTPS/1.1", 400, ""},
        {"G(T /api HTTP/1.1", 400, ""},
        {"GET /a\rb HTTP/1.1", 400, ""},
        {"GET /a\x01"
         "b HTTP/1.1",
         400, ""},
        {"GET /a\x7f"
         "b HTTP/1.1",
         400, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct head head;
        cleanup_free char *data = xasprintf("%s\r\nHost: pi\r\n\r\n", cases[i].line), *text = NULL;
        if (check(data, &head, &text) != cases[i].status)
            fail_msg("%s", cases[i].line);
        assert_string_equal(head.target, cases[i].target);
    }
}

/* Headers with '|' between them. */
static int check_headers(const char *start, const char *headers, struct head *ret, char **ret_text)
{
    cleanup_free char *data = xasprintf("%s|%s%s|", start, headers, *headers ? "|" : "");
    for (char *at = data; *at; at++)
        if (*at == '|')
            *at = '\n';
    return check(data, ret, ret_text);
}

static void the_length_of_the_body(void **state)
{
    static const struct {
        const char *headers;
        int status;
        uint64_t length;
        bool chunked;
    } cases[] = {
        {"Content-Length:5", 0, 5, false},
        {"content-LENGTH:0", 0, 0, false},
        {"Content-Length: \t 5 \t", 0, 5, false},
        {"Content-Length:0005", 0, 5, false},
        {"Content-Length:999999999999999999", 0, 999999999999999999, false},
        {"Transfer-Encoding:chunked", 0, 0, true},
        {"transfer-encoding:Chunked ", 0, 0, true},
        {"X:1|Content-Length:5|Y:2", 0, 5, false},
        {"X:|Content-Length:5|Y:\xff", 0, 5, false},
        {"", 411, 0, false},
        {"X:1", 411, 0, false},
        {"Content-Length:", 400, 0, false},
        {"Content-Length:-1", 400, 0, false},
        {"Content-Length:+1", 400, 0, false},
        {"Content-Length:0x1", 400, 0, false},
        {"Content-Length:5 5", 400, 0, false},
        {"Content-Length:5,5", 400, 0, false},
        {"Content-Length:9999999999999999999", 400, 0, false},
        {"Content-Length:5|Content-Length:5", 400, 0, false},
        {"Content-Length:5|content-length:6", 400, 0, false},
        {"Content-Length:x|Content-Length:6", 400, 0, false},
        {"Content-Length:5|Transfer-Encoding:chunked", 400, 0, false},
        {"Transfer-Encoding:chunked|Content-Length:5", 400, 0, false},
        {"Transfer-Encoding:chunked|Transfer-Encoding:chunked", 400, 0, false},
        {"Transfer-Encoding:chunked|Transfer-Encoding:identity", 400, 0, false},
        {"Transfer-Encoding:identity", 400, 0, false},
        {"Transfer-Encoding:xchunked", 400, 0, false},
        {"Transfer-Encoding:chunked, chunked", 400, 0, false},
        {"Transfer-Encoding:", 400, 0, false},
        {"Content-Length :5", 400, 0, false},
        {"Content-Length\t:5", 400, 0, false},
        {" Content-Length:5", 400, 0, false},
        {"Content-Length:| 5", 400, 0, false},
        {"Content-Length:5|X: y|\tz", 400, 0, false},
        {"Content-Length:5|X Y:1", 400, 0, false},
        {"Content-Length:5|\x01:1", 400, 0, false},
        {"Content-Length:5|X(:1", 400, 0, false},
        {"Content-Length:5|:1", 400, 0, false},
        {"Content-Length:5|no colon", 400, 0, false},
        {"Content-Length:5|X:\x01", 400, 0, false},
        {"Content-Length:5|X:a\rb", 400, 0, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct head head;
        cleanup_free char *text = NULL;
        if (check_headers("POST /api HTTP/1.1", cases[i].headers, &head, &text) != cases[i].status)
            fail_msg("%s", cases[i].headers);
        if (cases[i].status == 0) {
            assert_int_equal(head.length, cases[i].length);
            assert_int_equal(head.chunked, cases[i].chunked);
        }
    }
}

static void a_body_belongs_to_the_method(void **state)
{
    static const struct {
        const char *start, *headers;
        int status;
    } cases[] = {
        {"PUT /api HTTP/1.1", "Content-Length:5", 0},
        {"PATCH /api HTTP/1.1", "Content-Length:5", 0},
        {"PATCH /api HTTP/1.1", "", 411},
        {"GET /api HTTP/1.1", "", 0},
        {"GET /api HTTP/1.1", "Content-Length:0", 0},
        {"GET /api HTTP/1.1", "Content-Length:5", 400},
        {"GET /api HTTP/1.1", "Transfer-Encoding:chunked", 400},
        {"GET /api HTTP/1.1", "Content-Length:0|Content-Length:0", 400},
        {"post /api HTTP/1.1", "Content-Length:5", 400},
        {"POST /api HTTP/1.0", "Content-Length:1", 0},
        {"POST /api HTTP/1.0", "Transfer-Encoding:chunked", 400},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct head head;
        cleanup_free char *text = NULL;
        if (check_headers(cases[i].start, cases[i].headers, &head, &text) != cases[i].status)
            fail_msg("%s %s", cases[i].start, cases[i].headers);
    }
}

static void whether_the_connection_goes_on(void **state)
{
    static const struct {
        const char *version, *headers;
        bool keep_alive, expects;
    } cases[] = {
        {"1.1", "", true, false},
        {"1.0", "", false, false},
        {"1.1", "Connection: close", false, false},
        {"1.1", "Connection: upgrade, Close", false, false},
        {"1.1", "Connection: closed", true, false},
        {"1.1", "Connection: x|connection:\tclose ", false, false},
        {"1.0", "Connection: Keep-Alive", true, false},
        {"1.0", "Connection: keep-alive,close", false, false},
        {"1.1", "Expect: 100-Continue", true, true},
        {"1.1", "Expect: 200-ok", true, false},
        {"1.0", "Expect: 100-continue", false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct head head;
        cleanup_free char *start = xasprintf("GET /api HTTP/%s", cases[i].version), *text = NULL;
        assert_int_equal(check_headers(start, cases[i].headers, &head, &text), 0);
        assert_int_equal(head.keep_alive, cases[i].keep_alive);
        assert_int_equal(head.expects, cases[i].expects);
    }
}

static void the_value_of_a_header(void **state)
{
    struct head head;
    cleanup_free char *text = NULL;
    assert_int_equal(check_headers("GET /api HTTP/1.1", "A:|X-Y: \t a b:c\t |x-y: 2", &head, &text), 0);
    assert_string_equal(head_value(&head, "x-Y"), "a b:c");
    assert_string_equal(head_value(&head, "a"), "");
    assert_null(head_value(&head, "x"));
}

static void the_number_of_headers_is_limited(void **state)
{
    struct buf data cleanup_buf;
    buf_init(&data, HEAD_BYTES);
    buf_append_text(&data, "GET /api HTTP/1.1\n");
    for (int i = 0; i < HEAD_FIELDS; i++)
        buf_append_text(&data, "X:\n");
    struct head head;
    cleanup_free char *full = xasprintf("%s\n", buf_text(&data)),
                      *more = xasprintf("%sX:\n\n", buf_text(&data)), *text = NULL, *other = NULL;
    assert_int_equal(check(full, &head, &text), 0);
    assert_int_equal(check(more, &head, &other), 431);
}

/* A NUL ends the text for C, and not for other readers. */
static void a_nul_is_refused(void **state)
{
    static const char texts[][32] = {"GE\0 /api HTTP/1.1\n\n", "GET /a\0 HTTP/1.1\n\n",
                                     "GET / HTTP/1.1\nX:\0\n\n", "GET / HTTP/1.1\n\0\n\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char text[32];
        struct head head;
        const char *why = NULL;
        memcpy(text, texts[i], sizeof text);
        assert_int_equal(head_read(&head, text, &why), 400);
        assert_non_null(why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_a_head_ends),
        cmocka_unit_test(a_request_line),
        cmocka_unit_test(the_length_of_the_body),
        cmocka_unit_test(a_body_belongs_to_the_method),
        cmocka_unit_test(whether_the_connection_goes_on),
        cmocka_unit_test(the_value_of_a_header),
        cmocka_unit_test(the_number_of_headers_is_limited),
        cmocka_unit_test(a_nul_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
