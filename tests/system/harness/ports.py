"""Free ports on 127.0.0.1."""
import random
import socket

# Below those that the kernel gives to outgoing connections (32768 and up): a
# server that stops and starts again finds its port free. At random, for several
# runs of the tests may go on at once.
_RANGE = range(10000, 32000)
_random = random.SystemRandom()
_given = set()


def free_port():
    """A TCP port that nobody listens on; never the same twice in one run."""
    while True:
        port = _random.choice(_RANGE)
        if port in _given:
            continue
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        _given.add(port)
        return port
