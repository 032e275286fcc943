/* deliver/response.h - classifies a response, and acts on it. */
#ifndef SLUICE_DELIVER_RESPONSE_H
#define SLUICE_DELIVER_RESPONSE_H

#include "deliver/internal.h"

/* The request ended: its messages leave the queue, or somebody is to blame (deliver/blame.h).
 * The reply need not be a response: it may be a transport failure. */
void response_act(struct flight *flight, const struct reply *reply);

#endif
