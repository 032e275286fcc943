/* daemon/notify.h - tells the service manager how we are (sd_notify(3)). Without
 * libsystemd at build time, or outside of systemd, all of it does nothing. */
#ifndef SLUICE_NOTIFY_H
#define SLUICE_NOTIFY_H

#include "base/base.h"

void notify_ready(void);
void notify_stopping(void);
/* Around a reload. */
void notify_reloading(void);
/* One line for `systemctl status`. */
void notify_status(const char *format, ...) PRINTF_LIKE(1, 2);
/* How often notify_alive must be called, in milliseconds: half the time after
 * which systemd thinks that we hang. 0: not at all. */
uint64_t notify_watchdog_ms(void);
void notify_alive(void);

#endif
