"""The management API as its users have it: `ssh v2@gateway api ...`."""

import json
import subprocess

from lib.tunnel import SSH_ENV, ssh_options
from lib.wait import TIME_SCALE


class Answer:
    """What one command printed, and how it ended."""

    def __init__(self, done):
        self.status = done.returncode
        self.raw = done.stdout
        self.out = done.stdout.decode()
        self.err = done.stderr.decode()

    @property
    def body(self):
        return json.loads(self.out)

    def __getitem__(self, name):
        return self.body[name]

    def __repr__(self):
        return f"<exit {self.status}\n{self.out}\n{self.err}>"


class SshApi:
    """One user; each command is a connection of its own, unless `options` share one."""

    def __init__(self, gateway, key, options=()):
        self.gateway = gateway
        self.key = key
        self.options = options

    def argv(self, line, *args):
        return [str(word) for word in (
            "ssh", "-F", "none", "-p", self.gateway.ssh_port,
            *ssh_options(self.gateway, self.options), "-i", self.key.path, *args, "--",
            f"v2@{self.gateway.address}", line)]

    def run(self, line, stdin=None, pty=False):
        """The words of `line` as the gateway gets them."""
        stdin = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(self.argv(line, *(["-tt"] if pty else ["-T"])), env=SSH_ENV,
                              input=b"" if stdin is None else stdin, capture_output=True,
                              timeout=60 * TIME_SCALE, check=False)
        return Answer(done)

    def ok(self, line, stdin=None):
        answer = self.run(line, stdin)
        assert answer.status == 0, answer
        return answer

    def start(self, line, *args):
        """Runs on while the test goes on; its standard input is a pipe."""
        return subprocess.Popen(self.argv(line, *args), env=SSH_ENV, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
