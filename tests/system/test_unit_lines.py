"""Lines of the unit that name what is not there: systemd accepts them, and does not start the service.

The machine is that of test_service_view.py. A real systemd judges what `check` says about each case.
"""
import re
import shutil

import pytest
from harness.booted import TARGET, Systemd
from test_service_view import UNIT, USER, Machine

OVERRIDE = f"/{UNIT}.d/override.conf"
NAMESPACE, CREDENTIALS, CHDIR, EXEC, RESOURCES = "226/NAMESPACE", "243/CREDENTIALS", "200/CHDIR", "203/EXEC", "resources"
NO_USER, NO_GROUP = "217/USER", "216/GROUP"
STATUSES = NAMESPACE, CREDENTIALS, CHDIR, EXEC, NO_USER, NO_GROUP
PROGRAM = "#!/bin/sh\nexec sleep infinity\n"

# The lines of a drop-in, and with which status the service fails, or None.
CASES = [
    # the sandbox: "-", "+", what systemd makes, what is hidden, and what is redundant
    (["ReadWritePaths=/mnt/gone"], NAMESPACE),
    (["ReadWritePaths=/mnt/there /mnt/gone/"], NAMESPACE),
    (["ReadWritePaths=+/mnt/gone"], NAMESPACE),
    (["ReadWritePaths=/mnt/dangling"], NAMESPACE),
    (['ReadWritePaths="/mnt/my gone"'], NAMESPACE),
    (['ReadWritePaths="/mnt/my dir" /mnt/file'], None),
    (["ReadWritePaths=-/mnt/gone -+/mnt/gone"], None),
    (["ReadWritePaths=/var/lib/sluice /run/sluice %S/sluice %t/sluice"], None),
    (["ReadWritePaths=%S/gone"], NAMESPACE),
    (["StateDirectory=a/b", "ReadWritePaths=/var/lib/a"], None),
    (["StateDirectory=a/b", "ReadWritePaths=/var/lib/a/b/c"], NAMESPACE),
    (["ConfigurationDirectory=made", "ReadWritePaths=/etc/made"], None),
    (["ReadWritePaths=/var/lib/sluice/gone"], NAMESPACE),
    (["ReadOnlyPaths=/var/lib/sluice/gone"], NAMESPACE),
    (["ReadWritePaths=/mnt /mnt/gone"], None),
    (["ReadWritePaths=/mnt", "ReadOnlyPaths=/mnt/there", "ReadWritePaths=/mnt/there/gone"], NAMESPACE),
    (["ReadOnlyPaths=/mnt/gone"], None),
    (["ReadWritePaths=/mnt", "ReadOnlyPaths=/mnt/gone"], NAMESPACE),
    (["ProtectSystem=full", "ReadOnlyPaths=/mnt/gone"], NAMESPACE),
    (["ProtectSystem=full", "ReadOnlyPaths=/usr/gone"], None),
    (["ReadWritePaths=/home/gone"], None),
    (["ProtectHome=tmpfs", "ReadWritePaths=/home/gone"], NAMESPACE),
    (["ProtectHome=tmpfs", "BindPaths=/mnt/there:/home/gone", "ReadWritePaths=/home/gone"], None),
    (["ReadWritePaths=/tmp/there"], NAMESPACE),
    (["ReadWritePaths=-/tmp/there"], None),
    (["TemporaryFileSystem=/mnt", "ReadWritePaths=/mnt/there"], NAMESPACE),
    (["InaccessiblePaths=/mnt", "ReadWritePaths=/mnt/gone"], None),
    (["InaccessiblePaths=/mnt/gone"], NAMESPACE),
    (["ExecPaths=/mnt/gone"], NAMESPACE),
    (["NoExecPaths=/mnt/gone"], NAMESPACE),
    (["BindPaths=/mnt/gone"], NAMESPACE),
    (["BindPaths=/mnt/gone:/mnt/there"], NAMESPACE),
    (["BindPaths=-/mnt/gone:/mnt/there"], None),
    (["BindPaths=/mnt/there:/mnt/new"], None),
    (["BindReadOnlyPaths=/mnt/gone", "BindPaths="], None),
    (["BindPaths=/tmp/there:/mnt/there"], None),
    (["BindReadOnlyPaths=/mnt/gone:/mnt/there:norbind"], NAMESPACE),
    (["RootDirectory=/mnt/gone"], NAMESPACE),
    (["RootDirectory=-/mnt/gone"], None),
    (["RootImage=/mnt/gone"], NAMESPACE),
    # other files
    (["LoadCredential=one:/mnt/gone"], CREDENTIALS),
    (["LoadCredential=one:/home/gone"], CREDENTIALS),
    (["LoadCredential=one:/mnt/dangling"], CREDENTIALS),
    (["LoadCredentialEncrypted=one:/mnt/gone"], CREDENTIALS),
    (["LoadCredential=one:/mnt/there", "LoadCredential=two:/mnt/file", "LoadCredential=three:/mnt/my file"], None),
    (["LoadCredential=one", "LoadCredential=two:gone"], None),
    (["LoadCredential=one:/mnt/gone", "SetCredential=one:secret"], None),
    (["LoadCredential=one:/mnt/gone", "SetCredential=on:secret"], CREDENTIALS),
    (["LoadCredential=one:/mnt/gone", "LoadCredential="], None),
    (["LoadCredential=one:/mnt/gone", "LoadCredentialEncrypted="], None),
    (["LoadCredential=one:/mnt/gone", "SetCredential=one:secret", "SetCredentialEncrypted="], CREDENTIALS),
    (["EnvironmentFile=/mnt/gone"], RESOURCES),
    (["EnvironmentFile=-/mnt/gone"], None),
    (["EnvironmentFile=/mnt/f*", "EnvironmentFile=/mnt/my file"], None),
    (["WorkingDirectory=/mnt/gone"], CHDIR),
    (["WorkingDirectory=/mnt/file"], CHDIR),
    (["WorkingDirectory=/mnt/closed/dir"], CHDIR),
    (["WorkingDirectory=/home"], CHDIR),
    (["WorkingDirectory=/tmp/there"], CHDIR),
    (["WorkingDirectory=-/mnt/gone"], None),
    (["WorkingDirectory=/var/lib/sluice"], None),
    (["WorkingDirectory=/mnt/my dir"], None),
    (["WorkingDirectory=/tmp"], None),
    # users, groups and programs
    (["User=gone"], NO_USER),
    (["User=64999"], NO_USER),
    ([f"User={USER}", f"Group={USER}"], None),
    (["User=gone", "DynamicUser=yes"], None),
    (["Group=gone"], NO_GROUP),
    (["Group=64999"], NO_GROUP),
    (["SupplementaryGroups=root gone"], NO_GROUP),
    (["SupplementaryGroups=root"], None),
    (["ExecStart=", "ExecStart=/mnt/gone run"], EXEC),
    (["ExecStart=", "ExecStart=/mnt/file run"], EXEC),
    (["ExecStart=", "ExecStart=/mnt/there run"], EXEC),
    (["ExecStart=", "ExecStart=/mnt/closed/program run"], EXEC),
    (["ExecStart=", "ExecStart=/tmp/there/program run"], EXEC),
    (["ExecStart=", "ExecStart=+/mnt/closed/program run"], None),
    (["ExecStart=", "ExecStart=!/mnt/closed/program run"], None),
    (["ExecStart=", 'ExecStart=-@:"/mnt/my program" other run'], None),
    (["ExecStartPre=/mnt/gone"], EXEC),
    (["ExecStartPre=-/mnt/gone"], None),
    (["ExecStartPost=/mnt/gone"], EXEC),
]  # fmt: skip


# Nothing of the system starts with it. The programs of the cases report nothing, and a failure is final.
DROP_IN = "[Unit]\nDefaultDependencies=no\n[Service]\nType=exec\nWatchdogSec=0\nRestart=no\nTimeoutStopSec=2"
JUDGE = """
    systemctl daemon-reload
    systemctl start sluice 2>/dev/null || true
    systemctl show -p Result -p ExecStartPre -p ExecStart -p ExecStartPost sluice
    systemctl stop sluice
    systemctl reset-failed sluice 2>/dev/null || true
"""


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    machine.configure()
    for path in ("mnt/there", "mnt/my dir", "mnt/closed/dir", "tmp/there"):
        (machine.root / path).mkdir(parents=True)
    for path in ("mnt/file", "mnt/my file"):
        machine.file(path, "", 0o644)
    for path in ("mnt/my program", "mnt/closed/program", "tmp/there/program"):
        machine.file(path, PROGRAM, 0o755)
    (machine.root / "mnt/dangling").symlink_to("/mnt/gone")
    (machine.root / "mnt/closed").chmod(0o700)
    return machine


def faults(machine):
    """The errors, also if there is no user as whom to check."""
    result = machine.run("sluice check && exit 2 || true")
    assert result.returncode == 0, result
    return [line for line in result.stderr.splitlines() if "warning" not in line and "checked as" not in line]


def names_of(cases):
    return [" ".join(lines) for lines, _ in cases]


@pytest.mark.parametrize("lines, status", CASES, ids=names_of(CASES))
def test_a_line_of_the_unit(machine, lines, status):
    machine.edit("[Service]", *lines)
    if status is None:
        assert machine.check() == []
        return
    [error] = faults(machine)
    assert re.match(rf"{OVERRIDE}:[2-9]: [A-Z]\w+=\S.*: .+, so the service does not start \({status}\); .+", error), error


def verdict(judged):
    """With which status the service fails, or None: its program started, whatever came of it."""
    assert judged.returncode == 0, judged
    shown = dict(line.split("=", 1) for line in judged.stdout.splitlines())
    if shown["Result"] == RESOURCES:
        return RESOURCES
    assert shown["Result"] in ("success", "exit-code", "signal"), shown
    fatal = [line for line in judged.stdout.splitlines() if "ignore_errors=yes" not in line]
    codes = re.findall(r"status=(\d+)", "\n".join(fatal))
    return next((status for status in STATUSES if status.split("/")[0] in codes), None)


def test_systemd_starts_what_check_says(machine):
    """The same cases."""
    machine.file("etc/systemd/system/test.target", TARGET, 0o644)
    machine.file("etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0o444)
    drop_in = machine.root / OVERRIDE[1:]
    drop_in.parent.mkdir()
    systemd, found = Systemd(machine.root, machine.mounts()), []
    try:
        for lines, _ in CASES:
            drop_in.write_text("\n".join([DROP_IN, *lines, ""]))
            found.append((lines, verdict(systemd.run(JUDGE))))
    finally:
        systemd.stop()
    assert found == CASES


def test_the_remedy_of_a_path_that_may_be_missing(machine):
    machine.edit("[Service]", "# the disk", "ReadWritePaths=-/mnt/there \\", "    /mnt/gone", "EnvironmentFile=/mnt/gone")
    assert machine.check() == [
        f"{OVERRIDE}:{line}=/mnt/gone: there is no such file{more}, so the service does not start ({status}); make it, "
        "correct the line, or write - before the path if it may be missing"
        for line, more, status in (("3: ReadWritePaths", " or directory", NAMESPACE), ("5: EnvironmentFile", "", RESOURCES))
    ]  # fmt: skip


def test_a_program_that_is_not_installed(machine):
    """The main file of the unit is named, too."""
    unit = machine.root / UNIT
    unit.write_text(unit.read_text().replace("/var/program run", "/usr/local/bin/gone run"))
    [error] = machine.check()
    line = unit.read_text().splitlines().index("ExecStart=/usr/local/bin/gone run") + 1
    assert error.startswith(f"/{UNIT}:{line}: ExecStart=/usr/local/bin/gone: there is no such program, so the service")


def test_all_lines_are_in_one_round(machine):
    machine.edit("[Service]", "User=gone", "SupplementaryGroups=gone gone2", "Group=gone")
    errors = faults(machine)
    assert len(errors) == 4 and all(re.search("there is no such (user|group)", error) for error in errors), errors


def test_another_user_sees_what_it_may_see(machine):
    """It does not report what root would find."""
    machine.edit("[Service]", "ReadWritePaths=/mnt/closed/gone", "LoadCredential=one:/mnt/closed/gone", "BindPaths=/mnt/gone")
    shutil.chown(machine.root / "etc/sluice", 0, USER)
    result = machine.run(f"setpriv --reuid=65534 --regid={USER} --clear-groups /var/program check || true")
    assert len(re.findall("so the service does not start", result.stderr)) == 1 and "BindPaths=/mnt/gone" in result.stderr
