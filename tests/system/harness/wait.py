"""Waiting for a condition instead of sleeping."""
import time

# Long, because a test should fail on what never comes, and not on what is slow.
PATIENCE_S = 60


def wait_until(fn, timeout=PATIENCE_S, what="a condition", progress=None):
    """Polls every 10 ms until fn() is truthy, and returns what it returned. progress: a function;
    each change of its result begins the time anew, so that a busy machine may take long for much."""
    seen, deadline = None, time.monotonic() + timeout
    while True:
        result = fn()
        if result:
            return result
        if progress and seen != (seen := progress()):
            deadline = time.monotonic() + timeout
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what() if callable(what) else what}")
        time.sleep(0.01)
