/* queue/internal.h - the structs that the files of the queue share. */
#ifndef SLUICE_QUEUE_INTERNAL_H
#define SLUICE_QUEUE_INTERNAL_H

#include "base/clock.h"
#include "base/throttle.h"
#include "db/columns.h"
#include "db/db.h"
#include "db/files.h"
#include "queue/queue.h"
#include "queue/reserve.h"
#include "queue/sql.h"

/* ---- transactions (queue/tx.h) ---- */

struct queue_end;

struct tx {
    void (*const *observers)(struct queue *queue, const struct queue_end *end); /* the last is NULL */
    /* of the open transaction */
    enum db_sync sync;
    int error;            /* a statement failed: it must be rolled back; 0: none */
    bool is_worth_a_sync; /* it stores something */
};

/* ---- messages on their way out ---- */

/* queue/ids.h. */
struct id_block {
    int64_t reserved_id;  /* this run may use the ids up to it */
    int64_t reserving_id; /* the same, once the open transaction is committed; 0: it does not change */
};

/* queue/confirm.h. */
struct confirm {
    int64_t id;            /* the confirmed id */
    int64_t released_id;   /* the released id */
    int64_t saved_id;      /* the confirmed id as the row of this run has it */
    int64_t salvaged_id;   /* a salvage may have lost messages up to this id */
    int64_t save_after_ms; /* uptime */
    bool is_save_due;      /* with the next commit */
    bool is_written;       /* by the open transaction */
};

/* Ids of delivered messages (queue/settle.c). */
struct ids {
    int64_t *ids;
    size_t count, capacity;
    size_t deleted;  /* how many of the first ones, by the open transaction */
    int64_t highest; /* at least as high as each of them */
    bool sorted;     /* those that are not deleted */
};

/* ---- times ---- */

/* The times of the current run (queue/clock.c). */
struct run_clock {
    int64_t run;    /* run.id */
    char token[17]; /* "": there is no run yet */
    struct clock_epoch epoch;
    int64_t drained_ms;    /* uptime; 0: not in this boot */
    int64_t saved_ms;      /* drained_ms as the row has it */
    int64_t away_since_ms; /* wall clock; 0: not known */
};

/* ---- how full it is ---- */

/* Rows, and about how many bytes they take (of dead letters only). */
struct amount {
    int64_t rows, bytes;
};

/* Of one table (queue/count.c). */
struct count {
    bool known;
    struct amount amount; /* if known */
    struct amount change; /* by the open transaction */
    bool counting;        /* (again), in the order of ids: */
    int64_t cursor;       /* up to this id */
    struct amount so_far;
    struct amount change_so_far;
    int64_t version; /* queue->data_version: another process may have changed it since */
};

/* Limits, by their names in the configuration; and the expiry that a sender gave its message. */
enum queue_reason {
    REASON_SIZE,
    REASON_MESSAGES,
    REASON_FREE,
    REASON_AGE,
    REASON_DEAD,
    REASON_DEAD_MESSAGES,
    REASON_EXPIRED,
    REASONS
};

/* queue/limits.c. */
struct limits {
    bool given;
    struct config_queue config; /* a copy; its texts are not used */
    int64_t page_bytes;
    /* as last measured: */
    int64_t measured_ms;                       /* uptime; 0: it must be measured */
    int64_t used_bytes, free_bytes, wal_bytes; /* pages in use, free pages, the -wal file */
    int64_t disk_free, disk_at_ms, disk_room;  /* bytes of the disk, when, and until it is measured again */
    int64_t size_room, free_room;              /* bytes, minus what was stored since */
    int64_t size_lack, free_lack;              /* bytes that must go: see queue_limits_lack */
    bool over[REASONS];
};

/* What a limit dropped, for the log. */
struct tally {
    uint64_t uncommitted;
    uint64_t in_all; /* since it began to drop */
    int64_t began_ms;
    struct throttle reports;
    bool newest; /* new messages, not stored ones */
};

/* queue/drop.c, queue/dead.c, queue/dropped.c. */
struct drops {
    struct tally tallies[REASONS];
    uint64_t messages;     /* since the queue was opened */
    int64_t age_cursor;    /* max_age drops nothing up to this id */
    int64_t expiry_cursor; /* the last message that queue_expire_step looked at */
    /* of the open transaction: */
    int64_t cursor;         /* up to this id, messages are dropped or in flight */
    bool delivered_deleted; /* all delivered messages are */
};

/* ---- storage and upkeep ---- */

/* Whether the storage works, and space for when it does not (queue/storage.c). */
struct storage {
    bool failing; /* a commit failed, and no DB_SYNC commit succeeded since */
    int error;
    int64_t locked_ms;    /* uptime since when another process has had the database locked; 0: it has not */
    bool out_of_space;    /* the disk was full, and the reserve is not made again yet */
    int64_t try_again_ms; /* uptime: upkeep writes nothing before this */
    bool giving_back;     /* free pages */
    int reserve_error;    /* of the last step of making it */
    struct queue_reserve *reserve;
};

/* Readers that keep the write-ahead log from starting again (queue/readers.c). */
struct queue_readers {
    int64_t since_ms; /* uptime; 0: there is none */
    struct throttle reports;
};

/* A row of the table `problem` (queue/problems.c). */
struct problem {
    char name[16];
    char *description; /* NULL: it is over */
    char *written;     /* the description in the table; NULL: none */
    int64_t since_ms;
};

enum { QUEUE_PROBLEMS = 8 };

/* What other processes did (queue/external_changes.c). */
struct external {
    int64_t version;       /* queue->data_version at the last check */
    bool changed, retried; /* since the last report */
    int64_t dropped;       /* as last reported; -1: not known */
};

struct queue {
    struct db db;
    char *path;
    sqlite3_stmt *statements[Q_STATEMENTS];
    int lock_fd;          /* held with flock(2) while open */
    int64_t run;          /* run.id of what is stored now */
    int64_t next_id;      /* never goes back, not even after a failed commit: its rows may be on
                            disk nevertheless, and a key must never name two messages */
    int64_t last_id;      /* highest id committed */
    int64_t data_version; /* changes when another process commits */
    uint64_t edition;     /* changes when stored rows change, except by delivery: copies are stale */
    struct run known_run; /* the last one that was read; id 0: none */
    struct tx tx;
    struct run_clock clock; /* of the current run */
    struct id_block id_block;
    struct confirm confirm;
    struct ids settled;     /* delivered, to be deleted */
    struct ids unconfirmed; /* delivered, to be deleted once they are confirmed or released */
    int64_t sorted_out_to;  /* queue_awaited_after(), when `unconfirmed` was last sorted out */
    struct count count;     /* of messages */
    struct count dead;      /* of dead letters */
    struct limits limits;
    struct drops drops;
    LIST_HEAD(, queue_claim) claims;
    struct storage storage;
    struct db_files files; /* that are open */
    int64_t kept_look_ms;  /* the next look at those that are kept beside them */
    bool lost;             /* one of them is not in its place */
    struct problem problems[QUEUE_PROBLEMS];
    struct queue_readers readers;
    struct external external;
};

#endif
