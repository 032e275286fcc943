/* deliver/ring.h - the messages of a lane in memory, a ring in the order of ids. */
#ifndef SLUICE_DELIVER_RING_H
#define SLUICE_DELIVER_RING_H

#include "deliver/internal.h"

/* The nth message of the lane, from 0. */
struct waiting *ring_at(const struct lane *lane, unsigned position);
/* The place of a message in its lane; lane->count where it has none. */
unsigned ring_find(const struct lane *lane, int64_t id);

#endif
