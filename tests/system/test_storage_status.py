"""What status reports while the queue cannot be written: the queue, and no part that works."""
import errno
import re
import sqlite3
import sys
import subprocess

import pytest

from harness.disk import Disk
from harness.wait import wait_until

pytestmark = pytest.mark.build("dev")

TOPIC = "garden/a/sensor"
NOW = r"since \d\d-\d\d \d\d:\d\d:\d\d"


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path / "disk", kind="quota")
    yield made
    made.close()


def problems(sluice):
    return sluice.status(expect=4)["problems"]


def wait_for_problem(sluice, pattern):
    """The first problem matches, and no other one is about the broker."""

    def is_first():
        found = sluice.status()["problems"]
        return found and re.fullmatch(pattern, found[0]) and not any(line.startswith("broker") for line in found)

    wait_until(is_first, what=lambda: f"{pattern}, not {problems(sluice)}")
    assert "broker        127.0.0.1" in sluice.command("status", expect=4)
    assert "away" not in sluice.command("status", expect=4)


@pytest.mark.parametrize("number, words", [
    (errno.EROFS, "Read-only file system: the kernel does that after errors of the SD card or disk, see dmesg; check and "
                  "replace it"),
    (errno.EIO, "Input/output error: the SD card or disk fails, see dmesg; replace it"),
], ids=["read-only", "io-error"])  # fmt: skip
def test_a_disk_that_cannot_be_written_is_the_problem(make_sluice, mosquitto, backend, disk, number, words):
    """It comes from memory: the table of problems cannot be written either."""
    sluice = make_sluice(dir=disk.dir, backends={"garden": backend}, queue={"clock": "trust"})
    sluice.start(env=disk.env).wait_connected()
    wait_until(lambda: sluice.status()["problems"] == [], what="no problem")
    disk.fail(number)
    mosquitto.publish(TOPIC, b"1", qos=1)
    wait_for_problem(sluice, rf"queue: cannot be written {NOW} \({re.escape(words)}; messages wait at the broker, "
                             r"stored messages are delivered\)")
    disk.work()
    backend.wait_for(1)
    wait_until(lambda: sluice.status()["problems"] == [], what="no problem")


def test_a_lock_of_another_program_is_the_problem(make_sluice, mosquitto, backend):
    """With the process that has it."""
    sluice = make_sluice(backends={"garden": backend}, queue={"clock": "trust"})
    sluice.start().wait_connected()
    other = subprocess.Popen(
        [sys.executable, "-c", f"import sqlite3; d = sqlite3.connect({sluice.db!r}, isolation_level=None); "
                               "d.execute('begin immediate'); print(1, flush=True); input(); d.execute('rollback')"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    try:
        other.stdout.readline()
        mosquitto.publish(TOPIC, b"1", qos=1)
        words = (rf"queue: cannot be written {NOW} \(another process has locked the database: pid {other.pid} \(python3.*\); "
                 r"end its transaction; messages wait at the broker, stored messages are delivered\)")
        wait_for_problem(sluice, words)
        sluice.wait_event("queue-write-failed", "locked")  # after 10 s the connection ends
        wait_for_problem(sluice, words)
    finally:
        other.communicate(b"\n")
    backend.wait_for(1)
    wait_until(lambda: sluice.status()["problems"] == [], what="no problem")
