/* cmd/owner.h - files of the queue that belong to another user than sluice's.
 *
 * A command of root, or a backup that root copied back, leaves files of root beside the queue. A running sluice
 * does not need to open them again, but the next start does. */
#ifndef SLUICE_CMD_OWNER_H
#define SLUICE_CMD_OWNER_H

#include "cmd/service.h"

/* Each returns NULL, or what is wrong and what to do, which the caller frees. */

/* The user of the service may not use files of its queue. */
char *owner_service_fault(const struct service *service, const char *queue);
/* This user, who owns the directory of the queue, may not. Other users are not meant to. */
char *owner_fault(const char *queue);
/* This process of root must not make files in the queue, which is that of the service. */
char *owner_run_fault(const char *config_path, const char *queue);
/* This process of root must not make a queue there: the service, which has this configuration, could not use
 * it. */
char *owner_store_fault(uid_t service, const char *queue);

/* The user of the service that has this configuration; 0: root, or there is none. */
uid_t owner_service_user(const char *config_path);

#endif
