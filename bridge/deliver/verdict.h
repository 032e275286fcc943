/* deliver/verdict.h - what a reply means. Pure: a table.
 *
 *   2xx                                          delivered
 *   no connection, unknown host, time-out,
 *   408, 425, 429, other 5xx                     away
 *   certificate expired or not yet valid while
 *   our own clock is not synchronised            away
 *   other TLS failures, 1xx, 3xx, 401, 402, 403,
 *   404, 405, 407, 451, 501, 505, 511            misconfigured
 *   409                                          later
 *   every other 4xx                              bad
 *
 * The configuration may say something else of a status (on_status, by its own
 * words): delivered, dead = bad, later, retry = away, hold = misconfigured. The
 * route's word counts before the backend's, and that before this table.
 */
#ifndef SLUICE_VERDICT_H
#define SLUICE_VERDICT_H

#include "config/config.h"
#include "net/transfer.h"
#include <stdbool.h>

enum verdict {
    VERDICT_DELIVERED,     /* the backend has it */
    VERDICT_AWAY,          /* suspects the destination; time heals it */
    VERDICT_MISCONFIGURED, /* suspects the route, or the destination: a person heals it */
    VERDICT_LATER,         /* this message: try it again later, then set it aside */
    VERDICT_BAD,           /* this message: set it aside */
};

/* status counts only for TRANSFER_OK. */
enum verdict verdict_of(enum transfer_failure failure, int status, bool clock_synchronised);

/* Where a rule is about this status of a whole response (TRANSFER_OK), sets *verdict to what it
 * says, and returns true. rules may be NULL when count is 0. The backend's rules first, then
 * its route's. */
bool verdict_override(const struct config_status_rule *rules, size_t count, int status,
                      enum verdict *verdict);

#endif
