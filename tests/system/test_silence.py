"""Nothing is wrong in silence: for what goes wrong without an outage, `sluice status` has a
line, and its exit status is 4. In a sound setup it has none."""
import glob
import json
import re
import subprocess

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
    assert line.startswith("route secret: the broker refuses the topic secret/#: ") and "ACL" in line
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
        [line] = problems(sluice, "does another client")
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


# ---- dead letters

POISON = b"poison"


@pytest.fixture
def picky(make_sluice, mosquitto, backend):
    """A sluice whose backend rejects POISON, and publish(good, bad), which returns when both are done."""
    backend.answer = lambda request: 422 if request.body == POISON else 200
    sluice = make_sluice(backends={"garden": backend}, queue=TRUST)
    sluice.start().wait_connected()

    def publish(good, bad):
        delivered, dead = len(backend.delivered()), len(sluice.dead())
        mosquitto.publish_many([(TOPIC, b"%d" % n, 1) for n in range(good)] + [(TOPIC, POISON, 1)] * bad
                               + [(TOPIC, b"last", 1)])  # fmt: skip
        wait_until(lambda: len(backend.delivered()) == delivered + good + 1, what="the good ones")
        sluice.wait_dead(dead + bad)

    return sluice, publish


def test_dead_letters_are_a_problem_until_a_person_has_listed_them(picky, mosquitto):
    sluice, publish = picky
    publish(30, 2)
    [line] = problems(sluice, "nobody has looked at")
    assert line.startswith(f"2 dead letters that nobody has looked at; sluice queue ls -c {sluice.config_file} "
                           "--state dead lists them")  # fmt: skip
    assert sluice.status()["problems"] == [line]
    # A program, and who looks for others, did not look.
    sluice.command("queue", "ls", "--state", "dead", "--json")
    sluice.command("queue", "ls", "--state", "dead", "--route", "sensor")
    sluice.command("queue", "ls", "--state", "pending")
    assert sluice.status()["queue"]["dead_letters"][0]["unseen"] == 2
    assert POISON.decode() in sluice.command("queue", "ls", "--state", "dead")
    is_sound(sluice)
    publish(20, 1)
    assert problems(sluice, "nobody has looked at")[0].startswith("1 dead letter that")
    sluice.stop()
    assert any("nobody has looked at" in line for line in sluice.status(expect=3)["problems"])
    sluice.command("queue", "ls", "--state", "dead")
    assert sluice.status(expect=3)["problems"] == []
    before = len(sluice.log)
    sluice.start().wait_connected(after=before)
    is_sound(sluice)


def test_a_route_whose_messages_die_is_a_problem(picky):
    sluice, publish = picky
    part = "messages in the last hour became dead letters"
    publish(3, 1)
    assert part not in str(sluice.status()["problems"])  # few messages say nothing of the route
    publish(4, 1)
    assert problems(sluice, part) == [f"route sensor: 2 of 11 {part}"]
    [route] = sluice.status()["daemon"]["routes"]
    assert (route["delivered_last_hour"], route["dead_last_hour"]) == (9, 2)
    sluice.command("queue", "ls", "--state", "dead")
    is_sound(sluice)
    publish(4, 1)
    assert problems(sluice, part) == [f"route sensor: 3 of 17 {part}"]
    sluice.command("queue", "drop", "--yes", "--state", "dead")
    is_sound(sluice)
    publish(16, 1)  # four of 35 is more than a tenth
    assert len(problems(sluice, part)) == 1
    publish(5, 0)  # four of 41 is not
    assert part not in str(sluice.status()["problems"])


# ---- the session


def test_a_session_of_an_earlier_client_id_is_a_problem(make_sluice, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend}, queue=TRUST)
    sluice.start().wait_connected()
    is_sound(sluice)
    sluice.stop()
    mosquitto.publish(TOPIC, b"left behind")
    sluice.write_config(sluice.config_text(broker={**sluice.parts["broker"], "client_id": "garden"}))
    before = len(sluice.log)
    sluice.start().wait_connected(after=before)
    [line] = problems(sluice, "session sluice")
    assert "collects messages in its session until" in line
    [session] = sluice.status()["queue"]["sessions"]
    assert session["client_id"] == "sluice" and session["left"] < session["expires"]
    # The advice works: with the client_id of before, the message comes; with the command, the session goes.
    sluice.stop()
    sluice.write_config(sluice.config_text())
    before = len(sluice.log)
    sluice.start().wait_connected(after=before)
    backend.wait_for(1)
    assert "session garden: " in problems(sluice, "session garden")[0]
    [remove, forget] = re.search(r"(mosquitto_sub .*), and then sluice (queue forget -c \S+ sluice)", line).groups()
    assert f" -c {sluice.config_file} " in forget
    remove, forget = (re.sub(r"\bsluice\b(?!\.conf)", "garden", command) for command in (remove, forget))
    subprocess.run(remove.split(), check=True, timeout=60)
    sluice.command(*forget.split(), configured=False)
    is_sound(sluice)
    sluice.command("queue", "forget", "garden", expect=3)
    sluice.command("queue", "forget", "sluice", expect=3)
    sluice.stop()
    sluice.write_config(sluice.config_text(broker={**sluice.parts["broker"], "client_id": "garden"}))
    before = len(sluice.log)
    sluice.start()
    sluice.wait_event("broker-connected", "new session", after=before)


def test_a_session_that_has_expired_is_no_problem(make_sluice, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend}, queue=TRUST, broker={"session_expiry": "1s"})
    sluice.start().wait_connected()
    sluice.stop()
    sluice.write_config(sluice.config_text(broker={**sluice.parts["broker"], "client_id": "garden"}))
    before = len(sluice.log)
    sluice.start().wait_connected(after=before)
    wait_until(lambda: sluice.sql("select * from session where left_ms is not null"), what="the earlier session")
    is_sound(sluice)


# ---- retained messages, and acknowledgements


def test_retained_messages_that_no_route_forwards_are_a_problem(make_sluice, mosquitto, backend):
    for n in range(3):
        mosquitto.publish(f"state/{n}", b"on", retain=True)
        mosquitto.publish(f"known/{n}", b"on", retain=True)
    mosquitto.publish("wanted/1", b"on", retain=True)
    known = {"topic": "known/#", "path": "/known", "retained": "no"}
    wanted = {"topic": "wanted/#", "path": "/wanted", "retained": "yes"}
    routes = {"state": {"topic": "state/#", "path": "/state"}, "known": known, "wanted": wanted}
    sluice = make_sluice(backends={"garden": backend}, routes=routes, queue=TRUST)
    sluice.start().wait_connected()
    backend.wait_for(1)
    assert problems(sluice, "retained") == sluice.status()["problems"]
    wait_until(lambda: sluice.status()["daemon"]["broker"]["subscriptions"][0]["retained"] == 3, what="all three")
    [line] = sluice.status()["problems"]
    assert line.startswith("route state: 3 retained messages with the topic state/# since the start, and none")
    sluice.reload(routes={**routes, "state": {**routes["state"], "retained": "no"}})
    is_sound(sluice)


def test_retained_messages_are_counted_once_for_each_filter(make_sluice, mosquitto, backend):
    """With MQTT 5 the broker sends a copy for each filter."""
    for n in range(3):
        mosquitto.publish(f"state/{n}", b"on", retain=True)
    routes = {"all": {"topic": "state/#", "path": "/a"}, "one": {"topic": "state/+", "path": "/b"}}
    sluice = make_sluice(backends={"garden": backend}, routes=routes, queue=TRUST)
    sluice.start().wait_connected()
    mosquitto.publish("state/live", b"off")
    backend.wait_for(2)
    assert [s["retained"] for s in sluice.status()["daemon"]["broker"]["subscriptions"]] == [3, 3]


DEVICE = {"topic": TOPIC, "path": "/sensor", "ack_topic": "garden/{2}/ack"}


def test_acknowledgements_that_the_broker_forbids_are_a_problem(make_sluice, make_mosquitto, backend, tmp_path):
    (tmp_path / "acl").write_text(f"topic readwrite {TOPIC}\n")
    broker = make_mosquitto(extra=f"acl_file {tmp_path}/acl")
    sluice = make_sluice(broker_port=broker.port, backends={"garden": backend}, routes={"sensor": DEVICE}, queue=TRUST)
    sluice.start().wait_connected()
    broker.publish(TOPIC, b'{"b": 7, "s": 1, "lo": 1}')
    [line] = problems(sluice, "acknowledgements")
    assert line.startswith("device garden/a/ack: the broker does not deliver its acknowledgements (Not authorized): ")
    [entry] = sluice.status()["daemon"]["broker"]["undelivered_acks"]
    assert entry == {"device": "garden/a/ack", "why": "Not authorized"}


def test_acknowledgements_to_which_nobody_subscribes_are_a_problem(make_sluice, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend}, routes={"sensor": DEVICE}, queue=TRUST)
    sluice.start().wait_connected()
    count = 0

    def publish_until(is_done):
        nonlocal count
        while not is_done():
            count += 1
            mosquitto.publish(TOPIC, b'{"b": 7, "s": %d, "lo": %d}' % (count, count))
            backend.wait_for(count)

    publish_until(lambda: sluice.status()["problems"])
    [line] = sluice.status()["problems"]
    assert "garden/a/ack: " in line and "No matching subscribers" in line
    device = mosquitto.client()
    device.subscribe("garden/a/ack")
    publish_until(lambda: not sluice.status()["problems"])
    device.disconnect()
    device.loop_stop()
