/* message/topic.c - MQTT topic names and topic filters; see message/topic.h.
 *
 * A level is walked, never copied: `end` is its '/' or the end of the text.
 */
#include "message/topic.h"

#include "base/utf8.h"

#include <string.h>

#define MAX_BYTES 65535u /* MQTT's strings have a length of two bytes */

static const char share_prefix[] = "$share/";
#define SHARE_PREFIX_BYTES (sizeof(share_prefix) - 1)

static const char *level_end(const char *level)
{
    return level + strcspn(level, "/");
}

/* What is wrong with a filter, or NULL. */
static const char *filter_fault(const char *filter)
{
    if (!*filter)
        return "it is empty";
    if (strlen(filter) > MAX_BYTES)
        return "it is longer than 65535 bytes";
    if (!utf8_valid(filter, strlen(filter)))
        return "it is not valid UTF-8";
    if (!strncmp(filter, share_prefix, SHARE_PREFIX_BYTES)) {
        const char *group = filter + SHARE_PREFIX_BYTES;
        const char *end = level_end(group);
        if (end == group || !*end || !end[1])
            return "a shared subscription is $share/GROUP/FILTER";
        if (group + strcspn(group, "+#") < end)
            return "the group of a shared subscription must not contain '+' or '#'";
        filter = end + 1;
    }
    for (const char *level = filter;; level++) {
        const char *end = level_end(level);
        const char *wildcard = level + strcspn(level, "+#");
        if (wildcard < end) {
            if (end - level != 1)
                return *wildcard == '#' ? "'#' must be a level of its own" : "'+' must be a level of its own";
            if (*wildcard == '#' && *end)
                return "'#' must be the last level";
        }
        if (!*end)
            return NULL;
        level = end;
    }
}

/* MQTT 3.1.1, section 1.5.3, lets a receiver close the connection over one; Mosquitto does. */
static bool has_controls(const char *topic)
{
    const unsigned char *at = (const unsigned char *)topic;
    for (; *at; at++)
        if (*at < 0x20 || *at == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0))
            return true;
    return false;
}

bool topic_name_valid(const char *topic, const char **ret_why)
{
    const char *fault = !*topic                               ? "it is empty"
                        : strlen(topic) > MAX_BYTES           ? "it is longer than 65535 bytes"
                        : !utf8_valid(topic, strlen(topic))   ? "it is not valid UTF-8"
                        : has_controls(topic)                 ? "it holds a control character"
                        : topic[strcspn(topic, "+#")] != '\0' ? "'+' and '#' stand in topic filters only"
                                                              : NULL;
    if (!fault)
        return true;
    *ret_why = fault;
    return false;
}

bool topic_filter_valid(const char *filter, const char **ret_why)
{
    const char *fault = filter_fault(filter);
    if (fault)
        *ret_why = fault;
    return !fault;
}

bool topic_filter_is_shared(const char *filter)
{
    return strncmp(filter, share_prefix, SHARE_PREFIX_BYTES) == 0;
}

/* Without $share/GROUP/. */
static const char *filter_part(const char *filter)
{
    if (!topic_filter_is_shared(filter))
        return filter;
    const char *end = level_end(filter + SHARE_PREFIX_BYTES);
    return *end ? end + 1 : end;
}

bool topic_matches(const char *filter, const char *topic)
{
    filter = filter_part(filter);
    if (topic[0] == '$' && (filter[0] == '+' || filter[0] == '#'))
        return false;
    for (;;) {
        if (filter[0] == '#')
            return true;
        const char *topic_end = level_end(topic);
        if (filter[0] == '+') {
            filter++;
        } else {
            size_t bytes = (size_t)(topic_end - topic);
            if (strncmp(filter, topic, bytes) || (filter[bytes] && filter[bytes] != '/'))
                return false;
            filter += bytes;
        }
        if (!*topic_end)
            return !*filter || !strcmp(filter, "/#"); /* "a/#" stands for "a" as well */
        if (!*filter)
            return false;
        filter++;
        topic = topic_end + 1;
    }
}

bool topic_filters_meet(const char *one, const char *other)
{
    one = filter_part(one);
    other = filter_part(other);
    if ((one[0] == '$' && strchr("+#", other[0])) || (other[0] == '$' && strchr("+#", one[0])))
        return false;
    for (;;) {
        if (one[0] == '#' || other[0] == '#')
            return true;
        const char *one_end = level_end(one), *other_end = level_end(other);
        bool same = one_end - one == other_end - other && !strncmp(one, other, (size_t)(one_end - one));
        if (!same && one[0] != '+' && other[0] != '+')
            return false;
        if (!*one_end || !*other_end) /* "a/#" stands for "a" as well */
            return (!*one_end && !*other_end) || !strcmp(*one_end ? one_end : other_end, "/#");
        one = one_end + 1;
        other = other_end + 1;
    }
}

bool topic_filter_covers(const char *wide, const char *narrow)
{
    wide = filter_part(wide);
    narrow = filter_part(narrow);
    if (narrow[0] == '$' && strchr("+#", wide[0]))
        return false;
    for (;;) {
        if (wide[0] == '#' || narrow[0] == '#')
            return wide[0] == '#';
        const char *wide_end = level_end(wide), *narrow_end = level_end(narrow);
        bool same =
            wide_end - wide == narrow_end - narrow && !strncmp(wide, narrow, (size_t)(wide_end - wide));
        if (!same && wide[0] != '+')
            return false;
        if (!*wide_end || !*narrow_end) /* "a/#" stands for "a" as well */
            return !*narrow_end && (!*wide_end || !strcmp(wide_end, "/#"));
        wide = wide_end + 1;
        narrow = narrow_end + 1;
    }
}

bool topic_level(const char *topic, unsigned number, const char **ret_level, size_t *ret_bytes)
{
    if (number == 0)
        return false;
    const char *end = level_end(topic);
    for (; number > 1; number--) {
        if (!*end)
            return false;
        topic = end + 1;
        end = level_end(topic);
    }
    *ret_level = topic;
    *ret_bytes = (size_t)(end - topic);
    return true;
}
