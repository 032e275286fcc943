/* intake/batch.h - one transaction of an edge: messages that share a commit, and that are
 * acknowledged only after it.
 *
 * Every edge stores messages through a batch of its own, and has no other way in. What a
 * call returns says what the edge does next:
 *
 *   state   call          returns    state after   the edge
 *   ------  ------------  ---------  ------------  -----------------------------------------
 *   IDLE    batch_begin   0          OPEN          calls batch_take for each message
 *           or LOCKED     -ENOBUFS   IDLE          takes nothing from its senders: the queue is full
 *                         -EAGAIN    unchanged     takes nothing until batch_ready_fn is called: the
 *                                                  last commit was a moment ago (commit_delay), or
 *                                    LOCKED        another process has locked the database
 *                         -Exxx      IDLE          acknowledges nothing, and calls batch_try_storage
 *                                                  until that returns 0
 *   OPEN    batch_commit  0          IDLE          acknowledges; then calls batch_release
 *                         -Exxx      IDLE          as after batch_begin: nothing of it was stored
 *
 * batch_release lets deliveries begin. It is called when the acknowledgements are out, or
 * never will be: so a message is not delivered, and deleted, before its sender knows that
 * it was stored. A batch may begin again before it was released.
 */
#ifndef SLUICE_INTAKE_BATCH_H
#define SLUICE_INTAKE_BATCH_H

#include "intake/intake.h"
#include <uv.h>

struct batch;

/* The reason for -EAGAIN may be over: to call batch_begin again. */
typedef void batch_ready_fn(void *context);

struct batch_limits {
    unsigned messages; /* in one commit */
    int64_t delay_ms;  /* from one commit to the next, except after a full one */
};

/* Keeps the intake. loop and ready may be NULL: then nothing is waited for, and a locked
 * database is -EBUSY at once. */
struct batch *batch_new(struct intake *intake, uv_loop_t *loop, const struct batch_limits *limits,
                        batch_ready_fn *ready, void *context);
/* Not between begin and commit. The memory is released when the loop has run once more.
 * Takes NULL. */
void batch_free(struct batch *batch);

int batch_begin(struct batch *batch);
/* The same, although the queue is full or the last commit was a moment ago: to read what
 * may bring a message along, but has to be read now (a CONNACK). */
int batch_begin_now(struct batch *batch);
/* See intake/intake.h. A failure to store shows in batch_commit. */
enum intake_fate batch_take(struct batch *batch, const struct intake_message *message);
int batch_take_request(struct batch *batch, const struct intake_request *request,
                       char ret_key[static MESSAGE_KEY_BYTES]);
/* Whether batch_begin returned 0, and batch_commit was not called since. */
bool batch_is_open(const struct batch *batch);
/* Counts a message that is not stored, but acknowledged with the others. */
void batch_count_message(struct batch *batch, size_t bytes);
/* Messages since batch_begin. */
unsigned batch_messages(const struct batch *batch);
/* Whether nothing more should be taken before the commit. More may be: it is stored too. */
bool batch_is_full(const struct batch *batch);
int batch_commit(struct batch *batch);
/* Does nothing when nothing was committed since the last call. */
void batch_release(struct batch *batch);

/* Whether batch_ready_fn will be called. */
bool batch_is_waiting(const struct batch *batch);
bool batch_is_locked(const struct batch *batch);
/* Goes on waiting for a lock that the edge met elsewhere: -EAGAIN, or -EBUSY after too long. */
int batch_wait_for_lock(struct batch *batch);
/* Does not wait any longer. */
void batch_stop_waiting(struct batch *batch);
/* The same, but a delay goes on. An edge that will not begin soon calls it: otherwise the next
 * lock would have lasted since this one. */
void batch_end_lock_wait(struct batch *batch);
/* The next commits have at most this many messages. */
void batch_set_most(struct batch *batch, unsigned messages);
/* From now on commits are not delayed. */
void batch_hurry(struct batch *batch);

/* The edge met a failure of the storage elsewhere, which batch_try_storage must take into account. */
void batch_fail(struct batch *batch);
/* After a failure: 0 when a trial commit succeeds, otherwise -Exxx. Without one: 0. */
int batch_try_storage(struct batch *batch);
/* An error of the above, for people. Static text. */
const char *batch_error_text(int error);

#endif
