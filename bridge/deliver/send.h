/* deliver/send.h - make a request of what was chosen, and start it. */
#ifndef SLUICE_DELIVER_SEND_H
#define SLUICE_DELIVER_SEND_H

#include "deliver/choose.h"

/* done gets the flight. 0: it is in flight. -ENOMSG: the message left its lane or is gone; its
 * lane may have others. -EAGAIN: the lane lingers, and its batch can still grow. Another error:
 * the queue cannot be read or written; the lane must wait. */
int send_start(struct deliver *deliver, const struct work *work, transfer_done_fn *done);
/* The flight will not be acted upon, or was: frees it. For transfer_free as well. */
void send_drop(void *flight);

#endif
