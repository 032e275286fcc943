"""Dead letters have a bound of their own: they never keep messages out of the queue."""
import contextlib
import json
import re
import sqlite3

import pytest

from harness.check import stops_empty
from harness.disk import Disk
from harness.wait import wait_until

pytestmark = pytest.mark.build("dev")

ROUTES = {"radio": {"topic": "rtl_433/#", "body": "json"}}
MIB = 1 << 20


def mixed(count, good_every, bad_bytes):
    """Texts that no object can be made of, and some good readings among them."""
    return [("rtl_433/a", b'{"n":%d}' % n if n % good_every == 0 else b"%d " % n + b"x" * bad_bytes, 1)
            for n in range(count)]  # fmt: skip


def count_bad(published):
    return sum(not payload.startswith(b"{") for _, payload, _ in published)


def dropped(sluice):
    return {row["reason"]: row["messages"]
            for row in sluice.sql("select reason, sum(messages) as messages from dropped group by reason")}


def publish_in_turns(sluice, mosquitto, published):
    """So that few of them wait at any time: the queue is full of dead letters, or not at all. Each bad message
    is a dead letter, or was one and is counted; no good one was dropped."""
    for first in range(0, len(published), 500):
        mosquitto.publish_many(published[first:first + 500])
        bad = count_bad(published[:first + 500])
        wait_dead_lettered(sluice, bad)
    gone = dropped(sluice)
    assert set(gone) == {"max_dead"} and len(sluice.dead()) + gone["max_dead"] == count_bad(published)


def wait_dead_lettered(sluice, count):
    """Without a query beside the daemon: one that is open makes the write-ahead log grow, and it counts too."""
    wait_until(lambda: json.loads(sluice.ask("status\n"))["since_start"]["dead_lettered"] == count,
               what=f"{count} dead letters")  # fmt: skip


def newest_are_left(sluice, published):
    bad = [payload for _, payload, _ in published if not payload.startswith(b"{")]
    left = [row["payload"] for row in sluice.sql("select payload from dead_letter order by id")]
    assert 0 < len(left) < len(bad) and left == bad[-len(left):]


@pytest.mark.parametrize("max_dead, most", [(None, MIB), ("2M", 2 * MIB), ("16M", 10 * MIB)])
def test_dead_letters_never_stop_intake(make_sluice, mosquitto, backend, max_dead, most):
    """A tenth of max_size by default; also where max_dead allows more than fits."""
    queue = {"max_size": "16M", "clock": "trust", **({"max_dead": max_dead} if max_dead else {})}
    sluice = make_sluice(backends={"garden": backend}, routes=ROUTES, queue=queue)
    sluice.start().wait_connected()
    published = mixed(6000, 50, 3000)
    publish_in_turns(sluice, mosquitto, published)
    backend.wait_for(120)
    assert [int(body[5:-1]) for body in backend.bodies()] == list(range(0, 6000, 50))
    assert not sluice.find_events(["queue-full", "queue-room"])
    sluice.wait_event("messages-dropped", "max_dead", level="warning")
    newest_are_left(sluice, published)
    [row] = sluice.sql("select sum(length(payload)) as bytes from dead_letter")
    assert most * 2 // 5 < row["bytes"] < most
    assert re.search(r"^dropped +[\d,]+ max_dead$", sluice.command("status", expect=4), re.M)
    [row] = sluice.sql("select dead, dropped from summary where route = 'radio'")
    assert row["dead"] + row["dropped"] == count_bad(published)
    stops_empty(sluice)


def test_dead_letters_never_stop_intake_of_a_small_disk(make_sluice, mosquitto, backend, tmp_path):
    """They could fill it down to min_free long before max_dead is reached."""
    disk = Disk(tmp_path / "disk", size=40 * MIB)
    queue = {"path": f"{disk.dir}/queue.db", "max_dead": "1G", "min_free": "16M", "clock": "trust"}
    sluice = make_sluice(backends={"garden": backend}, routes=ROUTES, queue=queue)
    try:
        sluice.start(env=disk.env).wait_connected()
        published = mixed(6000, 50, 3000)
        publish_in_turns(sluice, mosquitto, published)
        backend.wait_for(120)
        assert not sluice.find_events(["queue-full", "queue-room", "reserve-used"])
        newest_are_left(sluice, published)
        stops_empty(sluice)
    finally:
        sluice.finish()
        disk.close()


def test_max_dead_messages_keeps_the_newest(make_sluice, mosquitto, backend):
    """Also after a restart, and after a reload that allows fewer."""
    queue = {"max_dead_messages": "10", "clock": "trust"}
    sluice = make_sluice(backends={"garden": backend}, routes=ROUTES, queue=queue)
    sluice.start().wait_connected()
    first = [("rtl_433/a", b"%d" % n, 1) for n in range(25)]
    mosquitto.publish_many(first)
    wait_until(lambda: dropped(sluice) == {"max_dead_messages": 15}, what="15 to be dropped")
    sluice.wait_event("messages-dropped", "max_dead_messages 10", level="warning")
    assert sluice.stop() == 0
    after = len(sluice.log)
    sluice.start().wait_connected(after=after)
    mosquitto.publish_many([("rtl_433/a", b"%d" % n, 1) for n in range(25, 30)])
    wait_until(lambda: dropped(sluice) == {"max_dead_messages": 20}, what="5 more to be dropped")
    sluice.reload(queue={"path": sluice.db, **queue, "max_dead_messages": "3"})
    wait_until(lambda: dropped(sluice) == {"max_dead_messages": 27}, what="7 more to be dropped")
    assert [row["payload"] for row in sluice.sql("select payload from dead_letter order by id")] == [b"27", b"28", b"29"]
    stops_empty(sluice)


def full_line(sluice):
    """What the log says of the full queue, if it is still so: a log that is written back can make room once more."""
    lines = sluice.find_events("queue-full", level="warning")
    return lines and f" {sluice.pending():,} messages wait" in lines[-1] and lines[-1]


def test_a_full_queue_drops_dead_letters_first_and_says_what_fills_it(make_sluice, mosquitto, make_backend):
    """An outage: messages that can be delivered are worth more than dead letters. Then the messages wait at
    the broker, and the log and the status report what fills the queue."""
    away = make_backend(start=False)
    queue = {"max_size": "16M", "max_dead": "8M", "clock": "trust"}
    sluice = make_sluice(backends={"garden": away}, routes={**ROUTES, "raw": {"topic": "garden/#"}}, queue=queue)
    away.start()
    sluice.start().wait_connected()
    bad = mixed(1000, 1001, 3000)[1:]
    mosquitto.publish_many(bad)
    wait_dead_lettered(sluice, 999)
    away.stop()
    mosquitto.publish_many([("garden/a", b"%d " % n + b"y" * 3000, 1) for n in range(5000)])
    line = wait_until(lambda: full_line(sluice), what="a queue that stays full")
    waiting = sluice.pending()
    assert "max_size 16M" in line
    assert re.search(r": [\d,]+ messages wait, no dead letters\b", line) or re.search(r" dead letters? takes? ", line), line
    assert dropped(sluice).get("max_dead", 0) + len(sluice.dead()) == 999 and dropped(sluice)["max_dead"] > 900
    wait_until(lambda: re.search(r"^! full: max_size 16M: messages wait at the broker \(when_full = hold\); "
                                 rf"{waiting:,} messages wait, ", sluice.command("status", expect=4), re.M),
               what="the status")  # fmt: skip
    away.start()
    away.wait_for(5000)
    assert [int(body.split()[0]) for body in away.bodies()] == list(range(5000))
    assert set(dropped(sluice)) == {"max_dead"}
    stops_empty(sluice)


def test_a_log_that_an_open_query_keeps_is_named_and_passes(make_sluice, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend}, routes={**ROUTES, "raw": {"topic": "garden/#"}},
                         queue={"max_size": "16M", "clock": "trust"})  # fmt: skip
    sluice.start().wait_connected()
    with contextlib.closing(sqlite3.connect(f"file:{sluice.db}?mode=ro", uri=True)) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from message").fetchall()
        for n in range(8000):
            mosquitto.publish_many([("garden/a", b"%d " % n + b"x" * 3000, 1)])
            if sluice.find_events("queue-full"):
                break
        line = sluice.wait_event("queue-full", "max_size 16M", level="warning")
    assert re.search(r", the write-ahead log takes [\d.]+ MB, which an open query keeps$", line), line
    mosquitto.publish_many([("garden/a", b"%d" % k, 1) for k in range(n + 1, n + 500)])
    backend.wait_for(n + 500)
    stops_empty(sluice)
