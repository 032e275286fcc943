/* message/device.c - see message/device.h. */
#include "message/device.h"

#include <assert.h>
#include <string.h>

static struct device_life *find_life(struct device *device, uint32_t boot)
{
    for (unsigned i = 0; i < device->life_count; i++)
        if (device->lives[i].boot == boot)
            return &device->lives[i];
    return NULL;
}

static unsigned gaps(const struct device_life *life)
{
    if (life->ahead == 0)
        return 0;
    unsigned highest = 63u - (unsigned)__builtin_clzll(life->ahead);
    return highest + 1 - (unsigned)__builtin_popcountll(life->ahead);
}

/* Readings that were stored ahead, and now follow up_to. */
static void absorb(struct device_life *life)
{
    while (life->ahead & 1) {
        life->ahead >>= 1;
        life->up_to++;
    }
}

/* Gives up the missing readings up to this number; returns how many. */
static uint32_t give_up(struct device_life *life, uint32_t number)
{
    uint32_t count = number - life->up_to, came;
    if (count >= DEVICE_AHEAD) {
        came = (uint32_t)__builtin_popcountll(life->ahead);
        life->ahead = 0;
    } else {
        came = (uint32_t)__builtin_popcountll(life->ahead & ((UINT64_C(1) << count) - 1));
        life->ahead >>= count;
    }
    life->up_to = number;
    absorb(life);
    return count - came;
}

/* A new reading came. no_start: it is not the first one after a restart. */
static void note_speaker(struct device *device, uint32_t boot, bool no_start)
{
    if (boot != device->speaker) {
        device->speaker = boot;
        device->steady = 0;
        if (no_start && device->returns < DEVICE_SHARED)
            device->returns++;
    }
    if (device->steady < DEVICE_STEADY && ++device->steady == DEVICE_STEADY)
        device->returns = 0;
}

/* We never acknowledged anything to an unknown life, so everything that it dropped is lost. But
 * of an unknown device nothing is known: a database that was deleted may have acknowledged
 * its readings. */
static struct device_life *begin_life(struct device *device, const struct device_reading *reading)
{
    if (device->life_count > 0) {
        device->lost += gaps(&device->lives[0]);
        device->lost += reading->oldest - 1;
    } else {
        device->first = reading->oldest;
    }
    if (device->life_count < DEVICE_LIVES)
        device->life_count++;
    memmove(&device->lives[1], &device->lives[0], (device->life_count - 1) * sizeof device->lives[0]);
    device->lives[0] = (struct device_life){.boot = reading->boot, .up_to = reading->oldest - 1};
    device->begun++;
    return &device->lives[0];
}

enum device_verdict device_receive(struct device *device, const struct device_reading *reading)
{
    assert(reading->oldest >= 1 && reading->oldest <= reading->number);
    struct device_life *life = find_life(device, reading->boot);
    if (!life)
        life = begin_life(device, reading);
    bool past = life != &device->lives[0];
    if (reading->oldest - 1 > life->up_to) {
        device->lost -= past ? gaps(life) : 0;
        device->lost += give_up(life, reading->oldest - 1);
        device->lost += past ? gaps(life) : 0;
    }
    if (reading->number <= life->up_to)
        return DEVICE_KNOWN;
    uint32_t offset = reading->number - life->up_to - 1;
    if (offset >= DEVICE_AHEAD)
        return DEVICE_TOO_FAR;
    return life->ahead >> offset & 1 ? DEVICE_KNOWN : DEVICE_NEW;
}

void device_stored(struct device *device, const struct device_reading *reading)
{
    struct device_life *life = find_life(device, reading->boot);
    assert(life && reading->number > life->up_to && reading->number - life->up_to <= DEVICE_AHEAD);
    bool past = life != &device->lives[0];
    device->lost -= past ? gaps(life) : 0;
    life->ahead |= UINT64_C(1) << (reading->number - life->up_to - 1);
    absorb(life);
    device->lost += past ? gaps(life) : 0;
    device->stored++;
    bool first_of_it = life->up_to == reading->number && reading->oldest == reading->number;
    note_speaker(device, reading->boot, past || (first_of_it && reading->number > 1));
}

bool device_is_shared(const struct device *device)
{
    return device->returns >= DEVICE_SHARED;
}

bool device_remembers(const struct device *device, uint32_t boot)
{
    for (unsigned i = 0; i < device->life_count; i++)
        if (device->lives[i].boot == boot)
            return true;
    return false;
}

uint32_t device_acknowledged(const struct device *device, uint32_t boot)
{
    unsigned i = 0;
    while (i < device->life_count && device->lives[i].boot != boot)
        i++;
    assert(i < device->life_count);
    return device->lives[i].up_to;
}

unsigned device_gaps(const struct device *device)
{
    return device->life_count > 0 ? gaps(&device->lives[0]) : 0;
}
