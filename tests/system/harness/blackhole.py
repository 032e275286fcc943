"""Servers that never answer."""
import os
import random
import socket
import struct
import threading
from pathlib import Path

from .ports import free_port


class BlackHole:
    """A port of 127.0.0.1 that answers no SYN: the queue of its listener is full.
    With handshake=True it accepts connections, and then sends nothing."""

    def __init__(self, port=None, handshake=False):
        self.port = port or free_port()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(128 if handshake else 0)
        self.fillers = []
        for _ in range(0 if handshake else 4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self.fillers.append(filler)

    def close(self):
        for one in [*self.fillers, self.listener]:
            one.close()


class Resolver:
    """A name server on a loopback address of its own. mode: "silent" (never answers),
    "nxdomain", "answer" (every name is `found`), or "no-aaaa" (the same, and it never answers
    questions for an IPv6 address). prefix() is a command that
    runs a program in a mount namespace where it is the only name server. make_socket: makes a UDP socket
    in the network namespace of that program."""

    def __init__(self, directory, mode="silent", found="127.0.0.1", make_socket=None):
        self.mode = mode
        self.found = found
        self.queries = 0
        self._make_socket = make_socket or (lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.socket = self._make_socket()
        self.address = self._bind()
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        (self.dir / "resolv.conf").write_text(
            f"nameserver {self.address}\noptions timeout:{1 if mode == 'no-aaaa' else 30} attempts:1\n"
        )
        (self.dir / "nsswitch.conf").write_text("hosts: files dns\n")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @staticmethod
    def possible():
        """Port 53 and a mount namespace are for root only."""
        return os.geteuid() == 0

    def _bind(self):
        for _ in range(20):
            address = f"127.53.{random.randrange(256)}.{random.randrange(1, 255)}"
            try:
                self.socket.bind((address, 53))
                return address
            except OSError as error:
                last = error
        raise last

    def prefix(self):
        mounts = [
            f"mount --bind {self.dir / name} /etc/{name}"
            for name in ("resolv.conf", "nsswitch.conf")
            if os.path.exists(f"/etc/{name}")
        ]
        return ["unshare", "-m", "sh", "-c", " && ".join([*mounts, 'exec "$@"']), "sh"]

    def _serve(self):
        while True:
            try:
                query, sender = self.socket.recvfrom(2048)
            except OSError:
                return
            if not query:
                return  # close() woke us
            self.queries += 1
            answer = self._answer(query)
            if answer:
                self.socket.sendto(answer, sender)

    def _answer(self, query):
        if self.mode == "silent":
            return None
        end = query.index(0, 12) + 5  # the question: name, type, class
        (kind,) = struct.unpack("!H", query[end - 4 : end - 2])
        if self.mode == "no-aaaa" and kind == 28:
            return None
        found = self.mode in ("answer", "no-aaaa") and kind == 1  # an A record
        code = 3 if self.mode == "nxdomain" else 0
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, int(found), 0, 0)
        record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(self.found)
        return head + query[12:end] + (record if found else b"")

    def close(self):
        with self._make_socket() as waker:
            waker.sendto(b"", (self.address, 53))
        self._thread.join(5)
        self.socket.close()
