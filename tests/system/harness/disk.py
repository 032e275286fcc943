"""A small disk that can be filled and emptied.

A tmpfs where one can be mounted; elsewhere a directory with a quota, which a
small library keeps that is preloaded into the process under test (disk_quota.c).
"""
import errno
import os
import shutil
import subprocess
from pathlib import Path

from .process import run_quietly

QUOTA_SOURCE = Path(__file__).with_name("disk_quota.c")
_CHUNKS = (1 << 20, 1 << 16, 1 << 12)


def with_private_mounts(argv):
    """argv with a prefix that gives it a mount namespace of its own; None where that is
    forbidden."""
    for options in (["--mount"], ["--user", "--map-root-user", "--mount"]):
        unshare = ["unshare", *options, "--"]
        if run_quietly([*unshare, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]):
            return [*unshare, *argv]
    return None


class Disk:
    """dir: where its files go; env: for the process whose disk it is.
    kind: 'tmpfs', 'quota', or None for the first that works."""

    def __init__(self, directory, size=32 << 20, kind=None):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True)
        self.size = size
        self.env = {}
        self._ballast = self.dir / "ballast"
        self._error = self.dir.with_name(self.dir.name + "-error")
        options = f"size={size},mode=700"
        mounted = kind != "quota" and run_quietly(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.dir)])
        assert mounted or kind != "tmpfs", f"no tmpfs can be mounted at {self.dir}"
        self.kind = "tmpfs" if mounted else "quota"
        if not mounted:
            self.env = {
                "LD_PRELOAD": str(self._build_library()),
                "DISK_QUOTA_DIR": str(self.dir),
                "DISK_QUOTA_BYTES": str(size),
                "DISK_ERROR_FILE": str(self._error),
            }

    def _build_library(self):
        library = self.dir.with_name(self.dir.name + "-quota.so")
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", library, QUOTA_SOURCE, "-ldl"],
                       check=True)  # fmt: skip
        return library

    def fail(self, number):
        """Each write and sync fails with this errno, until work() is called."""
        assert self.kind == "quota"
        temporary = self._error.with_suffix(".new")
        temporary.write_text(str(number))
        temporary.rename(self._error)

    def work(self):
        self._error.unlink()

    @property
    def is_full(self):
        return self._ballast.exists()

    def fill(self, leave=0):
        """Fills it until at most `leave` bytes are free."""
        if self.kind == "quota":
            with self._ballast.open("wb") as ballast:
                ballast.truncate(max(0, self.size - self._used() - leave))
            return
        with self._ballast.open("wb", buffering=0) as ballast:
            for chunk in _CHUNKS:
                self._write_chunks(ballast, chunk)
            ballast.truncate(max(0, ballast.tell() - leave))

    def _used(self):
        files = [path for path in self.dir.rglob("*") if path.is_file() and path != self._ballast]
        return sum(path.stat().st_size for path in files)

    @staticmethod
    def _write_chunks(ballast, chunk):
        try:
            while ballast.write(bytes(chunk)) == chunk:
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def empty(self):
        self._ballast.unlink(missing_ok=True)

    def close(self):
        if self.kind == "tmpfs":
            run_quietly(["umount", "-l", str(self.dir)])
        shutil.rmtree(self.dir, ignore_errors=True)
