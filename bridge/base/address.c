/* base/address.c - network addresses. See base/address.h. */
#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const uint8_t ipv4_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool address_is_ipv4(const struct address *address)
{
    return memcmp(address->bytes, ipv4_prefix, sizeof ipv4_prefix) == 0;
}

bool address_equal(const struct address *a, const struct address *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* The first `bytes` of text, without brackets. */
static bool parse(const char *text, size_t bytes, struct address *ret)
{
    char copy[ADDRESS_TEXT_BYTES];
    if (bytes >= sizeof copy)
        return false;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    struct address address;
    if (inet_pton(AF_INET, copy, address.bytes + sizeof ipv4_prefix) == 1)
        memcpy(address.bytes, ipv4_prefix, sizeof ipv4_prefix);
    else if (inet_pton(AF_INET6, copy, address.bytes) != 1)
        return false;
    *ret = address;
    return true;
}

/* A whole number from 0 to most, or -1. */
static long number(const char *text, long most)
{
    long value = 0;
    if (!*text)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        value = value * 10 + (*text - '0');
        if (value > most)
            return -1;
    }
    return value;
}

int address_parse_endpoint(const char *text, struct address *ret_address, uint16_t *ret_port,
                           const char **ret_why)
{
    struct address address;
    const char *colon = strrchr(text, ':');
    bool brackets = *text == '[';
    if (!colon || colon == text || (brackets && colon[-1] != ']')) {
        *ret_why = "it must be ADDRESS:PORT, such as 0.0.0.0:8118 or [::]:8118";
        return -EINVAL;
    }
    if (!brackets && memchr(text, ':', (size_t)(colon - text))) {
        *ret_why = "write an IPv6 address in brackets, such as [::1]:8118";
        return -EINVAL;
    }
    const char *start = brackets ? text + 1 : text, *end = brackets ? colon - 1 : colon;
    if (!parse(start, (size_t)(end - start), &address) || brackets == address_is_ipv4(&address)) {
        *ret_why =
            "it must be an address of this machine, not a name; 0.0.0.0 means all of its IPv4 addresses, "
            "[::] all of its IPv6 addresses";
        return -EINVAL;
    }
    long port = number(colon + 1, 65535);
    if (port < 1) {
        *ret_why = "the port after ':' must be a number from 1 to 65535";
        return -EINVAL;
    }
    *ret_address = address;
    *ret_port = (uint16_t)port;
    return 0;
}

static unsigned bit(const struct address *address, unsigned number)
{
    return address->bytes[number / 8] >> (7 - number % 8) & 1;
}

int address_parse_range(const char *text, struct address_range *ret, const char **ret_why)
{
    struct address_range range = {.bits = 128};
    const char *slash = strchr(text, '/');
    if (!parse(text, slash ? (size_t)(slash - text) : strlen(text), &range.base)) {
        *ret_why = "it must be an address or a range, such as 192.168.1.20, 192.168.0.0/16 or fd00::/8";
        return -EINVAL;
    }
    bool ipv4 = address_is_ipv4(&range.base);
    if (slash) {
        long bits = number(slash + 1, ipv4 ? 32 : 128);
        if (bits < 0) {
            *ret_why = ipv4 ? "the prefix length after '/' must be a number from 0 to 32"
                            : "the prefix length after '/' must be a number from 0 to 128";
            return -EINVAL;
        }
        range.bits = (unsigned)bits + (ipv4 ? 96 : 0);
    }
    for (unsigned i = range.bits; i < 128; i++) {
        if (bit(&range.base, i)) {
            *ret_why = "bits are set after the prefix; write the first address of the range, such as "
                       "192.168.0.0/16";
            return -EINVAL;
        }
    }
    *ret = range;
    return 0;
}

bool address_in_range(const struct address *address, const struct address_range *range)
{
    for (unsigned i = 0; i < range->bits; i++)
        if (bit(address, i) != bit(&range->base, i))
            return false;
    return true;
}

void address_format(const struct address *address, char text[static ADDRESS_TEXT_BYTES])
{
    bool ipv4 = address_is_ipv4(address);
    inet_ntop(ipv4 ? AF_INET : AF_INET6, address->bytes + (ipv4 ? sizeof ipv4_prefix : 0), text,
              ADDRESS_TEXT_BYTES);
}

bool address_is_own(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}
