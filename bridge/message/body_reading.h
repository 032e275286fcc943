/* message/body_reading.h - what a reading's payload says of its number. Pure. */
#ifndef SLUICE_BODY_READING_H
#define SLUICE_BODY_READING_H

#include "message/device.h"

/* Finds the members "b", "s" and "lo" of the JSON object that a payload may be: boot,
 * number, and oldest number held. 0; -ENOENT when it has none of them, and is an
 * ordinary message; -EINVAL when they are not what they must be, with the reason in
 * *ret_why (static text). "age", where it is there, must be right as well. */
int body_reading_parse(const void *payload, size_t bytes, struct device_reading *ret, const char **ret_why);

#endif
