"""sluice reload, and a configuration with errors: at a reload, in the files, and at a start."""
import json
import os
import pty
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from harness.check import arrived_once_in_order, messages, publish_all, stops_empty
from harness.process import end, spawn
from harness.sluice import SENSOR_ROUTE, backend_section, binary
from harness.wait import wait_until

PUBLISHED = messages(topics=3, each=4)
BROKEN = "\n[route sensor2]\ntopik = a/b\n"
TRUSTED = {"clock": "trust"}


def problems(sluice):
    return [line for line in sluice.status()["problems"] if line.startswith("configuration: ")]


def last_configuration(sluice):
    return Path(sluice.db + "-last.conf")


@pytest.fixture
def sluice(make_sluice, backend):
    made = make_sluice(backends={"garden": backend}, queue=TRUSTED)
    made.parts["queue"] = {"path": made.db, **TRUSTED}
    return made


# -- at a reload


def test_a_reload_waits_for_the_new_configuration(sluice, mosquitto, backend):
    """Also for requests that are in flight. When the command ends, the new one is in force."""
    backend.answer = lambda request: "stall" if len(backend.requests) == 1 else 200
    sluice.start().wait_connected()
    mosquitto.publish("garden/a/sensor", b"1")
    backend.wait_requests(1)
    for path in ("/one", "/two"):
        sluice.write_config(sluice.config_text(routes={"sensor": {**SENSOR_ROUTE, "path": path}}))
        sluice.command("reload", expect=0)
    assert len(sluice.find_events("config-reloaded")) == 2
    mosquitto.publish("garden/b/sensor", b"2")
    wait_until(lambda: b"2" in backend.bodies(), what="the message")
    assert [r.path for r in backend.delivered() if r.body == b"2"] == ["/api/two"]


def test_reloads_at_the_same_time_have_the_same_result(sluice, mosquitto, backend):
    backend.answer = lambda request: "stall"
    sluice.start().wait_connected()
    mosquitto.publish("garden/a/sensor", b"1")
    backend.wait_requests(1)
    words = [binary(), "reload", "-c", str(sluice.config_file)]
    first = subprocess.Popen(words, stderr=subprocess.PIPE)
    sluice.write_config(sluice.config_text() + BROKEN)
    second = subprocess.run(words, stderr=subprocess.PIPE, timeout=60)
    assert second.returncode == 1 and b"topik" in second.stderr
    first.communicate(timeout=60)


def test_a_refused_reload_fails_and_status_reports_it(sluice, mosquitto, backend):
    sluice.start().wait_connected()
    sluice.command("status", expect=0)
    good = sluice.config_text()
    sluice.write_config(good + BROKEN)
    sluice.command("reload", expect=1)
    assert "sluice.conf" in sluice.said and "did you mean 'topic'?" in sluice.said
    sluice.wait_event("config-refused")
    [problem] = problems(sluice)
    assert re.match(r"configuration: \S+sluice\.conf:\d+: \[route sensor2\] has no topic; add .*"
                    r" \(and 1 more: sluice check -c \S+sluice\.conf\); the earlier configuration stays in force", problem), problem
    assert "! configuration: " in sluice.command("status", expect=4)
    # It is about the files, not about the reload.
    sluice.write_config(good)
    assert problems(sluice) == []
    sluice.command("reload", expect=0)
    sluice.command("status", expect=0)


def test_files_that_the_next_start_refuses_are_a_problem(make_sluice, backend, tmp_path):
    """Nobody has reloaded: the next power cut would be the first to try them."""
    secret = tmp_path / "key"
    secret.write_text("s3cret")
    secret.chmod(0o644)
    sluice = make_sluice(queue=TRUSTED,
                         backends={"garden": {**backend_section(backend), "query": f"user_key=@{secret}"}})
    sluice.start().wait_connected()
    warned = len(sluice.find_events("secret-exposed"))
    sluice.command("status", expect=0)
    assert len(sluice.find_events("secret-exposed")) == warned  # to look is no reason to log
    secret.unlink()
    [problem] = problems(sluice)
    assert str(secret) in problem and "no such file" in problem
    secret.write_text("s3cret")
    sluice.config_file.rename(tmp_path / "away.conf")
    assert "no such file" in sluice.ask("status\n")
    (tmp_path / "away.conf").rename(sluice.config_file)
    assert problems(sluice) == []


def test_changes_that_need_a_restart_are_reported(sluice, backend):
    sluice.start().wait_connected()
    sluice.write_config(sluice.config_text(broker={**sluice.parts["broker"], "client_id": "other"}))
    sluice.command("reload", expect=0)
    assert "restart sluice to apply the changes of: [broker] client_id" in sluice.said
    assert problems(sluice) == ["configuration: restart sluice to apply the changes of: [broker] client_id"]
    sluice.stop()
    sluice.start().wait_connected()
    assert problems(sluice) == []


def test_a_reload_of_a_stopped_sluice_fails(sluice):
    sluice.command("reload", expect=3)
    assert "sluice is stopped" in sluice.said
    sluice.command("reload", "now", expect=2)


# -- at a start


def test_a_start_with_errors_uses_the_last_configuration(sluice, mosquitto, backend):
    sluice.start().wait_connected()
    sluice.stop()
    good = sluice.config_text()
    sluice.write_config(good.replace("[queue]", "[queue]\nmax_size = many") + BROKEN)
    sluice.start().wait_connected()
    sluice.wait_event("config-fallback", level="error")
    assert sluice.find_events("config-error", "topik")
    publish_all(mosquitto, PUBLISHED)
    backend.wait_for(len(PUBLISHED))
    arrived_once_in_order(backend, PUBLISHED)
    [problem] = problems(sluice)
    assert "max_size" in problem and re.search(r"sluice started with the last one that was in force, of \d", problem), problem
    sluice.command("reload", expect=1)
    sluice.stop()
    sluice.start()  # again: what was refused is not kept
    sluice.write_config(good)
    [problem] = problems(sluice)
    assert f"sluice reload -c {sluice.config_file}" in problem and "max_size" not in problem
    sluice.command("reload", expect=0)
    sluice.command("status", expect=0)
    sluice.stop()
    lines = len(sluice.log)
    sluice.start()
    assert not sluice.find_events(["config-fallback", "config-error"], after=lines)
    stops_empty(sluice)


def test_what_a_reload_put_in_force_is_kept(sluice, mosquitto, backend):
    """With conf.d, and byte for byte."""
    sluice.start().wait_connected()
    parts = sluice.dir / "conf.d"
    parts.mkdir()
    (parts / "10-more.conf").write_text("; \u00fc\n[route sensor]\npath = /more")
    sluice.write_config(sluice.config_text(routes={"sensor": {"topic": "garden/+/sensor"}}))
    sluice.command("reload", expect=0)
    sluice.kill()
    (parts / "10-more.conf").write_text("[route sensor]\npath = /more\npath = /less\n")
    sluice.start().wait_connected()
    sluice.wait_event("config-fallback")
    mosquitto.publish("garden/a/sensor", b"1")
    [request] = backend.wait_for(1)
    assert request.path == "/api/more"


def test_the_last_configuration_has_no_secret_and_only_its_owner_reads_it(make_sluice, backend, tmp_path):
    secret = tmp_path / "key"
    secret.write_text("s3cret")
    sluice = make_sluice(queue=TRUSTED,
                         backends={"garden": {**backend_section(backend), "query": f"user_key=@{secret}"}})
    sluice.start().wait_connected()
    kept = last_configuration(sluice)
    assert "s3cret" not in kept.read_text() and f"@{secret}" in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    written = kept.stat()
    sluice.command("reload", expect=0)
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)  # no wear


def test_a_start_without_a_last_configuration_fails(make_sluice, backend):
    """Also where it is of another file, or damaged."""
    sluice = make_sluice(broker_port=1, backends={"garden": backend})
    good = sluice.config_text()
    sluice.start()
    sluice.stop()
    kept = last_configuration(sluice)
    text = kept.read_text()
    sluice.write_config(good + BROKEN)
    for other in (text.replace("sluice.conf\n", "other.conf\n", 1), text[:-20], "", "x" + text, None):
        kept.unlink() if other is None else kept.write_text(other)
        sluice.start(wait=False)
        assert sluice.wait_exit() == 78


def test_the_state_directory_keeps_it_where_the_queue_is_not_known(make_sluice, mosquitto, backend, tmp_path):
    """systemd names it: then an error in the section [queue] does no harm either."""
    state = tmp_path / "state"
    state.mkdir()
    environment = {"STATE_DIRECTORY": str(state)}
    sluice = make_sluice(backends={"garden": backend})
    sluice.start(env=environment).wait_connected()
    sluice.stop()
    assert (state / "last.conf").exists() and not last_configuration(sluice).exists()
    sluice.config_file.write_text(sluice.config_text().replace("[queue]", "[queu]"))
    sluice.start(env=environment)
    mosquitto.publish("garden/a/sensor", b"1")
    backend.wait_for(1)
    sluice.stop()
    sluice.config_file.unlink()
    sluice.start(env=environment)
    mosquitto.publish("garden/a/sensor", b"2")
    backend.wait_for(2)


def test_on_a_terminal_an_error_ends_the_start(sluice):
    """A person is there, who corrects it."""
    sluice.start().wait_connected()
    sluice.stop()
    sluice.write_config(sluice.config_text() + BROKEN)
    ours, theirs = pty.openpty()
    try:
        ended = subprocess.run([binary(), "run", "-c", str(sluice.config_file)], stderr=theirs, timeout=60)
        assert ended.returncode == 78 and b"topik" in os.read(ours, 65536)
    finally:
        os.close(ours)
        os.close(theirs)


# -- where the daemon is


def test_commands_find_the_running_sluice_after_path_was_edited(sluice, mosquitto, backend):
    backend.answer = 503
    sluice.start().wait_connected()
    mosquitto.publish("garden/a/sensor", b"1")
    sluice.wait_pending(1)
    running = sluice.db
    sluice.write_config(sluice.config_text(queue={"path": sluice.dir / "elsewhere.db", **TRUSTED}))
    text = sluice.command("status", expect=4)
    assert re.match(rf"sluice \S+ is running since .*, pid {sluice.process.pid}\n", text)
    assert re.search(r"routes +sensor \w+, 1 waiting", text)
    assert "! configuration: restart sluice to apply the changes of: [daemon] socket, [queue] path\n" in text
    sluice.command("reload", expect=0)
    assert "sensor" in sluice.command("queue", "ls")
    sluice.command("send", "garden/b/sensor", "2", expect=0)
    sluice.db = running
    sluice.wait_pending(2)
    assert sluice.stop() == 0
    assert sluice.command("status", expect=1).startswith("sluice is stopped")


@pytest.fixture
def public():
    """A directory on a way that is open to all, and short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="sluice-") as directory:
        yield directory


# Listens as sluice.sock, answers with a status of sluice, and prints what it is sent.
IMPOSTOR = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
listener.listen()
print("listens", flush=True)
while True:
    client, _ = listener.accept()
    got = client.recv(65536)
    if got:
        print("got", got, flush=True)
        client.sendall(sys.argv[2].encode() if got.startswith(b"status") else b"stored\\n")
    client.close()
"""


@pytest.fixture
def impostor(sluice, public):
    """A user who has a directory, listens in it as sluice does, and answers with the status that sluice
    had. Returns what starts it; the test gets what it was sent."""
    sluice.start()
    status = sluice.ask("status\n")
    assert sluice.stop() == 0
    shutil.chown(public, "nobody")
    processes = []

    def start(name):
        process = spawn(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", sys.executable, "-c", IMPOSTOR,
                         f"{public}/{name}", status], stdout=subprocess.PIPE)  # fmt: skip
        processes.append(process)
        assert process.stdout.readline() == b"listens\n"
        return status

    def got():
        end(processes[0])
        return processes.pop().stdout.read()

    start.got = got
    yield start
    for process in processes:
        end(process)


ASKING = [("send", "garden/a/sensor", "mine"), ("status",), ("reload",), ("queue", "ls", "--state", "dead"), ("queue", "show", "1"),
          ("queue", "drop", "--all", "--yes")]  # fmt: skip


def test_commands_of_root_ask_no_other_user_at_the_socket_of_the_configuration(sluice, public, impostor):
    """Its directory is open to others. What cannot be stored by sluice is stored by the command."""
    impostor("own.sock")
    sluice.write_config(sluice.config_text() + f"[daemon]\nsocket = {public}/own.sock\n")
    for command in ASKING[:1] * 2 + ASKING[1:]:
        text = sluice.command(*command, expect={"status": 1, "reload": 1}.get(command[0], 0))
        assert command[0] != "status" or "another user than sluice's listens at " in text
    assert impostor.got() == b""


class Owner(threading.Thread):
    """Listens as sluice, and belongs to the owner of the queue. When it has accepted the first connection,
    it puts another socket in the place of its own."""

    def __init__(self, path, status, other=None):
        super().__init__(daemon=True)
        self.path, self.status, self.other = path, status, other
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                if self.other:
                    os.rename(self.other, self.path)
                    self.other = None
                if client.recv(65536).startswith(b"status"):
                    client.sendall(self.status.encode())

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.join()
        self.listener.close()


@pytest.mark.parametrize("command", ASKING)
def test_each_connection_of_a_command_of_root_is_looked_at(sluice, public, impostor, command):
    """The first one led to sluice, and another user listens when the next one is made."""
    sluice.command("send", "garden/a/sensor", "mine")
    owner = Owner(f"{public}/sluice.sock", impostor("impostor"), f"{public}/impostor")
    sluice.command(*command, expect=None)
    owner.stop()
    assert owner.other is None and impostor.got() == b""


def test_commands_of_root_follow_sluice_to_no_directory_of_another_user(sluice, public, impostor):
    status = impostor("impostor")
    stray = json.dumps({**json.loads(status), "queue": {**json.loads(status)["queue"], "path": f"{public}/queue.db"}})
    owner = Owner(f"{public}/sluice.sock", stray)
    sluice.command("send", "garden/a/sensor", "mine")
    owner.stop()
    assert sluice.pending() == 1
    assert sorted(os.listdir(public)) == ["impostor", "sluice.sock"]


def test_commands_of_root_trust_no_other_user_who_says_to_be_sluice(sluice, public):
    """While sluice is stopped, anyone can listen at a socket with its name."""
    sluice.start()
    status = sluice.ask("status\n")
    assert sluice.stop() == 0
    shutil.chown(public, "nobody")
    impostor = spawn(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", sys.executable, "-c", IMPOSTOR,
                      f"{public}/sluice.sock", status], stdout=subprocess.PIPE)  # fmt: skip
    try:
        assert impostor.stdout.readline() == b"listens\n"
        sluice.command("send", "garden/a/sensor", "mine")
        assert "stopped" in sluice.command("status", expect=3)
        assert sluice.pending() == 1
    finally:
        end(impostor)
    assert b"got" not in impostor.stdout.read()
