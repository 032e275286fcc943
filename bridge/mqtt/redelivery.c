/* mqtt/redelivery.c - see mqtt/redelivery.h.
 *
 * The DUP flag is not in struct mosquitto_message. The line that libmosquitto logs before it
 * hands a message over has it; we read that line only while redeliveries may come.
 */
#include "mqtt/redelivery.h"
#include "base/clock.h"
#include "base/log.h"
#include "queue/confirm.h"

#include <string.h>

enum {
    UNACKED_MOST = 65535,    /* messages, because packet identifiers have 16 bits */
    REUSED_MOST = 1024,      /* the lowest free identifier is not higher: brokers have fewer in flight */
    DRAINED_MOST_MS = 30000, /* how old the lower bound for late messages may grow */
};

static const char trip_filter[] = "sluice/acknowledged";

static void on_log(struct mosquitto *client, void *context, int level, const char *line)
{
    (void)client;
    (void)level;
    struct mqtt *mqtt = context;
    static const char start[] = "received PUBLISH (d"; /* after the name of the client, which is ours */
    const char *at = strstr(line, start);
    if (at)
        mqtt->redelivery.dup = at[strlen(start)] == '1';
}

static void confirm(struct mqtt *mqtt, int64_t id)
{
    struct redelivery *redelivery = &mqtt->redelivery;
    if (id <= redelivery->confirmed_id)
        return;
    redelivery->confirmed_id = id;
    queue_confirm(mqtt->queue, id);
    replay_confirmed(redelivery->replay, id);
}

/* ---- after a restart ---- */

struct reading {
    struct replay *replay;
    uint16_t packet_id; /* of the row before */
    uint64_t digest;
};

/* A message has a row for each route that it served, one after the other. */
static void remember(void *context, int64_t id, uint16_t packet_id, uint64_t digest)
{
    struct reading *reading = context;
    if (packet_id == reading->packet_id && digest == reading->digest)
        return;
    reading->packet_id = packet_id;
    reading->digest = digest;
    replay_received(reading->replay, packet_id, digest);
    replay_committed(reading->replay, id);
}

void mqtt_redelivery_init(struct mqtt *mqtt, size_t route_count)
{
    struct redelivery *redelivery = &mqtt->redelivery;
    unsigned rows = UNACKED_MOST * (unsigned)route_count;
    redelivery->replay = replay_new();
    struct reading reading = {.replay = redelivery->replay};
    queue_confirm(mqtt->queue, queue_last_id(mqtt->queue) - rows);
    if (queue_unconfirmed_each(mqtt->queue, rows, remember, &reading) != 0)
        log_warning(EVENT_REDELIVERY_UNKNOWN,
                    "the newest messages cannot be read: redelivered messages may be stored twice");
    redelivery->confirmed_id = queue_confirmed_id(mqtt->queue);
    replay_confirmed(redelivery->replay, redelivery->confirmed_id);
}

/* ---- messages ---- */

/* A queue that is full again and again ends each connection before a round trip confirms
 * anything. Meanwhile the broker gives identifiers anew, and a new message would be taken for
 * one that was confirmed long ago, and be lost. So the first message (that is, or was, stored)
 * confirms what came before it. The exception: after a salvage, the rows may lack messages, or
 * have them in another order, because a lost one was stored again. */
static void confirm_by_first(struct mqtt *mqtt, int64_t before)
{
    struct redelivery *redelivery = &mqtt->redelivery;
    if (redelivery->first_due && !(redelivery->dup && queue_was_salvaged(mqtt->queue))) {
        confirm(mqtt, before);
        queue_confirmed_save_with_commit(mqtt->queue);
    }
    redelivery->first_due = false;
}

void mqtt_redelivery_connected(struct mqtt *mqtt, bool session_present)
{
    struct redelivery *redelivery = &mqtt->redelivery;
    redelivery->trip_packet_id = 0;
    redelivery->trip_confirms = !session_present;
    redelivery->most_unacked = 0;
    redelivery->first_due = session_present;
    redelivery->late = session_present;
    redelivery->dup = false;
    redelivery->last_packet_id = 0;
    redelivery->is_settled = redelivery->trip_settles = false;
    if (!session_present)
        confirm(mqtt, queue_last_id(mqtt->queue));
    replay_connected(redelivery->replay, session_present);
    mosquitto_log_callback_set(mqtt->client, session_present ? on_log : NULL);
}

/* A broker that counts packet identifiers up gives a lower one only after it has used all, or dropped so many
 * messages. */
static void watch_packet_ids(struct mqtt *mqtt, const struct mosquitto_message *packet)
{
    struct redelivery *redelivery = &mqtt->redelivery;
    int last = redelivery->last_packet_id;
    if (packet->qos == 0 || redelivery->dup)
        return;
    redelivery->last_packet_id = packet->mid;
    if (packet->mid > last || last > REUSED_MOST || mqtt->protocol.session.reuses_ids)
        return;
    mqtt->protocol.session.reuses_ids = redelivery->reuse_save_due = true;
    log_notice(EVENT_BROKER_REUSES_IDS, "the broker uses a packet identifier again as soon as it is free, so "
                                        "a redelivery cannot be told from an equal "
                                        "reading: a message may be stored twice after a connection breaks");
}

static bool is_redelivery(struct mqtt *mqtt, const struct mosquitto_message *packet, uint64_t digest)
{
    struct redelivery *redelivery = &mqtt->redelivery;
    return replay_recognise(redelivery->replay, redelivery->dup, (uint16_t)packet->mid, digest) &&
           !mqtt->protocol.session.reuses_ids;
}

bool mqtt_redelivery_received(struct mqtt *mqtt, const struct mosquitto_message *packet)
{
    struct redelivery *redelivery = &mqtt->redelivery;
    redelivery->trip_messages++;
    if (packet->qos > 0 && ++redelivery->unacked > redelivery->most_unacked)
        redelivery->most_unacked = redelivery->unacked;
    uint64_t digest = replay_digest(packet->topic, packet->payload, (size_t)packet->payloadlen);
    if (replay_expected(redelivery->replay)) {
        if (is_redelivery(mqtt, packet, digest)) {
            log_debug(EVENT_MESSAGE_REDELIVERED, "topic %s: packet %d is stored already", packet->topic,
                      packet->mid);
            confirm_by_first(mqtt, replay_before(redelivery->replay));
            return true;
        }
        if (!replay_expected(redelivery->replay))
            mosquitto_log_callback_set(mqtt->client, NULL);
    }
    watch_packet_ids(mqtt, packet);
    replay_received(redelivery->replay, (uint16_t)packet->mid, digest);
    return false;
}

void mqtt_redelivery_stored(struct mqtt *mqtt)
{
    struct redelivery *redelivery = &mqtt->redelivery;
    confirm_by_first(mqtt, queue_last_id(mqtt->queue));
    if (redelivery->reuse_save_due)
        queue_session_put(mqtt->queue, mqtt->config->client_id, &mqtt->protocol.session);
    redelivery->reuse_is_put = redelivery->reuse_save_due;
}

void mqtt_redelivery_committed(struct mqtt *mqtt, bool is_committed)
{
    struct redelivery *redelivery = &mqtt->redelivery;
    if (is_committed)
        replay_committed(redelivery->replay, queue_last_id(mqtt->queue));
    else
        replay_discarded(redelivery->replay);
    if (is_committed && redelivery->reuse_is_put)
        redelivery->reuse_save_due = false;
    redelivery->reuse_is_put = false;
    if (is_committed && redelivery->drained_ms != 0) {
        redelivery->last_drained_ms = redelivery->drained_ms;
        queue_drained_set(mqtt->queue, redelivery->drained_ms);
    }
    redelivery->drained_ms = 0;
    redelivery->unacked = 0;
}

/* ---- the round trip ---- */

void mqtt_round_trip_begin(struct mqtt *mqtt)
{
    struct redelivery *redelivery = &mqtt->redelivery;
    int64_t last_id = queue_last_id(mqtt->queue);
    int64_t now_ms = clock_uptime_ms();
    if (mqtt->link != LINK_UP || redelivery->trip_packet_id != 0)
        return;
    if (redelivery->confirmed_id >= last_id && !redelivery->late && redelivery->is_settled &&
        !redelivery->retained_due && now_ms - redelivery->last_drained_ms < DRAINED_MOST_MS)
        return;
    if (mosquitto_unsubscribe(mqtt->client, &redelivery->trip_packet_id, trip_filter) != MOSQ_ERR_SUCCESS) {
        redelivery->trip_packet_id = 0;
        return;
    }
    redelivery->trip_id = last_id;
    redelivery->trip_ms = now_ms;
    redelivery->trip_ends_retained = redelivery->retained_due;
    redelivery->trip_messages = 0;
    redelivery->trip_settles = !mqtt->subscriptions.subscribe_due;
}

bool mqtt_round_trip_end(struct mqtt *mqtt, int packet_id)
{
    struct redelivery *redelivery = &mqtt->redelivery;
    if (packet_id != redelivery->trip_packet_id)
        return false;
    redelivery->trip_packet_id = 0;
    if (redelivery->trip_confirms)
        confirm(mqtt, redelivery->trip_id);
    redelivery->trip_confirms = true;
    if (redelivery->trip_messages == 0)
        mqtt->copies.are_complete = true;
    if (redelivery->trip_messages == 0 || redelivery->trip_messages < redelivery->most_unacked) {
        redelivery->late = false;
        redelivery->is_settled = redelivery->is_settled || redelivery->trip_settles;
        if (redelivery->trip_ends_retained)
            redelivery->retained_due = mqtt->unreadable.retained_left = false;
        redelivery->drained_ms = redelivery->trip_ms;
    }
    return true;
}
