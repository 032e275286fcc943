"""No topic makes a request leave the backend's base URL, or adds a header to it.

A message either arrives where it should, or it is among the dead letters with
the reason `path`; its neighbours arrive.
"""
import re
import time
from urllib.parse import unquote_to_bytes

import pytest

from harness.wait import wait_until
from scripted_broker import ScriptedBroker

ROUTES = {"named": {"topic": "t/#", "path": "/collections/{2}/in/{3}"}}
# A path of ours has unreserved characters, escapes, and no more (RFC 3986, 3.3).
SAFE_TARGET = re.compile(r"/api/collections/(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+/in/(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+")
PRINTABLE = re.compile(r"[!-~]*")

# Topics whose second and third level can be parts of a path.
USABLE = [
    "t/plain/x", "t/a b/ ", "t/%2f/%2F", "t/%2e%2e/%2E", "t/%00/%0d%0a", "t/a?b=c/d?", "t/?/&x=1", "t/é/日本語",
    "t/\U0001f331/ü", "t/.../....", "t/..a/a..", "t/..;/.;x", "t/\\..\\/\\", "t/http:/x", "t/@evil.example/:80",
    "t/user:pw@evil.example/x", "t/a;b=c/d,e", "t/*/'\"", "t/<script>/&amp;", "t/{2}/{3}", "t/$SYS/$x",
    "t/a/b//", "t/a/b/../../..", "t/-/~", "t/%/%%", "t/%zz/%4", "t/" + "x" * 300 + "/y", "t/\u202e/\u200b",
    "t/" + "/".join(f"level{n}" for n in range(2, 61)),
]  # fmt: skip
# And such for which there is no path.
UNUSABLE = ["t", "t/", "t/a", "t//", "t//x", "t/a/", "t/../x", "t/x/..", "t/./x", "t/x/.", "t/../..", "t//../x"]


@pytest.fixture
def scripted():
    with ScriptedBroker().start() as broker:
        yield broker
    assert not broker.errors, broker.errors


def assert_safe(request):
    assert SAFE_TARGET.fullmatch(request.path), request.path
    assert not {".", ".."} & set(request.path.split("/"))
    assert PRINTABLE.fullmatch(request.headers.get("sluice-topic", ""))  # a long one is left out
    names = {name.lower() for name, _ in request.raw_headers}
    expected = {"content-type", "content-length", "idempotency-key", "sluice-topic", "sluice-received",
                "sluice-age", "sluice-clock", "sluice-late", "user-agent", "accept", "accept-encoding",
                "host"}  # fmt: skip
    assert {name for name in names if not name.startswith(":")} <= expected


def assert_arrived_as(request, topic):
    assert_safe(request)
    levels = topic.split("/")
    _, _, _, second, _, third = request.path.split("/")
    assert unquote_to_bytes(second).decode() == levels[1]
    assert unquote_to_bytes(third).decode() == levels[2]
    assert unquote_to_bytes(request.headers["sluice-topic"]).decode() == topic


@pytest.mark.parametrize("http", ["2", "1.1"])
def test_usable_topics_are_delivered_and_others_dead_lettered(make_sluice, mosquitto, make_backend, http):
    backend = make_backend(alpn=("h2", "http/1.1") if http == "2" else ("http/1.1",))
    sluice = make_sluice(backends={"garden": backend}, routes=ROUTES)
    sluice.start(args=["-v"]).wait_connected()
    topics = dict(enumerate(USABLE + UNUSABLE))
    mosquitto.publish_many([(topic, b"%d" % n, 1) for n, topic in topics.items()])
    backend.wait_for(len(USABLE))
    dead = sluice.wait_dead(len(UNUSABLE))
    sluice.wait_empty()
    for request in backend.requests:
        assert request.version == http
        assert_arrived_as(request, topics[int(request.body)])
    assert sorted(r.topic for r in backend.requests) == sorted(USABLE)
    assert sorted(row["topic"] for row in dead) == sorted(UNUSABLE)
    for row in dead:
        assert (row["reason"], row["last_status"]) == ("path", None)
        assert re.search(r"level [123]", row["last_error"]), row["last_error"]
    sluice.wait_events(len(UNUSABLE), "message-dead", "path")


def test_unusable_topics_do_not_hold_their_route(make_sluice, mosquitto, backend):
    """More of them in a row than a broken backend would be allowed."""
    sluice = make_sluice(backends={"garden": backend}, routes=ROUTES)
    sluice.start().wait_connected()
    mosquitto.publish_many([(f"t//x{n}", b"bad", 1) for n in range(40)] + [("t/a/b", b"good", 1)])
    assert [r.body for r in backend.wait_for(1)] == [b"good"]
    assert {row["reason"] for row in sluice.wait_dead(40)} == {"path"}
    sluice.wait_empty()


@pytest.mark.parametrize("http", ["2", "1.1"])
def test_topics_of_60_kilobytes_hold_up_no_other(make_sluice, mosquitto, make_backend, http):
    """Many servers take no such header. It must not hold up the others, nor wait
    for ever. (Mosquitto takes 200 levels at most.)"""
    backend = make_backend(alpn=("h2", "http/1.1") if http == "2" else ("http/1.1",))
    sluice = make_sluice(backends={"garden": {"url": backend.url, "ca_file": backend.ca_file, "max_attempts": 3}},
                         routes=ROUTES)  # fmt: skip
    sluice.start().wait_connected()
    long_topics = ["t/" + "y" * 60000 + "/x", "t/long/" + "é" * 30000, "t/deep" + ("/" + "z" * 300) * 198]
    mosquitto.publish_many([(topic, b"long", 1) for topic in long_topics])
    sent = 0
    # A server that hangs up looks as if it were away: only that others pass in
    # the meantime shows whose fault it is.
    deadline = time.monotonic() + 30
    waiting = "select id from message where length(topic) > 1000"
    while sent < 40 or sluice.sql(waiting):
        mosquitto.publish(f"t/{sent}/x", b"short")
        sent += 1
        wait_until(lambda: backend.bodies().count(b"short") == sent, what="a short one")
        assert time.monotonic() < deadline, sluice.sql(waiting)
    for request in backend.requests:
        assert_safe(request)
    # By their paths: a header does not carry such a topic.
    arrived = {unquote_to_bytes(r.path).decode() for r in backend.delivered() if r.body == b"long"}
    dead = {row["topic"] for row in sluice.dead()}
    for topic in long_topics:
        path = "/api/collections/{1}/in/{2}".format(*topic.split("/"))
        assert (path in arrived) != (topic in dead)
    assert all(len(line) < 5000 for line in sluice.log)


# What MQTT forbids, so that no sound broker sends it.
FORBIDDEN = {
    "CR LF": b"t/a\r\nX-Evil: 1/x",
    "LF": b"t/a/x\nX-Evil: 1",
    "request": b"t/a/x HTTP/1.1\r\nHost: evil.example\r\n\r\nGET /admin",
    "escape": b"t/\x1b[2J/x",
    "delete": b"t/\x7f/x",
    "C1": b"t/\xc2\x85/x",
    "NUL": b"t/a\0/../../x",
    "not UTF-8": b"t/\xff\xfe/x",
    "overlong": b"t/\xc0\xaf/\xc0\xae\xc0\xae",
    "surrogate": b"t/\xed\xa0\x80/x",
    "noncharacter": b"t/\xef\xbf\xbf/x",
    "hash": b"t/a#b/x",
    "fragment": b"t/a/#",
    "plus": b"t/a+b/+",
    "empty": b"",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_topics_that_mqtt_forbids_inject_nothing(make_sluice, scripted, backend, what):
    """Either the connection ends, with words and without hurry, or the message
    is treated as any other: in no case does anything leave by its means."""
    topic = FORBIDDEN[what]
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend}, routes=ROUTES)
    sluice.start()
    scripted.wait_subscribed(["t/#"])
    process = sluice.process
    [good] = scripted.publish_all([{"topic": "t/good/1", "payload": b"good"}])
    scripted.wait(lambda: good in scripted.acked(), what="the good one's acknowledgement")
    bad = scripted.publish(topic, b"bad")
    scripted.wait(lambda: bad in scripted.acked() or len(scripted.attempts) > 1, what="a reaction")
    if bad not in scripted.acked():
        line = sluice.wait_event("broker-away")
        assert re.search(r"(?i)malformed|protocol|invalid|packet|topic", line), line
        scripted.wait_subscribed(["t/#"])
        scripted.forget_unacked()
    scripted.publish("t/good/2", b"good")
    wait_until(lambda: backend.bodies().count(b"good") == 2, what="the good ones")
    sluice.wait_empty()
    assert sluice.process is process and sluice.running()
    for request in backend.requests:
        assert_safe(request)
    assert all("evil" not in str(r.raw_headers).lower() for r in backend.requests if r.body != b"bad")
    assert not any("\x1b" in line or "\r" in line for line in sluice.log)
    for row in sluice.dead():
        assert row["reason"] == "path"
