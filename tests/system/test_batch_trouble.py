"""Batches through outages, crashes, reloads; and one message that goes several ways."""
import json
import random

import pytest

from harness.backend import Reply
from harness.batches import (
    ROUTE, all_in_order, all_names, arrived_in_order, members, name_of, names, names_of, queue_up, renumbered,
    sizes,
    under_one_key, wait_members,
)  # fmt: skip
from harness.check import messages, overtakers, per_topic, publish_all, stops_empty
from harness.sluice import backend_section
from harness.wait import wait_until

ADD_ID = {**ROUTE, "add": "id={key}"}


@pytest.fixture
def make(make_sluice, mosquitto, backend):
    def make_one(settings=None, **more):
        settings = {**backend_section(backend), **(settings or {})}
        return make_sluice(backends={"garden": settings}, routes={"sensor": {**ROUTE, **more}})

    return make_one


# -- outages


@pytest.mark.parametrize("trouble, order", [
    *((trouble, "topic") for trouble in [503, 500, 429, "refused", "reset", "close", "stall"]),
    *((trouble, "route") for trouble in [503, 500, "refused", "close"]),
])  # fmt: skip
def test_batches_survive_an_outage_complete_and_in_order(make, mosquitto, backend, trouble, order):
    """In the middle of a backlog: nothing is lost, dead-lettered, doubled or overtaken."""
    published = messages(topics=3, each=100)
    state = {"down": False}

    def answer(request):
        if state["down"]:
            return 503 if trouble == "refused" else trouble
        if len(backend.requests) == 4:
            state["down"] = True
        return 200

    backend.answer = answer
    sluice = make(order=order, batch=20, settings={"timeout": "1s"} if trouble == "stall" else {})
    queue_up(sluice, mosquitto, backend, published)
    sluice.start().wait_connected()
    if trouble == "refused":
        backend.wait_requests(4)
        backend.stop()
        sluice.wait_event("backend-away", "garden")
        backend.start()
    else:
        backend.wait_requests(4 + (2 if trouble == "stall" else 5))
    later = renumbered(published[:30])
    publish_all(mosquitto, later)
    assert sluice.dead() == []
    backend.answer = None
    wait_members(backend, len(published) + len(later))
    assert sluice.dead() == []
    if trouble in ("refused", "close", "stall"):  # answers to what was in flight got lost
        assert set(all_names(backend.delivered())) == set(names_of(published + later))
        assert overtakers(list(backend.requests), names_of(published + later), names) == []
        under_one_key(list(backend.requests))
    else:
        arrived_in_order(backend, published + later)
    if order == "route":
        in_route = [("route", name) for name in names_of(published + later)]
        assert overtakers(list(backend.requests), in_route, lambda r: [("route", name) for name in names(r)]) == []
    stops_empty(sluice)


@pytest.mark.parametrize("alpn", [("h2",), ("http/1.1",)], ids=["h2", "http1"])
def test_random_failures_change_neither_order_nor_content(make_sluice, mosquitto, make_backend, alpn):
    """Every fifth answer an error of some kind, batches of all sizes: order and content
    hold, and each batch has one key however often it was sent."""
    backend, chance = make_backend(alpn=alpn), random.Random(11)

    def answer(request):
        if chance.random() < 0.2:
            return chance.choice([503, 500, 429, 502])
        return Reply(delay_s=chance.choice([0, 0.003]))

    backend.answer = answer
    settings = {**backend_section(backend), "retry_min": "10ms", "retry_max": "20ms", "max_attempts": 1000}
    sluice = make_sluice(backends={"garden": settings}, routes={"sensor": {**ROUTE, "batch": 7}})
    published = messages(topics=20, each=30)
    sluice.start().wait_connected()
    publish_all(mosquitto, published)
    wait_members(backend, len(published))
    arrived_in_order(backend, published)
    stops_empty(sluice)
    assert sluice.dead() == []


# -- crashes


def arrived_under_their_own_keys(backend, published):
    """Members say which message they are: what came twice is known by that, and all
    is there, in order, when it is left out."""
    first, keys = {}, {}
    for request in backend.delivered():
        for member in members(request):
            first.setdefault(member["id"], name_of(member))
            keys.setdefault(name_of(member), set()).add(member["id"])
    assert {len(found) for found in keys.values()} == {1}
    assert len(first) == len(keys)
    assert sorted(first.values()) == sorted(names_of(published))
    assert overtakers(list(backend.requests), names_of(published), names) == []


@pytest.mark.parametrize("order", ["topic", "route"])
def test_a_kill_after_the_response_repeats_the_batch_under_its_key(make_sluice, mosquitto, backend, order):
    """The backend has that batch, sluice does not know it."""
    published = messages(topics=3, each=80)
    sluice = make_sluice(backends={"garden": backend}, routes={"sensor": {**ADD_ID, "batch": 20, "order": order}})
    queue_up(sluice, mosquitto, backend, published)
    for fault in ("deliver.response:1:kill", "deliver.response:4:kill", "deliver.response:2:kill"):
        sluice.start(env={"SLUICE_FAULT": fault})
        assert sluice.wait_exit() == -9
        # It is cut differently afterwards: another size, and more behind it.
        more = renumbered(published[:6], by=len(published))
        publish_all(mosquitto, more)
        published += more
        batch = {20: 33, 33: 7, 7: 50}[int(sluice.parts["routes"]["sensor"]["batch"])]
        sluice.parts["routes"]["sensor"]["batch"] = batch
        sluice.write_config()
    sluice.start()
    wait_members(backend, len(published))
    sluice.wait_empty()
    arrived_under_their_own_keys(backend, published)
    assert len(all_names(backend.delivered())) > len(published)  # some did come twice
    stops_empty(sluice)


def test_kills_at_random_lose_no_batch(make_sluice, mosquitto, backend):
    """And the backend is ill as well."""
    chance = random.Random(2)
    backend.answer = lambda request: 503 if chance.random() < 0.1 else Reply(delay_s=0.01)
    route = {**ADD_ID, "batch": 10}
    sluice = make_sluice(backends={"garden": backend}, routes={"sensor": route})
    published = messages(topics=10, each=60)
    queue_up(sluice, mosquitto, backend, published)
    for _ in range(6):
        sluice.start()
        backend.wait_requests(len(backend.requests) + chance.randrange(1, 8))
        sluice.kill()
    sluice.start()
    wait_members(backend, len(published))
    sluice.wait_empty()
    arrived_under_their_own_keys(backend, published)
    assert sluice.dead() == []


# -- reloads


def test_a_reload_applies_to_queued_messages(make, mosquitto, backend):
    """Another size, form and body: they hold for what is queued already."""
    published = messages(topics=2, each=60)
    backend.answer = lambda request: 503
    sluice = make()
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    backend.wait_requests(3)
    sluice.reload(routes={"sensor": {**ROUTE, "batch": 10, "add": "v=2"}})
    backend.answer = lambda request: 200 if len(backend.delivered()) < 3 else 503
    wait_until(lambda: len(backend.delivered()) >= 3 and backend.requests[-1].status == 503, what="an outage")
    sluice.reload(routes={"sensor": {**ROUTE, "batch": 40, "batch_format": "ndjson"}})
    first = backend.delivered()
    assert max(sizes(first)) <= 10 and all(member["v"] == 2 for r in first for member in members(r))
    backend.answer = None
    wait_members(backend, len(published))
    rest = backend.delivered()[len(first) :]
    assert {r.headers["content-type"] for r in rest} == {"application/x-ndjson"}
    assert 10 < max(sizes(rest)) <= 40
    got = all_names(backend.delivered())
    assert sorted(got) == sorted(names_of(published))
    assert overtakers(list(backend.requests), names_of(published), names) == []
    stops_empty(sluice)


def test_a_reload_during_bisection_finds_the_bad_message_again(make, mosquitto, backend):
    """Its halves are forgotten; the bad one is found again."""
    published, poison = messages(topics=1, each=64), {("host0", 40)}
    backend.answer = lambda request: Reply(400 if poison & set(names(request)) else 200, delay_s=0.05)
    sluice = make()
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    backend.wait_requests(3)
    sluice.reload()
    wait_members(backend, 63)
    [dead] = sluice.wait_dead(1)
    assert dead["payload"] == published[40][1]
    got = list(dict.fromkeys(all_names(backend.delivered())))
    assert got == [name for name in names_of(published) if name not in poison]


def test_a_stop_waits_for_batches_in_flight(make, mosquitto, backend):
    """Within its five seconds, though the backend is slow; nothing is lost or doubled."""
    published = messages(topics=4, each=50)
    backend.answer = lambda request: Reply(delay_s=0.3)
    sluice = make(batch=10)
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    backend.wait_requests(3)
    assert sluice.stop() == 0
    assert sluice.pending() == len(published) - len(all_names(backend.delivered()))
    backend.answer = None
    sluice.start()
    wait_members(backend, len(published))
    arrived_in_order(backend, published)


def test_dropped_messages_leave_their_batch(make_sluice, mosquitto, backend):
    """Limits reach into what waits in lanes: a batch is made of what is there still."""
    backend.answer = lambda request: 503
    sluice = make_sluice(backends={"garden": backend}, routes={"sensor": {**ROUTE, "order": "route"}},
                         queue={"max_messages": 50, "when_full": "drop-oldest"})  # fmt: skip
    sluice.start().wait_connected()
    published = messages(topics=1, each=200)
    publish_all(mosquitto, published)
    mosquitto.wait_received("PUBACK", len(published))  # each is stored, or was dropped
    backend.wait_requests(1)
    waiting = [json.loads(row["payload"]) for row in sluice.sql("select payload from message order by id")]
    assert 25 <= len(waiting) <= 50
    backend.answer = None
    sluice.wait_empty()
    all_in_order(list(backend.requests), [(None, json.dumps(reading)) for reading in waiting])


# -- fan-out


def test_a_batch_route_does_not_wait_for_another_backend(make_sluice, mosquitto, make_backend):
    """Raw to the one, in batches to the other: neither waits for the other."""
    garden, archive = make_backend(), make_backend()
    routes = {
        "live": {"topic": "garden/+/sensor", "path": "/live", "backend": "garden"},
        "kept": {**ROUTE, "path": "/kept", "backend": "archive", "add": "host2={2}"},
    }
    sluice = make_sluice(backends={"garden": garden, "archive": archive}, routes=routes)
    archive.stop()
    sluice.start().wait_connected()
    published = messages(topics=4, each=50)
    publish_all(mosquitto, published)
    garden.wait_for(len(published))
    sluice.wait_pending(len(published))
    assert per_topic((r.topic, r.body) for r in garden.delivered()) == per_topic(published)
    archive.start()
    garden.stop()
    later = renumbered(published[:40])
    publish_all(mosquitto, later)
    wait_members(archive, len(published) + len(later))
    arrived_in_order(archive, published + later)
    assert max(sizes(archive.delivered())) > 10 and all("host2" in m for r in archive.delivered() for m in members(r))
    garden.start()
    garden.wait_for(len(published) + len(later))
    assert per_topic((r.topic, r.body) for r in garden.delivered()) == per_topic(published + later)
    stops_empty(sluice)
    assert sluice.dead() == []


def test_a_message_rejected_on_one_route_is_delivered_on_another(make_sluice, mosquitto, backend):
    """A message that is bad for one route is delivered by the other."""
    published, poison = messages(topics=1, each=40), {("host0", 11)}

    def answer(request):
        return 400 if request.path == "/api/strict" and poison & set(names(request)) else 200

    backend.answer = answer
    routes = {"strict": {**ROUTE, "path": "/strict"}, "loose": {**ROUTE, "path": "/loose"}}
    sluice = make_sluice(backends={"garden": backend}, routes=routes)
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    sluice.wait_empty()
    [dead] = sluice.dead()
    assert (dead["route"], dead["payload"]) == ("strict", published[11][1])
    for path, missing in (("/api/strict", poison), ("/api/loose", set())):
        got = [name for r in backend.delivered() if r.path == path for name in names(r)]
        assert got == [name for name in names_of(published) if name not in missing]
