/* daemon/notify.c - see daemon/notify.h. */
#include "daemon/notify.h"

#ifdef HAVE_SYSTEMD

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <time.h>

void notify_ready(void)
{
    sd_notify(0, "READY=1");
}

void notify_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

void notify_reloading(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* sd_notify(3) wants this clock */
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void notify_status(const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    sd_notifyf(0, "STATUS=%s", text);
}

uint64_t notify_watchdog_ms(void)
{
    uint64_t limit_us = 0;
    if (sd_watchdog_enabled(0, &limit_us) <= 0)
        return 0;
    return limit_us / 2000;
}

void notify_alive(void)
{
    sd_notify(0, "WATCHDOG=1");
}

bool notify_is_wanted(void)
{
    return getenv("NOTIFY_SOCKET") != NULL;
}

void notify_waiting(const char *why, uint64_t more_ms)
{
    sd_notifyf(0, "WATCHDOG=1\nSTATUS=%s\nEXTEND_TIMEOUT_USEC=%llu", why, (unsigned long long)more_ms * 1000);
}

#else

void notify_ready(void)
{
}

void notify_stopping(void)
{
}

void notify_reloading(void)
{
}

void notify_status(const char *format, ...)
{
    (void)format;
}

uint64_t notify_watchdog_ms(void)
{
    return 0;
}

void notify_alive(void)
{
}

bool notify_is_wanted(void)
{
    return false;
}

void notify_waiting(const char *why, uint64_t more_ms)
{
    (void)why;
    (void)more_ms;
}

#endif
