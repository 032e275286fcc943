"""Batches: compared with a shell loop that a user can write with Debian's packages; with a
slow backend; and with messages that the backend rejects.

The loop: `mosquitto_sub -W 1` writes to a file, one message a line, and
`curl --data-binary @file` repeats until the backend accepts it. Its session at the broker
is persistent, so it loses nothing between two rounds. But messages that were in flight
when a round ended come again, so they arrive twice.
"""
import asyncio
import os
import subprocess
import time

from receiver import Server, messages, receive
from rig import CLIENT_ID, Arrivals, WrongRun, cpu_ns, queued, wait_for

BYTES = 120
SESSION = "-c -q 1"
BATCH = {"body": "json", "batch": 500, "batch_size": "128K", "order": "route"}
PIPELINE_COUNT = 30000
ORDER_TOPICS = (50, 5000)
LATENCY_RATES = (200, 1000)
SLOW_TOPICS = 50
SLOW_MS = 50
SLOW_COUNTS = (5000, 50000)  # one by one, in batches
POISON_TOPICS, POISON_COUNT, POISON_EVERY = 20, 2000, 40

LOOP = """
trap 'trap - TERM; kill 0' TERM
while :; do
    mosquitto_sub -p {port} -i {client} {session} -t 'bench/#' -W 1 >{file} 2>/dev/null &
    wait $!
    if [ -s {file} ]; then
        until curl -sf -o /dev/null --cacert {ca} --data-binary @{file} \\
            -H 'Content-Type: application/x-ndjson' {url}; do sleep 1; done
    elif [ -e {stop} ]; then
        exit 0
    fi
done
"""


class Loop:
    """The shell loop, running."""

    def __init__(self, rig):
        self.rig = rig
        self.stop_file = rig.dir / "loop-stop"
        self.stop_file.unlink(missing_ok=True)
        url = rig.url + "/collections/reading"
        argv = ["mosquitto_sub", "-p", str(rig.mqtt_port), "-i", CLIENT_ID, *SESSION.split(), "-t", "bench/#", "-E"]
        subprocess.run(argv, check=True, timeout=30)  # makes the session
        self.child = rig.start("loop", ["bash", "-c", LOOP.format(
            port=rig.mqtt_port, client=CLIENT_ID, session=SESSION, file=rig.dir / "loop-messages", ca=rig.certificate, url=url,
            stop=self.stop_file)], start_new_session=True)  # the commands in it end with it

    def stop(self):
        """Ends the loop; returns the CPU time of all its commands, in ns."""
        self.stop_file.touch()
        _, _, usage = os.wait4(self.child.pid, 0)
        self.child.returncode = 0
        self.rig.children.remove(self.child)
        return (usage.ru_utime + usage.ru_stime) * 1e9


def end_session(rig):
    """The next client begins with an empty session."""
    subprocess.run(["mosquitto_sub", "-p", str(rig.mqtt_port), "-i", CLIENT_ID, "-t", "none", "-E"], check=True,
                   timeout=30)


class BatchArrivals(Arrivals):
    """Counts the messages in the bodies: after each there is a comma, a bracket or a line
    end."""

    def count_messages(self):
        self.count()
        lines = self.text.decode().splitlines()
        return sum((int(line.split()[2]) + 1) // (BYTES + 1) for line in lines if line.split()[1] == "200")


def wait_for_messages(rig, child, arrivals, count, deadline_s=120):
    def all_there():
        rig.alive(child)
        return arrivals.count_messages() >= count

    wait_for(f"{count} messages", all_there, deadline_s, poll_s=0.1)


def start_batching(rig, state, route=None, **backend):
    end_session(rig)
    sluice = rig.start_sluice("sluice", state, route={**BATCH, **(route or {})}, **backend)
    rig.wait_connected(sluice)
    return sluice


def pipeline(rig, table, rounds, alternate, make_run):
    """From the publisher to the backend, as fast as possible."""
    rig.start_backend(True)

    def flood(child, quiet_s, topics=1024):
        arrivals = BatchArrivals(rig.access_log)
        begin = time.time()
        rig.publish(PIPELINE_COUNT, BYTES, topics)
        wait_for_messages(rig, child, arrivals, PIPELINE_COUNT)
        wait_for("the end", lambda: arrivals.count_messages() and time.time() - arrivals.last() > quiet_s)
        twice = arrivals.count_messages() - PIPELINE_COUNT
        return arrivals.last() - begin, f"  {twice} twice" if twice else ""

    def run_sluice(order="route", topics=1024):
        rig.access_log.write_bytes(b"")
        sluice = start_batching(rig, rig.dir / "pipeline", {"order": order})
        before = cpu_ns(sluice.pid)
        took_s, note = flood(sluice, 0.5, topics)
        cpu = [after - begin for after, begin in zip(cpu_ns(sluice.pid), before)]
        rig.stop(sluice)
        return make_run(PIPELINE_COUNT, took_s, cpu, note)

    def run_loop():
        end_session(rig)
        rig.access_log.write_bytes(b"")
        loop = Loop(rig)
        took_s, note = flood(loop.child, 3)
        return make_run(PIPELINE_COUNT, took_s, (loop.stop(), 0), note)

    alternate(table, f"batched, {PIPELINE_COUNT:,} against a shell loop", rounds, 1.0, run_sluice, run_loop)
    for topics in ORDER_TOPICS:
        alternate(table, f"order = topic against route, {topics:,} topics", rounds, 0.9,
                  lambda: run_sluice("topic", topics), lambda: run_sluice("route", topics))
    rig.stop(rig.backend)


def percentiles(took_ns):
    took_ms = sorted(ns / 1e6 for ns in took_ns)
    return took_ms[len(took_ms) // 2], took_ms[len(took_ms) * 99 // 100]


def measure(rig, rate, count, start, stop):
    """Each run has its own nginx, which would remember that its upstream was away."""
    upstream = rig.dir / "batched.sock"
    rig.start_backend(True, upstream)
    client = start()
    argv = [str(word) for word in (rig.bench_dir / "publish", rig.mqtt_port, count, BYTES, 1024, rate)]
    took_ns = asyncio.run(receive(upstream, argv, count, deadline_s=10))
    upstream.unlink()
    stop(client)
    rig.stop(rig.backend)
    if len(took_ns) != count:
        raise WrongRun(f"{len(took_ns)} messages arrived instead of {count}")
    return percentiles([ns for n, ns in took_ns.items() if n >= rate])  # without the first second


def latency(rig, table):
    end_session(rig)
    loop_p50, _ = measure(rig, LATENCY_RATES[0], 10 * LATENCY_RATES[0], lambda: Loop(rig), Loop.stop)
    for rate, bound_ms in zip(LATENCY_RATES, (5, 10)):
        p50, p99 = measure(rig, rate, 10 * rate, lambda: start_batching(rig, rig.dir / "batched-latency"), rig.stop)
        what = f"batched, {rate}/s, p50"
        print(f"{what} {p50:.2f} ms, p99 {p99:.2f} ms; the loop {loop_p50:.0f} ms", flush=True)
        table.add(what, f"{p50:.2f} ms", f"{loop_p50:.0f} ms", p50 / loop_p50, f"< {bound_ms} ms", p50 < bound_ms)
        table.add("  p99", f"{p99:.2f} ms")


def slow(rig, table):
    """A slow backend: messages must not wait for the responses to others."""
    rig.start_backend(True, wait_ms=SLOW_MS)
    for count, route, floor in zip(SLOW_COUNTS, ({"batch": None, "batch_size": None, "body": "raw", "order": "topic"}, {"order": "topic"}),
                                   (500, 5000)):
        state = rig.dir / f"slow-{floor}"
        rig.stop(start_batching(rig, state))
        rig.publish(count, BYTES, SLOW_TOPICS)
        rig.access_log.write_bytes(b"")
        arrivals = BatchArrivals(rig.access_log)
        begin = time.time()
        sluice = rig.start_sluice("sluice", state, route={**BATCH, **route})
        wait_for_messages(rig, sluice, arrivals, count)
        rate = count / (arrivals.last() - begin)
        rig.stop(sluice)
        what = f"{SLOW_MS} ms a response, {SLOW_TOPICS} topics, {'batched' if floor > 500 else 'one by one'}"
        print(f"{what}: {rate:,.0f}/s in {arrivals.count()} requests", flush=True)
        table.add(what, f"{rate:,.0f}/s", floor=f">= {floor:,}/s", ok=rate >= floor)
    rig.stop(rig.backend)


async def judge(rig, upstream, state):
    """Delivers the queue in `state` to a backend that rejects every body with a poisonous
    message. Returns the requests."""
    came = []

    def respond(body):
        numbers = [message["n"] for message in messages(body)]
        poisonous = any(n % POISON_EVERY == POISON_EVERY - 1 for n in numbers)
        came.append((poisonous, numbers))
        return b"400 Bad Request" if poisonous else b"200 OK"

    server = await asyncio.get_running_loop().create_unix_server(lambda: Server(respond), upstream)
    async with server:
        sluice = rig.start_sluice("sluice", state, route={**BATCH, "batch": 100, "order": "topic"})
        end = time.monotonic() + 60
        while sum(len(numbers) for poisonous, numbers in came if not poisonous) + queued(state, "dead_letter") < POISON_COUNT:
            rig.alive(sluice)
            if time.monotonic() > end:
                raise WrongRun(f"{queued(state)} messages are still in the queue")
            await asyncio.sleep(0.05)
        rig.stop(sluice)
    return came


def poison(rig, table):
    upstream, state = rig.dir / "judge.sock", rig.dir / "poison"
    rig.start_backend(True, upstream)
    rig.stop(start_batching(rig, state))
    rig.publish(POISON_COUNT, BYTES, POISON_TOPICS)
    came = asyncio.run(judge(rig, upstream, state))
    good = [n for poisonous, numbers in came if not poisonous for n in numbers]
    expected = [n for n in range(POISON_COUNT) if n % POISON_EVERY != POISON_EVERY - 1]
    in_order = all([n for n in good if n % POISON_TOPICS == topic] ==
                   [n for n in expected if n % POISON_TOPICS == topic] for topic in range(POISON_TOPICS))
    print(f"poison: {len(good)} of {len(expected)} good ones in {len(came)} requests, "
          f"{'in order' if in_order else 'NOT IN ORDER'}", flush=True)
    table.add(f"{POISON_COUNT // POISON_EVERY} poisonous of {POISON_COUNT:,}, good ones that arrive, in order",
              f"{len(good):,}", floor=f"{len(expected):,}", ok=in_order and len(good) == len(expected))
    table.add("  requests", f"{len(came):,}")
    rig.stop(rig.backend)
