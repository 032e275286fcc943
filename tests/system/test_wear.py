"""What the card has to bear: fsyncs and bytes, counted; and commit_delay, which
trades latency for fewer of them and gives up nothing else.
"""
import re
import socket
import time

import pytest

from harness.wait import wait_until
from scripted_broker import ScriptedBroker

pytestmark = pytest.mark.build("dev")

FILTER = "garden/+/sensor"
WEAR = re.compile(r"(\d+) fsyncs, ([\d.]+) KB written")


@pytest.fixture
def scripted():
    with ScriptedBroker().start() as broker:
        yield broker
    assert not broker.errors, broker.errors


def wear(line):
    syncs, kilobytes = WEAR.search(line).groups()
    return int(syncs), float(kilobytes)


def numbers(count, first=0):
    return [b"%d" % n for n in range(first, first + count)]


def ack_times(scripted):
    return [packet.at for packet in scripted.packets("PUBACK")]


def keys(backend):
    return [request.key for request in backend.delivered()]


# -- counted


def run_steadily(sluice, scripted, backend, count, every_s):
    """Publishes at a steady rate; what the last line says of it."""
    before = len(backend.delivered())
    sluice.start()
    scripted.wait_subscribed([FILTER])
    for payload in numbers(count):
        scripted.publish("garden/a/sensor", payload)
        time.sleep(every_s)  # the load itself, not a wait for something
    wait_until(lambda: len(backend.delivered()) == before + count, what="the deliveries")
    assert sluice.stop() == 0
    return wear(sluice.find_events("stopped")[-1])


def test_a_delay_saves_fsyncs_under_a_steady_load(make_sluice, scripted, backend):
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend})
    nothing, _ = run_steadily(sluice, scripted, backend, 0, 0)
    nothing, _ = run_steadily(sluice, scripted, backend, 0, 0)  # the tables are there
    each, written = run_steadily(sluice, scripted, backend, 40, 0.025)
    assert each - nothing >= 25  # nearly one for each message
    assert written >= 25 * 4.1
    sluice.write_config(sluice.config_text(queue={"path": sluice.db, "commit_delay": "250ms"}))
    shared, _ = run_steadily(sluice, scripted, backend, 40, 0.025)
    assert 2 <= shared - nothing <= 10
    assert len(set(keys(backend))) == 80


def test_systemd_gets_the_wear_in_its_status(make_sluice, mosquitto, backend, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(20)
        sluice = make_sluice(backends={"garden": backend})
        sluice.start(env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        text = ""
        while "STATUS=stored" not in text:
            text = notify.recv(4096).decode()
    syncs, kilobytes = wear(text)
    assert syncs > 0 and kilobytes > 0


# -- commit_delay


def test_the_first_message_is_stored_at_once_and_a_burst_shares_a_commit(make_sluice, scripted, backend):
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend}, queue={"commit_delay": "3s"})
    sluice.start()
    scripted.wait_subscribed([FILTER])
    began = time.monotonic()
    scripted.publish("garden/a/sensor", b"0")
    scripted.wait_acked(1)
    assert ack_times(scripted)[0] - began < 2.5
    for payload in numbers(5, 1):
        scripted.publish("garden/a/sensor", payload)
        time.sleep(0.02)
    backend.wait_for(1)
    assert len(scripted.acked()) == 1  # nothing is acknowledged that is not stored
    assert sluice.sql("select count(*) as n from message where payload <> x'30'") == [{"n": 0}]
    scripted.wait_acked(6)
    first, *others = ack_times(scripted)
    assert min(others) - first >= 2.95
    assert max(others) - min(others) < 2.5
    backend.wait_for(6)


def test_a_backlog_does_not_wait_for_commit_delay(make_sluice, scripted, backend):
    """A full batch has shared its commit with as many as it may."""
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend},
                         queue={"commit_delay": "10s", "commit_batch": 10})
    sluice.start()
    scripted.wait_subscribed([FILTER])
    began = time.monotonic()
    scripted.publish_all([{"topic": "garden/a/sensor", "payload": payload} for payload in numbers(200)])
    scripted.wait_acked(200)
    assert time.monotonic() - began < 50  # 20 batches would wait for 200 s
    assert sluice.stop() == 0


def test_messages_before_a_forbidden_one_do_not_wait_for_commit_delay(make_sluice, scripted, backend):
    """They are read one by one, so that each is acknowledged before the connection ends."""
    sluice = make_sluice(broker_port=scripted.port, backends={"garden": backend}, queue={"commit_delay": "10s"})
    sluice.start()
    scripted.wait_subscribed([FILTER])
    scripted.hooks["SUBSCRIBE"] = lambda packet: scripted.redeliver()
    good = [{"topic": "garden/a/sensor", "payload": payload} for payload in numbers(5)]
    scripted.publish_all([*good, {"topic": b"garden/a\n/sensor", "payload": b"bad"}])
    scripted.wait_acked(5)
    assert ack_times(scripted)[4] - ack_times(scripted)[0] < 30  # four waits are 40 s
    backend.wait_for(5)


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_an_end_within_commit_delay_loses_nothing(make_sluice, mosquitto, backend, how):
    sluice = make_sluice(backends={"garden": backend}, queue={"commit_delay": "10s"})
    sluice.start().wait_connected()
    mosquitto.publish("garden/a/sensor", b"0")
    backend.wait_for(1)
    mosquitto.publish_many([("garden/a/sensor", payload, 1) for payload in numbers(20, 1)])
    assert sluice.sql("select count(*) as n from message where payload <> x'30'") == [{"n": 0}]
    if how == "kill":
        sluice.kill()
    else:
        assert sluice.stop(limit_s=2.5) == 0  # which waits neither for the delay nor for the deadline of a stop
    sluice.write_config(sluice.config_text(queue={"path": sluice.db}))
    sluice.start().wait_connected()
    backend.wait_for(21)
    sluice.wait_empty()
    assert sorted(set(backend.bodies()), key=int) == numbers(21)
    assert len(set(keys(backend))) == 21
