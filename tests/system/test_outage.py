"""A backend that is away, however it is away, and back: everything arrives once,
in order per topic, and meanwhile sluice never stalls."""
import email.utils
import random
import shutil
import sqlite3
import time

import pytest

from harness.backend import Reply
from harness.certs import CA
from harness.check import arrived_in_order, arrived_once_in_order, messages, per_topic, publish_all, stops_empty
from harness.clock import Clock
from harness.events import AWAY, MISCONFIGURED
from harness.sluice import backend_section
from harness.wait import wait_until

PUBLISHED = messages(topics=6, each=4)
HURRY = {"timeout": "500ms", "connect_timeout": "300ms"}


@pytest.fixture(params=["h2", "http1"])
def server(request, make_backend):
    return make_backend(alpn=("h2", "http/1.1") if request.param == "h2" else ("http/1.1",), start=False)


def outlast(sluice, mosquitto, backend, repair, event="backend-away", **start):
    """Publishes into the outage, waits until sluice knows of it and has tried again,
    repairs it, and looks at everything afterwards."""
    sluice.start(**start).wait_connected()
    publish_all(mosquitto, PUBLISHED)
    sluice.wait_event(event)
    sluice.wait_pending(len(PUBLISHED))
    time.sleep(0.5)  # the outage lasts for some more attempts
    assert backend.delivered() == []
    assert sluice.pending() == len(PUBLISHED) and sluice.dead() == []
    assert sluice.sql("select sum(attempts) as n from message")[0]["n"] == 0
    repair()
    backend.wait_for(len(PUBLISHED))
    arrived_in_order(backend, PUBLISHED)  # a response that came too late is asked for again
    assert sluice.dead() == []
    # Logged once, not with every attempt.
    assert len(sluice.find_events(event)) <= 2
    stops_empty(sluice)


def test_a_refused_connection_is_an_outage(make_sluice, mosquitto, server):
    sluice = make_sluice(backends={"garden": server})
    outlast(sluice, mosquitto, server, server.start)
    sluice.wait_event("backend-back", "garden")


@pytest.mark.parametrize("handshake", [False, True], ids=["full-backlog", "never-accepts"])
def test_a_black_hole_is_an_outage(make_sluice, mosquitto, server, make_black_hole, handshake):
    hole = make_black_hole(port=server.port, handshake=handshake)

    def repair():
        hole.close()
        server.start()

    outlast(make_sluice(backends={"garden": backend_section(server, **HURRY)}), mosquitto, server, repair)


@pytest.mark.parametrize("mode", ["silent", "nxdomain"])
def test_a_failing_name_service_is_an_outage(make_sluice, mosquitto, make_backend, resolver, ca, mode):
    """A name server that never answers, and one that does not know the host."""
    server = make_backend(cert=ca.issue("garden.invalid"))
    settings = backend_section(server, **HURRY)
    settings["url"] = f"https://garden.invalid:{server.port}/api"
    resolver.mode = mode

    def repair():
        assert resolver.queries > 0 and server.requests == []
        resolver.mode = "answer"

    outlast(make_sluice(backends={"garden": settings}), mosquitto, server, repair, prefix=resolver.prefix())


@pytest.mark.parametrize("resolver", ["no-aaaa"], indirect=True)
def test_a_look_up_may_take_longer_than_a_connection(make_sluice, mosquitto, make_backend, resolver, ca):
    """A name server never answers for IPv6: the C library waits, and then has the IPv4 address."""
    server = make_backend(cert=ca.issue("garden.invalid"))
    settings = {**backend_section(server), "connect_timeout": "1s", "timeout": "5s"}
    settings["url"] = f"https://garden.invalid:{server.port}/api"
    sluice = make_sluice(backends={"garden": settings})
    sluice.start(prefix=resolver.prefix()).wait_connected()
    mosquitto.publish(*PUBLISHED[0])
    server.wait_for(1)
    assert resolver.queries > 1
    assert sluice.find_events("backend-away") == []


def test_a_wrong_ca_is_a_misconfiguration(make_sluice, mosquitto, server, tmp_path):
    other = CA(tmp_path / "other")
    server.start()
    sluice = make_sluice(backends={"garden": backend_section(server, ca_file=other.ca_file)})

    def repair():
        assert server.requests == []
        assert sluice.find_events("backend-misconfigured", "name the file of its certification authority", "ca_file")
        sluice.reload(backends={"garden": server})

    outlast(sluice, mosquitto, server, repair, event=MISCONFIGURED)


def test_a_ca_file_that_is_corrected_in_place_is_taken_up(make_sluice, mosquitto, server, ca, tmp_path):
    """Without a reload: the next probe reads the file again."""
    server.start()
    given = tmp_path / "ca.pem"
    shutil.copy(CA(tmp_path / "other").ca_file, given)
    sluice = make_sluice(backends={"garden": backend_section(server, ca_file=given)})
    outlast(sluice, mosquitto, server, lambda: shutil.copy(ca.ca_file, given), event=MISCONFIGURED)


def test_a_wrong_host_name_is_a_misconfiguration(make_sluice, mosquitto, server, ca):
    server.use_cert(ca.issue("elsewhere.example"))
    server.start()

    def repair():
        assert server.requests == []
        server.use_cert(ca.issue("localhost"))

    outlast(make_sluice(backends={"garden": server}), mosquitto, server, repair, event=MISCONFIGURED)


def test_an_expired_certificate_holds_messages(make_sluice, mosquitto, server, ca):
    """Where our own clock is not synchronised it may be the clock's fault: away."""
    server.use_cert(ca.issue("localhost", expired=True))
    server.start()

    def repair():
        assert server.requests == []
        server.use_cert(ca.issue("localhost"))

    outlast(make_sluice(backends={"garden": server}), mosquitto, server, repair, event=("backend-away", *MISCONFIGURED))


@pytest.mark.parametrize("answer", [429, 500, 503, "cut", "close", "reset", "stall"])
def test_failed_responses_are_an_outage(make_sluice, mosquitto, server, answer):
    server.answer = lambda request: answer
    server.start()

    def repair():
        # One at a time, with waits between: whoever is down is not run over.
        assert server.max_in_flight <= 2
        server.answer = None

    # A short timeout only where the test waits for it: on a busy machine a good response may
    # take longer, and its message then rightly arrives again.
    settings = HURRY if answer == "stall" else {}
    outlast(make_sluice(backends={"garden": backend_section(server, **settings)}), mosquitto, server, repair)


def seconds(wait_s):
    return str(wait_s)


def http_date(wait_s):
    # Of whole seconds, so it may say up to a second less.
    return email.utils.formatdate(time.time() + wait_s, usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", [seconds, http_date])
def test_retry_after_is_honoured(make_sluice, mosquitto, backend, status, form):
    """For two topics: one alone may be a limit for that topic, so another one is tried at once."""
    backend.answer = lambda request: (status, {"Retry-After": form(2)}, b"") if len(backend.requests) < 3 else 200
    settings = {**backend_section(backend), "retry_max": "5s"}
    sluice = make_sluice(backends={"garden": settings})
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    first, _, third = backend.requests[:3]
    assert (1.9 if form is seconds else 0.9) <= third.at - first.at < 4


@pytest.mark.parametrize("wrong_by_ms", [-86_400_000, 86_400_000])
def test_a_date_in_retry_after_is_of_the_backends_clock(make_sluice, mosquitto, backend, tmp_path, wrong_by_ms):
    """A wrong clock here makes the wait neither longer nor shorter."""
    clock = Clock(tmp_path / "clock").set(wrong_by_ms, "unsynchronised")
    backend.answer = lambda request: (
        (503, {"Retry-After": http_date(3), "Date": http_date(0)}, b"") if len(backend.requests) < 3 else 200
    )
    sluice = make_sluice(backends={"garden": {**backend_section(backend), "retry_max": "1h"}})
    sluice.start(env=clock.env).wait_connected()
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(len(PUBLISHED))
    first, _, third = backend.requests[:3]
    assert third.at - first.at >= 1.9


@pytest.mark.parametrize("form", [seconds, http_date])
def test_retry_after_is_bounded(make_sluice, mosquitto, backend, form):
    backend.answer = lambda request: (429, {"Retry-After": form(86400)}, b"") if len(backend.requests) < 3 else 200
    sluice = make_sluice(backends={"garden": backend})  # retry_max = 200ms
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    first, _, third = backend.requests[:3]
    assert 0.19 <= third.at - first.at < 2


@pytest.fixture(params=["stall", "full-backlog", "never-accepts", "no-name"])
def dead(request, make_backend, make_black_hole, ca):
    """(a backend that is away, its settings, what brings it back, what runs sluice)"""
    patient = {"timeout": "60s", "connect_timeout": "60s", "max_attempts": 1000}
    if request.param == "stall":
        backend = make_backend()
        backend.answer = lambda request: "stall"

        def repair():
            backend.answer = None
            backend.stop()  # what stalls ends with an error
            backend.start()

        return backend, backend_section(backend, **patient), repair, ()
    if request.param == "no-name":
        resolver = request.getfixturevalue("resolver")
        backend = make_backend(cert=ca.issue("garden.invalid"))
        settings = backend_section(backend, **HURRY)
        settings["url"] = f"https://garden.invalid:{backend.port}/api"
        return backend, settings, lambda: setattr(resolver, "mode", "answer"), resolver.prefix()
    backend = make_backend(start=False)
    hole = make_black_hole(port=backend.port, handshake=request.param == "never-accepts")

    def refill():
        hole.close()
        backend.start()

    return backend, backend_section(backend, **HURRY), refill, ()


def test_a_backend_does_not_wait_for_another(make_sluice, mosquitto, make_backend, dead):
    """The other is not delayed by it."""
    good, (away, settings, repair, prefix) = make_backend(), dead
    routes = {
        "one": {"topic": "garden/#", "backend": "good", "path": "/one"},
        "two": {"topic": "garden/#", "backend": "away", "path": "/two"},
    }
    sluice = make_sluice(backends={"good": good, "away": settings}, routes=routes)
    sluice.start(prefix=prefix).wait_connected()
    publish_all(mosquitto, PUBLISHED)
    good.wait_for(len(PUBLISHED))
    late = []
    for n in range(20):
        at = time.monotonic()
        late.append(("garden/late/sensor", b"%d" % n))
        mosquitto.publish(*late[-1])
        good.wait_for(len(PUBLISHED) + n + 1)
        assert time.monotonic() - at < 10
    arrived_once_in_order(good, PUBLISHED + late)
    sluice.wait_pending(len(PUBLISHED) + len(late))
    assert away.delivered() == []
    repair()
    away.wait_for(len(PUBLISHED) + len(late))
    arrived_once_in_order(away, PUBLISHED + late)
    stops_empty(sluice)


@pytest.mark.parametrize("kill", [True, False], ids=["kill", "stop"])
def test_a_restart_in_an_outage_changes_no_key_and_no_order(make_sluice, mosquitto, backend, kill):
    """A restart changes no key, and no order."""
    backend.answer = lambda request: 503
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    sluice.wait_pending(len(PUBLISHED))
    backend.wait_requests(3)
    sluice.kill() if kill else sluice.stop()
    sluice.start()
    before = len(backend.requests)
    backend.wait_requests(before + 2)
    backend.answer = None
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    stops_empty(sluice)


def test_a_kill_between_response_and_delete_repeats_the_key(make_sluice, mosquitto, backend):
    """What was delivered and not yet noted comes again, under the same key."""
    sluice = make_sluice(backends={"garden": backend})
    sluice.start(env={"SLUICE_FAULT": "deliver.response:5:kill"}).wait_connected()
    publish_all(mosquitto, PUBLISHED)
    assert sluice.wait_exit() == -9
    sluice.start().wait_connected()
    backend.wait_for(len(PUBLISHED))
    sluice.wait_empty()  # some may be on their way again
    stops_empty(sluice)
    arrived_in_order(backend, PUBLISHED)


def test_a_backend_that_comes_and_goes_gets_everything(make_sluice, mosquitto, server):
    server.start()
    sluice = make_sluice(backends={"garden": backend_section(server, **HURRY)})
    sluice.start().wait_connected()
    published = messages(topics=8, each=30)
    server.answer = lambda request: Reply(delay_s=0.002)
    for start in range(0, len(published), 60):
        before = len(sluice.log)
        publish_all(mosquitto, published[start : start + 30])
        server.stop()
        publish_all(mosquitto, published[start + 30 : start + 60])
        sluice.wait_event("backend-away", "garden", after=before)
        server.start()
        server.wait_for(start + 60)
    # A connection that breaks may take answers along: those come again.
    arrived_in_order(server, published)
    sluice.wait_empty()  # some may be on their way again
    stops_empty(sluice)


def test_a_large_backlog_survives_failures_and_kills(make_sluice, mosquitto, backend):
    """Far more than fits into memory's window of a lane, unevenly spread over topics,
    delivered to a backend that is not well, with kills in between."""
    chance = random.Random(11)
    topics = [f"garden/host{n}/sensor" for n in range(100)]
    published = [(chance.choice(topics[: chance.randrange(1, 100)]), b"%d" % n) for n in range(3000)]
    backend.answer = lambda request: 503
    sluice = make_sluice(backends={"garden": backend_section(backend, max_attempts=1000)})
    sluice.start().wait_connected()
    publish_all(mosquitto, published)
    sluice.wait_pending(len(published))
    backend.answer = lambda request: 503 if chance.random() < 0.01 else 200
    for n in (500, 1500):
        backend.wait_for(n)
        sluice.kill()
        sluice.start()
    backend.wait_for(len(published))
    arrived_in_order(backend, published)
    sluice.wait_empty()  # some may be on their way again
    stops_empty(sluice)


def test_a_newcomer_does_not_wait_behind_a_backlog(make_sluice, mosquitto, backend):
    """Topics take turns."""
    backend.answer = lambda request: Reply(delay_s=0.005)
    sluice = make_sluice(backends={"garden": backend_section(backend, max_in_flight=1)})
    sluice.start().wait_connected()
    published = messages(topics=5, each=60)
    publish_all(mosquitto, published)
    backend.wait_for(20)
    before = len(backend.requests)
    publish_all(mosquitto, [("garden/newcomer/sensor", b"1")])
    backend.wait_for(len(published) + 1)
    [at] = [n for n, r in enumerate(backend.requests) if r.topic == "garden/newcomer/sensor"]
    assert at - before < 100  # of the 280 that were there before it
    arrived_once_in_order(backend, [*published, ("garden/newcomer/sensor", b"1")])


def test_a_closed_idle_connection_is_no_outage(make_sluice, mosquitto, server):
    """A server closes connections that were idle for a while: that is no outage."""
    server.start()
    sluice = make_sluice(backends={"garden": server})
    sluice.start().wait_connected()
    for n in range(5):
        mosquitto.publish("garden/x/sensor", str(n))
        server.wait_for(n + 1)
        server.drop_connections()
        wait_until(lambda: server.open_connections == 0, what="the end of the connection")
    assert len(server.requests) == 5 and server.connections == 5
    assert not sluice.find_events(AWAY)


def test_a_backend_may_come_back_with_another_protocol(make_sluice, mosquitto, make_backend):
    first = make_backend(alpn=("h2",))
    first.answer = lambda request: Reply(delay_s=0.005)
    sluice = make_sluice(backends={"garden": backend_section(first, max_connections=2)})
    sluice.start().wait_connected()
    published = messages(topics=30, each=4)
    publish_all(mosquitto, published[:60])
    first.wait_for(60)
    first.stop()
    publish_all(mosquitto, published[60:])
    sluice.wait_event("backend-away", "garden")
    second = make_backend(alpn=("http/1.1",), port=first.port)
    second.answer = first.answer
    second.wait_for(60)
    arrived_once_in_order(first, published[:60])
    arrived_once_in_order(second, published[60:])
    assert second.max_open_connections <= 2


def test_a_locked_database_delays_deliveries_and_loses_nothing(make_sluice, mosquitto, backend):
    """Another program holds the write lock: nothing is lost, nothing stalls."""
    backend.answer = lambda request: 400 if request.body == b"bad" else 200
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    mosquitto.publish("garden/x/sensor", b"before")
    backend.wait_for(1)
    other = sqlite3.connect(sluice.db, isolation_level=None)
    other.execute("begin immediate")
    publish_all(mosquitto, [*PUBLISHED, ("garden/x/sensor", b"bad")])
    time.sleep(1)
    assert len(backend.requests) == 1
    other.execute("commit")
    backend.wait_for(len(PUBLISHED) + 1)
    other.execute("begin immediate")
    mosquitto.publish("garden/x/sensor", b"after")
    time.sleep(0.3)
    other.execute("commit")
    other.close()
    backend.wait_for(len(PUBLISHED) + 2)
    sluice.wait_dead(1)
    expected = [("garden/x/sensor", b"before"), *PUBLISHED, ("garden/x/sensor", b"after")]
    assert per_topic((r.topic, r.body) for r in backend.delivered()) == per_topic(expected)
    stops_empty(sluice)


def test_the_view_pending_shows_waiting_messages(make_sluice, mosquitto, backend):
    backend.answer = lambda request: 503
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    sluice.wait_pending(len(PUBLISHED))
    rows = sluice.sql("select * from pending")
    assert [(row["topic"], row["payload"]) for row in rows] == [(t, p.decode()) for t, p in PUBLISHED]
    assert {row["route"] for row in rows} == {"sensor"}
    backend.answer = None
    wait_until(lambda: sluice.sql("select * from pending") == [], what="an empty view")
    keys = {(r.topic, r.body.decode()): r.key for r in backend.delivered()}
    assert keys == {(row["topic"], row["payload"]): row["idempotency_key"] for row in rows}
