"""What leaves together: how batches are cut, and under which keys they come."""
import json

import pytest

from harness.backend import Reply
from harness.batches import ROUTE, all_names, arrived_in_order, members, names, names_of, queue_up, sizes, wait_members
from harness.check import messages, publish_all, stops_empty
from harness.sluice import backend_section

HOST = "garden/host0/sensor"


def reading(n, host=0, **more):
    return json.dumps({"host": f"host{host}", "n": n, **more}, separators=(",", ":")).encode()


@pytest.fixture
def make(make_sluice, mosquitto, backend):
    """make(route settings...): one route, with batches; not started."""

    def make_one(settings=None, **more):
        settings = {**backend_section(backend), **(settings or {})}
        return make_sluice(backends={"garden": settings}, routes={"sensor": {**ROUTE, **more}})

    return make_one


# -- how they are cut


def test_a_lone_message_leaves_at_once_as_an_array_of_one(make, mosquitto, backend):
    sluice = make().start().wait_connected()
    for n in range(3):
        mosquitto.publish(HOST, reading(n))
        wait_members(backend, n + 1)
    assert backend.bodies() == [b"[" + reading(n) + b"]" for n in range(3)]
    for request in backend.requests:
        assert (request.method, request.path) == ("POST", "/api/collections/sensor")
        assert request.headers["content-type"] == "application/json"
        assert request.topic == HOST
        assert {"sluice-received", "sluice-age"} <= request.headers.keys()
    [run] = {request.key.split("-")[0] for request in backend.requests}  # each has the key of its message
    assert len(run) == 16
    stops_empty(sluice)


def test_without_batch_the_body_is_no_array(make, mosquitto, backend):
    make(batch=None).start().wait_connected()
    mosquitto.publish(HOST, reading(1))
    assert backend.wait_for(1)[0].body == reading(1)


def test_a_backlog_leaves_in_large_batches(make, mosquitto, backend):
    sluice, published = make(), messages(topics=3, each=250)
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    got = wait_members(backend, len(published))
    arrived_in_order(backend, published)
    assert max(sizes(got)) == 100 and len(got) <= 9 + 2  # the first may leave while the queue is still being read
    for request in got:
        topics = {f"garden/{host}/sensor" for host, _ in names(request)}
        assert topics == {request.topic} if len(topics) == 1 else request.topic == ""
        assert request.headers["sluice-messages"] == str(len(members(request)))
        assert not {"sluice-received", "sluice-age"} & request.headers.keys()
    stops_empty(sluice)
    assert sluice.stopped()["delivered"] == len(published)


def test_the_body_of_a_batch_byte_for_byte(make, mosquitto, backend):
    bodies = [b'{"host":"host0","n":%d,"t":%s}' % (n, t) for n, t in enumerate([b"21.40", b"1e2", b"-0", b" [ ] "])]
    sluice = make(batch=4)
    queue_up(sluice, mosquitto, backend, [(HOST, body) for body in bodies])
    sluice.start()
    wait_members(backend, 4)
    assert backend.bodies() == [b"[" + b",".join(bodies) + b"]"]


@pytest.mark.parametrize("lines", [b"\n", b"\r\n", b"\r"])
def test_ndjson_has_one_object_a_line(make, mosquitto, backend, lines):
    """One object a line, also where a device sends several."""
    bodies = [b'{"host":"host0",%s"n":%d}' % (lines, n) for n in range(3)]
    sluice = make(batch_format="ndjson")
    queue_up(sluice, mosquitto, backend, [(HOST, body) for body in bodies])
    sluice.start()
    [request] = wait_members(backend, 3)
    assert request.headers["content-type"] == "application/x-ndjson"
    assert request.body.endswith(b"\n") and b"\r" not in request.body
    assert [json.loads(line) for line in request.body[:-1].split(b"\n")] == [json.loads(body) for body in bodies]
    mosquitto.publish(HOST, reading(3))
    assert wait_members(backend, 4)[1].body == reading(3) + b"\n"


def test_the_configured_content_type_is_sent(make, mosquitto, backend):
    sluice = make(content_type="application/vnd.garden+json")
    queue_up(sluice, mosquitto, backend, messages(topics=1, each=3))
    sluice.start()
    [request] = wait_members(backend, 3)
    assert request.headers["content-type"] == "application/vnd.garden+json"


def test_batches_are_filled_up_to_batch_size(make, mosquitto, backend):
    """Bodies up to that, brackets included, and filled as far as that goes."""
    each = len(reading(100, pad="x" * 100))
    sluice = make(batch=1000, batch_size="2K")
    published = [(HOST, reading(100 + n, pad="x" * 100)) for n in range(60)]
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    got = wait_members(backend, len(published))
    arrived_in_order(backend, published)
    most = (2048 - 1) // (each + 1)  # [ and ], and a comma between two
    assert sizes(got) == 4 * [most] and 60 == 4 * most
    assert max(len(request.body) for request in got) <= 2048


def test_a_message_longer_than_batch_size_goes_alone(make, mosquitto, backend):
    published = [(HOST, reading(n, pad="x" * (5000 if n in (0, 3, 4, 9) else 1))) for n in range(10)]
    sluice = make(batch_size="1K")
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    got = wait_members(backend, len(published))
    arrived_in_order(backend, published)
    assert sizes(got) == [1, 2, 1, 1, 4, 1]
    stops_empty(sluice)
    assert sluice.dead() == []


def test_a_batch_ends_where_the_url_changes(make, mosquitto, backend):
    """The topic is part of the path, and order = route: it is cut where that changes."""
    sluice = make(path="/collections/{2}", order="route")
    published = [(f"garden/host{host}/sensor", reading(n, host)) for n, host in enumerate([0, 0, 0, 1, 1, 0, 2])]
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    wait_members(backend, len(published))
    assert [(request.path, [n for _, n in names(request)]) for request in backend.requests] == [
        ("/api/collections/host0", [0, 1, 2]),
        ("/api/collections/host1", [3, 4]),
        ("/api/collections/host0", [5]),
        ("/api/collections/host2", [6]),
    ]
    arrived_in_order(backend, published)


def test_a_topic_that_fits_no_path_leaves_the_batch(make, mosquitto, backend):
    sluice = make(topic="garden/#", path="/collections/{2}", order="route")
    published = [(HOST, reading(n)) for n in range(6)]
    published.insert(3, ("garden/../sensor", reading(100)))
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    wait_members(backend, 6)
    arrived_in_order(backend, published, but=[("host0", 100)])
    [dead] = sluice.wait_dead(1)
    assert (dead["reason"], dead["topic"]) == ("path", "garden/../sensor")
    assert len(backend.requests) == 2
    stops_empty(sluice)


# -- many quiet topics


def test_order_route_puts_all_topics_into_one_batch(make, mosquitto, backend):
    sluice, published = make(order="route"), messages(topics=40, each=5)
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    got = wait_members(backend, len(published))
    arrived_in_order(backend, published)
    assert all_names(got) == names_of(published)  # the whole route in order
    assert sizes(got) == [100, 100]
    assert backend.max_in_flight == 1
    assert all("sluice-topic" not in request.headers for request in got)


def test_order_none_sends_several_batches_at_once(make, mosquitto, backend):
    backend.answer = lambda request: Reply(delay_s=0.05)
    sluice, published = make(order="none", batch=20), messages(topics=100, each=10)
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    got = wait_members(backend, len(published))
    assert sorted(all_names(got)) == sorted(names_of(published))
    assert len(got) <= 2 * 1000 // 20
    assert backend.max_in_flight > 4
    stops_empty(sluice)


def test_quiet_topics_share_a_batch(make, mosquitto, backend):
    """order = topic: a batch takes from all topics, in the order of arrival."""
    sluice, published = make(), messages(topics=10, each=5)
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    got = wait_members(backend, len(published))
    arrived_in_order(backend, published)
    assert len(got) <= 2  # the first may leave while the queue is still being read
    assert all_names(got) == names_of(published)


# -- keys


def test_a_repeated_batch_keeps_its_key(make, mosquitto, backend):
    """After an answer that got lost as well: the backend can tell that it has it."""
    sluice, published = make(settings={"timeout": "1s"}), messages(topics=1, each=50)
    answers = ["stall", 200]
    backend.answer = lambda request: answers.pop(0) if answers else 200
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    wait_members(backend, len(published))
    assert len(names(backend.requests[0])) == 50
    again = [request for request in backend.requests if names(request) == names(backend.requests[0])]
    arrived_in_order(backend, published)
    assert len({request.key for request in again}) == 1
    lone = [request.key for request in backend.requests if len(names(request)) == 1]
    assert all("-" in key for key in lone) and "-" not in backend.requests[0].key


def test_a_batch_keeps_its_key_after_a_restart(make, mosquitto, backend):
    sluice, published = make(settings={"timeout": "60s"}), messages(topics=1, each=50)
    queue_up(sluice, mosquitto, backend, published)
    backend.answer = lambda request: "stall"
    for tries in (1, 2):
        sluice.start()
        backend.wait_requests(tries)
        sluice.kill()
    backend.answer = None
    sluice.start()
    wait_members(backend, len(published))
    assert [len(names(request)) for request in backend.requests] == [50, 50, 50]
    assert len({request.key for request in backend.requests}) == 1


# -- linger


def test_linger_waits_for_a_full_batch(make, mosquitto, backend):
    sluice = make(batch=3, linger="1h").start().wait_connected()
    for n in range(7):
        mosquitto.publish(HOST, reading(n))
    got = wait_members(backend, 6)
    assert sizes(got) == [3, 3]
    sluice.wait_pending(1)
    assert all_names(backend.requests) == [("host0", n) for n in range(6)]


def test_linger_sends_an_incomplete_batch_at_its_end(make, mosquitto, backend):
    make(linger="1s").start().wait_connected()
    for n in range(3):
        mosquitto.publish(HOST, reading(n))
    assert sizes(wait_members(backend, 3)) == [3]


@pytest.mark.parametrize("full", ["batch_size", "url"])
def test_linger_sends_a_batch_that_cannot_grow(make, mosquitto, backend, full):
    """A batch that cannot grow is full."""
    if full == "batch_size":
        make(linger="1h", batch_size="1K").start().wait_connected()
        published = [(HOST, reading(n, pad="x" * 300)) for n in range(4)]
    else:
        make(linger="1h", order="route", path="/{2}").start().wait_connected()
        published = [(f"garden/host{n // 3}/sensor", reading(n, n // 3)) for n in range(4)]
    publish_all(mosquitto, published)
    assert sizes(wait_members(backend, 3)) == [3]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_keeps_lingering_messages(make, mosquitto, backend, end):
    sluice = make(linger="1h").start().wait_connected()
    published = messages(topics=3, each=2)
    publish_all(mosquitto, published)
    sluice.wait_pending(6)
    assert backend.requests == []
    if end == "stop":
        assert sluice.stop() == 0
        assert sluice.pending() == 6
    else:
        sluice.kill()
    sluice.write_config(sluice.config_text(routes={"sensor": {**ROUTE, "linger": "0s"}}))
    sluice.start()
    wait_members(backend, 6)
    arrived_in_order(backend, published)
    stops_empty(sluice)
