"""The log stays short, whatever repeats."""
from collections import Counter
from datetime import datetime

from harness.events import parse
from harness.wait import wait_until

FEW = 6  # lines of one event about one subject in a minute, with the summary of the others
TOPIC = "garden/a/sensor"


def seconds_of(sluice):
    """From its first line to its last."""
    lines = list(sluice.log)
    first, last = (datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")) for line in (lines[0], lines[-1]))
    return (last - first).total_seconds()


def repeats_no_event(sluice):
    lines = list(sluice.log)
    minutes = seconds_of(sluice) // 60 + 1
    [(name, count)] = Counter(event.name for event in map(parse, lines) if event).most_common(1)
    assert count <= FEW * minutes, f"{name}: {count} lines in {minutes} minutes"


def connections(mosquitto, client_id="sluice"):
    return sum("New client connected" in line and f" as {client_id} " in line for line in mosquitto.log)


def test_a_queue_that_is_full_again_and_again_does_not_fill_the_log(make_sluice, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend}, queue={"max_messages": 1})
    sluice.start().wait_connected()
    mosquitto.publish_many([(TOPIC, b"%d" % n, 1) for n in range(15)])
    backend.wait_for(15)
    assert connections(mosquitto) >= 14
    sluice.wait_event("queue-full")
    sluice.wait_event("queue-room")
    sluice.stop()
    repeats_no_event(sluice)


def test_two_clients_with_one_client_id_neither_fight_nor_fill_the_log(make_sluice, mosquitto, backend):
    one, two = (make_sluice(backends={"garden": backend}).start() for _ in range(2))
    wait_until(lambda: connections(mosquitto) >= 14, 240, "a fight")
    for sluice in (one, two):
        sluice.stop()
        assert 0 < len(sluice.find_events("client-id-clash")) <= 1
        assert len(sluice.find_events(["broker-connected", "broker-away"])) <= 8
        repeats_no_event(sluice)
    assert seconds_of(one) > 14, "14 connections without a backoff"
