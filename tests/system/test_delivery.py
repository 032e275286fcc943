"""From a device to the backend: what arrives there, and over what."""
import json
import random
import re
import time
from datetime import datetime, timezone

import pytest

from harness.backend import Reply
from harness.check import arrived_once_in_order, messages, per_topic, publish_all, stops_empty
from harness.events import AWAY
from harness.sluice import backend_section

BODIES = [
    pytest.param(b'{ "host": "wino-0013a2", "soil": 512 }', "application/json", id="json"),
    pytest.param("21,5 °C · früh".encode(), "text/plain; charset=utf-8", id="utf8"),
    pytest.param(b"\x00\x01\xff\r\n\x00", "application/octet-stream", id="binary"),
    pytest.param(b"", "text/plain; charset=utf-8", id="empty"),
    pytest.param(random.Random(1).randbytes(200 * 1024), "application/octet-stream", id="200KiB"),
]
SENSOR = "/api/collections/sensor"


@pytest.fixture(params=["nginx", "h2", "http1"])
def server(request, make_backend, make_nginx):
    """(where sluice posts to, where the requests arrive, the version that sluice speaks)"""
    if request.param == "nginx":
        plain = make_backend(ca=None)
        return make_nginx(plain.port, extra="client_body_buffer_size 1m;"), plain, "2"
    backend = make_backend(alpn=("h2", "http/1.1") if request.param == "h2" else ("http/1.1",))
    return backend, backend, "2" if request.param == "h2" else "1.1"


@pytest.mark.parametrize("qos", [0, 1])
def test_the_body_is_the_payload_byte_for_byte(mosquitto, make_sluice, server, qos):
    target, backend, version = server
    sluice = make_sluice(backends={"garden": target})
    sluice.start().wait_connected()
    expected = []
    for number, case in enumerate(BODIES):
        body, content_type = case.values
        mosquitto.publish(f"garden/{number}/sensor", body, qos=qos)
        expected.append((f"garden/{number}/sensor", body, content_type))
    got = backend.wait_for(len(BODIES))
    assert sorted((r.topic, r.body, r.headers["content-type"]) for r in got) == sorted(expected)
    assert {(r.method, r.path) for r in got} == {("POST", SENSOR)}
    if target is backend:
        assert {r.version for r in got} == {version}
    else:
        assert {protocol for protocol, *_ in target.accesses()} == {"HTTP/2.0"}
    sluice.wait_empty()
    assert sluice.dead() == []


def test_requests_have_the_documented_headers(mosquitto, make_sluice, backend):
    sluice = make_sluice(backends={"garden": backend}, routes={"all": {"topic": "garden/#", "path": "/x"}})
    sluice.start().wait_connected()
    topic = "garden/Küche 2/100%/a?b"
    before = datetime.now(timezone.utc)
    mosquitto.publish(topic, b"{}")
    mosquitto.publish(topic, b"{}")
    first, second = backend.wait_for(2)
    headers = first.headers
    assert headers["sluice-topic"] == "garden/K%C3%BCche%202/100%25/a?b"
    assert headers["user-agent"] == "sluice/0.1.0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", headers["sluice-received"])
    received = datetime.fromisoformat(headers["sluice-received"].replace("Z", "+00:00"))
    assert abs((received - before).total_seconds()) < 5
    assert 0 <= int(headers["sluice-age"]) < 5000
    # Two equal readings are two messages, with two keys of one run.
    token, number = re.fullmatch(r"([0-9a-f]{16})-(\d+)", headers["idempotency-key"]).groups()
    assert re.fullmatch(token + r"-\d+", second.key) and second.key != first.key
    names = [name.lower() for name, _ in first.raw_headers]
    assert len(names) == len(set(names))


def test_sluice_age_counts_the_wait(mosquitto, sluice, backend):
    backend.answer = lambda request: 503
    sluice.start().wait_connected()
    began = time.monotonic()
    mosquitto.publish("garden/a/sensor", b"1")
    asked = time.monotonic()
    backend.wait_requests(3)
    backend.answer = None
    got = backend.wait_for(1)[0]
    first = backend.requests[0]
    grown = int(got.headers["sluice-age"]) - int(first.headers["sluice-age"])
    # When sluice sent the last request is not known: after the one before had arrived.
    assert (backend.requests[-2].at - first.at) * 1000 - 1 <= grown <= (got.at - began) * 1000 + 1
    assert int(got.headers["sluice-age"]) >= (first.at - asked) * 1000
    assert got.headers["sluice-received"] == first.headers["sluice-received"]


def test_path_from_topic_and_content_type_from_route(mosquitto, make_sluice, backend):
    routes = {
        "sensor": {"topic": "garden/+/sensor", "path": "/collections/{2}/{3}", "content_type": "text/csv"},
        "heart": {"topic": ["beat/+", "pulse/+"]},
    }
    sluice = make_sluice(backends={"garden": backend}, routes=routes)
    sluice.start().wait_connected()
    mosquitto.publish("garden/wino-0013a2/sensor", b"{}")
    mosquitto.publish("beat/1", b"{}")
    mosquitto.publish("pulse/1", b"[]")
    mosquitto.publish("other/1", b"matches no route")
    mosquitto.publish("beat/2", b"3")
    got = backend.wait_for(4)
    assert sorted((r.path, r.body, r.headers["content-type"]) for r in got) == [
        ("/api", b"3", "application/json"),
        ("/api", b"[]", "application/json"),
        ("/api", b"{}", "application/json"),
        ("/api/collections/wino-0013a2/sensor", b"{}", "text/csv"),
    ]


def test_the_limitless_garden_gets_its_readings(mosquitto, make_sluice, backend_h1, tmp_path):
    """What the "limitless garden" and its devices say to each other."""
    garden, stored = backend_h1, []

    def answer(request):
        match = re.fullmatch(r"/api/collections/(\w+)\?user_key=(.*)", request.path)
        if not match or match.group(2) != "k3y%2F%2B1":
            return (403, {}, b'{"error":"bad key"}')
        if request.headers["content-type"] == "application/json":  # with another it stores nothing
            stored.append((match.group(1), json.loads(request.body)))
        return (200, {}, b'{"insertedCount":1}')

    garden.answer = answer
    (tmp_path / "user_key").write_text("k3y/+1\n")
    (tmp_path / "user_key").chmod(0o600)
    sluice = make_sluice(
        backends={"garden": backend_section(garden, query=f"user_key=@{tmp_path}/user_key")},
        routes={"all": {"topic": "garden/+/+", "path": "/collections/{3}", "content_type": "application/json"}},
    )
    sluice.start().wait_connected()
    mosquitto.publish("garden/wino-0013a2/sensor", b'{ "host": "wino-0013a2", "soil": 512 }', qos=0)
    mosquitto.publish("garden/wino-0013a2/heartbeat", b'{ "host": "wino-0013a2", "loopcount": 7, "errcount": 0 }')
    garden.wait_for(2)
    assert sorted(stored, key=lambda one: one[0]) == [
        ("heartbeat", {"host": "wino-0013a2", "loopcount": 7, "errcount": 0}),
        ("sensor", {"host": "wino-0013a2", "soil": 512}),
    ]


def test_each_kind_of_authentication_is_sent(mosquitto, make_sluice, make_backend, tmp_path):
    for name, secret in [("token", "t0ken"), ("password", "geheim"), ("header", "h3ader")]:
        (tmp_path / name).write_text(secret)
        (tmp_path / name).chmod(0o600)
    bearer, basic = make_backend(), make_backend()
    headers = [f"X-Key: @{tmp_path}/header", "X-Site: north field"]
    sluice = make_sluice(
        backends={
            "bearer": backend_section(bearer, bearer=f"@{tmp_path}/token", header=headers),
            "basic": backend_section(basic, username="anna", password=f"@{tmp_path}/password", query=["a=1", "b=2"]),
        },
        routes={
            "one": {"topic": "garden/#", "backend": "bearer", "path": "/one"},
            "two": {"topic": "garden/#", "backend": "basic", "path": "/two"},
        },
    )
    sluice.start().wait_connected()
    mosquitto.publish("garden/x", b"1")
    [request] = bearer.wait_for(1)
    assert request.headers["authorization"] == "Bearer t0ken"
    assert (request.headers["x-key"], request.headers["x-site"]) == ("h3ader", "north field")
    [request] = basic.wait_for(1)
    assert request.headers["authorization"] == "Basic YW5uYTpnZWhlaW0="
    assert request.path == "/api/two?a=1&b=2"


def test_secrets_come_from_systemds_credentials(mosquitto, make_sluice, backend, tmp_path):
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "garden.key").write_text("from-systemd")
    sluice = make_sluice(backends={"garden": backend_section(backend, query="k=@garden.key")})
    sluice.start(env={"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}).wait_connected()
    mosquitto.publish("garden/x/sensor", b"1")
    assert backend.wait_for(1)[0].path == SENSOR + "?k=from-systemd"


def test_http1_opens_no_more_connections_than_configured(mosquitto, make_sluice, backend_h1):
    """Never more connections than configured, and each is used again."""
    backend_h1.answer = lambda request: Reply(delay_s=0.01)
    sluice = make_sluice(backends={"garden": backend_section(backend_h1, max_connections=3)})
    published = messages(topics=30, each=8)
    sluice.start().wait_connected()
    publish_all(mosquitto, published)
    backend_h1.wait_for(len(published))
    arrived_once_in_order(backend_h1, published)
    assert backend_h1.max_open_connections == 3
    assert backend_h1.max_in_flight == 3
    assert backend_h1.connections == 3


def test_http1_uses_its_connection_again(mosquitto, make_sluice, backend_h1):
    sluice = make_sluice(backends={"garden": backend_h1})
    published = messages(topics=1, each=30)
    sluice.start().wait_connected()
    publish_all(mosquitto, published)
    backend_h1.wait_for(len(published))
    arrived_once_in_order(backend_h1, published)
    assert backend_h1.connections == 1


def test_http2_shares_one_connection(mosquitto, make_sluice, backend):
    """One connection, its streams shared up to the limit and never beyond."""
    backend.answer = lambda request: Reply(delay_s=0.01)
    sluice = make_sluice(backends={"garden": backend_section(backend, max_in_flight=8)})
    published = messages(topics=40, each=10)
    sluice.start().wait_connected()
    publish_all(mosquitto, published)
    backend.wait_for(len(published))
    arrived_once_in_order(backend, published)
    assert backend.max_in_flight == 8
    assert backend.connections == 1


def test_http2_keeps_to_the_servers_limit_of_streams(mosquitto, make_sluice, make_backend):
    backend = make_backend(max_streams=3)
    backend.answer = lambda request: Reply(delay_s=0.005)
    sluice = make_sluice(backends={"garden": backend})
    published = messages(topics=30, each=5)
    sluice.start().wait_connected()
    publish_all(mosquitto, published)
    backend.wait_for(len(published))
    arrived_once_in_order(backend, published)
    assert not sluice.find_events(AWAY)


def test_protocol_http1_on_request(mosquitto, make_sluice, backend):
    sluice = make_sluice(backends={"garden": backend_section(backend, protocol="http1.1")})
    sluice.start().wait_connected()
    mosquitto.publish("garden/x/sensor", b"1")
    assert backend.wait_for(1)[0].version == "1.1"


def test_a_goaway_is_no_outage(mosquitto, make_sluice, make_backend, make_nginx):
    """GOAWAY after every 20 requests is no outage and costs nothing."""
    plain = make_backend(ca=None)
    nginx = make_nginx(plain.port, extra="keepalive_requests 20;")
    sluice = make_sluice(backends={"garden": nginx})
    published = messages(topics=20, each=15)
    sluice.start().wait_connected()
    publish_all(mosquitto, published)
    plain.wait_for(len(published))
    arrived_once_in_order(plain, published)
    stops_empty(sluice)
    assert len({connection for _, connection, *_ in nginx.accesses()}) >= len(published) // 20


@pytest.mark.parametrize("alpn", [("h2",), ("http/1.1",)], ids=["h2", "http1"])
@pytest.mark.parametrize("on_failure", ["defer", "wait"])
def test_random_failures_do_not_change_the_order(mosquitto, make_sluice, make_backend, alpn, on_failure):
    """Many topics, every fifth response a 503, some slow: each topic keeps its order, or, without
    on_failure = wait, only a message that failed is overtaken."""
    backend, chance = make_backend(alpn=alpn), random.Random(7)

    def answer(request):
        if chance.random() < 0.2:
            return 503
        return Reply(delay_s=chance.choice([0, 0, 0.003]))

    backend.answer = answer
    sluice = make_sluice(backends={"garden": {**backend_section(backend), "retry_min": "10ms", "retry_max": "20ms"}},
                         routes={"sensor": {"topic": "garden/#", "path": "/collections/{2}", "on_failure": on_failure}})
    published = messages(topics=25, each=12)
    sluice.start().wait_connected()
    publish_all(mosquitto, published)
    backend.wait_for(len(published))
    arrived_once_in_order(backend, published)
    if on_failure == "wait":
        assert per_topic((r.topic, r.body) for r in backend.delivered()) == per_topic(published)
    stops_empty(sluice)
    assert sluice.dead() == []


def test_order_route_sends_one_message_after_the_other(mosquitto, make_sluice, backend):
    """order = route: one message after the other, whatever its topic."""
    chance = random.Random(3)
    backend.answer = lambda request: 503 if chance.random() < 0.1 else 200
    route = {"topic": "garden/#", "path": "/x", "order": "route", "on_failure": "wait"}
    sluice = make_sluice(backends={"garden": backend}, routes={"all": route})
    published = messages(topics=10, each=5)
    sluice.start().wait_connected()
    publish_all(mosquitto, published)
    backend.wait_for(len(published))
    assert backend.bodies() == [payload for _, payload in published]
    assert backend.max_in_flight == 1


def test_the_stopped_line_counts_messages(mosquitto, sluice, backend):
    """The last line of the log counts what went through."""
    published = messages(topics=20, each=50)
    sluice.start().wait_connected()
    publish_all(mosquitto, published)
    backend.wait_for(len(published))
    arrived_once_in_order(backend, published)
    stops_empty(sluice)
    said = sluice.stopped()
    assert (said["received"], said["stored"], said["delivered"], said["dead"]) == (1000, 1000, 1000, 0)
