#include "unit.h"

#include "base/address.h"

#include <errno.h>
#include <string.h>

static void endpoints(void **state)
{
    static const struct {
        const char *text, *address;
        unsigned port;
    } good[] = {
        {"0.0.0.0:8118", "0.0.0.0", 8118},
        {"127.0.0.1:1", "127.0.0.1", 1},
        {"[::]:65535", "::", 65535},
        {"[fd00::1]:8118", "fd00::1", 8118},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct address address;
        uint16_t port;
        const char *why;
        char text[ADDRESS_TEXT_BYTES];
        assert_int_equal(address_parse_endpoint(good[i].text, &address, &port, &why), 0);
        address_format(&address, text);
        assert_string_equal(text, good[i].address);
        assert_int_equal(port, good[i].port);
        assert_int_equal(address_is_ipv4(&address), good[i].text[0] != '[');
    }
    static const char *const bad[] = {
        "",
        "8118",
        ":8118",
        "*:8118",
        "pi:8118",
        "1.2.3:8118",
        "1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:0",
        "1.2.3.4:65536",
        "1.2.3.4:+1",
        "1.2.3.4:1x",
        "::1:8118",
        "[::1]",
        "[::1]8118",
        "[1.2.3.4]:8118",
        "[]:8118",
        "[::1:8118",
        "::1]:1",
        "1.2.3.4 :80",
        "[fe80::1%e]:80",
        "1.2.3.4:99999999999999999999",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct address address;
        uint16_t port = 7;
        const char *why = NULL;
        if (address_parse_endpoint(bad[i], &address, &port, &why) != -EINVAL)
            fail_msg("%s is taken", bad[i]);
        assert_non_null(why);
        assert_int_equal(port, 7);
    }
}

static struct address address_of(const char *text)
{
    struct address_range range;
    const char *why;
    assert_int_equal(address_parse_range(text, &range, &why), 0);
    return range.base;
}

static void ranges(void **state)
{
    static const struct {
        const char *range, *address;
        bool in;
    } cases[] = {
        {"192.168.0.0/16", "192.168.255.255", true},
        {"192.168.0.0/16", "192.169.0.0", false},
        {"192.168.0.0/16", "::ffff:192.168.1.1", true},
        {"10.0.0.1", "10.0.0.1", true},
        {"10.0.0.1", "10.0.0.2", false},
        {"10.0.0.1/32", "10.0.0.1", true},
        {"0.0.0.0/0", "255.1.2.3", true},
        {"0.0.0.0/0", "fd00::1", false},
        {"::/0", "fd00::1", true},
        {"::/0", "1.2.3.4", true},
        {"fd00::/8", "fdff::1", true},
        {"fd00::/8", "fc00::1", false},
        {"10.0.0.128/25", "10.0.0.127", false},
        {"10.0.0.128/25", "10.0.0.200", true},
        {"fe80::1", "fe80::1", true},
        {"fe80::1/127", "fe80::1", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct address_range range;
        const char *why;
        if (address_parse_range(cases[i].range, &range, &why) != 0) {
            assert_string_equal(cases[i].range, "fe80::1/127"); /* a bit is set behind */
            continue;
        }
        struct address address = address_of(cases[i].address);
        if (address_in_range(&address, &range) != cases[i].in)
            fail_msg("%s in %s", cases[i].address, cases[i].range);
    }
    static const char *const bad[] = {"",          "x",          "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
                                      "::/129",    "10.0.0.1/8", "10/8",      "10.0.0.0/8x", "10.0.0.0 /8",
                                      "::1.2.3/8", "pi/8",       "/8"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct address_range range;
        const char *why = NULL;
        if (address_parse_range(bad[i], &range, &why) != -EINVAL)
            fail_msg("%s is taken", bad[i]);
        assert_non_null(why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints),
        cmocka_unit_test(ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
