"""The finer rules of blame: what a backend's trouble must not do to messages."""
import pytest

from harness.check import arrived_once_in_order, messages, publish_all, stops_empty, under_one_key_each
from harness.sluice import backend_section
from harness.wait import wait_until

POISON = b'{"poison":true}'


@pytest.fixture
def start(make_sluice, backend):
    def begin(route=None, **more):
        sluice = make_sluice(backends={"garden": {**backend_section(backend), "max_attempts": 3, **more}},
                             routes={"sensor": {"topic": "garden/#", "path": "/collections/{2}", **(route or {})}})
        return sluice.start().wait_connected()

    return begin


@pytest.mark.parametrize("on_failure", ["defer", "wait"])
@pytest.mark.parametrize("status", [503, 502, 500, 429])
def test_one_topic_through_an_outage(start, mosquitto, backend, status, on_failure):
    """A message is overtaken only if it failed, or, with on_failure = wait, not at all."""
    backend.answer = lambda request: status
    sluice = start(retry_max="30ms", route={"on_failure": on_failure})
    published = messages(topics=1, each=6)
    publish_all(mosquitto, published)
    backend.wait_requests(20)
    backend.answer = None
    backend.wait_for(6)
    arrived_once_in_order(backend, published)
    if on_failure == "wait":
        assert backend.bodies() == [body for _, body in published]
    stops_empty(sluice)


def test_bad_messages_at_the_start_of_two_lanes_hold_nothing(start, mosquitto, backend):
    """Nothing ever passes before them; they must not hold the good ones for ever."""
    backend.answer = lambda request: 500 if request.body == POISON else 200
    sluice = start(retry_max="30ms")
    good = messages(topics=2, each=10)
    publish_all(mosquitto, [("garden/host0/sensor", POISON), ("garden/host1/sensor", POISON), *good])
    backend.wait_for(len(good))
    assert sorted(r.body for r in backend.delivered()) == sorted(body for _, body in good)

    def both_dead():
        mosquitto.publish("garden/host2/sensor", b"passes")  # without a neighbour nothing is proved
        return len(sluice.dead()) == 2

    wait_until(both_dead, what="two dead letters")
    assert {row["payload"] for row in sluice.dead()} == {POISON}


def test_retry_after_never_shortens_a_wait(start, mosquitto, backend):
    """"0", or a date in the past, as a Pi whose clock runs ahead sees it."""
    headers = {"Retry-After": "0"}
    backend.answer = lambda request: (503, headers, b"")
    sluice = start(retry_min="1s", retry_max="2s")
    mosquitto.publish("garden/a/sensor", b"1")
    first = backend.wait_requests(1)[0]
    headers["Retry-After"] = "Sun, 06 Nov 1994 08:49:37 GMT"
    backend.wait_requests(5)
    # At least a tenth of retry_min between two of them.
    assert backend.requests[4].at - first.at > 0.4
    backend.answer = None
    backend.wait_for(1)
    stops_empty(sluice)


def test_retry_after_is_kept_by_its_topic_while_others_go_on(start, mosquitto, backend):
    """Of other topics the requests pass; they do not cut the wait short."""
    state = {"count": 0, "asked": None}

    def answer(request):
        state["count"] += 1
        if state["count"] == 40:
            state["asked"] = request
            return 429, {"Retry-After": "2"}, b""
        return 200

    backend.answer = answer
    sluice = start(retry_max="5s")
    publish_all(mosquitto, messages(topics=30, each=10))
    backend.wait_for(300)
    asked = state["asked"]
    during = [r for r in backend.requests if asked.at < r.at < asked.at + 1.95]
    assert asked.topic not in {r.topic for r in during}
    assert len(during) > 100
    stops_empty(sluice)


def test_conflicts_for_all_messages_hold_the_route(start, mosquitto, backend):
    """409 for everything is not the messages' fault either."""
    backend.answer = lambda request: 409
    sluice = start(retry_max="30ms")
    publish_all(mosquitto, messages(topics=4, each=10))
    sluice.wait_event("route-held", "sensor", level="error")
    assert any(line.startswith("route sensor: too many messages in a row were rejected: no more are dead-lettered")
               for line in sluice.status()["problems"])
    count = len(sluice.dead())
    seen = len(backend.requests)
    backend.wait_requests(seen + 10)
    assert 10 <= len(sluice.dead()) <= count + 4  # one in flight in each lane
    backend.answer = None
    backend.wait_for(40 - len(sluice.dead()))
    sluice.wait_empty()


def test_topics_that_fit_no_path_raise_an_alarm(make_sluice, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend}, routes={"sensor": {"topic": "garden/#", "path": "/{3}"}})
    sluice.start().wait_connected()
    publish_all(mosquitto, [(f"garden/{n}", b"x") for n in range(12)])
    sluice.wait_dead(12)
    sluice.wait_event("messages-unfit", "sensor", 10, "path", level="error")
    assert backend.requests == []


def test_messages_of_an_older_filter_reach_a_filter_added_before_it(make_sluice, mosquitto, backend):
    """What waits at the broker only comes under the older one, and must not be lost."""
    sluice = make_sluice(backends={"garden": backend}, routes={"sensor": {"topic": "garden/+/sensor"}})
    sluice.start().wait_connected()
    assert sluice.stop() == 0
    publish_all(mosquitto, messages(topics=3, each=2))
    sluice.write_config(sluice.config_text(routes={"sensor": {"topic": ["garden/#", "garden/+/sensor"]}}))
    sluice.start().wait_connected()
    backend.wait_for(6)
    mosquitto.publish("garden/a/sensor", b"new")  # now both subscriptions match
    mosquitto.publish("garden/b", b"only the new one")
    backend.wait_for(8)
    sluice.wait_empty()
    assert sorted(backend.bodies()) == sorted([b"new", b"only the new one", *(body for _, body in messages(3, 2))])


def test_copies_of_a_removed_filter_are_not_delivered_twice(make_sluice, mosquitto, backend):
    """Its copies that still wait are not delivered a second time."""
    sluice = make_sluice(backends={"garden": backend}, routes={"sensor": {"topic": ["garden/#", "garden/+/sensor"]}},
                         broker={"protocol": "5"})  # fmt: skip
    sluice.start().wait_connected()
    assert sluice.stop() == 0
    publish_all(mosquitto, messages(topics=3, each=2))
    sluice.write_config(sluice.config_text(routes={"sensor": {"topic": "garden/+/sensor"}}))
    sluice.start().wait_connected()
    backend.wait_for(6)
    mosquitto.publish("garden/a/sensor", b"new")
    backend.wait_for(7)
    sluice.wait_empty()
    assert len(backend.delivered()) == 7
