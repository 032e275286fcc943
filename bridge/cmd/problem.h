/* cmd/problem.h - the list of problems that `sluice status` ends with. */
#ifndef SLUICE_CMD_PROBLEM_H
#define SLUICE_CMD_PROBLEM_H

#include "cmd/status_facts.h"

/* Adds a line, unless there are STATUS_FACTS_PROBLEMS of them. */
void add_problem(struct status_facts *facts, const char *format, ...) PRINTF_LIKE(2, 3);

/* The first problem that the daemon has in its memory; if there is no daemon, that the database has.
 * The others are ->next. And the problem with this name, or NULL. */
const struct cJSON *problem_first(const struct status_facts *facts);
const struct cJSON *problem_find(const struct status_facts *facts, const char *name);

/* The queue cannot be written. This comes first, because other parts fail for this reason. */
void problem_of_storage(struct status_facts *facts);

/* A sluice that is stopped would not start, because its user may not use the files of the queue. */
void problem_of_owner(struct status_facts *facts, const char *queue);

/* The files of the configuration have errors, or are not in force. */
void problem_of_configuration(struct status_facts *facts);

/* The broker still has the session of an earlier client_id. */
void problem_of_session_left(struct status_facts *facts, const struct cJSON *session);

#endif
