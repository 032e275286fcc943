"""The sources as a 32-bit Raspberry Pi compiles them: without a warning, and with sizes and
times of 64 bits (base/base.h asserts that)."""
import json
import platform
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = pytest.mark.build("dev")

REPO = Path(__file__).resolve().parents[2]
# An x86-64 compiler has a 32-bit mode. Without the 32-bit C library, one header is missing; it is
# empty in effect. Of 64-bit integers, i386 has another alignment than ARM: its note is no warning.
MODE = ["-m32", "-Wno-psabi"] if platform.machine() == "x86_64" else []


def commands(directory):
    """The compiler's command for each source of sluice: (command, its directory)."""
    made = subprocess.run(["cmake", "-G", "Ninja", "-S", REPO, "-B", directory, "-DSLUICE_WERROR=ON", "-DBUILD_TESTING=OFF",
                           "-DCMAKE_BUILD_TYPE=Debug"], capture_output=True, text=True)  # fmt: skip
    assert made.returncode == 0, made.stderr
    for entry in json.loads((directory / "compile_commands.json").read_text()):
        if Path(entry["file"]).is_relative_to(REPO / "bridge"):
            yield shlex.split(entry["command"]), entry["directory"]


def test_every_source_compiles_for_32_bits(tmp_path):
    (tmp_path / "gnu").mkdir()
    (tmp_path / "gnu/stubs-32.h").touch()
    multiarch = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
    more = [*MODE, "-fsyntax-only", "-isystem", str(tmp_path), "-isystem", f"/usr/include/{multiarch}"]

    def compile_one(command):
        arguments, directory = command
        return subprocess.run([*arguments, *more], cwd=directory, capture_output=True, text=True)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(compile_one, commands(tmp_path / "build")))
    assert len(results) > 100
    failed = [result.stderr for result in results if result.returncode != 0]
    assert not failed, "\n".join(failed)[:6000]
