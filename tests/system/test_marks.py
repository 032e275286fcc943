"""Each message that the broker may send again is recognised after a crash, also when its row is
gone: a limit or a person dropped it.

A line between sluice and the broker keeps the acknowledgements back, so the broker sends all
messages again.
"""
import os
import signal
import sqlite3

import pytest

from harness.line import Line
from harness.wait import wait_until
from scripted_broker import ScriptedBroker

TOPIC = "garden/wino-1/sensor"
FILTER = "garden/+/sensor"
PAGE = 4096


@pytest.fixture
def away(make_backend):
    """A backend that is not there yet."""
    return make_backend(start=False)


@pytest.fixture
def line(mosquitto):
    made = Line(mosquitto.port)
    yield made
    made.close()


@pytest.fixture
def start_muted(make_sluice, mosquitto, away, line):
    """A connected sluice, whose acknowledgements the broker does not hear."""

    def start(protocol="5", **queue):
        sluice = make_sluice(broker_port=line.port, backends={"garden": away}, queue=queue,
                             broker={"protocol": protocol})  # fmt: skip
        sluice.start().wait_connected(broker=mosquitto)
        line.mute()
        return sluice

    return start


@pytest.fixture
def scripted():
    with ScriptedBroker().start() as broker:
        yield broker
    assert not broker.errors, broker.errors


def publish(mosquitto, numbers, size=0):
    mosquitto.publish_many([(TOPIC, b"%d" % n + b" " * size, 1) for n in numbers])


def dropped(sluice):
    return {row["reason"]: row["messages"]
            for row in sluice.sql("select reason, sum(messages) as messages from dropped group by reason")}  # fmt: skip


def kill(sluice, line, kills=1):
    """Before the broker reads an acknowledgement. Each further time when all messages came
    again."""
    sluice.kill()
    line.cut()
    for _ in range(kills - 1):
        sluice.start(wait=False, env={"SLUICE_FAULT": "intake.flush:1:kill"})
        assert sluice.wait_exit() == -signal.SIGKILL


def arrived(sluice, mosquitto, away, expected):
    """These numbers are delivered, each once and in this order, and nothing else. A last message
    comes when all redeliveries have come."""
    away.start()
    sluice.running() or sluice.start()
    away.wait_for(len(expected))
    sluice.wait_empty()
    publish(mosquitto, [99])
    wait_until(lambda: b"99" in away.bodies(), what="the last message")
    assert [int(body) for body in away.bodies()] == [*expected, 99]


# ---- rows that go before they are confirmed


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("kills", [1, 2])
def test_what_drop_oldest_dropped_does_not_come_back(start_muted, mosquitto, away, line, kills, protocol):
    sluice = start_muted(protocol, max_messages=5, when_full="drop-oldest")
    publish(mosquitto, range(8))
    wait_until(lambda: dropped(sluice) == {"max_messages": 3}, what="three to be dropped")
    kept = [int(row["payload"]) for row in sluice.sql("select payload from message order by id")]
    assert kept[1:] == [4, 5, 6, 7]
    assert kept[0] in range(4)  # one stays while it is in flight: sluice may have tried it just now
    kill(sluice, line, kills)
    arrived(sluice, mosquitto, away, kept)
    assert dropped(sluice) == {"max_messages": 3}


@pytest.mark.parametrize("kills", [1, 2])
@pytest.mark.parametrize("room", [False, True])
def test_what_drop_newest_dropped_is_counted_once(start_muted, mosquitto, away, line, kills, room):
    sluice = start_muted(max_messages=4, when_full="drop-newest")
    publish(mosquitto, range(8))
    wait_until(lambda: dropped(sluice) == {"max_messages": 4}, what="four to be dropped")
    kill(sluice, line, kills)
    if room:
        sluice.write_config(sluice.config_text(queue={"path": sluice.db, "max_messages": 100}))
    arrived(sluice, mosquitto, away, [0, 1, 2, 3])
    assert dropped(sluice) == {"max_messages": 4}


def test_what_became_too_old_does_not_come_back(start_muted, mosquitto, away, line):
    sluice = start_muted(max_age="1h")
    publish(mosquitto, range(6))
    sluice.wait_pending(6)
    with sqlite3.connect(sluice.db, timeout=5) as person:
        person.execute("update message set uptime_ms = uptime_ms - 3600 * 1000 where id <= 2")
    person.close()
    sluice.wait_pending(4)
    kill(sluice, line)
    arrived(sluice, mosquitto, away, [2, 3, 4, 5])
    assert dropped(sluice) == {"max_age": 2}


@pytest.mark.parametrize("stopped", [False, True])
def test_what_a_person_dropped_does_not_come_back(start_muted, mosquitto, away, line, stopped):
    sluice = start_muted()
    publish(mosquitto, range(6))
    sluice.wait_pending(6)
    if stopped:
        kill(sluice, line)
    sluice.command("queue", "drop", "--yes", sluice.sql("select min(id) as id from message")[0]["id"])
    if not stopped:
        kill(sluice, line)
    arrived(sluice, mosquitto, away, [1, 2, 3, 4, 5])
    assert dropped(sluice) == {"by-hand": 1}


@pytest.mark.parametrize("by", ["a person", "max_dead_messages"])
def test_a_dead_letter_that_was_dropped_does_not_come_back(start_muted, mosquitto, away, line, by):
    away.answer = lambda request: 400 if request.body in (b"1", b"2") else 200
    away.start()
    sluice = start_muted(**({"max_dead_messages": 1} if by == "max_dead_messages" else {}))
    publish(mosquitto, range(4))
    away.wait_for(2)
    if by == "a person":
        sluice.command("queue", "drop", "--yes", sluice.wait_dead(2)[0]["id"])
    wait_until(lambda: len(sluice.dead()) == 1 and dropped(sluice), what="a dead letter to be dropped")
    kill(sluice, line)
    away.answer = lambda request: 200
    before = sluice.dead()
    sluice.start().wait_connected(broker=mosquitto)
    publish(mosquitto, [99])
    wait_until(lambda: b"99" in away.bodies(), what="the last message")
    keys = {}
    for request in away.delivered():
        keys.setdefault(int(request.body), set()).add(request.key)
    assert sorted(keys) == [0, 3, 99]
    assert all(len(found) == 1 for found in keys.values()), keys
    assert sluice.dead() == before


# ---- a salvage


def leaves(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        found = [row[0] for row in connection.execute(
            "select pageno from dbstat where name = 'message' and pagetype = 'leaf' order by path")]  # fmt: skip
    connection.close()
    return found


def spoil_first_leaf(sluice):
    """The messages in it cannot be read any more."""
    connection = sqlite3.connect(sluice.db)
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    first = leaves(sluice.db)[0]
    with open(sluice.db, "r+b") as file:
        file.seek((first - 1) * PAGE)
        file.write(os.urandom(PAGE))


@pytest.mark.parametrize("kills", [1, 2])
def test_a_salvage_loses_the_recognition_of_no_message_that_it_kept(start_muted, mosquitto, away, line, kills):
    """The first ones are lost. The broker has them still, and they are stored again. Those after
    them are recognised."""
    sluice = start_muted()
    publish(mosquitto, range(18), size=1000)
    sluice.wait_pending(18)
    kill(sluice, line)
    spoil_first_leaf(sluice)
    sluice.start(wait=False, env={"SLUICE_FAULT": "intake.flush:1:kill"} if kills > 1 else {})
    sluice.wait_event("salvaged")
    if kills > 1:
        assert sluice.wait_exit() == -signal.SIGKILL
        sluice.start()
    away.start()
    wait_until(lambda: {int(body) for body in away.bodies()} == set(range(18)), what="all messages")
    publish(mosquitto, [99])
    wait_until(lambda: b"99" in away.bodies(), what="the last message")
    assert sorted(int(body) for body in away.bodies()) == [*range(18), 99]


def test_a_salvage_drops_the_marks_of_messages_without_a_row(start_muted, mosquitto, away, line):
    """A mark that is out of date could make a new message be taken for a redelivery, and lost.
    So none is copied: a message that was dropped is stored again, and none is lost."""
    sluice = start_muted()
    publish(mosquitto, range(6))
    sluice.wait_pending(6)
    sluice.command("queue", "drop", "--yes", sluice.sql("select min(id) as id from message")[0]["id"])
    kill(sluice, line)
    sluice.call_damaged()
    sluice.start()
    sluice.wait_event("salvaged")
    arrived(sluice, mosquitto, away, [1, 2, 3, 4, 5, 0])


# ---- sessions that begin with a redelivery


def test_sessions_that_begin_with_a_redelivery_confirm_what_came_before(make_sluice, scripted, away):
    """No session lasts until a round trip ends. The broker gives an identifier anew, to an equal
    reading, and the connection ends before we can store it. It comes again, and it is new."""
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": away})
    scripted.unanswered = {"UNSUBSCRIBE"}
    sluice.start()
    scripted.wait_subscribed([FILTER])

    def session(number, *messages):
        """The last acknowledgement is lost."""
        scripted.wait(lambda: len(scripted.packets("CONNECT")) > number and scripted.connected, what="sluice")
        before = len(scripted.acked())
        scripted.publish_all([{"topic": TOPIC, **message} for message in messages])
        scripted.wait_acked(before + len(messages))
        scripted.drop()

    session(0, dict(payload=b"0", packet_id=1))
    for n in range(1, 6):
        session(n, dict(payload=b"%d" % (n - 1), packet_id=n, dup=True), dict(payload=b"%d" % n, packet_id=n + 1))
    session(6, dict(payload=b"5", packet_id=6, dup=True), dict(payload=b"0", packet_id=1, dup=True))
    assert sluice.sql("select max(confirmed_id) as id from run")[0]["id"] >= 4
    assert [int(row["payload"]) for row in sluice.sql("select payload from message order by id")] == [*range(6), 0]
