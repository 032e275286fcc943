/* queue/lock.h - the lock file beside the database (queue/lock.c). */
#ifndef SLUICE_QUEUE_LOCK_H
#define SLUICE_QUEUE_LOCK_H

#include "base/base.h"

/* How the last use of the database ended. */
enum lock_state { LOCK_UNKNOWN, LOCK_RUNNING, LOCK_CLOSED, LOCK_DAMAGED };

/* 0, -EBUSY: another process has the queue, -Exxx. */
int queue_lock(const char *path, int *ret_fd);
/* The state, and the token of that run (untouched: not known). */
enum lock_state queue_lock_read(int fd, char ret_token[static 17]);
void queue_lock_write(int fd, enum lock_state state, const char *token);

#endif
