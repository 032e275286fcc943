"""What a route leaves out, and what it makes of messages that are almost JSON."""
import json

import pytest

from harness.wait import wait_until

ZIGBEE = {"topic": "zigbee2mqtt/#", "path": "/zigbee"}


def since_start(sluice):
    return sluice.status()["daemon"]["since_start"]


# -- except


def test_a_route_leaves_out_what_its_except_matches(make_sluice, mosquitto, backend):
    """Another route may take it. What no route takes for this reason alone is counted apart."""
    routes = {"devices": {**ZIGBEE, "except": ["zigbee2mqtt/bridge/#", "zigbee2mqtt/+/availability"]},
              "logs": {"topic": "zigbee2mqtt/bridge/logging", "path": "/logs"}}  # fmt: skip
    sluice = make_sluice(backends={"garden": backend}, routes=routes).start().wait_connected()
    topics = ["bridge", "bridge/logging", "bridge/state", "lamp/availability", "availability", "lamp", "a/b/availability"]
    for topic in topics:
        mosquitto.publish(f"zigbee2mqtt/{topic}", topic.encode())
    backend.wait_for(4)
    sluice.wait_empty()
    assert backend.bodies("/api/zigbee") == [b"availability", b"lamp", b"a/b/availability"]
    assert backend.bodies("/api/logs") == [b"bridge/logging"]
    counters = since_start(sluice)
    assert (counters["received"], counters["excepted"], counters["unrouted"]) == (7, 3, 0)
    assert "3 more were left out by except" in sluice.command("status", expect=None)


def test_a_reload_changes_what_is_left_out(make_sluice, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend}, routes={"devices": ZIGBEE}).start().wait_connected()
    mosquitto.publish("zigbee2mqtt/bridge/state", b"1")
    backend.wait_for(1)
    sluice.reload(routes={"devices": {**ZIGBEE, "except": "zigbee2mqtt/bridge/#"}})
    mosquitto.publish("zigbee2mqtt/bridge/state", b"2")
    mosquitto.publish("zigbee2mqtt/lamp", b"3")
    backend.wait_for(2)
    sluice.reload(routes={"devices": ZIGBEE})
    mosquitto.publish("zigbee2mqtt/bridge/state", b"4")
    backend.wait_for(3)
    assert backend.bodies() == [b"1", b"3", b"4"]
