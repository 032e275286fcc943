"""The session at the broker: MQTT 5 or 3.1.1, and what happens to the messages that wait in a session
whose protocol changes, or that the broker has forgotten."""

from collections import Counter

import pytest

from harness.line import Line
from harness.wait import wait_until
from scripted_broker import ScriptedBroker
from test_overlap import EVENTS, READINGS, ROUTES, publish, reboot_with_sluice_first

OVERLAPPING = ROUTES["two-routes"]


@pytest.fixture
def forwarder(mosquitto):
    line = Line(mosquitto.port)
    yield line
    line.close()


@pytest.fixture
def scripted():
    with ScriptedBroker() as broker:
        yield broker


def expect_once(backend, expected, routes=OVERLAPPING):
    """Each route got each message once."""
    for route in routes.values():
        assert Counter(backend.bodies("/api" + route["path"])) == expected
    assert len({r.key for r in backend.delivered()}) == len(backend.delivered())


def exchange(sluice, mosquitto, backend, payload, routes=OVERLAPPING):
    """A message goes all the way, to all routes."""
    before = len(backend.delivered())
    publish(mosquitto, [payload])
    backend.wait_for(before + len(routes))
    sluice.wait_empty()


TLS_ALERT = b"\x15\x03\x01\x00\x02\x02\x46"


@pytest.mark.parametrize("closing, farewell", [(2, b""), (1, TLS_ALERT)], ids=["closes", "answers"])
def test_what_is_no_broker_does_not_end_mqtt_5(make_sluice, mosquitto, backend, forwarder, closing, farewell):
    """A port forwarder closes connections while the broker boots, or the port was of another program for a
    moment. The session spoke MQTT 5 before."""
    sluice = make_sluice(broker_port=forwarder.port, backends={"garden": backend}, routes=OVERLAPPING)
    sluice.start().wait_connected(broker=mosquitto)
    exchange(sluice, mosquitto, backend, b"before")
    sluice.stop()
    publish(mosquitto)
    forwarder.closing, forwarder.farewell = closing, farewell
    sluice.start().wait_connected(broker=mosquitto)
    backend.wait_for(2 * (1 + len(READINGS)))
    exchange(sluice, mosquitto, backend, b"after")
    assert not sluice.find_events("broker-connected", "MQTT 3.1.1")
    expect_once(backend, Counter([b"before", *READINGS, b"after"]))


@pytest.mark.parametrize("routes", ["one-filter", "one-route", "two-routes"])
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_a_fallback_ends_with_its_connection(make_sluice, mosquitto, backend, forwarder, event, routes):
    """The same at the very first connection: sluice falls back, and speaks MQTT 5 from the next one on.
    What waited in between comes once."""
    routes = ROUTES[routes]
    sluice = make_sluice(broker_port=forwarder.port, backends={"garden": backend}, routes=routes)
    forwarder.closing = 2
    sluice.start().wait_connected(broker=mosquitto)
    sluice.wait_event("broker-connected", "MQTT 3.1.1")
    exchange(sluice, mosquitto, backend, b"before", routes)
    event(sluice, mosquitto)
    backend.wait_for(len(routes) * (1 + len(READINGS)))
    # Until the broker is up, the forwarder closes each connection, and in turn sluice tries both.
    version = "MQTT" if event is reboot_with_sluice_first else "MQTT 5"
    sluice.wait_event("broker-connected", version, "session resumed")
    sluice.wait_connected(broker=mosquitto)
    exchange(sluice, mosquitto, backend, b"after", routes)
    expect_once(backend, Counter([b"before", *READINGS, b"after"]), routes)


@pytest.mark.parametrize("first, then", [("5", "3.1.1"), ("3.1.1", "5"), ("3.1.1", "auto")])
def test_a_change_of_the_protocol_loses_and_doubles_nothing(make_sluice, mosquitto, backend, first, then):
    sluice = make_sluice(backends={"garden": backend}, routes=OVERLAPPING, broker={"protocol": first})
    sluice.start().wait_connected()
    exchange(sluice, mosquitto, backend, b"before")
    sluice.stop()
    publish(mosquitto)
    sluice.write_config(sluice.config_text(broker={**sluice.parts["broker"], "protocol": then}))
    sluice.start()
    sluice.wait_event("broker-connected", "MQTT " + then.replace("auto", "5"), "session resumed")
    backend.wait_for(2 * (1 + len(READINGS)))
    sluice.wait_connected()
    exchange(sluice, mosquitto, backend, b"after")
    expect_once(backend, Counter([b"before", *READINGS, b"after"]))


def test_a_broker_that_closes_gets_mqtt_3_1_1_after_each_of_its_restarts(make_sluice, scripted, backend):
    """It closes connections of MQTT 5: each time one attempt in vain is enough."""
    scripted.refuse_v5 = "close"
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend})
    sluice.start().wait_connected()
    attempts = len(scripted.attempts)
    sluice.stop()
    before = len(sluice.log)
    sluice.start()
    sluice.wait_connected(after=before)
    assert len(scripted.attempts) == attempts + 2
    wait_until(lambda: scripted.packets("SUBSCRIBE"), what="a subscription")


def test_protocol_3_1_1_is_obeyed_by_a_session_of_mqtt_5(make_sluice, scripted, backend):
    """The broker was replaced by one that closes connections of MQTT 5."""
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend})
    sluice.start()
    scripted.wait_packets("SUBSCRIBE")
    sluice.stop()
    scripted.refuse_v5 = "close"
    sluice.write_config(sluice.config_text(broker={**sluice.parts["broker"], "protocol": "3.1.1"}))
    sluice.start()
    sluice.wait_event("broker-connected", "MQTT 3.1.1")


def test_a_broker_that_closes_is_told_from_one_that_does_not_answer(make_sluice, scripted, backend):
    """Only the first may be one that needs protocol = 3.1.1."""
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend})
    sluice.start()
    scripted.wait_packets("SUBSCRIBE")
    scripted.refuse_v5 = "close"
    scripted.drop()
    sluice.wait_event("broker-away", "set protocol = 3.1.1")
    sluice.stop()
    scripted.silent = True
    before = len(sluice.log)
    sluice.start(args=["-v"])
    for _ in range(2):
        sluice.wait_event("broker-away", "it does not respond", after=before)
        before = len(sluice.log)
    assert not sluice.find_events("broker-away", "set protocol", after=before)


def test_a_connack_in_the_form_of_3_1_1_is_an_answer(make_sluice, scripted, backend):
    """An old broker that does not look at the protocol level accepts, in its own form."""
    scripted.refuse_v5 = "old-connack"
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend})
    sluice.start()
    sluice.wait_event("broker-connected", "MQTT 3.1.1")
    assert len(scripted.attempts) == 2


# -- a session that is gone


def test_a_session_that_the_broker_forgot_is_a_problem(make_sluice, make_mosquitto, backend):
    """Without persistence, its restart loses what waited in it."""
    mosquitto = make_mosquitto(config="persistence false\n")
    sluice = make_sluice(broker_port=mosquitto.port, backends={"garden": backend})
    sluice.start().wait_connected()
    assert "forgotten" not in sluice.command("status", expect=None)
    sluice.stop()
    mosquitto.publish("garden/a/sensor", b"lost")
    mosquitto.restart()
    sluice.start()
    sluice.wait_event("session-lost", "client_id sluice", "may be missing", level="warning")
    [line] = [line for line in sluice.command("status", expect=4).splitlines() if "forgotten" in line]
    assert line.startswith("!") and "may be missing" in line
    broker = sluice.status(expect=4)["daemon"]["broker"]
    assert broker["lost_since"] <= broker["lost_until"]
    sluice.stop()
    sluice.start().wait_connected()
    assert "forgotten" in sluice.command("status", expect=4), "the loss is not forgotten by a restart"
    assert len(sluice.find_events("session-lost")) == 1


def test_a_new_client_id_is_no_loss(make_sluice, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    sluice.stop()
    sluice.write_config(sluice.config_text(broker={**sluice.parts["broker"], "client_id": "shed"}))
    sluice.start()
    sluice.wait_event("broker-connected", "new session")
    mosquitto.publish("garden/a/sensor", b"1")
    assert not sluice.find_events("session-lost")


# -- a session that is older than the queue

LIVE = [b"5", b"5", b"6", b"5"]


def forget(sluice):
    """The database is deleted, as people do to start anew."""
    for file in sluice.dir.glob("queue.db*"):
        file.unlink()


def copies_sent(mosquitto):
    return sum("Sending PUBLISH to sluice" in line for line in mosquitto.log)


def exchange_one(sluice, mosquitto, backend):
    before = len(backend.delivered())
    publish(mosquitto, [b"x"])
    backend.wait_for(before + 1)
    sluice.wait_empty()


@pytest.mark.parametrize("versions", [("5", "5"), ("3.1.1", "3.1.1"), ("3.1.1", "5")], ids="-".join)
@pytest.mark.parametrize("old, new", [("garden/#", "garden/+/sensor"), ("garden/+/sensor", "garden/#"),
                                      ("+/a/#", "garden/+/sensor"), ("garden/a/sensor", "garden/a/+")])  # fmt: skip
def test_a_new_queue_with_an_old_session_gets_each_message_once(make_sluice, mosquitto, backend, versions, old, new):
    """The session still has a filter that the new configuration does not have. sluice finds it."""
    sluice = make_sluice(backends={"garden": backend})

    def configure(version, topic):
        sluice.write_config(sluice.config_text(routes={"all": {"topic": topic, "path": "/all"}},
                                               broker={**sluice.parts["broker"], "protocol": version}))  # fmt: skip

    configure(versions[0], old)
    sluice.start().wait_connected()
    sluice.stop()
    forget(sluice)
    publish(mosquitto)
    configure(versions[1], new)
    sluice.start().wait_connected()
    backend.wait_for(len(READINGS))
    sluice.wait_empty()
    assert Counter(backend.bodies()) == Counter(READINGS)
    sent, delivered = copies_sent(mosquitto), len(backend.delivered())

    def comes_as_one_copy():
        nonlocal sent, delivered
        publish(mosquitto, [b"x"])
        backend.wait_for(delivered + 1)
        delivered, before, sent = len(backend.delivered()), sent, copies_sent(mosquitto)
        return sent - before == 1

    wait_until(comes_as_one_copy, what="the broker to send one copy of each")
    publish(mosquitto, LIVE)
    backend.wait_for(delivered + len(LIVE))
    sluice.wait_empty()
    assert Counter(backend.bodies()[delivered:]) == Counter(LIVE)
    assert copies_sent(mosquitto) == sent + len(LIVE)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_filter_that_only_an_old_session_has_is_removed(make_sluice, mosquitto, backend, version):
    sluice = make_sluice(backends={"garden": backend}, broker={"protocol": version})
    sluice.write_config(sluice.config_text(routes={"all": {"topic": "shed/+/#", "path": "/all"}}))
    sluice.start().wait_connected()
    sluice.stop()
    forget(sluice)
    sluice.write_config(sluice.config_text(routes={"all": {"topic": "garden/#", "path": "/all"}}))
    sluice.start().wait_connected()

    def is_removed():
        before = copies_sent(mosquitto)
        mosquitto.publish("shed/a/b", b"1")
        exchange_one(sluice, mosquitto, backend)
        return copies_sent(mosquitto) == before + 1

    wait_until(is_removed, what="the broker to remove shed/+/#")
    assert sluice.find_events("subscription-left-over", "shed/a/b")


# -- changes of the filters

WIDE = {"a": {"topic": "garden/#", "path": "/a"}}
NARROW = {"a": {"topic": "garden/+/sensor", "path": "/a"}}
OTHER = {"b": {"topic": "heart/#", "path": "/b"}}


def unsubacks(mosquitto):
    return sum("Sending UNSUBACK to sluice" in line for line in mosquitto.log)


@pytest.mark.parametrize("pause", [False, True])
@pytest.mark.parametrize("changes", [[WIDE], [OTHER, {**NARROW, **OTHER}]], ids=["wider", "returns"])
def test_a_reading_that_repeats_after_a_reload_is_not_lost(make_sluice, mosquitto, backend, changes, pause):
    """It comes for another subscription than the equal one before, but it is no copy of that."""
    sluice = make_sluice(backends={"garden": backend}, routes={**NARROW, **OTHER})
    sluice.start().wait_connected()
    publish(mosquitto, [b"21.5"])
    backend.wait_for(1)
    sluice.wait_empty()
    for routes in changes:
        before = unsubacks(mosquitto)
        sluice.reload(routes=routes)
        sluice.wait_connected()
        if pause:  # until a round trip after the change
            wait_until(lambda: unsubacks(mosquitto) > before, what="a round trip")  # noqa: B023
    publish(mosquitto, [b"21.5", b"end"])
    wait_until(lambda: b"end" in backend.bodies(), what="the last message")
    assert backend.bodies() == [b"21.5", b"21.5", b"end"]


def test_a_reading_that_repeats_after_a_restart_is_not_lost(make_sluice, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend}, routes={"a": {"topic": ["garden/#", "garden/x/+"], "path": "/a"}})
    sluice.start().wait_connected()
    publish(mosquitto, [b"21.5"])
    backend.wait_for(1)
    sluice.wait_empty()
    sluice.stop()
    sluice.write_config(sluice.config_text(routes=NARROW))
    before = len(sluice.log)
    sluice.start().wait_connected(after=before)
    publish(mosquitto, [b"21.5", b"end"])
    wait_until(lambda: b"end" in backend.bodies(), what="the last message")
    assert backend.bodies() == [b"21.5", b"21.5", b"end"]


def test_a_filter_whose_removal_the_broker_forgot_is_removed_again(make_sluice, mosquitto, backend):
    """The broker is killed before it saved the UNSUBSCRIBE."""
    sluice = make_sluice(backends={"garden": backend}, routes={**NARROW, **OTHER})
    sluice.start().wait_connected()
    mosquitto.save()
    sluice.reload(routes=NARROW)
    wait_until(lambda: "heart/#" in str(sluice.sql("select filter from subscription where unsubscribed = 1")),
               what="the broker to remove heart/#")  # fmt: skip
    mosquitto.kill()
    before = len(sluice.log)
    mosquitto.start()
    sluice.wait_event("broker-connected", "session resumed", after=before)

    def is_removed():
        sent = copies_sent(mosquitto)
        mosquitto.publish("heart/a", b"1")
        exchange_one(sluice, mosquitto, backend)
        return copies_sent(mosquitto) == sent + 1

    wait_until(is_removed, what="the broker to remove heart/# again")


# -- brokers that give a packet identifier anew at once


@pytest.mark.parametrize("crash", [False, True])
def test_an_equal_reading_under_the_identifier_of_the_one_before_is_not_lost(make_sluice, scripted, backend, crash):
    """The third reading is on its way when the connection breaks, so it comes with DUP."""
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend})
    sluice.start()
    scripted.wait_packets("SUBSCRIBE")
    for n in (1, 2):
        scripted.publish("garden/a/sensor", b"7", packet_id=1)
        scripted.wait_acked(n)
    sluice.wait_event("broker-reuses-ids")
    connections = len(scripted.packets("CONNECT"))
    if crash:
        sluice.kill()
    else:
        scripted.drop()
    if crash:
        sluice.start()
    scripted.wait_packets("CONNECT", connections + 1)
    scripted.publish("garden/a/sensor", b"7", packet_id=1, dup=True)
    scripted.wait_acked(3)
    backend.wait_for(3)
    assert len({r.key for r in backend.delivered()}) == 3


def test_a_broker_that_counts_up_is_known_though_it_dropped_many(make_sluice, scripted, backend):
    """What it drops takes identifiers, too. They begin anew after the highest one."""
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend})
    sluice.start()
    scripted.wait_packets("SUBSCRIBE")
    for n, packet_id in enumerate([1, 2, 31000, 5466, 65535, 1]):
        scripted.publish("garden/a/sensor", b"%d" % n, packet_id=packet_id)
        scripted.wait_acked(n + 1)
    backend.wait_for(6)
    assert not sluice.find_events("broker-reuses-ids")
