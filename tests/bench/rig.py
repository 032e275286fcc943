"""The parts of the benchmarks: a real Mosquitto, a real nginx, sluice, and functions
that observe a process from outside. Everything listens on free loopback ports, keeps its
state in one temporary directory, and ends with the rig.
"""
import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import tempfile
import time

DEADLINE_S = 180
MB = 1000 * 1000
CLIENT_ID = "sluice-bench"
ECHO_MODULE = "/usr/lib/nginx/modules/ngx_http_echo_module.so"


class WrongRun(Exception):
    """A run with wrong counts, or one that did not end."""


def wait_for(what, condition, deadline_s=DEADLINE_S, poll_s=0.01):
    """Polls until condition() is true, and returns what it returned."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise WrongRun(f"waited {deadline_s} s for {what}")
        time.sleep(poll_s)


def cpu_ns(pid):
    """CPU time of all threads of a process, and the time for which they waited for a core:
    (used, waited)."""
    used = waited = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = (task / "schedstat").read_text().split()
            used += int(fields[0])
            waited += int(fields[1])
    return used, waited


def memory_kib(pid):
    """VmRSS and the like, in KiB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {name: int(kib) for name, kib in re.findall(r"^(VmRSS|VmHWM|RssAnon|RssFile):\s+(\d+) kB", text, re.M)}


def steady_memory(pid):
    """Resident memory, once it has been constant for a second."""
    last, since = None, 0.0

    def steady():
        nonlocal last, since
        now = memory_kib(pid)
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > 1

    with contextlib.suppress(WrongRun):
        wait_for("steady memory", steady, deadline_s=10, poll_s=0.1)
    print(f"memory: resident {last['VmRSS']} KiB, anonymous {last['RssAnon']}, files {last['RssFile']}; "
          f"at most {last['VmHWM']}", flush=True)
    return last["VmRSS"] * 1024 / MB


class Connection:
    """A TCP connection of another process, observed through a duplicate of its socket
    (pidfd_getfd(2)), which costs neither end anything."""

    SYS_PIDFD_GETFD = 438
    TCP_INFO_BYTES_RECEIVED = 128  # offset of tcpi_bytes_received in struct tcp_info

    def __init__(self, pid, fd):
        libc = ctypes.CDLL(None, use_errno=True)
        pidfd = os.pidfd_open(pid)
        try:
            copy = libc.syscall(self.SYS_PIDFD_GETFD, pidfd, fd, 0)
        finally:
            os.close(pidfd)
        if copy < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        self.socket = socket.socket(fileno=copy)

    def bytes_received(self):
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return struct.unpack_from("Q", info, self.TCP_INFO_BYTES_RECEIVED)[0]

    def close(self):
        self.socket.close()


def sockets_of(pid):
    """{descriptor: inode} of a process's sockets."""
    found = {}
    directory = f"/proc/{pid}/fd"
    for name in os.listdir(directory):
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(f"{directory}/{name}")
            if target.startswith("socket:"):
                found[int(name)] = target
    return found


class Rig:
    """The temporary directory and the processes; a context manager."""

    def __init__(self, sluice, bench_dir):
        self.sluice = pathlib.Path(sluice).resolve()
        self.bench_dir = pathlib.Path(bench_dir).resolve()
        self.children = []
        # Not /tmp, which may be in memory: there an fsync would cost nothing.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bench-", dir="/var/tmp"))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for child in reversed(self.children):
            self.stop(child)
        shutil.rmtree(self.dir)

    def free_port(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    def start(self, name, argv, **options):
        log = open(self.dir / f"{name}.log", "wb")
        child = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stderr=log,
                                 stdout=options.pop("stdout", log), cwd=self.dir, **options)
        log.close()
        child.name = name
        self.children.append(child)
        return child

    def stop(self, child, deadline_s=30):
        """Ends a child by SIGTERM, and returns its exit status."""
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        try:
            status = child.wait(deadline_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise WrongRun(f"{child.name} did not stop within {deadline_s} s") from None
        finally:
            if child in self.children:
                self.children.remove(child)
        return status

    def log(self, child):
        return (self.dir / f"{child.name}.log").read_text(errors="replace")

    def alive(self, child):
        if child.poll() is not None:
            raise WrongRun(f"{child.name} ended with status {child.returncode}:\n{self.log(child)[-2000:]}")

    # -- the broker

    def start_broker(self):
        """Mosquitto without limits on its queues. Its persistence is off, because its
        writing would disturb the measurements."""
        self.mqtt_port = self.free_port()
        conf = self.dir / "mosquitto.conf"
        conf.write_text(f"listener {self.mqtt_port} 127.0.0.1\nallow_anonymous true\n"
                        "max_inflight_messages 0\nmax_queued_messages 0\npersistence false\n"
                        "set_tcp_nodelay true\nlog_type error\n"
                        + ("user root\n" if os.geteuid() == 0 else ""))
        path = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.broker = self.start("mosquitto", [path, "-c", conf])
        wait_for("the broker", lambda: self.accepts(self.mqtt_port, self.broker))

    def accepts(self, port, child):
        self.alive(child)
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def publish(self, count, bytes_each, topics, rate=0):
        subprocess.run([self.bench_dir / "publish", *map(str, (self.mqtt_port, count, bytes_each, topics, rate))],
                       check=True, timeout=DEADLINE_S)

    # -- the backend

    def make_certificate(self):
        self.certificate = self.dir / "backend.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", self.dir / "backend.key",
                        "-out", self.certificate], check=True, stderr=subprocess.DEVNULL)

    def start_backend(self, http2, upstream=None, wait_ms=0):
        """nginx, one worker. It responds with 200 itself, after wait_ms, and logs one line
        for each request (see Arrivals), or it passes requests on to the Unix socket
        `upstream`.

        It reads the body before it responds, as a backend does. nginx's own `return` does
        not: its response may come before the end of the body, and then libcurl sends the
        request again.
        """
        self.https_port = self.https_port_reserved()
        location = "echo_read_request_body; "
        location += f"echo_sleep {wait_ms / 1000}; echo '{{}}';" if wait_ms else "echo_exec /respond;"
        servers = ""
        if upstream:
            location = 'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://receiver;'
            servers = f"upstream receiver {{ server unix:{upstream}; keepalive 64; }}"
        self.access_log = self.dir / "access.log"
        self.access_log.write_bytes(b"")
        conf = self.dir / "nginx.conf"
        paths = "".join(f"{name}_temp_path {self.dir}/nginx-{name};"
                        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf.write_text(f"""
load_module {ECHO_MODULE};
daemon off; master_process off; pid {self.dir}/nginx.pid; error_log {self.dir}/nginx.log error;
{"user root;" if os.geteuid() == 0 else ""}
events {{ worker_connections 1024; }}
http {{
    {paths}
    log_format arrival '$msec $status $content_length $http_idempotency_key $server_protocol';
    access_log {self.access_log} arrival buffer=256k flush=200ms;
    default_type application/json; client_max_body_size 64m;
    keepalive_requests 100000000; keepalive_time 1h; keepalive_timeout 60s;
    {servers}
    server {{
        listen 127.0.0.1:{self.https_port} ssl {"http2" if http2 else ""};
        ssl_certificate {self.certificate}; ssl_certificate_key {self.dir}/backend.key;
        location /api {{ {location} }}
        location = /respond {{ internal; return 200 "{{}}"; }}
        location / {{ return 404; }}
    }}
}}
""")
        path = shutil.which("nginx") or "/usr/sbin/nginx"
        self.backend = self.start("nginx", [path, "-p", self.dir, "-c", conf])
        wait_for("the backend", lambda: self.accepts(self.https_port, self.backend))

    def https_port_reserved(self):
        """The backend always has the same port, also after a restart."""
        if not hasattr(self, "https_port"):
            self.https_port = self.free_port()
        return self.https_port

    @property
    def url(self):
        return f"https://localhost:{self.https_port_reserved()}/api"

    # -- sluice

    def start_sluice(self, name, state, queue=None, route=None, more="", env=None, wrapper=(), **backend):
        """sluice with its queue in `state`, one route for the workload, more keys of
        [queue], [route] and [backend], and more sections; started by the command `wrapper`."""
        state.mkdir(exist_ok=True)
        keys = {"url": self.url, "ca_file": self.certificate, **backend}
        conf = state / "sluice.conf"
        conf.write_text(f"[broker]\nhost = 127.0.0.1\nport = {self.mqtt_port}\nclient_id = {CLIENT_ID}\n"
                        f"[queue]\npath = {state}/queue.db\n"
                        + "".join(f"{key} = {value}\n" for key, value in (queue or {}).items())
                        + "[backend bench]\n"
                        + "".join(f"{key} = {value}\n" for key, value in keys.items())
                        + "[route bench]\ntopic = bench/#\npath = /collections/reading\n"
                        + "".join(f"{key} = {value}\n" for key, value in (route or {}).items() if value is not None)
                        + more)
        return self.start(name, [*wrapper, self.sluice, "run", "-c", conf], env=env)

    def wait_connected(self, sluice):
        def connected():
            self.alive(sluice)
            return re.search(r" broker-connected: \S+: MQTT 5", self.log(sluice))
        wait_for("sluice's connection to the broker", connected)


def queued(state, table="message"):
    """How many messages a queue holds; read in the same way as a person would."""
    with contextlib.closing(sqlite3.connect(f"file:{state}/queue.db?mode=ro", uri=True)) as database:
        return database.execute(f"select count(*) from {table}").fetchone()[0]


def fill(state, count, bytes_each, topics):
    """Inserts messages into a queue, as after a long outage of the backend."""
    with contextlib.closing(sqlite3.connect(f"{state}/queue.db")) as database:
        first, = database.execute("select coalesce(max(id), 0) + 1 from message").fetchone()
        run, = database.execute("select max(id) from run").fetchone()
        payload = b"{" + b"x" * (bytes_each - 2) + b"}"
        with database:
            database.executemany(
                "insert into message (id, run, route, topic, uptime_ms, packet_id, payload)"
                " values (?, ?, 'bench', 'bench/' || ?, ?, ?, ?)",
                ((first + n, run, n % topics, n, n % 60000 + 1, payload) for n in range(count)))


class Arrivals:
    """The log of nginx: one line for each response."""

    def __init__(self, path):
        self.file = open(path, "rb")
        self.text = b""
        self.lines = 0

    def count(self):
        new = self.file.read()
        self.text += new
        self.lines += new.count(b"\n")
        return self.lines

    def check(self, count, bytes_each, protocol):
        """Raises unless exactly `count` different messages came, each complete."""
        lines = [line.split() for line in self.text.decode().splitlines()]
        bad = [line for line in lines if line[1:3] != ["200", str(bytes_each)] or line[4] != protocol]
        keys = {line[3] for line in lines}
        if bad or len(lines) != count or len(keys) != count:
            raise WrongRun(f"{len(lines)} requests with {len(keys)} keys came instead of {count}; "
                           f"{len(bad)} unexpected {bad[:1]}")

    def times(self):
        """The times of the responses (seconds since 1970)."""
        return [float(line.split(maxsplit=1)[0]) for line in self.text.splitlines()]

    def first(self):
        return min(self.times())

    def last(self):
        return max(self.times())
