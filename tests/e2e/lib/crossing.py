"""A cloud endpoint that sends requests to many internal endpoints, and visitors who check who answers."""

import collections
import os
import re
import threading
import time
from pathlib import Path

from lib.api import Api
from lib.gateway import DOMAIN
from lib.h2 import H2Conn
from lib.policy import merge, on_request, text_of
from lib.raw import Conn, ProtocolError
from lib.upstream import Server
from lib.wait import Deadline, wait_until

#: Keys of one account.
KEYS = ("alice", "alice2", "ecdsa", "rsa")
H2_STREAMS = 8


class Named(Server):
    """An HTTP/1.1 upstream that says its name, whom the request was sent to, and its number."""

    def __init__(self, name):
        self.name = name
        super().__init__()

    def keeps_bytes(self):
        return False

    def on_conn(self, conn):
        threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            while True:
                head = conn.read_until(b"\r\n\r\n", 3600)
                to, number = (re.search(rb"(?i)\r\n%s: (\w+)" % field, head)[1].decode()
                              for field in (b"x-to", b"x-number"))
                conn.respond(f"{self.name} {to} {number}".encode())
        except (OSError, EOFError, TimeoutError):
            pass
        finally:
            conn.sock.close()


def document(names):
    """
    Who asks for /NAME/..., or sends x-to: NAME, gets that one; others get one by chance. Each upstream
    hears by x-to whom the policy chose.
    """
    rules = [on_request(("add-headers", {"headers": {"x-to": name}}),
                        ("forward-internal", {"url": f"https://{name}.internal"}),
                        expressions=[f"req.url.path.startsWith('/{name}/')"]) for name in names]
    rules.append(on_request(
        ("forward-internal", {"url": "https://${req.headers['x-to'][0]}.internal"}),
        expressions=["'x-to' in req.headers"]))
    rules.append(on_request(
        ("set-vars", {"vars": [{"pick": f"n${{rand.int(0, {len(names) - 1})}}"}]}),
        ("add-headers", {"headers": {"x-to": "${vars.pick}"}}),
        ("forward-internal", {"url": "https://${vars.pick}.internal"})))
    return merge(*rules)


class Crossing:
    """The cloud endpoint and its internal endpoints "n0", "n1", ..., each of a session of its own."""

    def __init__(self, scene, api, count=20):
        self.scene = scene
        self.names = [f"n{i}" for i in range(count)]
        self.apps = [scene.keep(Named(name)) for name in self.names]
        self.sessions = [self.start(i) for i in range(count)]
        for session in self.sessions:
            session.urls(1)
        self.host = f"{scene.name()}.{DOMAIN}"
        self.api = api
        self.id = api.create("/endpoints", url=f"https://{self.host}",
                             traffic_policy=text_of(document(self.names)))["id"]
        scene.keep(self)

    def close(self):
        """All of it is gone afterwards; the scene closes it too."""
        api = Api(self.scene.gateway, self.api.token)  # the connection may have been idle for long
        assert api.call("DELETE", f"/endpoints/{self.id}").status in (204, 404)
        api.close()
        for thing in self.sessions:
            thing.stop()

    def start(self, i, flags="--pooling-enabled"):
        return self.scene.ssh(f"{self.names[i]}.internal:443:127.0.0.1:{self.apps[i].port}",
                              command=f"http {flags}", key=KEYS[i % len(KEYS)])

    def restart_with_overlap(self, i, way="stop"):
        """The new session is there before the old one goes; `way` is how that one ends."""
        old, self.sessions[i] = self.sessions[i], self.start(i)
        self.sessions[i].urls(1)
        getattr(old, way)()

    def restart_with_gap(self, i, during, way="stop"):
        """The other way round; during() runs between."""
        gateway, url = self.scene.gateway, f"https://{self.names[i]}.internal"
        mark = gateway.mark()
        getattr(self.sessions[i], way)()
        gateway.wait_down(url, mark)
        during()
        self.sessions[i] = self.start(i)
        self.sessions[i].urls(1)


def open_files(process):
    """Numbers of its descriptors and what they are, but of those that are closed meanwhile."""
    for fd in os.listdir(process / "fd"):
        try:
            yield fd, os.readlink(process / "fd" / fd)
        except FileNotFoundError:
            pass


def sessions_by_loop(gateway):
    """How many ssh connections each event loop of the gateway watches."""
    process = Path(f"/proc/{gateway.pid}")
    rows = [row.split() for row in (process / "net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in rows
              if row[3] == "01" and int(row[1].partition(":")[2], 16) == gateway.ssh_port}
    links = dict(open_files(process))
    ssh = {fd for fd, to in links.items() if to in {f"socket:[{inode}]" for inode in inodes}}
    watched = [re.findall(r"^tfd: *(\d+)", (process / "fdinfo" / fd).read_text(), re.M)
               for fd, to in links.items() if to == "anon_inode:[eventpoll]"]
    return [n for fds in watched if (n := len(ssh.intersection(fds)))]


class Question:
    """One request: by path, by header or by chance, in turn."""

    def __init__(self, number, names, by_chance=True):
        ways = 3 if by_chance else 2
        self.number = number
        self.name = names[number // ways % len(names)]
        way = number % ways
        self.path = f"/{self.name}/x?n={number}" if way == 0 else f"/any?n={number}"
        self.headers = [("x-number", str(number))]
        if way == 1:
            self.headers.append(("x-to", self.name))
        if way == 2:
            self.name = None  # whoever chance says


class Visitors:
    """
    Ask until `total` requests are answered, and in any case for as long as they are `held`; half of
    them over HTTP/1.1 and half over HTTP/2, all on connections that are kept. `answered` counts by
    name; `lost` has (name, status or None, code); `wrong` has answers that came from another one.
    """

    def __init__(self, crossing, total, count=8, by_chance=True, held=False):
        self.crossing, self.total, self.by_chance = crossing, total, by_chance
        self.held = held
        self.asked = 0
        self.answered = collections.Counter()
        self.lost = []
        self.wrong = []
        self.slowest = 0.0
        self.lock = threading.Lock()
        self.begin = time.monotonic()
        self.threads = [threading.Thread(target=self._visit, args=(i % 2 == 1,), daemon=True)
                        for i in range(count)]
        for t in self.threads:
            t.start()
        crossing.scene.keep(self)

    def close(self):
        """Holds them no longer, whatever became of the test."""
        self.held = False

    # ---- how it goes ----

    @property
    def done(self):
        return self.answered.total() + len(self.lost) + len(self.wrong)

    @property
    def running(self):
        return any(t.is_alive() for t in self.threads)

    def wait_more(self, n):
        """n more requests are done, or all."""
        goal = self.done + n
        wait_until(lambda: self.done >= goal or not self.running,
                   lambda: f"{goal} requests; {self.done} are done", 60)

    def wait_lost(self, name):
        """One more request for `name` is lost, or all are done."""
        def count():
            return sum(lost == name for lost, _, _ in list(self.lost))

        before = count()
        wait_until(lambda: count() > before or not self.running,
                   lambda: f"a request for {name} that is lost", 60)

    def join(self, seconds):
        self.close()
        deadline = Deadline(seconds)
        for t in self.threads:
            t.join(deadline.left())
        assert self.done == self.asked >= self.total, (self.done, self.lost[:5], self.wrong[:5])

    def describe(self):
        seconds = time.monotonic() - self.begin
        return (f"{self.answered.total()} answered, {len(self.lost)} lost, {len(self.wrong)} wrong, "
                f"{self.done / seconds:.0f} a second, slowest {self.slowest * 1000:.0f} ms")

    # ---- visiting ----

    def _next(self):
        with self.lock:
            number = self.asked
            if number >= self.total and not self.held:
                return None
            self.asked += 1
        return Question(number, self.crossing.names, self.by_chance)

    def _visit(self, over_http2):
        left = []
        more = True
        while more or left:
            try:
                more = (self._visit_http2 if over_http2 else self._visit_http1)(left)
            except (OSError, ProtocolError, TimeoutError, AssertionError) as e:
                with self.lock:
                    self.lost += [(q.name, None, repr(e)) for q in left]
                left.clear()

    def _visit_http1(self, left):
        """Asks on one connection; `left` has what was asked and not answered when it ends."""
        port = self.crossing.scene.gateway.https_port
        with Conn(port, self.crossing.host, tls=True, seconds=20) as conn:
            while question := self._next():
                left.append(question)
                asked = time.monotonic()
                response = conn.get(question.path, question.headers)
                self._take(left.pop(), asked, response.status, response.body, response.error_code)
        return False

    def _visit_http2(self, left):
        """The same, with some requests at once."""
        conn = H2Conn(self.crossing.scene.gateway.https_port, self.crossing.host)
        try:
            while batch := [q for _ in range(H2_STREAMS) if (q := self._next())]:
                left += batch
                asked = time.monotonic()
                streams = [conn.request(q.path, headers=q.headers) for q in batch]
                for question, stream in zip(batch, streams):
                    response = conn.finish(stream)
                    left.remove(question)
                    self._take(question, asked, response.status, bytes(response.body),
                               response.header("sallyport-error-code"))
                    del conn.responses[stream]
        finally:
            conn.close()
        return False

    def _take(self, question, asked, status, body, code):
        text = body.decode()
        name = question.name or text.partition(" ")[0]
        with self.lock:
            self.slowest = max(self.slowest, time.monotonic() - asked)
            if status != 200:
                self.lost.append((question.name, status, code))
            elif text != f"{name} {name} {question.number}":
                self.wrong.append((question.name, question.number, text))
            else:
                self.answered[name] += 1
