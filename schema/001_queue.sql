-- The queue of sluice.
--
-- The life of a message:
--
--    device ── MQTT or HTTP ──► sluice
--                                 │  INSERT, COMMIT, and only then the acknowledgement
--                                 ▼
--                       ┌───── message ─────┐   2xx from the backend: DELETE
--                       │      waiting      │ ──────────────────────────────► delivered
--                       │      ▲     │      │
--    sluice queue retry │      │     │      │  it fails alone while others pass
--                       │      │     ▼      │
--                       │      deferred     │
--                       └───────────────────┘
--                              ▲     │  the backend rejects this message (and accepts
--          sluice queue retry, │     │  others), or no request can be made from it, or
--           under the same key │     ▼  it was tried max_attempts times
--                          ┌─────────────┐
--                          │ dead_letter │   stays until a person retries or drops it, or max_dead drops it
--                          └─────────────┘
--
-- The table that has a message shows its state, and in the table `message` the column
-- `deferred` does; a message is never in both tables. A waiting message keeps its place in
-- the order of its topic. A deferred one left it: it is tried again by itself. A dead letter
-- that is retried waits again. An outage of the backend changes no row: the message stays
-- as it was. A limit (when_full, max_age, max_dead) or a person may delete a row of either table, and so
-- may the expiry that a sender gave its message, while it waits; the table `dropped` counts these.
--
-- Read it with:  sqlite3 /var/lib/sluice/queue.db 'select * from pending'
--                ... 'select * from dead'    ... 'select * from summary'    ... 'select * from device'
-- The views are for people. The tables hold what the daemon needs.
--
-- A column that ends in _ms holds milliseconds: since 1970 (wall clock), or since the
-- machine booted where its comment says "uptime" (CLOCK_BOOTTIME).

-- One row for each time that the queue was opened for writing. (A step of the clock
-- also starts a new run, see queue/clock.c.)
CREATE TABLE run (
    id            INTEGER PRIMARY KEY,
    token         TEXT    NOT NULL UNIQUE,    -- 16 random hex digits: idempotency keys stay unique, even on cloned SD cards
    boot_id       TEXT    NOT NULL,           -- the kernel's id of the boot during which it ran
    epoch_ms      INTEGER NOT NULL,           -- wall clock at uptime 0: a message was received at epoch_ms + uptime_ms
    synchronised  INTEGER NOT NULL,           -- 1: the wall clock was synchronised (NTP) when epoch_ms was taken
    confirmed_id  INTEGER NOT NULL DEFAULT 0, -- the broker has read our acknowledgements of all messages up to this id, as last saved
    reserved_id   INTEGER NOT NULL DEFAULT 0, -- no message of this run, or before, has a higher id; after a clean end, the last one that was used
    drained_ms    INTEGER,                    -- uptime when the broker last had nothing left for us, as last saved; NULL: not in this boot
    away_since_ms INTEGER                     -- the same of an earlier boot, as wall clock; NULL: not known
) STRICT;

-- The messages that wait for their backend. The payload is the last column: a scan of
-- the queue does not read it.
CREATE TABLE message (
    id                   INTEGER PRIMARY KEY,            -- order of arrival; never used twice
    run                  INTEGER NOT NULL,               -- run.id
    route                TEXT    NOT NULL,               -- name of its [route NAME]; by HTTP: of its [http NAME], or 'http'
    topic                TEXT    NOT NULL,               -- MQTT topic; by HTTP: client address and path, '192.168.1.20/api/collections/sensor'
    uptime_ms            INTEGER NOT NULL,               -- uptime when it was received
    source               TEXT    NOT NULL DEFAULT 'mqtt',-- 'mqtt', 'http', or 'send' (sluice send)
    method               TEXT,                           -- HTTP: the request's method
    target               TEXT,                           -- HTTP: the request's path and query, as the client sent them
    content_type         TEXT,                           -- as the sender named it; NULL: derived from the payload
    properties           TEXT,                           -- MQTT 5: user properties, as JSON: [["name","value"],...]; NULL: none
    expires_after_ms     INTEGER,                        -- MQTT 5: it expires this long after its receipt; NULL: it does not
    retained             INTEGER,                        -- MQTT: 1: the broker had retained it; NULL: it had not
    idempotency_key      TEXT,                           -- HTTP: the client's own; NULL: the key is run.token || '-' || id
    packet_id            INTEGER,                        -- MQTT: packet identifier of the PUBLISH, which identifies a redelivery
    late_since_uptime_ms INTEGER,                        -- it waited at the broker while sluice was away, and is not older than this
                                                         -- uptime; 0: than run.away_since_ms; NULL: it did not wait
    attempts             INTEGER NOT NULL DEFAULT 0,     -- failures that were this message's own fault
    last_status          INTEGER,                        -- HTTP status of the last of these; NULL: there was no response
    last_error           TEXT,                           -- the message of that response, or what went wrong
    history              TEXT,                           -- those failures as JSON, an event a line (message/history.h); NULL: none
    deferred             INTEGER NOT NULL DEFAULT 0,     -- 1: it failed alone while others passed, and is tried again by itself
    payload              BLOB    NOT NULL                -- as it was published, byte for byte
) STRICT;

-- A client that repeats an HTTP request is recognised by its key; other messages are not in
-- the index. The index has the route because the salvage of a damaged database knows tables
-- and indexes by the types of their columns: the key alone looks like the index of run.token.
CREATE INDEX message_idempotency_key ON message (idempotency_key, route) WHERE idempotency_key IS NOT NULL;

-- The deferred messages, which are few: other messages are not in the index.
CREATE INDEX message_deferred ON message (id, route) WHERE deferred = 1;

-- The messages that expire; others are not in the index.
CREATE INDEX message_expires ON message (id) WHERE expires_after_ms IS NOT NULL;

-- The messages that were rejected: the same columns, then when and why.
CREATE TABLE dead_letter (
    id                   INTEGER PRIMARY KEY, -- that of the message: a retry uses the same idempotency key
    run                  INTEGER NOT NULL,
    route                TEXT    NOT NULL,
    topic                TEXT    NOT NULL,
    uptime_ms            INTEGER NOT NULL,
    source               TEXT    NOT NULL,
    method               TEXT,
    target               TEXT,
    content_type         TEXT,
    properties           TEXT,
    expires_after_ms     INTEGER,
    retained             INTEGER,
    idempotency_key      TEXT,
    packet_id            INTEGER,
    late_since_uptime_ms INTEGER,
    attempts             INTEGER NOT NULL,
    last_status          INTEGER,             -- HTTP status of the response that rejected it
    last_error           TEXT,                -- the backend's message, or what is wrong (bounded, without secrets)
    history              TEXT,
    died_ms              INTEGER NOT NULL,    -- when it was rejected
    reason               TEXT    NOT NULL,    -- why, in one word: 'rejected', 'attempts', 'path' ...
    seen                 INTEGER NOT NULL DEFAULT 0, -- 1: a person has listed it (sluice queue ls --state dead)
    payload              BLOB    NOT NULL
) STRICT;

-- Those that nobody has listed yet.
CREATE INDEX dead_letter_unseen ON dead_letter (id, route) WHERE seen = 0;

-- Routes that are held: too many of their messages were rejected in a row, and none was delivered
-- between them, so no more are dead-lettered. A row for each of these dead letters; they become
-- messages again when a message of the route is delivered after a change of the configuration.
CREATE TABLE held (
    id    INTEGER PRIMARY KEY, -- dead_letter.id
    route TEXT    NOT NULL
) STRICT;

-- Fingerprints of messages that have no row, and that the broker may send again.
--
-- A delivered message keeps its row until the broker has read our acknowledgement: the row
-- identifies a redelivery. A full queue cannot wait for that, and a limit or a person may drop
-- messages earlier. Then the row is deleted, and this fingerprint is kept until the broker has
-- read the acknowledgement (queue/confirm.h).
CREATE TABLE fingerprint (
    id        INTEGER PRIMARY KEY, -- of the message
    packet_id INTEGER NOT NULL,    -- of its PUBLISH; 0: a salvage may have lost messages up to this id
    digest    INTEGER NOT NULL     -- of its topic and payload (message/replay.h)
) STRICT;

-- The last message that came, while topics can match several filters: at most one row. The broker
-- sends a copy for each filter, and only the first one is stored (mqtt/copies.h).
CREATE TABLE last_copies (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    digest INTEGER NOT NULL, -- of its topic and payload
    named  BLOB    NOT NULL  -- the identifiers of the subscriptions that its copies named, 4 bytes each, big-endian
) STRICT;

-- The sessions at the broker, which outlive a restart of sluice: one for each client_id that was used.
-- (The broker's name is a text between numbers, so that the salvage of a damaged database does not
-- take a row for one of the table `subscription`.)
CREATE TABLE session (
    client_id     TEXT    PRIMARY KEY,
    protocol      INTEGER NOT NULL, -- protocol level of its last connection: 4 is MQTT 3.1.1, 5 is MQTT 5
    broker        TEXT    NOT NULL, -- host:port of its last connection
    reuses_ids    INTEGER NOT NULL, -- 1: the broker gives a packet identifier anew as soon as it is free (mqtt/redelivery.h)
    lost_since_ms INTEGER,          -- the broker forgot it: messages published since then ...
    lost_until_ms INTEGER,          -- ... until then may be missing; NULL: it never did
    expiry_s      INTEGER,          -- how long the broker keeps it without a connection; NULL: for ever, or as the broker likes
    left_ms       INTEGER           -- since when the configuration has another client_id; NULL: it has this one
) STRICT, WITHOUT ROWID;

-- The topic filters that the broker has for us. They outlive a restart: a filter that is no
-- longer in the configuration must be unsubscribed. Identifiers grow and are never used
-- again, because messages that still wait at the broker carry them. For the same reason a
-- removed filter keeps its row.
CREATE TABLE subscription (
    filter       TEXT    PRIMARY KEY,
    identifier   INTEGER NOT NULL UNIQUE,    -- MQTT 5 Subscription Identifier
    granted      INTEGER NOT NULL DEFAULT 0, -- 1: the broker accepted it
    covered_to   INTEGER,                    -- NULL: in the configuration. When it was removed: the highest identifier
                                             -- at that moment; the filters up to it received the same messages
    unsubscribed INTEGER NOT NULL DEFAULT 0, -- 1: it was removed, and the broker confirmed that
    matched      INTEGER NOT NULL DEFAULT 0  -- 1: a message matched it once, so it is spelt right
) STRICT, WITHOUT ROWID;

-- How many messages were dropped: by limits, which drop only where the configuration says
-- so (when_full, max_age, max_dead), and by people.
CREATE TABLE dropped (
    reason   TEXT    NOT NULL, -- the limit: 'max_size', 'max_messages', 'min_free', 'max_age'; of dead letters 'max_dead',
                               -- 'max_dead_messages'; 'expired' (the sender's expiry); or 'by-hand' (sluice queue drop)
    route    TEXT    NOT NULL,
    messages INTEGER NOT NULL,
    bytes    INTEGER NOT NULL, -- of their payloads
    since_ms INTEGER NOT NULL, -- when the first was dropped
    last_ms  INTEGER NOT NULL, -- when the last was dropped
    PRIMARY KEY (reason, route)
) STRICT, WITHOUT ROWID;

-- The problems of now. (While the disk fails, a new problem cannot be written here.)
CREATE TABLE problem (
    name        TEXT    PRIMARY KEY, -- 'storage', 'full', 'reader' or 'clock'
    since_ms    INTEGER NOT NULL,
    description TEXT    NOT NULL     -- what is wrong, and what to do
) STRICT, WITHOUT ROWID;

-- Where the daemon must read the queue again: at most one row.
--
-- The daemon reads each message once, in the order of ids. `sluice queue retry` makes waiting
-- messages whose ids the daemon has passed already, so in the same transaction it writes here the
-- lowest of them. The daemon sees that another process changed the database, deletes the row, and
-- reads from there.
CREATE TABLE rescan (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    from_id INTEGER NOT NULL -- message.id
) STRICT;

-- Devices that number their readings, and get an acknowledgement of what is stored (a route's
-- ack_topic). The commit that stores readings also writes this row. The row stays after they
-- are delivered: it identifies a reading that is sent again. A device chooses a boot number
-- when it starts; each start begins a life of it.
CREATE TABLE device_state (
    ack_topic TEXT    PRIMARY KEY, -- where its acknowledgements are published: the name of the device
    route     TEXT    NOT NULL,    -- of its last reading
    boot      INTEGER NOT NULL,    -- boot number of its latest life
    up_to     INTEGER NOT NULL,    -- each reading of that life up to this number is stored, or counted as lost
    ahead     INTEGER NOT NULL,    -- 64 bits: bit i is set when reading up_to + 1 + i is stored already
    gaps      INTEGER NOT NULL,    -- how many readings are missing before those
    earlier   BLOB    NOT NULL,    -- its lives before, latest first: boot (4 bytes), up_to (4), ahead (8) of each, big-endian
    lives     INTEGER NOT NULL,    -- how many lives it had in all
    first     INTEGER NOT NULL,    -- number of the oldest reading that it had when it was first seen
    stored    INTEGER NOT NULL,    -- readings stored, of all lives
    lost      INTEGER NOT NULL,    -- readings that never came: the device's memory was full, or it restarted
    since_ms  INTEGER NOT NULL,    -- when its first reading came
    last_ms   INTEGER NOT NULL,    -- when its last reading came, new or sent again; written at most once a minute
    speaker   INTEGER NOT NULL,    -- boot number of the last new reading: where several devices use one name, these
    steady    INTEGER NOT NULL,    -- alternate (message/device.h). How many new readings in a row had that number
    returns   INTEGER NOT NULL     -- how often an earlier life went on, which is no restart
) STRICT, WITHOUT ROWID;

-- The views. Times are local; ' ?' follows a time when the clock was not synchronised,
-- ' (late)' when the message waited at the broker and is older than that. The query of an
-- HTTP target is hidden, because it may have a key. A payload is shown as text, its first 200
-- characters. A device must not control the reader's terminal. So a payload that has control
-- characters (except tab and newline) or is not UTF-8 (which reads as U+FFFD, or as U+00A0 to U+00BF
-- without the byte C2 before them) is shown byte by byte: ASCII as it is, any other byte as \xNN. If
-- that would be more than a quarter of the bytes, it is shown in hexadecimal.

CREATE VIEW pending AS
SELECT m.id,
       strftime('%Y-%m-%d %H:%M:%S', (r.epoch_ms + m.uptime_ms) / 1000, 'unixepoch', 'localtime')
           || CASE r.synchronised WHEN 1 THEN '' ELSE ' ?' END
           || CASE WHEN m.late_since_uptime_ms IS NULL THEN '' ELSE ' (late)' END AS received,
       m.route,
       m.topic,
       CASE WHEN instr(m.payload, x'00') = 0
                 AND CAST(m.payload AS TEXT) NOT GLOB '*[' || char(1) || '-' || char(8) || char(11) || '-' || char(31)
                                                          || char(127) || '-' || char(159) || char(65533) || ']*'
                 AND NOT (CAST(m.payload AS TEXT) GLOB '*[' || char(160) || '-' || char(191) || ']*'
                          AND instr(m.payload, x'C2') = 0)
            THEN substr(CAST(m.payload AS TEXT), 1, 200)
            ELSE coalesce((WITH RECURSIVE byte (i, text, bad) AS (
                               SELECT 0, '', 0
                               UNION ALL
                               SELECT i + 1, text || CASE WHEN substr(m.payload, i + 1, 1) BETWEEN x'20' AND x'7E'
                                                               OR substr(m.payload, i + 1, 1) IN (x'09', x'0A')
                                                          THEN CAST(substr(m.payload, i + 1, 1) AS TEXT)
                                                          ELSE '\x' || lower(hex(substr(m.payload, i + 1, 1))) END,
                                      bad + CASE WHEN substr(m.payload, i + 1, 1) BETWEEN x'20' AND x'7E'
                                                      OR substr(m.payload, i + 1, 1) IN (x'09', x'0A') THEN 0 ELSE 1 END
                               FROM byte WHERE i < min(length(m.payload), 200))
                           SELECT text FROM byte WHERE i = min(length(m.payload), 200) AND bad <= i / 4),
                          'x''' || hex(substr(m.payload, 1, 100)) || '''') END AS payload,
       length(m.payload) AS bytes,
       CASE m.deferred WHEN 1 THEN 'deferred' ELSE 'waiting' END AS state,
       m.attempts,
       m.last_status,
       m.last_error,
       CASE WHEN instr(m.target, '?') > 0 THEN substr(m.target, 1, instr(m.target, '?')) || '***'
            ELSE m.target END AS target,
       coalesce(m.idempotency_key, r.token || '-' || m.id) AS idempotency_key
FROM message AS m LEFT JOIN run AS r ON r.id = m.run
ORDER BY m.id;

CREATE VIEW dead AS
SELECT d.id,
       strftime('%Y-%m-%d %H:%M:%S', (r.epoch_ms + d.uptime_ms) / 1000, 'unixepoch', 'localtime')
           || CASE r.synchronised WHEN 1 THEN '' ELSE ' ?' END
           || CASE WHEN d.late_since_uptime_ms IS NULL THEN '' ELSE ' (late)' END AS received,
       strftime('%Y-%m-%d %H:%M:%S', d.died_ms / 1000, 'unixepoch', 'localtime') AS died,
       d.route,
       d.topic,
       d.reason,
       d.last_status,
       d.last_error,
       d.attempts,
       CASE WHEN instr(d.payload, x'00') = 0
                 AND CAST(d.payload AS TEXT) NOT GLOB '*[' || char(1) || '-' || char(8) || char(11) || '-' || char(31)
                                                          || char(127) || '-' || char(159) || char(65533) || ']*'
                 AND NOT (CAST(d.payload AS TEXT) GLOB '*[' || char(160) || '-' || char(191) || ']*'
                          AND instr(d.payload, x'C2') = 0)
            THEN substr(CAST(d.payload AS TEXT), 1, 200)
            ELSE coalesce((WITH RECURSIVE byte (i, text, bad) AS (
                               SELECT 0, '', 0
                               UNION ALL
                               SELECT i + 1, text || CASE WHEN substr(d.payload, i + 1, 1) BETWEEN x'20' AND x'7E'
                                                               OR substr(d.payload, i + 1, 1) IN (x'09', x'0A')
                                                          THEN CAST(substr(d.payload, i + 1, 1) AS TEXT)
                                                          ELSE '\x' || lower(hex(substr(d.payload, i + 1, 1))) END,
                                      bad + CASE WHEN substr(d.payload, i + 1, 1) BETWEEN x'20' AND x'7E'
                                                      OR substr(d.payload, i + 1, 1) IN (x'09', x'0A') THEN 0 ELSE 1 END
                               FROM byte WHERE i < min(length(d.payload), 200))
                           SELECT text FROM byte WHERE i = min(length(d.payload), 200) AND bad <= i / 4),
                          'x''' || hex(substr(d.payload, 1, 100)) || '''') END AS payload,
       length(d.payload) AS bytes,
       CASE WHEN instr(d.target, '?') > 0 THEN substr(d.target, 1, instr(d.target, '?')) || '***'
            ELSE d.target END AS target,
       coalesce(d.idempotency_key, r.token || '-' || d.id) AS idempotency_key
FROM dead_letter AS d LEFT JOIN run AS r ON r.id = d.run
ORDER BY d.id;

-- A row for each route: how many messages wait, how many of these are deferred, how many are
-- dead letters, and how many were dropped. Then a row for each problem of now.
CREATE VIEW summary AS
SELECT route,
       sum(waiting) AS waiting,
       sum(deferred) AS deferred,
       strftime('%Y-%m-%d %H:%M:%S', min(oldest_ms) / 1000, 'unixepoch', 'localtime') AS oldest_waiting,
       sum(dead) AS dead,
       sum(dropped) AS dropped,
       NULL AS problem
FROM (SELECT m.route, 1 AS waiting, m.deferred, r.epoch_ms + m.uptime_ms AS oldest_ms, 0 AS dead, 0 AS dropped
        FROM message AS m LEFT JOIN run AS r ON r.id = m.run
      UNION ALL
      SELECT route, 0, 0, NULL, 1, 0 FROM dead_letter
      UNION ALL
      SELECT route, 0, 0, NULL, 0, messages FROM dropped)
GROUP BY route
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL,
       name || ', since ' || strftime('%Y-%m-%d %H:%M:%S', since_ms / 1000, 'unixepoch', 'localtime') || ': ' || description
FROM problem
ORDER BY problem, route;

-- A row for each device. gaps: readings that are missing before stored ones, and are expected
-- to come. shared: 'yes' when several devices seem to use this name.
CREATE VIEW device AS
SELECT ack_topic AS device,
       route,
       strftime('%Y-%m-%d %H:%M:%S', last_ms / 1000, 'unixepoch', 'localtime') AS last_seen,
       boot,
       up_to AS acknowledged,
       gaps,
       stored,
       lost,
       lives - 1 AS restarts,
       CASE WHEN returns >= 4 THEN 'yes' ELSE '' END AS shared,
       strftime('%Y-%m-%d %H:%M:%S', since_ms / 1000, 'unixepoch', 'localtime') AS since,
       first - 1 AS unknown_before
FROM device_state
ORDER BY ack_topic;
