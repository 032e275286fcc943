/* db/copy.c - copies an open database, page by page. */
#include "base/disk.h"
#include "db/db.h"
#include "db/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { STEP_PAGES = 256 };

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
