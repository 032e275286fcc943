"""The plain-HTTP door through an outage of minutes, with more clients than the queue has
room for. It is long because the outage is, and costs little."""
import time

import pytest

from harness.clients import Clients, numbers
from harness.ports import free_port
from harness.wait import wait_until
from harness.web import ask

pytestmark = pytest.mark.build("dev")

OUTAGE_S = 120
ROOM = 400 # messages, of fifty clients and MQTT
TOPIC = "garden/a/sensor"
GET = b"GET /api/x HTTP/1.1\r\n\r\n"


def first_of_each_key(requests):
    """What a backend keeps that knows keys: an answer may have been lost."""
    kept = {}
    for request in requests:
        kept.setdefault(request.key, request)
    return kept.values()


def test_an_outage_of_minutes_loses_no_accepted_request(make_sluice, mosquitto, backend):
    """Clients post all the time, are sent away once the queue is full, and keep what they
    have; the broker keeps the rest; sluice is killed meanwhile. In the end there is
    everything, once."""
    port = free_port()
    sluice = make_sluice(
        backends={"garden": {"url": backend.url, "ca_file": backend.ca_file, "timeout": "2s"}},
        queue={"max_messages": ROOM, "clock": "trust"}, http={"listen": f"127.0.0.1:{port}"})  # fmt: skip
    sluice.start().wait_connected()

    def publish(ns):
        mosquitto.publish_many([(TOPIC, b'{"n":%d}' % n, 1) for n in ns])

    def holds():
        daemon = sluice.status(expect=4)["daemon"]
        return daemon["http"][0]["state"] == daemon["broker"]["state"] == "holding"

    clients = Clients(port, 50, keys=True, pause_s=1, again_s=5)
    wait_until(lambda: clients.total() >= 50, what="requests while all is well")
    backend.stop()
    until = time.monotonic() + OUTAGE_S
    before = clients.total()
    publish(range(50))
    wait_until(lambda: clients.total() >= before + 150, what="requests with the backend away")
    sluice.kill()
    sluice.start()
    wait_until(lambda: (503, "10") in clients.answers, 60, "clients to be sent away")
    wait_until(holds, what="both edges to hold")
    publish(range(50, 200))
    while time.monotonic() < until - OUTAGE_S / 2:
        assert ask(port, GET).status == 502
        time.sleep(5)
    backend.answer = lambda request: "stall"
    backend.start()
    while time.monotonic() < until:
        assert ask(port, GET).status == 504
        time.sleep(5)
    assert holds()
    backend.answer = None
    before = clients.total()
    wait_until(lambda: clients.total() >= before + 100, 60, "clients to be accepted again")
    accepted = clients.stop()
    backend.wait_for(200 + sum(map(len, accepted)), 60)
    sluice.wait_empty(60)

    got = numbers(first_of_each_key([r for r in backend.delivered() if r.method == "POST"]))
    # A request that timed out may have been overtaken.
    assert sorted(got.pop("/api/collections/sensor")) == list(range(200))
    for client, ns in enumerate(accepted):
        assert sorted(got[f"/api/c{client}"])[: len(ns)] == ns == list(range(len(ns)))
        assert len(got[f"/api/c{client}"]) - len(ns) <= 1 # stored, and the answer came too late
    assert clients.answers <= {(202, None), (503, "10")}
    assert sluice.stop() == 0
