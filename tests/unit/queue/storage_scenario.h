/* storage_scenario.h - a queue's whole life in a second, with an account of it.
 *
 * The scenario does through queue/queue.h all that the daemon does to the disk, as the
 * daemon does it: what fails is tried again once a trial commit passed. It keeps
 * an account: what was appended under which id, what queue_commit() took on (only
 * that may be acknowledged), what was delivered or dead-lettered. Whatever became of
 * the disk meanwhile, ledger_check() opens the database as the next start would,
 * and holds it against the account.
 */
#ifndef SLUICE_STORAGE_SCENARIO_H
#define SLUICE_STORAGE_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum entry_state {
    ENTRY_APPENDED, /* its commit had no answer: there or not, but with its whole batch */
    ENTRY_ACKED,    /* queue_commit() returned 0: must not be lost */
    ENTRY_FAILED,   /* queue_commit() failed: as APPENDED, for a crash may follow */
    ENTRY_REFUSED   /* ... or it was rolled back, and a later commit passed: gone for good */
};

struct entry {
    int64_t id;
    uint32_t bytes;
    uint16_t batch;      /* the commit that it was in */
    uint16_t generation; /* the opening of the queue, which has one run token */
    enum entry_state state;
    bool settled, deleted; /* delivered; and a commit of that returned 0 */
    bool remembered;       /* the queue that is open will delete it */
    bool rejected, dead;   /* to be dead-lettered; and that returned 0 */
};

/* Lies in memory that a child shares with its parent. */
struct ledger {
    struct entry entries[400];
    unsigned count, batches, generations;
    bool subscribed;
    bool gives_up; /* ends the process at the first failure, as a crash would */
    bool done;     /* the scenario came to its end */
    unsigned failures;
    char complaint[200]; /* what was wrong while it ran; "" for nothing */
};

/* The whole scenario; ends without closing the queue. After three failures it
 * heals the fault VFS. */
void scenario_run(struct ledger *ledger, const char *path);
/* A short one, in which creating the queue is the most. */
void scenario_new(struct ledger *ledger, const char *path);
/* Only opens the queue and commits one batch that is larger than SQLite's cache,
 * so that pages are written before the commit; and a small one. */
void scenario_large_batch(struct ledger *ledger, const char *path);
/* Makes a queue in use, whose WAL lacks little to the next checkpoint. */
void scenario_age(struct ledger *ledger, const char *path);

/* What message `number` of the account carries; valid until the next call. */
const unsigned char *scenario_payload(unsigned number, size_t bytes);

/* Removes every file of a directory. */
void empty_directory(const char *dir);

/* NULL, or what is wrong (freed by the caller). Changes the database. After a
 * power cut, what need not be synced may be undone. */
char *ledger_check(const struct ledger *ledger, const char *path, bool power_was_cut);

#endif
