"""A TCP relay between an SSH client and the gateway that holds or spoils what passes."""

import queue
import socket
import threading
from types import SimpleNamespace

TO_GATEWAY, TO_CLIENT = 0, 1


class Relay:
    """
    hold() keeps what comes from then on, until release(); spoil() flips one bit of it. .passed counts the
    bytes that came, for each direction.
    """

    def __init__(self, gateway):
        self.target = (gateway.address, gateway.ssh_port)
        self.known_hosts = gateway.known_hosts
        self.gates = (threading.Event(), threading.Event())
        self.delivered = [0, 0]
        self.spoiled = [False, False]
        self.left = [None, None]
        self.passed = [0, 0]
        self.socks = []
        for direction in (TO_GATEWAY, TO_CLIENT):
            self.release(direction)
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

    def hold(self, direction):
        self.gates[direction].clear()

    def release(self, direction):
        self.gates[direction].set()

    def held(self, direction):
        """Bytes that wait here."""
        return self.passed[direction] - self.delivered[direction]

    def close(self):
        for gate in self.gates:
            gate.set()
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
        threading.Thread(target=self._write, args=(sink, line, direction), daemon=True).start()

    def _read(self, source, line, direction):
        data = b"-"
        while data:
            try:
                data = source.recv(256 * 1024)
            except OSError:
                data = b""
            self.passed[direction] += len(data)
            line.put(self._maybe_spoil(data, direction))

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

    def _write(self, sink, line, direction):
        while True:
            data = line.get()
            self.gates[direction].wait()
            try:
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
            except OSError:
                return
            self.delivered[direction] += len(data)
