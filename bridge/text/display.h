/* text/display.h - text from outside, made safe and short for a terminal. Pure. */
#ifndef SLUICE_DISPLAY_H
#define SLUICE_DISPLAY_H

#include "base/base.h"
#include "base/buf.h"
#include <stdbool.h>

/* How many of its bytes are no readable text: not UTF-8, or control characters except tab, LF and CR.
 * Characters that change the direction of writing count as control characters. */
size_t display_bad_bytes(const void *payload, size_t bytes);
/* Whether a person can read it, because at most a quarter of it is bad: a text of an old device, in
 * Latin-1 or with a NUL at its end, is a text. (The views in schema/ have nearly the same rule.) */
bool display_is_text(const void *payload, size_t bytes);

/* The number of columns that the text takes on a terminal. */
size_t display_columns(const char *text);

/* Appends a payload as one line of at most `columns` columns (0: 200): text as it is, with
 * \n and the like for line ends and \xNN for a bad byte, anything else as x'0a1b...'; "..." marks a
 * cut. */
void display_append_payload(struct buf *out, const void *payload, size_t bytes, size_t columns);
/* Appends text that cannot control a terminal: control characters except tab become \xNN. */
void display_append_safe(struct buf *out, const char *text, size_t bytes);

#endif
