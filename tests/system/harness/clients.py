"""HTTP clients that repeat each request until it is accepted."""
import http.client
import json
import threading


class Clients:
    """`count` clients, each in a thread of its own. A client posts numbered readings to its
    path, /api/c0, /api/c1 ..., and repeats each until it is accepted, like a careful sketch.

    keys: send Idempotency-Keys, made of client and number. pause_s: the wait after an
    accepted reading; again_s: before a repetition."""

    def __init__(self, port, count, keys=False, pause_s=0, again_s=0.05):
        self.port, self.keys, self.pause_s, self.again_s = port, keys, pause_s, again_s
        self.accepted = [[] for _ in range(count)]
        self.answers = set() # (status, Retry-After)
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self, client):
        n, connection = 0, None
        while not self.ending.is_set():
            status = None
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                headers = {"Idempotency-Key": f"{client}-{n}"} if self.keys else {}
                connection.request("POST", f"/api/c{client}", b'{"n":%d}' % n, headers)
                response = connection.getresponse()
                response.read()
                status = response.status
                self.answers.add((status, response.headers["Retry-After"]))
            except (OSError, http.client.HTTPException):
                connection = None
            if status == 202:
                self.accepted[client].append(n)
                n += 1
            self.ending.wait(self.pause_s if status == 202 else self.again_s)

    def total(self):
        return sum(map(len, self.accepted))

    def stop(self):
        """Ends them; returns the accepted numbers of each."""
        self.ending.set()
        for thread in self.threads:
            thread.join(20)
        return self.accepted


def numbers(requests):
    """{path: [n, n, ...]}, of the requests, in order."""
    got = {}
    for request in requests:
        got.setdefault(request.path, []).append(json.loads(request.body)["n"])
    return got
