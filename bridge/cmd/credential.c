/* cmd/credential.c - see cmd/credential.h. */
#include "cmd/credential.h"
#include "base/base.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

/* Whether LoadCredential=ID:PATH gives the credential. A directory gives ID_FILE for each of its files. */
static bool loads(const char *value, const char *name, char **ret_path)
{
    size_t bytes = strcspn(value, ":");
    cleanup_free char *path = unit_expand(value[bytes] ? value + bytes + 1 : "");
    if (strncmp(value, name, bytes) != 0 || (name[bytes] && name[bytes] != '_'))
        return false;
    struct stat found;
    bool directory = *path == '/' && stat(path, &found) == 0 && S_ISDIR(found.st_mode);
    if (directory != (name[bytes] == '_'))
        return false;
    if (directory)
        *ret_path = xasprintf("%s/%s", path, name + bytes + 1);
    else /* without a whole path it is a credential of the system */
        *ret_path = *path == '/' ? xstrdup(path) : NULL;
    return true;
}

int credential_find(const struct unit *unit, const char *name, char **ret_path)
{
    static const char *const keys[] = {"LoadCredentialEncrypted", "SetCredential", "SetCredentialEncrypted"};
    const char *value;
    for (size_t at = 0; (value = unit_next(unit, "LoadCredential", &at));)
        if (loads(value, name, ret_path))
            return 0;
    *ret_path = NULL;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        for (size_t at = 0; (value = unit_next(unit, keys[i], &at));)
            if (strncmp(value, name, strlen(name)) == 0 && strchr(":", value[strlen(name)]))
                return 0;
    for (size_t at = 0; (value = unit_next(unit, "ImportCredential", &at));)
        if (fnmatch(value, name, 0) == 0)
            return 0;
    return -ENOENT;
}
