/* config/validate_route.c - what can be checked of [route] and [http] when every file was read:
 * the backend, references to topic levels, keys that have an effect with others only, and
 * ack_topic.
 */
#include "config/validate_route.h"
#include "config/errors.h"
#include "config/section.h"
#include "message/body_envelope.h"
#include "message/topic.h"
#include "message/topic_template.h"
#include "text/nearest.h"
#include <string.h>

/* ---- the backend ---- */

static void report_backend(struct config_parser *parser, const struct config_section *section)
{
    const struct config *config = parser->config;
    struct config_where where = config_section_where(section, "backend");
    const char **names = xcalloc(config->backend_count, sizeof(*names));

    for (size_t i = 0; i < config->backend_count; i++)
        names[i] = config->backends[i].name;
    size_t near = nearest_find(section->backend, names, config->backend_count);
    if (near != SIZE_MAX)
        config_error(parser, where, "backend = %s: there is no [backend %s]; did you mean '%s'?",
                     section->backend, section->backend, names[near]);
    else
        config_error(parser, where, "backend = %s: there is no [backend %s]; the first one is '%s'",
                     section->backend, section->backend, names[0]);
    free(names);
}

/* The backend that a route names, or the only one. */
static void find_backend(struct config_parser *parser, const struct config_section *section,
                         struct config_route *route)
{
    const struct config *config = parser->config;

    if (config->backend_count == 0)
        return; /* that is reported */
    if (config_section_has(section, "backend")) {
        if (!section->backend)
            return; /* the empty value is reported */
        for (size_t i = 0; i < config->backend_count; i++) {
            if (strcmp(config->backends[i].name, section->backend) == 0) {
                route->backend = i;
                return;
            }
        }
        report_backend(parser, section);
    } else if (config->backend_count > 1) {
        cleanup_free char *title = config_section_title(parser, section);
        config_error(parser, section->where,
                     "%s does not say which of the %zu backends it goes to; add a line such as backend = %s",
                     title, config->backend_count, config->backends[0].name);
    }
}

/* ---- references to topic levels ---- */

/* Topics that a filter without '#' matches have as many levels as the filter. `highest` is
 * the highest level that this key refers to. */
static void check_levels(struct config_parser *parser, const struct config_section *section,
                         const struct config_route *route, const char *key, unsigned highest)
{
    for (size_t i = 0; i < route->topics.count; i++) {
        const char *filter = route->topics.items[i];
        unsigned levels = 1;
        for (const char *at = filter; *at; at++)
            levels += *at == '/';
        if (!strchr(filter, '#') && !topic_filter_is_shared(filter) && levels < highest)
            config_error(parser, config_section_where(section, key),
                         "%s has {%u}, but topics that match '%s' have no level %u; correct one of the two",
                         key, highest, filter, highest);
    }
}

/* ---- keys that have an effect with others only ---- */

static void check_body(struct config_parser *parser, const struct config_section *section,
                       const struct config_route *route)
{
    static const char *const of_json[] = {"not_object", "repair"};

    if (config_section_faulty(section, "body"))
        return;
    if (route->body == CONFIG_BODY_RAW && config_section_valid(section, "add"))
        config_error(parser, config_section_where(section, "add"),
                     "add has an effect with body = json or body = envelope only, because a raw body is not "
                     "changed; set one of them, or delete the line");
    for (size_t i = 0; i < ARRAY_LEN(of_json) && route->body != CONFIG_BODY_JSON; i++)
        if (config_section_valid(section, of_json[i]))
            config_error(parser, config_section_where(section, of_json[i]),
                         "%s has an effect with body = json only; set that, or delete the line", of_json[i]);
    for (size_t i = 0; route->body == CONFIG_BODY_ENVELOPE && i < fields_count(route->add); i++)
        if (body_envelope_has(fields_name(route->add, i)))
            config_error(parser, config_section_where(section, "add"),
                         "add = %s: every envelope has a member of this name; choose another",
                         fields_name(route->add, i));
}

static void check_batch(struct config_parser *parser, const struct config_section *section,
                        const struct config_route *route)
{
    static const char *const of_batch[] = {"batch_size", "batch_format", "linger"};

    if (route->body == CONFIG_BODY_RAW && !config_section_faulty(section, "body") &&
        config_section_valid(section, "batch"))
        config_error(
            parser, config_section_where(section, "batch"),
            "batch has an effect with body = json or body = envelope only, because a raw body cannot "
            "be a member of an array; set one of them, or delete the line");
    for (size_t i = 0; i < ARRAY_LEN(of_batch) && !config_section_has(section, "batch"); i++)
        if (config_section_valid(section, of_batch[i]))
            config_error(
                parser, config_section_where(section, of_batch[i]),
                "%s has an effect with batch only; add a line such as batch = 100, or delete this one",
                of_batch[i]);
}

/* ---- except ---- */

/* The first except of the route that leaves out all of a filter, or NULL. */
static const char *find_exception(const struct config_route *route, const char *filter)
{
    for (size_t i = 0; i < route->except.count; i++)
        if (topic_filter_covers(route->except.items[i], filter))
            return route->except.items[i];
    return NULL;
}

static void check_except(struct config_parser *parser, const struct config_section *section,
                         const struct config_route *route)
{
    const struct config_topics *topics = &route->topics;

    for (size_t i = 0; i < topics->count; i++) {
        const char *except = find_exception(route, topics->items[i]);
        if (except)
            config_error(parser, config_section_where(section, "except"),
                         "except = %s leaves nothing of topic = %s; correct or delete one of the two", except,
                         topics->items[i]);
    }
    for (size_t i = 0; i < route->except.count; i++) {
        size_t met = 0;
        while (met < topics->count && !topic_filters_meet(route->except.items[i], topics->items[met]))
            met++;
        if (met == topics->count && topics->count > 0)
            config_error(parser, config_section_where(section, "except"),
                         "except = %s has no effect: no topic that this route takes matches it; correct the "
                         "filter, or delete the line",
                         route->except.items[i]);
    }
}

/* ---- ack_topic ---- */

/* The first filter of the route that takes a topic which this one matches, or NULL. */
static const char *find_overlap(const struct config_route *route, const char *filter)
{
    if (find_exception(route, filter))
        return NULL;
    for (size_t i = 0; i < route->topics.count; i++)
        if (topic_filters_meet(route->topics.items[i], filter) &&
            !find_exception(route, route->topics.items[i]))
            return route->topics.items[i];
    return NULL;
}

/* An acknowledgement that sluice received itself would be one more message in the queue. */
static void check_ack_loop(struct config_parser *parser, const struct config_section *section,
                           const struct config_route *route)
{
    const struct config *config = parser->config;
    cleanup_free char *acks = topic_template_filter(route->ack_topic);

    for (size_t i = 0; i < config->route_count; i++) {
        const char *filter = find_overlap(&config->routes[i], acks);
        if (filter)
            config_error(
                parser, config_section_where(section, "ack_topic"),
                "ack_topic = %s: sluice would receive its own acknowledgements, because [route %s] has "
                "topic = %s; choose a topic that no route has, such as ack/{2}",
                route->ack_topic, config->routes[i].name, filter);
    }
}

/* A message must be numbered for one route only: the first route that stores it would make
 * the other one take it for a repetition. */
static void check_ack_overlap(struct config_parser *parser, const struct config_section *section,
                              const struct config_route *route, const struct config_route *other)
{
    for (size_t i = 0; i < other->topics.count; i++) {
        const char *filter = find_overlap(route, other->topics.items[i]);
        if (!filter || find_exception(other, filter))
            continue;
        config_error(
            parser, config_section_where(section, "ack_topic"),
            "ack_topic: '%s' of [route %s] and '%s' of [route %s] can match the same topic, and only "
            "one of two such routes may have an ack_topic",
            filter, route->name, other->topics.items[i], other->name);
        return;
    }
}

/* ---- a former name ---- */

static void check_formerly(struct config_parser *parser, const struct config_section *section,
                           const struct config_route *route)
{
    const struct config *config = parser->config;
    for (size_t i = 0; route->formerly && i < config->route_count; i++) {
        const struct config_route *other = &config->routes[i];
        if (strcmp(other->name, route->formerly) == 0)
            config_error(parser, config_section_where(section, "formerly"),
                         "formerly = %s: there is a route '%s' still; delete one of the two", route->formerly,
                         other->name);
        else if (other < route && other->formerly && strcmp(other->formerly, route->formerly) == 0)
            config_error(parser, config_section_where(section, "formerly"),
                         "formerly = %s: route '%s' has that former name already; delete one of the two",
                         route->formerly, other->name);
    }
}

/* ---- whole sections ---- */

void config_check_route(struct config_parser *parser, const struct config_section *section)
{
    const struct config *config = parser->config;
    struct config_route *route = &config->routes[section->index];

    check_levels(parser, section, route, "path", path_template_highest_level(route->path));
    check_levels(parser, section, route, "add", fields_highest_level(route->add));
    check_except(parser, section, route);
    check_body(parser, section, route);
    check_batch(parser, section, route);
    check_formerly(parser, section, route);
    find_backend(parser, section, route);
    if (!route->ack_topic)
        return;
    check_ack_loop(parser, section, route);
    check_levels(parser, section, route, "ack_topic", topic_template_highest_level(route->ack_topic));
    for (size_t i = 0; i < section->index; i++)
        if (config->routes[i].ack_topic)
            check_ack_overlap(parser, section, route, &config->routes[i]);
}

/* A message in the queue knows its route by nothing but the name. */
void config_check_http(struct config_parser *parser, const struct config_section *section)
{
    const struct config *config = parser->config;
    size_t own = config->https[section->index].route;
    struct config_route *route = &config->routes[own];

    check_body(parser, section, route);
    find_backend(parser, section, route);
    for (size_t i = 0; i < config->route_count; i++) {
        if (i == own || (config->routes[i].http && i > own) ||
            strcmp(config->routes[i].name, route->name) != 0)
            continue;
        cleanup_free char *title = config_section_title(parser, section);
        config_error(parser, section->where,
                     "%s and [%s %s] would both be the route '%s'; give one of them another name", title,
                     config->routes[i].http ? "http" : "route", route->name, route->name);
        return;
    }
}
