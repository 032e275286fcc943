"""The images of config/container, as far as they can run without a builder of images: their user, their
volumes and their commands, in a root of its own that is read-only."""
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.ports import free_port
from harness.sluice import binary
from harness.wait import wait_until

CONTAINER = Path(__file__).resolve().parents[2] / "config/container"
STAGES = {name: text for name, text in re.findall(r"^FROM \S+ AS (\w+)\n((?:(?!FROM ).*\n)*)", (CONTAINER / "Containerfile").read_text(), re.M)}
# The root of this machine, read-only, with what the image and the options of `podman run` put into it.
ENTER = """
    mount -t tmpfs none "$TOP"
    mkdir "$TOP/upper" "$TOP/work" "$TOP/root"
    root=$TOP/root
    mount -t overlay none -o lowerdir=/,upperdir="$TOP/upper",workdir="$TOP/work" "$root"
    for place in proc dev sys "$DIR"; do
        mkdir -p "$root/$place"
        mount --rbind "/$place" "$root/$place"
    done
    mkdir -p "$root/run/sluice" "$root/etc/sluice" "$root$VOLUME"
    cp "$PROGRAM" "$root/usr/local/bin/sluice"
    mount -t tmpfs -o mode=1777 none "$root/run/sluice"
    mount --bind "$ETC" "$root/etc/sluice"
    mount --bind "$QUEUE" "$root$VOLUME"
    mount -o remount,ro "$root"
    exec chroot "$root" setpriv --reuid="$NUMBER" --regid="$NUMBER" --clear-groups --no-new-privs --bounding-set=-all "$@"
"""


def instruction(stage, name):
    [value] = re.findall(rf"^{name} (.*)$", STAGES[stage], re.M)
    return value


@pytest.fixture
def container(make_sluice, make_backend, tmp_path):
    """The image sluice; its configuration is in etc/, its volume is queue/."""
    number, _ = instruction("sluice", "USER").split(":")
    for name in ("top", "etc", "queue"):
        (tmp_path / name).mkdir()
    shutil.chown(tmp_path / "queue", int(number), int(number))
    backend = make_backend(start=False)
    shutil.copy(backend.ca_file, tmp_path / "etc/ca.pem")
    volume = instruction("sluice", "VOLUME")
    sluice = make_sluice(dir=tmp_path / "made", backends={"garden": {"url": backend.url, "ca_file": "/etc/sluice/ca.pem"}},
                         queue={"path": f"{volume}/queue.db", "clock": "trust"})  # fmt: skip
    shutil.copy(sluice.config_file, tmp_path / "etc/sluice.conf")
    environment = {"TOP": str(tmp_path / "top"), "ETC": str(tmp_path / "etc"), "QUEUE": str(tmp_path / "queue"),
                   "DIR": str(tmp_path), "VOLUME": volume, "PROGRAM": str(binary()), "NUMBER": number}  # fmt: skip
    [program], [command] = (json.loads(instruction("sluice", name)) for name in ("ENTRYPOINT", "CMD"))

    class Container:
        def __init__(self):
            self.sluice, self.backend = sluice, backend

        def start(self):
            before = len(sluice.log)
            # The harness adds its own command line, which the image does not need.
            script = f'shift $#; set -- {program} {command}; {ENTER}'
            sluice.start(env=environment, prefix=["unshare", "--mount", "/bin/sh", "-euc", script, "sh"])
            sluice.wait_event("broker-connected", after=before)
            return self

        def is_healthy(self):
            words = json.loads(re.search(r"CMD (.*)", instruction("sluice", "HEALTHCHECK")).group(1))
            return subprocess.run(["nsenter", "--target", str(sluice.process.pid), "--mount", "--root", "setpriv", f"--reuid={number}",
                                   f"--regid={number}", "--clear-groups", *words], stdin=subprocess.DEVNULL).returncode == 0  # fmt: skip

    return Container()


def test_a_container_that_is_killed_in_an_outage_loses_nothing(container, mosquitto):
    container.start()
    assert not container.sluice.find_events("socket-unavailable")
    mosquitto.publish_many([("garden/a/sensor", b"%d" % n, 1) for n in range(20)])
    mosquitto.wait_received("PUBACK", 20)
    container.sluice.kill()
    container.backend.start()
    container.start()
    container.backend.wait_for(20)
    assert [int(body) for body in container.backend.bodies()] == list(range(20))
    wait_until(container.is_healthy, what="the health check to pass")
    assert instruction("sluice", "STOPSIGNAL") == "SIGTERM"
    container.sluice.stop()


def test_mosquitto_starts_with_the_passwords_of_its_secrets(tmp_path):
    """The image's own command, with the image's files in /etc/mosquitto."""
    etc, secrets, port = tmp_path / "etc", tmp_path / "secrets", free_port()
    for directory in (etc, etc / "conf.d", secrets):
        directory.mkdir()
    (etc / "mosquitto.conf").write_text(f"persistence_location {tmp_path}/\nuser root\ninclude_dir /etc/mosquitto/conf.d\n")
    settings = (CONTAINER.parent / "mosquitto-sluice.conf").read_text()
    (etc / "conf.d/sluice.conf").write_text(settings.replace("\nlistener 1883\n", f"\nlistener {port} 127.0.0.1\n"))
    shutil.copy(CONTAINER.parent / "mosquitto-sluice.acl", etc / "sluice.acl")
    run = ["unshare", "--mount", "/bin/sh", "-euc", f'mount --bind {etc} /etc/mosquitto; exec "$0"', CONTAINER / "start-mosquitto"]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SECRETS": str(secrets)}
    refused = subprocess.run(run, env=environment, capture_output=True, text=True)
    assert refused.returncode == 78 and "podman secret create broker_password FILE" in refused.stderr
    (secrets / "broker_password").write_text("of sluice")
    (secrets / "device_password").write_text("of devices\n")
    broker = subprocess.Popen(run, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def publishes(user, password):
        return subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-u", user, "-P", password,
                               "-t", "garden/a/sensor", "-m", "1"], stderr=subprocess.DEVNULL).returncode == 0  # fmt: skip

    try:
        wait_until(lambda: publishes("device", "of devices"), what="a device to publish")
        assert publishes("sluice", "of sluice") and not publishes("device", "of sluice")
    finally:
        broker.terminate()
        broker.wait()
