/* config/file.h - reads the configuration's files and secrets from disk.
 *
 * PATH itself, then PATH's neighbours conf.d/NAME.conf (in the folder conf.d
 * beside it) in the byte order of their names. A secret "@/path/file" is that file's content
 * without its trailing newline; "@name" (no slash) is the systemd credential of
 * that name in $CREDENTIALS_DIRECTORY (systemd.exec(5)).
 */
#ifndef SLUICE_CONFIG_FILE_H
#define SLUICE_CONFIG_FILE_H

#include "config/config.h"

/* For those who only look, and may not read secrets: each secret, and each value of a
 * query or a header, is CONFIG_FILE_HIDDEN, and no file is opened but the
 * configuration's own. */
#define CONFIG_FILE_HIDDEN "..."
struct config *config_file_load_hidden(const char *path, struct config_errors *errors);

/* Where the queue is, and the socket, also when something else is wrong with the
 * configuration. -Exxx: it cannot be read; *ret_why says why (freed by the caller). */
struct config_place {
    char *queue;
    char *socket;
};
int config_file_place(const char *path, struct config_place *ret, char **ret_why);
void config_place_done(struct config_place *place);

/* The configuration, owned by the caller (config_free), or NULL, and errors
 * holds at least one line. Warnings that do not prevent its use (a secret file
 * that others may read) are logged. */
struct config *config_file_load(const char *path, struct config_errors *errors);

#endif
