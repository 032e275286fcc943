-- Devices: when the last word of each came, and whether several use one name.

-- Several devices under one name, by mistake: their lives alternate. See message/device.h.
ALTER TABLE device_state ADD COLUMN speaker INTEGER NOT NULL DEFAULT 0; -- the life of the last new reading
ALTER TABLE device_state ADD COLUMN steady INTEGER NOT NULL DEFAULT 0;  -- how many new ones in a row were of that life
ALTER TABLE device_state ADD COLUMN returns INTEGER NOT NULL DEFAULT 0; -- how often another life went on instead, that was no restart

-- last_ms: of the last reading that came; repetitions move it as well, once a minute.
-- shared: several devices seem to use this name.
DROP VIEW device;

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
