/* config/secret.c - see config/secret.h. */
#include "config/secret.h"
#include "base/log.h"
#include "config/exposed.h"
#include "config/whole_file.h"

#include <errno.h>
#include <string.h>

#define SECRET_MAX_BYTES (16 * 1024)

/* The file of a credential. NULL and no reason: its content comes from elsewhere. */
static char *credential_path(const struct config_view *view, const char *name, char **ret_why)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    char *path = NULL;

    if (view && view->credential(view->context, name, &path) == 0)
        return path;
    if (!view && directory && *directory)
        return xasprintf("%s/%s", directory, name);
    *ret_why =
        xasprintf("a name without '/' is a systemd credential, and %s; give a whole path, such as "
                  "@/etc/sluice/%s, or add the credential to the unit: sudo systemctl edit sluice, and "
                  "write the two lines [Service] and LoadCredential=%s:/etc/sluice/%s",
                  view ? "the unit of sluice has none of this name"
                       : "there are none ($CREDENTIALS_DIRECTORY is not set)",
                  name, name, name);
    return NULL;
}

/* The file that "@name" names. NULL and the reason: none; NULL and no reason: see credential_path(). */
static char *secret_path(const struct config_view *view, const char *name, char **ret_why)
{
    if (*name == '/')
        return xstrdup(name);
    if (strchr(name, '/')) {
        *ret_why = xstrdup(
            "give the whole path, starting with '/', or the name of a systemd credential, without '/'");
        return NULL;
    }
    return credential_path(view, name, ret_why);
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

/* systemd reads a credential, as root; the process that needs the secret, any other file. */
static struct config_reader reader_of(const struct config_view *view, bool credential)
{
    if (view)
        return credential ? (struct config_reader){.user = 0} : view->reader;
    return exposed_reader();
}

static void warn_of_doubt(const char *path, const char *value, size_t bytes)
{
    const char *doubt = secret_doubt(value, bytes);
    if (doubt)
        log_warning(EVENT_SECRET_DOUBTFUL, "%s: %s; unless that is right, correct the file", path, doubt);
}

/* credential: of the view. The reason has the path then, which the configuration does not have. */
static int fetch(const struct secret_reader *reader, const char *path, bool credential, char **ret_value,
                 char **ret_why)
{
    char *value;
    size_t bytes;
    mode_t mode;
    int error = whole_file_read(path, SECRET_MAX_BYTES, &value, &bytes, &mode);
    if (error < 0) {
        cleanup_free char *why = whole_file_reason(error);
        *ret_why = xasprintf("%s%s%s", credential ? path : "", credential ? ": " : "", why);
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
    if (!reader->looks && (mode & S_IROTH))
        exposed_warn(path, reader_of(reader->view, credential));
    if (!reader->looks)
        warn_of_doubt(path, value, bytes);
    *ret_value = value;
    return 0;
}

const char *secret_fault(const char *secret)
{
    if (!*secret)
        return "the file is empty; write the secret into it";
    if (strncmp(secret, "\xef\xbb\xbf", 3) == 0)
        return "the file begins with a byte order mark, which is not part of the secret; save it as UTF-8 "
               "without BOM";
    for (const char *at = secret; *at; at++) {
        if (*at == '\n' || *at == '\r')
            return "the file has more than one line; it must contain the secret and nothing else";
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return "the file contains a control character; it must contain the secret and nothing else";
    }
    return NULL;
}

/* The earlier value, where the file cannot be used now. */
static int keep_before(const struct secret_reader *reader, int error, char **ret_value, char **ret_why)
{
    size_t at = reader->all.count;
    const char *value = reader->before && at < reader->before->count ? reader->before->items[at].value : NULL;
    if (error == 0 && secret_fault(*ret_value))
        error = -EINVAL;
    if (error == 0 || !value)
        return error;
    free(*ret_value);
    free(*ret_why);
    *ret_why = NULL;
    *ret_value = xstrdup(value);
    return 0;
}

static void remember(struct config_secrets *all, int error, const char *value)
{
    all->items = xrealloc(all->items, (all->count + 1) * sizeof(*all->items));
    all->items[all->count++] =
        (struct config_secret){.error = error, .value = error == 0 ? xstrdup(value) : NULL};
}

void secrets_done(struct config_secrets *secrets)
{
    for (size_t i = 0; i < secrets->count; i++)
        free(secrets->items[i].value);
    free(secrets->items);
}

bool secrets_equal(const struct config_secrets *one, const struct config_secrets *other)
{
    bool equal = one->count == other->count;
    for (size_t i = 0; equal && i < one->count; i++) {
        const char *value = one->items[i].value, *other_value = other->items[i].value;
        equal = one->items[i].error == other->items[i].error &&
                (value && other_value ? strcmp(value, other_value) == 0 : value == other_value);
    }
    return equal;
}

int secret_fetch(void *context, const char *name, char **ret_value, char **ret_why)
{
    struct secret_reader *reader = context;
    cleanup_free char *path = secret_path(reader->view, name, ret_why);
    int error = 0;

    if (path)
        error = fetch(reader, path, reader->view && *name != '/', ret_value, ret_why);
    else if (*ret_why)
        error = -EINVAL;
    else
        *ret_value = xstrdup(SECRET_UNKNOWN);
    if (reader->before)
        error = keep_before(reader, error, ret_value, ret_why);
    remember(&reader->all, error, *ret_value);
    return error;
}
