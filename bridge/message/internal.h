/* message/internal.h - what the files body*.c share. */
#ifndef SLUICE_BODY_PRIVATE_H
#define SLUICE_BODY_PRIVATE_H

#include "message/body.h"
#include "text/json.h"

/* What has to be known of an object before fields are added to it. */
struct body_object {
    const struct fields *add; /* or NULL */
    uint64_t has;             /* bit n: it has the nth of these already */
    size_t members;
    int64_t measured_ago_ms; /* its member "age"; 0 where there is none */
};

/* Whether the payload is one JSON text, by the walk of text/json.h and by cJSON; what it
 * is, in *ret, when it is an object. 0, or -EINVAL with *ret_fault. */
int body_read(const void *payload, size_t bytes, const struct fields *add, struct body_object *ret,
              struct json_fault *ret_fault);

/* Appends the fields that the object does not have, each behind a comma, the first
 * one only where `comma` says so. When out is full it has overflowed, and what is
 * in it is of no use. */
void body_append_fields(struct buf *out, const struct body_object *object, bool comma,
                        const struct message *message, const struct body_plan *plan);

/* Turns the line ends of a JSON text, which can only stand between its tokens, into
 * blanks. */
void body_join_lines(char *text, size_t bytes);

#endif
