/* queue/internal.h - what the files of the queue share; nobody else includes it. */
#ifndef SLUICE_QUEUE_PRIVATE_H
#define SLUICE_QUEUE_PRIVATE_H

#include "base/clock.h"
#include "db/db.h"
#include "queue/queue.h"
#include "queue/reserve.h"

enum queue_statement {
    Q_APPEND,
    Q_FIND_REPEATED,
    Q_DELETE,
    Q_SCAN,
    Q_COPY,
    Q_FETCH,
    Q_VERSION,
    Q_RUN,
    Q_PACKETS,
    Q_LEAVE_MARK,
    Q_DELETE_MARKS,
    Q_BLAME,
    Q_BURY,
    Q_TOUCH_RUN,
    Q_CONFIRMED,
    Q_OLDEST_ID,
    Q_NOTE_DRAINED,
    Q_SUBSCRIPTIONS,
    Q_SUBSCRIPTION_ADD,
    Q_SUBSCRIPTION_GRANT,
    Q_SUBSCRIPTION_REFUSE,
    Q_SUBSCRIPTION_VANISH,
    Q_SUBSCRIPTION_UNSUBSCRIBED,
    Q_PAGE_SIZE,
    Q_PAGE_COUNT,
    Q_FREE_PAGES,
    Q_COUNT,
    Q_OLDEST,
    Q_OLDEST_DEAD,
    Q_DELETE_DEAD,
    Q_AGES,
    Q_DROPPED,
    Q_PROBLEM,
    Q_PROBLEM_OVER,
    Q_NO_PROBLEMS,
    Q_RETURNED,
    Q_RETURNED_OVER,
    Q_BY_HAND,
    Q_DEVICE,
    Q_DEVICE_SAVE,
    Q_DEVICES_PRUNE,
    Q_STATEMENTS
};

enum { QUEUE_PROBLEMS = 8 };

struct ids {
    int64_t *ids;
    size_t count, capacity;
    int64_t highest; /* at least as high as each of them */
    bool sorted;
};

/* A row of the table `run`. */
struct run {
    int64_t id;
    char token[17];
    bool this_boot;
    int64_t epoch_ms;
    bool synchronised;
    int64_t away_since_ms;
};

/* The times of the run that is under way. */
struct run_clock {
    int64_t run; /* run.id */
    struct clock_epoch epoch;
    int64_t drained_ms;    /* uptime; 0: not in this boot */
    int64_t noted_ms;      /* that, as it was last written down */
    int64_t away_since_ms; /* wall clock; 0: not known */
};

/* A reader that keeps the write-ahead log growing (queue/readers.c). */
struct queue_readers {
    int64_t since_ms; /* uptime; 0: there is none */
    int64_t said_ms;  /* uptime of the last word of it in the log; 0: none */
};

/* How many messages there are (queue/count.c). */
struct count {
    bool known;
    int64_t messages; /* if so */
    int64_t change;   /* by the open transaction */
    bool counting;    /* (again): */
    int64_t cursor;   /* up to this id */
    int64_t so_far;
    int64_t change_so_far;
    int64_t version; /* queue->data_version: another process may have changed it since */
};

/* Limits that make sluice drop, by the words of the configuration (queue/drop.c). */
enum queue_reason { REASON_SIZE, REASON_MESSAGES, REASON_FREE, REASON_AGE, REASONS };

/* What was dropped for one of them, for the log. */
struct tally {
    uint64_t uncommitted;
    uint64_t since_told; /* and since the log last told */
    uint64_t in_all;     /* since it began */
    int64_t began_ms, last_ms, told_ms;
    bool newest; /* those that came, not those that were there */
};

/* How far the limits are (queue/limits.c). */
struct limits {
    bool given;
    int64_t max_size, min_free, max_messages, max_age_ms;
    enum config_when_full when_full;
    int64_t page_bytes;
    /* as last measured */
    int64_t measured_ms;                       /* uptime; 0: it is to be measured */
    int64_t used_bytes, free_bytes, wal_bytes; /* pages in use and not in use; the -wal file */
    int64_t disk_free, disk_at_ms, disk_room;  /* bytes of the disk, when, and until it is looked at again */
    int64_t size_room, free_room;              /* bytes, less what was stored since */
    bool over[REASONS];
    /* of the open transaction */
    int64_t drop_cursor;    /* what is older is gone or under way */
    bool delivered_deleted; /* with those that are not confirmed */
    bool counted;           /* drops were counted: that is worth a commit */
    struct tally tallies[REASONS];
    uint64_t dropped;   /* since the queue was opened */
    int64_t age_cursor; /* what is older stays, whatever its age */
    LIST_HEAD(, queue_claim) claims;
};

/* Whether the storage works, and space for when it does not (queue/upkeep.c). */
struct storage {
    bool failing; /* a commit failed, and none that syncs succeeded since */
    int error;
    bool out_of_space;    /* the disk was full, and the reserve is not there again */
    int64_t try_again_ms; /* uptime: upkeep writes nothing before this */
    bool giving_back;     /* free pages */
    int reserve_error;    /* of the last step of making it */
    struct queue_reserve *reserve;
};

/* A row of the table `problem` (queue/problems.c). */
struct problem {
    char name[16];
    char *description; /* NULL: it is over */
    char *written;     /* the description in the table; NULL: none */
    int64_t since_ms;
};

struct queue {
    struct db db;
    char *path;
    int lock_fd;              /* held with flock(2) while open */
    char token[17];           /* of the run that began with this opening; "": it did not come to that */
    int64_t run;              /* run.id of what is stored now */
    struct run_clock clock;   /* its times */
    int64_t next_id;          /* never goes back, not even after a failed commit: its
                           rows may be on disk all the same, and a key must never
                           name two messages */
    int64_t last_id;          /* highest id committed */
    unsigned appended;        /* in the open transaction */
    bool device_saved;        /* the same: that is worth a commit */
    struct run known_run;     /* the last one that was read; id 0: none */
    int64_t data_version;     /* changes when another process commits */
    int64_t returned_version; /* that, when it was last looked what came back */
    struct {
        bool changed, returned; /* since the log was told */
        int64_t dropped;        /* as the log knows; -1: it does not */
    } by_hand;                  /* by a person, in another process */
    uint64_t edition;           /* changes when stored rows do, other than by delivery: copies are stale */
    int append_error;           /* of the open transaction, which must be rolled back then */
    int64_t confirmed;          /* ids up to here will not be sent to us again */
    bool note_due;              /* with the next commit */
    int64_t note_confirmed_ms;  /* uptime; not before */
    int64_t confirmed_written;  /* as the row of this run has it */
    struct ids settled;         /* delivered, to be deleted */
    int64_t let_go;             /* up to here that is not waited for */
    int64_t marked;             /* the highest id that left a mark; 0: there is none */
    struct ids unconfirmed;     /* delivered, to be deleted once they are confirmed */
    struct queue_readers readers;
    struct count count;
    struct limits limits;
    struct storage storage;
    struct problem problems[QUEUE_PROBLEMS];
    sqlite3_stmt *statements[Q_STATEMENTS];
};

/* The text of each statement, for the test of their query plans. */
extern const char *const queue_statement_sql[Q_STATEMENTS];

/* Runs f inside a transaction of its own. */
typedef int queue_work_fn(struct queue *queue, void *context);
int queue_transaction(struct queue *queue, enum db_sync sync, queue_work_fn *work, void *context);

/* What was dropped by hand before is no news. */
void queue_by_hand_begin(struct queue *queue);

/* Inside a transaction: writes down what is confirmed, which needs no marks any more. */
int queue_write_confirmed(struct queue *queue, void *unused);
/* Inside a transaction: deletes the messages from first to last. */
int queue_delete(struct queue *queue, int64_t first, int64_t last, const char *doing);
/* Inside a transaction: deletes all that is settled (the list stays). */
int queue_delete_settled(struct queue *queue, void *unused);

/* Outside a transaction, about once a second: has the write-ahead log shrink when
 * it is too long, and says who is in the way. */
void queue_readers_step(struct queue *queue);

/* Inside a transaction: the same, and what is delivered but not confirmed, which leaves marks. */
int queue_delete_delivered(struct queue *queue);

/* Every transaction ends here. error: why it was rolled back, 0 when nothing was wrong. */
void queue_transaction_ended(struct queue *queue, enum db_sync sync, bool committed, int error);

/* ---- queue/lock.c ---- */
enum queue_mark { MARK_NONE, MARK_RUNNING, MARK_CLOSED, MARK_DAMAGED };
int queue_lock(const char *path, int *ret_fd); /* -EBUSY: another process has it */
/* How the last use of the database ended, and its run's token (untouched: not known). */
enum queue_mark queue_mark(int fd, char ret_token[static 17]);
void queue_set_mark(int fd, enum queue_mark mark, const char *token);

/* ---- queue/count.c ---- */
/* A bounded step of counting, if that is to be done. */
void queue_count_step(struct queue *queue);
/* In a transaction. Rows up to `last` were deleted; it must not delete rows on both
 * sides of the id that _split returns at once. */
void queue_count_appended(struct queue *queue);
void queue_count_deleted(struct queue *queue, int64_t last, int64_t rows);
int64_t queue_count_split(const struct queue *queue);
void queue_count_ended(struct queue *queue, bool committed);

/* ---- queue/limits.c ---- */
void queue_limit_appended(struct queue *queue, size_t bytes);
void queue_limit_measure(struct queue *queue);
int64_t queue_messages_room(const struct queue *queue);
int64_t queue_disk_free(const struct queue *queue);
/* Bytes that a message of so many takes, about. */
int64_t queue_row_bytes(size_t bytes);
/* Or NULL. */
struct queue_claim *queue_find_claim(const struct queue *queue, int64_t id);
/* Says for `summary` what is full, and what follows from it. */
void queue_limit_problem_set(struct queue *queue);
/* "max_size 1G", as configured. The text is valid until the next call. */
const char *queue_limit_text(const struct queue *queue, enum queue_reason reason);

/* ---- queue/drop.c ---- */
extern const char *const queue_reasons[REASONS];
void queue_drop_ended(struct queue *queue, bool committed);
/* Drops what is too old: a bounded step. */
int queue_expire(struct queue *queue);
/* Drops what is too old, or too much since the limits changed: a bounded step. */
int queue_drop_step(struct queue *queue);
/* Says what was dropped, once a minute, and when it is over. */
void queue_drop_tell(struct queue *queue);

/* ---- queue/upkeep.c ---- */
/* A transaction ended: what that says of the storage. */
void queue_storage_ended(struct queue *queue, enum db_sync sync, bool committed, int error);

/* ---- queue/problems.c ---- */
/* Writes what is not written yet. */
int queue_problems_write(struct queue *queue);
void queue_problems_free(struct queue *queue);

/* ---- queue/clock.c ---- */
/* Inside a transaction: starts a run; the caller takes it over once that is
 * committed. */
int queue_run_start(struct queue *queue, const struct clock_epoch *now, struct run_clock *ret);
/* queue_clock_changed, with the clock as an argument. */
int queue_clock_set(struct queue *queue, const struct clock_epoch *now);
/* Inside a transaction: notes what queue_drained said, now and then. */
int queue_note_drained(struct queue *queue, bool at_end);

int queue_bind_text(sqlite3_stmt *statement, int column, const char *text); /* NULL: null */

#endif
