/* message/body.h - what kind of bytes a payload is. Pure. */
#ifndef SLUICE_BODY_H
#define SLUICE_BODY_H

#include "base/base.h"
#include <stdbool.h>

/* "application/json" where the whole payload is one JSON text in valid UTF-8 (see
 * text/json.h), otherwise "text/plain; charset=utf-8" where it is valid UTF-8
 * without control characters other than tab, LF and CR (an empty payload is),
 * otherwise "application/octet-stream". Static text. */
const char *body_content_type(const void *payload, size_t bytes);

/* Whether the second payload repeats the first: the same bytes, or JSON objects that
 * differ only in the number of their member "age". A device that sends a reading again
 * knows that the reading is older by then. */
bool body_is_repeated(const void *payload, size_t bytes, const void *again, size_t again_bytes);

#endif
