/* message/reference.h - references in templates: "{2}", "{key}", "{received}". Pure.
 *
 * A reference stands for a part of a message, in braces. {1} to {99} are the levels of its
 * topic, {user.NAME} is the user property of this name (MQTT 5); the other names are in the table
 * below. Each kind of template decides which of
 * them it allows: paths (message/path.h) and topics (message/topic_template.h) only levels,
 * fields (message/fields.h) all.
 */
#ifndef SLUICE_REFERENCE_H
#define SLUICE_REFERENCE_H

#include "base/base.h"
#include <stdbool.h>

#define REFERENCE_LEVEL_MOST 99u

/* kind, name, whether its value is a number, true or false, meaning */
#define REFERENCES(X)                                                                                        \
    X(TOPIC, "topic", false, "the topic of the message")                                                     \
    X(KEY, "key", false, "the idempotency key of the message")                                               \
    X(GATEWAY, "gateway", false, "the host name of this machine")                                            \
    X(RECEIVED, "received", false, "when sluice received it: RFC 3339, UTC, with milliseconds")              \
    X(RECEIVED_S, "received_s", true, "the same in whole seconds since 1970, rounded down")                  \
    X(RECEIVED_MS, "received_ms", true, "the same in milliseconds since 1970")                               \
    X(MEASURED_S, "measured_s", true, "{received_s} less the object's own member \"age\" (milliseconds)")    \
    X(AGE_MS, "age_ms", true, "milliseconds since it was received")                                          \
    X(CLOCK, "clock", false, "whether {received} can be trusted: synchronised or unsynchronised")            \
    X(LATE_SINCE, "late_since", false,                                                                       \
      "only if it waited at the broker while sluice was away: when sluice went away, RFC 3339")              \
    X(RETAINED, "retained", true, "whether the broker had retained it: true or false")                       \
    X(CONTENT_TYPE, "content_type", false, "only if the sender named one: its content type")

enum reference_kind {
    REFERENCE_NONE,
    REFERENCE_LEVEL,
    REFERENCE_USER,
#define REFERENCE_KIND(kind, name, number, meaning) REFERENCE_##kind,
    REFERENCES(REFERENCE_KIND)
#undef REFERENCE_KIND
};

struct reference {
    enum reference_kind kind;
    unsigned level;   /* REFERENCE_LEVEL: from 1; otherwise 0 */
    const char *name; /* REFERENCE_USER: in the text that was parsed, ... */
    size_t bytes;     /* ... with this length */
};

/* Reads the reference at text, whose '{' and '}' must stand before end. Returns where its
 * text ends, or NULL when it is no reference; then *ret is unchanged. */
const char *reference_parse(const char *text, const char *end, struct reference *ret);

/* Why what stands in braces at text (both braces before end) is no reference, with the name
 * that was probably meant and all that there are. Freed by the caller. */
char *reference_fault(const char *text, const char *end);

/* The reason where only levels are allowed. */
#define REFERENCE_LEVELS_ONLY "a reference is a topic level's number in braces, {1} to {99}"

/* The same for a template that only levels are allowed in: the level, and where its text
 * ends; 0 when it is no reference to a level. */
unsigned reference_parse_level(const char *text, const char **ret_end);

/* Whether its value is a number, true or false. */
bool reference_is_bare(enum reference_kind kind);

#endif
