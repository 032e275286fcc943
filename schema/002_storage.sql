-- What the queue tells of itself: what was dropped, what is wrong, and until when
-- a run was connected.

-- What limits made sluice drop, never without being asked (when_full, max_age).
CREATE TABLE dropped (
    reason   TEXT    NOT NULL,            -- the limit: 'max_size', 'max_messages', 'min_free', 'max_age'
    route    TEXT    NOT NULL,
    messages INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,            -- of their payloads
    since_ms INTEGER NOT NULL,            -- wall clock of the first
    last_ms  INTEGER NOT NULL,            -- and of the last
    PRIMARY KEY (reason, route)
) STRICT, WITHOUT ROWID;

-- What is wrong now, as far as it could be written down.
CREATE TABLE trouble (
    what     TEXT    PRIMARY KEY,         -- 'storage', 'full', 'reader', 'clock': one word
    since_ms INTEGER NOT NULL,            -- wall clock
    words    TEXT    NOT NULL             -- what is wrong, and what to do
) STRICT, WITHOUT ROWID;

-- When the broker was last known to be connected, in ms since that run's boot:
-- what waited at the broker since is not older than that.
ALTER TABLE run ADD COLUMN connected_ms INTEGER;
