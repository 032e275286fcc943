"""The fixtures.

Servers (`mosquitto`, `backend`, ...) run when a test gets them. A sluice is configured and
not started: the test calls `sluice.start().wait_connected()`.
"""
import os
import shutil
import signal

import pytest

from harness.backend import Backend
from harness.blackhole import BlackHole, Resolver
from harness.certs import CA
from harness.mosquitto import Mosquitto
from harness.nginx import Nginx
from harness.sketch import Sketch
from harness.sluice import Sluice, binary, use_build

# The files and tests that take longest start first; otherwise the run waits for one of them at
# its end.
LONGEST = ["test_http_outage", "test_install", "test_many_bad_ones_do_not_fill_the_log", "test_run_script",
           "test_a_sluice_that_hangs_gets_each_line_once", "test_http", "test_sketches", "test_full", "test_torture", "test_kills", "test_damage", "test_outage"]


# In memory where there is room: sluice's commits and the broker's saves then wait for no disk.
MEMORY, LEAST_BYTES = "/dev/shm", 2 << 30


def has_room(path):
    return os.access(path, os.W_OK) and shutil.disk_usage(path).free >= LEAST_BYTES


if has_room(MEMORY):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)


# Shells, and nohup, let what they start in the background ignore these, and so would the programs
# under test: a script can't catch what it ignored at its start.
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_configure(config):
    config.addinivalue_line("markers", "build(name): the build of sluice that a test runs; see tests/README.md")


def pytest_collection_modifyitems(items):
    def rank(item):
        return min((n for n, name in enumerate(LONGEST) if name in (item.path.stem, item.name)), default=len(LONGEST))

    items.sort(key=rank)


def pytest_runtest_setup(item):
    mark = item.get_closest_marker("build")
    use_build(mark.args[0] if mark else "asan")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.failed_in_call = report.failed


def pytest_terminal_summary(terminalreporter):
    """Shows the tables of the torture and the notes, also of passed tests."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, text in report.user_properties:
            if name == "torture" and report.when == "call":
                terminalreporter.write_line(f"{report.nodeid}\n{text}")
            if name == "note" and report.when == "call":
                terminalreporter.write_line(text)


@pytest.fixture(autouse=True)
def _tidy(request, tmp_path):
    """Removes the files of a passed test."""
    yield
    if not getattr(request.node, "failed_in_call", True):
        shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture(scope="session")
def ca(tmp_path_factory):
    return CA(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def make_mosquitto(tmp_path):
    made = []

    def make(start=True, **more):
        broker = Mosquitto(tmp_path / f"mosquitto{len(made)}", **more)
        made.append(broker)
        return broker.start() if start else broker

    yield make
    for broker in made:
        broker.kill()  # nobody needs what it would save


@pytest.fixture
def mosquitto(make_mosquitto):
    return make_mosquitto()


@pytest.fixture
def make_backend(ca):
    """make_backend(alpn=..., cert=..., ca=None for plain HTTP, start=False ...)"""
    made = []
    default = ca

    def make(start=True, ca=default, **more):
        backend = Backend(ca, **more)
        made.append(backend)
        return backend.start() if start else backend

    yield make
    for backend in made:
        backend.close()


@pytest.fixture
def backend(make_backend):
    """Speaks HTTP/2."""
    return make_backend()


@pytest.fixture
def backend_h1(make_backend):
    """Speaks HTTP/1.1 only."""
    return make_backend(alpn=("http/1.1",))


@pytest.fixture
def make_nginx(ca, tmp_path):
    """make_nginx(upstream_port, extra=...): TLS and HTTP/2 in front of that port."""
    made = []

    def make(upstream_port, **more):
        nginx = Nginx(tmp_path / f"nginx{len(made)}", ca, upstream_port, **more)
        made.append(nginx)
        return nginx.start()

    yield make
    for nginx in made:
        nginx.stop()


@pytest.fixture
def make_black_hole():
    made = []

    def make(**more):
        made.append(BlackHole(**more))
        return made[-1]

    yield make
    for hole in made:
        hole.close()


@pytest.fixture
def resolver(request, tmp_path):
    """A name server that is silent until a test changes its mode, or has the mode of its parameter."""
    if not Resolver.possible():
        pytest.skip("a name server of our own needs root")
    server = Resolver(tmp_path / "resolver", getattr(request, "param", "silent"))
    yield server
    server.close()


@pytest.fixture
def make_sketch(request, tmp_path):
    """make_sketch("esp8266_mqtt", port, ...): started, and connecting."""
    made = []

    def make(name, port=0, start=True, **more):
        sketch = Sketch(tmp_path / f"sketch{len(made)}", name, port, **more)
        made.append(sketch)
        return sketch.start() if start else sketch

    yield make
    for sketch in made:
        sketch.end()
        if getattr(request.node, "failed_in_call", True):
            print(f"--- {sketch.name} {sketch.host}:\n{sketch.text[-4000:]}")


@pytest.fixture
def make_sluice(request, tmp_path):
    """make_sluice(config="...") or make_sluice(backends={...}, routes={...}, ...);
    connects to the fixture `mosquitto` unless it is given a broker_port."""
    made = []
    if not os.access(binary(), os.X_OK):
        pytest.fail(f"there is no {binary()}: build it, or name it in SLUICE_BIN")

    def make(config=None, broker_port=None, dir=None, **parts):
        if broker_port is None:
            broker_port = request.getfixturevalue("mosquitto").port
        sluice = Sluice(dir or tmp_path / f"sluice{len(made)}", broker_port, config=config, **parts)
        made.append(sluice)
        return sluice

    yield make
    complaints = []
    for number, sluice in enumerate(made):
        try:
            sluice.finish()
        except AssertionError as complaint:
            complaints.append(str(complaint))
        if complaints or getattr(request.node, "failed_in_call", True):
            print(f"--- sluice {number}:\n{sluice.log_text()}")
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def sluice(make_sluice, mosquitto, backend):
    """One backend `garden` over HTTP/2, one route `sensor`; not started."""
    return make_sluice(backends={"garden": backend})
