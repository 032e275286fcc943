/* fault_vfs.c - a disk that fails, and a disk whose power is cut. See fault_vfs.h.
 *
 * Three layers, from below: the disk as it would be after a power cut (struct
 * inode), the plan of faults, and the methods that SQLite calls, which ask the
 * plan, inform the disk, and pass the call on to the real VFS.
 */
#include "queue/fault_vfs.h"
#include "base/base.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SECTOR = 512, BLOCK = 4096 };

static sqlite3_vfs *real_vfs;

/* ---- the disk ---- */

struct change {
    bool truncate;
    int64_t at;   /* of a write; of a truncate: the new size */
    size_t bytes; /* of a write */
    unsigned char *data;
};

struct content {
    unsigned char *data;
    size_t bytes, capacity;
};

/* A file. Two can have the same name: one that was deleted, and a new one. */
struct inode {
    struct inode *next;
    char *name;            /* with its directory */
    bool linked;           /* it has its name now */
    bool durable;          /* it had at the last sync of the directory */
    struct content synced; /* as of its last sync */
    struct change *changes;
    size_t change_count, change_capacity;
};

static struct inode *inodes;
static fault_vfs_before_fn *watcher; /* NULL: nothing is watched */
static void *watcher_context;

static void content_resize(struct content *content, size_t bytes)
{
    if (bytes > content->capacity) {
        content->capacity = 2 * bytes;
        content->data = xrealloc(content->data, content->capacity);
    }
    if (bytes > content->bytes)
        memset(content->data + content->bytes, 0, bytes - content->bytes);
    content->bytes = bytes;
}

static void content_put(struct content *content, size_t at, const void *data, size_t bytes)
{
    if (bytes == 0)
        return;
    if (at + bytes > content->bytes)
        content_resize(content, at + bytes);
    memcpy(content->data + at, data, bytes);
}

static void content_read(struct content *content, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return;
    unsigned char block[BLOCK];
    size_t bytes;
    while ((bytes = fread(block, 1, sizeof block, file)) > 0)
        content_put(content, content->bytes, block, bytes);
    fclose(file);
}

static struct inode *inode_find(const char *name)
{
    for (struct inode *inode = inodes; inode; inode = inode->next)
        if (inode->linked && strcmp(inode->name, name) == 0)
            return inode;
    return NULL;
}

/* What is there when it is first seen was there before the test: it is durable,
 * unless it is empty and may just have been made. */
static struct inode *inode_open(const char *name)
{
    struct inode *inode = inode_find(name);
    if (inode)
        return inode;
    inode = xcalloc(1, sizeof *inode);
    inode->name = xstrdup(name);
    content_read(&inode->synced, name);
    inode->linked = true;
    inode->durable = inode->synced.bytes > 0;
    inode->next = inodes;
    inodes = inode;
    return inode;
}

static void inode_forget_changes(struct inode *inode)
{
    for (size_t i = 0; i < inode->change_count; i++)
        free(inode->changes[i].data);
    inode->change_count = 0;
}

static void inode_change(struct inode *inode, struct change change, const void *data)
{
    if (inode->change_count == inode->change_capacity) {
        inode->change_capacity = inode->change_capacity > 0 ? 2 * inode->change_capacity : 64;
        inode->changes = xrealloc(inode->changes, inode->change_capacity * sizeof *inode->changes);
    }
    if (!change.truncate) {
        change.data = xrealloc(NULL, change.bytes);
        memcpy(change.data, data, change.bytes);
    }
    inode->changes[inode->change_count++] = change;
}

static void inode_sync(struct inode *inode)
{
    for (size_t i = 0; i < inode->change_count; i++) {
        const struct change *change = &inode->changes[i];
        if (change->truncate)
            content_resize(&inode->synced, (size_t)change->at);
        else
            content_put(&inode->synced, (size_t)change->at, change->data, change->bytes);
    }
    inode_forget_changes(inode);
}

static void directory_sync(void)
{
    for (struct inode *inode = inodes; inode; inode = inode->next)
        inode->durable = inode->linked;
}

/* ---- the power cut ---- */

static uint64_t chance_state;

static uint64_t chance(void) /* splitmix64 */
{
    uint64_t z = (chance_state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* Whether what happens `part` times in 64 happens now. */
static bool happens(unsigned part)
{
    return chance() >> 58 < part;
}

/* A write reaches the disk block by block, and one block in eight sector by sector. */
static void put_some(struct content *content, const struct change *change, unsigned part)
{
    size_t at = (size_t)change->at, end = at + change->bytes;
    size_t unit = BLOCK;
    for (size_t next; at < end; at = next) {
        if (at % BLOCK == 0 || at == (size_t)change->at)
            unit = happens(8) ? SECTOR : BLOCK;
        next = (at / unit + 1) * unit;
        if (next > end)
            next = end;
        if (happens(part))
            content_put(content, at, change->data + (at - (size_t)change->at), next - at);
    }
}

static struct content inode_after_cut(const struct inode *inode, enum power_cut mode)
{
    static const unsigned parts[] = {8, 32, 56, 63}; /* of 64 that get there */
    unsigned part = parts[chance() % ARRAY_LEN(parts)];
    struct content content = {0};
    content_put(&content, 0, inode->synced.data, inode->synced.bytes);
    for (size_t i = 0; mode == CUT_SOME && i < inode->change_count; i++) {
        const struct change *change = &inode->changes[i];
        if (!change->truncate)
            put_some(&content, change, part);
        else if (happens(part))
            content_resize(&content, (size_t)change->at);
    }
    return content;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void inode_write(const struct inode *inode, const char *dir, enum power_cut mode)
{
    struct content content = inode_after_cut(inode, mode);
    cleanup_free char *path = xasprintf("%s/%s", dir, base_name(inode->name));
    FILE *file = fopen(path, "wb");
    assert(file);
    size_t written = content.bytes > 0 ? fwrite(content.data, 1, content.bytes, file) : 0;
    assert(written == content.bytes);
    fclose(file);
    free(content.data);
}

void fault_vfs_power_cut(const char *dir, enum power_cut mode, uint64_t seed)
{
    chance_state = seed;
    for (const struct inode *inode = inodes; inode; inode = inode->next) {
        cleanup_free char *path = xasprintf("%s/%s", dir, base_name(inode->name));
        cleanup_free char *shm = xasprintf("%s-shm", path);
        unlink(path);
        unlink(shm);
    }
    for (const struct inode *inode = inodes; inode; inode = inode->next) {
        bool there = inode->durable;
        if (inode->linked != inode->durable && mode == CUT_SOME)
            there = happens(32);
        if (there)
            inode_write(inode, dir, mode);
    }
}

void fault_vfs_watch(fault_vfs_before_fn *before, void *context)
{
    watcher = before;
    watcher_context = context;
}

/* ---- the plan ---- */

static struct fault_plan plan;
static unsigned counted;
static bool fired;

void fault_vfs_arm(const struct fault_plan *new_plan)
{
    plan = *new_plan;
    counted = 0;
    fired = false;
}

bool fault_vfs_fired(void)
{
    return fired;
}

void fault_vfs_heal(void)
{
    plan.nth = 0;
}

void fault_vfs_reset(void)
{
    fault_vfs_heal();
    watcher = NULL;
    while (inodes) {
        struct inode *next = inodes->next;
        inode_forget_changes(inodes);
        free(inodes->changes);
        free(inodes->synced.data);
        free(inodes->name);
        free(inodes);
        inodes = next;
    }
}

/* SQLITE_OK, or what this operation must fail with. */
static int fate(enum fault_op op)
{
    const unsigned lasting_effect = FAULT_WRITE | FAULT_TRUNCATE | FAULT_SYNC | FAULT_DELETE;
    if (watcher && (op & lasting_effect))
        watcher(watcher_context, op);
    if (plan.nth == 0 || !(plan.ops & op))
        return SQLITE_OK;
    counted++;
    if (plan.lasting ? counted < plan.nth : counted != plan.nth)
        return SQLITE_OK;
    fired = true;
    errno = plan.code == SQLITE_FULL ? ENOSPC : EIO; /* for sqlite3_system_errno() */
    return plan.code;
}

/* ---- files, as SQLite sees them ---- */

struct fault_file {
    sqlite3_file base;
    struct inode *inode; /* NULL: not watched */
    bool passes;         /* a temporary file: none of our business */
    bool sync_directory; /* with its next sync, as unix's VFS does for new journals */
    sqlite3_file *real;
};

static struct fault_file *ours(sqlite3_file *file)
{
    return (struct fault_file *)file;
}

static sqlite3_file *theirs(sqlite3_file *file)
{
    return ours(file)->real;
}

static int file_close(sqlite3_file *file)
{
    return theirs(file)->pMethods->xClose(theirs(file));
}

static int file_read(sqlite3_file *file, void *data, int bytes, sqlite3_int64 at)
{
    int fault = ours(file)->passes ? SQLITE_OK : fate(FAULT_READ);
    return fault != SQLITE_OK ? fault : theirs(file)->pMethods->xRead(theirs(file), data, bytes, at);
}

static int file_write(sqlite3_file *file, const void *data, int bytes, sqlite3_int64 at)
{
    int fault = ours(file)->passes ? SQLITE_OK : fate(FAULT_WRITE);
    if (fault != SQLITE_OK) {
        sqlite3_int64 end = (at + bytes / 2) / SECTOR * SECTOR;
        if (!plan.torn || end <= at)
            return fault;
        bytes = (int)(end - at);
    }
    struct change change = {.at = at, .bytes = (size_t)bytes};
    if (ours(file)->inode)
        inode_change(ours(file)->inode, change, data);
    int code = theirs(file)->pMethods->xWrite(theirs(file), data, bytes, at);
    return fault != SQLITE_OK ? fault : code;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int fault = ours(file)->passes ? SQLITE_OK : fate(FAULT_TRUNCATE);
    if (fault != SQLITE_OK)
        return fault;
    struct change change = {.truncate = true, .at = size};
    if (ours(file)->inode)
        inode_change(ours(file)->inode, change, NULL);
    return theirs(file)->pMethods->xTruncate(theirs(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    int fault = ours(file)->passes ? SQLITE_OK : fate(FAULT_SYNC);
    struct inode *inode = ours(file)->inode;
    if (fault != SQLITE_OK) {
        if (inode && plan.forgets)
            inode_forget_changes(inode);
        return fault;
    }
    if (inode)
        inode_sync(inode);
    if (ours(file)->sync_directory)
        directory_sync();
    ours(file)->sync_directory = false;
    return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    return theirs(file)->pMethods->xFileSize(theirs(file), ret);
}

static int file_lock(sqlite3_file *file, int lock)
{
    return theirs(file)->pMethods->xLock(theirs(file), lock);
}

static int file_unlock(sqlite3_file *file, int lock)
{
    return theirs(file)->pMethods->xUnlock(theirs(file), lock);
}

static int file_check_lock(sqlite3_file *file, int *ret)
{
    return theirs(file)->pMethods->xCheckReservedLock(theirs(file), ret);
}

static int file_control(sqlite3_file *file, int op, void *argument)
{
    return theirs(file)->pMethods->xFileControl(theirs(file), op, argument);
}

static int file_sector_size(sqlite3_file *file)
{
    return theirs(file)->pMethods->xSectorSize(theirs(file));
}

static int file_characteristics(sqlite3_file *file)
{
    return theirs(file)->pMethods->xDeviceCharacteristics(theirs(file));
}

static int file_shm_map(sqlite3_file *file, int page, int bytes, int extend, void volatile **ret)
{
    int fault = extend ? fate(FAULT_SHM) : SQLITE_OK;
    if (fault != SQLITE_OK) {
        *ret = NULL;
        return fault;
    }
    return theirs(file)->pMethods->xShmMap(theirs(file), page, bytes, extend, ret);
}

static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return theirs(file)->pMethods->xShmLock(theirs(file), offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    theirs(file)->pMethods->xShmBarrier(theirs(file));
}

static int file_shm_unmap(sqlite3_file *file, int delete)
{
    return theirs(file)->pMethods->xShmUnmap(theirs(file), delete);
}

/* Version 2: without xFetch, so that nothing is mapped and every write is seen. */
static const sqlite3_io_methods file_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* ---- the VFS; its other functions are those of the real one ---- */

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    struct fault_file *fault_file = ours(file);
    memset(fault_file, 0, sizeof *fault_file);
    fault_file->real = (sqlite3_file *)(fault_file + 1);
    const int ours_to_judge = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL;
    fault_file->passes = !name || !(flags & ours_to_judge);
    int code = fault_file->passes ? SQLITE_OK : fate(FAULT_OPEN);
    if (code == SQLITE_OK)
        code = real_vfs->xOpen(real_vfs, name, fault_file->real, flags, ret_flags);
    if (code != SQLITE_OK)
        return code;
    fault_file->base.pMethods = &file_methods;
    fault_file->sync_directory =
        (flags & SQLITE_OPEN_CREATE) && (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL));
    if (watcher && !fault_file->passes)
        fault_file->inode = inode_open(name);
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_directory)
{
    int fault = fate(FAULT_DELETE);
    if (fault != SQLITE_OK)
        return fault;
    struct inode *inode = inode_find(name);
    if (inode)
        inode->linked = false;
    if (sync_directory)
        directory_sync();
    return real_vfs->xDelete(real_vfs, name, 0);
}

void fault_vfs_install(void)
{
    static sqlite3_vfs vfs;
    assert(!real_vfs);
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "fault";
    vfs.pNext = NULL;
    vfs.szOsFile = (int)sizeof(struct fault_file) + real_vfs->szOsFile;
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    int code = sqlite3_vfs_register(&vfs, 1);
    assert(code == SQLITE_OK);
    (void)code;
}
