"""Rate and gzip: what a backend can ask of the requests that it gets."""
import gzip
import json
import random
import time

import pytest

from harness.backend import Reply
from harness.batches import (
    ROUTE, all_names, arrived_in_order, names, names_of, queue_up, sizes, under_one_key, wait_members,
)  # fmt: skip
from harness.check import arrived_once_in_order, messages, per_topic, stops_empty
from harness.sluice import backend_section

RAW = {"topic": "garden/+/sensor", "path": "/collections/sensor"}


@pytest.fixture
def make(make_sluice, mosquitto, backend):
    """make(settings of the backend, settings of the route): not started."""

    def make_one(settings, route=RAW):
        return make_sluice(backends={"garden": {**backend_section(backend), **settings}}, routes={"sensor": route})

    return make_one


# -- rate


def started(sluice):
    """Starts it; returns the time, before which nothing can have been sent."""
    before = time.monotonic()
    sluice.start()
    return before


def no_faster(requests, per_s, since, weights=None):
    """At any time: what came at once, and after it no more than the time allowed. (How
    fast a machine under load passes it on is its own affair.)"""
    count = 0
    for request, weight in zip(requests, weights or [1] * len(requests)):
        count += weight
        passed_s = request.at - since
        assert count <= weight + per_s * passed_s, f"{count} messages in {passed_s:.2f} s"


def test_a_backlog_leaves_no_faster_than_the_rate(make, mosquitto, backend):
    sluice, published = make({"rate": "20"}), messages(topics=6, each=10)
    queue_up(sluice, mosquitto, backend, published)
    since = started(sluice)
    got = backend.wait_for(60)
    arrived_once_in_order(backend, published)
    no_faster(got, 20, since)
    stops_empty(sluice)


@pytest.mark.parametrize("batch", [5, 500])
def test_a_rate_counts_the_messages_of_batches(make, mosquitto, backend, batch):
    """And no batch is larger than what one second may carry."""
    published = messages(topics=1, each=60)
    sluice = make({"rate": "20"}, {**ROUTE, "batch": batch})
    queue_up(sluice, mosquitto, backend, published)
    since = started(sluice)
    got = wait_members(backend, 60)
    arrived_in_order(backend, published)
    assert max(sizes(got)) == min(batch, 20)
    no_faster(got, 20, since, sizes(got))
    stops_empty(sluice)


def test_failed_requests_count_for_the_rate(make, mosquitto, backend):
    """It is the backend that the rate spares."""
    answers = [400, 200] * 30
    backend.answer = lambda request: answers.pop()
    sluice, published = make({"rate": "20"}), messages(topics=1, each=60)
    queue_up(sluice, mosquitto, backend, published)
    since = started(sluice)
    sluice.wait_empty()
    assert len(sluice.dead()) == 30
    no_faster(backend.requests, 20, since)


def test_a_rate_limits_one_backend_only(make_sluice, mosquitto, make_backend):
    """Its routes share it; another backend does not wait."""
    slow, fast = make_backend(), make_backend()
    routes = {
        "one": {**RAW, "path": "/one", "backend": "slow"},
        "two": {**ROUTE, "path": "/two", "backend": "slow", "batch": 5},
        "three": {**RAW, "backend": "fast"},
    }
    sluice = make_sluice(backends={"slow": {**backend_section(slow), "rate": "20"}, "fast": fast}, routes=routes)
    published = messages(topics=2, each=15)
    queue_up(sluice, mosquitto, [slow, fast], published)
    since = started(sluice)
    fast.wait_for(30)
    wait_members(slow, 30)
    sluice.wait_empty()
    no_faster(slow.requests, 20, since, sizes(slow.requests))
    assert fast.requests[-1].at < slow.requests[-1].at
    for path in ("/api/one", "/api/two"):
        got = [name for r in slow.delivered() if r.path == path for name in names(r)]
        assert per_topic(got) == per_topic(names_of(published))
    stops_empty(sluice)


def test_a_reload_changes_the_rate(make, mosquitto, backend):
    """A backlog that would take an hour leaves at once."""
    sluice, published = make({"rate": "1"}), messages(topics=4, each=50)
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    backend.wait_for(1)
    assert len(backend.requests) < 50
    sluice.reload(backends={"garden": backend})
    backend.wait_for(200)
    arrived_once_in_order(backend, published)


def test_a_stop_keeps_messages_that_wait_for_the_rate(make, mosquitto, backend):
    """What waits for its turn stays in the queue."""
    sluice, published = make({"rate": "5"}), messages(topics=4, each=50)
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    backend.wait_for(5)
    assert sluice.stop() == 0
    assert sluice.pending() == 200 - len(backend.delivered())


def test_a_rate_holds_after_an_outage(make, mosquitto, backend):
    """What was spent on tries is not given twice, and it does not stand still."""
    backend.answer = lambda request: 503
    sluice, published = make({"rate": "30"}, ROUTE), messages(topics=3, each=20)
    queue_up(sluice, mosquitto, backend, published)
    since = started(sluice)
    backend.wait_requests(3)
    backend.answer = None
    got = wait_members(backend, 60)
    arrived_in_order(backend, published)
    no_faster(backend.requests, 30, since, sizes(backend.requests))
    assert max(sizes(got)) <= 30


# -- gzip


def unpacked(request):
    return gzip.decompress(request.body) if "content-encoding" in request.headers else request.body


@pytest.mark.parametrize("alpn", [("h2",), ("http/1.1",)], ids=["h2", "http1"])
def test_long_bodies_are_compressed(make_sluice, mosquitto, make_backend, alpn):
    """Long bodies that gain by it are compressed, the others are left."""
    backend = make_backend(alpn=alpn)
    sluice = make_sluice(backends={"garden": backend_section(backend, gzip="yes")}, routes={"sensor": RAW})
    sluice.start().wait_connected()
    noise = bytes((n * n * 7919 >> 5) & 255 ^ (n * 31 & 255) for n in range(64))
    bodies = {
        b"": False,
        b'{"n":1}': False,
        json.dumps({"n": list(range(500))}).encode(): True,
        b"\x00" * 100_000: True,
        b"abc \xff" * 40_000: True,
        noise: False,
    }
    for body in bodies:
        mosquitto.publish("garden/a/sensor", body)
    got = backend.wait_for(len(bodies))
    assert [unpacked(r) for r in got] == list(bodies)
    assert [r.headers.get("content-encoding") for r in got] == ["gzip" if small else None for small in bodies.values()]
    for request, (body, packed) in zip(got, bodies.items()):
        assert len(request.body) < len(body) if packed else request.body == body
        assert int(request.headers["content-length"]) == len(request.body)
    stops_empty(sluice)


def test_incompressible_bodies_are_sent_as_they_are(make, mosquitto, backend):
    body = random.Random(1).randbytes(10_000)
    make({"gzip": "yes"}).start().wait_connected()
    mosquitto.publish("garden/a/sensor", body)
    [request] = backend.wait_for(1)
    assert request.body == body and "content-encoding" not in request.headers


def test_compressed_batches_keep_their_body_and_key(make, mosquitto, backend):
    """And of what is tried again: the same body under the same key."""
    published, answers = messages(topics=1, each=200), [503, 200]
    backend.answer = lambda request: answers.pop(0) if answers else Reply()
    sluice = make({"gzip": "yes"}, {**ROUTE, "add": "host2={2}"})
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()

    def plain(requests):
        for request in requests:
            request.members = json.loads(unpacked(request))
        return requests

    sluice.wait_empty()
    requests = plain(list(backend.requests))
    under_one_key(requests)
    assert all_names(backend.delivered()) == names_of(published)
    packed = [r for r in requests if r.headers.get("content-encoding") == "gzip"]
    assert {len(r.members) > 1 for r in packed} == {True} and len(packed) >= 2
    assert {r.headers["content-type"] for r in packed} == {"application/json"}
    assert all(member["host2"] == "host0" for r in requests for member in r.members)


def test_without_gzip_nothing_is_compressed(make, mosquitto, backend):
    make({}).start().wait_connected()
    mosquitto.publish("garden/a/sensor", b"x" * 100_000)
    [request] = backend.wait_for(1)
    assert request.body == b"x" * 100_000 and "content-encoding" not in request.headers
