/* queue/admin/admin.h - how a person reads and changes the queue: over a connection of its own,
 * whether the daemon runs or not.
 *
 * No query stays open while the caller does something else (a pager may wait for hours, and
 * the write-ahead log would grow): rows are read in pages, and each is copied before it is
 * shown. Changes are made in transactions of at most QUEUE_ADMIN_ROWS rows that do not sync,
 * with pauses for the daemon between them; queue_admin_close makes all of them durable.
 *
 * A running daemon sees that its database was changed. It completes requests in flight, even
 * if their rows are gone.
 */
#ifndef SLUICE_QUEUE_ADMIN_H
#define SLUICE_QUEUE_ADMIN_H

#include "message/row.h"
#include "text/status.h"
#include <stdbool.h>
#include <sys/types.h>

enum { QUEUE_ADMIN_ROWS = 500 };

struct queue_admin;

/* Errors as db_external_open() in db/external.h, *ret_why freed by the caller. */
int queue_admin_open(const char *path, bool write, struct queue_admin **ret, char **ret_why);
/* 0, or -Exxx: what was changed may be lost in a power cut. Takes NULL. */
int queue_admin_close(struct queue_admin *admin);
/* What went wrong last; "": nothing. */
const char *queue_admin_error(const struct queue_admin *admin);

/* The process that has the queue open to store messages (the daemon, or sluice send while the
 * daemon is stopped); 0: none. */
pid_t queue_admin_holder(const char *path);

/* Selects messages that match each member; NULL and 0 match all. */
struct queue_filter {
    bool waiting, deferred, dead; /* in one of these states; none of them: in any */
    const char *route, *topic /* a topic filter, valid */, *reason;
    int64_t older_ms, newer_ms; /* since they were received */
    const int64_t *ids;         /* ascending */
    size_t id_count;
    int64_t up_to; /* no higher id */
};

/* The small columns of a row, which a filter needs. */
struct queue_glance {
    int64_t id, received_ms, bytes;
    bool deferred, dead; /* neither: it waits */
    const char *route, *topic, *reason;
};

/* Calls visit for each matching row, oldest or newest first, until it returns false. Strings
 * are valid during the call. 0 or -Exxx. */
typedef bool queue_glance_fn(void *context, const struct queue_glance *glance);
int queue_admin_glance(struct queue_admin *admin, const struct queue_filter *filter, bool newest_first,
                       queue_glance_fn *visit, void *context);

/* The same with whole rows. The visit may take long. */
typedef bool queue_row_fn(void *context, const struct message_row *row);
int queue_admin_rows(struct queue_admin *admin, const struct queue_filter *filter, bool newest_first,
                     queue_row_fn *visit, void *context);

/* Makes dead letters and deferred messages waiting ones, under their old keys, with 0 attempts;
 * deletes messages and dead letters, and counts them (reason 'by-hand'). progress (may be NULL)
 * gets the number so far. *ret is right even after a failure. */
struct queue_changed {
    uint64_t messages, dead_letters;
};
typedef void queue_progress(void *context, uint64_t changed);
int queue_admin_retry(struct queue_admin *admin, const struct queue_filter *filter, queue_progress *progress,
                      void *context, struct queue_changed *ret);
int queue_admin_drop(struct queue_admin *admin, const struct queue_filter *filter, queue_progress *progress,
                     void *context, struct queue_changed *ret);
/* Forgets a session that was left behind (the table `session`). 0; -ENOENT: there is none of this
 * client_id; or -Exxx. */
int queue_admin_forget_session(struct queue_admin *admin, const char *client_id);
/* Notes that a person lists the dead letters, if nobody else has the database locked. */
void queue_admin_seen(const char *path);
/* The part of the filter that queue_admin_retry changes: waiting messages are left out. False:
 * it is empty. */
bool queue_admin_retried(const struct queue_filter *filter, struct queue_filter *ret);

/* ---- queue/admin/facts.c ---- */

/* Adds the fields of "queue" (text/status_fields.h), all read from the database. 0 or -Exxx. */
int queue_admin_facts(struct queue_admin *admin, struct cJSON *to);

#endif
