"""A connection between a client and a server that a test can cut."""
import select
import socket
import threading
import time

from .ports import free_port


class Line:
    """Listens on .port and passes everything on to `port` on 127.0.0.1, both ways.

    mute() keeps back what the client sends from then on, mute_next() what it sends on
    the next connection after so many bytes, on a line that is slow as well; the server
    is heard all the same. While .deaf, what the server says is kept back, on every
    connection. cut() ends all connections, and what was kept back is lost. It accepts and closes
    the next .closing connections, as a port forwarder does whose server is not up yet; before it
    closes them, it reads, and sends .farewell."""

    def __init__(self, port):
        self.port = free_port()
        self.deaf = False
        self.closing = 0
        self.farewell = b""
        self._server_port = port
        self._pairs = {}  # socket -> the other end
        self._mute = set()  # clients' sockets
        self._allowance = {}  # client's socket -> bytes that it may still send
        self._next_allowance = None
        self._clients = set()
        self._lock = threading.Lock()
        self._ending = False
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=16)
        self._thread = threading.Thread(target=self._run, name="line", daemon=True)
        self._thread.start()

    def connections(self):
        return len(self._clients)

    def mute(self):
        with self._lock:
            self._mute = set(self._clients)

    def mute_next(self, after_bytes):
        with self._lock:
            self._next_allowance = after_bytes

    def cut(self):
        with self._lock:
            for one in list(self._clients):
                self._hang_up(one)

    def close(self):
        self._ending = True
        self._thread.join(10)
        self._listener.close()
        self.cut()

    # -- the thread

    def _run(self):
        while not self._ending:
            with self._lock:
                heard = [one for one in self._pairs
                         if one not in self._mute and (one in self._clients or not self.deaf)]  # fmt: skip
            try:
                ready = select.select([self._listener, *heard], [], [], 0.005)[0]
            except (OSError, ValueError):  # closed by cut()
                continue
            with self._lock:
                for one in ready:
                    self._accept() if one is self._listener else self._pass_on(one)

    def _accept(self):
        client = self._listener.accept()[0]
        if self.closing > 0:
            self.closing -= 1
            if self.farewell:
                client.recv(4096)
                client.sendall(self.farewell)
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port), timeout=5)
        except OSError:
            client.close()
            return
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs[client], self._pairs[server] = server, client
        self._clients.add(client)
        if self._next_allowance is not None:
            self._allowance[client], self._next_allowance = self._next_allowance, None

    def _pass_on(self, one):
        if one not in self._pairs or one in self._mute:
            return
        try:
            data = one.recv(self._most(one))
            if data:
                self._spend(one, len(data))
                self._pairs[one].sendall(data)
                return
        except OSError:
            pass
        self._hang_up(one)

    def _most(self, one):
        """Bytes to pass on at once."""
        if self._pairs[one] in self._allowance:
            time.sleep(0.002)
            return 1000
        return min(65536, self._allowance.get(one, 65536))

    def _spend(self, one, count):
        if one in self._allowance:
            self._allowance[one] -= count
            if self._allowance[one] == 0:
                self._mute.add(one)

    def _hang_up(self, one):
        other = self._pairs.pop(one)
        del self._pairs[other]
        for end in (one, other):
            self._clients.discard(end)
            self._mute.discard(end)
            self._allowance.pop(end, None)
            end.close()
