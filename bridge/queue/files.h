/* queue/files.h - the files of the queue are deleted or replaced while they are open. */
#ifndef SLUICE_QUEUE_FILES_H
#define SLUICE_QUEUE_FILES_H

#include "queue/internal.h"

/* To be called when the database was opened. */
void queue_files_note(struct queue *queue);
/* Looks whether the files are in their places. If one is not, nothing can be stored: 0 or -ESTALE.
 * It costs a few system calls. */
int queue_files_look(struct queue *queue);
/* Saves what the open files have beside their place, and then, when they are closed, puts that in their
 * place. Errors with *ret_why (freed by the caller). */
struct queue_saved {
    int64_t messages;    /* unless damaged */
    bool damaged;        /* it must be salvaged */
    bool ours[DB_FILES]; /* these are still in their places */
};
int queue_files_save(struct queue *queue, struct queue_saved *ret, char **ret_why);
int queue_files_put_back(struct queue *queue, const struct queue_saved *saved, char **ret_why);

/* Where the lost files' place cannot be written: what a person should do. It names the directory of
 * path, and this process. Freed by the caller. */
char *queue_files_advice(const char *path);

#endif
