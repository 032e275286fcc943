/* message/device.h - the state of a device that numbers its readings (sluice-devices(7)). Pure.
 *
 * A device keeps each reading until it is acknowledged, and sends it again until then. One
 * boot of the device, which it gives a number of its choice, is a life here. In each life
 * readings are numbered from 1, and each one names the oldest that the device still holds:
 *
 *     stored, or lost and counted      up_to │ 1 0 1 1 0 ...   ahead: stored already
 *     ───────────────────────────────────────┤
 *                      everything up to here │ is acknowledged
 *
 * A reading whose number is known is a repetition, and is not stored again. A reading below
 * the oldest that the device holds, which never came, will never come: it is lost.
 *
 * A few earlier lives are remembered too: after a crash the broker may repeat messages from
 * before the device's restart, and where two devices share a name by mistake, their lives
 * alternate. When another life follows, the gaps of the one before count as lost, until the
 * missing readings come after all.
 */
#ifndef SLUICE_DEVICE_H
#define SLUICE_DEVICE_H

#include "base/base.h"
#include <stdbool.h>

enum { DEVICE_LIVES = 4, DEVICE_AHEAD = 64, DEVICE_SHARED = 4, DEVICE_STEADY = 16 };

/* The members of a reading; 1 <= oldest <= number. */
struct device_reading {
    uint32_t boot;
    uint32_t number;
    uint32_t oldest;
};

struct device_life {
    uint32_t boot;
    uint32_t up_to;
    uint64_t ahead; /* bit i: number up_to + 1 + i is stored; bit 0 is clear */
};

struct device {
    struct device_life lives[DEVICE_LIVES]; /* the latest first */
    uint32_t life_count;                    /* of those in lives */
    uint32_t first; /* the oldest reading that the device held in its first life: nothing is known
                     * of earlier ones */
    uint64_t begun; /* lives in all */
    uint64_t stored;
    uint64_t lost;
    uint32_t speaker; /* the life of the last new reading */
    uint16_t steady;  /* new readings in a row of that life; at DEVICE_STEADY, returns is 0 again */
    uint16_t returns; /* how often an earlier life went on, or an unknown one did not begin at its start */
};

enum device_verdict {
    DEVICE_NEW,     /* to be stored; then call device_stored */
    DEVICE_KNOWN,   /* stored already, or counted as lost: to be acknowledged again */
    DEVICE_TOO_FAR, /* more than DEVICE_AHEAD ahead of a missing one: the device will send it again */
};

/* A reading came. Begins a new life if its boot is unknown, and counts what is lost. */
enum device_verdict device_receive(struct device *device, const struct device_reading *reading);
/* The reading was DEVICE_NEW, and is stored. */
void device_stored(struct device *device, const struct device_reading *reading);
/* Whether several devices seem to use this name: their lives alternate more than restarts, or
 * a broker that repeats old messages, can explain. */
bool device_is_shared(const struct device *device);
/* Whether the life of this boot is remembered. */
bool device_remembers(const struct device *device, uint32_t boot);
/* The number to acknowledge: everything up to it. The boot must be remembered. */
uint32_t device_acknowledged(const struct device *device, uint32_t boot);
/* How many readings of the latest life are missing before stored ones. */
unsigned device_gaps(const struct device *device);

#endif
