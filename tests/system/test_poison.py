"""Bad messages among good ones in a batch: they are found, and nothing else suffers."""
import json
import math
import random
import re

import pytest

from harness.backend import Reply
from harness.batches import (
    ROUTE, all_names, arrived_in_order, name_of, names, names_of, queue_up, renumbered, sizes,
    under_one_key,
    wait_members,
)  # fmt: skip
from harness.check import messages, publish_all, stops_empty
from harness.events import MISCONFIGURED
from harness.sluice import backend_section
from harness.wait import PATIENCE_S, wait_until

HOST = "garden/host0/sensor"


@pytest.fixture
def make(make_sluice, mosquitto, backend):
    """make(route settings..., settings={of the backend}): not started."""

    def make_one(settings=None, **more):
        settings = {**backend_section(backend), "max_attempts": 3, **(settings or {})}
        return make_sluice(backends={"garden": settings}, routes={"sensor": {**ROUTE, **more}})

    return make_one


def refuse(backend, bad, status, words=b"no such field: soil", seen=None):
    """The backend refuses whatever holds one of these messages."""

    def answer(request):
        if seen is not None:
            seen.append(names(request))
        return (status, {}, words) if bad & set(names(request)) else 200

    backend.answer = answer


def dead_names(sluice):
    return [name_of(json.loads(row["payload"])) for row in sluice.dead()]


def fetch_more(mosquitto, done, published, hosts, timeout=PATIENCE_S):
    """Good messages go on coming, as they do, until it is done."""
    count = {host: 1000 for host in hosts}

    def another():
        if done():
            return True
        host = hosts[len(published) % len(hosts)]
        published.append((f"garden/host{host}/sensor", b'{"host":"host%d","n":%d}' % (host, count[host])))
        count[host] += 1
        mosquitto.publish(*published[-1])
        return False

    wait_until(another, timeout, "the dead letters")


# -- rejected

PLACES = [[0], [127], [64], [63, 64], [5, 70, 126], list(range(40, 48)), list(range(0, 128, 16))]


@pytest.mark.parametrize("bad", PLACES, ids=lambda bad: "-".join(map(str, bad[:3])) + f"-of-{len(bad)}")
def test_k_bad_messages_cost_few_requests(make, mosquitto, backend, bad):
    """At most about 2 k log2(n), and all that is good arrives, in order."""
    published = messages(topics=1, each=128)
    poison = {("host0", n) for n in bad}
    refuse(backend, poison, 400)
    sluice = make(batch=128)
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    wait_members(backend, 128 - len(bad))
    dead = sluice.wait_dead(len(bad))
    assert dead_names(sluice) == sorted(poison)
    for row in dead:
        assert (row["reason"], row["last_status"], row["topic"]) == ("rejected", 400, HOST)
        assert "no such field: soil" in row["last_error"]
    arrived_in_order(backend, published, but=poison)
    assert len(backend.requests) <= 2 * len(bad) * math.log2(128) + 1
    # None of them stood alone in vain, or a second time.
    assert all([names(r) for r in backend.requests].count([one]) == 1 for one in poison)
    stops_empty(sluice)
    assert sluice.stopped()["dead"] == len(bad)


@pytest.mark.parametrize("order", ["topic", "route", "none"])
def test_fifty_bad_messages_among_two_thousand_are_found(make, mosquitto, backend, order):
    published = messages(topics=8, each=250)
    poison = set(random.Random(4).sample(names_of(published), 50))
    refuse(backend, poison, 422)
    sluice = make(order=order)
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    wait_members(backend, 1950)
    sluice.wait_dead(50)
    assert sorted(dead_names(sluice)) == sorted(poison)
    if order != "none":
        arrived_in_order(backend, published, but=poison)
    assert sorted(all_names(backend.delivered())) == sorted(set(names_of(published)) - poison)
    assert len(backend.requests) <= 2 * 50 * math.log2(100) + 40
    assert not sluice.find_events([*MISCONFIGURED, "route-held"])
    stops_empty(sluice)


def test_bisection_keeps_the_order(make, mosquitto, backend):
    """What comes meanwhile stands behind, and joins no part of the batch."""
    published = messages(topics=1, each=64)
    poison = {("host0", 10), ("host0", 50)}

    def answer(request):
        return Reply(400 if poison & set(names(request)) else 200, delay_s=0.03)

    backend.answer = answer
    sluice = make(batch=64)
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    backend.wait_requests(2)
    later = [(HOST, b'{"host":"host0","n":%d}' % (100 + n)) for n in range(30)]
    publish_all(mosquitto, later)
    wait_members(backend, 64 + 30 - 2)
    arrived_in_order(backend, published + later, but=poison)
    sizes_seen = sizes(backend.requests)
    assert sizes_seen[:3] == [64, 32, 16]
    assert len(backend.requests) <= 2 * 2 * math.log2(64) + 1 + 4


def test_a_message_with_conflicts_leaves_its_batch(make, mosquitto, backend):
    """409: the one that it is about is tried again by itself, then dead-lettered."""
    published, poison, seen = messages(topics=1, each=32), {("host0", 9)}, []
    refuse(backend, poison, 409, b"edit conflict", seen)
    sluice = make()
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    wait_members(backend, 31)
    [dead] = sluice.wait_dead(1)
    assert (dead["reason"], dead["last_status"], dead_names(sluice)) == ("attempts", 409, [("host0", 9)])
    assert "edit conflict" in dead["last_error"]
    assert seen.count([("host0", 9)]) == 3
    arrived_in_order(backend, published, but=poison)
    stops_empty(sluice)


# -- too large


def test_a_413_makes_batches_smaller_and_blames_no_message(make, mosquitto, backend):
    published = messages(topics=2, each=500)
    backend.answer = lambda request: 413 if len(request.body) > 800 else 200
    sluice = make(batch=250)
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    wait_members(backend, 1000)
    arrived_in_order(backend, published)
    assert sluice.dead() == []
    refused = [r for r in backend.requests if r.status == 413]
    assert 1 <= len(refused) <= 2 * 4  # 6 KB, 3, 1.5, once in each lane
    assert max(sizes(backend.delivered())) >= 10  # and as large as it goes, about
    sluice.wait_event("batch-size-reduced", "sensor", 413)
    # Later ones are small at once.
    later = [(HOST, b'{"host":"host0","n":%d}' % n) for n in range(1000, 1300)]
    before = len(backend.requests)
    publish_all(mosquitto, later)
    wait_members(backend, 1300)
    assert all(r.status == 200 for r in backend.requests[before:])
    arrived_in_order(backend, published + later)
    stops_empty(sluice)


def test_a_413_dead_letters_only_the_long_message(make, mosquitto, backend):
    """It alone is dead-lettered, wherever it stands."""
    published = messages(topics=1, each=60)
    long = [(HOST, b'{"host":"host0","n":%d,"pad":"%s"}' % (n, b"x" * 3000)) for n in (500, 501)]
    published[20:20], published[50:50] = long[:1], long[1:]
    backend.answer = lambda request: 413 if len(request.body) > 2000 else 200
    sluice = make()
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    wait_members(backend, 60)
    sluice.wait_dead(2)
    assert dead_names(sluice) == [("host0", 500), ("host0", 501)]
    assert {(row["reason"], row["last_status"]) for row in sluice.dead()} == {("rejected", 413)}
    arrived_in_order(backend, published, but=dead_names(sluice))
    stops_empty(sluice)


# -- others pass, it never does


@pytest.mark.parametrize("status", [500, 403, 404])
@pytest.mark.parametrize("topics", [1, 4])
def test_a_message_with_an_error_of_its_own_is_found(make, mosquitto, backend, status, topics):
    published = messages(topics=topics, each=40 // topics)
    poison = {("host0", 6)}
    refuse(backend, poison, status, b"broken soil")
    sluice = make()
    queue_up(sluice, mosquitto, backend, published)
    sluice.start().wait_connected()
    fetch_more(mosquitto, lambda: sluice.dead(), published, list(range(topics)))
    wait_members(backend, len(published) - 1)
    [dead] = sluice.dead()
    assert (dead["reason"], dead["last_status"], dead_names(sluice)) == ("attempts", status, [("host0", 6)])
    assert "broken soil" in dead["last_error"]
    assert [names(r) for r in backend.requests].count([("host0", 6)]) >= 3
    if topics > 1:  # in the only lane, some overtake it to show whose fault it is
        arrived_in_order(backend, published, but=poison)
    assert sorted(all_names(backend.delivered())) == sorted(set(names_of(published)) - poison)
    stops_empty(sluice)


@pytest.mark.parametrize("status", [500, 404])
def test_an_error_of_its_own_is_found_by_halves(make, mosquitto, backend, status):
    """By halves, though each failure needs a neighbour that passes; not one by one."""
    published, poison = messages(topics=1, each=128), {("host0", 100)}
    refuse(backend, poison, status)
    sluice = make(batch=128)
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    wait_until(lambda: [("host0", 100)] in [names(r) for r in backend.requests], what="the one at fault alone")
    assert len(backend.requests) <= 3 * math.log2(128) + 5


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_one_bad_message_costs_few_requests_whatever_the_error(make, mosquitto, backend, status):
    """A proxy's answer may be about a member as well: those before it do not leave one by one."""
    published = messages(topics=1, each=100)
    refuse(backend, {("host0", 80)}, status)
    sluice = make()
    queue_up(sluice, mosquitto, backend, published)
    sluice.start().wait_connected()
    wait_members(backend, 99)
    arrived_in_order(backend, published, but={("host0", 80)})
    assert len(backend.requests) <= 3 * math.log2(100) + 5
    assert sluice.dead() == []


@pytest.mark.parametrize("answer, alpn", [("cut", "h2"), ("close", "h2"), ("reset", "h2"), ("stall", "h2"),
                                          ("close", "http/1.1")])  # fmt: skip
def test_a_message_that_breaks_the_connection_is_found(make_sluice, mosquitto, make_backend, answer, alpn):
    """Whatever shared the connection with it arrives, it alone is dead-lettered."""
    backend = make_backend(alpn=(alpn,))
    published = messages(topics=4, each=10)
    poison = {("host0", 6)}
    backend.answer = lambda request: answer if poison & set(names(request)) else Reply(delay_s=0.005)
    settings = {**backend_section(backend), "max_attempts": 3, "timeout": "1s" if answer == "stall" else "30s"}
    sluice = make_sluice(backends={"garden": settings}, routes={"sensor": ROUTE})
    queue_up(sluice, mosquitto, backend, published)
    sluice.start().wait_connected()
    fetch_more(mosquitto, lambda: sluice.dead(), published, [0, 1, 2, 3])
    wait_members(backend, len(published) - 1)
    sluice.wait_empty()
    assert dead_names(sluice) == [("host0", 6)]
    assert sluice.dead()[0]["reason"] == "attempts"
    under_one_key(list(backend.requests))
    # A connection that breaks takes its neighbours' answers along: those came again.
    first = dict.fromkeys(all_names(backend.delivered()))
    assert sorted(first) == sorted(set(names_of(published)) - poison)
    stops_empty(sluice)


# -- all are bad


@pytest.mark.parametrize("topics", [1, 2])
@pytest.mark.parametrize("status", [400, 409])
def test_ten_rejections_in_a_row_hold_the_route(make, mosquitto, backend, topics, status):
    published = messages(topics=topics, each=100 // topics)
    backend.answer = lambda request: (status, {}, b"what is this?")
    sluice = make(settings={"retry_max": "40ms"})
    queue_up(sluice, mosquitto, backend, published)
    sluice.start().wait_connected()
    assert re.search(r"\b1\d messages", sluice.wait_event("route-held", "sensor", level="error"))
    seen = len(backend.requests)
    backend.wait_requests(seen + 20)
    rejected = dead_names(sluice)
    assert 10 <= len(rejected) <= 12
    assert sluice.pending() == 100 - len(rejected)
    later = renumbered(published[:40])
    publish_all(mosquitto, later)
    sluice.wait_pending(140 - len(rejected))
    backend.answer = None  # repaired: it goes on by itself
    got = wait_members(backend, 140 - len(rejected))
    assert dead_names(sluice) == rejected
    assert sorted(all_names(got) + rejected) == sorted(names_of(published + later))
    assert max(sizes(got)) > 10  # and in batches again
    stops_empty(sluice)


def test_nine_rejections_in_a_row_hold_nothing(make, mosquitto, backend):
    published = messages(topics=1, each=60)
    poison = {("host0", n) for n in range(60) if n % 10 != 9}
    refuse(backend, poison, 400)
    sluice = make()
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    wait_members(backend, 6)
    sluice.wait_dead(54)
    assert dead_names(sluice) == sorted(poison)
    assert not sluice.find_events([*MISCONFIGURED, "route-held"])
    arrived_in_order(backend, published, but=poison)


@pytest.mark.parametrize("status", [500, 404])
def test_several_messages_with_errors_of_their_own_are_found(make, mosquitto, backend, status):
    """The first and the last of a batch, and two neighbours."""
    published = messages(topics=3, each=20)
    poison = {("host0", 0), ("host0", 19), ("host1", 7), ("host1", 8)}
    refuse(backend, poison, status)
    sluice = make()
    queue_up(sluice, mosquitto, backend, published)
    sluice.start().wait_connected()
    fetch_more(mosquitto, lambda: len(sluice.dead()) >= 4, published, [0, 1, 2])
    wait_members(backend, len(published) - 4)
    assert sorted(dead_names(sluice)) == sorted(poison)
    assert {row["reason"] for row in sluice.dead()} == {"attempts"}
    assert sorted(all_names(backend.delivered())) == sorted(set(names_of(published)) - poison)
    stops_empty(sluice)
