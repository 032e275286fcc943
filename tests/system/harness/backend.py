"""A backend: a real HTTPS server (HTTP/2 and HTTP/1.1) that replies as a test asks.

It runs on an asyncio loop in a thread of its own. A test sets `answer`, a
function of the request (called in that thread, so it must not wait), and looks
at `requests`. What `answer` may return:

    204                              a status, with a small JSON body
    (503, {"Retry-After": "1"}, b"") status, headers, body
    Reply(status, headers, body, delay_s)
    "stall"    never answers
    "cut"      status, headers and half of the body, then the connection closes
    "close"    the connection closes without a reply
    "reset"    HTTP/2: the stream is reset; HTTP/1.1: the connection is
"""
import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from .ports import free_port
from .wait import PATIENCE_S, wait_until

OK_BODY = b'{"ok":true}'
STALL, CUT, CLOSE, RESET = "stall", "cut", "close", "reset"


@dataclass
class Reply:
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes = OK_BODY
    delay_s: float = 0


@dataclass
class Request:
    method: str
    path: str  # the raw target
    headers: dict  # names in lower case
    raw_headers: list  # (name, value) as received
    body: bytes
    version: str  # "2" or "1.1"
    connection: int  # the number of its connection, from 1
    at: float = field(default_factory=time.monotonic)
    status: int = 0  # of the response; 0: none yet
    finished_at: float = 0

    @property
    def key(self):
        return self.headers.get("idempotency-key")

    @property
    def topic(self):
        raw = unquote_to_bytes(self.headers.get("sluice-topic", ""))
        return raw.decode("utf-8", "surrogateescape")


def _as_reply(answer):
    if answer is None:
        return Reply()
    if isinstance(answer, (str, Reply)):
        return answer
    if isinstance(answer, int):
        return Reply(answer)
    return Reply(*answer)


class Backend:
    """ca None: a plain HTTP server (for behind nginx, and as a redirect's target).
    cert: (cert_file, key_file) instead of a good one for localhost. client_ca: a CA
    one of whose certificates it demands of its clients. tls: the only version that it
    speaks, a ssl.TLSVersion. network: a Network, in which it listens at this host."""

    def __init__(self, ca, alpn=("h2", "http/1.1"), cert=None, port=None, base="/api", max_streams=100,
                 client_ca=None, tls=None, host="localhost", network=None):
        self.ca = ca
        self.ca_file = ca.ca_file if ca else None
        self.port = port or free_port()
        self.url = f"{'https' if ca else 'http'}://{host}:{self.port}{base}"
        self.answer = None
        self.requests = []
        self.connections = 0  # accepted so far, with a finished TLS handshake
        self.client_names = []  # of the certificates that clients showed, one for each connection
        self.open_connections = 0
        self.max_open_connections = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self._max_streams = max_streams
        self._delivered_keys = set()
        self._listener = network and network.listener(host, self.port)
        self._server = None
        self._open = set()
        self._context = None
        if ca:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.set_alpn_protocols(list(alpn))
            self._context.load_cert_chain(*(cert or ca.issue(host)))
            if client_ca:
                self._context.verify_mode = ssl.CERT_REQUIRED
                self._context.load_verify_locations(client_ca.ca_file)
            if tls:
                self._context.minimum_version = self._context.maximum_version = tls
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda loop, context: None)  # broken connections are expected
        self._thread = threading.Thread(target=self._loop.run_forever, name="backend", daemon=True)
        self._thread.start()

    # -- for tests

    def use_cert(self, cert):
        """Another certificate, from the next connection on."""

        async def use():  # in the thread of the connections, because OpenSSL's context is not thread-safe
            self._context.load_cert_chain(*cert)

        self._call(use())

    def start(self):
        if self._server is None:
            self._call(self._listen())
        return self

    def stop(self):
        """Closes all connections and refuses new ones; start() listens again."""
        if self._server is not None:
            self._call(self._unlisten())

    def drop_connections(self):
        """Closes all connections and accepts new ones."""

        async def drop():
            for writer in list(self._open):
                _hang_up(writer)

        self._call(drop())

    def close(self):
        self.stop()
        self._call(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def delivered(self):
        """The requests with a 2xx response, in the order of their arrival."""
        return [r for r in list(self.requests) if 200 <= r.status < 300]

    def bodies(self, path=None):
        """The bodies of delivered(), for one raw target or all."""
        return [r.body for r in self.delivered() if path is None or r.path == path]

    def wait_for(self, n, timeout=PATIENCE_S):
        """Waits until n different keys have a 2xx response; returns delivered()."""
        wait_until(lambda: len(self._delivered_keys) >= n, timeout,
                   lambda: f"{n} deliveries ({len(self._delivered_keys)} came)", lambda: len(self._delivered_keys))
        return self.delivered()

    def wait_requests(self, n, timeout=PATIENCE_S):
        wait_until(lambda: len(self.requests) >= n, timeout,
                   lambda: f"{n} requests ({len(self.requests)} came)", lambda: len(self.requests))
        return list(self.requests)

    # -- the server

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self):
        where = {"host": "127.0.0.1", "port": self.port, "reuse_address": True}
        if self._listener:
            where = {"sock": self._listener()}
        self._server = await asyncio.start_server(self._connected, ssl=self._context, backlog=256, **where)

    async def _unlisten(self):
        server, self._server = self._server, None
        server.close()
        for writer in list(self._open):
            _abort(writer)
        await server.wait_closed()  # since Python 3.12 for the connections, too
        await asyncio.sleep(0)

    async def _end_tasks(self):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader, writer):
        if self._server is None:  # stopped during the handshake
            _abort(writer)
            return
        self.connections += 1
        number = self.connections
        self._open.add(writer)
        self.open_connections += 1
        self.max_open_connections = max(self.max_open_connections, self.open_connections)
        tls = writer.get_extra_info("ssl_object")
        chosen = tls.selected_alpn_protocol() if tls else None
        subject = (tls.getpeercert() or {}).get("subject", ()) if tls else ()
        self.client_names += [value for [(_, value)] in subject]
        handler = _Http2 if chosen == "h2" else _Http1
        try:
            await handler(self, reader, writer, number).serve()
        except (OSError, EOFError, ssl.SSLError, h2.exceptions.ProtocolError):
            pass
        finally:
            self.open_connections -= 1
            self._open.discard(writer)
            _abort(writer)

    def begin(self):
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def end(self):
        self.in_flight -= 1

    def decide(self, request):
        self.requests.append(request)
        answer = self.answer
        return _as_reply(answer(request) if callable(answer) else answer)

    def note(self, request, status):
        """Counts before the response is written, so that whoever reads it finds it counted."""
        request.finished_at = time.monotonic()
        request.status = status
        if 200 <= status < 300:
            self._delivered_keys.add(request.key)


def _abort(writer):
    """Closes at once. asyncio of Python 3.11 fails on a transport that is closed already."""
    with contextlib.suppress(AttributeError):
        writer.transport.abort()


def _break(writer):
    """Closes with a reset, as a crash would."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _abort(writer)


def _hang_up(writer):
    """Closes as servers do: with a TLS farewell, but without waiting for the client's,
    as asyncio alone would. Once: a second close() takes the transport of TLS from what
    abort() needs."""
    if writer.is_closing():
        return
    writer.close()
    asyncio.get_running_loop().call_later(0.01, _abort, writer)


class _Http1:
    def __init__(self, backend, reader, writer, number):
        self.backend, self.reader, self.writer, self.number = backend, reader, writer, number

    async def serve(self):
        while True:
            request = await self._read()
            if request is None:
                return
            try:
                if not await self._reply(request):
                    return
            finally:
                self.backend.end()

    async def _read(self):
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.backend.begin()
        try:
            first, *lines = head.decode("latin-1").split("\r\n")[:-2]
            method, target, _ = first.split(" ", 2)
            raw = [tuple(line.split(":", 1)) for line in lines]
            raw = [(name, value.strip()) for name, value in raw]
            headers = {name.lower(): value for name, value in raw}
            if headers.get("expect", "").lower() == "100-continue":
                self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if "chunked" in headers.get("transfer-encoding", ""):
                body = await self._read_chunks()
            else:
                body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        except BaseException:
            self.backend.end()
            raise
        return Request(method, target, headers, raw, body, "1.1", self.number)

    async def _read_chunks(self):
        body = b""
        while True:
            size = int((await self.reader.readline()).split(b";")[0], 16)
            body += await self.reader.readexactly(size)
            await self.reader.readline()
            if size == 0:
                return body

    async def _reply(self, request):
        """Returns False when the connection must be closed."""
        reply = self.backend.decide(request)
        if reply == STALL:
            await self.reader.read(1)  # until the client gives up
            return False
        if reply == RESET:
            _break(self.writer)
            return False
        if reply == CLOSE:
            return False
        cut = reply == CUT
        if cut:
            reply = Reply()
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        lines = [f"HTTP/1.1 {reply.status} Status"]
        names = {name.lower() for name in reply.headers}
        if "content-type" not in names:
            lines.append("Content-Type: application/json")
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        lines.append(f"Content-Length: {len(reply.body)}")
        if not cut:
            self.backend.note(request, reply.status)
        body = reply.body[: len(reply.body) // 2] if cut else reply.body
        if request.method == "HEAD":
            body = b""
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await self.writer.drain()
        if cut:
            _hang_up(self.writer)
            await self.reader.read()
            return False
        return request.headers.get("connection", "").lower() != "close"


class _Http2:
    def __init__(self, backend, reader, writer, number):
        self.backend, self.reader, self.writer, self.number = backend, reader, writer, number
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="latin-1")
        )
        self.h2.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: backend._max_streams,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20,
            },
        )
        self.streams = {}  # id -> [headers, body]
        self.tasks = set()
        self.window = asyncio.Event()

    async def serve(self):
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(1 << 24)
        self._flush()
        try:
            while True:
                data = await self.reader.read(65536)
                if not data:
                    return
                for event in self.h2.receive_data(data):
                    self._event(event)
                self._flush()
                await self.writer.drain()
        finally:
            for task in self.tasks:
                task.cancel()
            for _ in self.streams:
                self.backend.end()

    def _flush(self):
        data = self.h2.data_to_send()
        if data and not self.writer.is_closing():
            self.writer.write(data)

    def _event(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.streams[event.stream_id] = [event.headers, []]
            self.backend.begin()
        elif isinstance(event, h2.events.DataReceived):
            if event.stream_id in self.streams:
                self.streams[event.stream_id][1].append(event.data)
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self._request(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self._forget(event.stream_id)
        elif isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            self.window.set()

    def _forget(self, stream):
        if self.streams.pop(stream, None) is not None:
            self.backend.end()

    def _request(self, stream):
        raw, parts = self.streams[stream]
        headers = dict(raw)
        if ":authority" in headers:
            headers.setdefault("host", headers[":authority"])
        request = Request(headers.pop(":method"), headers.pop(":path"), headers, raw, b"".join(parts), "2",
                          self.number)
        reply = self.backend.decide(request)
        if reply == STALL:
            return
        if reply == RESET:
            self.h2.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
            self._forget(stream)
        elif reply == CLOSE:
            self._flush()
            _hang_up(self.writer)
        elif reply == CUT:
            self._head(stream, Reply())
            self.h2.send_data(stream, OK_BODY[: len(OK_BODY) // 2])
            self._flush()
            _hang_up(self.writer)
        else:
            task = asyncio.ensure_future(self._reply(stream, request, reply))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def _head(self, stream, reply):
        headers = [(":status", str(reply.status))]
        if "content-type" not in {name.lower() for name in reply.headers}:
            headers.append(("content-type", "application/json"))
        headers += [(name.lower(), str(value)) for name, value in reply.headers.items()]
        headers.append(("content-length", str(len(reply.body))))
        self.h2.send_headers(stream, headers, end_stream=False)

    async def _reply(self, stream, request, reply):
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        if stream not in self.streams:
            return
        self._forget(stream)
        self.backend.note(request, reply.status)
        try:
            self._head(stream, reply)
            await self._send(stream, b"" if request.method == "HEAD" else reply.body)
        except h2.exceptions.ProtocolError:
            pass  # the client reset this stream
        self._flush()

    async def _send(self, stream, body):
        while body:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room <= 0:
                self.window.clear()
                self._flush()
                await self.window.wait()
                continue
            self.h2.send_data(stream, body[:room])
            body = body[room:]
        self.h2.end_stream(stream)
