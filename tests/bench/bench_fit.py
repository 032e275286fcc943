"""What sluice takes from the oldest Pi: space, memory, wake-ups, instructions, writes.

Wake-ups are the voluntary context switches of all threads of an idle sluice, with the watchdog of
systemd on, a broker, a backend and an open HTTP port. Instructions are counted by callgrind in a whole
run with messages, less those of a run without; COUNT messages of each kind. So their number depends
on the processor's kind, but hardly on its load. The time is that of a processor with 700 MHz that takes
two cycles for an instruction, as an ARM1176 does on average.
"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

from rig import WrongRun, fill, queued, steady_memory, wait_for

COUNT = 2000
BYTES = 120
TOPICS = 50
QUEUED = 1000000
REST_S = 95  # after this, a connection to the broker is not new any more
LOOK_S = 60
CYCLES_PER_INSTRUCTION, MHZ = 2, 700
STOPPED = re.compile(r"stored (\d+), delivered (\d+), .*; (\d+) fsyncs, ([\d.]+) KB written")
ROUTES = {"one by one": {}, "in batches of 500": {"body": "envelope", "batch": 500}}


def size(rig):
    copy = rig.dir / "stripped"
    subprocess.run(["strip", "-o", copy, rig.sluice], check=True)
    return copy.stat().st_size


def switches(pid):
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.M).group(1))
    return total


def wake_ups(rig):
    """In a minute."""
    state = rig.dir / "rest"
    environment = {**os.environ, "NOTIFY_SOCKET": str(rig.dir / "nobody"), "WATCHDOG_USEC": "60000000"}
    sluice = rig.start_sluice("rest", state, more=f"[http]\nlisten = 127.0.0.1:{rig.free_port()}\n", env=environment)
    rig.wait_connected(sluice)
    time.sleep(REST_S)
    before = switches(sluice.pid)
    time.sleep(LOOK_S)
    count = switches(sluice.pid) - before
    rig.stop(sluice)
    return count


def memory(rig, name, count):
    state = rig.dir / name
    for step in ("make the tables", "take what was inserted", "measure"):
        if step.startswith("take"):
            fill(state, count, BYTES, TOPICS)
        sluice = rig.start_sluice(name, state)
        rig.wait_connected(sluice)
        resident = steady_memory(sluice.pid)
        rig.stop(sluice)
    return resident


def post(port, count):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for number in range(count):
        connection.request("POST", f"/api/collections/reading{number % TOPICS}", b"{" + b"x" * (BYTES - 2) + b"}")
        if connection.getresponse().read() is None:
            raise WrongRun("no response")
    connection.close()


def counted(rig, name, count, send, route=None, more=""):
    """Instructions, fsyncs and bytes written of a run with so many messages."""
    state, out = rig.dir / name, rig.dir / f"{name}.callgrind"
    shutil.rmtree(state, ignore_errors=True)
    sluice = rig.start_sluice(name, state, route=route, more=more,
                              wrapper=["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"])  # fmt: skip
    rig.wait_connected(sluice)
    if count:
        send(count)
        wait_for("the deliveries", lambda: is_delivered(rig, state), poll_s=0.25)
    rig.stop(sluice)
    stored, done, syncs, kilobytes = STOPPED.findall(rig.log(sluice))[-1]
    if (int(stored), int(done)) != (count, count):
        raise WrongRun(f"{name}: {stored} messages were stored and {done} delivered instead of {count}")
    instructions = int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M).group(1))
    return instructions, int(syncs), float(kilobytes) * 1000


def is_delivered(rig, state):
    """Messages were stored, and none waits any more."""
    status = subprocess.run([rig.sluice, "status", "-c", state / "sluice.conf", "--json"], stdout=subprocess.PIPE, check=False)
    since_start = json.loads(status.stdout).get("daemon", {}).get("since_start", {})
    return since_start.get("delivered", 0) >= COUNT and queued(state) == 0


def fit(rig, table, _rounds):
    kilobytes = size(rig) / 1000
    table.add("the program, stripped", f"{kilobytes:.0f} kB", floor="<= 500 kB", ok=kilobytes <= 500)
    idle = memory(rig, "idle", 0)
    table.add("memory, idle", f"{idle:.1f} MB", floor="< 10 MB", ok=idle < 10)
    more = memory(rig, "full", QUEUED) - idle
    table.add(f"  with {QUEUED:,} queued", f"{more:+.1f} MB", floor="<= +6 MB", ok=more <= 6)
    rig.start_backend(True)  # only now: the messages above wait
    count = wake_ups(rig)
    table.add("wake-ups a minute, idle", f"{count}", floor="<= 10", ok=count <= 10)
    port = rig.free_port()
    door = f"[http]\nlisten = 127.0.0.1:{port}\n"
    kinds = [(f"MQTT, {name}", lambda n: rig.publish(n, BYTES, TOPICS), route, "") for name, route in ROUTES.items()]
    kinds.append(("HTTP, one client", lambda n: post(port, n), {}, door))
    for number, (what, send, route, more) in enumerate(kinds):
        base, run = (counted(rig, f"kind{number}-{n}", n, send, route, more) for n in (0, COUNT))
        each, syncs, written = ((after - before) / COUNT for before, after in zip(base, run))
        milliseconds = each * CYCLES_PER_INSTRUCTION / MHZ / 1000
        table.add(f"{what}: instructions a message", f"{each:,.0f}")
        table.add("  on an ARM1176 with 700 MHz", f"{milliseconds:.2f} ms")
        table.add("  fsyncs, bytes written a message", f"{syncs:.3f}", f"{written:,.0f}")
