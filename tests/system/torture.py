#!/usr/bin/python3
"""torture.py - random faults everywhere, and nothing may be lost.

A real Mosquitto with the shipped settings, a real TLS backend that counts requests by
message and key, and the real sluice. Its two routes have filters that overlap, so the broker
sends up to three copies of each message, and one after its restart. Two publishers (MQTT 5 and 3.1.1) send numbered and
equal readings, at full speed or in bursts. Each column of the table has its faults:

    kills          kill -9 of sluice, at random and at its worst moments
    backend        the backend refuses, breaks, stalls, is busy
    broker         the broker is restarted, while sluice runs or is away
    disk           the disk with sluice's queue is full for a while
    together       all of that at once, with crashes of the broker in between
    broker-crash   kill -9 of the broker

What must hold for each route: each message that the broker acknowledged to a publisher is
delivered, under one Idempotency-Key that no other message has, and in the order of its topic
(first deliveries); no message is dead-lettered; sluice ends with the right status. A broker that is killed may forget the
messages that it acknowledged since its last save, and send others again. The table counts
those separately, in parentheses.

The seed decides everything before the start; most moments are counts of messages. Exit
status: 0 all held; 1 something did not; 2 wrong command line.
"""
import argparse
import logging
import os
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness.disk import with_private_mounts
from harness.sluice import use_build
from torture_rig import GaveUp, Rig
from torture_table import Row, table
from torture_troubles import COLUMNS, draw

BATCHES = [7, 1000]  # of the commits of sluice, and how many messages are in flight from the broker
INSIDE = "SLUICE_TORTURE_MOUNTS"  # set: this process may mount, or mounts are forbidden


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0],
                                     epilog="SLUICE_BIN names the sluice to torture (default: build/dev/sluice).")  # fmt: skip
    add = parser.add_argument
    add("--seed", type=int, help="repeats a run (default: a new seed, which is printed)")
    add("--seconds", type=float, default=600, help="no new fault after this time (default: %(default)s)")
    add("--kills", type=int, default=20,
        help="kills of sluice in their column; the number of faults in other columns follows it (default: %(default)s)")  # fmt: skip
    add("--only", choices=COLUMNS, help="one column")
    add("--disk", choices=["tmpfs", "quota"], help="what the small disk is made of (default: what works)")
    add("-v", "--verbose", action="store_true", help="print what is done")
    options = parser.parse_args()
    if options.kills < 1 or options.seconds <= 0:
        parser.error("--kills and --seconds must be above 0")
    if options.seed is None:
        options.seed = random.randrange(1 << 30)
    return options


def torture(column, options, directory):
    """One column: its Row."""
    chance = random.Random(f"{options.seed} {column}")
    rounds = draw(column, chance, options.kills)
    share_s = options.seconds / (1 if options.only else len(COLUMNS))
    batch = BATCHES[-1] if column == "broker-crash" else chance.choice(BATCHES)  # there, sluice must get all
    with Rig(directory, batch, options.disk, print if options.verbose else None) as rig:
        done = 0
        for number, one in enumerate(rounds, 1):
            if rig.age_s() > share_s:
                break
            rig.note(f"{column} {number}/{len(rounds)}: {one}")
            try:
                one.run(rig)
            except GaveUp:
                break
            done = number
        rig.finish()
        return Row(column, rig, f"{done} of {len(rounds)} rounds")


def main():
    options = arguments()
    use_build("dev")
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        command = with_private_mounts([sys.executable, *sys.argv])
        if command:
            os.execvp(command[0], command)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # broken connections are expected
    print(f"seed {options.seed}", flush=True)
    rows = []
    for column in [options.only] if options.only else COLUMNS:
        with tempfile.TemporaryDirectory(prefix="sluice-torture-", ignore_cleanup_errors=True) as directory:
            rows.append(torture(column, options, Path(directory)))
        print(rows[-1].story(), flush=True)
    print(table(rows))
    print(f"seed {options.seed}: {'it held' if all(row.held for row in rows) else 'IT DID NOT HOLD'}")
    return 0 if all(row.held for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
