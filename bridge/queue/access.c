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
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct refused {
    struct buf words; /* of the command, each after a blank */
    struct buf links; /* what to do about links, each before "; " */
    bool mode;        /* its owner may not use one of them either */
};

static bool is_refused(const char *path)
{
    return access(path, R_OK | W_OK) != 0 && errno == EACCES;
}

/* Who may write to the directory can put a link there, so no command may give away what a link names. */
static void look(struct refused *refused, const char *path)
{
    struct stat found;
    if (lstat(path, &found) != 0 || !is_refused(path))
        return;
    cleanup_free char *word = shell_word(path), *real = realpath(path, NULL);
    if (S_ISLNK(found.st_mode)) {
        buf_printf(&refused->links, "%s is a symbolic link to %s, which sluice did not make; sudo rm %s; ",
                   path, real ? real : "another file", word);
        return;
    }
    buf_printf(&refused->words, " %s", word);
    refused->mode = refused->mode || (found.st_mode & (S_IRUSR | S_IWUSR)) != (S_IRUSR | S_IWUSR);
}

static void look_beside(struct refused *refused, const char *path, const char *suffix)
{
    cleanup_free char *name = xasprintf("%s%s", path, suffix);
    look(refused, name);
}

static bool is_in_own_place(const char *path)
{
    cleanup_free char *copy = xstrdup(path);
    struct stat found;
    return stat(dirname(copy), &found) == 0 && found.st_uid == getuid();
}

/* SQLite names its files after the one that a link leads to. It may lead to another disk, but only to a directory
 * of sluice. */
static char *database(const char *path)
{
    char *real = realpath(path, NULL);
    struct stat found;
    if (real && (lstat(path, &found) != 0 || !S_ISLNK(found.st_mode) || is_in_own_place(real)))
        return real;
    free(real);
    return xstrdup(path);
}

static char *owner_of_place(const char *path)
{
    cleanup_free char *copy = xstrdup(path);
    if (!is_in_own_place(path))
        return xasprintf("%u:%u", (unsigned)getuid(), (unsigned)getgid());
    cleanup_free char *word = shell_word(dirname(copy));
    return xasprintf("--reference=%s", word);
}

static void look_at_all(struct refused *refused, const char *path, const char *more)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".salvaged", ".rescued"};
    cleanup_free char *base = database(path);
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
        look_beside(refused, base, suffixes[i]);
    look_beside(refused, path, "-lock");
    if (more)
        look(refused, more);
}

/* The command that gives the files away, or NULL. The caller frees it. */
static char *command(struct refused *refused, const char *owner)
{
    const char *files = buf_text(&refused->words);
    if (!*files)
        return NULL;
    /* -h: not through a link that somebody made in the meantime. */
    return xasprintf("sudo chown -h %s%s%s%s", owner, files, refused->mode ? " && sudo chmod u+rw" : "",
                     refused->mode ? files : "");
}

char *queue_access_remedy(const char *path, const char *more, const char *owner)
{
    cleanup_free char *of_place = owner ? NULL : owner_of_place(path);
    struct refused refused = {.mode = false};
    buf_init(&refused.words, BUF_MOST_BYTES);
    buf_init(&refused.links, BUF_MOST_BYTES);
    look_at_all(&refused, path, more);
    char *remedy = command(&refused, owner ? owner : of_place);
    const char *links = buf_text(&refused.links);
    if (*links) {
        char *both = xasprintf("%.*s%s%s", (int)(strlen(links) - strlen("; ")), links, remedy ? "; " : "",
                               remedy ? remedy : "");
        free(remedy);
        remedy = both;
    }
    buf_done(&refused.words);
    buf_done(&refused.links);
    return remedy;
}
