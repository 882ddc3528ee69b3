# SPDX-License-Identifier: Apache-2.0
"""A port on this machine's loopback that leads into a network namespace."""

import contextlib
import socket
import threading

from scope import inside_netns


class Window:
    """Connections to `port` on 127.0.0.1 arrive at the same port on the namespace's loopback.

    The port is the namespace's, or another where that one is taken here. A connection is two
    threads; they end with it, and with the process.
    """

    def __init__(self, netns, port):
        self._netns = netns
        self._inner = ("127.0.0.1", port)
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind(self._inner)
        except OSError:
            self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._listener.close()

    def _serve(self):
        while True:
            try:
                outer, _ = self._listener.accept()
            except OSError:  # closed
                return
            try:
                with inside_netns(self._netns):
                    inner = socket.create_connection(self._inner)
            except OSError:
                outer.close()
                continue
            for pair in ((outer, inner), (inner, outer)):
                threading.Thread(target=_pump, args=pair, daemon=True).start()


def _pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
