"""SSH keys of the tests, made by ssh-keygen once a run."""

import functools
import subprocess

#: name -> ssh-keygen arguments. The account stands in authorized_keys, see Gateway.
KINDS = {
    "alice": ["-t", "ed25519"],
    "alice2": ["-t", "ed25519"],
    "bob": ["-t", "ed25519"],
    "carol": ["-t", "ed25519"],
    "stranger": ["-t", "ed25519"],
    "ecdsa": ["-t", "ecdsa", "-b", "256"],
    "rsa": ["-t", "rsa", "-b", "2048"],
}


class Key:
    def __init__(self, name, path):
        self.name = name
        self.path = path
        self.public = path.with_suffix(".pub").read_text().strip()

    @functools.cached_property
    def dropbear(self):
        """The private key in dropbear's format."""
        path = self.path.with_suffix(".dropbear")
        subprocess.run(["dropbearconvert", "openssh", "dropbear", self.path, path], check=True,
                       capture_output=True)
        return path

    @functools.cached_property
    def putty(self):
        """The private key in PuTTY's format."""
        path = self.path.with_suffix(".ppk")
        subprocess.run(["puttygen", self.path, "-O", "private", "-o", path], check=True,
                       stdin=subprocess.DEVNULL)
        return path

    def line(self, options=""):
        """A line of authorized_keys."""
        return f"{options} {self.public}".strip()


class Keys:
    """Makes a key when it is first asked for: keys.alice, keys.rsa, ..."""

    def __init__(self, directory):
        self.directory = directory
        self.made = {}

    def __getattr__(self, name):
        if name.startswith("_") or name not in KINDS:
            raise AttributeError(name)
        return self.get(name, KINDS[name])

    def get(self, name, kind=("-t", "ed25519")):
        if name not in self.made:
            path = self.directory / name
            subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", name, *kind, "-f", str(path)],
                           check=True, stdin=subprocess.DEVNULL)
            self.made[name] = Key(name, path)
        return self.made[name]
