"""Nothing is wrong in silence: for what goes wrong without an outage, `sluice status` has a
line, and its exit status is 4. In a sound setup it has none."""
import glob
import json
import re

import pytest

from harness.wait import wait_until

TOPIC = "garden/a/sensor"
TRUST = {"clock": "trust"}
SLOW = 180  # seconds, for what waits for a backoff or a minute

[SECURITY] = glob.glob("/usr/lib/*/mosquitto_dynamic_security.so")


def problems(sluice, *words):
    """The problems with all of these words, once there are any."""
    def found():
        status = sluice.status()
        return [line for line in status["problems"] if all(word in line for word in words)]

    lines = wait_until(found, SLOW, f"a problem with {words}")
    sluice.command("status", "--quiet", expect=4)
    return lines


def is_sound(sluice):
    wait_until(lambda: sluice.status()["problems"] == [], SLOW, lambda: f"no problem: {sluice.status()['problems']}")
    assert sluice.command("status", "--quiet", expect=0) == ""


def refuses(directory, topic):
    """Settings for a Mosquitto that refuses subscriptions to a topic filter."""
    rules = {
        "defaultACLAccess": {"publishClientSend": True, "publishClientReceive": True, "subscribe": True,
                             "unsubscribe": True},
        "roles": [{"rolename": "all", "acls": [{"acltype": "subscribeLiteral", "topic": topic, "allow": False}]}],
        "groups": [{"groupname": "all", "roles": [{"rolename": "all"}]}],
        "anonymousGroup": "all",
    }  # fmt: skip
    file = directory / "rules.json"
    file.write_text(json.dumps(rules))
    return f"plugin {SECURITY}\nplugin_opt_config_file {file}"


# ---- the broker


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_refused_subscription_is_a_problem(make_sluice, make_mosquitto, backend, tmp_path, version):
    broker = make_mosquitto(extra=refuses(tmp_path, "secret/#"))
    routes = {"open": {"topic": "garden/#", "path": "/open"}, "secret": {"topic": "secret/#", "path": "/secret"}}
    sluice = make_sluice(broker_port=broker.port, backends={"garden": backend}, routes=routes, queue=TRUST,
                         broker={"protocol": version})  # fmt: skip
    sluice.start()
    [line] = problems(sluice, "secret/#")
    assert line.startswith("route secret: the broker refuses the topic secret/# (") and "ACL" in line
    assert f"\n! {line}\n" in sluice.command("status", expect=4)
    granted, refused = sluice.status()["daemon"]["broker"]["subscriptions"]
    assert (granted["filter"], granted["route"], granted["qos"], granted["why"]) == ("garden/#", "open", 1, None)
    assert refused["filter"] == "secret/#" and refused["why"] and "qos" not in refused
    sluice.reload(routes={"open": routes["open"]})
    is_sound(sluice)


def test_a_subscription_at_qos_0_is_a_problem(make_sluice, make_mosquitto, backend):
    broker = make_mosquitto(extra="max_qos 0")
    sluice = make_sluice(broker_port=broker.port, backends={"garden": backend}, queue=TRUST)
    sluice.start()
    [line] = problems(sluice, "QoS 0")
    assert line.startswith("route sensor: the broker grants the topic garden/+/sensor QoS 0 only")


def test_two_clients_with_one_client_id_are_a_problem(make_sluice, mosquitto, backend):
    one, two = (make_sluice(backends={"garden": backend}, queue=TRUST).start() for _ in range(2))
    for sluice in (one, two):
        sluice.wait_event("client-id-clash", "client_id sluice", timeout=SLOW)
        [line] = problems(sluice, "another client")
        assert re.match(r"broker 127\.0\.0\.1:\d+: it ends each connection soon .*client_id sluice\?", line)
        assert sluice.status()["daemon"]["broker"]["clash"]
    two.stop()
    is_sound(one)
    one.wait_event("broker-connected", "lasts again")
    one.wait_events(1, "client-id-clash")
    two.wait_event("client-id-clash")


# ---- topics


def test_a_topic_that_matches_nothing_is_a_problem(make_sluice, mosquitto, backend):
    routes = {"sensor": {"topic": ["garden/+/sensor", "gardn/+/sensor"], "path": "/sensor", "silent_after": "1s"},
              "alarm": {"topic": "alarm/#", "path": "/alarm", "silent_after": "never"}}  # fmt: skip
    sluice = make_sluice(backends={"garden": backend}, routes=routes, queue=TRUST)
    sluice.start().wait_connected()
    is_sound(sluice)
    mosquitto.publish(TOPIC, b"1")
    [line] = problems(sluice, "no message matches")
    assert line.startswith("route sensor: no message matches the topic gardn/+/sensor, ")
    _, misspelt, _ = sluice.status()["daemon"]["broker"]["subscriptions"]
    assert misspelt["silent"] and misspelt["silent_since"]
    mosquitto.publish("gardn/a/sensor", b"2")
    backend.wait_for(2)
    is_sound(sluice)


def test_a_topic_that_matched_before_is_no_problem_after_a_restart(make_sluice, mosquitto, backend):
    """Its message comes once a day, for example."""
    routes = {"often": {"topic": "garden/#", "path": "/often"},
              "daily": {"topic": "daily/#", "path": "/daily", "silent_after": "1s"}}  # fmt: skip
    sluice = make_sluice(backends={"garden": backend}, routes=routes, queue=TRUST)
    sluice.start().wait_connected()
    mosquitto.publish("daily/report", b"1")
    backend.wait_for(1)
    wait_until(lambda: sluice.sql("select * from subscription where filter = 'daily/#' and matched = 1"),
               what="the memory of it")  # fmt: skip
    sluice.stop()
    before = len(sluice.log)
    sluice.start().wait_connected(after=before)
    mosquitto.publish(TOPIC, b"2")

    def is_old_enough():
        [since] = [s["silent_since"] for s in sluice.status()["daemon"]["broker"]["subscriptions"]
                   if s["filter"] == "daily/#"]
        return since and sluice.status()["daemon"]["seconds"] >= 4

    wait_until(is_old_enough, what="the silence to last")
    assert sluice.status(expect=0)["problems"] == []
