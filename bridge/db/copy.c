/* db/copy.c - copies an open database: page by page, or its files as they are. */
#include "base/disk.h"
#include "db/db.h"
#include "db/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { STEP_PAGES = 256, BLOCK_BYTES = 4096 };

static int copy_pages(struct db *from, sqlite3 *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from->handle, "main");
    if (!backup)
        return db_errno(to, sqlite3_errcode(to));
    int code = SQLITE_OK;
    while (code == SQLITE_OK) {
        code = sqlite3_backup_step(backup, STEP_PAGES);
        disk_progress();
    }
    int error = code == SQLITE_DONE ? 0 : db_errno(NULL, code);
    code = sqlite3_backup_finish(backup);
    return error != 0 ? error : db_errno(to, code);
}

int db_copy(struct db *from, const char *path)
{
    sqlite3 *to = NULL;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    close(fd);
    int code = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, db_vfs_name());
    if (code == SQLITE_OK)
        code = sqlite3_exec(to, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-1024",
                            NULL, NULL, NULL);
    int error = code == SQLITE_OK ? copy_pages(from, to) : db_errno(to, code);
    sqlite3_close(to);
    return error;
}

/* ---- the files as they are ---- */

static int write_all(int fd, const uint8_t *data, size_t bytes)
{
    while (bytes > 0) {
        disk_begin();
        ssize_t written = write(fd, data, bytes);
        disk_end();
        if (written < 0 && errno != EINTR)
            return -errno;
        size_t done = written > 0 ? (size_t)written : 0;
        data += done;
        bytes -= done;
    }
    return 0;
}

/* SQLite fills what lies after the end of a file with zeros; a block that cannot be read gets zeros here. */
static int copy_blocks(sqlite3_file *file, int to)
{
    uint8_t block[BLOCK_BYTES];
    sqlite3_int64 size = 0;
    int error = file->pMethods->xFileSize(file, &size) == SQLITE_OK ? 0 : -EIO;
    for (sqlite3_int64 at = 0; at < size && error == 0; at += BLOCK_BYTES) {
        int bytes = size - at < BLOCK_BYTES ? (int)(size - at) : BLOCK_BYTES;
        int code = file->pMethods->xRead(file, block, bytes, at);
        if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ)
            memset(block, 0, sizeof block);
        error = write_all(to, block, (size_t)bytes);
        if (at / BLOCK_BYTES % STEP_PAGES == 0)
            disk_progress();
    }
    return error;
}

/* which: the file control that finds it. */
static int copy_file(struct db *from, int which, const char *path)
{
    sqlite3_file *file = NULL;
    sqlite3_file_control(from->handle, "main", which, &file);
    if (!file || !file->pMethods)
        return 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    int error = copy_blocks(file, fd);
    close(fd);
    return error;
}

int db_copy_files(struct db *from, const char *path, const char *log_path)
{
    int error = copy_file(from, SQLITE_FCNTL_FILE_POINTER, path);
    return error == 0 ? copy_file(from, SQLITE_FCNTL_JOURNAL_POINTER, log_path) : error;
}
