"""No id of a message is ever given to another one: not after a crash, nor in an empty queue, nor
after a salvage."""
import os
import sqlite3

import pytest

TOPIC = "garden/wino-1/sensor"
PAGE = 4096


def ids(backend):
    return [int(request.key.rsplit("-", 1)[1]) for request in backend.delivered()]


def send_one(sluice, backend):
    """Delivers one message; returns its id."""
    count = len(backend.delivered())
    sluice.command("send", TOPIC, "%d" % count)
    backend.wait_for(count + 1)
    sluice.wait_empty()
    return ids(backend)[-1]


def test_ids_go_on_in_an_empty_queue(make_sluice, backend):
    """After a stop the next id follows; after a crash some are left out."""
    sluice = make_sluice(backends={"garden": backend})
    sluice.start()
    assert [send_one(sluice, backend) for _ in range(3)] == [1, 2, 3]
    sluice.stop()
    sluice.start()
    assert [send_one(sluice, backend) for _ in range(2)] == [4, 5]
    last = 5
    for _ in range(3):
        sluice.kill()
        sluice.start()
        first = send_one(sluice, backend)
        assert first > last
        last = first
    sluice.stop()
    sluice.start()
    assert send_one(sluice, backend) == last + 1


def test_an_old_id_drops_no_other_message(make_sluice, backend):
    sluice = make_sluice(backends={"garden": backend})
    sluice.start()
    old = send_one(sluice, backend)
    sluice.kill()
    backend.stop()
    sluice.start()
    sluice.command("send", TOPIC, "waits")
    sluice.wait_pending(1)
    sluice.command("queue", "drop", "--yes", old, expect=None)
    assert sluice.exit_status != 0
    assert sluice.pending() == 1


@pytest.mark.parametrize("lost", ["nothing", "runs", "database"])
def test_ids_go_on_after_a_salvage(make_sluice, backend, lost):
    sluice = make_sluice(backends={"garden": backend})
    sluice.start()
    last = [send_one(sluice, backend) for _ in range(3)][-1]
    sluice.kill()
    connection = sqlite3.connect(sluice.db)
    connection.execute("pragma wal_checkpoint(truncate)")
    pages = [row[0] for row in connection.execute("select pageno from dbstat where name like '%run%'")]
    connection.close()
    sluice.call_damaged()
    with open(sluice.db, "r+b") as file:
        for page in pages if lost == "runs" else []:
            file.seek((page - 1) * PAGE)
            file.write(os.urandom(PAGE))
        if lost == "database":
            file.write(os.urandom(os.stat(sluice.db).st_size))
    sluice.start()
    sluice.wait_event("salvaged")
    assert send_one(sluice, backend) > last
