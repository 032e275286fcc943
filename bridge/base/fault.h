/* base/fault.h - points at which the tests can make the daemon stop or fail.
 *
 * They exist only with -DSLUICE_FAULTS (the dev and asan presets), not in a release. The
 * environment variable SLUICE_FAULT arms points:
 *
 *     SLUICE_FAULT="intake.read:37:kill,queue.commit:3:fail:2"
 *
 * NAME:N:ACTION[:TIMES] - when the process reaches the point for the Nth time (N from 1),
 * and the following TIMES - 1 times (default 1):
 *   kill  the process kills itself (SIGKILL), like a power cut
 *   fail  fault_fails() returns true, and the code acts as if its operation had
 *         failed
 *   stop  the process stops itself (SIGSTOP) until somebody continues it
 *   hang  the thread opens the FIFO that SLUICE_HANG names, and reads it to its end; without a
 *         FIFO it goes on
 *
 * All points:
 *   intake.read    in the message callback, after the message was appended
 *   intake.own     in the message callback: `fail` makes sluice queue a
 *                  SUBSCRIBE, a PINGREQ-like packet and a PUBLISH of its own in
 *                  the middle of a transaction
 *   queue.commit   just before COMMIT; `fail`: the commit fails
 *   queue.trial    in the trial commit; `fail`: it fails
 *   intake.flush   after COMMIT, before the acknowledgements are written
 *   http.response  after COMMIT, before HTTP clients get their responses
 *   deliver.response
 *                  after a response came, before it has any effect
 *   disk.sync      before a sync of the database; `fail`: the sync fails
 *   salvage.room   `fail`: there is no room for a second copy of the queue
 *   salvage.row    after a row was inserted into the new database
 *   salvage.step   before each file is renamed or removed
 *
 * SLUICE_CLOCK names a file that replaces the wall clock, "OFFSET_MS STATE": its
 * difference from the machine's clock, and its state in the kernel (the names are in
 * base/clock.c). Writing the file is a step of the clock.
 */
#ifndef SLUICE_FAULT_H
#define SLUICE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#define FAULT_STATE_BYTES 16

#ifdef SLUICE_FAULTS
/* False, and both are unchanged, when there is no such file. */
bool fault_clock(int64_t *ret_offset_ms, char ret_state[static FAULT_STATE_BYTES]);
/* A descriptor that becomes readable when the file is written; -1: there is no file. */
int fault_clock_fd(void);
bool fault_fails(const char *point);
/* How long this thread has waited for a processor since it began. The tests must not
 * mistake that for a loop that hangs. */
int64_t fault_run_delay_ns(void);
#else
static inline bool fault_clock(int64_t *ret_offset_ms, char ret_state[static FAULT_STATE_BYTES])
{
    (void)ret_offset_ms;
    (void)ret_state;
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
