/* request/redact.h - a backend's secrets: how they are sent, and how they are kept out
 * of what people see. Pure.
 *
 * A backend may quote our request in its answer, and so a secret that we sent.
 * Whatever it says goes through redact_words before it reaches a log, an error
 * or the database.
 */
#ifndef SLUICE_REDACT_H
#define SLUICE_REDACT_H

#include "base/base.h"
#include "config/config.h"

/* The value of the Authorization header (RFC 6750 section 2.1, RFC 7617), to be
 * freed by the caller, or NULL when none is configured. */
char *redact_authorization(const struct config_backend *backend);

/* A copy of words, at most REDACT_WORDS_BYTES, for people: on one line, without
 * control characters, with well-formed UTF-8, and every known secret, as it is, as URLs,
 * JSON and HTML write it, or in base64, replaced by "***". To be freed by the caller. */
#define REDACT_WORDS_BYTES 400
char *redact_words(const struct config_backend *backend, const char *words, size_t bytes);
/* The same, and secrets of an [http]'s query (route) and what a client sent in its own
 * (target, raw, with its path; its values may be keys: those of 4 characters or more).
 * Both may be NULL. */
char *redact_words_about(const struct config_backend *backend, const struct config_route *route,
                         const char *target, const char *words, size_t bytes);

#endif
