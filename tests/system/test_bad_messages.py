"""A bad message costs the good ones nothing: whatever the backend answers to some
messages, and wherever they stand, all others are delivered, and nobody hears of an outage
that is none.

Each shape here once stopped a queue, or slowed it for hours. The retry times are the
defaults unless a test says otherwise: what passes here passes without waiting for them.
"""
import json
import signal

import pytest

from harness.backend import Reply
from harness.batches import ROUTE as BATCHED, all_names, name_of, names, names_of, queue_up, wait_members
from harness.check import messages, per_topic, publish_all, stops_empty
from harness.events import AWAY, BACK, MISCONFIGURED
from harness.sluice import backend_section
from harness.wait import PATIENCE_S, wait_until

ONE_BY_ONE = {"topic": "garden/+/sensor", "path": "/collections/sensor", "body": "json"}
DEFAULTS = {"retry_min": "1s", "retry_max": "5m"}
FALSE_ALARMS = (*AWAY, *MISCONFIGURED)


@pytest.fixture
def make(make_sluice, mosquitto, backend):
    """make(route settings, backend settings...): not started, with the default waits."""

    def make_one(route=None, **settings):
        settings = {**backend_section(backend), **DEFAULTS, **settings}
        return make_sluice(backends={"garden": settings}, routes={"sensor": {**ONE_BY_ONE, **(route or {})}})

    return make_one


def refuse(backend, bad, status, body=b"no", headers=None):
    """The backend refuses each request that holds one of these messages."""
    backend.answer = lambda request: (status, headers or {}, body) if bad & set(names(request)) else 200


def spread(published, every=50):
    return {name for n, name in enumerate(names_of(published)) if n % every == every // 2}


def heads(published):
    return {name for name in names_of(published) if name[1] == 0}


def burst(published):
    """Each device's bad reading, all at one moment."""
    return {name for name in names_of(published) if name[1] == 5}


def good_ones_in_order(backend, published, bad, late=()):
    """All good ones arrived exactly once, and in the order of their topics."""
    got = [name for name in all_names(backend.delivered()) if name not in late]
    expected = [name for name in names_of(published) if name not in bad and name not in late]
    assert per_topic(got) == per_topic(expected)


def backlog(sluice, mosquitto, backend, published):
    """Queues it all while the backend is away, and starts sluice."""
    queue_up(sluice, mosquitto, backend, published)
    sluice.well_from = len(sluice.log)
    return sluice.start()


def no_false_alarm(sluice):
    for event in FALSE_ALARMS:
        assert sluice.find_events(event, after=sluice.well_from) == []


def deferred(sluice):
    return sluice.sql("select * from message where deferred order by id")


MODES = {"one-by-one": {}, "batches-by-topic": {**BATCHED, "batch": 500, "order": "topic"},
         "batches-by-route": {**BATCHED, "batch": 500, "order": "route"}}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [spread, burst, heads])
@pytest.mark.parametrize("status", [400, 500])
def test_good_ones_of_two_thousand_arrive_in_order(make, mosquitto, backend, status, shape, mode):
    published = messages(topics=50, each=40)
    bad = shape(published)
    refuse(backend, bad, status)
    sluice = make(MODES[mode])
    backlog(sluice, mosquitto, backend, published)
    wait_members(backend, len(published) - len(bad))
    good_ones_in_order(backend, published, bad)
    no_false_alarm(sluice)
    if status == 400:  # but for the last ones, after which nothing passed
        wait_until(lambda: len(sluice.dead()) + sluice.pending() == len(bad), what="the bad ones to be rejected")
        assert sluice.dead()
    else:
        sluice.wait_pending(len(bad))  # deferred, but for the last ones, after which nothing passed
        assert deferred(sluice) and sluice.dead() == []


@pytest.mark.parametrize("status", [400, 403, 500, 504])
def test_two_hundred_topics_headed_by_a_bad_message_do_not_wait(make, mosquitto, backend, status):
    published = messages(topics=200, each=3)
    bad = heads(published)
    refuse(backend, bad, status)
    sluice = make()
    backlog(sluice, mosquitto, backend, published)
    wait_members(backend, 400)
    good_ones_in_order(backend, published, bad)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_one_bad_message_at_the_head_of_the_only_lane_does_not_stop_it(make, mosquitto, backend, status):
    published = messages(topics=1, each=51)
    refuse(backend, heads(published), status)
    sluice = make()
    backlog(sluice, mosquitto, backend, published)
    wait_members(backend, 50)
    good_ones_in_order(backend, published, heads(published))
    no_false_alarm(sluice)
    assert len(backend.requests) < 50 + 10


IN_A_ROW = {"one-by-one": ({}, 80), "by-route": ({"order": "route"}, 80), "batches": ({**BATCHED, "batch": 100}, 250)}


@pytest.mark.parametrize("mode", IN_A_ROW)
@pytest.mark.parametrize("status", [400, 404, 409, 500])
def test_many_bad_ones_in_a_row_are_passed(make, mosquitto, backend, status, mode):
    route, count = IN_A_ROW[mode]
    published = messages(topics=1, each=count + 50)
    bad = {name for name in names_of(published) if name[1] < count}
    refuse(backend, bad, status)
    sluice = make(route)
    backlog(sluice, mosquitto, backend, published)
    wait_members(backend, 50)
    assert sorted(all_names(backend.delivered())) == sorted(set(names_of(published)) - bad)


def test_a_status_that_the_user_calls_dead_holds_nothing(make, mosquitto, backend):
    published = messages(topics=1, each=130)
    bad = {name for name in names_of(published) if name[1] < 80}
    refuse(backend, bad, 400)
    sluice = make({"on_status": "400:dead"})
    backlog(sluice, mosquitto, backend, published)
    wait_members(backend, 50)
    good_ones_in_order(backend, published, bad)
    assert len(sluice.wait_dead(80)) == 80
    assert len(backend.requests) == 130
    assert sluice.find_events("route-held") == []


def test_a_limit_on_one_topic_slows_that_topic_alone(make, mosquitto, backend):
    """429 with Retry-After for one path: no other waits, and nothing is dead-lettered."""
    published = messages(topics=8, each=10)
    limited = {name for name in names_of(published) if name[0] == "host3"}
    refuse(backend, limited, 429, headers={"Retry-After": "1"})
    sluice = make({"path": "/collections/{2}"})
    backlog(sluice, mosquitto, backend, published)
    wait_members(backend, 70)
    no_false_alarm(sluice)
    assert sluice.dead() == [] and deferred(sluice) == []
    backend.answer = None
    wait_members(backend, 80)
    good_ones_in_order(backend, published, set())


def test_one_device_without_a_path_does_not_stop_the_route(make, mosquitto, backend):
    published = messages(topics=9, each=60)
    lost = {name for name in names_of(published) if name[0] == "host4"}
    refuse(backend, lost, 404)
    sluice = make({"path": "/collections/{2}", "order": "route"})
    backlog(sluice, mosquitto, backend, published)
    wait_members(backend, 480)
    assert sluice.dead() == []


PAGE = b"""<!DOCTYPE html><html><head><title>Error 500</title><style>p { color: red }</style></head>
<body><h1>Internal Server Error</h1><p>Cast to <b>Number</b> failed &amp; gave up</p><script>x()</script></body></html>"""


def test_a_page_of_an_error_is_told_as_text_and_is_no_outage(make, mosquitto, backend):
    published = messages(topics=16, each=20)
    bad = spread(published, every=64)
    refuse(backend, bad, 500, body=PAGE, headers={"Content-Type": "text/html"})
    sluice = make()
    backlog(sluice, mosquitto, backend, published)
    wait_members(backend, len(published) - len(bad))
    sluice.wait_connected()

    def flow():  # only what others pass is deferred
        mosquitto.publish("garden/host0/sensor", b'{"host":"host0","n":%d}' % len(backend.requests))
        return len(deferred(sluice)) == len(bad)

    wait_until(flow, what="the bad ones to be deferred")
    no_false_alarm(sluice)
    assert len(sluice.find_events("message-deferred", "sensor", "Error 500")) == 1
    printed = sluice.command("status", expect=4)
    assert f"{len(bad)} messages deferred (500: " in printed
    for row in deferred(sluice):
        assert "Error 500" in row["last_error"] and "Cast to Number failed & gave up" in row["last_error"]
        assert "<" not in row["last_error"] and "color" not in row["last_error"] and "x()" not in row["last_error"]


def test_deferred_messages_survive_a_kill_and_keep_their_keys(make, mosquitto, backend):
    published = messages(topics=4, each=10)
    bad = heads(published)
    refuse(backend, bad, 500)
    sluice = make(retry_min="50ms", retry_max="200ms", max_attempts=1000)
    backlog(sluice, mosquitto, backend, published)
    wait_members(backend, 36)
    wait_until(lambda: len(deferred(sluice)) == 4, what="four deferred messages")
    assert len(sluice.sql("select * from pending where state = 'deferred'")) == 4
    listed = sluice.command("queue", "ls", "--state", "deferred", "--json")
    assert len(listed.splitlines()) == 4
    sluice.wait_pending(4)  # a delivered message whose row is not deleted yet would be sent again
    sluice.signal(signal.SIGKILL)
    sluice.wait_exit()
    backend.requests.clear()
    sluice.start()
    wait_until(lambda: {n for r in backend.requests for n in names(r)} == bad, what="all four to be tried again")
    assert len(deferred(sluice)) == 4
    keys = {names(r)[0]: r.key for r in backend.requests}
    backend.answer = None
    wait_members(backend, 4)
    assert {names(r)[0]: r.key for r in backend.delivered()} == keys
    stops_empty(sluice)


def test_retry_ends_a_deferral(make, mosquitto, backend):
    published = messages(topics=2, each=5)
    bad = heads(published)
    refuse(backend, bad, 500)
    sluice = make(retry_min="1h", retry_max="1h")
    backlog(sluice, mosquitto, backend, published)
    wait_members(backend, 8)
    wait_until(lambda: len(deferred(sluice)) == 2, what="two deferred messages")
    backend.answer = None
    sluice.command("queue", "retry", "--all")
    wait_members(backend, 10)
    stops_empty(sluice)


def test_retry_does_not_send_what_is_in_flight_twice(make, mosquitto, backend):
    published = messages(topics=2, each=5)
    bad = heads(published)
    refuse(backend, bad, 500)
    sluice = make(retry_min="100ms", retry_max="200ms", timeout="3s", max_attempts=1000)
    backlog(sluice, mosquitto, backend, published)
    wait_members(backend, 8)
    wait_until(lambda: len(deferred(sluice)) == 2, what="two deferred messages")

    def open_requests():
        return [names(r)[0] for r in list(backend.requests) if names(r)[0] in bad and r.status == 0]

    backend.answer = lambda request: "stall" if bad & set(names(request)) else 200
    wait_until(lambda: open_requests(), what="a deferred message in flight")
    sluice.command("queue", "retry", "--all")
    mosquitto.publish("garden/host2/sensor", b'{"host":"host2","n":0}')
    wait_members(backend, 9)
    assert len(open_requests()) == len(set(open_requests()))
    backend.answer = None
    wait_members(backend, 11)
    stops_empty(sluice)
    assert len(set(r.key for r in backend.requests)) == 11


def test_a_deferred_message_is_dead_lettered_after_max_attempts(make, mosquitto, backend):
    published = messages(topics=2, each=5)
    refuse(backend, heads(published), 500)
    sluice = make(retry_min="20ms", retry_max="50ms", max_attempts=4)
    backlog(sluice, mosquitto, backend, published)
    sent = []

    def flow():  # only while others pass does a failure count
        sent.append((published[0][0], json.dumps({"host": "host0", "n": 100 + len(sent)}).encode()))
        mosquitto.publish(*sent[-1])
        return len(sluice.dead()) == 2

    sluice.wait_connected()
    wait_until(flow, PATIENCE_S, "two dead letters")
    for row in sluice.dead():
        assert (row["reason"], row["last_status"]) == ("attempts", 500) and row["attempts"] == 4


def test_in_an_outage_nothing_is_deferred_or_dead(make, mosquitto, backend):
    published = messages(topics=10, each=10)
    backend.answer = lambda request: 500
    sluice = make(retry_min="10ms", retry_max="40ms", max_attempts=3)
    backlog(sluice, mosquitto, backend, published)
    sluice.wait_event("backend-away")
    backend.wait_requests(200)
    assert deferred(sluice) == [] and sluice.dead() == []
    backend.answer = None
    wait_members(backend, 100)
    assert sorted(all_names(backend.delivered())) == sorted(names_of(published))


@pytest.mark.parametrize("status", [403, 500, 503])
@pytest.mark.parametrize("topics", [1, 2])
def test_the_first_good_message_after_a_bad_one_is_tried_at_once(make, mosquitto, backend, status, topics):
    """A message that is alone fails: it is reported, and the next one to arrive shows that it is at fault."""
    bad, good = messages(topics=topics, each=2 // topics)
    refuse(backend, set(names_of([bad])), status)
    sluice = make(retry_min="1h", retry_max="1h")
    sluice.start().wait_connected()
    mosquitto.publish(*bad)
    sluice.wait_event(AWAY if status >= 500 else MISCONFIGURED)
    mosquitto.publish(*good)
    wait_members(backend, 1)
    sluice.wait_event(BACK)


def test_one_bad_message_of_few_devices_is_no_outage(make, mosquitto, backend):
    """All other messages are in flight when it fails: their end tells that the backend is well."""
    published = messages(topics=12, each=1)
    backend.answer = lambda request: Reply(500 if names(request)[0][0] == "host7" else 200,
                                           delay_s=0 if names(request)[0][0] == "host7" else 0.05)
    sluice = make()
    backlog(sluice, mosquitto, backend, published)
    wait_members(backend, 11)
    wait_until(lambda: [n for r in backend.requests for n in names(r)].count(("host7", 0)) >= 2,
               what="the bad one to be tried again")
    no_false_alarm(sluice)


def test_bad_messages_whose_responses_come_last_are_no_outage(make, mosquitto, backend):
    """When they fail, only bad ones are left; the good ones passed a moment before. The next one passes as well."""
    bad = {("host3", 0), ("host7", 0), ("host9", 0)}
    backend.answer = lambda request: Reply(500, delay_s=0.1) if bad & set(names(request)) else 200
    sluice = make(retry_min="5s", retry_max="5s")
    published = messages(topics=12, each=1)
    backend.start()
    sluice.start().wait_connected()
    sluice.well_from = len(sluice.log)
    publish_all(mosquitto, published)
    wait_members(backend, 9)
    wait_until(lambda: {n for r in backend.requests if r.status == 500 for n in names(r)} == bad, what="the bad ones to fail")
    mosquitto.publish("garden/host1/sensor", b'{"host":"host1","n":1}')
    wait_members(backend, 10)
    no_false_alarm(sluice)


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_sender_of_bad_and_good_messages_delays_no_other(make, mosquitto, backend, status):
    """At default waits: each good message arrives at once, of this sender and of another."""
    backend.answer = lambda request: status if any(n % 2 for host, n in names(request) if host == "host0") else 200
    sluice = make()
    sluice.start().wait_connected()
    sluice.well_from = len(sluice.log)
    for n in range(20):
        mosquitto.publish("garden/host0/sensor", b'{"host":"host0","n":%d}' % n)
        mosquitto.publish("garden/host1/sensor", b'{"host":"host1","n":%d}' % n)
        wait_members(backend, n + 1 + n // 2 + 1, timeout=10)


def test_a_limit_on_one_topic_does_not_slow_a_healthy_one(make, mosquitto, backend):
    """429 again and again for one topic, without Retry-After, while another one publishes."""
    backend.answer = lambda request: 429 if names(request)[0][0] == "host0" else 200
    sluice = make(retry_min="100ms", retry_max="10s")
    sluice.start().wait_connected()
    sluice.well_from = len(sluice.log)
    for n in range(60):
        if n == 1:
            mosquitto.publish("garden/host0/sensor", b'{"host":"host0","n":0}')
        mosquitto.publish("garden/host1/sensor", b'{"host":"host1","n":%d}' % n)
        wait_members(backend, n + 1, timeout=5)
    no_false_alarm(sluice)
    assert sluice.dead() == [] and deferred(sluice) == []


def test_a_message_that_others_wait_for_has_its_backoff(make, mosquitto, backend):
    """on_failure = wait: each message that passes elsewhere is no reason to try it again."""
    backend.answer = lambda request: 500 if names(request)[0] == ("host0", 0) else 200
    sluice = make({"on_failure": "wait"}, retry_min="1h", retry_max="1h")
    sluice.start().wait_connected()
    mosquitto.publish("garden/host0/sensor", b'{"host":"host0","n":0}')
    for n in range(40):
        mosquitto.publish("garden/host1/sensor", b'{"host":"host1","n":%d}' % n)
        wait_members(backend, n + 1)
    tries = [n for r in backend.requests for n in names(r)].count(("host0", 0))
    assert tries <= 3 and sluice.dead() == []


def test_a_rate_leaves_room_for_deferred_messages(make, mosquitto, backend):
    published = messages(topics=5, each=100)
    bad = {("host0", 0)}
    refuse(backend, bad, 500)
    sluice = make(retry_min="10ms", retry_max="20ms", rate=100, max_attempts=1000)
    backlog(sluice, mosquitto, backend, published)
    backend.wait_requests(200)
    assert [n for r in backend.requests for n in names(r)].count(("host0", 0)) > 3


def test_a_route_can_wait_instead(make, mosquitto, backend):
    """on_failure = wait: strict order, at the price of waiting."""
    published = messages(topics=2, each=5)
    bad = {("host0", 0)}
    refuse(backend, bad, 500)
    sluice = make({"on_failure": "wait"}, retry_min="20ms", retry_max="100ms", max_attempts=1000)
    backlog(sluice, mosquitto, backend, published)
    wait_members(backend, 5)
    wait_until(lambda: [n for r in backend.requests for n in names(r)].count(("host0", 0)) > 3,
               what="the bad one to be tried again")
    assert deferred(sluice) == []
    assert not any(name[0] == "host0" for name in all_names(backend.delivered()))
    backend.answer = None
    wait_members(backend, 10)
    good_ones_in_order(backend, published, set())


@pytest.mark.parametrize("route", ["sensor", "renamed"])
def test_a_wrong_format_buries_ten_and_a_reload_returns_them(make, mosquitto, backend, route):
    published = messages(topics=10, each=10)
    backend.answer = lambda request: 200 if request.path == "/api/right" else 400
    sluice = make({"path": "/wrong"}, retry_min="20ms", retry_max="50ms")
    backlog(sluice, mosquitto, backend, published)
    sluice.wait_event("route-held")
    backend.wait_requests(60)
    assert len(sluice.dead()) == 10
    tried = {n for r in backend.requests for n in names(r)}
    assert len(tried) > 20, "it probes widely"
    for again in (sluice.reload, lambda: (sluice.stop(), sluice.start())):  # buries no more
        before = len(backend.requests)
        again()
        backend.wait_requests(before + 20)
        assert len(sluice.dead()) == 10
    sluice.reload(routes={route: {**ONE_BY_ONE, "path": "/right", **({"formerly": "sensor"} if route != "sensor" else {})}})
    wait_members(backend, 100)
    wait_until(lambda: sluice.dead() == [], what="the ten to be returned")
    wait_until(lambda: sluice.sql("select * from held") == [], what="the end of the hold to be stored")
    stops_empty(sluice)


def test_a_person_who_drops_the_dead_letters_ends_the_hold(make, mosquitto, backend):
    """After the next start: nothing is left that could return."""
    backend.answer = lambda request: 400
    sluice = make(retry_min="20ms", retry_max="50ms")
    backlog(sluice, mosquitto, backend, messages(topics=10, each=2))
    sluice.wait_event("route-held")
    sluice.stop()
    sluice.command("queue", "drop", "--yes", "--all")
    backend.answer = lambda request: 400 if names(request)[0][1] == 5 else 200
    sluice.start().wait_connected()
    assert not [line for line in sluice.status()["problems"] if "in a row" in line]
    mosquitto.publish("garden/host0/sensor", b'{"host":"host0","n":5}')
    assert len(sluice.wait_dead(1)) == 1


def test_fresh_good_messages_come_before_a_backlog_of_bad_ones(make, mosquitto, backend):
    """While hundreds of deferred messages are retried, a fresh one waits for none of them."""
    published = messages(topics=20, each=20)
    bad = {name for name in names_of(published) if name[1] < 15}
    backend.answer = lambda request: Reply(500 if bad & set(names(request)) else 200, delay_s=0.02)
    sluice = make(retry_min="10ms", retry_max="20ms", max_attempts=1000, max_in_flight=4)
    backlog(sluice, mosquitto, backend, published)
    wait_members(backend, 100)
    wait_until(lambda: len(deferred(sluice)) == 300, what="300 deferred messages")
    sluice.wait_connected()
    before = len(backend.requests)
    mosquitto.publish("garden/host0/sensor", b'{"host":"host0","n":999}')
    wait_members(backend, 101)
    tried = [names(r)[0] for r in backend.requests[before:]]
    assert tried.index(("host0", 999)) < 40
