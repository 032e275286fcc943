/* route.h - which routes a message serves, and in which lane it waits. Pure.
 *
 * Filters are what sluice subscribes to: the distinct topic filters of all
 * routes, numbered from 0 in the order of the configuration. Two routes may
 * share a filter; filters may overlap.
 */
#ifndef SLUICE_ROUTE_H
#define SLUICE_ROUTE_H

#include "config.h"
#include <stdbool.h>

#define ROUTE_LANES 64u

struct route_table;

struct route_table *route_table_new(const struct config *config); /* keeps config, does not own it */
void route_table_free(struct route_table *table);

size_t route_table_filter_count(const struct route_table *table);
const char *route_table_filter(const struct route_table *table, size_t filter);
/* The number of this filter, or SIZE_MAX. */
size_t route_table_find_filter(const struct route_table *table, const char *filter);

/* Calls visit for every route that a copy of a message serves, each at most
 * once, in the order of the configuration.
 *
 * A v5 broker delivers one copy per matching subscription and names it by the
 * subscription's identifier: filters[] holds the numbers of the filters that
 * this copy was delivered for, and a route is served only by the copy of the
 * first of its own filters that matches the topic. So overlapping filters
 * deliver once per route. filter_count 0 means that the copy stands for all
 * filters (MQTT 3.1.1, or an identifier that is no longer known): every route
 * with a matching filter is served. Retained messages only serve routes that
 * want them. */
typedef void route_visit_fn(void *context, size_t route);
void route_table_serve(const struct route_table *table, const char *topic, bool retained,
                       const size_t *filters, size_t filter_count, route_visit_fn *visit, void *context);

/* The lane of a message, 0 to ROUTE_LANES - 1: a hash of its order key. Equal
 * keys always share a lane, over restarts and on all machines. */
unsigned route_lane(enum config_order order, const char *topic, int64_t id);

#endif
