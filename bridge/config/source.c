/* config/source.c - the texts of a configuration in one piece, so that they can be kept.
 *
 * For each file, in the order in which they were read, there is a line with the number of its
 * bytes and its name, then its bytes, then a newline (config/lines.c). References to secrets stay references.
 */
#include "config/internal.h"

#include <errno.h>
#include <string.h>

/* Reads the line of a file, and moves *at behind it. Returns the name, which the caller frees, or
 * NULL: it is damaged. */
static char *take_name(const char **at, const char *end, size_t *ret_bytes)
{
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    char *after;
    if (!newline || **at < '0' || **at > '9')
        return NULL;
    unsigned long bytes = strtoul(*at, &after, 10);
    if (*after != ' ' || bytes >= (size_t)(end - newline - 1) || newline[1 + bytes] != '\n')
        return NULL;
    *ret_bytes = bytes;
    *at = newline + 1;
    return xstrndup(after + 1, (size_t)(newline - after - 1));
}

int config_parser_source(struct config_parser *parser, const char *first, const char *source, size_t bytes)
{
    const char *at = source, *end = source + bytes;
    if (bytes == 0)
        return -EBADMSG;
    while (at < end) {
        size_t file_bytes = 0;
        bool is_first = at == source;
        cleanup_free char *file = take_name(&at, end, &file_bytes);
        if (!file || (is_first && strcmp(file, first) != 0))
            return -EBADMSG;
        config_parser_text(parser, file, at, file_bytes);
        at += file_bytes + 1;
    }
    return 0;
}
