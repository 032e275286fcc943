/* config/ack.c - what must hold of the ack_topic of routes, once all are known.
 *
 * An answer that sluice received itself would be one more message in the queue. And a
 * message must not be numbered for two routes: the one that stores it first would make
 * the other take it for a repetition.
 */
#include "config/keys.h"
#include "message/topic.h"
#include "message/topic_template.h"
#include <string.h>

static struct config_where where_of(const struct config_section *section)
{
    return config_key_where(section, "ack_topic");
}

/* The first filter of the route that meets this one, or NULL. */
static const char *meets(const struct config_route *route, const char *filter)
{
    for (size_t i = 0; i < route->topic_count; i++)
        if (topic_filters_meet(route->topics[i], filter))
            return route->topics[i];
    return NULL;
}

static void check_loop(struct config_parser *parser, const struct config_section *section,
                       const struct config_route *route)
{
    const struct config *config = parser->config;
    cleanup_free char *answers = topic_template_filter(route->ack_topic);

    for (size_t i = 0; i < config->route_count; i++) {
        const char *filter = meets(&config->routes[i], answers);
        if (filter)
            config_parser_error(parser, where_of(section),
                                "ack_topic = %s: sluice would receive its own answers, for [route %s] has "
                                "topic = %s; choose a topic that no route has, such as ack/{2}",
                                route->ack_topic, config->routes[i].name, filter);
    }
}

static void check_levels(struct config_parser *parser, const struct config_section *section,
                         const struct config_route *route)
{
    unsigned highest = topic_template_highest_level(route->ack_topic);

    for (size_t i = 0; i < route->topic_count; i++) {
        const char *filter = route->topics[i];
        unsigned levels = 1;
        for (const char *at = filter; *at; at++)
            levels += *at == '/';
        if (!strchr(filter, '#') && strncmp(filter, "$share/", strlen("$share/")) != 0 && levels < highest)
            config_parser_error(parser, where_of(section),
                                "ack_topic = %s has {%u}, and topics that match '%s' have only %u levels; "
                                "correct one of the two",
                                route->ack_topic, highest, filter, levels);
    }
}

static void check_pair(struct config_parser *parser, const struct config_section *section,
                       const struct config_route *route, const struct config_route *before)
{
    for (size_t i = 0; i < before->topic_count; i++) {
        const char *filter = meets(route, before->topics[i]);
        if (!filter)
            continue;
        config_parser_error(parser, where_of(section),
                            "ack_topic: '%s' of [route %s] and '%s' of [route %s] can match the same topic, "
                            "and only one of two such routes may have an ack_topic",
                            filter, route->name, before->topics[i], before->name);
        return;
    }
}

void config_ack_check(struct config_parser *parser)
{
    const struct config *config = parser->config;

    for (size_t i = 0; i < parser->section_count; i++) {
        const struct config_section *section = &parser->sections[i];
        if (section->kind != CONFIG_ROUTE || !config->routes[section->index].ack_topic)
            continue;
        const struct config_route *route = &config->routes[section->index];
        check_loop(parser, section, route);
        check_levels(parser, section, route);
        for (size_t j = 0; j < section->index; j++)
            if (config->routes[j].ack_topic)
                check_pair(parser, section, route, &config->routes[j]);
    }
}
