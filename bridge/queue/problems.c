/* queue/problems.c - what is wrong now, for the view `summary`.
 *
 * The table is written when the words change, and as soon as that is possible: a
 * storage that fails cannot take the news of it. A run starts and ends with an
 * empty table; whatever is still wrong is told again.
 */
#include "base/clock.h"
#include "queue/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Its place, old or new. */
static struct trouble *find(struct queue *queue, const char *what)
{
    struct trouble *empty = NULL;
    for (size_t i = 0; i < QUEUE_TROUBLES; i++) {
        struct trouble *trouble = &queue->troubles[i];
        if (strcmp(trouble->what, what) == 0)
            return trouble;
        if (!empty && trouble->what[0] == '\0')
            empty = trouble;
    }
    assert(empty); /* there are but a few words */
    snprintf(empty->what, sizeof empty->what, "%s", what);
    return empty;
}

void queue_trouble(struct queue *queue, const char *what, const char *words)
{
    struct trouble *trouble = find(queue, what);
    if (is_same(trouble->words, words))
        return;
    if (!trouble->words)
        trouble->since_ms = clock_wall_ms();
    free(trouble->words);
    trouble->words = words ? xstrdup(words) : NULL;
}

static int write_one(struct queue *queue, void *context)
{
    const struct trouble *trouble = context;
    sqlite3_stmt *statement = queue->statements[trouble->words ? Q_TROUBLE : Q_TROUBLE_OVER];
    queue_bind_text(statement, 1, trouble->what);
    if (trouble->words) {
        sqlite3_bind_int64(statement, 2, trouble->since_ms);
        queue_bind_text(statement, 3, trouble->words);
    }
    int error = db_run(&queue->db, statement, "note what is wrong");
    sqlite3_clear_bindings(statement);
    return error;
}

int queue_trouble_write(struct queue *queue)
{
    for (size_t i = 0; i < QUEUE_TROUBLES; i++) {
        struct trouble *trouble = &queue->troubles[i];
        if (is_same(trouble->words, trouble->written))
            continue;
        int error = queue_transaction(queue, DB_LAZY, write_one, trouble);
        if (error != 0)
            return error;
        free(trouble->written);
        trouble->written = trouble->words ? xstrdup(trouble->words) : NULL;
    }
    return 0;
}

void queue_trouble_free(struct queue *queue)
{
    for (size_t i = 0; i < QUEUE_TROUBLES; i++) {
        free(queue->troubles[i].words);
        free(queue->troubles[i].written);
    }
}
