"""A wire that can be made slow: whoever goes through it waits before each thing he asks."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.support.processes import free_port


class Proxy:
    """Carries TCP from a port of its own to another. `delay_s` holds up what clients send.

    A database client sends each statement by itself and waits for the answer, so that a delay of
    one second is a server that takes a second for each.
    """

    def __init__(self, port: int) -> None:
        self.delay_s = 0.0
        self.port = free_port()
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def start(self) -> None:
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def stop(self) -> None:
        self._listening.close()
        with self._lock:
            ends = list(self._open)
        for end in ends:
            _hang_up(end)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._to), timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        ends = {client, server}
        with self._lock:
            self._open |= ends
        back = threading.Thread(target=_carry, args=(server, client, lambda: 0.0), daemon=True)
        back.start()
        _carry(client, server, lambda: self.delay_s)
        back.join()
        with self._lock:
            self._open -= ends
        client.close()
        server.close()


def _carry(source: socket.socket, sink: socket.socket, delay: Callable[[], float]) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            time.sleep(delay())
            sink.sendall(data)
    _hang_up(source)
    _hang_up(sink)


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    """A started proxy to a port of this machine."""
    one = Proxy(port)
    try:
        one.start()
        yield one
    finally:
        one.stop()
