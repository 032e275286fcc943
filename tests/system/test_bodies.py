"""What sluice makes of messages: fields that objects gain, envelopes, dead letters."""
import base64
import json
import re
import socket
import time
from datetime import datetime

import pytest

from harness.batches import members
from harness.wait import wait_until

SENSOR = {"topic": "garden/+/sensor", "path": "/collections/sensor", "body": "json"}
TOPIC = "garden/wino-1/sensor"
ENOUGH = 'site="bed {1}, {2}", host={2}, version=3, ratio=0.50, on=true, none=null, word=on, text="3"'


@pytest.fixture
def start(make_sluice, mosquitto, backend):
    """start(route settings...): one route with body = json, connected."""

    def begin(*args, **more):
        sluice = make_sluice(backends={"garden": backend}, routes={"sensor": {**SENSOR, **more}},
                             queue={"clock": "trust"})  # fmt: skip
        return sluice.start(args=args).wait_connected()

    return begin


def received_ms(request):
    return round(datetime.fromisoformat(request.headers["sluice-received"].replace("Z", "+00:00")).timestamp() * 1000)


# -- json


@pytest.mark.parametrize(
    "payload, expected",
    [
        (b'{ "host": "wino-1", "soil": 512 }', b'{ "host": "wino-1", "soil": 512 ,"version":3}'),
        (b"{}", b'{"host":"wino-1","version":3}'),
        (b"{ }", None),
        (b' {"a":1}\r\n', None),
        (b'{"t":21.40,"big":12345678901234567890,"e":1E+02,"z":-0.0,"long":0.10000000000000000000000001}', None),
        (b'{"b":1,"a":2,"b":3}', None),
        ('{"ort":"K\u00fcche","esc":"\\u00fc\\/\\"}"}'.encode(), None),
        (b'{"x":{"host":"inner","version":7}}', None),
        (b'{"x":[1,2,{"y":[]}]}', None),
        (b'{"HOST":1}', None),
    ],
    ids=["device", "empty", "blank", "around", "numbers", "twice", "text", "nested", "deep", "case"],
)
def test_fields_are_added_and_nothing_else_changes(start, mosquitto, backend, payload, expected):
    """Byte for byte what the device sent, and the new members after its last one."""
    start(add="host={2}, version=3")
    mosquitto.publish(TOPIC, payload)
    [request] = backend.wait_for(1)
    body = request.body
    assert request.headers["content-type"] == "application/json"
    got = json.loads(body)
    assert got == {"host": "wino-1", "version": 3, **json.loads(payload)}
    if expected is not None:
        assert json.loads(body) == json.loads(expected)
    # What was there is there still: the last brace alone moved.
    head, tail = payload[: payload.rindex(b"}")], payload[payload.rindex(b"}") :]
    assert body.startswith(head.rstrip()) and body.endswith(tail)


def test_without_add_the_object_stays_as_it_is(start, mosquitto, backend):
    payload = b'{ "a" :\t1.50,\n"b": [ ] }'
    start()
    mosquitto.publish(TOPIC, payload)
    assert backend.wait_for(1)[0].body == payload


def test_members_that_the_device_sent_are_left_alone(start, mosquitto, backend):
    """However their names are spelt, and also where the value is null."""
    start(add="host={2}, timestamp={received_s}, version=3")
    payload = b'{"h\\u006fst":"mine","timestamp":null,"version":"x"}'
    mosquitto.publish(TOPIC, payload)
    assert backend.wait_for(1)[0].body == payload


def test_add_takes_literals_and_levels(start, mosquitto, backend):
    start(topic="garden/#", add=[ENOUGH, 'braces={{x}}, quoted="a\\"b\\\\c", gone={4}, both={1}-{4}'])
    mosquitto.publish(TOPIC, b"{}")
    body = backend.wait_for(1)[0].body
    assert json.loads(body) == {
        "site": "bed garden, wino-1", "host": "wino-1", "version": 3, "ratio": 0.5, "on": True, "none": None,
        "word": "on", "text": "3", "braces": "{x}", "quoted": 'a"b\\c',
    }  # fmt: skip
    assert b'"ratio":0.50' in body


def test_topics_are_escaped_in_json(start, mosquitto, backend):
    start(topic="garden/#", add="host={2}, topic={topic}")
    for level in ['a"b', "back\\slash", "K\u00fcche", "\U0001f331", "{2}", "a, b=c"]:
        before = len(backend.delivered())
        mosquitto.publish(f"garden/{level}/sensor", b'{"n":1}')
        body = json.loads(backend.wait_for(before + 1)[-1].body)
        assert body == {"n": 1, "host": level, "topic": f"garden/{level}/sensor"}


def test_add_takes_times_keys_and_gateway(start, mosquitto, backend):
    start(add="s={received_s}, ms={received_ms}, at={received}, age={age_ms}, id={key}, by={gateway}, t={topic}")
    before = time.time()
    mosquitto.publish(TOPIC, b"{}")
    [request] = backend.wait_for(1)
    body = json.loads(request.body)
    assert before - 1 < body["ms"] / 1000 < time.time() + 1
    assert (body["ms"], body["s"]) == (received_ms(request), received_ms(request) // 1000)
    assert body["at"] == request.headers["sluice-received"]
    assert isinstance(body["age"], int) and 0 <= body["age"] - int(request.headers["sluice-age"]) < 100
    assert (body["id"], body["by"], body["t"]) == (request.key, socket.gethostname(), TOPIC)


def test_a_time_that_is_added_is_that_of_the_receipt(start, mosquitto, backend):
    """However long it waits: an outage does not move the reading."""
    backend.answer = lambda request: 503
    start(add="ms={received_ms}, age={age_ms}, id={key}")
    published_at = time.monotonic()
    mosquitto.publish(TOPIC, b"{}")
    backend.wait_requests(5)
    backend.answer = None
    backend.wait_for(1)
    bodies = [json.loads(request.body) for request in backend.requests]
    assert len({(body["ms"], body["id"]) for body in bodies}) == 1
    # When sluice sent a request is not known: after the one before had arrived, and before it arrived.
    *_, before, last = backend.requests
    assert bodies[-1]["age"] - bodies[0]["age"] >= (before.at - backend.requests[0].at) * 1000 - 1
    assert bodies[-1]["age"] <= (last.at - published_at) * 1000 + 1


def test_an_age_in_the_reading_gives_the_time_of_measurement(start, mosquitto, backend):
    """A device that kept a reading says how old it is."""
    start(add="timestamp={measured_s}")
    for age in (b"0", b"90500", b"-1", b'"x"'):
        before = len(backend.delivered())
        mosquitto.publish(TOPIC, b'{"age":%s}' % age)
        request = backend.wait_for(before + 1)[-1]
        ago_ms = 90500 if age == b"90500" else 0
        assert json.loads(request.body)["timestamp"] == (received_ms(request) - ago_ms) // 1000


# -- what is no object

NOT_OBJECTS = [
    (b"21.5", None),
    (b'[{"a":1}]', None),
    (b'{"a":1,}', 7),
    (b'{"a":01}', 5),
    (b'{"a":1} x', 8),
    (b'{"a":"\xff"}', 6),
    (b'{"a":\n 1\n "b":2}', 10),
    (b"\xef\xbb\xbf{}", None),
    (b"soil=512", None),
    (b"", None),
    (b'{"a":"\\ud800', None),
    (b'{"a":' * 20, None),
]


def test_a_payload_that_is_no_object_is_dead_lettered(start, mosquitto, backend):
    """A person can see what it was, and where it is wrong; the others pass."""
    sluice = start("-v")
    for payload, _ in NOT_OBJECTS:
        mosquitto.publish(TOPIC, payload)
        mosquitto.publish(TOPIC, b"{}")
    backend.wait_for(len(NOT_OBJECTS))
    dead = sluice.wait_dead(len(NOT_OBJECTS))
    assert [row["payload"] for row in dead] == [payload for payload, _ in NOT_OBJECTS]
    assert {row["reason"] for row in dead} == {"body"}
    for row, (payload, position) in zip(dead, NOT_OBJECTS):
        error = row["last_error"]
        assert error and "\n" not in error
        if position is not None:
            assert error.partition(";")[0].endswith(f" at byte {position}"), (payload, error)
        sluice.wait_event("message-dead", row["id"], "body", error)
    assert {request.body for request in backend.requests} == {b"{}"}
    sluice.wait_empty()
    assert sluice.stop() == 0
    assert sluice.stopped()["dead"] == len(NOT_OBJECTS)


@pytest.mark.parametrize("batch", [None, 100])
def test_not_object_raw_sends_the_payload_as_it_is(start, mosquitto, backend, batch):
    """By itself, as it is, in its place."""
    start(not_object="raw", batch=batch, add="host={2}")
    sent = [b'{"n":1}', b"21.5 \xc2\xb0C", b'{"n":2}', b"\x00\xff", b'[{"n":3}]', b'{"n":4}']
    for payload in sent:
        mosquitto.publish(TOPIC, payload)
    got = backend.wait_for(len(sent)) if batch is None else wait_until(
        lambda: b'"n":4' in b"".join(backend.bodies()) and backend.delivered(), what="the last one")  # fmt: skip
    raw = [(r.body, r.headers["content-type"]) for r in got if b"host" not in r.body]
    assert raw == [
        (b"21.5 \xc2\xb0C", "text/plain; charset=utf-8"),
        (b"\x00\xff", "application/octet-stream"),
        (b'[{"n":3}]', "application/json"),
    ]
    assert [m["n"] for r in got if b"host" in r.body for m in members(r)] == [1, 2, 4]
    assert [index for index, r in enumerate(got) if b"host" in r.body] == [0, 2, 5]


def test_a_payload_that_is_no_object_leaves_the_batch(start, mosquitto, backend):
    sluice = start(batch=100, linger="1s")
    for n in range(10):
        mosquitto.publish(TOPIC, b'{"n":%d}' % n if n not in (0, 4, 9) else b"{n:%d}" % n)
    wait_until(lambda: b'"n":8' in b"".join(backend.bodies()), what="the last one")
    assert [m["n"] for r in backend.delivered() for m in members(r)] == [1, 2, 3, 5, 6, 7, 8]
    assert [row["payload"] for row in sluice.wait_dead(3)] == [b"{n:0}", b"{n:4}", b"{n:9}"]


def test_a_reload_of_not_object_applies_to_queued_messages(start, mosquitto, backend):
    """What is queued is judged when it is sent: not_object counts for it as well."""
    sluice = start()
    backend.stop()
    for payload in (b'{"n":1}', b"no object"):
        mosquitto.publish(TOPIC, payload)
    sluice.wait_event("backend-away")
    sluice.wait_pending(2)
    sluice.reload(routes={"sensor": {**SENSOR, "not_object": "raw"}})
    backend.start()
    assert sorted(r.body for r in backend.wait_for(2)) == [b"no object", b'{"n":1}']
    assert sluice.dead() == []


# -- envelope

PAYLOADS = [
    (b'{ "soil": 5.10 }', None, {"soil": 5.1}),
    (b"21.50", None, 21.5),
    (b'"text"', None, "text"),
    (b"[1,2]", None, [1, 2]),
    ('21,5 \u00b0C "warm" \\ \n'.encode(), "utf-8", '21,5 \u00b0C "warm" \\ \n'),
    (b"\x01\x1f", "utf-8", "\x01\x1f"),
    (b"", "utf-8", ""),
    (b"\x00\xff\xfe", "base64", base64.b64encode(b"\x00\xff\xfe").decode()),
    (bytes(range(256)), "base64", base64.b64encode(bytes(range(256))).decode()),
]


@pytest.mark.parametrize("batch, batch_format", [(None, None), (100, "array"), (100, "ndjson")])
def test_an_envelope_has_payload_and_topic(start, mosquitto, backend, batch, batch_format):
    sluice = start(body="envelope", batch=batch, batch_format=batch_format, add="site=north")
    for payload, _, _ in PAYLOADS:
        mosquitto.publish(TOPIC, payload)

    def all_there():
        return sum(len(members(r)) for r in backend.delivered()) >= len(PAYLOADS)

    wait_until(all_there, what="all of them")
    got = [(request, member) for request in backend.delivered() for member in members(request)]
    for (request, member), (_, encoding, value) in zip(got, PAYLOADS):
        assert (member["topic"], member["clock"], member["site"]) == (TOPIC, "synchronised", "north")
        assert (member.get("encoding"), member["payload"]) == (encoding, value)
        assert re.fullmatch(r"[0-9a-f]{16}-\d+", member["key"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", member["received"])
        assert 0 <= member["age_ms"] < 60_000 and "late_since" not in member
        if len(members(request)) == 1:
            assert (member["key"], member["received"]) == (request.key, request.headers["sluice-received"])
    assert len({member["key"] for _, member in got}) == len(PAYLOADS)
    assert b'{ "soil": 5.10 }' in got[0][0].body  # as it was sent
    assert sluice.dead() == []


def test_an_envelope_marks_what_waited_at_the_broker(start, mosquitto, backend):
    sluice = start(body="envelope")
    assert sluice.stop() == 0
    mosquitto.publish(TOPIC, b"1")
    sluice.start()
    [request] = backend.wait_for(1)
    assert "since " + json.loads(request.body)["late_since"] == request.headers["sluice-late"]


def test_each_route_makes_its_own_body(make_sluice, mosquitto, backend):
    """One topic, four routes: each makes its own of it."""
    kinds = {
        "raw": {},
        "object": {"body": "json", "add": "host={2}"},
        "array": {"body": "json", "batch": 10},
        "told": {"body": "envelope"},
    }
    routes = {name: {"topic": "garden/#", "path": f"/{name}", **more} for name, more in kinds.items()}
    make_sluice(backends={"garden": backend}, routes=routes).start().wait_connected()
    mosquitto.publish(TOPIC, b'{"n":1.0}')
    bodies = {request.path: request.body for request in backend.wait_for(4)}
    assert bodies["/api/raw"] == b'{"n":1.0}'
    assert bodies["/api/object"] == b'{"n":1.0,"host":"wino-1"}'
    assert bodies["/api/array"] == b'[{"n":1.0}]'
    assert json.loads(bodies["/api/told"])["payload"] == {"n": 1.0}
