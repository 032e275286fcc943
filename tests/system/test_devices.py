"""Devices that number their readings (ack_topic): what is stored, and what is acknowledged."""
import json
import os
import re
import sqlite3

import pytest

from harness.wait import PATIENCE_S, wait_until

ROUTE = {"topic": "garden/+/sensor", "path": "/collections/sensor", "ack_topic": "garden/{2}/ack"}
SENSOR, ACK = "garden/a/sensor", "garden/a/ack"


def reading(number, boot=7, oldest=1, **more):
    return json.dumps({"b": boot, "s": number, "lo": oldest, **more})


class Device:
    """A client that hears what is said on an ack topic."""

    def __init__(self, broker, topic=ACK, version=4):
        self.acks = []
        self.client = broker.client(version=version, on_message=self.acks.append)
        granted = []
        self.client.on_subscribe = lambda *_: granted.append(1)
        self.client.subscribe(topic, 0)
        wait_until(lambda: granted, what="the subscription")

    def publish(self, *payloads, topic=SENSOR):
        for payload in payloads:
            self.client.publish(topic, payload, 0)

    @property
    def acknowledged(self):
        return [message.payload.decode() for message in list(self.acks)]

    def wait_acknowledged(self, text, count=1, timeout=PATIENCE_S):
        wait_until(lambda: self.acknowledged.count(text) >= count, timeout, lambda: f"{text!r} in {self.acknowledged}")

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def device(mosquitto):
    made = Device(mosquitto)
    yield made
    made.end()


@pytest.fixture
def sluice(make_sluice, mosquitto, backend):
    """Whether this machine's clock is synchronised is of no matter to it: a status would say so."""
    return make_sluice(backends={"garden": backend}, routes={"sensor": ROUTE}, queue={"clock": "trust"})


def numbers(backend):
    """(b, s) of what the backend got, by idempotency key, in order."""
    found = {}
    for request in backend.delivered():
        body = json.loads(request.body)
        found.setdefault(request.key, (body["b"], body["s"]))
    return list(found.values())


def start_again(sluice):
    lines = len(sluice.log)
    sluice.start().wait_event("broker-connected", after=lines)
    return lines


def row(sluice, topic=ACK):
    [found] = sluice.sql("select * from device where device = ?", topic)
    return found


def test_stored_readings_are_acknowledged_once_per_commit(sluice, device, mosquitto, backend):
    """On QoS 0, except the first, and not retained; a burst that shares commits shares answers."""
    sluice.start().wait_connected()
    for _ in range(2):
        device.publish(*[reading(n) for n in range(1, 301)])
    device.wait_acknowledged("7 300")
    assert [int(text.split()[1]) for text in device.acknowledged] == sorted(int(text.split()[1]) for text in device.acknowledged)
    answers = [line for line in mosquitto.log if "Received PUBLISH from sluice" in line]
    assert len(answers) > 1 and all("(d0, q0, r0, " in line for line in answers[1:])
    assert "(d0, q1, r0, " in answers[0]
    backend.wait_for(300)
    assert numbers(backend) == [(7, n) for n in range(1, 301)]
    found = row(sluice)
    assert (found["boot"], found["acknowledged"], found["stored"], found["lost"], found["gaps"]) == (7, 300, 300, 0, 0)
    assert (found["route"], found["restarts"], found["unknown_before"]) == ("sensor", 0, 0)
    assert len(device.acknowledged) < 300


def test_no_acknowledgement_is_retained(sluice, device, mosquitto):
    sluice.start().wait_connected()
    device.publish(reading(1))
    device.wait_acknowledged("7 1")
    late = Device(mosquitto)
    device.publish(reading(2))
    late.wait_acknowledged("7 2")
    assert late.acknowledged == ["7 2"]
    late.end()


def test_a_repetition_is_acknowledged_and_not_stored(sluice, device, backend):
    sluice.start().wait_connected()
    device.publish(reading(1), reading(2))
    device.wait_acknowledged("7 2")
    device.publish(reading(1, age=60000))
    device.wait_acknowledged("7 2", 2)
    device.publish(reading(3))
    backend.wait_for(3)
    assert numbers(backend) == [(7, 1), (7, 2), (7, 3)]


def test_the_last_reading_is_remembered_over_a_restart(sluice, device, backend):
    sluice.start().wait_connected()
    device.publish(reading(1), reading(2))
    device.wait_acknowledged("7 2")
    sluice.wait_empty()
    assert sluice.stop() == 0
    start_again(sluice)
    device.publish(reading(2), reading(3))
    device.wait_acknowledged("7 3")
    backend.wait_for(3)
    assert numbers(backend) == [(7, 1), (7, 2), (7, 3)]


def test_readings_that_the_device_dropped_are_counted(sluice, device, backend):
    sluice.start().wait_connected()
    device.publish(reading(1))
    device.wait_acknowledged("7 1")
    device.publish(reading(6, oldest=5))
    device.wait_acknowledged("7 4")
    assert (row(sluice)["lost"], row(sluice)["gaps"]) == (3, 1)
    device.publish(reading(5, oldest=5))
    device.wait_acknowledged("7 6")
    assert (row(sluice)["lost"], row(sluice)["gaps"], row(sluice)["stored"]) == (3, 0, 3)
    sluice.wait_event("readings-lost", ACK, 3, level="warning")


def test_ordinary_messages_are_not_acknowledged(sluice, device, backend):
    """Those that are not numbered, and those that are numbered wrong: both are stored."""
    sluice.start().wait_connected()
    odd = ['{"soil":512}', "512", reading(-1), reading(1.5), reading(2**32), reading(1, oldest=2),
           '{"b":7,"s":1}', reading("1"), reading(1, age=-1)]  # fmt: skip
    device.publish(*odd)
    device.publish(reading(1))
    device.wait_acknowledged("7 1")
    backend.wait_for(len(odd) + 1)
    assert [request.body.decode() for request in backend.delivered()] == [*odd, reading(1)]
    assert device.acknowledged == ["7 1"]
    [warning] = sluice.wait_events(1, "reading-malformed", level="warning")
    assert SENSOR in warning


def test_a_restarted_device_may_number_from_one(sluice, device, backend):
    sluice.start().wait_connected()
    device.publish(reading(1), reading(2))
    device.wait_acknowledged("7 2")
    device.publish(reading(1, boot=8))
    device.wait_acknowledged("8 1")
    device.publish(reading(2), reading(2, boot=8))  # the broker may repeat what is old
    device.wait_acknowledged("8 2")
    backend.wait_for(4)
    assert numbers(backend) == [(7, 1), (7, 2), (8, 1), (8, 2)]
    assert (row(sluice)["boot"], row(sluice)["restarts"], row(sluice)["stored"]) == (8, 1, 4)


def test_many_restarts_in_one_commit_lose_no_reading(sluice, device, mosquitto, backend):
    """A board that restarts all the time while sluice is away: its readings come at once."""
    sluice.start().wait_connected()
    assert sluice.stop() == 0
    device.publish(*[reading(1, boot=boot) for boot in range(1, 8)])
    start_again(sluice)
    device.wait_acknowledged("7 1")
    backend.wait_for(7)
    assert numbers(backend) == [(boot, 1) for boot in range(1, 8)]
    assert all(text.endswith(" 1") for text in device.acknowledged)
    assert (row(sluice)["boot"], row(sluice)["stored"], row(sluice)["lost"]) == (7, 7, 0)
    assert sluice.stop() == 0


def test_status_lists_the_devices(sluice, device):
    """Of a running sluice and a stopped one; and what came wrong is counted."""
    sluice.start().wait_connected()
    device.publish(reading(1200, oldest=1200), reading(1201, oldest=1200))
    device.wait_acknowledged("7 1201")
    device.publish(reading(1208, oldest=1207), reading(1201, oldest=1200), reading(-1))
    device.wait_acknowledged("7 1206")
    wait_until(lambda: sluice.status()["daemon"]["since_start"]["readings_malformed"] == 1, what="the malformed one")
    status = sluice.status()
    counts = status["daemon"]["since_start"]
    assert (counts["readings_again"], counts["readings_lost"], counts["readings_malformed"]) == (1, 5, 1)
    wait_until(lambda: counts["acks"] == len(device.acknowledged), what="as many answers as were counted")
    [known] = status["queue"]["devices"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", known.pop("last_seen")) and known.pop("since")
    assert known == {"device": ACK, "route": "sensor", "boot": 7, "acknowledged": 1206, "gaps": 1, "stored": 3,
                     "lost": 5, "restarts": 0, "unknown_before": 1199, "shared": False}  # fmt: skip
    line = rf"devices       {ACK} acknowledged up to 1,206, 5 lost, 1 missing, last \d+ m?s ago\n"
    text = sluice.command("status")
    assert re.search(line, text), text
    assert re.search(r"readings      since the start: \d+ acknowledgements, 1 came again, 5 lost, 1 malformed\n", text), text
    assert sluice.stop() == 0
    assert re.search(r"readings: \d+ \w+, 1 [\w ]+, 5 lost$", sluice.find_events("stopped")[-1]) and sluice.stopped()
    text = sluice.command("status", expect=3)
    assert re.search(line, text) and "readings  " not in text


def test_status_of_many_devices_fits_a_screen(sluice):
    """The newest; programs get all."""
    sluice.start().stop()
    with sqlite3.connect(sluice.db) as database:
        database.executemany(
            "insert into device_state values ('garden/' || ?1 || '/ack', 'sensor', 1, 5, 0, 0, x'', 1, 1, 5, 0, ?1, ?1, 0, 0, 0)",
            [(1795369000000 + n,) for n in range(1025)])  # fmt: skip
    text = sluice.command("status", expect=3)
    assert re.findall(r"garden/(\d+)/ack", text) == [str(1795369001024 - n) for n in range(20)]
    assert re.search(r"^ +and 1,005 more: sluice status -c \S+ --json$", text, re.M)
    assert len(sluice.status(expect=3)["queue"]["devices"]) == 1025


def test_two_devices_with_one_name_are_reported(sluice, device):
    """Said once in the log, and by status until it is over."""
    sluice.start().wait_connected()
    for n in range(1, 8):
        device.publish(reading(n, boot=7), reading(n, boot=8))
    device.wait_acknowledged("8 7")
    device.wait_acknowledged("7 7")
    words = f"device {ACK}: several devices seem to use this name"
    sluice.wait_events(1, "device-shared", ACK, level="warning")
    assert row(sluice)["shared"] == "yes"
    [known] = sluice.status(expect=4)["queue"]["devices"]
    assert known["shared"] is True
    assert re.search(rf"^! {words}: give each device its own name and topic$", sluice.command("status", expect=4), re.M)
    device.publish(*[reading(n, boot=8) for n in range(8, 28)])
    device.wait_acknowledged("8 27")
    assert words not in sluice.command("status") and row(sluice)["shared"] == ""


def test_repetitions_count_as_last_seen(sluice, device):
    """A device that has nothing new to say, or is not listened to, is not silent."""
    sluice.start().wait_connected()
    device.publish(reading(1))
    device.wait_acknowledged("7 1")
    sluice.stop()
    with sqlite3.connect(sluice.db) as database:
        database.execute("update device_state set last_ms = last_ms - 3600000")
    start_again(sluice)
    device.publish(reading(1, age=5))
    device.wait_acknowledged("7 1", 2)
    heard = "select last_ms > unixepoch() * 1000 - 60000 as lately from device_state"
    wait_until(lambda: sluice.sql(heard) == [{"lately": 1}], what="the time of the repetition")


def test_send_refuses_a_reading_too_far_ahead(sluice, device, backend):
    """It is not stored; whoever sends it learns that, whether sluice runs or not."""
    sluice.start().wait_connected()
    sluice.command("send", SENSOR, reading(1))
    for again in range(2):
        sluice.command("send", SENSOR, reading(100), expect=75)
        assert 'this reading ("s") is more than 64 ahead of one that is missing' in sluice.said
        if not again:
            sluice.stop()
    sluice.command("send", SENSOR, "-l", input=reading(100) + "\n" + reading(2) + "\n", expect=75)
    sluice.start()
    backend.wait_for(2)
    sluice.wait_empty()
    assert numbers(backend) == [(7, 1), (7, 2)]


def test_each_device_is_acknowledged_on_its_own_topic(sluice, device, mosquitto, backend):
    sluice.start().wait_connected()
    other = Device(mosquitto, "garden/b/ack")
    device.publish(reading(1))
    other.publish(reading(1), topic="garden/b/sensor")
    device.wait_acknowledged("7 1")
    other.wait_acknowledged("7 1")
    backend.wait_for(2)
    assert (device.acknowledged, other.acknowledged) == (["7 1"], ["7 1"])
    other.end()


def test_routes_without_ack_topic_do_not_answer(make_sluice, device, mosquitto, backend):
    plain = {"topic": "yard/+/sensor", "path": "/collections/sensor"}
    sluice = make_sluice(backends={"garden": backend}, routes={"sensor": ROUTE, "plain": plain})
    sluice.start().wait_connected()
    other = Device(mosquitto, "yard/#")
    other.publish(reading(1), reading(1), topic="yard/a/sensor")
    backend.wait_for(2)
    device.publish(reading(1))
    device.wait_acknowledged("7 1")
    backend.wait_for(3)
    assert [message.topic for message in other.acks] == ["yard/a/sensor"] * 2
    other.end()


def test_a_message_for_two_routes_is_stored_for_both(make_sluice, device, backend):
    """Only one of them numbers it."""
    every = {"topic": "garden/a/+", "path": "/collections/all"}
    sluice = make_sluice(backends={"garden": backend},
                         routes={"sensor": {**ROUTE, "ack_topic": "ack/{2}"}, "all": every})  # fmt: skip
    sluice.start().wait_connected()
    device.publish(reading(1))
    backend.wait_for(2)
    assert sorted(request.path for request in backend.delivered()) == ["/api/collections/all",
                                                                       "/api/collections/sensor"]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("fault", ["intake.read:2", "queue.commit:1", "intake.flush:1"])
def test_no_reading_is_acknowledged_before_its_commit(make_sluice, device, mosquitto, backend, fault, protocol):
    """sluice is killed at that moment; the device sends again what was not acknowledged."""
    sluice = make_sluice(backends={"garden": backend}, routes={"sensor": ROUTE}, broker={"protocol": protocol})
    sluice.start(env={"SLUICE_FAULT": f"{fault}:kill"}).wait_connected()
    device.publish(reading(1), reading(2), reading(3))
    sluice.wait_exit()
    for text in device.acknowledged:
        assert int(text.split()[1]) <= row(sluice)["acknowledged"]
    start_again(sluice)
    device.publish(reading(1), reading(2), reading(3))
    device.wait_acknowledged("7 3")
    backend.wait_for(3)
    device.publish(reading(4))
    device.wait_acknowledged("7 4")
    backend.wait_for(4)
    assert numbers(backend) == [(7, n) for n in range(1, 5)]


def test_a_failed_commit_acknowledges_no_reading(sluice, device, backend):
    sluice.start(env={"SLUICE_FAULT": "queue.commit:1:fail:2"}).wait_connected()
    device.publish(reading(1))
    sluice.wait_event("queue-write-failed")
    device.wait_acknowledged("7 1")
    assert device.acknowledged == ["7 1"]
    sluice.wait_empty()
    assert numbers(backend) == [(7, 1)]


def test_a_full_queue_that_drops_leaves_readings_to_their_device(make_sluice, make_backend, device):
    """when_full = drop-newest: what is not stored is not acknowledged, nor counted as dropped."""
    away = make_backend(start=False)
    sluice = make_sluice(backends={"garden": away}, routes={"sensor": ROUTE},
                         queue={"max_messages": 3, "when_full": "drop-newest"})  # fmt: skip
    sluice.start().wait_connected()
    device.publish(*[reading(n) for n in range(1, 7)])
    device.wait_acknowledged("7 3")
    sluice.wait_pending(3)
    away.start()
    away.wait_for(3)
    sluice.wait_empty()
    device.publish(*[reading(n) for n in range(4, 7)])
    device.wait_acknowledged("7 6")
    away.wait_for(6)
    assert numbers(away) == [(7, n) for n in range(1, 7)]
    assert sluice.sql("select * from dropped") == []


def test_a_salvaged_queue_remembers_the_devices(sluice, device, backend):
    sluice.start().wait_connected()
    device.publish(reading(1), reading(2))
    device.wait_acknowledged("7 2")
    sluice.wait_empty()
    assert sluice.stop() == 0
    with open(sluice.db, "r+b") as file:  # the first page: what tables there are
        file.seek(100)
        file.write(os.urandom(1000))
    lines = start_again(sluice)
    sluice.wait_event("salvaged", after=lines)
    device.publish(reading(2), reading(3))
    device.wait_acknowledged("7 3")
    backend.wait_for(3)
    assert numbers(backend) == [(7, 1), (7, 2), (7, 3)]


def test_a_reload_applies_ack_topic(make_sluice, device, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    device.publish(reading(1))
    backend.wait_for(1)
    sluice.reload(routes={"sensor": ROUTE})
    device.publish(reading(2, oldest=2))
    device.wait_acknowledged("7 2")
    assert device.acknowledged == ["7 2"]
    assert row(sluice)["unknown_before"] == 1
    sluice.wait_event("device-new", ACK, 2)
