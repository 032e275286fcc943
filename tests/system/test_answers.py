"""What responses mean by the configuration, and what TLS demands of both sides."""
import ssl
import subprocess
import warnings
from dataclasses import replace

import pytest

from harness.batches import ROUTE, arrived_in_order, names, names_of, queue_up, wait_members
from harness.certs import CA
from harness.check import arrived_once_in_order, messages, overtakers, per_topic, publish_all, stops_empty
from harness.events import AWAY, BACK, MISCONFIGURED
from harness.gate import Gate
from harness.sluice import SENSOR_ROUTE, backend_section
from harness.wait import wait_until

PUBLISHED = messages(topics=4, each=5)
BAD = b'{"host":"host1","n":2}'


@pytest.fixture
def start(make_sluice, mosquitto, backend):
    """start(settings of the backend, settings of the route): connected."""

    def begin(settings=None, route=None):
        settings = {**backend_section(backend), "max_attempts": 3, **(settings or {})}
        sluice = make_sluice(backends={"garden": settings}, routes={"sensor": {**SENSOR_ROUTE, **(route or {})}})
        return sluice.start().wait_connected()

    return begin


# -- on_status


@pytest.mark.parametrize("where", ["settings", "route"])
@pytest.mark.parametrize("status", [404, 500, 403, 409])
def test_on_status_dead_dead_letters_at_the_first_response(start, mosquitto, backend, status, where):
    """Dead-lettered at the first such response; no other message waits."""
    backend.answer = lambda request: (status, {}, b"gone for good") if request.body == BAD else 200
    sluice = start(**{where: {"on_status": f"{status}:dead"}})
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(len(PUBLISHED) - 1)
    [dead] = sluice.wait_dead(1)
    assert (dead["reason"], dead["last_status"], dead["payload"]) == ("rejected", status, BAD)
    assert "gone for good" in dead["last_error"]
    assert len([r for r in backend.requests if r.body == BAD]) == 1
    arrived_once_in_order(backend, [one for one in PUBLISHED if one[1] != BAD])
    assert not sluice.find_events(AWAY + MISCONFIGURED)
    stops_empty(sluice)


@pytest.mark.parametrize("status", [409, 404, 500, 302])
def test_on_status_delivered_deletes_the_message(start, mosquitto, backend, status):
    """Like a 409 from a backend that has the message already."""
    backend.answer = lambda request: status
    sluice = start({"on_status": f"{status}:delivered"})
    publish_all(mosquitto, PUBLISHED)
    backend.wait_requests(len(PUBLISHED))
    sluice.wait_empty()
    assert sluice.dead() == [] and len(backend.requests) == len(PUBLISHED)
    assert per_topic((r.topic, r.body) for r in backend.requests) == per_topic(PUBLISHED)
    stops_empty(sluice)
    assert sluice.stopped()["delivered"] == len(PUBLISHED)


@pytest.mark.parametrize("status", [403, 400, 409])
def test_on_status_retry_waits_for_the_backend(start, mosquitto, backend, status):
    """The backend is away: no alarm, no dead letter, everything waits for it."""
    backend.answer = lambda request: status
    sluice = start({"on_status": f"{status}:retry"})
    publish_all(mosquitto, PUBLISHED)
    sluice.wait_event("backend-away", "garden", status, level="warning")
    backend.wait_requests(8)
    assert sluice.dead() == [] and sluice.pending() == len(PUBLISHED)
    assert not sluice.find_events(MISCONFIGURED)
    backend.answer = None
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    stops_empty(sluice)


@pytest.mark.parametrize("status", [400, 503, 200])
def test_on_status_hold_raises_an_alarm_and_waits(start, mosquitto, backend, status):
    backend.answer = lambda request: (status, {}, b"read the manual")
    sluice = start({"on_status": f"{status}:hold"})
    publish_all(mosquitto, PUBLISHED)
    sluice.wait_event(MISCONFIGURED, status, "read the manual", level="error")
    backend.wait_requests(8)
    assert sluice.dead() == [] and sluice.pending() == len(PUBLISHED)
    backend.answer = lambda request: 201
    wait_until(lambda: sluice.pending() == 0, what="the end")
    got = [r for r in backend.requests if r.status == 201]
    assert sorted((r.topic, r.body) for r in got) == sorted(PUBLISHED)
    failed = [replace(r, status=0) for r in backend.requests if r.status == status]
    assert overtakers([*failed, *got], PUBLISHED) == []


def test_on_status_later_counts_attempts_of_the_message(start, mosquitto, backend):
    backend.answer = lambda request: 400 if request.body == BAD else 200
    sluice = start({"on_status": "400:later"})
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(len(PUBLISHED) - 1)
    [dead] = sluice.wait_dead(1)
    assert (dead["reason"], dead["payload"]) == ("attempts", BAD)
    assert len([r for r in backend.requests if r.body == BAD]) == 3
    stops_empty(sluice)


def test_on_status_of_a_route_wins_over_its_backend(make_sluice, mosquitto, backend):
    """Only the message itself waits."""
    backend.answer = lambda request: 404 if b'"n":2' in request.body else 200
    routes = {
        "strict": {"topic": "garden/+/sensor", "path": "/strict", "on_status": "404:dead, 409:dead"},
        "loose": {"topic": "garden/+/sensor", "path": "/loose"},
    }
    settings = {**backend_section(backend), "on_status": ["404:delivered", "500:dead"]}
    sluice = make_sluice(backends={"garden": settings}, routes=routes).start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    backend.wait_requests(2 * len(PUBLISHED))
    sluice.wait_empty()
    assert {row["route"] for row in sluice.dead()} == {"strict"}
    assert sorted(row["payload"] for row in sluice.dead()) == [b'{"host":"host%d","n":2}' % n for n in range(4)]
    assert len(backend.requests) == 2 * len(PUBLISHED)
    assert sluice.stop() == 0
    assert sluice.stopped()["delivered"] == 2 * len(PUBLISHED) - 4


@pytest.mark.parametrize("meaning", ["dead", "delivered"])
def test_on_status_applies_to_batches(make_sluice, mosquitto, backend, meaning):
    """dead: the bad message is found. delivered: the batch is done."""
    published, bad = messages(topics=1, each=64), ("host0", 20)
    backend.answer = lambda request: 500 if bad in names(request) else 200
    sluice = make_sluice(backends={"garden": backend}, routes={"sensor": {**ROUTE, "on_status": f"500:{meaning}"}})
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    sluice.wait_empty()
    if meaning == "delivered":
        assert sluice.dead() == [] and len(backend.requests) == 1
        return
    arrived_in_order(backend, published, but=[bad])
    [dead] = sluice.dead()
    assert (dead["reason"], dead["last_status"], dead["payload"]) == ("rejected", 500, published[20][1])
    assert len(backend.requests) <= 13


def test_a_reload_of_on_status_ends_a_hold(start, mosquitto, backend):
    backend.answer = lambda request: 404 if request.body == BAD else 200
    sluice = start()
    mosquitto.publish("garden/host1/sensor", BAD)
    sluice.wait_event(MISCONFIGURED, level="error")
    route = {**SENSOR_ROUTE, "on_status": "404:dead"}
    sluice.reload(routes={"sensor": route})
    assert [row["payload"] for row in sluice.wait_dead(1)] == [BAD]


# -- expect_body


@pytest.mark.parametrize("where", ["settings", "route"])
@pytest.mark.parametrize("batch", [None, 100])
def test_a_response_without_expect_body_holds_everything(start, mosquitto, backend, where, batch):
    """200 and another page, as of a captive portal: held, nothing is lost."""
    backend.answer = lambda request: (200, {}, b'{"OK":true, "note":"ok"}')
    route = {"body": "json", "batch": batch}
    expect = {"expect_body": '"ok":true'}
    sluice = start(expect, route) if where == "settings" else start({}, {**route, **expect})
    publish_all(mosquitto, PUBLISHED)
    line = sluice.wait_event(MISCONFIGURED, level="error")
    assert '"ok":true' in line and '"note":"ok"' in line
    backend.wait_requests(8)
    assert sluice.dead() == [] and sluice.pending() == len(PUBLISHED)
    seen = len(backend.requests)
    backend.answer = lambda request: (200, {}, b'{"n":1,"ok":true}')
    sluice.wait_empty()
    assert sluice.dead() == []
    got = [name for r in backend.requests[seen - 1 :] if b'{"n":1' not in r.body for name in names(r)]
    assert set(got) == set(names_of(PUBLISHED))
    sluice.wait_event(BACK)
    stops_empty(sluice)


def test_expect_body_of_a_route_wins_over_its_backend(start, mosquitto, backend):
    backend.answer = lambda request: (201, {}, b"stored")
    sluice = start({"expect_body": "something else"}, {"expect_body": "stored"})
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    stops_empty(sluice)


def test_expect_body_is_found_within_4096_bytes(start, mosquitto, backend):
    """Within 4096 bytes."""
    backend.answer = lambda request: (200, {}, b" " * 4090 + b"stored" + b" " * 100_000)
    sluice = start({"expect_body": "stored"})
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(len(PUBLISHED))
    stops_empty(sluice)


# -- TLS


@pytest.mark.parametrize("tls", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("alpn", [("h2",), ("http/1.1",)], ids=["h2", "http1"])
def test_a_backend_gets_the_client_certificate(make_sluice, mosquitto, make_backend, ca, tls, alpn):
    """A backend that demands one gets it."""
    cert, key = ca.issue("sluice")
    backend = make_backend(client_ca=ca, tls=tls, alpn=alpn)
    settings = backend_section(backend, cert_file=cert, key_file=key)
    sluice = make_sluice(backends={"garden": settings}).start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    stops_empty(sluice)


# Runs what follows with a terminal of its own, at which nobody answers.
AT_A_TERMINAL = """
import fcntl, os, pty, sys, termios
if os.getpid() != os.getsid(0):
    os.setsid()
for fd in pty.openpty():
    os.set_inheritable(fd, True)
fcntl.ioctl(fd, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_key_under_a_passphrase_is_refused(make_sluice, mosquitto, make_backend, ca):
    """No password is asked for: waiting for one would stop everything else."""
    cert, key = ca.issue("sluice")
    subprocess.run(["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:open", "-out", f"{key}.locked"],
                   check=True)  # fmt: skip
    backend = make_backend(client_ca=ca)
    settings = backend_section(backend, cert_file=cert, key_file=f"{key}.locked")
    sluice = make_sluice(backends={"garden": settings})
    sluice.start(prefix=["/usr/bin/python3", "-c", AT_A_TERMINAL]).wait_connected()
    publish_all(mosquitto, PUBLISHED)
    sluice.wait_event("backend-misconfigured", "garden", "private key", level="error")
    assert sluice.dead() == [] and sluice.pending() == len(PUBLISHED)


@pytest.fixture
def make_gate(ca):
    made = []

    def make(context):
        made.append(Gate(ca, context))
        return made[-1]

    yield make
    for gate in made:
        gate.close()


def server_context(tls):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if tls < ssl.TLSVersion.TLSv1_2:  # OpenSSL does not do that any more by itself
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = tls
    return context


@pytest.mark.parametrize("shown", ["none", "another CA's"])
@pytest.mark.parametrize("tls", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_a_refused_client_certificate_holds_everything(make_sluice, mosquitto, make_backend, make_gate, ca, tls, shown, tmp_path):
    """Held, with an alarm: somebody has to give sluice the right one."""
    context = server_context(tls)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca.ca_file)
    gate, settings = make_gate(context), {}
    if shown != "none":
        cert, key = CA(tmp_path / "other", "other CA").issue("sluice")
        settings = {"cert_file": cert, "key_file": key}
    sluice = make_sluice(backends={"garden": backend_section(gate, **settings)}).start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    sluice.wait_event("backend-misconfigured", "garden", "alert", level="error")
    assert not sluice.find_events(AWAY)
    wait_until(lambda: gate.refused >= 4, what="some more tries")
    assert sluice.dead() == [] and sluice.pending() == len(PUBLISHED) and gate.let_in == 0
    backend = make_backend(client_ca=ca, tls=tls)
    cert, key = ca.issue("sluice")
    sluice.reload(backends={"garden": backend_section(backend, cert_file=cert, key_file=key)})
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    stops_empty(sluice)


@pytest.mark.parametrize("tls", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["1.0", "1.1"])
def test_old_tls_is_refused(make_sluice, mosquitto, make_gate, tls):
    gate = make_gate(server_context(tls))
    sluice = make_sluice(backends={"garden": gate}).start().wait_connected()
    publish_all(mosquitto, PUBLISHED)
    sluice.wait_event("backend-misconfigured", "garden", level="error")
    wait_until(lambda: gate.refused >= 2, what="some more tries")
    assert gate.let_in == 0
    assert sluice.dead() == [] and sluice.pending() == len(PUBLISHED)


def test_all_batches_share_one_tls_connection(make_sluice, mosquitto, make_backend, ca):
    """With a client certificate, one handshake serves them all."""
    cert, key = ca.issue("sluice")
    backend = make_backend(client_ca=ca)
    published = messages(topics=5, each=40)
    settings = backend_section(backend, cert_file=cert, key_file=key)
    sluice = make_sluice(backends={"garden": settings}, routes={"sensor": {**ROUTE, "batch": 10}})
    queue_up(sluice, mosquitto, backend, published)
    sluice.start()
    wait_members(backend, len(published))
    arrived_in_order(backend, published)
    assert backend.connections == 1
