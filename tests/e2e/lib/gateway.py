"""The program under test: one running gateway, its configuration, log and metrics."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from lib import config
from lib.process import Process
from lib.wait import wait_until

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("SALLYPORT_BIN", ROOT / "build/gcc-release/sallyport"))
WORKERS = int(os.environ.get("SALLYPORT_WORKERS", "2"))
#: Words in front of the program, such as "valgrind --error-exitcode=99".
WRAP = shlex.split(os.environ.get("SALLYPORT_WRAP", ""))

#: What AddressSanitizer and valgrind keep of freed memory, so that it is not used again soon.
CHECKED = bool(WRAP) or BINARY.exists() and b"__asan_init" in BINARY.read_bytes()
CHECKER_BYTES = 1024 * 1024 * 1024 if CHECKED else 0

DOMAIN = "example.test"
SLOW_KEY = "ssh_host_rsa_key"

GAUGES = (
    "sallyport_connections",
    "sallyport_exchanges",
    "sallyport_streams",
    "sallyport_relays",
    "sallyport_ssh_connections",
    "sallyport_ssh_sessions",
    "sallyport_ssh_channels",
    "sallyport_endpoints",
)

SANITIZER = re.compile(r"(Address|Leak|Memory|Thread|UndefinedBehavior)Sanitizer|runtime error:|"
                       r"Assertion .* failed|== ERROR SUMMARY: [1-9]|stack smashing|double free")


class Gateway:
    """
    Listens on free ports of `address`. `settings` are laid over the default configuration;
    `authorized` are the lines of authorized_keys (default: all keys of the tests with their accounts).
    With `makes_keys` it starts with nothing and makes all its host keys. `wrap` are words in front of the
    program, which it is started by.
    """

    def __init__(self, directory, keys, settings=None, authorized=None, address="127.0.0.1",
                 env=None, makes_keys=False, wrap=()):
        self.directory = Path(directory)
        self.keys = keys
        self.address = address
        self.state = self.directory / "state"
        self.config_file = self.directory / "sallyport.cfg"
        self.authorized_keys = self.directory / "authorized_keys"
        self.known_hosts = self.directory / "known_hosts"
        self.settings = config.merge(self.defaults(), settings or {})
        self.env = {**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1", **(env or {})}
        self.makes_keys = makes_keys
        self.wrap = wrap
        self.enter = ()  # words by which another program sees the files that it sees
        self.process = None
        self.log = []
        self.noise = []
        self.authorize(*(self.default_keys() if authorized is None else authorized))
        self.write()

    def defaults(self):
        free = [f"{self.address}:0"]
        return {
            "state_dir": str(self.state),
            "domain": DOMAIN,
            "auto_reserve": True,
            "listen": {"ssh": free, "http": free, "https": free, "admin": ["127.0.0.1:0"]},
            "authorized_keys": [str(self.authorized_keys)],
            "workers": WORKERS,
            "log": {"level": "info", "format": "json"},
        }

    def default_keys(self):
        k = self.keys
        return [k.alice.line('account="alice"'), k.alice2.line('account="alice"'),
                k.bob.line('account="bob"'), k.carol.line(), k.ecdsa.line('account="alice"'),
                k.rsa.line('account="alice"')]

    # ---- files ----

    def authorize(self, *lines):
        """Replaces authorized_keys at once, as editors do."""
        new = self.authorized_keys.with_suffix(".new")
        new.write_text("".join(line + "\n" for line in lines))
        new.rename(self.authorized_keys)

    def configure(self, **changes):
        self.settings = config.merge(self.settings, changes)
        self.write()

    def write(self):
        self.config_file.write_text(config.text(self.settings))

    # ---- the process ----

    def start(self, seconds=20):
        self._take_slow_keys()
        argv = [*self.wrap, *WRAP, str(BINARY), "serve", "-c", str(self.config_file)]
        self.process = _GatewayProcess(self, argv, self.env)
        ready = wait_until(self._find_ready, lambda: "ready line: " + self.process.describe(),
                           seconds)
        for name in ("ssh", "http", "https", "admin"):
            setattr(self, name + "_port", port_of(ready[name]))
        return self

    def _take_slow_keys(self):
        """Making an RSA host key takes longer than most tests, so one is made for all."""
        made = self.keys.directory / SLOW_KEY
        if self.makes_keys or self.state.exists():
            return
        if not made.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "3072", "-m", "PEM", "-N", "",
                            "-f", made], check=True, stdin=subprocess.DEVNULL)
        self.state.mkdir(mode=0o700)
        shutil.copy2(made, self.state / SLOW_KEY)

    def revive(self):
        """Starts it again after a crash, so that one failed test is one."""
        if not self.process.running:
            self.log.clear()
            self.noise.clear()
            self.start()
        return self

    def _find_ready(self):
        if not self.process.running:
            self.process.wait_exit()
            raise AssertionError("ended at start: " + self.process.describe())
        for entry in list(self.log):
            if entry["event"].startswith("sallyport ready"):
                return entry
        for line in list(self.noise):
            if "sallyport ready" in line:
                return dict(re.findall(r"(\w+)=(\S+)", line))
        return None

    def on_line(self, line):
        if line.startswith("{"):
            try:
                self.log.append(json.loads(line))
                return
            except ValueError:
                pass
        self.noise.append(line)

    @property
    def pid(self):
        """That of the gateway itself, below a wrapper too (both exec it)."""
        return self.process.pid

    def reload(self):
        self.process.signal(signal.SIGHUP)

    def change(self, **changes):
        """The same with other settings; whatever comes after this call finds them in force."""
        self.configure(**changes)
        mark = self.mark()
        self.reload()
        # Written when all workers have them.
        self.wait_log(lambda e: e["event"] == "reload.done", mark, "reload.done")

    def terminate(self, seconds=40):
        """SIGTERM; returns the exit status."""
        self.process.signal(signal.SIGTERM)
        return self.process.wait_exit(seconds)

    def rss(self):
        """Resident bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def assert_growth(self, before, limit=16 * 1024 * 1024):
        """Resident memory has grown by less than `limit` bytes since it was `before`."""
        growth = self.rss() - before
        assert growth < limit + CHECKER_BYTES, f"memory grew by {growth / 1048576:.1f} MiB"

    def host_keys(self):
        """SHA-256 fingerprints of the host keys, as a client would scan them."""
        scan = subprocess.run(["ssh-keyscan", "-T", "20", "-p", str(self.ssh_port), "-t",
                               "ed25519,ecdsa,rsa", self.address], capture_output=True, check=True).stdout
        listed = subprocess.run(["ssh-keygen", "-lf", "-"], input=scan, capture_output=True,
                                check=True).stdout.decode()
        return re.findall(r"SHA256:\S+", listed)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    # ---- what it says ----

    def mark(self):
        """A place in the log; entries(mark) are those after it."""
        return len(self.log)

    def entries(self, mark=0, event=None):
        return [e for e in self.log[mark:] if event is None or e["event"] == event]

    def wait_log(self, test, mark=0, what="log line", seconds=10):
        """Waits for the first entry after `mark` for which test(entry) is true."""
        return wait_until(lambda: next((e for e in self.log[mark:] if test(e)), None),
                          lambda: f"{what}; log: {self.log[mark:][-20:]}", seconds)

    def wait_down(self, url, mark):
        """No worker finds the endpoint with this URL, or a part of it, any more."""
        self.wait_log(lambda e: e["event"] == "endpoint.down" and url in str(e), mark,
                      f"the end of {url}")

    def wait_exchange(self, path, mark=0, seconds=10):
        """The access log line of the request to `path`."""
        return self.wait_log(lambda e: request_path(e) == path, mark,
                             f"access log line for {path}", seconds)

    def metrics(self):
        """All metrics by name."""
        body = self.admin("/metrics")
        return {name: float(number) for name, number in
                re.findall(r"^(sallyport_\w+)(?:\{[^}]*\})? (\S+)$", body, re.M)}

    def admin(self, path):
        with socket.create_connection(("127.0.0.1", self.admin_port), 10) as s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                      .encode())
            data = b""
            while piece := s.recv(65536):
                data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        return body.decode()

    def gauges(self):
        """The gauges that are not 0."""
        metrics = self.metrics()
        return {name: metrics[name] for name in GAUGES if metrics[name] != 0}

    def wait_idle(self, seconds=20):
        """Live connections, exchanges, streams and sessions are 0."""
        wait_until(lambda: not self.gauges(), lambda: f"idle gateway; left: {self.gauges()}",
                   seconds)

    def wait_gauge(self, name, number, seconds=10):
        wait_until(lambda: self.metrics()[name] == number,
                   lambda: f"{name} = {number}; is {self.metrics()[name]}", seconds)

    def check(self):
        """Nothing crashed and no sanitizer spoke."""
        bad = [line for line in self.noise if SANITIZER.search(line)]
        assert not bad, "\n".join(self.noise[-80:])
        if self.process:
            status = self.process.child.poll()
            assert status in (None, 0), f"exit status {status}: " + "\n".join(self.noise[-40:])


class _GatewayProcess(Process):
    def __init__(self, gateway, argv, env):
        self.gateway = gateway
        super().__init__(argv, env)

    def on_out(self, line):
        self.gateway.on_line(line)

    on_err = on_out

    def describe(self):
        tail = "\n  ".join(self.gateway.noise[-40:] + [str(e) for e in self.gateway.log[-20:]])
        return f"{' '.join(self.argv)}\nexit: {self.child.poll()}\n  {tail}"


def request_path(entry):
    """http.request.url.path of an access log line, or None."""
    return entry.get("http", {}).get("request", {}).get("url", {}).get("path")


def port_of(address):
    """The port of "127.0.0.1:80", "[::1]:80" or 80."""
    return int(re.search(r"(\d+)\]?$", str(address)).group(1))
