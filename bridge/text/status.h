/* text/status.h - writes and reads the fields of the status (text/status_fields.h), which
 * is a tree of cJSON. Pure.
 *
 * What is added belongs to the object that it is added to; cJSON_Delete() frees the
 * outermost one, and all in it.
 */
#ifndef SLUICE_TEXT_STATUS_H
#define SLUICE_TEXT_STATUS_H

#include "base/base.h"
#include "text/status_fields.h"
#include <stdbool.h>

struct cJSON;

/* ---- write ---- */

void status_add_text(struct cJSON *to, enum status_field field, const char *text); /* NULL: null */
void status_add_number(struct cJSON *to, enum status_field field, int64_t number);
void status_add_fraction(struct cJSON *to, enum status_field field, double number);
void status_add_bool(struct cJSON *to, enum status_field field, bool is);
/* As RFC 3339, in UTC; 0: null. */
void status_add_time(struct cJSON *to, enum status_field field, int64_t wall_ms);
struct cJSON *status_add_object(struct cJSON *to, enum status_field field);
struct cJSON *status_add_list(struct cJSON *to, enum status_field field);
/* The object stays the caller's, and must live longer than `to`. */
void status_add_reference(struct cJSON *to, enum status_field field, struct cJSON *object);
/* A new object at the end of a list. */
struct cJSON *status_append(struct cJSON *list);

/* ---- read ---- */

/* from may be NULL, and the field may be absent: then there is NULL, `otherwise`, false, 0. */
const struct cJSON *status_get(const struct cJSON *from, enum status_field field);
/* The first object of a list; the next one is ->next. */
const struct cJSON *status_first(const struct cJSON *from, enum status_field list);
const char *status_text(const struct cJSON *from, enum status_field field);
int64_t status_number(const struct cJSON *from, enum status_field field, int64_t otherwise);
double status_fraction(const struct cJSON *from, enum status_field field, double otherwise);
bool status_is(const struct cJSON *from, enum status_field field);
int64_t status_time(const struct cJSON *from, enum status_field field);
/* In a list, the object with this text in this field, or NULL. */
const struct cJSON *status_find(const struct cJSON *from, enum status_field list, enum status_field field,
                                const char *text);

#endif
