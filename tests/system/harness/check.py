"""What must be true of the requests that a backend got."""
from harness import pauses


def messages(topics, each, prefix="garden"):
    """`each` numbered messages for each of `topics` topics, the topics in turn."""
    return [
        (f"{prefix}/host{t}/sensor", b'{"host":"host%d","n":%d}' % (t, n))
        for n in range(each)
        for t in range(topics)
    ]


def publish_all(broker, published, qos=1):
    broker.publish_many([(topic, payload, qos) for topic, payload in published])


def per_topic(pairs):
    topics = {}
    for topic, body in pairs:
        topics.setdefault(topic, []).append(body)
    return topics


def under_one_key_each(requests):
    """Each message (topic and body are unique in tests) always had the same key, and no two
    messages had one key."""
    keys = {}
    for request in requests:
        keys.setdefault((request.topic, request.body), set()).add(request.key)
    several = {message: found for message, found in keys.items() if len(found) > 1}
    assert not several, f"messages under several keys: {several}"
    assert len({next(iter(found)) for found in keys.values()}) == len(keys), "a key stands for several messages"


def overtakers(requests, published, members=lambda request: [(request.topic, request.body)]):
    """The messages that were delivered before an earlier one of their topic: (message, earlier).
    Only a message that failed may be overtaken: such pairs are not listed.

    requests: all that the backend got; published: (topic, name) pairs, unique; members: the
    pairs in a request."""
    place, waiting, failed, found = {}, {}, set(), []
    for message in published:
        place[message] = len(place)
        waiting.setdefault(message[0], []).append(message)
    for request in requests:
        delivered = 200 <= request.status < 300
        for message in members(request):
            if not delivered:
                failed.add(message)
            elif message in place and message in waiting[message[0]]:
                waiting[message[0]].remove(message)
                found += [(message, earlier) for earlier in waiting[message[0]]
                          if place[earlier] < place[message] and earlier not in failed]  # fmt: skip
    return found


def arrived_once_in_order(backend, published):
    """All published messages (unique pairs of topic and payload) were delivered exactly
    once, under one key each, in order per topic, except that a message whose request failed may
    be overtaken; and no others."""
    requests = list(backend.requests)
    under_one_key_each(requests)
    assert sorted((r.topic, r.body) for r in backend.delivered()) == sorted(published)
    assert overtakers(requests, published) == []


def arrived_in_order(backend, published):
    """As above, but a message may have arrived again under the same key: sluice crashed
    before it got the first response."""
    requests = list(backend.requests)
    under_one_key_each(requests)
    assert sorted({(r.topic, r.body) for r in backend.delivered()}) == sorted(published)
    assert overtakers(requests, published) == []


def stops_empty(sluice):
    """It stops with status 0 and an empty queue, and its loop never stalled."""
    assert sluice.stop() == 0
    assert sluice.pending() == 0
    never_stalled(sluice)


def never_stalled(sluice, most_ms=1000):
    """Call it after the stop: no pass of the loop hung, for example in connect() or in a
    DNS query, except while the whole machine paused. scripts/bench measures how long a pass takes,
    because disks are slow at times."""
    stall_ms, pause_ms = sluice.stopped()["stall_ms"], pauses.longest_ms(sluice.started)
    assert stall_ms < most_ms + 2 * pause_ms, f"a stall of {stall_ms} ms, a pause of {pause_ms:.0f} ms"
