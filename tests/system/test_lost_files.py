"""Somebody deletes or replaces the files of the queue while sluice has them open: nothing that was
acknowledged is lost, also when it is killed afterwards."""
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from harness.check import stops_empty
from harness.wait import wait_until

pytestmark = pytest.mark.build("dev")

TOPIC = "garden/a/sensor"


@pytest.fixture
def away(make_backend):
    """A backend that is not there yet."""
    return make_backend(start=False)


@pytest.fixture
def sluice(make_sluice, away):
    return make_sluice(backends={"garden": away}, queue={"clock": "trust"})


def publish(mosquitto, first, count):
    mosquitto.publish_many([(TOPIC, b"%d" % n, 1) for n in range(first, first + count)])


def all_arrived(backend, count):
    """Each exactly once, in order."""
    backend.start()
    backend.wait_for(count)
    assert [int(body) for body in backend.bodies()] == list(range(count))
    assert len({request.key for request in backend.delivered()}) == count


def delete_files(sluice):
    for path in Path(sluice.db).parent.glob("queue.db*"):
        path.unlink()


def backup(sluice):
    """A copy of the database that is complete."""
    copy = sluice.dir / "backup"
    source = sqlite3.connect(f"file:{sluice.db}?mode=ro", uri=True)
    target = sqlite3.connect(copy)
    source.backup(target)
    target.close()
    source.close()
    return copy


def kept(sluice):
    return [str(path) for path in Path(sluice.db).parent.glob("queue.db.replaced-*") if path.name[-4:] not in ("-wal", "-shm")]


def rows_of(path):
    database = sqlite3.connect(path)
    try:
        return database.execute("select count(*) from message").fetchone()[0]
    finally:
        database.close()


def test_deleted_files_are_saved(sluice, mosquitto, away):
    sluice.start().wait_connected()
    publish(mosquitto, 0, 40)
    sluice.wait_pending(40)
    delete_files(sluice)
    sluice.wait_event("queue-files-lost", level="error")
    sluice.wait_event("queue-rescued", level="error")
    assert sluice.pending() == 40
    wait_until(lambda: os.path.exists(sluice.db + "-socket"), what="the socket, which was deleted, too")
    assert sluice.status()["queue"]["routes"][0]["waiting"] == 40
    publish(mosquitto, 40, 2)
    sluice.wait_pending(42)
    sluice.kill()
    sluice.start()
    all_arrived(away, 42)
    stops_empty(sluice)


def test_a_backup_that_was_moved_over_the_queue_is_kept_beside_it(sluice, mosquitto, away):
    sluice.start().wait_connected()
    publish(mosquitto, 0, 3)
    sluice.wait_pending(3)
    old = backup(sluice)
    delete_files(sluice)
    sluice.wait_event("queue-rescued")
    publish(mosquitto, 3, 20)
    sluice.wait_pending(23)
    before = len(sluice.log)
    os.rename(old, sluice.db)
    line = sluice.wait_event("queue-rescued", after=before)
    [name] = kept(sluice)
    assert name in line and "23 messages" in line
    assert rows_of(name) == 3 and sluice.pending() == 23
    sluice.kill()
    sluice.start()
    all_arrived(away, 23)
    stops_empty(sluice)


PAGE = 4096
FRAME_HEADER = 24


def overwrite_first_page(path):
    """In the database, and in each frame of the log that has it."""
    with open(path, "r+b") as file:
        file.write(bytes(PAGE))
    with open(path + "-wal", "r+b") as log:
        for at in range(32, os.path.getsize(path + "-wal"), FRAME_HEADER + PAGE):
            log.seek(at)
            if log.read(4) == b"\0\0\0\1":
                log.seek(at + FRAME_HEADER)
                log.write(bytes(PAGE))


def damage_and_delete(sluice):
    """SQLite cannot copy such a database."""
    with closing(sqlite3.connect(sluice.db, isolation_level=None)) as other:
        other.execute("select count(*) from message").fetchall()
        sluice.signal(signal.SIGSTOP)
        overwrite_first_page(sluice.db)
        other.execute("insert into problem values ('test', 1, 'a change')")  # so that sluice's connection reads the page again
    delete_files(sluice)
    sluice.signal(signal.SIGCONT)


def test_a_damaged_queue_that_is_deleted_is_salvaged(sluice, mosquitto, away):
    """What is readable goes into the new queue, and the damaged one is kept."""
    sluice.start().wait_connected()
    publish(mosquitto, 0, 40)
    sluice.wait_pending(40)
    damage_and_delete(sluice)
    sluice.wait_event("queue-rescued", "damaged", level="error")
    line = sluice.wait_event("salvaged", level="error")
    [damaged] = [str(path) for path in Path(sluice.db).parent.glob("queue.db.damaged-*")]
    assert damaged in line and "40 messages" in line
    assert not list(Path(sluice.db).parent.glob("queue.db.*salvage*")) and not os.path.exists(sluice.db + ".rescued")
    publish(mosquitto, 40, 2)
    sluice.wait_pending(42)
    sluice.kill()
    sluice.start()
    all_arrived(away, 42)
    stops_empty(sluice)


def kept_problems(sluice):
    return [line for line in sluice.status()["problems"] if line.startswith("kept: ")]


def test_many_replaced_databases_are_reported_until_they_are_deleted(sluice, mosquitto, away):
    """sluice deletes none of them."""
    sluice.start().wait_connected()
    publish(mosquitto, 0, 3)
    sluice.wait_pending(3)
    old = backup(sluice)
    for day in "123":
        Path(f"{sluice.db}.replaced-2026010{day}T000000Z").touch()
        Path(f"{sluice.db}.replaced-2026010{day}T000000Z-wal").touch()
    os.rename(old, sluice.db)
    sluice.wait_event("queue-replaced-often", "4 databases", level="warning")
    [line] = wait_until(lambda: kept_problems(sluice), what="the problem")
    assert "4 databases that somebody put in its place while sluice used it are kept beside it" in line
    assert f"({sluice.db}.replaced-*)" in line
    os.unlink(kept(sluice)[0])
    wait_until(lambda: not kept_problems(sluice), what="a status without the problem")


def test_many_damaged_databases_are_reported(sluice):
    for day in "1234":
        Path(f"{sluice.db}.damaged-2026010{day}T000000Z").touch()
    sluice.start()
    [line] = wait_until(lambda: kept_problems(sluice), what="the problem")
    assert "4 damaged databases" in line and f"({sluice.db}.damaged-*)" in line


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-lock"])
def test_each_single_file_may_go(sluice, mosquitto, away, suffix):
    sluice.start().wait_connected()
    publish(mosquitto, 0, 10)
    sluice.wait_pending(10)
    os.unlink(sluice.db + suffix)
    sluice.wait_event("queue-rescued")
    assert kept(sluice) == []  # what was left was ours
    publish(mosquitto, 10, 10)
    sluice.wait_pending(20)
    sluice.kill()
    sluice.start()
    all_arrived(away, 20)
    stops_empty(sluice)


def test_nothing_is_acknowledged_into_deleted_files(make_sluice, mosquitto, away, tmp_path):
    """As long as it cannot be saved: here the whole directory is away. When it is back, sluice goes on."""
    place = tmp_path / "disk"
    place.mkdir()
    sluice = make_sluice(backends={"garden": away}, queue={"clock": "trust", "path": place / "queue.db"})
    sluice.write_config(f"[daemon]\nsocket = {sluice.dir}/socket\n" + sluice.config_text())
    sluice.start().wait_connected()
    publish(mosquitto, 0, 5)
    mosquitto.wait_received("PUBACK", 5)
    place.rename(tmp_path / "elsewhere")
    sluice.wait_event("queue-files-lost")
    publish(mosquitto, 5, 5)
    sluice.wait_event("queue-unusable", "directory")
    # Either way: no commit is tried, or it fails.
    text = sluice.command("status", expect=4)
    assert re.search(r"\n! queue: cannot be written since \S+ \S+ \(its files were deleted or replaced", text), text
    assert "there is no queue here" not in text and "! broker" not in text
    assert rows_of(tmp_path / "elsewhere" / "queue.db") == 5
    (tmp_path / "elsewhere").rename(place)
    sluice.wait_pending(10)
    assert not sluice.find_events("queue-rescued")
    sluice.kill()
    sluice.start()
    all_arrived(away, 10)
    stops_empty(sluice)


# As sluice.service has it: all is read-only but the state directory, which is a mount of its own.
ONLY_STATE_IS_WRITABLE = """
    mount --bind "$1" "$1"
    mount --bind "$2" "$2"
    mount -o remount,bind,ro "$1"
    shift 2
    exec "$@"
"""


def test_a_deleted_directory_of_the_service_can_be_put_right(make_sluice, mosquitto, away, tmp_path):
    """By the two steps that the status prints, one after the other."""
    state = tmp_path / "var" / "sluice"
    state.mkdir(parents=True)
    sluice = make_sluice(backends={"garden": away}, queue={"clock": "trust", "path": state / "queue.db"})
    sluice.write_config(f"[daemon]\nsocket = {sluice.dir}/socket\n" + sluice.config_text())
    sluice.start(prefix=["unshare", "--mount", "/bin/sh", "-euc", ONLY_STATE_IS_WRITABLE, "sh", state.parent, state])
    sluice.wait_connected()
    publish(mosquitto, 0, 5)
    mosquitto.wait_received("PUBACK", 5)
    shutil.rmtree(state)
    for step in ("install -d", "nsenter"):
        text = wait_until(lambda: (said := sluice.command("status", expect=None)) and f"sudo {step}" in said and said,
                          what=step)  # fmt: skip
        [advice] = re.findall(r"\n! queue: .* do not restart sluice, which still has them, but .*?: (sudo .*?)[;)]", text)
        subprocess.run(["/bin/sh", "-euc", advice.replace("sudo ", "")], check=True)
    sluice.wait_event("queue-rescued", level="error")
    sluice.kill()
    sluice.start()
    all_arrived(away, 5)
    stops_empty(sluice)


def test_a_lock_file_of_root_can_be_put_right(make_sluice, mosquitto, make_backend):
    """Root copied a backup of the directory to the place of the queue."""
    backend = make_backend()
    backend.answer = 503
    with tempfile.TemporaryDirectory(prefix="sluice-") as top:
        os.chmod(top, 0o755)
        state, settings = Path(top, "state"), Path(top, "settings")
        state.mkdir()
        settings.mkdir()
        shutil.chown(state, 64111, 64112)
        shutil.copy(backend.ca_file, settings / "ca.pem")
        sluice = make_sluice(dir=settings, queue={"clock": "trust", "path": state / "queue.db"},
                             backends={"garden": {"url": backend.url, "ca_file": settings / "ca.pem", "retry_max": "1s"}})  # fmt: skip
        sluice.start(prefix=["setpriv", "--reuid=64111", "--regid=64112", "--clear-groups", "--"]).wait_connected()
        publish(mosquitto, 0, 5)
        mosquitto.wait_received("PUBACK", 5)
        (state / "queue.db-lock").unlink()
        (state / "queue.db-lock").touch(mode=0o640)
        text = wait_until(lambda: (said := sluice.command("status", expect=None)) and "sudo chown" in said and said, what="the remedy")
        [advice] = re.findall(r"\n! queue: .* do not restart sluice, which still has them, but .*?: sudo (.*?)[;)]", text)
        assert advice == f"chown -h --reference={state} {state}/queue.db-lock"
        subprocess.run(["/bin/sh", "-euc", advice], check=True)
        sluice.wait_event("queue-rescued", level="error")
        backend.answer = 200
        backend.wait_for(5)
        assert sorted(map(int, backend.bodies())) == list(range(5))  # the one that failed may be overtaken
        sluice.wait_empty()
        stops_empty(sluice)


def test_a_stop_saves_what_is_in_deleted_files(sluice, mosquitto, away):
    """sluice has no time to notice it before."""
    sluice.start().wait_connected()
    publish(mosquitto, 0, 10)
    sluice.wait_pending(10)
    sluice.signal(signal.SIGSTOP)
    delete_files(sluice)
    sluice.signal(signal.SIGTERM)
    sluice.signal(signal.SIGCONT)
    assert sluice.wait_exit() == 0
    assert sluice.find_events("queue-rescued")
    sluice.start()
    all_arrived(away, 10)
    stops_empty(sluice)


def test_a_kill_at_each_step_of_the_rescue_loses_nothing(make_sluice, mosquitto, make_backend):
    """Until the copy is complete, it can only be lost together with the process. Afterwards it is used,
    whatever is in its place."""
    steps, seen = 0, set()
    while True:
        steps += 1
        away = make_backend(start=False)
        client_id = f"s{steps}"
        sluice = make_sluice(backends={"garden": away}, broker={"client_id": client_id})
        sluice.start().wait_connected()
        publish(mosquitto, 0, 3)
        sluice.wait_pending(3)
        old = backup(sluice)
        publish(mosquitto, 3, 7)
        sluice.wait_pending(10)
        sluice.stop()
        sluice.start(env={"SLUICE_FAULT": f"salvage.step:{steps + 1}:kill"}).wait_connected()
        before = len(sluice.log)
        os.rename(old, sluice.db)
        wait_until(lambda: not sluice.running() or sluice.find_events("queue-rescued", after=before), what="the rescue")
        died = not sluice.running()
        if died:
            assert sluice.wait_exit() == -signal.SIGKILL
        complete = os.path.exists(sluice.db + ".rescued") or sluice.find_events("queue-rescued", after=before)
        if died:
            seen.add(bool(complete))
        else:
            sluice.kill()
        sluice.start()
        all_arrived(away, 10 if complete else 3)
        sluice.stop()
        if not died:
            break
    assert steps > 5 and seen == {False, True}


def test_a_kill_at_each_step_of_the_rescue_of_a_damaged_queue_loses_nothing(make_sluice, mosquitto, make_backend):
    """As soon as the copy of the files is complete."""
    steps, seen = 0, set()
    while True:
        steps += 1
        away = make_backend(start=False)
        sluice = make_sluice(backends={"garden": away}, broker={"client_id": f"d{steps}"})
        sluice.start(env={"SLUICE_FAULT": f"salvage.step:{steps + 1}:kill"}).wait_connected()
        publish(mosquitto, 0, 10)
        sluice.wait_pending(10)
        damage_and_delete(sluice)
        wait_until(lambda: not sluice.running() or sluice.find_events("queue-recovered"), what="the rescue")
        died = not sluice.running()
        rescued = [path for path in Path(sluice.db).parent.glob("queue.db*") if path.name in ("queue.db", "queue.db.rescued", "queue.db.salvaged")]
        if died:
            assert sluice.wait_exit() == -signal.SIGKILL
            seen.add(bool(rescued))
        else:
            sluice.kill()
        sluice.start()
        all_arrived(away, 10 if rescued else 0)
        sluice.stop()
        if not died:
            break
    assert steps > 8 and seen == {False, True}
