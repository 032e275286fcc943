"""What must be true of the requests that a backend got."""


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


def arrived_once_in_order(backend, published):
    """All published messages (unique pairs of topic and payload) were delivered exactly
    once, under one key each, in order per topic; and no others."""
    under_one_key_each(list(backend.requests))
    got = per_topic((request.topic, request.body) for request in backend.delivered())
    assert got == per_topic(published)


def arrived_in_order(backend, published):
    """As above, but a message may have arrived again under the same key: sluice crashed
    before it got the first response."""
    under_one_key_each(list(backend.requests))
    first = {}
    for request in backend.delivered():
        first.setdefault(request.key, (request.topic, request.body))
    assert per_topic(first.values()) == per_topic(published)


def stops_empty(sluice):
    """It stops with status 0 and an empty queue, and its loop never stalled."""
    assert sluice.stop() == 0
    assert sluice.pending() == 0
    never_stalled(sluice)


def never_stalled(sluice):
    """Call it after the stop: no pass of the loop hung, for example in connect() or in a
    DNS query. scripts/bench measures how long a pass takes, because disks are slow at times."""
    assert sluice.stopped()["stall_ms"] < 1000
