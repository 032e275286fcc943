"""A power cut can leave Mosquitto's database full of NUL bytes, and then Mosquitto does not start. Only
root can see that: check and status say it, with a remedy that works."""
import re
import shlex
import subprocess

import pytest

from harness.mount import with_mounts
from harness.process import end, spawn
from harness.mosquitto import find_mosquitto
from harness.sluice import binary
from harness.wait import wait_until


@pytest.fixture
def settings(mosquitto, tmp_path):
    """/etc/mosquitto as it would be with this broker."""
    directory = tmp_path / "etc"
    (directory / "conf.d").mkdir(parents=True)
    (directory / "mosquitto.conf").write_text(f"persistence_location {mosquitto.dir}/\ninclude_dir /etc/mosquitto/conf.d\n")
    (directory / "conf.d/sluice.conf").write_text("persistence true\n")
    return directory


def ask(settings, sluice, command):
    """What a command says of the database: check warns, and status has problems."""
    result = with_mounts([binary(), command, "-c", sluice.config_file], {"/etc/mosquitto": settings})
    lines = result.stderr if command == "check" else result.stdout
    return [line for line in lines.splitlines() if "mosquitto.db" in line]


def does_not_start(mosquitto):
    process = spawn([find_mosquitto(), "-c", str(mosquitto.dir / "mosquitto.conf")], stderr=subprocess.PIPE)
    try:
        wait_until(lambda: process.poll() is not None, what="mosquitto to fail")
        return "Couldn't open database" in process.stderr.read().decode()
    finally:
        end(process)
        process.stderr.close()


MAGIC = b"\0\xb5\0mosquitto db"  # then 4 bytes of a checksum and 4 of the version, which is 6


@pytest.mark.parametrize("content", [
    bytes(4096), bytes(10), MAGIC[:-3], MAGIC, MAGIC + bytes(7), MAGIC + bytes(100),
], ids=["NUL", "short", "cut", "no version", "half a version", "version 0"])  # fmt: skip
def test_the_remedy_of_a_database_that_mosquitto_refuses_works(make_sluice, mosquitto, backend, settings, content):
    sluice = make_sluice(backends={"garden": backend}).start().wait_connected()
    assert ask(settings, sluice, "check") == ask(settings, sluice, "status") == []
    mosquitto.stop()
    database = mosquitto.dir / "mosquitto.db"
    assert database.stat().st_size > 0
    assert ask(settings, sluice, "check") == ask(settings, sluice, "status") == [], "a sound one is no problem"
    database.write_bytes(content)
    assert does_not_start(mosquitto)

    [warning] = ask(settings, sluice, "check")
    [problem] = ask(settings, sluice, "status")
    assert problem.removeprefix("! ") == re.sub("^.*?warning: ", "", warning)
    assert problem.startswith("! broker: Mosquitto cannot start: ") and "what the broker held is lost" in problem
    [move] = re.findall(r"sudo (mv \S+ \S+); sudo systemctl restart mosquitto", problem)
    subprocess.run(shlex.split(move), check=True)
    before = len(sluice.log)
    mosquitto.start()
    sluice.wait_connected(after=before)
    assert ask(settings, sluice, "check") == ask(settings, sluice, "status") == []


def test_a_database_with_a_version_is_no_problem(make_sluice, mosquitto, backend, settings):
    """Mosquitto ignores NUL bytes after it."""
    mosquitto.stop()
    sluice = make_sluice(backends={"garden": backend}).start()
    (mosquitto.dir / "mosquitto.db").write_bytes(MAGIC + bytes(7) + b"\6" + bytes(100))
    assert ask(settings, sluice, "check") == ask(settings, sluice, "status") == []
    mosquitto.start()
    sluice.wait_connected()


def test_a_database_is_no_problem_while_the_broker_runs_or_does_not_use_it(make_sluice, mosquitto, backend, settings):
    """Mosquitto replaces it when it saves. An empty one starts."""
    sluice = make_sluice(backends={"garden": backend}).start().wait_connected()
    (mosquitto.dir / "mosquitto.db").write_bytes(bytes(100))
    assert ask(settings, sluice, "check") == ask(settings, sluice, "status") == []
    mosquitto.kill()
    assert len(ask(settings, sluice, "check")) == 1
    (settings / "conf.d/sluice.conf").write_text("persistence false\n")
    assert ask(settings, sluice, "check") == ask(settings, sluice, "status") == []
    (settings / "conf.d/sluice.conf").write_text("persistence true\n")
    (mosquitto.dir / "mosquitto.db").write_bytes(b"")
    assert ask(settings, sluice, "check") == ask(settings, sluice, "status") == []
    sluice.wait_event("broker-away", "Connection refused", "systemctl status mosquitto")
