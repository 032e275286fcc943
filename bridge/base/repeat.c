/* base/repeat.c - see base/repeat.h. */
#include "base/repeat.h"

#include <string.h>

/* FNV-1a. Where two subjects have one digest, they share their lines of this minute. */
uint32_t repeat_subject(const char *text)
{
    const char *colon = strstr(text, ": ");
    uint32_t digest = 2166136261u;
    for (const char *at = text; *at != '\0' && at != colon; at++)
        digest = (digest ^ (unsigned char)*at) * 16777619u;
    return digest;
}

bool repeat_passes(struct repeat *repeat, uint32_t subject, int64_t now_ms)
{
    unsigned same = 0;
    for (unsigned i = 0; i < repeat->written; i++)
        same += repeat->subjects[i] == subject;
    if (repeat->written == 0)
        repeat->since_ms = now_ms;
    if (repeat->written == REPEAT_LINES || same == REPEAT_SUBJECT_LINES) {
        repeat->left_out++;
        return false;
    }
    repeat->subjects[repeat->written++] = subject;
    return true;
}

bool repeat_is_over(const struct repeat *repeat, int64_t now_ms)
{
    return repeat->written > 0 && now_ms - repeat->since_ms >= REPEAT_MINUTE_MS;
}

uint64_t repeat_close(struct repeat *repeat)
{
    uint64_t left_out = repeat->left_out;
    *repeat = (struct repeat){.written = 0};
    return left_out;
}
