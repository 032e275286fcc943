/* message/topic_template.h - a topic that is made from the levels of another. Pure.
 *
 * "garden/{2}/ack" is text with references to levels, counted from 1; for
 * garden/wino-1/sensor it stands for garden/wino-1/ack.
 */
#ifndef SLUICE_TOPIC_TEMPLATE_H
#define SLUICE_TOPIC_TEMPLATE_H

#include "base/base.h"
#include "base/buf.h"
#include <stdbool.h>

/* Whether text is one: a topic without wildcards whose braces are references {1} to
 * {99}. If not, *ret_why says what is wrong and what would be right (static text). */
bool topic_template_valid(const char *text, const char **ret_why);
/* The highest level that it refers to, 0 when it refers to none. */
unsigned topic_template_highest_level(const char *text);
/* The narrowest filter of whole levels that matches every topic that it may stand
 * for; freed by the caller. */
char *topic_template_filter(const char *text);
/* Appends the topic. 0; -ENOENT when the other one has too few levels; -EMSGSIZE
 * when out is full. */
int topic_template_expand(const char *text, const char *topic, struct buf *out);

#endif
