/* cmd/queue_list.h - messages as lines of a table, for people. */
#ifndef SLUICE_CMD_QUEUE_LIST_H
#define SLUICE_CMD_QUEUE_LIST_H

#include "queue/admin/admin.h"

struct queue_listed {
    uint64_t shown;
    bool more; /* there are older ones */
};

/* Prints the newest `most` messages (0: all), the oldest first. Returns 0 or -Exxx. */
int queue_list_print(struct queue_admin *admin, const struct queue_filter *filter, uint64_t most,
                     struct queue_listed *ret);

#endif
