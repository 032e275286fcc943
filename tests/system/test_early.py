"""A network that comes back, or a clock that is set, ends a long pause: what is away is tried at once.
Each pause here is longer than any test waits."""
import re
import time
from datetime import datetime

import pytest

from harness.blackhole import Resolver
from harness.clock import Clock
from harness.network import ADDRESS, FAR, OURS, Network, without_netlink
from harness.ports import free_port
from harness.sluice import backend_section
from harness.wait import wait_until

LONG = {"retry_min": "1h", "retry_max": "1d", "connect_timeout": "1s"}
ALLOWED, ALLOWED_S = 3, 30  # so many early trials in this time
ROUTES = {
    "sensor": {"topic": "garden/+/sensor", "path": "/sensor", "backend": "garden"},
    "house": {"topic": "house/+", "path": "/house", "backend": "house"},
}


@pytest.fixture
def network():
    made = Network()
    yield made
    made.close()


@pytest.fixture
def make_far(make_backend, network):
    """A backend behind the cable."""
    return lambda host=ADDRESS: make_backend(host=host, network=network)


def slow(backend):
    return {**backend_section(backend), **LONG}


def connect(network):
    network.here(f"addr add {OURS} dev eth0")
    network.here("link set eth0 up")


def connected(network):
    """Also in the eyes of the kernel, which takes a second."""
    connect(network)
    wait_until(lambda: "state UP" in network.here("link show eth0"), what="the carrier")


def away(sluice, *names):
    for name in names:
        sluice.wait_event("backend-away", name)


def next_try(sluice):
    return sluice.status()["daemon"]["backends"][0]["next_try"]


def address(network):
    """The last part that was missing is the address."""
    network.here("link set eth0 up")
    yield
    network.here(f"addr add {OURS} dev eth0")


def cable(network):
    """It is pulled out: the address stays."""
    network.there("link set eth0 down")
    connect(network)
    yield
    network.there("link set eth0 up")


def route(network):
    connected(network)
    yield
    network.here(f"route add default via {ADDRESS}")


def another_address(network):
    """The lease is for another network at first."""
    network.here("addr add 192.168.77.5/24 dev eth0")
    network.here("link set eth0 up")
    yield
    network.here("addr del 192.168.77.5/24 dev eth0")
    network.here(f"addr add {OURS} dev eth0")


@pytest.mark.parametrize("what", [address, cable, route, another_address])
def test_a_network_that_comes_back_ends_a_pause(make_sluice, make_far, network, what):
    backend = make_far(FAR if what is route else ADDRESS)
    steps = what(network)
    next(steps)
    sluice = make_sluice(backends={"garden": slow(backend)})
    sluice.start(prefix=network.prefix())
    sluice.command("send", "garden/a/sensor", "1")
    away(sluice, "garden")
    assert not backend.requests
    next(steps, None)
    backend.wait_for(1)
    sluice.wait_event("pauses-ended", "network")


def test_what_is_reached_a_moment_later_is_tried_again(make_sluice, make_far, network):
    """The address is there, and the other side is not yet: a name server, a route, a backend that starts."""
    backend = make_far()
    network.here("link set eth0 up")
    sluice = make_sluice(backends={"garden": slow(backend)})
    sluice.start(prefix=network.prefix())
    sluice.command("send", "garden/a/sensor", "1")
    away(sluice, "garden")
    backend.stop()

    first = next_try(sluice)
    network.here(f"addr add {OURS} dev eth0")
    sluice.wait_event("pauses-ended", "network")
    wait_until(lambda: next_try(sluice) not in (None, first), what="the first trial to fail")
    backend.start()
    backend.wait_for(1)


def test_a_name_that_is_found_a_moment_later_is_tried_again(make_sluice, make_backend, network, ca, tmp_path):
    """The address comes before the name server answers."""
    name = "garden.example.org"
    backend = make_backend(host=ADDRESS, network=network, cert=ca.issue(name))
    resolver = Resolver(tmp_path / "resolver", "nxdomain", found=ADDRESS, make_socket=network.udp_socket)
    try:
        network.here("link set eth0 up")
        sluice = make_sluice(backends={"garden": {**slow(backend), "url": backend.url.replace(ADDRESS, name)}})
        sluice.start(prefix=[*resolver.prefix(), *network.prefix()])
        sluice.command("send", "garden/a/sensor", "1")
        away(sluice, "garden")
        first = next_try(sluice)
        network.here(f"addr add {OURS} dev eth0")
        sluice.wait_event("pauses-ended", "network")
        wait_until(lambda: next_try(sluice) not in (None, first), what="the first trial to fail")
        assert resolver.queries > 0
        resolver.mode = "answer"
        backend.wait_for(1)
    finally:
        resolver.close()


def test_what_goes_ends_no_pause(make_sluice, make_far, network):
    """Only what comes does. And what the kernel repeats is no news."""
    backend = make_far()
    backend.answer = 503
    connected(network)
    sluice = make_sluice(backends={"garden": slow(backend)})
    sluice.write_config("[daemon]\nlog_level = debug\n" + sluice.config_text())
    sluice.start(prefix=network.prefix())
    sluice.command("send", "garden/a/sensor", "1")
    away(sluice, "garden")
    before = len(sluice.log)
    network.here("addr add 192.168.77.5/24 dev eth0")
    sluice.wait_event("pauses-ended", "192.168.77.5", after=before)
    for change in ["addr del 192.168.77.5/24 dev eth0", "link set eth0 mtu 1400",
                   f"addr change {OURS} dev eth0 preferred_lft 1000 valid_lft 2000"]:
        before = len(sluice.log)
        network.here(change)
        sluice.wait_event("network-changed", "nothing new", after=before)
    assert len(sluice.find_events("pauses-ended")) == 1 and len(backend.requests) == 2


def test_a_network_that_flaps_makes_no_storm(make_sluice, make_far, network):
    """And the last change is not forgotten."""
    backend = make_far()
    backend.answer = 503
    connected(network)
    sluice = make_sluice(backends={"garden": slow(backend)})
    sluice.write_config("[daemon]\nlog_level = debug\n" + sluice.config_text())
    sluice.start(prefix=network.prefix())
    sluice.command("send", "garden/a/sensor", "1")
    away(sluice, "garden")
    began = time.monotonic()
    for n in range(10):
        before = len(sluice.log)
        network.here(f"addr add 192.168.77.{n + 1}/24 dev eth0")
        sluice.wait_event("network-changed", f"192.168.77.{n + 1}", after=before)
    trials = len(sluice.find_events("pauses-ended"))
    took_s = time.monotonic() - began
    assert ALLOWED <= trials <= ALLOWED * (1 + took_s / ALLOWED_S), (trials, took_s)
    assert len(backend.requests) == 1 + trials
    backend.answer = None
    backend.wait_for(1)  # without another change


def test_three_changes_do_not_use_up_the_repeats(make_sluice, make_far, network):
    """The network came up in steps, each with a trial, and the other side is there only after the last."""
    backend = make_far()
    backend.stop()
    connected(network)
    sluice = make_sluice(backends={"garden": slow(backend)})
    sluice.start(prefix=network.prefix())
    sluice.command("send", "garden/a/sensor", "1")
    away(sluice, "garden")
    for n in range(ALLOWED):
        before, first = len(sluice.log), next_try(sluice)
        network.here(f"addr add 192.168.77.{n + 1}/24 dev eth0")
        sluice.wait_event("pauses-ended", f"192.168.77.{n + 1}", after=before)
        wait_until(lambda: next_try(sluice) not in (None, first), what="the trial to fail")
    backend.start()
    backend.wait_for(1, timeout=ALLOWED_S + 15)


def test_a_pause_that_the_backend_asked_for_is_kept(make_sluice, make_far, network):
    garden, house = make_far(), make_far()
    garden.answer = lambda request: (503, {"Retry-After": "80000"}, b"")
    house.answer = 503
    connected(network)
    sluice = make_sluice(backends={"garden": slow(garden), "house": slow(house)}, routes=ROUTES)
    sluice.start(prefix=network.prefix())
    sluice.command("send", "garden/a/sensor", "1")
    sluice.command("send", "house/a", "1")
    away(sluice, "garden", "house")
    sluice.command("send", "garden/b/sensor", "2")  # another lane, which nothing but the backend's pause holds
    house.answer = None
    network.here("addr add 192.168.77.1/24 dev eth0")
    house.wait_for(1)
    sluice.stop()  # a request in flight would end first
    assert len(garden.requests) == 1


def test_without_netlink_pauses_only_last_longer(make_sluice, mosquitto, backend):
    sluice = make_sluice(backends={"garden": backend})
    sluice.start(prefix=without_netlink()).wait_connected()
    sluice.wait_event("network-unwatched")
    mosquitto.publish_many([("garden/a/sensor", b"1", 1)])
    backend.wait_for(1)


def test_a_clock_that_is_set_ends_a_pause(make_sluice, make_backend, tmp_path):
    """Certificates are valid then, for example."""
    backend = make_backend(start=False)
    clock = Clock(tmp_path / "clock").set(0, "unsynchronised")
    sluice = make_sluice(backends={"garden": slow(backend)})
    sluice.start(env=clock.env)
    sluice.command("send", "garden/a/sensor", "1")
    away(sluice, "garden")
    backend.start()
    clock.set(3600_000, "synchronised")
    backend.wait_for(1)
    sluice.wait_event("pauses-ended", "clock")


def paused(line):
    """When a pause of the broker began, and how long it is, in seconds."""
    wait = re.search(r"next try in ([0-9.]+) s", line)
    return datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp(), float(wait.group(1)) if wait else 0


def test_the_broker_is_tried_early_too(make_sluice, backend, tmp_path):
    """Its pauses are at most 30 s. A busy machine may miss one, but none ends early by itself."""
    clock = Clock(tmp_path / "clock").set(0, "synchronised")
    sluice = make_sluice(backends={"garden": backend}, broker={"port": free_port()})
    sluice.write_config("[daemon]\nlog_level = debug\n" + sluice.config_text())
    sluice.start(env=clock.env)
    for _ in range(20):
        before = len(sluice.log)
        began, wait_s = paused(sluice.wait_event("broker-away", after=before))
        if wait_s < 5:
            continue
        before = len(sluice.log)
        clock.set(0, "synchronised")
        ended, _ = paused(sluice.wait_event("broker-away", after=before))
        if ended - began < wait_s / 2:
            return
    pytest.fail("no pause ended early")
