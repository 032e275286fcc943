/* mqtt/properties.h - what the properties of a PUBLISH say of its message (MQTT 5.0, section
 * 3.3.2.3): expiry, content type, user properties. */
#ifndef SLUICE_MQTT_PROPERTIES_H
#define SLUICE_MQTT_PROPERTIES_H

#include "base/buf.h"
#include "intake/intake.h"
#include <mosquitto.h>

/* The texts of one message; all zero at first, and the same memory serves the next one. */
struct message_properties {
    char *content_type;
    struct buf user;
};

/* Fills in the message. Its pointers are valid until the next call. */
void mqtt_properties_read(struct message_properties *texts, const mosquitto_property *properties,
                          struct intake_message *message);
void mqtt_properties_done(struct message_properties *texts);

#endif
