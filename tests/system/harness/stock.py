"""Puts rows with fixed times into the queue of a stopped sluice."""
import sqlite3
import time

RECEIVED_MS = 1795369000000  # 2026-11-22 17:36:40 UTC


def stock(sluice, pending=(), dead=()):
    """pending, dead: dicts of columns; missing columns get defaults. The ids count up."""
    if not sluice.log:
        sluice.start()
        sluice.stop()
    database = sqlite3.connect(sluice.db)
    database.execute("insert or ignore into run (id, token, boot_id, epoch_ms, synchronised)"
                     f" values (1000, '00112233445566ff', 'elsewhere', {RECEIVED_MS}, 1)")  # fmt: skip
    rows = {"run": 1000, "route": "sensor", "topic": "garden/a/sensor", "source": "mqtt", "payload": b"{}"}
    died = {"attempts": 0, "died_ms": RECEIVED_MS + 60000, "reason": "rejected", "last_status": 422,
            "last_error": "422: no"}  # fmt: skip
    [(first,)] = database.execute("select max(coalesce((select max(id) from message), 0),"
                                  " coalesce((select max(id) from dead_letter), 0))")  # fmt: skip
    given = [("message", {**rows, **row}) for row in pending] + [("dead_letter", {**rows, **died, **row}) for row in dead]
    for number, (table, row) in enumerate(given, first + 1):
        row = {"id": number, "uptime_ms": number * 1000, **row}
        database.execute(f"insert into {table} ({', '.join(row)}) values ({', '.join('?' * len(row))})",
                         list(row.values()))  # fmt: skip
    database.commit()
    database.close()


def stock_many(sluice, count, topics=50, reason=None):
    """Adds `count` small readings of this boot. reason: of dead letters; None: pending."""
    if not sluice.log:
        sluice.start()
        sluice.stop()
    database = sqlite3.connect(sluice.db)
    [(run,)] = database.execute("select max(id) from run")
    uptime_ms = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
    table, more = ("message", "") if reason is None else ("dead_letter", ", source, attempts, died_ms, reason")
    values = "" if reason is None else f", 'mqtt', 0, {RECEIVED_MS}, '{reason}'"
    database.executemany(
        f"insert into {table} (id, run, route, topic, uptime_ms, payload{more})"
        f" values (?, {run}, 'sensor', ?, {uptime_ms}, ?{values})",
        ((n, f"garden/host{n % topics}/sensor", b'{"n":%d}' % n) for n in range(1, count + 1)),
    )
    database.commit()
    database.close()
