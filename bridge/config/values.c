/* config/values.c - values of plain kinds: texts, numbers, durations, choices,
 * files and secrets, and what a route consists of. config/urls.c and
 * config/delivery.c have the rest.
 *
 * Whoever reports an error must not quote what may be a secret: a password that
 * was written into the file itself is one. */
#include "config/values.h"
#include "message/topic.h"
#include "message/topic_template.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void config_value_error(struct config_parser *parser, const struct config_key *key, const char *value,
                        const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *words = xvasprintf(format, args);
    va_end(args);
    config_parser_error(parser, parser->where, "%s = %s: %s", key->name, value, words);
    free(words);
}

void config_value_replace(struct config_parser *parser, const struct config_section *section,
                          const struct config_key *key, char *text)
{
    char **field = config_key_field(parser, section, key);

    free(*field);
    *field = text;
}

void config_set_text(struct config_parser *parser, struct config_section *section,
                     const struct config_key *key, const char *value)
{
    config_value_replace(parser, section, key, xstrdup(value));
}

void config_set_host(struct config_parser *parser, struct config_section *section,
                     const struct config_key *key, const char *value)
{
    const char *colon = strchr(value, ':');

    if (strstr(value, "://"))
        config_value_error(parser, key, value, "give the broker's name or address only, such as localhost");
    else if (colon && !strchr(colon + 1, ':')) /* an IPv6 address has more than one */
        config_value_error(parser, key, value, "the port has a key of its own: host = %.*s and port = %s",
                           (int)(colon - value), value, colon + 1);
    else if (value[strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:%")])
        config_value_error(parser, key, value,
                           "this is no host name and no address; it should be like localhost");
    else
        config_value_replace(parser, section, key, xstrdup(value));
}

/* -- files and secrets -- */

static bool absolute(struct config_parser *parser, const struct config_key *key, const char *value)
{
    if (*value == '/' && value[strlen(value) - 1] != '/')
        return true;
    config_value_error(parser, key, value, "give the whole path of a file, starting with '/'");
    return false;
}

void config_set_path(struct config_parser *parser, struct config_section *section,
                     const struct config_key *key, const char *value)
{
    if (absolute(parser, key, value))
        config_value_replace(parser, section, key, xstrdup(value));
}

void config_set_file(struct config_parser *parser, struct config_section *section,
                     const struct config_key *key, const char *value)
{
    cleanup_free char *why = NULL;

    if (!absolute(parser, key, value))
        return;
    if (parser->readable && parser->readable(parser->context, value, &why) < 0)
        config_value_error(parser, key, value, "%s", why);
    else
        config_value_replace(parser, section, key, xstrdup(value));
}

char *config_value_secret(struct config_parser *parser, const struct config_key *key, const char *value,
                          const char *reference)
{
    cleanup_free char *why = NULL;
    char *secret = NULL;

    if (!reference[1]) {
        config_value_error(parser, key, value, "name a file behind '@', such as @/etc/sluice/%s", key->name);
        return NULL;
    }
    if (parser->secret(parser->context, reference + 1, &secret, &why) < 0) {
        config_value_error(parser, key, value, "%s", why);
        return NULL;
    }
    const char *fault = NULL;
    if (!*secret)
        fault = "the file is empty; put the secret into it";
    for (const char *at = secret; *at && !fault; at++) {
        if (*at == '\n' || *at == '\r')
            fault = "the file holds more than one line; it must hold the secret and nothing else";
        else if ((unsigned char)*at < 0x20 || *at == 0x7f)
            fault = "the file contains a control character; it must hold the secret and nothing else";
    }
    if (!fault)
        return secret;
    config_value_error(parser, key, value, "%s", fault);
    free(secret);
    return NULL;
}

void config_set_secret(struct config_parser *parser, struct config_section *section,
                       const struct config_key *key, const char *value)
{
    if (*value != '@') {
        config_parser_error(
            parser, parser->where,
            "%s must not be written into this file; put it into a file of its own and name that: "
            "%s = @/etc/sluice/%s",
            key->name, key->name, key->name);
        return;
    }
    char *secret = config_value_secret(parser, key, value, value);
    if (secret)
        config_value_replace(parser, section, key, secret);
}

/* -- numbers, durations, choices -- */

void config_set_number(struct config_parser *parser, struct config_section *section,
                       const struct config_key *key, const char *value)
{
    size_t digits = strspn(value, "0123456789");
    int64_t number = 0;

    for (size_t i = 0; i < digits && number <= key->max; i++)
        number = number * 10 + (value[i] - '0');
    if (digits == 0 || value[digits] || number < key->min || number > key->max)
        config_value_error(parser, key, value, "must be a number from %" PRId64 " to %" PRId64, key->min,
                           key->max);
    else
        *(unsigned *)config_key_field(parser, section, key) = (unsigned)number;
}

static const struct {
    const char *name;
    int64_t ms;
} units[] = {{"w", 604800000}, {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

char *config_duration_text(int64_t ms)
{
    size_t i = 0;

    while (ms == 0 ? units[i].ms > 1000 : ms % units[i].ms != 0)
        i++;
    return xasprintf("%" PRId64 "%s", ms / units[i].ms, units[i].name);
}

/* Whether value is a duration between the key's bounds; reports it otherwise. */
static bool duration(struct config_parser *parser, const struct config_key *key, const char *value,
                     const char *or_else, int64_t *ret_ms)
{
    cleanup_free char *min = config_duration_text(key->min);
    cleanup_free char *max = config_duration_text(key->max);
    size_t digits = strspn(value, "0123456789");
    int64_t unit_ms = 0, number = 0;

    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (strcmp(value + digits, units[i].name) == 0)
            unit_ms = units[i].ms;
    if (digits > 0 && !value[digits]) {
        config_value_error(parser, key, value,
                           "a duration needs a unit, such as %ss or %sm (ms, s, m, h, d, w)", value, value);
        return false;
    }
    if (digits == 0 || unit_ms == 0) {
        config_value_error(
            parser, key, value,
            "must be a duration: a whole number and its unit, such as 30s (ms, s, m, h, d, w)%s", or_else);
        return false;
    }
    for (size_t i = 0; i < digits && number <= key->max; i++) /* max is far below overflow */
        number = number * 10 + (value[i] - '0');
    if (number > key->max / unit_ms || number * unit_ms < key->min) {
        config_value_error(parser, key, value, "must be from %s to %s%s", min, max, or_else);
        return false;
    }
    *ret_ms = number * unit_ms;
    return true;
}

static bool seconds(struct config_parser *parser, const struct config_key *key, const char *value,
                    const char *or_else, int64_t *ret_s)
{
    int64_t ms;

    if (!duration(parser, key, value, or_else, &ms))
        return false;
    if (ms % 1000 != 0) {
        config_value_error(parser, key, value, "must be whole seconds, such as 30s");
        return false;
    }
    *ret_s = ms / 1000;
    return true;
}

void config_set_duration(struct config_parser *parser, struct config_section *section,
                         const struct config_key *key, const char *value)
{
    int64_t ms;

    if (duration(parser, key, value, "", &ms))
        *(int64_t *)config_key_field(parser, section, key) = ms;
}

static const struct {
    const char *name;
    int64_t bytes;
} sizes[] = {{"T", INT64_C(1) << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1}};

/* "64M": in the largest unit that needs no fraction; freed by the caller. */
static char *size_text(int64_t bytes)
{
    size_t i = 0;

    while (bytes == 0 ? sizes[i].bytes > 1 : bytes % sizes[i].bytes != 0)
        i++;
    return xasprintf("%" PRId64 "%s", bytes / sizes[i].bytes, sizes[i].name);
}

void config_set_size(struct config_parser *parser, struct config_section *section,
                     const struct config_key *key, const char *value)
{
    cleanup_free char *min = size_text(key->min);
    cleanup_free char *max = size_text(key->max);
    size_t digits = strspn(value, "0123456789");
    int64_t unit = 0, number = 0;

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        if (strcmp(value + digits, sizes[i].name) == 0)
            unit = sizes[i].bytes;
    if (digits > 0 && !value[digits] && strcmp(value, "0") != 0) {
        bool small = key->max < sizes[1].bytes;
        config_value_error(parser, key, value, "a size needs a unit, such as %s%s or %s%s (K, M, G, T)",
                           value, small ? "K" : "M", value, small ? "M" : "G");
        return;
    }
    if (digits == 0 || unit == 0) {
        config_value_error(parser, key, value,
                           "must be a size: a whole number and its unit, such as 64M (K, M, G, T)");
        return;
    }
    for (size_t i = 0; i < digits && number <= key->max; i++) /* max is far below overflow */
        number = number * 10 + (value[i] - '0');
    if (number > key->max / unit || number * unit < key->min)
        config_value_error(parser, key, value, "must be from %s to %s", min, max);
    else
        *(int64_t *)config_key_field(parser, section, key) = number * unit;
}

void config_set_seconds(struct config_parser *parser, struct config_section *section,
                        const struct config_key *key, const char *value)
{
    int64_t s;

    if (seconds(parser, key, value, "", &s))
        *(unsigned *)config_key_field(parser, section, key) = (unsigned)s;
}

void config_set_expiry(struct config_parser *parser, struct config_section *section,
                       const struct config_key *key, const char *value)
{
    uint32_t *field = config_key_field(parser, section, key);
    int64_t s;

    if (strcmp(value, "never") == 0)
        *field = UINT32_MAX;
    else if (seconds(parser, key, value, ", or never", &s))
        *field = (uint32_t)s;
}

int config_value_choice(struct config_parser *parser, const struct config_key *key, const char *value,
                        const char *const names[static 3])
{
    for (int i = 0; i < 3 && names[i]; i++)
        if (strcmp(value, names[i]) == 0)
            return i;
    if (names[2])
        config_value_error(parser, key, value, "must be %s, %s or %s", names[0], names[1], names[2]);
    else
        config_value_error(parser, key, value, "must be %s or %s", names[0], names[1]);
    return -1;
}

void config_set_log_level(struct config_parser *parser, struct config_section *section,
                          const struct config_key *key, const char *value)
{
    static const char *const names[] = {[LOG_LEVEL_ERROR] = "error",
                                        [LOG_LEVEL_WARNING] = "warning",
                                        [LOG_LEVEL_NOTICE] = "notice",
                                        [LOG_LEVEL_INFO] = "info",
                                        [LOG_LEVEL_DEBUG] = "debug"};
    size_t level = 0;

    while (level < ARRAY_LEN(names) && strcmp(value, names[level]) != 0)
        level++;
    if (level == ARRAY_LEN(names))
        config_value_error(parser, key, value, "must be error, warning, notice, info or debug");
    else
        *(enum log_level *)config_key_field(parser, section, key) = (enum log_level)level;
}

void config_set_yes_no(struct config_parser *parser, struct config_section *section,
                       const struct config_key *key, const char *value)
{
    static const char *const names[3] = {"yes", "no"};
    int chosen = config_value_choice(parser, key, value, names);

    if (chosen >= 0)
        *(bool *)config_key_field(parser, section, key) = chosen == 0;
}

void config_set_mqtt(struct config_parser *parser, struct config_section *section,
                     const struct config_key *key, const char *value)
{
    static const char *const names[3] = {
        [CONFIG_PROTOCOL_AUTO] = "auto", [CONFIG_PROTOCOL_V5] = "5", [CONFIG_PROTOCOL_V311] = "3.1.1"};
    int chosen = config_value_choice(parser, key, value, names);

    if (chosen >= 0)
        *(enum config_protocol *)config_key_field(parser, section, key) = (enum config_protocol)chosen;
}

void config_set_http(struct config_parser *parser, struct config_section *section,
                     const struct config_key *key, const char *value)
{
    static const char *const names[3] = {"auto", "http1.1"};
    int chosen = config_value_choice(parser, key, value, names);

    if (chosen >= 0)
        *(bool *)config_key_field(parser, section, key) = chosen == 1;
}

void config_set_order(struct config_parser *parser, struct config_section *section,
                      const struct config_key *key, const char *value)
{
    static const char *const names[3] = {
        [CONFIG_ORDER_TOPIC] = "topic", [CONFIG_ORDER_ROUTE] = "route", [CONFIG_ORDER_NONE] = "none"};
    int chosen = config_value_choice(parser, key, value, names);

    if (chosen >= 0)
        *(enum config_order *)config_key_field(parser, section, key) = (enum config_order)chosen;
}

void config_set_when_full(struct config_parser *parser, struct config_section *section,
                          const struct config_key *key, const char *value)
{
    static const char *const names[3] = {[CONFIG_FULL_HOLD] = "hold",
                                         [CONFIG_FULL_DROP_OLDEST] = "drop-oldest",
                                         [CONFIG_FULL_DROP_NEWEST] = "drop-newest"};
    int chosen = config_value_choice(parser, key, value, names);

    if (chosen >= 0)
        *(enum config_when_full *)config_key_field(parser, section, key) = (enum config_when_full)chosen;
}

void config_set_clock(struct config_parser *parser, struct config_section *section,
                      const struct config_key *key, const char *value)
{
    static const char *const names[3] = {"kernel", "trust"};
    int chosen = config_value_choice(parser, key, value, names);

    if (chosen >= 0)
        *(bool *)config_key_field(parser, section, key) = chosen == 1;
}

/* -- what a route consists of -- */

void config_set_topic(struct config_parser *parser, struct config_section *section,
                      const struct config_key *key, const char *value)
{
    struct config_route *route = &parser->config->routes[section->index];
    const char *why = NULL;

    size_t bytes = strlen(value);
    if (bytes > 1 && value[0] == '"' && value[bytes - 1] == '"') {
        config_value_error(parser, key, value, "quotes would be part of the topic; leave them out");
        return;
    }
    if (strstr(value, ", ")) {
        config_value_error(parser, key, value,
                           "one topic a line: write as many lines \"topic = ...\" as needed");
        return;
    }
    if (!topic_filter_valid(value, &why)) {
        config_value_error(parser, key, value, "%s", why);
        return;
    }
    for (size_t i = 0; i < route->topic_count; i++) {
        if (strcmp(route->topics[i], value) == 0) {
            config_value_error(parser, key, value,
                               "this route has that topic already; delete one of the two lines");
            return;
        }
    }
    route->topics = xrealloc(route->topics, (route->topic_count + 1) * sizeof(*route->topics));
    route->topics[route->topic_count++] = xstrdup(value);
}

void config_set_backend(struct config_parser *parser, struct config_section *section,
                        const struct config_key *key, const char *value)
{
    (void)parser;
    (void)key;
    section->backend = xstrdup(value); /* it comes once only; config/validate.c looks it up */
}

void config_set_ack_topic(struct config_parser *parser, struct config_section *section,
                          const struct config_key *key, const char *value)
{
    const char *why = NULL;

    if (!topic_template_valid(value, &why))
        config_value_error(parser, key, value, "%s", why);
    else
        config_value_replace(parser, section, key, xstrdup(value));
}

void config_set_template(struct config_parser *parser, struct config_section *section,
                         const struct config_key *key, const char *value)
{
    struct path_template **field = config_key_field(parser, section, key);
    cleanup_free char *why = NULL;

    if (path_template_parse(value, field, &why) < 0)
        config_value_error(parser, key, value, "%s", why);
}
