/* message/device.h - what is known of a device that numbers its readings. Pure.
 *
 * A device keeps each reading until it is acknowledged, and sends again what is
 * not. Within one life of it (one boot, named by a number of its choice) readings
 * are numbered from 1; with each it says which is the oldest that it still holds:
 *
 *     stored, or lost and counted      up_to │ 1 0 1 1 0 ...   ahead: stored already
 *     ───────────────────────────────────────┤
 *                      everything up to here │ is acknowledged
 *
 * A number that is known is a repetition and is not stored again. What lies below
 * the oldest that the device holds, and never came, will never come: it is lost.
 *
 * Earlier lives are remembered too, a few of them: a broker that crashed may repeat
 * messages from before the device's restart, and where two devices share a name by
 * mistake, their lives alternate. The gaps of a life that another one followed
 * count as lost, until what is missing comes after all.
 */
#ifndef SLUICE_DEVICE_H
#define SLUICE_DEVICE_H

#include "base/base.h"
#include <stdbool.h>

enum { DEVICE_LIVES = 4, DEVICE_AHEAD = 64, DEVICE_SHARED = 4, DEVICE_STEADY = 16 };

/* What a reading says of itself; 1 <= oldest <= number. */
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
    uint32_t first; /* the oldest reading of the first life: what came before is not known */
    uint64_t begun; /* lives in all */
    uint64_t stored;
    uint64_t lost;
    uint32_t speaker; /* the life of the last new reading */
    uint16_t steady;  /* new readings in a row of that life; with DEVICE_STEADY, returns is 0 again */
    uint16_t returns; /* how often an earlier life went on instead, or an unknown one in its midst */
};

enum device_verdict {
    DEVICE_NEW,     /* to be stored: then device_stored */
    DEVICE_KNOWN,   /* stored already, or given up: to be acknowledged again */
    DEVICE_TOO_FAR, /* more than DEVICE_AHEAD in front of what is missing: it will be sent again */
};

/* A reading came. Starts a new life where it is of an unknown one, and counts what
 * is lost for good. */
enum device_verdict device_see(struct device *device, const struct device_reading *reading);
/* It was DEVICE_NEW, and is stored. */
void device_stored(struct device *device, const struct device_reading *reading);
/* Whether several devices seem to use this name: their lives alternate. A restart, or a
 * broker that repeats old messages, is not enough for that. */
bool device_is_shared(const struct device *device);
/* Whether this life is one of those that are remembered. */
bool device_remembers(const struct device *device, uint32_t boot);
/* What to acknowledge to this life: everything up to here. It must be remembered. */
uint32_t device_acknowledged(const struct device *device, uint32_t boot);
/* How many readings of the latest life are missing in front of others. */
unsigned device_gaps(const struct device *device);

#endif
