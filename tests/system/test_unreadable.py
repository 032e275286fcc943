"""Messages that MQTT forbids, of a broker that lets them pass: libmosquitto closes the connection
for them, and the broker sends them again, before everything else. Nothing waits behind one for
ever, and nothing is lost."""
import contextlib

import pytest

from harness.tls_proxy import TlsProxy
from harness.wait import wait_until
from scripted_broker import ScriptedBroker

ROUTES = {"named": {"topic": "t/#", "path": "/named"}}

# The topic, properties (MQTT 5), and the escaped topic.
FORBIDDEN = {
    "control": (b"t/a\r\nX-Evil: 1/x", b"", "t/a\\x0d\\x0aX-Evil: 1/x"),
    "NUL": (b"t/a\0/x", b"", "t/a\\x00/x"),
    "not UTF-8": (b"t/\xff\xfe/\xc3\xbc", b"", "t/\\xff\\xfe/ü"),
    "surrogate": (b"t/\xed\xa0\x80/x", b"", "t/\\xed\\xa0\\x80/x"),
    "property": (b"t/a/x", b"\x03\x00\x0ctext/p\r\nlain", "t/a/x"),
}


@pytest.fixture
def scripted():
    """Sends again what is not acknowledged, as soon as a client is back."""
    with ScriptedBroker().start() as broker:
        broker.session_present = None
        broker.hooks["SUBSCRIBE"] = lambda packet: broker.redeliver() if packet.connection > 0 else None
        yield broker
    assert not broker.errors, broker.errors


@pytest.fixture
def start(make_sluice, scripted, backend, ca):
    """start(tls=False, protocol="auto"): connected."""
    with contextlib.ExitStack() as ends:

        def begin(tls=False, **broker):
            port = scripted.port
            if tls:
                proxy = TlsProxy(ca.issue("localhost"), scripted.port)
                ends.callback(proxy.close)
                port, broker = proxy.port, {**broker, "host": "localhost", "ca_file": ca.ca_file}
            sluice = make_sluice(broker_port=port, backends={"garden": backend}, routes=ROUTES, broker=broker)
            sluice.start()
            scripted.wait_subscribed(["t/#"])
            return sluice

        yield begin


def send(scripted, what):
    """A forbidden message between two good ones; returns the packet ids."""
    topic, properties, _ = FORBIDDEN[what]
    return scripted.publish_all([
        {"topic": "t/before", "payload": b"before"},
        {"topic": topic, "payload": b'{"bad":1}', "properties": properties},
        {"topic": "t/after", "payload": b"after"}])  # fmt: skip


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_forbidden_message_becomes_a_dead_letter_and_blocks_nothing(start, scripted, backend, what, tls):
    sluice = start(tls)
    ids = send(scripted, what)
    scripted.wait(lambda: set(ids) <= set(scripted.acked()), what="all acknowledgements")
    [row] = sluice.wait_dead(1)
    assert (row["topic"], row["payload"], row["reason"]) == (FORBIDDEN[what][2], b'{"bad":1}', "packet")
    backend.wait_for(2)
    sluice.wait_empty()
    assert sorted(backend.bodies()) == [b"after", b"before"]
    assert len(sluice.find_events("message-unreadable", FORBIDDEN[what][2])) == 1
    assert len(scripted.attempts) <= 4  # two that it closes, and the proxy or a slow start
    assert not any("\x1b" in line or "\r" in line for line in sluice.log)
    scripted.publish("t/later", b"later")
    backend.wait_for(3)


def test_it_is_so_with_3_1_1_too(start, scripted, backend):
    sluice = start(protocol="3.1.1")
    ids = send(scripted, "control")
    scripted.wait(lambda: set(ids) <= set(scripted.acked()), what="all acknowledgements")
    assert [row["topic"] for row in sluice.wait_dead(1)] == [FORBIDDEN["control"][2]]
    backend.wait_for(2)


def test_several_forbidden_messages_follow_each_other(start, scripted, backend):
    sluice = start()
    ids = [n for what in FORBIDDEN for n in send(scripted, what)]
    scripted.wait(lambda: set(ids) <= set(scripted.acked()), 120, "all acknowledgements")
    assert sorted(row["topic"] for row in sluice.wait_dead(5)) == sorted(escaped for _, _, escaped in FORBIDDEN.values())
    backend.wait_for(10)


@pytest.mark.parametrize("bytes", [3000, 300_000])
def test_a_large_one_is_kept_whole(start, scripted, backend, bytes):
    sluice = start()
    payload = b"x" * bytes
    [bad] = scripted.publish_all([{"topic": b"t/\x01", "payload": payload}])
    scripted.wait(lambda: bad in scripted.acked(), what="its acknowledgement")
    assert [row["payload"] for row in sluice.wait_dead(1)] == [payload]


def test_a_crash_before_the_acknowledgement_makes_no_second_dead_letter(start, scripted, backend):
    """The broker sends it a fourth time; sluice has it already."""
    sluice = start()
    [bad] = scripted.publish_all([{"topic": b"t/\x01", "payload": b"bad"}])
    sluice.wait_dead(1)
    sluice.kill()
    scripted.wait(lambda: True)
    with scripted._changed:
        scripted._unacked[bad] = {"topic": b"t/\x01", "payload": b"bad", "qos": 1, "packet_id": bad}  # sent before
        scripted._received = [p for p in scripted._received if p.type != "PUBACK"]
    sluice.start()
    scripted.wait(lambda: bad in scripted.acked(), what="its acknowledgement")
    assert len(sluice.dead()) == 1


def test_a_person_can_deliver_it_under_the_escaped_topic(start, scripted, backend):
    sluice = start()
    scripted.publish(b"t/a\x07", b"bad")
    sluice.wait_dead(1)
    assert sluice.command("queue", "ls", "--reason", "packet").count("t/a") == 1
    sluice.command("queue", "retry", "--all")
    [request] = backend.wait_for(1)
    assert request.body == b"bad" and request.topic == "t/a\\x07"
    wait_until(lambda: not sluice.dead(), what="no dead letter")


def test_a_length_that_is_none_ends_connections_and_not_sluice(start, scripted, backend):
    """Five bytes of length: MQTT has four at most (MQTT 5.0, section 1.5.5). No packet can be read then."""
    sluice = start()
    for connections in range(2, 5):
        scripted.send(b"\x32\xff\xff\xff\xff\x7f" + b"x" * 4096)
        scripted.wait_packets("SUBSCRIBE", connections)
    scripted.publish("t/after", b"after")
    backend.wait_for(1)
    assert sluice.running() and backend.bodies() == [b"after"]


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_retained_one_ends_one_connection_and_hides_no_other(make_sluice, scripted, backend, protocol, qos):
    """The broker sends what it has retained for each SUBSCRIBE that asks for it. The second message
    comes behind the forbidden one, on the connection that is closed."""
    retained = [dict(topic=FORBIDDEN["control"][0], payload=b"bad", retain=True, qos=qos),
                dict(topic=b"t/good", payload=b"good", retain=True, qos=0)]  # fmt: skip

    wanted = []

    def send_retained(packet):  # a round trip's request, after the SUBACK
        if wanted:
            wanted.clear()
            scripted.publish_all(retained)

    def on_subscribe(packet):
        [(_, _, retain_handling, _)] = packet.filters
        if retain_handling == 0 or packet.connection == 0:
            wanted.append(packet)

    scripted.hooks.update(SUBSCRIBE=on_subscribe, UNSUBSCRIBE=send_retained,
                          CONNECT=lambda packet: scripted.forget_unacked())
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend},
                         routes={"named": {"topic": "t/#", "path": "/named", "retained": "yes"}},
                         broker={"protocol": protocol})  # fmt: skip
    sluice.start()
    assert [row["topic"] for row in sluice.wait_dead(1)] == [FORBIDDEN["control"][2]]
    backend.wait_for(1)
    # A round trip without a message of QoS 1: all that was retained came before.
    scripted.wait(lambda: scripted.unsubacked.count(1) > qos, what="a round trip")
    live = scripted.publish(b"t/live", b"live")
    scripted.wait(lambda: live in scripted.acked(), what="what came after its response")
    for connection in (2, 3):
        scripted.drop()
        scripted.wait_packets("SUBSCRIBE", connection + 1)
        if protocol == "3.1.1":  # which gets all again; without an end of the round trip, again on the next connection
            scripted.wait(lambda: scripted.unsubacked.count(connection) > qos, what="a round trip")
        live = scripted.publish(b"t/live", b"live")
        scripted.wait(lambda: live in scripted.acked(), what="its acknowledgement")
    backend.wait_for(4)
    sluice.wait_empty()
    assert sorted(backend.bodies()) == [b"good", *[b"live"] * 3]
    assert len(sluice.dead()) == 1 and len(scripted.attempts) == 4


def test_those_of_qos_0_end_one_connection(start, scripted, backend):
    sluice = start()
    scripted.publish(b"t/\x01", b"0", qos=0)
    scripted.wait_packets("SUBSCRIBE", 2)
    for n in range(1, 20):
        scripted.publish_all([{"topic": b"t/\x01", "payload": b"%d" % n, "qos": 0},
                              {"topic": b"t/good", "payload": b"%d" % n}])  # fmt: skip
    backend.wait_for(19)
    assert [row["payload"] for row in sluice.wait_dead(19)] == [b"%d" % n for n in range(1, 20)]
    assert len(scripted.attempts) == 2
