"""A Pi whose root file system is read-only: an overlay in memory takes every change, and a restart forgets
it. The queue is on a disk of its own."""
import subprocess

import pytest

from harness.sluice import binary

STATE = "/var/lib/sluice"
# The root of the machine below an overlay, and the directory of the test, which has the sockets. Each
# process begins with an empty overlay, as after a restart of the machine.
ENTER = """
    mount -t tmpfs none "$TOP"
    mkdir "$TOP/upper" "$TOP/work" "$TOP/root"
    mount -t overlay none -o lowerdir=/,upperdir="$TOP/upper",workdir="$TOP/work" "$TOP/root"
    for place in proc dev sys; do mount --rbind /$place "$TOP/root/$place"; done
    for place in "$DIR" "$(dirname "$PROGRAM")"; do
        mkdir -p "$TOP/root$place"
        mount --bind "$place" "$TOP/root$place"
    done
    mkdir -p "$TOP/root/var/lib/sluice"
    [ -z "$DISK" ] || mount -o loop "$DISK" "$TOP/root/var/lib/sluice"
    exec chroot "$TOP/root" "$@"
"""


@pytest.fixture
def disk(tmp_path):
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(256 << 20)  # more than min_free
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    return image


@pytest.fixture
def start(make_sluice, make_backend, tmp_path):
    """start(disk): a sluice on the overlay, with this disk or None. Without systemd, and without a journal."""
    top = tmp_path / "top"
    top.mkdir()
    backend = make_backend(start=False)
    sluice = make_sluice(dir=tmp_path / "etc", backends={"garden": {"url": backend.url, "ca_file": backend.ca_file}},
                         queue={"path": f"{STATE}/queue.db", "clock": "trust"})  # fmt: skip
    sluice.write_config(f"[daemon]\nsocket = {tmp_path}/etc/sluice.sock\n" + sluice.config_text())
    sluice.backend = backend

    def run(disk=None):
        environment = {"TOP": str(top), "DIR": str(tmp_path), "PROGRAM": str(binary()), "DISK": str(disk or "")}
        sluice.start(env=environment, prefix=["unshare", "--mount", "/bin/sh", "-euc", ENTER, "sh"])
        return sluice

    return run


def test_a_restart_keeps_a_queue_on_a_disk_of_its_own(start, disk, mosquitto):
    sluice = start(disk).wait_connected()
    assert not sluice.find_events("queue-volatile")
    mosquitto.publish_many([("garden/a/sensor", b"%d" % n, 1) for n in range(20)])
    mosquitto.wait_received("PUBACK", 20)
    sluice.kill()
    sluice.backend.start()
    start(disk)
    sluice.backend.wait_for(20)
    assert [int(body) for body in sluice.backend.bodies()] == list(range(20))
    assert not sluice.find_events("queue-volatile")


def test_a_queue_on_the_overlay_is_reported(start):
    sluice = start()
    assert sluice.find_events("queue-volatile", "overlay")
