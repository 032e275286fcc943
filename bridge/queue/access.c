/* queue/access.c - see queue/access.h.
 *
 * Two files are not in the list, because sluice deletes them and makes them again: the reserve, and a
 * new database that an earlier process did not complete.
 */
#include "queue/access.h"
#include "base/buf.h"
#include "text/shell.h"

#include <errno.h>
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>

struct refused {
    struct buf words; /* of the command, each after a blank */
    bool mode;        /* its owner may not use one of them either */
};

static void look(struct refused *refused, const char *path)
{
    struct stat found;
    if (stat(path, &found) != 0 || access(path, R_OK | W_OK) == 0 || errno != EACCES)
        return;
    cleanup_free char *word = shell_word(path);
    buf_printf(&refused->words, " %s", word);
    refused->mode = refused->mode || (found.st_mode & (S_IRUSR | S_IWUSR)) != (S_IRUSR | S_IWUSR);
}

static void look_beside(struct refused *refused, const char *path, const char *suffix)
{
    cleanup_free char *name = xasprintf("%s%s", path, suffix);
    look(refused, name);
}

static char *owner_of_place(const char *path)
{
    cleanup_free char *copy = xstrdup(path);
    const char *directory = dirname(copy);
    struct stat found;
    if (stat(directory, &found) != 0 || found.st_uid != getuid())
        return xasprintf("%u:%u", (unsigned)getuid(), (unsigned)getgid());
    cleanup_free char *word = shell_word(directory);
    return xasprintf("--reference=%s", word);
}

char *queue_access_remedy(const char *path, const char *more, const char *owner)
{
    /* SQLite names its files after the one that a link leads to. */
    static const char *const suffixes[] = {"", "-wal", "-shm", ".salvaged", ".rescued"};
    cleanup_free char *real = realpath(path, NULL);
    cleanup_free char *of_place = owner ? NULL : owner_of_place(path);
    struct refused refused = {.mode = false};
    buf_init(&refused.words, BUF_MOST_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
        look_beside(&refused, real ? real : path, suffixes[i]);
    look_beside(&refused, path, "-lock");
    if (more)
        look(&refused, more);
    const char *files = buf_text(&refused.words);
    char *remedy = refused.words.bytes == 0
                       ? NULL
                       : xasprintf("sudo chown %s%s%s%s", owner ? owner : of_place, files,
                                   refused.mode ? " && sudo chmod u+rw" : "", refused.mode ? files : "");
    buf_done(&refused.words);
    return remedy;
}
