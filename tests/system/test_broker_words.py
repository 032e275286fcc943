"""Why there is no connection to the broker: the words say what to do."""
import os
import re

import pytest

from harness.sluice import SENSOR_ROUTE
from scripted_broker import ScriptedBroker


@pytest.fixture
def why(make_sluice, backend):
    """why(broker, settings of [broker]): the reason in the log and in the status."""
    def reason(broker, **settings):
        sluice = make_sluice(backends={"garden": backend}, routes={"sensor": SENSOR_ROUTE}, broker_port=broker.port,
                             broker=settings)
        sluice.start()
        line = sluice.wait_event("broker-away")
        [found] = re.findall(r"away since \S+ \S+ \((.*)\), next try", line)
        return found

    return reason


@pytest.mark.parametrize("protocol, code", [("3.1.1", 2), ("5", 0x85)])
def test_a_keepalive_or_client_id_that_is_refused(why, protocol, code):
    """Mosquitto refuses both with the same code; which version and setting does that for a keepalive differs."""
    with ScriptedBroker().start() as broker:
        broker.refuse = code
        found = why(broker, protocol=protocol, keepalive="77s")
    assert "keepalive of 77 s" in found and "max_keepalive" in found and "client_id sluice" in found


def test_a_broker_without_wildcards(make_sluice, backend):
    with ScriptedBroker().start() as broker:
        sluice = make_sluice(backends={"garden": backend}, broker_port=broker.port, broker={"protocol": "5"})
        sluice.start()
        broker.wait_packets("SUBSCRIBE")
        broker.send(b"\xe0\x02\xa2\x00")  # DISCONNECT: wildcard subscriptions not supported
        sluice.wait_event("broker-away", "does not support wildcards: name each topic")


@pytest.mark.parametrize("code, advice", [(0xA2, "does not support wildcards: name each topic"), (0x87, "broker's ACL"),
                                          (0x97, "allows no more subscriptions")])  # fmt: skip
def test_a_subscription_that_is_refused(make_sluice, backend, code, advice):
    with ScriptedBroker().start() as broker:
        broker.suback = lambda name, qos: code
        sluice = make_sluice(backends={"garden": backend}, broker_port=broker.port, broker={"protocol": "5"})
        sluice.start()
        sluice.wait_event("subscription-refused", advice)
        [line] = [line for line in sluice.status(expect=4)["problems"] if "refuses the topic" in line]
        assert advice in line


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_client_id_that_is_not_allowed(why, make_mosquitto, protocol):
    broker = make_mosquitto(extra="clientid_prefixes garden-")
    found = why(broker, protocol=protocol)
    assert "client_id" in found and "clientid_prefixes" in found and "username" in found


@pytest.fixture
def tls_mosquitto(ca, make_mosquitto):
    cert_file, key_file = ca.issue("localhost")
    os.chmod(key_file, 0o644)
    return make_mosquitto(tls={"ca_file": ca.ca_file, "cert_file": cert_file, "key_file": key_file})


@pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])
def test_clear_text_to_a_port_with_tls(why, tls_mosquitto, protocol):
    assert "tls = yes" in why(tls_mosquitto, protocol=protocol)


def test_tls_to_a_port_with_clear_text(why, mosquitto, ca):
    found = why(mosquitto, host="localhost", tls="yes", ca_file=ca.ca_file)
    assert "tls = no" in found and "A TLS error occurred" not in found


def test_a_certificate_of_an_unknown_authority(why, tls_mosquitto):
    found = why(tls_mosquitto, host="localhost", tls="yes")
    assert "certificate" in found and "ca_file" in found
