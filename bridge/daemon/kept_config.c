/* daemon/kept_config.c - see daemon/kept_config.h.
 *
 * It is replaced by a rename, so that a power cut leaves the old one or the new one.
 */
#include "daemon/kept_config.h"
#include "base/disk.h"
#include "base/log.h"
#include "config/file.h"
#include "daemon/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *kept_config_path(const char *queue_path, const char *state)
{
    if (state && *state == '/')
        return xasprintf("%.*s/last.conf", (int)strcspn(state, ":"), state);
    return xasprintf("%s-last.conf", queue_path);
}

/* The caller frees it. */
static char *place(const char *queue_path)
{
    return kept_config_path(queue_path, getenv("STATE_DIRECTORY"));
}

static bool has_content(const char *path, const char *data, size_t bytes)
{
    struct stat status;
    if (stat(path, &status) != 0 || (size_t)status.st_size != bytes)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    cleanup_free char *now = xcalloc(1, bytes + 1);
    bool same = read(fd, now, bytes) == (ssize_t)bytes && memcmp(now, data, bytes) == 0;
    close(fd);
    return same;
}

/* 0 or -Exxx. */
static int write_file(const char *path, const char *data, size_t bytes)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    disk_begin();
    ssize_t written = write(fd, data, bytes);
    int error = written < 0 ? -errno : (size_t)written < bytes ? -ENOSPC : fsync(fd) != 0 ? -errno : 0;
    disk_end();
    close(fd);
    return error;
}

static int replace(const char *path, const char *data, size_t bytes)
{
    cleanup_free char *tmp = xasprintf("%s-tmp", path);
    cleanup_free char *copy = xstrdup(path);
    int error = write_file(tmp, data, bytes);
    if (error == 0 && rename(tmp, path) != 0)
        error = -errno;
    if (error != 0)
        unlink(tmp);
    return error != 0 ? error : disk_sync_path(dirname(copy));
}

void kept_config_save(const struct config *config)
{
    cleanup_free char *path = place(config->queue.path);
    if (has_content(path, config->source, config->source_bytes))
        return;
    int error = replace(path, config->source, config->source_bytes);
    if (error != 0)
        log_warning(
            EVENT_CONFIG_NOT_KEPT,
            "%s: %s: if the files have an error at the next start, sluice cannot use this configuration",
            path, strerror(-error));
}

struct config *kept_config_load(const char *path, struct config_errors *errors, int64_t *ret_kept_ms)
{
    struct config_place where = {0};
    cleanup_free char *why = NULL;
    if (config_file_place(path, &where, &why) != 0)
        where.queue = xstrdup("/"); /* only systemd can name the place */
    cleanup_free char *kept = place(where.queue);
    config_place_done(&where);
    struct stat status;
    if (stat(kept, &status) != 0)
        return NULL; /* as at the first start */
    *ret_kept_ms = (int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000;
    return descriptors_check(config_file_load_source(kept, path, errors), path, errors);
}
