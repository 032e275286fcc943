"""Filters that overlap: every route gets each message that its topics match exactly once, whatever
became of the broker and of sluice meanwhile.

With MQTT 5 the broker sends a copy for each filter; but of what comes after it restarted, until
sluice is back, it keeps one copy for all (mqtt/copies.h). Equal readings are different messages.
"""
import signal
from collections import Counter

import pytest

from harness.wait import wait_until

ROUTES = {
    "one-filter": {"all": {"topic": "garden/#", "path": "/all"}},
    "one-route": {"all": {"topic": ["garden/+/sensor", "garden/#"], "path": "/all"}},
    "two-routes": {"sensor": {"topic": "garden/+/sensor", "path": "/sensor"},
                   "archive": {"topic": "garden/#", "path": "/archive"}},
    "three-routes": {"sensor": {"topic": "garden/+/sensor", "path": "/sensor"},
                     "archive": {"topic": ["garden/#", "garden/a/+"], "path": "/archive"},
                     "wide": {"topic": "#", "path": "/wide"}},
}  # fmt: skip
READINGS = [b"1", b"1", b"2", b"1", b"3", b"3", b"3", b"4"]


def publish(mosquitto, payloads=READINGS):
    for payload in payloads:
        mosquitto.publish("garden/a/sensor", payload)


def broker_restarts(sluice, mosquitto):
    sluice.stop()
    mosquitto.restart()
    publish(mosquitto)
    sluice.start()


def broker_is_killed(sluice, mosquitto):
    sluice.stop()
    mosquitto.save()
    mosquitto.kill()
    mosquitto.start()
    publish(mosquitto)
    sluice.start()


def both_are_killed(sluice, mosquitto):
    mosquitto.save()
    sluice.kill()
    mosquitto.kill()
    mosquitto.start()
    publish(mosquitto)
    sluice.start()


def broker_restarts_alone(sluice, mosquitto):
    sluice.signal(signal.SIGSTOP)
    mosquitto.restart()
    publish(mosquitto)
    sluice.signal(signal.SIGCONT)


def sluice_restarts(sluice, mosquitto):
    sluice.stop()
    publish(mosquitto)
    sluice.start()


def both_ways(sluice, mosquitto):
    """Some copies are of the time before the broker restarted, and some of the time after."""
    sluice.stop()
    publish(mosquitto, READINGS[:4])
    mosquitto.restart()
    publish(mosquitto, READINGS[4:])
    sluice.start()


def reboot_with_sluice_first(sluice, mosquitto):
    mosquitto.save()
    sluice.kill()
    mosquitto.kill()
    before = len(sluice.log)
    sluice.start()
    sluice.wait_event("broker-away", after=before)
    mosquitto.start()
    publish(mosquitto)


EVENTS = [broker_restarts, broker_is_killed, both_are_killed, reboot_with_sluice_first, broker_restarts_alone,
          sluice_restarts, both_ways]  # fmt: skip


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("routes", ROUTES)
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_each_route_gets_each_message_once(make_sluice, mosquitto, backend, event, routes, version):
    sluice = make_sluice(backends={"garden": backend}, routes=ROUTES[routes], broker={"protocol": version})
    sluice.start().wait_connected()
    publish(mosquitto, [b"before"])
    count = len(ROUTES[routes])
    backend.wait_for(count)
    sluice.wait_empty()
    event(sluice, mosquitto)
    backend.wait_for(count * (1 + len(READINGS)))
    sluice.wait_connected()
    publish(mosquitto, [b"after"])
    backend.wait_for(count * (2 + len(READINGS)))
    sluice.wait_empty()
    expected = Counter([b"before", *READINGS, b"after"])
    for route in ROUTES[routes].values():
        assert Counter(backend.bodies("/api" + route["path"])) == expected
    assert len({r.key for r in backend.delivered()}) == len(backend.delivered())
    assert sluice.stop() == 0
    assert sluice.sql("select * from dropped") == []


# A commit of three ends between the four copies of a message.
CRASHES = [(f"intake.read:{n}", batch) for n in (1, 2, 3, 5, 6) for batch in (1, 3, 100)]
CRASHES += [("intake.flush:1", 100), *((f"intake.flush:{n}", batch) for n in (1, 2, 3, 4) for batch in (1, 3))]


@pytest.mark.parametrize("fault, commit_batch", CRASHES)
def test_a_crash_between_two_copies_makes_no_second_message(make_sluice, mosquitto, backend, fault, commit_batch):
    sluice = make_sluice(backends={"garden": backend}, routes=ROUTES["three-routes"], queue={"commit_batch": commit_batch})
    sluice.start().wait_connected()
    assert sluice.stop() == 0
    publish(mosquitto)
    sluice.start(env={"SLUICE_FAULT": fault + ":kill"})
    assert sluice.wait_exit() == -signal.SIGKILL
    sluice.start()
    backend.wait_for(3 * len(READINGS))
    sluice.wait_empty()
    for path in ("/api/sensor", "/api/archive", "/api/wide"):
        keys = {r.key: r.body for r in backend.delivered() if r.path == path}
        assert Counter(keys.values()) == Counter(READINGS)
    assert sluice.stop() == 0


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_subscription_that_the_broker_forgot_is_made_again(make_sluice, mosquitto, backend, version):
    """The broker is killed before it saved the subscription of a new route, and its session is present."""
    one = {"sensor": {"topic": "garden/+/sensor", "path": "/sensor"}}
    two = {**one, "heart": {"topic": "heart/#", "path": "/heart"}}
    sluice = make_sluice(backends={"garden": backend}, routes=one, broker={"protocol": version})
    sluice.start().wait_connected()
    mosquitto.save()
    sluice.reload(routes=two)
    sluice.wait_connected()
    mosquitto.kill()
    before = len(sluice.log)
    mosquitto.start()
    sluice.wait_event("broker-connected", "session resumed", after=before)
    wait_until(lambda: (mosquitto.publish("heart/a", b"1"), backend.delivered())[1], what="the new route's message")
    assert {r.path for r in backend.delivered()} == {"/api/heart"}


def test_retained_messages_come_once_with_mqtt_311(make_sluice, mosquitto, backend):
    """Though sluice subscribes again at each connect: without retain handling the broker sends them again."""
    routes = {"all": {"topic": "garden/#", "path": "/all", "retained": "yes"}}
    mosquitto.publish("garden/a", b"kept", retain=True)
    sluice = make_sluice(backends={"garden": backend}, routes=routes, broker={"protocol": "3.1.1"})
    sluice.start().wait_connected()
    backend.wait_for(1)
    for _ in range(2):
        sluice.stop()
        sluice.start()
        sluice.wait_connected()
    mosquitto.publish("garden/b", b"live")
    backend.wait_for(2)
    assert sorted(backend.bodies()) == [b"kept", b"live"]


def test_messages_of_qos_0_between_the_copies_of_another_one_change_nothing(make_sluice, make_mosquitto, backend):
    """While the window is full, Mosquitto queues QoS 1 and sends QoS 0 at once, so that the copies of a
    message do not come one after the other."""
    mosquitto = make_mosquitto(config="")
    sluice = make_sluice(broker_port=mosquitto.port, backends={"garden": backend}, routes=ROUTES["two-routes"])
    sluice.start().wait_connected()
    mosquitto.publish("garden/odd", b"odd")  # the window has an even number of messages
    sluice.signal(signal.SIGSTOP)
    mosquitto.publish_many([message for n in range(300) for message in (("garden/one/sensor", b"q1-%d" % n, 1),
                                                                        ("garden/zero/sensor", b"q0-%d" % n, 0))])  # fmt: skip
    sluice.signal(signal.SIGCONT)
    mosquitto.publish("garden/one/sensor", b"end")
    wait_until(lambda: b"end" in backend.bodies("/api/sensor") and b"end" in backend.bodies("/api/archive"), what="all")
    sluice.wait_empty()
    for path in ("/api/sensor", "/api/archive"):
        counts = Counter(body for body in backend.bodies(path) if body.startswith(b"q1"))
        assert counts == Counter(b"q1-%d" % n for n in range(300))
