/* text/status_fields.h - every field of `sluice status --json`, once: its place, name, type,
 * unit and meaning. sluice-control(7) is made from this table, so a row here and the code
 * that sets the value are all that a new field needs.
 *
 *     FIELD(constant, "place", "name", type, "unit", "meaning")
 *
 * place: the objects around it, from the outside; "a.b[]" is each object in the list b of
 * a, and {x,y} stands for two places. A row is one line, because CMakeLists.txt reads it.
 */
#ifndef SLUICE_TEXT_STATUS_FIELDS_H
#define SLUICE_TEXT_STATUS_FIELDS_H

/* clang-format off */
#define STATUS_FIELDS(FIELD) \
    FIELD(STATE, "", "state", text, "", "running, stopping, stopped, or no answer") \
    FIELD(PROBLEMS, "", "problems", list, "", "what is wrong: one text for each problem") \
    FIELD(NO_ANSWER, "", "no_answer", text, "", "why a running sluice does not respond; absent if it does") \
    FIELD(NO_QUEUE, "", "no_queue", text, "", "why the queue cannot be read; absent if it can") \
    FIELD(DAEMON, "", "daemon", object, "", "what a running sluice reports; absent if none answers") \
    FIELD(QUEUE, "", "queue", object, "", "what the database has; absent if it cannot be read") \
    /* the daemon */ \
    FIELD(VERSION, "daemon", "version", text, "", "version of sluice") \
    FIELD(PID, "daemon", "pid", number, "", "process id") \
    FIELD(DAEMON_STATE, "daemon", "state", text, "", "running or stopping") \
    FIELD(DAEMON_SINCE, "daemon", "since", time, "", "time of the start") \
    FIELD(DAEMON_SECONDS, "daemon", "seconds", number, "s", "time since the start") \
    FIELD(CONFIGURATION, "daemon", "configuration", text, "", "path of the configuration") \
    FIELD(CONFIGURATION_ERRORS, "daemon", "configuration_errors", number, "", "number of errors in its files now: a reload would be refused, and the next start would use the last configuration that was in force") \
    FIELD(CONFIGURATION_ERROR, "daemon", "configuration_error", text, "", "the first of these errors, or null") \
    FIELD(CONFIGURATION_RESTART, "daemon", "configuration_restart", text, "", "keys in the files that were changed and that only a restart puts in force, or null") \
    FIELD(CONFIGURATION_KEPT, "daemon", "configuration_kept", time, "", "sluice started with the configuration that was in force at this time, because the files had errors; or null") \
    FIELD(BROKER, "daemon", "broker", object, "", "the MQTT broker; absent if no route has a topic") \
    FIELD(HTTP, "daemon", "http", list, "", "one object for each [http] section") \
    FIELD(BACKENDS, "daemon", "backends", list, "", "one object for each backend") \
    FIELD(ROUTES, "daemon", "routes", list, "", "one object for each route") \
    FIELD(DAEMON_QUEUE, "daemon", "queue", object, "", "the queue, as the running sluice knows it") \
    FIELD(LAST_MINUTE, "daemon", "last_minute", object, "", "rates") \
    FIELD(SINCE_START, "daemon", "since_start", object, "", "counters") \
    FIELD(CLOCK, "daemon", "clock", object, "", "the clock of the machine") \
    /* the broker */ \
    FIELD(BROKER_HOST, "daemon.broker", "host", text, "", "name or address") \
    FIELD(BROKER_PORT, "daemon.broker", "port", number, "", "TCP port") \
    FIELD(BROKER_STATE, "daemon.broker", "state", text, "", "connected, connecting, away, or holding (the queue takes no messages)") \
    FIELD(BROKER_SINCE, "daemon.broker", "since", time, "", "start of this state") \
    FIELD(BROKER_PROTOCOL, "daemon.broker", "protocol", text, "", "MQTT version in use, 5 or 3.1.1; absent if not connected") \
    FIELD(BROKER_LOST_SINCE, "daemon.broker", "lost_since", time, "", "messages published since then may be missing, because the broker forgot the session; absent if it never did") \
    FIELD(BROKER_LOST_UNTIL, "daemon.broker", "lost_until", time, "", "when such a message was published at the latest") \
    FIELD(BROKER_WHY, "daemon.broker", "why", text, "", "reason of this state; absent if connected") \
    FIELD(BROKER_NEXT_TRY, "daemon.broker", "next_try", time, "", "next attempt to connect; absent if connected") \
    FIELD(BROKER_CLIENT_ID, "daemon.broker", "client_id", text, "", "name of the session") \
    FIELD(BROKER_CLASH, "daemon.broker", "clash", bool, "", "whether another client seems to use the same client_id: the broker ended several connections in a row soon after it had accepted them") \
    FIELD(SUBSCRIPTIONS, "daemon.broker", "subscriptions", list, "", "one object for each topic filter") \
    FIELD(SUBSCRIPTION_FILTER, "daemon.broker.subscriptions[]", "filter", text, "", "topic filter") \
    FIELD(SUBSCRIPTION_ROUTE, "daemon.broker.subscriptions[]", "route", text, "", "the first route that has it") \
    FIELD(SUBSCRIPTION_QOS, "daemon.broker.subscriptions[]", "qos", number, "", "QoS that the broker granted; absent if it refuses, or has not responded") \
    FIELD(SUBSCRIPTION_WHY, "daemon.broker.subscriptions[]", "why", text, "", "why the broker refuses it, or null") \
    FIELD(SUBSCRIPTION_RETAINED, "daemon.broker.subscriptions[]", "retained", number, "messages", "retained, and not forwarded since the start; 0 if no route of it has retained = report") \
    FIELD(SUBSCRIPTION_SILENT, "daemon.broker.subscriptions[]", "silent", bool, "", "whether no message matched it for the time that silent_after in sluice.conf(5) says, though messages matched others") \
    FIELD(SUBSCRIPTION_SILENT_SINCE, "daemon.broker.subscriptions[]", "silent_since", time, "", "receipt of the first message that matched only others, or null if one matched it") \
    FIELD(UNDELIVERED, "daemon.broker", "undelivered_acks", list, "", "one object for each device that does not get its acknowledgements") \
    FIELD(UNDELIVERED_DEVICE, "daemon.broker.undelivered_acks[]", "device", text, "", "topic of its acknowledgements") \
    FIELD(UNDELIVERED_WHY, "daemon.broker.undelivered_acks[]", "why", text, "", "why the broker does not deliver them") \
    /* HTTP clients */ \
    FIELD(HTTP_NAME, "daemon.http[]", "name", text, "", "name of the section, or empty") \
    FIELD(HTTP_STATE, "daemon.http[]", "state", text, "", "ok, or holding (clients get 503)") \
    FIELD(HTTP_WHY, "daemon.http[]", "why", text, "", "reason of this state, or null") \
    FIELD(HTTP_LISTEN, "daemon.http[]", "listen", list, "", "one object for each address") \
    FIELD(LISTEN_ADDRESS, "daemon.http[].listen[]", "address", text, "", "address and port") \
    FIELD(LISTEN_LISTENING, "daemon.http[].listen[]", "listening", bool, "", "whether clients can connect") \
    FIELD(LISTEN_WHY, "daemon.http[].listen[]", "why", text, "", "why they cannot, or null") \
    FIELD(HTTP_CONNECTIONS, "daemon.http[]", "connections", number, "connections", "open now") \
    FIELD(HTTP_MAX_CONNECTIONS, "daemon.http[]", "max_connections", number, "connections", "limit") \
    FIELD(HTTP_STORED, "daemon.http[]", "stored", number, "requests", "stored since the start") \
    FIELD(HTTP_REPEATED, "daemon.http[]", "repeated", number, "requests", "with a key that was in the queue already, and not stored again") \
    FIELD(HTTP_PASSED_ON, "daemon.http[]", "passed_on", number, "requests", "GET and HEAD, passed on to the backend") \
    FIELD(HTTP_REFUSED, "daemon.http[]", "refused", number, "requests", "refused with 4xx, or because they came too slowly") \
    FIELD(HTTP_SENT_AWAY, "daemon.http[]", "sent_away", number, "requests", "refused with 503") \
    /* backends and routes */ \
    FIELD(BACKEND_NAME, "daemon.backends[]", "name", text, "", "name of the section") \
    FIELD(BACKEND_URL, "daemon.backends[]", "url", text, "", "URL of the backend") \
    FIELD(BACKEND_IN_FLIGHT, "daemon.backends[]", "in_flight", number, "requests", "sent and without a response yet") \
    FIELD(BACKEND_BUDGET, "daemon.backends[]", "budget", number, "requests", "that may be in flight together") \
    FIELD(ROUTE_NAME, "daemon.routes[]", "name", text, "", "name of the section") \
    FIELD(ROUTE_FORMERLY, "daemon.routes[]", "formerly", text, "", "its former name; null where the configuration has none") \
    FIELD(ROUTE_BACKEND, "daemon.routes[]", "backend", text, "", "name of its backend") \
    FIELD(SCOPE_STATE, "daemon.{backends,routes}[]", "state", text, "", "ok, untried (a backend only), away, or misconfigured") \
    FIELD(SCOPE_SINCE, "daemon.{backends,routes}[]", "since", time, "", "start of the failure; absent without one, like the next four") \
    FIELD(SCOPE_WHY, "daemon.{backends,routes}[]", "why", text, "", "reason of the failure") \
    FIELD(SCOPE_PROBING, "daemon.{backends,routes}[]", "probing", bool, "", "whether a probe is in flight") \
    FIELD(SCOPE_NEXT_TRY, "daemon.{backends,routes}[]", "next_try", time, "", "next probe; null while one is in flight") \
    FIELD(SCOPE_FAILURES, "daemon.{backends,routes}[]", "failures", number, "requests", "that failed in a row") \
    FIELD(ROUTE_HELD, "daemon.routes[]", "held", bool, "", "whether too many messages in a row were rejected, so that no more are dead-lettered") \
    FIELD(ROUTE_HTML_SINCE, "daemon.routes[]", "html_since", time, "", "first 2xx response that was a web page, unless the configuration says that this is right, or null") \
    FIELD(ROUTE_HTML_MESSAGES, "daemon.routes[]", "html_messages", number, "messages", "delivered by such responses") \
    FIELD(ROUTE_HTML_TEXT, "daemon.routes[]", "html_text", text, "", "its status, and the beginning of its text, or null") \
    FIELD(ROUTE_HOUR_DELIVERED, "daemon.routes[]", "delivered_last_hour", number, "messages", "delivered in the last hour, but not before the last start or reload") \
    FIELD(ROUTE_HOUR_DEAD, "daemon.routes[]", "dead_last_hour", number, "messages", "made dead letters in that time") \
    FIELD(ROUTE_BATCH_BYTES, "daemon.routes[]", "batch_bytes", number, "bytes", "size limit of a batch now; absent without batches") \
    /* the queue, as the daemon knows it */ \
    FIELD(DAEMON_QUEUE_PATH, "daemon.queue", "path", text, "", "path of the database") \
    FIELD(DAEMON_QUEUE_WAITING, "daemon.queue", "waiting", number, "messages", "pending; absent until they are counted") \
    FIELD(DAEMON_QUEUE_FULL, "daemon.queue", "full", text, "", "the limit that is reached, or null") \
    FIELD(DAEMON_QUEUE_ROOM, "daemon.queue", "room", text, "", "how full the queue is, by each limit") \
    FIELD(DAEMON_PROBLEMS, "daemon.queue", "problems", list, "", "problems of now, also those that cannot be written to the database") \
    FIELD(MINUTE_SECONDS, "daemon.last_minute", "seconds", number, "s", "time that the next four cover") \
    FIELD(MINUTE_STORED, "daemon.last_minute", "stored", number, "messages", "stored, once for each route") \
    FIELD(MINUTE_DELIVERED, "daemon.last_minute", "delivered", number, "messages", "delivered") \
    FIELD(MINUTE_FSYNCS, "daemon.last_minute", "fsyncs", number, "fsyncs", "of the database and its write-ahead log") \
    FIELD(MINUTE_FSYNC_MS, "daemon.last_minute", "fsync_ms", number, "ms", "mean duration of an fsync; absent without one") \
    FIELD(RECEIVED, "daemon.since_start", "received", number, "messages", "received from the broker") \
    FIELD(STORED, "daemon.since_start", "stored", number, "messages", "stored, once for each route") \
    FIELD(DELIVERED, "daemon.since_start", "delivered", number, "messages", "delivered") \
    FIELD(DEAD_LETTERED, "daemon.since_start", "dead_lettered", number, "messages", "made dead letters") \
    FIELD(REPAIRED, "daemon.since_start", "repaired", number, "messages", "delivered, and repaired before (repair)") \
    FIELD(IGNORED, "daemon.since_start", "ignored", number, "messages", "not delivered, because they are no JSON objects (not_object)") \
    FIELD(DROPPED, "daemon.since_start", "dropped", number, "messages", "dropped by a limit") \
    FIELD(UNROUTED, "daemon.since_start", "unrouted", number, "messages", "that no route takes") \
    FIELD(EXCEPTED, "daemon.since_start", "excepted", number, "messages", "that all matching routes leave out (except)") \
    FIELD(RETAINED, "daemon.since_start", "retained", number, "messages", "retained, and not taken by any route") \
    FIELD(READINGS_AGAIN, "daemon.since_start", "readings_again", number, "readings", "sent again by a device, and not stored again") \
    FIELD(READINGS_LOST, "daemon.since_start", "readings_lost", number, "readings", "that devices had to drop") \
    FIELD(READINGS_MALFORMED, "daemon.since_start", "readings_malformed", number, "readings", "stored as ordinary messages") \
    FIELD(ACKS, "daemon.since_start", "acks", number, "messages", "acknowledgements sent to devices") \
    FIELD(REQUESTS, "daemon.since_start", "requests", number, "requests", "sent to backends") \
    FIELD(FSYNCS, "daemon.since_start", "fsyncs", number, "fsyncs", "of the database and its write-ahead log") \
    FIELD(BYTES_WRITTEN, "daemon.since_start", "bytes_written", number, "bytes", "written to the database and its write-ahead log") \
    FIELD(LONGEST_FSYNC_MS, "daemon.since_start", "longest_fsync_ms", number, "ms", "longest fsync") \
    FIELD(LONGEST_COMMIT_MS, "daemon.since_start", "longest_commit_ms", number, "ms", "longest commit") \
    FIELD(LONGEST_STALL_MS, "daemon.since_start", "longest_stall_ms", number, "ms", "longest round of the event loop, without commits") \
    FIELD(LONGEST_LOCK_MS, "daemon.since_start", "longest_lock_ms", number, "ms", "longest wait for the lock of the database") \
    FIELD(CLOCK_RIGHT, "daemon.clock", "right", bool, "", "whether the times of new messages are right") \
    FIELD(CLOCK_KERNEL, "daemon.clock", "kernel", text, "", "synchronised, unsynchronised, or cannot be asked") \
    FIELD(CLOCK_TRUSTED, "daemon.clock", "trusted", bool, "", "whether the configuration has clock = trust") \
    /* the database */ \
    FIELD(QUEUE_PATH, "queue", "path", text, "", "path of the database") \
    FIELD(QUEUE_ROUTES, "queue", "routes", list, "", "one object for each route with pending messages") \
    FIELD(QUEUE_ROUTE_NAME, "queue.routes[]", "name", text, "", "name of the route") \
    FIELD(QUEUE_ROUTE_WAITING, "queue.routes[]", "waiting", number, "messages", "pending") \
    FIELD(QUEUE_ROUTE_OLDEST, "queue.routes[]", "oldest", time, "", "receipt of the oldest") \
    FIELD(QUEUE_ROUTE_LATE, "queue.routes[]", "late", number, "messages", "pending, and received late, because they waited at the broker") \
    FIELD(QUEUE_ROUTE_RETRIED, "queue.routes[]", "retried", number, "messages", "pending, with a failed attempt") \
    FIELD(QUEUE_ROUTE_DEFERRED, "queue.routes[]", "deferred", number, "messages", "pending, and deferred: each is tried again by itself") \
    FIELD(QUEUE_ROUTE_DEFERRED_WHY, "queue.routes[]", "deferred_why", text, "", "last failure of the newest deferred message, or null") \
    FIELD(DEAD_LETTERS, "queue", "dead_letters", list, "", "one object for each route and reason") \
    FIELD(DEAD_ROUTE, "queue.dead_letters[]", "route", text, "", "name of the route") \
    FIELD(DEAD_REASON, "queue.dead_letters[]", "reason", text, "", "see REASONS in sluice(8)") \
    FIELD(DEAD_MESSAGES, "queue.dead_letters[]", "messages", number, "messages", "dead letters") \
    FIELD(DEAD_BYTES, "queue.dead_letters[]", "bytes", number, "bytes", "their payloads together") \
    FIELD(DEAD_UNSEEN, "queue.dead_letters[]", "unseen", number, "messages", "that nobody has listed (sluice queue ls --state dead)") \
    FIELD(DEAD_LAST, "queue.dead_letters[]", "last", time, "", "when the last one was dead-lettered") \
    FIELD(DROPS, "queue", "dropped", list, "", "one object for each route and reason") \
    FIELD(DROP_ROUTE, "queue.dropped[]", "route", text, "", "name of the route") \
    FIELD(DROP_REASON, "queue.dropped[]", "reason", text, "", "see REASONS in sluice(8)") \
    FIELD(DROP_MESSAGES, "queue.dropped[]", "messages", number, "messages", "dropped") \
    FIELD(DROP_BYTES, "queue.dropped[]", "bytes", number, "bytes", "their payloads together") \
    FIELD(DROP_SINCE, "queue.dropped[]", "since", time, "", "when the first one was dropped") \
    FIELD(DROP_LAST, "queue.dropped[]", "last", time, "", "when the last one was dropped") \
    FIELD(DEVICES, "queue", "devices", list, "", "one object for each device that numbers its readings, the last seen first") \
    FIELD(DEVICE_NAME, "queue.devices[]", "device", text, "", "topic of its acknowledgements") \
    FIELD(DEVICE_ROUTE, "queue.devices[]", "route", text, "", "name of the route") \
    FIELD(DEVICE_LAST_SEEN, "queue.devices[]", "last_seen", time, "", "receipt of its last reading") \
    FIELD(DEVICE_BOOT, "queue.devices[]", "boot", number, "", "number of its boot") \
    FIELD(DEVICE_ACKNOWLEDGED, "queue.devices[]", "acknowledged", number, "", "number of the last reading up to which all of this boot are acknowledged") \
    FIELD(DEVICE_GAPS, "queue.devices[]", "gaps", number, "readings", "missing, while later ones are stored") \
    FIELD(DEVICE_STORED, "queue.devices[]", "stored", number, "readings", "stored") \
    FIELD(DEVICE_LOST, "queue.devices[]", "lost", number, "readings", "that the device had to drop") \
    FIELD(DEVICE_RESTARTS, "queue.devices[]", "restarts", number, "", "boots after the first") \
    FIELD(DEVICE_SINCE, "queue.devices[]", "since", time, "", "receipt of its first reading") \
    FIELD(DEVICE_UNKNOWN_BEFORE, "queue.devices[]", "unknown_before", number, "readings", "before the first that was seen") \
    FIELD(DEVICE_SHARED, "queue.devices[]", "shared", bool, "", "whether several devices seem to use this name") \
    FIELD(SESSIONS, "queue", "sessions", list, "", "one object for each client_id that the configuration had before, whose session the broker may still keep") \
    FIELD(SESSION_CLIENT_ID, "queue.sessions[]", "client_id", text, "", "name of the session") \
    FIELD(SESSION_BROKER, "queue.sessions[]", "broker", text, "", "host and port of its last connection") \
    FIELD(SESSION_LEFT, "queue.sessions[]", "left", time, "", "since when the configuration has another client_id") \
    FIELD(SESSION_EXPIRES, "queue.sessions[]", "expires", time, "", "when the broker removes it (session_expiry), or null") \
    FIELD(QUEUE_PROBLEMS, "queue", "problems", list, "", "problems that the database keeps") \
    FIELD(PROBLEM_NAME, "{daemon.queue,queue}.problems[]", "name", text, "", "what has the problem") \
    FIELD(PROBLEM_SINCE, "{daemon.queue,queue}.problems[]", "since", time, "", "start of the problem") \
    FIELD(PROBLEM_DESCRIPTION, "{daemon.queue,queue}.problems[]", "description", text, "", "what is wrong") \
    FIELD(DISK, "queue", "disk", object, "", "sizes") \
    FIELD(DATABASE_BYTES, "queue.disk", "database_bytes", number, "bytes", "size of the database") \
    FIELD(FREE_IN_DATABASE_BYTES, "queue.disk", "free_in_database_bytes", number, "bytes", "unused in the database") \
    FIELD(WRITE_AHEAD_LOG_BYTES, "queue.disk", "write_ahead_log_bytes", number, "bytes", "size of the write-ahead log") \
    FIELD(RESERVE_BYTES, "queue.disk", "reserve_bytes", number, "bytes", "size of the reserve file") \
    FIELD(DISK_FREE_BYTES, "queue.disk", "disk_free_bytes", number, "bytes", "free on the disk") \
    FIELD(DISK_VOLATILE, "queue.disk", "volatile", text, "", "why a power cut may lose the queue (it is on a tmpfs or an overlay), or null")
/* clang-format on */

enum status_field {
#define STATUS_FIELD_CONSTANT(constant, place, name, type, unit, meaning) STATUS_##constant,
    STATUS_FIELDS(STATUS_FIELD_CONSTANT)
#undef STATUS_FIELD_CONSTANT
};

#endif
