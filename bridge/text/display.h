/* text/display.h - text from outside, made safe and short for a terminal. Pure. */
#ifndef SLUICE_DISPLAY_H
#define SLUICE_DISPLAY_H

#include "base/base.h"
#include "base/buf.h"
#include <stdbool.h>

/* Whether a person can read it: UTF-8 without control characters except tab, LF and CR.
 * Characters that change the direction of writing count as control characters. */
bool display_is_text(const void *payload, size_t bytes);

/* The number of columns that the text takes on a terminal. */
size_t display_columns(const char *text);

/* Appends a payload as one line of at most `columns` columns (0: 200): text as it is, with
 * \n and the like for line ends, anything else as x'0a1b...'; "..." marks a cut. */
void display_append_payload(struct buf *out, const void *payload, size_t bytes, size_t columns);
/* Appends text that cannot control a terminal: control characters except tab become \xNN. */
void display_append_safe(struct buf *out, const char *text, size_t bytes);

#endif
