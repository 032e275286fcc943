/* base/fault.h - points at which the tests can make the daemon stop or fail.
 *
 * Only with -DSLUICE_FAULTS (the dev and asan presets); in a release they are
 * nothing at all. The environment variable SLUICE_FAULT arms points:
 *
 *     SLUICE_FAULT="intake.read:37:kill,queue.commit:3:fail:2"
 *
 * NAME:N:ACTION[:TIMES] - at the Nth time that the process comes by the point
 * (N from 1), and at the following TIMES - 1 times (default 1):
 *   kill  the process kills itself (SIGKILL), as a power cut would
 *   fail  fault_fails() returns true, and the code there acts as if its
 *         operation had failed
 *   stop  the process stops itself (SIGSTOP) until someone continues it
 *
 * Points (every one is listed here):
 *   intake.read    in the message callback, after the message was appended
 *   intake.own     in the message callback: `fail` makes sluice queue a
 *                  SUBSCRIBE, a PINGREQ-like packet and a PUBLISH of its own in
 *                  the middle of a transaction
 *   queue.commit   just before COMMIT; `fail`: the commit fails
 *   queue.trial    in the trial commit; `fail`: it fails
 *   intake.flush   after COMMIT, before the acknowledgements are written
 *   http.answer    after COMMIT, before HTTP clients are answered
 *   deliver.answer after a response came, before it is acted upon
 *   salvage.room   `fail`: there is no room for a second copy of the queue
 *   salvage.row    after a row was put into the new database
 *   salvage.step   before each file gets another name, or is removed
 *
 * SLUICE_CLOCK names a file that stands for the wall clock, "OFFSET_MS WORD": how
 * far it is off the machine's, and what the kernel says of it (the words are in
 * base/clock.c). Writing the file is a step of the clock.
 */
#ifndef SLUICE_FAULT_H
#define SLUICE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#define FAULT_WORD_BYTES 16

#ifdef SLUICE_FAULTS
/* Both stay untouched, and it returns false, where there is no such file. */
bool fault_clock(int64_t *ret_offset_ms, char ret_word[static FAULT_WORD_BYTES]);
/* A descriptor that becomes readable when the file is written; -1: there is none. */
int fault_clock_fd(void);
bool fault_fails(const char *point);
/* How long this thread was ready to run and did not get a processor, since it
 * began: what the tests must not take for a loop that hangs. */
int64_t fault_run_delay_ns(void);
#else
static inline bool fault_clock(int64_t *ret_offset_ms, char ret_word[static FAULT_WORD_BYTES])
{
    (void)ret_offset_ms;
    (void)ret_word;
    return false;
}

static inline int fault_clock_fd(void)
{
    return -1;
}

static inline int64_t fault_run_delay_ns(void)
{
    return 0;
}

static inline bool fault_fails(const char *point)
{
    (void)point;
    return false;
}
#endif

#endif
