/* text/report.h - facts as JSON: made for programs, and read back where a command asks
 * the daemon. Pure.
 *
 * A report is an object or an array of texts, numbers, truths and further reports.
 * What is added belongs to the report it was added to; the outermost is freed by
 * report_free. Texts must be UTF-8. Out of memory ends the process.
 */
#ifndef SLUICE_REPORT_H
#define SLUICE_REPORT_H

#include "base/base.h"
#include <stdbool.h>

struct report;

struct report *report_new(void);         /* an object */
void report_free(struct report *report); /* takes NULL */
#define cleanup_report __attribute__((cleanup(report_cleanup_free)))
static inline void report_cleanup_free(struct report **report)
{
    report_free(*report);
}

/* To an object. Numbers are exact up to 2^53. */
void report_add_text(struct report *to, const char *name, const char *text); /* NULL: null */
void report_add_number(struct report *to, const char *name, int64_t number);
void report_add_fraction(struct report *to, const char *name, double number);
void report_add_truth(struct report *to, const char *name, bool truth);
void report_add_null(struct report *to, const char *name);
/* A time as RFC 3339 (UTC); 0 or less: null. */
void report_add_time(struct report *to, const char *name, int64_t wall_ms);
struct report *report_add_object(struct report *to, const char *name);
struct report *report_add_array(struct report *to, const char *name);
/* To an array. */
struct report *report_append_object(struct report *array);
void report_append_text(struct report *array, const char *text);
/* Moves what `part` holds into an object, under a name; part is gone then. */
void report_add_report(struct report *to, const char *name, struct report *part);

/* On one line, or indented; freed by the caller. */
char *report_print(const struct report *report, bool indented);

/* The object in a JSON text; NULL when it is none. */
struct report *report_parse(const char *text, size_t bytes);
/* What an object holds by this name, or NULL; and what an array does, in order. */
const struct report *report_get(const struct report *from, const char *name);
const struct report *report_first(const struct report *array);
const struct report *report_next(const struct report *item);
/* NULL, otherwise, false: it is not there, or something else. */
const char *report_text(const struct report *from, const char *name);
int64_t report_number(const struct report *from, const char *name, int64_t otherwise);
double report_fraction(const struct report *from, const char *name); /* -1: it is not there */
bool report_truth(const struct report *from, const char *name);

#endif
