/* config/delivery.c - values that say what is made of a message, and what the
 * backend's answers mean. */
#include "config/values.h"
#include "text/nearest.h"
#include <string.h>

/* -- bodies -- */

void config_set_body(struct config_parser *parser, struct config_section *section,
                     const struct config_key *key, const char *value)
{
    static const char *const names[3] = {
        [CONFIG_BODY_RAW] = "raw", [CONFIG_BODY_JSON] = "json", [CONFIG_BODY_ENVELOPE] = "envelope"};
    int chosen = config_value_choice(parser, key, value, names);

    if (chosen >= 0)
        *(enum config_body *)config_key_field(parser, section, key) = (enum config_body)chosen;
}

void config_set_not_object(struct config_parser *parser, struct config_section *section,
                           const struct config_key *key, const char *value)
{
    static const char *const names[3] = {[CONFIG_NOT_OBJECT_DEAD] = "dead", [CONFIG_NOT_OBJECT_RAW] = "raw"};
    int chosen = config_value_choice(parser, key, value, names);

    if (chosen >= 0)
        *(enum config_not_object *)config_key_field(parser, section, key) = (enum config_not_object)chosen;
}

void config_set_batch_format(struct config_parser *parser, struct config_section *section,
                             const struct config_key *key, const char *value)
{
    static const char *const names[3] = {[CONFIG_FORMAT_ARRAY] = "array", [CONFIG_FORMAT_NDJSON] = "ndjson"};
    int chosen = config_value_choice(parser, key, value, names);

    if (chosen >= 0)
        *(enum config_format *)config_key_field(parser, section, key) = (enum config_format)chosen;
}

/* The key may have several lines: a list of fields easily outgrows one. Each must
 * be right by itself, so that its error is told at its own line, and then in one
 * list with those before it, in which no name comes twice. */
void config_set_add(struct config_parser *parser, struct config_section *section,
                    const struct config_key *key, const char *value)
{
    struct fields **field = config_key_field(parser, section, key);
    struct fields *fields = NULL;
    cleanup_free char *why = NULL;
    char *all = section->add ? xasprintf("%s, %s", section->add, value) : xstrdup(value);

    int error = fields_parse(value, &fields, &why);
    if (error == 0 && section->add) {
        fields_free(fields);
        fields = NULL;
        error = fields_parse(all, &fields, &why);
    }
    if (error < 0) {
        config_value_error(parser, key, value, "%s", why);
        free(all);
        return;
    }
    free(section->add);
    section->add = all;
    fields_free(*field);
    *field = fields;
}

/* -- answers -- */

static const char *const meanings[] = {
    [CONFIG_MEANS_DELIVERED] = "delivered", [CONFIG_MEANS_DEAD] = "dead", [CONFIG_MEANS_LATER] = "later",
    [CONFIG_MEANS_RETRY] = "retry",         [CONFIG_MEANS_HOLD] = "hold",
};

/* The place of a meaning, or -1 after reporting. */
static int find_meaning(struct config_parser *parser, const struct config_key *key, const char *value,
                        const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
        if (strcmp(word, meanings[i]) == 0)
            return (int)i;
    if (!*word) {
        config_value_error(parser, key, value,
                           "a meaning is missing behind ':'; a status means delivered, dead, later, retry or "
                           "hold");
        return -1;
    }
    size_t near = nearest_find(word, meanings, ARRAY_LEN(meanings));
    if (near != SIZE_MAX)
        config_value_error(parser, key, value, "unknown meaning '%s'; did you mean '%s'?", word,
                           meanings[near]);
    else
        config_value_error(parser, key, value,
                           "unknown meaning '%s'; a status means delivered, dead, later, retry or hold",
                           word);
    return -1;
}

/* "404" as a number, or 0. */
static int status_number(const char *text)
{
    if (strlen(text) != 3 || strspn(text, "0123456789") != 3 || text[0] < '1' || text[0] > '5')
        return 0;
    return (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
}

/* Keeps the rules in the order of their statuses. False: there is one for it. */
static bool insert_rule(struct config_answers *answers, struct config_status_rule rule)
{
    size_t at = 0;

    while (at < answers->rule_count && answers->rules[at].status < rule.status)
        at++;
    if (at < answers->rule_count && answers->rules[at].status == rule.status)
        return false;
    answers->rules = xrealloc(answers->rules, (answers->rule_count + 1) * sizeof(*answers->rules));
    memmove(answers->rules + at + 1, answers->rules + at,
            (answers->rule_count - at) * sizeof(*answers->rules));
    answers->rules[at] = rule;
    answers->rule_count++;
    return true;
}

/* Takes the blanks around a text away, in place. */
static char *trimmed(char *text)
{
    text += strspn(text, " \t");
    char *end = text + strlen(text);
    while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = '\0';
    return text;
}

/* Takes one STATUS:MEANING, in a copy of its own. */
static void take_rule(struct config_parser *parser, struct config_section *section,
                      const struct config_key *key, const char *value, char *text)
{
    char *status = trimmed(text), *word = strchr(status, ':');

    if (!*status) {
        config_value_error(parser, key, value,
                           "a STATUS:MEANING is missing beside a ','; add it, or leave the "
                           "',' out");
        return;
    }
    if (!word) {
        config_value_error(parser, key, value, "'%s' must be STATUS:MEANING, such as 404:dead", status);
        return;
    }
    *word++ = '\0';
    status = trimmed(status);
    word = trimmed(word);
    int number = status_number(status);
    if (number == 0) {
        config_value_error(parser, key, value, "'%s' is no status; it must be a number from 100 to 599",
                           status);
        return;
    }
    int meaning = find_meaning(parser, key, value, word);
    if (meaning < 0)
        return;
    struct config_status_rule rule = {.status = number, .meaning = (enum config_meaning)meaning};
    if (!insert_rule(config_key_field(parser, section, key), rule))
        config_value_error(parser, key, value, "%d has a meaning already; keep one of the two", number);
}

void config_set_on_status(struct config_parser *parser, struct config_section *section,
                          const struct config_key *key, const char *value)
{
    cleanup_free char *copy = xstrdup(value);
    char *next = copy;

    while (next)
        take_rule(parser, section, key, value, strsep(&next, ","));
}
