/* config/file.h - reads the configuration's files and secrets from disk.
 *
 * The files are PATH itself, then those named *.conf in the folder conf.d beside it, in the
 * byte order of their names. A secret "@/path/file" is the content of that file without the
 * newline at its end; "@name" (no slash) is the systemd credential of that name in
 * $CREDENTIALS_DIRECTORY (systemd.exec(5)).
 */
#ifndef SLUICE_CONFIG_FILE_H
#define SLUICE_CONFIG_FILE_H

#include "config/config.h"
#include "config/view.h"

/* Returns the configuration, which the caller frees with config_free(), or NULL, and then
 * errors has at least one line. What does not prevent its use (a secret file that others can
 * read) is logged as a warning. */
struct config *config_file_load(const char *path, struct config_errors *errors);

/* For a program that looks for more errors: as config_file_load(), but the view of another process counts
 * (NULL: of this one), and there is a configuration even if it has errors. Unless *ret_valid, its required
 * fields may be NULL. NULL: the file at path cannot be read. */
struct config *config_file_examine(const char *path, const struct config_view *view,
                                   struct config_errors *errors, bool *ret_valid);

/* The same as config_file_load(), and nothing is logged: whether the next start would accept the files. */
struct config *config_file_look(const char *path, struct config_errors *errors);

/* The same for the configuration at path, but its texts come from the file source_path, which has
 * the `source` of an earlier one. Secrets are read from their files. A secret that cannot be read is
 * the `fault` of the backend, the route or the broker that needs it, and a file such as ca_file is
 * not opened: the rest can do its work. */
struct config *config_file_load_source(const char *source_path, const char *path,
                                       struct config_errors *errors);

/* The configuration with its secrets read again, though not its own files. A secret that cannot be
 * used now stays as it was. NULL: none has changed. Nothing is logged. */
struct config *config_file_refresh(const struct config *config, const char *path);

/* The same as config_file_load for commands that may not read secrets: it opens no files except the
 * configuration's own, and each secret and each value of a query or a header is
 * CONFIG_FILE_HIDDEN. */
#define CONFIG_FILE_HIDDEN "..."
struct config *config_file_load_hidden(const char *path, struct config_errors *errors);

/* The paths of the queue and of the socket, even where other parts of the configuration have
 * errors. -Exxx: a file cannot be read; the caller frees the reason in *ret_why. */
struct config_place {
    char *queue;
    char *socket;
    uid_t service; /* the user of the service that has this configuration, if a command found it; 0: none */
};
int config_file_place(const char *path, struct config_place *ret, char **ret_why);
void config_place_done(struct config_place *place);

#endif
