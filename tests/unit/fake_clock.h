/* fake_clock.h - a clock that the test sets, also for libraries such as libuv.
 *
 * Include it in one file of a program, after a function fake_clock_ms(), which returns the time of a
 * clock. With 64-bit times on a 32-bit machine, our code calls another function of the C library
 * than libraries that were built with 32-bit times, so both are replaced.
 */
#ifndef SLUICE_TESTS_FAKE_CLOCK_H
#define SLUICE_TESTS_FAKE_CLOCK_H

#include <stdint.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *ret)
{
    int64_t ms = fake_clock_ms(id);
    *ret = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    return 0;
}

#if defined(__USE_TIME_BITS64) && __WORDSIZE == 32
struct timespec_32 {
    int32_t tv_sec, tv_nsec;
};

int clock_gettime_32(clockid_t id, struct timespec_32 *ret) __asm__("clock_gettime");

int clock_gettime_32(clockid_t id, struct timespec_32 *ret)
{
    int64_t ms = fake_clock_ms(id);
    *ret = (struct timespec_32){.tv_sec = (int32_t)(ms / 1000), .tv_nsec = (int32_t)(ms % 1000 * 1000000)};
    return 0;
}
#endif

#endif
