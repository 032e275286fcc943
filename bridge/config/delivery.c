/* config/delivery.c - the types of routes: topics, paths, bodies, and what responses mean. */
#include "config/values.h"
#include "message/topic.h"
#include "message/topic_template.h"
#include "text/nearest.h"
#include <string.h>

/* ---- topics and paths ---- */

static void topics_done(void *field)
{
    struct config_topics *topics = field;

    for (size_t i = 0; i < topics->count; i++)
        free(topics->items[i]);
    free(topics->items);
    *topics = (struct config_topics){0};
}

/* MQTT has neither '!' nor '*'. A topic may have them, but whoever writes them here means
 * something else, and would get nothing, without an error. */
static const char *borrowed_sign(const char *filter)
{
    if (*filter == '!')
        return "MQTT has no '!'; to leave topics out of a route, write except = and the filter; for a topic "
               "that begins with a '!', write + in place of this level";
    if (strchr(filter, '*'))
        return "MQTT has no '*': + stands for one level, and # at the end for all levels that follow; a "
               "level whose name has a '*' is matched by + only";
    return NULL;
}

static void set_topic(const struct config_value *value)
{
    struct config_topics *topics = value->field;
    const char *text = value->text, *name = value->key->name, *why = borrowed_sign(text);
    size_t bytes = strlen(text);

    if (bytes > 1 && text[0] == '"' && text[bytes - 1] == '"') {
        config_value_error(value, "the quotes would be part of the topic; delete them");
        return;
    }
    if (strstr(text, ", ")) {
        config_value_error(value, "a line has one topic; write a line %s = ... for each", name);
        return;
    }
    if (why || !topic_filter_valid(text, &why)) {
        config_value_error(value, "%s", why);
        return;
    }
    for (size_t i = 0; i < topics->count; i++) {
        if (strcmp(topics->items[i], text) == 0) {
            config_value_error(value, "this route has that %s already; delete one of the two lines", name);
            return;
        }
    }
    config_append(topics, xstrdup(text));
}
DEFINE_TYPE(topic, .set = set_topic, .done = topics_done);

static void set_except(const struct config_value *value)
{
    if (topic_filter_is_shared(value->text))
        config_value_error(value, "sluice does not subscribe to it; write it without $share/GROUP/");
    else
        set_topic(value);
}
DEFINE_TYPE(except, .set = set_except, .done = topics_done);

static void set_backend(const struct config_value *value)
{
    value->section->backend = xstrdup(value->text); /* config/validate_route.c finds its index */
}
DEFINE_TYPE(backend, .set = set_backend);

static void path_template_done(void *field)
{
    path_template_free(*(struct path_template **)field);
    *(struct path_template **)field = NULL;
}

static void set_path_template(const struct config_value *value)
{
    struct path_template *path;
    cleanup_free char *why = NULL;

    if (path_template_parse(value->text, &path, &why) < 0) {
        config_value_error(value, "%s", why);
        return;
    }
    path_template_done(value->field);
    *(struct path_template **)value->field = path;
}
DEFINE_TYPE(path_template, .set = set_path_template, .done = path_template_done);

static void set_topic_template(const struct config_value *value)
{
    const char *why = NULL;

    if (!topic_template_valid(value->text, &why))
        config_value_error(value, "%s", why);
    else
        config_text_set(value, xstrdup(value->text));
}
DEFINE_TEXT_TYPE(topic_template, set_topic_template);

/* ---- bodies ---- */

DEFINE_TYPE(
    order, .set = config_choice_set,
    .choices = {
        [CONFIG_ORDER_TOPIC] = "topic", [CONFIG_ORDER_ROUTE] = "route", [CONFIG_ORDER_NONE] = "none"});
DEFINE_TYPE(body, .set = config_choice_set,
            .choices = {
                [CONFIG_BODY_RAW] = "raw", [CONFIG_BODY_JSON] = "json", [CONFIG_BODY_ENVELOPE] = "envelope"});
DEFINE_TYPE(
    retained, .set = config_choice_set,
    .choices = {
        [CONFIG_RETAINED_REPORT] = "report", [CONFIG_RETAINED_NO] = "no", [CONFIG_RETAINED_YES] = "yes"});
DEFINE_TYPE(not_object, .set = config_choice_set,
            .choices = {[CONFIG_NOT_OBJECT_DEAD] = "dead",
                        [CONFIG_NOT_OBJECT_RAW] = "raw",
                        [CONFIG_NOT_OBJECT_IGNORE] = "ignore"});
DEFINE_TYPE(on_failure, .set = config_choice_set,
            .choices = {[CONFIG_ON_FAILURE_DEFER] = "defer", [CONFIG_ON_FAILURE_WAIT] = "wait"});
DEFINE_TYPE(html, .set = config_choice_set, .choices = {"warn", "ok"});
DEFINE_TYPE(batch_format, .set = config_choice_set,
            .choices = {[CONFIG_FORMAT_ARRAY] = "array", [CONFIG_FORMAT_NDJSON] = "ndjson"});

static void add_done(void *field)
{
    fields_free(*(struct fields **)field);
    *(struct fields **)field = NULL;
}

/* A line must be valid by itself, so that an error names its own line, and then together
 * with the lines before it, because no name may come twice. */
static void set_add(const struct config_value *value)
{
    struct config_section *section = value->section;
    struct fields *fields = NULL;
    cleanup_free char *why = NULL;
    char *all = section->add ? xasprintf("%s, %s", section->add, value->text) : xstrdup(value->text);

    int error = fields_parse(value->text, &fields, &why);
    if (error == 0 && section->add) {
        fields_free(fields);
        fields = NULL;
        error = fields_parse(all, &fields, &why);
    }
    if (error < 0) {
        config_value_error(value, "%s", why);
        free(all);
        return;
    }
    free(section->add);
    section->add = all;
    add_done(value->field);
    *(struct fields **)value->field = fields;
}
DEFINE_TYPE(add, .set = set_add, .done = add_done);

/* ---- what responses mean ---- */

#define MEANINGS "delivered, dead, later, retry or hold"
static const char *const meanings[] = {
    [CONFIG_MEANS_DELIVERED] = "delivered", [CONFIG_MEANS_DEAD] = "dead", [CONFIG_MEANS_LATER] = "later",
    [CONFIG_MEANS_RETRY] = "retry",         [CONFIG_MEANS_HOLD] = "hold",
};

/* The index of a meaning, or -1 after reporting. */
static int find_meaning(const struct config_value *value, const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
        if (strcmp(word, meanings[i]) == 0)
            return (int)i;
    size_t near = nearest_find(word, meanings, ARRAY_LEN(meanings));
    if (!*word)
        config_value_error(value, "a meaning is missing after ':'; it must be " MEANINGS);
    else if (near != SIZE_MAX)
        config_value_error(value, "unknown meaning '%s'; did you mean '%s'?", word, meanings[near]);
    else
        config_value_error(value, "unknown meaning '%s'; it must be " MEANINGS, word);
    return -1;
}

/* "404" as a number, or 0. */
static int status_number(const char *text)
{
    if (strlen(text) != 3 || strspn(text, "0123456789") != 3 || text[0] < '1' || text[0] > '5')
        return 0;
    return (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
}

/* Keeps the rules sorted by status. False: there is one for it already. */
static bool insert_rule(struct config_rules *rules, struct config_status_rule rule)
{
    size_t at = 0;

    while (at < rules->count && rules->items[at].status < rule.status)
        at++;
    if (at < rules->count && rules->items[at].status == rule.status)
        return false;
    config_append(rules, rule);
    memmove(rules->items + at + 1, rules->items + at, (rules->count - 1 - at) * sizeof(rule));
    rules->items[at] = rule;
    return true;
}

/* Takes one STATUS:MEANING. */
static void take_rule(const struct config_value *value, const char *text)
{
    size_t status_bytes = strcspn(text, ":");
    cleanup_free char *status = config_trimmed(text, status_bytes);

    if (!text[status_bytes]) {
        if (*status)
            config_value_error(value, "'%s' must be STATUS:MEANING, such as 404:dead", status);
        else
            config_value_error(value,
                               "STATUS:MEANING is missing before or after a ','; add it, or delete the ','");
        return;
    }
    cleanup_free char *word = config_trimmed(text + status_bytes + 1, strlen(text + status_bytes + 1));
    int number = status_number(status);
    if (number == 0) {
        config_value_error(value, "'%s' is not a status; it must be a number from 100 to 599", status);
        return;
    }
    int meaning = find_meaning(value, word);
    if (meaning < 0)
        return;
    struct config_status_rule rule = {.status = number, .meaning = (enum config_meaning)meaning};
    if (!insert_rule(value->field, rule))
        config_value_error(value, "%d has a meaning already; delete one of the two", number);
}

static void set_on_status(const struct config_value *value)
{
    cleanup_free char *copy = xstrdup(value->text);
    char *next = copy;

    while (next)
        take_rule(value, strsep(&next, ","));
}

static void rules_done(void *field)
{
    struct config_rules *rules = field;

    free(rules->items);
    *rules = (struct config_rules){0};
}
DEFINE_TYPE(on_status, .set = set_on_status, .done = rules_done);
