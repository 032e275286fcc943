/* base/log.h - one line an event, to standard error.
 *
 * Under systemd (JOURNAL_STREAM is set) a line starts with its priority,
 * "<4>", and the journal adds the time (sd-daemon(3)); elsewhere with the time
 * (UTC, milliseconds) and the level:
 *     2026-11-22T17:33:16.123Z warning backend garden: away since ...
 * Control characters in a message, which may quote the network, are written as
 * \xNN: no line can be forged. Secrets never come here: callers strike them out.
 */
#ifndef SLUICE_LOG_H
#define SLUICE_LOG_H

#include "base/base.h"
#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Looks at the environment for the journal; most: the least important level
 * that is still written (default LOG_LEVEL_INFO). */
void log_init(enum log_level most);
/* The same again, as the configuration says it; nothing where it was LOG_LEVEL_DEBUG
 * from the start (-v). */
void log_limit(enum log_level most);
bool log_enabled(enum log_level level);

void log_error(const char *format, ...) PRINTF_LIKE(1, 2);   /* someone must act */
void log_warning(const char *format, ...) PRINTF_LIKE(1, 2); /* it works around it */
void log_notice(const char *format, ...) PRINTF_LIKE(1, 2);  /* changes of state */
void log_info(const char *format, ...) PRINTF_LIKE(1, 2);    /* details of normal work */
void log_debug(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
