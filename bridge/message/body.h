/* message/body.h - what a payload is, and what is made of it. Pure. Bytes are spliced: no
 * member changes its place, no number its spelling. JSON is what text/json.h takes for
 * it, and where a payload becomes part of something, cJSON agrees. */
#ifndef SLUICE_BODY_H
#define SLUICE_BODY_H

#include "base/base.h"
#include "base/buf.h"
#include "message/fields.h"
#include "message/message.h"
#include <stdbool.h>

/* "application/json" where the whole payload is one JSON text in valid UTF-8 (see
 * text/json.h), otherwise "text/plain; charset=utf-8" where it is valid UTF-8
 * without control characters other than tab, LF and CR (an empty payload is),
 * otherwise "application/octet-stream". Static text. */
const char *body_content_type(const void *payload, size_t bytes);

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF). */
bool body_is_utf8(const void *payload, size_t bytes);

/* Whether a payload is another one once more: the same bytes, or JSON objects that
 * differ in the number of their member "age" alone. A device that tries again knows
 * its reading to be older by then. */
bool body_is_repeated(const void *payload, size_t bytes, const void *again, size_t again_bytes);

/* How a body is to be made. What {measured_s} needs to know comes from the payload:
 * the member "age" of its outermost object, where it is a whole number of
 * milliseconds below 2^32. */
struct body_plan {
    const struct fields *add; /* or NULL */
    bool one_line;            /* for NDJSON: line ends between tokens become blanks */
    int64_t age_ms;           /* since receipt; negative: not known */
    const char *gateway;
};

/* Appends the payload, which must be one JSON object, byte for byte, with the
 * fields of the plan before its last brace; those that the object has (by their
 * decoded names) are left alone. 0; -EINVAL when it is no JSON object, with the
 * reason in *ret_why (freed by the caller), such as "no JSON object: unexpected
 * character at byte 17" (bytes count from 0) or "no JSON object: it is a JSON
 * array"; -EMSGSIZE when out is full. After a failure out is as it was. */
int body_append_json(struct buf *out, const struct message *message, const struct body_plan *plan,
                     char **ret_why);

/* Appends an object that tells everything of a message:
 *
 *   {"topic":"garden/1/sensor","key":"5f0c...-42","received":"2026-11-22T17:33:16.123Z",
 *    "clock":"synchronised","age_ms":212,"late_since":"2026-...Z","payload":{...}}
 *
 * age_ms and late_since only where they are known; clock may be "unsynchronised".
 * The payload is the JSON text itself where it is one, otherwise a string where it
 * is UTF-8 (behind "encoding":"utf-8"), otherwise base64 (behind
 * "encoding":"base64"). The plan's fields come behind the payload, except for those
 * that body_envelope_has. 0 or -EMSGSIZE; then out is as it was. */
int body_append_envelope(struct buf *out, const struct message *message, const struct body_plan *plan);

/* Whether an envelope has a member of this name of its own, always or at times. */
bool body_envelope_has(const char *name);

#endif
