/* cmd/status.h - what `sluice status` found out.
 *
 *   cmd/status.c        asks the daemon and the database, and judges
 *   cmd/status_print.c  for people
 */
#ifndef SLUICE_CMD_STATUS_H
#define SLUICE_CMD_STATUS_H

#include "text/report.h"
#include <stdbool.h>
#include <sys/types.h>

enum { CMD_STATUS_PROBLEMS = 32 };

struct cmd_status {
    pid_t pid;             /* of who has the queue; 0: nobody, it is stopped */
    struct report *daemon; /* what it says of itself (daemon/status.c); NULL: it was not asked, */
    char *no_daemon;       /* for this reason; NULL: it does not run */
    struct report *queue;  /* what is in the database (queue/admin/facts.c); NULL: */
    char *no_queue;        /* for this reason */
    char *problems[CMD_STATUS_PROBLEMS];
    size_t problem_count;
};

void cmd_status_print(const struct cmd_status *status);

/* The milliseconds since 1970 of a time in a report; 0: there is none. */
int64_t cmd_status_time(const struct report *from, const char *name);

/* Of backends or routes, the one of this name, or NULL. */
const struct report *cmd_status_part(const struct report *list, const char *name);
/* Whether the broker, a backend or a route works; and how it is when not
 * (text/outage.h), to be freed by the caller. */
bool cmd_status_is_well(const struct report *part);
char *cmd_status_outage(const struct report *part, bool probes, int64_t waiting, bool in_all);

#endif
