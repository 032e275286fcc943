#!/usr/bin/python3
"""A small HTTPS backend to try sluice with: takes POSTs below /api and prints them.

One line a reading, and no more than that: it keeps nothing in a database, speaks
HTTP/1.1 only, and is for one machine. It does what a good backend does with an
Idempotency-Key: a key that it has seen is answered like the first time, and not
counted again. --record FILE keeps what arrived (key, tab, body), also over a
restart.
"""
import argparse
import json
import signal
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

BODY_LIMIT = 1 << 20


class Arrivals:
    """What arrived, by idempotency key; in a file, so that a restart remembers.
    Connections have a thread each."""

    def __init__(self, record):
        self._lock = threading.Lock()
        self._file = open(record, "a+", encoding="utf-8") if record else None
        self._keys = set()
        if self._file:
            self._file.seek(0)
            self._keys = {line.split("\t", 1)[0] for line in self._file}

    def add(self, key, path, text, about):
        """Notes a reading and prints it, in one step, so that the numbers are in order."""
        with self._lock:
            count = "again"
            if key not in self._keys:
                self._keys.add(key)
                count = f"#{len(self._keys)}"
                if self._file:
                    print(key, text, sep="\t", file=self._file, flush=True)
            print(f"backend  {count:>5}  POST {path}  {text}  ({about})", flush=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "demo"
    timeout = 60  # an idle connection

    def setup(self):
        # Here, in the connection's own thread: a client that is slow to shake
        # hands does not keep the others waiting.
        self.request.settimeout(10)
        self.request.do_handshake()
        super().setup()

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_LIMIT:
            self.close_connection = True
            self.answer(413 if length.isdigit() else 411, {"error": "a body of known, modest length, please"})
            return
        body = self.rfile.read(int(length))
        path = urlsplit(self.path).path  # the query may hold a key, which nobody is to see
        if path != "/api" and not path.startswith("/api/"):
            self.answer(404, {"error": "only /api is here"})
            return
        text = json.dumps(body.decode("utf-8", "backslashreplace"))[1:-1].replace('\\"', '"')
        key = self.headers.get("Idempotency-Key") or f"none-{time.monotonic_ns()}"
        topic = unquote(self.headers.get("Sluice-Topic", "-"))
        self.server.arrivals.add(key, path, text, f"{topic!r}, {self.headers.get('Sluice-Age', '?')} ms old")
        self.answer(200, {"ok": True})

    def do_GET(self):
        self.answer(404, {"error": "this backend only takes readings"})

    def answer(self, status, what):
        body = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """The readings are the log."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that hangs up, or a handshake that fails, is no news."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8443, help="on 127.0.0.1 (default %(default)s)")
    parser.add_argument("--cert", required=True, help="certificate, PEM")
    parser.add_argument("--key", required=True, help="its private key, PEM")
    parser.add_argument("--record", metavar="FILE", help="where to note what arrived")
    args = parser.parse_args()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(args.cert, args.key)
    context.set_alpn_protocols(["http/1.1"])
    server = Server(("127.0.0.1", args.port), Handler)
    server.arrivals = Arrivals(args.record)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main()
