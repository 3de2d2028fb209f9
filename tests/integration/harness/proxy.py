# SPDX-License-Identifier: PostgreSQL
"""A TCP proxy that delays what passes, or holds it, as a slow or stuck network does."""

import collections
import socket
import threading
import time


class Proxy:
    """Between a receiver and a server; delay is in seconds, for each direction."""

    def __init__(self, port, delay=0.0):
        self.target = ("127.0.0.1", port)
        self.delay = delay
        self.flowing = threading.Event()
        self.flowing.set()
        self.sockets = []
        self.closing = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self._run(self._accept)

    def _run(self, work, *args):
        threading.Thread(target=work, args=args, daemon=True).start()

    def _accept(self):
        while not self.closing:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.target)
            except OSError:
                return
            self.sockets += [client, server]
            for source, target in ((client, server), (server, client)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connect(source, target)

    def _connect(self, source, target):
        pieces = collections.deque()
        some = threading.Condition()

        def read():
            data = b"."
            while data:
                try:
                    data = source.recv(65536)
                except OSError:
                    data = b""
                with some:
                    pieces.append((time.monotonic() + self.delay, data))
                    some.notify()

        def write():
            while True:
                with some:
                    while not pieces:
                        some.wait()
                    due, data = pieces.popleft()
                time.sleep(max(0.0, due - time.monotonic()))
                self.flowing.wait()
                try:
                    if not data:
                        target.shutdown(socket.SHUT_WR)
                        return
                    target.sendall(data)
                except OSError:
                    return
        self._run(read)
        self._run(write)

    def hold(self):
        self.flowing.clear()

    def release(self):
        self.flowing.set()

    def close(self):
        self.closing = True
        self.flowing.set()
        for it in (self.listener, *self.sockets):
            it.close()
