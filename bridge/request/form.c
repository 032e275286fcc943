/* request/form.c - the form in which a route sends a message; see request/form.h. */
#include "request/form.h"
#include "message/body_envelope.h"
#include "text/json_repair.h"

#include <errno.h>

/* The payload is no JSON object: once more with what it becomes by a repair. -EINVAL: that
 * is none either. */
static int append_repaired(struct buf *made, const struct message *message, const struct body_plan *plan)
{
    struct buf repaired cleanup_buf;
    buf_init(&repaired, JSON_REPAIR_MOST(message->payload_bytes));
    if (json_repair(message->payload, message->payload_bytes, &repaired) != 0)
        return -EINVAL;
    struct message better = *message;
    better.payload = buf_text(&repaired);
    better.payload_bytes = repaired.bytes;
    char *why = NULL;
    int error = body_append_json(made, &better, plan, &why);
    free(why); /* that of the payload itself is shown */
    return error;
}

/* People learn of a repair where it would have helped, and only there. */
static void mention_repair(const struct message *message, char **why)
{
    static const struct body_plan plain = {.age_ms = -1};
    struct buf unused cleanup_buf;
    buf_init(&unused, JSON_REPAIR_MOST(message->payload_bytes));
    if (append_repaired(&unused, message, &plain) != 0)
        return;
    char *longer = xasprintf("%s; repair = yes would accept this", *why);
    free(*why);
    *why = longer;
}

static int append_json(struct buf *made, const struct config_route *route, const struct message *message,
                       const struct body_plan *plan, bool *ret_repaired, char **ret_why)
{
    int error = body_append_json(made, message, plan, ret_why);
    if (error != -EINVAL)
        return error;
    int repaired = route->repair ? append_repaired(made, message, plan) : -EINVAL;
    if (repaired != -EINVAL) {
        free(*ret_why);
        *ret_why = NULL;
        *ret_repaired = repaired == 0;
        return repaired;
    }
    switch (route->not_object) {
    case CONFIG_NOT_OBJECT_RAW:
        free(*ret_why);
        *ret_why = NULL;
        return -ENOMSG;
    case CONFIG_NOT_OBJECT_IGNORE:
        return -ENODATA;
    case CONFIG_NOT_OBJECT_DEAD:
        break;
    }
    if (!route->repair)
        mention_repair(message, ret_why);
    return -EINVAL;
}

int form_append(struct buf *made, const struct config_route *route, const struct message *message,
                const struct body_plan *plan, bool *ret_repaired, char **ret_why)
{
    int error = -ENOMSG;
    *ret_repaired = false;
    if (route->body == CONFIG_BODY_ENVELOPE)
        error = body_append_envelope(made, message, plan);
    else if (route->body == CONFIG_BODY_JSON)
        error = append_json(made, route, message, plan, ret_repaired, ret_why);
    if (error != -EMSGSIZE)
        return error;
    *ret_why = xstrdup("the body made of it would be too long");
    return -EINVAL;
}
