/* mqtt/properties.c - see mqtt/properties.h. Most messages have a subscription identifier and
 * nothing else: they cost a look at the list. */
#include "mqtt/properties.h"
#include "message/properties.h"

#include <mqtt_protocol.h>

static void read_user_properties(struct buf *text, const mosquitto_property *properties)
{
    char *name = NULL, *value = NULL;
    const mosquitto_property *at =
        mosquitto_property_read_string_pair(properties, MQTT_PROP_USER_PROPERTY, &name, &value, false);
    while (at) {
        properties_add(text, name, value);
        free(name);
        free(value);
        name = value = NULL;
        at = mosquitto_property_read_string_pair(at, MQTT_PROP_USER_PROPERTY, &name, &value, true);
    }
}

void mqtt_properties_read(struct message_properties *texts, const mosquitto_property *properties,
                          struct intake_message *message)
{
    uint32_t expiry_s;
    mqtt_properties_done(texts);
    if (mosquitto_property_read_int32(properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, &expiry_s, false))
        message->expires_after_ms = expiry_s > 0 ? (int64_t)expiry_s * 1000 : 1;
    mosquitto_property_read_string(properties, MQTT_PROP_CONTENT_TYPE, &texts->content_type, false);
    if (texts->content_type && *texts->content_type)
        message->content_type = texts->content_type;
    buf_init(&texts->user, PROPERTIES_BYTES_MOST);
    read_user_properties(&texts->user, properties);
    if (texts->user.bytes > 0)
        message->properties = buf_text(&texts->user);
}

void mqtt_properties_done(struct message_properties *texts)
{
    free(texts->content_type);
    texts->content_type = NULL;
    buf_done(&texts->user);
}
