/* intake/internal.h - the intake, as intake/intake.c and intake/batch.c share it. */
#ifndef SLUICE_INTAKE_INTERNAL_H
#define SLUICE_INTAKE_INTERNAL_H

#include "intake/devices.h"
#include "intake/intake.h"

struct intake {
    struct queue *queue;
    const struct config *config;
    struct route_table *routes;
    struct devices *devices;
    struct metrics *metrics;
    intake_released_fn *released;
    void *context;
    /* of the open transaction */
    bool open;
    int error;         /* the first failure */
    uint64_t received; /* to be counted once it is committed */
    uint64_t stored, dropped, unrouted, excepted, retained;
};

#endif
