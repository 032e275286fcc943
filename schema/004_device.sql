-- Devices that number their readings, and are told which ones are stored (a route's
-- ack_topic). What is known of one is written by the commit that stores its readings,
-- and outlives them: it is what a repetition is recognised by.

CREATE TABLE device_state (
    ack_topic TEXT    PRIMARY KEY,        -- where it is told: names the device
    route     TEXT    NOT NULL,           -- of its last reading
    boot      INTEGER NOT NULL,           -- its latest life, by the number that it chose
    up_to     INTEGER NOT NULL,           -- every reading of it up to this number is stored, or lost and counted
    ahead     INTEGER NOT NULL,           -- 64 bits: bit i is set where number up_to + 1 + i is stored already
    gaps      INTEGER NOT NULL,           -- how many are missing in front of those
    earlier   BLOB    NOT NULL,           -- its lives before: boot (4 bytes), up_to (4), ahead (8) of each, big-endian, the latest first
    lives     INTEGER NOT NULL,           -- how many were seen in all
    first     INTEGER NOT NULL,           -- the oldest reading that it held when it was seen first: nothing is known of those before
    stored    INTEGER NOT NULL,           -- readings, of all lives
    lost      INTEGER NOT NULL,           -- readings that never came: its memory was full, or it was restarted
    since_ms  INTEGER NOT NULL,           -- wall clock of the first reading
    last_ms   INTEGER NOT NULL            -- and of the last that was stored
) STRICT, WITHOUT ROWID;

-- For people. waiting_for: readings that are missing in front of others, and are
-- expected to come.
CREATE VIEW device AS
SELECT ack_topic AS device,
       route,
       strftime('%Y-%m-%d %H:%M:%S', last_ms / 1000, 'unixepoch', 'localtime') AS last_stored,
       boot,
       up_to AS acknowledged,
       gaps,
       stored,
       lost,
       lives - 1 AS restarts,
       strftime('%Y-%m-%d %H:%M:%S', since_ms / 1000, 'unixepoch', 'localtime') AS since,
       first - 1 AS unknown_before
FROM device_state
ORDER BY ack_topic;
