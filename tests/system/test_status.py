"""sluice status, of a running sluice and of a stopped one."""
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
from pathlib import Path

import pytest

from harness.blackhole import BlackHole
from harness.ports import free_port
from harness.events import parse
from harness.sluice import binary
from harness.stock import RECEIVED_MS, stock
from harness.wait import wait_until
from harness.web import Web, ask, post

STOPPED = """\
sluice is stopped; the queue has:
routes        heartbeat 1 waiting, the oldest for AGE, 1 late
              sensor 3 waiting, the oldest for AGE, 1 deferred, 2 dead letters
              old 0 waiting, 1 dead letter
dead letters  1 attempts, 2 rejected
dropped       7 by-hand, 12 max_size
disk          queue SIZE, its log SIZE, SIZE free
! route sensor: 1 message deferred (500: oops); sluice queue ls --state deferred lists it
! 3 dead letters that nobody has looked at; sluice queue ls --state dead lists them, and ends this line
"""
DEFERRED = {"deferred": 1, "attempts": 2, "last_status": 500, "last_error": "500: oops"}


def test_a_stopped_sluice_has_the_status_of_its_queue(sluice):
    stock(sluice, [{}, {}, {"route": "heartbeat", "late_since_uptime_ms": 0}, DEFERRED],
          [{}, {}, {"route": "old", "reason": "attempts"}])
    with sqlite3.connect(sluice.db) as database:
        database.executemany("insert into dropped values (?, ?, ?, 100, ?, ?)",
                             [("max_size", "sensor", 12, RECEIVED_MS, RECEIVED_MS),
                              ("by-hand", "sensor", 3, RECEIVED_MS, RECEIVED_MS),
                              ("by-hand", "old", 4, RECEIVED_MS, RECEIVED_MS)])  # fmt: skip
    text = sluice.command("status", expect=3)
    text = re.sub(r"for \d[^,\n]*", "for AGE", text)
    text = re.sub(r"\d[\d.]* (bytes|[kMGT]B)", "SIZE", text)
    text = re.sub(r"^ +warning: it is (in memory|on an overlay).*\n", "", text, flags=re.M)  # as this machine is
    assert text.replace(f" -c {sluice.config_file}", "") == STOPPED  # its commands have the file
    assert text.count(f"sluice queue ls -c {sluice.config_file} --state ") == 2
    status = sluice.status(expect=3)
    assert status["state"] == "stopped" and "daemon" not in status and len(status["problems"]) == 2
    assert status["queue"]["routes"][1] == {"name": "sensor", "waiting": 3, "oldest": "2026-11-22T17:36:41.000Z",
                                            "late": 0, "retried": 1, "deferred": 1,
                                            "deferred_why": "500: oops"}  # fmt: skip
    assert (status["queue"]["routes"][0]["deferred"], status["queue"]["routes"][0]["deferred_why"]) == (0, None)
    assert status["queue"]["dropped"][0]["last"] == "2026-11-22T17:36:40.000Z"
    assert sluice.command("status", "--quiet", expect=3) == ""


def test_a_message_that_was_delivered_does_not_wait(make_sluice, make_backend):
    """Its row is deleted within a second; a person who asks earlier must not see it."""
    sluice = make_sluice(backends={"garden": make_backend()}, queue={"clock": "trust"}, broker=None)
    sluice.start()
    for n in range(5):
        sluice.command("send", "garden/a/sensor", str(n))
        status = wait_until(lambda: (s := sluice.status())["daemon"]["since_start"]["delivered"] > n and s, what="the delivery")
        assert not any(route["waiting"] for route in status["queue"]["routes"])


def test_a_running_sluice_without_problems(make_sluice, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend}, queue={"clock": "trust"})
    sluice.start().wait_connected()
    mosquitto.publish_many([("garden/a/sensor", b"%d" % n, 1) for n in range(10)])
    backend.wait_for(10)
    sluice.wait_empty()
    text = sluice.command("status", expect=0)
    for words in (r"sluice 0\.1\.0 is running since .*, pid \d+", r"broker +127\.0\.0\.1:\d+ connected, MQTT 5, since",
                  r"backends +garden ok, https://localhost:\d+/api", r"routes +sensor ok, 0 waiting\n",
                  r"messages +(10 in and 10 out in the last \S+ m?s; )?10 in and 10 out since the start", r"dead letters +none", r"fsync takes [\d.]+ ms",
                  r"clock +right \(clock = trust\)"):
        assert re.search(words, text), f"{words}\n{text}"
    assert "!" not in text and "\x1b" not in text
    status = sluice.status(expect=0)
    assert status["daemon"]["last_minute"]["stored"] == status["daemon"]["last_minute"]["delivered"] == 10
    assert status["daemon"]["pid"] == sluice.process.pid


def test_problems_have_the_reason_and_the_next_try(make_sluice, mosquitto, make_backend):
    """Each backend and route has its own."""
    away, wrong = make_backend(), make_backend()
    away.answer, wrong.answer = 503, 403
    slow = {"retry_min": "30s", "retry_max": "60s"}
    sluice = make_sluice(
        backends={"away": {"url": away.url, "ca_file": away.ca_file, **slow},
                  "wrong": {"url": wrong.url, "ca_file": wrong.ca_file}},
        routes={"one": {"topic": "garden/+/sensor", "backend": "away"},
                "two": {"topic": "garden/+/sensor", "backend": "wrong"}},
        queue={"clock": "trust"})  # fmt: skip
    stock(sluice, [{"route": "gone"}])
    sluice.start().wait_connected()
    mosquitto.publish("garden/a/sensor", b"1")
    sluice.wait_event("route-misconfigured", "two")
    wait_until(lambda: len(sluice.status(expect=4)["problems"]) >= 3, what="three problems")
    problems = sluice.status(expect=4)["problems"]
    assert any(re.fullmatch(r"backend away: away since [\d-]+ [\d:]+ \(503: .*\), 1 message waiting, (next probe in \d+ s|probing)", p)
               for p in problems), problems  # fmt: skip
    assert any(re.match(r"(route two|backend wrong): misconfigured since .* \(403.*\), 1 message waiting, ", p) for p in problems), problems
    assert any(p.startswith("route gone: 1 message is held: the configuration does not have it. If it was renamed, ")
               for p in problems), problems
    text = sluice.command("status", expect=4)
    assert all(f"! {problem.split(' since')[0]}" in text for problem in problems)
    assert "gone held, 1 waiting" in text
    sluice.command("status", "-q", expect=4)


def test_the_first_connection_has_ten_seconds(make_sluice, backend):
    """status -q right after a start is no alarm. A broker that then does not respond is one."""
    silent = BlackHole(handshake=True)
    try:
        sluice = make_sluice(broker_port=silent.port, backends={"garden": backend}, queue={"clock": "trust"}).start()

        def is_late():
            status = sluice.status()
            late = status["daemon"]["seconds"] >= 10
            assert (status["problems"] != []) == late, status["problems"]
            return late

        wait_until(is_late, what="ten seconds")
    finally:
        silent.close()


def test_deferred_messages_are_a_problem(make_sluice, backend):
    """Also while the route works. The reason is that of the newest one."""
    slow = {"retry_min": "1h", "retry_max": "1h"}
    sluice = make_sluice(
        backends={"garden": {"url": backend.url, "ca_file": backend.ca_file, **slow}}, queue={"clock": "trust"},
        routes={name: {"topic": f"garden/+/{name}"} for name in ("sensor", "heartbeat", "quiet")})  # fmt: skip
    without = {"last_status": None, "last_error": None}
    stock(sluice, [*[DEFERRED] * 1200, {**DEFERRED, "last_status": 504, "last_error": "504: slow"},
                   {**DEFERRED, **without, "route": "heartbeat"}])  # fmt: skip
    sluice.start().wait_connected()
    text = sluice.command("status", expect=4)
    option = f" -c {sluice.config_file}"
    assert f"! route sensor: 1,201 messages deferred (504: slow); sluice queue ls{option} --state deferred lists them\n" in text
    assert f"! route heartbeat: 1 message deferred (no response); sluice queue ls{option} --state deferred lists it\n" in text
    assert re.search(r" sensor ok, 1,201 waiting, the oldest for [^,]*, 1,201 deferred\n", text)
    assert text.count("deferred (") == len(sluice.status(expect=4)["problems"]) == 2


def test_a_broker_that_is_away_is_a_problem(make_sluice, backend):
    port = free_port()
    sluice = make_sluice(broker_port=port, backends={"garden": backend}, queue={"clock": "trust"})
    sluice.start()
    sluice.wait_event("broker-away")
    [problem] = sluice.status(expect=4)["problems"]
    assert re.match(rf"broker 127.0.0.1:{port}: away since .* \(Connection refused: is it running\? .*\)", problem)


def test_a_full_queue_is_a_problem(make_sluice, mosquitto, backend):
    backend.answer = 503
    sluice = make_sluice(backends={"garden": backend}, queue={"max_messages": 3, "clock": "trust"})
    sluice.start().wait_connected()
    mosquitto.publish_many([("garden/a/sensor", b"%d" % n, 1) for n in range(5)])
    sluice.wait_event("queue-full")
    wait_until(lambda: any("holding" in p and "max_messages 3" in p for p in sluice.status()["problems"]),
               what="the problem")
    assert sluice.status()["daemon"]["queue"]["full"] == "max_messages 3"


HTTP = """\
http          127.0.0.1:{free}, 127.0.0.1:{taken} (not listening), 1 of 9 connections
              20 stored, 1 repeated, 1 passed on, 2 refused, 1 sent away (503)
"""


def test_http_has_its_addresses_connections_and_requests(make_sluice, backend):
    """The counters of requests, and the reason why clients get 503."""
    backend.stop()
    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        sluice = make_sluice(backends={"garden": backend}, routes={}, queue={"clock": "trust", "max_messages": 20},
                             http={"listen": [f"127.0.0.1:{port}", f"127.0.0.1:{taken}"], "max_connections": 9})
        sluice.start()
        text = sluice.command("status", expect=4)
        assert f"! http 127.0.0.1:{taken}: sluice cannot listen there: Address already in use" in text
        with Web(port) as web:
            keyed = post("/api/c", headers=["Idempotency-Key: k"])
            for data, status in [(keyed, 202), (keyed, 202), *[(post("/api/c"), 202)] * 19, (post("/api/c"), 503),
                                 (post("/x"), 404), (b"GET /api/c HTTP/1.1\r\n\r\n", 502)]:  # fmt: skip
                assert web.send(data).response().status == status
            assert ask(port, post("/api/c", headers=["X: " + "x" * 40_000])).status == 431
            wait_until(lambda: sluice.status()["daemon"]["http"][0]["connections"] == 1, what="the other to be gone")
            text = sluice.command("status", expect=4)
    assert HTTP.format(free=port, taken=taken) in text
    assert "! http: clients get 503 (max_messages 20)\n" in text
    sluice.wait_event("http-listening", f"127.0.0.1:{taken}")
    backend.start()
    sluice.wait_empty()
    wait_until(lambda: not any("http" in p for p in sluice.status()["problems"]), what="no problem with HTTP")
    [door] = sluice.status()["daemon"]["http"]
    assert all(listen["listening"] for listen in door["listen"]) and door["state"] == "ok" and door["name"] == ""


MANUAL = Path(binary()).parent / "man" / "sluice-control.7"
TYPES = {str: {"text", "time"}, type(None): {"text", "time"}, bool: {"true or false"}, int: {"number"},
         float: {"number"}, dict: {"object"}, list: {"list"}}  # fmt: skip


def documented_fields():
    rows = re.findall(r"^\.It Li (\S+) Pq (.*?)(?: of .*)?$", MANUAL.read_text(), re.M)
    for place, kind in rows:
        before, names, after = re.fullmatch(r"(.*?)(?:\{(.*)\})?([^{}]*)", place).groups()
        for name in (names or "").split(","):
            yield before + name + after, kind


def fields_of(value, place=""):
    for name, inner in value.items():
        yield (place + name, type(inner))
        if isinstance(inner, dict):
            yield from fields_of(inner, f"{place}{name}.")
        for item in inner if isinstance(inner, list) else []:
            if isinstance(item, dict):
                yield from fields_of(item, f"{place}{name}[].")


def test_the_manual_has_every_field_with_its_type(make_sluice, make_mosquitto, make_backend, tmp_path):
    documented = dict(documented_fields())
    (tmp_path / "acl").write_text("topic readwrite garden/+/sensor\n")  # and no acknowledgements
    mosquitto = make_mosquitto(extra=f"acl_file {tmp_path}/acl")
    away = make_backend()
    away.answer = 503
    sluice = make_sluice(
        broker_port=mosquitto.port,
        backends={"away": {"url": away.url, "ca_file": away.ca_file, "retry_min": "30s", "retry_max": "60s"}},
        routes={"one": {"topic": "garden/+/sensor", "body": "json", "batch": 5, "ack_topic": "garden/{2}/ack"}},
        queue={"clock": "trust"}, http={"listen": f"127.0.0.1:{free_port()}"})  # fmt: skip
    sluice.start().wait_connected()  # so that there is a session
    sluice.stop()
    stock(sluice, [{"route": "gone"}], [{}])
    with sqlite3.connect(sluice.db) as database:
        database.execute("insert into dropped values ('max_size', 'one', 12, 100, 1, 2)")
        database.execute("insert into problem values ('disk', 1, 'it is slow')")
        database.execute("update session set lost_since_ms = 1, lost_until_ms = 2")
        database.execute("insert into session (client_id, protocol, broker, reuses_ids, left_ms)"
                         " values ('earlier', 4, 'localhost:1883', 0, 1)")
    seen = set(fields_of(sluice.status(expect=3)))
    sluice.start().wait_connected()
    mosquitto.publish("garden/a/sensor", b'{"b": 7, "s": 1, "lo": 1}')
    sluice.wait_event("backend-away", "away")
    wait_until(lambda: sluice.status()["daemon"]["broker"]["undelivered_acks"], what="the ACL to be noticed")
    seen |= set(fields_of(sluice.status(expect=4)))
    mosquitto.stop()
    sluice.wait_event("broker-away")
    sluice.reload(queue={**sluice.parts["queue"], "max_messages": 1})
    wait_until(lambda: sluice.status()["daemon"]["queue"]["problems"], what="the problem of a full queue")
    seen |= set(fields_of(sluice.status(expect=4)))
    assert {place for place, _ in seen} - set(documented) == set()
    assert all(documented[place] in TYPES[kind] for place, kind in seen)
    same_as_backends = {f"daemon.routes[].{name}" for name in ("since", "why", "probing", "next_try", "failures")}
    assert set(documented) - {place for place, _ in seen} == {"no_answer", "no_queue"} | same_as_backends


def test_an_unknown_state_is_a_failure(make_sluice, tmp_path, backend):
    """A sluice that runs and does not respond; a queue that is not a database."""
    sluice = make_sluice(broker_port=1, backends={"garden": backend})
    sluice.command("status", expect=1)
    assert "there is no queue here" in sluice.command("status", expect=1)
    sluice.start()
    os.unlink(sluice.db + "-socket")
    text = sluice.command("status", expect=1)
    assert re.match(r"sluice runs \(pid \d+\), but does not respond: its socket \S+ was moved or deleted", text)


def test_a_sluice_whose_directory_was_moved_is_not_stopped(make_sluice, tmp_path, backend):
    """Its socket is beside the queue, and nobody can reach it."""
    place = tmp_path / "disk"
    place.mkdir()
    sluice = make_sluice(broker_port=1, backends={"garden": backend}, queue={"path": place / "queue.db"}).start()
    place.rename(tmp_path / "elsewhere")
    text = sluice.command("status", expect=1)
    assert text.startswith(f"sluice runs, but does not respond: its socket {place}/queue.db-socket was moved or deleted"), text
    assert "stopped" not in text and "there is no queue here" not in text
    assert json.loads(sluice.command("status", "--json", expect=1))["state"] == "no answer"
    sluice.kill()
    text = sluice.command("status", expect=1)
    assert text.startswith("sluice is stopped") and "there is no queue here" in text


@pytest.mark.parametrize("words, said", [(["x"], "unexpected 'x'"), (["--jsno"], "did you mean '--json'?")])
def test_wrong_command_lines(sluice, words, said):
    sluice.command("status", *words, expect=2)
    assert said in sluice.said


def test_sluice_runs_without_its_socket(make_sluice, mosquitto, backend, tmp_path):
    taken = socket.socket(socket.AF_UNIX)
    taken.bind(str(tmp_path / "taken"))
    taken.listen()
    for path, words in ((tmp_path / "none" / "socket", "there is no such directory"),
                        (tmp_path / "taken", "already in use"), (tmp_path / ("x" * 70), "too long")):
        sluice = make_sluice(backends={"garden": backend})
        sluice.write_config(f"[daemon]\nsocket = {path}\n" + sluice.config_text())
        sluice.start()
        sluice.wait_event("socket-unavailable", words)
        assert sluice.stop() == 0
    taken.close()
    assert (tmp_path / "taken").exists()


def test_log_level_limits_the_log(make_sluice, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend})
    text = sluice.config_text()
    sluice.write_config("[daemon]\nlog_level = debug\n" + text)
    sluice.start().wait_connected()
    mosquitto.publish("nowhere", b"1")
    mosquitto.publish("garden/a/sensor", b"1")
    backend.wait_for(1)
    sluice.reload("[daemon]\nlog_level = debug\n" + text)
    sluice.write_config("[daemon]\nlog_level = warning\n" + text)
    before = len(sluice.log)
    sluice.signal(signal.SIGHUP)
    mosquitto.publish("garden/a/sensor", b"2")
    backend.wait_for(2)
    assert sluice.stop() == 0
    assert not [line for line in sluice.log[before + 1:] if parse(line).level in ("notice", "info", "debug")], sluice.log[before:]


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["queue", "ls"], ["queue", "count"], ["queue", "export"]])
def test_output_that_cannot_be_written_is_a_failure(sluice, words):
    stock(sluice, [{}] * 3)
    words = [words[0], *words[1:], "-c", sluice.config_file]
    with open("/dev/full", "wb") as full:
        ended = subprocess.run([binary(), *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == f"sluice {' '.join(words[:2 if words[0] == 'queue' else 1])}: standard output cannot be written\n"


def test_a_lock_on_another_disk_is_not_sluice_s(make_sluice, backend, tmp_path):
    """A file there may have the same inode number."""
    sluice = make_sluice(backends={"garden": backend})
    for name in ("queue", "other"):
        (tmp_path / name).mkdir()
    config = tmp_path / "sluice.conf"
    config.write_text(f"[queue]\npath = {tmp_path}/queue/queue.db\n" + sluice.config_text().replace("[queue]\n", "", 1))
    result = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-euc", """
        cd "$0"; mount -t tmpfs one queue; mount -t tmpfs two other
        touch queue/queue.db-lock; wanted=$(stat -c %i queue/queue.db-lock); n=0
        while touch other/$n; [ $(stat -c %i other/$n) != $wanted ]; do n=$((n + 1)); [ $n -lt 1000 ]; done
        flock other/$n sleep 600 &
        until grep -q ":$wanted " /proc/locks; do sleep 0.05; done
        "$1" status -c sluice.conf""", tmp_path, binary()], stdin=subprocess.DEVNULL, capture_output=True, text=True)  # fmt: skip
    assert "sluice is stopped" in result.stdout, result
