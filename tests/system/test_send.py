"""sluice send: messages from scripts on the same machine, through a running sluice or
into the queue of one that is stopped."""
import os
import select
import signal
import socket
import subprocess
import threading

import pytest

from harness.check import overtakers, per_topic, stops_empty, under_one_key_each
from harness.process import end, spawn
from harness.sluice import binary
from harness.wait import PATIENCE_S, wait_until

MIB = 1024 * 1024


def sent(backend):
    return [(r.topic, r.body) for r in backend.delivered()]


def start_send(sluice, *words):
    """A send that goes on, with a pipe to its standard input."""
    return spawn([binary(), "send", "-c", str(sluice.config_file), *words], stdin=subprocess.PIPE,
                 stderr=subprocess.PIPE)


def say(process, text):
    process.stdin.write(text.encode())
    process.stdin.flush()


def hear(process):
    """The next line that it says."""
    assert select.select([process.stderr], [], [], PATIENCE_S)[0], "it says nothing"
    return process.stderr.readline().decode()


def finish(process, timeout=PATIENCE_S):
    process.stdin.close()
    status = process.wait(timeout)
    said = process.stderr.read().decode()
    process.stderr.close()
    return status, said


@pytest.fixture(params=["running", "stopped"])
def house(request, make_sluice, mosquitto, backend):
    sluice = make_sluice(
        backends={"garden": backend},
        routes={"sensor": {"topic": "garden/+/sensor"}, "all": {"topic": ["garden/#", "garden/usb/+"]}},
    )
    if request.param == "running":
        sluice.start().wait_connected()
    return sluice


def test_a_sent_message_is_like_one_from_mqtt(house, backend):
    """It goes to every matching route, and exit status 0 means that it is durable."""
    assert house.command("send", "garden/usb/sensor", '{"soil": 512}') == ""
    assert house.command("send", "garden/usb/air", "-", input=b"\0\1\2\n\n") == ""
    house.command("send", "garden/usb/empty", "")
    if house.running():
        house.kill()  # as a power cut
    house.start()
    backend.wait_for(4)
    house.wait_empty()
    # What was in flight when it was killed comes again, under the same key.
    once = {r.key: (r.topic, r.body) for r in backend.delivered()}
    assert sorted(once.values()) == [("garden/usb/air", b"\0\1\2\n\n"), ("garden/usb/empty", b""),
                                     ("garden/usb/sensor", b'{"soil": 512}'),
                                     ("garden/usb/sensor", b'{"soil": 512}')]  # fmt: skip


def test_each_line_is_a_message(house, backend):
    """As a serial device writes them. Order is kept, blank lines are nothing, what has
    no line end at the end of the input is a line."""
    text = "".join(f"{n}\r\n" for n in range(300)) + "\n\nlast"
    house.command("send", "garden/a/sensor", "-l", input=text)
    if not house.running():
        house.start()
    backend.wait_for(2 * 301)
    house.wait_empty()
    bodies = [body for _, body in sent(backend)]
    assert bodies.count(b"last") == 2
    assert list(dict.fromkeys(bodies)) == [b"%d" % n for n in range(300)] + [b"last"]
    stops_empty(house)


@pytest.mark.parametrize("topic, words", [
    ("nowhere/a", "no route takes this topic"),
    ("garden/+/sensor", "is not a topic: '+' and '#' stand in topic filters only"),
    ("", "is not a topic: it is empty"),
    ("garden/a\nmessage 7, pending", "it holds a control character"),
    ("garden/\x9b/sensor", "it holds a control character"),
])
def test_invalid_and_unrouted_topics_are_refused(house, topic, words):
    for more in (["x"], ["-l"]):
        house.command("send", topic, *more, input="1\n2\n", expect=65)
        assert words in house.said


@pytest.mark.parametrize("words, said", [
    ([], "the topic is missing"),
    (["a"], "the payload is missing; use - for standard input"),  # also in: echo x | sluice send a
    (["a", "b", "c"], "put a payload with blanks into quotes"),
    (["a", "b", "-l"], "-l takes payloads from standard input"),
    (["a", "--lines"], "unknown option '--lines'"),
])
def test_wrong_command_lines(sluice, words, said):
    sluice.command("send", *words, expect=2)
    assert said in sluice.said and len(sluice.said.splitlines()) == 1


def test_a_payload_may_be_a_negative_number(house, backend):
    house.command("send", "garden/out/celsius", "-5")
    house.command("send", "garden/out/celsius", "-.25")
    house.command("send", "garden/out/celsius", "--", "-x")
    house.command("send", "garden/out/celsius", "-x", expect=2)
    house.running() or house.start()
    backend.wait_for(3)
    house.wait_empty()
    assert sent(backend) == [("garden/out/celsius", body) for body in (b"-5", b"-.25", b"-x")]


@pytest.mark.parametrize("more", [1, 60_000, 100_000])
def test_a_line_that_is_too_long_ends_send(house, backend, more):
    """The lines before it are stored."""
    text = "before\n" + MIB * "y" + "\r\n" + (MIB + more) * "x" + "\nbehind\n"
    house.command("send", "garden/long/x", "-l", input=text, expect=65)
    assert "a line has at most 1 MiB" in house.said
    house.command("send", "garden/long/x", "-l", input=(MIB + more) * "x", expect=65)
    house.command("send", "garden/long/x", "-", input=(MIB + more) * "x", expect=65)
    house.running() or house.start()
    backend.wait_for(2)
    house.wait_empty()
    assert [(len(body), body[:6]) for _, body in sent(backend)] == [(6, b"before"), (MIB, b"yyyyyy")]


def test_a_line_is_sent_again_after_a_failed_commit(house, backend):
    """Exit status 0 means durable; a stream sends again what was not stored."""
    fault = {"SLUICE_FAULT": "queue.commit:1:fail"}
    if house.running():
        house.stop()
        house.start(env=fault)
        fault = {}
    house.command("send", "garden/one/x", "1", expect=75, env=fault)
    if house.running():
        house.stop()
        house.start(env={"SLUICE_FAULT": "queue.commit:1:fail"})
    house.command("send", "garden/lines/x", "-l", input="1\n2\n", env=fault)
    assert "trying again" in house.said
    house.running() or house.start()
    backend.wait_for(2)
    house.wait_empty()
    assert sent(backend) == [("garden/lines/x", b"1"), ("garden/lines/x", b"2")]


def test_a_sluice_that_hangs_gets_each_line_once(sluice, mosquitto, backend):
    """One message fails after a time, a stream waits; neither sends again meanwhile."""
    sluice.start().wait_connected()
    lines = start_send(sluice, "garden/lines/sensor", "-l")
    say(lines, "1\n")
    backend.wait_for(1)
    sluice.wait_empty()  # what is in flight when it hangs would be sent again
    sluice.signal(signal.SIGSTOP)
    say(lines, "2\n")
    sluice.command("send", "garden/one/sensor", "x", expect=75, timeout=2 * PATIENCE_S)
    assert "no response for 30 s; the message may be stored" in sluice.said
    assert "waiting for its response" in hear(lines)
    sluice.signal(signal.SIGCONT)
    say(lines, "3\n")
    assert finish(lines)[0] == 0
    backend.wait_for(4)
    stops_empty(sluice)
    assert sorted(sent(backend)) == [("garden/lines/sensor", b"%d" % n) for n in (1, 2, 3)] + [("garden/one/sensor", b"x")]


def test_lines_share_commits(sluice, mosquitto, backend):
    """2,000 lines at once do not take 2,000 fsyncs."""
    backend.answer = 503
    sluice.start().wait_connected()
    before = sluice.status()["daemon"]["since_start"]["fsyncs"]
    sluice.command("send", "garden/a/sensor", "-l", input="".join(f"{n}\n" for n in range(2000)))
    assert sluice.status()["daemon"]["since_start"]["fsyncs"] - before < 500
    sluice.command("queue", "drop", "--all", "--yes")


def test_lines_survive_stops_and_starts(sluice, mosquitto, backend):
    """A device on USB goes on, whether sluice is there or not."""
    sluice.start().wait_connected()
    process = start_send(sluice, "garden/usb/sensor", "-l")
    try:
        say(process, "one\n")
        backend.wait_for(1)
        assert sluice.stop() == 0
        say(process, "two\n")
        sluice.wait_pending(1)
        sluice.start().wait_connected()
        backend.wait_for(2)
        say(process, "three\nfour")
        backend.wait_for(3)
        sluice.kill()
        say(process, " and a half\n")
        sluice.wait_pending(1 if len(backend.delivered()) > 2 and not sluice.sql(
            "select 1 from message where payload = x'7468726565'") else 2)
        sluice.start().wait_connected()
        backend.wait_for(4)
        assert finish(process)[0] == 0
    finally:
        end(process)
    first = dict.fromkeys(body for _, body in sent(backend))
    assert list(first) == [b"one", b"two", b"three", b"four and a half"]
    under_one_key_each(backend.requests)


def test_a_stream_does_not_keep_sluice_from_starting(make_sluice):
    """However many messages are sent to the stopped queue."""
    sluice = make_sluice(broker_port=1, backends={"garden": {"url": "https://localhost:1"}})
    sluice.start()
    assert sluice.stop() == 0
    process = start_send(sluice, "garden/usb/sensor", "-l")

    def stream():
        try:
            while True:
                process.stdin.write(b"x\n" * 1000)
        except (BrokenPipeError, ValueError):
            pass

    writer = threading.Thread(target=stream)
    writer.start()
    try:
        for _ in range(4):
            before = sluice.pending()
            wait_until(lambda: sluice.pending() > before, what="messages of the stopped one")
            sluice.start()
            assert sluice.stop() == 0
    finally:
        end(process)
        writer.join()
        process.stderr.close()


def test_a_delivered_message_is_deleted_while_the_broker_is_away(make_sluice, backend):
    """Its row need not wait for the broker, also where an earlier process stored it;
    else a power cut would have it delivered once more."""
    sluice = make_sluice(broker_port=1, backends={"garden": backend})
    sluice.start()
    sluice.command("send", "garden/a/sensor", "-l", input="1\n2\n")
    backend.wait_for(2)
    sluice.wait_empty()
    assert sluice.stop() == 0
    sluice.command("send", "garden/a/sensor", "3")
    sluice.start()
    backend.wait_for(3)
    sluice.wait_empty()


def test_send_works_beside_mqtt_under_load(sluice, mosquitto, backend):
    sluice.start().wait_connected()
    published = [(f"garden/m{n % 7}/sensor", b"%d" % n, 1) for n in range(700)]
    load = threading.Thread(target=mosquitto.publish_many, args=(published,))
    load.start()
    for sender in range(3):
        sluice.command("send", f"garden/s{sender}/sensor", "-l", input="".join(f"{n}\n" for n in range(200)))
    load.join()
    backend.wait_for(1300)
    got = per_topic(sent(backend))
    for sender in range(3):
        assert got[f"garden/s{sender}/sensor"] == [b"%d" % n for n in range(200)]
    under_one_key_each(backend.requests)
    stops_empty(sluice)


def test_a_full_queue_refuses_one_and_delays_a_stream(make_sluice, mosquitto, backend):
    """The stream is stored when there is room."""
    backend.answer = 503
    sluice = make_sluice(backends={"garden": backend}, queue={"max_messages": 5})
    sluice.start().wait_connected()
    sluice.command("send", "garden/a/sensor", "-l", input="".join(f"{n}\n" for n in range(5)))
    sluice.stop()
    for _ in range(2):
        sluice.command("send", "garden/a/sensor", "x", expect=75)
        assert "the queue is full (max_messages 5)" in sluice.said
        sluice.running() or sluice.start()  # a full queue does not connect
    process = start_send(sluice, "garden/a/sensor", "-l")
    try:
        say(process, "5\n6\n")
        assert b"the queue is full (max_messages 5); trying again" in process.stderr.readline()
        backend.answer = 200
        backend.wait_for(7)
        assert finish(process)[0] == 0
    finally:
        end(process)
    published = [("garden/a/sensor", b"%d" % n) for n in range(7)]
    assert sorted(sent(backend)) == published
    assert overtakers(list(backend.requests), published) == []


def test_a_dropped_message_is_a_failure(make_sluice, mosquitto, backend):
    backend.answer = 503
    sluice = make_sluice(backends={"garden": backend}, queue={"max_messages": 5, "when_full": "drop-newest"})
    sluice.start().wait_connected()
    sluice.command("send", "garden/a/sensor", "-l", input="0\n1\n2\n3\n4\n5\n", expect=None)
    sluice.command("send", "garden/a/sensor", "x", expect=75)
    assert "when_full" in sluice.said


def test_a_message_dropped_for_one_route_is_dropped_for_all(make_sluice, mosquitto, backend):
    """The sender will send it again, so that no route may have it already."""
    backend.answer = 503
    routes = {"one": {"topic": "garden/#"}, "two": {"topic": "garden/+/sensor"}}
    sluice = make_sluice(backends={"garden": backend}, routes=routes,
                         queue={"max_messages": 3, "when_full": "drop-newest"})  # fmt: skip
    sluice.start().wait_connected()
    for n in range(10):
        sluice.command("send", "garden/a/sensor", n, expect=None)
        rows = [row["route"] for row in sluice.sql(f"select route from message where payload = x'3{n}' order by 1")]
        assert rows == (["one", "two"] if sluice.exit_status == 0 else []), n
    assert sluice.exit_status == 75


def test_a_sluice_without_a_socket_is_reported(make_sluice, backend, tmp_path):
    """One message is refused; a stream reports the reason, and goes on after it is corrected."""
    sluice = make_sluice(broker_port=1, backends={"garden": backend})
    text = sluice.config_text()
    sluice.write_config(f"[daemon]\nsocket = {tmp_path}/none/socket\n" + text)
    sluice.start()
    process = start_send(sluice, "garden/a/sensor", "-l")
    try:
        say(process, "1\n")
        line = hear(process)
        assert "sluice runs, but does not listen at" in line and "restart it" in line and "trying again" in line
        assert sluice.stop() == 0
        (tmp_path / "none").mkdir()
        sluice.start()
        assert finish(process) == (0, "sluice send: stored\n")
    finally:
        end(process)
    backend.wait_for(1)


def test_an_invalid_request_ends_the_connection(sluice, mosquitto, backend):
    """Whatever a client of the socket sends, sluice goes on."""
    sluice.start().wait_connected()
    assert "status, look, seen, reload and send are known here" in sluice.ask("hello\n")
    assert sluice.ask("x" * 1000) == "" and sluice.ask("") == ""
    assert sluice.ask("look\n") == "ok\n"
    assert sluice.ask("send\n15 1\ngarden/a/sensor1") == "stored\n"
    assert sluice.ask("send\n15 1\ngarden/a/sensor2bla\n") == "stored\nwrong this is no message\n"
    assert sluice.ask("send\n5 99999999\nhello") == "wrong this is no message\n"
    assert sluice.ask(b"send\n3 1\na\0bx") == "wrong it is empty\n"
    assert sluice.ask("send\n15 10\ngarden/a/sensor1") == "", "what is cut off is no message"
    backend.wait_for(2)
    assert sorted(body for _, body in sent(backend)) == [b"1", b"2"]
    stops_empty(sluice)


def test_each_message_has_a_result_however_many_come_at_once(sluice, mosquitto, backend):
    """Also those that are not stored."""
    sluice.start().wait_connected()
    wrong, unrouted, stored = b"1 1\n#x", b"5 1\nhousex", b"15 1\ngarden/a/sensor1"
    words = [line.split()[0] for line in sluice.ask(b"send\n" + 5000 * wrong).splitlines()]
    assert words == 5000 * ["wrong"]
    mixed = b"send\n" + 400 * (stored + 4 * wrong + unrouted)
    words = [line.split()[0] for line in sluice.ask(mixed).splitlines()]
    assert words == 400 * ["stored", *4 * ["wrong"], "unrouted"]
    backend.wait_for(400)
    stops_empty(sluice)


def test_clients_that_hang_do_not_delay_others(sluice, mosquitto, backend):
    """They send nothing, or half a message, or do not read the responses."""
    sluice.start().wait_connected()
    clients = [socket.socket(socket.AF_UNIX) for _ in range(12)]
    for n, client in enumerate(clients):
        client.connect(sluice.db + "-socket")
        client.setblocking(False)
        try:
            if n % 3 == 1:
                client.send(b"send\n15 100\ngarden/a/sensor")
            elif n % 3 == 2:
                client.send(b"send\n" + b"1 1\nxy" * 100)
                while True:
                    client.send(b"1 1\nxy" * 10000)
        except BlockingIOError:
            pass
    mosquitto.publish("garden/a/sensor", b"1")
    backend.wait_for(1)
    assert sluice.status()["state"] == "running"
    assert sluice.command("send", "garden/a/sensor", "2") == ""
    backend.wait_for(2)
    for client in clients:
        client.close()
    stops_empty(sluice)


def test_senders_leave_connections_for_status(sluice, mosquitto, backend):
    """However many sit there for months."""
    sluice.start().wait_connected()
    clients = [socket.socket(socket.AF_UNIX) for _ in range(32)]
    for client in clients:
        client.connect(sluice.db + "-socket")
        client.sendall(b"send\n15 1\ngarden/a/sensor1")
        assert client.recv(100) == b"stored\n"
    assert sluice.status()["state"] == "running"
    sluice.command("send", "garden/a/sensor", "2", expect=75)
    assert "too many others send" in sluice.said
    clients.pop().close()
    sluice.command("send", "garden/a/sensor", "2")
    for client in clients:
        client.close()
    backend.wait_for(33)
    stops_empty(sluice)


def test_a_socket_that_a_killed_sluice_left_is_replaced(sluice, mosquitto, backend):
    sluice.start().wait_connected()
    sluice.kill()
    assert os.path.exists(sluice.db + "-socket")
    sluice.start().wait_connected()
    assert sluice.status()["state"] == "running"
    assert sluice.stop() == 0
    assert not os.path.exists(sluice.db + "-socket")
