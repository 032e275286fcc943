/* text/shell.c - see text/shell.h. */
#include "text/shell.h"
#include "base/base.h"
#include "base/buf.h"

#include <string.h>

char *shell_word(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%";
    if (*text && text[strspn(text, plain)] == '\0')
        return xstrdup(text);
    cleanup_buf struct buf word;
    buf_init(&word, BUF_MOST_BYTES);
    buf_append_text(&word, "'");
    for (const char *part = text; *part;) {
        size_t bytes = strcspn(part, "'");
        buf_append(&word, part, bytes);
        part += bytes;
        if (*part == '\'') {
            buf_append_text(&word, "'\\''");
            part++;
        }
    }
    buf_append_text(&word, "'");
    return xstrdup(buf_text(&word));
}
