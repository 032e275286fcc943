/* message/body_envelope.h - a JSON object with everything that is known of a message. Pure. */
#ifndef SLUICE_BODY_ENVELOPE_H
#define SLUICE_BODY_ENVELOPE_H

#include "message/body_json.h"

/* Appends the object:
 *
 *   {"topic":"garden/1/sensor","key":"5f0c...-42","received":"2026-11-22T17:33:16.123Z",
 *    "clock":"synchronised","age_ms":212,"late_since":"2026-...Z","payload":{...}}
 *
 * age_ms and late_since only where they are known; clock may be "unsynchronised". Before the payload
 * there may be "retained":true, "content_type":"text/csv" and "user_properties":[["name","value"]].
 * The payload is the JSON text itself where it is one, otherwise a string where it
 * is UTF-8 (after "encoding":"utf-8"), otherwise base64 (after "encoding":"base64").
 * The plan's fields follow the payload, except those that body_envelope_has.
 * 0 or -EMSGSIZE; then out is unchanged. */
int body_append_envelope(struct buf *out, const struct message *message, const struct body_plan *plan);

/* Whether an envelope has a member of this name of its own, always or at times. */
bool body_envelope_has(const char *name);

#endif
