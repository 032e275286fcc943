"""What people meet at the command line: every kind of configuration error, word
for word, and what the commands answer to a wrong command line.

config_errors/NAME.conf is checked, and must draw exactly NAME.expected. To add a
case, write both; python3 test_config_errors.py --write makes the missing .expected
files from what sluice says now, to be read before they are kept.
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.certs import CA
from harness.sluice import binary

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CASES = HERE / "config_errors"
MINIMAL = "[backend garden]\nurl = https://h/api\n[route sensor]\ntopic = garden/+/sensor\n"

# Systemd's credentials, as the cases name them.
CREDENTIALS = {
    "good": b"correct horse\n",
    "empty": b"\n",
    "two_lines": b"hunter2\nhunter3\n",
    "nul": b"hunter2\0hunter3\n",
    "control": b"hunter2\x1b[2J\n",
}


def sluice(*args, cwd=None, **environment):
    """Runs it to its end: exit status, standard output, standard error."""
    inherited = {name: value for name, value in os.environ.items()
                 if name not in ("CREDENTIALS_DIRECTORY", "JOURNAL_STREAM")}
    ended = subprocess.run([binary(), *map(str, args)], cwd=cwd, env={**inherited, **environment},
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    return ended.returncode, ended.stdout.decode(), ended.stderr.decode()


def check_case(name, directory):
    """Checks a copy of the case in this directory, where @CA@ names a file."""
    credentials = directory / "credentials"
    credentials.mkdir()
    for credential, content in CREDENTIALS.items():
        (credentials / credential).write_bytes(content)
        (credentials / credential).chmod(0o600)
    (directory / "ca.pem").write_text("")
    text = (CASES / f"{name}.conf").read_bytes()
    (directory / f"{name}.conf").write_bytes(text.replace(b"@CA@", bytes(directory / "ca.pem")))
    status, out, err = sluice("check", f"{name}.conf", cwd=directory, CREDENTIALS_DIRECTORY=str(credentials))
    return status, out, without_key_lists(err).replace(str(directory / "ca.pem"), "@CA@")


def without_key_lists(errors):
    """A new key must not change the other cases; test_the_example_has_every_key has the lists."""
    return re.sub(r"(?<=; its keys are ).*", "...", errors)


@pytest.mark.parametrize("name", sorted(path.stem for path in CASES.glob("*.conf")))
def test_error(name, tmp_path):
    status, out, err = check_case(name, tmp_path)
    assert err == (CASES / f"{name}.expected").read_text()
    assert (status, out) == (1, "")
    assert "hunter2" not in err, "a secret was shown"
    lines = [int(line) for line in re.findall(r"^[^:\n]*:(\d+): ", err, re.M)]
    assert lines == sorted(lines)


# -- files


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_valid_file(tmp_path):
    conf = write(tmp_path / "sluice.conf", MINIMAL)
    assert sluice("check", conf) == (0, f"{conf}: ok: 1 backend, 1 route\n", "")
    assert sluice("check", "-c", "sluice.conf", cwd=tmp_path)[:2] == (0, "sluice.conf: ok: 1 backend, 1 route\n")
    assert sluice("check", "--", "sluice.conf", cwd=tmp_path)[:2] == (0, "sluice.conf: ok: 1 backend, 1 route\n")


def test_file_of_windows(tmp_path):
    (tmp_path / "sluice.conf").write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert sluice("check", "sluice.conf", cwd=tmp_path)[0] == 0


def test_file_missing(tmp_path):
    status, out, err = sluice("check", "none.conf", cwd=tmp_path)
    assert (status, out) == (1, "")
    assert err == ("none.conf: there is no such file; give the path of the configuration, or copy the example "
                   "sluice.conf\n")


def test_directory_instead_of_file(tmp_path):
    status, _, err = sluice("check", tmp_path)
    assert status == 1
    assert err.startswith(f"{tmp_path}: this is not a regular file")


def test_neighbours_are_read_in_order(tmp_path):
    write(tmp_path / "sluice.conf", "[broker]\nhost = localhost\n")
    write(tmp_path / "conf.d" / "20-b.conf", "[backend garden]\nport = 1\n[route sensor]\ntopic = garden/+/sensor\n")
    write(tmp_path / "conf.d" / "10-a.conf", "[backend garden]\nurl = https://h\n[broker]\nhost = other\n")
    write(tmp_path / "conf.d" / "Z.conf", "[broker]\nkeepalive = 1\n")
    for ignored in ("30.conf.bak", ".hidden.conf", "readme", ".conf"):
        write(tmp_path / "conf.d" / ignored, "nonsense\n")
    status, _, err = sluice("check", "sluice.conf", cwd=tmp_path)
    assert status == 1
    assert [line.split(": ")[:2] for line in without_key_lists(err).splitlines()] == [
        ["conf.d/10-a.conf:4", "host is already set in sluice.conf:2; delete one of the two"],
        ["conf.d/20-b.conf:2", "unknown key 'port' in [backend]; its keys are ..."],
        ["conf.d/Z.conf:2", "keepalive = 1"],
    ]


def test_neighbours_complete_sections(tmp_path):
    conf = write(tmp_path / "sluice.conf", "[backend garden]\nurl = https://h\n")
    write(tmp_path / "conf.d" / "more.conf", "[backend garden]\ntimeout = 5s\n[route sensor]\ntopic = a\n")
    assert sluice("check", conf) == (0, f"{conf}: ok: 1 backend, 1 route\n", "")


def test_unreadable_neighbour(tmp_path):
    write(tmp_path / "sluice.conf", MINIMAL + "order = odd\n")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "gone.conf").symlink_to("nowhere")
    (tmp_path / "conf.d" / "folder.conf").mkdir()
    status, _, err = sluice("check", "sluice.conf", cwd=tmp_path)
    assert status == 1
    assert err.splitlines() == [
        "sluice.conf:5: order = odd: must be topic, route or none",
        "conf.d/folder.conf: this is not a regular file; give the path of a file",
        "conf.d/gone.conf: there is no such file; create it, or correct the path",
    ]


# -- secrets


def test_credential_without_systemd(tmp_path):
    conf = write(tmp_path / "sluice.conf", MINIMAL.replace("[route", "bearer = @token\n[route"))
    status, _, err = sluice("check", conf)
    assert status == 1
    assert f"{conf}:3: bearer = @token: " in err
    assert "$CREDENTIALS_DIRECTORY is not set" in err


def test_secret_that_everyone_can_read_is_a_warning(tmp_path):
    secret = write(tmp_path / "token", "hunter2\n")
    conf = write(tmp_path / "sluice.conf", MINIMAL.replace("[route", f"bearer = @{secret}\n[route"))
    secret.chmod(0o644)
    status, out, err = sluice("check", conf)
    assert (status, out) == (0, f"{conf}: ok: 1 backend, 1 route\n")
    assert re.search(rf"warning secret-exposed: {secret}: .*chmod o-r {secret}$", err, re.M)
    secret.chmod(0o640)
    assert sluice("check", conf) == (0, out, "")


# -- what is shipped


def example(name):
    """The shipped file with the host of a backend: check reports the host of the example."""
    return (ROOT / "config" / name).read_text().replace("garden.example.org", "h")


def test_example_is_valid(tmp_path):
    conf = write(tmp_path / "sluice.conf", example("sluice.conf"))
    assert sluice("check", conf) == (0, f"{conf}: ok: 1 backend, 1 route\n", "")


def without_comments_before_keys(text, directory):
    """The example with every key in use; files that it names exist in directory."""
    for name in set(re.findall(r"/etc/sluice/(\w+(?:\.\w+)?)", text)):
        (directory / name).write_text("secret\n")
        (directory / name).chmod(0o600)
    ca = CA(directory / "ca")
    for cert, key in re.findall(r"^;?cert_file = /etc/sluice/(\S+)\n(?:.*\n)*?;?key_file = /etc/sluice/(\S+)", text, re.M):
        for made, name in zip(ca.issue(), (cert, key)):
            shutil.copy(made, directory / name)
            (directory / name).chmod(0o600)
    for name in re.findall(r"^;?ca_file = /etc/sluice/(\S+)", text, re.M):
        shutil.copy(ca.ca_file, directory / name)
    return re.sub(r"^;(\w+ = )", r"\1", text, flags=re.M).replace("/etc/sluice/", f"{directory}/")


def test_every_line_of_the_example_works(tmp_path):
    text = without_comments_before_keys(example("sluice.conf"), tmp_path)
    # The lines that it says exclude each other.
    text = text.replace("tls = no", "tls = yes").replace("bearer = ", "; bearer = ")
    text = text.replace("body = raw", "body = json")
    conf = write(tmp_path / "sluice.conf", text)
    assert sluice("check", conf) == (0, f"{conf}: ok: 1 backend, 2 routes\n", "") # [http] has one


def test_the_example_has_every_key(tmp_path):
    text = (ROOT / "config" / "sluice.conf").read_text()
    sections = dict(re.findall(r"^\[(\w+).*\]\n((?:(?!\[).*\n)*)", text, re.M))
    assert set(sections) == {"daemon", "broker", "queue", "backend", "route", "http"}
    conf = write(tmp_path / "sluice.conf", "[daemon]\nxxxxxxxxxxxxxxx = 1\n[broker]\nxxxxxxxxxxxxxxx = 1\n[queue]\nxxxxxxxxxxxxxxx = 1\n"
                 "[backend garden]\nxxxxxxxxxxxxxxx = 1\n[route sensor]\nxxxxxxxxxxxxxxx = 1\n"
                 "[http]\nxxxxxxxxxxxxxxx = 1\n")
    known = re.findall(r"unknown key 'x+' in \[(\w+)\]; its keys are (.*)", sluice("check", conf)[2])
    assert len(known) == 6
    for section, keys in known:
        shown = set(re.findall(r"^;?(\w+) = ", sections[section], re.M))
        assert shown == set(keys.split(", ")), f"[{section}] of config/sluice.conf"


def test_limitless_garden_is_valid(tmp_path):
    text = without_comments_before_keys(example("limitless-garden.conf"), tmp_path)
    conf = write(tmp_path / "garden.conf", text)
    assert sluice("check", conf) == (0, f"{conf}: ok: 1 backend, 2 routes\n", "")


# -- the command line


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["help"]])
def test_help(args):
    status, out, err = sluice(*args)
    assert (status, err) == (0, "")
    assert "sluice run [-c FILE] [-v]" in out
    assert "sluice check [[-c] FILE]" in out
    assert all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.parametrize("args", [["help", "run"], ["run", "--help"], ["run", "-h"], ["--help", "run"]])
def test_help_of_a_command(args):
    status, out, err = sluice(*args)
    assert (status, err) == (0, "")
    assert out.startswith("usage: sluice run [-c FILE] [-v]\n")
    assert "/etc/sluice/sluice.conf" in out and "78" in out


def test_version():
    assert sluice("--version") == (0, "sluice 0.1.0\n", "")


def test_no_command():
    status, out, err = sluice()
    assert (status, out) == (2, "")
    assert "usage:" in err


@pytest.mark.parametrize("args, words", [
    (["chekc"], "unknown command 'chekc'; did you mean 'check'?"),
    (["rum"], "did you mean 'run'?"),
    (["Run"], "did you mean 'run'?"),
    (["retry"], "unknown command 'retry'; did you mean 'queue retry'?"),
    (["transmogrify"], "sluice --help lists them"),
    (["help", "chek"], "did you mean 'check'?"),
    (["--verbose"], "unknown command '--verbose'"),
    (["check", "-x"], "sluice check: unknown option '-x'"),
    (["check", "-c"], "sluice check: -c needs a value"),
    (["check", "-c", "a", "b"], "unexpected 'b': one file at a time"),
    (["check", "a", "b"], "unexpected 'b': one file at a time"),
])
def test_wrong_command_line(args, words):
    status, out, err = sluice(*args)
    assert (status, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1


def test_run_refuses_an_invalid_configuration(tmp_path):
    conf = write(tmp_path / "sluice.conf", "[broker]\nport = 0\n")
    status, _, err = sluice("run", "-c", conf)
    assert status == 78
    assert f"{conf}:2: port = 0: must be a number from 1 to 65535" in err


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    import tempfile

    for case in sorted(CASES.glob("*.conf")):
        expected = case.with_suffix(".expected")
        if not expected.exists():
            with tempfile.TemporaryDirectory() as scratch:
                expected.write_text(check_case(case.stem, Path(scratch))[2])
