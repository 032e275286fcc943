"""The plain-HTTP door when something is wrong: the backend away, the queue full, the
storage failing, sluice killed; and many clients at once."""
import json
import re
import sqlite3
import subprocess

import pytest
from harness.clients import Clients, numbers
from harness.ports import free_port
from harness.sluice import binary
from harness.wait import wait_until
from harness.web import Web, ask, post


@pytest.fixture
def door(make_sluice, backend):
    """door(settings of [http], **parts): a sluice with the attribute `port`, not started."""

    def make(settings=None, **parts):
        port = free_port()
        sluice = make_sluice(**{"backends": {"garden": backend}, "routes": {}, **parts},
                             http={"listen": f"127.0.0.1:{port}", **(settings or {})})
        sluice.port = port
        return sluice

    return make


def without_repetitions(ns):
    return [n for i, n in enumerate(ns) if i == 0 or n != ns[i - 1]]


def test_an_outage_keeps_the_order_and_keys_of_fifty_clients(door, backend):
    """All that was accepted arrives, in order, and under one key each also where the
    outage took an answer away; commits are shared."""
    sluice = door().start()
    clients = Clients(sluice.port, 50)
    wait_until(lambda: clients.total() >= 300, what="300 requests")
    backend.stop()
    before = clients.total()
    wait_until(lambda: clients.total() >= before + 1000, 60, "1000 more, with the backend away")
    backend.start()
    accepted = clients.stop()
    sluice.wait_empty(60)
    got = numbers(backend.delivered())
    for client, ns in enumerate(accepted):
        assert without_repetitions(got[f"/api/c{client}"])[: len(ns)] == ns
    assert sluice.stop() == 0
    stopped = sluice.stopped()
    assert stopped["stored"] == stopped["delivered"] == len({r.key for r in backend.delivered()})


def test_a_full_queue_answers_503(door, backend):
    backend.stop()
    sluice = door(queue={"max_messages": "20"}).start()
    with Web(sluice.port) as web:
        answers = []
        while not answers or answers[-1].status == 202:
            answers.append(web.send(post("/api/c", b'{"n":%d}' % len(answers))).response())
            assert len(answers) < 1000
        assert answers[-1].status == 503
        assert answers[-1].headers["retry-after"] == "10"
        assert json.loads(answers[-1].body) == {"error": "the queue is full"}
    sluice.wait_event("http-unavailable", 503)
    accepted = len(answers) - 1
    assert sluice.pending() == accepted
    backend.start()
    wait_until(lambda: ask(sluice.port, post("/api/c", b'{"n":-1}')).status == 202, what="room again")
    backend.wait_for(accepted + 1)
    assert numbers(backend.delivered())["/api/c"] == [*range(accepted), -1]


def test_drop_newest_answers_503(door, backend):
    backend.stop()
    sluice = door(queue={"max_messages": "20", "when_full": "drop-newest"}).start()
    statuses = [ask(sluice.port, post("/api/c")).status for _ in range(40)]
    accepted = statuses.count(202)
    assert statuses == [202] * accepted + [503] * (40 - accepted) and accepted < 40
    assert sluice.pending() == accepted
    assert sluice.sql("select sum(messages) as n from dropped")[0]["n"] == 40 - accepted


def test_a_failed_commit_is_answered_503(door, backend):
    """No commit, no 202; the trial commits find out when it works again, without a broker."""
    sluice = door().start(env={"SLUICE_FAULT": "queue.commit:2:fail:1,queue.trial:1:fail:1"})
    assert ask(sluice.port, post("/api/c", b'{"n":0}')).status == 202
    response = ask(sluice.port, post("/api/c", b'{"n":1}'))
    assert response.status == 503
    assert json.loads(response.body) == {"error": "the queue cannot be written"}
    wait_until(lambda: ask(sluice.port, post("/api/c", b'{"n":2}')).status == 202, what="the storage to work")
    backend.wait_for(2)
    assert numbers(backend.delivered())["/api/c"] == [0, 2]


def test_clients_wait_while_the_database_is_locked(door, backend):
    """Clients wait while somebody else writes."""
    sluice = door().start()
    assert ask(sluice.port, post("/api/c", b'{"n":0}')).status == 202
    sluice.wait_empty()
    other = sqlite3.connect(sluice.db, isolation_level=None)
    other.execute("begin immediate")
    with Web(sluice.port) as web:
        web.send(post("/api/c", b'{"n":1}'))
        assert ask(sluice.port, b"GET /api/x HTTP/1.1\r\n\r\n").status == 200 # the loop goes round meanwhile
        other.execute("rollback")
        assert web.response().status == 202
    other.close()
    assert sluice.status()["daemon"]["since_start"]["longest_lock_ms"] > 0
    assert [r.method for r in backend.wait_for(2)][:2] == ["POST", "GET"]


@pytest.mark.parametrize("fault", ["http.response:5:kill", "queue.commit:5:kill"])
def test_a_kill_around_the_commit_stores_a_keyed_request_once(door, backend, fault):
    """Between COMMIT and answer: the client does not know, and sends it again; under its
    key that is one message. Before the COMMIT: there is no message, and no answer."""
    backend.stop()
    sluice = door().start(env={"SLUICE_FAULT": fault})
    clients = Clients(sluice.port, 8, keys=True)
    wait_until(lambda: not sluice.running(), what="sluice to be killed")
    sluice.wait_exit()
    sluice.start()
    before = clients.total()
    wait_until(lambda: clients.total() >= before + 100, what="requests to be accepted again")
    accepted = clients.stop()
    backend.start()
    sluice.wait_empty(60)
    got = numbers(backend.delivered())
    for client, ns in enumerate(accepted):
        assert got[f"/api/c{client}"][: len(ns)] == ns # once, and in order
    assert len({r.key for r in backend.delivered()}) == len(backend.delivered())


def test_a_kill_after_the_commit_repeats_a_request_without_key(door, backend):
    backend.stop()
    sluice = door().start(env={"SLUICE_FAULT": "http.response:1:kill"})
    assert ask(sluice.port, post("/api/c", b'{"n":7}')) is None
    sluice.wait_exit()
    sluice.start()
    assert sluice.pending() == 1
    backend.start()
    backend.wait_for(1)
    assert numbers(backend.delivered())["/api/c"] == [7]


def test_a_stop_answers_stored_requests(door, backend):
    sluice = door().start()
    clients = Clients(sluice.port, 20)
    wait_until(lambda: clients.total() >= 200, what="200 requests")
    assert sluice.stop() == 0
    sluice.start()
    before = clients.total()
    wait_until(lambda: clients.total() >= before + 100, what="more, after the restart")
    accepted = clients.stop()
    sluice.wait_empty(60)
    got = numbers(backend.delivered())
    for client, ns in enumerate(accepted):
        assert without_repetitions(got[f"/api/c{client}"])[: len(ns)] == ns


def test_reloads_disturb_no_client(door, backend):
    sluice = door().start()
    clients = Clients(sluice.port, 10)
    for n in range(3):
        before = clients.total()
        wait_until(lambda: clients.total() >= before + 50, what="50 requests")
        sluice.reload(http={**sluice.parts["http"], "max_body": f"{n + 1}K"})
    accepted = clients.stop()
    sluice.wait_empty(60)
    got = numbers(backend.delivered())
    for client, ns in enumerate(accepted):
        assert got[f"/api/c{client}"][: len(ns)] == ns


def test_http_and_mqtt_share_the_queue(door, backend, mosquitto):
    sluice = door(routes={"sensor": {"topic": "garden/+/sensor", "path": "/collections/sensor"}})
    sluice.start().wait_connected()
    publisher = mosquitto.client()
    clients = Clients(sluice.port, 4)
    for n in range(500):
        publisher.publish("garden/a/sensor", b'{"n":%d}' % n, 1)
    wait_until(lambda: clients.total() >= 100, what="100 requests")
    accepted = clients.stop()
    backend.wait_for(500 + sum(map(len, accepted)), 60)
    publisher.disconnect()
    publisher.loop_stop()
    sluice.wait_empty(60)
    got = numbers(backend.delivered())
    assert got["/api/collections/sensor"] == list(range(500))
    for client, ns in enumerate(accepted):
        assert got[f"/api/c{client}"][: len(ns)] == ns
    # Without a broker that confirms anything, HTTP goes on, and rows go.
    mosquitto.stop()
    assert ask(sluice.port, post("/api/c", b'{"n":1}')).status == 202
    sluice.wait_empty()


def test_no_broker_is_needed_for_http_alone(door, backend):
    sluice = door(broker_port=free_port()).start()
    assert ask(sluice.port, post("/api/c")).status == 202
    backend.wait_for(1)
    sluice.wait_empty()
    assert sluice.stop() == 0
    assert not sluice.find_events(["broker-connected", "broker-away"])


def test_requests_within_commit_delay_share_a_commit(door, backend):
    """What comes within it shares a commit, and waits for its answer."""
    sluice = door(queue={"commit_delay": "300ms"}).start()
    webs = [Web(sluice.port) for _ in range(10)]
    for _ in range(3):
        for web in webs:
            web.send(post("/api/c"))
        assert [web.response().status for web in webs] == [202] * 10
    backend.wait_for(30)
    assert sluice.stop() == 0


def test_status_knows_no_broker_where_there_is_none(door, backend):
    sluice = door(queue={"clock": "trust"}).start()
    assert ask(sluice.port, post("/api/c")).status == 202
    sluice.wait_empty()
    done = subprocess.run([binary(), "status", "-c", str(sluice.config_file)], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done
    assert "broker" not in done.stdout and re.search(r"^\S*\s*http\b", done.stdout, re.M), done.stdout
