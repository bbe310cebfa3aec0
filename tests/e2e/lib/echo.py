"""A TCP server that sends back what comes, and ends when the visitor ends."""

import socket
import threading


class Echo:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        try:
            while True:
                sock = self.listener.accept()[0]
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()
        except OSError:
            pass

    @staticmethod
    def _serve(sock):
        with sock:
            try:
                while data := sock.recv(65536):
                    sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
