/* message/body_envelope.c - an object with everything of a message; see message/body_envelope.h. */
#include "message/body_envelope.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <string.h>

static const char *const names[] = {"topic",           "key",        "received", "clock",
                                    "age_ms",          "late_since", "retained", "content_type",
                                    "user_properties", "encoding",   "payload"};

bool body_envelope_has(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void append_string(struct buf *out, const char *before, const char *text, size_t bytes)
{
    buf_append_text(out, before);
    buf_append_char(out, '"');
    json_append_escaped(out, text, bytes);
    buf_append_char(out, '"');
}

static void append_time(struct buf *out, const char *before, int64_t wall_ms)
{
    char time[CLOCK_RFC3339_BYTES];
    clock_format_rfc3339(wall_ms, time);
    append_string(out, before, time, strlen(time));
}

static void append_facts(struct buf *out, const struct message *message, const struct body_plan *plan)
{
    append_string(out, "{\"topic\":", message->topic, strlen(message->topic));
    append_string(out, ",\"key\":", message->key, strlen(message->key));
    append_time(out, ",\"received\":", message->received_ms);
    buf_append_text(out, message->clock_synchronised ? ",\"clock\":\"synchronised\""
                                                     : ",\"clock\":\"unsynchronised\"");
    if (plan->age_ms >= 0) {
        buf_append_text(out, ",\"age_ms\":");
        buf_append_number(out, plan->age_ms);
    }
    if (message->late)
        append_time(out, ",\"late_since\":", message->late_since_ms);
    if (message->retained)
        buf_append_text(out, ",\"retained\":true");
    if (message->content_type)
        append_string(out, ",\"content_type\":", message->content_type, strlen(message->content_type));
    if (message->properties) {
        buf_append_text(out, ",\"user_properties\":");
        buf_append_text(out, message->properties);
    }
}

/* The payload, and in *ret what the fields after it need to know. */
static void append_payload(struct buf *out, const struct message *message, const struct body_plan *plan,
                           struct body_object *ret)
{
    size_t bytes = message->payload_bytes;
    struct json_fault fault;
    if (body_read(message->payload, bytes, NULL, ret, &fault) == 0) {
        buf_append_text(out, ",\"payload\":");
        size_t start = out->bytes;
        if (buf_append(out, message->payload, bytes) == 0 && plan->one_line)
            body_join_lines(out->data + start, bytes);
    } else if (utf8_valid(message->payload, bytes)) {
        append_string(out, ",\"encoding\":\"utf-8\",\"payload\":", message->payload, bytes);
    } else {
        buf_append_text(out, ",\"encoding\":\"base64\",\"payload\":\"");
        base64_append(out, message->payload, bytes);
        buf_append_char(out, '"');
    }
}

int body_append_envelope(struct buf *out, const struct message *message, const struct body_plan *plan)
{
    size_t before = out->bytes;
    bool overflowed = out->overflowed;
    struct body_object object = {0};
    out->overflowed = false;
    append_facts(out, message, plan);
    append_payload(out, message, plan, &object);

    object.add = plan->add;
    for (size_t i = 0; i < fields_count(plan->add); i++)
        if (body_envelope_has(fields_name(plan->add, i)))
            object.has |= UINT64_C(1) << i;
    body_append_fields(out, &object, true, message, plan);
    buf_append_char(out, '}');
    int r = out->overflowed ? -EMSGSIZE : 0;
    if (r < 0)
        buf_cut(out, before);
    out->overflowed = overflowed;
    return r;
}
