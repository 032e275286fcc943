"""An HTTP client that sends exactly the bytes of a test."""
import socket
import struct
from dataclasses import dataclass, field

from .wait import PATIENCE_S, wait_until


@dataclass
class Response:
    status: int
    headers: dict = field(default_factory=dict)  # names in lower case
    body: bytes = b""


class Web:
    """One connection. It sends the bytes of a test unchanged."""

    def __init__(self, port, address="127.0.0.1", timeout=PATIENCE_S):
        self.socket = socket.create_connection((address, port), timeout)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def response(self, head=False):
        """The next response, or None if the connection ends first."""
        while b"\r\n\r\n" not in self.rest:
            if not self._more():
                assert not self.rest, f"half a response: {self.rest!r}"
                return None
        first, self.rest = self.rest.split(b"\r\n\r\n", 1)
        line, *lines = first.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
        status = int(line.split()[1])
        length = 0 if head or status in (100, 204) else int(headers["content-length"])
        while len(self.rest) < length:
            assert self._more(), "half a body"
        body, self.rest = self.rest[:length], self.rest[length:]
        return Response(status, headers, body)

    def closed(self):
        """Waits until the other side closes; whether it sent nothing more."""
        while self._more():
            pass
        return self.rest == b""

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.rest += data
        return data != b""

    def reset(self):
        """Closes like a device that loses its power."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.socket.close()


def post(target, body=b"{}", headers=(), method="POST", version="1.1"):
    """The bytes of a well-formed request."""
    lines = [f"{method} {target} HTTP/{version}", "Host: pi:8118", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def ask(port, data, **more):
    """One request on a connection of its own; its response, or None."""
    with Web(port, **more) as web:
        return web.send(data).response(head=data.startswith(b"HEAD"))


def wait_listening(port, address="127.0.0.1"):
    def accepts():
        try:
            Web(port, address).close()
            return True
        except ConnectionRefusedError:
            return False

    wait_until(accepts, what=f"port {port} to be listened on")
