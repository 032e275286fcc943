/* message/fields.c - what a route adds to JSON; see message/fields.h.
 *
 * Whatever does not depend on the message is made while the configuration is
 * read: literal text is kept escaped as it goes into JSON, and a template without
 * references is one such text. So giving a field its value is a few appends.
 */
#include "message/fields.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "message/topic.h"
#include "text/json.h"
#include "text/nearest.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum what {
    TEXT,
    LEVEL,
    TOPIC,
    KEY,
    GATEWAY,
    RECEIVED,
    RECEIVED_S,
    RECEIVED_MS,
    MEASURED_S,
    AGE_MS,
    CLOCK,
    LATE_SINCE,
};

static const struct {
    const char *name;
    enum what what;
    bool number;
} references[] = {
    {"topic", TOPIC, false},          {"key", KEY, false},
    {"gateway", GATEWAY, false},      {"received", RECEIVED, false},
    {"received_s", RECEIVED_S, true}, {"received_ms", RECEIVED_MS, true},
    {"measured_s", MEASURED_S, true}, {"age_ms", AGE_MS, true},
    {"clock", CLOCK, false},          {"late_since", LATE_SINCE, false},
};

#define LEVEL_MOST 99u

/* Literal text or a reference. */
struct part {
    enum what what;
    unsigned level; /* LEVEL */
    char *text;     /* TEXT: as it goes into JSON */
};

struct field {
    char *name;
    struct part *parts;
    size_t count;
    bool bare; /* a number or a word: no quotes around it */
};

struct fields {
    struct field *list;
    size_t count;
};

static int __attribute__((warn_unused_result)) refuse(char **ret_why, char *why)
{
    *ret_why = why;
    return -EINVAL;
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/* The length without the blanks at the end. */
static size_t trimmed(const char *text, size_t bytes)
{
    while (bytes > 0 && (text[bytes - 1] == ' ' || text[bytes - 1] == '\t'))
        bytes--;
    return bytes;
}

/* -- reading a template -- */

static void add_part(struct field *field, struct part part)
{
    field->parts = xrealloc(field->parts, (field->count + 1) * sizeof(part));
    field->parts[field->count++] = part;
}

/* Turns literal text into a part, and empties it. */
static void add_text(struct field *field, struct buf *literal)
{
    struct buf escaped;
    buf_init(&escaped, 6 * literal->bytes); /* no escape is longer */
    if (literal->bytes > 0 && json_append_escaped(&escaped, literal->data, literal->bytes) == 0)
        add_part(field, (struct part){.what = TEXT, .text = xstrdup(buf_text(&escaped))});
    buf_done(&escaped);
    buf_reset(literal);
}

/* All references, as an error's text tells them; the caller frees it. */
static char *all_references(void)
{
    char *all = xasprintf("{1} to {%u}", LEVEL_MOST);
    for (size_t i = 0; i < ARRAY_LEN(references); i++) {
        char *longer =
            xasprintf("%s%s{%s}", all, i + 1 < ARRAY_LEN(references) ? ", " : " and ", references[i].name);
        free(all);
        all = longer;
    }
    return all;
}

static int refuse_reference(const char *word, char **ret_why)
{
    const char *known[ARRAY_LEN(references)];
    for (size_t i = 0; i < ARRAY_LEN(references); i++)
        known[i] = references[i].name;
    size_t near = nearest_find(word, known, ARRAY_LEN(known));
    cleanup_free char *all = all_references();
    if (near != SIZE_MAX)
        return refuse(ret_why,
                      xasprintf("{%s} is unknown; did you mean {%s}? There are %s", word, known[near], all));
    return refuse(ret_why, xasprintf("{%s} is unknown; there are %s", word, all));
}

/* The part for what stands between two braces. */
static int parse_reference(const char *text, size_t bytes, struct part *ret, char **ret_why)
{
    cleanup_free char *word = xstrndup(text, bytes);
    for (size_t i = 0; i < ARRAY_LEN(references); i++) {
        if (strcmp(word, references[i].name) == 0) {
            *ret = (struct part){.what = references[i].what};
            return 0;
        }
    }
    if (*word == '\0' || word[strspn(word, "0123456789")])
        return refuse_reference(word, ret_why);
    if (*word == '0' || bytes > 2)
        return refuse(ret_why, xasprintf("{%s} is no topic level: they are {1} to {%u}", word, LEVEL_MOST));
    *ret = (struct part){.what = LEVEL, .level = (unsigned)strtoul(word, NULL, 10)};
    return 0;
}

/* Cuts a template into parts. */
static int parse_parts(struct field *field, const char *at, const char *end, char **ret_why)
{
    cleanup_buf struct buf literal;
    buf_init(&literal, (size_t)(end - at));
    while (at < end) {
        if ((*at == '{' || *at == '}') && at + 1 < end && at[1] == *at) {
            buf_append_char(&literal, *at);
            at += 2;
        } else if (*at == '{') {
            const char *open = at + 1;
            const char *close = memchr(open, '}', (size_t)(end - open));
            struct part part;
            if (!close)
                return refuse(ret_why, xasprintf("'%s' has a '{' without its '}'; a '{' itself is written {{",
                                                 field->name));
            add_text(field, &literal);
            int r = parse_reference(open, (size_t)(close - open), &part, ret_why);
            if (r < 0)
                return r;
            add_part(field, part);
            at = close + 1;
        } else if (*at == '}') {
            return refuse(ret_why, xasprintf("'%s' has a '}' without its '{'; a '}' itself is written }}",
                                             field->name));
        } else {
            buf_append_char(&literal, *at++);
        }
    }
    add_text(field, &literal);
    return 0;
}

static bool is_number(const struct part *part)
{
    for (size_t i = 0; i < ARRAY_LEN(references); i++)
        if (references[i].what == part->what)
            return references[i].number;
    if (part->what != TEXT)
        return false;
    const char *end = part->text + strlen(part->text);
    return json_number_end(part->text, end) == end;
}

static bool is_word(const struct part *part)
{
    return part->what == TEXT && (strcmp(part->text, "true") == 0 || strcmp(part->text, "false") == 0 ||
                                  strcmp(part->text, "null") == 0);
}

/* Copies a quoted text whose opening quote is at *at, without quotes and
 * backslashes, and moves *at behind it. */
static int parse_quoted(const char *name, const char **at, struct buf *out, char **ret_why)
{
    const char *c = *at + 1;
    for (; *c && *c != '"'; c++) {
        if (*c == '\\' && c[1] != '"' && c[1] != '\\')
            return refuse(ret_why,
                          xasprintf("a '\\' in the quotes of '%s' must stand before '\"' or '\\'", name));
        if (*c == '\\')
            c++;
        buf_append_char(out, *c);
    }
    if (!*c)
        return refuse(ret_why, xasprintf("the quotes of '%s' are not closed: another '\"' is missing", name));
    *at = skip_blanks(c + 1);
    if (**at && **at != ',')
        return refuse(ret_why,
                      xasprintf("behind the quotes of '%s' only a ',' and the next field may follow", name));
    return 0;
}

/* A template up to its ',' or the end, which *at is moved to. */
static int parse_template(struct field *field, const char **at, char **ret_why)
{
    if (**at == '"') {
        cleanup_buf struct buf text;
        buf_init(&text, strlen(*at));
        int r = parse_quoted(field->name, at, &text, ret_why);
        if (r < 0)
            return r;
        return parse_parts(field, buf_text(&text), buf_text(&text) + text.bytes, ret_why);
    }
    const char *text = *at;
    *at += strcspn(*at, ",");
    size_t bytes = trimmed(text, (size_t)(*at - text));
    if (bytes == 0)
        return refuse(ret_why, xasprintf("'%s' has no value; an empty text is written %s=\"\"", field->name,
                                         field->name));
    if (memchr(text, '=', bytes))
        return refuse(ret_why,
                      xasprintf("'%s=%.*s' has a second '=': separate fields by ',', or put the text into "
                                "double quotes",
                                field->name, (int)bytes, text));
    if (memchr(text, '"', bytes))
        return refuse(ret_why, xasprintf("the quotes of '%s' must enclose all of its text", field->name));
    int r = parse_parts(field, text, text + bytes, ret_why);
    field->bare = field->count == 1 && (is_number(&field->parts[0]) || is_word(&field->parts[0]));
    return r;
}

/* -- reading the list -- */

static const struct field *find_field(const struct fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++)
        if (strcmp(fields->list[i].name, name) == 0)
            return &fields->list[i];
    return NULL;
}

static int check_name(const struct fields *fields, const char *name, char **ret_why)
{
    if (!*name)
        return refuse(ret_why,
                      xstrdup("a field's name is missing; write fields as NAME=VALUE, such as host={2}"));
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f || strchr("\"{}\\", *c))
            return refuse(ret_why, xasprintf("'%s' is no name: it must be without blanks, quotes, braces and "
                                             "backslashes",
                                             name));
    if (fields->count == FIELDS_MOST)
        return refuse(ret_why, xasprintf("'%s' is one too many: %u are the most", name, FIELDS_MOST));
    if (find_field(fields, name))
        return refuse(ret_why, xasprintf("'%s' is given twice", name));
    return 0;
}

/* One field and the ',' behind it. */
static int parse_field(struct fields *fields, const char **at, char **ret_why)
{
    *at = skip_blanks(*at);
    size_t bytes = strcspn(*at, "=,");
    cleanup_free char *name = xstrndup(*at, trimmed(*at, bytes));
    *at += bytes;
    int r = check_name(fields, name, ret_why);
    if (r < 0)
        return r;
    if (**at != '=')
        return refuse(ret_why,
                      xasprintf("'%s' has no value: write %s=VALUE, such as %s={2}", name, name, name));
    *at = skip_blanks(*at + 1);

    fields->list = xrealloc(fields->list, (fields->count + 1) * sizeof(*fields->list));
    struct field *field = &fields->list[fields->count++];
    *field = (struct field){.name = xstrdup(name)};
    r = parse_template(field, at, ret_why);
    if (r < 0 || !**at)
        return r;
    *at = skip_blanks(*at + 1);
    return **at ? 0 : refuse(ret_why, xstrdup("behind the last ',' a field is missing; leave the ',' out"));
}

int fields_parse(const char *text, struct fields **ret, char **ret_why)
{
    if (!utf8_valid(text, strlen(text)))
        return refuse(ret_why, xstrdup("it is not valid UTF-8"));
    struct fields *fields = xcalloc(1, sizeof(*fields));
    int r;
    do {
        r = parse_field(fields, &text, ret_why);
    } while (r == 0 && *text);
    if (r < 0) {
        fields_free(fields);
        return r;
    }
    *ret = fields;
    return 0;
}

void fields_free(struct fields *fields)
{
    if (!fields)
        return;
    for (size_t i = 0; i < fields->count; i++) {
        struct field *field = &fields->list[i];
        for (size_t k = 0; k < field->count; k++)
            free(field->parts[k].text);
        free(field->parts);
        free(field->name);
    }
    free(fields->list);
    free(fields);
}

size_t fields_count(const struct fields *fields)
{
    return fields ? fields->count : 0;
}

const char *fields_name(const struct fields *fields, size_t field)
{
    assert(field < fields_count(fields));
    return fields->list[field].name;
}

unsigned fields_highest_level(const struct fields *fields)
{
    unsigned highest = 0;
    for (size_t i = 0; i < fields_count(fields); i++)
        for (size_t k = 0; k < fields->list[i].count; k++)
            if (fields->list[i].parts[k].level > highest)
                highest = fields->list[i].parts[k].level;
    return highest;
}

/* -- writing a value -- */

/* Rounded down, before 1970 as well. */
static int64_t whole_seconds(int64_t ms)
{
    return ms / 1000 - (ms % 1000 < 0 ? 1 : 0);
}

bool fields_has_value(const struct fields *fields, size_t number, const struct message *message,
                      const struct fields_facts *facts)
{
    assert(number < fields_count(fields));
    const struct field *field = &fields->list[number];
    for (size_t i = 0; i < field->count; i++) {
        const struct part *part = &field->parts[i];
        const char *level;
        size_t bytes;
        if ((part->what == LEVEL && !topic_level(message->topic, part->level, &level, &bytes)) ||
            (part->what == GATEWAY && !facts->gateway) || (part->what == AGE_MS && facts->age_ms < 0) ||
            (part->what == LATE_SINCE && !message->late))
            return false;
    }
    return true;
}

static int append_level(const struct message *message, unsigned level, struct buf *out)
{
    const char *text = NULL;
    size_t bytes = 0;
    bool there = topic_level(message->topic, level, &text, &bytes);
    assert(there);
    return json_append_escaped(out, text, bytes);
}

static int append_part(const struct part *part, const struct message *message,
                       const struct fields_facts *facts, struct buf *out)
{
    char time[CLOCK_RFC3339_BYTES];
    switch (part->what) {
    case TEXT:
        return buf_append_text(out, part->text);
    case LEVEL:
        return append_level(message, part->level, out);
    case TOPIC:
        return json_append_escaped(out, message->topic, strlen(message->topic));
    case KEY:
        return json_append_escaped(out, message->key, strlen(message->key));
    case GATEWAY:
        return json_append_escaped(out, facts->gateway, strlen(facts->gateway));
    case RECEIVED:
        clock_format_rfc3339(message->received_ms, time);
        return buf_append_text(out, time);
    case RECEIVED_S:
        return buf_append_number(out, whole_seconds(message->received_ms));
    case RECEIVED_MS:
        return buf_append_number(out, message->received_ms);
    case MEASURED_S:
        return buf_append_number(out, whole_seconds(message->received_ms - facts->measured_ago_ms));
    case AGE_MS:
        return buf_append_number(out, facts->age_ms);
    case CLOCK:
        return buf_append_text(out, message->clock_synchronised ? "synchronised" : "unsynchronised");
    case LATE_SINCE:
        clock_format_rfc3339(message->late_since_ms, time);
        return buf_append_text(out, time);
    }
    abort(); /* there is no other kind */
}

int fields_append_value(const struct fields *fields, size_t number, const struct message *message,
                        const struct fields_facts *facts, struct buf *out)
{
    assert(number < fields_count(fields));
    const struct field *field = &fields->list[number];
    size_t before = out->bytes;
    int r = field->bare ? 0 : buf_append_char(out, '"');
    for (size_t i = 0; i < field->count && r == 0; i++)
        r = append_part(&field->parts[i], message, facts, out);
    if (r == 0 && !field->bare)
        r = buf_append_char(out, '"');
    if (r < 0)
        buf_cut(out, before);
    return r;
}
