/* config/route_table.h - finds the routes of a message. Pure.
 *
 * sluice subscribes to filters: the distinct topic filters of all routes, numbered from 0 in
 * the order of the configuration. Two routes may share a filter, and filters may overlap.
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
/* The first route that has it. */
const struct config_route *route_table_filter_route(const struct route_table *table, size_t filter);
/* The longest silent_after of the routes that have it; UINT32_MAX: never. */
uint32_t route_table_filter_silent_after_s(const struct route_table *table, size_t filter);
/* Whether a route that has it neither forwards retained messages, nor says that they do not matter. */
bool route_table_filter_reports_retained(const struct route_table *table, size_t filter);
/* The number of this filter, or SIZE_MAX. */
size_t route_table_find_filter(const struct route_table *table, const char *filter);

/* One copy of a message. */
struct route_copy {
    const size_t *filters; /* numbers of the filters for which it was delivered */
    size_t filter_count;   /* 0: its filter is no longer configured */
    const uint32_t *ranks; /* by filter number: the order of the subscriptions; */
                           /* NULL: the copy stands for all filters, ... */
    bool but_shared;       /* ... except for those with $share/, which have copies of their own */
    uint32_t covered_to;   /* with filter_count 0: filters up to this rank had their own copies */
};

/* Calls visit for every route that takes this copy, each at most once, in the order of the
 * configuration.
 *
 * With MQTT 5, a broker delivers a retained message for each subscription that matches, and names
 * the subscription. So that each route gets it once, a route takes only one copy: that of the oldest
 * subscription among its own filters that match, because the broker has had that one for the
 * longest time. A copy whose filter is no longer configured goes to the routes that no older
 * filter covered. Only routes that want retained messages take them. (Other messages:
 * mqtt/copies.h.)
 *
 * Returns whether a route did not take it because of its `except`. */
typedef void route_visit_fn(void *context, size_t route);
bool route_table_serve(const struct route_table *table, const char *topic, bool retained,
                       const struct route_copy *copy, route_visit_fn *visit, void *context);

#endif
