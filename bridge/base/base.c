/* base/base.c - allocation that ends the process when it fails. */
#include "base/base.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Uses neither stdio, which may allocate memory itself, nor exit(), whose handlers may. */
static void __attribute__((noreturn)) out_of_memory(void)
{
    static const char message[] = "sluice: out of memory\n";
    if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0) {
        /* Nobody reads it; the exit status remains. */
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
    /* glibc's realloc(old, 0) frees the memory, which no caller expects. */
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
