"""Acknowledged means stored: crashes and failing commits at the worst moments.

The fault points (bridge/base/fault.h) are in test builds only.
"""
import signal
import sqlite3

import pytest

from harness.wait import wait_until
from scripted_broker import ScriptedBroker

FILTER = "garden/+/sensor"
# In the middle of a transaction sluice has something of its own to send.
OWN = "intake.own:5:fail,intake.own:17:fail,intake.own:41:fail:3,intake.own:90:fail:20"


@pytest.fixture
def scripted():
    with ScriptedBroker().start() as broker:
        yield broker
    assert not broker.errors, broker.errors


def numbers(count):
    return [b"%d" % n for n in range(count)]


def readings(count, first=0):
    return [{"topic": "garden/a/sensor", "payload": b"%d" % n} for n in range(first, first + count)]


def process_state(sluice):
    with open(f"/proc/{sluice.process.pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0]


def wait_stopped(sluice):
    wait_until(lambda: process_state(sluice) == "T", what="sluice to stop at its fault point")


def first_arrivals(backend):
    """Bodies in the order in which each came first."""
    return list(dict.fromkeys(r.body for r in backend.requests))


def with_session(make_sluice, mosquitto, backend, **parts):
    """A sluice that was there once, so that the broker keeps messages for it."""
    sluice = make_sluice(backends={"garden": backend}, **parts)
    sluice.start().wait_connected()
    assert sluice.stop() == 0
    return sluice


# -- crashes, with the real broker


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("fault", ["intake.read:1", "intake.read:37", "intake.read:200", "queue.commit:1",
                                   "intake.flush:1", "intake.flush:2"])  # fmt: skip
def test_a_crash_loses_no_message(make_sluice, mosquitto, backend, fault, version):
    sluice = with_session(make_sluice, mosquitto, backend, broker={"protocol": version}, queue={"commit_batch": 40})
    mosquitto.publish_many([("garden/a/sensor", payload, 1) for payload in numbers(200)])
    sluice.start(wait=False, env={"SLUICE_FAULT": f"{fault}:kill"})
    assert sluice.wait_exit() == -signal.SIGKILL
    if fault.startswith("intake.flush"):
        assert sluice.pending() > 0, "killed before there was anything to acknowledge"
    sluice.start()
    wait_until(lambda: len(set(first_arrivals(backend))) >= 200, what="200 different messages")
    sluice.wait_empty()
    assert first_arrivals(backend) == numbers(200)
    print(f"{len(backend.delivered()) - 200} duplicates after {fault}")
    # What Mosquitto sends again because it had not read the acknowledgement is recognised.
    keys = {}
    for request in backend.delivered():
        keys.setdefault(request.body, set()).add(request.key)
    assert all(len(found) == 1 for found in keys.values())


def test_repeated_crashes_lose_no_message(make_sluice, mosquitto, backend):
    sluice = with_session(make_sluice, mosquitto, backend, queue={"commit_batch": 20})
    mosquitto.publish_many([("garden/a/sensor", payload, 1) for payload in numbers(150)])
    for fault in ("intake.read:7", "intake.flush:1", "queue.commit:2", "intake.flush:1", "intake.read:21"):
        sluice.start(wait=False, env={"SLUICE_FAULT": f"{fault}:kill"})
        assert sluice.wait_exit() == -signal.SIGKILL
    sluice.start()
    wait_until(lambda: len(set(first_arrivals(backend))) >= 150, what="150 different messages")
    assert first_arrivals(backend) == numbers(150)


# -- acknowledgements, seen from the broker


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("own", [False, True])
def test_nothing_is_acknowledged_before_its_commit(make_sluice, scripted, backend, nth, own):
    """sluice is held just before a COMMIT. What it acknowledged so far is in the
    database; of this transaction nothing has left, and nothing of its own either,
    for that would take the waiting acknowledgements along."""
    backend.stop()
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend}, queue={"commit_batch": 30})
    sluice.start(env={"SLUICE_FAULT": f"queue.commit:{nth}:stop" + ("," + OWN if own else "")})
    scripted.wait_subscribed([FILTER])
    scripted.wait(lambda: "UNSUBSCRIBE" in [p.type for p in scripted.packets()], what="the first round trip")
    before = len(scripted.packets())
    scripted.publish_all(readings(120))
    wait_stopped(sluice)
    stored = sluice.pending()
    assert stored < 120
    scripted.wait(lambda: len(scripted.acked()) >= stored, what=f"{stored} acknowledgements")
    sent = scripted.packets()[before:]
    assert [p.packet_id for p in sent if p.type == "PUBACK"] == list(range(1, stored + 1))
    if nth == 1:
        assert [p.type for p in sent] == []
    sluice.signal(signal.SIGCONT)
    scripted.wait_acked(120)
    assert sluice.pending() == 120
    assert scripted.acked() == list(range(1, 121))
    if own:  # they were sent, once they could be
        scripted.wait(lambda: {"SUBSCRIBE", "PUBLISH"} <= {p.type for p in scripted.packets()[before:]},
                      what="sluice's own packets")  # fmt: skip


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("point", ["queue.commit:3", "intake.flush:3", "intake.read:70"])
def test_what_was_acknowledged_survives_the_crash(make_sluice, scripted, backend, point, own):
    """The kernel still delivers what a killed process had written: those
    acknowledgements are the ones that must be true."""
    backend.stop()
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend}, queue={"commit_batch": 30})
    sluice.start(env={"SLUICE_FAULT": f"{point}:kill" + ("," + OWN if own else "")})
    scripted.wait_subscribed([FILTER])
    ids = dict(zip(scripted.publish_all(readings(300)), numbers(300)))
    assert sluice.wait_exit() == -signal.SIGKILL
    scripted.wait(lambda: not scripted.connected, what="the end of the connection")
    stored = {bytes(row["payload"]) for row in sluice.sql("select payload from message")}
    acked = {ids[packet_id] for packet_id in scripted.acked()}
    assert acked <= stored
    assert len(stored) < 300
    # The broker sends again what was not acknowledged; everything is there in the end.
    sluice.start()
    scripted.wait_subscribed([FILTER])
    scripted.redeliver()
    scripted.wait(lambda: not scripted.unacked, what="all acknowledgements")
    stored = [bytes(row["payload"]) for row in sluice.sql("select payload from message order by id")]
    assert list(dict.fromkeys(stored)) == numbers(300)


@pytest.mark.parametrize("own", [False, True])
def test_each_acknowledged_message_can_be_read(make_sluice, scripted, backend, own):
    """At the moment when a PUBACK arrives, another connection to the database
    sees the message, or the backend has it already."""
    missing, readers, payloads = [], [], {}
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend}, queue={"commit_batch": 100})

    def is_safe(payload):
        if not readers:
            readers.append(sqlite3.connect(f"file:{sluice.db}?mode=ro", uri=True))
        if readers[0].execute("select 1 from message where payload = ?", (payload,)).fetchone():
            return True
        return payload in backend.bodies()

    def acknowledged(packet):
        if not is_safe(payloads[packet.packet_id]):
            missing.append(packet)

    scripted.hooks["PUBACK"] = acknowledged
    sluice.start(env={"SLUICE_FAULT": OWN} if own else {})
    scripted.wait_subscribed([FILTER])
    for first in range(0, 600, 100):
        batch = readings(100, first)
        for number, message in enumerate(batch, first + 1):
            message["packet_id"] = number
            payloads[number] = message["payload"]
        scripted.publish_all(batch)
    scripted.wait_acked(600)
    assert missing == []
    backend.wait_for(600)
    assert first_arrivals(backend) == numbers(600)


# -- commits that fail


def test_a_failed_commit_acknowledges_nothing(make_sluice, scripted, backend):
    """And as long as a trial fails, there is no new connection either, that would
    only be given the same messages again."""
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend})
    sluice.start(env={"SLUICE_FAULT": "queue.commit:1:fail,queue.trial:1:fail:100000"})
    scripted.wait_subscribed([FILTER])
    scripted.wait(lambda: "UNSUBSCRIBE" in [p.type for p in scripted.packets()], what="the first round trip")
    before = len(scripted.packets())
    scripted.publish_all(readings(20))
    scripted.wait(lambda: not scripted.connected, what="sluice to hang up")
    assert [p.type for p in scripted.packets()[before:]] == []
    sluice.wait_event("queue-write-failed", level="error")
    # The trials go on; nothing else does.
    with pytest.raises(AssertionError):
        scripted.wait(lambda: len(scripted.attempts) > 1, timeout=2.5)
    assert len(sluice.log) < 40
    assert backend.requests == []
    assert sluice.stop() == 0

    sluice.start()
    scripted.wait_subscribed([FILTER])
    scripted.redeliver()
    scripted.wait_acked(20)
    backend.wait_for(20)
    assert backend.bodies() == numbers(20)


def test_reconnects_once_a_trial_commit_succeeds(make_sluice, scripted, backend):
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend})
    sluice.start(env={"SLUICE_FAULT": "queue.commit:2:fail:2,queue.trial:1:fail:2"})
    scripted.wait_subscribed([FILTER])
    scripted.publish("garden/a/sensor", b"0")
    scripted.wait_acked(1)
    scripted.publish_all(readings(20, 1))
    for number in (1, 2):  # two commits fail, two reconnects
        scripted.wait(lambda: len(scripted.attempts) > number, what="sluice to connect again")
        scripted.wait_subscribed([FILTER])
        scripted.redeliver()
    scripted.wait_acked(21)
    backend.wait_for(21)
    assert first_arrivals(backend) == numbers(21)
    assert len(backend.delivered()) == 21


def test_a_failed_read_is_followed_by_a_trial_commit(make_sluice, scripted, backend):
    """Before the next connection: the subscriptions cannot be read."""
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend})
    sluice.start(env={"SLUICE_FAULT": "queue.trial:1:stop"})
    scripted.wait_subscribed([FILTER])
    person = sqlite3.connect(sluice.db, isolation_level=None)
    person.execute("alter table subscription rename to gone")
    scripted.drop()
    wait_stopped(sluice)
    assert sluice.find_events("queue-write-failed") and not sluice.find_events("queue-writable")
    sluice.signal(signal.SIGCONT)
    person.execute("alter table gone rename to subscription")
    person.close()
    scripted.wait_packets("SUBSCRIBE", 2)
    sluice.wait_event("queue-writable")
    scripted.publish("garden/a/sensor", b"0")
    backend.wait_for(1)


def test_failed_commits_lose_no_message_and_keep_the_order(make_sluice, mosquitto, backend):
    """With the real broker, and deliveries in flight. It repeats what it had sent
    before the connection broke and whose acknowledgement it had not read yet."""
    sluice = with_session(make_sluice, mosquitto, backend, queue={"commit_batch": 50})
    mosquitto.publish_many([("garden/a/sensor", payload, 1) for payload in numbers(200)])
    faults = "queue.commit:2:fail,queue.commit:4:fail:2,queue.trial:1:fail,queue.trial:3:fail"
    sluice.start(env={"SLUICE_FAULT": faults})
    mosquitto.publish_many([("garden/a/sensor", b"more %d" % n, 1) for n in range(50)])
    wait_until(lambda: len(set(backend.bodies())) >= 250, what="250 different messages")
    sluice.wait_empty()
    assert first_arrivals(backend) == numbers(200) + [b"more %d" % n for n in range(50)]
    print(f"{len(backend.delivered()) - 250} duplicates")
    assert sluice.stop() == 0
