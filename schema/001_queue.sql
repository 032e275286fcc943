-- The queue of sluice.
--
-- The life of a message:
--
--    device ── MQTT ──► sluice
--                         │  INSERT, COMMIT, and only then the acknowledgement
--                         ▼
--                    ┌─────────┐   2xx from the backend: DELETE
--                    │ message │ ──────────────────────────────► delivered
--                    └─────────┘
--                      ▲     │  the backend refuses this one message (and not
--         retry, under │     │  its neighbours), or it cannot be sent at all
--         the same key │     ▼
--                  ┌─────────────┐
--                  │ dead_letter │   kept until a person retries or drops it
--                  └─────────────┘
--
-- Which of the two tables a message is in is its state; it is never in both. A
-- backend that is away changes no row: a message waits as it was stored.
--
-- Look at it with:  sqlite3 /var/lib/sluice/queue.db 'select * from pending'
--                   ... 'select * from dead'    ... 'select * from summary'
-- The tables themselves hold what the daemon needs; the views are for people.

-- One row per opening of the queue for writing.
CREATE TABLE run (
    id           INTEGER PRIMARY KEY,
    token        TEXT    NOT NULL UNIQUE, -- 16 hex digits, random: makes idempotency keys unique, even on cloned SD cards
    boot_id      TEXT    NOT NULL,        -- the kernel's id of the boot in which it ran
    epoch_ms     INTEGER NOT NULL,        -- wall clock (ms since 1970) when the uptime was 0: a message's time is epoch_ms + uptime_ms
    synchronised INTEGER NOT NULL,        -- 1: the wall clock was synchronised (NTP) when epoch_ms was taken
    confirmed_id INTEGER NOT NULL DEFAULT 0 -- at its end: up to this message.id the broker knew of our acknowledgements, and will not send again
) STRICT;

-- What waits for its backend. Small columns first: the queue is scanned without
-- touching payloads.
CREATE TABLE message (
    id            INTEGER PRIMARY KEY,    -- order of arrival; never used twice within a run
    run           INTEGER NOT NULL,       -- run.id; idempotency key = run.token || '-' || id
    route         TEXT    NOT NULL,       -- name of the route that it takes
    topic         TEXT    NOT NULL,       -- MQTT topic, or the path of the HTTP request
    uptime_ms     INTEGER NOT NULL,       -- when it was received: ms since boot (CLOCK_BOOTTIME)
    source        TEXT    NOT NULL DEFAULT 'mqtt', -- 'mqtt', 'http', or 'send' (sluice send)
    method        TEXT,                   -- http: the request's method
    target        TEXT,                   -- http: the request's raw path and query
    content_type  TEXT,                   -- what the sender said; NULL: derived from the payload
    packet_id     INTEGER,                -- mqtt: the PUBLISH packet's identifier, to recognise a redelivery
    late_since_ms INTEGER,                -- it waited at the broker: wall clock of the disconnect, a lower bound of its time
    attempts      INTEGER NOT NULL DEFAULT 0, -- failures that were this message's own fault
    last_status   INTEGER,                -- HTTP status of the last of them, NULL when there was no response
    last_error    TEXT,                   -- and what it said
    payload       BLOB    NOT NULL        -- byte for byte what was published
) STRICT;

-- What was set aside: the same columns, and why.
CREATE TABLE dead_letter (
    id            INTEGER PRIMARY KEY,    -- the message's id: a retry brings it back under the same key
    run           INTEGER NOT NULL,
    route         TEXT    NOT NULL,
    topic         TEXT    NOT NULL,
    uptime_ms     INTEGER NOT NULL,
    source        TEXT    NOT NULL,
    method        TEXT,
    target        TEXT,
    content_type  TEXT,
    packet_id     INTEGER,
    late_since_ms INTEGER,
    attempts      INTEGER NOT NULL,
    last_status   INTEGER,                -- HTTP status of the answer that condemned it
    last_error    TEXT,                   -- what the backend said, or what is wrong (bounded, secrets struck out)
    died_ms       INTEGER NOT NULL,       -- wall clock when it was set aside
    reason        TEXT    NOT NULL,       -- 'rejected', 'attempts', 'path' ...: why, in a word
    payload       BLOB    NOT NULL
) STRICT;

-- The topic filters subscribed to at the broker, which outlive a restart: those
-- that vanish from the configuration must be unsubscribed. Identifiers grow, and
-- none is ever given twice: copies of messages that still wait at the broker
-- under one are told apart by it. A filter that vanished keeps its row for them.
CREATE TABLE subscription (
    filter       TEXT    PRIMARY KEY,
    identifier   INTEGER NOT NULL UNIQUE,    -- MQTT 5 Subscription Identifier
    granted      INTEGER NOT NULL DEFAULT 0, -- 1: the broker accepted it
    covered_to   INTEGER,                    -- set when it vanished: the highest identifier until then; those filters saw the same messages
    unsubscribed INTEGER NOT NULL DEFAULT 0  -- 1: it vanished, and the broker confirmed that
) STRICT, WITHOUT ROWID;

-- Views for people. Times are local, with a '?' where the clock was not set; a
-- query in an http target is hidden, for it may carry a key. Payloads are shown
-- as text, 200 characters at most, or in hexadecimal where they hold control
-- characters (tab and newline aside) or are no UTF-8 (which reads as U+FFFD, or
-- as U+00A0 to U+00BF without the byte C2 that belongs before those): what a
-- device sent must not drive the reader's terminal.

CREATE VIEW pending AS
SELECT m.id,
       strftime('%Y-%m-%d %H:%M:%S', (r.epoch_ms + m.uptime_ms) / 1000, 'unixepoch', 'localtime')
           || CASE r.synchronised WHEN 1 THEN '' ELSE ' ?' END AS received,
       m.route,
       m.topic,
       CASE WHEN instr(m.payload, x'00') = 0
                 AND CAST(m.payload AS TEXT) NOT GLOB '*[' || char(1) || '-' || char(8) || char(11) || '-' || char(31)
                                                          || char(127) || '-' || char(159) || char(65533) || ']*'
                 AND NOT (CAST(m.payload AS TEXT) GLOB '*[' || char(160) || '-' || char(191) || ']*'
                          AND instr(m.payload, x'C2') = 0)
            THEN substr(CAST(m.payload AS TEXT), 1, 200)
            ELSE 'x''' || hex(substr(m.payload, 1, 100)) || '''' END AS payload,
       length(m.payload) AS bytes,
       m.attempts,
       m.last_status,
       m.last_error,
       CASE WHEN instr(m.target, '?') > 0 THEN substr(m.target, 1, instr(m.target, '?')) || '***'
            ELSE m.target END AS target,
       r.token || '-' || m.id AS idempotency_key
FROM message AS m LEFT JOIN run AS r ON r.id = m.run
ORDER BY m.id;

CREATE VIEW dead AS
SELECT d.id,
       strftime('%Y-%m-%d %H:%M:%S', (r.epoch_ms + d.uptime_ms) / 1000, 'unixepoch', 'localtime')
           || CASE r.synchronised WHEN 1 THEN '' ELSE ' ?' END AS received,
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
            ELSE 'x''' || hex(substr(d.payload, 1, 100)) || '''' END AS payload,
       length(d.payload) AS bytes,
       CASE WHEN instr(d.target, '?') > 0 THEN substr(d.target, 1, instr(d.target, '?')) || '***'
            ELSE d.target END AS target,
       r.token || '-' || d.id AS idempotency_key
FROM dead_letter AS d LEFT JOIN run AS r ON r.id = d.run
ORDER BY d.id;

CREATE VIEW summary AS
SELECT route,
       sum(waiting) AS waiting,
       strftime('%Y-%m-%d %H:%M:%S', min(oldest_ms) / 1000, 'unixepoch', 'localtime') AS oldest_waiting,
       sum(dead) AS dead
FROM (SELECT m.route, 1 AS waiting, r.epoch_ms + m.uptime_ms AS oldest_ms, 0 AS dead
        FROM message AS m LEFT JOIN run AS r ON r.id = m.run
      UNION ALL
      SELECT route, 0, NULL, 1 FROM dead_letter)
GROUP BY route
ORDER BY route;
