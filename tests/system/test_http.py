"""The plain-HTTP door: what clients send and get, byte by byte."""
import contextlib
import json
import re
import resource
import signal
import socket
import subprocess
import threading

import pytest
from harness.backend import Reply
from harness.check import never_stalled, overtakers
from harness.ports import free_port
from harness.wait import wait_until
from harness.web import Web, ask, post, wait_listening

pytestmark = pytest.mark.xdist_group("http")  # they share what is made once a module

READING = b'{"host":"wino-1","soil":512}'


@pytest.fixture
def door(make_sluice, backend):
    """door(settings of [http], **parts): a started sluice with the attribute `port`."""

    def make(settings=None, prefix=(), **parts):
        port = free_port()
        sluice = make_sluice(**{"backends": {"garden": backend}, "routes": {}, **parts},
                             http={"listen": f"127.0.0.1:{port}", **(settings or {})})
        sluice.port = port
        sluice.start(prefix=prefix)
        return sluice

    return make


# -- what is stored


def test_a_request_is_delivered_as_it_was_sent(door, backend):
    sluice = door()
    target = "/api/collections/sensor%20x;v=1?user_key=s%3Dcret&limit=5"
    response = ask(sluice.port, post(target, READING, ["Content-Type: text/json; x=1"], method="PUT"))
    assert response.status == 202
    [got] = backend.wait_for(1)
    assert (got.method, got.path, got.body) == ("PUT", target, READING)
    assert got.headers["content-type"] == "text/json; x=1"
    assert json.loads(response.body) == {"id": got.key}
    assert got.topic == "127.0.0.1/api/collections/sensor%20x;v=1"
    sluice.wait_empty()
    assert sluice.stop() == 0


def test_a_missing_content_type_is_derived(door, backend):
    types = {READING: "application/json", b"soil 512": "text/plain; charset=utf-8",
             b"\x00\xff": "application/octet-stream", b"": "text/plain; charset=utf-8"}
    sluice = door()
    for body in types:
        assert ask(sluice.port, post("/api/c", body)).status == 202
    backend.wait_for(4)
    assert {r.body: r.headers["content-type"] for r in backend.requests} == types


def test_the_base_path_is_replaced_by_the_backends_path(door, make_backend):
    other = make_backend(base="/v2/in")
    sluice = door(backends={"garden": other})
    for target in ("/api", "/api/", "/api?a=1", "/api/x/"):
        assert ask(sluice.port, post(target)).status == 202
    other.wait_for(4)
    assert sorted(r.path for r in other.requests) == ["/v2/in", "/v2/in/", "/v2/in/x/", "/v2/in?a=1"]


def test_query_and_body_of_the_section_are_added(door, backend, tmp_path):
    key = tmp_path / "key"
    key.write_text("s3cret\n")
    sluice = door({"query": [f"user_key=@{key}", "site=a b"], "body": "json",
                   "add": "client={1}, collection={4}, timestamp={received_s}", "not_object": "raw",
                   "accepted_status": 200},
                  backends={"garden": {"url": backend.url, "ca_file": backend.ca_file,
                                       "query": ["site=of the backend", "b=1"]}})
    assert ask(sluice.port, post("/api/collections/sensor?n=1", READING)).status == 200
    assert ask(sluice.port, post("/api/collections/sensor?user%5Fkey=mine", b"[1]")).status == 200
    first, second = sorted(backend.wait_for(2), key=lambda r: r.path)
    assert first.path == "/api/collections/sensor?n=1&user_key=s3cret&site=a%20b&b=1"
    body = json.loads(first.body)
    assert {**body, "timestamp": 0} == {**json.loads(READING), "client": "127.0.0.1", "collection": "sensor",
                                        "timestamp": 0}
    assert body["timestamp"] > 1_600_000_000
    # Who sends a key of his own means it.
    assert second.path == "/api/collections/sensor?user%5Fkey=mine&site=a%20b&b=1"
    assert second.body == b"[1]"


def test_order_is_kept_for_each_client_and_path(door, backend_h1):
    backend_h1.answer = lambda request: 503 if len(backend_h1.requests) % 7 == 3 else 200
    sluice = door(backends={"garden": backend_h1})
    with Web(sluice.port) as web:
        for n in range(60):
            web.send(post(f"/api/c{n % 3}", b'{"n":%d}' % n))
            assert web.response().status == 202
    backend_h1.wait_for(60)
    for path in range(3):
        got = [r for r in backend_h1.requests if r.path == f"/api/c{path}"]
        assert sorted(json.loads(r.body)["n"] for r in got if r.status == 200) == list(range(path, 60, 3))
        assert overtakers(got, [(path, n) for n in range(path, 60, 3)], lambda r: [(path, json.loads(r.body)["n"])]) == []


# -- keys


def test_a_client_s_own_key_is_passed_on_and_returned(door, backend):
    backend.stop()
    sluice = door()
    key = '"8e03978e-40d5-43dd-bc93-6894a57f9324"'
    request = post("/api/c", READING, [f"Idempotency-Key: {key}"])
    first, second = ask(sluice.port, request), ask(sluice.port, request)
    assert (first.status, second.status) == (202, 202)
    assert json.loads(first.body) == json.loads(second.body) == {"id": key}
    assert sluice.pending() == 1
    # Another body under that key is another message: a device may count from 1 again.
    assert ask(sluice.port, post("/api/c", b"{}", [f"Idempotency-Key: {key}"])).status == 202
    assert sluice.pending() == 2
    sluice.kill()
    sluice.start()
    assert ask(sluice.port, request).status == 202
    assert sluice.pending() == 2
    backend.start()
    sluice.wait_empty()
    assert [r.key for r in backend.requests] == [key] * 2


def test_simultaneous_repetitions_share_a_row(door, backend):
    backend.stop()
    sluice = door()
    request = post("/api/c", READING, ["Idempotency-Key: k-1"])
    sluice.signal(signal.SIGSTOP)
    webs = [Web(sluice.port).send(request) for _ in range(8)]
    sluice.signal(signal.SIGCONT)
    assert [web.response().status for web in webs] == [202] * 8
    assert sluice.pending() == 1


@pytest.mark.parametrize("header", ["Idempotency-Key: " + "k" * 129, "Idempotency-Key: a b",
                                    "Idempotency-Key: gr\xfcn", "Content-Type: a/b\rX: 1",
                                    "Content-Type: " + "x" * 256])
def test_headers_that_cannot_be_kept_are_refused(shared_door, header):
    sluice, _ = shared_door
    assert ask(sluice.port, post("/api/c", READING, [header])).status == 400
    assert sluice.pending() == 0


def test_a_compressed_body_is_refused(shared_door):
    sluice, _ = shared_door
    assert ask(sluice.port, post("/api/c", b"\x1f\x8b", ["Content-Encoding: gzip"])).status == 415


# -- loose clients


# As the sketches of old send: bare line ends, the key in the query, no type, one
# blank line too many behind the body; and they do not wait for the answer.
SKETCH = (b"POST /api/collections/sensor?user_key=k123 HTTP/1.1\n"
          b"Host: garden.example.org:8118\nConnection: close\n"
          b"Content-Length: " + str(len(READING)).encode() + b"\n\n" + READING + b"\r\n")


def test_an_old_sketch_is_served_and_its_connection_closed(door, backend):
    sluice = door()
    with Web(sluice.port) as web:
        assert web.send(SKETCH).response().status == 202
        assert web.closed()
    [got] = backend.wait_for(1)
    assert (got.path, got.body) == ("/api/collections/sensor?user_key=k123", READING)
    assert got.headers["content-type"] == "application/json"


def test_requests_of_clients_that_hang_up_are_stored(door, backend):
    sluice = door()
    for n in range(40):
        web = Web(sluice.port).send(SKETCH.replace(b"k123", b"k%03d" % n))
        web.close()
    backend.wait_for(40)
    assert [r.path[-4:] for r in backend.delivered()] == ["k%03d" % n for n in range(40)]
    sluice.wait_empty()


def test_requests_of_clients_that_are_gone_before_the_accept_are_stored(door, backend):
    """Also those that ended with a reset: what they sent is there all the same."""
    sluice = door()
    sluice.signal(signal.SIGSTOP)
    for n in range(10):
        web = Web(sluice.port).send(SKETCH.replace(b"k123", b"k%03d" % n))
        web.reset() if n % 2 else web.close()
    sluice.signal(signal.SIGCONT)
    backend.wait_for(10)
    assert [r.path[-4:] for r in backend.delivered()] == ["k%03d" % n for n in range(10)]


def test_requests_before_a_reset_are_stored(door, backend):
    """However long ago they connected."""
    sluice = door()
    webs = [Web(sluice.port) for _ in range(20)]
    assert ask(sluice.port, SKETCH).status == 202 # by now sluice has seen what there is of them
    sluice.signal(signal.SIGSTOP)
    for n, web in enumerate(webs):
        web.send(SKETCH.replace(b"k123", b"k%03d" % n)).reset()
    sluice.signal(signal.SIGCONT)
    backend.wait_for(21)
    assert [r.path[-4:] for r in backend.delivered()] == ["k123", *("k%03d" % n for n in range(20))]


def test_unusual_forms_of_a_request_are_understood(door, backend):
    sluice = door()
    for data in (
        b"POST /api/c HTTP/1.0\r\nContent-Length: 2\r\n\r\nab",
        b"\r\n\r\nPOST /api/c HTTP/1.1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /api/c HTTP/1.1\ncontent-length:2\n\nab",
        b"PATCH /api/c HTTP/1.1\r\nContent-Length:   2 \t\r\nX:\r\n\r\nab",
        b"POST /api/c HTTP/1.1\r\nContent-Length: 2\r\nContent-Encoding: Identity\r\n\r\nab",
        b"POST /api/c HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n1;x=y\r\na\r\n1\nb\n0\r\nT: x\r\n\r\n",
    ):
        assert ask(sluice.port, data).status == 202
    assert [r.body for r in backend.wait_for(6)] == [b"ab"] * 6


def test_bytes_may_come_singly_and_requests_together(door, backend):
    sluice = door()
    with Web(sluice.port) as web:
        for byte in SKETCH[:-2]:
            web.send(bytes([byte]))
        assert web.response().status == 202
    with Web(sluice.port) as web:
        web.send(b"".join(post("/api/c", b'{"n":%d}' % n) for n in range(20)))
        assert [web.response().status for _ in range(20)] == [202] * 20
    backend.wait_for(21)
    assert [json.loads(r.body)["n"] for r in backend.delivered() if r.path == "/api/c"] == list(range(20))


def test_expect_100_continue_is_answered_before_the_body(door, backend):
    sluice = door()
    head = b"POST /api/c HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    with Web(sluice.port) as web:
        assert web.send(head % 2).response().status == 100
        assert web.send(b"ab").response().status == 202
    with Web(sluice.port) as web: # it need not send what is not wanted
        assert web.send(head.replace(b"/api/c", b"/x") % 2).response().status == 404
    backend.wait_for(1)


def test_curl_is_served(door, backend, tmp_path):
    sluice = door()
    big = tmp_path / "big.json"
    big.write_bytes(b'{"x":"' + b"y" * 300_000 + b'"}')
    url = f"http://127.0.0.1:{sluice.port}/api/collections/sensor"
    for more in (["-d", READING], ["--data-binary", f"@{big}"], ["-T", big], ["-T", big, "-H", "Transfer-Encoding: chunked"]):
        done = subprocess.run(["curl", "-sS", "-m", "20", "-w", "%{http_code}", url, *more],
                              capture_output=True, check=True)
        assert done.stdout.endswith(b"202"), done
    backend.wait_for(4)
    assert sorted(len(r.body) for r in backend.delivered()) == [len(READING)] + [big.stat().st_size] * 3


# -- what is not taken


@pytest.mark.parametrize("target, status", [
    ("/", 404), ("/index.html", 404), ("/apix", 404), ("/API/c", 404), ("/%61pi/c", 404), ("/a/api/c", 404),
    ("/api/../c", 400), ("/api/./c", 400), ("/api/..", 400), ("/../api/c", 400), ("/api/.", 400),
    ("/api//c", 400), ("//api/c", 400), ("/api/%2e%2e/c", 400), ("/api/%2E/c", 400), ("/api/a%2fb", 400),
    ("/api/a%5Cb", 400), ("/api/a\\b", 400), ("/api/%00", 400), ("/api/c?x=%00", 400), ("/api/a\0b", 400),
    ("/api/c?a=\0", 400), ("/api/a\x01b", 400), ("/api/a\x7fb", 400), ("/api/a\tb", 400), ("/api/a b", 400),
    ("/api/c#x", 400), ("/api/gr\xfcn", 400), ("/api/%zz", 400), ("/api/%2", 400),
    ("http://pi:8118/api/c", 400), ("https://garden.example.org/api/c", 400), ("api/c", 400), ("*", 400),
])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_unknown_targets_are_refused(shared_door, method, target, status):
    sluice, backend = shared_door
    response = ask(sluice.port, post(target, b"", method=method))
    assert response.status == status
    assert json.loads(response.body)["error"]
    assert sluice.pending() == 0 and backend.requests == []


@pytest.fixture(scope="module")
def shared_door(tmp_path_factory, ca):
    """For requests that are refused: one sluice for all of them."""
    from harness.backend import Backend
    from harness.sluice import Sluice

    backend = Backend(ca).start()
    port = free_port()
    sluice = Sluice(tmp_path_factory.mktemp("door"), free_port(), backends={"garden": backend}, routes={},
                    http={"listen": f"127.0.0.1:{port}"})
    sluice.port = port
    sluice.start()
    yield sluice, backend
    sluice.finish()
    backend.close()


SMUGGLED = b"POST /api/smuggled HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"


@pytest.mark.parametrize("headers, status", [
    (b"Content-Length: 4\r\nContent-Length: 4\r\n", 400),
    (b"Content-Length: 4\r\nContent-Length: 54\r\n", 400),
    (b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", 400),
    (b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400),
    (b"Content-Length : 4\r\n", 400),
    (b"Content-Length\t: 4\r\n", 400),
    (b" Content-Length: 4\r\n", 400),
    (b"Transfer-Encoding : chunked\r\nContent-Length: 4\r\n", 400),
    (b"Content-Len: 4\r\n gth\r\n", 400),
    (b"Content-Length:\r\n 4\r\n", 400),
    (b"Content-Length: 4\r\nIdempotency-Key: k\r\n\tx\r\n", 400),
    (b"Content-Length: 4\nX:\n  y\n  z\nY: z\n", 400),
    (b"Transfer-Encoding: xchunked\r\n", 400),
    (b"Transfer-Encoding: gzip, chunked\r\n", 400),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400),
    (b"Content-Length: +4\r\n", 400),
    (b"Content-Length: 0x4\r\n", 400),
    (b"Content-Length: -1\r\n", 400),
    (b"Content-Length: 4,4\r\n", 400),
    (b"Content-Length: 4, 4\r\n", 400),
    (b"Content-Length: 4 4\r\n", 400),
    (b"Content-Length: 00000000000000000004\r\n", 400),
    (b"Content-Length: 18446744073709551616\r\n", 400),
    (b"Content-Length: 999999999999999999\r\n", 413),
    (b"Content-Length:\r\n", 400),
    (b"Content-Length: 4\r\nno colon\r\n", 400),
    (b"Connection: close\r\n", 411),
    (b"", 411),
])
def test_a_request_without_a_certain_end_is_refused(shared_door, headers, status):
    sluice, backend = shared_door
    with Web(sluice.port) as web:
        web.send(b"POST /api/c HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\nabcd" + SMUGGLED)
        assert web.response().status == status
        web.closed()
        assert b"202" not in web.rest # and what follows is no request
    assert sluice.pending() == 0 and backend.requests == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("body", [b"Content-Length: 2\r\n\r\nab", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])
def test_a_body_of_another_method_is_refused(shared_door, method, body):
    sluice, backend = shared_door
    with Web(sluice.port) as web:
        web.send(f"{method} /api/c HTTP/1.1\r\n".encode() + body + SMUGGLED)
        assert web.response(head=method == "HEAD").status == 400
        web.closed()
        assert b"202" not in web.rest
    assert sluice.pending() == 0 and backend.requests == []


def test_nothing_is_read_after_a_doubtful_head(shared_door):
    """Also where nothing seems to be left of it."""
    sluice, backend = shared_door
    with Web(sluice.port) as web:
        web.send(b"GET /api/c HTTP/1.1\r\nHost : x\r\n\r\n" + b"GET /api/c HTTP/1.1\r\n\r\n")
        assert web.response().status == 400
        assert web.closed()
    assert backend.requests == []


def test_chunks_in_http_1_0_are_refused(shared_door):
    sluice, _ = shared_door
    data = b"POST /api/c HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert ask(sluice.port, data).status == 400
    assert ask(sluice.port, b"POST /api/c HTTP/1.0\r\n\r\n").status == 411


@pytest.mark.parametrize("method", ["DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_other_methods_are_refused(shared_door, method):
    sluice, _ = shared_door
    response = ask(sluice.port, post("/api/c", b"", method=method))
    assert (response.status, response.headers["allow"]) == (405, "GET, HEAD, PATCH, POST, PUT")


def test_who_speaks_tls_is_told_at_once(shared_door):
    """A ClientHello has no line that ends: sluice does not wait for one."""
    sluice, _ = shared_door
    done = subprocess.run(["curl", "-sS", "-m", "60", f"https://127.0.0.1:{sluice.port}/api/c", "-d", "x"],
                          capture_output=True, text=True)
    assert done.returncode == 35, done # and not 28, the time-out
    with Web(sluice.port) as web:
        response = web.send(b"\x16\x03\x01\x02\x00\x01").response()
        assert response.status == 400 and b"not HTTPS" in response.body
        assert web.closed()


def test_a_refused_client_that_sends_everything_first_gets_the_response(shared_door):
    """sluice drops the rest, and closes after the client: a reset would take the response away."""
    sluice, _ = shared_door
    with Web(sluice.port) as web:
        web.send(post("/api/c", b"x" * 20_000_000)) # more than the buffers of the sockets
        response = web.response()
        assert (response.status, response.headers["connection"]) == (413, "close")


def test_a_refused_client_that_sent_much_before_its_turn_gets_the_response(door):
    """Its data stood behind a request that waited, and sluice had stopped to read."""
    sluice = door()
    data = post("/api/c") + post("/api/c", b"x" * 20_000_000)
    with Web(sluice.port) as web:
        sluice.signal(signal.SIGSTOP)
        web.socket.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                sent += web.socket.send(data[sent : sent + 65536])
        sluice.signal(signal.SIGCONT)
        web.socket.settimeout(60)
        web.send(data[sent:])
        assert [web.response().status for _ in range(2)] == [202, 413]


def test_a_body_that_is_refused_on_the_way_is_not_read_for_ever(door):
    sluice = door({"max_body": "1K"})
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with Web(sluice.port) as web:
        web.send(b"POST /api/c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + 3 * chunk)
        response = web.response()
        assert (response.status, response.headers["connection"]) == (413, "close")


@pytest.mark.parametrize("ends", [True, False])
def test_a_refused_body_that_never_comes_does_not_hold_the_response_back(door, ends):
    sluice = door({"timeout": "1s"})
    with Web(sluice.port) as web:
        web.send(b"POST /elsewhere HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345")
        if ends:
            web.socket.shutdown(socket.SHUT_WR)
        assert web.response().status == 404


def test_empty_lines_hold_no_place(door):
    sluice = door({"timeout": "1s"})
    with Web(sluice.port) as web:
        web.socket.settimeout(0.05)
        with pytest.raises((ConnectionResetError, BrokenPipeError, EOFError)):
            for _ in range(1200):
                web.send(b"\r\n")
                with contextlib.suppress(TimeoutError):
                    if web.socket.recv(10) == b"":
                        raise EOFError


def test_garbage_is_refused(shared_door):
    sluice, _ = shared_door
    for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"GET\r\n\r\n", b"GET /api/c\r\n\r\n",
                 b"POST /api/c HTTP/2.0\r\nContent-Length: 2\r\n\r\nab", b"\xff" * 3000 + b"\r\n\r\n",
                 b"POST /api/c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n"):
        with Web(sluice.port) as web:
            response = web.send(data).response()
            assert response is None or response.status in (400, 505)
    assert sluice.pending() == 0
    assert sluice.running()


# -- limits


def test_long_heads_are_refused(shared_door):
    sluice, _ = shared_door
    assert ask(sluice.port, post("/api/c", b"", ["X: " + "x" * 40_000])).status == 431
    assert ask(sluice.port, post("/api/" + "c" * 40_000, b"")).status in (414, 431)


def test_bodies_above_the_limit_are_refused(door, backend):
    sluice = door({"max_body": "1K"})
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    chunked = b"POST /api/c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Web(sluice.port) as web:
        assert web.send(post("/api/c", b"x" * 1025)).response().status == 413
        assert web.send(post("/api/c", b"x" * 1024)).response().status == 202
        assert web.send(chunked + chunk * 3 + b"0\r\n\r\n").response().status == 413
        assert web.send(chunked + chunk + b"0\r\n\r\n").response().status == 202
    assert ask(sluice.port, b"POST /api/c HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n").status == 413
    assert ask(sluice.port, b"POST /api/c HTTP/1.1\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n").status in (400, 413)
    backend.wait_for(2)
    assert [len(r.body) for r in backend.delivered()] == [1024, 1024]


def test_memory_for_large_bodies_is_bounded(door, backend):
    """What is kept of bodies that arrive is bounded: who is above it is told to come again."""
    backend.stop()
    sluice = door({"max_body": "10M"})
    request, last = post("/api/c", b"x" * 9_000_000), 1_000_000
    webs = [Web(sluice.port).send(request[:-last]) for _ in range(3)] # 24 MB of the 16
    answers = [web.send(request[-last:]).response() for web in webs]
    refused = [answer for answer in answers if answer.status != 202]
    assert 1 <= len(refused) <= 2 and sluice.pending() == 3 - len(refused)
    assert {(answer.status, answer.headers.get("retry-after")) for answer in refused} == {(503, "10")}
    assert [web.send(request).response().status for web in webs] == [202] * 3 # one by one there is room


def test_a_slow_request_is_ended(door):
    """However busily it drips: the time is for all of it."""
    sluice = door({"timeout": "1s"})
    starts = [b"", b"POST /api/c HT", b"POST /api/c HTTP/1.1\r\nX: y\r\n",
              b"POST /api/c HTTP/1.1\r\nContent-Length: 400\r\n\r\nab"]
    webs = [Web(sluice.port).send(start) for start in starts]
    stop = threading.Event()

    def drip(web):
        while not stop.wait(0.05):
            try:
                web.send(b"x")
            except OSError:
                return

    threads = [threading.Thread(target=drip, args=(web,)) for web in webs[1:]]
    for thread in threads:
        thread.start()
    assert all(web.closed() for web in webs)
    stop.set()
    for thread in threads:
        thread.join()
    assert sluice.pending() == 0


def test_the_clients_time_stands_still_while_it_waits(door, backend):
    """And begins again with the answer, which has to be read."""
    size = 8 * 1024 * 1024  # more than the kernel takes for one that does not read
    backend.answer = lambda request: Reply(body=b"x" * size, delay_s=4.2)
    sluice = door({"timeout": "3s", "passthrough_size": "8M"})
    request = b"GET /api/x HTTP/1.1\r\nConnection: close\r\n\r\n"
    with Web(sluice.port).send(request), Web(sluice.port).send(request) as eager:
        assert len(eager.response().body) == size
        wait_until(lambda: sluice.status()["daemon"]["http"][0]["connections"] == 0, what="the lazy one to be let go")


def test_a_reload_of_a_shorter_timeout_applies_to_open_connections(door):
    sluice = door({"timeout": "60s"})
    old = Web(sluice.port).send(b"POST /api/c HT")
    assert ask(sluice.port, post("/api/c")).status == 202 # by now it was accepted
    sluice.reload(http={**sluice.parts["http"], "timeout": "1s"})
    new = Web(sluice.port).send(b"POST /api/c HT")
    assert old.closed() and new.closed()


def test_without_descriptors_clients_wait(door):
    """The system has none left: logged once, and who waits gets in when somebody leaves."""
    sluice = door()
    resource.prlimit(sluice.process.pid, resource.RLIMIT_NOFILE, (40, 40))
    webs = [Web(sluice.port).send(post(f"/api/{n}")) for n in range(50)]
    sluice.wait_event("http-accept-failed", "Too many open files")
    for web in webs: # the first ones leave, for the others
        assert web.response().status == 202
        web.close()
    sluice.wait_events(1, "http-accept-failed")


GET = b"GET /api/x HTTP/1.1\r\n\r\n"


def busy_clients(sluice, backend, count):
    """Connections with requests that wait for the backend."""
    backend.answer = lambda request: "stall"
    before = len(backend.requests)
    webs = [Web(sluice.port).send(GET) for _ in range(count)]
    backend.wait_requests(before + count)
    return webs


def test_connections_of_one_client_are_limited(door, backend):
    sluice = door({"max_connections_per_client": "3"})
    webs = busy_clients(sluice, backend, 3)
    with Web(sluice.port) as web:
        assert web.closed()
    sluice.wait_event("http-client-refused", "127.0.0.1", "max_connections_per_client")
    backend.drop_connections()
    assert [web.response().status for web in webs] == [502] * 3
    assert ask(sluice.port, post("/api/c")).status == 202 # in the place of the one that got its 502 first
    left = []
    for web in webs:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            left.append(web.send(post("/api/c")).response())
    assert [response.status for response in left if response] == [202] * 2


def test_a_client_with_its_share_of_connections_loses_the_oldest_idle_one(door, backend):
    sluice = door({"max_connections_per_client": "3", "timeout": "10m"})
    [busy] = busy_clients(sluice, backend, 1)
    half = Web(sluice.port).send(b"POST /api/c HT")
    idle = Web(sluice.port)
    assert idle.send(post("/api/1")).response().status == 202
    assert ask(sluice.port, post("/api/2")).status == 202
    assert half.closed()
    sluice.wait_event("http-client-refused", "127.0.0.1", "max_connections_per_client", "idle")
    assert idle.send(post("/api/3")).response().status == 202
    backend.drop_connections()
    assert busy.response().status == 502


def test_clients_above_max_connections_wait_while_the_others_are_busy(door, backend):
    sluice = door({"max_connections": "2"})
    first, second = busy_clients(sluice, backend, 2)
    third = Web(sluice.port).send(post("/api/3"))
    sluice.wait_event("http-connections-full", 2)
    assert sluice.sql("select target from message") == []
    backend.drop_connections()
    assert first.response().status == second.response().status == 502
    assert third.response().status == 202


def test_a_client_above_max_connections_takes_the_place_of_an_idle_one(door, backend):
    sluice = door({"max_connections": "2", "timeout": "10m"})
    silent, idle = Web(sluice.port).send(b"P"), Web(sluice.port)
    assert idle.send(post("/api/1")).response().status == 202
    with Web(sluice.port) as third:
        assert third.send(post("/api/2")).response().status == 202
        assert silent.closed()
        assert idle.send(post("/api/3")).response().status == 202
        sluice.wait_event("http-connections-full", 2)
    backend.wait_for(3)


def test_allow_refuses_other_addresses(door):
    sluice = door({"allow": ["192.168.0.0/16, 10.0.0.1", "fd00::/8"]})
    with Web(sluice.port) as web:
        assert web.closed()
    sluice.wait_event("http-client-refused", "127.0.0.1", "allow")
    sluice.reload(http={**sluice.parts["http"], "allow": "10.0.0.1, 127.0.0.0/8"})
    assert ask(sluice.port, post("/api/c")).status == 202


def test_a_thousand_half_open_connections_harm_nobody(door, backend, mosquitto):
    sluice = door({"max_connections": "1100", "max_connections_per_client": "1000", "timeout": "60s"},
                  routes={"sensor": {"topic": "garden/+/sensor", "path": "/collections/sensor"}})
    sluice.wait_connected()
    publisher = mosquitto.client() # paho's select() knows descriptors up to 1023 only
    webs = [Web(sluice.port).send(b"POST /api/c HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"[:n % 40]) for n in range(1000)]
    for n in range(200):
        publisher.publish("garden/a/sensor", b"%d" % n, 1)
    for web in webs[:500]:
        web.send(b"\r\n"[:1])
    backend.wait_for(200)
    sluice.wait_empty()
    publisher.disconnect()
    publisher.loop_stop()
    for web in webs:
        web.close()
    assert ask(sluice.port, post("/api/c")).status == 202
    assert sluice.stop() == 0
    never_stalled(sluice)


# -- passed through


def test_get_and_head_are_passed_on(door, backend):
    backend.answer = lambda request: (203, {"Content-Type": "text/x-list"}, b"[1,2]")
    sluice = door()
    response = ask(sluice.port, b"GET /api/collections/sensor?limit=2 HTTP/1.1\r\nAccept: a/b\r\n\r\n")
    assert (response.status, response.headers["content-type"], response.body) == (203, "text/x-list", b"[1,2]")
    response = ask(sluice.port, b"HEAD /api/x HTTP/1.1\r\nAuthorization: Basic eDp5\r\n\r\n")
    assert (response.status, response.headers["content-length"], response.body) == (203, "5", b"")
    first, second = backend.requests
    assert (first.method, first.path, first.headers["accept"]) == ("GET", "/api/collections/sensor?limit=2", "a/b")
    assert (second.method, second.path) == ("HEAD", "/api/x")
    assert second.headers["authorization"] == "Basic eDp5"
    assert sluice.pending() == 0


def test_every_status_is_passed_on(door, backend):
    backend.answer = lambda request: (int(request.path[5:]), {}, b"")
    sluice = door()
    for status in (204, 301, 404, 500):
        assert ask(sluice.port, b"GET /api/%d HTTP/1.1\r\n\r\n" % status).status == status


def test_a_get_to_a_backend_that_is_away_is_answered_502(door, backend):
    sluice = door(backends={"garden": {"url": backend.url, "ca_file": backend.ca_file, "timeout": "500ms"}})
    backend.answer = lambda request: "stall"
    response = ask(sluice.port, b"GET /api/x HTTP/1.1\r\n\r\n")
    assert response.status == 504 and json.loads(response.body)["error"]
    backend.answer = lambda request: "cut"
    assert ask(sluice.port, b"GET /api/x HTTP/1.1\r\n\r\n").status == 502
    backend.stop()
    response = ask(sluice.port, b"GET /api/x HTTP/1.1\r\n\r\n")
    assert response.status == 502 and json.loads(response.body)["error"]


def test_long_responses_are_passed_on_up_to_a_limit(door, backend):
    backend.answer = lambda request: (200, {}, b"x" * int(request.path[5:]))
    sluice = door({"passthrough_size": "100K"})
    assert len(ask(sluice.port, b"GET /api/%d HTTP/1.1\r\n\r\n" % 102_400).body) == 102_400
    assert ask(sluice.port, b"GET /api/%d HTTP/1.1\r\n\r\n" % 102_401).status == 502


@pytest.mark.parametrize("bytes_", [1024, 4025, 4044])
def test_a_long_content_type_does_not_spoil_the_response(door, backend, bytes_):
    backend.answer = lambda r: (200, {"Content-Type": "a/" + "b" * (bytes_ - 2)}, b"ok")
    response = ask(door().port, b"GET /api/x HTTP/1.1\r\n\r\n")
    assert response.body == b"ok" and len(response.headers.get("content-type", "")) == (1024 if bytes_ == 1024 else 0)


def test_passthrough_has_a_limit_of_requests_at_once(door, backend):
    backend.answer = lambda request: "stall"
    sluice = door({"passthrough_requests": "2"})
    webs = [Web(sluice.port).send(b"GET /api/x HTTP/1.1\r\n\r\n") for _ in range(2)]
    backend.wait_requests(2)
    response = ask(sluice.port, b"GET /api/x HTTP/1.1\r\n\r\n")
    assert (response.status, response.headers["retry-after"]) == (503, "1")
    sluice.reload()
    assert [web.response().status for web in webs] == [503, 503]


def test_memory_for_unread_responses_is_bounded(door, backend):
    """They are kept in memory: no more of them than may be in flight."""
    size = 16 * 1024 * 1024
    backend.answer = lambda request: (200, {}, b"x" * size)
    sluice = door({"passthrough_size": "16M", "passthrough_requests": "1"})
    request = b"GET /api/x HTTP/1.1\r\n\r\n"
    with Web(sluice.port).send(request) as lazy:
        first = lazy.socket.recv(1)
        assert ask(sluice.port, request).status == 503
        lazy.rest = first
        assert len(lazy.response().body) == size
    assert ask(sluice.port, request).status == 200


def test_without_passthrough_a_get_is_refused(door, backend):
    response = ask(door({"passthrough": "no"}).port, b"GET /api/x HTTP/1.1\r\n\r\n")
    assert (response.status, response.headers["allow"]) == (405, "PATCH, POST, PUT")
    assert backend.requests == []


# -- secrets


def test_a_key_in_the_query_appears_nowhere(door, backend):
    backend.answer = lambda request: (400, {}, f"bad request: {request.path} s%cret/1".encode())
    sluice = door()
    assert ask(sluice.port, post("/api/c?user_key=s%25cret%2F1")).status == 202
    [dead] = sluice.wait_dead(1)
    ask(sluice.port, b"GET /api/x?user_key=s%25cret%2F1 HTTP/1.1\r\n\r\n")
    assert "withheld" in dead["last_error"]
    seen = repr(sluice.sql("select * from dead")) + dead["last_error"] + sluice.log_text()
    assert not re.search(r"s%(25)?cret", seen), seen
    sluice.stop()
    assert not re.search(r"s%(25)?cret", sluice.log_text())


@pytest.mark.parametrize("query, shown", [
    ("?user_key=s3cret&a=s3cret%2F1&b=", "?user_key=...&a=...&b=...&site=..."),
    ("?s3cret", "?...&site=..."), ("?a=s3cret=s3cret&&", "?a=...&&site=..."), ("?", "?site=..."), ("", "?site=..."),
])
def test_the_command_shows_what_would_be_sent_without_it(door, backend, query, shown):
    backend.stop()
    sluice = door({"query": "site=1"})
    assert ask(sluice.port, post(f"/api/c{query}", READING, method="PUT")).status == 202
    text = sluice.command("queue", "show", 1)
    assert f"\n    PUT {backend.url}/c{shown}\n" in text, text
    [row] = map(json.loads, sluice.command("queue", "show", "--json", 1).splitlines())
    assert (row["request"]["method"], row["request"]["url"]) == ("PUT", f"{backend.url}/c{shown}")
    for words in (["ls"], ["ls", "--json"], ["export"]):
        text += sluice.command("queue", *words)
    assert "s3cret" not in text + repr(row)


# -- several sections, reload


def test_several_addresses_and_ipv6_are_listened_on(make_sluice, backend, make_backend):
    other = make_backend()
    ports = [free_port() for _ in range(3)]
    sluice = make_sluice(backends={"garden": backend, "other": other}, routes={},
                         http={"listen": [f"127.0.0.1:{ports[0]}", f"[::1]:{ports[1]}"], "backend": "garden"})
    text = sluice.config_text()
    sluice.write_config(text + f"\n[http other]\nlisten = 127.0.0.1:{ports[2]}\nbackend = other\n")
    sluice.start()
    assert ask(ports[0], post("/api/a")).status == 202
    assert ask(ports[1], post("/api/b"), address="::1").status == 202
    assert ask(ports[2], post("/api/c")).status == 202
    assert {r.topic for r in backend.wait_for(2)} == {"127.0.0.1/api/a", "::1/api/b"}
    assert [r.path for r in other.wait_for(1)] == ["/api/c"]
    # The second one goes, and so does its port; what is connected stays so.
    with Web(ports[0]) as web:
        web.send(post("/api/a")).response()
        sluice.reload(text)
        assert web.send(post("/api/a")).response().status == 202
    with pytest.raises(ConnectionRefusedError):
        Web(ports[2])
    assert sluice.stop() == 0


def test_a_port_that_is_taken_is_tried_again(make_sluice, backend):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sluice = make_sluice(backends={"garden": backend}, routes={}, http={"listen": f"127.0.0.1:{port}"})
        sluice.start()
        sluice.wait_event("http-listen-failed", "Address already in use")
    wait_listening(port)
    assert ask(port, post("/api/c")).status == 202


def test_a_request_that_a_reload_stored_is_delivered(door, backend):
    """Its section went away at that moment, and came back."""
    sluice = door(queue={"commit_delay": "1s"}, routes={"sensor": {"topic": "garden/+/sensor", "path": "/c"}})
    before = sluice.config_text()
    assert ask(sluice.port, post("/api/c", b'{"n":1}')).status == 202
    backend.wait_for(1)
    with Web(sluice.port) as web:
        web.send(post("/api/c", b'{"n":2}')) # the last commit was a moment ago: it waits
        wait_until(lambda: sluice.status()["daemon"]["http"][0]["connections"] == 1, what="the connection")
        sluice.reload(re.sub(r"\n\[http\].*?(?=\n\[|\Z)", "\n[http]\n", before, flags=re.S))
        assert web.response().status == 202
    sluice.reload(before)
    backend.wait_for(2)


def test_without_http_section_nothing_listens(make_sluice, backend):
    sluice = make_sluice(backends={"garden": backend})
    sluice.write_config(sluice.config_text() + "\n[http]\n")
    sluice.start()
    assert sluice.stop() == 0
    assert not [line for line in sluice.log if " http-" in line]
