"""Secrets, certificates and keys that are replaced in place: no reload, and no restart."""
import os
import re
import shutil
import ssl

import pytest

from harness.nginx import Nginx
from harness.sluice import backend_section
from harness.wait import wait_until

TRUSTED = {"clock": "trust"}


def write(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


# -- secrets


@pytest.fixture
def token(tmp_path):
    return write(tmp_path / "token", "old\n")


@pytest.fixture
def sluice(make_sluice, backend, token):
    """Its backend knows one token."""
    backend.token = "old"
    backend.answer = lambda r: 200 if r.headers.get("authorization") == f"Bearer {backend.token}" else 401
    return make_sluice(backends={"garden": backend_section(backend, bearer=f"@{token}", retry_max="1s")}, queue=TRUSTED)


def test_a_token_that_is_replaced_in_place_is_taken_up(sluice, mosquitto, backend, token):
    sluice.start().wait_connected()
    mosquitto.publish("garden/a/sensor", b"1")
    backend.wait_for(1)
    backend.token = "n3w"
    for topic in "abc":  # one alone could be at fault itself
        mosquitto.publish(f"garden/{topic}/sensor", b"2")
    sluice.wait_event("route-misconfigured", "sensor", 401)
    token.write_text("")  # while somebody writes it
    token.write_text("n3w\n")
    backend.wait_for(4)
    sluice.wait_event("secrets-reloaded", level="notice")
    assert "n3w" not in sluice.log_text()
    sluice.command("status", expect=0)
    assert not sluice.find_events("config-reloaded")  # nobody asked for the files


def test_secrets_are_taken_up_without_what_else_was_edited(sluice, mosquitto, backend, token):
    """The files are somebody's work in progress."""
    sluice.start().wait_connected()
    sluice.write_config(sluice.config_text(routes={"sensor": {"topic": "garden/+/sensor", "path": "/edited"}}))
    backend.token = "n3w"
    write(token, "n3w\n")
    sluice.wait_event("secrets-reloaded")
    mosquitto.publish("garden/a/sensor", b"1")
    assert [request.path for request in backend.wait_for(1)] == ["/api/collections/sensor"]


def test_a_secret_that_is_deleted_stays_in_use_until_the_next_start(sluice, mosquitto, backend, token):
    sluice.start().wait_connected()
    token.unlink()
    [problem] = sluice.status()["problems"]
    assert f"bearer = @{token}: there is no such file" in problem
    mosquitto.publish("garden/a/sensor", b"1")
    backend.wait_for(1)


@pytest.mark.parametrize("unusable", ["", "two\nlines\n", None])
def test_an_unusable_secret_does_not_delay_the_others(make_sluice, mosquitto, backend, make_backend, token, tmp_path, unusable):
    """It stays as it was, and status names its file."""
    other, second = make_backend(), write(tmp_path / "second", "old\n")
    sluice = make_sluice(backends={"garden": backend_section(backend, bearer=f"@{token}"),
                                   "other": backend_section(other, bearer=f"@{second}")}, queue=TRUSTED,
                         routes={"a": {"topic": "a/#", "path": "/a", "backend": "garden"},
                                 "b": {"topic": "b/#", "path": "/b", "backend": "other"}})  # fmt: skip
    sluice.start().wait_connected()
    if unusable is None:
        token.unlink()
    else:
        write(token, unusable)
    write(second, "n3w\n")
    sluice.wait_event("secrets-reloaded")
    mosquitto.publish("a/1", b"1")
    mosquitto.publish("b/1", b"2")
    assert [r.headers["authorization"] for r in backend.wait_for(1) + other.wait_for(1)] == ["Bearer old", "Bearer n3w"]
    assert any(f"bearer = @{token}: " in line for line in sluice.status()["problems"])
    write(second, "newer\n")
    sluice.wait_events(2, "secrets-reloaded")


@pytest.mark.parametrize("missing", range(3))
def test_a_start_without_a_secret_takes_the_others_as_they_are(make_sluice, mosquitto, make_backend, tmp_path, missing):
    """One begins with digits, one with a blank."""
    values = ["plain", "202511180001", " 7 8"]
    backends = [make_backend() for _ in values]
    files = [write(tmp_path / f"s{i}", values[i] + "\n") for i in range(3)]
    sluice = make_sluice(queue=TRUSTED,
                         backends={f"b{i}": backend_section(backends[i], header=f"X-Key: @{files[i]}") for i in range(3)},
                         routes={f"r{i}": {"topic": f"t/{i}", "path": "/", "backend": f"b{i}"} for i in range(3)})  # fmt: skip
    sluice.start().wait_connected()
    sluice.stop()
    files[missing].unlink()
    sluice.start().wait_connected()
    for i in range(3):
        mosquitto.publish(f"t/{i}", b"1")
    others = [i for i in range(3) if i != missing]
    assert [backends[i].wait_for(1)[0].headers["x-key"].strip() for i in others] == [values[i].strip() for i in others]
    write(files[others[0]], "n3w\n")
    sluice.wait_event("secrets-reloaded")
    mosquitto.publish(f"t/{others[0]}", b"2")
    assert backends[others[0]].wait_for(2)[1].headers["x-key"] == "n3w"
    write(files[missing], values[missing] + "\n")
    assert backends[missing].wait_for(1)[0].headers["x-key"].strip() == values[missing].strip()


def test_a_start_without_a_secret_delivers_to_the_other_backends(make_sluice, mosquitto, backend, make_backend, token):
    """The one that lacks its secret waits, gets no request without it, and goes on when it is there again."""
    other = make_backend()
    sluice = make_sluice(backends={"garden": backend_section(backend, bearer=f"@{token}"), "other": other}, queue=TRUSTED,
                         routes={"a": {"topic": "a/#", "path": "/a", "backend": "garden"},
                                 "b": {"topic": "b/#", "path": "/b", "backend": "other"}})  # fmt: skip
    sluice.start().wait_connected()
    sluice.stop()
    token.unlink()
    sluice.start().wait_connected()
    sluice.wait_event("config-fallback", level="error")
    mosquitto.publish("a/1", b"1")
    mosquitto.publish("b/1", b"2")
    other.wait_for(1)
    sluice.wait_event("backend-misconfigured", "garden", str(token), "there is no such file", level="error")
    assert any(re.search(rf"garden: misconfigured since .*{token}", line) for line in sluice.status()["problems"])
    sluice.wait_pending(1)
    assert backend.requests == []
    write(token, "old\n")
    [request] = backend.wait_for(1)
    assert request.headers["authorization"] == "Bearer old"
    sluice.command("reload", expect=0)
    wait_until(lambda: sluice.status()["problems"] == [], what="a status without problems")


def test_a_start_without_a_file_of_tls_delivers_to_the_other_backends(make_sluice, mosquitto, backend, make_backend, ca, tmp_path):
    other = make_backend()
    given = shutil.copy(ca.ca_file, tmp_path / "ca.pem")
    sluice = make_sluice(backends={"garden": backend_section(backend, ca_file=given), "other": other}, queue=TRUSTED,
                         routes={"a": {"topic": "a/#", "path": "/a", "backend": "garden"},
                                 "b": {"topic": "b/#", "path": "/b", "backend": "other"}})  # fmt: skip
    sluice.start().wait_connected()
    sluice.stop()
    given.unlink()
    sluice.start().wait_connected()
    mosquitto.publish("a/1", b"1")
    mosquitto.publish("b/1", b"2")
    other.wait_for(1)
    sluice.wait_event("backend-misconfigured", "garden", str(given), level="error")
    shutil.copy(ca.ca_file, given)
    backend.wait_for(1)


def test_the_password_of_the_broker_is_taken_up(make_sluice, make_mosquitto, backend, tmp_path):
    """At the next try, after it was refused. At a start without it, sluice makes no connection without it."""
    mosquitto = make_mosquitto(users={"sluice": "right"})
    password = write(tmp_path / "password", "wrong\n")
    sluice = make_sluice(broker_port=mosquitto.port, backends={"garden": backend}, queue=TRUSTED,
                         broker={"username": "sluice", "password": f"@{password}"})  # fmt: skip
    sluice.start()
    sluice.wait_event("broker-away", "password")
    write(password, "right\n")
    sluice.wait_connected()
    mosquitto.publish("garden/a/sensor", b"1")
    backend.wait_for(1)
    sluice.stop()
    password.unlink()
    before, connections = len(sluice.log), sum("New connection" in line for line in mosquitto.log)
    sluice.start()
    sluice.wait_event("broker-away", f"password = @{password}", "there is no such file", after=before)
    assert sum("New connection" in line for line in mosquitto.log) == connections
    write(password, "right\n")
    sluice.wait_connected(after=before)


# -- client certificates


@pytest.mark.parametrize("tls", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_a_client_certificate_that_is_replaced_is_shown_at_the_next_connection(make_sluice, mosquitto, make_backend, ca, tmp_path, tls):
    """A renewal replaces one file after the other. Between the two, they do not match."""
    backend = make_backend(client_ca=ca, tls=tls)
    cert, key = (tmp_path / name for name in ("cert.pem", "key.pem"))
    for given, issued in zip((cert, key), ca.issue("before")):
        shutil.copy(issued, given)
    sluice = make_sluice(backends={"garden": backend_section(backend, cert_file=cert, key_file=key)}, queue=TRUSTED)
    sluice.start().wait_connected()
    mosquitto.publish("garden/a/sensor", b"1")
    backend.wait_for(1)
    assert backend.client_names == ["before"]
    new_cert, new_key = ca.issue("after")
    shutil.copy(new_cert, cert)
    backend.drop_connections()
    mosquitto.publish("garden/a/sensor", b"2")
    sluice.wait_event("backend-misconfigured", "garden", level="error")
    shutil.copy(new_key, key)
    backend.wait_for(2)
    assert backend.client_names == ["before", "after"]
    sluice.wait_event("backend-back")


def test_a_resumed_tls_session_does_not_show_an_earlier_certificate(make_sluice, mosquitto, make_backend, ca, tmp_path):
    """The real nginx: it knows a client that resumes a session by the certificate of that session. libcurl of
    Debian 12 resumes none with HTTP/2 here."""
    plain = make_backend(ca=None)
    log = tmp_path / "certificates"
    nginx = Nginx(tmp_path / "nginx", ca, plain.port,
                  f"keepalive_requests 1; ssl_session_cache shared:sessions:1m; ssl_client_certificate {ca.ca_file}; ssl_verify_client on;"
                  f"log_format certificate '$ssl_client_s_dn'; access_log {log} certificate;")  # fmt: skip
    nginx.start()
    try:
        cert, key = (tmp_path / name for name in ("cert.pem", "key.pem"))
        sluice = make_sluice(backends={"garden": backend_section(nginx, cert_file=cert, key_file=key, protocol="http1.1")}, queue=TRUSTED)
        for number, name in enumerate(("before", "after"), 1):
            for given, issued in zip((cert, key), ca.issue(name)):
                shutil.copy(issued, given)
            if number == 1:
                sluice.start().wait_connected()
            mosquitto.publish("garden/a/sensor", b"%d" % number)
            plain.wait_for(number)
        wait_until(lambda: len(log.read_text().splitlines()) == 2, what="nginx to log")
        assert log.read_text().splitlines() == ["CN=before", "CN=after"]
    finally:
        nginx.stop()


def test_a_client_certificate_for_the_broker_that_is_replaced_is_shown_at_the_next_connection(make_sluice, make_mosquitto, backend, ca, tmp_path):
    cert, key = (tmp_path / name for name in ("cert.pem", "key.pem"))
    for given, issued in zip((cert, key), ca.issue("before")):
        shutil.copy(issued, given)
    server_cert, server_key = ca.issue("localhost")
    os.chmod(server_key, 0o644)
    mosquitto = make_mosquitto(tls={"ca_file": ca.ca_file, "cert_file": server_cert, "key_file": server_key},
                               extra=f"cafile {ca.ca_file}\nrequire_certificate true\nuse_identity_as_username true")
    sluice = make_sluice(broker_port=mosquitto.port, backends={"garden": backend}, queue=TRUSTED,
                         broker={"host": "localhost", "ca_file": ca.ca_file, "cert_file": cert, "key_file": key})
    sluice.start().wait_connected()
    assert connected_as(mosquitto) == ["before"]
    new_cert, new_key = ca.issue("after")
    shutil.copy(new_cert, cert)
    before = len(sluice.log)
    mosquitto.restart()
    sluice.wait_event("broker-away", "cert_file", "key_file", after=before)
    shutil.copy(new_key, key)
    sluice.wait_event("broker-connected", after=before)
    assert connected_as(mosquitto) == ["before", "after"]


def connected_as(mosquitto):
    return re.findall(r"New client connected from \S+ as sluice \(.* u'(\w+)'\)", "\n".join(mosquitto.log))
