"""Free ports on 127.0.0.1."""
import itertools
import random
import socket

# Below those that the kernel gives to outgoing connections (32768 and up): a
# server that stops and starts again finds its port free. Each process that runs
# tests has a slice of its own, so that none takes a port while it is free for a
# moment.
_SLICES = [range(first, first + 500) for first in range(10000, 32000, 500)]


def _take_slice():
    """A slice, and the socket whose name keeps others from it: an abstract one, which
    is gone with the process."""
    for ports in random.SystemRandom().sample(_SLICES, len(_SLICES)):
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0sluice-test-ports-{ports.start}")
            return ports, mark
        except OSError:
            mark.close()
    raise RuntimeError(f"{len(_SLICES)} processes run tests already")


_ports, _mark = _take_slice()
_next = itertools.cycle(_ports)


def free_port():
    """A TCP port that nobody listens on, and that was not given for a long time."""
    for port in itertools.islice(_next, len(_ports)):
        try:
            socket.create_server(("127.0.0.1", port)).close()
            return port
        except OSError:
            continue
    raise RuntimeError(f"no port from {_ports.start} to {_ports.stop - 1} is free")
