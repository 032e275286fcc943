/* message/properties.h - the user properties of an MQTT 5 message, as text. Pure.
 *
 * The text is JSON: [["name","value"],...]. Names may repeat; the order is the sender's.
 */
#ifndef SLUICE_PROPERTIES_H
#define SLUICE_PROPERTIES_H

#include "base/base.h"
#include "base/buf.h"
#include <stdbool.h>

#define PROPERTIES_BYTES_MOST ((size_t)64 * 1024)

/* Adds a property to the text, which is empty at first and has PROPERTIES_BYTES_MOST as its limit.
 * A property that does not fit is left out. */
void properties_add(struct buf *text, const char *name, const char *value);
/* Whether there is a property of this name. text may be NULL. */
bool properties_have(const char *text, const char *name);
/* Appends its value as it stands between the quotes of a JSON string; the values of a name that
 * repeats with a comma and a blank between them, as HTTP joins header fields. 0 or -EMSGSIZE. */
int properties_append_value(const char *text, const char *name, struct buf *out);

#endif
