/* config/exposed.c - see config/exposed.h. */
#include "config/exposed.h"
#include "base/log.h"
#include "text/shell.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the reader is in the group. Of another user than this one, only the main group is known. */
static bool has_group(struct config_reader reader, gid_t group)
{
    enum { MOST = 256 };
    gid_t groups[MOST];
    int count = reader.user == getuid() ? getgroups(MOST, groups) : 0;
    bool found = group == reader.group;
    for (int i = 0; i < count; i++)
        found = found || groups[i] == group;
    return found;
}

/* Whether it could read a file of this status that others cannot read. */
static bool reads_without_others(struct config_reader reader, const struct stat *file)
{
    if (reader.user == 0 || reader.user == file->st_uid)
        return true;
    return (file->st_mode & S_IRGRP) && has_group(reader, file->st_gid);
}

struct config_reader exposed_reader(void)
{
    return (struct config_reader){.user = getuid(), .group = getgid()};
}

/* The copy is beside it, where the reader can enter. */
static char *copy_remedy(const char *path, const char *group)
{
    cleanup_free char *copy = xasprintf("%s-for-sluice", path), *to = shell_word(copy),
                      *word = shell_word(path);
    return xasprintf(
        "copy it, and name the copy: sudo install -m 640 -g %s %s %s; then, unless others need it, "
        "sudo chmod o-r %s",
        group, word, to, word);
}

void exposed_warn(const char *path, struct config_reader reader)
{
    struct stat file;
    if (stat(path, &file) != 0 || !(file.st_mode & S_IROTH))
        return;
    cleanup_free char *word = shell_word(path);
    const struct group *entry = getgrgid(reader.group);
    cleanup_free char *group = entry ? xstrdup(entry->gr_name) : xasprintf("%u", (unsigned)reader.group);
    cleanup_free char *remedy = NULL;
    if (reads_without_others(reader, &file))
        remedy = xasprintf("sudo chmod o-r %s", word);
    else if (file.st_gid == 0)
        remedy = xasprintf("sudo chgrp %s %s && sudo chmod g+r,o-r %s", group, word, word);
    else /* its group may need it */
        remedy = copy_remedy(path, group);
    log_warning(EVENT_SECRET_EXPOSED, "%s: every user of this machine can read it; %s", path, remedy);
}
