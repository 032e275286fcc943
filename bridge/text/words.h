/* text/words.h - numbers, times and payloads as people read them. Pure. */
#ifndef SLUICE_WORDS_H
#define SLUICE_WORDS_H

#include "base/base.h"
#include "base/buf.h"
#include <stdbool.h>

/* All texts are small; each has its place with the caller. */
#define WORDS_BYTES 32

/* "1,234,567" */
const char *words_number(int64_t number, char text[static WORDS_BYTES]);
/* In the two largest units that matter: "250 ms", "40 s", "2 min 5 s", "3 h 20 min",
 * "5 d 1 h". */
const char *words_duration(int64_t ms, char text[static WORDS_BYTES]);
/* "512 bytes", "4.1 kB", "1.0 GB": powers of 1000, as disks are sold. */
const char *words_size(int64_t bytes, char text[static WORDS_BYTES]);
/* "2026-11-22 18:15:43" by the local clock; brief: "11-22 18:15:43". */
const char *words_time(int64_t wall_ms, bool brief, char text[static WORDS_BYTES]);

/* Reads "30s", "5m", "2h", "30d", "4w", "250ms". 0, or -EINVAL. */
int words_parse_duration(const char *text, int64_t *ret_ms);

/* Whether it is UTF-8 without control characters (also those that turn the direction of
 * writing) but for tab, LF and CR: then a person can read it. */
bool words_is_text(const void *payload, size_t bytes);

/* How many columns of a terminal the text takes. */
size_t words_columns(const char *text);

/* Appends a payload as one line of at most so many columns (0: no limit, but 200
 * characters): text as it is, with \n and the like, anything else as x'0a1b...';
 * with "..." where it was cut. */
void words_append_payload(struct buf *out, const void *payload, size_t bytes, size_t columns);
/* Appends text so that a terminal shows it and obeys nothing of it: control
 * characters but for tab as \xNN. */
void words_append_safe(struct buf *out, const char *text, size_t bytes);

#endif
