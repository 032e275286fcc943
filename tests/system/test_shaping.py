"""What a route leaves out, and what it makes of messages that are almost JSON."""
import json

import pytest

from harness.wait import wait_until

ZIGBEE = {"topic": "zigbee2mqtt/#", "path": "/zigbee"}


def since_start(sluice):
    return sluice.status()["daemon"]["since_start"]


# -- except


def test_a_route_leaves_out_what_its_except_matches(make_sluice, mosquitto, backend):
    """Another route may take it. What no route takes for this reason alone is counted apart."""
    routes = {"devices": {**ZIGBEE, "except": ["zigbee2mqtt/bridge/#", "zigbee2mqtt/+/availability"]},
              "logs": {"topic": "zigbee2mqtt/bridge/logging", "path": "/logs"}}  # fmt: skip
    sluice = make_sluice(backends={"garden": backend}, routes=routes).start().wait_connected()
    topics = ["bridge", "bridge/logging", "bridge/state", "lamp/availability", "availability", "lamp", "a/b/availability"]
    for topic in topics:
        mosquitto.publish(f"zigbee2mqtt/{topic}", topic.encode())
    backend.wait_for(4)
    sluice.wait_empty()
    assert backend.bodies("/api/zigbee") == [b"availability", b"lamp", b"a/b/availability"]
    assert backend.bodies("/api/logs") == [b"bridge/logging"]
    counters = since_start(sluice)
    assert (counters["received"], counters["excepted"], counters["unrouted"]) == (7, 3, 0)
    assert "3 more were left out by except" in sluice.command("status", expect=None)


def test_a_reload_changes_what_is_left_out(make_sluice, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend}, routes={"devices": ZIGBEE}).start().wait_connected()
    mosquitto.publish("zigbee2mqtt/bridge/state", b"1")
    backend.wait_for(1)
    sluice.reload(routes={"devices": {**ZIGBEE, "except": "zigbee2mqtt/bridge/#"}})
    mosquitto.publish("zigbee2mqtt/bridge/state", b"2")
    mosquitto.publish("zigbee2mqtt/lamp", b"3")
    backend.wait_for(2)
    sluice.reload(routes={"devices": ZIGBEE})
    mosquitto.publish("zigbee2mqtt/bridge/state", b"4")
    backend.wait_for(3)
    assert backend.bodies() == [b"1", b"3", b"4"]


# -- repair, and not_object = ignore

SENSOR = {"topic": "garden/+/sensor", "path": "/sensor", "body": "json"}
TOPIC = "garden/a/sensor"

# What devices send, and what the request has.
REPAIRED = [
    (b'{"t":nan,"h":-inf,"p":NaN,"q":Infinity,"r":-Infinity,"s":INF}',
     b'{"t":null,"h":null,"p":null,"q":null,"r":null,"s":null}'),
    (b'{"note":"nan, -inf \\"nan\\" \\\\","list":[ nan,{"x":inf } ]}',
     b'{"note":"nan, -inf \\"nan\\" \\\\","list":[ null,{"x":null } ]}'),
    (b'\xef\xbb\xbf{"t":21.40}', b'{"t":21.40}'),
    (b'{"t":1E+02}\n\0\0', b'{"t":1E+02}\n'),
    (b'{"ort":"K\xfcche","grad":"\xb0C","utf8":"\xc3\xbc"}', '{"ort":"Küche","grad":"°C","utf8":"ü"}'.encode()),
    (b'\xef\xbb\xbf{"K\xfcche":nan}\0', '{"Küche":null}'.encode()),
]  # fmt: skip
# No repair makes an object of these.
HOPELESS = [b"nan", b"[nan]", b'{"t":nano}', b'{"t":1nan}', b'{nan:1}', b'{"t":nan', b"soil=nan", b"\0", b"", b'{"t":--inf}',
            b'{"t":\xfc}', b'\0{"t":1}']  # fmt: skip


@pytest.fixture
def start(make_sluice, mosquitto, backend):
    """start(route settings...): one route with body = json, connected."""

    def begin(**more):
        return make_sluice(backends={"garden": backend}, routes={"sensor": {**SENSOR, **more}}).start().wait_connected()

    return begin


def test_repair_makes_json_of_what_is_almost_json(start, mosquitto, backend):
    """Only in the request: the queue keeps what was published."""
    sluice = start(repair="yes")
    backend.answer = lambda request: 503
    for payload, _ in REPAIRED:
        mosquitto.publish(TOPIC, payload)
    sluice.wait_pending(len(REPAIRED))
    backend.wait_requests(2)
    assert [row["payload"] for row in sluice.sql("select payload from message order by id")] == [p for p, _ in REPAIRED]
    assert since_start(sluice)["repaired"] == 0
    backend.answer = lambda request: 200
    backend.wait_for(len(REPAIRED))
    assert sorted(backend.bodies()) == sorted(body for _, body in REPAIRED)
    assert since_start(sluice)["repaired"] == len(REPAIRED)
    assert f"{len(REPAIRED)} of these were repaired" in sluice.command("status", expect=None)


def test_what_is_json_is_not_repaired(start, mosquitto, backend):
    sluice = start(repair="yes", add="host={2}")
    payload = b' {"a":"nan \\u00fc","b": 1.50 }\r\n'
    mosquitto.publish(TOPIC, payload)
    assert backend.wait_for(1)[0].body == payload.replace(b"}", b',"host":"a"}')
    assert since_start(sluice)["repaired"] == 0


@pytest.mark.parametrize("batch", [{"batch": 10}, {"batch": 10, "batch_format": "ndjson"}], ids=["array", "ndjson"])
def test_repaired_messages_share_a_batch(start, mosquitto, backend, batch):
    sluice = start(repair="yes", add="host={2}", linger="1h", **batch)
    for n in range(10):
        mosquitto.publish(TOPIC, b'{"n":%d,\n"t":%s}\0' % (n, b"nan" if n % 2 else b"1"))
    [request] = backend.wait_for(1)
    text = request.body.decode()
    objects = json.loads(text) if text[0] == "[" else [json.loads(line) for line in text.splitlines()]
    assert objects == [{"n": n, "t": None if n % 2 else 1, "host": "a"} for n in range(10)]
    assert since_start(sluice)["repaired"] == 10


def test_a_dead_letter_says_when_a_repair_would_help(start, mosquitto, backend):
    """Only then; and with repair = yes the same messages are delivered, or are dead letters still."""
    sluice = start()
    for payload in [p for p, _ in REPAIRED] + HOPELESS:
        mosquitto.publish(TOPIC, payload)
    dead = sluice.wait_dead(len(REPAIRED) + len(HOPELESS))
    assert all(row["reason"] == "body" for row in dead)
    hints = ["repair = yes would accept this" in row["last_error"] for row in dead]
    assert hints == [True] * len(REPAIRED) + [False] * len(HOPELESS)
    sluice.reload(routes={"sensor": {**SENSOR, "repair": "yes"}})
    sluice.command("queue", "retry", "--all")
    backend.wait_for(len(REPAIRED))
    wait_until(lambda: since_start(sluice)["dead_lettered"] == len(REPAIRED) + 2 * len(HOPELESS), what="dead letters")
    assert sorted(backend.bodies()) == sorted(body for _, body in REPAIRED)
    assert [row["payload"] for row in sluice.dead()] == HOPELESS
    assert not any("repair" in row["last_error"] for row in sluice.dead())


def test_ignored_messages_are_counted_and_do_not_split_batches(start, mosquitto, backend):
    """They go when their turn comes: nothing is left of them, also after a restart."""
    sluice = start(not_object="ignore", batch=100, order="route")
    sluice.stop()
    mosquitto.publish_many([(TOPIC, b'{"n":%d}' % (n // 2) if n % 2 else b"no object", 1) for n in range(200)])
    sluice.start()
    wait_until(lambda: since_start(sluice)["ignored"] == 100, what="the ignored messages")
    sluice.wait_empty()
    assert [m for r in backend.delivered() for m in json.loads(r.body)] == [{"n": n} for n in range(100)]
    assert len(backend.delivered()) < 50  # mostly several together: an ignored message ends no batch
    assert "100 were ignored, because they are no JSON objects" in sluice.command("status", expect=None)
    assert len(sluice.find_events("message-ignored", "sensor")) == 1
    sluice.stop()
    assert "; 100 ignored" in sluice.find_events("stopped")[-1]
    assert sluice.stopped()["dead"] == 0
    sluice.start().wait_connected()
    mosquitto.publish(TOPIC, b"no object")
    wait_until(lambda: since_start(sluice)["ignored"] == 1, what="the ignored message")
    assert not sluice.dead()


def test_a_long_row_of_ignored_messages_holds_nothing_up(start, mosquitto, backend):
    """More of them than a lane knows, in several lanes, while others wait behind them."""
    sluice = start(not_object="ignore", batch=20)
    backend.stop()
    mosquitto.publish_many([(f"garden/{n % 5}/sensor", b"x", 1) for n in range(2000)])
    mosquitto.publish_many([(f"garden/{n}/sensor", b'{"n":%d}' % n, 1) for n in range(5)])
    wait_until(lambda: since_start(sluice)["stored"] == 2005, what="the messages")
    backend.start()
    wait_until(lambda: since_start(sluice)["delivered"] == 5, what="the deliveries")
    sluice.wait_empty()
    assert since_start(sluice)["ignored"] == 2000


def test_a_reload_of_repair_and_ignore_applies_to_queued_messages(start, mosquitto, backend):
    sluice = start(order="route")
    backend.answer = lambda request: "stall"  # nothing more of this route is looked at
    mosquitto.publish(TOPIC, b"{}")
    backend.wait_requests(1)
    for payload in (b'{"n":1}', b'{"t":nan}', b"no object"):
        mosquitto.publish(TOPIC, payload)
    sluice.wait_pending(4)
    sluice.reload(routes={"sensor": {**SENSOR, "repair": "yes", "not_object": "ignore"}})
    backend.answer = lambda request: 200
    backend.drop_connections()
    sluice.wait_empty()
    assert sorted(backend.bodies()) == [b'{"n":1}', b'{"t":null}', b"{}"]
