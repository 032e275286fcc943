/* request/form.h - the form in which a route sends a message: as it is, as JSON with more
 * fields, or in an envelope. Pure. */
#ifndef SLUICE_REQUEST_FORM_H
#define SLUICE_REQUEST_FORM_H

#include "config/config.h"
#include "message/body_json.h"

/* Appends what the body of a request has for the message. *ret_repaired: the payload was
 * repaired (repair). 0; -ENOMSG: its payload must be sent as it is; -ENODATA: it is not sent
 * at all (not_object = ignore); -EINVAL: it cannot be sent. With the last two *ret_why says
 * why (freed by the caller). After a failure a part may be there. */
int form_append(struct buf *made, const struct config_route *route, const struct message *message,
                const struct body_plan *plan, bool *ret_repaired, char **ret_why);

#endif
