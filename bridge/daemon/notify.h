/* daemon/notify.h - notifies the service manager (sd_notify(3)). Without libsystemd at build
 * time, or outside of systemd, these functions do nothing. Any thread may call them. */
#ifndef SLUICE_NOTIFY_H
#define SLUICE_NOTIFY_H

#include "base/base.h"
#include <stdbool.h>

void notify_ready(void);
void notify_stopping(void);
/* Before a reload; notify_ready() follows it. */
void notify_reloading(void);
/* One line for `systemctl status`. */
void notify_status(const char *format, ...) PRINTF_LIKE(1, 2);
/* The interval for notify_alive(): half the time after which systemd thinks that sluice
 * hangs. 0: systemd does not watch it. */
uint64_t notify_watchdog_ms(void);
void notify_alive(void);
/* Whether anybody listens to all of this. */
bool notify_is_wanted(void);
/* Alive, but busy. why: for `systemctl status`. A start or a stop gets more time (ms from now). */
void notify_waiting(const char *why, uint64_t more_ms);

#endif
