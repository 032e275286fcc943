"""How long this machine let no one work: a time that is measured beside it may be longer by that."""
import threading
import time

STEP_S = 0.02
LEAST_S = 0.1

_pauses = []  # (its end, seconds)


def _watch():
    last = time.monotonic()
    while True:
        time.sleep(STEP_S)
        now = time.monotonic()
        if now - last > LEAST_S:
            _pauses.append((now, now - last))
        last = now


threading.Thread(target=_watch, daemon=True).start()


def longest_ms(since):
    """since: time.monotonic()."""
    return 1000 * max((seconds for end, seconds in list(_pauses) if end > since), default=0)
