/* cmd/place.c - see cmd/place.h. */
#include "cmd/place.h"
#include "base/base.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

/* Whether the path is the directory, or below it. */
static bool is_in(const char *path, const char *directory)
{
    size_t bytes = strlen(directory);
    return strncmp(path, directory, bytes) == 0 &&
           (path[bytes] == '/' || path[bytes] == '\0' || strcmp(directory, "/") == 0);
}

/* Whether it is the directory of the configuration, one above it, or not for data that stays. */
static bool is_unfit(const char *directory, const char *home)
{
    static const char *const roots[] = {"/bin",  "/boot", "/dev", "/etc", "/lib",
                                        "/proc", "/sbin", "/sys", "/usr"};
    for (size_t i = 0; i < ARRAY_LEN(roots); i++)
        if (is_in(directory, roots[i]))
            return true;
    return is_in(home, directory) || strcmp(directory, "/run") == 0;
}

/* Whether many programs have their directories in it. */
bool place_is_common(const char *directory)
{
    static const char *const common[] = {
        "/",          "/boot",    "/etc",       "/usr",     "/usr/local", "/usr/local/etc", "/home",
        "/media",     "/mnt",     "/opt",       "/root",    "/srv",       "/tmp",           "/var",
        "/var/cache", "/var/lib", "/var/local", "/var/log", "/var/opt",   "/var/spool",     "/var/tmp"};
    for (size_t i = 0; i < ARRAY_LEN(common); i++)
        if (strcmp(directory, common[i]) == 0)
            return true;
    return false;
}

/* A directory that cannot be read may have some. */
static bool has_other_files(const char *directory, const char *file)
{
    DIR *list = opendir(directory);
    if (!list)
        return true;
    bool other = false;
    for (const struct dirent *entry; !other && (entry = readdir(list));)
        other = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                strncmp(entry->d_name, file, strlen(file)) != 0;
    closedir(list);
    return other;
}

bool place_is_own(const char *directory, const char *file, const char *home, uid_t uid)
{
    struct stat found;
    if (is_unfit(directory, home) || place_is_common(directory) || stat(directory, &found) != 0)
        return false;
    return found.st_uid == uid || (found.st_uid == 0 && !has_other_files(directory, file));
}

char *place_below(const char *directory, const char *home)
{
    return is_unfit(directory, home) ? NULL : xasprintf("%s/sluice", directory);
}
