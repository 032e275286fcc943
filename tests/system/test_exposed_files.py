"""A secret that every user of the machine can read: what is said about it helps, and nothing else breaks.

The machine is that of test_service_view.py: the service has the user sluice, and the test is root.
"""
import re
import shutil

import pytest
from test_service_view import USER, Machine

from harness.certs import CA

KEY = "/etc/sluice/key"


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def warning(text):
    [line] = re.findall(r"^.* warning secret-exposed: .*$", text, re.M)
    assert "every user of this machine can read it; sudo ch" in line
    return line


def make_key(machine, option):
    """A file of root that all can read, and the setting that names it."""
    content, more = "secret\n", ""
    if option == "key_file":
        cert, key = CA(machine.root / "ca").issue()
        machine.file("etc/sluice/cert", open(cert).read(), 0o644)
        content, more = open(key).read(), "cert_file = /etc/sluice/cert\n"
    machine.file(KEY[1:], content, 0o644)
    machine.configure(backend=f"{more}{option} = {'' if option == 'key_file' else '@'}{KEY}")


@pytest.mark.parametrize("option", ["bearer", "key_file"])
def test_what_check_says_about_a_file_of_root(machine, option):
    """After chmod o-r alone, the user of the service could not read it."""
    make_key(machine, option)
    line = warning(machine.run("sluice check").stderr)
    assert line.endswith(f"sudo chgrp sluice {KEY} && sudo chmod g+r,o-r {KEY}")
    machine.obey(line)
    result = machine.run("sluice check")
    assert result.returncode == 0 and "secret-exposed" not in result.stderr and machine.serves(), (result, machine.log)


def test_what_the_service_logs_about_a_file_of_root(machine):
    make_key(machine, "bearer")
    assert machine.serves()
    machine.obey(warning(machine.log))
    assert machine.serves() and "secret-exposed" not in machine.log


def test_what_check_says_to_a_person_who_is_not_root(machine):
    """The group is that of the service, and not that of the person."""
    make_key(machine, "bearer")
    line = warning(machine.run("setpriv --reuid=65534 --regid=65534 --groups=%d /var/program check" % USER).stderr)
    assert f"sudo chgrp sluice {KEY}" in line


@pytest.mark.parametrize("owner, group, mode, edit", [(USER, 0, 0o644, ()), (0, USER, 0o644, ()), (0, 2, 0o644, ("[Service]", "SupplementaryGroups=bin"))])
def test_a_file_that_the_service_can_read_without_this_keeps_its_group(machine, owner, group, mode, edit):
    """It belongs to the user of the service, or to one of its groups."""
    make_key(machine, "bearer")
    shutil.chown(machine.root / KEY[1:], owner, group)
    machine.edit(*edit)
    line = warning(machine.run("sluice check").stderr)
    assert line.endswith(f"sudo chmod o-r {KEY}") and "chgrp" not in line
    machine.obey(line)
    result = machine.run("sluice check")
    assert result.returncode == 0 and "secret-exposed" not in result.stderr, result


def test_a_credential_keeps_its_group(machine):
    """systemd reads it, as root."""
    make_key(machine, "bearer")
    machine.configure(backend="bearer = @key")
    machine.edit("[Service]", f"LoadCredential=key:{KEY}")
    line = warning(machine.run("sluice check").stderr)
    assert line.endswith(f"sudo chmod o-r {KEY}") and "chgrp" not in line


def test_a_name_with_a_blank(machine):
    machine.file("etc/sluice/my key", mode=0o644)
    machine.configure(backend="bearer = @/etc/sluice/my key")
    machine.obey(warning(machine.run("sluice check").stderr))
    result = machine.run("sluice check")
    assert result.returncode == 0 and "secret-exposed" not in result.stderr and machine.serves(), result


def test_a_file_of_another_group_stays_in_it(machine):
    machine.file(KEY[1:], "secret\n", 0o644, group=8)
    machine.configure(backend=f"bearer = @{KEY}")
    result = machine.run("sluice check")
    [line] = re.findall(r"^.* warning secret-exposed: .*$", result.stderr, re.M)
    assert "chgrp" not in line
    machine.obey(line)
    assert (machine.root / KEY[1:]).stat().st_gid == 8
    machine.configure(backend=f"bearer = @{KEY}-for-sluice")
    result = machine.run("sluice check")
    assert result.returncode == 0 and "secret-exposed" not in result.stderr and machine.serves(), machine.log
