"""The journal: each line arrives by its native protocol, with the event in a field."""
import os
import socket

import pytest

from harness.disk import with_private_mounts
from harness.ports import free_port
from harness.process import end, spawn
from harness.sluice import binary
from harness.wait import PATIENCE_S

# Gives a command a journal socket of its own.
WITH_JOURNAL = 'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && mount --bind "$1" /run/systemd/journal' \
               ' && shift && exec "$@"'  # fmt: skip


class Journal:
    """The socket of a journal, and the stream that a unit has as its standard error."""

    def __init__(self, directory):
        self.dir = directory
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(directory / "socket"))
        self._socket.settimeout(PATIENCE_S)
        self.stream, self.unit_end = socket.socketpair()

    def env(self):
        status = os.fstat(self.unit_end.fileno())
        return {**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}

    def next_entry(self):
        """The fields of the next entry; none of them has a line end in its value."""
        return dict(line.split("=", 1) for line in self._socket.recv(65536).decode().splitlines())

    def close(self):
        for one in (self._socket, self.stream, self.unit_end):
            one.close()


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path)
    yield made
    made.close()


def test_a_line_reaches_the_journal_with_its_event(make_sluice, backend, journal):
    house = make_sluice(broker_port=free_port(), backends={"garden": backend})
    run = ["sh", "-c", WITH_JOURNAL, "sh", str(journal.dir), binary(), "run", "-c", str(house.config_file)]
    command = with_private_mounts(run)
    if command is None:
        pytest.skip("no mount may be made here")
    process = spawn(command, env=journal.env(), stderr=journal.unit_end)
    entries = {}
    while not {"ready", "broker-away"} <= set(entries):
        entry = journal.next_entry()
        entries[entry["SLUICE_EVENT"]] = entry
    assert end(process) == 0
    for event, priority in (("ready", "5"), ("broker-away", "4")):
        entry = entries[event]
        assert entry["PRIORITY"] == priority and entry["SYSLOG_IDENTIFIER"] == "sluice"
        assert entry["MESSAGE"].startswith(f"{event}: ") and "CODE_FILE" not in entry
    journal.stream.setblocking(False)
    with pytest.raises(BlockingIOError):  # nothing came by standard error, too
        journal.stream.recv(1)
