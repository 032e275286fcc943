/* deliver/dead_letter.h - what can never be sent: move it to the dead letters, or ignore it, and
 * log that. */
#ifndef SLUICE_DELIVER_DEAD_LETTER_H
#define SLUICE_DELIVER_DEAD_LETTER_H

#include "deliver/internal.h"

/* A message of the route. suspect: what is held against it, or NULL. reason: one word. error:
 * what the backend said, or what is wrong; or NULL. 0, also where it is gone already; or -Exxx
 * of the queue. Its lane still has it afterwards. */
int dead_letter_move(struct deliver *deliver, struct route_state *route, int64_t id, struct suspect *suspect,
                     unsigned attempts, int status, const char *reason, const char *error);
/* The message is deleted without being sent (not_object). Its lane still has it afterwards. */
void dead_letter_ignore(struct deliver *deliver, struct route_state *route, const struct message *message,
                        const char *why);
/* The queue is about to learn of a later failure of the message: tells it of the first one. */
void dead_letter_note_first(struct deliver *deliver, int64_t id, struct suspect *suspect);

#endif
