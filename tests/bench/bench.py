#!/usr/bin/python3
"""Compares sluice with minimal programs that use the same libraries.

  intake    draining a broker's session durably; compared with a minimal libmosquitto
            subscriber that stores nothing
  delivery  posting stored messages; compared with a minimal libcurl program that posts
            them from memory; HTTP/2 and HTTP/1.1
  memory    resident memory, idle and with a long queue
  latency   from the publication to the arrival at the backend
  wear      fsyncs and bytes written, at several rates, with and without commit_delay
  start     from the start to READY, and memory, with 1,000,000 messages queued
  batched   batches, compared with a shell loop of mosquitto_sub and curl; a slow
            backend; messages that the backend rejects (batched.py)
  poison    bad messages among good ones, at default settings (bench_poison.py)
  drop      the longest pause of the intake while 100,000 messages are dropped (bench_drop.py)
  fit       size, memory, wake-ups, instructions and writes, for the oldest Pi (bench_fit.py)
  http      requests on the plain HTTP port, compared with nginx as a proxy (bench_http.py)

A ratio compares two consecutive runs (sluice, bare, sluice, bare ...); the median of the
ratios counts. The CPU time is shown too, because other work on the machine affects it
least. The counts of every run are checked: wrong counts are an error. A missed floor is
shown, but the exit status is 0.
"""
import argparse
import asyncio
import contextlib
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

import batched as batches
from bench_drop import drop
from bench_fit import fit
from bench_http import http
from bench_poison import poison
from receiver import receive
from rig import (CLIENT_ID, DEADLINE_S, MB, Arrivals, Connection, Rig, WrongRun, cpu_ns, fill, memory_kib, queued,
                 sockets_of, steady_memory, wait_for)

BYTES = 120
DEVICES = 1024  # topics; many more than lanes, as in a real house
WINDOW = 1000
INTAKE_COUNT = 60000
DELIVERY_COUNT = 20000
MEMORY_COUNT = 100000
START_COUNT = 1000000
WEAR_RUNS = ((1, 60), (100, 3000), (1000, 20000))  # messages a second, and how many
WEAR_DELAYS = ("0s", "1s", "10s")
PUBACK_BYTES = 4


class Table:
    def __init__(self):
        self.rows = []

    def add(self, what, sluice, bare="", ratio=None, floor=None, ok=None):
        verdict = "" if ok is None else "ok" if ok else "MISSED"
        self.rows.append((what, sluice, bare, "" if ratio is None else f"{ratio:.2f}", floor or "", verdict))

    def show(self):
        rows = [("", "sluice", "bare", "ratio", "floor", "")] + self.rows
        widths = [max(len(row[i]) for row in rows) for i in range(6)]
        for row in rows:
            cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:5], widths[1:5])]
            print("  ".join(cells + [row[5]]).rstrip())


class Run:
    """The figures of one run."""

    def __init__(self, count, wall_s, cpu, note=""):
        self.rate = count / wall_s
        self.cpu_us = cpu[0] / count / 1000
        self.text = (f"{self.rate:10,.0f} messages/s  {self.cpu_us:6.1f} us CPU each"
                     f"  waited {100 * cpu[1] / 1e9 / wall_s:3.0f} % for a core{note}")


def alternate(table, what, rounds, floor, run_sluice, run_bare):
    """Runs both in turn; adds the rates, their ratio, and the CPU times to the table."""
    pairs = []
    for number in range(1, rounds + 1):
        pair = []
        for name, run in (("sluice", run_sluice), ("bare", run_bare)):
            pair.append(run())
            print(f"{what}, round {number}, {name + ':':8}{pair[-1].text}", flush=True)
        pairs.append(pair)
    ratio = statistics.median(ours.rate / theirs.rate for ours, theirs in pairs)
    cpu_ratio = statistics.median(ours.cpu_us / theirs.cpu_us for ours, theirs in pairs)
    rates = [statistics.median(pair[i].rate for pair in pairs) for i in (0, 1)]
    cpus = [statistics.median(pair[i].cpu_us for pair in pairs) for i in (0, 1)]
    table.add(what, f"{rates[0]:,.0f}/s", f"{rates[1]:,.0f}/s", ratio, f">= {floor:.2f}", ratio >= floor)
    table.add("  CPU time of a message", f"{cpus[0]:.1f} us", f"{cpus[1]:.1f} us", cpu_ratio)


# -- intake

def drain(rig, count, start):
    """Queues messages in the absent client's session, starts the client, and
    returns it and its Run.

    Both clients are observed at the broker's end of the connection. The time begins when
    the connection appears there, and ends when the broker's TCP has received the last
    acknowledgement: at the last change of the number of bytes received, which must be
    enough for `count` PUBACKs. So the start of the process does not count, but all work on
    every message does: it is read, stored (by sluice) and acknowledged, and the
    acknowledgement is sent.
    """
    rig.publish(count, BYTES, DEVICES)
    known = set(sockets_of(rig.broker.pid).values())
    client = start()

    def new_socket():
        rig.alive(client)
        return [fd for fd, inode in sockets_of(rig.broker.pid).items() if inode not in known]

    fds = wait_for("the client's connection", new_socket, poll_s=0.0005)
    begin = end = time.monotonic()
    cpu_begin = cpu_ns(client.pid)
    connection = Connection(rig.broker.pid, fds[0])
    received = 0
    while received < count * PUBACK_BYTES or time.monotonic() - end < 0.5:
        now_received = connection.bytes_received()
        if now_received != received:
            received, end = now_received, time.monotonic()
        elif time.monotonic() - end > 30:
            raise WrongRun(f"{client.name} acknowledged {received // PUBACK_BYTES} messages of {count}")
        time.sleep(0.002)
    connection.close()
    rig.alive(client)
    cpu = [after - before for after, before in zip(cpu_ns(client.pid), cpu_begin)]
    return client, Run(count, end - begin, cpu)


def intake(rig, table, rounds):
    # The first run makes the session, and the queue with which every other run starts.
    # Its one message proves that the subscription exists.
    template = rig.dir / "intake"
    sluice = rig.start_sluice("sluice", template)
    rig.wait_connected(sluice)
    rig.publish(1, BYTES, 1)
    wait_for("the first message", lambda: queued(template) == 1)
    rig.stop(sluice)

    def run_sluice():
        state = rig.dir / "intake-run"
        shutil.copytree(template, state)
        client, run = drain(rig, INTAKE_COUNT, lambda: rig.start_sluice("sluice", state))
        rig.stop(client)
        if queued(state) != INTAKE_COUNT + 1:
            raise WrongRun(f"{queued(state)} messages are in the queue instead of {INTAKE_COUNT + 1}")
        shutil.rmtree(state)
        return run

    def run_bare():
        argv = [rig.bench_dir / "bare_subscriber", rig.mqtt_port, CLIENT_ID, WINDOW]
        client, run = drain(rig, INTAKE_COUNT,
                            lambda: rig.start("bare_subscriber", argv, stdout=subprocess.PIPE))
        rig.stop(client)
        got = int(client.stdout.read())
        if got != INTAKE_COUNT:
            raise WrongRun(f"the bare subscriber got {got} messages instead of {INTAKE_COUNT}")
        return run

    alternate(table, f"intake, {INTAKE_COUNT:,} of {BYTES} bytes", rounds, 1.0, run_sluice, run_bare)


# -- delivery

def deliver(rig, protocol, start):
    """Starts a client and returns it and its Run: from its start until the backend's last
    response."""
    with open(rig.access_log, "wb"):
        pass  # nginx appends to it
    arrivals = Arrivals(rig.access_log)
    begin = time.time()
    client = start()

    def all_arrived():
        rig.alive(client)
        return arrivals.count() >= DELIVERY_COUNT

    wait_for("all requests", all_arrived)
    time.sleep(0.5)  # for requests that must not come
    arrivals.count()
    arrivals.check(DELIVERY_COUNT, BYTES, protocol)
    note = f"  the first after {1000 * (arrivals.first() - begin):.0f} ms"
    note += f"  at most {memory_kib(client.pid)['VmHWM'] * 1024 / MB:.1f} MB"
    return client, Run(DELIVERY_COUNT, arrivals.last() - begin, cpu_ns(client.pid), note)


def delivery(rig, table, rounds):
    template = rig.dir / "delivery"
    sluice = rig.start_sluice("sluice", template)
    rig.wait_connected(sluice)
    rig.publish(DELIVERY_COUNT, BYTES, DEVICES)
    wait_for("the messages in the queue", lambda: queued(template) == DELIVERY_COUNT, poll_s=0.1)
    rig.stop(sluice)

    for http2, name, lanes, protocol in ((True, "HTTP/2", 32, "HTTP/2.0"), (False, "HTTP/1.1", 4, "HTTP/1.1")):
        keys = {"max_in_flight": lanes} if http2 else {"max_connections": lanes, "protocol": "http1.1"}
        rig.start_backend(http2)

        def run_sluice():
            state = rig.dir / "delivery-run"
            shutil.copytree(template, state)
            client, run = deliver(rig, protocol, lambda: rig.start_sluice("sluice", state, **keys))
            rig.stop(client)
            if queued(state) != 0:
                raise WrongRun(f"{queued(state)} messages are still in the queue")
            shutil.rmtree(state)
            return run

        def run_bare():
            argv = [rig.bench_dir / "bare_poster", rig.url + "/collections/reading", rig.certificate,
                    DELIVERY_COUNT, BYTES, DEVICES, "http2" if http2 else "http1.1", lanes]
            client, run = deliver(rig, protocol, lambda: rig.start("bare_poster", argv))
            rig.stop(client)
            return run

        what = f"delivery, {name}, {lanes} {'lanes' if http2 else 'connections'}"
        alternate(table, what, rounds, 0.8, run_sluice, run_bare)
        rig.stop(rig.backend)


# -- memory

def memory(rig, table, _rounds):
    state = rig.dir / "memory"
    sluice = rig.start_sluice("sluice", state)
    rig.wait_connected(sluice)
    idle = steady_memory(sluice.pid)
    rig.publish(MEMORY_COUNT, BYTES, DEVICES)
    wait_for("the messages in the queue", lambda: queued(state) == MEMORY_COUNT, poll_s=0.25)
    full = steady_memory(sluice.pid)
    rig.stop(sluice)
    sluice = rig.start_sluice("sluice", state)
    rig.wait_connected(sluice)
    again = steady_memory(sluice.pid)
    rig.stop(sluice)
    table.add("memory, idle", f"{idle:.1f} MB", floor="< 10 MB", ok=idle < 10)
    for what, value in ((f"  with {MEMORY_COUNT:,} queued", full), ("  and after a restart", again)):
        table.add(what, f"{value - idle:+.1f} MB", floor="<= +4 MB", ok=value - idle <= 4)


# -- latency

def latency(rig, table, _rounds):
    rate, warm_up, count = 200, 200, 4200
    for http2, name in ((True, "HTTP/2"), (False, "HTTP/1.1")):
        upstream = rig.dir / "receiver.sock"
        state = rig.dir / f"latency-{http2}"
        rig.start_backend(http2, upstream)
        sluice = rig.start_sluice("sluice", state, protocol="auto" if http2 else "http1.1")
        rig.wait_connected(sluice)
        argv = [str(word) for word in (rig.bench_dir / "publish", rig.mqtt_port, count, BYTES, DEVICES, rate)]
        took_ns = asyncio.run(receive(upstream, argv, count, deadline_s=10))
        upstream.unlink()
        cpu = cpu_ns(sluice.pid)
        rig.stop(sluice)
        rig.stop(rig.backend)
        if len(took_ns) != count:
            raise WrongRun(f"{len(took_ns)} messages arrived instead of {count}")
        took_ms = sorted(ns / 1e6 for n, ns in took_ns.items() if n >= warm_up)
        p50, p99 = (took_ms[len(took_ms) * percent // 100] for percent in (50, 99))
        stopped = re.search(r"longest .*", rig.log(sluice))
        print(f"latency, {name}: least {took_ms[0]:.2f} ms, most {took_ms[-1]:.2f} ms, "
              f"{cpu[0] / count / 1000:.0f} us CPU each; {stopped.group() if stopped else ''}", flush=True)
        table.add(f"latency, {name}, {rate}/s, p50", f"{p50:.2f} ms")
        table.add("  p99", f"{p99:.2f} ms")


# -- wear

WEAR = re.compile(r"stored (\d+), delivered (\d+), .*; (\d+) fsyncs, ([\d.]+) KB written")


def wear_of(rig, state, rate, count, **queue):
    """One run from start to stop: seconds, fsyncs and bytes, all messages delivered."""
    sluice = rig.start_sluice("sluice", state, queue)
    rig.wait_connected(sluice)
    begin = time.monotonic()
    if count:
        rig.publish(count, BYTES, DEVICES, rate)
    took_s = time.monotonic() - begin
    wait_for("the queue to drain", lambda: queued(state) == 0, poll_s=0.25)
    rig.stop(sluice)
    stored, delivered, syncs, kilobytes = WEAR.findall(rig.log(sluice))[-1]
    if (int(stored), int(delivered)) != (count, count):
        raise WrongRun(f"{stored} messages were stored and {delivered} delivered instead of {count}")
    return took_s, int(syncs), float(kilobytes) * 1000


def wear(rig, table, _rounds):
    """Without the share of a start and a stop; with checkpoints."""
    rig.start_backend(True)
    state = rig.dir / "wear"
    wear_of(rig, state, 0, 0)  # makes the tables
    _, start_syncs, start_bytes = wear_of(rig, state, 0, 0)
    for rate, count in WEAR_RUNS:
        for delay in WEAR_DELAYS:
            took_s, syncs, written = wear_of(rig, state, rate, count, commit_delay=delay)
            syncs, written = syncs - start_syncs, written - start_bytes
            what = f"wear, {rate:,}/s, commit_delay = {delay}"
            print(f"{what}: {count} messages in {took_s:.1f} s, {syncs} fsyncs, {written / 1000:.0f} KB", flush=True)
            table.add(what, f"{syncs / took_s:.2f} fsyncs/s", f"{written / count:,.0f} bytes each")
    rig.stop(rig.backend)


# -- start

def start_once(rig, state):
    """Seconds until it is ready, and resident memory once that is steady."""
    begin = time.monotonic()
    sluice = rig.start_sluice("sluice", state)
    while b" ready: queue" not in (rig.dir / "sluice.log").read_bytes():
        rig.alive(sluice)
        time.sleep(0.0005)
    took_s = time.monotonic() - begin
    rig.wait_connected(sluice)
    resident = steady_memory(sluice.pid)
    rig.stop(sluice)
    return took_s, resident


def start(rig, table, rounds):
    empty, full = rig.dir / "start-empty", rig.dir / "start-full"
    for state in (empty, full):
        start_once(rig, state)  # makes the tables
    fill(full, START_COUNT, BYTES, DEVICES)
    runs = {state: [start_once(rig, state) for _ in range(min(rounds, 3))] for state in (empty, full)}
    if queued(full) != START_COUNT:
        raise WrongRun(f"{queued(full)} messages are in the queue instead of {START_COUNT}")
    seconds, resident = ([statistics.median(run[i] for run in runs[state]) for state in (empty, full)] for i in (0, 1))
    table.add("start, with an empty queue", f"{1000 * seconds[0]:.0f} ms")
    more_s = seconds[1] - seconds[0]
    table.add(f"  with {START_COUNT:,} queued", f"{1000 * more_s:+.0f} ms", floor="< +1000 ms", ok=more_s < 1)
    more = resident[1] - resident[0]
    table.add("  resident memory then", f"{more:+.1f} MB", floor="<= +4 MB", ok=more <= 4)


# -- batches

def batched(rig, table, rounds):
    batches.pipeline(rig, table, rounds, alternate, Run)
    batches.latency(rig, table)
    batches.slow(rig, table)
    batches.poison(rig, table)


MEASUREMENTS = {"intake": intake, "delivery": delivery, "memory": memory, "latency": latency, "wear": wear,
                "start": start, "batched": batched, "poison": poison, "drop": drop,
                "http": http, "fit": fit}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", type=pathlib.Path, required=True, help="the program")
    parser.add_argument("--programs", type=pathlib.Path, required=True, help="where the bare programs are")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs for each ratio (default 5)")
    parser.add_argument("what", nargs="*", metavar="|".join(MEASUREMENTS), help="default: all")
    options = parser.parse_args()
    for name in options.what:
        if name not in MEASUREMENTS:
            parser.error(f"'{name}' is not one of {', '.join(MEASUREMENTS)}")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    table = Table()
    wrong = 0
    for name in options.what or MEASUREMENTS:
        with Rig(options.sluice, options.programs) as rig:
            try:
                rig.make_certificate()
                rig.start_broker()
                MEASUREMENTS[name](rig, table, options.rounds)
            except WrongRun as error:
                print(f"{name}: WRONG: {error}", file=sys.stderr)
                wrong += 1
    print()
    table.show()
    return 1 if wrong else 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
