"""A network that a test can take away: two network namespaces, and a cable between them.

sluice runs in the one, `here`, which has no address at first. A server listens in the other, `there`,
at ADDRESS, and at FAR, which `here` reaches through a default route. Neither is the network of the
machine. For root only.
"""
import contextlib
import ctypes
import os
import platform
import socket
import subprocess
import sys
import threading

from .process import end, spawn
from .wait import wait_until

ADDRESS, FAR = "10.9.8.1", "172.20.1.1"
OURS = "10.9.8.2/24"

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _namespace():
    """A process that has a network namespace of its own."""
    process = spawn(["unshare", "--net", "sleep", "infinity"])
    ours = os.readlink("/proc/self/ns/net")

    def is_made():
        with contextlib.suppress(OSError):
            return os.readlink(f"/proc/{process.pid}/ns/net") != ours

    wait_until(is_made, what="a network namespace")
    return process


class Network:
    def __init__(self):
        self._here, self._there = _namespace(), _namespace()
        self.here("link set lo up")
        self.here(f"link add eth0 type veth peer name eth0 netns {self._there.pid}")
        self.there("link set lo up")
        self.there(f"addr add {FAR}/32 dev lo")
        self.there(f"addr add {ADDRESS}/24 dev eth0")
        self.there("link set eth0 up")

    def here(self, command):
        """Runs ip(8); returns what it printed."""
        return self._ip(self._here, command)

    def there(self, command):
        return self._ip(self._there, command)

    def prefix(self):
        """Runs a program in `here`."""
        return self._enter(self._here)

    @staticmethod
    def _enter(process):
        return ["nsenter", f"--net=/proc/{process.pid}/ns/net"]

    def _ip(self, process, command):
        return subprocess.check_output([*self._enter(process), "ip", *command.split()], text=True)

    def listener(self, address, port):
        """A function that returns a socket that listens in `there`."""

        return lambda: self._inside(self._there, lambda: socket.create_server((address, port)))

    def udp_socket(self):
        """In `here`."""
        return self._inside(self._here, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    @staticmethod
    def _inside(process, make):
        made = []

        def enter():
            with open(f"/proc/{process.pid}/ns/net", encoding="ascii") as namespace:
                if _libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(make())

        # Only the thread moves into the namespace, and a socket stays where it was made.
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return made[0]

    def close(self):
        end(self._here)
        end(self._there)


_SOCKET_CALL = {"x86_64": 41, "aarch64": 198}

# A program that runs another one, in which socket(AF_NETLINK) fails as under systemd's
# RestrictAddressFamilies=: seccomp(2), a classic BPF program.
_WITHOUT_NETLINK = """
import ctypes, os, socket, struct, sys
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
CALL, ARGUMENT = 0, 16
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 97  # EAFNOSUPPORT
steps = [(LOAD, 0, 0, CALL), (IF_EQUAL, 0, 3, int(sys.argv[1])), (LOAD, 0, 0, ARGUMENT),
         (IF_EQUAL, 0, 1, socket.AF_NETLINK), (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]
code = b"".join(struct.pack("HBBI", *step) for step in steps)
buffer = ctypes.create_string_buffer(code)
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(buffer)))
libc = ctypes.CDLL(None, use_errno=True)
for call in [(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, FILTER, program, 0, 0)]:
    if libc.prctl(*call) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
os.execvp(sys.argv[2], sys.argv[2:])
"""


def without_netlink():
    """The beginning of a command, in which netlink is forbidden."""
    return [sys.executable, "-c", _WITHOUT_NETLINK, str(_SOCKET_CALL[platform.machine()])]
