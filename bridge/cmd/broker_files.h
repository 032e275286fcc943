/* cmd/broker_files.h - what the files of a Mosquitto on this machine say about this configuration. Only
 * root and Mosquitto may read them. */
#ifndef SLUICE_CMD_BROKER_FILES_H
#define SLUICE_CMD_BROKER_FILES_H

#include "cmd/broker_acl.h"

struct broker_files {
    struct broker_acl *acl; /* NULL: unknown */
    char *damaged;          /* its database (cmd/mosquitto.h), or NULL */
};

/* directory: as of broker_acl_read(). To be ended by broker_files_done(). */
struct broker_files broker_files_read(const char *directory);
void broker_files_done(struct broker_files *files);

/* Adds a line for each problem, with its remedy. */
void broker_files_judge(const struct broker_files *files, const struct config *config,
                        struct config_errors *ret);

#endif
