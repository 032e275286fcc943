"""Compares the messages of publishers with the requests at the backend.

Topic and payload identify a message. Numbered messages are unique; equal messages can only
be counted.
"""
from collections import Counter

from .publisher import ACKED, DOUBTFUL


def message_of(request):
    return request.topic, request.body


def keys_by_message(requests):
    """{(topic, body): its idempotency keys, in order of arrival}."""
    found = {}
    for request in requests:
        found.setdefault(message_of(request), {}).setdefault(request.key)
    return {message: list(keys) for message, keys in found.items()}


def keys_of_several(requests):
    """Keys of more than one message."""
    found = {}
    for request in requests:
        found.setdefault(request.key, set()).add(message_of(request))
    return [key for key, messages in found.items() if len(messages) > 1]


def bodies_by_topic(requests):
    """{topic: bodies, in the order of their first arrival}."""
    found = {}
    for request in requests:
        found.setdefault(request.topic, {}).setdefault(request.body)
    return {topic: list(bodies) for topic, bodies in found.items()}


def _out_of_order(requests, numbers):
    """How many first deliveries came after one with a higher number, though they had not failed
    before that: only a message that failed may be overtaken."""
    count, highest, seen, failed, delivered = 0, {}, set(), {}, {}
    for place, request in enumerate(requests):
        message = message_of(request)
        number = numbers.get(message)
        if number is None or message in seen:
            continue
        if not 200 <= request.status < 300:
            failed.setdefault(message, place)
            continue
        seen.add(message)
        others = delivered.setdefault(request.topic, [])
        if number < highest.get(request.topic, -1):
            count += any(other > number and at < failed.get(message, place) for other, at in others)
        highest[request.topic] = max(number, highest.get(request.topic, -1))
        others.append((number, place))
    return count


class Tally:
    """messages: all that were given to publishers; requests: all that the backend
    got. What a message excuses (see Message) is counted apart, as lost_by_broker
    and again_by_broker."""

    def __init__(self, messages, requests):
        requests = list(requests)
        delivered = [r for r in requests if 200 <= r.status < 300]
        keys = keys_by_message(delivered)
        groups = {}
        for message in messages:
            groups.setdefault((message.topic, message.payload), []).append(message)
        states = Counter(message.state for message in messages)

        self.published = states[ACKED] + states[DOUBTFUL]
        self.acked = states[ACKED]
        self.delivered = len({request.key for request in delivered})
        self.repeated = len(delivered) - self.delivered
        self.lost = self.lost_by_broker = self.again = self.again_by_broker = 0
        self.lost_examples, self.again_examples = [], []
        self.keys_most = 0
        for identity, group in groups.items():
            self._count(identity, group, len(keys.get(identity, ())))
        self.out_of_order = _out_of_order(requests, {
            (m.topic, m.payload): m.number for m in messages if m.number is not None
        })  # fmt: skip
        self.shared_keys = keys_of_several(requests)
        self.never_published = [message_of(r) for r in requests if message_of(r) not in groups]

    def _count(self, identity, group, keys):
        acked = sum(m.state == ACKED for m in group)
        possible = acked + sum(m.state == DOUBTFUL for m in group)
        excused = sum(m.state == ACKED and m.may_be_lost for m in group)
        if len(group) == 1:
            self.keys_most = max(self.keys_most, keys)
        missing, more = max(0, acked - keys), max(0, keys - possible)
        self.lost += max(0, missing - excused)
        self.lost_by_broker += min(missing, excused)
        if missing > excused:
            self.lost_examples.append(identity)
        if not more:
            return
        self.keys_most = max(self.keys_most, 2)
        if any(m.may_come_again for m in group):
            self.again_by_broker += more
        else:
            self.again += more
            self.again_examples.append(identity)

