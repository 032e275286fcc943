/* config/secret.c - see config/secret.h. */
#include "config/secret.h"
#include "base/log.h"
#include "config/whole_file.h"

#include <errno.h>
#include <string.h>

#define SECRET_MAX_BYTES (16 * 1024)

/* The file that "@name" names, or NULL and the reason. */
static char *secret_path(const char *name, char **ret_why)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");

    if (*name == '/')
        return xstrdup(name);
    if (strchr(name, '/')) {
        *ret_why = xstrdup(
            "give the whole path, starting with '/', or the name of a systemd credential, without '/'");
        return NULL;
    }
    if (!credentials || !*credentials) {
        *ret_why =
            xasprintf("a name without '/' is a systemd credential, and there are none "
                      "($CREDENTIALS_DIRECTORY is not set); give a whole path, such as @/etc/sluice/%s, or "
                      "add LoadCredential=%s to the unit",
                      name, name);
        return NULL;
    }
    return xasprintf("%s/%s", credentials, name);
}

/* What looks as if it did not belong to a secret, or NULL. It may be right, so it is a warning. */
static const char *secret_doubt(const char *value, size_t bytes)
{
    char first = bytes > 0 ? value[0] : 'x', last = bytes > 0 ? value[bytes - 1] : 'x';
    if (first == ' ' || last == ' ')
        return "the secret begins or ends with a blank, which is sent, too";
    if (bytes > 1 && first == last && strchr("\"'", first))
        return "the secret is in quotes, which are sent, too";
    return NULL;
}

static void warn_of(const char *path, mode_t mode, const char *value, size_t bytes)
{
    const char *doubt = secret_doubt(value, bytes);
    if (mode & S_IROTH)
        log_warning(EVENT_SECRET_EXPOSED, "%s: every user of this machine can read it; chmod o-r %s", path,
                    path);
    if (doubt)
        log_warning(EVENT_SECRET_DOUBTFUL, "%s: %s; unless that is right, correct the file", path, doubt);
}

static int fetch(const struct secret_reader *reader, const char *path, char **ret_value, char **ret_why)
{
    char *value;
    size_t bytes;
    mode_t mode;
    int error = whole_file_read(path, SECRET_MAX_BYTES, &value, &bytes, &mode);
    if (error < 0) {
        *ret_why = whole_file_reason(error);
        return error;
    }
    if (bytes > 0 && value[bytes - 1] == '\n')
        value[--bytes] = '\0';
    if (bytes > 0 && value[bytes - 1] == '\r')
        value[--bytes] = '\0';
    if (memchr(value, '\0', bytes)) {
        free(value);
        *ret_why = xstrdup("the file contains a NUL byte; it must contain the secret and nothing else");
        return -EINVAL;
    }
    if (!reader->looks)
        warn_of(path, mode, value, bytes);
    *ret_value = value;
    return 0;
}

int secret_fetch(void *context, const char *name, char **ret_value, char **ret_why)
{
    struct secret_reader *reader = context;
    cleanup_free char *path = secret_path(name, ret_why);
    int error = path ? fetch(reader, path, ret_value, ret_why) : -EINVAL;

    buf_printf(&reader->all, "%d %s\n", error, error == 0 ? *ret_value : "");
    return error;
}
