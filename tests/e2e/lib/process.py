"""A child process whose output is collected line by line while it runs."""

import os
import re
import signal
import subprocess
import threading

from lib.wait import TIME_SCALE, wait_until


class Output:
    """Lines of stdout and stderr of something that runs, in .out and .err without line ends."""

    def __init__(self):
        self.out = []
        self.err = []

    def on_out(self, line):
        self.out.append(line)

    def on_err(self, line):
        self.err.append(line)

    def describe(self):
        raise NotImplementedError

    def running_or_unread(self):
        raise NotImplementedError

    @property
    def url(self):
        """The first line of stdout, when it is an SSH session that offers an endpoint."""
        line = self.wait_out()[0]
        assert re.fullmatch(r"https?://[a-z0-9.*-]+(:\d+)?", line), self.describe()
        return line

    def wait_out(self, count=1, seconds=10):
        """Waits for `count` lines on stdout and returns them."""
        wait_until(lambda: len(self.out) >= count or not self.running_or_unread(),
                   lambda: f"{count} lines on stdout of {self.describe()}", seconds)
        assert len(self.out) >= count, f"ended before {count} lines: {self.describe()}"
        return self.out[:count]

    def wait_err(self, pattern, seconds=10):
        """Waits for a line on stderr that matches; returns the match."""
        return self._wait_line(self.err, pattern, "stderr", seconds)

    def wait_text(self, pattern, seconds=10):
        """The same for stdout."""
        return self._wait_line(self.out, pattern, "stdout", seconds)

    def wait_any(self, pattern, seconds=10):
        """The same for either."""
        wait_until(lambda: any(re.search(pattern, x) for x in self.out + self.err),
                   lambda: f"/{pattern}/ in {self.describe()}", seconds)

    def _wait_line(self, lines, pattern, where, seconds):
        def find():
            for line in list(lines):
                match = re.search(pattern, line)
                if match:
                    return match
            return None

        def found_or_over():
            return find() or not self.running_or_unread()

        wait_until(found_or_over, lambda: f"/{pattern}/ on {where} of {self.describe()}", seconds)
        match = find()
        assert match, f"ended without /{pattern}/ on {where}: {self.describe()}"
        return match


class Process(Output):
    """
    Lines of stdout and stderr are in .out and .err, without their line ends; .raw has all bytes of
    both. With `group` it leads a process group of its own and stop() ends the whole group.
    """

    def __init__(self, argv, env=None, stdin=subprocess.DEVNULL, cwd=None, group=False):
        self.group = group
        self.raw = bytearray()
        self.argv = [str(a) for a in argv]
        super().__init__()
        self.child = subprocess.Popen(self.argv, stdin=stdin, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, env=env, cwd=cwd,
                                      start_new_session=group)
        self.threads = [
            threading.Thread(target=self._collect, args=(pipe, self.on_out if own else self.on_err),
                             daemon=True)
            for pipe, own in ((self.child.stdout, True), (self.child.stderr, False))
        ]
        for thread in self.threads:
            thread.start()

    def _collect(self, pipe, take):
        rest = b""
        with pipe:
            while data := pipe.read1(65536):
                self.raw += data
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    take(line.decode("utf-8", "replace").rstrip("\r"))
        if rest:
            take(rest.decode("utf-8", "replace"))

    @property
    def pid(self):
        return self.child.pid

    @property
    def running(self):
        return self.child.poll() is None

    def describe(self):
        return (f"{' '.join(self.argv)}\nexit: {self.child.poll()}\nstdout: {self.out}\n"
                "stderr:\n  " + "\n  ".join(self.err[-40:]))

    def running_or_unread(self):
        return self.running or any(t.is_alive() for t in self.threads)

    def wait_exit(self, seconds=10):
        """Waits for the end and for all output; returns the exit status."""
        try:
            self.child.wait(seconds * TIME_SCALE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {seconds} s: {self.describe()}") from None
        for thread in self.threads:
            thread.join(5)
        return self.child.returncode

    def signal(self, number):
        if self.running:
            (os.killpg if self.group else os.kill)(self.pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.child.wait()

    def stop(self, seconds=5):
        """Ends it politely, then by force."""
        if self.running:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        if self.child.stdin:
            self.child.stdin.close()
        for thread in self.threads:
            thread.join(5)
