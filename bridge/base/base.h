/* base/base.h - what every file may use: attributes and scope-bound cleanup.
 *
 * Conventions of the whole house:
 *  - A function that can fail returns 0 or a negative errno (-EINVAL, -ENOMEM,
 *    ...). Results come last, through parameters named ret_...; they are left
 *    untouched when the function fails.
 *  - The world failing is returned and handled; our own mistakes are assert()s.
 *  - Out of memory in small allocations ends the process: a supervisor starts
 *    it again, and nothing that was acknowledged is lost by it (xmalloc & co.).
 *    Allocations whose size comes from outside (payloads) are checked instead.
 *  - Units are part of names: wait_ms, body_bytes.
 */
#ifndef SLUICE_BASE_H
#define SLUICE_BASE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define PRINTF_LIKE(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define ARRAY_LEN(a)                     (sizeof(a) / sizeof((a)[0]))

/* Frees the memory of a local pointer when its scope ends:
 *     cleanup_free char *text = xstrdup("...");                              */
#define cleanup_free __attribute__((cleanup(base_cleanup_free)))
static inline void base_cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

/* Like malloc() and friends, but end the process with a message on stderr when
 * memory is exhausted. */
void *xcalloc(size_t count, size_t bytes) __attribute__((warn_unused_result));
void *xrealloc(void *old, size_t bytes) __attribute__((warn_unused_result));
char *xstrdup(const char *text) __attribute__((warn_unused_result));
char *xstrndup(const char *text, size_t bytes) __attribute__((warn_unused_result));
/* Like sprintf() into fresh memory; the caller frees the result. */
char *xvasprintf(const char *format, va_list arguments) PRINTF_LIKE(1, 0) __attribute__((warn_unused_result));
char *xasprintf(const char *format, ...) PRINTF_LIKE(1, 2) __attribute__((warn_unused_result));

#endif
