"""OpenSSH's ssh as the agent."""

import os
import re
import subprocess

from lib.process import Process
from lib.wait import wait_until

SSH_ENV = {k: v for k, v in os.environ.items() if k not in ("SSH_AUTH_SOCK", "DISPLAY")}


class Tunnel(Process):
    """
    `ssh -R remote... user@gateway command`. `key` None offers no key at all. `options` are -o
    values, `args` further arguments in front of the destination.
    """

    def __init__(self, gateway, remotes=(), command="http", key=None, user="v2", options=(),
                 args=(), pty=False, stdin=subprocess.DEVNULL, wrap=(), address=None):
        argv = [*wrap, "ssh", "-F", "none", "-p", gateway.ssh_port,
                *ssh_options(gateway, options)]
        if key is not None:
            argv += ["-i", key.path]
        for remote in remotes:
            argv += ["-R", remote]
        if pty:
            argv.append("-tt")
            stdin = subprocess.PIPE if stdin == subprocess.DEVNULL else stdin
        argv += [*args, "--", f"{user}@{address or gateway.address}"]
        if command is not None:
            argv.append(command)
        self.gateway = gateway
        super().__init__(argv, SSH_ENV, stdin)

    def describe(self):
        """Without the options that are always the same."""
        words = self.argv[self.argv.index("ConnectTimeout=20") + 1:]
        return super().describe().replace(" ".join(self.argv), "ssh " + " ".join(words))

    def urls(self, count=1, seconds=10):
        """The first lines of stdout, which are URLs and nothing else."""
        lines = self.wait_out(count, seconds)
        for line in lines:
            assert re.fullmatch(r"(https?|tcp|tls)://[a-z0-9.*-]+(:\d+)?", line), lines
        return lines

    def assert_refused(self, number):
        """It ends with exit status 1, for this error, and nothing is public."""
        assert self.wait_exit() == 1
        assert re.search(rf"\bERR_SALLYPORT_{number}\b", "\n".join(self.err)), self.describe()
        assert self.out == []

    def wait_allocated(self, count=1):
        """The ports that the client says were allocated for -R 0:..."""
        def found():
            text = "\n".join(self.err + self.out)
            ports = re.findall(r"Allocated port (\d+)", text)
            return ports if len(ports) >= count else None

        return wait_until(found, lambda: f"{count} allocated ports: {self.describe()}")

    def type(self, data):
        self.child.stdin.write(data)
        self.child.stdin.flush()


def ssh_options(gateway, options=()):
    given = {o.partition("=")[0].lower() for o in options}
    preset = [
        "BatchMode=yes",
        f"UserKnownHostsFile={gateway.known_hosts}",
        "GlobalKnownHostsFile=none",
        "StrictHostKeyChecking=accept-new",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "ControlPath=none",
        "ConnectTimeout=20",
    ]
    words = []
    for option in [*options, *(p for p in preset if p.partition("=")[0].lower() not in given)]:
        words += ["-o", option]
    return words


def host_of(url):
    """The host in a URL."""
    return re.match(r"\w+://([^:/]+)", url)[1]
