"""The sketches of sketches/ against real Mosquitto and real sluice, in whatever trouble.

What a reading's probe says is its number, so that it can be told at the backend. Time
passes ten times as fast for the sketches (harness/sketch.py).
"""
import json
import re
import time
from pathlib import Path

import pytest

from harness.blackhole import BlackHole
from harness.line import Line
from harness.ports import free_port
from harness.sketch import Board, arduino
from harness.wait import wait_until

pytestmark = pytest.mark.build("dev")

SKETCHES = Path(__file__).resolve().parents[2] / "sketches"
ROUTE = {"topic": "garden/+/sensor", "path": "/collections/sensor", "ack_topic": "garden/{2}/ack"}
WRAP_MS = 1 << 32
MOST_FLASH, MOST_RAM, LEAST_STACK = 14 * 1024, 750, 400


@pytest.fixture
def sluice(make_sluice, mosquitto, backend):
    return make_sluice(backends={"garden": backend}, routes={"sensor": ROUTE}).start().wait_connected()


def arrived(backend, host):
    """What came from a device: {soil: idempotency keys}."""
    found = {}
    for request in backend.delivered():
        body = json.loads(request.body)
        if body["host"] == host:
            found.setdefault(body["soil"], set()).add(request.key)
    return found


def device(sluice, host):
    [found] = sluice.sql("select * from device where device = ?", f"garden/{host}/ack")
    return found


def assert_each_arrived_once(sluice, backend, host, measured):
    sluice.wait_empty()
    found = arrived(backend, host)
    missing = [n for n in range(1, measured + 1) if n not in found]
    assert not missing, f"{host}: {len(missing)} of {measured} readings are missing: {missing}"
    twice = [n for n, keys in found.items() if len(keys) > 1]
    assert not twice and len(found) == measured, f"{host}: came twice: {twice}"


def assert_all_is_accounted_for(sluice, host, measured):
    known = device(sluice, host)
    assert known["stored"] + known["lost"] == known["acknowledged"] == measured, known
    return known["lost"]


# -- one by one


@pytest.mark.parametrize("name", ["esp8266_mqtt", "uno_ethernet_mqtt", "esp32_mqtt"])
def test_readings_arrive(sluice, mosquitto, backend, make_sketch, name):
    """In order, with age and name; birth and will are retained."""
    sketch = make_sketch(name, mosquitto.port, chip=0xABC123)
    heard = {}
    client = mosquitto.client(on_message=lambda message: heard.update({message.topic: message.payload}))
    sketch.wait_line("stored up to reading 10")
    client.subscribe("garden/+/status")
    status = f"garden/{sketch.host}/status"
    wait_until(lambda: heard.get(status) == b"online", what="its birth")
    measured = sketch.finish()
    wait_until(lambda: heard.get(status) == b"offline", what="its will")
    client.disconnect()
    client.loop_stop()
    assert_each_arrived_once(sluice, backend, sketch.host, measured)
    bodies = [json.loads(request.body) for request in backend.delivered()]
    assert [body["soil"] for body in bodies] == [body["s"] for body in bodies] == list(range(1, measured + 1))
    assert all(0 <= body["age"] < 30000 and body["lo"] <= body["s"] for body in bodies)
    assert assert_all_is_accounted_for(sluice, sketch.host, measured) == 0
    assert sketch.stored_up_to == measured


def test_a_restart_of_the_board_is_another_boot(sluice, mosquitto, backend, make_sketch):
    boots = []
    for run in range(3):
        sketch = make_sketch("esp8266_mqtt", mosquitto.port, adc_start=100 * run, SIM_DIR=str(sluice.dir))
        sketch.wait_line("stored up to reading 3")
        sketch.finish()
        boots.append(device(sluice, sketch.host)["boot"])
    assert [boot >> 16 for boot in boots] == [0, 1, 2]
    assert device(sluice, sketch.host)["restarts"] == 2
    assert device(sluice, sketch.host)["lost"] == 0


def test_the_quickstart_sketch_publishes_readings(sluice, mosquitto, backend, make_sketch):
    sketch = make_sketch("quickstart_mqtt", mosquitto.port, speed=60)
    backend.wait_for(2)
    assert [json.loads(r.body) for r in backend.delivered()[:2]] == [{"host": sketch.host, "soil": 0}] * 2  # no power


def test_a_full_sketch_drops_its_oldest_readings_and_reports_them(sluice, mosquitto, backend, make_sketch):
    """An Uno holds 32 readings. What it has to drop while the network is away is
    counted, and no reading more."""
    sketch = make_sketch("uno_ethernet_mqtt", mosquitto.port, measure_ms=500)
    sketch.wait_line("stored up to reading 5")
    sketch.say("network down")
    wait_until(lambda: sketch.dropped >= 10, what="its memory to be full")
    sketch.say("network up")
    measured = sketch.finish()
    sluice.wait_empty()
    lost = assert_all_is_accounted_for(sluice, sketch.host, measured)
    assert 0 < lost <= sketch.dropped  # of the last ones before, only the acknowledgement may have been lost
    found = arrived(backend, sketch.host)
    assert len(found) == measured - lost and all(len(keys) == 1 for keys in found.values())


def test_with_sluice_away_readings_go_to_the_broker_before_they_are_dropped(sluice, mosquitto, backend, make_sketch):
    """More of them than the device can hold: the broker has them."""
    sketch = make_sketch("uno_ethernet_mqtt", mosquitto.port, measure_ms=500)
    sketch.wait_line("stored up to reading 5")
    assert sluice.stop() == 0
    wait_until(lambda: sketch.dropped >= 10, what="its memory to be full")
    sluice.start()
    measured = sketch.finish()
    assert_each_arrived_once(sluice, backend, sketch.host, measured)
    assert assert_all_is_accounted_for(sluice, sketch.host, measured) == 0


def test_a_deleted_database_loses_no_acknowledged_reading(sluice, mosquitto, backend, make_sketch):
    """What was acknowledged had been delivered, and nothing else is lost. Only what was
    stored, and the device did not hear it any more, comes twice."""
    sketch = make_sketch("esp8266_mqtt", mosquitto.port)
    sketch.wait_line("stored up to reading 10")
    sketch.say("network down")
    sketch.wait_measured(sketch.measured + 2)
    mosquitto.publish("garden/mark/sensor", '{"host":"mark","soil":0}')
    wait_until(lambda: arrived(backend, "mark"), what="all that the broker had")
    sluice.wait_empty()
    before, heard = device(sluice, sketch.host)["acknowledged"], sketch.stored_up_to
    sluice.kill()
    for file in Path(sluice.db).parent.glob("queue.db*"):
        file.unlink()
    sluice.start()
    sketch.wait_measured(before + 5)
    sketch.say("network up")
    measured = sketch.finish()
    sluice.wait_empty()
    found = arrived(backend, sketch.host)
    assert sorted(found) == list(range(1, measured + 1))
    assert {n for n, keys in found.items() if len(keys) > 1} == set(range(heard + 1, before + 1))
    known = device(sluice, sketch.host)
    assert known["unknown_before"] == heard and known["lost"] == 0 and known["stored"] + known["unknown_before"] == known["acknowledged"] == measured


# -- all at once


class Garden:
    """Three devices that keep what is not acknowledged, and one that trusts publish()."""

    def __init__(self, sluice, mosquitto, make_sketch):
        self.sluice, self.mosquitto = sluice, mosquitto
        begin = {"millis": WRAP_MS - 80 * 1000}  # 8 s from here, millis() starts again at 0
        self.good = [make_sketch("esp8266_mqtt", mosquitto.port, chip=1, measure_ms=2000, **begin),
                     make_sketch("esp32_mqtt", mosquitto.port, chip=2, measure_ms=2600, **begin),
                     make_sketch("uno_ethernet_mqtt", mosquitto.port, chip=3, measure_ms=6000, **begin)]  # fmt: skip
        self.trusting = make_sketch("trusting", mosquitto.port, chip=4, measure_ms=2000, **begin)
        self.all = [*self.good, self.trusting]

    def say(self, command):
        for sketch in self.all:
            sketch.say(command)

    def wait_readings(self, n):
        """So many more from the first device: time as it passes for the sketches."""
        self.good[0].wait_measured(self.good[0].measured + n)

    def wait_progress(self):
        """All good ones are connected and heard an acknowledgement of something new."""
        before = [sketch.stored_up_to for sketch in self.good]
        wait_until(lambda: all(sketch.stored_up_to > n for sketch, n in zip(self.good, before, strict=True)), 60,
                   lambda: f"readings to be acknowledged again:\n{self.good[0].text[-800:]}")  # fmt: skip

    # -- troubles

    def broker_is_killed(self):
        self.mosquitto.kill()
        self.wait_readings(8)
        self.mosquitto.start()

    def sluice_is_killed(self):
        self.sluice.kill()
        self.wait_readings(8)
        self.sluice.start(wait=False)

    def both_are_killed(self):
        self.sluice.kill()
        self.wait_readings(3)  # which the broker has taken by now, and loses
        self.mosquitto.kill()
        self.wait_readings(3)
        self.mosquitto.start()
        self.sluice.start(wait=False)

    def wifi_loses_what_is_written(self):
        self.say("network lossy")
        self.wait_readings(8)
        self.say("network up")

    def wifi_is_down(self):
        self.say("network down")
        self.wait_readings(8)
        self.say("network up")

    def acknowledgements_are_lost(self):
        self.say("acks lost")
        self.wait_readings(12)
        self.say("acks heard")

    def somebody_has_the_same_client_id(self):
        for _ in range(3):
            client = self.mosquitto.client(self.good[0].host)
            self.wait_readings(2)
            client.disconnect()
            client.loop_stop()

    TROUBLES = [broker_is_killed, sluice_is_killed, both_are_killed, wifi_loses_what_is_written, wifi_is_down,
                acknowledgements_are_lost, somebody_has_the_same_client_id]  # fmt: skip


def test_sketches_lose_no_reading_in_chaos(sluice, mosquitto, backend, make_sketch, record_property):
    garden = Garden(sluice, mosquitto, make_sketch)
    garden.wait_progress()
    started = time.monotonic()
    for trouble in Garden.TROUBLES:
        trouble(garden)
        garden.wait_progress()
    wait_until(lambda: time.monotonic() - started > 9, what="millis() to begin again")  # if it went fast
    measured = {sketch.host: sketch.finish() for sketch in garden.all}
    for sketch in garden.good:
        assert sketch.dropped == 0, "the memory was too small for this machine"
        assert_each_arrived_once(sluice, backend, sketch.host, measured[sketch.host])
        assert assert_all_is_accounted_for(sluice, sketch.host, measured[sketch.host]) == 0
        assert sketch.stored_up_to == measured[sketch.host]
    trusted = len(arrived(backend, garden.trusting.host))
    assert trusted < measured[garden.trusting.host], "the one that trusts publish() lost nothing: these were no troubles"
    record_property("note", f"chaos: {sum(measured[s.host] for s in garden.good)} readings measured, all arrived once; "
                            f"of the trusting sketch's {measured[garden.trusting.host]} only {trusted}")  # fmt: skip


# -- by HTTP


class Door:
    """Two devices that post to sluice's port 8118: one sends again until it is stored, the
    other one believes that it was."""

    def __init__(self, sluice, backend, make_sketch):
        self.sluice, self.backend = sluice, backend
        self.line = Line(sluice.port)
        settings = {"SLUICE_URL": f"http://127.0.0.1:{self.line.port}/api/collections/sensor",
                    "measure_ms": 2000, "millis": WRAP_MS - 40 * 1000}  # fmt: skip
        self.good = make_sketch("esp8266_http", chip=1, **settings)
        self.trusting = make_sketch("trusting_http", chip=2, **settings)

    def say(self, command):
        self.good.say(command)
        self.trusting.say(command)

    def wait_readings(self, n):
        self.good.wait_measured(self.good.measured + n)

    def wait_refused(self, status):
        lines = len(self.good.lines)
        self.good.wait_line(f"sluice: not stored, status {status}", after=lines)

    def wait_stored(self):
        """All that was measured until now."""
        measured = self.good.measured
        wait_until(lambda: self.good.stored_up_to >= measured,
                   what=lambda: f"what was measured to be stored:\n{self.good.text[-800:]}")  # fmt: skip

    # -- troubles

    def sluice_is_killed(self):
        self.sluice.kill()
        self.wait_refused("-[135]")
        self.wait_readings(3)
        self.sluice.start()

    def answers_are_lost(self):
        """What is stored, is stored once, however often it is sent."""
        self.line.deaf = True
        self.wait_refused("-11")
        self.wait_refused("-11")
        self.line.cut()
        self.line.deaf = False

    def killed_before_its_answers_come_through(self):
        self.line.deaf = True
        self.wait_refused("-11")
        self.sluice.kill()
        self.line.cut()
        self.line.deaf = False
        self.sluice.start()

    def queue_is_full(self):
        self.backend.stop()
        self.wait_refused(503)
        self.wait_readings(3)
        self.backend.start()

    def wifi_loses_what_is_written(self):
        self.say("network lossy")
        self.wait_readings(5)
        self.say("network up")

    def wifi_is_down(self):
        self.say("network down")
        self.wait_readings(5)
        self.say("network up")

    def database_is_deleted(self):
        """When everything in it was delivered: what was not is gone with it."""
        self.say("network down")
        self.wait_readings(3)
        self.sluice.wait_empty()
        self.sluice.kill()
        for file in Path(self.sluice.db).parent.glob("queue.db*"):
            file.unlink()
        self.sluice.start()
        self.say("network up")

    TROUBLES = [sluice_is_killed, answers_are_lost, killed_before_its_answers_come_through, queue_is_full,
                wifi_loses_what_is_written, wifi_is_down, database_is_deleted]  # fmt: skip


def test_http_sketches_lose_no_reading_in_chaos(make_sluice, backend, make_sketch, record_property):
    port = free_port()
    sluice = make_sluice(backends={"garden": backend}, routes={}, queue={"max_messages": 8},
                         http={"listen": f"127.0.0.1:{port}"})  # fmt: skip
    sluice.port = port
    sluice.start()
    door = Door(sluice, backend, make_sketch)
    door.wait_readings(1)
    for trouble in Door.TROUBLES:
        trouble(door)
        door.wait_stored()
    wait_until(lambda: door.good.measured > 25, what="millis() to begin again")
    measured, trusted = door.good.finish(), door.trusting.finish()
    assert door.good.dropped == 0, "the memory was too small for this machine"
    assert door.good.stored_up_to == measured
    assert_each_arrived_once(sluice, backend, door.good.host, measured)
    bodies = [json.loads(r.body) for r in backend.delivered()]
    assert all(body.keys() == {"host", "soil", "age"} for body in bodies if body["host"] == door.good.host)
    arrived_of_trusting = len(arrived(backend, door.trusting.host))
    assert arrived_of_trusting < trusted, "the one that trusts its POST lost nothing: these were no troubles"
    door.line.close()
    record_property("note", f"chaos by HTTP: {measured} readings measured, all arrived once; of the trusting "
                            f"sketch's {trusted} only {arrived_of_trusting}")  # fmt: skip


def test_http_readings_arrive(make_sluice, backend, make_sketch):
    """In order, each with the time at which it was measured, under the device's own keys."""
    port = free_port()
    sluice = make_sluice(backends={"garden": backend}, routes={}, http={"listen": f"127.0.0.1:{port}"}).start()
    sketch = make_sketch("esp8266_http", SLUICE_URL=f"http://127.0.0.1:{port}/api/collections/sensor")
    sketch.wait_line("stored up to reading 10")
    measured = sketch.finish()
    assert_each_arrived_once(sluice, backend, sketch.host, measured)
    assert [json.loads(r.body)["soil"] for r in backend.delivered()] == list(range(1, measured + 1))
    for number, request in enumerate(backend.delivered(), 1):
        assert request.path == "/api/collections/sensor" and request.headers["content-type"] == "application/json"
        assert re.fullmatch(rf"{sketch.host}-\d+-{number}", request.key)


# -- an Uno


@pytest.fixture
def make_uno(request, tmp_path):
    boards = []

    def make(port):
        boards.append(Board(tmp_path / "uno", [arduino("simavr_run"), arduino("avr/uno.elf"), str(port)]))
        return boards[-1]

    yield make
    for board in boards:
        board.end()
        if getattr(request.node, "failed_in_call", True):
            print(f"--- uno:\n{board.text[-4000:]}")


def test_the_firmware_is_small_enough_for_an_uno(record_property):
    """Beside the library's and the shield's own code and 2 KB of RAM."""
    flash, ram = map(int, Path(arduino("avr/size")).read_text().split())
    record_property("note", f"uno_ethernet_mqtt with the tests' stubs: {flash} bytes of flash (at most {MOST_FLASH}), "
                            f"{ram} of static RAM (at most {MOST_RAM})")  # fmt: skip
    assert 0 < flash <= MOST_FLASH and 0 < ram <= MOST_RAM


def test_the_firmware_runs_in_simavr(sluice, mosquitto, backend, make_uno, record_property):
    """The firmware as it would be flashed, but for the driver of the Ethernet shield."""
    uno = make_uno(mosquitto.port).start()
    uno.wait_line("broker: connected")
    uno.wait_line("stored up to reading 12")
    mosquitto.restart()
    uno.wait_line("stored up to reading 24", 60)
    uno.process.terminate()
    uno.process.wait(10)
    uno.end()
    found = arrived(backend, "uno-0013a2")
    assert sorted(found)[:24] == list(range(1, 25)) and all(len(keys) == 1 for keys in found.values())
    assert device(sluice, "uno-0013a2")["lost"] == 0
    [unused] = re.findall(r"^stack: (-?\d+) bytes were never used", uno.text, re.M)
    record_property("note", f"uno_ethernet_mqtt in simavr: {unused} bytes between stack and heap were never used "
                            f"(at least {LEAST_STACK})")  # fmt: skip
    assert int(unused) >= LEAST_STACK


def test_an_uno_s_watchdog_waits_for_a_broker_that_says_nothing(make_uno):
    """simavr has one, as the chip: a restart would lose what is held."""
    silent = BlackHole(handshake=True)
    uno = make_uno(silent.port).start()
    uno.wait_line("broker: no connection, state -4")
    uno.wait_line("held: 12, dropped: 0")
    held = [int(n) for n in re.findall(r"held: (\d+)", uno.text)]
    assert held == list(range(1, len(held) + 1))
    silent.close()


# -- the files


def test_the_copies_of_the_ring_are_the_same():
    """The Arduino IDE compiles what is in a sketch's folder, and nothing beside it."""
    copies = sorted(SKETCHES.glob("*/reading_ring.h"))
    assert len(copies) == 4
    assert len({copy.read_bytes() for copy in copies}) == 1, f"copy one over the others: {copies}"


def test_each_sketch_has_an_example_of_its_secrets_and_no_secrets():
    sketches = sorted(SKETCHES.glob("*/*.ino"))
    assert len(sketches) == 5
    for sketch in sketches:
        assert sketch.stem == sketch.parent.name, "the IDE wants it so"
        example = (sketch.parent / "secrets.example.h").read_text()
        for name in set(re.findall(r"\b(?:WIFI_NAME|WIFI_PASSWORD|(?:BROKER|SLUICE|DEVICE|MEASURE)_[A-Z_]+)\b", sketch.read_text())):
            assert f"#define {name} " in example, f"{example} does not define {name}"
    assert "/sketches/*/secrets.h" in (SKETCHES.parent / ".gitignore").read_text().split()
