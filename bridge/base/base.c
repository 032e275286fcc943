/* base/base.c - memory that is either there or the process is not. */
#include "base/base.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Without stdio, which might want memory itself, and without running what was
 * left for exit(): nothing of it can be trusted to work now. */
static void __attribute__((noreturn)) out_of_memory(void)
{
    static const char words[] = "sluice: out of memory\n";
    if (write(STDERR_FILENO, words, sizeof(words) - 1) < 0) {
        /* Nobody is listening; the exit status still tells. */
    }
    _exit(EXIT_FAILURE);
}

void *xcalloc(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);
    if (!memory && count && bytes)
        out_of_memory();
    return memory;
}

void *xrealloc(void *old, size_t bytes)
{
    /* realloc(old, 0) frees in glibc, which no caller here means. */
    void *memory = realloc(old, bytes ? bytes : 1);
    if (!memory)
        out_of_memory();
    return memory;
}

char *xstrdup(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        out_of_memory();
    return copy;
}

char *xstrndup(const char *text, size_t bytes)
{
    char *copy = strndup(text, bytes);
    if (!copy)
        out_of_memory();
    return copy;
}

char *xvasprintf(const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        out_of_memory();
    return text;
}

char *xasprintf(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = xvasprintf(format, arguments);
    va_end(arguments);
    return text;
}
