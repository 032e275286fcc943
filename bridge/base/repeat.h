/* base/repeat.h - how often one event is logged. Pure.
 *
 * The log of a machine with an SD card must not grow because a peer, a client or the disk repeats
 * something. In a minute, an event has at most REPEAT_LINES lines, and at most
 * REPEAT_SUBJECT_LINES of these are about one subject: a backend that comes and goes leaves
 * lines for the others. What is left out is counted for one line at the end of the minute. A minute
 * begins with the first line after the end of the one before.
 */
#ifndef SLUICE_BASE_REPEAT_H
#define SLUICE_BASE_REPEAT_H

#include "base/base.h"
#include <stdbool.h>

enum { REPEAT_LINES = 10, REPEAT_SUBJECT_LINES = 5, REPEAT_MINUTE_MS = 60 * 1000 };

/* Of one event. All zero at first. */
struct repeat {
    int64_t since_ms; /* uptime when this minute began; 0: none has begun */
    unsigned written;
    uint32_t subjects[REPEAT_LINES]; /* digests, of the lines that were written */
    uint64_t left_out;
};

/* Digest of the subject of a line: the text before the first ": ", or all of it. */
uint32_t repeat_subject(const char *text);

/* Counts a line. Returns whether it is to be written. The minute before must be closed. */
bool repeat_passes(struct repeat *repeat, uint32_t subject, int64_t now_ms);

/* Whether the minute is over. */
bool repeat_is_over(const struct repeat *repeat, int64_t now_ms);

/* Closes the minute. Returns how many lines were left out in it. */
uint64_t repeat_close(struct repeat *repeat);

#endif
