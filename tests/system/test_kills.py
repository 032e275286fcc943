"""20,000 messages published flat out while sluice is killed twenty times."""
import os
import random
import subprocess
import sys
import time

import pytest

from harness.tally import bodies_by_topic, keys_by_message

pytestmark = pytest.mark.build("dev")

MESSAGES, TOPICS, KILLS = 20000, 100, 20

# A process of its own: the backend needs this one's interpreter.
PUBLISHER = """
import sys, time
import paho.mqtt.client as mqtt
port, messages, topics = map(int, sys.argv[1:])
version = getattr(mqtt, "CallbackAPIVersion", None)  # paho 2
client = mqtt.Client(version.VERSION2) if version else mqtt.Client()
client.max_inflight_messages_set(1000)
client.max_queued_messages_set(0)
client.connect("127.0.0.1", port)
client.loop_start()
sent = []
for n in range(messages):
    sent.append(client.publish(f"garden/{n % topics}/sensor", f'{{"n": {n // topics}}}', 1))
for message in sent:
    message.wait_for_publish(120)
client.disconnect()
client.loop_stop()
"""


def kill_and_start(sluice, chance, publisher):
    """Moments over all of life: before it is connected, in intake, in delivery."""
    for _ in range(KILLS):
        time.sleep(chance.choice([chance.uniform(0, 0.1), chance.uniform(0.1, 0.6)]))
        sluice.kill()
        sluice.start(wait=False)
    assert publisher.wait(60) == 0


def report(requests):
    by_message = keys_by_message(requests)
    again = sum(len(keys) - 1 for keys in by_message.values())
    same_key = len(requests) - sum(len(keys) for keys in by_message.values())
    print(f"{len(requests)} deliveries of {len(by_message)} messages: {same_key} repeated under the same key, "
          f"{again} stored twice by a redelivery of the broker")
    return again


def test_twenty_kills_under_load_lose_and_repeat_nothing(make_sluice, mosquitto, backend):
    seed = int(os.environ.get("SLUICE_SEED") or random.randrange(1 << 30))
    print(f"SLUICE_SEED={seed}")
    sluice = make_sluice(backends={"garden": backend})
    sluice.start().wait_connected()
    publisher = subprocess.Popen([sys.executable, "-c", PUBLISHER, str(mosquitto.port), str(MESSAGES), str(TOPICS)])
    try:
        kill_and_start(sluice, random.Random(seed), publisher)
        backend.wait_for(MESSAGES)
        sluice.wait_empty()
    finally:
        publisher.kill()
        publisher.wait()
    delivered = backend.delivered()
    assert report(delivered) == 0
    expected = [b'{"n": %d}' % n for n in range(MESSAGES // TOPICS)]
    found = bodies_by_topic(delivered)
    assert sorted(found) == sorted(f"garden/{n}/sensor" for n in range(TOPICS))
    wrong = {topic: bodies for topic, bodies in found.items() if bodies != expected}
    assert not wrong, f"missing or out of order: {list(wrong)}"
    assert sluice.dead() == []
