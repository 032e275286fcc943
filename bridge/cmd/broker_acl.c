/* cmd/broker_acl.c - see cmd/broker_acl.h. */
#include "cmd/broker_acl.h"
#include "base/address.h"
#include "base/buf.h"
#include "cmd/mosquitto.h"
#include "message/topic.h"
#include "message/topic_template.h"

#include <string.h>

struct rule {
    char *user;   /* NULL: of clients without a name */
    bool pattern; /* of everyone: %u and %c stand for the client's name and its client_id */
    bool read, write, deny;
    char *filter;
};

struct broker_acl {
    char *file;
    bool unknown;         /* the rules come from elsewhere, too */
    bool each;            /* per_listener_settings: each listener has an ACL of its own, or none */
    size_t here, of_file; /* how many `listener` lines came before this line, and before acl_file */
    unsigned *ports;      /* of the listeners. The first is the default one, without a `listener` line */
    struct rule *rules;
    size_t count;
};

/* ---- reading ---- */

static void take_port(struct broker_acl *acl, size_t listener, const char *rest)
{
    acl->ports = xrealloc(acl->ports, (acl->here + 1) * sizeof *acl->ports);
    acl->ports[listener] = (unsigned)strtoul(rest, NULL, 10);
}

static void take_setting(void *context, const char *word, char *rest)
{
    struct broker_acl *acl = context;
    if (strcmp(word, "per_listener_settings") == 0)
        acl->each = mosquitto_true(rest);
    if (strcmp(word, "listener") == 0)
        take_port(acl, ++acl->here, rest);
    if (strcmp(word, "port") == 0)
        take_port(acl, 0, rest);
    if (strcmp(word, "plugin") == 0 || strcmp(word, "auth_plugin") == 0)
        acl->unknown = true;
    if (strcmp(word, "acl_file") != 0)
        return;
    acl->unknown = acl->unknown || (acl->file && strcmp(acl->file, rest) != 0);
    free(acl->file);
    acl->file = xstrdup(rest);
    acl->of_file = acl->here;
}

static void take_rule(void *context, const char *word, char *rest)
{
    struct broker_acl *acl = context;
    bool pattern = strcmp(word, "pattern") == 0, user = strcmp(word, "user") == 0;
    const char *last = acl->count > 0 ? acl->rules[acl->count - 1].user : NULL, *why;
    struct rule rule = {.user = user ? xstrdup(rest) : last ? xstrdup(last) : NULL, .pattern = pattern};
    size_t bytes = strcspn(rest, " \t");
    char *filter = rest[bytes] ? rest + bytes + strspn(rest + bytes, " \t") : rest;
    cleanup_free char *access = filter == rest ? xstrdup("readwrite") : xstrndup(rest, bytes);
    rule.read = strcmp(access, "read") == 0 || strcmp(access, "readwrite") == 0;
    rule.write = strcmp(access, "write") == 0 || strcmp(access, "readwrite") == 0;
    rule.deny = strcmp(access, "deny") == 0;
    if (!user && (pattern || strcmp(word, "topic") == 0) && topic_filter_valid(filter, &why))
        rule.filter = xstrdup(filter);
    acl->rules = xrealloc(acl->rules, (acl->count + 1) * sizeof *acl->rules);
    acl->rules[acl->count++] = rule; /* without a filter: it says whose the next ones are */
}

struct broker_acl *broker_acl_read(const char *directory)
{
    struct broker_acl *acl = xcalloc(1, sizeof *acl);
    take_port(acl, 0, "1883");
    if (mosquitto_settings(directory, take_setting, acl) && acl->file && !acl->unknown &&
        mosquitto_lines(acl->file, take_rule, acl))
        return acl;
    broker_acl_free(acl);
    return NULL;
}

void broker_acl_free(struct broker_acl *acl)
{
    if (!acl)
        return;
    for (size_t i = 0; i < acl->count; i++) {
        free(acl->rules[i].user);
        free(acl->rules[i].filter);
    }
    free(acl->rules);
    free(acl->ports);
    free(acl->file);
    free(acl);
}

/* Whether a client of this port meets the rules: with per_listener_settings, the only listener of that
 * port must have them. */
static bool concerns_port(const struct broker_acl *acl, unsigned port)
{
    size_t same = 0;
    for (size_t i = acl->of_file > 0; i <= acl->here; i++)
        same += acl->ports[i] == port;
    return !acl->each || (acl->ports[acl->of_file] == port && same == 1);
}

/* ---- what the rules allow ---- */

enum who { SLUICE, OTHERS };
enum access { READ, WRITE };

struct judgement {
    const struct broker_acl *acl;
    const struct config *config;
    struct config_errors *lines;
    bool others;        /* there are rules for clients other than sluice, */
    bool unnamed;       /* for those without a name, */
    bool several;       /* for several with names */
    const char *device; /* otherwise the only one with a name, or NULL */
};

static bool same_user(const char *one, const char *other)
{
    return one == other || (one && other && strcmp(one, other) == 0);
}

/* The filter of a pattern, for this user, or for any; the caller frees it. */
static char *expand(const char *pattern, enum who who, const struct config_broker *broker)
{
    struct buf filter cleanup_buf;
    buf_init(&filter, BUF_MOST_BYTES);
    for (const char *level = pattern;; level++) {
        size_t bytes = strcspn(level, "/");
        cleanup_free char *text = xstrndup(level, bytes);
        bool named = strstr(text, "%u") || strstr(text, "%c");
        const char *own = strcmp(text, "%u") == 0   ? broker->username
                          : strcmp(text, "%c") == 0 ? broker->client_id
                                                    : NULL;
        buf_append_text(&filter, !named ? text : who == SLUICE && own ? own : "+");
        level += bytes;
        if (!*level)
            return xstrdup(buf_text(&filter));
        buf_append_char(&filter, '/');
    }
}

/* Whether a rule is about these clients, and about this filter: the whole of it for sluice, and a
 * part of it for devices. */
static bool rule_concerns(const struct judgement *judgement, const struct rule *rule, enum who who,
                          const char *filter, bool whole)
{
    const struct config_broker *broker = &judgement->config->broker;
    bool own = same_user(rule->user, broker->username);
    if (!rule->filter || (!rule->pattern && own != (who == SLUICE)))
        return false;
    cleanup_free char *expanded = rule->pattern ? expand(rule->filter, who, broker) : xstrdup(rule->filter);
    return whole ? topic_filter_covers(expanded, filter) : topic_filters_meet(expanded, filter);
}

static bool is_denied(const struct judgement *judgement, const char *user, enum who who, const char *filter)
{
    for (size_t i = 0; i < judgement->acl->count; i++) {
        const struct rule *rule = &judgement->acl->rules[i];
        if (rule->deny && (rule->pattern || same_user(rule->user, user)) &&
            rule_concerns(judgement, rule, who, filter, who == OTHERS))
            return true;
    }
    return false;
}

static bool is_allowed(const struct judgement *judgement, enum who who, enum access access,
                       const char *filter)
{
    for (size_t i = 0; i < judgement->acl->count; i++) {
        const struct rule *rule = &judgement->acl->rules[i];
        if ((access == READ ? rule->read : rule->write) &&
            rule_concerns(judgement, rule, who, filter, who == SLUICE) &&
            !is_denied(judgement, rule->user, who, filter))
            return true;
    }
    return false;
}

/* ---- the lines ---- */

static bool has_user(const struct broker_acl *acl, const char *user)
{
    for (size_t i = 0; i < acl->count; i++)
        if (same_user(acl->rules[i].user, user))
            return true;
    return false;
}

/* How to add a rule for sluice or for devices; the caller frees it. */
static char *remedy(const struct judgement *judgement, enum who who, const char *verb, const char *filter)
{
    const char *user = who == SLUICE ? judgement->config->broker.username : judgement->device;
    if (who == OTHERS && judgement->several)
        return xasprintf("add the line 'topic %s %s' below the line 'user ...' of your devices", verb,
                         filter);
    if (who == OTHERS && !user && !judgement->unnamed)
        return xasprintf("append the line 'pattern %s %s'", verb, filter);
    if (!user)
        return xasprintf("add the line 'topic %s %s' as its first line", verb, filter);
    if (!has_user(judgement->acl, user))
        return xasprintf("append the two lines 'user %s' and 'topic %s %s'", user, verb, filter);
    return xasprintf("add the line 'topic %s %s' below its line 'user %s'", verb, filter, user);
}

static void judge_filter(const struct judgement *judgement, const struct config_route *route, const char *key,
                         const char *filter, enum access of_sluice)
{
    const char *file = judgement->acl->file, *own = judgement->config->broker.username;
    static const char *const verb[] = {[READ] = "read", [WRITE] = "write"};
    enum access of_devices = of_sluice == READ ? WRITE : READ;
    if (!is_allowed(judgement, SLUICE, of_sluice, filter)) {
        cleanup_free char *how = remedy(judgement, SLUICE, verb[of_sluice], filter);
        config_errors_add(judgement->lines,
                          "route %s: %s: %s does not let %s%s %s %s: %s; then systemctl reload mosquitto",
                          route->name, key, file, own ? "the user " : "a client without a user name",
                          own ? own : "", verb[of_sluice], filter, how);
    }
    if (judgement->others && !is_allowed(judgement, OTHERS, of_devices, filter)) {
        cleanup_free char *how = remedy(judgement, OTHERS, verb[of_devices], filter);
        config_errors_add(judgement->lines,
                          "route %s: %s: %s lets no device %s %s, %s: %s; then systemctl reload mosquitto",
                          route->name, key, file, verb[of_devices], filter,
                          of_sluice == READ ? "so no message arrives" : "so none gets its acknowledgements",
                          how);
    }
}

static void find_others(struct judgement *judgement)
{
    const struct broker_acl *acl = judgement->acl;
    for (size_t i = 0; i < acl->count; i++) {
        const struct rule *rule = &acl->rules[i];
        bool other = !same_user(rule->user, judgement->config->broker.username);
        bool unnamed = other && !rule->user && rule->filter && !rule->pattern;
        bool named = other && rule->user;
        judgement->unnamed = judgement->unnamed || unnamed;
        judgement->others = judgement->others || rule->pattern || unnamed || named;
        judgement->several =
            judgement->several || (named && judgement->device && !same_user(rule->user, judgement->device));
        if (named)
            judgement->device = rule->user;
    }
}

void broker_acl_judge(const struct broker_acl *acl, const struct config *config, struct config_errors *ret)
{
    struct judgement judgement = {.acl = acl, .config = config, .lines = ret};
    if (!acl || !address_is_own(config->broker.host) || !concerns_port(acl, config->broker.port))
        return;
    find_others(&judgement);
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = &config->routes[i];
        for (size_t j = 0; j < route->topics.count; j++)
            judge_filter(&judgement, route, "topic", route->topics.items[j], READ);
        if (!route->ack_topic)
            continue;
        cleanup_free char *filter = topic_template_filter(route->ack_topic);
        judge_filter(&judgement, route, "ack_topic", filter, WRITE);
    }
}
