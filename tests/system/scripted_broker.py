"""A small MQTT broker that a test controls, MQTT 5 and 3.1.1.

A real broker cannot be made to send CR and LF in a topic, to refuse MQTT 5 in
each of the ways that exist, to repeat a packet id with DUP set, or to tell at
which moment an acknowledgement arrived. This one can, and it records every
packet that it received, with a timestamp:

    broker = ScriptedBroker()
    broker.start()
    ... sluice connects and subscribes ...
    broker.publish("garden/a/sensor", b"{}")        # QoS 1, the next packet id
    broker.wait_acked(1)
    broker.packets("SUBSCRIBE")[0].filters

It routes nothing: what is published goes to the client that is connected now.
It knows sockets and bytes only, no MQTT library, so that it can be wrong on
purpose. One thread accepts, one thread per connection reads.
"""

import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from harness.wait import PATIENCE_S

TYPES = {1: "CONNECT", 2: "CONNACK", 3: "PUBLISH", 4: "PUBACK", 5: "PUBREC", 6: "PUBREL", 7: "PUBCOMP",
         8: "SUBSCRIBE", 9: "SUBACK", 10: "UNSUBSCRIBE", 11: "UNSUBACK", 12: "PINGREQ", 13: "PINGRESP",
         14: "DISCONNECT", 15: "AUTH"}

# Property identifiers (MQTT 5.0, 2.2.2.2) by the shape of their value.
PROPERTY_BYTE = {0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A}
PROPERTY_TWO = {0x13, 0x21, 0x22, 0x23}
PROPERTY_FOUR = {0x02, 0x11, 0x18, 0x27}
PROPERTY_STRING = {0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F}
SESSION_EXPIRY, RECEIVE_MAXIMUM, SUBSCRIPTION_IDENTIFIER, USER_PROPERTY = 0x11, 0x21, 0x0B, 0x26


@dataclass
class Packet:
    """One packet that the client sent. Which attributes of `fields` exist
    depends on its type; they can be read as attributes of the packet."""

    type: str
    at: float  # time.monotonic() when its last byte was read
    connection: int  # from 0: the connection it came by
    flags: int
    fields: dict = field(default_factory=dict)

    def __getattr__(self, name):
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(name) from None


def encode_varint(number):
    out = bytearray()
    while True:
        number, low = divmod(number, 128)
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def encode_string(text):
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("!H", len(raw)) + raw


def encode_packet(first_byte, body):
    return bytes([first_byte]) + encode_varint(len(body)) + body


class Reader:
    """Parses the body of a packet."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        if self.left() < count:
            raise ValueError("packet is too short")
        self.at += count
        return self.data[self.at - count:self.at]

    def byte(self):
        return self.take(1)[0]

    def two(self):
        return struct.unpack("!H", self.take(2))[0]

    def four(self):
        return struct.unpack("!I", self.take(4))[0]

    def binary(self):
        return self.take(self.two())

    def string(self):
        return self.binary().decode()

    def varint(self):
        number, shift = 0, 0
        while True:
            byte = self.byte()
            number |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return number
            shift += 7

    def properties(self):
        """{identifier: value}; the values of a repeatable property are a list."""
        inner, found = Reader(self.take(self.varint())), {}
        while inner.left():
            name = inner.varint()
            if name == SUBSCRIPTION_IDENTIFIER:
                found.setdefault(name, []).append(inner.varint())
            elif name == USER_PROPERTY:
                found.setdefault(name, []).append((inner.string(), inner.string()))
            elif name in PROPERTY_BYTE:
                found[name] = inner.byte()
            elif name in PROPERTY_TWO:
                found[name] = inner.two()
            elif name in PROPERTY_FOUR:
                found[name] = inner.four()
            elif name in PROPERTY_STRING:
                found[name] = inner.binary()
            else:
                raise ValueError(f"unknown property {name:#x}")
        return found


def decode_connect(reader):
    name, level, flags = reader.string(), reader.byte(), reader.byte()
    fields = {"protocol": name, "level": level, "clean_start": bool(flags & 2), "keepalive": reader.two(),
              "properties": reader.properties() if level == 5 else {}, "client_id": reader.string(),
              "username": None, "password": None, "will": None}
    if flags & 4:
        if level == 5:
            reader.properties()
        fields["will"] = (reader.string(), reader.binary())
    if flags & 0x80:
        fields["username"] = reader.string()
    if flags & 0x40:
        fields["password"] = reader.binary()
    return fields


def decode_subscribe(reader, v5):
    """filters: a list of (filter, QoS, retain handling, options byte)."""
    fields = {"packet_id": reader.two(), "properties": reader.properties() if v5 else {}, "filters": []}
    while reader.left():
        name, options = reader.string(), reader.byte()
        fields["filters"].append((name, options & 3, options >> 4 & 3, options))
    fields["identifiers"] = fields["properties"].get(SUBSCRIPTION_IDENTIFIER, [])
    return fields


def decode_unsubscribe(reader, v5):
    fields = {"packet_id": reader.two(), "properties": reader.properties() if v5 else {}, "filters": []}
    while reader.left():
        fields["filters"].append(reader.string())
    return fields


def decode_publish(reader, flags, v5):
    topic = reader.binary()
    return {"topic": topic, "qos": flags >> 1 & 3, "packet_id": reader.two() if flags >> 1 & 3 else None,
            "properties": reader.properties() if v5 else {}, "payload": reader.take(reader.left())}


def decode(kind, flags, body, v5):
    reader = Reader(body)
    if kind == "CONNECT":
        return decode_connect(reader)
    if kind == "SUBSCRIBE":
        return decode_subscribe(reader, v5)
    if kind == "UNSUBSCRIBE":
        return decode_unsubscribe(reader, v5)
    if kind == "PUBLISH":
        return decode_publish(reader, flags, v5)
    if kind in ("PUBACK", "PUBREC", "PUBREL", "PUBCOMP"):
        return {"packet_id": reader.two(), "reason": reader.byte() if reader.left() else 0}
    if kind == "DISCONNECT":
        return {"reason": reader.byte() if reader.left() else 0}
    return {}


def encode_publish(topic, payload, qos=1, packet_id=None, dup=False, retain=False, identifiers=(), properties=b"", v5=True):
    """topic may be any bytes, also bytes that MQTT forbids. properties: more of them, encoded (MQTT 5)."""
    body = encode_string(topic)
    if qos:
        body += struct.pack("!H", packet_id)
    if v5:
        inner = b"".join(bytes([SUBSCRIPTION_IDENTIFIER]) + encode_varint(n) for n in identifiers)
        inner += properties
        body += encode_varint(len(inner)) + inner
    payload = payload.encode() if isinstance(payload, str) else payload
    return encode_packet(0x30 | (8 if dup else 0) | qos << 1 | (1 if retain else 0), body + payload)


class ScriptedBroker:
    """What it does by default: accepts both versions, grants what is asked for,
    answers pings. What a test may set, before start() or at any time:

    refuse_v5       None; "code1" (CONNACK in the form of 3.1.1, "unacceptable
                    protocol version"); "0x84" (in the form of 5); "close";
                    "old-connack" (accepts, in the form of 3.1.1)
    silent          True: takes the connection and never answers anything
    unanswered      types of packets that it does not answer, {"UNSUBSCRIBE"}
    refuse          None, or a number: the CONNACK code for every connection
    suback          callable(filter, QoS) -> the code for the SUBACK
    session_present None: whether the client was here before; or a bool
    connack         properties of the CONNACK, encoded (MQTT 5)
    hooks           {"PUBACK": callable(packet), ...}: called in the connection's
                    thread when such a packet was read, before anything else
    """

    def __init__(self, port=0, refuse_v5=None):
        self.refuse_v5 = refuse_v5
        self.silent = False
        self.unanswered = set()
        self.refuse = None
        self.suback = lambda name, qos: qos
        self.session_present = None
        self.connack = b""
        self.hooks = {}
        self.errors = []  # of our own threads and hooks
        self.unsubacked = []  # numbers of connections, one for each UNSUBACK
        self.attempts = []  # times at which a TCP connection was accepted
        self.port = port
        self._received = []
        self._changed = threading.Condition()
        self._listener = None
        self._client = None  # the connection whose CONNECT was accepted last
        self._known = set()
        self._sockets = set()
        self._next_id = 0
        self._unacked = {}
        self._sent_on = {}  # packet id: the number of the connection
        self.most_unacked = 0

    # -- life

    def start(self):
        self._listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def stop(self):
        """Ends all connections, and refuses new ones."""
        listener, self._listener = self._listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.drop()

    def drop(self):
        """Cuts the connections, like a broker that crashes."""
        with self._changed:
            sockets, self._sockets, self._client = self._sockets, set(), None
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self.start() if not self._listener else self

    def __exit__(self, *_):
        self.stop()

    # -- what was received

    @property
    def connected(self):
        """Whether there is a client whose CONNECT was accepted."""
        return self._client is not None

    def packets(self, kind=None):
        with self._changed:
            return [p for p in self._received if kind is None or p.type == kind]

    def wait(self, condition, timeout=PATIENCE_S, what="the broker's condition"):
        """Waits until condition() is true; each packet makes it check again."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                result = condition()
                if result:
                    return result
                left = deadline - time.monotonic()
                assert left > 0, f"waited {timeout} s for {what}; errors: {self.errors}"
                self._changed.wait(min(left, 0.2))

    def wait_packets(self, kind, count=1, timeout=PATIENCE_S):
        return self.wait(lambda: (lambda found: found if len(found) >= count else None)(
            [p for p in self._received if p.type == kind]), timeout, f"{count} {kind}")

    def wait_subscribed(self, filters, timeout=PATIENCE_S):
        """Waits until the connected client has subscribed to each of the filters."""
        wanted = set(filters)
        self.wait(lambda: self._client and wanted <= {
            name for p in self._received
            if p.type == "SUBSCRIBE" and p.connection == self._client.number for name, *_ in p.filters},
            timeout, f"subscriptions to {sorted(wanted)}")

    def identifier(self, name):
        """The subscription identifier that the filter was last subscribed with."""
        found = [p.identifiers for p in self.packets("SUBSCRIBE") if name in [f[0] for f in p.filters]]
        return found[-1][0] if found and found[-1] else None

    def acked(self):
        """The acknowledged packet ids, in order."""
        return [p.packet_id for p in self.packets("PUBACK")]

    def wait_acked(self, count, timeout=PATIENCE_S):
        return self.wait_packets("PUBACK", count, timeout)

    @property
    def unacked(self):
        with self._changed:
            return list(self._unacked)

    # -- what is sent

    def next_packet_id(self):
        with self._changed:
            while True:
                self._next_id = self._next_id % 65535 + 1
                if self._next_id not in self._unacked:
                    return self._next_id

    def publish(self, topic, payload=b"", qos=1, packet_id=None, **how):
        """Sends one PUBLISH (dup, retain, identifiers: as in encode_publish)
        and returns its packet id."""
        return self.publish_all([dict(topic=topic, payload=payload, qos=qos, packet_id=packet_id, **how)])[0]

    def publish_all(self, messages):
        """Sends all of them with one write; returns their packet ids."""
        client = self.wait(lambda: self._client, what="a client")
        out, ids = [], []
        for message in messages:
            message = {"qos": 1, "packet_id": None, "payload": b"", **message}
            if message["qos"] and message["packet_id"] is None:
                message["packet_id"] = self.next_packet_id()
            raw = encode_publish(v5=client.v5, **message)
            out.append(raw)
            ids.append(message["packet_id"])
            if message["qos"]:
                with self._changed:
                    self._unacked[message["packet_id"]] = message
                    self._sent_on[message["packet_id"]] = client.number
                    self.most_unacked = max(self.most_unacked, len(self._unacked))
        self.send(b"".join(out))
        return ids

    def publish_windowed(self, messages, window, timeout=PATIENCE_S):
        """Sends in order, never with more than `window` unacknowledged."""
        for message in messages:
            self.wait(lambda: len(self._unacked) < window, timeout, f"room in a window of {window}")
            self.publish_all([message])

    def redeliver(self):
        """Sends all unacknowledged messages of earlier connections again, in order, with the same
        packet id and DUP, as a broker does when a session resumes."""
        client = self.wait(lambda: self._client, what="a client")
        with self._changed:
            messages = [m for m in self._unacked.values() if self._sent_on[m["packet_id"]] < client.number]
        return self.publish_all([{**m, "dup": True} for m in messages]) if messages else []

    def forget_unacked(self):
        with self._changed:
            self._unacked.clear()

    def send(self, raw):
        """Raw bytes to the client that is connected now."""
        client = self.wait(lambda: self._client, what="a client")
        client.send(raw)

    # -- threads

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._changed:
                if listener is not self._listener:
                    sock.close()
                    return
                number = len(self.attempts)
                self.attempts.append(time.monotonic())
                self._sockets.add(sock)
                self._changed.notify_all()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self, sock, number)
            threading.Thread(target=connection.run, daemon=True).start()

    def _record(self, packet):
        """The hook comes first: it sees the state at this moment."""
        hook = self.hooks.get(packet.type)
        if hook:
            try:
                hook(packet)
            except Exception as error:  # a test checks it; the thread must go on
                self.errors.append(error)
        with self._changed:
            self._received.append(packet)
            if packet.type == "PUBACK":
                self._unacked.pop(packet.packet_id, None)
            self._changed.notify_all()

    def _gone(self, connection):
        with self._changed:
            self._sockets.discard(connection.sock)
            if self._client is connection:
                self._client = None
            self._changed.notify_all()


class Connection:
    """One TCP connection of a client."""

    def __init__(self, broker, sock, number):
        self.broker, self.sock, self.number = broker, sock, number
        self.v5 = False
        self._writing = threading.Lock()
        self._stream = sock.makefile("rb")

    def send(self, raw):
        with self._writing:
            try:
                self.sock.sendall(raw)
            except OSError:
                pass  # the reading side notices

    def run(self):
        try:
            while self._packet():
                pass
        except (OSError, EOFError):
            pass
        except Exception as error:
            self.broker.errors.append(error)
        finally:
            self.broker._gone(self)
            self._stream.close()
            self.sock.close()

    def _take(self, count):
        taken = self._stream.read(count)
        if len(taken) < count:
            raise EOFError
        return taken

    def _packet(self):
        first = self._take(1)[0]
        length, shift = 0, 0
        while True:
            byte = self._take(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        kind, flags, body = TYPES.get(first >> 4, "?"), first & 15, self._take(length)
        packet = Packet(kind, time.monotonic(), self.number, flags, decode(kind, flags, body, self.v5))
        self.broker._record(packet)
        return self.broker.silent or kind in self.broker.unanswered or self._answer(packet)

    def _answer(self, packet):
        """Returns False to hang up."""
        if packet.type == "CONNECT":
            return self._connack(packet)
        if packet.type == "SUBSCRIBE":
            codes = bytes(self.broker.suback(name, qos) for name, qos, *_ in packet.filters)
            self.send(encode_packet(0x90, struct.pack("!H", packet.packet_id) + self._no_properties() + codes))
        elif packet.type == "UNSUBSCRIBE":
            codes = bytes(len(packet.filters)) if self.v5 else b""
            self.send(encode_packet(0xB0, struct.pack("!H", packet.packet_id) + self._no_properties() + codes))
            self.broker.unsubacked.append(self.number)
        elif packet.type == "PINGREQ":
            self.send(b"\xd0\x00")
        elif packet.type == "PUBLISH" and packet.qos == 1:
            self.send(encode_packet(0x40, struct.pack("!H", packet.packet_id)))
        return packet.type != "DISCONNECT"

    def _no_properties(self):
        return b"\x00" if self.v5 else b""

    def _connack(self, packet):
        broker = self.broker
        self.v5 = packet.level == 5
        if self.v5 and broker.refuse_v5:
            if broker.refuse_v5 == "code1":
                self.send(b"\x20\x02\x00\x01")
            elif broker.refuse_v5 == "0x84":
                self.send(b"\x20\x03\x00\x84\x00")
            elif broker.refuse_v5 == "old-connack":
                self.send(b"\x20\x02\x00\x00")
            return False
        if broker.refuse is not None:
            self.send(encode_packet(0x20, bytes([0, broker.refuse]) + self._no_properties()))
            return False
        present = broker.session_present
        if present is None:
            present = not packet.clean_start and packet.client_id in broker._known
        broker._known.add(packet.client_id)
        properties = encode_varint(len(broker.connack)) + broker.connack if self.v5 else b""
        self.send(encode_packet(0x20, bytes([1 if present else 0, 0]) + properties))
        with broker._changed:
            broker._client = self
            broker._changed.notify_all()
        return True
