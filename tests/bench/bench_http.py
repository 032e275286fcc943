"""The plain HTTP port, compared with the proxy that it replaces, which is nginx with

    server { listen 8118; location /api { proxy_pass https://backend; } location / { return 404; } }

Both have the same clients and the same backend. nginx responds after the backend, sluice
as soon as the reading is on the disk. A reading counts as lost when the backend never
received it.
"""
import os
import re
import shutil
import statistics
import subprocess
import time

from rig import Arrivals, WrongRun, cpu_ns, queued, wait_for

SECONDS = 4
OUTAGE_S, AROUND_S = 20, 3
OUTAGE_CLIENTS, OUTAGE_EACH_MS = 10, 200


def start_proxy(rig):
    """One process, like sluice. It opens a connection to the backend for each request, and
    has no keys and no retries."""
    port = rig.free_port()
    paths = "".join(f"{name}_temp_path {rig.dir}/proxy-{name};"
                    for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf = rig.dir / "proxy.conf"
    conf.write_text(f"""
daemon off; master_process off; pid {rig.dir}/proxy.pid; error_log {rig.dir}/proxy.log crit;
{"user root;" if os.geteuid() == 0 else ""}
events {{ worker_connections 1024; }}
http {{
    {paths}
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        location /api {{ proxy_pass https://localhost:{rig.https_port}; }}
        location / {{ return 404; }}
    }}
}}
""")
    proxy = rig.start("proxy", [shutil.which("nginx") or "/usr/sbin/nginx", "-p", rig.dir, "-c", conf])
    wait_for("nginx as a proxy", lambda: rig.accepts(port, proxy))
    return proxy, port, lambda: 0


def start_door(rig, name):
    port = rig.free_port()
    state = rig.dir / name
    state.mkdir()
    conf = state / "sluice.conf"
    conf.write_text(f"[queue]\npath = {state}/queue.db\n[backend bench]\nurl = {rig.url}\n"
                    f"ca_file = {rig.certificate}\nretry_min = 100ms\nretry_max = 1s\n"
                    f"[http]\nlisten = 127.0.0.1:{port}\n")
    sluice = rig.start(name, [rig.sluice, "run", "-c", conf])
    wait_for("sluice", lambda: re.search(" ready: ", rig.log(sluice)) and rig.accepts(port, sluice))
    return sluice, port, lambda: queued(state)


def post(rig, port, clients, ms, each_ms):
    done = subprocess.run([rig.bench_dir / "http_clients", *map(str, (port, clients, ms, each_ms))],
                          capture_output=True, text=True, check=True)
    sent, accepted = map(int, done.stdout.split())
    return sent, accepted


def measure(rig, start, clients):
    """Accepted requests a second; CPU time of each, delivery included."""
    rig.start_backend(http2=True)
    server, port, waiting = start(rig)
    cpu = cpu_ns(server.pid)[0]
    began = time.monotonic()
    sent, accepted = post(rig, port, clients, SECONDS * 1000, 0)
    took = time.monotonic() - began
    wait_for("the queue to be empty", lambda: waiting() == 0, poll_s=0.25)
    cpu = cpu_ns(server.pid)[0] - cpu
    rig.stop(server)
    rig.stop(rig.backend)
    arrived = Arrivals(rig.access_log).count()
    if accepted != sent or arrived != accepted:
        raise WrongRun(f"{server.name}: {sent} sent, {accepted} accepted, {arrived} arrived")
    return accepted / took, cpu / accepted / 1000


def lose(rig, start):
    """Readings lost in an outage of the backend, and readings sent."""
    rig.start_backend(http2=True)
    server, port, waiting = start(rig)
    argv = (OUTAGE_CLIENTS, (OUTAGE_S + 2 * AROUND_S) * 1000, OUTAGE_EACH_MS)
    clients = subprocess.Popen([rig.bench_dir / "http_clients", *map(str, (port, *argv))],
                               stdout=subprocess.PIPE, text=True)
    time.sleep(AROUND_S)
    rig.stop(rig.backend)
    before = Arrivals(rig.access_log).count()
    time.sleep(OUTAGE_S)
    rig.start_backend(http2=True)
    sent, _ = map(int, clients.communicate(timeout=60)[0].split())
    wait_for("the queue to be empty", lambda: waiting() == 0, poll_s=0.25)
    rig.stop(server)
    rig.stop(rig.backend)
    return sent - before - Arrivals(rig.access_log).count(), sent


def http(rig, table, rounds):
    number = 0

    def door(rig):
        nonlocal number
        number += 1
        return start_door(rig, f"door{number}")

    for clients in (1, 16):
        pairs = []
        for each in range(1, rounds + 1):
            pair = []
            for name, start in (("sluice", door), ("nginx", start_proxy)):
                pair.append(measure(rig, start, clients))
                print(f"http, {clients} clients, round {each}, {name + ':':8}{pair[-1][0]:10,.0f} requests/s"
                      f"  {pair[-1][1]:6.1f} us CPU each", flush=True)
            pairs.append(pair)
        rates = [statistics.median(pair[i][0] for pair in pairs) for i in (0, 1)]
        cpus = [statistics.median(pair[i][1] for pair in pairs) for i in (0, 1)]
        ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
        cpu_ratio = statistics.median(ours[1] / theirs[1] for ours, theirs in pairs)
        table.add(f"HTTP, {clients} client{'s' if clients > 1 else ''} (nginx)", f"{rates[0]:,.0f}/s",
                  f"{rates[1]:,.0f}/s", ratio, ">= 1.00", ratio >= 1)
        table.add("  CPU time of a request", f"{cpus[0]:.1f} us", f"{cpus[1]:.1f} us", cpu_ratio)
    lost = [lose(rig, start) for start in (door, start_proxy)]
    table.add(f"  lost, backend away for {OUTAGE_S} s", *(f"{n} of {sent}" for n, sent in lost), floor="0",
              ok=lost[0][0] == 0)
