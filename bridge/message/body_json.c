/* message/body_json.c - objects that gain fields; see message/body.h.
 *
 * A payload is copied, never printed anew from a tree: what a number or a name
 * looks like, and where it stands, is the sender's affair. What goes in goes in
 * before the last brace.
 *
 * The walk of text/json.h says what is JSON, and where it is not. Where text is put into
 * text, a mistake in it would spoil a whole batch, so cJSON must agree: it is what
 * many backends' parsers are like, and nobody here wrote it. It builds a tree,
 * which is thrown away: most fit into an arena, and cost neither malloc() nor
 * free().
 */
#include "message/internal.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

/* -- cJSON's word -- */

/* A tree takes 64 bytes a value and its strings. What is larger than this (it takes
 * 250,000 values) is given up, and the walk's word is enough. */
#define ARENA_BYTES     4096
#define TREE_MOST_BYTES ((size_t)16 << 20)

/* cJSON's hooks have no argument to hand such a thing on, and sluice has one
 * thread. */
static struct {
    _Alignas(max_align_t) char memory[ARENA_BYTES];
    size_t used, left;
    bool spilt;    /* not everything fitted: the tree must be freed */
    bool given_up; /* no memory was given: it says nothing about the text */
} arena;

static void *arena_allocate(size_t bytes)
{
    size_t whole = (bytes + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t);
    if (whole <= ARENA_BYTES - arena.used) {
        void *memory = arena.memory + arena.used;
        arena.used += whole;
        return memory;
    }
    arena.spilt = true;
    void *memory = whole <= arena.left ? malloc(bytes) : NULL;
    if (memory)
        arena.left -= whole;
    else
        arena.given_up = true;
    return memory;
}

static void arena_release(void *memory)
{
    uintptr_t at = (uintptr_t)memory, start = (uintptr_t)arena.memory;
    if (at < start || at >= start + ARENA_BYTES)
        free(memory);
}

/* Whether cJSON reads it as one JSON text to its end; otherwise how far it came. */
static bool cjson_agrees(const char *text, size_t bytes, size_t *ret_at)
{
    cJSON_Hooks hooks = {.malloc_fn = arena_allocate, .free_fn = arena_release};
    const char *end = text;
    arena.used = 0;
    arena.left = TREE_MOST_BYTES;
    arena.spilt = arena.given_up = false;
    cJSON_InitHooks(&hooks);
    cJSON *tree = cJSON_ParseWithLengthOpts(text, bytes, &end, false);
    if (arena.spilt)
        cJSON_Delete(tree);
    cJSON_InitHooks(NULL);
    while (tree && end < text + bytes && strchr("\t\n\r ", *end)) /* no NUL here: the walk saw to it */
        end++;
    *ret_at = (size_t)(end - text);
    return tree ? end == text + bytes : arena.given_up;
}

/* -- what an object has -- */

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

/* Of members with one name, the last one counts, as it does for most readers. */
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
    struct json_fault fault;
    int r = json_check(payload, bytes, note_member, &object, &fault);
    if (r == 0 && !cjson_agrees(payload, bytes, &fault.at)) {
        fault.what = "cJSON finds a mistake";
        r = -EINVAL;
    }
    if (r < 0) {
        *ret_fault = fault;
        return r;
    }
    *ret = object;
    return 0;
}

/* -- what it becomes -- */

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

/* What a JSON text is that is no object. */
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
    const char *brace = memrchr(payload, '}', message->payload_bytes); /* behind it is only white space */
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
