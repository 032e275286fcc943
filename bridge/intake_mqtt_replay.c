/* intake_mqtt_replay.c - what the broker sends again, and until when.
 *
 * A message that was stored, and whose acknowledgement the broker did not see,
 * comes again after a reconnect (see replay.h). What is known of it is kept in
 * memory while sluice runs, and found in the queue after a crash; so a row must
 * not be deleted before the broker has read the acknowledgement, even when it was
 * delivered meanwhile. Written is not read: when we crash, what the broker had
 * not yet read is thrown away with the connection.
 *
 * The broker reads in order, so the answer to a packet behind the acknowledgements
 * tells that it read them. An UNSUBSCRIBE from a filter that was never subscribed
 * is such a packet, with no other effect; one is under way at a time.
 *
 * The DUP flag is not in struct mosquitto_message. The line that libmosquitto logs
 * before it hands a message over has it; it is listened to only as long as
 * duplicates may come.
 */
#include "intake_mqtt_private.h"
#include "log.h"

#include <string.h>

/* Messages without an acknowledgement. Mosquitto does not hold to our Receive
 * Maximum for what it had queued while we were away, but to its own
 * max_inflight_messages, 1,000 as shipped. Packet identifiers are used again after
 * 65,535; the window must stay far below that. */
enum { WINDOW_LEAST = 4096 };

static const char sync_filter[] = "sluice/acknowledged";

static void on_log(struct mosquitto *client, void *context, int level, const char *line)
{
    (void)client;
    (void)level;
    struct intake_mqtt *mqtt = context;
    static const char start[] = "received PUBLISH (d"; /* behind the client's name, which is ours */
    const char *at = strstr(line, start);
    if (at)
        mqtt->dup = at[strlen(start)] == '1';
}

struct remembering {
    struct intake_mqtt *mqtt;
    uint16_t packet_id;
    uint64_t digest;
};

/* A message has a row for each route that it served, one behind the other. */
static void remember(void *context, uint16_t packet_id, const char *topic, const void *payload,
                     size_t payload_bytes)
{
    struct remembering *last = context;
    uint64_t digest = replay_digest(topic, payload, payload_bytes);
    if (packet_id == last->packet_id && digest == last->digest)
        return;
    last->packet_id = packet_id;
    last->digest = digest;
    replay_received(last->mqtt->replay, packet_id, digest);
    replay_committed(last->mqtt->replay);
}

void intake_mqtt_replay_init(struct intake_mqtt *mqtt, size_t route_count)
{
    unsigned window = mqtt->commit_batch > WINDOW_LEAST ? mqtt->commit_batch : WINDOW_LEAST;
    unsigned rows = window * (unsigned)route_count;
    struct remembering last = {.mqtt = mqtt};
    mqtt->replay = replay_new(window);
    if (queue_packets(mqtt->queue, rows, remember, &last) != 0)
        log_warning("the newest messages cannot be read: what the broker sends again may be stored twice");
    queue_confirm(mqtt->queue, queue_last_id(mqtt->queue) - rows);
    mqtt->confirmed_id = queue_confirmed_id(mqtt->queue);
}

void intake_mqtt_expect_replay(struct intake_mqtt *mqtt, bool session_present)
{
    mqtt->sync_packet_id = 0;
    replay_connected(mqtt->replay, session_present);
    mosquitto_log_callback_set(mqtt->client, session_present ? on_log : NULL);
}

bool intake_mqtt_is_duplicate(struct intake_mqtt *mqtt, const struct mosquitto_message *packet)
{
    uint64_t digest = replay_digest(packet->topic, packet->payload, (size_t)packet->payloadlen);
    if (replay_expected(mqtt->replay)) {
        if (replay_is_duplicate(mqtt->replay, mqtt->dup, (uint16_t)packet->mid, digest)) {
            log_debug("packet %d, topic %s: sent again by the broker, it is stored already", packet->mid,
                      packet->topic);
            return true;
        }
        if (!replay_expected(mqtt->replay))
            mosquitto_log_callback_set(mqtt->client, NULL);
    }
    replay_received(mqtt->replay, (uint16_t)packet->mid, digest);
    return false;
}

void intake_mqtt_sync(struct intake_mqtt *mqtt)
{
    int64_t last_id = queue_last_id(mqtt->queue);
    if (mqtt->link != LINK_UP || mqtt->sync_packet_id != 0 || mqtt->confirmed_id >= last_id)
        return;
    if (mosquitto_unsubscribe(mqtt->client, &mqtt->sync_packet_id, sync_filter) == MOSQ_ERR_SUCCESS)
        mqtt->sync_id = last_id;
    else
        mqtt->sync_packet_id = 0;
}

bool intake_mqtt_synced(struct intake_mqtt *mqtt, int packet_id)
{
    if (packet_id != mqtt->sync_packet_id)
        return false;
    mqtt->sync_packet_id = 0;
    mqtt->confirmed_id = mqtt->sync_id;
    queue_confirm(mqtt->queue, mqtt->confirmed_id);
    return true;
}
