/* config/route_table.h - which routes a message serves. Pure.
 *
 * Filters are what sluice subscribes to: the distinct topic filters of all
 * routes, numbered from 0 in the order of the configuration. Two routes may
 * share a filter; filters may overlap.
 */
#ifndef SLUICE_ROUTE_H
#define SLUICE_ROUTE_H

#include "config/config.h"
#include <stdbool.h>

struct route_table;

struct route_table *route_table_new(const struct config *config); /* keeps config, does not own it */
void route_table_free(struct route_table *table);

size_t route_table_filter_count(const struct route_table *table);
const char *route_table_filter(const struct route_table *table, size_t filter);
/* The number of this filter, or SIZE_MAX. */
size_t route_table_find_filter(const struct route_table *table, const char *filter);

/* What is known of one copy of a message. */
struct route_copy {
    const size_t *filters; /* numbers of the filters that it was delivered for */
    size_t filter_count;   /* 0: for a filter that is no longer configured */
    const uint32_t *ranks; /* by filter number: in which order they were subscribed to; */
                           /* NULL: the copy stands for all filters (MQTT 3.1.1) */
    uint32_t covered_to;   /* filter_count 0: filters up to this rank had copies of their own */
};

/* Calls visit for every route that this copy serves, each at most once, in the
 * order of the configuration.
 *
 * A v5 broker delivers one copy per matching subscription, named by the
 * subscription's identifier. So that overlapping filters deliver once per route,
 * a route is served by one copy only: that for the oldest subscription among its
 * own filters that match, for while others came and went, that one was there. A
 * copy that waited under a filter which has vanished meanwhile serves the routes
 * that no older filter covered. Retained messages only serve routes that want
 * them. */
typedef void route_visit_fn(void *context, size_t route);
void route_table_serve(const struct route_table *table, const char *topic, bool retained,
                       const struct route_copy *copy, route_visit_fn *visit, void *context);

#endif
