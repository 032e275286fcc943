"""scripts/run: the demo, as a new user starts it."""
import os
import pty
import re
import select
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from harness.process import spawn
from harness.wait import wait_until

REPO = Path(__file__).resolve().parents[2]
SCRIPT = str(REPO / "scripts" / "run")


class Demo:
    """A running scripts/run. Reads its output; its TMPDIR is a directory of the test."""

    def __init__(self, tmp, *args, environment=None):
        self.tmp = tmp
        self.lines = []
        self.process = spawn([SCRIPT, *args], env={**os.environ, "TMPDIR": str(tmp), **(environment or {})},
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, start_new_session=True)  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def text(self):
        return "\n".join(list(self.lines))

    def wait_line(self, regex, timeout=120):
        wait_until(lambda: self.process.poll() is not None or re.search(regex, self.text, re.M), timeout,
                   lambda: f"{regex!r} in\n{self.text}")  # fmt: skip
        found = re.search(regex, self.text, re.M)
        assert found, f"it ended ({self.process.returncode}):\n{self.text}"
        return found

    def wait_end(self, status, timeout=150):
        wait_until(lambda: self.process.poll() is not None, timeout, lambda: f"its end:\n{self.text}")
        self._reader.join(10)
        assert self.process.returncode == status, self.text


def assert_nothing_is_left(tmp):
    """Asserts that its TMPDIR is empty, and that no process names it."""
    assert os.listdir(tmp) == []
    left = []
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = cmdline.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(tmp) in command:
            left.append(command)
    assert left == []


@pytest.fixture
def demo(tmp_path):
    started = []

    def start(*args, **more):
        started.append(Demo(tmp_path, *args, **more))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.terminate()
            one.process.wait(30)


def test_without_a_terminal_it_ends_after_ten_readings(demo):
    run = demo()
    run.wait_end(0)
    assert re.search(r"backend +#10 +POST /api/collections/sensor +\{.*\"host\":\"wino-.*'garden/wino-\w+/sensor'", run.text)
    assert "select * from pending" in run.text
    assert re.search(r"(\d+) readings published, \1 arrived, 0 missing", run.text)
    assert_nothing_is_left(run.tmp)


def test_outage_fills_the_queue_and_then_drains_it(demo):
    run = demo("--outage")
    run.wait_end(0)
    waited = [int(n) for n in re.findall(r"queue +(\d+) readings wait", run.text)]
    assert len(waited) == 5 and waited == sorted(waited) and waited[-1] >= 20
    assert re.search(r"sluice +warning backend-away: ", run.text)
    assert re.search(r"sluice +notice backend-back: ", run.text)
    assert re.search(r"(\d+) readings published, \1 arrived, 0 missing", run.text)
    assert_nothing_is_left(run.tmp)


@pytest.mark.parametrize("sig, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_every_part(demo, sig, status):
    run = demo("--seconds", "600")
    run.wait_line(r"^backend +#3 ")
    run.process.send_signal(sig)
    run.wait_end(status, 30)
    assert_nothing_is_left(run.tmp)


def test_on_a_terminal_it_runs_until_ctrl_c(tmp_path):
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TMPDIR"] = str(tmp_path)
        os.execv(SCRIPT, [SCRIPT])
    text = b""
    try:
        while b"#12 " not in text:
            assert select.select([terminal], [], [], 120)[0], text.decode()
            text += os.read(terminal, 4096)
        os.write(terminal, b"\x03")
        wait_until(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT), what="its end")
    finally:
        os.close(terminal)
        if not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            os.kill(pid, signal.SIGTERM)
        status = os.waitpid(pid, 0)[1]
    assert os.waitstatus_to_exitcode(status) == 130
    assert_nothing_is_left(tmp_path)


def test_backend_option_delivers_there_and_hides_the_key(demo, make_backend, ca, tmp_path_factory):
    backend = make_backend()
    files = tmp_path_factory.mktemp("files")
    (files / "key").write_text("s3cret\n")
    run = demo("--backend", backend.url, "--ca-file", backend.ca_file, "--user-key-file", str(files / "key"),
               "--topic", "field/+/+/air", "--seconds", "3")  # fmt: skip
    run.wait_end(0)
    assert backend.requests
    for request in backend.requests:
        assert request.path.endswith("/collections/air?user_key=s3cret"), request.path
    assert "s3cret" not in run.text
    assert_nothing_is_left(run.tmp)


@pytest.mark.parametrize("args", [
    ["--nonsense"], ["--seconds"], ["--seconds", "soon"], ["--backend", "http://example.org/api"],
    ["--user-key-file", "/etc/hostname"], ["--outage", "--seconds", "3"],
    ["--backend", "https://example.org/api", "--ca-file", "/does/not/exist"],
])  # fmt: skip
def test_a_wrong_command_line_is_refused(args):
    result = subprocess.run([SCRIPT, *args], capture_output=True, text=True, timeout=20)
    assert result.returncode == 2 and "--help" in result.stderr


def test_help_names_every_option():
    result = subprocess.run([SCRIPT, "--help"], capture_output=True, text=True, timeout=20)
    assert result.returncode == 0
    for option in ("--outage", "--seconds", "--backend", "--user-key-file", "--topic", "--ca-file"):
        assert option in result.stdout
