"""What an MQTT 5 sender says of its message, and the retain flag: kept, sent on, and obeyed."""
import json
import sqlite3
from itertools import count

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from harness.wait import wait_until
from scripted_broker import ScriptedBroker

TOPIC = "garden/a/sensor"
RAW = {"topic": "garden/+/sensor", "path": "/sensor"}


@pytest.fixture
def publish(mosquitto):
    """publish(topic, payload, MessageExpiryInterval=..., UserProperty=[...], ...): by MQTT 5."""
    client = mosquitto.client(version=5)

    def begin(topic, payload, retain=False, **properties):
        known = Properties(PacketTypes.PUBLISH)
        for name, value in properties.items():
            setattr(known, name, value)
        client.publish(topic, payload, 1, retain, properties=known).wait_for_publish(60)

    yield begin
    client.disconnect()
    client.loop_stop()


def drops(sluice):
    return {(row["route"], row["reason"]): row["messages"] for row in sluice.sql("select * from dropped")}


# -- content type and user properties


def test_content_type_and_user_properties_are_sent_on(make_sluice, mosquitto, backend, publish):
    add = "type={content_type}, site={user.site}, both={user.tag}, none={user.none}, was={retained}, text=<{user.site}>"
    routes = {"raw": RAW, "json": {**RAW, "path": "/json", "body": "json", "add": add},
              "envelope": {**RAW, "path": "/envelope", "body": "envelope"},
              "fixed": {**RAW, "path": "/fixed", "content_type": "text/x-fixed"}}  # fmt: skip
    sluice = make_sluice(backends={"garden": backend}, routes=routes).start().wait_connected()
    user = [("site", 'bed "1"'), ("tag", "ä"), ("tag", "b, c")]
    publish(TOPIC, b'{"n":1}', ContentType="application/vnd.garden+json", UserProperty=user)
    backend.wait_for(4)
    got = {r.path: r for r in backend.delivered()}
    assert got["/api/sensor"].headers["content-type"] == "application/vnd.garden+json"
    assert got["/api/fixed"].headers["content-type"] == "text/x-fixed"
    assert got["/api/json"].headers["content-type"] == "application/json"
    assert json.loads(got["/api/json"].body) == {
        "n": 1, "type": "application/vnd.garden+json", "site": 'bed "1"', "both": "ä, b, c", "was": False,
        "text": '<bed "1">',
    }  # fmt: skip
    envelope = json.loads(got["/api/envelope"].body)
    assert envelope["content_type"] == "application/vnd.garden+json"
    assert envelope["user_properties"] == [list(pair) for pair in user]
    assert "retained" not in envelope
    publish(TOPIC, b'{"n":2}')
    backend.wait_for(8)
    got = {r.path: r for r in backend.delivered()}
    assert got["/api/sensor"].headers["content-type"] == "application/json"
    assert json.loads(got["/api/json"].body) == {"n": 2, "was": False}
    assert not {"content_type", "user_properties"} & set(json.loads(got["/api/envelope"].body))
    sluice.wait_empty()


def test_properties_outlive_a_restart_and_a_dead_letter(make_sluice, mosquitto, backend, publish):
    route = {**RAW, "body": "json", "add": "site={user.site}"}
    sluice = make_sluice(backends={"garden": backend}, routes={"sensor": route}).start().wait_connected()
    publish(TOPIC, b"no object", ContentType="text/x-a", UserProperty=[("site", "north")])
    [row] = sluice.wait_dead(1)
    sluice.kill()
    sluice.start().wait_connected()
    shown = json.loads(sluice.command("queue", "show", row["id"], "--json"))
    assert (shown["content_type"], shown["user_properties"]) == ("text/x-a", [["site", "north"]])
    assert '[["site","north"]]' in sluice.command("queue", "show", row["id"])
    sluice.reload(routes={"sensor": {**route, "not_object": "raw"}})
    sluice.command("queue", "retry", "--all")
    assert backend.wait_for(1)[0].headers["content-type"] == "text/x-a"


def test_a_content_type_that_no_header_can_have_is_left_out(make_sluice, backend):
    """What cannot be in one is left out; then the type is derived from the payload."""
    with ScriptedBroker().start() as broker:
        sluice = make_sluice(broker_port=broker.port, backends={"garden": backend}, routes={"raw": RAW}).start()
        sluice.wait_event("broker-connected")
        broker.publish(TOPIC, b"21.5", properties=b"\x03\x00\x0fa/b\xc3\xa9 X-Evil: 1")
        [request] = backend.wait_for(1)
        assert request.headers["content-type"] == "application/json"
        assert not broker.errors


# -- expiry


def test_an_expired_message_is_dropped_and_counted(make_sluice, mosquitto, backend, publish):
    sluice = make_sluice(backends={"garden": backend}, routes={"sensor": RAW}).start().wait_connected()
    backend.stop()
    publish(TOPIC, b"stays")
    for n in range(3):
        publish(TOPIC, b"goes", MessageExpiryInterval=1)
    publish(TOPIC, b"stays too", MessageExpiryInterval=3600)
    sluice.wait_event("messages-dropped", "expired")
    wait_until(lambda: drops(sluice) == {("sensor", "expired"): 3}, what="the drops")
    assert sluice.status()["daemon"]["since_start"]["dropped"] == 3
    backend.start()
    sluice.wait_empty()
    assert sorted(backend.bodies()) == [b"stays", b"stays too"]


def test_what_expired_while_sluice_was_stopped_is_not_sent(make_sluice, mosquitto, backend, publish):
    routes = {"sensor": RAW, "other": {"topic": "clock/#", "path": "/clock"}}
    sluice = make_sluice(backends={"garden": backend}, routes=routes, queue={"clock": "trust"}).start().wait_connected()
    backend.stop()
    for n in range(600):  # more than one transaction
        publish(TOPIC, b"%d" % n, MessageExpiryInterval=300)
    wait_until(lambda: sluice.pending() == 600, what="the messages")
    sluice.kill()
    backend.start()
    with sqlite3.connect(sluice.db) as db:  # as if it was ten minutes later
        db.execute("update message set uptime_ms = uptime_ms - 600000")
    db.close()
    sluice.start().wait_connected()
    mosquitto.publish("clock/now", b"now")
    backend.wait_for(1)
    sluice.wait_empty()
    assert backend.bodies() == [b"now"]
    assert drops(sluice) == {("sensor", "expired"): 600}


def test_a_message_in_flight_does_not_expire(make_sluice, mosquitto, backend, publish):
    """Its response counts, however late it comes. A message behind it expires meanwhile, and tells that."""
    routes = {"sensor": {**RAW, "order": "route"}}
    sluice = make_sluice(backends={"garden": backend}, routes=routes).start().wait_connected()
    backend.answer = lambda request: "stall"
    publish(TOPIC, b"in flight", MessageExpiryInterval=1)
    backend.wait_requests(1)
    publish(TOPIC, b"behind", MessageExpiryInterval=2)
    wait_until(lambda: drops(sluice) == {("sensor", "expired"): 1}, what="the drop of the second one")
    assert [row["payload"] for row in sluice.sql("select payload from message")] == [b"in flight"]
    backend.drop_connections()  # now it is in flight no longer
    wait_until(lambda: drops(sluice) == {("sensor", "expired"): 2}, what="the drop of the first one")
    sluice.wait_empty()
    assert len(backend.requests) == 1


def test_a_dead_letter_does_not_expire_and_is_retried(make_sluice, mosquitto, backend, publish):
    sluice = make_sluice(backends={"garden": backend}, routes={"sensor": RAW}).start().wait_connected()
    backend.answer = lambda request: 422 if request.body == b"bad" else 200
    publish(TOPIC, b"bad", MessageExpiryInterval=1)
    sluice.wait_dead(1)
    backend.answer = lambda request: 503
    publish(TOPIC, b"the clock", MessageExpiryInterval=2)
    wait_until(lambda: drops(sluice) == {("sensor", "expired"): 1}, what="the drop of the second one")
    assert [row["payload"] for row in sluice.dead()] == [b"bad"]
    backend.answer = lambda request: 200
    sluice.command("queue", "retry", "--all")
    assert [r.body for r in backend.wait_for(1)] == [b"bad"]
    sluice.wait_empty()


# -- retained


def test_a_retained_message_is_marked(make_sluice, mosquitto, backend, publish):
    publish(TOPIC, b'{"n":1}', retain=True, UserProperty=[("site", "north")])
    route = {**RAW, "retained": "yes", "body": "json", "add": "was={retained}, site={user.site}"}
    sluice = make_sluice(backends={"garden": backend}, routes={"sensor": route}).start().wait_connected()
    backend.wait_for(1)
    publish(TOPIC, b'{"n":2}', retain=True)
    backend.wait_for(2)
    assert [json.loads(b) for b in backend.bodies()] == [{"n": 1, "was": True, "site": "north"}, {"n": 2, "was": False}]
    assert [r.headers.get("sluice-retained") for r in backend.delivered()] == ["yes", None]
    sluice.wait_empty()


@pytest.mark.parametrize("v5", [True, False], ids=["5", "3.1.1"])
def test_a_live_message_with_the_retain_flag_is_not_lost(make_sluice, backend, v5):
    """A broker that leaves the flag on it, as some do. What it had retained before is not forwarded."""
    with ScriptedBroker(refuse_v5=None if v5 else "code1").start() as broker:
        routes = {"sensor": RAW, "all": {**RAW, "retained": "yes", "path": "/all"}}
        broker.hooks["SUBSCRIBE"] = lambda packet: broker.publish(TOPIC, b"retained", retain=True)
        make_sluice(broker_port=broker.port, backends={"garden": backend}, routes=routes).start()
        broker.wait_subscribed(["garden/+/sensor"])
        for n in count(1):  # the first ones may count as retained, too
            broker.publish(TOPIC, b"perhaps", retain=True)
            broker.wait_acked(n + 1)
            if "/api/sensor" in [r.path for r in backend.delivered()]:
                break
        broker.publish(TOPIC, b"live", retain=True)
        wait_until(lambda: [r.body for r in backend.delivered()].count(b"live") == 2, what="the live message")
        marks = [(r.path, r.body, r.headers.get("sluice-retained")) for r in backend.delivered()]
        assert [mark for mark in marks if mark[1] == b"retained"] == [("/api/all", b"retained", "yes")]
        assert sorted(path for path, body, mark in marks if body == b"live" and not mark) == ["/api/all", "/api/sensor"]
        assert not broker.errors
