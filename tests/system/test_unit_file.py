"""The systemd unit: the checks that need no running systemd."""
import configparser
import subprocess
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).resolve().parents[2] / "config" / "sluice.service.in"


class OneValuePerKey(dict):
    """Joins the values of a key that is given several times, as systemd does for lists."""

    def __setitem__(self, key, value):
        if isinstance(value, list) and key in self and isinstance(self[key], list):
            value = self[key] + value
        super().__setitem__(key, value)


@pytest.fixture
def path(tmp_path):
    """The unit as a file. systemd-analyze requires that its program and its pages exist."""
    copy = tmp_path / "sluice.service"
    text = TEMPLATE.read_text().replace("@CMAKE_INSTALL_FULL_BINDIR@/sluice", "/bin/true")
    copy.write_text(text.replace("@CMAKE_INSTALL_FULL_DOCDIR@", "/usr/share/doc"))
    return copy


@pytest.fixture
def unit(path):
    parser = configparser.RawConfigParser(strict=False, dict_type=OneValuePerKey, comment_prefixes="#")
    parser.optionxform = str
    parser.read(path)
    return parser


def test_systemd_accepts_the_unit_without_a_warning(path):
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(path)],
                            capture_output=True, text=True)  # fmt: skip
    assert result.returncode == 0 and result.stderr == "", result.stderr


def test_exposure_is_at_most_two(path):
    result = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", str(path)],
                            capture_output=True, text=True)  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


def test_clock_state_and_boot_id_are_readable(unit):
    service = unit["Service"]
    allowed = service["SystemCallFilter"].split()
    assert {"@system-service", "adjtimex", "clock_adjtime", "clock_adjtime64"} <= set(allowed)
    assert "ProtectClock" not in service  # it forbids adjtimex, which sluice only uses to read the state
    assert service.get("ProcSubset", "all") == "all"  # "pid" hides /proc/sys/kernel/random/boot_id


def test_the_group_can_read_the_queue(unit):
    service = unit["Service"]
    assert (service["User"], service["Group"], service["StateDirectory"]) == ("sluice", "sluice", "sluice")
    assert (service["StateDirectoryMode"], service["UMask"]) == ("2750", "0027")


def test_the_group_can_use_the_socket(unit):
    service = unit["Service"]
    assert (service["RuntimeDirectory"], service["RuntimeDirectoryMode"]) == ("sluice", "0750")


def test_it_starts_without_a_broker(unit):
    assert "mosquitto.service" in unit["Unit"]["After"].split()
    for key in ("Requires", "BindsTo", "Requisite"):
        assert key not in unit["Unit"]


def test_a_reload_waits_for_its_outcome(path, unit):
    """Its command fails if sluice refuses the configuration, and it uses no other configuration than the start."""
    assert unit["Service"]["ExecReload"].split() == ["/bin/true", "reload"]
    assert unit["Service"]["ExecStart"].split() == ["/bin/true", "run"]


def test_it_restarts_except_after_a_wrong_command_line_or_configuration(unit):
    service = unit["Service"]
    assert (service["Type"], service["Restart"]) == ("notify", "on-failure")
    assert service["RestartPreventExitStatus"].split() == ["2", "78"]
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
