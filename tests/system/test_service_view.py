"""`sluice check` by root: the configuration of the service is checked as the service sees it.

The machine of a test has its own /etc, /home, /root, /tmp, /var and /mnt in a mount namespace, with the
user sluice and the unit of this repository in its real place. `serves()` starts sluice as systemd
would, with what the unit hides: it decides whether an error is one.
"""
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.certs import CA
from harness.sluice import binary

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("etc", "home", "root", "mnt", "var", "tmp")  # /tmp may have the directory of the test, so it is the last
USER = 64321
UNIT = "etc/systemd/system/sluice.service"
# As systemd: the unit's PrivateTmp=, ProtectHome=, ProtectSystem=strict, User=
AS_SERVICE = """
    mount -t tmpfs none /tmp
    for hidden in /home /root; do mount -t tmpfs -o mode=000 none $hidden; done
    for writable in /var/lib/sluice $WRITABLE; do mount --bind $writable $writable; done
    for place in /etc /mnt /var; do mount -o remount,bind,ro $place; done
    rm -f /var/lib/sluice/log
    INVOCATION_ID=1 setpriv --reuid=sluice --regid=sluice --init-groups \
        /var/program run 2>/var/lib/sluice/log & pid=$!
    while kill -0 $pid 2>/dev/null && ! grep -q ' ready: ' /var/lib/sluice/log; do sleep 0.1; done
    kill $pid 2>/dev/null || true
    wait $pid || status=$?
    cat /var/lib/sluice/log
    exit ${status-0}
"""


class Machine:
    def __init__(self, root):
        self.root = root
        for place in PLACES:
            (root / place).mkdir()
        for path in ("etc/sluice", "etc/systemd/system", "home/pi", "var/lib/sluice", "var/tmp", "mnt/ssd"):
            (root / path).mkdir(parents=True)
        (root / "tmp").chmod(0o1777)
        (root / "var/program").touch()
        for name, line in (("passwd", f"sluice:x:{USER}:{USER}::/:/bin/false"), ("group", f"sluice:x:{USER}:")):
            (root / "etc" / name).write_text(Path("/etc", name).read_text() + line + "\n")
        shutil.copy("/etc/nsswitch.conf", root / "etc")
        unit = (ROOT / "config/sluice.service.in").read_text()
        self.file(UNIT, unit.replace("@CMAKE_INSTALL_FULL_BINDIR@/sluice", "/var/program"), 0o644)
        shutil.chown(root / "var/lib/sluice", USER, USER)
        shutil.chown(root / "etc/sluice", 0, USER)
        (root / "etc/sluice").chmod(0o750)

    def file(self, path, content="secret\n", mode=0o600, group=0):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(mode)
        shutil.chown(file, 0, group)
        return f"/{path}"

    def edit(self, *lines):
        """systemctl edit sluice"""
        path = self.root / f"{UNIT}.d/override.conf"
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def configure(self, backend="", queue="", url="https://garden.home.arpa/api", more=""):
        self.file("etc/sluice/sluice.conf", f"[queue]\n{queue}\n[backend garden]\nurl = {url}\n{backend}\n"
                  f"[route sensor]\ntopic = garden/+/sensor\n{more}", 0o640, USER)  # fmt: skip

    def mounts(self):
        """The script that makes this process see the machine."""
        return f"mount --bind {binary()} {self.root}/var/program\n" + "".join(
            f"mount --rbind {self.root}/{place} /{place}\n" for place in PLACES)  # fmt: skip

    def run(self, script, **environment):
        """Runs a script of root. Returns the ended process."""
        setup = self.mounts()
        setup += 'sluice() { /var/program "$@"; }; sudo() { "$@"; }; cd /\n'
        return subprocess.run(["unshare", "--mount", "/bin/sh", "-euc", setup + script], env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)  # fmt: skip

    def check(self, arguments=""):
        """The errors. The last line of the output, which says how it checked, is in self.how."""
        result = self.run(f"sluice check {arguments}")
        lines = [line for line in result.stderr.splitlines() if " warning secret-exposed" not in line and "warning: [queue]: path" not in line]
        if result.returncode == 0:
            assert lines == [], lines
            self.how = result.stdout
            return []
        assert result.returncode == 1 and result.stdout == "", result
        self.how = lines[-1]
        return lines if arguments else lines[:-1]

    def serves(self, writable=""):
        """Whether the service starts with its configuration."""
        result = self.run(AS_SERVICE, WRITABLE=writable)
        assert result.returncode in (0, 1, 78), result
        self.log = result.stdout
        return result.returncode == 0

    def obey(self, error):
        """Does what an error says, "...; sudo ..."."""
        commands = re.findall(r"\bsudo (?:chgrp|chown|install|chmod|rm) [^;]*", error)
        result = self.run("; ".join(commands))
        assert commands and result.returncode == 0, result


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


# -- files that it reads


@pytest.mark.parametrize("path, words", [
    ("home/pi/key", "its unit hides /home (ProtectHome=yes)"), ("root/key", "its unit hides /root (ProtectHome=yes)"),
    ("tmp/key", "its unit hides /tmp (PrivateTmp=yes)"), ("mnt/ssd/key", "the user sluice of the service cannot read it"),
    ("etc/ssl/private/key", "the user sluice of the service may not enter /etc/ssl/private"),
])  # fmt: skip
@pytest.mark.parametrize("key", ["bearer = @", "ca_file = "])
def test_a_file_that_the_service_cannot_read(machine, path, words, key):
    """And what to do about it helps, at once."""
    content = Path(CA(machine.root / "ca").ca_file).read_text() if "ca_file" in key else "secret\n"
    machine.file(path, content, 0o600 if path.startswith("mnt") else 0o644)
    (machine.root / path).parent.chmod(0o700 if "private" in path else 0o755)
    machine.configure(backend=f"{key}/{path}")
    [error] = machine.check()
    assert error.startswith(f"/etc/sluice/sluice.conf:5: /{path}: ") and words in error
    assert not machine.serves()
    assert "sudo sluice check reports what the service cannot see" in machine.log

    machine.obey(error)
    machine.configure(backend=f"{key}/etc/sluice/{Path(path).name}")
    assert machine.check() == []
    assert machine.serves(), machine.log


def test_a_link_to_a_file_that_the_service_cannot_see(machine):
    machine.file("home/pi/key", mode=0o644)
    (machine.root / "home/pi").chmod(0o700)
    (machine.root / "etc/sluice/key").symlink_to("/home/pi/key")
    machine.configure(backend="bearer = @/etc/sluice/key")
    [error] = machine.check()
    assert "its unit hides /home" in error and not machine.serves()
    assert "sudo install -m 640 -g sluice /home/pi/key /etc/sluice/" in error
    (machine.root / "etc/sluice/key").unlink()
    machine.obey(error)
    assert machine.check() == [] and machine.serves()


@pytest.mark.parametrize("path", ["key", "sluice.conf", "conf.d/more.conf", "conf.d"])
def test_a_file_of_root_in_the_directory_of_the_configuration(machine, path):
    machine.file("etc/sluice/key", group=USER, mode=0o640)
    machine.file("etc/sluice/conf.d/more.conf", "[daemon]\nlog_level = debug\n", mode=0o644)
    machine.configure(backend="bearer = @/etc/sluice/key")
    assert machine.check() == []
    wrong = machine.root / "etc/sluice" / path
    shutil.chown(wrong, 0, 0)
    wrong.chmod(0o700 if wrong.is_dir() else 0o600)
    error, *inside = machine.check()
    assert len(inside) == (path == "conf.d"), inside
    assert f"/etc/sluice/{path}" in error and f"sudo chgrp sluice /etc/sluice/{path} && sudo chmod g+r" in error
    assert not machine.serves()
    machine.obey(error)
    assert machine.check() == [] and machine.serves()


def test_a_key_of_another_group_stays_in_it(machine):
    """Mosquitto, for example, reads it by its group."""
    key = machine.root / machine.file("etc/sluice/key", mode=0o640, group=8)[1:]
    machine.configure(backend="bearer = @/etc/sluice/key")
    [error] = machine.check()
    assert "chgrp" not in error
    machine.obey(error)
    assert key.stat().st_gid == 8 and not machine.check() == []
    machine.configure(backend="bearer = @/etc/sluice/key-for-sluice")
    assert machine.check() == [] and machine.serves(), machine.log


@pytest.mark.parametrize("private", [0, 8])
def test_a_directory_of_the_system_stays_private(machine, private):
    """The configuration is in /etc itself, so /etc is no directory of sluice."""
    machine.file("etc/private/key", mode=0o644)
    (machine.root / "etc/private").chmod(0o700)
    shutil.chown(machine.root / "etc/private", 0, private)
    machine.configure(backend="bearer = @/etc/private/key")
    (machine.root / "etc/sluice/sluice.conf").rename(machine.root / "etc/sluice.conf")
    machine.edit("[Service]", "ExecStart=", "ExecStart=/var/program run -c /etc/sluice.conf")
    [error] = machine.check("-c /etc/sluice.conf")[:1]
    assert "may not enter /etc/private" in error and "chgrp" not in error
    machine.obey(error)
    assert (machine.root / "etc/private").stat().st_mode & 0o777 == 0o700
    text = (machine.root / "etc/sluice.conf").read_text()
    (machine.root / "etc/sluice.conf").write_text(text.replace("/etc/private/", "/etc/sluice/"))
    assert machine.check("-c /etc/sluice.conf") == []


@pytest.mark.parametrize("name", ["a b", "50%", "%n", 'a "b" c', "a'b", "a\\b", "a\\ b%"])
def test_a_path_with_special_characters_in_a_unit(machine, name):
    """systemd.syntax(7), systemd.unit(5): quotes, backslashes and specifiers."""
    directory = machine.root / "mnt/ssd" / name
    directory.mkdir()
    shutil.chown(directory, USER, USER)
    machine.configure(queue=f"path = /mnt/ssd/{name}/queue.db")
    [error] = machine.check()
    [value] = re.findall(r"ReadWritePaths=(.*)$", error)
    assert value.count("%") % 2 == 0
    machine.edit("[Service]", f"ReadWritePaths={value}")
    assert machine.check() == []


def test_a_user_that_systemd_makes(machine):
    """It has the name of the unit, and is not root."""
    machine.configure()
    machine.edit("[Service]", "User=", "Group=", "DynamicUser=yes")
    assert machine.check() == [] and "user sluice" in machine.how


def test_a_unit_that_shows_the_home_directories(machine):
    machine.file("home/pi/key", mode=0o644)
    machine.configure(backend="bearer = @/home/pi/key")
    machine.edit("[Service]", "ProtectHome=read-only")
    warnings = machine.run("sluice check")
    assert warnings.returncode == 0 and "every user of this machine can read it" in warnings.stderr


def test_groups_of_the_unit_count(machine):
    machine.file("mnt/ssd/key", group=0, mode=0o640)
    machine.configure(backend="bearer = @/mnt/ssd/key")
    assert len(machine.check()) == 1
    machine.edit("[Service]", "SupplementaryGroups=root")
    assert machine.check() == []


# -- credentials


def test_credentials_of_the_unit(machine):
    machine.file("root/secrets/key")
    machine.file("root/more/one")
    machine.file("etc/sealed")
    machine.configure(backend="bearer = @user_key\nquery = a=@more_one\nquery = b=@inline\nquery = c=@sealed")
    assert [re.search("@[a-z_]+: .*, and the unit of sluice has none of this name", line) is not None
            for line in machine.check()] == [True] * 4  # fmt: skip
    machine.edit("[Service]", "LoadCredential=user_key:/root/secrets/key", "LoadCredential=more:/root/more",
                 "SetCredential=inline:secret", "LoadCredentialEncrypted=sealed:/etc/sealed")  # fmt: skip
    assert machine.check() == []
    machine.file("root/secrets/key", "two\nlines\n")
    (machine.root / "root/more/one").unlink()
    several, missing = machine.check()
    assert "@user_key: the file has more than one line" in several
    assert "@more_one: /root/more/one: there is no such file" in missing


def test_the_remedy_of_a_missing_credential(machine):
    machine.file("etc/sluice/key")
    machine.configure(backend="bearer = @key")
    [error] = machine.check()
    machine.edit(*re.search(r"write the two lines (\[Service\]) and (LoadCredential=\S+)", error).groups())
    assert machine.check() == []


# -- the queue


def test_a_queue_on_another_disk(machine):
    """Both steps are in one round: its owner, and the drop-in."""
    machine.configure(queue="path = /mnt/ssd/sluice/queue.db")
    unit, missing = machine.check()
    assert "lets it only read /mnt/ssd/sluice (ProtectSystem=strict)" in unit and "sudo systemctl edit sluice" in unit
    assert "there is no directory /mnt/ssd/sluice" in missing
    machine.obey(missing)
    assert len(machine.check()) == 1 and not machine.serves()
    machine.edit(*re.search(r"write the two lines (\[Service\]) and (ReadWritePaths=\S+)", unit).groups())
    assert machine.check() == []
    assert machine.serves(writable="/mnt/ssd/sluice"), machine.log


def test_a_queue_in_a_directory_of_root(machine):
    machine.configure(queue="path = /mnt/ssd/queue.db")
    machine.edit("[Service]", "ReadWritePaths=/mnt/ssd")
    [error] = machine.check()
    assert "the user sluice of the service may not write to /mnt/ssd" in error
    assert not machine.serves(writable="/mnt/ssd")
    machine.obey(error)
    assert machine.check() == [] and machine.serves(writable="/mnt/ssd")


def lines_for_the_unit(error):
    return re.search(r"write the two lines (\[Service\]) and (ReadWritePaths=[^;]+)", error).groups()


@pytest.mark.parametrize("directory, instead", [
    ("/var/lib", "/var/lib/sluice"), ("", "/var/lib/sluice"), ("/etc/sluice", "/var/lib/sluice"),
    ("/home/pi", "/var/lib/sluice"), ("/home/open", "/home/open/sluice"), ("/mnt", "/mnt/sluice"),
    ("/var", "/var/sluice"), ("/mnt/ssd", "/mnt/ssd/sluice"), ("/mnt/my disk", "/mnt/my disk/sluice"),
])  # fmt: skip
def test_a_directory_that_others_use_does_not_get_another_owner(machine, directory, instead):
    machine.file("mnt/ssd/photo")
    machine.file("mnt/my disk/photo")
    for path in (machine.root / "home/pi", machine.root / "home/open"):
        path.mkdir(exist_ok=True)
        shutil.chown(path, 1000, 1000)
    (machine.root / "home/pi").chmod(0o700)
    machine.edit("[Service]", "ProtectHome=no")
    machine.configure(queue=f"path = {directory}/queue.db")
    [error] = machine.check()
    assert f"may not write to {directory or '/'}, which others use too; " in error and "chown" not in error
    assert error.endswith(f"; write path = {instead}/queue.db")
    if instead != "/var/lib/sluice":
        machine.obey(error)
        machine.edit(*lines_for_the_unit(error))
    machine.configure(queue=f"path = {instead}/queue.db")
    assert machine.check() == []
    assert (machine.root / instead[1:]).stat().st_uid == USER


def test_a_disk_that_others_use_gets_a_directory_of_sluice(machine):
    machine.configure(queue="path = /mnt/ssd/queue.db")
    machine.file("mnt/ssd/photo", "")
    [error] = machine.check()
    machine.obey(error)
    machine.edit(*lines_for_the_unit(error))
    machine.configure(queue="path = /mnt/ssd/sluice/queue.db")
    assert machine.check() == []
    assert machine.serves(writable="/mnt/ssd/sluice"), machine.log


@pytest.mark.parametrize("directory", ["/run", "/etc/sluice", "/var/lib", ""])
def test_a_socket_in_a_directory_that_others_use(machine, directory):
    machine.configure(more=f"[daemon]\nsocket = {directory}/sluice.sock\n")
    [error] = machine.check()
    assert error.endswith("which others use too; write socket = /run/sluice/sluice.sock")
    machine.configure(more="[daemon]\nsocket = /run/sluice/sluice.sock\n")
    assert machine.check() == []


@pytest.mark.parametrize("path", ["/mnt/private/queue.db", "/mnt/private/own/queue.db", "/mnt/private/none/queue.db"])
def test_a_private_directory_is_not_opened_to_everybody(machine, path):
    machine.file("mnt/private/letter")
    (machine.root / "mnt/private/own").mkdir()
    shutil.chown(machine.root / "mnt/private/own", USER, USER)
    (machine.root / "mnt/private").chmod(0o700)
    machine.edit("[Service]", "ReadWritePaths=/mnt")
    machine.configure(queue=f"path = {path}")
    [error] = machine.check()
    assert "/var/lib/sluice" in error and "sudo" not in error, error
    machine.configure(queue="path = /var/lib/sluice/queue.db")
    assert machine.check() == []


def test_a_path_with_a_blank_in_a_remedy(machine):
    machine.file("etc/sluice/my key's")
    machine.configure(backend="bearer = @/etc/sluice/my key's", queue="path = /mnt/ssd/a queue/queue.db")
    key, unit, missing = machine.check()
    machine.obey(key)
    machine.obey(missing)
    machine.edit(*lines_for_the_unit(unit))
    assert machine.check() == []


def test_a_queue_that_root_made(machine):
    machine.configure()
    machine.file("var/lib/sluice/queue.db", "")
    [error] = machine.check()
    assert error.endswith("sudo chown -h sluice:sluice /var/lib/sluice/queue.db") and not machine.serves()
    machine.obey(error)
    assert machine.check() == [] and machine.serves()


@pytest.mark.parametrize("directory", ["/home/pi", "/tmp", "/var/tmp/sluice"])
def test_a_queue_in_a_place_that_the_unit_hides(machine, directory):
    machine.configure(queue=f"path = {directory}/queue.db")
    [error] = machine.check()
    assert "its unit hides /" in error and "choose another directory, such as /var/lib/sluice" in error


def test_a_queue_in_memory_whose_directory_systemd_will_make(machine):
    machine.configure()
    result = machine.run("mount -t tmpfs none /var/lib; sluice check")
    assert result.returncode == 0, result
    assert "warning: [queue]: path = /var/lib/sluice/queue.db: it is in memory" in result.stderr


def test_a_link_in_the_place_of_the_state_directory(machine):
    """systemd does not start the service then: 238/STATE_DIRECTORY. What it says helps."""
    machine.configure()
    (machine.root / "mnt/ssd/sluice").mkdir()
    shutil.chown(machine.root / "mnt/ssd/sluice", USER, USER)
    (machine.root / "var/lib/sluice").rmdir()
    link = machine.root / "var/lib/sluice"
    link.symlink_to("/mnt/ssd/sluice")
    [error] = machine.check()
    assert "/var/lib/sluice is a symbolic link" in error and error.endswith("in the configuration: /mnt/ssd/sluice")
    link.unlink()
    machine.configure(queue="path = /mnt/ssd/sluice/queue.db")
    [error] = machine.check()
    machine.edit(*re.search(r"write the two lines (\[Service\]) and (ReadWritePaths=\S+)", error).groups())
    assert machine.check() == []


def test_a_socket_in_another_place(machine):
    machine.configure(more="[daemon]\nsocket = /var/lib/other/socket\n")
    unit, missing = machine.check()
    assert "[daemon]: socket = " in unit and "ReadWritePaths=/var/lib/other" in unit
    assert "there is no directory /var/lib/other" in missing


# -- whose view


def test_it_says_how_it_checked(machine):
    machine.configure()
    machine.check()
    assert "checked as sluice.service sees it (/etc/systemd/system/sluice.service; user sluice)" in machine.how
    machine.edit("[Service]", "NoNewPrivileges=yes")
    machine.check()
    assert "/etc/systemd/system/sluice.service and 1 drop-in; user sluice" in machine.how
    machine.configure(url="https://example.org/")
    assert len(machine.check()) == 1
    assert "checked as sluice.service sees it" in machine.how


def test_a_person_who_is_not_root(machine):
    """The sandbox counts. Permissions are those of the person, and it says so."""
    machine.file("home/pi/key", mode=0o644)
    machine.configure(backend="bearer = @/home/pi/key")
    result = machine.run(f"setpriv --reuid=65534 --regid={USER} --clear-groups /var/program check || true")
    assert "its unit hides /home" in result.stderr
    assert "but with your permissions; sudo sluice check takes those of its user sluice" in result.stderr


def test_another_file_is_checked_for_who_runs_it(machine):
    """And so is the usual one, if the service has another."""
    machine.file("root/key")
    machine.configure(backend="bearer = @/root/key")
    assert len(machine.check()) == 1
    shutil.copy(machine.root / "etc/sluice/sluice.conf", machine.root / "root/own.conf")
    assert machine.check("-c /root/own.conf") == [] and "checked as" not in machine.how
    machine.edit("[Service]", "ExecStart=", "ExecStart=/var/program run -c /etc/sluice/other.conf")
    assert machine.check() == []
    shutil.copy(machine.root / "etc/sluice/sluice.conf", machine.root / "etc/sluice/other.conf")
    assert len(machine.check("-c /etc/sluice/other.conf")) == 3  # the key, the file itself, how it was checked


def test_without_the_user_of_the_unit(machine):
    machine.configure()
    machine.edit("[Service]", "User=slucie")
    result = machine.run("sluice check || true")
    assert "User=slucie: there is no such user" in result.stderr


def test_units_are_read_as_systemd_reads_them(machine):
    """Drop-ins in the order of their names, an empty value, a line that continues, a comment in it."""
    machine.configure(queue="path = /mnt/ssd/queue.db")
    shutil.chown(machine.root / "mnt/ssd", USER, USER)
    drop_ins = machine.root / f"{UNIT}.d"
    drop_ins.mkdir()
    (drop_ins / "10-first.conf").write_text("[Service]\nReadWritePaths=/mnt/ssd\n")
    assert machine.check() == []
    (drop_ins / "20-second.conf").write_text("[Service]\nReadWritePaths=\n")
    assert len(machine.check()) == 1
    (drop_ins / "30-third.conf").write_text("[Unit]\nReadWritePaths=\n[Service]\nReadWritePaths=-/srv \\\n# and\n -/mnt/ssd\n")
    assert machine.check() == []
    (drop_ins / "30-third.conf").unlink()
    (drop_ins / "30-third.conf").symlink_to("/dev/null")
    assert len(machine.check()) == 1


# -- one round


def test_everything_that_is_wrong_is_in_one_round(machine):
    machine.file("home/pi/key", '\ufeffsecret\n')
    machine.file("mnt/ssd/ca.pem", "no certificate\n")
    machine.configure(url="https://garden.example.org/api", queue="path = /mnt/ssd/queue.db\nmax_size = much",
                      backend="bearer = @/home/pi/key\nca_file = /mnt/ssd/ca.pem\nretry_mix = 1s", more="payth = /x\n")  # fmt: skip
    errors = machine.check()
    for words in ("max_size = much", "/home/pi/key: the service does not see it", "byte order mark", "retry_mix", "payth",
                  "/mnt/ssd/ca.pem: the user sluice", "there is no certificate in it", "ReadWritePaths=/mnt/ssd/sluice",
                  "this host is only an example"):  # fmt: skip
        assert len([error for error in errors if words in error]) == 1, (words, errors)
    assert len(errors) == 9, errors
