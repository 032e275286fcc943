"""The comments in the shipped files do what they say."""
import re
import subprocess
from pathlib import Path

from harness.ports import free_port
from harness.sluice import binary
from harness.wait import wait_until

CONFIG = Path(__file__).resolve().parents[2] / "config"
READING = b'{"b": 7, "s": 1, "lo": 1}'


def test_one_network_and_sluice(make_mosquitto, make_sluice, backend):
    """The two listeners that replace the one, with host = localhost, which is the default. The
    network is 127.0.0.2 here."""
    text = (CONFIG / "mosquitto-sluice.conf").read_text()
    listeners = re.findall(r"^#.*?(listener 1883 [\d.]+)$", text, re.M)
    port = free_port()
    settings = "\n".join(listeners).replace("1883", str(port)).replace("192.168.4.1", "127.0.0.2")
    mosquitto = make_mosquitto(extra=settings)  # it has one more listener, for the harness
    sluice = make_sluice(broker_port=port, backends={"garden": backend}, broker={"host": "localhost", "port": port})
    sluice.start().wait_connected()
    subprocess.run(["mosquitto_pub", "-h", "127.0.0.2", "-p", str(port), "-q", "1", "-t", "garden/a/sensor", "-m", "1"],
                   check=True)  # fmt: skip
    backend.wait_for(1)


def test_a_user_for_each_device(tmp_path, make_mosquitto, make_sluice, backend):
    """A user is added as the settings say, and the ACL's patterns limit it to its own topics."""
    added = re.search(r"^#   mosquitto_passwd \S+ NAME\n#   systemctl reload mosquitto$",
                      (CONFIG / "mosquitto-sluice.conf").read_text(), re.M)  # fmt: skip
    assert added
    text = re.sub(r"^# (pattern .*)$", r"\1", (CONFIG / "mosquitto-sluice.acl").read_text(), flags=re.M)
    assert len(re.findall(r"^pattern ", text, re.M)) == 2
    (tmp_path / "acl").write_text(text)
    mosquitto = make_mosquitto(users={"sluice": "b"}, extra=f"acl_file {tmp_path}/acl")
    subprocess.run(["mosquitto_passwd", "-b", mosquitto.dir / "passwd", "wino-1", "c"], check=True)
    mosquitto.process.send_signal(1)  # SIGHUP, as systemctl reload
    wait_until(lambda: any("Reloading config" in line for line in mosquitto.log), what="mosquitto to reload")
    (tmp_path / "password").write_text("b\n")
    (tmp_path / "password").chmod(0o600)
    sluice = make_sluice(
        broker_port=mosquitto.port, backends={"garden": backend},
        routes={"sensor": {"topic": "garden/+/sensor", "ack_topic": "garden/{2}/ack"}},
        broker={"username": "sluice", "password": f"@{tmp_path}/password"})  # fmt: skip
    sluice.start().wait_connected()
    mosquitto.users = {"wino-1": "c"}
    acks = []
    device = mosquitto.client(on_message=lambda message: acks.append(message.topic))
    device.subscribe([("garden/wino-1/ack", 1), ("garden/wino-2/ack", 1)])
    for name in ("wino-2", "wino-1"):
        device.publish(f"garden/{name}/sensor", READING, 1).wait_for_publish(60)
    wait_until(lambda: acks, what="an acknowledgement")
    backend.wait_for(1)
    assert acks == ["garden/wino-1/ack"]
    assert [request.headers["sluice-topic"] for request in backend.requests] == ["garden/wino-1/sensor"]
    device.disconnect()
    device.loop_stop()


def test_the_http_section_of_limitless_garden(tmp_path):
    text = (CONFIG / "limitless-garden.conf").read_text().replace("garden.example.org", "h")
    head, section = text.split("; [http]")
    text = head + re.sub(r"^; ", "", "; [http]" + section, flags=re.M)
    for name in ("broker_password", "user_key"):
        (tmp_path / name).write_text("secret\n")
        (tmp_path / name).chmod(0o600)
    (tmp_path / "sluice.conf").write_text(text.replace("/etc/sluice/", f"{tmp_path}/"))
    result = subprocess.run([binary(), "check", tmp_path / "sluice.conf"], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "") and "2 backends" not in result.stdout
    assert "3 routes" in result.stdout
