"""The real nginx: TLS and HTTP/2 in front of a plain HTTP backend."""
import os
import re
import shutil
from pathlib import Path

from .ports import free_port
from .process import end, spawn, wait_listening

CONFIG = """
daemon off;
master_process off;
pid {dir}/nginx.pid;
error_log {dir}/error.log info;
events {{ worker_connections 256; }}
http {{
    log_format short '$server_protocol $connection $status $request_uri';
    access_log {dir}/access.log short;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    {extra}
    upstream backend {{ server 127.0.0.1:{upstream_port}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        server_name localhost;
        ssl_certificate {cert_file};
        ssl_certificate_key {key_file};
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
        }}
    }}
}}
"""


class Nginx:
    """extra: more settings of its http section, e.g. "keepalive_requests 10;". Bodies
    of up to 1 MB pass, which is its default."""

    def __init__(self, directory, ca, upstream_port, extra=""):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.ca_file = ca.ca_file
        self.url = f"https://localhost:{self.port}/api"
        self.process = None
        cert_file, key_file = ca.issue("localhost")
        (self.dir / "nginx.conf").write_text(
            CONFIG.format(dir=self.dir, port=self.port, upstream_port=upstream_port, extra=extra,
                          cert_file=cert_file, key_file=key_file)
        )

    def start(self):
        binary = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        log = (self.dir / "stderr.log").open("ab")
        self.process = spawn([binary, "-p", str(self.dir), "-c", "nginx.conf"], stdout=log, stderr=log)
        log.close()
        wait_listening(self.port, self.process, "nginx", self.dir / "stderr.log")
        return self

    def stop(self):
        end(self.process)
        self.process = None

    def accesses(self):
        """(protocol, connection, status, target) of each request so far."""
        text = (self.dir / "access.log").read_text() if (self.dir / "access.log").exists() else ""
        return [re.match(r"(\S+) (\d+) (\d+) (.*)", line).groups() for line in text.splitlines()]
