"""The longest pause of the intake while a person drops 100,000 messages.

Messages are published at a constant rate, and each is acknowledged once it is committed.
The result is the longest time in which the broker's TCP received no acknowledgement; the
distance between two publications is a part of it. It is observed at the broker's end of
the connection, which costs neither end anything. The longest wait for the database lock,
as sluice reports it, is shown too.
"""
import json
import statistics
import subprocess
import time

from rig import Connection, WrongRun, fill, queued, sockets_of, wait_for

QUEUED = 100000
BYTES = 120
TOPICS = 1024
RATE = 500  # publications a second
ALONE_S = 3
FLOOR_MS = 100


def longest_gap_ms(connection, is_over):
    """The longest time without a change of the bytes received."""
    received, since, longest_s = connection.bytes_received(), time.monotonic(), 0.0
    while not is_over():
        now_received, now = connection.bytes_received(), time.monotonic()
        if now_received != received:
            longest_s = max(longest_s, now - since)
            received, since = now_received, now
        time.sleep(0.0005)
    return 1000 * max(longest_s, time.monotonic() - since)


def drop_once(rig, state):
    known = set(sockets_of(rig.broker.pid).values())
    sluice = rig.start_sluice("sluice", state)
    rig.wait_connected(sluice)
    [fd] = [fd for fd, inode in sockets_of(rig.broker.pid).items() if inode not in known]
    connection = Connection(rig.broker.pid, fd)
    before = queued(state)
    publisher = rig.start("publish", [rig.bench_dir / "publish", rig.mqtt_port, 1000000, BYTES, TOPICS, RATE])
    wait_for("the first publications", lambda: queued(state) > before)
    end = time.monotonic() + ALONE_S
    alone_ms = longest_gap_ms(connection, lambda: time.monotonic() > end)
    config = state / "sluice.conf"
    command = rig.start("drop", [rig.sluice, "queue", "drop", "-c", config, "--yes", "--all"], stdout=subprocess.PIPE)
    begin = time.monotonic()
    gap_ms = longest_gap_ms(connection, lambda: command.poll() is not None)
    took_s = time.monotonic() - begin
    rig.alive(publisher)
    rig.stop(publisher)
    connection.close()
    said = command.stdout.read().decode()
    if command.returncode != 0 or int(said.split()[0].replace(",", "")) < QUEUED:
        raise WrongRun(f"the drop ended with {command.returncode} and said: {said}{rig.log(command)}")
    status = subprocess.run([rig.sluice, "status", "-c", config, "--json"], stdout=subprocess.PIPE, check=False).stdout
    since_start = json.loads(status)["daemon"]["since_start"]
    lock_ms, commit_ms, stall_ms = (since_start[f"longest_{what}_ms"] for what in ("lock", "commit", "stall"))
    rig.stop(sluice)
    print(f"drop: {said.strip()} in {took_s:.1f} s; the longest time without an acknowledgement {gap_ms:.1f} ms "
          f"({alone_ms:.1f} ms before); at most {lock_ms} ms for the lock, {commit_ms} ms for a commit, {stall_ms} ms "
          "for a turn of the loop", flush=True)
    return gap_ms, alone_ms, lock_ms


def drop(rig, table, rounds):
    state = rig.dir / "drop"
    sluice = rig.start_sluice("sluice", state)  # makes the tables
    rig.wait_connected(sluice)
    rig.stop(sluice)
    runs = []
    for _ in range(min(rounds, 3)):
        fill(state, QUEUED, BYTES, TOPICS)
        runs.append(drop_once(rig, state))
    worst = [max(run[i] for run in runs) for i in range(3)]
    table.add(f"drop of {QUEUED:,}, intake at {RATE}/s stalls", f"{worst[0]:.1f} ms",
              floor=f"< {FLOOR_MS} ms", ok=worst[0] < FLOOR_MS)
    table.add("  the median of the runs", f"{statistics.median(run[0] for run in runs):.1f} ms")
    table.add("  without a drop", f"{worst[1]:.1f} ms")
    table.add("  the longest wait for the lock", f"{worst[2]} ms")
