/* intake/devices.c - see intake/devices.h.
 *
 * A message that cannot be stored now, for the queue is full and drops what comes
 * (when_full = drop-newest), is not acknowledged: the device keeps it. So are
 * readings too far in front of what is missing.
 */
#include "intake/devices.h"
#include "base/clock.h"
#include "base/log.h"
#include "message/body_reading.h"
#include "message/topic_template.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { TOPIC_BYTES = 65535, TELL_EVERY_MS = 60 * 1000, SEEN_EVERY_MS = 60 * 1000 };

/* A device that a message of the transaction is from. */
struct seen {
    char *ack_topic;
    const char *route; /* the configuration's */
    struct device device;
    bool is_new, changed, was_shared;
    int64_t silent_ms; /* before this transaction */
    uint64_t lost_before;
    uint32_t boots[DEVICE_LIVES]; /* to be answered */
    unsigned boot_count;
};

/* What is said in the log at once, and then once a minute. */
struct tale {
    int64_t told_ms;
    uint64_t untold;
};

struct intake_devices {
    struct queue *queue;
    struct metrics *metrics;
    struct seen *seen;
    size_t count, capacity;
    bool committed; /* what is in `seen` is to be answered */
    size_t current;
    struct device_reading reading;
    uint64_t stored, again, malformed;
    struct buf topic;
    struct tale lost_tale, malformed_tale, shared_tale;
};

struct intake_devices *intake_devices_new(struct queue *queue, struct metrics *metrics)
{
    struct intake_devices *devices = xcalloc(1, sizeof *devices);
    devices->queue = queue;
    devices->metrics = metrics;
    buf_init(&devices->topic, TOPIC_BYTES);
    return devices;
}

static void forget(struct intake_devices *devices)
{
    for (size_t i = 0; i < devices->count; i++)
        free(devices->seen[i].ack_topic);
    devices->count = 0;
    devices->committed = false;
    devices->again = devices->malformed = 0;
}

void intake_devices_free(struct intake_devices *devices)
{
    if (!devices)
        return;
    forget(devices);
    free(devices->seen);
    buf_done(&devices->topic);
    free(devices);
}

/* ---- what is said ---- */

/* How many of them to tell of now; 0: not now. */
static uint64_t tell(struct tale *tale, uint64_t more)
{
    int64_t now_ms = clock_uptime_ms();
    tale->untold += more;
    if (tale->told_ms != 0 && now_ms - tale->told_ms < TELL_EVERY_MS)
        return 0;
    uint64_t count = tale->untold;
    tale->untold = 0;
    tale->told_ms = now_ms;
    return count;
}

static void tell_of_device(struct intake_devices *devices, const struct seen *seen)
{
    const struct device *device = &seen->device;
    if (seen->is_new && device->first > 1)
        log_notice(EVENT_DEVICE_NEW, "%s: its first reading is %u; the %u before it are unknown",
                   seen->ack_topic, device->first, device->first - 1);
    if (device_is_shared(device) && !seen->was_shared && tell(&devices->shared_tale, 1) > 0)
        log_warning(
            EVENT_DEVICE_SHARED,
            "%s: readings of different boots alternate, so several devices seem to use this name; readings "
            "that are sent again may be stored twice or count as lost; give each device its own name and "
            "topic",
            seen->ack_topic);
    uint64_t lost = device->lost - seen->lost_before;
    if (device->lost <= seen->lost_before)
        return; /* some that were given up may have come after all */
    devices->metrics->readings_lost += lost;
    uint64_t count = tell(&devices->lost_tale, lost);
    if (count > 0)
        log_warning(
            EVENT_READINGS_LOST,
            "device %s: %llu readings (of this device and others): the device could not keep them any "
            "longer, or was restarted; the view `device` counts them",
            seen->ack_topic, (unsigned long long)count);
}

static void note_malformed(struct intake_devices *devices, const char *topic, const char *why)
{
    devices->malformed++;
    uint64_t count = tell(&devices->malformed_tale, 1);
    if (count > 0)
        log_warning(
            EVENT_READING_MALFORMED,
            "topic %s: %s: stored as an ordinary message and not acknowledged (%llu since the last line)",
            topic, why, (unsigned long long)count);
}

/* ---- a message ---- */

static int find(struct intake_devices *devices, const char *ack_topic, size_t *ret)
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

static void answer(struct seen *seen, uint32_t boot)
{
    for (unsigned i = 0; i < seen->boot_count; i++)
        if (seen->boots[i] == boot)
            return;
    if (seen->boot_count == DEVICE_LIVES)
        seen->boot_count--;
    seen->boots[seen->boot_count++] = boot;
}

_Static_assert(sizeof(struct device) == DEVICE_LIVES * 16 + 40, "no padding: devices are compared as bytes");

static enum intake_reading judge(struct intake_devices *devices, struct seen *seen)
{
    struct device before = seen->device;
    enum device_verdict verdict = device_see(&seen->device, &devices->reading);
    if (memcmp(&before, &seen->device, sizeof before) != 0)
        seen->changed = true;
    if (verdict == DEVICE_NEW)
        return READING_NEW;
    devices->again++;
    if (seen->silent_ms >= SEEN_EVERY_MS)
        seen->changed = true; /* that it was heard of; not with each of them, for that costs a sync */
    if (verdict == DEVICE_TOO_FAR)
        return READING_AHEAD;
    answer(seen, devices->reading.boot);
    return READING_AGAIN;
}

int intake_devices_see(struct intake_devices *devices, const struct config_route *route,
                       const struct message *message, enum intake_reading *ret)
{
    if (devices->committed)
        forget(devices); /* nobody wanted the answers */
    *ret = READING_NONE;
    const char *why = NULL;
    int error = body_reading_parse(message->payload, message->payload_bytes, &devices->reading, &why);
    if (error == -EINVAL)
        note_malformed(devices, message->topic, why);
    buf_reset(&devices->topic);
    if (error != 0 || topic_template_expand(route->ack_topic, message->topic, &devices->topic) != 0)
        return 0;
    error = find(devices, buf_text(&devices->topic), &devices->current);
    if (error != 0)
        return error;
    struct seen *seen = &devices->seen[devices->current];
    seen->route = route->name;
    *ret = judge(devices, seen);
    return 0;
}

void intake_devices_stored(struct intake_devices *devices)
{
    struct seen *seen = &devices->seen[devices->current];
    device_stored(&seen->device, &devices->reading);
    seen->changed = true;
    answer(seen, devices->reading.boot);
}

/* ---- the end of the transaction ---- */

int intake_devices_save(struct intake_devices *devices)
{
    int error = 0;
    bool any_new = false;
    for (size_t i = 0; i < devices->count && error == 0 && !devices->committed; i++) {
        const struct seen *seen = &devices->seen[i];
        any_new |= seen->is_new && seen->changed;
        if (seen->changed)
            error = queue_device_save(devices->queue, seen->ack_topic, seen->route, &seen->device);
    }
    return error == 0 && any_new ? queue_devices_prune(devices->queue) : error;
}

void intake_devices_committed(struct intake_devices *devices, bool well)
{
    if (!well || devices->committed) {
        forget(devices);
        return;
    }
    for (size_t i = 0; i < devices->count; i++)
        tell_of_device(devices, &devices->seen[i]);
    devices->metrics->readings_again += devices->again;
    devices->metrics->readings_malformed += devices->malformed;
    devices->committed = true;
}

void intake_devices_acks(struct intake_devices *devices, intake_ack_fn *visit, void *context)
{
    for (size_t i = 0; i < devices->count && devices->committed; i++) {
        const struct seen *seen = &devices->seen[i];
        for (unsigned j = 0; j < seen->boot_count; j++) {
            char text[24];
            uint32_t boot = seen->boots[j];
            if (!device_remembers(&seen->device, boot))
                continue; /* later lives of the same commit took its place: nobody waits for this any more */
            snprintf(text, sizeof text, "%u %u", boot, device_acknowledged(&seen->device, boot));
            visit(context, seen->ack_topic, text);
            devices->metrics->acks++;
        }
    }
    forget(devices);
}
