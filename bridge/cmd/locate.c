/* cmd/locate.c - finds the queue and the socket; see cmd/locate.h. */
#include "cmd/locate.h"
#include "cmd/cmd.h"

#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int owner_of(const char *path, struct stat *ret)
{
    cleanup_free char *copy = xstrdup(path);
    return stat(path, ret) == 0 || stat(dirname(copy), ret) == 0 ? 0 : -1;
}

static bool become_owner(const char *path)
{
    struct stat status;
    if (geteuid() != 0 || owner_of(path, &status) != 0 || status.st_uid == 0)
        return true;
    umask(027); /* as the daemon has it */
    return setgroups(1, &status.st_gid) == 0 && setgid(status.st_gid) == 0 && setuid(status.st_uid) == 0;
}

int locate_queue(const char *command, const char *config_path, struct config_place *ret)
{
    cleanup_free char *why = NULL;
    if (config_file_place(config_path, ret, &why) != 0) {
        fprintf(stderr, "%s: %s\n", command, why);
        return CMD_EXIT_CONFIG;
    }
    if (become_owner(ret->queue))
        return CMD_EXIT_OK;
    fprintf(stderr, "%s: %s: cannot become its owner\n", command, ret->queue);
    config_place_done(ret);
    return CMD_EXIT_FAILED;
}
