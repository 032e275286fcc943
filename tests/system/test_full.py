"""A queue that is full, by each limit, and a disk that is: what is kept, what goes,
what is said, and that it goes on by itself."""
import os
import re
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from harness.check import stops_empty
from harness.disk import Disk
from harness.line import Line
from harness.wait import wait_until

pytestmark = pytest.mark.build("dev")

TOPIC = "garden/wino-1/sensor"
MIB = 1 << 20


@pytest.fixture
def away(make_backend):
    """A backend that is not there yet."""
    return make_backend(start=False)


@pytest.fixture
def disk(request, tmp_path):
    """Both kinds for the tests that ask for them, otherwise whichever is possible."""
    try:
        made = Disk(tmp_path / "disk", kind=getattr(request, "param", None))
    except AssertionError:  # nothing may be mounted here
        shutil.rmtree(tmp_path / "disk")
        made = Disk(tmp_path / "disk", kind="quota")
    yield made
    made.close()


both_kinds = pytest.mark.parametrize("disk", ["tmpfs", "quota"], indirect=True)


def readings(first, count, size=0):
    return [(TOPIC, b"%d" % n + b" " * size, 1) for n in range(first, first + count)]


def numbers(backend):
    return [int(body) for body in backend.bodies()]


def all_arrived(backend, count):
    """Each exactly once, in order."""
    backend.wait_for(count)
    assert numbers(backend) == list(range(count))
    assert len({request.key for request in backend.delivered()}) == count


def dropped(sluice):
    return {row["reason"]: row["messages"]
            for row in sluice.sql("select reason, sum(messages) as messages from dropped group by reason")}


def queue_bytes(sluice):
    return sum(os.stat(sluice.db + suffix).st_size for suffix in ("", "-wal"))


def cpu_s(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_calm(sluice, seconds=2.0):
    """Whatever it waits for: it neither turns in circles nor fills the log."""
    lines, used = len(sluice.log), cpu_s(sluice.process)
    time.sleep(seconds)
    assert cpu_s(sluice.process) - used < 0.3 * seconds
    assert len(sluice.log) - lines <= 3, sluice.log[lines:]


def write(sluice, sql):
    """As a person would, beside the daemon."""
    connection = sqlite3.connect(sluice.db, timeout=5)
    with connection:
        connection.execute(sql)
    connection.close()


# ---- hold


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_hold_leaves_messages_at_the_broker(make_sluice, mosquitto, away, protocol):
    sluice = make_sluice(backends={"garden": away}, broker={"protocol": protocol}, queue={"max_messages": 10})
    sluice.start().wait_connected()
    mosquitto.publish_many(readings(0, 60))
    sluice.wait_event("queue-full", "max_messages 10", level="warning")
    # Exactly, although the broker had more on its way; and it left in good order.
    wait_until(lambda: any(line.endswith("Client sluice disconnected.") for line in mosquitto.log),
               what="a clean disconnect")
    assert sluice.pending() == 10
    wait_until(lambda: sluice.sql("select problem from summary where problem not like 'clock%'"), what="a word of it")
    [row] = sluice.sql("select problem from summary where problem not like 'clock%'")
    assert re.fullmatch(r"full, since \S+ \S+: max_messages 10: messages wait at the broker .*", row["problem"])
    connected = len(sluice.find_events("broker-connected"))
    is_calm(sluice)
    sluice.wait_events(connected, "broker-connected")
    most = []

    def count(request):
        most.append(sluice.pending())
        return 200

    away.answer = count
    away.start()
    all_arrived(away, 60)
    assert max(most) <= 10
    assert re.search(r"\d of 10 messages, \S+ \S+ of 1G, ", sluice.wait_event("queue-room"))
    # Full again and again, told once a minute.
    sluice.wait_events(1, "queue-full")
    wait_until(lambda: not sluice.sql("select * from problem where name <> 'clock'"), what="the problem to be over")
    assert dropped(sluice) == {}
    stops_empty(sluice)


def test_max_size_holds_messages_at_the_broker(make_sluice, mosquitto, away):
    sluice = make_sluice(backends={"garden": away}, queue={"max_size": "16M"})
    sluice.start().wait_connected()
    mosquitto.publish_many(readings(0, 400, 50_000))
    sluice.wait_event("queue-full", "max_size 16M")
    assert 10 * MIB < queue_bytes(sluice) <= 16 * MIB
    assert 150 < sluice.pending() < 400
    away.start()
    all_arrived(away, 400)
    assert queue_bytes(sluice) <= 16 * MIB


def test_a_hold_ends_when_only_delivered_rows_are_left(make_sluice, mosquitto, backend):
    """They are deleted only when the broker is known to have read our acknowledgements,
    and it can only say so while it is connected."""
    sluice = make_sluice(backends={"garden": backend}, queue={"max_messages": 3})
    sluice.start().wait_connected()
    mosquitto.publish_many(readings(0, 9))
    all_arrived(backend, 9)
    stops_empty(sluice)


def test_a_crash_of_the_broker_does_not_end_a_hold(make_sluice, make_mosquitto, away):
    broker = make_mosquitto()
    sluice = make_sluice(broker_port=broker.port, backends={"garden": away}, queue={"max_messages": 5})
    sluice.start().wait_connected()
    broker.publish_many(readings(0, 20))
    sluice.wait_event("queue-full")
    broker.restart()
    is_calm(sluice, 1.5)
    away.start()
    all_arrived(away, 20)


def test_a_kill_after_a_hold_loses_nothing(make_sluice, mosquitto, away):
    """The broker hears none of the acknowledgements, and the line is cut: that cannot be
    told from a broker that closes behind having read them."""
    line = Line(mosquitto.port)
    sluice = make_sluice(broker_port=line.port, backends={"garden": away}, queue={"max_messages": 5})
    sluice.start().wait_connected(broker=mosquitto)
    line.mute()
    mosquitto.publish_many(readings(0, 20))
    sluice.wait_event("queue-full")
    mosquitto.process.send_signal(signal.SIGSTOP)  # it takes connections, and says nothing
    line.cut()
    away.start()
    away.wait_for(5)
    wait_until(lambda: sluice.pending() == 0, what="the rows to be deleted")
    sluice.kill()
    mosquitto.process.send_signal(signal.SIGCONT)
    sluice.start()
    all_arrived(away, 20)
    stops_empty(sluice)
    line.close()


def test_a_kill_during_a_hold_does_not_end_it(make_sluice, mosquitto, away):
    sluice = make_sluice(backends={"garden": away}, queue={"max_messages": 5})
    sluice.start().wait_connected()
    mosquitto.publish_many(readings(0, 20))
    sluice.wait_event("queue-full")
    sluice.kill()
    connections = len([line for line in mosquitto.log if " as sluice " in line])
    lines = len(sluice.log)
    sluice.start()
    sluice.wait_event("queue-full", after=lines)  # it does not even connect
    assert len([line for line in mosquitto.log if " as sluice " in line]) == connections
    assert sluice.pending() == 5
    assert sluice.stop() == 0
    sluice.start()
    away.start()
    all_arrived(away, 20)


def test_a_reload_of_limits_ends_a_hold(make_sluice, mosquitto, away):
    sluice = make_sluice(backends={"garden": away}, queue={"max_messages": 5})
    sluice.start().wait_connected()
    mosquitto.publish_many(readings(0, 20))
    sluice.wait_event("queue-full")
    sluice.reload(queue={"path": sluice.db, "max_messages": 1000})
    sluice.wait_event("queue-room")
    sluice.wait_pending(20)
    assert not sluice.find_events("restart-needed")


def test_min_free_holds_messages_at_the_broker(make_sluice, mosquitto, backend, tmp_path):
    disk = os.statvfs(tmp_path)
    more_than_free = (disk.f_bavail * disk.f_frsize >> 30) + 5
    sluice = make_sluice(backends={"garden": backend}, queue={"min_free": f"{more_than_free}G"})
    sluice.start()
    sluice.wait_event("queue-full", f"min_free {more_than_free}G")
    mosquitto.publish_many(readings(0, 5))
    sluice.reload(queue={"path": sluice.db, "min_free": "0"})
    sluice.wait_connected()
    mosquitto.publish_many(readings(0, 5))
    all_arrived(backend, 5)


# ---- dropping


@pytest.mark.parametrize("both", [False, True], ids=["broker", "both"])
def test_equal_readings_survive_holds_and_a_crash_of_the_broker(make_sluice, make_mosquitto, backend, both):
    """The broker gives identifiers anew that it gave before each hold, to equal readings,
    and sends some of them again, for sluice hung up: they are new all the same."""
    broker = make_mosquitto()
    sluice = make_sluice(broker_port=broker.port, backends={"garden": backend}, queue={"max_messages": 5})
    sluice.start().wait_connected()
    broker.save()  # no identifier was given yet
    equal = [("garden/a/sensor", b'{"errcount":0}', 1)] * 10
    broker.publish_many(equal)
    backend.wait_for(10)
    if both:
        sluice.kill()
    broker.kill()
    broker.start()
    broker.publish_many(equal)
    sluice.running() or sluice.start()
    wait_until(lambda: len({r.key for r in backend.delivered()}) >= 20, what="all to be delivered")
    stops_empty(sluice)


def test_drop_oldest_keeps_the_newest_messages(make_sluice, mosquitto, away):
    sluice = make_sluice(backends={"garden": away}, queue={"max_messages": 10, "when_full": "drop-oldest"})
    sluice.start().wait_connected()
    mosquitto.publish_many(readings(0, 100))
    wait_until(lambda: dropped(sluice) == {"max_messages": 90}, what="90 to be dropped")
    [row] = sluice.sql("select route, waiting, dropped from summary where problem is null")
    assert row == {"route": "sensor", "waiting": 10, "dropped": 90}
    sluice.wait_events(1, "messages-dropped")
    wait_until(lambda: sluice.sql("select * from problem where name = 'full'"), what="a word of it")
    sluice.kill()
    assert dropped(sluice) == {"max_messages": 90}  # it was as durable as the messages
    lines = len(sluice.log)
    sluice.start().wait_connected(after=lines)
    mosquitto.publish_many(readings(100, 1))
    wait_until(lambda: dropped(sluice) == {"max_messages": 91}, what="another one to be dropped")
    away.start()
    away.wait_for(10)
    first, *others = numbers(away)
    assert first in (90, 91)  # the oldest one stays while it is in flight: it may have been probed with
    assert others == list(range(92, 101))
    stops_empty(sluice)


def test_drop_oldest_keeps_messages_in_flight(make_sluice, mosquitto, backend):
    backend.answer = lambda request: "stall"
    sluice = make_sluice(backends={"garden": {"url": backend.url, "ca_file": backend.ca_file, "timeout": "3s"}},
                         queue={"max_messages": 3, "when_full": "drop-oldest"})
    sluice.start().wait_connected()
    mosquitto.publish_many(readings(0, 1))
    backend.wait_requests(1)
    mosquitto.publish_many(readings(1, 20))
    wait_until(lambda: dropped(sluice) == {"max_messages": 18}, what="18 to be dropped")
    assert [int(row["payload"]) for row in sluice.sql("select payload from message order by id")] == [0, 19, 20]
    backend.answer = lambda request: 200
    backend.wait_for(3)
    assert sorted(numbers(backend)) == [0, 19, 20]
    stops_empty(sluice)


def test_drop_newest_keeps_the_oldest_messages(make_sluice, mosquitto, away):
    sluice = make_sluice(backends={"garden": away}, queue={"max_messages": 10, "when_full": "drop-newest"})
    sluice.start().wait_connected()
    mosquitto.publish_many(readings(0, 10))
    sluice.wait_pending(10)
    mosquitto.publish_many(readings(10, 50))
    wait_until(lambda: dropped(sluice) == {"max_messages": 50}, what="50 to be dropped")
    mosquitto.wait_received("PUBACK", 60)
    sluice.kill()
    assert dropped(sluice) == {"max_messages": 50}
    lines = len(sluice.log)
    sluice.start().wait_connected(after=lines)
    away.start()
    away.wait_for(10)
    sluice.wait_empty()
    mosquitto.publish_many(readings(60, 1))
    away.wait_for(11)
    assert numbers(away) == [*range(10), 60]
    assert dropped(sluice) == {"max_messages": 50}  # acknowledged: the broker does not send them again
    stops_empty(sluice)


def test_max_age_drops_old_messages(make_sluice, mosquitto, away):
    sluice = make_sluice(backends={"garden": away}, queue={"max_age": "1h"})
    sluice.start().wait_connected()
    mosquitto.publish_many(readings(0, 8))
    sluice.wait_pending(8)
    write(sluice, "update message set uptime_ms = uptime_ms - 3600 * 1000 where id <= 5")
    sluice.wait_pending(3)
    assert dropped(sluice) == {"max_age": 5}
    sluice.wait_event("messages-dropped", "max_age 1h", level="warning")
    away.start()
    away.wait_for(3)
    assert numbers(away) == [5, 6, 7]
    stops_empty(sluice)


def test_max_age_keeps_messages_in_flight(make_sluice, mosquitto, backend):
    backend.answer = lambda request: "stall"
    sluice = make_sluice(backends={"garden": {"url": backend.url, "ca_file": backend.ca_file, "timeout": "4s"}},
                         queue={"max_age": "1h"})
    sluice.start().wait_connected()
    mosquitto.publish_many(readings(0, 3))
    backend.wait_requests(1)
    sluice.wait_pending(3)
    write(sluice, "update message set uptime_ms = uptime_ms - 3600 * 1000")
    sluice.wait_pending(1)
    assert [int(row["payload"]) for row in sluice.sql("select payload from message")] == [0]
    sluice.wait_pending(0)  # as soon as its request ended; it is tried no more
    assert len(backend.requests) == 1
    assert dropped(sluice) == {"max_age": 3}


# ---- storage that fails


@both_kinds
def test_a_full_disk_loses_nothing_and_costs_little(make_sluice, mosquitto, away, disk):
    """Nothing is lost, deliveries go on, space is given back, and then it goes on by
    itself; and all of that without a hot loop or a flood in the log."""
    sluice = make_sluice(dir=disk.dir, backends={"garden": away}, queue={"min_free": "0"})
    sluice.start(env=disk.env).wait_connected()
    reserve = Path(sluice.db + "-reserve")
    wait_until(lambda: reserve.exists() and reserve.stat().st_size == 8 * MIB, what="the reserve")
    mosquitto.publish_many(readings(0, 20, 50_000))
    sluice.wait_pending(20)
    disk.fill(leave=300_000)
    mosquitto.publish_many(readings(20, 100, 50_000))
    sluice.wait_event("reserve-used", "8 MiB")
    assert not reserve.exists()
    stored = sluice.pending()
    disk.fill()  # what the reserve took, others take
    is_calm(sluice)
    assert sluice.pending() == stored
    disk.fill(leave=MIB)  # too little for a reserve, also with all that the queue gives back
    away.start()
    away.wait_for(stored)
    sluice.wait_empty(30)
    wait_until(lambda: queue_bytes(sluice) < MIB, what="the queue's space to be given back")
    assert numbers(away) == list(range(stored))
    said = "select problem from summary where problem like 'storage,%the disk is full%'"
    wait_until(lambda: sluice.sql(said), what="the word of it, which is written as soon as that is possible")
    is_calm(sluice)
    disk.empty()
    sluice.wait_event("disk-has-space")
    all_arrived(away, 120)
    assert reserve.stat().st_size == 8 * MIB
    wait_until(lambda: not sluice.sql("select * from problem where name <> 'clock'"), what="the problem to be over")
    said = [line for line in sluice.log if re.search("queue|disk|reserve|database", line)]
    assert len(said) < 20, "\n".join(said)
    stops_empty(sluice)


def test_sluice_starts_on_a_full_disk_and_delivers(make_sluice, mosquitto, away, disk):
    sluice = make_sluice(dir=disk.dir, backends={"garden": away}, queue={"min_free": "0"})
    sluice.start(env=disk.env).wait_connected()
    reserve = Path(sluice.db + "-reserve")
    wait_until(lambda: reserve.exists() and reserve.stat().st_size == 8 * MIB, what="the reserve")
    mosquitto.publish_many(readings(0, 20, 50_000))
    sluice.wait_pending(20)
    sluice.stop()
    disk.fill()
    sluice.start(env=disk.env)
    away.start()
    away.wait_for(20)
    disk.empty()
    mosquitto.publish_many(readings(20, 5))
    all_arrived(away, 25)


def test_failed_commits_are_logged_once(make_sluice, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend})
    sluice.start(env={"SLUICE_FAULT": "queue.commit:1:fail:3"}).wait_connected()
    mosquitto.publish_many(readings(0, 10))
    all_arrived(backend, 10)
    sluice.wait_events(1, "queue-write-failed")
    sluice.wait_events(1, "queue-writable")
    stops_empty(sluice)


def test_a_lock_of_another_program_delays_and_loses_nothing(make_sluice, mosquitto, backend):
    """Someone forgot to end a transaction: what is stored cannot be deleted, nothing can be
    stored, and both go on afterwards."""
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    other = sqlite3.connect(sluice.db, isolation_level=None)
    other.execute("begin immediate")
    mosquitto.publish_many(readings(0, 10))
    sluice.wait_event("queue-write-failed", "locked", level="error")
    is_calm(sluice)
    other.execute("rollback")
    other.close()
    sluice.wait_event("queue-writable")
    all_arrived(backend, 10)
    stops_empty(sluice)


def test_messages_that_cannot_be_deleted_are_not_sent_again(make_sluice, mosquitto, backend):
    """What was delivered and cannot be deleted is remembered, and not sent again."""
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    backend.answer = lambda request: 503
    mosquitto.publish_many(readings(0, 200))
    sluice.wait_pending(200)
    other = sqlite3.connect(sluice.db, isolation_level=None)
    other.execute("begin immediate")
    backend.answer = lambda request: 200
    backend.wait_for(200)
    is_calm(sluice)
    assert sluice.pending() == 200
    other.execute("rollback")
    other.close()
    sluice.wait_empty()
    assert sorted(numbers(backend)) == list(range(200))
    stops_empty(sluice)


def test_a_crash_after_a_message_that_found_no_space_loses_nothing(make_sluice, mosquitto, backend, disk):
    """Its rows are larger than what SQLite keeps in memory, so the INSERT of one of them fails and
    rolls back the transaction. Nothing that follows in the batch may reach the disk: it would say that
    the message is stored."""
    routes = {f"r{n}": {"topic": topic, "path": "/"} for n, topic in enumerate(["garden/#"] * 7 + ["garden/+/sensor"])}
    body = b"x" * 250_000  # Mosquitto takes no more than 256 KiB
    sluice = make_sluice(dir=disk.dir, backends={"garden": backend}, routes=routes, queue={"min_free": "0"})
    sluice.start(env={**disk.env, "SLUICE_FAULT": "queue.trial:1:kill"}).wait_connected()
    reserve = Path(sluice.db + "-reserve")
    wait_until(lambda: reserve.exists() and reserve.stat().st_size == 8 * MIB, what="the reserve")
    disk.fill(leave=500_000)
    mosquitto.publish("garden/a/sensor", body)
    assert sluice.wait_exit() == -signal.SIGKILL
    assert sluice.find_events("database-error", "cannot store a message")
    assert sluice.sql("select * from fingerprint") == sluice.sql("select * from last_copies") == []
    disk.empty()
    sluice.start(env=disk.env).wait_connected()
    assert [request.body == body for request in backend.wait_for(8)] == [True] * 8
    stops_empty(sluice)


def test_a_stop_on_a_full_disk_loses_nothing(make_sluice, mosquitto, away, disk):
    sluice = make_sluice(dir=disk.dir, backends={"garden": away}, queue={"min_free": "0"})
    sluice.start(env=disk.env).wait_connected()
    mosquitto.publish_many(readings(0, 10))
    sluice.wait_pending(10)
    disk.fill()
    mosquitto.publish_many(readings(10, 200, 50_000))
    sluice.wait_event(["reserve-used", "queue-write-failed", "database-error"])
    assert sluice.stop(signal.SIGTERM) == 0
    disk.empty()
    away.start()
    sluice.start(env=disk.env)
    all_arrived(away, 210)
