/* base/event.h - the name of every event that is logged. Names are stable: each log line
 * starts with one, the journal has it in the field SLUICE_EVENT, and scripts and tests match
 * it. The text after the name may change. The list in sluice(8) is made from this table, so a
 * row is one line.
 *
 *     EVENT(constant, "name", "what happened")
 */
#ifndef SLUICE_BASE_EVENT_H
#define SLUICE_BASE_EVENT_H

/* clang-format off */
#define LOG_EVENTS(EVENT) \
    /* the daemon */ \
    EVENT(READY, "ready", "sluice has started") \
    EVENT(STOPPING, "stopping", "sluice was asked to stop") \
    EVENT(STOPPED, "stopped", "sluice has stopped; the line has the totals") \
    EVENT(CONFIG_ERROR, "config-error", "the configuration has an error") \
    EVENT(CONFIG_RELOADED, "config-reloaded", "a new configuration is in force") \
    EVENT(CONFIG_REFUSED, "config-refused", "a new configuration has errors, and the earlier one stays in force") \
    EVENT(CONFIG_FALLBACK, "config-fallback", "the configuration has errors, so sluice started with the last one that was in force") \
    EVENT(SECRETS_RELOADED, "secrets-reloaded", "a file with a secret has changed, and the new secret is in force") \
    EVENT(CONFIG_NOT_KEPT, "config-not-kept", "the configuration in force cannot be kept for a later start") \
    EVENT(RESTART_NEEDED, "restart-needed", "a key was changed that only a restart puts in force") \
    EVENT(SECRET_EXPOSED, "secret-exposed", "every user of the machine can read a secret file") \
    EVENT(SECRET_DOUBTFUL, "secret-doubtful", "a secret has blanks at an end, or quotes around it") \
    EVENT(SOCKET_UNAVAILABLE, "socket-unavailable", "the control socket cannot be made") \
    EVENT(SOCKET_UNWATCHED, "socket-unwatched", "a connection to a backend cannot be watched") \
    EVENT(QUEUE_VOLATILE, "queue-volatile", "the queue is on a file system that a power cut may lose") \
    EVENT(DISK_SLOW, "disk-slow", "an operation on the disk takes long, and nothing is stored or acknowledged meanwhile") \
    EVENT(DISK_RESPONDS, "disk-responds", "that operation has ended") \
    EVENT(STORAGE_WRITES, "storage-writes", "the number of bytes that were written to the disk in the last hour") \
    /* the broker */ \
    EVENT(BROKER_CONNECTED, "broker-connected", "the broker accepted the connection") \
    EVENT(BROKER_AWAY, "broker-away", "the broker cannot be reached, or refuses the connection") \
    EVENT(SESSION_LOST, "session-lost", "the broker has forgotten the session, and what waited in it") \
    EVENT(BROKER_REUSES_IDS, "broker-reuses-ids", "the broker gives packet identifiers anew at once, so that a message may be stored twice") \
    EVENT(SUBSCRIPTION_LEFT_OVER, "subscription-left-over", "the session has a subscription that the queue does not know") \
    EVENT(SESSION_UNKNOWN, "session-unknown", "what the queue knows of the session cannot be read") \
    EVENT(CLIENT_ID_CLASH, "client-id-clash", "another client seems to use the same client_id; logged once, until a connection lasts") \
    EVENT(SUBSCRIBE_FAILED, "subscribe-failed", "a SUBSCRIBE could not be sent") \
    EVENT(SUBSCRIPTION_REFUSED, "subscription-refused", "the broker refuses a subscription") \
    EVENT(SUBSCRIPTION_DOWNGRADED, "subscription-downgraded", "the broker grants less than QoS 1") \
    EVENT(UNSUBSCRIBED, "unsubscribed", "sluice unsubscribes from a topic filter that no route has any more") \
    EVENT(MESSAGE_UNROUTED, "message-unrouted", "no route takes a message") \
    EVENT(MESSAGE_UNREADABLE, "message-unreadable", "the broker sent a message that MQTT forbids, such as a topic with control characters; it is a dead letter") \
    EVENT(MESSAGE_REDELIVERED, "message-redelivered", "the broker sent a stored message again") \
    EVENT(REDELIVERY_UNKNOWN, "redelivery-unknown", "redelivered messages cannot be recognised") \
    /* HTTP clients */ \
    EVENT(HTTP_LISTENING, "http-listening", "sluice accepts HTTP clients") \
    EVENT(HTTP_LISTEN_FAILED, "http-listen-failed", "the address for HTTP clients cannot be used") \
    EVENT(HTTP_ACCEPT_FAILED, "http-accept-failed", "connections of HTTP clients cannot be accepted") \
    EVENT(HTTP_CONNECTIONS_FULL, "http-connections-full", "max_connections is reached") \
    EVENT(HTTP_CLIENT_REFUSED, "http-client-refused", "an HTTP client was refused, or lost an idle connection") \
    EVENT(HTTP_UNAVAILABLE, "http-unavailable", "HTTP clients get 503") \
    EVENT(HTTP_REPEATED, "http-repeated", "an HTTP request is in the queue already") \
    EVENT(HTTP_PASSTHROUGH_FAILED, "http-passthrough-failed", "a GET or HEAD could not be passed on") \
    EVENT(HTTP_RESPONSE_FAILED, "http-response-failed", "a response to an HTTP client is incomplete") \
    /* devices */ \
    EVENT(DEVICE_NEW, "device-new", "a device was seen for the first time") \
    EVENT(DEVICE_SHARED, "device-shared", "several devices use one name") \
    EVENT(READINGS_LOST, "readings-lost", "a device lost readings") \
    EVENT(READING_MALFORMED, "reading-malformed", "the members of the payload that number a reading are wrong") \
    /* backends and routes */ \
    EVENT(BACKEND_AWAY, "backend-away", "a backend does not work; sluice tries again") \
    EVENT(BACKEND_MISCONFIGURED, "backend-misconfigured", "a person must correct a backend's configuration") \
    EVENT(BACKEND_BACK, "backend-back", "a backend works again") \
    EVENT(ROUTE_AWAY, "route-away", "the requests of one route fail; sluice tries again") \
    EVENT(ROUTE_MISCONFIGURED, "route-misconfigured", "a person must correct a route's configuration") \
    EVENT(ROUTE_BACK, "route-back", "a route works again") \
    EVENT(ROUTE_HELD, "route-held", "every message of a route was rejected, and no more are dead-lettered") \
    EVENT(MESSAGE_DEAD, "message-dead", "a message was dead-lettered") \
    EVENT(MESSAGE_IGNORED, "message-ignored", "a message is no JSON object, and its route ignores those; for a route, once an hour at most") \
    EVENT(MESSAGE_DEFERRED, "message-deferred", "a message failed while others were delivered, and is tried again by itself; for a route, once a minute at most") \
    EVENT(MESSAGES_UNFIT, "messages-unfit", "no message of a route fits its path or body") \
    EVENT(RESPONSE_HTML, "response-html", "a 2xx response is a web page") \
    EVENT(BATCH_SIZE_REDUCED, "batch-size-reduced", "a backend refused a batch for its size (413)") \
    /* the queue */ \
    EVENT(QUEUE_FULL, "queue-full", "a limit is reached, and messages wait at the broker") \
    EVENT(QUEUE_ROOM, "queue-room", "the queue has room again") \
    EVENT(MESSAGES_DROPPED, "messages-dropped", "a limit made sluice drop messages") \
    EVENT(DROPPING_ENDED, "dropping-ended", "no more messages are dropped") \
    EVENT(DEAD_LETTERS_RETURNED, "dead-letters-returned", "somebody used sluice queue retry, or a held route passed after a change of the configuration") \
    EVENT(MESSAGES_DROPPED_BY_HAND, "messages-dropped-by-hand", "somebody used sluice queue drop") \
    EVENT(QUEUE_WRITE_FAILED, "queue-write-failed", "a commit failed, and nothing is acknowledged") \
    EVENT(QUEUE_WRITABLE, "queue-writable", "commits succeed again") \
    EVENT(QUEUE_UNUSABLE, "queue-unusable", "the queue cannot be opened") \
    EVENT(QUEUE_FILES_LOST, "queue-files-lost", "the files of the queue were deleted or replaced while they were in use") \
    EVENT(QUEUE_RESCUED, "queue-rescued", "what such files had is in a new queue") \
    EVENT(QUEUE_OUTDATED, "queue-outdated", "the database is older than when sluice last used it") \
    EVENT(RESERVE_USED, "reserve-used", "the disk is full, and the reserve file was removed") \
    EVENT(RESERVE_FAILED, "reserve-failed", "the reserve file cannot be written") \
    EVENT(DISK_HAS_SPACE, "disk-has-space", "the disk has space again") \
    EVENT(DELETES_LOST, "deletes-lost", "delivered messages could not be deleted, and are sent again") \
    EVENT(WAL_HELD, "wal-held", "an open query makes the write-ahead log grow") \
    EVENT(WAL_RELEASED, "wal-released", "no query holds the write-ahead log any more") \
    EVENT(DATABASE_ERROR, "database-error", "SQLite reports an error") \
    EVENT(DATABASE_CHECK_FAILED, "database-check-failed", "SQLite found damage") \
    EVENT(SCHEMA_APPLIED, "schema-applied", "the tables were made or changed") \
    EVENT(QUEUE_DAMAGED, "queue-damaged", "the database is damaged") \
    EVENT(QUEUE_RECOVERED, "queue-recovered", "the queue is in use again") \
    EVENT(SALVAGED, "salvaged", "the readable rows of a damaged database were copied") \
    EVENT(SALVAGE_RESUMED, "salvage-resumed", "a salvage that was interrupted goes on") \
    EVENT(SALVAGE_WAL_IGNORED, "salvage-wal-ignored", "a write-ahead log of another database was ignored") \
    EVENT(SALVAGE_KEYS_LOST, "salvage-keys-lost", "salvaged messages got new keys") \
    EVENT(DISK_FAILING, "disk-failing", "the database was damaged again and again") \
    EVENT(QUEUE_REPLACED_OFTEN, "queue-replaced-often", "the files of the queue were replaced again and again while it was in use") \
    /* the clock */ \
    EVENT(CLOCK_UNSYNCHRONISED, "clock-unsynchronised", "the time is not known yet") \
    EVENT(CLOCK_SYNCHRONISED, "clock-synchronised", "the time is known, and earlier times were corrected") \
    EVENT(CLOCK_STEPPED, "clock-stepped", "somebody set the clock") \
    EVENT(CLOCK_UNFLAGGED, "clock-unflagged", "the clock is right, though the kernel does not know it") \
    EVENT(CLOCK_STEPS_LATE, "clock-steps-late", "a step of the clock is noticed late") \
    EVENT(NETWORK_CHANGED, "network-changed", "an interface, an address or a route came or went") \
    EVENT(NETWORK_UNWATCHED, "network-unwatched", "sluice does not notice changes of the network") \
    EVENT(PAUSES_ENDED, "pauses-ended", "the network or the clock changed: what is away is tried at once")
/* clang-format on */

enum log_event {
#define LOG_EVENT_CONSTANT(constant, name, meaning) EVENT_##constant,
    LOG_EVENTS(LOG_EVENT_CONSTANT)
#undef LOG_EVENT_CONSTANT
};

#endif
