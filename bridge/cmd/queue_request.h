/* cmd/queue_request.h - the request that sluice would send for a message now. Secrets, and
 * values that may be a secret, are "...". */
#ifndef SLUICE_CMD_QUEUE_REQUEST_H
#define SLUICE_CMD_QUEUE_REQUEST_H

#include "config/config.h"
#include "message/message.h"

struct cJSON;

/* Prints the request, or why there is none. */
void queue_request_print(const struct config *config, const struct message *message);
/* Adds "request", or "no_request" with the reason. */
void queue_request_add(const struct config *config, const struct message *message, struct cJSON *to);

/* -1: unknown, because the clock was not right at the receipt. */
int64_t queue_message_age_ms(const struct message *message);
/* Prints text that may come from outside, with each line indented. */
void print_indented(const char *text, size_t bytes);

#endif
