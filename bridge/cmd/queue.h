/* cmd/queue.h - what the files of `sluice queue` share.
 *
 *   cmd/queue.c         the table of its commands, and what all of them are told
 *   cmd/queue_list.c      ls, count, export
 *   cmd/queue_show.c    show
 *   cmd/queue_change.c  retry, drop
 */
#ifndef SLUICE_CMD_QUEUE_H
#define SLUICE_CMD_QUEUE_H

#include "cmd/args.h"
#include "cmd/cmd.h"
#include "config/file.h"
#include "queue/admin/admin.h"

/* What the command line says. */
struct cmd_queue {
    const char *command; /* "sluice queue ls" */
    const char *config_path;
    struct config_place place;
    struct queue_filter filter;
    int64_t *ids;  /* filter.ids */
    bool filtered; /* anything was said of which messages */
    bool all, yes, json;
    bool most_given;
    uint64_t most; /* -n */
};

/* Each opens the queue itself, and returns an exit status. */
int cmd_queue_ls(struct cmd_queue *queue);
int cmd_queue_count(struct cmd_queue *queue);
int cmd_queue_export(struct cmd_queue *queue);
int cmd_queue_show(struct cmd_queue *queue);
int cmd_queue_retry(struct cmd_queue *queue);
int cmd_queue_drop(struct cmd_queue *queue);

/* NULL once it said why not; *ret_status is then the exit status. */
struct queue_admin *cmd_queue_open(const struct cmd_queue *queue, bool write, int *ret_status);
/* Says what went wrong, if anything did; frees admin; returns the exit status. */
int cmd_queue_close(const struct cmd_queue *queue, struct queue_admin *admin, int error);

/* One line a message (cmd/queue_list.c). At most so many of the newest, oldest first;
 * 0: all. Returns 0 or -Exxx, and how many there were and how many were shown. */
struct cmd_queue_listed {
    uint64_t shown;
    bool more; /* older ones */
};
int cmd_queue_print(struct queue_admin *admin, const struct queue_filter *filter, uint64_t most,
                    struct cmd_queue_listed *ret);

#endif
