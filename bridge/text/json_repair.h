/* text/json_repair.h - repairs of what small devices write in place of JSON. Pure.
 *
 *     in the text              | becomes
 *     -------------------------+------------------------------------------------------------
 *     nan, -inf, NaN, Infinity | null: printf() writes these; in any case, with or without sign
 *     a byte order mark        | nothing, at the start
 *     NUL bytes                | nothing, at the end: a C string was sent with its end, or a
 *                              | whole buffer
 *     a byte that is no UTF-8  | the UTF-8 of the Latin-1 character, in a string
 *
 * Nothing else changes. In a string only the encoding does.
 */
#ifndef SLUICE_JSON_REPAIR_H
#define SLUICE_JSON_REPAIR_H

#include "base/base.h"
#include "base/buf.h"

/* Appends the repaired text, which may still be no JSON. JSON is not changed. 0, or
 * -EMSGSIZE: then a part may be there. It has at most JSON_REPAIR_MOST(bytes). */
int json_repair(const char *text, size_t bytes, struct buf *out);

#define JSON_REPAIR_MOST(bytes) (2 * (bytes))

#endif
