#!/usr/bin/python3
"""A small HTTPS backend for trying sluice: accepts POSTs below /api and prints them.

It prints one line for each request. It has no database, speaks only HTTP/1.1, and listens
only on this machine. It treats an Idempotency-Key as a good backend does: it sends the
same response to a known key again, and does not count the request twice. --record FILE
keeps what arrived (key, tab, body), and remembers it after a restart.
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
    """The idempotency keys that arrived. Each connection has its own thread, so a lock
    protects them."""

    def __init__(self, record):
        self._lock = threading.Lock()
        self._file = open(record, "a+", encoding="utf-8") if record else None
        self._keys = set()
        if self._file:
            self._file.seek(0)
            self._keys = {line.split("\t", 1)[0] for line in self._file}

    def add(self, key, path, text, about):
        """Records and prints a request under one lock, so that the numbers are in order."""
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
        # The handshake runs in the thread of the connection, so that a slow client does
        # not delay the others.
        self.request.settimeout(10)
        self.request.do_handshake()
        super().setup()

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_LIMIT:
            self.close_connection = True
            self.respond(413 if length.isdigit() else 411, {"error": "the body needs a Content-Length of at most 1 MiB"})
            return
        body = self.rfile.read(int(length))
        path = urlsplit(self.path).path  # without the query, which may have a secret key
        if path != "/api" and not path.startswith("/api/"):
            self.respond(404, {"error": "the only path is /api"})
            return
        text = json.dumps(body.decode("utf-8", "backslashreplace"))[1:-1].replace('\\"', '"')
        key = self.headers.get("Idempotency-Key") or f"none-{time.monotonic_ns()}"
        topic = unquote(self.headers.get("Sluice-Topic", "-"))
        self.server.arrivals.add(key, path, text, f"{topic!r}, {self.headers.get('Sluice-Age', '?')} ms old")
        self.respond(200, {"ok": True})

    def do_GET(self):
        self.respond(404, {"error": "this backend only accepts POST"})

    def respond(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """add() prints the requests."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Ignores clients that close the connection and handshakes that fail."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8443, help="on 127.0.0.1 (default %(default)s)")
    parser.add_argument("--cert", required=True, help="certificate, PEM")
    parser.add_argument("--key", required=True, help="its private key, PEM")
    parser.add_argument("--record", metavar="FILE", help="record what arrived in this file")
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
