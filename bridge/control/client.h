/* control/client.h - one client of the control socket. */
#ifndef SLUICE_CONTROL_CLIENT_H
#define SLUICE_CONTROL_CLIENT_H

#include "control/internal.h"

/* Accepts a client, and reads from it. One that cannot be accepted is closing already. */
struct control_client *control_client_accept(struct control *control,
                                             void (*received)(struct control_client *client),
                                             void (*closed)(struct control *control, bool sends));
/* Responds; last: and closes the client when it has read the response. */
void control_client_respond(struct control_client *client, const char *text, size_t bytes, bool last);
void control_client_read(struct control_client *client);
void control_client_stop_reading(struct control_client *client);
/* Forgets the first bytes of `in`. */
void control_client_consume(struct control_client *client, size_t bytes);
/* The memory is released when the loop has run once more. */
void control_client_close(struct control_client *client);
/* The same, when it sends no more and has read all its responses. */
void control_client_close_if_done(struct control_client *client);

#endif
