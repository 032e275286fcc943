"""Files beside the queue that belong to root: a command of root, or a backup that root copied back.

The machine is that of test_service_view.py: the service has the user sluice, and the test is root.
"""
import re
import shutil

import pytest
from test_service_view import USER, Machine

QUEUE = "var/lib/sluice"
BOOTED = "mount -t tmpfs none /run; mkdir -p /run/systemd/system /run/sluice; "  # sd_booted(3)
REMEDY = r"sudo chown -h (\S+) (.*)"
AS_USER = f"setpriv --reuid={USER} --regid={USER} --clear-groups"


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    machine.configure()
    assert machine.serves(), machine.log
    return machine


def files(machine, owner=None):
    """The files beside the queue that belong to this user."""
    return {path.name for path in (machine.root / QUEUE).iterdir()
            if path.name != "log" and owner in (None, path.stat().st_uid)}  # fmt: skip


def give(machine, names, owner=0):
    for name in names:
        path = machine.root / QUEUE / name
        if not path.exists():
            path.write_bytes(b"")
            path.chmod(0o640)
        shutil.chown(path, owner, owner)


def named(text):
    """The owner and the names of the files in a remedy."""
    owner, words = re.search(REMEDY, text).groups()
    return owner, {word.removeprefix(f"/{QUEUE}/") for word in words.split()}


@pytest.mark.parametrize("names", [{"queue.db"}, {"queue.db-lock"}, {"queue.db-wal", "queue.db-shm"},
                                   {"queue.db", "queue.db-lock", "queue.db-wal", "queue.db-shm", "last.conf"}])  # fmt: skip
def test_files_of_root_beside_the_queue(machine, names):
    """check names them all in one remedy, and so does the service that does not start. Both help."""
    give(machine, names)
    [error] = machine.check()
    assert "[queue]: path = /var/lib/sluice/queue.db: the user sluice of the service may not use" in error
    assert named(error) == ("sluice:sluice", names)
    assert not machine.serves()
    [line] = [line for line in machine.log.splitlines() if "sudo chown" in line]
    assert named(line) == (f"--reference=/{QUEUE}", names - {"last.conf"})
    machine.obey(error)
    assert machine.check() == [] and machine.serves(), machine.log

    give(machine, names)
    machine.obey(line)
    assert machine.serves(), machine.log


def test_what_the_service_says_of_a_lock_that_it_may_not_open(machine):
    """The directory is right, so it is not blamed."""
    give(machine, ["queue.db-lock"])
    assert not machine.serves()
    assert "/var/lib/sluice/queue.db-lock" in machine.log and "the directory must" not in machine.log


def test_a_directory_that_the_service_may_not_write_to_is_blamed(machine):
    """Files of its own in it are not."""
    shutil.chown(machine.root / QUEUE, 0, 0)
    (machine.root / QUEUE / "queue.db-lock").unlink()
    result = machine.run(f"{AS_USER} /var/program run || true")
    assert "the directory must exist and belong to sluice's user" in result.stderr and "chown" not in result.stderr


def test_a_file_that_its_own_user_may_not_write_to(machine):
    """A backup has the mode of a backup. chown alone does not help then."""
    give(machine, ["queue.db"])
    (machine.root / QUEUE / "queue.db").chmod(0o440)
    [error] = machine.check()
    machine.obey(error)
    assert machine.check() == [] and machine.serves(), machine.log


@pytest.mark.parametrize("name", ["queue.db", "queue.db-wal", "queue.db-lock", "last.conf"])
def test_a_link_beside_the_queue_gives_nothing_away(machine, name):
    """Whoever may write to the directory can make one."""
    machine.file("etc/private", "of root\n", 0o600)
    private = machine.root / "etc/private"
    link = machine.root / QUEUE / name
    link.unlink(missing_ok=True)
    link.symlink_to("/etc/private")
    give(machine, ["queue.db-shm"])
    errors = machine.check()
    assert any("is a symbolic link" in error for error in errors) and not machine.serves()
    for error in errors:
        machine.obey(error)
    assert (private.stat().st_uid, private.stat().st_mode & 0o777) == (0, 0o600)
    assert not link.is_symlink() and machine.check() == [] and machine.serves(), machine.log


def test_a_queue_in_a_directory_with_a_blank_in_its_name(machine):
    machine.file("mnt/ssd/a queue/queue.db", "")
    shutil.chown(machine.root / "mnt/ssd/a queue", USER, USER)
    machine.configure(queue="path = /mnt/ssd/a queue/queue.db")
    machine.edit("[Service]", "ReadWritePaths=/mnt/ssd")
    [error] = machine.check()
    assert "sudo chown -h sluice:sluice '/mnt/ssd/a queue/queue.db'" in error
    machine.obey(error)
    assert machine.check() == []


def test_status_of_root_makes_no_files_of_root(machine):
    """The database belongs to root, but the directory does not."""
    for name in files(machine):
        (machine.root / QUEUE / name).unlink()
    machine.file(f"{QUEUE}/queue.db", "", 0o640)
    for command in ("status", "queue ls", "send garden/a/sensor 1", "queue drop --all --yes"):
        machine.run(f"sluice {command} || true")
        assert files(machine, 0) == {"queue.db"}, command


def test_status_of_a_stopped_sluice_says_it(machine):
    names = {"queue.db", "queue.db-lock"}
    give(machine, names)
    for who in ("", AS_USER):
        result = machine.run(f"{who} /var/program status || exit $?")
        assert result.returncode == 3 and "sluice is stopped" in result.stdout, result.stdout + result.stderr
        [line] = re.findall(r"^! queue: .*", result.stdout, re.M)
        assert "use" in line and named(line) == (f"--reference=/{QUEUE}", names)
    machine.obey(line)
    result = machine.run("sluice status || exit $?")
    assert result.returncode == 3 and "! " not in result.stdout, result.stdout + result.stderr
    assert machine.serves(), machine.log


def test_a_sluice_in_a_container_is_another_one(machine):
    """Its socket has the same name there, and is in the kernel's list, as long as both share the network."""
    shutil.chown(machine.root / "mnt/ssd", USER, USER)
    result = machine.run(r"""
        unshare --mount /bin/sh -euc '
            mount -t tmpfs none /run; mkdir /run/sluice; chown sluice /run/sluice
            mount --bind /mnt/ssd /var/lib/sluice
            exec setpriv --reuid=sluice --regid=sluice --init-groups /var/program run 2>/tmp/log >/tmp/out' & pid=$!
        while kill -0 $pid 2>/dev/null && ! grep -q " ready: " /tmp/log; do sleep 0.1; done
        grep -q /run/sluice/sluice.sock /proc/net/unix
        /var/program status || echo exit $?
        kill $pid
        wait $pid""")  # fmt: skip
    assert "sluice is stopped" in result.stdout and "exit 3" in result.stdout, result.stdout + result.stderr


def test_status_does_not_say_it_to_those_who_only_read(machine):
    """A member of the group may not write, and that is right."""
    result = machine.run(f"setpriv --reuid=65534 --regid={USER} --clear-groups /var/program status || exit $?")
    assert result.returncode == 3 and "! " not in result.stdout, result


@pytest.mark.parametrize("command", ["queue ls", "queue drop --all --yes", "queue forget garden", "send garden/a/sensor 1"])
def test_a_command_of_root_says_it(machine, command):
    """And not: use sudo."""
    give(machine, ["queue.db", "queue.db-lock"])
    (machine.root / QUEUE / "queue.db").chmod(0o600)
    result = machine.run(f"sluice {command} || exit $?")
    assert result.returncode != 0 and "use sudo" not in result.stderr
    assert named(result.stderr) == (f"--reference=/{QUEUE}", {"queue.db", "queue.db-lock"})


# -- sluice run by root


# Starts, and stops at once.
STARTS = """
    /var/program run $CONFIG 2>/tmp/log & pid=$!
    while kill -0 $pid 2>/dev/null && ! grep -q ' ready: ' /tmp/log; do sleep 0.1; done
    kill $pid 2>/dev/null || true
    wait $pid || status=$?
    cat /tmp/log
    exit ${status-0}
"""


def test_root_does_not_run_the_queue_of_the_service(machine):
    result = machine.run(BOOTED + STARTS, CONFIG="")
    assert result.returncode == 1 and files(machine, 0) == set()
    assert "sudo systemctl start sluice" in result.stdout


@pytest.mark.parametrize("case", ["container", "another configuration", "another directory", "a service of root"])
def test_root_runs_any_other_queue(machine, case):
    """Without systemd there is no service. A queue of root is not in the way of the service."""
    config = ""
    if case == "another configuration":
        shutil.copy(machine.root / "etc/sluice/sluice.conf", machine.root / "root/own.conf")
        config = "-c /root/own.conf"
    elif case == "another directory":
        machine.configure(queue="path = /mnt/ssd/queue.db")
    elif case == "a service of root":
        machine.edit("[Service]", "User=root")
    setup = BOOTED if case != "container" else BOOTED + "rm -r /run/systemd; "
    result = machine.run(setup + STARTS, CONFIG=config)
    assert result.returncode == 0 and " ready: " in result.stdout, result


# -- `path` was edited to a directory of root, and sluice was not restarted

RUNNING = BOOTED + """
    chown sluice:sluice /run/sluice
    setpriv --reuid=sluice --regid=sluice --init-groups /var/program run 2>/tmp/log >/tmp/out & pid=$!
    while kill -0 $pid 2>/dev/null && ! grep -q ' ready: ' /tmp/log; do sleep 0.1; done
    mkdir -p /mnt/ssd/new
    sed -i 's#^.queue.#&\\npath = /mnt/ssd/new/queue.db#' /etc/sluice/sluice.conf
    %s
    kill $pid
    wait $pid
"""


@pytest.mark.parametrize("who", ["", f"setpriv --reuid=65534 --regid={USER} --clear-groups "])
def test_the_running_sluice_is_found(machine, who):
    """The directory says nothing of its user; the unit does."""
    result = machine.run(RUNNING % f"{who}/var/program status || echo exit $?")
    assert "sluice 0.1.0 is running since" in result.stdout, result.stdout + result.stderr
    assert re.search(r"restart sluice to apply the changes of: .*\[queue\] path", result.stdout)


def test_root_sends_to_the_running_sluice(machine):
    result = machine.run(RUNNING % "/var/program send garden/a/sensor 1; /var/program queue ls; ls /mnt/ssd/new")
    assert result.returncode == 0 and "garden/a/sensor" in result.stdout, result.stdout + result.stderr
    assert not list((machine.root / "mnt/ssd/new").iterdir())


def test_root_makes_no_queue_that_the_service_cannot_use(machine):
    machine.configure(queue="path = /mnt/ssd/queue.db")
    result = machine.run(BOOTED + "/var/program send garden/a/sensor 1 || exit $?")
    assert result.returncode == 1 and "sudo sluice check reports what to correct" in result.stderr, result
    assert not list((machine.root / "mnt/ssd").iterdir())
    machine.edit("[Service]", "User=root")
    machine.run(BOOTED + "/var/program send garden/a/sensor 1")
    assert (machine.root / "mnt/ssd/queue.db").exists()
