/* cmd/locate.c - finds the queue and the socket; see cmd/locate.h. */
#include "cmd/locate.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/owner.h"
#include "text/status.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int stat_directory(const char *path, struct stat *ret)
{
    cleanup_free char *copy = xstrdup(path);
    return stat(dirname(copy), ret);
}

/* Root may have left a file in a directory of sluice. */
static bool become_owner(const char *path)
{
    struct stat owned;
    if (geteuid() != 0 ||
        ((stat(path, &owned) != 0 || owned.st_uid == 0) && stat_directory(path, &owned) != 0))
        return true;
    if (owned.st_uid == 0)
        return true;
    umask(027); /* as the daemon has it */
    return setgroups(1, &owned.st_gid) == 0 && setgid(owned.st_gid) == 0 && setuid(owned.st_uid) == 0;
}

/* ---- a daemon that has another place than the files say ---- */

static bool nobody_listens(const struct config_place *place)
{
    int fd = client_connect(place);
    if (fd >= 0)
        close(fd);
    return fd == -ENOENT || fd == -ECONNREFUSED || fd == -EPERM;
}

/* Whether the name is one that sluice gives to a socket, unless [daemon] socket has another. */
static bool may_be_of_sluice(const char *socket)
{
    static const char usual[] = "/sluice.sock", beside[] = "-socket";
    size_t bytes = strlen(socket);
    if (bytes > strlen(usual) && strcmp(socket + bytes - strlen(usual), usual) == 0)
        return true;
    if (bytes <= strlen(beside) || strcmp(socket + bytes - strlen(beside), beside) != 0)
        return false;
    cleanup_free char *lock = xasprintf("%.*s-lock", (int)(bytes - strlen(beside)), socket);
    return access(lock, F_OK) == 0;
}

/* Root goes on as the owner of the queue, which must not be just anyone. */
static bool may_follow(const struct config_place *asked, const char *queue)
{
    struct stat directory;
    return geteuid() != 0 ||
           (stat_directory(queue, &directory) == 0 && client_trusts(asked, directory.st_uid));
}

/* If a daemon that listens there has this configuration, its place. Any user can listen at a socket of
 * this name, so the directory of the socket says nothing: without that of the queue, only root is trusted. */
static bool ask_place(const char *socket, const char *config_path, struct config_place *ret)
{
    struct stat directory;
    bool there = stat_directory(ret->queue, &directory) == 0;
    cleanup_free char *asked_socket = xstrdup(socket), *root = xstrdup("/");
    struct config_place asked = {
        .queue = there ? ret->queue : root, .socket = asked_socket, .service = ret->service};
    cJSON *status = NULL;
    cleanup_free char *ours = realpath(config_path, NULL);
    if (!ours || client_status(&asked, &status) != 0)
        return false;
    const char *theirs = status_text(status, STATUS_CONFIGURATION);
    const char *queue = status_text(status_get(status, STATUS_DAEMON_QUEUE), STATUS_DAEMON_QUEUE_PATH);
    bool same = theirs && queue && strcmp(ours, theirs) == 0 && may_follow(&asked, queue);
    if (same) {
        config_place_done(ret);
        *ret = (struct config_place){
            .queue = xstrdup(queue), .socket = xstrdup(socket), .service = asked.service};
    }
    cJSON_Delete(status);
    return same;
}

/* After `path` or `socket` was edited, the daemon stays where it is until it is restarted. */
static void find_daemon(const char *config_path, struct config_place *ret)
{
    FILE *sockets = fopen(CLIENT_LISTENERS, "re");
    char name[CLIENT_NAME_BYTES];
    bool found = false;
    while (!found && client_next_listener(sockets, name))
        found = may_be_of_sluice(name) && ask_place(name, config_path, ret);
    if (sockets)
        fclose(sockets);
}

int locate_queue(const char *command, const char *config_path, struct config_place *ret)
{
    cleanup_free char *why = NULL;
    if (config_file_place(config_path, ret, &why) != 0) {
        fprintf(stderr, "%s: %s\n", command, why);
        return CMD_EXIT_CONFIG;
    }
    ret->service = owner_service_user(config_path);
    if (nobody_listens(ret))
        find_daemon(config_path, ret);
    if (become_owner(ret->queue))
        return CMD_EXIT_OK;
    fprintf(stderr, "%s: %s: cannot become its owner\n", command, ret->queue);
    config_place_done(ret);
    return CMD_EXIT_FAILED;
}
