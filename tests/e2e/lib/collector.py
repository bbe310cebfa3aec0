"""A receiver of events over HTTP that a test can let fail in every way, and readers of what arrived."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lib.wait import wait_until


class Collector:
    """
    Takes POSTs of JSON lists of events. `answers` are used up one a request before all are 200: a
    status, "cut" (the connection is reset), "lost" (the events are taken, but no answer comes), or a number of seconds to be late
    (a float). `batches` has the events of each request that was answered with 200 or lost.
    """

    def __init__(self, port=0):
        self.answers = []
        self.batches = []
        self.heads = []
        self.requests = 0
        self.hold = threading.Event()
        self.hold.set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                collector.take(self)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/in"

    def take(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.requests += 1
        answer = self.answers.pop(0) if self.answers else 200
        self.hold.wait(60)
        if isinstance(answer, float):
            threading.Event().wait(answer)
            answer = 200
        if answer == "cut":
            self.reset(handler)
            return
        if answer in (200, "lost"):
            events = json.loads(body)
            self.batches.append(events if isinstance(events, list) else [events])
            self.heads.append({name.lower(): value for name, value in handler.headers.items()})
        if answer == "lost":
            self.reset(handler)
            return
        handler.send_response(answer)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    @staticmethod
    def reset(handler):
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)

    @property
    def events(self):
        """All events that arrived, in order, repeated ones once."""
        return unique([e for batch in list(self.batches) for e in batch])

    def wait(self, count, seconds=20):
        wait_until(lambda: len(self.events) >= count,
                   lambda: f"{count} events; {len(self.events)} are there", seconds)
        return self.events

    def close(self):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()


def unique(events):
    seen, out = set(), []
    for event in events:
        if event["event_id"] not in seen:
            seen.add(event["event_id"])
            out.append(event)
    return out


def whole_lines(*paths):
    """How many lines of files are whole; one that is being written is not."""
    return sum(path.read_bytes().count(b"\n") for path in paths if path.exists())


def read_lines(*paths):
    """The events of files, one a line; every line must be whole."""
    out = []
    for path in paths:
        if path.exists():
            text = path.read_text()
            assert text == "" or text.endswith("\n"), text[-200:]
            out += [json.loads(line) for line in text.splitlines()]
    return out


def path_of(event):
    return event["object"]["http"]["request"]["url"]["path"]
