"""A TCP relay between an SSH client and the gateway that delays or spoils what passes."""

import queue
import socket
import threading
import time
from types import SimpleNamespace

TO_GATEWAY, TO_CLIENT = 0, 1


class Relay:
    """`delay` seconds in each direction. spoil() flips one bit of what passes from then on."""

    def __init__(self, gateway, delay=0.0):
        self.target = (gateway.address, gateway.ssh_port)
        self.known_hosts = gateway.known_hosts
        self.delay = delay
        self.spoiled = [False, False]
        self.left = [None, None]
        self.passed = [0, 0]
        self.socks = []
        self.listener = socket.create_server((gateway.address, 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def gateway(self):
        """What a Tunnel takes for a gateway."""
        address, port = self.listener.getsockname()
        return SimpleNamespace(address=address, ssh_port=port, known_hosts=self.known_hosts)

    def spoil(self, direction, after):
        """Flips a bit of the byte that passes in `after` bytes."""
        self.left[direction] = after

    def close(self):
        for sock in [self.listener, *self.socks]:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def _connect(self):
        return socket.create_connection(self.target)

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = self._connect()
            except OSError:
                return
            self.socks += [client, server]
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._carry(client, server, TO_GATEWAY)
            self._carry(server, client, TO_CLIENT)

    def _carry(self, source, sink, direction):
        line = queue.Queue()
        threading.Thread(target=self._read, args=(source, line, direction), daemon=True).start()
        threading.Thread(target=self._write, args=(sink, line), daemon=True).start()

    def _read(self, source, line, direction):
        data = b"-"
        while data:
            try:
                data = source.recv(256 * 1024)
            except OSError:
                data = b""
            self.passed[direction] += len(data)
            line.put((time.monotonic() + self.delay, self._maybe_spoil(data, direction)))

    def _maybe_spoil(self, data, direction):
        left = self.left[direction]
        if left is None or not data:
            return data
        if left >= len(data):
            self.left[direction] -= len(data)
            return data
        self.left[direction] = None
        self.spoiled[direction] = True
        return data[:left] + bytes([data[left] ^ 0x10]) + data[left + 1:]

    @staticmethod
    def _write(sink, line):
        while True:
            due, data = line.get()
            try:
                time.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
            except OSError:
                return
