/* cmd/unit.h - a unit of systemd as its files describe it (systemd.unit(5), systemd.syntax(7)).
 *
 * The files are read, and not the output of `systemctl show`: they are there in an image that is
 * being prepared, and without a running systemd; and they are what the next start obeys after
 * `systemctl daemon-reload`, which `systemctl edit` does. */
#ifndef SLUICE_CMD_UNIT_H
#define SLUICE_CMD_UNIT_H

#include <stddef.h>

struct unit;

/* Reads the section [Service] of the unit "NAME.service" and of its drop-ins. NULL: there is no such unit, or this
 * user may not read it. To be freed by unit_free(), which takes NULL. */
struct unit *unit_read(const char *name);
void unit_free(struct unit *unit);

/* The path of its main file, and the number of its drop-ins. */
const char *unit_path(const struct unit *unit);
size_t unit_drop_ins(const struct unit *unit);

/* The values of a key in the order of the files, one in each call, then NULL. *at begins with 0. An empty value,
 * which makes those before it invalid, is obeyed here. */
const char *unit_next(const struct unit *unit, const char *key, size_t *at);
/* "FILE:LINE" of the value that unit_next() has just returned with this *at. The caller frees it. */
char *unit_origin(const struct unit *unit, size_t at);
/* The last value of a key that has one value, or NULL. */
const char *unit_value(const struct unit *unit, const char *key);

/* The text with what its specifiers stand for, such as /run for %t. Those that depend on the
 * unit, or on the machine, are not replaced. The caller frees it. */
char *unit_expand(const char *text);
/* The next word of a value, expanded and without its quotes, and moves *text past it. NULL: there is none. The
 * caller frees it. A backslash makes the next character an ordinary one. */
char *unit_word(const char **text);
/* The text as one word of a value. The caller frees it. */
char *unit_quote(const char *text);

#endif
