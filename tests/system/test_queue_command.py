"""sluice queue: people look into the queue and repair it, beside a running sluice and on
a stopped one."""
import base64
import fcntl
import json
import os
import pty
import re
import sqlite3
import struct
import subprocess
import tempfile
import termios
import threading
import unicodedata
from pathlib import Path

import pytest

from harness.check import messages, overtakers, per_topic, stops_empty, under_one_key_each
from harness.process import end
from harness.events import parse
from harness.sluice import backend_section, binary
from harness.stock import stock, stock_many
from harness.wait import wait_until

LONG = b'{"host":"wino-0013a2","soil":512,"words":"' + b"and so on " * 20 + b'"}'
TRIED = [{"number": n, "time": 1795369000000 + n * 60000, "event": "failed", "attempt": n, "status": 500,
          "error": "500: oops"} for n in (1, *range(5, 14))]  # fmt: skip
PENDING = [
    {"topic": "garden/tomato/sensor", "payload": b'{"host":"tomato","n":3,"soil":547}'},
    {"topic": "garden/basil/sensor", "payload": LONG, "attempts": 3, "last_status": 500, "last_error": "500: oops"},
    {"topic": "garden/lemon/sensor", "payload": "grün\n\tBlätter \N{BUG}".encode()},
    {"topic": "garden/lemon/heartbeat", "payload": bytes(range(40)), "route": "heartbeat"},
    {"topic": "garden/esc\x1b[31m/sensor", "payload": b"\x1b[2Jboo", "late_since_uptime_ms": 0},
]
DEFERRED = {"deferred": 1, "attempts": 2, "last_status": 500, "last_error": "500: oops"}
DEAD = [{"topic": "garden/lime/sensor", "payload": b"not JSON"}, {"topic": "garden/lime/sensor", "reason": "path"}]

NARROW = r"""ID  RECEIVED             STATE       TOPIC                      PAYLOAD
 1  11-22 17:36:41       waiting     garden/tomato/sensor       {"host":"toma...
 2  11-22 17:36:42       failed 3 x  garden/basil/sensor        {"host":"wino...
 3  11-22 17:36:43       waiting     garden/lemon/sensor        grün\n\tBlätt...
 4  11-22 17:36:44       waiting     garden/lemon/heartbeat     x'00010203040...
 5  11-22 17:36:45 late  waiting     garden/esc\x1b[31m/sensor  \x1b[2Jboo
 6  11-22 17:36:46       rejected    garden/lime/sensor         not JSON
 7  11-22 17:36:47       path        garden/lime/sensor         {}
"""
WIDE = r"""ID  RECEIVED                  STATE           ROUTE      TOPIC                      PAYLOAD
 1  2026-11-22 17:36:41       waiting         sensor     garden/tomato/sensor       {"host":"tomato","n":3,"soil":547}
 2  2026-11-22 17:36:42       failed 3 x      sensor     garden/basil/sensor        {"host":"wino-0013a2","soil":512,"words":"and so on and so on and so on and so on and so on and so on and so on a...
 3  2026-11-22 17:36:43       waiting         sensor     garden/lemon/sensor        grün\n\tBlätter 🐛
 4  2026-11-22 17:36:44       waiting         heartbeat  garden/lemon/heartbeat     x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627'
 5  2026-11-22 17:36:45 late  waiting         sensor     garden/esc\x1b[31m/sensor  \x1b[2Jboo
 6  2026-11-22 17:36:46       dead: rejected  sensor     garden/lime/sensor         not JSON
 7  2026-11-22 17:36:47       dead: path      sensor     garden/lime/sensor         {}
"""


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def ids(text):
    return [row["id"] for row in lines(text)]


@pytest.fixture
def stocked(sluice):
    stock(sluice, PENDING, DEAD)
    return sluice


def on_terminal(sluice, *args, columns=80, answer=None, when=None, stdout=None, env=None):
    """Runs it as a person would, on a terminal; returns what is seen, and the status.
    when: what must be seen before the answer, and what happens meanwhile. stdout: where
    that goes instead."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen([binary(), args[0], args[1], "-c", sluice.config_file, *args[2:]], stdin=slave,
                               stdout=stdout or slave, stderr=slave, env={**environment, "TERM": "xterm", "TZ": "UTC", **(env or {})})
    os.close(slave)
    if answer and not when:
        os.write(master, answer.encode())
    seen = b""
    try:
        while piece := os.read(master, 65536):
            seen += piece
            if when and when[0] in seen:
                when[1]()
                os.write(master, answer.encode())
                when = None
    except OSError:
        pass  # the other end is closed
    os.close(master)
    return seen.decode().replace("\r\n", "\n"), process.wait(20)


# -- looking


def test_ls_on_80_columns(stocked):
    assert stocked.command("queue", "ls", env={"COLUMNS": "80"}) == NARROW


def test_single_bad_bytes_do_not_hide_a_text(sluice):
    """Latin-1, a NUL at the end, and what would control the terminal; ls, show and the views agree."""
    texts = {b"temperature 21.5 \xb0C": r"temperature 21.5 \xb0C", b'{"soil":512}\0': r'{"soil":512}\x00',
             b"\x1b[2Jcleared\x07": r"\x1b[2Jcleared\x07", b"gr\xfcn and green": r"gr\xfcn and green"}  # fmt: skip
    binary = {bytes(range(40)): "x'000102", b"\x93NUM\x01\x00\xff\xfe": "x'934e554d"}
    stock(sluice, [{"payload": payload} for payload in [*texts, *binary]], [{"payload": payload} for payload in texts])
    for where in ("queue", "ls"), ("queue", "show", *map(str, range(1, 11))):
        said = sluice.command(*where, env={"COLUMNS": "200"})
        assert all(said.count(shown) == 2 for shown in texts.values()), said
        assert not set(said) & set("\x00\x1b\x07\x9b"), said
    said = sluice.command("queue", "ls", env={"COLUMNS": "200"})
    assert all(shown in said for shown in binary.values())
    for view in "pending", "dead":
        shown = [row["payload"] for row in sluice.sql(f"select payload from {view}")]
        assert shown[:len(texts)] == list(texts.values())
    assert [shown[:8].lower() for shown in [row["payload"] for row in sluice.sql("select payload from pending")][4:]] \
        == [shown[:8] for shown in binary.values()]


def test_ls_on_200_columns(stocked):
    assert stocked.command("queue", "ls", env={"COLUMNS": "200"}) == WIDE
    assert max(len(line) for line in WIDE.splitlines()) == 200


def test_ls_for_programs_and_pipes(stocked):
    text = stocked.command("queue", "ls")
    assert "\x1b" not in text and len(text.splitlines()) == 8
    [row] = lines(stocked.command("queue", "ls", "--json", 1))
    assert row == {"id": 1, "state": "waiting", "key": "00112233445566ff-1", "route": "sensor",
                   "topic": "garden/tomato/sensor", "received": "2026-11-22T17:36:41.000Z",
                   "clock": "synchronised", "source": "mqtt", "attempts": 0, "bytes": 34,
                   "payload": '{"host":"tomato","n":3,"soil":547}'}  # fmt: skip
    assert ids(stocked.command("queue", "ls", "--json", "-n", 2)) == [6, 7]


def test_ls_on_a_terminal_has_colours_and_its_width(stocked):
    seen, status = on_terminal(stocked, "queue", "ls", columns=80)
    assert status == 0 and "\x1b[31m" in seen and "\x1b[1m" in seen
    assert re.sub(r"\x1b\[\d*m", "", seen) == NARROW
    assert "\x1b[2J" not in seen and "\x1b[31m/" not in seen, "what a device sent drives the terminal"


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_ls_has_no_colours_if_the_environment_says_so(stocked, env):
    assert on_terminal(stocked, "queue", "ls", columns=80, env=env) == (NARROW, 0)


def test_wide_characters_keep_the_columns(sluice):
    """East Asian characters take two."""
    stock(sluice, [{"topic": "garden/漢字/sensor", "payload": ("漢" * 80).encode()},
                   {"topic": "garden/kanji/sensor", "payload": b"k" * 80}])  # fmt: skip
    rows = sluice.command("queue", "ls", env={"COLUMNS": "80"}).splitlines()
    width = [sum(1 + (unicodedata.east_asian_width(c) == "W") for c in row) for row in rows]
    assert 79 <= width[1] <= 80 and width[2] == 80
    starts = [sum(1 + (unicodedata.east_asian_width(c) == "W") for c in row[:row.index(c)])
              for row, c in zip(rows, ("PAYLOAD", "漢漢", "kkk"), strict=True)]  # fmt: skip
    assert starts[0] == starts[1] == starts[2]


def test_ls_shows_50_by_default(sluice):
    stock_many(sluice, 60)
    assert len(sluice.command("queue", "ls").splitlines()) == 51 and "older ones" in sluice.said
    assert len(sluice.command("queue", "ls", "--json").splitlines()) == 60


def test_ls_shows_the_newest_few(stocked):
    stocked.command("queue", "ls", "-n", 1)
    assert "older ones" in stocked.said
    assert [line.split()[0] for line in stocked.command("queue", "ls", "-n", 0).splitlines()] == [
        "ID", "1", "2", "3", "4", "5", "6", "7"]  # fmt: skip


@pytest.mark.parametrize("words, expected", [
    ([], [1, 2, 3, 4, 5, 6, 7]),
    (["--state", "pending"], [1, 2, 3, 4, 5]),
    (["--state", "waiting"], [1, 2, 3, 4, 5]),
    (["--state", "deferred"], []),
    (["--state=dead"], [6, 7]),
    (["--route", "heartbeat"], [4]),
    (["--topic", "garden/+/sensor", "--state", "pending"], [1, 2, 3, 5]),
    (["--topic", "garden/lime/#"], [6, 7]),
    (["--reason", "path"], [7]),
    (["--reason", "path", "--state", "pending"], []),
    (["--older", "1m"], [1, 2, 3, 4, 5, 6, 7]),
    (["--newer", "1m"], []),
    ([7, 2, 2, 99], [2, 7]),
    ([2, "--state", "dead"], []),
])
def test_options_select_messages(stocked, words, expected):
    assert ids(stocked.command("queue", "export", *words)) == expected
    assert stocked.command("queue", "count", *words) == f"{len(expected)}\n"


@pytest.mark.parametrize("words, expected", [
    ([], [1, 2, 3, 4, 5, 6, 7, 8, 9]),
    (["--state", "pending"], [1, 2, 3, 4, 5, 8, 9]),
    (["--state", "waiting"], [1, 2, 3, 4, 5]),
    (["--state", "deferred"], [8, 9]),
    (["--state=deferred", "--route", "heartbeat"], [9]),
    (["--state", "dead"], [6, 7]),
    ([1, 6, 8, "--state", "deferred"], [8]),
])
def test_options_select_deferred_messages(stocked, words, expected):
    stock(stocked, [DEFERRED, {**DEFERRED, "route": "heartbeat"}])
    assert ids(stocked.command("queue", "export", *words)) == expected
    assert ids(stocked.command("queue", "ls", "--json", *words)) == expected
    assert stocked.command("queue", "count", *words) == f"{len(expected)}\n"


def test_a_deferred_message_is_shown_as_such(stocked):
    stock(stocked, [DEFERRED])
    narrow = stocked.command("queue", "ls", env={"COLUMNS": "80"}).splitlines()[-1]
    assert narrow.split() == ["8", "11-22", "17:36:48", "deferred", "garden/a/sensor", "{}"]
    [_, wide] = stocked.command("queue", "ls", "--state", "deferred", env={"COLUMNS": "200"}).splitlines()
    assert "  deferred: failed 2 x  sensor  garden/a/sensor  {}" in wide
    assert {row["id"]: row["state"] for row in lines(stocked.command("queue", "export"))} == {
        **dict.fromkeys(range(1, 6), "waiting"), 6: "dead", 7: "dead", 8: "deferred"}  # fmt: skip
    text = stocked.command("queue", "show", 8)
    assert text.startswith("message 8, deferred: it failed while others passed, and is tried again by itself\n")
    assert "attempts      2 failed by its own fault" in text and "last response 500: oops" in text
    [row] = lines(stocked.command("queue", "show", "--json", 8))
    assert (row["state"], row["attempts"], row["last_error"]) == ("deferred", 2, "500: oops")
    assert stocked.sql("select id, state from pending where state <> 'waiting'") == [{"id": 8, "state": "deferred"}]


def test_show_prints_everything_about_a_message(stocked):
    text = stocked.command("queue", "show", 1, 2, 4, 5, 6)
    for words in ("message 1, waiting", "key           00112233445566ff-1", "payload       34 bytes, JSON",
                  '    {"host":"tomato","n":3,"soil":547}', "attempts      3 failed by its own fault",
                  "last response 500: oops", "000000  00 01 02 03", "late          it waited at the broker",
                  "message 6, dead letter", "dead-lettered 2026-11-22 17:37:40, reason: rejected", "8 bytes, text",
                  f"POST {stocked.parts['backends']['garden'].url}/collections/sensor\n",
                  "    Idempotency-Key: 00112233445566ff-1\n", "the configuration has no [route heartbeat]"):
        assert words in text, words
    assert "\x1b" not in text
    stocked.command("queue", "show", 1, 99, expect=3)
    assert "1 of 2 messages are not in the queue" in stocked.said


def test_show_prints_the_first_and_the_last_of_many_attempts(sluice):
    history = "\n".join(json.dumps(event) for event in TRIED)
    stock(sluice, [{"attempts": 13, "last_status": 500, "last_error": "500: oops", "history": history}])
    text = sluice.command("queue", "show", 1, env={"TZ": "UTC"})
    assert text[text.index("  attempts"):text.index("  waits")] == (
        "  attempts      13 failed by its own fault\n"
        "  history       2026-11-22 17:37:40  attempt 1: 500: oops\n"
        "                ... 3 more\n"
        + "".join(f"                2026-11-22 17:{36 + n}:40  attempt {n}: 500: oops\n" for n in range(5, 14)))
    [row] = lines(sluice.command("queue", "export"))
    assert [event["number"] for event in row["history"]] == [1, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    assert row["history"][0]["time"] == "2026-11-22T17:37:40.000Z"


def test_show_needs_no_secret(make_sluice, backend, tmp_path):
    """Nor their files: a member of the group may read the configuration, but not these."""
    away = {"query": "user_key=@/nowhere/key", "bearer": "@/nowhere/token"}
    sluice = make_sluice(backends={"garden": backend})
    stock(sluice, PENDING)
    sluice.write_config(sluice.config_text(backends={"garden": backend_section(backend, **away)}))
    text = sluice.command("queue", "show", 1)
    assert "/collections/sensor?user_key=...\n" in text and "Authorization: Bearer ...\n" in text
    inline = {"query": "user_key=inl1ne-s3cret", "header": "X-Key: inl1ne-s3cret"}
    sluice.write_config(sluice.config_text(backends={"garden": backend_section(backend, **inline)}))
    for words in ([], ["--json"]):
        text = sluice.command("queue", "show", *words, 1)
        assert "inl1ne" not in text and "?user_key=..." in text and "X-Key" in text
    sluice.write_config(sluice.config_text() + "[route odd]\n")
    assert "the configuration is invalid: " in sluice.command("queue", "show", 1)


def test_export_is_exact(stocked):
    rows = lines(stocked.command("queue", "export"))
    kept = {row["id"]: row["payload"] for row in
            stocked.sql("select id, payload from message union all select id, payload from dead_letter")}
    assert {row["id"]: base64.b64decode(row["payload"]) if "encoding" in row else row["payload"].encode()
            for row in rows} == kept  # fmt: skip


# -- on a stopped sluice


def test_retry_and_drop_on_a_stopped_sluice(stocked, mosquitto, backend):
    assert stocked.command("queue", "retry", "--reason", "rejected") == "1 dead letter will be delivered again\n"
    assert stocked.command("queue", "drop", "--yes", "--topic", "garden/lemon/#") == "2 messages dropped\n"
    assert stocked.sql("select reason, route, messages, bytes from dropped order by route") == [
        {"reason": "by-hand", "route": "heartbeat", "messages": 1, "bytes": 40},
        {"reason": "by-hand", "route": "sensor", "messages": 1, "bytes": len(PENDING[2]["payload"])}]  # fmt: skip
    stocked.command("queue", "retry", 6, 99, expect=3)
    stocked.command("queue", "retry", 1, expect=3)
    assert ("1 of 1 are no dead letters or deferred messages in the queue; waiting messages are delivered anyway"
            in stocked.said)  # fmt: skip
    stocked.start()
    backend.wait_for(4)
    stocked.wait_empty()
    assert sorted((r.key, r.body) for r in backend.delivered()) == [
        ("00112233445566ff-1", PENDING[0]["payload"]), ("00112233445566ff-2", LONG),
        ("00112233445566ff-5", b"\x1b[2Jboo"), ("00112233445566ff-6", b"not JSON")]  # fmt: skip
    assert [row["id"] for row in stocked.dead()] == [7]


@pytest.mark.parametrize("words, said, deferred, dead", [
    (["--all"], "2 deferred messages and 2 dead letters", [], []),
    (["--state", "deferred"], "2 deferred messages", [], [6, 7]),
    (["--state", "pending"], "2 deferred messages", [], [6, 7]),
    (["--state", "dead"], "2 dead letters", [8, 9], []),
    (["--reason", "path"], "1 dead letter", [8, 9], [6]),
    (["--route", "sensor"], "1 deferred message and 2 dead letters", [9], []),
    ([9, 7], "1 deferred message and 1 dead letter", [8], [6]),
    (["--topic", "elsewhere/#"], "0 messages", [8, 9], [6, 7]),
])
def test_retry_ends_deferrals_on_a_stopped_sluice(stocked, words, said, deferred, dead):
    """A message that is not deferred any more has all its attempts again, and its history."""
    stock(stocked, [DEFERRED, {**DEFERRED, "route": "heartbeat"}])
    assert stocked.command("queue", "retry", *words) == f"{said} will be delivered again\n"
    assert [row["id"] for row in stocked.sql("select id from message where deferred")] == deferred
    assert [row["id"] for row in stocked.dead()] == dead
    retried = {8, 9, 6, 7} - {*deferred, *dead}
    for row in lines(stocked.command("queue", "export")):
        if row["id"] in retried:
            assert (row["state"], row["attempts"], row["history"][-1]["event"]) == ("waiting", 0, "retried")
    assert [row["from_id"] for row in stocked.sql("select from_id from rescan")] == ([min(retried)] if retried else [])


def test_retry_has_no_use_for_waiting_messages(stocked):
    stocked.command("queue", "retry", "--state", "waiting", expect=2)
    assert "--state waiting: must be deferred or dead; sluice delivers waiting messages anyway" in stocked.said
    stock(stocked, [DEFERRED])
    stocked.command("queue", "retry", 1, 8, expect=3)
    assert "1 of 2 are no dead letters or deferred messages" in stocked.said
    assert [(row["id"], row["attempts"]) for row in stocked.sql("select * from message where attempts > 0")] == [(2, 3)]


def test_drop_takes_deferred_messages_alone(stocked):
    stock(stocked, [DEFERRED])
    stocked.command("queue", "drop", "--state", "deferred", expect=1)
    assert "1 pending message would be dropped" in stocked.said
    assert stocked.command("queue", "drop", "--yes", "--state", "deferred") == "1 message dropped\n"
    assert stocked.command("queue", "count") == "7\n"


def test_drop_shows_the_messages_and_asks(stocked):
    seen, status = on_terminal(stocked, "queue", "drop", "--state", "dead", answer="n\n")
    assert status == 1 and "Drop 2 dead letters for ever? [y/N]" in seen and "garden/lime/sensor" in seen
    stocked.command("queue", "drop", "--all", expect=1)
    assert "5 pending messages and 2 dead letters would be dropped" in stocked.said and "--yes" in stocked.said
    assert stocked.command("queue", "count") == "7\n"
    seen, status = on_terminal(stocked, "queue", "drop", "--state", "dead", answer="y\n")
    assert status == 0 and "2 messages dropped" in seen
    assert stocked.command("queue", "count") == "5\n"


@pytest.mark.parametrize("answer", ["\n", "\x04", "n\n", "ja\n"])
def test_only_a_yes_drops(stocked, answer):
    """Not Enter, nor the end of the input."""
    seen, status = on_terminal(stocked, "queue", "drop", "--all", answer=answer, when=(b"[y/N]", lambda: None))
    assert status == 1 and "nothing was dropped" in seen
    assert stocked.command("queue", "count") == "7\n"


def test_a_message_that_dies_while_drop_asks_stays(stocked):
    """Also if its id is lower than the last one that was shown."""

    def die():
        with sqlite3.connect(stocked.db) as database:
            columns = "id, run, route, topic, source, uptime_ms, payload"
            database.execute(f"insert into dead_letter ({columns}, attempts, died_ms, reason)"
                             f" select {columns}, 1, 1, 'rejected' from message where id = 3")  # fmt: skip
            database.execute("delete from message where id = 3")
        database.close()

    seen, status = on_terminal(stocked, "queue", "drop", "--state", "dead", answer="y\n", when=(b"[y/N]", die))
    assert status == 0 and "Drop 2 dead letters for ever?" in seen and "2 messages dropped" in seen
    assert [row["id"] for row in stocked.dead()] == [3]


@pytest.mark.parametrize("words, status, said", [
    (["queue", "sl"], 2, "unknown command 'sl'; did you mean 'ls'?"),
    (["queue", "ls", "--rout", "x"], 2, "unknown option '--rout'; did you mean '--route'?"),
    (["queue", "ls", "--json=1"], 2, "--json takes no value"),
    (["queue", "ls", "--topic"], 2, "--topic needs a value"),
    (["queue", "ls", "--topic", "a/#/b"], 2, "'#' must be the last level"),
    (["queue", "ls", "--topic", "a/*"], 2, "'*' is no wildcard of MQTT: write + for one level, or #"),
    (["queue", "ls", "--topic", "*/a"], 2, "'*' is no wildcard"),
    (["queue", "ls", "--topic", "**"], 2, "'*' is no wildcard"),
    (["queue", "ls", "--older", "5"], 2, "such as 2h"),
    (["queue", "ls", "--state", "gone"], 2, "must be pending, waiting, deferred or dead"),
    (["queue", "ls", "--state", "pendign"], 2, "did you mean 'pending'?"),
    (["queue", "ls", "--state", "defered"], 2, "did you mean 'deferred'?"),
    (["queue", "ls", "--reason", "rejectd"], 2, "did you mean 'rejected'?"),
    (["queue", "ls", "-n", "-1"], 2, "0 means all"),
    (["queue", "show", "x"], 2, "'x' is no ID"),
    (["queue", "show"], 2, "which messages? Give IDs"),
    (["queue", "retry"], 2, "--all"),
    (["queue", "drop"], 2, "--all"),
    (["queue", "export", "--yes"], 2, "unknown option '--yes'"),
    (["queue", "drop", "--al"], 2, "unknown option '--al'; did you mean '--all'?"),
    (["queue", "drop", "--", "--all"], 2, "'--all' is no ID"),
    (["queue", "drop", "-5"], 2, "'-5' is no ID"),
    (["queue", "drop", "-x5"], 2, "unknown option '-x'"),
])
def test_wrong_command_lines(sluice, words, status, said):
    sluice.command(*words, expect=status, configured=False)
    assert said in sluice.said and len(sluice.said.splitlines()) == 1


def test_options_and_ids_come_in_any_order(stocked):
    config = str(stocked.config_file)
    for words in (["-c", config, "--route=sensor", "1", "2"], ["1", "--route", "sensor", "2", f"-c{config}"],
                  ["1", "-c", config, "--route=sensor", "--", "2"]):  # fmt: skip
        assert stocked.command("queue", "count", *words, configured=False) == "2\n"


@pytest.mark.parametrize("words", [["ls"], ["count"], ["export"], ["retry"], ["drop", "--yes"]])
def test_a_misspelt_route_gets_the_nearest_one(stocked, words):
    """Otherwise it would seem to have no messages. A route that only the queue has is known."""
    stocked.command("queue", *words, "--route", "sensro", expect=2)
    assert stocked.said.startswith(f"sluice queue {words[0]}: --route sensro: unknown; did you mean 'sensor'?")
    assert stocked.command("queue", "count", "--route", "heartbeat") == "1\n"
    stocked.command("queue", *words, "--route", "other", expect=2)
    assert "--route other: unknown; the configuration has sensor (see " in stocked.said
    stock(stocked, [{"route": "sensors"}])
    assert stocked.command("queue", "count", "--route", "sensors") == "1\n"


@pytest.mark.parametrize("command", ["ls", "show", "retry", "drop", "export", "count"])
def test_help_fits_a_screen(sluice, command):
    text = sluice.command("queue", command, "--help", configured=False)
    assert text.startswith(f"usage: sluice queue {command} ")
    assert len(text.splitlines()) < 24 and all(len(line) <= 80 for line in text.splitlines())


def test_a_missing_queue_or_message_is_reported(sluice, tmp_path):
    sluice.command("queue", "ls", expect=1)
    assert "there is no queue here: sluice has not run yet" in sluice.said
    sluice.command("queue", "ls", "-c", tmp_path / "none.conf", expect=78, configured=False)
    assert "there is no such file" in sluice.said
    stock(sluice)
    assert sluice.command("queue", "ls") == "" and "the queue is empty" in sluice.said
    assert sluice.command("queue", "count") == "0\n"


def test_a_queue_of_another_version_is_refused(stocked):
    database = sqlite3.connect(stocked.db)
    database.execute("pragma user_version = 2")
    database.close()
    stocked.command("queue", "ls", expect=1)
    assert "a newer sluice made it" in stocked.said and "use that one" in stocked.said


@pytest.mark.parametrize("words, doing, said", [
    (["retry", "--all"], "500 of 1,700 messages retried", "1,700 dead letters will be delivered again\n"),
    (["drop", "--yes", "--all"], "500 of 1,700 messages dropped", "1,700 messages dropped\n"),
])
def test_long_work_shows_its_progress_to_a_person(sluice, words, doing, said):
    """One line, which is erased at the end; none if standard error is not a terminal."""
    stock_many(sluice, 1700, reason="rejected")
    seen, status = on_terminal(sluice, "queue", *words)
    assert status == 0
    assert re.fullmatch(rf"\r{doing}\x1b\[K(\r1,[057]00 of .*\x1b\[K)*\r\x1b\[K{said}", seen), repr(seen)
    sluice.command("queue", "drop", "--yes", "--state", "pending")
    stock_many(sluice, 1700, reason="rejected")
    assert sluice.command("queue", *words) == said and "500 of" not in sluice.said


def test_an_export_into_a_file_shows_its_progress(sluice, tmp_path):
    """The terminal has only the progress, and the file only the messages."""
    stock_many(sluice, 1700)
    with open(tmp_path / "out", "wb") as out:
        seen, status = on_terminal(sluice, "queue", "export", stdout=out)
    assert status == 0 and len((tmp_path / "out").read_bytes().splitlines()) == 1700
    assert re.fullmatch(r"\r500 messages written\x1b\[K(\r1,[057]00 .*\x1b\[K)*\r\x1b\[K", seen), repr(seen)
    seen, status = on_terminal(sluice, "queue", "export")
    assert status == 0 and len(seen.splitlines()) == 1700 and "\x1b" not in seen and "\r" not in seen
    sluice.command("queue", "export")
    assert "written" not in sluice.said


# -- beside a running sluice


def test_show_prints_the_history_of_attempts(make_sluice, mosquitto, backend):
    """Each attempt has its time and the response; also after sluice queue retry."""
    backend.answer = lambda request: (409, {}, b"conflict %d" % len(backend.requests))
    sluice = make_sluice(backends={"garden": {**backend_section(backend), "max_attempts": 3}})
    sluice.start().wait_connected()
    mosquitto.publish("garden/a/sensor", b"1")
    [dead] = sluice.wait_dead(1)
    sluice.command("queue", "retry", "--all")
    wait_until(lambda: len(backend.requests) == 6, what="three more attempts")
    sluice.wait_dead(1)
    text = re.sub(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", sluice.command("queue", "show", dead["id"]))
    said = [int(n) for n in re.findall(r"conflict (\d)", text)]
    assert said == [1, 2, 3, 4, 5, 6] or said == [0, 1, 2, 3, 4, 5]
    assert re.sub(r"conflict \d", "conflict N", text[text.index("  attempts"):text.index("  payload")]) == (
        "  attempts      3 failed by its own fault\n"
        "  history       TIME  attempt 1: 409: conflict N\n"
        "                TIME  attempt 2: 409: conflict N\n"
        "                TIME  409: conflict N; dead-lettered, reason: attempts\n"
        "                TIME  retried by hand\n"
        "                TIME  attempt 1: 409: conflict N\n"
        "                TIME  attempt 2: 409: conflict N\n"
        "                TIME  409: conflict N; dead-lettered, reason: attempts\n")
    [row] = lines(sluice.command("queue", "show", "--json", dead["id"]))
    assert [event["event"] for event in row["history"]] == ["failed", "failed", "attempts", "retried"] + [
        "failed", "failed", "attempts"]  # fmt: skip
    assert (row["history"][0]["status"], row["history"][0]["attempt"]) == (409, 1)
    times = [event["time"] for event in row["history"]]
    assert times == sorted(times) and times[0].endswith("Z")
    backend.answer = 503
    sluice.command("queue", "retry", "--all")
    sluice.wait_event("backend-away", "garden")
    waits = (r"\n +\S+ \S+  retried by hand\n"
             r"  waits for     backend garden: away since \S+ \S+ \(503.*\), 1 message waiting, probing\n")  # fmt: skip
    wait_until(lambda: re.search(waits, sluice.command("queue", "show", dead["id"])), what="what it waits for")
    sluice.stop()
    assert "  waits for     sluice, which is stopped\n" in sluice.command("queue", "show", dead["id"])


def test_the_history_has_the_failure_that_others_refuted(make_sluice, mosquitto, backend):
    """A backend fails with one message, and others succeed."""
    backend.answer = lambda request: (500, {}, b"oops") if request.body == b"bad" else 200
    sluice = make_sluice(backends={"garden": {**backend_section(backend), "max_attempts": 3}})
    sluice.start().wait_connected()
    mosquitto.publish("garden/bad/sensor", b"bad")
    for n in range(1000):
        if sluice.dead():
            break
        mosquitto.publish("garden/good/sensor", b"%d" % n)
    [dead] = sluice.wait_dead(1)
    [row] = lines(sluice.command("queue", "show", "--json", dead["id"]))
    assert [(event["event"], event["attempt"], event.get("error")) for event in row["history"]] == [
        ("failed", 1, "500: oops"), ("failed", 2, "500: oops"), ("attempts", 3, "500: oops")]


def test_retry_beside_a_running_sluice(sluice, mosquitto, backend):
    """A wrong key is found, repaired, and the dead letters are delivered under their old
    keys, while other messages come and go."""
    backend.answer = lambda request: 400 if b"bad" in request.body else 200
    sluice.start().wait_connected()
    mosquitto.publish_many([("garden/a/sensor", b"bad %d" % n, 1) for n in range(5)])
    keys = {f"{row['id']}" for row in sluice.wait_dead(5)}
    backend.answer = 200
    published = messages(topics=5, each=200)
    load = threading.Thread(target=mosquitto.publish_many, args=([(t, p, 1) for t, p in published],))
    load.start()
    assert sluice.command("queue", "retry", "--all") == "5 dead letters will be delivered again\n"
    load.join()
    backend.wait_for(5 + len(published))
    again = [r for r in backend.delivered() if b"bad" in r.body]
    assert [r.body for r in again] == [b"bad %d" % n for n in range(5)]
    assert {r.key.split("-")[1] for r in again} == keys
    assert per_topic((r.topic, r.body) for r in backend.delivered() if b"bad" not in r.body) == per_topic(published)
    under_one_key_each(backend.requests)
    stops_empty(sluice)


def test_a_retried_message_takes_its_old_place(sluice, mosquitto, backend):
    """It comes before later pending messages; a message in flight is not sent twice."""
    backend.answer = 400
    sluice.start().wait_connected()
    mosquitto.publish_many([("garden/a/sensor", b"%d" % n, 1) for n in range(3)])
    sluice.wait_dead(3)
    backend.answer = "stall"
    published = [("garden/a/sensor", b"%d" % n, 1) for n in range(3, 200)]
    mosquitto.publish_many(published)
    before = len(backend.requests)
    backend.wait_requests(before or 4)
    wait_until(lambda: backend.requests[-1].body == b"3", what="the first of them to be in flight")
    sluice.wait_pending(197)
    sluice.command("queue", "retry", "--all")
    sluice.wait_pending(200)
    backend.answer = 200
    backend.drop_connections()
    backend.wait_for(200)
    bodies = [int(r.body) for r in backend.delivered()]
    assert sorted(bodies) == list(range(200)) and len(set(r.key for r in backend.delivered())) == 200
    in_order = [("garden/a/sensor", b"%d" % n) for n in range(200) if n != 3]
    assert overtakers(backend.requests[before:], in_order) == [], "what waited is in order"
    stops_empty(sluice)


def test_dropped_messages_are_not_delivered(sluice, mosquitto, backend):
    backend.answer = 503
    sluice.start().wait_connected()
    mosquitto.publish_many([(f"garden/{t}/sensor", b"%d" % n, 1) for n in range(300) for t in "ab"])
    sluice.wait_pending(600)
    assert sluice.command("queue", "drop", "--yes", "--topic", "garden/a/#") == "300 messages dropped\n"
    backend.answer = 200
    backend.wait_for(300)
    sluice.wait_empty()
    delivered = per_topic((r.topic, r.body) for r in backend.delivered())
    kept = [("garden/b/sensor", b"%d" % n) for n in range(300)]
    assert sorted(delivered["garden/b/sensor"]) == sorted(body for _, body in kept)
    assert overtakers(list(backend.requests), kept) == []
    assert delivered.get("garden/a/sensor", []) in ([], [b"0"]), "only what was in flight may still arrive"
    assert not [line for line in sluice.log if parse(line).level == "error"]
    stops_empty(sluice)


def told_by_hand(sluice):
    return [int(re.search(r"(\d+) messages", line).group(1))
            for line in sluice.find_events("messages-dropped-by-hand", level="notice")]  # fmt: skip


def test_two_commands_at_once_change_each_row_once(make_sluice, mosquitto, make_backend):
    """Beside a sluice that stores and delivers: each row is changed once, and each
    command tells of those that it changed."""
    backend = make_backend()
    sluice = make_sluice(backends={"garden": backend})
    stock_many(sluice, 6000, reason="rejected")
    sluice.command("queue", "drop", "--yes", "1")  # sluice is stopped, and will not tell of it
    sluice.start().wait_connected()
    counts, threads = {"drop": [1]}, []

    def run(*words):
        said = subprocess.run([binary(), "queue", words[0], "-c", sluice.config_file, *words[1:]], check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        counts.setdefault(words[0], []).append(int(said.split()[0].replace(",", "")))

    for words in (("retry", "--all"), ("drop", "--yes", "--state", "dead"), ("drop", "--yes", "--state", "dead")):
        threads.append(threading.Thread(target=run, args=words))
        threads[-1].start()
    mosquitto.publish_many([("garden/new/sensor", b"%d" % n, 1) for n in range(500)])
    for thread in threads:
        thread.join()
    assert sum(counts["drop"]) + sum(counts["retry"]) == 6000, counts
    backend.wait_for(sum(counts["retry"]) + 500)
    sluice.wait_empty()
    assert sluice.dead() == []
    assert sum(row["messages"] for row in sluice.sql("select messages from dropped")) == sum(counts["drop"])
    wait_until(lambda: sum(told_by_hand(sluice)) == sum(counts["drop"]) - 1, what="the log to tell of it")
    assert bool(counts["retry"][0]) == bool(sluice.find_events("dead-letters-returned"))
    under_one_key_each(backend.requests)
    stops_empty(sluice)


def test_a_large_drop_does_not_hold_up_intake(make_sluice, mosquitto, make_backend):
    """Many messages go while others come: all of those are stored at once, and stay. (For how
    long intake stands still, scripts/bench drop measures.)"""
    backend = make_backend()
    backend.answer = 503
    sluice = make_sluice(backends={"garden": backend}, routes={"sensor": {"topic": "garden/#"}})
    stock_many(sluice, 20000)
    sluice.start().wait_connected()
    command = subprocess.Popen([binary(), "queue", "drop", "-c", sluice.config_file, "--yes", "--topic",
                                "garden/+/sensor"], stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: sluice.pending() < 20000, what="the first rows to go")
        stored = 0
        while command.poll() is None:
            mosquitto.publish_many([("garden/new/sensor", b"%d" % n, 1) for n in range(stored, stored + 20)])
            stored += 20
            wait_until(lambda: sluice.sql("select count(*) as n from message where topic = 'garden/new/sensor'")
                       [0]["n"] == stored, what="the new ones to be stored")  # fmt: skip
        assert stored > 20, "nothing was stored meanwhile"
        dropped = int(command.stdout.read().split()[0].replace(",", ""))
    finally:
        end(command)
        command.stdout.close()
    assert dropped == 20000
    assert sluice.stop() == 0
    assert sluice.pending() == stored


@pytest.fixture
def house():
    if os.geteuid() != 0:
        pytest.skip("to be several users needs root")
    with tempfile.TemporaryDirectory(prefix="sluice-house-") as top:
        os.chmod(top, 0o755)
        yield Path(top, "sluice")


def test_a_group_member_may_read_the_queue(make_sluice, house):
    """An error says what to do for other commands."""
    sluice = make_sluice(dir=house, broker_port=1, backends={"garden": {"url": "https://localhost:1"}})
    stock(sluice, PENDING)
    sluice.start()  # it leaves its log behind, without which those who may not write cannot read
    sluice.stop()
    person, group = 64113, 64112
    os.chown(sluice.dir, 64111, group)
    sluice.dir.chmod(0o2750)
    for path in sluice.dir.iterdir():
        os.chown(path, 64111, group)
        path.chmod(0o640)

    def run(*words, groups=(group,)):
        return subprocess.run([binary(), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              user=person, group=person, extra_groups=groups, cwd="/")

    config = ["-c", str(sluice.config_file)]
    assert run("queue", "count", *config).stdout == "5\n"
    assert "message 1, waiting" in run("queue", "show", *config, "1").stdout
    assert run("status", *config).returncode == 3
    refused = run("queue", "drop", *config, "--yes", "1")
    assert refused.returncode == 1 and "use sudo" in refused.stderr
    readable = sluice.dir.parent / "sluice.conf"
    readable.write_text(sluice.config_file.read_text())
    stranger = run("status", "-c", str(readable), groups=())
    assert stranger.returncode == 1 and stranger.stdout.startswith("whether sluice runs is unknown: ")
    stranger = run("queue", "ls", *config, groups=())
    assert stranger.returncode == 78 and "members of the group sluice" in stranger.stderr
    refused = run("send", *config, "garden/a/sensor", "1")
    assert refused.returncode == 75 and "start it, or use sudo" in refused.stderr
    # As root, the command goes on as the queue's owner: no file is in the daemon's way.
    sluice.command("send", "garden/a/sensor", "1")
    assert {(path.stat().st_uid, path.stat().st_gid) for path in sluice.dir.glob("queue.db*")} == {(64111, group)}


def test_a_group_member_sends_lines_while_sluice_is_restarted(make_sluice, house):
    """Nobody is there who could read a line once more: what may not be written to the
    queue of a stopped sluice waits until it runs."""
    person, owner, group = 64113, 64111, 64112
    sluice = make_sluice(dir=house, broker_port=1, backends={"garden": {"url": "https://localhost:1"}})
    os.chown(sluice.dir, owner, group)
    sluice.dir.chmod(0o2750)
    as_owner = ["setpriv", f"--reuid={owner}", f"--regid={group}", "--clear-groups", "--"]
    sluice.start(prefix=as_owner)
    process = subprocess.Popen([binary(), "send", "-c", str(sluice.config_file), "-l", "garden/usb/sensor"],
                               stdin=subprocess.PIPE, stderr=subprocess.PIPE, user=person, group=person,
                               extra_groups=[group], cwd="/", bufsize=0)
    try:
        process.stdin.write(b"one\n")
        sluice.wait_pending(1)
        assert sluice.stop() == 0
        process.stdin.write(b"two\n")
        assert b"start it, or use sudo; trying again" in process.stderr.readline()
        sluice.start(prefix=as_owner)
        sluice.wait_pending(2)
        process.stdin.write(b"three\n")
        process.stdin.close()
        assert process.wait(20) == 0
        assert [row["payload"] for row in lines(sluice.command("queue", "export"))] == ["one", "two", "three"]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
