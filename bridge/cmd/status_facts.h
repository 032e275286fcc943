/* cmd/status_facts.h - what `sluice status` finds out, and what is wrong.
 *
 * The daemon reports what only it knows: the broker, backends, rates. The queue is counted
 * from the database, so that a stopped sluice has a status, too. Members of the group
 * sluice may read all of it.
 */
#ifndef SLUICE_CMD_STATUS_FACTS_H
#define SLUICE_CMD_STATUS_FACTS_H

#include "config/file.h"
#include "text/status.h"
#include <sys/types.h>

enum { STATUS_FACTS_PROBLEMS = 32 };

struct status_facts {
    char *option;         /* of commands in hints: args_config() */
    pid_t pid;            /* of the process that has the queue; 0: none, sluice is stopped */
    bool moved;           /* it runs, but its socket was moved or deleted. Its pid may be unknown */
    struct cJSON *daemon; /* STATUS_DAEMON; NULL: not available, */
    char *no_daemon;      /* for this reason; NULL: sluice is stopped */
    struct cJSON *queue;  /* STATUS_QUEUE; NULL: not available, */
    char *no_queue;       /* for this reason */
    char *problems[STATUS_FACTS_PROBLEMS];
    size_t problem_count;
};

/* Asks the daemon and the database of this configuration, and lists the problems. To be freed by
 * status_facts_done(). */
void status_facts_find(struct status_facts *facts, const char *config_path, const struct config_place *place);
void status_facts_done(struct status_facts *facts);
/* Adds problems that were found elsewhere. */
void status_facts_add(struct status_facts *facts, const struct config_errors *problems);

/* The value of STATUS_STATE. */
const char *status_facts_state(const struct status_facts *facts);

/* Whether the object of the broker, an [http], a backend or a route reports that it works. */
bool status_part_works(const struct cJSON *part);
/* Its outage as text/outage.h describes it; the caller frees it. waiting: -1: unknown. */
char *status_part_outage(const struct cJSON *part, bool probes, int64_t waiting, bool in_all);

#endif
