"""The parts of torture.py: servers, publishers, a supervisor that starts sluice again, and
counters."""
import collections
import contextlib
import signal
import sqlite3
import time

from harness.backend import Backend, Reply
from harness.certs import CA
from harness.disk import Disk
from harness.line import Line
from harness.mosquitto import Mosquitto
from harness.publisher import Message, Publisher
from harness.sluice import Sluice

EQUAL = b'{"soil": 512}'
LAST = "garden/last/sensor"

# Each message is for both. Their filters overlap, in one route as well.
ROUTES = {
    "sensor": {"topic": "garden/+/sensor", "path": "/sensor"},
    "archive": {"topic": ["garden/#", "garden/+/+"], "path": "/archive"},
}


def route_of(request):
    """The base URL of the backend precedes the path of the route."""
    return next(route for route, settings in ROUTES.items() if request.path.endswith(settings["path"]))


DEATHS_MOST = 3  # without a reason; then the run ends


class GaveUp(Exception):
    pass


class Mood:
    """How the backend replies: as a fault asks for its number of requests, otherwise 2xx."""

    def __init__(self):
        self.answer, self.left = None, 0
        self.last_seen = set()

    def __call__(self, request):
        if request.topic == LAST:
            self.last_seen.add((route_of(request), request.body))
        if self.left <= 0:
            return Reply()
        self.left -= 1
        return self.answer


class Rig:
    """batch: commit_batch of sluice. A small one ends many commits between two copies of a message."""

    def __init__(self, directory, batch, disk_kind=None, say=None):
        self.batch = batch
        self.events = collections.Counter()
        self.history, self.complaints = [], []
        self._say = say
        self._began = time.monotonic()
        self.disk = Disk(directory / "disk", kind=disk_kind)
        self.broker = Mosquitto(directory / "mosquitto")
        ca_dir = directory / "ca"
        ca_dir.mkdir()
        self.line = Line(self.broker.port)  # between the broker and sluice
        self.backend = Backend(CA(ca_dir))
        self.mood = self.backend.answer = Mood()
        garden = {"url": self.backend.url, "ca_file": self.backend.ca_file, "timeout": "1s", "max_attempts": 1000}
        self.sluice = Sluice(directory / "sluice", self.line.port, backends={"garden": garden}, routes=ROUTES,
                             queue={"path": self.disk.dir / "queue.db", "min_free": 0, "commit_batch": batch})  # fmt: skip
        self._numbers = collections.Counter()
        self._made = 0
        self._fault = None  # the fault point that will kill sluice
        self._log_mark = 0
        self._emptied_at = 0
        self._deaths = 0

    def __enter__(self):
        self.broker.start()
        self.backend.start()
        self.start_sluice()
        self.sluice.wait_connected(broker=self.broker)
        self.publishers = [Publisher(self.broker.port, 5, "five"), Publisher(self.broker.port, 4, "four")]
        self.last = Publisher(self.broker.port, 4, "last")
        return self

    def __exit__(self, *_):
        self._say = None
        for publisher in [*self.publishers, self.last]:
            publisher.close()
        if self.sluice.process:
            self.sluice.kill()
        self.broker.kill()
        self.line.close()
        self.backend.close()
        self.disk.close()

    def age_s(self):
        return time.monotonic() - self._began

    def note(self, line):
        self.history.append(f"{self.age_s():6.2f} {line}")
        if self._say:
            self._say(self.history[-1], flush=True)

    def complain(self, line):
        if line not in self.complaints:
            self.note(f"FAULT: {line}")
            self.complaints.append(line)

    # -- messages

    def numbered(self, topic, pad=0):
        number = self._numbers[topic]
        self._numbers[topic] += 1
        filling = b', "pad": "%s"' % (b"x" * pad) if pad else b""
        return Message(topic, b'{"n": %d%s}' % (number, filling), number)

    def make(self, publisher, count, pad=0):
        """`count` messages: three numbered ones in three topics, then two equal ones, and so on."""
        for _ in range(count):
            self._made += 1
            turn = self._made % 5
            if turn in (1, 2, 3):
                yield self.numbered(f"garden/{publisher.name}-{turn}/sensor", pad)
            else:
                yield Message(f"garden/{publisher.name}-same/sensor", EQUAL)

    def publish(self, count, pad=0):
        """Gives them to the publishers, in equal parts; returns them at once."""
        made = []
        for publisher in self.publishers:
            part = list(self.make(publisher, count // len(self.publishers), pad))
            publisher.send(part)
            made += part
        return made

    def requests(self, route):
        """What the backend got of a route."""
        return [request for request in self.backend.requests if route_of(request) == route]

    def messages(self):
        return [message for publisher in [*self.publishers, self.last] for message in publisher.messages]

    def acked(self):
        return sum(publisher.acked for publisher in self.publishers)

    def idle(self):
        return all(publisher.idle() for publisher in self.publishers)

    # -- sluice, and its supervisor

    def start_sluice(self, fault=None):
        self._fault = fault
        self._log_mark = len(self.sluice.log)
        self.sluice.start(wait=False, env={**self.disk.env, "SLUICE_FAULT": fault or ""})

    def kill_sluice(self):
        self._fault = None
        if self.sluice.process:
            self.sluice.kill()
            self.events["kills of sluice"] += 1

    def is_connected(self):
        connected = self.sluice.find_events("broker-connected", after=self._log_mark)
        return connected and self.line.connections() > 0

    def stop_sluice(self):
        if not self.sluice.process:
            return
        status = self.sluice.stop()
        self.events["stops of sluice"] += 1
        early = not self._was_ready() and status == -signal.SIGTERM  # no signal handler is set yet
        if status != 0 and not early and not self._fault_struck(status) and not self._could_not_start():
            self.complain(f"sluice stopped with status {status}")

    def empty_disk(self):
        self.disk.empty()
        self._emptied_at = time.monotonic()

    def is_armed(self):
        """Whether sluice has not reached its fault point yet."""
        return self._fault is not None

    def _fault_struck(self, status):
        return self._fault is not None and status == -signal.SIGKILL

    def _could_not_start(self):
        """Whether a full disk kept it from starting. It must not end after the event `ready`."""
        lately = self.disk.is_full or time.monotonic() - self._emptied_at < 1
        return lately and not self._was_ready()

    def _was_ready(self):
        return self.sluice.find_events("ready", after=self._log_mark)

    def watch(self):
        """Call it often: it starts sluice again when it ended."""
        process = self.sluice.process
        if process is None or process.poll() is None:
            return
        status = self.sluice.wait_exit()
        if self._fault_struck(status):
            self.events["kills of sluice"] += 1
            self.note(f"sluice died at {self._fault}")
            self._fault = None
        elif self._could_not_start():
            self.events["starts refused, disk full"] += 1
            time.sleep(0.1)
        else:
            self.complain(f"sluice ended with status {status}")
            self._deaths += 1
            if self._deaths == DEATHS_MOST:
                raise GaveUp
        self.start_sluice(self._fault)

    def wait(self, fn, timeout):
        """Whether fn() became true in time."""
        deadline = time.monotonic() + timeout
        while not fn():
            self.watch()
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def wait_event(self, names, timeout, after=None):
        """Whether sluice logs one of these events in time, from now on, or from that line on."""
        mark = len(self.sluice.log) if after is None else after
        return self.wait(lambda: self.sluice.find_events(names, after=mark), timeout)

    # -- the end of it

    def is_empty(self):
        try:
            return self.sluice.pending() == 0
        except sqlite3.Error:
            return False

    def send_last(self, timeout=60):
        """Publishes a message after all others, and returns it. The broker keeps the order:
        when sluice has this one, it gets none of the others any more."""
        if not self.wait(self.idle, timeout):
            self.complain("the publishers cannot get rid of their messages")
        message = self.numbered(LAST)
        self.last.send([message])
        return message

    def came(self, message, route):
        """Whether the backend got this last message."""
        return (route, message.payload) in self.mood.last_seen

    def settle(self, timeout=60):
        """Waits until all messages are delivered."""
        message = self.send_last(timeout)
        if not self.wait(lambda: all(self.came(message, route) for route in ROUTES), timeout):
            self.complain(f"not everything came within {timeout} s")
        elif not self.wait(self.is_empty, timeout):
            self.complain(f"the queue is not empty after {timeout} s")

    def settle_in_queue(self, timeout=20):
        """Waits until all messages are in sluice's queue."""
        message = self.send_last(timeout)
        query = "select 1 from message where topic = ? and payload = ? and route = ?"

        def is_stored(route):
            return self.came(message, route) or self.sluice.sql(query, LAST, message.payload, route)

        if not self.wait(lambda: all(map(is_stored, ROUTES)), timeout):
            self.complain(f"not everything was stored within {timeout} s")

    def settle_on_disk(self, timeout=20):
        """Waits until sluice has noted that the broker read its acknowledgements. It notes
        that about once in ten seconds, and a second after the last message."""
        query = "select 1 where (select max(confirmed_id) from run) >= (select max(id) from message)"
        if not self.wait(lambda: self.sluice.sql(query), timeout):
            self.complain(f"what is confirmed was not noted within {timeout} s")

    def finish(self):
        """Waits for all messages, and stops sluice."""
        if self._deaths < DEATHS_MOST:
            with contextlib.suppress(GaveUp):
                self.settle()
        if not self.sluice.process:
            return
        self.stop_sluice()
        dead = self.sluice.dead()
        if dead:
            self.complain(f"{len(dead)} dead-lettered, the first: {dead[0]}")
        try:
            self.sluice.finish()
        except AssertionError as complaint:
            self.complain(str(complaint)[:4000])
