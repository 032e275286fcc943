"""Reloading the configuration, and stopping within five seconds whatever hangs."""
import re
import signal
import time

import pytest

from harness.check import arrived_in_order, arrived_once_in_order, messages, overtakers, publish_all, stops_empty
from harness.sluice import backend_section
from harness.wait import wait_until

PUBLISHED = messages(topics=6, each=4)
SENSOR = {"topic": "garden/+/sensor", "path": "/collections/sensor"}


# -- stopping


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_and_a_start_lose_nothing(sluice, mosquitto, backend, sig):
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(len(PUBLISHED))
    assert sluice.stop(sig) == 0
    assert sluice.stopped()["delivered"] == len(PUBLISHED)
    # What was published while it was away arrives when it is back.
    later = [(topic, b"later " + payload) for topic, payload in PUBLISHED]
    publish_all(mosquitto, later[::2], qos=0)
    publish_all(mosquitto, later[1::2], qos=1)
    sluice.start().wait_connected()
    backend.wait_for(2 * len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED + later[::2] + later[1::2])


@pytest.mark.parametrize("alpn", [("h2",), ("http/1.1",)], ids=["h2", "http1"])
def test_a_stop_does_not_wait_for_a_backend_that_stalls(make_sluice, mosquitto, make_backend, alpn):
    """With requests in flight, for which the time-out is far."""
    backend = make_backend(alpn=alpn)
    backend.answer = lambda request: 200 if len(backend.requests) <= 10 else "stall"
    sluice = make_sluice(backends={"garden": backend_section(backend, timeout="60s")})
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(10)
    backend.wait_requests(11)
    sluice.wait_pending(len(PUBLISHED) - 10)
    assert sluice.stop() == 0
    assert sluice.pending() == len(PUBLISHED) - 10
    backend.answer = None
    sluice.start()
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)


@pytest.mark.parametrize("handshake", [False, True], ids=["full-backlog", "never-accepts"])
def test_a_stop_does_not_wait_for_a_backend_in_a_black_hole(make_sluice, mosquitto, make_backend, make_black_hole, handshake):
    backend = make_backend(start=False)
    hole = make_black_hole(port=backend.port, handshake=handshake)
    settings = backend_section(backend, timeout="60s", connect_timeout="60s")
    sluice = make_sluice(backends={"garden": settings})
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    sluice.wait_pending(len(PUBLISHED))
    assert sluice.stop() == 0
    hole.close()
    backend.start()
    sluice.start()
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)


def test_a_stop_does_not_wait_for_a_name_server(make_sluice, mosquitto, make_backend, resolver, ca):
    backend = make_backend(cert=ca.issue("garden.invalid"))
    settings = backend_section(backend, timeout="60s", connect_timeout="60s")
    settings["url"] = f"https://garden.invalid:{backend.port}/api"
    sluice = make_sluice(backends={"garden": settings})
    sluice.start(prefix=resolver.prefix()).wait_connected()
    publish_all(mosquitto, PUBLISHED)
    sluice.wait_pending(len(PUBLISHED))
    wait_until(lambda: resolver.queries > 0, what="a question to the name server")
    assert sluice.stop() == 0
    resolver.mode = "answer"
    sluice.start(prefix=resolver.prefix())
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)


def queue_something(sluice, mosquitto, backend):
    """Leaves PUBLISHED in the queue of a sluice that is stopped."""
    backend.stop()
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    sluice.wait_pending(len(PUBLISHED))
    assert sluice.stop() == 0
    backend.start()


@pytest.mark.parametrize("handshake", [False, True], ids=["full-backlog", "never-accepts"])
def test_a_broker_in_a_black_hole_stops_no_delivery(sluice, mosquitto, backend, make_black_hole, handshake):
    """What is queued is delivered all the same, without a stall, and it stops."""
    queue_something(sluice, mosquitto, backend)
    hole = make_black_hole(handshake=handshake)
    sluice.parts["broker"]["port"] = hole.port
    sluice.write_config()
    sluice.start()
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    stops_empty(sluice)


def test_a_broker_whose_name_is_never_found_stops_no_delivery(sluice, mosquitto, backend, resolver):
    queue_something(sluice, mosquitto, backend)
    sluice.parts["broker"]["host"] = "broker.invalid"
    sluice.write_config()
    sluice.start(prefix=resolver.prefix())
    wait_until(lambda: resolver.queries > 0, what="a question to the name server")
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    stops_empty(sluice)


def test_a_stop_in_a_flood_loses_nothing(sluice, mosquitto, backend):
    published = messages(topics=20, each=150)
    sluice.start().wait_connected()
    for start in range(0, len(published), 500):
        publish_all(mosquitto, published[start : start + 500])
        assert sluice.stop() == 0
        sluice.start()
    backend.wait_for(len(published))
    sluice.wait_empty()  # some may be on their way again
    stops_empty(sluice)
    arrived_in_order(backend, published)


def test_a_stop_works_before_the_broker_was_there(make_sluice, backend):
    """Also when the broker was never there."""
    sluice = make_sluice(backends={"garden": backend}, broker_port=1)
    sluice.start()
    assert sluice.stop() == 0


def test_a_second_signal_ends_a_stop_at_once(sluice, backend, mosquitto):
    backend.answer = lambda request: "stall"
    sluice.start().wait_connected()
    mosquitto.publish("garden/x/sensor", b"1")
    backend.wait_requests(1)
    sluice.signal(signal.SIGTERM)
    assert sluice.stop() == 0
    assert sluice.pending() == 1


def test_run_refuses_an_invalid_configuration(make_sluice, backend):
    sluice = make_sluice(backends={"garden": backend_section(backend, timeout="fast")}, broker_port=1)
    sluice.start(wait=False)
    assert sluice.wait_exit() == 78
    [line] = sluice.wait_events(1, "config-error", "fast")
    assert "sluice.conf:" in line


# -- reloading


def test_a_reload_applies_to_queued_messages(sluice, mosquitto, backend, make_backend):
    """Also for what is queued already: requests are made when they are sent."""
    other = make_backend()
    backend.answer = lambda request: 503
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    backend.wait_requests(2)
    sluice.reload(backends={"garden": other}, routes={"sensor": {**SENSOR, "path": "/{2}"}})
    other.wait_for(len(PUBLISHED))
    arrived_once_in_order(other, PUBLISHED)
    assert {r.path for r in other.requests} == {f"/api/host{n}" for n in range(6)}
    assert backend.delivered() == []
    keys = {(r.topic, r.body): r.key for r in other.requests}
    assert all(keys[r.topic, r.body] == r.key for r in backend.requests)


def test_a_reload_ends_requests_that_hang(sluice, mosquitto, backend, make_backend):
    other = make_backend()
    backend.answer = lambda request: "stall"
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    backend.wait_requests(1)
    sluice.reload(backends={"garden": other})
    backend.stop()  # the hanging ones end, in whatever way
    other.wait_for(len(PUBLISHED))
    arrived_once_in_order(other, PUBLISHED)
    stops_empty(sluice)


def test_the_last_of_several_reloads_is_in_force(sluice, mosquitto, backend, make_backend):
    """A second one, while the first still waits for a backend that hangs."""
    first, second = make_backend(), make_backend()
    backend.answer = lambda request: "stall"
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    backend.wait_requests(1)
    for other in (first, second):
        sluice.write_config(sluice.config_text(backends={"garden": other}))
        sluice.signal(signal.SIGHUP)
        time.sleep(0.2)
    first.answer = lambda request: 503
    second.wait_for(len(PUBLISHED))
    arrived_once_in_order(second, PUBLISHED)
    stops_empty(sluice)


def test_a_reload_while_one_backend_hangs_does_not_delay_another(make_sluice, mosquitto, make_backend):
    good, dead = make_backend(), make_backend()
    dead.answer = lambda request: "stall"
    routes = {
        "one": {"topic": "garden/#", "backend": "good", "path": "/one"},
        "two": {"topic": "garden/#", "backend": "dead", "path": "/two"},
    }
    sluice = make_sluice(backends={"good": good, "dead": dead}, routes=routes)
    sluice.start().wait_connected()
    mosquitto.publish("garden/x", b"0")
    dead.wait_requests(1)
    good.wait_for(1)
    sluice.signal(signal.SIGHUP)
    at = time.monotonic()
    for n in range(1, 5):
        mosquitto.publish("garden/x", b"%d" % n)
        good.wait_for(n + 1)
    assert time.monotonic() - at < 20  # the request that hangs ends after 30 s


def test_a_stop_during_a_reload_loses_nothing(sluice, mosquitto, backend):
    backend.answer = lambda request: "stall"
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    backend.wait_requests(1)
    sluice.wait_pending(len(PUBLISHED))
    sluice.signal(signal.SIGHUP)
    time.sleep(0.1)
    assert sluice.stop() == 0
    assert sluice.pending() == len(PUBLISHED)


def test_an_invalid_configuration_changes_nothing(sluice, mosquitto, backend):
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED[:3])
    good = sluice.config_text()
    before = len(sluice.log)
    sluice.reload(good + "\n[route sensor2]\ntopic = a/#/b\npath = x\nbackend = nobody\n",
                  expect="config-refused")
    for value in ("a/#/b", "nobody"):
        [line] = sluice.wait_events(1, "config-error", value, after=before)
        assert re.search(r"sluice\.conf:\d+: ", line)
    publish_all(mosquitto, PUBLISHED[3:])
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    sluice.config_file.unlink()
    sluice.reload(expect="config-refused", config=None)
    mosquitto.publish("garden/x/sensor", b"still here")
    backend.wait_for(len(PUBLISHED) + 1)
    sluice.reload(good)
    assert sluice.stop() == 0


def test_messages_of_a_removed_route_wait_for_it(make_sluice, mosquitto, backend):
    """What waits for a removed route is held, and delivered when it is back."""
    heart = {"topic": "heart/#", "path": "/heart"}
    both = {"sensor": SENSOR, "heart": heart}
    sluice = make_sluice(backends={"garden": backend}, routes=both)
    backend.answer = lambda request: 503
    sluice.start().wait_connected()
    waiting = [("heart/a", b"1"), ("heart/b", b"2"), ("heart/a", b"3")]
    publish_all(mosquitto, waiting)
    sluice.wait_pending(3)
    sluice.reload(routes={"sensor": SENSOR})
    backend.answer = None
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(len(PUBLISHED))
    arrived = [r for r in backend.delivered()]
    assert {r.path for r in arrived} == {"/api/collections/sensor"}
    sluice.wait_pending(3)
    # Over a restart as well.
    sluice.stop()
    sluice.start().wait_connected()
    mosquitto.publish("garden/x/sensor", b"4")
    backend.wait_for(len(PUBLISHED) + 1)
    assert sluice.pending() >= 3 and sluice.dead() == []
    sluice.reload(routes=both)
    backend.wait_for(len(PUBLISHED) + 4)
    got = [r for r in backend.requests if r.path == "/api/heart"]
    assert sorted((r.topic, r.body) for r in got if r.status == 200) == sorted(waiting)
    assert overtakers(got, waiting) == []
    stops_empty(sluice)


def test_a_renamed_route_keeps_its_messages_and_their_order(make_sluice, mosquitto, backend):
    """formerly: what waits under the former name is delivered before what comes under the new one."""
    backend.answer = lambda request: 503
    sluice = make_sluice(backends={"garden": backend}, routes={"beds": {"topic": "garden/#", "path": "/beds"}})
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED[:12])
    sluice.wait_pending(12)
    sluice.reload(routes={"rows": {"topic": "garden/#", "path": "/rows"}})
    wait_until(lambda: "formerly = beds" in str(sluice.status()["problems"]), what="the advice")
    sluice.reload(routes={"rows": {"topic": "garden/#", "path": "/rows", "formerly": "beds"}})
    assert not [line for line in sluice.status()["problems"] if "held" in line]
    publish_all(mosquitto, PUBLISHED[12:])
    sluice.wait_pending(len(PUBLISHED))
    backend.answer = None
    backend.wait_for(len(PUBLISHED))
    arrived_in_order(backend, PUBLISHED)
    assert {r.path for r in backend.delivered()} == {"/api/rows"}
    stops_empty(sluice)


def test_a_removed_routes_topic_is_not_stored(sluice, mosquitto, backend):
    sluice.start().wait_connected()
    sluice.reload(routes={"heart": {"topic": "heart/#", "path": "/heart"}})
    deadline = time.monotonic() + 20
    # The new filter is in force from some moment on, and so is the old one's end.
    while not backend.delivered():
        assert time.monotonic() < deadline
        mosquitto.publish("heart/a", b"x")
        time.sleep(0.02)
    mosquitto.publish("garden/a/sensor", b"not wanted")
    mosquitto.publish("heart/a", b"last")
    wait_until(lambda: b"last" in backend.bodies(), what="the last message")
    assert {r.path for r in backend.requests} == {"/api/heart"}
    stops_empty(sluice)


def test_a_reload_adds_a_route_and_a_backend(sluice, mosquitto, backend, make_backend):
    other = make_backend(alpn=("http/1.1",))
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(len(PUBLISHED))
    sluice.reload(
        backends={"garden": backend, "other": other},
        routes={
            "sensor": {**SENSOR, "backend": "garden"},
            "copy": {"topic": "garden/#", "backend": "other", "path": "/copy"},
        },
    )
    deadline = time.monotonic() + 20
    n = 0
    while not other.delivered():
        assert time.monotonic() < deadline
        mosquitto.publish("garden/new/sensor", str(n))
        n += 1
        time.sleep(0.02)
    # The new route makes no second copy of what the old one gets.
    backend.wait_for(len(PUBLISHED) + n)
    stops_empty(sluice)
    arrived_once_in_order(backend, PUBLISHED + [("garden/new/sensor", str(i).encode()) for i in range(n)])
    bodies = other.bodies()
    assert len(bodies) == len(set(bodies))


def test_a_route_added_while_the_broker_is_away_is_subscribed(sluice, mosquitto, backend):
    """It is subscribed to when the broker is back."""
    sluice.start().wait_connected()
    mosquitto.stop()
    sluice.wait_event("broker-away")
    before = len(sluice.log)
    sluice.reload(routes={"sensor": SENSOR, "heart": {"topic": "heart/#", "path": "/heart"}})
    mosquitto.start()
    sluice.wait_connected(after=before)
    mosquitto.publish("heart/a", b"1")
    mosquitto.publish("garden/a/sensor", b"2")
    got = backend.wait_for(2)
    assert {(r.path, r.body) for r in got} == {("/api/heart", b"1"), ("/api/collections/sensor", b"2")}
    stops_empty(sluice)


def test_many_reloads_under_load_lose_nothing(sluice, mosquitto, backend):
    sluice.start().wait_connected()
    published = messages(topics=10, each=60)
    for start in range(0, len(published), 60):
        publish_all(mosquitto, published[start : start + 60])
        sluice.reload()
    backend.wait_for(len(published))
    sluice.wait_empty()  # some may be on their way again
    stops_empty(sluice)
    arrived_in_order(backend, published)
    assert sluice.dead() == [] and not sluice.find_events("config-refused")
