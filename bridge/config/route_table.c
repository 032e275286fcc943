/* config/route_table.c - finds the routes of a message; see config/route_table.h. */
#include "config/route_table.h"

#include "message/topic.h"

#include <string.h>

struct route_table {
    const struct config *config;
    const char **filters; /* distinct; the texts are the configuration's */
    size_t filter_count;
    size_t **own; /* by route: the numbers of its filters, in its order */
};

static bool contains(const size_t *numbers, size_t count, size_t number)
{
    for (size_t i = 0; i < count; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

static size_t add_filter(struct route_table *table, const char *filter)
{
    size_t number = route_table_find_filter(table, filter);
    if (number != SIZE_MAX)
        return number;
    table->filters = xrealloc(table->filters, (table->filter_count + 1) * sizeof(*table->filters));
    table->filters[table->filter_count] = filter;
    return table->filter_count++;
}

struct route_table *route_table_new(const struct config *config)
{
    struct route_table *table = xcalloc(1, sizeof(*table));
    table->config = config;
    table->own = xcalloc(config->route_count, sizeof(*table->own));
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = &config->routes[i];
        table->own[i] = xcalloc(route->topics.count, sizeof(**table->own));
        for (size_t k = 0; k < route->topics.count; k++)
            table->own[i][k] = add_filter(table, route->topics.items[k]);
    }
    return table;
}

void route_table_free(struct route_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->config->route_count; i++)
        free(table->own[i]);
    free(table->own);
    free(table->filters);
    free(table);
}

size_t route_table_filter_count(const struct route_table *table)
{
    return table->filter_count;
}

const char *route_table_filter(const struct route_table *table, size_t filter)
{
    return table->filters[filter];
}

static bool has_filter(const struct route_table *table, size_t route, size_t filter)
{
    return contains(table->own[route], table->config->routes[route].topics.count, filter);
}

const struct config_route *route_table_filter_route(const struct route_table *table, size_t filter)
{
    size_t route = 0;
    while (!has_filter(table, route, filter))
        route++;
    return &table->config->routes[route];
}

uint32_t route_table_filter_silent_after_s(const struct route_table *table, size_t filter)
{
    uint32_t longest_s = 0;
    for (size_t i = 0; i < table->config->route_count; i++)
        if (has_filter(table, i, filter) && table->config->routes[i].silent_after_s > longest_s)
            longest_s = table->config->routes[i].silent_after_s;
    return longest_s;
}

bool route_table_filter_reports_retained(const struct route_table *table, size_t filter)
{
    for (size_t i = 0; i < table->config->route_count; i++)
        if (has_filter(table, i, filter) && table->config->routes[i].retained == CONFIG_RETAINED_REPORT)
            return true;
    return false;
}

size_t route_table_find_filter(const struct route_table *table, const char *filter)
{
    for (size_t i = 0; i < table->filter_count; i++)
        if (!strcmp(table->filters[i], filter))
            return i;
    return SIZE_MAX;
}

/* The oldest of a route's own filters that matches, or SIZE_MAX. */
static size_t oldest_match(const struct route_table *table, size_t route, const char *topic,
                           const struct route_copy *copy)
{
    const uint32_t *ranks = copy->ranks;
    size_t oldest = SIZE_MAX;
    for (size_t k = 0; k < table->config->routes[route].topics.count; k++) {
        size_t filter = table->own[route][k];
        if (copy->but_shared && topic_filter_is_shared(table->filters[filter]))
            continue;
        if (topic_matches(table->filters[filter], topic) &&
            (oldest == SIZE_MAX || (ranks && ranks[filter] < ranks[oldest])))
            oldest = filter;
    }
    return oldest;
}

static bool is_served(const struct route_table *table, size_t route, const char *topic,
                      const struct route_copy *copy)
{
    size_t oldest = oldest_match(table, route, topic, copy);
    if (oldest == SIZE_MAX)
        return false;
    if (!copy->ranks)
        return true;
    if (copy->filter_count == 0)
        return copy->ranks[oldest] > copy->covered_to;
    return contains(copy->filters, copy->filter_count, oldest);
}

static bool is_excepted(const struct config_topics *filters, const char *topic)
{
    for (size_t i = 0; i < filters->count; i++)
        if (topic_matches(filters->items[i], topic))
            return true;
    return false;
}

bool route_table_serve(const struct route_table *table, const char *topic, bool retained,
                       const struct route_copy *copy, route_visit_fn *visit, void *context)
{
    bool any_excepted = false;
    for (size_t i = 0; i < table->config->route_count; i++) {
        if (retained && table->config->routes[i].retained != CONFIG_RETAINED_YES)
            continue;
        if (!is_served(table, i, topic, copy))
            continue;
        bool excepted = is_excepted(&table->config->routes[i].except, topic);
        any_excepted |= excepted;
        if (!excepted)
            visit(context, i);
    }
    return any_excepted;
}
