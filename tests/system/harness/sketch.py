"""A sketch of sketches/, as a program of this machine (tests/arduino/sim.h)."""
import os
import re
import subprocess
import threading
from pathlib import Path

from .process import end, spawn
from .sluice import SANITISER, binary
from .wait import PATIENCE_S, wait_until


def arduino(name):
    """The path of a program that the build made from tests/arduino."""
    return str(Path(binary()).parent / "tests" / "arduino" / name)


class Board:
    """A process that prints the output of a sketch's serial line."""

    def __init__(self, directory, command, env=None):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.command = command
        self.env = {**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1", **(env or {})}
        self.lines = []
        self.process = None
        self._reader = None

    def start(self):
        self.process = spawn(self.command, env=self.env, cwd=self.dir, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()
        return self

    def _read(self, lines):
        for line in lines:
            self.lines.append(line.rstrip("\n"))

    @property
    def text(self):
        return "\n".join(list(self.lines))

    def wait_line(self, regex, timeout=PATIENCE_S, after=0):
        def found():
            return any(re.search(regex, line) for line in list(self.lines)[after:])

        def ended():
            return self.process.poll() is not None

        wait_until(lambda: found() or ended(), timeout, lambda: f"{regex!r} in\n{self.text}")
        self.process.poll() is not None and self._reader.join(5)
        assert found(), f"it ended ({self.process.returncode}):\n{self.text}"

    def _numbers(self, regex):
        return [int(match.group(1)) for line in list(self.lines) if (match := re.search(regex, line))]

    @property
    def measured(self):
        """How many readings were measured: each is the number of the one before, plus one."""
        return max(self._numbers(r"^measured: soil (\d+)"), default=0)

    @property
    def stored_up_to(self):
        return max(self._numbers(r"^stored up to reading (\d+)"), default=0)

    @property
    def dropped(self):
        return max(self._numbers(r"^measured: .*?(\d+) had to be dropped")
                   + self._numbers(r"^measured: .*dropped: (\d+)"), default=0)  # fmt: skip

    def wait_measured(self, n, timeout=PATIENCE_S):
        wait_until(lambda: self.measured >= n or self.process.poll() is not None, timeout,
                   lambda: f"{n} readings:\n{self.text}")  # fmt: skip
        assert self.process.poll() is None, self.text

    def end(self):
        """Ends it in any state; fails if a sanitiser reported something."""
        end(self.process)
        if self._reader:
            self._reader.join(5)
            self.process.stdin.close()
            self.process.stdout.close()
            self._reader = None
        assert not SANITISER.search(self.text), self.text


class Sketch(Board):
    """chip: what its name ends in. speed: how much faster than a board. Readings come
    every measure_ms of its own time."""

    def __init__(self, directory, name, broker_port=0, chip=0x13A2, speed=10, measure_ms=1000, millis=0,
                 adc_start=0, **more):
        self.name = name
        self.speed = speed
        self.host = f"{'uno' if name.startswith('uno') else 'wino'}-{chip:06x}"
        super().__init__(directory, [arduino(name)], {
            "SIM_DIR": str(directory), "SIM_CHIP": f"{chip:06x}", "SIM_SPEED": str(speed),
            "SIM_MILLIS": str(millis), "SIM_ADC_START": str(adc_start), "MEASURE_EVERY_MS": str(measure_ms),
            "BROKER_HOST": "127.0.0.1", "BROKER_PORT": str(broker_port), "BROKER_USER": "device",
            "BROKER_PASSWORD": "secret", **more,
        })  # fmt: skip

    def say(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def finish(self, timeout=60):
        """Lets it send what it holds; returns how many readings were measured."""
        self.say("quiet")
        wait_until(lambda: self.process.poll() is not None, timeout, lambda: f"its last readings:\n{self.text}")
        self._reader.join(5)
        assert self.process.returncode == 0, self.text
        return self.measured
