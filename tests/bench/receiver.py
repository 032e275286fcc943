"""Measures when messages arrive: a plain HTTP/1.1 server on a Unix socket. nginx in
front of it speaks TLS and HTTP/2 with sluice. Messages contain the time of their
publication; CLOCK_MONOTONIC is the same for all processes of a machine.
"""
import asyncio
import json
import time


def messages(body):
    """The messages of a body, which is an array, or has one message a line."""
    return json.loads(body) if body.startswith(b"[") else [json.loads(line) for line in body.splitlines()]


class Server(asyncio.Protocol):
    """Calls respond(body) for each request, and sends the status line that it returns."""

    def __init__(self, respond):
        self.respond = respond
        self.data = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data
        while b"\r\n\r\n" in self.data:
            head, rest = self.data.split(b"\r\n\r\n", 1)
            length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                          if line.startswith(b"content-length:"))
            if len(rest) < length:
                return
            self.data = rest[length:]
            self.transport.write(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
                                 % self.respond(rest[:length]))


async def receive(socket_path, publisher_argv, count, deadline_s):
    """Runs publisher_argv, and returns the times of all messages that arrived, once
    `count` have arrived or at the deadline."""
    took_ns = {}  # {message number: ns from its publication to its arrival here}

    def note(body):
        now_ns = time.monotonic_ns()
        took_ns.update((message["n"], now_ns - message["sent_ns"]) for message in messages(body))
        return b"200 OK"

    server = await asyncio.get_running_loop().create_unix_server(lambda: Server(note), socket_path)
    async with server:
        publisher = await asyncio.create_subprocess_exec(*publisher_argv)
        await publisher.wait()
        end = time.monotonic() + deadline_s
        while len(took_ns) < count and time.monotonic() < end:
            await asyncio.sleep(0.05)
    return took_ns
