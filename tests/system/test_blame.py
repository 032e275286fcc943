"""Whose fault a failure is: the backend's, the route's, or one message's own."""
import base64
import html
import itertools
import json
import random
import re
import time
import urllib.parse
from pathlib import Path

import pytest

from harness.backend import Reply
from harness.check import (
    arrived_in_order, arrived_once_in_order, messages, overtakers, per_topic, publish_all, stops_empty, under_one_key_each,
)  # fmt: skip
from harness.events import AWAY, BACK, MISCONFIGURED
from harness.sluice import SENSOR_ROUTE, backend_section
from harness.wait import PATIENCE_S, wait_until

PUBLISHED = messages(topics=6, each=4)
POISON = b'{"poison":true}'


def settings_of(backend, **more):
    return {**backend_section(backend), "max_attempts": 3, **more}


@pytest.fixture
def start(make_sluice, mosquitto, backend):
    """start(settings...): sluice, connected, with few attempts before it gives up."""

    def begin(**more):
        sluice = make_sluice(backends={"garden": settings_of(backend, **more)})
        return sluice.start().wait_connected()

    return begin


@pytest.mark.parametrize("status, scheme", [(301, "http"), (301, "https"), (307, "http"), (308, "https")])
def test_redirects_are_not_followed(start, mosquitto, backend, make_backend, ca, status, scheme):
    target = make_backend(ca=ca if scheme == "https" else None)
    backend.answer = lambda request: (status, {"Location": target.url + "/collections/sensor"}, b"moved")
    sluice = start()
    publish_all(mosquitto, PUBLISHED)
    sluice.wait_event(MISCONFIGURED, level="error")
    backend.wait_requests(6)
    assert (target.requests, target.connections) == ([], 0)
    assert sluice.pending() == len(PUBLISHED) and sluice.dead() == []
    backend.answer = None
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    assert len(sluice.find_events(MISCONFIGURED, level="error")) <= 2
    sluice.wait_event(BACK)


@pytest.mark.parametrize("status", [400, 410, 413, 422])
def test_a_bad_message_is_dead_lettered(start, mosquitto, backend, status):
    words = "no such field: soil, near line 1"
    backend.answer = lambda request: (status, {}, words.encode()) if request.body == POISON else 200
    sluice = start()
    topic = PUBLISHED[0][0]
    published = PUBLISHED[:9] + [(topic, POISON)] + PUBLISHED[9:]
    publish_all(mosquitto, published)
    [dead] = sluice.wait_dead(1)
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order_but(backend, published)
    stops_empty(sluice)
    assert (dead["reason"], dead["last_status"], dead["topic"], dead["payload"]) == (
        "rejected",
        status,
        topic,
        POISON,
    )
    assert words in dead["last_error"]
    assert len([r for r in backend.requests if r.body == POISON]) == 1
    [line] = sluice.wait_events(1, "message-dead", dead["id"], "sensor", topic, "rejected")
    assert words in line
    [row] = sluice.sql("select * from dead")
    assert (row["payload"], row["reason"]) == (POISON.decode(), "rejected") and words in row["last_error"]
    assert sluice.stopped()["dead"] == 1


def arrived_once_in_order_but(backend, published, bad=POISON):
    """Everything but the bad message was delivered once, in order."""
    under_one_key_each(list(backend.requests))
    got = per_topic((r.topic, r.body) for r in backend.delivered())
    assert got == per_topic([one for one in published if one[1] != bad])


@pytest.mark.parametrize("status", [401, 403, 404, 501])
def test_a_status_for_all_messages_holds_them(start, mosquitto, backend, status):
    """A wrong key or path: nothing is dead-lettered, however often it is tried."""
    backend.answer = lambda request: (status, {}, b"go away")
    sluice = start(retry_max="40ms")
    publish_all(mosquitto, PUBLISHED)
    sluice.wait_event(MISCONFIGURED, status, level="error")
    backend.wait_requests(20)
    assert sluice.pending() == len(PUBLISHED) and sluice.dead() == []
    # It was probed with more than one message, one at a time.
    assert len({r.key for r in backend.requests}) > 1
    backend.answer = None
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    assert sluice.dead() == [] and len(sluice.find_events(MISCONFIGURED, level="error")) <= 2
    sluice.wait_event(BACK)
    stops_empty(sluice)


@pytest.mark.parametrize("status, each", [(401, 5), (403, 1), (404, 5)])
def test_a_status_for_the_only_topic_holds_it(start, mosquitto, backend, status, each):
    backend.answer = lambda request: status
    sluice = start(retry_max="40ms")
    published = messages(topics=1, each=each)
    publish_all(mosquitto, published)
    sluice.wait_event(MISCONFIGURED, level="error")
    backend.wait_requests(20)
    assert sluice.pending() == len(published) and sluice.dead() == []
    backend.answer = None
    backend.wait_for(len(published))
    under_one_key_each(list(backend.requests))
    assert sorted(backend.bodies()) == sorted(payload for _, payload in published)


def test_a_reload_with_a_new_path_ends_a_hold(start, mosquitto, backend):
    backend.answer = lambda request: 200 if request.path == "/api/collections/right" else 404
    sluice = start()
    publish_all(mosquitto, PUBLISHED)
    sluice.wait_event(MISCONFIGURED, level="error")
    backend.wait_requests(8)
    sluice.reload(routes={"sensor": {"topic": "garden/+/sensor", "path": "/collections/right"}})
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    stops_empty(sluice)
    assert sluice.dead() == []


def test_a_reload_reads_a_new_key_and_ends_a_hold(start, mosquitto, backend, tmp_path):
    """The secret's file changes, the configuration does not."""
    key = tmp_path / "key"
    key.write_text("old")
    key.chmod(0o600)
    backend.answer = lambda request: 200 if request.path.endswith("?user_key=new") else 403
    sluice = start(query=f"user_key=@{key}")
    publish_all(mosquitto, PUBLISHED)
    sluice.wait_event(MISCONFIGURED, level="error")
    backend.wait_requests(8)
    key.write_text("new\n")
    sluice.reload()
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    stops_empty(sluice)
    assert sluice.dead() == []


def test_a_refused_route_does_not_hold_another(make_sluice, mosquitto, backend):
    backend.answer = lambda request: 404 if request.path == "/api/wrong" else 200
    routes = {
        "good": {"topic": "garden/#", "path": "/right"},
        "bad": {"topic": "garden/#", "path": "/wrong"},
    }
    sluice = make_sluice(backends={"garden": settings_of(backend)}, routes=routes)
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(len(PUBLISHED))
    sluice.wait_event("route-misconfigured", "bad", level="error")
    assert not sluice.find_events("backend-misconfigured")
    for n in range(10):
        mosquitto.publish("garden/host0/sensor", str(n))
        backend.wait_for(len(PUBLISHED) + n + 1)
    sluice.wait_pending(len(PUBLISHED) + 10)
    assert sluice.dead() == []
    backend.answer = None
    backend.wait_for(2 * (len(PUBLISHED) + 10))
    late = [("garden/host0/sensor", str(n).encode()) for n in range(10)]
    for path in ("/api/right", "/api/wrong"):
        got = [r for r in backend.requests if r.path == path]
        assert sorted((r.topic, r.body) for r in got if r.status == 200) == sorted(PUBLISHED + late)
        assert overtakers(got, PUBLISHED + late) == []


def test_a_backend_that_refuses_all_routes_holds_them(make_sluice, mosquitto, backend):
    """As with a key that is wrong: it is the backend as a whole."""
    backend.answer = lambda request: 403
    routes = {
        "one": {"topic": "garden/#", "path": "/one"},
        "two": {"topic": "garden/#", "path": "/two"},
    }
    sluice = make_sluice(backends={"garden": settings_of(backend, retry_max="40ms")}, routes=routes)
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    sluice.wait_event(MISCONFIGURED, level="error")
    backend.wait_requests(30)
    assert sluice.pending() == 2 * len(PUBLISHED) and sluice.dead() == []
    backend.answer = None
    backend.wait_for(2 * len(PUBLISHED))
    for path in ("/api/one", "/api/two"):
        got = [r for r in backend.requests if r.path == path]
        assert sorted((r.topic, r.body) for r in got if r.status == 200) == sorted(PUBLISHED)
        assert overtakers(got, PUBLISHED) == []
    assert len(sluice.find_events(MISCONFIGURED, level="error")) <= 3
    stops_empty(sluice)


def publish_until_dead(sluice, mosquitto, topics):
    """Good messages go on coming, as they do, until one is dead-lettered."""
    published = []

    def another():
        if sluice.dead():
            return True
        one = (topics[len(published) % len(topics)], b"later %d" % len(published))
        mosquitto.publish(*one)
        published.append(one)
        return False

    wait_until(another, what="a dead letter")
    return published


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_message_that_always_fails_is_dead_lettered(start, mosquitto, backend, status):
    """Its neighbours pass, again and again: it is the message after all."""
    backend.answer = lambda request: (status, {}, b"broken soil") if request.body == POISON else 200
    sluice = start()
    published = [*PUBLISHED[:5], ("garden/host0/sensor", POISON), *PUBLISHED[5:]]
    publish_all(mosquitto, published)
    others = [f"garden/host{n}/sensor" for n in range(1, 6)]
    published += publish_until_dead(sluice, mosquitto, others)
    backend.wait_for(len(published) - 1)
    arrived_once_in_order_but(backend, published)
    stops_empty(sluice)
    [dead] = sluice.dead()
    assert (dead["reason"], dead["last_status"], dead["payload"]) == ("attempts", status, POISON)
    assert "broken soil" in dead["last_error"]
    assert len([r for r in backend.requests if r.body == POISON]) >= 3
    sluice.wait_event("message-dead", dead["id"], "attempts")


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_message_that_always_fails_leaves_the_only_lane(start, mosquitto, backend, status):
    backend.answer = lambda request: status if request.body == POISON else 200
    sluice = start()
    topic = PUBLISHED[0][0]
    published = [(topic, POISON), *messages(topics=1, each=10)]
    publish_all(mosquitto, published)
    published += publish_until_dead(sluice, mosquitto, [topic])
    backend.wait_for(len(published) - 1)
    arrived_once_in_order_but(backend, published)
    stops_empty(sluice)
    [dead] = sluice.dead()
    assert (dead["reason"], dead["last_status"], dead["payload"]) == ("attempts", status, POISON)


def test_several_messages_that_always_fail_are_dead_lettered(start, mosquitto, backend):
    """In several topics at once, among good ones."""
    bad = [b'{"poison":%d}' % n for n in range(3)]
    backend.answer = lambda request: 404 if request.body in bad else 200
    sluice = start()
    published = list(PUBLISHED)
    for n in range(3):
        published.insert(4 + 5 * n, (f"garden/host{n}/sensor", bad[n]))
    publish_all(mosquitto, published)

    def all_dead():
        if len(sluice.dead()) == 3:
            return True
        one = (f"garden/host{3 + len(published) % 3}/sensor", b"later %d" % len(published))
        mosquitto.publish(*one)
        published.append(one)
        return False

    wait_until(all_dead, what="three dead letters")
    backend.wait_for(len(published) - 3)
    under_one_key_each(list(backend.requests))
    good = [one for one in published if one[1] not in bad]
    assert sorted((r.topic, r.body) for r in backend.delivered()) == sorted(good)
    assert overtakers(list(backend.requests), good) == []
    assert sorted(row["payload"] for row in sluice.dead()) == bad
    assert {row["reason"] for row in sluice.dead()} == {"attempts"}
    stops_empty(sluice)


@pytest.mark.parametrize("answer", ["cut", "close", "reset", "stall"])
def test_a_message_that_breaks_the_connection_is_dead_lettered(start, mosquitto, backend, answer):
    backend.answer = lambda request: answer if request.body == POISON else 200
    sluice = start(timeout="300ms")
    published = [*PUBLISHED[:5], ("garden/host0/sensor", POISON), *PUBLISHED[5:]]
    publish_all(mosquitto, published)
    others = [f"garden/host{n}/sensor" for n in range(1, 6)]
    published += publish_until_dead(sluice, mosquitto, others)
    backend.wait_for(len(published) - 1)
    under_one_key_each(list(backend.requests))
    sluice.wait_empty()  # some may be on their way again
    stops_empty(sluice)
    [dead] = sluice.dead()
    assert (dead["reason"], dead["payload"]) == ("attempts", POISON)
    # A connection that breaks takes its neighbours' answers along: those come again.
    first = {r.key: (r.topic, r.body) for r in reversed(backend.delivered())}
    assert sorted(first.values()) == sorted(one for one in published if one[1] != POISON)


def test_messages_on_a_broken_connection_are_not_blamed(start, mosquitto, backend):
    """One message breaks the connection again and again, while others are in flight
    on it: only that one is dead-lettered."""
    backend.answer = lambda request: "close" if request.body == POISON else Reply(delay_s=0.01)
    sluice = start()
    published = [*PUBLISHED[:5], ("garden/host0/sensor", POISON), *PUBLISHED[5:]]
    publish_all(mosquitto, published)
    others = [f"garden/host{n}/sensor" for n in range(1, 6)]
    published += publish_until_dead(sluice, mosquitto, others)
    wait_until(lambda: POISON in [row["payload"] for row in sluice.dead()], what="the end of the one at fault")
    sluice.wait_empty()
    assert [row["payload"] for row in sluice.dead()] == [POISON]


def test_a_message_with_conflicts_is_dead_lettered_after_max_attempts(start, mosquitto, backend):
    backend.answer = lambda request: (409, {}, b"edit conflict") if request.body == POISON else 200
    sluice = start()
    published = [*PUBLISHED[:5], ("garden/host0/sensor", POISON), *PUBLISHED[5:]]
    publish_all(mosquitto, published)
    [dead] = sluice.wait_dead(1)
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order_but(backend, published)
    assert (dead["reason"], dead["last_status"], dead["last_error"]) == ("attempts", 409, dead["last_error"])
    assert "edit conflict" in dead["last_error"]
    assert len([r for r in backend.requests if r.body == POISON]) == 3
    stops_empty(sluice)


def test_a_conflict_that_ends_delivers_the_message(start, mosquitto, backend):
    seen = []

    def answer(request):
        seen.append(request.body)
        return 409 if request.body == PUBLISHED[0][1] and seen.count(request.body) < 3 else 200

    backend.answer = answer
    sluice = start()
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    stops_empty(sluice)
    assert sluice.dead() == []


@pytest.mark.parametrize("topics", [2, 1])
def test_ten_rejected_in_a_row_hold_the_route(start, mosquitto, backend, topics):
    """When everything is rejected it is the configuration: dead-letter no more."""
    backend.answer = lambda request: (400, {}, b"what is this?")
    sluice = start(retry_max="40ms")
    published = messages(topics=topics, each=40 // topics)
    publish_all(mosquitto, published)
    sluice.wait_event("route-misconfigured", "sensor", level="error")
    backend.wait_requests(30)
    rejected = len(sluice.dead())
    assert 10 <= rejected <= 12
    assert {dead["reason"] for dead in sluice.dead()} == {"rejected"}
    assert sluice.pending() == len(published) - rejected
    backend.answer = None
    backend.wait_for(len(published) - rejected)
    stops_empty(sluice)
    dead = [(row["topic"], row["payload"]) for row in sluice.dead()]
    assert len(dead) == rejected
    assert sorted(dead + [(r.topic, r.body) for r in backend.delivered()]) == sorted(published)


def test_rejections_with_deliveries_between_hold_nothing(start, mosquitto, backend):
    backend.answer = lambda request: 400 if request.body.startswith(b"bad") else 200
    sluice = start()
    published = []
    for n in range(15):
        published += [("garden/a/sensor", b"bad %d" % n), ("garden/a/sensor", b"good %d" % n)]
    publish_all(mosquitto, published)
    assert len(sluice.wait_dead(15)) == 15
    backend.wait_for(15)
    assert not sluice.find_events(MISCONFIGURED)


PAGE = b"""<!DOCTYPE html><html><head><title>Error 500</title><style>p { color: red }</style></head>
<body><h1>Internal Server Error</h1><p>Cast to <b>Number</b> failed &amp; gave up</p><script>x()</script></body></html>"""


def test_of_a_page_that_reports_an_error_only_its_text_is_kept(start, mosquitto, backend):
    backend.answer = lambda request: (422, {"Content-Type": "text/html"}, PAGE) if request.body == POISON else 200
    sluice = start()
    publish_all(mosquitto, [*PUBLISHED, (PUBLISHED[0][0], POISON)])
    [dead] = sluice.wait_dead(1)
    assert dead["last_error"] == "422: Error 500 Internal Server Error Cast to Number failed & gave up"


HTML = {"Content-Type": "text/html; charset=utf-8"}
FATAL = b"<br />\n<b>Fatal error</b>: out of memory, s3cret-of-ours"


def html_problems(sluice, **more):
    return [problem for problem in sluice.status(**more)["problems"] if "web page" in problem]


def test_html_is_delivered_with_an_alarm_that_stays(make_sluice, mosquitto, backend, tmp_path):
    """An error of PHP, or a login page, with status 200: somebody has to look whether the readings are there. A later
    response does not say that, nor does a reload for another reason."""
    (tmp_path / "token").write_text("s3cret-of-ours\n")
    pages = [(200, HTML, FATAL), (200, HTML, b"<html>Please log in")]
    backend.answer = lambda request: pages.pop(0) if pages else 200
    settings = settings_of(backend, bearer=f"@{tmp_path}/token")
    sluice = make_sluice(backends={"garden": settings}, queue={"clock": "trust"})
    sluice.start().wait_connected()
    assert html_problems(sluice, expect=0) == []
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    assert sluice.dead() == []
    sluice.wait_events(1, "response-html", "sensor", level="error")
    line = re.compile(r"route sensor: since \S+ \S+, 2 messages were delivered although the response was a web page "
                      r"\(200: \(text withheld.*\)\): .* expect_body.* html = ok\b.*")  # fmt: skip
    wait_until(lambda: len(html_problems(sluice, expect=4)) == 1, what="the problem")
    assert line.fullmatch(html_problems(sluice, expect=4)[0])
    assert f"! {html_problems(sluice)[0]}\n" in sluice.command("status", expect=4)
    sluice.reload(backends={"garden": {**settings, "max_attempts": 4}})
    assert line.fullmatch(html_problems(sluice, expect=4)[0])
    sluice.reload(backends={"garden": {**settings, "html": "ok"}})
    assert html_problems(sluice, expect=0) == []
    stops_empty(sluice)


@pytest.mark.parametrize("of_backend, of_route", [
    ({"html": "ok"}, {}), ({}, {"html": "ok"}), ({"expect_body": "log in"}, {}), ({}, {"expect_body": "Please"})])  # fmt: skip
def test_html_that_is_right_is_no_alarm(make_sluice, mosquitto, backend, of_backend, of_route):
    backend.answer = (200, HTML, b"<html>Please log in")
    sluice = make_sluice(backends={"garden": settings_of(backend, **of_backend)}, queue={"clock": "trust"},
                         routes={"sensor": {**SENSOR_ROUTE, **of_route}})  # fmt: skip
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(len(PUBLISHED))
    assert html_problems(sluice, expect=0) == []
    stops_empty(sluice)
    assert not sluice.find_events("response-html")


def test_many_bad_ones_do_not_fill_the_log(start, mosquitto, backend):
    """Good ones between them, or their route would be held. Each is in the queue anyway."""
    backend.answer = lambda request: 400 if request.body == POISON else 200
    sluice = start()
    for n in range(50):
        mosquitto.publish_many([("garden/a/sensor", POISON, 1), ("garden/a/sensor", b"%d" % n, 1)])
        backend.wait_for(n + 1)
    sluice.wait_dead(50)
    sluice.wait_events(5, "message-dead", "rejected")
    sluice.wait_event("message-dead", "45 more", "sensor", timeout=2 * PATIENCE_S)
    mosquitto.publish("garden/a/sensor", POISON)
    dead = sluice.wait_dead(51)
    sluice.wait_event("message-dead", dead[-1]["id"])


def test_the_backends_text_is_bounded_and_on_one_line(start, mosquitto, backend):
    words = b"bad\r\n2026-01-01T00:00:00.000Z error forged \x1b[31m\xff\x00" + b"x" * 100_000
    backend.answer = lambda request: (400, {}, words)
    sluice = start()
    mosquitto.publish("garden/a/sensor", POISON)
    [dead] = sluice.wait_dead(1)
    line = sluice.wait_event("message-dead", "rejected")
    assert len(dead["last_error"]) < 1000 and len(line) < 1500
    assert "forged" in line and "\x1b" not in line
    assert "\x1b" not in dead["last_error"] and "\n" not in dead["last_error"]


def test_a_backend_that_is_away_is_no_messages_fault(start, mosquitto, backend):
    """However often it is tried: the message waits."""
    backend.answer = lambda request: 503
    sluice = start(retry_max="20ms")
    mosquitto.publish("garden/a/sensor", b"1")
    mosquitto.publish("garden/b/sensor", b"2")
    backend.wait_requests(30)
    assert sluice.dead() == [] and sluice.pending() == 2
    backend.answer = None
    backend.wait_for(2)


def test_a_backend_that_is_away_gets_few_requests(start, mosquitto, backend):
    backend.answer = lambda request: 503
    sluice = start(retry_min="200ms", retry_max="400ms")
    publish_all(mosquitto, messages(topics=30, each=5))
    backend.wait_requests(1)
    sluice.wait_pending(150)
    before = len(backend.requests)
    time.sleep(2)
    # Full jitter: a round each 200 ms on average, of a probe and four checks at most.
    assert len(backend.requests) - before < 100
    assert backend.max_in_flight <= 2


def test_a_backend_that_comes_back_gets_more_requests_step_by_step(start, mosquitto, backend):
    """It opens slowly: 1, 2, 4 ..."""
    backend.answer = lambda request: 503
    sluice = start()
    published = messages(topics=60, each=3)
    publish_all(mosquitto, published)
    sluice.wait_pending(len(published))
    backend.wait_requests(3)
    wait_until(lambda: backend.in_flight == 0, what="a pause")
    backend.max_in_flight = 0
    under_way = []

    def answer(request):
        under_way.append(backend.in_flight)
        return Reply(delay_s=0.05)

    backend.answer = answer
    backend.wait_for(len(published))
    arrived_once_in_order(backend, published)
    assert under_way[0] == 1 and max(under_way[:3]) <= 2
    assert max(under_way) > 8


@pytest.mark.parametrize("alpn", [("h2",), ("http/1.1",)], ids=["h2", "http1"])
def test_random_statuses_lose_no_message(make_sluice, mosquitto, make_backend, alpn):
    """All kinds of answers at random, and messages that never pass: each message is
    delivered or dead-lettered, in order per topic, and only what was refused is dead-lettered."""
    backend, chance = make_backend(alpn=alpn), random.Random(5)
    moods = [503, 500, 429, 404, 403, 409, "cut", "close", "reset"]
    published = messages(topics=30, each=15)
    never = {body: status for (_, body), status in zip(chance.sample(published, 12), [400, 404, 409] * 4)}

    def answer(request):
        if request.body in never:
            return never[request.body]
        return chance.choice(moods) if chance.random() < 0.05 else 200

    backend.answer = answer
    settings = {**backend_section(backend), "retry_min": "10ms", "retry_max": "20ms", "max_attempts": 6}
    sluice = make_sluice(backends={"garden": settings})
    sluice.start().wait_connected()
    publish_all(mosquitto, published)
    trickle = [f"garden/trickle{n}/sensor" for n in range(6)]  # somebody always has something to say

    def over():
        if len(sluice.dead()) >= len(never):
            return True
        published.append((trickle[len(published) % 6], b"trickle %d" % len(published)))
        mosquitto.publish(*published[-1])
        return False

    wait_until(over, timeout=60, what="the dead letters")
    sluice.wait_empty()
    dead = [(row["topic"], row["payload"]) for row in sluice.dead()]
    assert sorted(payload for _, payload in dead) == sorted(never)
    arrived_in_order(backend, [one for one in published if one not in dead])
    stops_empty(sluice)


@pytest.mark.parametrize("protocol", ["auto", "http1.1"])
def test_a_body_too_large_for_nginx_is_dead_lettered(make_sluice, mosquitto, make_backend, make_nginx, protocol):
    """nginx answers 413 before it has read the body."""
    plain = make_backend(ca=None)
    nginx = make_nginx(plain.port, extra="client_max_body_size 10k;")
    sluice = make_sluice(backends={"garden": settings_of(nginx, protocol=protocol)})
    sluice.start().wait_connected()
    published = [*PUBLISHED[:8], ("garden/host1/sensor", b"x" * 200_000), *PUBLISHED[8:]]
    publish_all(mosquitto, published)
    plain.wait_for(len(PUBLISHED))
    arrived_once_in_order(plain, PUBLISHED)
    [dead] = sluice.wait_dead(1)
    assert (dead["reason"], dead["last_status"], len(dead["payload"])) == ("rejected", 413, 200_000)
    stops_empty(sluice)


def test_a_long_response_is_not_kept(start, mosquitto, backend):
    """Nobody needs what a backend says after it has taken the message."""
    backend.answer = lambda request: (200, {}, b"x" * 5_000_000)
    sluice = start()
    publish_all(mosquitto, PUBLISHED[:6])
    backend.wait_for(6)
    arrived_once_in_order(backend, PUBLISHED[:6])
    stops_empty(sluice)


SECRETS = {"key": "qu3ry/s3cret+&x", "header": "h3ader-s3cret?~", "token": "b3arer-s3cret", "password": "p4ss:s3cret%"}
BASE64 = {name: base64.b64encode(text.encode()).decode()
          for name, text in {**SECRETS, "pair": f"anna:{SECRETS['password']}"}.items()}  # fmt: skip
URL_SAFE = str.maketrans("+/", "-_")
TELLTALES = ["s3cret"] + [form for text in BASE64.values() for form in (text.rstrip("="), text.rstrip("=").translate(URL_SAFE))]
KNOWN_TO = {"bearer": ["key", "header", "token"], "basic": ["key", "header", "password", "pair"]}
FORMS = [str, urllib.parse.quote, urllib.parse.quote_plus, html.escape, json.dumps,
         lambda text: urllib.parse.quote(urllib.parse.quote(text, safe=""))]  # fmt: skip


def everything_said(sluice, *words, **more):
    return sluice.command(*words, expect=None, **more) + sluice.said


@pytest.mark.parametrize("status", [400, 403, 409, 503, "refused", "cut"])
def test_secrets_appear_nowhere(make_sluice, mosquitto, make_backend, tmp_path, status):
    """Not in the log, the database, the views, what its socket and its commands say, the
    process list; not even when the backend quotes them."""
    files = {}
    for name, secret in SECRETS.items():
        files[name] = tmp_path / f"secret-{name}"
        files[name].write_text(secret)
        files[name].chmod(0o600)
    common = {"query": f"user_key=@{files['key']}", "header": f"X-Key: @{files['header']}", "max_attempts": 2}
    bearer, basic = make_backend(), make_backend()
    sluice = make_sluice(
        backends={
            "bearer": backend_section(bearer, bearer=f"@{files['token']}", **common),
            "basic": backend_section(basic, username="anna", password=f"@{files['password']}", **common),
        },
        routes={
            "one": {"topic": "garden/#", "backend": "bearer", "path": "/one"},
            "two": {"topic": "garden/#", "backend": "basic", "path": "/two"},
        },
    )

    turn = itertools.count()

    def answer(request):
        if status == "cut":
            return "cut"
        known = KNOWN_TO["bearer" if request.path.startswith("/api/one") else "basic"]
        texts = [text for name in known for text in (SECRETS.get(name, ""), BASE64[name])]
        quoted = [f"{request.path} {request.headers}", *(form(text) for text in texts for form in FORMS)]
        at = len(quoted) // 2 * next(turn) % len(quoted)  # only the beginning of an answer is kept
        return (status, {"X-Echo": request.path, "Location": request.path}, str(quoted[at:] + quoted[:at]).encode())

    for backend in (bearer, basic):
        backend.answer = answer
        if status == "refused":
            backend.stop()
    sluice.start(args=["-v"]).wait_connected()
    for n in range(3):
        mosquitto.publish(f"garden/{n}", b"1")
    if status in (400, 409):
        sluice.wait_dead(6)
    else:
        for name, route in (("bearer", "one"), ("basic", "two")):
            wait_until(lambda: sluice.find_events(AWAY + MISCONFIGURED, name)
                       or sluice.find_events(AWAY + MISCONFIGURED, route), what=f"trouble with {name}")
    if status != "refused":
        bearer.wait_requests(3)
        assert "Bearer b3arer-s3cret" == bearer.requests[0].headers["authorization"]
    views = str([sluice.sql(f"select * from {view}") for view in ("pending", "dead", "summary")])
    ids = [row["id"] for row in sluice.sql("select id from message union all select id from dead_letter")]
    said = [everything_said(sluice, *words) for words in
            [["status"], ["status", "--json"], ["queue", "ls"], ["queue", "show", *ids],
             ["queue", "show", "--json", *ids], ["queue", "export"], ["queue", "count"],
             ["queue", "ls", "--route", "noe"], ["queue", "drop", "--all"], ["queue", "retry", "--all"],
             ["send", "garden/x", "1"], ["send", "nowhere/x", "1"]]]  # fmt: skip
    assert all(said[:10]) and "would be sent" in said[3]
    said += [sluice.ask("status\n"), everything_said(sluice, "check", sluice.config_file, configured=False)]
    process = b"".join(Path(f"/proc/{sluice.process.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
    # Before the stop, which makes a checkpoint, and after it.
    database = [path.read_bytes() for path in sluice.dir.glob("queue.db*") if path.is_file()]
    sluice.stop()
    said += [everything_said(sluice, *words) for words in
             [["status"], ["send", "garden/x", "1"], ["queue", "show", *ids], ["queue", "drop", "--all", "--yes"]]]  # fmt: skip
    database += [path.read_bytes() for path in sluice.dir.glob("queue.db*")]
    for telltale in TELLTALES:
        assert telltale not in sluice.log_text()
        assert telltale not in views
        assert not any(telltale in text for text in said)
        assert telltale.encode() not in process
        assert not any(telltale.encode() in content for content in database)
