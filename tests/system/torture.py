#!/usr/bin/python3
"""torture.py - everything goes wrong at random, and nothing may be lost.

A real Mosquitto with the shipped settings, a real TLS backend that counts per
message and key, the real sluice; two publishers (MQTT 5 and 3.1.1) send numbered
and equal readings, flat out or in bursts. Meanwhile, column by column:

    kills          kill -9 of sluice, at random and at its worst moments
    backend        the backend refuses, breaks, stalls, is busy
    broker         the broker is restarted
    disk           the disk with sluice's queue is full for a while
    together       all of that at once
    broker-crash   kill -9 of the broker

Held to: whatever the broker acknowledged to a publisher is delivered, every
message under one Idempotency-Key, in the order of its topic (first deliveries),
nothing is dead-lettered, and sluice ends as it should. A broker that is killed may
itself forget what it acknowledged since its last save, and send again what it
does not know to be done; what that excuses is counted apart, in parentheses.

All that happens is drawn from the seed before it begins, and its moments are
counts of messages where they can be. Exit status: 0 it held; 1 it did not; 2 wrong
command line.
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

INSIDE = "SLUICE_TORTURE_MOUNTS"  # set: this process may mount, or nobody may


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0],
                                     epilog="SLUICE_BIN names the sluice to torture (default: build/dev/sluice).")  # fmt: skip
    add = parser.add_argument
    add("--seed", type=int, help="does the same again (default: a new one, which is printed)")
    add("--seconds", type=float, default=600, help="no new trouble after this time (default: %(default)s)")
    add("--kills", type=int, default=20,
        help="kills of sluice in their column; others have troubles to match (default: %(default)s)")  # fmt: skip
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
    rounds = draw(column, random.Random(f"{options.seed} {column}"), options.kills)
    share_s = options.seconds / (1 if options.only else len(COLUMNS))
    with Rig(directory, options.disk, print if options.verbose else None) as rig:
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
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # of connections that break; they are to
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
