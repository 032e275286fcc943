/* config/view.h - how another process, which will read the configuration, sees the files of this machine.
 *
 * Root reads what the service cannot read. A program of root that looks for errors must find this, too. */
#ifndef SLUICE_CONFIG_VIEW_H
#define SLUICE_CONFIG_VIEW_H

#include <sys/types.h>

/* The process that reads the files. */
struct config_reader {
    uid_t user;
    gid_t group;
};

struct config_view {
    struct config_reader reader;
    /* Why that process cannot read this file or directory, which this process can read, and what to do;
     * the caller frees it. NULL: it can. */
    char *(*fault)(void *context, const char *path);
    /* The file whose content it gets as the systemd credential `name`. NULL: its content comes from
     * elsewhere. -ENOENT: it gets no such credential. The caller frees *ret_path. */
    int (*credential)(void *context, const char *name, char **ret_path);
    void *context;
};

#endif
