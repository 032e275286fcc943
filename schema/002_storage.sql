-- What the queue tells of itself: what was dropped, what is wrong, and until when
-- a run was connected.

-- What limits made sluice drop, never without being asked (when_full, max_age), and
-- what a person dropped.
CREATE TABLE dropped (
    reason   TEXT    NOT NULL,            -- the limit: 'max_size', 'max_messages', 'min_free', 'max_age'; or 'by-hand' (sluice queue drop)
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

-- What waits at the broker while sluice is away is late: its time of receipt says
-- little. Its lower bound is the moment at which the broker last had nothing left
-- for us. A message says so by the uptime of that moment, so that the repair of
-- its run's epoch_ms repairs it too: it is late where late_since_ms (its name is
-- older than this) is not NULL, and waited since
--     run.epoch_ms + late_since_ms    when that was in this boot of the machine,
--     run.away_since_ms               when late_since_ms is 0: in an earlier one.
ALTER TABLE run ADD COLUMN drained_ms INTEGER;    -- that moment, in ms since boot, as it was last noted; NULL: not in this boot
ALTER TABLE run ADD COLUMN away_since_ms INTEGER; -- the last one in an earlier boot, wall clock, trustworthy; NULL: not known

-- As before, and ' (late)' behind the time where the message waited at the broker:
-- it is older than that.
DROP VIEW pending;
DROP VIEW dead;

CREATE VIEW pending AS
SELECT m.id,
       strftime('%Y-%m-%d %H:%M:%S', (r.epoch_ms + m.uptime_ms) / 1000, 'unixepoch', 'localtime')
           || CASE r.synchronised WHEN 1 THEN '' ELSE ' ?' END
           || CASE WHEN m.late_since_ms IS NULL THEN '' ELSE ' (late)' END AS received,
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
           || CASE r.synchronised WHEN 1 THEN '' ELSE ' ?' END
           || CASE WHEN d.late_since_ms IS NULL THEN '' ELSE ' (late)' END AS received,
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

-- For each route what waits, is set aside and was dropped; behind that what is wrong
-- now, a row each.
DROP VIEW summary;

CREATE VIEW summary AS
SELECT route,
       sum(waiting) AS waiting,
       strftime('%Y-%m-%d %H:%M:%S', min(oldest_ms) / 1000, 'unixepoch', 'localtime') AS oldest_waiting,
       sum(dead) AS dead,
       sum(dropped) AS dropped,
       NULL AS trouble
FROM (SELECT m.route, 1 AS waiting, r.epoch_ms + m.uptime_ms AS oldest_ms, 0 AS dead, 0 AS dropped
        FROM message AS m LEFT JOIN run AS r ON r.id = m.run
      UNION ALL
      SELECT route, 0, NULL, 1, 0 FROM dead_letter
      UNION ALL
      SELECT route, 0, NULL, 0, messages FROM dropped)
GROUP BY route
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL,
       what || ', since ' || strftime('%Y-%m-%d %H:%M:%S', since_ms / 1000, 'unixepoch', 'localtime') || ': ' || words
FROM trouble
ORDER BY trouble, route;
