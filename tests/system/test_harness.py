"""The harness itself works, without sluice."""
import json
import subprocess

import pytest

from harness.backend import Reply
from harness.events import Pattern, event_names, parse
from harness.nginx import Nginx
from harness.wait import wait_until


def curl(url, *args, ca_file=None):
    trust = ["--cacert", ca_file] if ca_file else []
    return subprocess.run(
        ["curl", "-sS", "-m", "5", *trust, *args, url], capture_output=True, text=False, check=False
    )


@pytest.mark.parametrize("version", ["2", "1.1"])
def test_a_backend_speaks_both_http_versions(ca, backend, version):
    done = curl(backend.url + "/x?a=b", f"--http{version}", "-d", "hello", "-H", "Idempotency-Key: k-1",
                ca_file=ca.ca_file)
    assert json.loads(done.stdout) == {"ok": True}, done.stderr
    [request] = backend.delivered()
    assert (request.method, request.path, request.body) == ("POST", "/api/x?a=b", b"hello")
    assert (request.version, request.key, request.status) == (version, "k-1", 200)
    assert request.headers["host"] == f"localhost:{backend.port}"
    assert backend.bodies("/api/x?a=b") == [b"hello"]


@pytest.mark.parametrize("version", ["2", "1.1"])
def test_a_backend_takes_and_sends_large_bodies(ca, backend, tmp_path, version):
    body = bytes(range(256)) * 12000
    (tmp_path / "body").write_bytes(body)
    backend.answer = lambda request: (200, {}, request.body)
    done = curl(backend.url, f"--http{version}", "--data-binary", f"@{tmp_path}/body", ca_file=ca.ca_file)
    assert done.stdout == body
    assert backend.requests[0].body == body


@pytest.mark.parametrize("version", ["2", "1.1"])
@pytest.mark.parametrize(
    "answer, status",
    [("cut", {18, 56, 92}), ("close", {16, 18, 52, 56, 92}), ("reset", {56, 92}), ("stall", {28})],
)
def test_a_backend_fails_as_the_test_asks(ca, backend, version, answer, status):
    backend.answer = lambda request: answer
    done = curl(backend.url, f"--http{version}", "-d", "x", "-m", "0.5", ca_file=ca.ca_file)
    assert done.returncode in status, done.stderr
    assert backend.delivered() == []
    assert len(backend.requests) == 1
    wait_until(lambda: backend.in_flight == 0, what="the request to be over")
    backend.answer = None
    assert curl(backend.url, "-d", "x", ca_file=ca.ca_file).returncode == 0


def test_a_backend_replies_as_the_test_asks(ca, backend_h1):
    backend_h1.answer = lambda request: Reply(503, {"Retry-After": "7"}, b"later", 0.1)
    done = curl(backend_h1.url, "-i", "-d", "x", ca_file=ca.ca_file)
    assert b"503" in done.stdout and b"Retry-After: 7" in done.stdout and done.stdout.endswith(b"later")


def test_a_backend_stops_and_starts_on_its_port(ca, backend):
    backend.stop()
    assert curl(backend.url, ca_file=ca.ca_file).returncode == 7
    backend.start()
    assert curl(backend.url, ca_file=ca.ca_file).returncode == 0


def test_the_ca_issues_certificates_for_names_and_times(ca, make_backend, backend, tmp_path):
    assert curl(backend.url).returncode == 60
    expired = make_backend(cert=ca.issue(expired=True))
    assert b"expired" in curl(expired.url, ca_file=ca.ca_file).stderr
    other = make_backend(cert=ca.issue("elsewhere.example"))
    assert curl(other.url, ca_file=ca.ca_file).returncode == 60
    other.use_cert(ca.issue("localhost"))
    assert curl(other.url, ca_file=ca.ca_file).returncode == 0


def test_nginx_passes_requests_on(ca, make_backend, tmp_path):
    plain = make_backend(ca=None)
    nginx = Nginx(tmp_path / "nginx", ca, plain.port).start()
    try:
        assert curl(nginx.url + "/y?z", "-d", "x", ca_file=ca.ca_file).returncode == 0
        assert plain.requests[0].path == "/api/y?z"
        wait_until(nginx.accesses, what="a line in nginx's log")
        assert nginx.accesses()[0][0] == "HTTP/2.0"
    finally:
        nginx.stop()


@pytest.mark.parametrize("version", [4, 5])
def test_mosquitto_delivers_all_messages_in_order(mosquitto, version):
    got = []
    client = mosquitto.client("reader", clean=False, on_message=lambda m: got.append((m.topic, m.payload)))
    client.subscribe("a/#", 1)
    wait_until(lambda: any("SUBACK" in line for line in mosquitto.log), what="the subscription")
    mosquitto.publish("a/b", b"\0one", version=version)
    mosquitto.publish_many([("a/c", str(i), i % 2) for i in range(500)], version=version)
    wait_until(lambda: len(got) == 501, what="the messages")
    client.disconnect()
    client.loop_stop()
    assert got[0] == ("a/b", b"\0one")
    assert [payload for _, payload in got[1:]] == [str(i).encode() for i in range(500)]


def test_mosquitto_keeps_what_it_has(mosquitto):
    client = mosquitto.client("reader", clean=False)
    client.subscribe("a/#", 1)
    wait_until(lambda: any("SUBACK" in line for line in mosquitto.log), what="the subscription")
    client.disconnect()
    client.loop_stop()
    mosquitto.publish_many([("a/b", "0", 0), ("a/b", "1", 1)])
    mosquitto.restart()
    got = []
    client = mosquitto.client("reader", clean=False, on_message=lambda m: got.append(m.payload))
    wait_until(lambda: len(got) == 2, what="the messages")
    client.disconnect()
    client.loop_stop()
    assert got == [b"0", b"1"]


def test_mosquitto_asks_for_users_and_tls(make_mosquitto, ca):
    cert_file, key_file = ca.issue("localhost")
    broker = make_mosquitto(tls={"ca_file": ca.ca_file, "cert_file": cert_file, "key_file": key_file},
                            users={"anna": "secret"})
    broker.publish("a", b"x")


def test_a_black_hole_never_answers(make_black_hole):
    assert curl(f"https://127.0.0.1:{make_black_hole().port}", "--connect-timeout", "0.3").returncode == 28
    hole = make_black_hole(handshake=True)
    assert curl(f"http://127.0.0.1:{hole.port}", "-m", "0.3").returncode == 28


@pytest.mark.parametrize("mode, status", [("silent", 28), ("nxdomain", 6), ("answer", 0)])
def test_the_resolver_answers_as_its_mode_says(resolver, make_backend, mode, status):
    resolver.mode = mode
    plain = make_backend(ca=None)
    done = subprocess.run(
        [*resolver.prefix(), "curl", "-sS", "-m", "1", f"http://garden.invalid:{plain.port}/"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert resolver.queries > 0


LINE = "2026-11-22T17:36:40.000Z error message-dead: message 12 (route sensor, topic a/b): 422: no"


def test_a_log_line_is_level_event_and_text():
    event = parse(LINE)
    assert (event.level, event.name) == ("error", "message-dead") and event.text.startswith("message 12 ")
    assert parse("==123==ERROR: AddressSanitizer: heap-use-after-free") is None
    assert {"ready", "stopped", "message-dead"} <= event_names()


@pytest.mark.parametrize("names, fields, level, found", [
    ("message-dead", (), None, True),
    ("message-dead", (12, "route sensor"), "error", True),
    (["ready", "message-dead"], ("a/b",), ["error", "warning"], True),
    ("message-dead", (1,), None, False),
    ("message-dead", ("sens",), None, False),
    ("message-dead", (), "warning", False),
    ("ready", (), None, False),
])  # fmt: skip
def test_an_event_is_found_by_name_fields_and_level(names, fields, level, found):
    assert Pattern(names, fields, level).matches(LINE) == found


@pytest.mark.parametrize("names, level", [("message-died", None), (["ready", "red"], None), ("ready", "fatal")])
def test_an_unknown_event_or_level_is_an_error(names, level):
    with pytest.raises(AssertionError, match="neither an event"):
        Pattern(names, level=level)
