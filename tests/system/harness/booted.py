"""A systemd of its own, as in a container: the first process of its own namespaces, with one target that
wants nothing. It sees the files of this machine, except what the test mounts over them; so a unit must
have DefaultDependencies=no, or it starts what the system starts."""
import os
import signal
import subprocess

from .process import end, spawn
from .wait import wait_until

TARGET = "[Unit]\nDefaultDependencies=no\n"
ENVIRONMENT = "env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin"
# A control group that systemd has to itself, below the one that the test found.
OUTER = """
    mount -t cgroup2 none "$GROUPS_AT"
    mkdir "$GROUPS_AT/$GROUP"
    echo $$ >"$GROUPS_AT/$GROUP/cgroup.procs"
    exec unshare --pid --fork --kill-child --mount --cgroup --uts --ipc --net /bin/sh -euc "$INNER"
"""
INNER = f"""
    mount -t proc none /proc
    mount --bind /proc/sys /proc/sys
    mount -o remount,bind,ro /proc/sys
    mount -o remount,bind,ro /sys
    mount -t tmpfs none /run
    mkdir /run/lock
    umount -R /sys/fs/cgroup 2>/dev/null || true
    mount -t cgroup2 none /sys/fs/cgroup
    eval "$SETUP"
    mount -t tmpfs none /dev/shm  # RemoveIPC= deletes all that belongs to the user there
    exec {ENVIRONMENT} /lib/systemd/systemd --system --unit=test.target --log-target=console \
        --default-standard-output=null --show-status=no
"""
TIDY = """
    mount -t cgroup2 none "$GROUPS_AT"
    find "$GROUPS_AT/$GROUP" -depth -type d -exec rmdir {} +
"""


class Systemd:
    def __init__(self, directory, setup):
        """setup: a script that mounts the files of the test. /etc/systemd/system must get test.target."""
        self.log = directory / "systemd.log"
        groups = directory / "groups"
        groups.mkdir()
        self._environment = {**os.environ, "GROUPS_AT": str(groups), "GROUP": f"sluice-test-{os.getpid()}", "INNER": INNER, "SETUP": setup}
        with self.log.open("w") as log:
            self.outer = spawn(["unshare", "--mount", "/bin/sh", "-euc", OUTER], env=self._environment,
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # fmt: skip
        try:
            wait_until(self._is_ready, what=lambda: f"systemd to start: {self.log.read_text()}")
        except AssertionError:
            self.stop()
            raise

    def _first_process(self):
        assert self.outer.poll() is None, self.log.read_text()
        children = open(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children").read().split()
        return children[0] if children else None

    def _is_ready(self):
        return self._first_process() and self.run("systemctl is-active test.target").stdout == "active\n"

    def run(self, script):
        """Runs a script of root beside systemd. Returns the ended process."""
        return subprocess.run(["nsenter", "--target", self._first_process(), "--all", *ENVIRONMENT.split(), "/bin/sh", "-euc", script],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)  # fmt: skip

    def stop(self):
        end(self.outer, signal.SIGKILL)

        def is_tidy():
            return subprocess.run(["unshare", "--mount", "/bin/sh", "-euc", TIDY], env=self._environment,
                                  stdin=subprocess.DEVNULL, capture_output=True).returncode == 0  # fmt: skip

        wait_until(is_tidy, what="the control group of systemd to end")
