"""systemd's watchdog: a disk that takes long does not end sluice, a loop that hangs does."""
import errno
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from harness.sluice import binary
from harness.wait import wait_until

LIMIT_US = 400_000  # WatchdogSec
QUIET_S = 20 * LIMIT_US / 1e6  # without a report for this long, systemd would have ended it


class Manager:
    """The service manager: what sluice reports to it."""

    def __init__(self, directory):
        self.path = directory / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))

    def wait(self, *words, timeout=60):
        """The next report that has all these words; None: there is none in time."""
        self.socket.settimeout(timeout)
        while True:
            try:
                text = self.socket.recv(4096).decode()
            except TimeoutError:
                return None
            if all(word in text for word in words):
                return text

    def forget(self):
        """Drops what came before."""
        self.socket.setblocking(False)
        while True:
            try:
                self.socket.recv(4096)
            except BlockingIOError:
                return

    def wait_silence(self):
        """Waits until no report came for QUIET_S. A hang can be reported once more."""
        for _ in range(5):
            if not self.wait("WATCHDOG=1", timeout=QUIET_S):
                return True
        return False


class Hang:
    """What the action `hang` of a fault point reads: it hangs as long as this is held."""

    def __init__(self, directory):
        self.path = directory / "hang"
        self._fd = None

    def arm(self):
        os.mkfifo(self.path)

    def wait(self):
        """Waits until sluice hangs, and holds it there."""

        def opens():
            try:
                self._fd = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                assert error.errno == errno.ENXIO  # nobody reads it yet
            return self._fd is not None

        wait_until(opens, what="sluice to hang")
        self.path.unlink()  # for the next time

    def release(self):
        os.close(self._fd)
        self._fd = None


@pytest.fixture
def manager(tmp_path):
    manager = Manager(tmp_path)
    yield manager
    manager.socket.close()


@pytest.fixture
def hang(tmp_path):
    hang = Hang(tmp_path)
    yield hang
    if hang._fd is not None:
        hang.release()


def start(sluice, manager, hang, fault, wait=True):
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": str(LIMIT_US),
                   "SLUICE_FAULT": fault, "SLUICE_HANG": str(hang.path)}  # fmt: skip
    return sluice.start(env=environment, wait=wait)


def test_a_slow_commit_is_no_hang(sluice, mosquitto, backend, manager, hang):
    start(sluice, manager, hang, "disk.sync:1:hang:1000000").wait_connected()
    hang.arm()
    mosquitto.publish("garden/a/sensor", b"1")
    hang.wait()
    manager.forget()
    for _ in range(10):
        assert manager.wait("WATCHDOG=1", "STATUS=waiting for the disk")
    sluice.wait_events(1, "disk-slow", level="warning")
    assert not sluice.find_events("disk-responds")
    hang.release()
    assert manager.wait("WATCHDOG=1")
    backend.wait_for(1)
    sluice.wait_events(1, "disk-responds")
    assert sluice.stop() == 0


class Disk:
    """A real file system, which a test can freeze. It is only in the mount namespace of sluice."""

    def __init__(self, directory):
        self.mount = directory / "disk"
        self.mount.mkdir()
        self._image = directory / "image"
        subprocess.run(["truncate", "-s", "300M", self._image], check=True)
        subprocess.run(["mkfs.ext4", "-q", self._image], check=True)
        self._process = None

    def prefix(self):
        return ["unshare", "--mount", "sh", "-euc", f'mount -o loop {self._image} {self.mount}; exec "$@"', "sh"]

    def run(self, process, *words):
        return subprocess.run(["nsenter", "--target", str(process.pid), "--mount", *words], capture_output=True, text=True)

    def freeze(self, process):
        self.run(process, "fsfreeze", "--freeze", self.mount).check_returncode()
        self._process = process

    def thaw(self):
        if self._process:
            self.run(self._process, "fsfreeze", "--unfreeze", self.mount).check_returncode()
        self._process = None


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path)
    yield disk
    disk.thaw()


def test_status_names_a_disk_that_does_not_respond(make_sluice, mosquitto, backend, disk):
    """With a real file system that is frozen. A reader of the group needs no write to it."""
    sluice = make_sluice(backends={"garden": backend}, queue={"path": disk.mount / "queue.db"})
    sluice.start(prefix=disk.prefix()).wait_connected()
    process = sluice.process
    disk.freeze(process)
    mosquitto.publish("garden/a/sensor", b"1")
    stat = Path(f"/proc/{process.pid}/status")
    wait_until(lambda: "State:\tD" in stat.read_text(), what="sluice to wait for the disk")
    status = disk.run(process, "setpriv", "--reuid=65534", "--regid=0", "--clear-groups",
                      "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
                      binary(), "status", "-c", str(sluice.config_file))
    assert status.returncode == 1
    assert "it waits for the disk, which does not finish an operation" in status.stdout, status
    disk.thaw()
    backend.wait_for(1)
    assert sluice.stop() == 0


def test_a_loop_that_hangs_is_not_reported_alive(sluice, mosquitto, manager, hang):
    hang.arm()
    start(sluice, manager, hang, "intake.read:1:hang").wait_connected()
    assert manager.wait("WATCHDOG=1")
    mosquitto.publish("garden/a/sensor", b"1")
    hang.wait()
    assert manager.wait_silence()
    hang.release()
    assert manager.wait("WATCHDOG=1")
    assert sluice.stop() == 0


def test_a_slow_disk_delays_a_start_and_a_stop(sluice, manager, hang):
    """TimeoutStartSec and TimeoutStopSec do not end it meanwhile."""
    hang.arm()
    start(sluice, manager, hang, "disk.sync:1:hang:1000000", wait=False)
    hang.wait()
    for _ in range(3):
        assert manager.wait("EXTEND_TIMEOUT_USEC=")
    hang.release()
    sluice.wait_event("ready")
    hang.arm()
    sluice.signal(signal.SIGTERM)
    hang.wait()
    manager.forget()
    for _ in range(3):
        assert manager.wait("EXTEND_TIMEOUT_USEC=")
    hang.release()
    assert sluice.wait_exit() == 0


def test_a_slow_salvage_is_no_hang(make_sluice, mosquitto, backend, manager, hang):
    """The new database is synced at its end."""
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    backend.stop()
    mosquitto.publish_many([("garden/a/sensor", b"%d" % n, 1) for n in range(50)])
    sluice.wait_pending(50)
    assert sluice.stop() == 0
    with open(sluice.db, "r+b") as file:
        file.write(bytes(100))
    hang.arm()
    start(sluice, manager, hang, "disk.sync:1:hang", wait=False)
    hang.wait()
    assert Path(sluice.db + ".salvage-tmp").exists()
    manager.forget()
    for _ in range(3):
        assert manager.wait("WATCHDOG=1", "EXTEND_TIMEOUT_USEC=")
    hang.release()
    sluice.wait_event("salvaged")
    backend.start()
    backend.wait_for(50)
