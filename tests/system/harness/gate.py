"""A TLS server that refuses every handshake.

Backend cannot replace it: asyncio ends a failed handshake without the alert that other
servers send, and a client knows the reason only from that alert.
"""
import contextlib
import socket
import ssl
import threading

from .ports import free_port


class Gate:
    """context: an SSLContext of a server; its handshakes should fail."""

    def __init__(self, ca, context):
        self.ca_file = ca.ca_file
        self.port = free_port()
        self.url = f"https://localhost:{self.port}/api"
        self.refused = self.let_in = 0
        self._context = context
        self._context.load_cert_chain(*ca.issue("localhost"))
        self._socket = socket.create_server(("127.0.0.1", self.port), backlog=16)
        self._thread = threading.Thread(target=self._serve, name="gate", daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):
                client.settimeout(5)
                self._shake_hands(client)

    def _shake_hands(self, client):
        raw = client.dup()
        with raw:
            try:
                self._context.wrap_socket(client, server_side=True).close()
                self.let_in += 1
            except ssl.SSLError:  # its alert is out
                self.refused += 1
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(65536):  # unread bytes would make the end a reset, which overtakes the alert
                    pass

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)
