"""The real Mosquitto with the settings that sluice ships."""
import os
import re
import shutil
import signal
import ssl
import subprocess
from pathlib import Path

import paho.mqtt.client as mqtt

from .ports import free_port
from .process import end, spawn, wait_listening
from .wait import wait_until

SHIPPED = Path(__file__).resolve().parents[3] / "config" / "mosquitto-sluice.conf"

# Settings that a test chooses itself.
NOT_SHIPPED = {
    "listener", "port", "socket_domain", "bind_address", "bind_interface", "allow_anonymous",
    "password_file", "acl_file", "per_listener_settings", "persistence_location", "log_dest", "user",
    "pid_file", "include_dir",
}


def find_mosquitto():
    return shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def shipped_settings():
    lines = [line.strip() for line in SHIPPED.read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#") and line.split()[0] not in NOT_SHIPPED]


_brokers = {}  # by port


# paho 2 wants to know which arguments its callbacks have.
PAHO = {"callback_api_version": mqtt.CallbackAPIVersion.VERSION2} if hasattr(mqtt, "CallbackAPIVersion") else {}


def broker_at(port):
    """The Mosquitto that was last given this port, or None."""
    return _brokers.get(port)


class Mosquitto:
    """config: settings instead of the shipped ones; extra: settings beside them.

    tls: {"ca_file", "cert_file", "key_file"}; users: {name: password}.
    """

    def __init__(self, directory, config=None, port=None, extra="", tls=None, users=None):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        _brokers[self.port] = self
        self.tls = tls
        self.users = users or {}
        self.process = None
        self.log_file = self.dir / "mosquitto.log"
        self._config_file = self.dir / "mosquitto.conf"
        self._config_file.write_text(self._settings(config, extra))

    def _settings(self, config, extra):
        lines = config.splitlines() if config is not None else shipped_settings()
        if not any(line.split()[:1] == ["persistence"] for line in lines):
            lines.append("persistence true")
        lines += [
            "user root",
            f"persistence_location {self.dir}/",
            "log_type all",
            "log_timestamp_format %H:%M:%S",
            "log_dest stderr",
            f"listener {self.port} 127.0.0.1",
        ]
        if self.tls:
            lines += [f"certfile {self.tls['cert_file']}", f"keyfile {self.tls['key_file']}"]
        if self.users:
            lines += ["allow_anonymous false", f"password_file {self._password_file()}"]
        else:
            lines.append("allow_anonymous true")
        return "\n".join([*lines, extra, ""])

    def _password_file(self):
        path = self.dir / "passwd"
        path.touch()
        for name, password in self.users.items():
            subprocess.run(["mosquitto_passwd", "-b", str(path), name, password], check=True)
        return path

    def start(self):
        log = self.log_file.open("ab")
        self.process = spawn([find_mosquitto(), "-c", str(self._config_file)], stdout=log, stderr=log)
        log.close()
        wait_listening(self.port, self.process, "mosquitto", self.log_file)
        return self

    def stop(self):
        """Stops it; it saves its messages."""
        end(self.process)
        self.process = None

    def kill(self):
        """Ends it like a power cut."""
        end(self.process, signal.SIGKILL)
        self.process = None

    def save(self):
        """Makes it save its messages, as it does every autosave_interval."""
        database = self.dir / "mosquitto.db"
        before = database.stat().st_ino if database.exists() else None
        self.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: database.exists() and database.stat().st_ino != before, what="mosquitto to save")

    def restart(self):
        self.stop()
        self.start()

    @property
    def log(self):
        return self.log_file.read_text(errors="replace").splitlines() if self.log_file.exists() else []

    def connections_made(self, client_id):
        """How often this client has connected."""
        return sum(bool(re.search(rf"New client connected from \S+ as {re.escape(client_id)} ", line)) for line in self.log)

    def subscriptions_made(self, client_id):
        """How many subscriptions it has confirmed since this client connected."""
        made = 0
        for line in self.log:
            if re.search(rf"New client connected from \S+ as {re.escape(client_id)} ", line):
                made = 0
            elif line.endswith(f"Sending SUBACK to {client_id}"):
                made += 1
        return made

    def wait_received(self, packet, count=1):
        """Waits until it has received this many packets, such as PUBACK, from sluice."""
        def received():
            return sum(f"Received {packet} from sluice" in line for line in self.log)

        wait_until(lambda: received() >= count, what=lambda: f"{count} {packet} from sluice ({received()} came)")

    def client(self, client_id="", version=4, clean=True, on_message=None):
        """A connected paho client with its loop running; the caller ends it.
        on_message: called with each paho message, from the first on."""
        if version == 5:
            client = mqtt.Client(client_id=client_id, protocol=mqtt.MQTTv5, **PAHO)
        else:
            client = mqtt.Client(client_id=client_id, clean_session=clean, **PAHO)
        for name, password in list(self.users.items())[:1]:
            client.username_pw_set(name, password)
        if self.tls:
            client.tls_set(ca_certs=self.tls["ca_file"], tls_version=ssl.PROTOCOL_TLS_CLIENT)
        if on_message:
            client.on_message = lambda client, context, message: on_message(message)
        client.max_inflight_messages_set(1000)
        client.max_queued_messages_set(0)
        client.connect("localhost" if self.tls else "127.0.0.1", self.port)
        client.loop_start()
        wait_until(client.is_connected, what="a publisher's connection to the broker")
        return client

    def publish(self, topic, payload=b"", qos=1, retain=False, version=4):
        self.publish_many([(topic, payload, qos)], retain=retain, version=version)

    def publish_many(self, messages, retain=False, version=4, timeout=60):
        """messages: (topic, payload, qos). Returns when the broker has acknowledged
        them all (QoS 0: when they are written)."""
        client = self.client(version=version)
        try:
            sent = [client.publish(topic, payload, qos, retain) for topic, payload, qos in messages]
            wait_until(lambda: all(m.is_published() for m in sent[-50:]) and all(m.is_published() for m in sent),
                       timeout, f"{len(sent)} acknowledgements from the broker")
        finally:
            client.disconnect()
            client.loop_stop()
