/* cmd/locate.c - finds the queue and the socket; see cmd/locate.h. */
#include "cmd/locate.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "text/status.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int owner_of(const char *path, struct stat *ret)
{
    cleanup_free char *copy = xstrdup(path);
    return stat(path, ret) == 0 || stat(dirname(copy), ret) == 0 ? 0 : -1;
}

static bool become_owner(const char *path)
{
    struct stat status, place;
    cleanup_free char *copy = xstrdup(path);
    if (geteuid() != 0 || owner_of(path, &status) != 0)
        return true;
    if (status.st_uid == 0 && stat(dirname(copy), &place) == 0)
        status = place; /* root left a file there */
    if (status.st_uid == 0)
        return true;
    umask(027); /* as the daemon has it */
    return setgroups(1, &status.st_gid) == 0 && setgid(status.st_gid) == 0 && setuid(status.st_uid) == 0;
}

/* ---- a daemon that has another place than the files say ---- */

static bool nobody_listens(const char *socket)
{
    int fd = client_connect(socket);
    if (fd >= 0)
        close(fd);
    return fd == -ENOENT || fd == -ECONNREFUSED;
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

/* The user of the process that listens there (unix(7)), or -1. */
static uid_t listener_of(const char *socket)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t bytes = sizeof peer;
    int fd = client_connect(socket);
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0)
        peer.uid = (uid_t)-1;
    if (fd >= 0)
        close(fd);
    return peer.uid;
}

/* Any user can listen at a socket of this name, and would be handed messages. */
static bool is_trusted(uid_t user, const char *queue)
{
    struct stat status;
    return user != (uid_t)-1 &&
           (user == 0 || user == geteuid() || (owner_of(queue, &status) == 0 && user == status.st_uid));
}

/* If a daemon that listens there has this configuration, its place. */
static bool ask_place(const char *socket, const char *config_path, struct config_place *ret)
{
    cJSON *status = NULL;
    cleanup_free char *ours = realpath(config_path, NULL);
    if (!ours || !is_trusted(listener_of(socket), ret->queue) || client_status(socket, &status) != 0)
        return false;
    const char *theirs = status_text(status, STATUS_CONFIGURATION);
    const char *queue = status_text(status_get(status, STATUS_DAEMON_QUEUE), STATUS_DAEMON_QUEUE_PATH);
    bool same = theirs && queue && strcmp(ours, theirs) == 0;
    if (same) {
        config_place_done(ret);
        *ret = (struct config_place){.queue = xstrdup(queue), .socket = xstrdup(socket)};
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
    if (nobody_listens(ret->socket))
        find_daemon(config_path, ret);
    if (become_owner(ret->queue))
        return CMD_EXIT_OK;
    fprintf(stderr, "%s: %s: cannot become its owner\n", command, ret->queue);
    config_place_done(ret);
    return CMD_EXIT_FAILED;
}
