/* config/whole_file.h - reads a file that a person wrote whole, up to a limit.
 *
 * It must be a regular file: a pipe or a device could block the daemon when it reloads.
 */
#ifndef SLUICE_CONFIG_WHOLE_FILE_H
#define SLUICE_CONFIG_WHOLE_FILE_H

#include <stddef.h>
#include <sys/stat.h>

/* Opens the file for reading. Returns the descriptor, or -Exxx; -EISDIR: it is not a regular file. */
int whole_file_open(const char *path, struct stat *ret_stat);

/* Reads it, and puts a NUL after it, which is not counted. Returns 0 or -Exxx; -EFBIG: it has more than
 * most_bytes. The caller frees the text. */
int whole_file_read(const char *path, size_t most_bytes, char **ret_text, size_t *ret_bytes,
                    mode_t *ret_mode);

/* What this error of the two means, and what to do; the caller frees it. */
char *whole_file_reason(int error);

#endif
