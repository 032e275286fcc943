/* message/body_json.c - JSON objects that gain fields; see message/body_json.h.
 *
 * A payload is copied, never printed anew from a tree: the spelling of a number or a name,
 * and the order of members, are the sender's choice. Fields go in before the last brace.
 */
#include "message/body_json.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* -- reading an object -- */

/* Milliseconds, by digits alone and below 2^32, or 0. */
static int64_t age_ms(const char *text, size_t bytes)
{
    int64_t ms = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        ms = ms * 10 + (text[i] - '0');
        if (ms > UINT32_MAX)
            return 0;
    }
    return ms;
}

/* Among members with the same name the last one counts, as it does for most readers. */
static void note_member(void *context, const struct json_member *member)
{
    struct body_object *object = context;
    object->members++;
    if (json_string_is(member->name, member->name_bytes, "age"))
        object->measured_ago_ms = age_ms(member->value, member->value_bytes);
    for (size_t i = 0; i < fields_count(object->add); i++)
        if (json_string_is(member->name, member->name_bytes, fields_name(object->add, i)))
            object->has |= UINT64_C(1) << i;
}

int body_read(const void *payload, size_t bytes, const struct fields *add, struct body_object *ret,
              struct json_fault *ret_fault)
{
    static_assert(FIELDS_MOST <= 64, "a bit for each");
    struct body_object object = {.add = add};
    int r = json_check(payload, bytes, note_member, &object, ret_fault);
    if (r == 0)
        *ret = object;
    return r;
}

/* -- making the body -- */

void body_append_fields(struct buf *out, const struct body_object *object, bool comma,
                        const struct message *message, const struct body_plan *plan)
{
    const struct fields_facts facts = {
        .age_ms = plan->age_ms, .measured_ago_ms = object->measured_ago_ms, .gateway = plan->gateway};
    for (size_t i = 0; i < fields_count(object->add); i++) {
        if (object->has >> i & 1 || !fields_has_value(object->add, i, message, &facts))
            continue;
        buf_append_text(out, comma ? ",\"" : "\"");
        buf_append_text(out, fields_name(object->add, i)); /* holds nothing to be escaped */
        buf_append_text(out, "\":");
        fields_append_value(object->add, i, message, &facts, out);
        comma = true;
    }
}

void body_join_lines(char *text, size_t bytes)
{
    for (char *at = text; at < text + bytes; at++)
        if (*at == '\n' || *at == '\r')
            *at = ' ';
}

/* The kind of a JSON text that is no object; NULL: it is an object. */
static const char *kind_of(const char *text)
{
    while (strchr("\t\n\r ", *text))
        text++;
    switch (*text) {
    case '{':
        return NULL;
    case '[':
        return "array";
    case '"':
        return "string";
    case 't':
    case 'f':
        return "boolean";
    case 'n':
        return "null";
    default:
        return "number";
    }
}

static int read_object(const struct message *message, const struct fields *add, struct body_object *ret,
                       char **ret_why)
{
    struct json_fault fault;
    if (message->payload_bytes == 0) {
        *ret_why = xstrdup("no JSON object: empty");
        return -EINVAL;
    }
    if (body_read(message->payload, message->payload_bytes, add, ret, &fault) < 0) {
        *ret_why = xasprintf("no JSON object: %s at byte %zu", fault.what, fault.at);
        return -EINVAL;
    }
    const char *kind = kind_of(message->payload);
    if (kind) {
        *ret_why = xasprintf("no JSON object: it is a JSON %s", kind);
        return -EINVAL;
    }
    return 0;
}

int body_append_json(struct buf *out, const struct message *message, const struct body_plan *plan,
                     char **ret_why)
{
    struct body_object object;
    int r = read_object(message, plan->add, &object, ret_why);
    if (r < 0)
        return r;

    const char *payload = message->payload, *end = payload + message->payload_bytes;
    const char *brace = memrchr(payload, '}', message->payload_bytes); /* only white space follows */
    size_t before = out->bytes;
    bool overflowed = out->overflowed;
    out->overflowed = false;
    buf_append(out, payload, (size_t)(brace - payload));
    body_append_fields(out, &object, object.members > 0, message, plan);
    buf_append(out, brace, (size_t)(end - brace));
    r = out->overflowed ? -EMSGSIZE : 0;
    if (r < 0)
        buf_cut(out, before);
    else if (plan->one_line)
        body_join_lines(out->data + before, out->bytes - before);
    out->overflowed = overflowed;
    return r;
}
