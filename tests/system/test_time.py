"""When a message was received: before the time is known, after the clock was set,
and after it waited at the broker.

The clock of the machine cannot be set by a test. sluice takes a file for it
(SLUICE_CLOCK, see bridge/base/fault.h), and a write to that for a step.
"""
import json
import os
import signal
import sqlite3
from datetime import datetime, timezone

import pytest

from harness.clock import Clock
from harness.ports import free_port
from harness.wait import wait_until
from harness.web import ask, post, wait_listening
from scripted_broker import ScriptedBroker

DAY_MS = 86_400_000
TOPIC = "garden/wino-1/sensor"


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path / "clock").set(-DAY_MS, "unsynchronised")


@pytest.fixture
def queue():
    """Settings of [queue]."""
    return {}


@pytest.fixture
def garden(make_sluice, backend, queue, request):
    broker = getattr(request, "param", {})
    return make_sluice(backends={"garden": backend}, broker=broker, queue=queue)


def now():
    return datetime.now(timezone.utc)


def date(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def received(request):
    return date(request.headers["sluice-received"])


def since(request):
    word, text = request.headers["sluice-late"].split(" ", 1)
    assert word == "since"
    return date(text)


def mark(request):
    return request.headers.get("sluice-clock")


def by_body(backend):
    return {int(request.body): request for request in backend.delivered()}


def is_between(before, when, after):
    """Milliseconds are cut off."""
    return int(before.timestamp() * 1000) <= round(when.timestamp() * 1000) <= after.timestamp() * 1000


def publish(mosquitto, *numbers):
    mosquitto.publish_many([(TOPIC, b"%d" % n, 1) for n in numbers])


def stored(sluice, count):
    wait_until(lambda: sluice.pending() == count, what=f"{count} messages in the queue")


def another_boot(sluice):
    """What is in the queue was received before the machine was switched off."""
    database = sqlite3.connect(sluice.db)
    with database:
        database.execute("UPDATE run SET boot_id = 'earlier'")
    database.close()


# ---- the time comes later ----


def test_times_received_before_ntp_are_repaired(garden, mosquitto, backend, clock):
    backend.stop()
    garden.start(env=clock.env).wait_connected()
    before = now()
    publish(mosquitto, 1, 2)
    stored(garden, 2)
    garden.kill()
    clock.set(-DAY_MS + 30_000, "unsynchronised")
    garden.start(env=clock.env).wait_connected()
    publish(mosquitto, 3)
    stored(garden, 3)
    after = now()
    clock.set(0, "synchronised")
    garden.wait_event("clock-synchronised")
    backend.start()
    backend.wait_for(3)
    for request in backend.delivered():
        assert mark(request) is None
        assert is_between(before, received(request), after)
    assert [int(r.body) for r in backend.delivered()] == [1, 2, 3]


def test_a_delivery_before_ntp_is_marked(garden, mosquitto, backend, clock):
    garden.start(env=clock.env).wait_connected()
    garden.wait_event("clock-unsynchronised")
    publish(mosquitto, 1)
    backend.wait_for(1)
    clock.set(0, "synchronised")
    garden.wait_event("clock-synchronised")
    publish(mosquitto, 2)
    backend.wait_for(2)
    first, second = by_body(backend)[1], by_body(backend)[2]
    assert mark(first) == "unsynchronised"
    assert (now() - received(first)).total_seconds() > 86_000
    assert 0 <= int(first.headers["sluice-age"]) < 5000
    assert mark(second) is None
    assert (now() - received(second)).total_seconds() < 60


def test_times_of_an_earlier_boot_without_ntp_stay_marked(garden, mosquitto, backend, clock):
    backend.stop()
    garden.start(env=clock.env).wait_connected()
    publish(mosquitto, 1)
    stored(garden, 1)
    garden.stop()
    another_boot(garden)
    clock.set(0, "synchronised")
    garden.start(env=clock.env).wait_connected()
    publish(mosquitto, 2)
    stored(garden, 2)
    received = [row["received"] for row in garden.sql("SELECT received FROM pending ORDER BY id")]
    assert ["?" in text for text in received] == [True, False]
    backend.start()
    backend.wait_for(2)
    first, second = by_body(backend)[1], by_body(backend)[2]
    assert mark(first) == "unsynchronised" and "sluice-age" not in first.headers
    assert mark(second) is None and "sluice-age" in second.headers


def test_messages_of_an_earlier_boot_with_ntp_have_an_age(garden, mosquitto, backend, clock):
    """Its messages have an age as soon as this boot knows the time too."""
    backend.stop()
    clock.set(0, "synchronised")
    garden.start(env=clock.env).wait_connected()
    before = now()
    publish(mosquitto, 1)
    stored(garden, 1)
    garden.stop()
    another_boot(garden)
    clock.set(-DAY_MS, "unsynchronised")
    garden.start(env=clock.env)
    backend.start()
    backend.wait_for(1)
    request = by_body(backend)[1]
    assert mark(request) is None and "sluice-age" not in request.headers
    assert is_between(before, received(request), now())


# ---- the clock is set ----


def test_a_clock_set_by_hand_breaks_nothing(garden, mosquitto, backend, clock):
    """Backwards, while the backend is away: order, retries and times are as before."""
    clock.set(0, "synchronised")
    backend.answer = lambda request: 503
    garden.start(env=clock.env).wait_connected()
    before = now()
    publish(mosquitto, 1, 2)
    wait_until(lambda: len(backend.requests) >= 2, what="two attempts")
    clock.set(-400 * DAY_MS, "unsynchronised")
    attempts = len(backend.requests)
    wait_until(lambda: len(backend.requests) >= attempts + 2, what="two more")
    publish(mosquitto, 3)
    stored(garden, 3)
    backend.answer = None
    backend.wait_for(3)
    assert sorted(int(r.body) for r in backend.delivered()) == [1, 2, 3]
    for request in backend.delivered():
        assert mark(request) is None
        assert is_between(before, received(request), now())
        assert 0 <= int(request.headers["sluice-age"]) < 60_000


def test_a_pause_does_not_move_what_was_received_before(garden, mosquitto, backend, clock):
    """A virtual machine that was paused for a day: its clock was right, and is right."""
    clock.set(-DAY_MS, "synchronised")
    backend.stop()
    garden.start(env=clock.env).wait_connected()
    publish(mosquitto, 1)
    stored(garden, 1)
    clock.set(0, "synchronised")
    assert "86" in garden.wait_event("clock-stepped")
    publish(mosquitto, 2)
    stored(garden, 2)
    backend.start()
    backend.wait_for(2)
    first, second = by_body(backend)[1], by_body(backend)[2]
    assert 86_300 < (now() - received(first)).total_seconds() < 86_500
    assert (now() - received(second)).total_seconds() < 60


# ---- a kernel that does not say ----


def test_a_kernel_that_denies_adjtimex_means_unsynchronised(garden, mosquitto, backend, clock):
    clock.set(0, "denied")
    garden.start(env=clock.env).wait_connected()
    garden.wait_event("clock-unsynchronised", "adjtimex", "clock = trust")
    publish(mosquitto, 1)
    backend.wait_for(1)
    assert mark(by_body(backend)[1]) == "unsynchronised"
    garden.wait_events(1, "clock-unsynchronised")
    [problem] = wait_until(lambda: garden.status()["problems"], what="a word of it in the status")
    assert problem.startswith("clock: not synchronised: ") and f"! {problem}" in garden.command("status", expect=4)


@pytest.mark.parametrize("queue", [{"clock": "trust"}])
def test_a_trusted_clock_marks_nothing(garden, mosquitto, backend, clock):
    clock.set(-DAY_MS, "denied")
    backend.stop()
    garden.start(env=clock.env).wait_connected()
    before = now()
    publish(mosquitto, 1)
    stored(garden, 1)
    clock.set(0, "denied")
    garden.wait_event("clock-synchronised")
    backend.start()
    backend.wait_for(1)
    request = by_body(backend)[1]
    assert mark(request) is None
    assert is_between(before, received(request), now())
    assert not garden.find_events("clock-unsynchronised")


def test_chrony_without_rtcsync_counts_as_synchronised(garden, mosquitto, backend, clock):
    clock.set(0, "unflagged")
    garden.start(env=clock.env).wait_connected()
    garden.wait_event("clock-unflagged")
    publish(mosquitto, 1)
    backend.wait_for(1)
    assert mark(by_body(backend)[1]) is None


# ---- late ----


def deliver_one(garden, mosquitto, backend, number):
    """A message that is not late: the broker then has nothing left."""
    publish(mosquitto, number)
    backend.wait_for(number)
    wait_until(lambda: garden.pending() == 0, what="it to be deleted")


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("queue", [{"commit_batch": 20}])
@pytest.mark.parametrize("garden", [{"protocol": "5"}, {"protocol": "3.1.1"}], indirect=True)
def test_messages_that_waited_at_the_broker_are_late_and_no_others(garden, mosquitto, backend, clock, end):
    """More than fits into the window of unacknowledged messages."""
    clock.set(0, "synchronised")
    start = now()
    garden.start(env=clock.env).wait_connected()
    deliver_one(garden, mosquitto, backend, 1)
    assert "sluice-late" not in by_body(backend)[1].headers
    getattr(garden, end)()
    before = now()
    publish(mosquitto, *range(2, 1502))
    garden.start(env=clock.env)
    backend.wait_for(1501)
    publish(mosquitto, *range(1502, 1512))
    backend.wait_for(1511)
    requests = by_body(backend)
    for number in range(2, 1502):
        assert is_between(start, since(requests[number]), before), number
    assert not [n for n in range(1502, 1512) if "sluice-late" in requests[n].headers]


def test_the_backlog_ends_under_a_steady_stream(make_sluice, backend, clock):
    """Which never lets the broker have nothing for us: what counts is that it has less
    than it would send without an acknowledgement. rounds: how many messages it sends
    before it answers a packet that stands behind acknowledgements."""
    rounds = [4, 4, 1, 1, 1, 1]
    sent = []

    def answer(packet):
        if packet.filters == ["sluice/acknowledged"] and len(sent) < len(rounds):
            number = len(sent)
            sent.append([{"topic": TOPIC, "payload": b"%d" % (10 * number + i)} for i in range(rounds[number])])
            broker.publish_all(sent[-1])

    clock.set(0, "synchronised")
    with ScriptedBroker() as broker:
        broker.session_present = True
        broker.hooks["UNSUBSCRIBE"] = answer
        garden = make_sluice(broker_port=broker.port, backends={"garden": backend})
        garden.start(env=clock.env)
        backend.wait_for(sum(rounds))
        garden.stop()
        assert not broker.errors
    late = {number for number, request in by_body(backend).items() if "sluice-late" in request.headers}
    assert late == {0, 1, 2, 3, 10, 11, 12, 13, 20}


def test_a_message_received_before_and_not_stored_is_late(garden, mosquitto, backend, clock):
    """It comes again, as a repetition, but nobody has it."""
    clock.set(0, "synchronised")
    start = now()
    garden.start(env={**clock.env, "SLUICE_FAULT": "intake.read:3:kill"}).wait_connected()
    deliver_one(garden, mosquitto, backend, 1)
    before = now()
    publish(mosquitto, 2)
    publish(mosquitto, 3)
    garden.wait_exit()
    garden.start(env=clock.env)
    backend.wait_for(3)
    assert is_between(start, since(by_body(backend)[3]), before)


def test_messages_published_during_a_lost_connection_are_late(garden, mosquitto, backend, clock):
    """Within one run: what was published before sluice came back is late."""
    clock.set(0, "synchronised")
    start = now()
    garden.start(env=clock.env).wait_connected()
    deliver_one(garden, mosquitto, backend, 1)
    os.kill(garden.process.pid, signal.SIGSTOP)
    mosquitto.restart()
    before = now()
    publish(mosquitto, 2)
    os.kill(garden.process.pid, signal.SIGCONT)
    backend.wait_for(2)
    assert is_between(start, since(by_body(backend)[2]), before)
    assert "sluice-clock" not in by_body(backend)[2].headers


def test_the_time_of_late_messages_is_repaired_after_ntp(garden, mosquitto, backend, clock):
    start = now()
    garden.start(env=clock.env).wait_connected()
    deliver_one(garden, mosquitto, backend, 1)
    garden.kill()
    before = now()
    publish(mosquitto, 2)
    backend.stop()
    garden.start(env=clock.env)
    stored(garden, 1)
    assert garden.sql("SELECT substr(received, 20) AS marks FROM pending") == [{"marks": " ? (late)"}]
    clock.set(0, "synchronised")
    garden.wait_event("clock-synchronised")
    backend.start()
    backend.wait_for(2)
    assert is_between(start, since(by_body(backend)[2]), before)


@pytest.mark.parametrize("known", [True, False])
def test_late_messages_over_a_boot_have_a_date(garden, mosquitto, backend, clock, known):
    """The bound is of an earlier boot: a date, where that knew one."""
    clock.set(0 if known else -DAY_MS, "synchronised" if known else "unsynchronised")
    start = now()
    garden.start(env=clock.env).wait_connected()
    deliver_one(garden, mosquitto, backend, 1)
    garden.stop()
    another_boot(garden)
    before = now()
    publish(mosquitto, 2)
    clock.set(0, "synchronised")
    garden.start(env=clock.env)
    backend.wait_for(2)
    late = since(by_body(backend)[2])
    assert is_between(start, late, before) if known else late.year == 1970


def test_retained_messages_are_not_late(make_sluice, mosquitto, backend, clock):
    """They are sent because of a new subscription, not because they waited."""
    clock.set(0, "synchronised")
    route = {"path": "/collections/x", "retained": "yes"}
    garden = make_sluice(backends={"garden": backend}, routes={"a": {"topic": "a/#", **route}})
    garden.start(env=clock.env).wait_connected()
    mosquitto.publish("a/1", b"1", retain=False)
    backend.wait_for(1)
    garden.stop()
    mosquitto.publish("b/2", b"2", retain=True)
    mosquitto.publish("a/3", b"3")
    garden.write_config(garden.config_text(routes={"a": {"topic": ["a/#", "b/#"], **route}}))
    garden.start(env=clock.env)
    backend.wait_for(3)
    requests = by_body(backend)
    assert "sluice-late" not in requests[1].headers
    assert "sluice-late" not in requests[2].headers
    assert "sluice-late" in requests[3].headers


# ---- the key of a message, which begins with the token of its run


@pytest.mark.parametrize("step_ms", [7_200_000, -7_200_000])
def test_http_clients_get_the_key_also_after_a_step(make_sluice, make_backend, clock, step_ms):
    """A synchronised step begins another run. Messages of both wait together."""
    away = make_backend(start=False)
    port = free_port()
    sluice = make_sluice(backends={"garden": away}, routes={}, http={"listen": f"127.0.0.1:{port}"})
    clock.set(0, "synchronised")
    sluice.start(env=clock.env)
    wait_listening(port)

    def send(number):
        return json.loads(ask(port, post(f"/api/{number}", b"%d" % number)).body)["id"]

    told = {1: send(1)}
    clock.set(step_ms, "synchronised")
    sluice.wait_event("clock-stepped")
    told.update({n: send(n) for n in (2, 3)})
    away.start()
    away.wait_for(3)
    assert {n: request.key for n, request in by_body(away).items()} == told
    assert len({key.split("-")[0] for key in told.values()}) == 2


def test_a_clock_that_is_not_right_yet_is_no_alarm(garden, mosquitto, clock):
    """After a boot, NTP needs a while: nobody has to do anything."""
    garden.start(env=clock.env).wait_connected()
    garden.wait_event("clock-unsynchronised", "not synchronised yet")
    garden.command("status", "-q", expect=0)
    text = garden.command("status", expect=0)
    assert "clock         not right (unsynchronised): deliveries are marked\n" in text and "!" not in text
