/* request/redact.h - a backend's secrets: how they are sent, and how they are kept out
 * of what people see. Pure.
 *
 * A backend may quote our request in its response, and with it a secret that we sent.
 * Whatever it sends goes through redact_text before it reaches a log, an error
 * or the database.
 */
#ifndef SLUICE_REDACT_H
#define SLUICE_REDACT_H

#include "base/base.h"
#include "config/config.h"

/* The value of the Authorization header (RFC 6750 section 2.1, RFC 7617), to be
 * freed by the caller, or NULL when none is configured. */
char *redact_authorization(const struct config_backend *backend);

#define REDACT_TEXT_BYTES 400
#define REDACT_WITHHELD   "(text withheld: it contains a secret)"

/* A copy of the beginning of a backend's text, for people: at most REDACT_TEXT_BYTES, on
 * one line, without control characters, in valid UTF-8. If a secret is anywhere in the
 * text, as it is or escaped as in URLs, JSON, HTML or base64, REDACT_WITHHELD instead;
 * also if the text ends in the middle of one (after 4 characters or more).
 * Secrets are those of the backend, of the route's query (an [http] has them), and the
 * values of 4 characters or more in the query that a client sent (target, raw, with its
 * path). route and target may be NULL. Freed by the caller. */
char *redact_text(const struct config_backend *backend, const struct config_route *route, const char *target,
                  const char *text, size_t bytes);

#endif
