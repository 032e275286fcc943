/* message/fields.c - what a route adds to JSON; see message/fields.h.
 *
 * Whatever does not depend on the message is made while the configuration is
 * read: literal text is kept escaped as it goes into JSON, and a template without
 * references is one such text. So giving a field its value is a few appends.
 */
#include "message/fields.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "message/properties.h"
#include "message/reference.h"
#include "message/topic.h"
#include "text/json.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Literal text or a reference. */
struct part {
    char *text; /* as it goes into JSON; NULL: a reference */
    struct reference reference;
    char *property; /* {user.NAME}: the name */
};

struct field {
    char *name;
    struct part *parts;
    size_t count;
    bool bare; /* a number, true, false or null: no quotes around it */
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
        add_part(field, (struct part){.text = xstrdup(buf_text(&escaped))});
    buf_done(&escaped);
    buf_reset(literal);
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
            if (!memchr(at, '}', (size_t)(end - at)))
                return refuse(ret_why, xasprintf("'%s' has a '{' without its '}'; a '{' itself is written {{",
                                                 field->name));
            add_text(field, &literal);
            struct part part = {.text = NULL};
            const char *after = reference_parse(at, end, &part.reference);
            if (!after)
                return refuse(ret_why, reference_fault(at, end));
            if (part.reference.kind == REFERENCE_USER)
                part.property = xstrndup(part.reference.name, part.reference.bytes);
            part.reference.name = NULL; /* the text of the configuration goes */
            add_part(field, part);
            at = after;
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

/* A number, true, false or null: it has no quotes around it. */
static bool is_bare(const struct part *part)
{
    if (!part->text)
        return reference_is_bare(part->reference.kind);
    const char *end = part->text + strlen(part->text);
    return json_number_end(part->text, end) == end || strcmp(part->text, "true") == 0 ||
           strcmp(part->text, "false") == 0 || strcmp(part->text, "null") == 0;
}

/* Copies a quoted text whose opening quote is at *at, without quotes and
 * backslashes, and moves *at past it. */
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
                      xasprintf("after the quotes of '%s' only a ',' and the next field may follow", name));
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
    field->bare = field->count == 1 && is_bare(&field->parts[0]);
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

/* One field and the ',' after it. */
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
    return **at ? 0 : refuse(ret_why, xstrdup("after the last ',' a field is missing; leave the ',' out"));
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
        for (size_t k = 0; k < field->count; k++) {
            free(field->parts[k].text);
            free(field->parts[k].property);
        }
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
            if (fields->list[i].parts[k].reference.level > highest)
                highest = fields->list[i].parts[k].reference.level;
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
        const struct reference *reference = &part->reference;
        const char *level;
        size_t bytes;
        if ((reference->kind == REFERENCE_LEVEL &&
             !topic_level(message->topic, reference->level, &level, &bytes)) ||
            (reference->kind == REFERENCE_GATEWAY && !facts->gateway) ||
            (reference->kind == REFERENCE_AGE_MS && facts->age_ms < 0) ||
            (reference->kind == REFERENCE_LATE_SINCE && !message->late) ||
            (reference->kind == REFERENCE_CONTENT_TYPE && !message->content_type) ||
            (part->property && !properties_have(message->properties, part->property)))
            return false;
    }
    return true;
}

static int append_time(int64_t wall_ms, struct buf *out)
{
    char time[CLOCK_RFC3339_BYTES];
    clock_format_rfc3339(wall_ms, time);
    return buf_append_text(out, time);
}

static int append_reference(const struct part *part, const struct message *message,
                            const struct fields_facts *facts, struct buf *out)
{
    const struct reference *reference = &part->reference;
    const char *text = NULL;
    size_t bytes = 0;
    switch (reference->kind) {
    case REFERENCE_NONE:
        break;
    case REFERENCE_LEVEL:
        topic_level(message->topic, reference->level, &text, &bytes);
        return json_append_escaped(out, text, bytes);
    case REFERENCE_TOPIC:
        return json_append_escaped(out, message->topic, strlen(message->topic));
    case REFERENCE_KEY:
        return json_append_escaped(out, message->key, strlen(message->key));
    case REFERENCE_GATEWAY:
        return json_append_escaped(out, facts->gateway, strlen(facts->gateway));
    case REFERENCE_RECEIVED:
        return append_time(message->received_ms, out);
    case REFERENCE_RECEIVED_S:
        return buf_append_number(out, whole_seconds(message->received_ms));
    case REFERENCE_RECEIVED_MS:
        return buf_append_number(out, message->received_ms);
    case REFERENCE_MEASURED_S:
        return buf_append_number(out, whole_seconds(message->received_ms - facts->measured_ago_ms));
    case REFERENCE_AGE_MS:
        return buf_append_number(out, facts->age_ms);
    case REFERENCE_CLOCK:
        return buf_append_text(out, message->clock_synchronised ? "synchronised" : "unsynchronised");
    case REFERENCE_USER:
        return properties_append_value(message->properties, part->property, out);
    case REFERENCE_RETAINED:
        return buf_append_text(out, message->retained ? "true" : "false");
    case REFERENCE_CONTENT_TYPE:
        return json_append_escaped(out, message->content_type, strlen(message->content_type));
    case REFERENCE_LATE_SINCE:
        return append_time(message->late_since_ms, out);
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
        r = field->parts[i].text ? buf_append_text(out, field->parts[i].text)
                                 : append_reference(&field->parts[i], message, facts, out);
    if (r == 0 && !field->bare)
        r = buf_append_char(out, '"');
    if (r < 0)
        buf_cut(out, before);
    return r;
}
