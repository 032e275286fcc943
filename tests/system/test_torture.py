"""The short form of torture.py, column by column. scripts/test --long has the long one.

The seed is $SLUICE_SEED, or a new one; `torture.py --only COLUMN --seed N -v` does it
again, alone. Each column's table is shown at the end of a run, passed or failed.
"""
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from harness.backend import Request
from harness.process import end, spawn
from harness.publisher import ACKED, DOUBTFUL, Message
from harness.sluice import binary
from harness.tally import Tally
from torture_troubles import COLUMNS, draw

pytestmark = pytest.mark.build("dev")

TORTURE = Path(__file__).with_name("torture.py")


def torture(*arguments, timeout=150):
    """(exit status, what it printed)"""
    process = spawn([sys.executable, str(TORTURE), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    text=True, env={**os.environ, "SLUICE_BIN": binary()})  # fmt: skip
    try:
        printed = process.communicate(timeout=timeout)[0]
    finally:
        end(process)
    print(printed)
    return process.returncode, printed


@pytest.mark.parametrize("column", COLUMNS)
def test_random_faults_lose_and_repeat_nothing(column, record_property):
    seed = os.environ.get("SLUICE_SEED") or str(random.randrange(1 << 30))
    status, printed = torture("--only", column, "--seed", seed, "--seconds", "25")
    record_property("torture", printed)
    assert status == 0, f"SLUICE_SEED={seed}: see what it printed"


def test_the_torture_works_without_mounts():
    """The small disk is a directory with a quota there."""
    status, printed = torture("--only", "disk", "--disk", "quota", "--kills", "1")
    assert status == 0
    assert ", quota, " in printed


def test_a_seed_draws_the_same_again():
    for column in COLUMNS:
        assert draw(column, random.Random(5), 30) == draw(column, random.Random(5), 30)
        assert draw(column, random.Random(5), 30) != draw(column, random.Random(6), 30)


# -- what it counts


def message(number, state=ACKED, payload=None):
    made = Message("t", payload or b"%d" % number, None if payload else number)
    made.state = state
    return made


def request(body, key, status=200):
    headers = {"idempotency-key": key, "sluice-topic": "t"}
    return Request("POST", "/", headers, [], body, "2", 1, status=status)


def count(messages, requests, **expected):
    tally = Tally(messages, requests)
    everything = {"lost": 0, "again": 0, "out_of_order": 0, "repeated": 0, "shared_keys": [], **expected}
    assert {name: getattr(tally, name) for name in everything} == everything
    return tally


def test_tally_of_numbered_messages():
    three = [message(n) for n in range(3)]
    good = [request(b"%d" % n, f"k{n}") for n in range(3)]
    count(three, good)
    count(three, good[:2], lost=1)
    count(three, [*good[:2], request(b"2", "k2", status=0)], lost=1)  # it came, and was not answered
    count(three, [*good, good[1]], repeated=1)
    count(three, [*good, request(b"1", "k7")], again=1)
    count(three, [good[0], good[2], good[1]], out_of_order=1)
    count(three, [*good[:2], request(b"2", "k1")], shared_keys=["k1"], repeated=1)
    assert count(three, [*good, request(b"9", "k9")]).never_published == [("t", b"9")]


def test_tally_of_equal_messages():
    three = [message(0, payload=b"same") for _ in range(3)]
    good = [request(b"same", f"k{n}") for n in range(3)]
    count(three, good)
    count(three, good[1:], lost=1)
    count(three, [*good, request(b"same", "k3")], again=1)


def test_tally_of_what_is_in_doubt():
    """Not acknowledged: it may be there once, or not."""
    two = [message(0), message(1, DOUBTFUL)]
    good = [request(b"0", "k0"), request(b"1", "k1")]
    count(two, good)
    count(two, good[:1])
    count(two, [*good, request(b"1", "k2")], again=1)


def test_tally_of_what_a_crash_of_the_broker_excuses():
    two = [message(0), message(1)]
    two[0].may_be_lost = two[1].may_come_again = True
    tally = count(two, [request(b"1", "k1"), request(b"1", "k2")])
    assert (tally.lost_by_broker, tally.again_by_broker) == (1, 1)
