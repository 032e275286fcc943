"""The daemon under test."""
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

from .events import Pattern
from .mosquitto import broker_at
from .process import end, spawn
from .wait import PATIENCE_S, wait_until

REPO = Path(__file__).resolve().parents[3]
SANITISER = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error")
STOPPED = re.compile(
    r"received (\d+), stored (\d+), delivered (\d+), [\w -]+ (\d+); longest stall (\d+) ms, longest commit (\d+) ms"
)
SENSOR_ROUTE = {"topic": "garden/+/sensor", "path": "/collections/sensor"}
FAST = {"retry_min": "20ms", "retry_max": "200ms"}

# Their reports go to standard error. Link order: a test may preload a library.
SANITISERS = {
    "ASAN_OPTIONS": "exitcode=99:detect_leaks=1:detect_stack_use_after_return=1:verify_asan_link_order=0"
                    ":allow_addr2line=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=99",
}


_build = "asan"


def use_build(name):
    """Which of the builds binary() is from now on, unless SLUICE_BIN names another sluice."""
    global _build
    _build = name


def binary():
    named = os.environ.get("SLUICE_BIN")
    return os.path.abspath(named) if named else str(REPO / "build" / _build / "sluice")


def backend_section(backend, **settings):
    """The settings of a [backend] for a Backend (or an Nginx) of the tests."""
    return {"url": backend.url, "ca_file": backend.ca_file, **settings}


def _section(title, settings):
    lines = [f"[{title}]"]
    for key, value in settings.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is not None:
                lines.append(f"{key} = {one}")
    return "\n".join(lines) + "\n"


class Sluice:
    """config: a whole configuration; a missing [broker] or [queue] is added. Or its parts:
    backends {name: Backend, or a dict of settings}, routes {name: settings}, and settings of
    [broker], [queue] and [http]."""

    def __init__(self, directory, broker_port, backends=None, routes=None, broker=None, queue=None,
                 http=None, config=None):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.broker_port = broker_port
        self.config_file = self.dir / "sluice.conf"
        self.db = str(self.dir / "queue.db")
        self.log = []
        self.process = None
        self._reader = None
        self.parts = {
            "backends": dict(backends or {}),
            "routes": dict({"sensor": SENSOR_ROUTE} if routes is None else routes),
            "broker": {"host": "127.0.0.1", "port": broker_port, **(broker or {})},
            "queue": {"path": self.db, **(queue or {})},
            "http": http,
        }
        self.write_config(config)

    # -- configuration

    def config_text(self, **parts):
        """The configuration made of the parts; `parts` replaces some."""
        parts = {**self.parts, **parts}
        text = [_section("broker", parts["broker"]), _section("queue", parts["queue"])]
        for name, settings in parts["backends"].items():
            if not isinstance(settings, dict):
                settings = backend_section(settings)
            text.append(_section(f"backend {name}", {**FAST, **settings}))
        for name, settings in parts["routes"].items():
            text.append(_section(f"route {name}", settings))
        if parts["http"]:
            text.append(_section("http", parts["http"]))
        return "\n".join(text)

    def write_config(self, text=None):
        if text is None:
            text = self.config_text()
        for title in ("broker", "queue"):
            if f"[{title}]" not in text:
                text = _section(title, self.parts[title]) + "\n" + text
        found = re.search(r"^\[queue\][^\[]*?^path *= *(\S+)", text, re.M | re.S)
        if found:
            self.db = found.group(1)
        self.config_file.write_text(text)

    # -- the process

    def start(self, wait=True, env=None, args=(), prefix=()):
        """prefix: a command that starts sluice with exec."""
        assert self.process is None or self.process.poll() is not None, "sluice is running already"
        self._reap()
        environment = {
            **os.environ,
            **SANITISERS,
            **(env or {}),
        }
        environment.pop("JOURNAL_STREAM", None)
        before = len(self.log)
        self.started = time.monotonic()
        self._lines_before, self._connections_before = before, self._connections()
        self.process = spawn(
            [*prefix, binary(), "run", "-c", str(self.config_file), *args],
            env=environment, cwd=self.dir, stdin=-3, stdout=-3, stderr=-1,
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()
        if wait:
            self.wait_event("ready", after=before)
        return self

    def _read(self, process):
        for line in process.stderr:
            self.log.append(line.decode("utf-8", "backslashreplace").rstrip("\n"))

    def _reap(self):
        if self._reader:
            self._reader.join(10)
            self._reader = None
            self.process.stderr.close()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """Ends it like a power cut."""
        end(self.process, signal.SIGKILL)
        self._reap()
        self.process = None

    def stop(self, sig=signal.SIGTERM, limit_s=15):
        """Stops it with a signal; returns the exit status. systemd waits 15 s (TimeoutStopSec)."""
        started = time.monotonic()
        self.process.send_signal(sig)
        status = self.wait_exit(limit_s + 10)
        took = time.monotonic() - started
        assert took < limit_s, f"sluice took {took:.1f} s to stop"
        return status

    def wait_exit(self, timeout=PATIENCE_S):
        """Waits until it ends; returns the exit status."""
        process = self.process
        wait_until(lambda: process.poll() is not None, timeout, "sluice to end")
        self._reap()
        self.process = None
        return process.returncode

    def signal(self, sig):
        self.process.send_signal(sig)

    def reload(self, config=None, expect="config-reloaded", **parts):
        """Writes a configuration (a text, or parts), sends SIGHUP, waits for an event."""
        if parts:
            config = self.config_text(**parts)
        if config is not None:
            self.write_config(config)
        before = len(self.log)
        self.signal(signal.SIGHUP)
        return self.wait_event(expect, after=before)

    # -- its log

    def log_text(self):
        return "\n".join(list(self.log))

    def find_events(self, names, *fields, level=None, after=0):
        """The lines, from line number `after` on, of these events. See events.Pattern."""
        pattern = Pattern(names, fields, level)
        return [line for line in list(self.log)[after:] if pattern.matches(line)]

    def wait_event(self, names, *fields, level=None, timeout=PATIENCE_S, after=0):
        """Waits for the first of them, and returns its line."""
        return self._wait_line(lambda: self.find_events(names, *fields, level=level, after=after),
                               Pattern(names, fields, level), timeout)[0]

    def wait_events(self, count, names, *fields, level=None, after=0):
        """Waits for this number of them, and returns their lines. More are an error."""
        pattern = Pattern(names, fields, level)
        self._wait_line(lambda: len(self.find_events(names, *fields, level=level, after=after)) >= count, pattern)
        lines = self.find_events(names, *fields, level=level, after=after)
        assert len(lines) == count, f"{len(lines)} times {pattern}, not {count}"
        return lines

    def _wait_line(self, find, what, timeout=PATIENCE_S):
        def found():
            lines = find()
            if not lines and not self.running():
                self._reader and self._reader.join(1)
                lines = find()
                assert lines, f"sluice ended ({self.process and self.process.returncode}) without logging {what}"
            return lines

        return wait_until(found, timeout, f"the log line {what}")

    def _client_id(self):
        text = self.config_file.read_text() if self.config_file.exists() else ""
        [client_id] = re.findall(r"^client_id *= *(\S+)", text, re.M) or ["sluice"]
        return client_id

    def _connections(self):
        broker = broker_at(self.broker_port)
        return broker.connections_made(self._client_id()) if broker else 0

    def wait_connected(self, timeout=PATIENCE_S, after=None, broker=None):
        """Waits until it is connected and has subscribed: it gets what is published from now
        on. after: lines of the log, otherwise it is the first connection of this run. broker: needed
        where a Line is between them."""
        self.wait_event("broker-connected", timeout=timeout, after=self._lines_before if after is None else after)
        direct = broker_at(self.broker_port)
        broker = broker or direct
        if broker:
            filters = set(re.findall(r"^topic *= *(.*?) *$", self.config_file.read_text(), re.M))
            wait_until(lambda: (not direct or self._connections() > self._connections_before)
                       and broker.subscriptions_made(self._client_id()) >= len(filters),
                       timeout, "the subscriptions")  # fmt: skip
        return self

    def stopped(self):
        """The numbers in its last line."""
        received, stored, delivered, dead, stall, commit = map(
            int, STOPPED.search(self.find_events("stopped")[-1]).groups()
        )
        return {"received": received, "stored": stored, "delivered": delivered, "dead": dead,
                "stall_ms": stall, "commit_ms": commit}

    # -- its commands

    def command(self, *args, input="", expect=0, env=None, configured=True, timeout=60):
        """Runs `sluice ARGS` with its configuration; returns what it printed. expect:
        the exit status, or None for any."""
        words = [str(word) for word in args]
        if configured:
            at = 2 if words[0] == "queue" else 1
            words[at:at] = ["-c", str(self.config_file)]
        environment = {**os.environ, **SANITISERS, "TZ": "UTC", **(env or {})}
        if not env or "COLUMNS" not in env:
            environment.pop("COLUMNS", None)
        ended = subprocess.run([binary(), *words], input=input if isinstance(input, bytes) else input.encode(),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, timeout=timeout,
                               check=False)
        self.said, printed = (text.decode("utf-8", "backslashreplace") for text in (ended.stderr, ended.stdout))
        assert expect is None or ended.returncode == expect, \
            f"{args} ended with {ended.returncode}: {self.said}{printed[-2000:]}"
        self.exit_status = ended.returncode
        return printed

    def ask(self, text, hang_up=True):
        """Returns the response of the control socket."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(self.db + "-socket")
            client.sendall(text if isinstance(text, bytes) else text.encode())
            if hang_up:
                client.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: client.recv(65536), b"")).decode()

    def status(self, expect=None):
        return json.loads(self.command("status", "--json", expect=expect))

    # -- the queue

    def sql(self, query, *args):
        """The rows of a query, read by another connection beside the daemon."""
        with_timeout = sqlite3.connect(f"file:{self.db}?mode=ro", uri=True, timeout=5)
        try:
            with_timeout.row_factory = sqlite3.Row
            return [dict(row) for row in with_timeout.execute(query, args)]
        finally:
            with_timeout.close()

    def pending(self):
        return self.sql("select count(*) as n from message")[0]["n"]

    def dead(self):
        return self.sql("select * from dead_letter order by id")

    def wait_pending(self, n, timeout=PATIENCE_S):
        wait_until(lambda: self.pending() == n, timeout,
                   lambda: f"{n} rows in message ({self.pending()} are there)", self.pending)

    def wait_empty(self, timeout=PATIENCE_S):
        self.wait_pending(0, timeout)

    def wait_dead(self, n, timeout=PATIENCE_S):
        wait_until(lambda: len(self.dead()) >= n, timeout, f"{n} dead letters")
        return self.dead()

    def call_damaged(self):
        """Makes the next start salvage the database, as a run does that found damage."""
        lock = Path(self.db + "-lock")
        lock.write_text("damaged" + lock.read_text()[7:])

    def rss_kb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))

    # -- the end of a test

    def finish(self):
        """Ends it in any state; fails if a sanitiser reported something."""
        if self.running():
            self.process.send_signal(signal.SIGCONT)
        end(self.process)
        self._reap()
        self.process = None
        found = [line for line in self.log if SANITISER.search(line)]
        assert not found, "the sanitiser complains:\n" + self.log_text()
