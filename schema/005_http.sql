-- What comes by plain HTTP.
--
-- Such a message has source 'http'; its method, and its target as the client sent it;
-- its topic is the client's address and the path, '192.168.1.20/api/collections/sensor':
-- what one client sends to one path stays in order. Its route has the name of the
-- configuration's section [http NAME], or is 'http'.

-- The client's own Idempotency-Key, under which it is delivered; NULL: it sent none, and
-- the key is run.token || '-' || id.
ALTER TABLE message ADD COLUMN idempotency_key TEXT;
ALTER TABLE dead_letter ADD COLUMN idempotency_key TEXT;

-- A client that repeats a request is found by its key; what has none costs nothing here.
-- The route is there for a salvage of damaged databases, which knows tables and indexes
-- by the shapes of their records: by a key alone, a client could pass for the index of
-- run.token.
CREATE INDEX message_idempotency_key ON message (idempotency_key, route) WHERE idempotency_key IS NOT NULL;

-- As before, with that key.
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
       coalesce(m.idempotency_key, r.token || '-' || m.id) AS idempotency_key
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
       coalesce(d.idempotency_key, r.token || '-' || d.id) AS idempotency_key
FROM dead_letter AS d LEFT JOIN run AS r ON r.id = d.run
ORDER BY d.id;
