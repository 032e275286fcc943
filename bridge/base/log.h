/* base/log.h - one line per event, to the journal or to standard error.
 *
 * Each line starts with the event's name (base/event.h). If standard error is the
 * journal (JOURNAL_STREAM, sd-daemon(3)), the line goes there by the native protocol, with its
 * priority, and with the name in the field SLUICE_EVENT. Otherwise the time (UTC,
 * milliseconds) and the level come first:
 *     2026-11-22T17:33:16.123Z warning backend-away: garden: away since ...
 * Control characters in a message, which may quote the network, are written as
 * \xNN, so that no line can be forged. Callers withhold secrets.
 *
 * No event repeats more than base/repeat.h allows, except in a log of the level debug, and
 * except events that a person causes. A text begins with its subject and ": " (the name of a
 * backend, for example), so that one subject does not hide the others. Callers that count
 * better, or whose repetitions say nothing new for hours, limit themselves further with
 * base/throttle.h.
 */
#ifndef SLUICE_LOG_H
#define SLUICE_LOG_H

#include "base/base.h"
#include "base/event.h"
#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Finds out whether standard error is the journal. most: the least important level that is
 * written (default LOG_LEVEL_INFO). */
void log_init(enum log_level most);
/* Changes `most` to the level of the configuration, unless it was LOG_LEVEL_DEBUG from the
 * start (-v). */
void log_limit(enum log_level most);
bool log_enabled(enum log_level level);

/* One line. format: as printf(3). */
void log_write(enum log_level level, enum log_event event, const char *format, ...) PRINTF_LIKE(3, 4);
/* Writes the summaries of repetitions that are due; all: also those of this minute. To be called
 * about once a second, and at the end. */
void log_repetitions(bool all);
#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)   /* a person must act */
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__) /* sluice works around it */
#define log_notice(...)  log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)  /* changes of state */
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)    /* details of normal work */
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
