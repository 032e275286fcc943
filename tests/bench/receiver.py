"""Stamps messages as they arrive: a plain HTTP/1.1 server on a Unix socket,
behind nginx, which speaks TLS and HTTP/2 with sluice. Messages carry the time of
their publication; CLOCK_MONOTONIC is the same for all processes of a machine.
"""
import asyncio
import json
import time


class Receiver(asyncio.Protocol):
    REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

    def __init__(self, took_ns):
        self.took_ns = took_ns  # {message number: ns from its publication to its arrival here}
        self.data = b""

    def connection_made(self, transport):
        self.transport = transport

    @staticmethod
    def messages(body):
        """An array, or lines, or one."""
        if body.startswith(b"["):
            return json.loads(body)
        return [json.loads(line) for line in body.splitlines()]

    def data_received(self, data):
        self.data += data
        while b"\r\n\r\n" in self.data:
            head, rest = self.data.split(b"\r\n\r\n", 1)
            length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                          if line.startswith(b"content-length:"))
            if len(rest) < length:
                return
            now_ns = time.monotonic_ns()
            for message in self.messages(rest[:length]):
                self.took_ns[message["n"]] = now_ns - message["sent_ns"]
            self.data = rest[length:]
            self.transport.write(self.REPLY)


async def receive(socket_path, publisher_argv, count, deadline_s):
    """Publishes by running publisher_argv, and returns the times of all messages
    that arrived: as soon as there are `count`, or at the deadline."""
    took_ns = {}
    server = await asyncio.get_running_loop().create_unix_server(lambda: Receiver(took_ns), socket_path)
    async with server:
        publisher = await asyncio.create_subprocess_exec(*publisher_argv)
        await publisher.wait()
        end = time.monotonic() + deadline_s
        while len(took_ns) < count and time.monotonic() < end:
            await asyncio.sleep(0.05)
    return took_ns
