"""File descriptors: HTTP clients cannot use up those of the broker, of backends and of the
control socket."""
import os
import re
import resource
import socket
import subprocess

import pytest

from harness.line import Line
from harness.ports import free_port
from harness.sluice import SANITISERS, binary
from harness.web import ask, post

CONNECTIONS = 300  # max_connections
CLIENTS = 20  # addresses
NEEDED = re.compile(r"may need (\d+) file descriptors, and the system allows (\d+)")


def limited_to(soft, hard=None):
    return ["prlimit", f"--nofile={soft}:{hard or soft}"]


@pytest.fixture
def line(mosquitto):
    line = Line(mosquitto.port)
    yield line
    line.close()


@pytest.fixture
def sluice(make_sluice, backend, line):
    """With the attribute `needed`: the least limit that it starts with. No time-out of idle
    connections comes to its help."""
    port = free_port()
    sluice = make_sluice(backends={"garden": backend}, broker_port=line.port,
                         http={"listen": f"127.0.0.1:{port}", "max_connections": CONNECTIONS, "timeout": "10m"})  # fmt: skip
    sluice.port = port
    sluice.start(wait=False, prefix=limited_to(50))
    assert sluice.wait_exit() == 78
    [line] = sluice.find_events("config-error")
    sluice.needed = int(NEEDED.search(line).group(1))
    return sluice


def flood(port, count, data):
    """Idle connections, from CLIENTS addresses. Sluice may close some of them."""
    held = []
    for number in range(count):
        client = socket.socket()
        client.bind((f"127.0.1.{1 + number % CLIENTS}", 0))
        client.connect(("127.0.0.1", port))
        held.append(client)
        if data:
            client.sendall(data)
    return held


@pytest.mark.parametrize("data", [b"", b"POST /api/x HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"], ids=["silent", "half"])
def test_idle_clients_leave_descriptors_and_places_to_the_others(sluice, mosquitto, backend, line, data):
    sluice.start(prefix=limited_to(sluice.needed)).wait_connected(broker=mosquitto)
    held = flood(sluice.port, 2 * CONNECTIONS, data)
    sluice.wait_event("http-connections-full", CONNECTIONS)
    for n in range(5):
        assert ask(sluice.port, post(f"/api/{n}")).status == 202
    backend.wait_for(5)
    mosquitto.publish("garden/a/sensor", b"1")
    backend.wait_for(6)
    assert sluice.status()["daemon"]["http"][0]["connections"] <= CONNECTIONS
    before = len(sluice.log)
    line.cut()
    sluice.wait_connected(after=before, broker=mosquitto)
    mosquitto.publish("garden/a/sensor", b"2")
    backend.wait_for(7)
    assert not sluice.find_events("http-accept-failed")
    for client in held:
        client.close()
    assert sluice.stop() == 0


def check(sluice, limit):
    """(exit status, what it said) of `sluice check` below a limit."""
    command = [*limited_to(limit), binary(), "check", str(sluice.config_file)]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **SANITISERS}, check=False)
    return ended.returncode, ended.stderr


def test_a_configuration_that_does_not_fit_the_limit_is_an_error(sluice):
    assert check(sluice, sluice.needed)[0] == 0
    status, said = check(sluice, sluice.needed - 1)
    assert status == 1
    assert NEEDED.search(said).groups() == (str(sluice.needed), str(sluice.needed - 1))
    sluice.start(wait=False, prefix=limited_to(sluice.needed - 1))
    assert sluice.wait_exit() == 78


def test_sluice_raises_its_own_limit_as_far_as_it_may(sluice):
    sluice.start(prefix=limited_to(60, sluice.needed))
    assert resource.prlimit(sluice.process.pid, resource.RLIMIT_NOFILE) == (sluice.needed, sluice.needed)
    sluice.reload(http={**sluice.parts["http"], "max_connections": CONNECTIONS + 1}, expect="config-refused")
    assert sluice.find_events("config-error", sluice.needed + 1)
    assert ask(sluice.port, post("/api/x")).status == 202
