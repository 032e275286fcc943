"""Starts and ends child processes."""
import ctypes
import signal
import socket
import subprocess

from .wait import PATIENCE_S, wait_until

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def spawn(args, **more):
    """subprocess.Popen, of a child that does not outlive the tests."""
    return subprocess.Popen(args, preexec_fn=_die_with_parent, **more)


def run_quietly(args):
    """Whether a command succeeds; its output is ignored."""
    nowhere = subprocess.DEVNULL
    return subprocess.run(args, stdin=nowhere, stdout=nowhere, stderr=nowhere, check=False).returncode == 0


def end(process, sig=signal.SIGTERM, timeout=PATIENCE_S):
    """Ends a child (None is fine) and returns its exit status."""
    if process is None:
        return None
    if process.poll() is None:
        process.send_signal(sig)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


def wait_listening(port, process, name, log=None):
    """Waits until something accepts connections on the port."""

    def listening():
        if process.poll() is not None:
            text = log.read_text(errors="replace") if log else ""
            raise AssertionError(f"{name} ended with status {process.returncode}:\n{text}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            return False

    wait_until(listening, what=f"{name} to listen on port {port}")
