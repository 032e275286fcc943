/* control/send.h - messages that a client of the control socket sends. */
#ifndef SLUICE_CONTROL_SEND_H
#define SLUICE_CONTROL_SEND_H

#include "control/internal.h"

/* From now on the client sends messages; some of them may be in `in`. */
void control_send_begin(struct control_client *client);

#endif
