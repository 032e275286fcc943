/* text/units.h - numbers, durations, sizes and times as text, and back. Pure.
 *
 * There are two notations. People read "2 min 5 s" and "4.1 kB", which are rounded; the
 * configuration and options have "125s" and "64M", which are exact and can be parsed.
 * All texts are short: the caller provides the place, and the functions return it.
 */
#ifndef SLUICE_UNITS_H
#define SLUICE_UNITS_H

#include "base/base.h"
#include <stdbool.h>

#define UNITS_BYTES 48

/* "1,234,567" */
const char *units_count(int64_t number, char text[static UNITS_BYTES]);
/* In its two largest units, rounded down: "250 ms", "40 s", "2 min 5 s", "5 d 1 h". */
const char *units_duration(int64_t ms, char text[static UNITS_BYTES]);
/* "512 bytes", "4.1 kB", "1.0 GB": powers of 1000, as disks are sold. */
const char *units_size(int64_t bytes, char text[static UNITS_BYTES]);
/* "2026-11-22 18:15:43" in the local time zone; brief: "11-22 18:15:43". */
const char *units_time(int64_t wall_ms, bool brief, char text[static UNITS_BYTES]);

/* "250ms", "30s", "5m", "2h", "30d", "4w": in the largest unit that needs no fraction. */
const char *units_exact_duration(int64_t ms, char text[static UNITS_BYTES]);
/* "512", "100K", "64M", "2G", "1T": powers of 1024, in the largest unit that needs no
 * fraction. */
const char *units_exact_size(int64_t bytes, char text[static UNITS_BYTES]);

/* Parse what the two functions above make. A size of 0 needs no unit, every other number
 * does. Return 0; -EINVAL: it has no number or an unknown unit; -EDOM: the unit is
 * missing; -ERANGE: it is too large for an int64_t. Only on 0 is the result set. */
int units_parse_duration(const char *text, int64_t *ret_ms);
int units_parse_size(const char *text, int64_t *ret_bytes);

#endif
