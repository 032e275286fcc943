"""TLS in front of a server that has none, on an event loop in a thread of its own."""
import asyncio
import contextlib
import ssl
import threading


class TlsProxy:
    """certificate: (cert_file, key_file). port: where clients connect."""

    def __init__(self, certificate, to_port):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificate)
        self._to_port = to_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tls proxy", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]

    async def _listen(self):
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)

    async def _serve(self, reader, writer):
        with contextlib.suppress(OSError):
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
            await asyncio.wait([asyncio.ensure_future(self._pump(reader, to_writer)),
                                asyncio.ensure_future(self._pump(to_reader, writer))],
                               return_when=asyncio.FIRST_COMPLETED)
            to_writer.close()
        writer.close()

    @staticmethod
    async def _pump(reader, writer):
        with contextlib.suppress(OSError, ssl.SSLError, AttributeError):  # asyncio's, after the end of TLS
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    def close(self):
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
