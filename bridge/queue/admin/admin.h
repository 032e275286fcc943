/* queue/admin/admin.h - the queue as people see it and mend it, by a connection of their own,
 * beside a daemon that runs or not.
 *
 * Looking never holds a query open while the caller does something else (a pager may
 * wait for hours, and the write-ahead log would grow): rows are read in pages, and
 * each is copied before it is shown. Changing is done in transactions of at most
 * QUEUE_ADMIN_ROWS rows that do not sync, with pauses between them, so that the daemon
 * comes to its turn; queue_admin_close makes all of it durable at once.
 *
 * A daemon that runs sees that its database was changed. What it has under way it
 * brings to its end, whether the row is still there or not.
 */
#ifndef SLUICE_QUEUE_ADMIN_H
#define SLUICE_QUEUE_ADMIN_H

#include "message/row.h"
#include "text/status.h"
#include <stdbool.h>
#include <sys/types.h>

enum { QUEUE_ADMIN_ROWS = 500 };

struct queue_admin;

/* Errors as db_external_open() in db/external.h, *ret_why in words (freed by the caller). */
int queue_admin_open(const char *path, bool write, struct queue_admin **ret, char **ret_why);
/* 0, or -Exxx: what was changed may be lost in a power cut. Takes NULL. */
int queue_admin_close(struct queue_admin *admin);
/* What went wrong last, in words. */
const char *queue_admin_words(const struct queue_admin *admin);

/* The process that has the queue open for writing (a daemon, or sluice send while it
 * is stopped); 0: none. */
pid_t queue_admin_holder(const char *path);

/* Which messages. All of it must hold; what is NULL or 0 always does. */
struct queue_filter {
    bool pending, dead; /* neither: both */
    const char *route, *topic /* a topic filter, valid */, *reason;
    int64_t older_ms, newer_ms; /* since they were received */
    const int64_t *ids;         /* ascending */
    size_t id_count;
    int64_t up_to; /* no id above */
};

/* The light columns of a row: what a filter looks at. */
struct queue_glance {
    int64_t id, received_ms, bytes;
    bool dead;
    const char *route, *topic, *reason;
};

/* Calls visit for each that the filter lets pass, oldest first, or newest first, until
 * it returns false. Strings are valid during the call. 0 or -Exxx. */
typedef bool queue_glance_fn(void *context, const struct queue_glance *glance);
int queue_admin_glance(struct queue_admin *admin, const struct queue_filter *filter, bool newest_first,
                       queue_glance_fn *visit, void *context);

/* The same with all that is known of each; the visit may take its time. */
typedef bool queue_row_fn(void *context, const struct message_row *row);
int queue_admin_rows(struct queue_admin *admin, const struct queue_filter *filter, bool newest_first,
                     queue_row_fn *visit, void *context);

/* Makes dead letters messages again, under their old keys, with no attempts to their
 * name; deletes messages and dead letters, and counts them (reason 'by-hand'). progress
 * (may be NULL) is told how many so far. *ret_changed is right also after a failure. */
typedef void queue_progress(void *context, uint64_t changed);
int queue_admin_retry(struct queue_admin *admin, const struct queue_filter *filter, queue_progress *progress,
                      void *context, uint64_t *ret_changed);
int queue_admin_drop(struct queue_admin *admin, const struct queue_filter *filter, queue_progress *progress,
                     void *context, uint64_t *ret_changed);

/* ---- queue/admin/facts.c ---- */

/* Adds the fields of "queue" (text/status_fields.h), all read from the database. 0 or -Exxx. */
int queue_admin_facts(struct queue_admin *admin, struct cJSON *to);

#endif
