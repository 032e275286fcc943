"""From the broker to the queue: how sluice connects, subscribes, and takes in."""
import os
import re
import shutil
import signal
import socket
import sqlite3
import struct
import time

import pytest

from harness.certs import CA
from harness.check import never_stalled
from harness.ports import free_port
from harness.wait import wait_until
from scripted_broker import RECEIVE_MAXIMUM, SESSION_EXPIRY, ScriptedBroker

SENSOR = {"topic": "garden/+/sensor", "path": "/collections/sensor"}
VERSIONS = ["5", "3.1.1"]


@pytest.fixture
def scripted():
    with ScriptedBroker().start() as broker:
        yield broker
    assert not broker.errors, broker.errors


def connected_to(make_sluice, server, backend, filters=("garden/+/sensor",), **parts):
    sluice = make_sluice(broker_port=server.port, backends={"garden": backend}, **parts)
    sluice.start()
    server.wait_subscribed(filters)
    return sluice


def readings(count, topic="garden/a/sensor"):
    return [{"topic": topic, "payload": b"%d" % n} for n in range(count)]


def stop_process(sluice):
    """SIGSTOP; returns when it has stopped."""
    sluice.signal(signal.SIGSTOP)
    wait_until(lambda: process_state(sluice) == "T", what="sluice to be stopped")


def process_state(sluice):
    with open(f"/proc/{sluice.process.pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0]


def attempts_during(broker, seconds):
    """How often sluice connected during a stretch of time."""
    before = len(broker.attempts)
    time.sleep(seconds)
    return len(broker.attempts) - before


# -- the packets


def test_connect_asks_for_a_session_that_lasts(make_sluice, scripted, backend):
    sluice = connected_to(make_sluice, scripted, backend)
    connect = scripted.packets("CONNECT")[0]
    assert (connect.protocol, connect.level, connect.client_id) == ("MQTT", 5, "sluice")
    assert connect.clean_start is False
    assert connect.keepalive == 60
    assert connect.properties[SESSION_EXPIRY] == 30 * 24 * 3600
    assert connect.properties[RECEIVE_MAXIMUM] == 1000
    assert (connect.username, connect.password, connect.will) == (None, None, None)
    sluice.wait_event("broker-connected", "MQTT 5", "new session")


@pytest.mark.parametrize("version, level", [("5", 5), ("3.1.1", 4)])
def test_connect_carries_the_configuration(make_sluice, scripted, backend, tmp_path, version, level):
    (tmp_path / "password").write_text("s3cret\n")
    sluice = connected_to(
        make_sluice, scripted, backend, queue={"commit_batch": 77},
        broker={"client_id": "pi-7", "keepalive": "7s", "session_expiry": "2h", "protocol": version,
                "username": "sluice", "password": f"@{tmp_path}/password"},
    )  # fmt: skip
    connect = scripted.packets("CONNECT")[0]
    assert (connect.level, connect.client_id, connect.keepalive) == (level, "pi-7", 7)
    assert connect.clean_start is False
    assert (connect.username, connect.password) == ("sluice", b"s3cret")
    if level == 5:
        assert connect.properties[SESSION_EXPIRY] == 2 * 3600
        assert connect.properties[RECEIVE_MAXIMUM] == 77
    sluice.wait_event("broker-connected", f"MQTT {version}", "new session")
    assert "s3cret" not in sluice.log_text()


def test_subscribes_at_qos_1_one_identifier_a_filter(make_sluice, scripted, backend):
    filters = ["garden/+/sensor", "garden/#", "other/é"]
    connected_to(make_sluice, scripted, backend, filters,
                 routes={"a": {"topic": filters, "path": "/x"}, "b": {"topic": filters[1], "path": "/y"}})  # fmt: skip
    identifiers = {}
    for packet in scripted.packets("SUBSCRIBE"):
        # An identifier holds for all filters of its packet.
        [(name, qos, retain_handling, options)] = packet.filters
        [identifiers[name]] = packet.identifiers
        assert (qos, retain_handling) == (1, 1)
        assert not options & 0x04, "no-local"
        assert not options & 0x08, "retain-as-published: a live message would look retained"
    assert sorted(identifiers) == sorted(filters)
    assert len(set(identifiers.values())) == len(filters)


def test_subscription_identifiers_stay_over_a_restart(make_sluice, scripted, backend):
    """Messages that wait in the session carry the identifiers of before."""
    routes = {"a": {"topic": ["one/#", "two/#"], "path": "/x"}}
    sluice = connected_to(make_sluice, scripted, backend, ["one/#", "two/#"], routes=routes)
    before = {name: scripted.identifier(name) for name in ("one/#", "two/#")}
    sluice.stop()
    sluice.write_config(sluice.config_text(routes={"a": {"topic": ["new/#", "two/#", "one/#"], "path": "/x"}}))
    sluice.start()
    wait_until(lambda: scripted.identifier("new/#"), what="the new subscription")
    assert {name: scripted.identifier(name) for name in before} == before
    assert scripted.identifier("new/#") not in before.values()


def test_mqtt_3_1_1_subscribes_at_qos_1(make_sluice, scripted, backend):
    connected_to(make_sluice, scripted, backend, broker={"protocol": "3.1.1"})
    [subscribe] = scripted.packets("SUBSCRIBE")
    assert subscribe.filters == [("garden/+/sensor", 1, 0, 1)]


def test_stopping_leaves_the_session(make_sluice, scripted, backend):
    """No DISCONNECT that ends it, no UNSUBSCRIBE."""
    sluice = connected_to(make_sluice, scripted, backend)
    assert sluice.stop() == 0
    assert unsubscribed(scripted) == []
    sluice.start()
    scripted.wait_packets("CONNECT", 2)
    assert not any(p.clean_start for p in scripted.packets("CONNECT"))
    sluice.wait_event("broker-connected", "MQTT 5", "session resumed")


def test_an_idle_connection_is_kept_alive(make_sluice, scripted, backend):
    """And one that does not respond any more is left for a new one."""
    sluice = connected_to(make_sluice, scripted, backend, broker={"keepalive": "5s"})
    scripted.silent = True
    started = time.monotonic()
    scripted.wait_packets("PINGREQ", 1, timeout=8)
    assert time.monotonic() - started < 7.5  # 1.5 times as long and the broker would hang up
    sluice.wait_event("broker-away", level="warning")


# -- versions


@pytest.mark.parametrize("way", ["code1", "0x84", "close"])
def test_a_broker_without_mqtt_5_gets_mqtt_3_1_1(make_sluice, scripted, backend, way):
    scripted.refuse_v5 = way
    sluice = connected_to(make_sluice, scripted, backend)
    sluice.wait_event("broker-connected", "MQTT 3.1.1", "new session")
    assert [p.level for p in scripted.packets("CONNECT")][-1] == 4
    assert not scripted.packets("CONNECT")[-1].clean_start
    assert len(scripted.attempts) <= 4
    scripted.publish_all(readings(10))
    backend.wait_for(10)
    scripted.wait_acked(10)
    assert sorted(backend.bodies()) == sorted(b"%d" % n for n in range(10))


def test_protocol_5_does_not_fall_back(make_sluice, scripted, backend):
    scripted.refuse_v5 = "0x84"
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend}, broker={"protocol": "5"})
    sluice.start()
    scripted.wait_packets("CONNECT", 2)
    assert {p.level for p in scripted.packets("CONNECT")} == {5}
    sluice.wait_event("broker-away")
    scripted.refuse_v5 = None  # the broker was upgraded
    sluice.wait_event("broker-connected", "MQTT 5")


# -- brokers that are away


def test_starts_before_the_broker_and_waits(make_sluice, make_mosquitto, backend):
    port = free_port()
    sluice = make_sluice(broker_port=port, backends={"garden": backend})
    started = time.monotonic()
    sluice.start(args=["-v"])
    wait_until(lambda: len(sluice.find_events("broker-away")) >= 2, what="a second try")
    sluice.wait_events(1, "broker-away", level="warning")
    tries = len(sluice.find_events("broker-away"))
    assert tries <= 3 + (time.monotonic() - started) * 3, "a hot loop"
    mosquitto = make_mosquitto(port=port)
    sluice.wait_connected(timeout=30)
    mosquitto.publish("garden/a/sensor", b"1")
    assert [r.body for r in backend.wait_for(1)] == [b"1"]


@pytest.mark.parametrize("how", ["refused", "hangs up", "hangs up later"])
def test_failed_connections_are_not_tried_in_a_hot_loop(make_sluice, scripted, backend, how):
    """Also when connecting works and something fails behind it, again and again."""
    if how == "refused":
        scripted.refuse = 0x87  # not authorised
    elif how == "hangs up":
        scripted.hooks["CONNECT"] = lambda packet: scripted.drop()
    else:
        scripted.hooks["SUBSCRIBE"] = lambda packet: scripted.drop()
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend})
    sluice.start()
    scripted.wait(lambda: len(scripted.attempts) >= 2, what="a second try")
    assert attempts_during(scripted, 2) <= 6
    assert len(sluice.log) < 40
    scripted.refuse, scripted.hooks = None, {}
    scripted.wait_subscribed(["garden/+/sensor"])
    scripted.publish("garden/a/sensor", b"1")
    backend.wait_for(1)


class BlackHole:
    """A port at which SYN packets vanish: the queue of a listener that accepts
    nothing is full."""

    def __init__(self, port):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(0)
        self.clients = []
        for _ in range(3):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            self.clients.append(client)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in [*self.clients, self.listener]:
            sock.close()


@pytest.mark.parametrize("how", ["no SYN-ACK", "no CONNACK"])
def test_a_broker_in_a_black_hole_stops_nothing(make_sluice, scripted, backend, how):
    """Deliveries go on, a reload works, and so does stopping."""
    backend.stop()
    sluice = connected_to(make_sluice, scripted, backend)
    scripted.publish_all(readings(20))
    scripted.wait_acked(20)
    assert sluice.stop() == 0
    scripted.stop()
    before = len(sluice.log)
    if how == "no SYN-ACK":
        hole = BlackHole(scripted.port)
    else:
        hole = ScriptedBroker(scripted.port)
        hole.silent = True
        hole.start()
    with hole:
        sluice.start()
        if how == "no CONNACK":
            hole.wait_packets("CONNECT")
        backend.start()
        backend.wait_for(20)
        sluice.reload()
        sluice.stop()  # in less than 5 s
    assert not sluice.find_events("broker-connected", after=before)


def test_sluice_connects_when_a_black_hole_ends(make_sluice, scripted, backend):
    port = scripted.port
    scripted.stop()
    sluice = make_sluice(broker_port=port, backends={"garden": backend})
    with BlackHole(port):
        sluice.start()
        time.sleep(0.3)
    scripted.start()
    scripted.wait_subscribed(["garden/+/sensor"])


# -- restarts


def test_restarts_of_sluice_and_broker_lose_nothing(make_sluice, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    wanted = []

    def publish(name):
        messages = [(f"garden/{name}/sensor", f"{name} {qos} {n}".encode(), qos) for n in range(5) for qos in (0, 1)]
        mosquitto.publish_many(messages)
        wanted.extend(payload for _, payload, _ in messages)

    def wait_all():
        """And the broker knows it: a restart repeats what it has not read yet."""
        backend.wait_for(len(wanted))
        mosquitto.wait_received("PUBACK", len(wanted))

    mosquitto.wait_received("SUBSCRIBE")
    publish("connected")
    wait_all()

    assert sluice.stop() == 0
    publish("sluice-away")
    sluice.start()
    sluice.wait_event("broker-connected", "MQTT 5", "session resumed")
    wait_all()

    before = len(sluice.log)
    mosquitto.restart()
    sluice.wait_event("broker-away", level="warning", after=before)
    publish("broker-restarted")
    sluice.wait_event("broker-connected", "MQTT 5", "session resumed", after=before)
    wait_all()

    assert sluice.stop() == 0
    publish("both")
    mosquitto.restart()
    sluice.start()
    wait_all()
    sluice.wait_empty()
    assert sorted(backend.bodies()) == sorted(wanted)


def test_sluice_subscribes_again_after_a_crash_of_the_broker(make_sluice, mosquitto, backend):
    """kill -9, and it comes back with what it had saved."""
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    mosquitto.publish("garden/a/sensor", b"1")
    backend.wait_for(1)
    before = len(sluice.log)
    mosquitto.kill()
    sluice.wait_event("broker-away", level="warning", after=before)
    mosquitto.start()
    sluice.wait_connected(after=before)
    # The snapshot may not have known sluice's subscription: it subscribes again.
    mosquitto.wait_received("SUBSCRIBE", 2)
    mosquitto.publish("garden/a/sensor", b"2")
    backend.wait_for(2)


# -- filters and routes


OVERLAPPING = {
    "wide": {"topic": "garden/#", "path": "/wide"},
    "own": {"topic": ["garden/+/sensor", "garden/a/#"], "path": "/own"},
    "shared": {"topic": "garden/+/sensor", "path": "/shared"},
}


@pytest.mark.parametrize("away", [False, True], ids=["connected", "away"])
@pytest.mark.parametrize("version", VERSIONS)
def test_overlapping_filters_deliver_once_per_route(make_sluice, mosquitto, backend, version, away):
    """What waited in the session comes in the same breath as the CONNACK."""
    sluice = make_sluice(backends={"garden": backend}, routes=OVERLAPPING, broker={"protocol": version})
    sluice.start().wait_connected()
    if away:
        sluice.stop()
    # The third matches one filter of `own` that is not its first.
    mosquitto.publish_many([("garden/a/sensor", b"1", 1), ("garden/b/sensor", b"2", 0), ("garden/a/other", b"3", 1),
                            ("garden/c", b"4", 1)])  # fmt: skip
    mosquitto.publish("garden/a/sensor", b"last")
    if away:
        sluice.start()
    wanted = {"/api/wide": [b"1", b"2", b"3", b"4", b"last"], "/api/own": [b"1", b"2", b"3", b"last"],
              "/api/shared": [b"1", b"2", b"last"]}  # fmt: skip
    backend.wait_for(12)
    sluice.wait_empty()
    assert {path: sorted(backend.bodies(path)) for path in wanted} == {p: sorted(b) for p, b in wanted.items()}
    assert sluice.stop() == 0
    assert sluice.stopped()["stored"] == 12


def delivered_by_path(backend):
    paths = [r.path for r in backend.delivered()]
    return {path: paths.count(path) for path in set(paths)}


def test_a_copy_serves_the_routes_of_its_filter(make_sluice, scripted, backend):
    filters = ["garden/#", "garden/+/sensor", "garden/a/#"]
    connected_to(make_sluice, scripted, backend, filters, routes=OVERLAPPING)
    for name in filters:
        scripted.publish("garden/a/sensor", b"1", identifiers=[scripted.identifier(name)])
    backend.wait_for(3)
    scripted.publish("garden/b", b"2", identifiers=[scripted.identifier("garden/#")])
    backend.wait_for(4)
    assert delivered_by_path(backend) == {"/api/wide": 2, "/api/own": 1, "/api/shared": 1}


def test_one_copy_for_several_filters_serves_all_their_routes(make_sluice, scripted, backend):
    """As an MQTT 5 broker may do it (3.3.4): it names all the filters on one copy.
    libmosquitto 2.0.11 hangs up on it (`Duplicate property`); another way must be
    found, or nothing ever comes through."""
    filters = ["garden/#", "garden/+/sensor", "garden/a/#"]
    sluice = connected_to(make_sluice, scripted, backend, filters, routes=OVERLAPPING)
    scripted.publish("garden/a/sensor", b"1", identifiers=[scripted.identifier(name) for name in filters])
    seen = len(scripted.packets("CONNECT"))
    scripted.wait(lambda: not scripted.unacked or len(scripted.packets("CONNECT")) > seen, what="a reaction")
    sluice.wait_event("broker-connected", "MQTT 3.1.1")
    scripted.redeliver()
    backend.wait_for(3)
    scripted.wait(lambda: not scripted.unacked, what="the acknowledgement")
    assert delivered_by_path(backend) == {"/api/wide": 1, "/api/own": 1, "/api/shared": 1}


def test_a_copy_without_a_known_identifier_serves_all(make_sluice, scripted, backend):
    connected_to(make_sluice, scripted, backend, ["garden/#", "garden/+/sensor", "garden/a/#"], routes=OVERLAPPING)
    scripted.publish("garden/a/sensor", b"1")
    scripted.publish("garden/a/sensor", b"2", identifiers=[268435455])
    backend.wait_for(6)
    assert delivered_by_path(backend) == {"/api/wide": 2, "/api/own": 2, "/api/shared": 2}


def test_a_broker_without_subscription_identifiers_gets_none(make_sluice, scripted, backend):
    """Sending one would end the connection (MQTT 5.0, 3.2.2.3.12)."""
    scripted.connack = b"\x29\x00"
    connected_to(make_sluice, scripted, backend)
    assert [p.identifiers for p in scripted.packets("SUBSCRIBE")] == [[]]
    scripted.publish("garden/a/sensor", b"1")
    backend.wait_for(1)


def test_a_message_of_no_route_is_acknowledged_and_not_forwarded(make_sluice, scripted, backend):
    connected_to(make_sluice, scripted, backend)
    scripted.publish("elsewhere", b"not for us")
    scripted.publish("garden/a/sensor", b"for us")
    scripted.wait_acked(2)
    assert [r.body for r in backend.wait_for(1)] == [b"for us"]
    assert len(backend.requests) == 1


def unsubscribed(broker):
    """Of the filters of these tests: sluice may have others of its own."""
    return [name for p in broker.packets("UNSUBSCRIBE") for name in p.filters if name.endswith("/#")]


@pytest.mark.parametrize("how", ["restart", "reload"])
@pytest.mark.parametrize("version", VERSIONS)
def test_vanished_filters_are_unsubscribed(make_sluice, scripted, backend, how, version):
    old = {"a": {"topic": ["stays/#", "goes/#", "shared/#"], "path": "/a"}, "b": {"topic": "shared/#", "path": "/b"}}
    new = {"a": {"topic": ["stays/#", "comes/#"], "path": "/a"}, "b": {"topic": "shared/#", "path": "/b"}}
    sluice = connected_to(make_sluice, scripted, backend, ["stays/#", "goes/#", "shared/#"], routes=old,
                          broker={"protocol": version})  # fmt: skip
    assert unsubscribed(scripted) == []
    if how == "restart":
        sluice.stop()
        sluice.write_config(sluice.config_text(routes=new))
        sluice.start()
    else:
        sluice.reload(routes=new)
    scripted.wait(lambda: unsubscribed(scripted), what="the UNSUBSCRIBE")
    scripted.wait(lambda: any(name == "comes/#" for p in scripted.packets("SUBSCRIBE") for name, *_ in p.filters),
                  what="the new subscription")  # fmt: skip
    assert unsubscribed(scripted) == ["goes/#"]

    def publish(payload):
        names = [scripted.identifier("comes/#")] if version == "5" else []
        scripted.publish("comes/x", payload, identifiers=names)

    publish(b"1")  # it read the UNSUBACK before this
    backend.wait_for(1)
    # Once more: the broker may have forgotten that.
    sluice.stop()
    sluice.start()
    scripted.wait_packets("CONNECT", 2)
    if version == "5":
        scripted.wait_subscribed(["stays/#", "comes/#", "shared/#"])
    else:  # the session has them; subscribing again would bring retained messages again
        sluice.wait_connected()
    publish(b"2")
    backend.wait_for(2)
    assert unsubscribed(scripted)[-1] == "goes/#" and set(unsubscribed(scripted)) == {"goes/#"}


@pytest.mark.parametrize("version", VERSIONS)
def test_messages_queued_under_a_replaced_filter_are_delivered(make_sluice, mosquitto, backend, version):
    """They carry an identifier that is no longer configured."""
    sluice = make_sluice(backends={"garden": backend}, broker={"protocol": version})
    sluice.start().wait_connected()
    sluice.stop()
    mosquitto.publish_many([("garden/a/sensor", b"%d" % n, 1) for n in range(10)])
    sluice.write_config(sluice.config_text(routes={"all": {"topic": "garden/#", "path": "/all"}}))
    sluice.start()
    backend.wait_for(10)
    sluice.wait_empty()
    assert backend.bodies("/api/all") == [b"%d" % n for n in range(10)]


def test_a_reload_under_traffic_loses_nothing(make_sluice, mosquitto, backend):
    """The filter is replaced by one that covers it, while messages come in."""
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    client = mosquitto.client()
    sent = [client.publish("garden/a/sensor", b"%d" % n, 1) for n in range(150)]
    sluice.reload(routes={"sensor": {"topic": "garden/#", "path": "/all"}})
    sent += [client.publish("garden/a/sensor", b"%d" % n, 1) for n in range(150, 300)]
    wait_until(lambda: all(m.is_published() for m in sent), what="the broker's acknowledgements")
    client.disconnect()
    client.loop_stop()
    wait_until(lambda: len({r.body for r in backend.delivered()}) == 300, what="300 different messages")


def test_retained_messages_go_to_routes_that_want_them(make_sluice, mosquitto, backend):
    routes = {"live": {"topic": "garden/#", "path": "/live"},
              "all": {"topic": "garden/+/sensor", "path": "/all", "retained": "yes"}}  # fmt: skip
    mosquitto.publish("garden/a/sensor", b"old", retain=True)
    sluice = make_sluice(backends={"garden": backend}, routes=routes)
    sluice.start().wait_connected()
    backend.wait_for(1)
    # What is published now is news, whether the broker retains it or not.
    mosquitto.publish("garden/a/sensor", b"news", retain=True)
    backend.wait_for(3)
    before = len(sluice.log)
    sluice.stop()
    sluice.start()  # subscribing again brings nothing again
    sluice.wait_connected(after=before)
    mosquitto.publish("garden/a/sensor", b"last")
    backend.wait_for(5)
    sluice.wait_empty()
    assert backend.bodies("/api/live") == [b"news", b"last"]
    assert backend.bodies("/api/all") == [b"old", b"news", b"last"]


@pytest.mark.parametrize("code, version", [(0x87, "5"), (0x80, "3.1.1")])
def test_a_refused_subscription_is_reported(make_sluice, scripted, backend, code, version):
    scripted.suback = lambda name, qos: code if name == "secret/#" else qos
    routes = {"a": {"topic": ["secret/#", "garden/+/sensor"], "path": "/a"}}
    sluice = connected_to(make_sluice, scripted, backend, ["secret/#", "garden/+/sensor"], routes=routes,
                          broker={"protocol": version})  # fmt: skip
    sluice.wait_event("subscription-refused", "secret/#", "ACL", level="error")
    sluice.wait_events(1, "subscription-refused")
    scripted.publish("garden/x/sensor", b"1")
    backend.wait_for(1)


def test_a_subscription_at_qos_0_is_reported(make_sluice, scripted, backend):
    """It works, and what is promised does not hold."""
    scripted.suback = lambda name, qos: 0
    sluice = connected_to(make_sluice, scripted, backend)
    sluice.wait_event("subscription-downgraded", "garden/+/sensor", "QoS 0", level="error")


# -- user name, password, TLS


def test_a_wrong_password_is_logged_and_can_be_corrected(make_sluice, make_mosquitto, backend, tmp_path):
    mosquitto = make_mosquitto(users={"sluice": "pass word"})
    (tmp_path / "password").write_text("wrong")
    (tmp_path / "password").chmod(0o600)
    sluice = make_sluice(broker_port=mosquitto.port, backends={"garden": backend},
                         broker={"username": "sluice", "password": f"@{tmp_path}/password"})  # fmt: skip
    sluice.start()
    line = sluice.wait_event("broker-away")
    assert re.search(r"(?i)auth|password|credential", line), line
    sluice.stop()
    (tmp_path / "password").write_text("pass word\n")
    sluice.start()
    sluice.wait_connected()
    mosquitto.publish("garden/a/sensor", b"1")
    backend.wait_for(1)


@pytest.fixture
def tls_mosquitto(ca, make_mosquitto):
    cert_file, key_file = ca.issue("localhost")
    os.chmod(key_file, 0o644)
    return make_mosquitto(tls={"ca_file": ca.ca_file, "cert_file": cert_file, "key_file": key_file})


def test_a_ca_file_of_the_broker_that_is_corrected_in_place_is_taken_up(make_sluice, tls_mosquitto, backend, ca, tmp_path):
    given = tmp_path / "ca.pem"
    shutil.copy(CA(tmp_path / "other").ca_file, given)
    sluice = make_sluice(broker_port=tls_mosquitto.port, backends={"garden": backend},
                         broker={"host": "localhost", "ca_file": given})  # fmt: skip
    sluice.start()
    sluice.wait_event("broker-away")
    shutil.copy(ca.ca_file, given)
    sluice.wait_connected()


def test_messages_come_over_tls_to_the_broker(make_sluice, tls_mosquitto, backend, ca):
    sluice = make_sluice(broker_port=tls_mosquitto.port, backends={"garden": backend},
                         broker={"host": "localhost", "tls": "yes", "ca_file": ca.ca_file})  # fmt: skip
    sluice.start().wait_connected()
    tls_mosquitto.publish_many([("garden/a/sensor", b"%d" % n, 1) for n in range(200)])
    backend.wait_for(200)
    assert backend.bodies() == [b"%d" % n for n in range(200)]


@pytest.mark.parametrize("wrong", ["ca", "name"])
def test_a_broker_that_is_not_ours_gets_nothing(make_sluice, tls_mosquitto, backend, ca, tmp_path, wrong):
    from harness.certs import CA

    trusted = CA(tmp_path / "other").ca_file if wrong == "ca" else ca.ca_file
    host = "localhost" if wrong == "ca" else "127.0.0.1"
    sluice = make_sluice(broker_port=tls_mosquitto.port, backends={"garden": backend},
                         broker={"host": host, "tls": "yes", "ca_file": trusted})  # fmt: skip
    sluice.start()
    line = sluice.wait_event("broker-away", level="warning")
    assert re.search(r"(?i)tls|certificate", line), line
    assert not sluice.find_events("broker-connected")
    assert sluice.stop() == 0


# -- windows and commits


@pytest.mark.parametrize("version", VERSIONS)
def test_a_full_window_is_acknowledged_in_order(make_sluice, scripted, backend, version):
    """A broker that sends as much as it may, and waits: nothing is held back."""
    connected_to(make_sluice, scripted, backend, queue={"commit_batch": 50}, broker={"protocol": version})
    scripted.publish_windowed(readings(500), window=50)
    scripted.wait_acked(500)
    assert scripted.most_unacked <= 50
    assert scripted.acked() == list(range(1, 501))
    backend.wait_for(500)
    assert backend.bodies() == [b"%d" % n for n in range(500)]


def test_a_receive_maximum_of_one_works(make_sluice, scripted, backend):
    connected_to(make_sluice, scripted, backend, queue={"commit_batch": 1})
    assert scripted.packets("CONNECT")[0].properties[RECEIVE_MAXIMUM] == 1
    scripted.publish_windowed(readings(20), window=1)
    scripted.wait_acked(20)
    backend.wait_for(20)


def test_a_transaction_holds_one_batch_at_most(make_sluice, scripted, backend):
    """An MQTT 3.1.1 broker knows no window and sends all it has."""
    backend.stop()
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend}, queue={"commit_batch": 50},
                         broker={"protocol": "3.1.1"})  # fmt: skip
    sluice.start(env={"SLUICE_FAULT": "queue.commit:2:stop"})
    scripted.wait_subscribed(["garden/+/sensor"])
    stop_process(sluice)
    scripted.publish_all(readings(500))
    sluice.signal(signal.SIGCONT)
    wait_until(lambda: sluice.pending() > 0, what="the first commit")
    wait_until(lambda: process_state(sluice) == "T", what="the stop before the second")
    stored = sluice.pending()
    assert 1 <= stored <= 50
    scripted.wait_acked(stored)
    assert scripted.acked() == list(range(1, stored + 1))
    sluice.signal(signal.SIGCONT)
    scripted.wait_acked(500)
    assert sluice.pending() == 500


def commits_in_wal(db):
    """Commits in the write-ahead log since its last reset (sqlite.org/fileformat2.html#walformat)."""
    with open(db + "-wal", "rb") as wal:
        header = wal.read(32)
        if len(header) < 32:
            return 0
        page_size = struct.unpack(">I", header[8:12])[0]
        commits = 0
        while True:
            frame = wal.read(24 + page_size)
            if len(frame) < 24 + page_size or frame[8:16] != header[16:24]:
                return commits
            commits += frame[4:8] != b"\0\0\0\0"


def test_a_burst_shares_commits(make_sluice, scripted, backend):
    backend.stop()
    sluice = connected_to(make_sluice, scripted, backend)
    stop_process(sluice)
    before = commits_in_wal(sluice.db)
    scripted.publish_all(readings(1000))
    sluice.signal(signal.SIGCONT)
    scripted.wait_acked(1000)
    commits = commits_in_wal(sluice.db) - before
    assert sluice.pending() == 1000
    assert 1 <= commits <= 20


def test_messages_of_qos_0_are_stored(make_sluice, scripted, backend):
    connected_to(make_sluice, scripted, backend)
    scripted.publish_all([{**m, "qos": 0} for m in readings(20)])
    backend.wait_for(20)
    assert backend.bodies() == [b"%d" % n for n in range(20)]
    assert scripted.acked() == []


def test_two_equal_readings_are_delivered_twice(make_sluice, scripted, backend):
    connected_to(make_sluice, scripted, backend)
    scripted.publish_all([{"topic": "garden/a/sensor", "payload": b"same"}] * 3)
    assert len({r.key for r in backend.wait_for(3)}) == 3


# -- a locked database


def test_a_locked_database_loses_nothing(make_sluice, mosquitto, backend):
    """Someone works in the queue with sqlite3 and has a transaction open."""
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    person = sqlite3.connect(sluice.db, isolation_level=None)
    person.execute("BEGIN IMMEDIATE")
    mosquitto.publish_many([("garden/a/sensor", b"%d" % n, 1) for n in range(50)])
    sluice.reload()  # the loop lives
    time.sleep(1)
    sluice.reload()
    assert person.execute("select count(*) from message").fetchone() == (0,)
    person.execute("ROLLBACK")
    backend.wait_for(50)
    sluice.wait_empty()
    assert backend.bodies() == [b"%d" % n for n in range(50)]
    person.execute("BEGIN IMMEDIATE")
    mosquitto.publish("garden/a/sensor", b"held")
    assert sluice.stop() == 0  # nor does a lock hold up the end
    person.execute("ROLLBACK")
    person.close()
    never_stalled(sluice, most_ms=500)
    sluice.start()
    wait_until(lambda: b"held" in backend.bodies(), what="the last message")


def test_deliveries_go_on_while_the_database_is_locked(make_sluice, mosquitto, backend):
    backend.stop()
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    mosquitto.publish_many([("garden/a/sensor", b"%d" % n, 1) for n in range(30)])
    sluice.wait_pending(30)
    person = sqlite3.connect(sluice.db, isolation_level=None)
    person.execute("BEGIN IMMEDIATE")
    backend.start()
    backend.wait_for(30)
    assert sluice.pending() == 30
    person.execute("ROLLBACK")
    person.close()
    sluice.wait_empty()
    assert len(backend.requests) == len({r.key for r in backend.requests if r.status == 200})
