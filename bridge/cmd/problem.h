/* cmd/problem.h - the list of problems that `sluice status` ends with. */
#ifndef SLUICE_CMD_PROBLEM_H
#define SLUICE_CMD_PROBLEM_H

#include "cmd/status_facts.h"

/* Adds a line, unless there are STATUS_FACTS_PROBLEMS of them. */
void add_problem(struct status_facts *facts, const char *format, ...) PRINTF_LIKE(2, 3);

/* The files of the configuration have errors, or are not in force. */
void problem_of_configuration(struct status_facts *facts);

#endif
