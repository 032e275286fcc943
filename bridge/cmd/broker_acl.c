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
    bool unknown; /* the rules come from elsewhere, too */
    struct rule *rules;
    size_t count;
};

/* ---- reading ---- */

static void take_setting(void *context, const char *word, char *rest)
{
    struct broker_acl *acl = context;
    bool is_of_listener = strcmp(word, "per_listener_settings") == 0 && strcmp(rest, "false") != 0;
    if (is_of_listener || strcmp(word, "plugin") == 0 || strcmp(word, "auth_plugin") == 0)
        acl->unknown = true;
    if (strcmp(word, "acl_file") != 0)
        return;
    acl->unknown = acl->unknown || (acl->file && strcmp(acl->file, rest) != 0);
    free(acl->file);
    acl->file = xstrdup(rest);
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
    free(acl->file);
    free(acl);
}

/* ---- what the rules allow ---- */

enum who { SLUICE, OTHERS };
enum access { READ, WRITE };

struct judgement {
    const struct broker_acl *acl;
    const struct config *config;
    struct config_errors *lines;
    bool others;        /* there are rules for clients other than sluice */
    const char *device; /* the only other user with a name; NULL: there are several, or none */
};

static bool same_user(const char *one, const char *other)
{
    return one == other || (one && other && strcmp(one, other) == 0);
}

/* The filter of a pattern, for this user, or for any; the caller frees it. */
static char *expand(const char *pattern, enum who who, const struct config_broker *broker)
{
    struct buf filter cleanup_buf;
    buf_init(&filter, SIZE_MAX / 4);
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

/* "below its line 'user device'"; the caller frees it. */
static char *place_of(const struct broker_acl *acl, const char *user, bool known)
{
    bool is_there = false;
    for (size_t i = 0; user && i < acl->count; i++)
        is_there = is_there || same_user(acl->rules[i].user, user);
    return !known     ? xstrdup("below the line 'user ...' of your devices")
           : !user    ? xstrdup("as its first line")
           : is_there ? xasprintf("below its line 'user %s'", user)
                      : xasprintf("at its end, below a new line 'user %s'", user);
}

static void judge_filter(const struct judgement *judgement, const struct config_route *route, const char *key,
                         const char *filter, enum access of_sluice)
{
    const char *file = judgement->acl->file, *own = judgement->config->broker.username;
    static const char *const verb[] = {[READ] = "read", [WRITE] = "write"};
    enum access of_devices = of_sluice == READ ? WRITE : READ;
    if (!is_allowed(judgement, SLUICE, of_sluice, filter)) {
        cleanup_free char *place = place_of(judgement->acl, own, true);
        config_errors_add(judgement->lines,
                          "route %s: %s: %s does not let %s%s %s %s: add the line 'topic %s %s' %s; then "
                          "systemctl reload mosquitto",
                          route->name, key, file, own ? "the user " : "a client without a user name",
                          own ? own : "", verb[of_sluice], filter, verb[of_sluice], filter, place);
    }
    if (judgement->others && !is_allowed(judgement, OTHERS, of_devices, filter)) {
        cleanup_free char *place = place_of(judgement->acl, judgement->device, judgement->device);
        config_errors_add(judgement->lines,
                          "route %s: %s: %s lets no device %s %s, %s: add the line 'topic %s %s' %s; then "
                          "systemctl reload mosquitto",
                          route->name, key, file, verb[of_devices], filter,
                          of_sluice == READ ? "so no message arrives" : "so none gets its acknowledgements",
                          verb[of_devices], filter, place);
    }
}

static void find_others(struct judgement *judgement)
{
    const struct broker_acl *acl = judgement->acl;
    bool several = false;
    for (size_t i = 0; i < acl->count; i++) {
        const char *user = acl->rules[i].user;
        bool other = !same_user(user, judgement->config->broker.username);
        judgement->others =
            judgement->others || acl->rules[i].pattern || (other && (user || acl->rules[i].filter));
        several = several || (other && user && judgement->device && !same_user(user, judgement->device));
        if (other && user)
            judgement->device = user;
    }
    if (several)
        judgement->device = NULL;
}

void broker_acl_judge(const struct broker_acl *acl, const struct config *config, struct config_errors *ret)
{
    struct judgement judgement = {.acl = acl, .config = config, .lines = ret};
    if (!acl || !address_is_own(config->broker.host))
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
