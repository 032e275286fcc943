/* queue/problems.c - what is wrong now, for the view `summary`.
 *
 * A row is written when its description changes, as soon as that is possible: a disk
 * that fails cannot store that it fails. A run starts and ends with an empty table; what
 * is still wrong is reported again.
 */
#include "queue/problems.h"
#include "base/clock.h"
#include "queue/tx.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* The problem with this name, or a free place for it. */
static struct problem *find(struct queue *queue, const char *name)
{
    struct problem *empty = NULL;
    for (size_t i = 0; i < QUEUE_PROBLEMS; i++) {
        struct problem *problem = &queue->problems[i];
        if (strcmp(problem->name, name) == 0)
            return problem;
        if (!empty && problem->name[0] == '\0')
            empty = problem;
    }
    assert(empty); /* there are only a few names */
    snprintf(empty->name, sizeof empty->name, "%s", name);
    return empty;
}

void queue_problem_set(struct queue *queue, const char *name, const char *description)
{
    struct problem *problem = find(queue, name);
    if (is_same(problem->description, description))
        return;
    if (!problem->description)
        problem->since_ms = clock_wall_ms();
    free(problem->description);
    problem->description = description ? xstrdup(description) : NULL;
}

static int write_one(struct queue *queue, void *context)
{
    const struct problem *problem = context;
    sqlite3_stmt *statement = queue->statements[problem->description ? Q_PROBLEM : Q_PROBLEM_OVER];
    queue_bind_text(statement, 1, problem->name);
    if (problem->description) {
        sqlite3_bind_int64(statement, 2, problem->since_ms);
        queue_bind_text(statement, 3, problem->description);
    }
    int error = db_run(&queue->db, statement, "write a problem");
    sqlite3_clear_bindings(statement);
    return error;
}

int queue_problems_write(struct queue *queue)
{
    for (size_t i = 0; i < QUEUE_PROBLEMS; i++) {
        struct problem *problem = &queue->problems[i];
        if (is_same(problem->description, problem->written))
            continue;
        int error = queue_transaction(queue, DB_LAZY, write_one, problem);
        if (error != 0)
            return error;
        free(problem->written);
        problem->written = problem->description ? xstrdup(problem->description) : NULL;
    }
    return 0;
}

void queue_problems_each(const struct queue *queue, queue_visit_problem_fn *visit, void *context)
{
    for (size_t i = 0; i < QUEUE_PROBLEMS; i++) {
        const struct problem *problem = &queue->problems[i];
        if (problem->description)
            visit(context, problem->name, problem->since_ms, problem->description);
    }
}

void queue_problems_forget(struct queue *queue)
{
    for (size_t i = 0; i < QUEUE_PROBLEMS; i++) {
        free(queue->problems[i].written);
        queue->problems[i].written = NULL;
    }
}

void queue_problems_free(struct queue *queue)
{
    for (size_t i = 0; i < QUEUE_PROBLEMS; i++) {
        free(queue->problems[i].description);
        free(queue->problems[i].written);
    }
}
