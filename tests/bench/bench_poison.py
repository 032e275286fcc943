"""Bad messages among good ones, at default settings: 2,000 messages of 50 devices at once,
of which the backend rejects 2 %. Measures the time and the requests until all good
messages have arrived, and checks that the log reports no outage.
"""
import asyncio
import math
import time

from receiver import Server, messages
from rig import WrongRun

COUNT, DEVICES, BYTES = 2000, 50, 120
ONE_EACH = COUNT // DEVICES
MOST_S = 5
DEADLINE_S = 60
STATUSES = {400: b"400 Bad Request", 500: b"500 Internal Server Error"}
MODES = {"one by one": (1, {"body": "json"}),
         "batches by topic": (500, {"body": "json", "batch": 500, "batch_size": "128K", "order": "topic"}),
         "batches by route": (500, {"body": "json", "batch": 500, "batch_size": "128K", "order": "route"})}
# Number n is reading n // DEVICES of device n % DEVICES.
SHAPES = {"spread": {n for n in range(COUNT) if n % DEVICES == 7 * (n // DEVICES) % DEVICES},
          "at one moment": {n for n in range(COUNT) if n // DEVICES == 5}}


async def run(rig, upstream, state, bad, status, route):
    """Starts sluice with its backlog; returns (seconds until all good ones came, requests,
    numbers of the good ones in the order of their arrival, how many are missing)."""
    good, came, begin = set(range(COUNT)) - bad, [], time.monotonic()
    took_s = None

    def respond(body):
        nonlocal took_s
        numbers = [message["n"] for message in messages(body)]
        rejected = not bad.isdisjoint(numbers)
        came.append((rejected, numbers))
        if not rejected:
            good.difference_update(numbers)
            took_s = time.monotonic() - begin
        return STATUSES[status] if rejected else b"200 OK"

    server = await asyncio.get_running_loop().create_unix_server(lambda: Server(respond), upstream)
    async with server:
        sluice = rig.start_sluice("sluice", state, route=route)
        while good and time.monotonic() - begin < DEADLINE_S:
            rig.alive(sluice)
            await asyncio.sleep(0.02)
        requests = len(came)
        rig.stop(sluice)
    missing = len(good)
    return (took_s if not missing else math.inf), requests, [n for rejected, ns in came if not rejected for n in ns], missing


def in_order(numbers, bad):
    expected = [n for n in range(COUNT) if n not in bad]
    return all([n for n in numbers if n % DEVICES == device] == [n for n in expected if n % DEVICES == device]
               for device in range(DEVICES))


def poison(rig, table, rounds):
    upstream = rig.dir / "poison.sock"
    for status in STATUSES:
        for shape, bad in SHAPES.items():
            for mode, (batch, route) in MODES.items():
                state = rig.dir / f"poison-{status}-{shape}-{mode}".replace(" ", "-")
                sluice = rig.start_sluice("sluice", state, route=route)
                rig.wait_connected(sluice)
                rig.stop(sluice)
                rig.publish(COUNT, BYTES, DEVICES)
                rig.start_backend(True, upstream)  # a new one: nginx would remember that its upstream was away
                took_s, requests, numbers, missing = asyncio.run(run(rig, upstream, state, bad, status, route))
                upstream.unlink()
                rig.stop(rig.backend)
                away = "-away: " in (rig.dir / "sluice.log").read_text()
                most = 3 * (len(bad) * math.log2(COUNT) + COUNT / batch)
                ordered = in_order(numbers, bad)
                faults = [text for wrong, text in ((missing, f"{missing} never came"), (not ordered, "not in order"),
                                                   (away, "a false outage in the log"),
                                                   (requests > most, f"more than {most:.0f} requests")) if wrong]
                what = f"{status}, {shape}, {mode}"
                print(f"{what}: {took_s:.2f} s, {requests} requests {', '.join(faults)}", flush=True)
                table.add(what, f"{took_s:.2f} s", f"{requests} req.", floor=f"< {MOST_S} s",
                          ok=took_s < MOST_S and not faults)
