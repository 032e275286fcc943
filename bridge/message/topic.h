/* message/topic.h - MQTT topic names and topic filters (MQTT 5.0, sections 4.7.1-3).
 * Pure.
 */
#ifndef SLUICE_TOPIC_H
#define SLUICE_TOPIC_H

#include "base/base.h"
#include <stdbool.h>

/* Whether text is a valid topic filter; if not, *ret_why says what is wrong in
 * a few words (static text), e.g. "'#' must be the last level". */
bool topic_filter_valid(const char *filter, const char **ret_why);

/* Whether text may be the topic of a message (section 4.7); if not, as above. */
bool topic_name_valid(const char *topic, const char **ret_why);

/* Whether a valid filter matches a topic name. Wildcards in the first level
 * match no topic that starts with '$' (section 4.7.2). Shared subscriptions
 * ($share/group/filter) match by their filter part. */
bool topic_matches(const char *filter, const char *topic);

/* Whether a valid filter is a shared subscription. */
bool topic_filter_is_shared(const char *filter);

/* Whether there are topics that both of two valid filters match. */
bool topic_filters_meet(const char *one, const char *other);

/* Whether one valid filter matches every topic that the other one matches. (It may return false
 * where that takes more than one look at each level: for +/# and #.) */
bool topic_filter_covers(const char *wide, const char *narrow);

/* The level with this number, counted from 1: levels of "a//b" are "a", "",
 * "b". Returns false when the topic has fewer levels. The result points into
 * topic and is not terminated. */
bool topic_level(const char *topic, unsigned number, const char **ret_level, size_t *ret_bytes);

#endif
