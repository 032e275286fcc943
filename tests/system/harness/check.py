"""What has to be true of what a backend got."""


def messages(topics, each, prefix="garden"):
    """`each` numbered messages for every of so many topics, in rotation."""
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
    """Every message (topic and body, which tests make unique) always came under the
    same key, and no key stands for two messages."""
    keys = {}
    for request in requests:
        keys.setdefault((request.topic, request.body), set()).add(request.key)
    several = {message: found for message, found in keys.items() if len(found) > 1}
    assert not several, f"messages under several keys: {several}"
    assert len({next(iter(found)) for found in keys.values()}) == len(keys), "a key stands for several messages"


def arrived_once_in_order(backend, published):
    """All that was published (unique pairs of topic and payload) was delivered exactly
    once, under one key each, in order per topic; and nothing else."""
    under_one_key_each(list(backend.requests))
    got = per_topic((request.topic, request.body) for request in backend.delivered())
    assert got == per_topic(published)


def arrived_in_order(backend, published):
    """As above, but what was delivered may have come again under the same key: the
    answer to the first was lost in a crash."""
    under_one_key_each(list(backend.requests))
    first = {}
    for request in backend.delivered():
        first.setdefault(request.key, (request.topic, request.body))
    assert per_topic(first.values()) == per_topic(published)


def stops_empty(sluice):
    """It stops in order, nothing is left in its queue, and its loop was always at
    hand."""
    assert sluice.stop() == 0
    assert sluice.pending() == 0
    never_stalled(sluice)


def never_stalled(sluice):
    """After it was stopped: no pass through its loop hung, in connect() or in a look-up
    say. (How long one takes, scripts/bench measures; disks are slow at times.)"""
    assert sluice.stopped()["stall_ms"] < 1000
