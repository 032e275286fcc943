/* deliver/response.h - what a response means, and what follows. */
#ifndef SLUICE_DELIVER_RESPONSE_H
#define SLUICE_DELIVER_RESPONSE_H

#include "deliver/internal.h"

/* Settles the messages of the flight, or finds whom to blame. The caller frees the flight. */
void response_act(struct flight *flight, const struct reply *reply);
/* The configuration says which 2xx responses are right, so web pages are no problem. */
bool response_pages_are_right(const struct route_state *route);

#endif
