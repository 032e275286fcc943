"""The systemd unit, as far as it can be judged without a running systemd."""
import configparser
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("unit_file")  # they share what is made once a module

UNIT = Path(__file__).resolve().parents[2] / "config" / "sluice.service"


class OneValuePerKey(dict):
    """Keys that are given several times are joined, as systemd does for lists."""

    def __setitem__(self, key, value):
        if isinstance(value, list) and key in self and isinstance(self[key], list):
            value = self[key] + value
        super().__setitem__(key, value)


@pytest.fixture(scope="module")
def unit():
    parser = configparser.RawConfigParser(strict=False, dict_type=OneValuePerKey, comment_prefixes="#")
    parser.optionxform = str
    parser.read(UNIT)
    return parser


def test_systemd_finds_nothing_wrong(tmp_path):
    # verify wants the program to be there.
    copy = tmp_path / "sluice.service"
    copy.write_text(UNIT.read_text().replace("/usr/local/bin/sluice", "/bin/true"))
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy)],
                            capture_output=True, text=True)  # fmt: skip
    assert result.returncode == 0 and result.stderr == "", result.stderr


def test_exposure_is_at_most_two():
    result = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", str(UNIT)],
                            capture_output=True, text=True)  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


def test_clock_and_boot_id_stay_readable(unit):
    service = unit["Service"]
    allowed = service["SystemCallFilter"].split()
    assert {"@system-service", "adjtimex", "clock_adjtime", "clock_adjtime64"} <= set(allowed)
    assert "ProtectClock" not in service  # it denies adjtimex, even to those who only ask
    assert service.get("ProcSubset", "all") == "all"  # "pid" hides /proc/sys/kernel/random/boot_id


def test_queue_is_readable_for_the_group(unit):
    service = unit["Service"]
    assert (service["User"], service["Group"], service["StateDirectory"]) == ("sluice", "sluice", "sluice")
    assert (service["StateDirectoryMode"], service["UMask"]) == ("2750", "0027")


def test_the_group_reaches_the_socket(unit):
    service = unit["Service"]
    assert (service["RuntimeDirectory"], service["RuntimeDirectoryMode"]) == ("sluice", "0750")


def test_a_broker_that_is_missing_does_not_keep_it_from_starting(unit):
    assert "mosquitto.service" in unit["Unit"]["After"].split()
    for key in ("Requires", "BindsTo", "Requisite"):
        assert key not in unit["Unit"]


def test_it_is_started_again_unless_that_cannot_help(unit):
    service = unit["Service"]
    assert (service["Type"], service["Restart"]) == ("notify", "on-failure")
    assert service["RestartPreventExitStatus"].split() == ["2", "78"]
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
