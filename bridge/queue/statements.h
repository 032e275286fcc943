/* queue/statements.h - the statements of the queue: STATEMENT(name, SQL). queue/sql.h makes their
 * names of it, queue/sql.c the table of their texts. schema/ explains the tables and columns. */
/* clang-format off */
STATEMENT(Q_APPEND,
    "INSERT INTO message (" MESSAGE_COLUMNS ", payload) VALUES (" MESSAGE_BINDS ", ?)")
STATEMENT(Q_FIND_REPEATED,
    /* Only among the latest few: if a client gives all its requests one key, they must not become
     * slower and slower. */
    "SELECT id, payload FROM message WHERE id IN (SELECT id FROM message WHERE idempotency_key = ?1"
    " AND route = ?2 ORDER BY id DESC LIMIT 32) AND topic = ?3 AND method = ?4 AND target = ?5"
    " AND abs(length(payload) - ?6) <= 9") /* an age may gain digits */
STATEMENT(Q_DELETE,
    "DELETE FROM message WHERE id BETWEEN ?1 AND ?2")
STATEMENT(Q_SCAN,
    "SELECT id, route, topic, deferred FROM message WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3")
STATEMENT(Q_SCAN_NEWEST,
    "SELECT id, route, topic, deferred FROM message WHERE id <= ?1 ORDER BY id DESC LIMIT ?2")
STATEMENT(Q_SCAN_DEFERRED,
    "SELECT id, route, attempts FROM message WHERE deferred = 1 AND id > ?1 ORDER BY id LIMIT ?2")
STATEMENT(Q_COPY,
    "SELECT " MESSAGE_COLUMNS ", attempts, CASE WHEN length(payload) <= 256 THEN payload END FROM message"
    " WHERE id = ?1")
STATEMENT(Q_FETCH,
    "SELECT " MESSAGE_COLUMNS ", attempts, payload FROM message WHERE id = ?1")
STATEMENT(Q_VERSION,
    "PRAGMA data_version")
STATEMENT(Q_RUN,
    "SELECT " RUN_COLUMNS " FROM run WHERE id = ?1")
STATEMENT(Q_UNCONFIRMED,
    "SELECT id, packet_id, packet_digest(topic, payload) FROM message"
    " WHERE id > ?1 AND packet_id IS NOT NULL"
    " UNION ALL SELECT id, packet_id, packet_digest(topic, payload) FROM dead_letter"
    " WHERE id > ?1 AND packet_id IS NOT NULL"
    " UNION ALL SELECT id, packet_id, digest FROM fingerprint WHERE id > ?1 AND packet_id > 0"
    " ORDER BY id")
STATEMENT(Q_FINGERPRINTS_KEEP,
    FINGERPRINTS_KEEP("id BETWEEN ?1 AND ?2"))
STATEMENT(Q_FINGERPRINT_ADD,
    "INSERT INTO fingerprint (id, packet_id, digest) VALUES (?1, ?2, ?3)")
STATEMENT(Q_LAST_COPIES,
    "SELECT digest, named FROM last_copies WHERE one = 1")
STATEMENT(Q_LAST_COPIES_SET,
    "INSERT OR REPLACE INTO last_copies (one, digest, named) VALUES (1, ?1, ?2)")
STATEMENT(Q_LAST_COPIES_DELETE,
    "DELETE FROM last_copies WHERE one = 1")
STATEMENT(Q_FINGERPRINTS_DELETE,
    "DELETE FROM fingerprint WHERE id <= ?1")
STATEMENT(Q_OLDEST_FINGERPRINT,
    "SELECT id FROM fingerprint WHERE id > 0 ORDER BY id LIMIT 1")
STATEMENT(Q_BLAME,
    "UPDATE message SET attempts = ?2, last_status = ?3, last_error = ?4,"
    " history = history_add(history, ?5, ?6, ?2, ?3, ?4) WHERE id = ?1")
STATEMENT(Q_IS_DEFERRED,
    "SELECT 1 FROM message WHERE id = ?1 AND deferred = 1")
STATEMENT(Q_DEFER,
    "UPDATE message SET deferred = 1 WHERE id = ?1")
STATEMENT(Q_HELD_ADD,
    "INSERT OR REPLACE INTO held (id, route) VALUES (?1, ?2)")
STATEMENT(Q_HELD_DELETE,
    "DELETE FROM held WHERE route = ?1")
STATEMENT(Q_HELD,
    "SELECT id, route FROM held WHERE id IN (SELECT id FROM dead_letter) ORDER BY id")
STATEMENT(Q_RETURN,
    "INSERT INTO message (" MESSAGE_COLUMNS ", payload, history) SELECT " MESSAGE_COLUMNS ", payload, history"
    " FROM dead_letter WHERE id = ?1")
STATEMENT(Q_DEAD_LETTER,
    "INSERT INTO dead_letter (" MESSAGE_COLUMNS ", payload, attempts, last_status, last_error, died_ms, reason,"
    " history) SELECT " MESSAGE_COLUMNS ", payload, ?2, ?3, ?4, ?5, ?6,"
    " history_add(history, ?5, ?6, ?2, ?3, ?4) FROM message WHERE id = ?1")
/* Runs without messages need no row. Ids and runs grow together, over messages and dead letters,
 * so the oldest and the newest of these tell which runs may be needed: those before and
 * after are not. Some of the runs between are kept without need, but only runs in which a
 * message was stored; so starts that store nothing do not fill the table. The runs that a
 * salvage made for messages without a run are not in that order. */
STATEMENT(Q_RUNS_PRUNE_OLD,
    "DELETE FROM run WHERE boot_id <> 'lost' AND id < min("
    "coalesce((SELECT run FROM message WHERE id = (SELECT min(id) FROM message)), ?1),"
    " coalesce((SELECT run FROM dead_letter WHERE id = (SELECT min(id) FROM dead_letter)), ?1))")
STATEMENT(Q_RUNS_PRUNE_NEW,
    "DELETE FROM run WHERE boot_id <> 'lost' AND id < ?1 AND id > max("
    "coalesce((SELECT run FROM message WHERE id = (SELECT max(id) FROM message)), 0),"
    " coalesce((SELECT run FROM dead_letter WHERE id = (SELECT max(id) FROM dead_letter)), 0))")
STATEMENT(Q_TOUCH_RUN,
    "UPDATE run SET token = token WHERE id = ?1")
STATEMENT(Q_OLDEST_ID,
    "SELECT id FROM message WHERE id > 0 ORDER BY id LIMIT 1")
STATEMENT(Q_RESERVE_IDS,
    "UPDATE run SET reserved_id = ?2 WHERE id = ?1")
STATEMENT(Q_CONFIRMED,
    "UPDATE run SET confirmed_id = ?2 WHERE id = ?1")
STATEMENT(Q_DRAINED,
    "UPDATE run SET drained_ms = ?2 WHERE id = ?1")
STATEMENT(Q_PAGE_SIZE,
    "PRAGMA page_size")
STATEMENT(Q_PAGE_COUNT,
    "PRAGMA page_count")
STATEMENT(Q_FREE_PAGES,
    "PRAGMA freelist_count")
STATEMENT(Q_COUNT,
    "SELECT id, 0 FROM message WHERE id > ?1 ORDER BY id LIMIT ?2")
STATEMENT(Q_OLDEST,
    "SELECT id, route, length(payload) FROM message WHERE id > ?1 ORDER BY id LIMIT 1")
STATEMENT(Q_COUNT_DEAD,
    "SELECT id, " DEAD_BYTES " FROM dead_letter WHERE id > ?1 ORDER BY id LIMIT ?2")
STATEMENT(Q_DEAD_BYTES,
    "SELECT " DEAD_BYTES " FROM dead_letter WHERE id = ?1")
STATEMENT(Q_OLDEST_NOT_HELD,
    "SELECT id, route, length(payload) FROM dead_letter AS d WHERE id > 0"
    " AND NOT EXISTS (SELECT 1 FROM held WHERE held.id = d.id) ORDER BY id LIMIT 1")
STATEMENT(Q_OLDEST_DEAD,
    "SELECT id, route, length(payload) FROM dead_letter WHERE id > 0 ORDER BY id LIMIT 1")
STATEMENT(Q_DEAD_SEEN,
    "UPDATE dead_letter SET seen = 1 WHERE seen = 0 AND id > 0")
STATEMENT(Q_DELETE_DEAD,
    "DELETE FROM dead_letter WHERE id = ?1")
STATEMENT(Q_AGES,
    "SELECT m.id, m.route, length(m.payload), m.uptime_ms, r.boot_id, r.epoch_ms, r.synchronised"
    " FROM message AS m LEFT JOIN run AS r ON r.id = m.run WHERE m.id > ?1 ORDER BY m.id LIMIT ?2")
STATEMENT(Q_EXPIRIES,
    "SELECT m.id, m.route, length(m.payload), m.uptime_ms, r.boot_id, r.epoch_ms, r.synchronised,"
    " m.expires_after_ms FROM message AS m LEFT JOIN run AS r ON r.id = m.run"
    " WHERE m.expires_after_ms IS NOT NULL AND m.id > ?1 ORDER BY m.id LIMIT ?2")
STATEMENT(Q_DROPPED,
    "INSERT INTO dropped (reason, route, messages, bytes, since_ms, last_ms) VALUES (?1, ?2, 1, ?3, ?4, ?4)"
    " ON CONFLICT (reason, route) DO UPDATE SET messages = messages + 1, bytes = bytes + ?3, last_ms = ?4")
STATEMENT(Q_PROBLEM,
    "INSERT INTO problem (name, since_ms, description) VALUES (?1, ?2, ?3)"
    " ON CONFLICT (name) DO UPDATE SET since_ms = ?2, description = ?3")
STATEMENT(Q_PROBLEM_OVER,
    "DELETE FROM problem WHERE name = ?1")
STATEMENT(Q_NO_PROBLEMS,
    "DELETE FROM problem")
STATEMENT(Q_RESCAN,
    "SELECT from_id FROM rescan WHERE one = 1")
STATEMENT(Q_RESCAN_DELETE,
    "DELETE FROM rescan WHERE one = 1")
STATEMENT(Q_DROPPED_BY_HAND,
    "SELECT coalesce(sum(messages), 0) FROM dropped WHERE reason = 'by-hand'")
STATEMENT(Q_DEVICE,
    "SELECT boot, up_to, ahead, earlier, lives, first, stored, lost, speaker, steady, returns, last_ms"
    " FROM device_state WHERE ack_topic = ?1")
STATEMENT(Q_DEVICE_SAVE,
    "INSERT INTO device_state (ack_topic, route, boot, up_to, ahead, gaps, earlier, lives, first, stored, lost,"
    " since_ms, last_ms, speaker, steady, returns)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12, ?13, ?14, ?15)"
    " ON CONFLICT (ack_topic) DO UPDATE SET route = ?2, boot = ?3, up_to = ?4, ahead = ?5, gaps = ?6, earlier = ?7,"
    " lives = ?8, first = ?9, stored = ?10, lost = ?11, last_ms = ?12, speaker = ?13,"
    " steady = ?14, returns = ?15")
STATEMENT(Q_DEVICES_PRUNE,
    "DELETE FROM device_state WHERE ack_topic IN (SELECT ack_topic FROM device_state ORDER BY last_ms"
    " LIMIT max(0, (SELECT count(*) FROM device_state) - ?1))")
STATEMENT(Q_SUBSCRIPTIONS,
    "SELECT filter, identifier, granted, covered_to, unsubscribed, matched FROM subscription")
STATEMENT(Q_SUBSCRIPTION_ADD,
    "INSERT INTO subscription (filter, identifier)"
    /* The first one is random: an older database had others. */
    " VALUES (?1, (SELECT coalesce(max(identifier), abs(random() % 134217728)) + 1 FROM subscription))"
    " ON CONFLICT (filter) DO UPDATE SET identifier = excluded.identifier, granted = 0,"
    " covered_to = NULL, unsubscribed = 0 WHERE covered_to IS NOT NULL")
STATEMENT(Q_SUBSCRIPTION_GRANT,
    "UPDATE subscription SET granted = 1 WHERE filter = ?1 AND NOT granted")
STATEMENT(Q_SUBSCRIPTION_REFUSE,
    "UPDATE subscription SET granted = 0 WHERE filter = ?1 AND granted")
STATEMENT(Q_SUBSCRIPTION_MATCHED, "UPDATE subscription SET matched = 1 WHERE filter = ?1")
STATEMENT(Q_SUBSCRIPTION_VANISH,
    "UPDATE subscription SET covered_to = (SELECT max(identifier) FROM subscription)"
    " WHERE filter = ?1 AND covered_to IS NULL")
STATEMENT(Q_SUBSCRIPTION_UNSUBSCRIBED,
    "UPDATE subscription SET unsubscribed = 1 WHERE filter = ?1 AND covered_to IS NOT NULL")
STATEMENT(Q_SESSION,
    "SELECT protocol, reuses_ids, lost_since_ms, lost_until_ms, expiry_s FROM session WHERE client_id = ?1 AND broker = ?2")
STATEMENT(Q_SESSION_SAVE,
    "INSERT OR REPLACE INTO session (client_id, protocol, reuses_ids, lost_since_ms, lost_until_ms, expiry_s, broker)"
    " VALUES (?1, ?2, ?3, nullif(?4, 0), nullif(?5, 0), nullif(?6, 0), ?7)")
STATEMENT(Q_SESSION_USE,
    "UPDATE session SET left_ms = CASE WHEN client_id <> ?1 THEN ?2 END"
    " WHERE (client_id = ?1) = (left_ms IS NOT NULL)")
STATEMENT(Q_LAST_RUN,
    "SELECT boot_id, epoch_ms, synchronised, drained_ms, away_since_ms FROM run ORDER BY id DESC LIMIT 1")
STATEMENT(Q_RUN_INSERT,
    "INSERT INTO run (id, token, boot_id, epoch_ms, synchronised, drained_ms, away_since_ms, confirmed_id)"
    " VALUES ((SELECT coalesce(max(id), 0) + 1 FROM run), ?1, ?2, ?3, ?4, nullif(?5, 0), nullif(?6, 0), ?7)")
STATEMENT(Q_RUNS_REPAIR,
    "UPDATE run SET epoch_ms = ?2, synchronised = 1 WHERE boot_id = ?1 AND (NOT synchronised OR ?3)")
