/* deliver/dead_letter.h - moves a message to the dead letters. */
#ifndef SLUICE_DELIVER_DEAD_LETTER_H
#define SLUICE_DELIVER_DEAD_LETTER_H

#include "deliver/internal.h"

/* The message leaves its lane and the queue; reason is that of the column, error the
 * details, or NULL. Returns 0 (also when it is gone already), or -Exxx: the storage
 * did not take it, and it stays. */
int dead_letter_add(struct deliver *deliver, struct lane *lane, int64_t id, unsigned attempts, int status,
                    const char *reason, const char *error);
/* Of many dead letters within a minute, only the first ones are logged: logs the number of
 * the others once the minute is over. */
void dead_letter_log_rest(struct route_state *route, int64_t now_ms);

#endif
