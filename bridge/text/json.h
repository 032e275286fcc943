/* text/json.h - JSON texts as RFC 8259 spells them: recognised strictly, and read without
 * being changed. Pure.
 *
 * Two things that the grammar allows are refused, because many parsers, cJSON among them,
 * refuse them: more than 1000 arrays and objects in each other, and an escaped surrogate
 * without its other half. That everything else agrees with cJSON is tested.
 */
#ifndef SLUICE_JSON_H
#define SLUICE_JSON_H

#include "base/base.h"
#include "base/buf.h"
#include <stdbool.h>

#define JSON_DEPTH_MOST 1000u

/* What is wrong, as in "unexpected character at byte 17"; bytes count from 0. */
struct json_fault {
    const char *what; /* static text */
    size_t at;
};

/* A member of the outermost object, as it is spelt. */
struct json_member {
    const char *name; /* what stands between its quotes */
    size_t name_bytes;
    const char *value;
    size_t value_bytes;
};
typedef void json_member_fn(void *context, const struct json_member *member);

/* Whether all of it is one JSON text in valid UTF-8. Meanwhile `member`, which may
 * be NULL, is called for each member of the outermost object, in their order,
 * where it is one; those before a fault as well. 0; -EINVAL: *ret_fault says what
 * is wrong first, and where. */
int json_check(const char *text, size_t bytes, json_member_fn *member, void *context,
               struct json_fault *ret_fault);

/* Whether a valid string, as it is spelt between its quotes, means this text. */
bool json_string_is(const char *spelt, size_t bytes, const char *text);

/* The end of the number at `at` (section 6), or NULL where it is spelt in another
 * way. What follows it is not read. */
const char *json_number_end(const char *at, const char *end);

/* Appends text as it stands between the quotes of a string (section 7): UTF-8 as
 * it is, U+FFFD for what is none. 0 or -EMSGSIZE; then a part may be there. */
int json_append_escaped(struct buf *out, const char *text, size_t bytes);

#endif
