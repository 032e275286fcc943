/* base/base.h - attributes, cleanup at the end of a scope, and allocation.
 *
 * Conventions of the whole program:
 *  - A function that can fail returns 0 or a negative errno (-EINVAL, -ENOMEM,
 *    ...). Results come last, through parameters named ret_...; they are left
 *    untouched when the function fails.
 *  - Errors of the environment are returned and handled. Our own mistakes are
 *    assert()s.
 *  - When a small allocation fails, the process ends (xcalloc() etc.). The service
 *    manager starts it again, and no acknowledged message is lost. Allocations whose
 *    size comes from outside (payloads) return an error instead.
 *  - Names contain units: wait_ms, body_bytes.
 */
#ifndef SLUICE_BASE_H
#define SLUICE_BASE_H

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

/* CMakeLists.txt defines _FILE_OFFSET_BITS and _TIME_BITS, which a 32-bit machine needs for this. */
static_assert(sizeof(off_t) == 8 && sizeof(ino_t) == 8, "a queue may have more than 2 GiB");
static_assert(sizeof(time_t) == 8, "times go beyond 2038");

#define PRINTF_LIKE(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define ARRAY_LEN(a)                     (sizeof(a) / sizeof((a)[0]))

/* Frees the memory of a local pointer when its scope ends:
 *     cleanup_free char *text = xstrdup("...");                              */
#define cleanup_free __attribute__((cleanup(base_cleanup_free)))
static inline void base_cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

/* Like calloc() etc., but without memory they write a message to stderr and end the
 * process. */
void *xcalloc(size_t count, size_t bytes) __attribute__((warn_unused_result));
void *xrealloc(void *old, size_t bytes) __attribute__((warn_unused_result));
char *xstrdup(const char *text) __attribute__((warn_unused_result));
char *xstrndup(const char *text, size_t bytes) __attribute__((warn_unused_result));
/* Like sprintf() into fresh memory; the caller frees the result. */
char *xvasprintf(const char *format, va_list arguments) PRINTF_LIKE(1, 0) __attribute__((warn_unused_result));
char *xasprintf(const char *format, ...) PRINTF_LIKE(1, 2) __attribute__((warn_unused_result));

#endif
