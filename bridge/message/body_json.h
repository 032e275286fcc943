/* message/body_json.h - JSON objects that gain fields. Pure. Bytes are spliced: no member
 * changes its place, no number its spelling. JSON is what text/json.h accepts. */
#ifndef SLUICE_BODY_JSON_H
#define SLUICE_BODY_JSON_H

#include "base/base.h"
#include "base/buf.h"
#include "message/fields.h"
#include "message/message.h"
#include "text/json.h"
#include <stdbool.h>

/* How a body is made. What {measured_s} needs comes from the payload: the member "age" of
 * its outermost object, where that is a whole number of milliseconds below 2^32. */
struct body_plan {
    const struct fields *add; /* or NULL */
    bool one_line;            /* for NDJSON: line ends between tokens become blanks */
    int64_t age_ms;           /* since receipt; negative: not known */
    const char *gateway;
};

/* Appends the payload, which must be one JSON object, byte for byte, with the
 * fields of the plan before its last brace. A field that the object already has (by its
 * decoded name) is left alone. 0; -EINVAL when it is no JSON object, with the
 * reason in *ret_why (freed by the caller), such as "no JSON object: unexpected
 * character at byte 17" (bytes count from 0) or "no JSON object: it is a JSON
 * array"; -EMSGSIZE when out is full. After a failure out is unchanged. */
int body_append_json(struct buf *out, const struct message *message, const struct body_plan *plan,
                     char **ret_why);

/* ---- the steps, also for the envelope (message/body_envelope.c) ---- */

/* What must be known of an object before fields are added to it. */
struct body_object {
    const struct fields *add; /* or NULL */
    uint64_t has;             /* bit n: it has the nth of these already */
    size_t members;
    int64_t measured_ago_ms; /* its member "age"; 0 where there is none */
};

/* Reads a payload that is one JSON text. 0, and what is known of it where it is an object;
 * -EINVAL: it is not JSON, see *ret_fault. */
int body_read(const void *payload, size_t bytes, const struct fields *add, struct body_object *ret,
              struct json_fault *ret_fault);

/* Appends the fields that the object does not have, each after a comma; the first
 * one has a comma only if `comma` is true. When out overflows, its content is useless. */
void body_append_fields(struct buf *out, const struct body_object *object, bool comma,
                        const struct message *message, const struct body_plan *plan);

/* Turns the line ends of a JSON text into blanks: they only stand between its tokens. */
void body_join_lines(char *text, size_t bytes);

#endif
