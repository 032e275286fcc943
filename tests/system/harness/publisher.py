"""A publisher that knows what the broker acknowledged, message by message.

It speaks just enough MQTT (3.1.1 or 5) to publish at QoS 1. Client libraries send
messages in flight again after a connection broke. The broker takes them for new
messages, and a test could not see whether sluice or the library repeated them. Here such
a message is doubtful: it may have arrived or not, and is not sent again.
"""
import collections
import select
import socket
import threading
import time

WAITING, SENT, ACKED, DOUBTFUL = "waiting", "sent", "acked", "doubtful"

_CONNACK, _PUBACK = 2, 4


class Message:
    """A message to publish. number: its place in its topic; None for one of several equal
    messages."""

    __slots__ = ("topic", "payload", "number", "state", "acked_at", "may_be_lost", "may_come_again")

    def __init__(self, topic, payload, number=None):
        self.topic, self.payload, self.number = topic, payload, number
        self.state = WAITING
        self.acked_at = 0
        self.may_be_lost = self.may_come_again = False  # because the broker crashed


def _text(text):
    raw = text.encode()
    return len(raw).to_bytes(2, "big") + raw


def _packet(first, body):
    length, size = b"", len(body)
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([first]) + length + bytes([size]) + body


class Publisher:
    """window: the limit of unacknowledged messages; pause_s: the pause after each write.
    Both may be changed at any time."""

    def __init__(self, port, version=4, name="publisher", window=500):
        self.port, self.version, self.name = port, version, name
        self.window, self.pause_s = window, 0
        self.messages = []  # all of them
        self.acked = self.doubtful = 0
        self._todo = collections.deque()
        self._in_flight = {}  # packet id -> Message
        self._packet_id = 0
        self._socket = None
        self._received = b""
        self._ending = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def send(self, messages):
        """Returns at once."""
        messages = list(messages)
        self.messages += messages
        self._todo.extend(messages)

    def idle(self):
        """Whether no message waits, and each is acknowledged or doubtful."""
        return self.acked + self.doubtful == len(self.messages)

    def close(self):
        self._ending = True
        self._thread.join(10)

    # -- the thread

    def _run(self):
        while not self._ending:
            try:
                self._connect()
                while not self._ending:
                    self._write()
                    self._read()
            except (OSError, EOFError):
                self._give_up_on_the_rest()
                time.sleep(0.02)
        self._give_up_on_the_rest()

    def _connect(self):
        self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        properties = b"\0" if self.version == 5 else b""
        clean_no_keepalive = b"\x02\0\0"
        self._socket.sendall(_packet(0x10, _text("MQTT") + bytes([self.version]) + clean_no_keepalive + properties
                                     + _text(self.name)))  # fmt: skip
        while True:
            self._receive()
            for kind, body in self._packets():
                if kind != _CONNACK or body[1] != 0:
                    raise EOFError("no CONNACK")
                return

    def _give_up_on_the_rest(self):
        if self._socket:
            self._socket.close()
            self._socket = None
        for message in self._in_flight.values():
            message.state = DOUBTFUL
        self.doubtful += len(self._in_flight)
        self._in_flight.clear()

    def _write(self):
        packets = []
        while self._todo and len(self._in_flight) < self.window:
            message = self._todo.popleft()
            self._packet_id = self._packet_id % 65535 + 1
            self._in_flight[self._packet_id] = message
            message.state = SENT
            properties = b"\0" if self.version == 5 else b""
            packets.append(_packet(0x32, _text(message.topic) + self._packet_id.to_bytes(2, "big") + properties
                                   + message.payload))  # fmt: skip
        if packets:
            self._socket.sendall(b"".join(packets))
            time.sleep(self.pause_s)

    def _read(self):
        if not select.select([self._socket], [], [], 0.005)[0]:
            return
        self._receive()
        for kind, body in self._packets():
            refused = len(body) > 2 and body[2] >= 0x80
            if kind != _PUBACK or refused:
                raise EOFError(f"packet {kind}: {body!r}")
            message = self._in_flight.pop(int.from_bytes(body[:2], "big"))
            message.acked_at = time.monotonic()
            message.state = ACKED
            self.acked += 1

    def _receive(self):
        data = self._socket.recv(65536)
        if not data:
            raise EOFError("the broker hung up")
        self._received += data

    def _packets(self):
        """The complete packets. None is longer than 127 bytes."""
        while len(self._received) >= 2 and len(self._received) >= 2 + self._received[1]:
            end = 2 + self._received[1]
            packet, self._received = self._received[:end], self._received[end:]
            yield packet[0] >> 4, packet[2:]
