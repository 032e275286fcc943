/* base/address.h - network addresses: where to listen, and which clients are allowed. Pure.
 *
 * Every address is stored as an IPv6 address; an IPv4 address as ::ffff:a.b.c.d (RFC 4291,
 * section 2.5.5.2). So a client has the same address on sockets of both kinds.
 */
#ifndef SLUICE_ADDRESS_H
#define SLUICE_ADDRESS_H

#include "base/base.h"
#include <stdbool.h>

struct address {
    uint8_t bytes[16];
};

/* An address and a port, such as 0.0.0.0:8118 or [::1]:8118. Returns 0, or -EINVAL with the
 * reason in *ret_why (static text). */
int address_parse_endpoint(const char *text, struct address *ret_address, uint16_t *ret_port,
                           const char **ret_why);

/* A range of addresses. */
struct address_range {
    struct address base;
    unsigned bits; /* length of the prefix, 0 to 128 */
};

/* "192.168.0.0/16", "fd00::/8", or one address. As above. */
int address_parse_range(const char *text, struct address_range *ret, const char **ret_why);
bool address_in_range(const struct address *address, const struct address_range *range);

bool address_is_ipv4(const struct address *address);
bool address_equal(const struct address *a, const struct address *b);
/* In the usual notation. */
#define ADDRESS_TEXT_BYTES 46
void address_format(const struct address *address, char text[static ADDRESS_TEXT_BYTES]);

/* Whether a host, a name or an address, is this machine by its loopback interface. */
bool address_is_own(const char *host);

#endif
