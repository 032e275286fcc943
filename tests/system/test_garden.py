"""The first backend, the "limitless garden", with the configuration that is shipped.

A double keeps its contract: it stores JSON objects and arrays of them, and answers
with one number after the other for what it does not like.
"""
import json
import re

import pytest

from harness.check import overtakers, per_topic
from harness.events import MISCONFIGURED
from harness.sluice import REPO
from harness.wait import wait_until

SHIPPED = REPO / "config" / "limitless-garden.conf"
KEY = "k3y/+1"
HOSTS = [f"wino-{n:06x}" for n in range(5)]


class Garden:
    """Answers as the backend does; `collections` is what it keeps."""

    def __init__(self, backend):
        self.key = KEY
        self.collections = {}
        backend.answer = self.answer

    def answer(self, request):
        match = re.fullmatch(r"/api/collections/(\w+)\?user_key=(.*)", request.path)
        if request.method != "POST" or not match or match.group(2) != self.key.replace("/", "%2F").replace("+", "%2B"):
            return 403, {}, b'{"error":"bad key"}'
        if request.headers["content-type"].split(";")[0] != "application/json":
            return 200, {}, b'{"insertedCount":0}'
        if len(request.body) > 100 * 1024:
            return 413, {}, b'{"error":"request entity too large"}'
        return self.insert(match.group(1), request.body)

    def insert(self, collection, body):
        try:
            value = json.loads(body)
        except ValueError:
            return 400, {}, b'{"error":"unexpected token"}'
        objects = value if isinstance(value, list) else [value]
        if not all(isinstance(one, dict) for one in objects):
            return 400, {}, b'{"error":"not an object"}'
        self.collections.setdefault(collection, []).extend(objects)
        return 200, {}, b'{"insertedCount":%d}' % len(objects)

    def count(self, collection):
        return len(self.collections.get(collection, []))

    def wait(self, collection, n):
        wait_until(lambda: self.count(collection) >= n, what=lambda: f"{n} objects ({self.count(collection)} came)")
        return self.collections[collection]


@pytest.fixture
def backend(make_backend):
    return make_backend(alpn=("http/1.1",))  # as Express


@pytest.fixture
def garden(backend):
    return Garden(backend)


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "user_key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def sluice(make_sluice, backend, key_file):
    """The shipped file, but for where the broker, the backend and the key are."""
    text = SHIPPED.read_text()
    text = re.sub(r"^\[broker\]\n(\w.*\n)*", "", text, flags=re.M)
    text, urls = re.subn(r"^url = .*$", f"url = {backend.url}\nca_file = {backend.ca_file}\nretry_min = 20ms\n"
                         "retry_max = 200ms", text, flags=re.M)  # fmt: skip
    text, keys = re.subn(r"@/etc/sluice/user_key$", f"@{key_file}", text, flags=re.M)
    assert (urls, keys) == (1, 1)
    return make_sluice(config=text)


def readings(each):
    """As the devices publish them: (topic, payload)."""
    return [
        (f"garden/{host}/sensor", b'{ "host": "%s", "soil": %d }' % (host.encode(), n))
        for n in range(each) for host in HOSTS
    ]  # fmt: skip


def publish(mosquitto, published, qos=1):
    mosquitto.publish_many([(topic, payload, qos) for topic, payload in published])


def kept_in_order(objects, published):
    got = per_topic((one["host"], one["soil"]) for one in objects)
    assert got == per_topic((topic.split("/")[1], json.loads(payload)["soil"]) for topic, payload in published)


def received_s(sluice, published):
    """When sluice received them, by its own queue."""
    rows = sluice.sql("select (r.epoch_ms + m.uptime_ms) / 1000 as at from message m join run r on r.id = m.run "
                      "order by m.id")  # fmt: skip
    assert len(rows) == len(published)
    return [row["at"] for row in rows]


def test_readings_arrive_as_one_array(sluice, mosquitto, backend, garden):
    """After an outage, with the time at which each was received, not that of its end."""
    backend.stop()
    sluice.start().wait_connected()
    published = readings(each=100)
    publish(mosquitto, published, qos=0)
    sluice.wait_pending(len(published))
    times = received_s(sluice, published)
    assert sluice.stop() == 0
    backend.start()
    sluice.start()
    objects = garden.wait("sensor", len(published))
    kept_in_order(objects, published)
    assert [one["timestamp"] for one in objects] == times
    assert all(one.keys() == {"host", "soil", "timestamp"} for one in objects)
    bodies = [json.loads(r.body) for r in backend.delivered()]
    assert all(isinstance(body, list) for body in bodies) and len(bodies) <= 4
    assert {r.headers["content-type"] for r in backend.requests} == {"application/json"}
    assert max(len(r.body) for r in backend.requests) <= 100 * 1024
    sluice.wait_empty()
    assert sluice.dead() == []


def test_add_fills_in_the_host(sluice, mosquitto, garden):
    sluice.start().wait_connected()
    mosquitto.publish("garden/wino-1/sensor", b'{"soil": 512}', qos=0)
    mosquitto.publish("garden/wino-2/sensor", b'{"soil": 1, "host": "mine", "timestamp": 7}')
    mosquitto.publish("garden/wino-3/heartbeat", b'{ "host": "wino-3", "loopcount": 7, "errcount": 0 }')
    [first, second] = garden.wait("sensor", 2)
    [beat] = garden.wait("heartbeat", 1)
    assert (first["soil"], first["host"]) == (512, "wino-1") and isinstance(first["timestamp"], int)
    assert second == {"soil": 1, "host": "mine", "timestamp": 7}
    assert {**beat, "timestamp": 0} == {"host": "wino-3", "loopcount": 7, "errcount": 0, "timestamp": 0}
    sluice.wait_empty()


def test_a_wrong_key_holds_messages_until_it_is_corrected(sluice, mosquitto, backend, garden, key_file):
    """The file is repaired, sluice is told: nothing was lost."""
    garden.key = "another"
    sluice.start().wait_connected()
    published = readings(each=10)
    publish(mosquitto, published)
    line = sluice.wait_event(MISCONFIGURED, 403, "bad key", level="error")
    assert KEY not in line
    backend.wait_requests(8)
    assert sluice.dead() == [] and sluice.pending() == len(published) and garden.count("sensor") == 0
    key_file.write_text("another\n")
    sluice.reload()
    kept_in_order(garden.wait("sensor", len(published)), published)
    sluice.wait_empty()
    assert sluice.dead() == []


def test_a_413_dead_letters_only_the_long_reading(sluice, mosquitto, backend, garden):
    """One reading that is too long is dead-lettered; it takes nobody along."""
    backend.stop()
    sluice.start().wait_connected()
    published = readings(each=20)
    huge = ("garden/wino-000001/sensor", json.dumps({"soil": -1, "pad": "x" * 110_000}).encode())
    large = [(topic, payload[:-2] + b', "pad": "%s" }' % (b"x" * 30_000)) for topic, payload in readings(each=24)[100:]]
    publish(mosquitto, [*published[:50], huge, *published[50:], *large])
    sluice.wait_pending(len(published) + 1 + len(large))
    assert sluice.stop() == 0
    backend.start()
    sluice.start()
    kept_in_order(garden.wait("sensor", len(published) + len(large)), published + large)
    [dead] = sluice.wait_dead(1)
    assert (dead["reason"], dead["last_status"], dead["payload"]) == ("rejected", 413, huge[1])
    sluice.wait_empty()
    assert len([r for r in backend.requests if r.status == 413]) == 1  # batch_size keeps to the limit
    assert len(backend.requests) <= 3 + 2 + len(large) / 3 + 3


def test_batches_become_small_enough_for_the_backend(sluice, mosquitto, backend, garden):
    """As behind a proxy: batches become small enough by themselves."""
    limited = garden.answer
    backend.answer = lambda request: 413 if len(request.body) > 4096 else limited(request)
    backend.stop()
    sluice.start().wait_connected()
    published = readings(each=100)
    publish(mosquitto, published)
    sluice.wait_pending(len(published))
    assert sluice.stop() == 0
    backend.start()
    sluice.start()
    kept_in_order(garden.wait("sensor", len(published)), published)
    assert sluice.dead() == []
    assert 1 <= len([r for r in backend.requests if r.status == 413]) <= 4


def test_a_payload_that_is_no_object_is_dead_lettered(sluice, mosquitto, garden):
    """The backend would answer 400 to some, or 200 and store nothing."""
    sluice.start().wait_connected()
    bad = [b"soil=512", b'{"soil": 512', b"[1,2]", b"\xff\xfe", b""]
    for payload in bad:
        mosquitto.publish("garden/wino-1/sensor", payload)
        mosquitto.publish("garden/wino-1/sensor", b'{"soil": 1}')
        mosquitto.publish("garden/wino-1/heartbeat", payload)
    sluice.wait_dead(2 * len(bad))
    garden.wait("sensor", len(bad))
    sluice.wait_empty()
    assert {one["soil"] for one in garden.collections["sensor"]} == {1} and garden.count("heartbeat") == 0
    assert sorted(row["payload"] for row in sluice.dead()) == sorted(2 * bad)


@pytest.mark.parametrize("trouble", [503, "close", "refused"])
def test_an_outage_in_the_middle_loses_nothing(sluice, mosquitto, backend, garden, trouble):
    published, well = readings(each=60), garden.answer
    sluice.start().wait_connected()
    publish(mosquitto, published[:100])
    garden.wait("sensor", 100)
    if trouble == "refused":
        backend.stop()
    else:
        backend.answer = lambda request: trouble
    publish(mosquitto, published[100:])
    sluice.wait_pending(200)
    sluice.wait_event("backend-away", "garden")
    backend.answer = well
    backend.start()
    objects = garden.wait("sensor", len(published))
    assert len(objects) == len(published)
    assert overtakers(list(backend.requests), [(topic.split("/")[1], json.loads(payload)["soil"]) for topic, payload in published],
                      lambda request: [(one["host"], one["soil"]) for one in json.loads(request.body)]) == []
    sluice.wait_empty()
    assert sluice.dead() == []
