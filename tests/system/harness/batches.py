"""Batches: the messages in the bodies of requests.

Tests number their messages (see check.messages): {"host":"host0","n":7}, so that host and
number identify a message in any kind of batch.
"""
import json

from .check import overtakers, publish_all
from .wait import PATIENCE_S, wait_until

ROUTE = {"topic": "garden/+/sensor", "path": "/collections/sensor", "body": "json", "batch": 100}


def members(request):
    """The objects in a body: of an array, of NDJSON's lines, or the only one."""
    if not hasattr(request, "members"):
        text = request.body.decode()
        if request.headers["content-type"] == "application/x-ndjson":
            request.members = [json.loads(line) for line in text.splitlines()]
        else:
            value = json.loads(text)
            request.members = value if isinstance(value, list) else [value]
    return request.members


def name_of(member):
    return member["host"], member["n"]


def names(request):
    """The messages in it."""
    return [name_of(member) for member in members(request)]


def names_of(published):
    """The names of (topic, payload) pairs."""
    return [name_of(json.loads(payload)) for _, payload in published]


def renumbered(published, by=1000):
    """The same messages with other numbers."""
    found = [(topic, json.loads(payload)) for topic, payload in published]
    return [(topic, json.dumps({**value, "n": value["n"] + by}).encode()) for topic, value in found]


def all_names(requests):
    return [name for request in requests for name in names(request)]


def sizes(requests):
    return [len(members(request)) for request in requests]


def wait_members(backend, n, timeout=PATIENCE_S):
    """Waits until n different messages have a 2xx response; returns delivered()."""
    wait_until(lambda: len(set(all_names(backend.delivered()))) >= n, timeout,
               lambda: f"{n} messages ({len(set(all_names(backend.delivered())))} came)")
    return backend.delivered()


def under_one_key(requests):
    """A repetition has the same key, and no two batches or messages have one key."""
    by_key, by_names = {}, {}
    for request in requests:
        by_key.setdefault(request.key, set()).add(tuple(names(request)))
        by_names.setdefault(tuple(names(request)), set()).add(request.key)
    several = {key: found for key, found in by_key.items() if len(found) > 1}
    assert not several, f"keys that stand for several bodies: {several}"
    several = {found: keys for found, keys in by_names.items() if len(keys) > 1}
    assert not several, f"bodies under several keys: {several}"


def all_in_order(requests, published, but=()):
    """All published messages except those in `but` were delivered exactly once, and no others; in
    order per host, except that a message whose request failed may be overtaken. requests: all that
    the backend got."""
    got = all_names(request for request in requests if 200 <= request.status < 300)
    assert len(got) == len(set(got)), "some came twice"
    expected = [name for name in names_of(published) if name not in but]
    assert sorted(got) == sorted(expected)
    assert overtakers(requests, expected, names) == []


def arrived_in_order(backend, published, but=()):
    """The backend got all messages exactly once, and each try of a batch under one key."""
    under_one_key(list(backend.requests))
    all_in_order(list(backend.requests), published, but)


def queue_up(sluice, mosquitto, backends, published):
    """Stores messages and stops sluice: when it starts again, they are a backlog, and no
    backend or route is suspected."""
    backends = backends if isinstance(backends, (list, tuple)) else [backends]
    for backend in backends:
        backend.stop()
    sluice.start().wait_connected()
    publish_all(mosquitto, published)
    sluice.wait_pending(len(published) * len(sluice.parts["routes"]))
    assert sluice.stop() == 0
    for backend in backends:
        backend.start()
