"""The database is damaged, at start or while the daemon runs: the messages that can be read are
delivered once, under their old keys, and the log reports what was lost."""
import os
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from harness.wait import wait_until

PAGE = 4096
MESSAGES = 600
LARGE = 3000
MIDDLE = 400  # one of its leaves, far from those that are read first
PAD = "x" * 200


def body(n, pad=PAD):
    return ('{"n": %d, "pad": "%s"}' % (n, pad)).encode()


def publish(mosquitto, numbers, pad=PAD):
    mosquitto.publish_many([(f"garden/{n % 20}/sensor", body(n, pad), 1) for n in numbers])


def make_backlog(make_sluice, mosquitto, backend, messages, pad):
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    publish(mosquitto, range(-20, 0))
    backend.wait_for(20)
    sluice.wait_empty()
    backend.stop()
    publish(mosquitto, range(messages), pad)
    sluice.wait_pending(messages)
    sluice.stop()
    backend.start()
    backend.requests.clear()
    sluice.backlog = keys_of(sluice.db)
    assert len(sluice.backlog) == messages
    return sluice


@pytest.fixture
def backlog(make_sluice, mosquitto, backend):
    """A sluice that was stopped with MESSAGES in its queue; the backend is up again,
    and a few messages were delivered before."""
    return make_backlog(make_sluice, mosquitto, backend, MESSAGES, PAD)


@pytest.fixture
def large_backlog(make_sluice, mosquitto, backend):
    """The same, and it is larger than what SQLite keeps in memory."""
    return make_backlog(make_sluice, mosquitto, backend, LARGE, "y" * 1000)


def look(path):
    return closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True))


def keys_of(path):
    """{key: body} of the messages that wait in a database."""
    with look(path) as connection:
        return dict(connection.execute(
            "select r.token || '-' || m.id, m.payload from message m join run r on r.id = m.run"))


def pages(path, where):
    """(number, rows) of pages."""
    with look(path) as connection:
        return connection.execute(f"select pageno, ncell from dbstat where {where}").fetchall()


def leaves(path):
    return pages(path, "name = 'message' and pagetype = 'leaf'")


def overwrite(path, number, data):
    with open(path, "r+b") as file:
        file.seek((number - 1) * PAGE)
        file.write(data)


def set_aside(sluice):
    return sorted(str(p) for p in Path(sluice.dir).glob("queue.db.damaged-*") if not str(p).endswith("-wal"))


def salvaged(sluice, after=0):
    line = sluice.wait_event("salvaged", after=after)
    return int(re.search(r"(\d+) messages", line).group(1))


def assert_delivered_once(sluice, backend, least):
    """Each delivered message is of the backlog, has its old key and body, and came once."""
    sluice.wait_empty()
    delivered = backend.delivered()
    keys = [request.key for request in delivered]
    assert len(keys) == len(set(keys))
    wrong = [request.key for request in delivered if sluice.backlog.get(request.key) != request.body]
    assert not wrong, f"of another key or body: {wrong[:5]}"
    assert len(keys) >= least
    return len(keys)


# ---- at start


def spoil_header(path):
    overwrite(path, 1, b"\0" * 100)
    return 0


def spoil_page_size(path):
    with open(path, "r+b") as file:
        file.seek(16)
        file.write(b"\x08\x00")
    return 0


def spoil_schema(path):
    overwrite(path, 1, os.urandom(PAGE))
    return 0


def spoil_pointer_map(path):
    overwrite(path, 2, b"\xff" * PAGE)
    return 0


def spoil_interior(path):
    for number, _ in pages(path, "name = 'message' and pagetype = 'internal'"):
        overwrite(path, number, b"\0" * PAGE)
    return 0


def spoil_leaf(path):
    number, rows = leaves(path)[3]
    overwrite(path, number, os.urandom(PAGE))
    return rows


def spoil_runs(path):
    """An index has the keys too."""
    for number, _ in pages(path, "name = 'run'"):
        overwrite(path, number, b"\0" * PAGE)
    return 0


def spoil_half(path):
    size = os.path.getsize(path) // PAGE // 2 * PAGE
    lost = sum(rows for number, rows in leaves(path) if number > size // PAGE)
    os.truncate(path, size + 100)
    return lost


@pytest.mark.parametrize("spoil", [spoil_header, spoil_page_size, spoil_schema, spoil_pointer_map,
                                   spoil_interior, spoil_leaf, spoil_runs, spoil_half])
def test_a_damaged_database_is_salvaged_at_start(backlog, backend, mosquitto, spoil):
    """After a kill, which is like a power cut, the file is checked."""
    backend.stop()
    backlog.start()
    backlog.kill()
    os.truncate(backlog.db + "-wal", 0)
    lost = spoil(backlog.db)
    before = Path(backlog.db).read_bytes()
    backend.start()
    backlog.start().wait_connected()
    assert MESSAGES - lost <= salvaged(backlog) <= MESSAGES
    delivered = assert_delivered_once(backlog, backend, MESSAGES - lost)
    assert delivered == salvaged(backlog)
    if lost:
        assert re.search(r"[1-9]\d* pages", backlog.wait_event("salvaged"))
    [aside] = set_aside(backlog)
    assert Path(aside).read_bytes() == before
    backlog.wait_event("salvaged", aside)
    publish(mosquitto, [9999])
    wait_until(lambda: body(9999) in backend.bodies(), what="a new message to be delivered")
    backlog.stop()
    backlog.start().wait_connected()
    assert len(set_aside(backlog)) == 1


def test_a_large_database_that_was_stopped_in_order_is_not_read_through(backlog, backend):
    """Its damage is found while it runs, and salvaged then."""
    number, rows = leaves(backlog.db)[5]
    overwrite(backlog.db, number, b"\0" * PAGE)
    backlog.start()
    backlog.wait_event("queue-damaged")
    assert salvaged(backlog) >= 0
    backlog.wait_event("queue-recovered")
    assert_delivered_once(backlog, backend, MESSAGES - rows)


def test_a_damaged_write_ahead_log_is_salvaged(make_sluice, mosquitto, backend):
    """SQLite would silently ignore it, and all later commits."""
    backend.stop()
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    for n in range(20):
        publish(mosquitto, [n])
        sluice.wait_pending(n + 1)
    sluice.backlog = keys_of(sluice.db)
    sluice.kill()
    wal = sluice.db + "-wal"
    frames = (os.path.getsize(wal) - 32) // (24 + PAGE)
    with open(wal, "r+b") as file:
        file.seek(32 + frames // 2 * (24 + PAGE) + 1000)
        file.write(b"damage")
    backend.start()
    sluice.start()
    sluice.wait_event("queue-damaged", "write-ahead log")
    assert assert_delivered_once(sluice, backend, 20) == 20
    [aside] = set_aside(sluice)
    assert os.path.exists(aside + "-wal")


def test_a_lost_write_ahead_log_is_logged(make_sluice, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    sluice.stop()
    backend.stop()
    sluice.start().wait_connected()
    publish(mosquitto, range(5))
    sluice.wait_pending(5)
    sluice.kill()
    os.unlink(sluice.db + "-wal")
    sluice.start().wait_connected()
    sluice.wait_event("queue-outdated")
    assert set_aside(sluice) == []


def test_a_write_ahead_log_truncated_under_a_reader_is_salvaged(backlog, backend):
    """The shared memory of the reader still describes the old log, and SQLite would believe it."""
    backend.stop()
    backlog.start()
    with look(backlog.db) as reader:
        reader.execute("select count(*) from message").fetchall()
        backlog.kill()
        os.truncate(backlog.db + "-wal", 0)
        backend.start()
        backlog.start()
        assert assert_delivered_once(backlog, backend, MESSAGES) == MESSAGES
        assert len(set_aside(backlog)) == 1


def test_a_text_file_is_kept_and_replaced(sluice, mosquitto, backend):
    Path(sluice.db).write_text("dear diary\n" * 1000)
    sluice.start().wait_connected()
    publish(mosquitto, [1])
    backend.wait_for(1)
    assert Path(set_aside(sluice)[0]).read_text().startswith("dear diary")


def test_an_empty_file_is_a_new_queue(sluice, mosquitto, backend):
    Path(sluice.db).write_text("")
    sluice.start().wait_connected()
    publish(mosquitto, [1])
    backend.wait_for(1)
    assert set_aside(sluice) == [] and not sluice.find_events(["queue-damaged", "salvaged"])


def test_another_programs_database_is_left_alone(sluice):
    """A wrong path in the configuration."""
    with closing(sqlite3.connect(sluice.db)) as connection:
        connection.execute("create table bookmarks (url text)")
    before = Path(sluice.db).read_bytes()
    sluice.start(wait=False)
    assert sluice.wait_exit() == 1
    sluice.wait_event("queue-unusable", "another program")
    assert Path(sluice.db).read_bytes() == before and set_aside(sluice) == []


def test_a_directory_in_place_of_the_database_ends_the_start(sluice):
    os.mkdir(sluice.db)
    sluice.start(wait=False)
    assert sluice.wait_exit() == 1
    sluice.wait_event("queue-unusable", "directory")


# ---- crashes and want of space


@pytest.mark.parametrize("fault", ["salvage.row:1", "salvage.row:300", *(f"salvage.step:{n}" for n in range(1, 7))])
def test_a_kill_during_the_salvage_loses_nothing(backlog, backend, fault):
    number, rows = leaves(backlog.db)[3]
    overwrite(backlog.db, number, b"\0" * PAGE)
    overwrite(backlog.db, 1, b"\0" * PAGE)
    backlog.start(wait=False, env={"SLUICE_FAULT": f"{fault}:kill"})
    assert backlog.wait_exit() == -9
    backlog.start()
    assert_delivered_once(backlog, backend, MESSAGES - rows)
    assert len(set_aside(backlog)) == 1
    assert list(Path(backlog.dir).glob("*salvage*")) == []


def test_without_room_for_a_copy_nothing_is_changed(backlog, backend):
    overwrite(backlog.db, 1, b"\0" * PAGE)
    before = Path(backlog.db).read_bytes()
    backlog.start(wait=False, env={"SLUICE_FAULT": "salvage.room:1:fail"})
    assert backlog.wait_exit() == 1
    backlog.wait_event("queue-unusable", "no room")
    assert Path(backlog.db).read_bytes() == before and set_aside(backlog) == []
    backlog.start()
    assert assert_delivered_once(backlog, backend, MESSAGES) == MESSAGES


# ---- while it runs


def test_damage_is_salvaged_while_the_daemon_runs(large_backlog, backend, mosquitto):
    """A backlog waits, pages of it are overwritten, the backend comes back."""
    sluice = large_backlog
    backend.stop()
    sluice.start().wait_connected()
    pid = sluice.process.pid
    hit = leaves(sluice.db)[MIDDLE:MIDDLE + 4]
    for number, _ in hit:
        overwrite(sluice.db, number, os.urandom(PAGE))
    lost = sum(rows for _, rows in hit)
    backend.start()
    sluice.wait_event("queue-damaged")
    publish(mosquitto, range(1000, 1050))
    sluice.wait_event("queue-recovered")
    wait_until(lambda: {body(n) for n in range(1000, 1050)} <= set(backend.bodies()),
               what="what came meanwhile to be delivered")
    sluice.wait_empty()
    old = [request for request in backend.delivered() if request.key in sluice.backlog]
    assert len(old) == len({request.key for request in old}) >= LARGE - lost
    assert all(sluice.backlog[request.key] == request.body for request in old)
    new = [request.body for request in backend.delivered() if request.key not in sluice.backlog]
    assert sorted(new) == sorted(body(n) for n in range(1000, 1050))
    assert sluice.process.pid == pid and sluice.running()
    sluice.wait_events(1, "salvaged")
    assert len(set_aside(sluice)) == 1
    assert sluice.stop() == 0


def test_a_failed_salvage_is_tried_again(large_backlog, backend, mosquitto):
    """The process goes on, tries again after a pause, and loses nothing meanwhile."""
    sluice = large_backlog
    backend.stop()
    sluice.start(env={"SLUICE_FAULT": "salvage.room:1:fail"}).wait_connected()
    number, rows = leaves(sluice.db)[MIDDLE]
    overwrite(sluice.db, number, os.urandom(PAGE))
    backend.start()
    sluice.wait_event("queue-unusable", "no room")
    publish(mosquitto, [5000])
    time.sleep(0.5)
    assert not sluice.find_events("queue-recovered")
    sluice.wait_event("queue-recovered")
    wait_until(lambda: body(5000) in backend.bodies(), what="the message that came meanwhile")
    sluice.wait_empty()
    keys = [request.key for request in backend.delivered()]
    assert len(keys) == len(set(keys)) >= LARGE - rows + 1


def test_damage_is_remembered_over_a_restart(large_backlog, backend):
    """The next start knows of it."""
    sluice = large_backlog
    backend.stop()
    sluice.start(env={"SLUICE_FAULT": "salvage.room:1:fail:100"}).wait_connected()
    number, rows = leaves(sluice.db)[MIDDLE]
    overwrite(sluice.db, number, os.urandom(PAGE))
    backend.start()
    sluice.wait_event("queue-unusable", "no room")
    assert sluice.stop() == 0
    after = len(sluice.log)
    sluice.start()
    sluice.wait_event("salvaged", after=after)
    sluice.wait_empty()
    keys = [request.key for request in backend.delivered()]
    assert LARGE - rows <= len(set(keys))
