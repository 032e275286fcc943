"""The faults of torture.py, and the columns that have them.

A trouble begins and ends. A round publishes messages while one or more troubles begin and
end. All random numbers are drawn when a trouble is made, so that the seed decides all
troubles before the first begins.
"""
import signal
import time
from dataclasses import dataclass

from harness.backend import CLOSE, CUT, RESET, STALL, Reply
from harness.publisher import Message

from torture_rig import EQUAL

DISK_FULL = ("queue-full", "queue-write-failed", "reserve-used", "database-error")


# -- kills of sluice


@dataclass
class KillNow:
    kills = 1

    def begin(self, rig):
        rig.kill_sluice()

    def end(self, rig):
        if not rig.sluice.process:
            rig.start_sluice()


@dataclass
class KillAt:
    """sluice dies when it reaches a fault point for the nth time (see bridge/base/fault.h)."""

    point: str
    nth: int
    kills = 2

    def begin(self, rig):
        rig.kill_sluice()
        rig.start_sluice(f"{self.point}:{self.nth}:kill")

    def end(self, rig):
        deadline = time.monotonic() + 5
        while rig.is_armed() and time.monotonic() < deadline:
            rig.publish(20)  # until it reaches the point
            rig.wait(lambda: not rig.is_armed(), 0.1)
        if rig.is_armed():
            rig.note("it did not reach the point")
            rig.kill_sluice()
            rig.start_sluice()


@dataclass
class KillStarting:
    after_s: float
    kills = 2

    def begin(self, rig):
        rig.kill_sluice()
        rig.start_sluice()
        time.sleep(self.after_s)
        rig.kill_sluice()

    def end(self, rig):
        if not rig.sluice.process:
            rig.start_sluice()


@dataclass
class KillUnread:
    """The broker does not read for a moment: sluice dies while its acknowledgements are on
    their way."""

    hold_s: float
    kills = 1

    def begin(self, rig):
        rig.broker.process.send_signal(signal.SIGSTOP)
        time.sleep(self.hold_s)
        rig.kill_sluice()
        rig.broker.process.send_signal(signal.SIGCONT)

    def end(self, rig):
        if not rig.sluice.process:
            rig.start_sluice()


@dataclass
class Stop:
    kills = 0

    def begin(self, rig):
        rig.stop_sluice()

    def end(self, rig):
        if not rig.sluice.process:
            rig.start_sluice()


@dataclass
class LoseAcks:
    """The packets of sluice are lost until the connection breaks; sluice dies before that, or
    lives. The broker sends messages again that sluice may have delivered already."""

    hold_s: float
    dies: bool

    @property
    def kills(self):
        return int(self.dies)

    def begin(self, rig):
        rig.events["times the line was cut"] += 1
        rig.wait(rig.is_connected, 3)
        rig.line.mute()

    def end(self, rig):
        rig.publish(60)
        rig.wait(lambda: False, self.hold_s)
        if self.dies:
            rig.kill_sluice()
        rig.line.cut()
        if not rig.sluice.process:
            rig.start_sluice()


@dataclass
class LoseMostAcks:
    """Twice: the first time all are lost, the second time, when the broker sent all of
    those again, the acknowledgements of some get through."""

    after_bytes: int
    kills = 2

    def begin(self, rig):
        rig.events["times the line was cut"] += 2
        rig.wait(rig.is_connected, 3)
        rig.wait(rig.is_empty, 3)  # what is doubled then is delivered soon
        rig.line.mute()

    def end(self, rig):
        rig.publish(300)
        rig.wait(rig.idle, 5)
        rig.wait(lambda: False, 0.1)
        rig.kill_sluice()
        rig.line.cut()
        rig.line.mute_next(self.after_bytes)
        rig.start_sluice()
        rig.wait(rig.is_connected, 3)
        for _ in range(4):  # each commit takes along what was delivered before it
            rig.publish(4)
            rig.wait(lambda: False, 0.15)
        rig.kill_sluice()
        rig.line.cut()
        rig.start_sluice()


@dataclass
class LoseAllAcks:
    """Again and again, until more messages are without an acknowledgement than one
    would think: Mosquitto gives each new connection its max_inflight_messages, on top of
    what it has to send again."""

    times: int
    messages: int
    kills = 0

    def begin(self, rig):
        rig.events["times the line was cut"] += self.times
        for publisher in rig.publishers:
            publisher.window, publisher.pause_s = 500, 0

    def end(self, rig):
        for _ in range(self.times):
            mark = len(rig.sluice.log)
            rig.wait(rig.is_connected, 3)
            rig.line.mute()
            rig.publish(self.messages)
            rig.wait(rig.idle, 5)
            rig.wait(lambda: False, 0.05)
            rig.line.cut()
            rig.wait_event("broker-connected", 5, after=mark)


# -- the backend


@dataclass
class Refuse:
    """Nobody listens there."""

    def begin(self, rig):
        rig.events["times the backend was away"] += 1
        rig.backend.stop()

    def end(self, rig):
        rig.backend.start()


@dataclass
class Answer:
    answer: object
    requests: int

    def begin(self, rig):
        rig.events["moods of the backend"] += 1
        rig.mood.answer, rig.mood.left = self.answer, self.requests

    def end(self, rig):
        rig.wait(lambda: rig.mood.left <= 0, 2)
        rig.mood.left = 0


@dataclass
class Drop:
    def begin(self, rig):
        rig.events["dropped connections"] += 1
        rig.backend.drop_connections()

    def end(self, rig):
        rig.backend.drop_connections()


# -- the broker


@dataclass
class RestartBroker:
    down_s: float
    patient: bool  # waits until sluice is connected again

    def begin(self, rig):
        rig.events["broker restarts"] += 1
        self.mark = len(rig.sluice.log)
        rig.broker.stop()
        time.sleep(self.down_s)
        rig.broker.start()

    def end(self, rig):
        if self.patient:
            rig.wait_event("broker-connected", 3, after=self.mark)


@dataclass
class RestartBrokerAlone:
    """The broker restarts while sluice is away. From then on it keeps one copy of each message for
    all subscriptions of sluice, until sluice is back."""

    dies: bool  # sluice is killed, or stopped
    messages: int

    @property
    def kills(self):
        return int(self.dies)

    def begin(self, rig):
        rig.kill_sluice() if self.dies else rig.stop_sluice()

    def end(self, rig):
        rig.events["broker restarts without sluice"] += 1
        rig.broker.stop()
        rig.broker.start()
        rig.publish(self.messages)
        rig.wait(rig.idle, 5)
        if not rig.sluice.process:
            rig.start_sluice()


# -- the disk


@dataclass
class FillDisk:
    """Other files fill the disk."""

    leave: int
    hold_s: float

    def begin(self, rig):
        rig.events["times the disk was full"] += 1
        rig.disk.fill(self.leave)
        rig.publish(40)
        rig.wait_event(DISK_FULL, 1.5)
        rig.wait(lambda: False, self.hold_s)

    def end(self, rig):
        rig.empty_disk()


@dataclass
class OutgrowDisk:
    """The queue fills the disk while the backend is away."""

    leave: int
    pad: int = 2000

    def begin(self, rig):
        rig.events["times the queue outgrew the disk"] += 1
        rig.backend.stop()
        rig.disk.fill(self.leave)
        rig.publish(2 * self.leave // self.pad, self.pad)
        rig.wait_event(DISK_FULL, 2)

    def end(self, rig):
        rig.backend.start()
        rig.empty_disk()


# -- rounds


@dataclass
class Round:
    messages: int
    window: int  # of each publisher: a small one makes bursts, a large one full speed
    pause_s: float
    troubles: list
    begin_at: float  # the share of messages that are acknowledged by then
    end_at: float

    def run(self, rig):
        for publisher in rig.publishers:
            publisher.window, publisher.pause_s = self.window, self.pause_s
        before = rig.acked()
        rig.publish(self.messages)
        rig.wait(lambda: rig.acked() - before >= self.begin_at * self.messages, 5)
        for trouble in self.troubles:
            trouble.begin(rig)
        rig.wait(lambda: rig.acked() - before >= self.end_at * self.messages, 1)
        for trouble in sorted(self.troubles, key=lambda trouble: isinstance(trouble, KillAt)):
            trouble.end(rig)


@dataclass
class CrashBroker:
    """kill -9 of the broker while messages are in flight. It may forget those that it
    acknowledged since its last save, and send others again."""

    messages: int
    save_at: float
    crash_at: float
    sluice: str  # what it does at the crash: 'runs', 'stops' or 'dies'; until the broker is up again

    def run(self, rig):
        rig.events["broker crashes"] += 1
        rig.settle()
        before = rig.acked()
        made = rig.publish(self.messages)
        rig.wait(lambda: rig.acked() - before >= self.save_at * self.messages, 5)
        saving = time.monotonic()
        rig.broker.save()
        rig.wait(lambda: rig.acked() - before >= self.crash_at * self.messages, 5)
        self._end_sluice(rig)
        rig.broker.kill()
        rig.broker.start()
        for message in made:
            message.may_come_again = True
            message.may_be_lost = message.acked_at >= saving
        rig.publish(self.messages)
        if not rig.sluice.process:
            rig.wait(rig.idle, 5)
            rig.start_sluice()
        rig.settle()

    def _end_sluice(self, rig):
        if self.sluice == "stops":
            rig.stop_sluice()
        elif self.sluice == "dies":
            rig.kill_sluice()


@dataclass
class CrashQuietBroker:
    """kill -9 of the broker when no message is in flight: no loss is excused. The broker uses
    the packet identifiers since its last save again, some for equal readings.

    and_then: what makes it worse:
        'nothing'
        'unread'  the broker had not read the acknowledgements of the old ones
        'full'    sluice cannot store the new ones, and gets them once more
        'dies'    the same, and it still has the old ones, for the backend was away"""

    messages: int
    and_then: str

    def run(self, rig):
        rig.events["quiet broker crashes"] += 1
        rig.settle()
        rig.broker.save()
        if self.and_then == "dies":
            rig.backend.stop()
        elif self.and_then == "unread":
            rig.line.mute()
        self._publish(rig)
        rig.settle_in_queue() if self.and_then in ("dies", "unread") else rig.settle()
        if self.and_then == "dies":
            rig.settle_on_disk()
        rig.broker.kill()
        self._prepare(rig)
        rig.broker.start()
        self._publish(rig)
        if self.and_then == "full":
            rig.wait_event(DISK_FULL, 3)
            rig.empty_disk()
        rig.backend.start()
        rig.settle()

    def _prepare(self, rig):
        if self.and_then == "full":
            rig.disk.fill()
        elif self.and_then == "dies":
            rig.kill_sluice()
            rig.start_sluice("intake.read:15:kill")

    def _publish(self, rig):
        """One publisher first, so that the same readings get the same identifiers."""
        first = rig.publishers[0]
        first.send([Message("garden/quiet/sensor", EQUAL) for _ in range(30)])
        rig.wait(first.idle, 10)
        rig.publish(self.messages)


AND_THEN = ["unread", "full", "dies", "nothing"]


# -- columns


def _kill_deck(chance):
    deck = [
        KillAt("intake.flush", chance.randint(1, 2)),
        KillAt("intake.flush", chance.randint(1, 6)),
        KillAt("intake.read", chance.randint(1, 80)),
        KillAt("queue.commit", chance.randint(1, 4)),
        KillAt("deliver.response", chance.randint(1, 60)),
        KillNow(),
        KillStarting(chance.uniform(0, 0.15)),
        KillUnread(chance.uniform(0.01, 0.1)),
        LoseAcks(chance.choice([chance.uniform(0, 0.2), 1.5]), dies=True),
        LoseAcks(chance.uniform(0, 0.3), dies=False),
        LoseMostAcks(chance.randint(350, 3300)),
        Stop(),
    ]
    chance.shuffle(deck)
    return deck


def _backend_deck(chance):
    answers = [503, 502, (503, {"Retry-After": "0"}, b""), (429, {"Retry-After": "1"}, b""), CUT, CLOSE, RESET,
               Reply(delay_s=0.05)]  # fmt: skip
    deck = [Answer(answer, chance.randint(1, 40)) for answer in answers]
    deck += [Answer(STALL, chance.randint(1, 5)), Refuse(), Refuse(), Drop()]
    chance.shuffle(deck)
    return deck


def _broker_deck(chance):
    deck = [
        RestartBroker(chance.choice([0, chance.uniform(0, 0.5)]), patient=chance.random() < 0.7),
        RestartBrokerAlone(dies=True, messages=chance.randint(10, 100)),
        RestartBrokerAlone(dies=False, messages=chance.randint(10, 100)),
    ]
    chance.shuffle(deck)
    return deck


def _disk_deck(chance):
    deck = [
        FillDisk(0, chance.uniform(0, 0.5)),
        FillDisk(chance.randint(1, 64) * 1024, chance.uniform(0, 0.5)),
        OutgrowDisk(chance.randint(200, 800) * 1024),
    ]
    chance.shuffle(deck)
    return deck


def _endless(chance, deck):
    while True:
        yield from deck(chance)


def _round(chance, troubles):
    begin_at = chance.uniform(0, 0.9)
    return Round(
        messages=chance.choice([40, 100, 200, 400]),
        window=chance.choice([500, 500, 100, 5]),
        pause_s=chance.choice([0, 0, 0.001]),
        troubles=troubles,
        begin_at=begin_at,
        end_at=begin_at + chance.uniform(0, 1 - begin_at),
    )


def _alone(deck, chance, count):
    """Rounds with one trouble each."""
    troubles = _endless(chance, deck)
    return [_round(chance, [next(troubles)]) for _ in range(count)]


def _kills(chance, kills):
    troubles, rounds = _endless(chance, _kill_deck), []
    while kills > 0:
        rounds.append(_round(chance, [next(troubles)]))
        kills -= rounds[-1].troubles[0].kills
    rounds.insert(chance.randrange(len(rounds)), _round(chance, [LoseAllAcks(times=7, messages=900)]))
    return rounds


def _crash_deck(chance):
    deck = []
    for sluice in ("runs", "stops", "dies"):
        save_at = chance.uniform(0.1, 0.6)
        deck.append(CrashBroker(chance.randint(200, 600), save_at, chance.uniform(save_at, 0.9), sluice))
    chance.shuffle(deck)
    return deck


def _together(chance, count):
    decks = [_endless(chance, deck) for deck in (_kill_deck, _kill_deck, _backend_deck, _broker_deck, _disk_deck)]
    crashes = _endless(chance, _crash_deck)
    return [next(crashes) if number % 5 == 4 else
            _round(chance, [next(deck) for deck in chance.sample(decks, chance.choice([1, 2, 2, 3]))])
            for number in range(count)]  # fmt: skip


def _broker_crashes(chance, count):
    crashes = _endless(chance, _crash_deck)
    return [next(crashes) if number % 2 else
            CrashQuietBroker(chance.randint(20, 100), AND_THEN[number // 2 % len(AND_THEN)])
            for number in range(count)]  # fmt: skip


# With 20 kills, a column takes about 10 s.
_COLUMNS = {
    "kills": _kills,
    "backend": lambda chance, kills: _alone(_backend_deck, chance, max(12, kills * 6 // 10)),
    "broker": lambda chance, kills: _alone(_broker_deck, chance, max(6, kills * 2 // 5)),
    "disk": lambda chance, kills: _alone(_disk_deck, chance, max(3, kills // 6)),
    "together": lambda chance, kills: _together(chance, max(4, kills // 2)),
    "broker-crash": lambda chance, kills: _broker_crashes(chance, max(6, kills // 5)),
}
COLUMNS = list(_COLUMNS)


def draw(column, chance, kills):
    """The rounds of a column, for this number of kills."""
    return _COLUMNS[column](chance, kills)
