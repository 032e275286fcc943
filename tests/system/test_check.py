"""`sluice check` looks into what the configuration names: secrets, certificates, keys, directories,
the host of the example, and the file system of the queue."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.certs import CA
from harness.sluice import binary
from harness.wait import wait_until

ROOT = Path(__file__).resolve().parents[2]


class Case:
    def __init__(self, directory):
        self.dir = directory
        self.ca = CA(directory / "ca")
        self.conf = directory / "sluice.conf"

    def check(self, backend="", queue=None, url="https://h/api"):
        path = queue or "/var/lib/sluice/queue.db"
        self.conf.write_text(f"[queue]\npath = {path}\n[backend garden]\nurl = {url}\n{backend}"
                             "[route sensor]\ntopic = garden/+/sensor\n")  # fmt: skip
        result = subprocess.run([binary(), "check", self.conf], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.out, self.err = result.stdout, result.stderr
        return result.returncode

    def fails(self, words, **given):
        assert self.check(**given) == 1, self.out
        assert self.out == "", "it says ok"
        assert len(self.err.splitlines()) == 1 and words in self.err, self.err

    def warns(self, words, **given):
        assert self.check(**given) == 0, self.err
        assert ": ok: " in self.out
        assert len(self.err.splitlines()) == 1 and "warning" in self.err and words in self.err, self.err

    def file(self, name, content, mode=0o600):
        path = self.dir / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


# -- secrets


def test_a_secret_with_a_byte_order_mark(case):
    secret = case.file("key", b"\xef\xbb\xbfhunter2\n")
    case.fails("byte order mark", backend=f"bearer = @{secret}\n")
    assert "hunter2" not in case.err


@pytest.mark.parametrize("content", ["hunter2 \n", " hunter2\n", "hunter2 "])
def test_a_secret_with_a_blank_at_its_end(case, content):
    secret = case.file("key", content)
    case.warns("begins or ends with a blank", backend=f"bearer = @{secret}\n")
    assert "hunter2" not in case.err


@pytest.mark.parametrize("content", ['"hunter2"\n', "'hunter2'\n"])
def test_a_secret_in_quotes(case, content):
    secret = case.file("key", content)
    case.warns("in quotes", backend=f"bearer = @{secret}\n")


@pytest.mark.parametrize("line", ["query = user_key=abc", "query = apikey=abc", "header = X-Auth-Token: abc"])
def test_a_secret_that_stands_in_the_configuration(case, line):
    case.warns("write it into a file", backend=line + "\n")
    assert "abc" not in case.err


def test_other_parameters_may_stand_in_the_configuration(case):
    secret = case.file("user_key", "abc")
    assert case.check(backend=f"query = user_key=@{secret}\nquery = keyboard=1\nheader = X-Monkey: 2\n") == 0
    assert case.err == ""


def test_a_secret_with_a_blank_or_a_quote_inside_is_right(case):
    for content in ("two words\n", "it's\n", '"\n'):
        secret = case.file("key", content)
        assert case.check(f"bearer = @{secret}\n") == 0
        assert case.err == ""


# -- certificates and keys


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def test_a_sound_pair_and_ca_file(case):
    cert, key = case.ca.issue()
    assert case.check(f"ca_file = {case.ca.ca_file}\ncert_file = {cert}\nkey_file = {key}\n") == 0
    assert case.err == ""


@pytest.mark.parametrize("kind", ["der", "text", "empty", "key"])
def test_a_ca_file_that_is_none(case, kind):
    _, key = case.ca.issue()
    path = case.dir / "the given one"
    if kind == "der":
        openssl("x509", "-in", case.ca.ca_file, "-outform", "der", "-out", path)
    elif kind == "key":
        shutil.copy(key, path)
    else:
        path.write_text("the certificate\n" if kind == "text" else "")
    words = {"der": "openssl x509 -inform der", "key": "this is a private key"}.get(kind, "no certificate in it")
    case.fails(words, backend=f"ca_file = {path}\n")
    if kind == "der": # what it says helps
        subprocess.run(re.search(r"openssl x509 .*", case.err).group(), shell=True, check=True)
        assert case.check(f"ca_file = {path}.pem\n") == 0


def test_a_ca_file_of_the_broker(case):
    path = case.file("given", "the certificate\n")
    case.fails("[broker]: ca_file = ", backend=f"[broker]\nca_file = {path}\n")


def test_a_certificate_and_a_key_that_do_not_belong_together(case):
    cert, _ = case.ca.issue()
    _, key = case.ca.issue()
    case.fails(f"not the key of the certificate in {cert}", backend=f"cert_file = {cert}\nkey_file = {key}\n")


def test_a_certificate_and_its_key_in_each_others_place(case):
    cert, key = case.ca.issue()
    assert case.check(f"cert_file = {key}\nkey_file = {cert}\n") == 1
    assert "cert_file = " in case.err and "this is a private key" in case.err
    assert "key_file = " in case.err and "this is a certificate" in case.err


def test_a_key_with_a_passphrase_or_in_der(case):
    cert, key = case.ca.issue()
    locked, der, new = case.dir / "a locked key", case.dir / "a key", case.dir / "new"
    openssl("pkey", "-in", key, "-aes256", "-passout", "pass:hunter2", "-out", locked)
    case.fails("needs a passphrase", backend=f"cert_file = {cert}\nkey_file = {locked}\n")
    assert f"openssl pkey -in '{locked}' -out NEW-FILE" in case.err
    openssl("pkey", "-in", key, "-outform", "der", "-out", der)
    os.chmod(der, 0o600)
    case.fails("openssl pkey -inform der", backend=f"cert_file = {cert}\nkey_file = {der}\n")
    convert = re.search(r"openssl pkey .*", case.err).group().replace("NEW-FILE", str(new))
    subprocess.run(convert, shell=True, check=True)
    assert case.check(f"cert_file = {cert}\nkey_file = {new}\n") == 0


def test_a_key_that_everyone_can_read(case):
    cert, key = case.ca.issue()
    os.chmod(key, 0o644)
    case.warns(f"chmod o-r {key}", backend=f"cert_file = {cert}\nkey_file = {key}\n")


# -- directories, the example


def test_a_directory_that_is_not_there(case):
    case.fails(f"there is no directory {case.dir}/away", queue=case.dir / "away/queue.db")


def test_a_socket_in_a_directory_that_is_not_there(case):
    case.fails(f"socket = {case.dir}/away/socket", backend=f"[daemon]\nsocket = {case.dir}/away/socket\n")


@pytest.mark.parametrize("name", ["sluice.conf", "limitless-garden.conf"])
def test_the_host_of_the_example(case, name):
    text = (ROOT / "config" / name).read_text()
    for secret in set(re.findall(r"/etc/sluice/(\w+)", text)):
        case.file(secret, "secret\n")
    case.conf.write_text(text.replace("/etc/sluice/", f"{case.dir}/"))
    result = subprocess.run([binary(), "check", case.conf], capture_output=True, text=True)
    assert result.returncode == 1 and result.stdout == ""
    assert "url = https://garden.example.org/api: this host is only an example" in result.stderr


@pytest.mark.parametrize("host, example", [("example.com", True), ("a.example.net:8443", True), ("garden.example", True),
                                           ("x.invalid", True), ("myexample.org", False), ("example.org.uk", False)])  # fmt: skip
def test_reserved_names(case, host, example):
    assert case.check(url=f"https://{host}/api") == (1 if example else 0), case.err


# -- the file system of the queue


@pytest.fixture
def tmpfs(tmp_path):
    """A function that runs sluice with tmpfs on a directory, or with an overlay."""
    directory = tmp_path / "memory"
    directory.mkdir()
    mounts = {"tmpfs": f"mount -t tmpfs none {directory}",
              "overlay": f"mount -t tmpfs none {directory}; mkdir {directory}/upper {directory}/work {directory}/merged; "
                         f"mount -t overlay -o lowerdir={ROOT}/config,upperdir={directory}/upper,"
                         f"workdir={directory}/work none {directory}/merged"}  # fmt: skip

    def run(kind, command):
        return subprocess.run(["unshare", "--mount", "sh", "-euc", f'{mounts[kind]}; exec "$@"', "sh",
                               "sh", "-euc", command], capture_output=True, text=True)  # fmt: skip

    run.path = {"tmpfs": directory / "queue.db", "overlay": directory / "merged/queue.db"}
    return run


@pytest.mark.parametrize("kind, words", [("tmpfs", "it is in memory"), ("overlay", "it is on an overlay")])
def test_a_queue_that_a_power_cut_loses(case, tmpfs, kind, words):
    """check, the start and the status say so."""
    path = tmpfs.path[kind]
    case.check(queue=path)  # writes the configuration
    result = tmpfs(kind, f"{binary()} check {case.conf}")
    assert result.returncode == 0 and f"warning: [queue]: path = {path}: {words}" in result.stderr
    result = tmpfs(kind, f"""
        {binary()} run -c {case.conf} 2>{case.dir}/log & pid=$!
        while ! grep -q ' ready: ' {case.dir}/log; do sleep 0.1; done
        {binary()} status -c {case.conf} || true
        kill $pid; wait $pid""")  # fmt: skip
    assert f"warning: {words}" in result.stdout, result.stderr
    assert re.search(rf"warning queue-volatile: queue {path}: {words}", (case.dir / "log").read_text())


def test_a_queue_on_a_disk_draws_no_warning(case):
    """Unless this machine itself is a container on an overlay."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", "/var"], capture_output=True, text=True).stdout.strip()
    assert case.check(queue="/var/queue.db") == 0
    assert ("warning" in case.err) == (kind in ("tmpfs", "overlayfs")), case.err
