"""People look into the queue: members of the group at any time, and for as long as
they like.

A reader is another process, and another user, as it is on a Pi.
"""
import contextlib
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness.process import end
from harness.sluice import binary
from harness.wait import wait_until

SLUICE_USER, SLUICE_GROUP, PERSON, STRANGER = 64111, 64112, 64113, 64114
MIB = 1024 * 1024

# Opens the queue (argv[1] with the options argv[2]), prints what argv[3] asks for,
# one row; ends when its input does.
READER = """
import json, sqlite3, sys
rows = sqlite3.connect(f"file:{sys.argv[1]}{sys.argv[2]}", uri=True).execute(sys.argv[3])
print(json.dumps(rows.fetchone()), flush=True)
sys.stdin.read()
"""


def log_bytes(sluice):
    return os.stat(sluice.db + "-wal").st_size


def open_query(sluice):
    """A query that is left open in a pager, one row of it shown."""
    reader = subprocess.Popen(["/usr/bin/python3", "-c", READER, sluice.db, "?mode=ro", "select * from pending"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert json.loads(reader.stdout.readline())
    return reader


def close_query(reader):
    if reader:
        end(reader)
        reader.stdin.close()
        reader.stdout.close()


# -- a query that is left open


def test_a_query_left_open_is_named_and_nothing_breaks(sluice, mosquitto, backend):
    backend.answer = 503
    sluice.start().wait_connected()
    mosquitto.publish_many([("garden/a/sensor", b"first", 1)] * 3)
    sluice.wait_pending(3)
    reader = open_query(sluice)
    try:
        backend.answer = 200
        mosquitto.publish_many([("garden/a/sensor", b"%06d" % n + bytes(MIB // 8), 1) for n in range(96)])
        backend.wait_for(99)
        wait_until(lambda: log_bytes(sluice) > 8 * MIB, what="the log to grow")
        line = sluice.wait_event("wal-held")
        assert re.search(rf"pid {reader.pid} \(python3\)", line), line
        wait_until(lambda: sluice.sql("select description from problem where name = 'reader'"), what="the problem")
        [problem] = sluice.sql("select description from problem where name = 'reader'")
        assert f"pid {reader.pid} " in problem["description"]
        sluice.wait_events(1, "wal-held")
    finally:
        close_query(reader)
    sluice.wait_event("wal-released")
    wait_until(lambda: log_bytes(sluice) <= 4 * MIB, what="the log to shrink by itself")
    wait_until(lambda: not sluice.sql("select 1 from problem where name = 'reader'"), what="the problem to end")
    sluice.wait_empty()
    assert sluice.stop() == 0
    assert len(backend.delivered()) == 99


# -- the group


@pytest.fixture
def house(make_sluice, mosquitto, make_backend):
    """A queue as scripts/install makes it: a directory of mode 2750 that belongs to
    sluice's user and group, under which the daemon runs."""
    if os.geteuid() != 0:
        pytest.skip("to be several users needs root")
    backend = make_backend()
    backend.answer = 503
    with tempfile.TemporaryDirectory(prefix="sluice-house-") as top:
        directory = Path(top, "sluice")
        directory.mkdir()
        os.chmod(top, 0o755)
        os.chown(directory, SLUICE_USER, SLUICE_GROUP)
        os.chmod(directory, 0o2750)
        settings = Path(top, "settings")
        settings.mkdir(mode=0o755)
        shutil.copy(backend.ca_file, settings / "ca.pem")
        sluice = make_sluice(dir=settings, queue={"path": directory / "queue.db"},
                             backends={"garden": {"url": backend.url, "ca_file": settings / "ca.pem"}})
        start = sluice.start
        sluice.start = lambda: start(prefix=["setpriv", f"--reuid={SLUICE_USER}", f"--regid={SLUICE_GROUP}",
                                             "--clear-groups", "--"])
        yield sluice
        sluice.finish()


def look(sluice, query, options="?mode=ro", user=PERSON, groups=(SLUICE_GROUP,)):
    """What a user is shown, or the words of the failure."""
    ended = subprocess.run(["/usr/bin/python3", "-c", READER, sluice.db, options, query], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20, check=False,
                           user=user, group=user, extra_groups=groups, cwd="/")
    return json.loads(ended.stdout) if ended.returncode == 0 else ended.stderr.splitlines()[-1]


def assert_all_can_look(sluice, count):
    """By the tables, which also need the log, and by the view; opened for reading, and as
    sqlite3 opens it without -readonly."""
    for options in ("?mode=ro", ""):
        assert look(sluice, "select count(*) from message", options) == [count]
        assert look(sluice, "select topic, payload from pending", options) == ["garden/a/sensor", "0"]
    assert look(sluice, "delete from message", "") == "sqlite3.OperationalError: attempt to write a readonly database"
    assert "unable to open" in look(sluice, "select 1 from message", groups=())


def test_the_group_can_read_the_queue_in_each_state(house, mosquitto):
    house.start().wait_connected()
    for n in range(3):
        mosquitto.publish("garden/a/sensor", b"%d" % n)
    house.wait_pending(3)
    for name in os.listdir(os.path.dirname(house.db)):
        status = os.stat(os.path.join(os.path.dirname(house.db), name))
        private = name.endswith("-last.conf")  # it may have secrets, as the configuration itself
        mode = 0o660 if stat.S_ISSOCK(status.st_mode) else 0o600 if private else 0o640
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (mode, SLUICE_GROUP), name
    assert_all_can_look(house, 3)

    house.kill()  # what was committed is still in the log only
    assert log_bytes(house) > 0
    assert_all_can_look(house, 3)

    house.start().wait_connected()
    mosquitto.publish("garden/a/sensor", b"3")
    house.wait_pending(4)
    assert_all_can_look(house, 4)

    assert house.stop() == 0
    assert_all_can_look(house, 4)
    house.start()  # nobody who looked is in the way
    assert_all_can_look(house, 4)


def ask(sluice, *words, user=PERSON):
    """What a command prints for a member of the group, or for root."""
    as_user = {"user": user, "group": user, "extra_groups": (SLUICE_GROUP,)} if user else {}
    ended = subprocess.run([binary(), *words, "-c", sluice.config_file], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", **as_user)  # fmt: skip
    return ended.stdout


@pytest.mark.parametrize("repair", ["status", "queue", "start"])
def test_a_log_that_another_program_deleted(house, mosquitto, repair):
    """root opens the queue of a stopped sluice with plain sqlite3, which deletes the log when it ends.
    A reader gets to know that, and root's next command or the next start makes the log again."""
    house.start().wait_connected()
    mosquitto.publish("garden/a/sensor", b"0")
    house.wait_pending(1)
    house.stop()
    with contextlib.closing(sqlite3.connect(house.db)) as plain:
        plain.execute("select count(*) from message").fetchone()
    assert not os.path.exists(house.db + "-wal")
    for words in (["status"], ["queue", "ls"]):
        assert "has deleted its write-ahead log; \"sudo sluice status\"" in ask(house, *words)
    if repair == "start":
        house.start()
    else:
        ask(house, *{"status": ["status"], "queue": ["queue", "ls"]}[repair], user=None)
    assert_all_can_look(house, 1)
    assert "garden/a/sensor" in ask(house, "queue", "ls")


def test_a_reader_of_the_group_sees_one_state(house, mosquitto):
    """A query of one who may not write sees one state of the queue, and is not
    disturbed; after it, another sees what came meanwhile."""
    house.start().wait_connected()
    mosquitto.publish_many([("garden/a/sensor", b"0", 1)] * 3)
    house.wait_pending(3)
    reader = subprocess.Popen(["/usr/bin/python3", "-c", READER, house.db, "?mode=ro", "select * from pending"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=PERSON, group=PERSON,
                              extra_groups=[SLUICE_GROUP], cwd="/")
    try:
        assert json.loads(reader.stdout.readline())[3] == "garden/a/sensor"
        mosquitto.publish_many([("garden/a/sensor", bytes(MIB // 8), 1)] * 96)
        house.wait_pending(99)
        line = house.wait_event("wal-held")
        assert f"pid {reader.pid} " in line, line
    finally:
        close_query(reader)
    house.wait_event("wal-released")


def test_the_locks_are_listed_where_processes_are_hidden(house):
    """The unit hides the processes of others (ProtectProc=invisible); who holds a lock
    must be found all the same, from a mount of /proc like the unit's."""
    program = ("mount -t proc -o hidepid=invisible proc /proc && "
               f"exec setpriv --reuid={SLUICE_USER} --regid={SLUICE_GROUP} --clear-groups "
               "sh -c 'cat /proc/locks; ls -d /proc/1 || echo hidden'")
    house.start()
    seen = subprocess.run(["unshare", "--mount", "sh", "-c", program], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=20, check=False)
    if "permission denied" in seen.stderr.lower() and not seen.stdout:
        pytest.skip(f"no mount may be made here: {seen.stderr.strip()}")
    assert "hidden" in seen.stdout, seen
    inode = os.stat(house.db + "-shm").st_ino
    assert re.search(rf"POSIX .* {house.process.pid} \S+:{inode} 128 128", seen.stdout), seen.stdout
