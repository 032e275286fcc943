/* message/fields.h - what a route adds to JSON: names with templates for values. Pure.
 *
 *     add = host={2}, timestamp={received_s}, label="bed {2}, {3}", version=3
 *
 * A template is text with references in braces, see message/reference.h.
 *
 * A template that is one reference to a number, or spells a JSON number, true,
 * false or null, gives that; every other one gives a string, as does what stands
 * in double quotes. A field is left out where it refers to what is not there: a
 * level that the topic does not have, an age that nobody knows.
 *
 * A template without quotes ends at the next comma; within double quotes a quote is
 * written \" and a backslash \\. A brace itself is written {{ or }}. A name has no
 * blanks, quotes, braces, commas, equals signs or backslashes. Numbers of seconds are
 * whole, rounded down.
 */
#ifndef SLUICE_FIELDS_H
#define SLUICE_FIELDS_H

#include "base/base.h"
#include "base/buf.h"
#include "message/message.h"
#include <stdbool.h>

#define FIELDS_MOST 64u

struct fields;

/* Parses "NAME=TEMPLATE, NAME=TEMPLATE ...". On success *ret is owned by the
 * caller (fields_free). -EINVAL: *ret_why says what is wrong and what would be
 * right; the caller frees it. */
int fields_parse(const char *text, struct fields **ret, char **ret_why);
void fields_free(struct fields *fields); /* takes NULL */

size_t fields_count(const struct fields *fields); /* NULL: 0 */
/* No two have the same, and none holds what JSON would have escaped. */
const char *fields_name(const struct fields *fields, size_t field);
/* The highest topic level that is referred to, 0 when none is. */
unsigned fields_highest_level(const struct fields *fields);

/* What is known of a message beside itself. */
struct fields_facts {
    int64_t age_ms;          /* since receipt; negative: not known */
    int64_t measured_ago_ms; /* before receipt; 0 where it does not say */
    const char *gateway;
};
/* Whether all that the field refers to is there. */
bool fields_has_value(const struct fields *fields, size_t field, const struct message *message,
                      const struct fields_facts *facts);
/* Appends the value, which it must have, as JSON. 0; -EMSGSIZE when out is full,
 * and then nothing is appended. */
int fields_append_value(const struct fields *fields, size_t field, const struct message *message,
                        const struct fields_facts *facts, struct buf *out);

#endif
