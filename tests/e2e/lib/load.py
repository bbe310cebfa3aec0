"""Visitors that ask without a pause."""

import collections
import threading

from lib.raw import Conn, ProtocolError
from lib.wait import Deadline, wait_until


class Load:
    """Visitors that ask without a pause, each on a connection that it keeps while it can."""

    def __init__(self, scene, host, visitors=8, method="GET", body=None, target="/hello"):
        self.scene, self.host, self.target = scene, host, target
        self.method, self.body = method, body
        self.done = collections.Counter()
        self.failed = []  # (status or None when it was cut, error code)
        self.stopping = False
        self.threads = [threading.Thread(target=self._visit, daemon=True)
                        for _ in range(visitors)]
        for t in self.threads:
            t.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stopping = True
        for t in self.threads:
            t.join(Deadline(30).left())

    def _visit(self):
        while not self.stopping:
            try:
                with Conn(self.scene.gateway.https_port, self.host, tls=True) as conn:
                    self._ask(conn)
            except (OSError, ProtocolError, TimeoutError) as e:
                self.failed.append((None, repr(e)))

    def _ask(self, conn):
        while not self.stopping:
            response = conn.request(self.method, self.target, body=self.body)
            if response.status != 200:
                self.failed.append((response.status, response.error_code))
                return
            self.done[response.body] += 1

    def wait_more(self, n=100):
        """n more requests are done."""
        before = self.done.total()
        wait_until(lambda: self.done.total() >= before + n,
                   lambda: f"{n} more than {before}; {self.done}, {self.failed}", 30)
