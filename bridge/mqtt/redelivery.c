/* mqtt/redelivery.c - what the broker sends again, or late, and until when.
 *
 * A message that was stored, and whose acknowledgement the broker did not see,
 * comes again after a reconnect (see message/replay.h). What is known of it is kept in
 * memory while sluice runs, and found in the queue after a crash; so a row must
 * not be deleted before the broker has read the acknowledgement, even when it was
 * delivered meanwhile. Written is not read: when we crash, what the broker had
 * not yet read is thrown away with the connection.
 *
 * The broker reads in order, so the answer to a packet behind the acknowledgements
 * tells that it read them. An UNSUBSCRIBE from a filter that was never subscribed
 * is such a packet, with no other effect; one is under way at a time. In a resumed
 * session the first answer tells only that all redeliveries have come: they were
 * acknowledged behind the question. The second one counts; and where nothing came again
 * at all, the first message tells (intake_mqtt_is_new).
 *
 * Packet identifiers of what is confirmed may be given anew, and soon after a broker
 * that crashed comes back. So what is confirmed is noted on the disk before anything
 * is taken from a new connection: after a crash of ours, an old row must not be
 * mistaken for a new message (intake_mqtt_connect).
 *
 * The same round trip tells when the broker has nothing left for us; MQTT has no
 * mark for the end of what waited while we were away. What it has beyond its
 * window of unacknowledged messages it sends as acknowledgements make room, before
 * it reads what stands behind these. So if anything was left when it answered, a
 * whole window of messages came in between. No message in between, or fewer than
 * it is known to send without an acknowledgement: nothing was left that is older
 * than the packet. That ends what is late, and is the lower bound for what will
 * be late after the next disconnect. (A message that is stored is not lost to it;
 * one that came in between must be stored before it counts.)
 *
 * The DUP flag is not in struct mosquitto_message. The line that libmosquitto logs
 * before it hands a message over has it; it is listened to only as long as
 * duplicates may come.
 */
#include "base/clock.h"
#include "base/log.h"
#include "mqtt/internal.h"

#include <string.h>

/* As many messages can be unacknowledged: packet identifiers have 16 bits. */
enum { UNACKED_MOST = 65535 };

/* How old that lower bound may grow while nothing happens. */
enum { DRAINED_MOST_MS = 30000 };

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
static void remember(void *context, int64_t id, uint16_t packet_id, uint64_t digest)
{
    struct remembering *last = context;
    if (packet_id == last->packet_id && digest == last->digest)
        return;
    last->packet_id = packet_id;
    last->digest = digest;
    replay_received(last->mqtt->replay, packet_id, digest);
    replay_committed(last->mqtt->replay, id);
}

void intake_mqtt_replay_init(struct intake_mqtt *mqtt, size_t route_count)
{
    unsigned rows = UNACKED_MOST * (unsigned)route_count;
    struct remembering last = {.mqtt = mqtt};
    mqtt->replay = replay_new();
    queue_confirm(mqtt->queue, queue_last_id(mqtt->queue) - rows);
    if (queue_packets(mqtt->queue, rows, remember, &last) != 0)
        log_warning(EVENT_REDELIVERY_UNKNOWN,
                    "the newest messages cannot be read: redelivered messages may be stored twice");
    mqtt->confirmed_id = queue_confirmed_id(mqtt->queue);
    replay_confirmed(mqtt->replay, mqtt->confirmed_id);
}

void intake_mqtt_confirm(struct intake_mqtt *mqtt, int64_t id)
{
    if (id <= mqtt->confirmed_id)
        return;
    mqtt->confirmed_id = id;
    queue_confirm(mqtt->queue, id);
    replay_confirmed(mqtt->replay, id);
}

void intake_mqtt_expect_replay(struct intake_mqtt *mqtt, bool session_present)
{
    mqtt->sync_packet_id = 0;
    mqtt->sync_counts = !session_present;
    mqtt->most_unacked = 0;
    mqtt->first_due = session_present;
    mqtt->late = session_present;
    if (!session_present) /* nothing of old will come again */
        intake_mqtt_confirm(mqtt, queue_last_id(mqtt->queue));
    replay_connected(mqtt->replay, session_present);
    mosquitto_log_callback_set(mqtt->client, session_present ? on_log : NULL);
}

/* What comes again comes first, and in order: if the first message is a new one, none comes
 * again, and the broker read all acknowledgements. A queue that is full again and again
 * ends each connection before a round trip tells that, and meanwhile the identifiers go
 * round, or begin anew: a new message would be taken for what is long confirmed, and be
 * lost. (Where the oldest messages are dropped, one that comes again may be unknown.) */
void intake_mqtt_is_new(struct intake_mqtt *mqtt)
{
    if (mqtt->first_due && !(mqtt->dup && queue_drops_oldest(mqtt->queue))) {
        intake_mqtt_confirm(mqtt, queue_last_id(mqtt->queue));
        queue_note_with_commit(mqtt->queue);
    }
    mqtt->first_due = false;
}

bool intake_mqtt_is_duplicate(struct intake_mqtt *mqtt, const struct mosquitto_message *packet)
{
    uint64_t digest = replay_digest(packet->topic, packet->payload, (size_t)packet->payloadlen);
    if (replay_expected(mqtt->replay)) {
        if (replay_is_duplicate(mqtt->replay, mqtt->dup, (uint16_t)packet->mid, digest)) {
            log_debug(EVENT_MESSAGE_REDELIVERED, "packet %d, topic %s", packet->mid, packet->topic);
            mqtt->first_due = false;
            return true;
        }
        if (!replay_expected(mqtt->replay))
            mosquitto_log_callback_set(mqtt->client, NULL);
    }
    replay_received(mqtt->replay, (uint16_t)packet->mid, digest);
    return false;
}

void intake_mqtt_count(struct intake_mqtt *mqtt, const struct mosquitto_message *packet)
{
    mqtt->between++;
    if (packet->qos > 0 && ++mqtt->unacked > mqtt->most_unacked)
        mqtt->most_unacked = mqtt->unacked;
}

void intake_mqtt_committed(struct intake_mqtt *mqtt, bool well)
{
    if (well)
        replay_committed(mqtt->replay, queue_last_id(mqtt->queue));
    else
        replay_discarded(mqtt->replay);
    if (well && mqtt->drained_ms != 0) {
        mqtt->last_drained_ms = mqtt->drained_ms;
        queue_drained(mqtt->queue, mqtt->drained_ms);
    }
    mqtt->drained_ms = 0;
    mqtt->unacked = 0;
}

void intake_mqtt_sync(struct intake_mqtt *mqtt)
{
    int64_t last_id = queue_last_id(mqtt->queue);
    int64_t now_ms = clock_uptime_ms();
    if (mqtt->link != LINK_UP || mqtt->sync_packet_id != 0)
        return;
    if (mqtt->confirmed_id >= last_id && !mqtt->late && now_ms - mqtt->last_drained_ms < DRAINED_MOST_MS)
        return;
    if (mosquitto_unsubscribe(mqtt->client, &mqtt->sync_packet_id, sync_filter) != MOSQ_ERR_SUCCESS) {
        mqtt->sync_packet_id = 0;
        return;
    }
    mqtt->sync_id = last_id;
    mqtt->sync_ms = now_ms;
    mqtt->between = 0;
}

bool intake_mqtt_synced(struct intake_mqtt *mqtt, int packet_id)
{
    if (packet_id != mqtt->sync_packet_id)
        return false;
    mqtt->sync_packet_id = 0;
    if (mqtt->sync_counts)
        intake_mqtt_confirm(mqtt, mqtt->sync_id);
    mqtt->sync_counts = true;
    if (mqtt->between == 0 || mqtt->between < mqtt->most_unacked) {
        mqtt->late = false;
        mqtt->drained_ms = mqtt->sync_ms;
    }
    return true;
}
