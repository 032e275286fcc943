/* daemon/reload.c - puts a new configuration in force; see daemon/reload.h. */
#include "daemon/reload.h"
#include "base/buf.h"
#include "base/log.h"
#include "config/file.h"
#include "control/control.h"
#include "control/protocol.h"
#include "daemon/broker.h"
#include "daemon/descriptors.h"
#include "daemon/kept_config.h"
#include "daemon/notify.h"
#include "deliver/deliver.h"
#include "http/edge.h"
#include "intake/intake.h"
#include "mqtt/edge.h"
#include "queue/queue.h"

#define RESTART "restart sluice to apply the changes of: "

static void respond_refused(struct daemon *daemon, const struct config_errors *errors)
{
    struct buf text cleanup_buf;
    buf_init(&text, BUF_MOST_BYTES);
    buf_append_text(&text, CONTROL_REFUSED "\n");
    for (size_t i = 0; i < errors->count; i++)
        buf_printf(&text, "%s\n", errors->lines[i]);
    control_reloaded(daemon->control, buf_text(&text));
}

static void respond_in_force(struct daemon *daemon)
{
    cleanup_free char *keys = config_restart_keys(daemon->first_config, daemon->config);
    cleanup_free char *text =
        keys ? xasprintf(CONTROL_OK "\n" RESTART "%s\n", keys) : xstrdup(CONTROL_OK "\n");
    control_reloaded(daemon->control, text);
}

static void use_config(struct daemon *daemon)
{
    struct config *old = daemon->config;
    daemon->config = daemon->next_config;
    daemon->next_config = NULL;
    log_limit(daemon->config->daemon.log_level);
    queue_limit(daemon->queue, &daemon->config->queue);
    intake_reconfigure(daemon->intake, daemon->config);
    deliver_restart(daemon->deliver, daemon->config);
    if (daemon->mqtt)
        mqtt_resubscribe(daemon->mqtt);
    else
        broker_start(daemon);
    if (daemon->mqtt)
        mqtt_login(daemon->mqtt, &daemon->config->broker);
    http_reconfigure(daemon->http, daemon->config);
    if (old != daemon->first_config)
        config_free(old);
}

static void report_in_force(struct daemon *daemon)
{
    if (daemon->secrets_only) {
        log_notice(EVENT_SECRETS_RELOADED,
                   "a file with a secret has changed, and the new secret is in force");
        return;
    }
    daemon->kept_ms = 0;
    kept_config_save(daemon->config);
    cleanup_free char *counts = config_counts(daemon->config);
    log_notice(EVENT_CONFIG_RELOADED, "%s", counts);
    notify_ready();
}

static void swap_config(void *context)
{
    struct daemon *daemon = context;
    uv_timer_stop(&daemon->deadline);
    use_config(daemon);
    report_in_force(daemon);
    if (daemon->reload_again) {
        daemon->reload_again = false;
        reload_config(daemon); /* its outcome is the response to all */
    } else if (!daemon->secrets_only) {
        respond_in_force(daemon);
    }
}

static void on_reload_deadline(uv_timer_t *timer)
{
    swap_config(timer->data);
}

static void refuse(struct daemon *daemon, const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        log_error(EVENT_CONFIG_ERROR, "%s", errors->lines[i]);
    log_error(EVENT_CONFIG_REFUSED, "%zu error%s; the earlier configuration stays in force", errors->count,
              errors->count == 1 ? "" : "s");
    notify_ready();
    respond_refused(daemon, errors);
}

/* When no request is in flight. */
static void swap_soon(struct daemon *daemon)
{
    uv_timer_start(&daemon->deadline, on_reload_deadline, RELOAD_MOST_MS, 0);
    deliver_pause(daemon->deliver, false, swap_config, daemon);
}

void reload_config(struct daemon *daemon)
{
    if (daemon->stopping)
        return;
    if (daemon->next_config) {
        daemon->reload_again = true; /* the files may have changed since they were read */
        return;
    }
    notify_reloading();
    struct config_errors errors = {0};
    daemon->next_config = descriptors_load_config(daemon->config_path, &errors);
    if (!daemon->next_config)
        refuse(daemon, &errors);
    config_errors_done(&errors);
    if (!daemon->next_config)
        return;
    cleanup_free char *keys = config_restart_keys(daemon->first_config, daemon->next_config);
    if (keys)
        log_warning(EVENT_RESTART_NEEDED, RESTART "%s", keys);
    daemon->secrets_only = false;
    swap_soon(daemon);
}

void reload_secrets(struct daemon *daemon)
{
    if (daemon->stopping || daemon->next_config)
        return;
    daemon->next_config = config_file_refresh(daemon->config, daemon->config_path);
    if (!daemon->next_config)
        return;
    daemon->secrets_only = true;
    swap_soon(daemon);
}
