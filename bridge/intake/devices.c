/* intake/devices.c - see intake/devices.h. */
#include "intake/devices.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/throttle.h"
#include "message/body_reading.h"
#include "message/topic_template.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { TOPIC_BYTES = 65535, REPORT_EVERY_MS = 60 * 1000, SAVE_EVERY_MS = 60 * 1000 };

/* A device with a message in the transaction. */
struct seen {
    char *ack_topic;
    const char *route; /* the configuration's */
    struct device device;
    bool is_new, is_changed, was_shared;
    int64_t silent_ms; /* before this transaction */
    uint64_t lost_before;
    uint32_t boots[DEVICE_LIVES]; /* to be acknowledged */
    unsigned boot_count;
};

struct devices {
    struct queue *queue;
    struct metrics *metrics;
    struct seen *seen;
    size_t count, capacity;
    bool committed; /* `seen` is to be acknowledged */
    size_t current;
    struct device_reading reading;
    uint64_t again, malformed;
    struct buf topic;
    struct throttle lost_reports, malformed_reports, shared_reports;
};

struct devices *devices_new(struct queue *queue, struct metrics *metrics)
{
    struct devices *devices = xcalloc(1, sizeof *devices);
    devices->queue = queue;
    devices->metrics = metrics;
    buf_init(&devices->topic, TOPIC_BYTES);
    return devices;
}

static void forget(struct devices *devices)
{
    for (size_t i = 0; i < devices->count; i++)
        free(devices->seen[i].ack_topic);
    devices->count = 0;
    devices->committed = false;
    devices->again = devices->malformed = 0;
}

void devices_free(struct devices *devices)
{
    if (!devices)
        return;
    forget(devices);
    free(devices->seen);
    buf_done(&devices->topic);
    free(devices);
}

/* ---- the log ---- */

static void report_device(struct devices *devices, const struct seen *seen)
{
    const struct device *device = &seen->device;
    int64_t now_ms = clock_uptime_ms();
    if (seen->is_new && device->first > 1)
        log_notice(EVENT_DEVICE_NEW, "%s: its first reading is %u; the %u before it are unknown",
                   seen->ack_topic, device->first, device->first - 1);
    if (device_is_shared(device) && !seen->was_shared &&
        throttle_due(&devices->shared_reports, 1, now_ms, REPORT_EVERY_MS) > 0)
        log_warning(
            EVENT_DEVICE_SHARED,
            "%s: readings of different boots alternate, so several devices seem to use this name; readings "
            "that are sent again may be stored twice or count as lost; give each device its own name and "
            "topic",
            seen->ack_topic);
    uint64_t lost = device->lost - seen->lost_before;
    if (device->lost <= seen->lost_before)
        return; /* less than before: readings that counted as lost came after all */
    devices->metrics->readings_lost += lost;
    uint64_t count = throttle_due(&devices->lost_reports, lost, now_ms, REPORT_EVERY_MS);
    if (count > 0)
        log_warning(
            EVENT_READINGS_LOST,
            "device %s: %llu readings (of this device and others): the device could not keep them any "
            "longer, or was restarted; the view `device` counts them",
            seen->ack_topic, (unsigned long long)count);
}

static void report_malformed(struct devices *devices, const char *topic, const char *why)
{
    devices->malformed++;
    uint64_t count = throttle_due(&devices->malformed_reports, 1, clock_uptime_ms(), REPORT_EVERY_MS);
    if (count > 0)
        log_warning(
            EVENT_READING_MALFORMED,
            "topic %s: %s: stored as an ordinary message and not acknowledged (%llu since the last line)",
            topic, why, (unsigned long long)count);
}

/* ---- a message ---- */

static int find(struct devices *devices, const char *ack_topic, size_t *ret)
{
    for (size_t i = 0; i < devices->count; i++) {
        if (strcmp(devices->seen[i].ack_topic, ack_topic) == 0) {
            *ret = i;
            return 0;
        }
    }
    struct seen seen = {.is_new = false};
    int error = queue_device(devices->queue, ack_topic, &seen.device, &seen.silent_ms);
    if (error != 0 && error != -ENOENT)
        return error;
    seen.is_new = error == -ENOENT;
    seen.lost_before = seen.device.lost;
    seen.was_shared = device_is_shared(&seen.device);
    seen.ack_topic = xstrdup(ack_topic);
    if (devices->count == devices->capacity) {
        devices->capacity = devices->capacity > 0 ? 2 * devices->capacity : 16;
        devices->seen = xrealloc(devices->seen, devices->capacity * sizeof *devices->seen);
    }
    devices->seen[devices->count] = seen;
    *ret = devices->count++;
    return 0;
}

static void acknowledge(struct seen *seen, uint32_t boot)
{
    for (unsigned i = 0; i < seen->boot_count; i++)
        if (seen->boots[i] == boot)
            return;
    if (seen->boot_count == DEVICE_LIVES)
        seen->boot_count--;
    seen->boots[seen->boot_count++] = boot;
}

_Static_assert(sizeof(struct device) == DEVICE_LIVES * 16 + 40, "no padding: devices are compared as bytes");

static enum reading_fate classify(struct devices *devices, struct seen *seen)
{
    struct device before = seen->device;
    enum device_verdict verdict = device_receive(&seen->device, &devices->reading);
    if (memcmp(&before, &seen->device, sizeof before) != 0)
        seen->is_changed = true;
    if (verdict == DEVICE_NEW)
        return READING_NEW;
    devices->again++;
    if (seen->silent_ms >= SAVE_EVERY_MS)
        seen->is_changed = true; /* when it was last heard of; not each time, because that costs a sync */
    if (verdict == DEVICE_TOO_FAR)
        return READING_AHEAD;
    acknowledge(seen, devices->reading.boot);
    return READING_AGAIN;
}

int devices_receive(struct devices *devices, const struct config_route *route, const struct message *message,
                    enum reading_fate *ret)
{
    if (devices->committed)
        forget(devices); /* nobody took the acknowledgements */
    *ret = READING_NONE;
    const char *why = NULL;
    int error = body_reading_parse(message->payload, message->payload_bytes, &devices->reading, &why);
    if (error == -EINVAL)
        report_malformed(devices, message->topic, why);
    buf_reset(&devices->topic);
    if (error != 0 || topic_template_expand(route->ack_topic, message->topic, &devices->topic) != 0)
        return 0;
    error = find(devices, buf_text(&devices->topic), &devices->current);
    if (error != 0)
        return error;
    struct seen *seen = &devices->seen[devices->current];
    seen->route = route->name;
    *ret = classify(devices, seen);
    return 0;
}

void devices_stored(struct devices *devices)
{
    struct seen *seen = &devices->seen[devices->current];
    device_stored(&seen->device, &devices->reading);
    seen->is_changed = true;
    acknowledge(seen, devices->reading.boot);
}

/* ---- the end of the transaction ---- */

int devices_save(struct devices *devices)
{
    int error = 0;
    bool any_new = false;
    for (size_t i = 0; i < devices->count && error == 0 && !devices->committed; i++) {
        const struct seen *seen = &devices->seen[i];
        any_new |= seen->is_new && seen->is_changed;
        if (seen->is_changed)
            error = queue_device_save(devices->queue, seen->ack_topic, seen->route, &seen->device);
    }
    return error == 0 && any_new ? queue_devices_prune(devices->queue) : error;
}

void devices_committed(struct devices *devices, bool is_committed)
{
    if (!is_committed || devices->committed) {
        forget(devices);
        return;
    }
    for (size_t i = 0; i < devices->count; i++)
        report_device(devices, &devices->seen[i]);
    devices->metrics->readings_again += devices->again;
    devices->metrics->readings_malformed += devices->malformed;
    devices->committed = true;
}

void devices_acks(struct devices *devices, intake_ack_fn *visit, void *context)
{
    for (size_t i = 0; i < devices->count && devices->committed; i++) {
        const struct seen *seen = &devices->seen[i];
        for (unsigned j = 0; j < seen->boot_count; j++) {
            char text[24];
            uint32_t boot = seen->boots[j];
            if (!device_remembers(&seen->device, boot))
                continue; /* later ones of the same commit took its place: nobody waits for this one */
            snprintf(text, sizeof text, "%u %u", boot, device_acknowledged(&seen->device, boot));
            visit(context, seen->ack_topic, text);
            devices->metrics->acks++;
        }
    }
    forget(devices);
}
