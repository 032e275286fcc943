"""The ACL of Mosquitto and the routes belong together: check and status compare them, and print a
remedy that works. Mosquitto reports neither a dropped PUBLISH nor a filter that may not be read."""
import re
import shutil
import signal
from pathlib import Path

import pytest

from harness.mount import with_mounts
from harness.sluice import binary
from harness.wait import wait_until

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "mosquitto-sluice.acl"
USERS = {"device": "a", "sluice": "b"}
FOREIGN_ROUTE = {"topic": "home/+/temperature", "path": "/t", "ack_topic": "home/{2}/ack"}


@pytest.fixture
def acl(tmp_path):
    """The ACL file of a broker, and /etc/mosquitto as it would be with it."""
    directory = tmp_path / "etc"
    (directory / "conf.d").mkdir(parents=True)
    (directory / "mosquitto.conf").write_text("persistence true\ninclude_dir /etc/mosquitto/conf.d\n")
    (directory / "conf.d/sluice.conf").write_text("# acl_file /none\nlistener 1883\nacl_file /etc/mosquitto/sluice.acl\n")
    shutil.copy(SHIPPED, directory / "sluice.acl")
    return directory / "sluice.acl"


@pytest.fixture
def parts(acl, tmp_path, make_mosquitto, make_sluice, backend):
    """(mosquitto, a sluice of its user)"""
    (tmp_path / "password").write_text("b\n")
    (tmp_path / "password").chmod(0o600)

    def make(routes):
        mosquitto = make_mosquitto(users=USERS, extra=f"acl_file {acl}")
        return mosquitto, make_sluice(broker_port=mosquitto.port, backends={"garden": backend}, routes=routes,
                                      broker={"username": "sluice", "password": f"@{tmp_path}/password"})  # fmt: skip

    return make


def ask(acl, sluice, command):
    """What a command says of the ACL: check warns, and status has problems."""
    result = with_mounts([binary(), command, "-c", sluice.config_file], {"/etc/mosquitto": acl.parent})
    lines = result.stderr if command == "check" else result.stdout
    return [line for line in lines.splitlines() if "/etc/mosquitto/sluice.acl" in line]


def repair(acl, lines, mosquitto):
    """Does what the lines say."""
    for line in lines:
        text = acl.read_text()
        below = re.search(r": add the line '(topic .*)' below its line '(user .*)'; then systemctl reload", line)
        append = re.search(r": append the (?:two )?lines? (?:'(user .*)' and )?'((?:topic|pattern) .*)'; then systemctl reload", line)
        first = re.search(r": add the line '(topic .*)' as its first line; then systemctl reload", line)
        if below:
            rule, user = below.groups()
            assert text.count(f"{user}\n") == 1
            acl.write_text(text.replace(f"{user}\n", f"{user}\n{rule}\n"))
        elif append:
            acl.write_text(text + "".join(f"{rule}\n" for rule in append.groups() if rule))
        else:
            acl.write_text(f"{first[1]}\n{text}")
    mosquitto.process.send_signal(signal.SIGHUP)  # as systemctl reload
    wait_until(lambda: any("Reloading config" in line for line in mosquitto.log), what="mosquitto to reload")


def test_the_remedy_of_a_route_that_no_device_may_write_works(acl, parts, backend, make_sluice):
    mosquitto, sluice = parts({"temperature": FOREIGN_ROUTE, "sensor": {"topic": "garden/+/sensor"}})
    warnings = ask(acl, sluice, "check")
    assert len(warnings) == 3 and all("route temperature: " in line for line in warnings), warnings
    assert "lets no device write home/+/temperature, so no message arrives" in warnings[0]
    sluice.start().wait_connected()
    acks = []
    device = mosquitto.client(version=5, on_message=lambda message: acks.append(message.topic))
    device.subscribe("home/+/ack", 1)
    device.publish("home/a/temperature", b'{"b": 7, "s": 1, "lo": 1, "t": 20}', 1).wait_for_publish(60)
    device.publish("garden/a/sensor", b"after it", 1)
    backend.wait_for(1)
    assert [request.body for request in backend.requests] == [b"after it"], "the ACL does not stop it"
    problems = ask(acl, sluice, "status")
    assert [re.sub("^! ", "", line) for line in problems] == [re.sub("^.*?warning: ", "", line) for line in warnings]

    repair(acl, warnings, mosquitto)
    assert ask(acl, sluice, "check") == ask(acl, sluice, "status") == []
    device.publish("home/a/temperature", b'{"b": 7, "s": 1, "lo": 1, "t": 20}', 1).wait_for_publish(60)
    backend.wait_for(2)
    wait_until(lambda: "home/a/ack" in acks, what="the acknowledgement to reach the device")
    device.disconnect()
    device.loop_stop()


def test_the_remedy_of_a_user_without_a_line_works(acl, parts, backend):
    acl.write_text("topic read garden/+/sensor\nuser device\ntopic readwrite #\n")
    mosquitto, sluice = parts({"all": {"topic": ["garden/#"]}})
    repair(acl, ask(acl, sluice, "check"), mosquitto)
    assert ask(acl, sluice, "check") == []
    sluice.start().wait_connected()
    mosquitto.publish("garden/a/sensor", b"now")
    backend.wait_for(1)


def test_the_remedy_of_a_topic_that_sluice_may_not_read_works(acl, parts, backend):
    acl.write_text("user sluice\ntopic read garden/+/sensor\nuser device\ntopic readwrite #\n")
    mosquitto, sluice = parts({"all": {"topic": ["garden/#"]}})
    warnings = ask(acl, sluice, "check")
    assert len(warnings) == 1 and "does not let the user sluice read garden/#" in warnings[0], warnings
    sluice.start().wait_connected()
    mosquitto.publish("garden/a/heartbeat", b"lost")
    mosquitto.publish("garden/a/sensor", b"after it")
    backend.wait_for(1)
    repair(acl, warnings, mosquitto)
    assert ask(acl, sluice, "check") == []
    mosquitto.publish("garden/a/heartbeat", b"now")
    backend.wait_for(2)
    assert [request.body for request in backend.requests] == [b"after it", b"now"]


@pytest.mark.parametrize("rules", [
    "user gateway\ntopic read #\nuser device\ntopic readwrite garden/#\n",
    "pattern write garden/%u/own\nuser sluice\ntopic read #\n",
    "user gateway\ntopic read #\npattern readwrite garden/%u/sensor\n",
], ids=["device", "pattern", "both"])  # fmt: skip
def test_the_remedy_names_a_line_that_is_there(acl, parts, backend, rules):
    """The file may have no 'user' line of sluice, or of any device."""
    acl.write_text(rules)
    mosquitto, sluice = parts({"sensor": {"topic": "garden/+/sensor"}})
    warnings = ask(acl, sluice, "check")
    assert warnings
    sluice.start().wait_connected()
    repair(acl, warnings, mosquitto)
    assert ask(acl, sluice, "check") == []
    mosquitto.publish("garden/device/sensor", b"now")
    backend.wait_for(1)


def test_an_acl_of_another_listener_is_not_judged(acl, parts):
    """With per_listener_settings, each listener has an ACL of its own, or none."""
    mosquitto, sluice = parts({"temperature": FOREIGN_ROUTE})
    conf = acl.parent / "conf.d/sluice.conf"
    port, rules = mosquitto.port, "acl_file /etc/mosquitto/sluice.acl\n"
    other = f"listener {port + 1}\n"

    def warnings(*lines):
        conf.write_text("".join(lines))
        return len(ask(acl, sluice, "check"))

    each = "per_listener_settings true\n"
    assert warnings(each, f"listener {port}\n", other, rules) == 0
    assert warnings(each, other, rules, f"listener {port}\n") == 0
    assert warnings(each, rules, f"listener {port}\n") == 0, "of the default listener, which has another port"
    assert warnings(each, f"listener {port} 127.0.0.1\n", rules, f"listener {port} 192.0.2.1\n") == 0, "which of both?"
    assert warnings(each, f"listener {port} 192.0.2.1\n", f"listener {port} 127.0.0.1\n", rules) == 0, "which of both?"
    assert warnings(each, f"listener {port}\n", rules, other) == 3
    assert warnings(each, rules, f"port {port}\n") == 3
    assert warnings("per_listener_settings 1\n", other, f"listener {port}\n", rules) == 3
    assert warnings(f"listener {port}\n", other, rules) == 3
    assert warnings("per_listener_settings false\n", f"listener {port}\n", other, rules) == 3


def test_mosquitto_reads_include_dir_in_its_main_file_only(acl, parts):
    mosquitto, sluice = parts({"temperature": FOREIGN_ROUTE})
    conf = acl.parent / "conf.d/sluice.conf"
    inner = acl.parent / "inner"
    inner.mkdir()
    (inner / "other.conf").write_text("acl_file /etc/mosquitto/other.acl\n")
    conf.write_text(conf.read_text() + "include_dir /etc/mosquitto/inner\ninclude_dir /etc/mosquitto/conf.d\n")
    assert len(ask(acl, sluice, "check")) == len(ask(acl, sluice, "status")) == 3


@pytest.mark.parametrize("rules", [
    "user sluice\ntopic read #\n\nuser device\ntopic write garden/#\n",
    "user sluice\ntopic read garden/+/sensor\npattern write garden/%u/#\n",
    "pattern write garden/%c/sensor\nuser sluice\ntopic garden/#\n",
    "topic write garden/#\n\nuser sluice\ntopic read garden/#\n",
    "user sluice\ntopic readwrite #\n",
    "user sluice\ntopic read #\nuser a\ntopic write x/#\nuser b\ntopic write garden/b/sensor\n",
], ids=["shipped", "user", "client", "anonymous", "one user", "several users"])  # fmt: skip
def test_rules_that_fit_draw_no_warning(acl, parts, rules):
    acl.write_text(rules)
    _, sluice = parts({"sensor": {"topic": "garden/+/sensor"}})
    assert ask(acl, sluice, "check") == []


@pytest.mark.parametrize("rules, words", [
    ("user sluice\ntopic read #\nuser device\ntopic write garden/#\ntopic deny garden/+/sensor\n", "lets no device write"),
    ("user sluice\ntopic read #\ntopic deny garden/a/sensor\nuser device\ntopic write garden/#\n", "does not let the user sluice read"),
    ("user sluice\ntopic write garden/#\nuser device\ntopic write garden/#\n", "does not let the user sluice read"),
    ("user other\ntopic read #\nuser device\ntopic write garden/#\n", "does not let the user sluice read"),
    ("user sluice\ntopic read #\nuser device\ntopic read garden/#\n", "lets no device write"),
    ("user sluice\ntopic read #\nuser a\ntopic write b\nuser b\ntopic write c\n", "'user ...' of your devices"),
])  # fmt: skip
def test_rules_that_do_not_fit(acl, parts, rules, words):
    acl.write_text(rules)
    _, sluice = parts({"sensor": {"topic": "garden/+/sensor"}})
    lines = ask(acl, sluice, "check")
    assert len(lines) == 1 and words in lines[0], lines


def test_what_is_not_known_is_not_judged(acl, parts):
    """A broker on another machine, listeners with settings of their own, a plug-in, or no ACL."""
    _, sluice = parts({"temperature": FOREIGN_ROUTE})
    assert len(ask(acl, sluice, "check")) == 3
    text = sluice.config_file.read_text()
    sluice.config_file.write_text(text.replace("host = 127.0.0.1", "host = broker.lan"))
    assert ask(acl, sluice, "check") == []
    sluice.config_file.write_text(text)
    conf = acl.parent / "conf.d/sluice.conf"
    text = conf.read_text()
    conf.write_text("per_listener_settings true\n" + text + "listener 1884\n")
    assert ask(acl, sluice, "check") == []
    conf.write_text(text + "plugin /x.so\n")
    assert ask(acl, sluice, "check") == []
    conf.write_text("allow_anonymous true\n")
    assert ask(acl, sluice, "check") == []
