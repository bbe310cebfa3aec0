"""OpenSSH's sshd, to be reached through the gateway."""

import os
import subprocess

from lib.ports import free_port
from lib.private import is_open
from lib.wait import wait_until


class InnerSshd:
    """On a free port of 127.0.0.1; lets the owner of `user_key` in."""

    def __init__(self, keys, directory, user_key):
        hostkey = keys.get("inner_host")
        authorized = directory / "authorized"
        authorized.write_text(user_key.public + "\n")
        self.port = free_port()
        os.makedirs("/run/sshd", exist_ok=True)
        conf = directory / "sshd_config"
        conf.write_text(f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {hostkey.path}\n"
                        f"AuthorizedKeysFile {authorized}\nStrictModes no\nPidFile none\n"
                        "UsePAM no\nPermitRootLogin yes\n"
                        "Subsystem sftp /usr/lib/openssh/sftp-server\n")
        self.child = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(conf)],
                                      stderr=subprocess.DEVNULL)
        wait_until(lambda: is_open(self.port), "sshd")

    def close(self):
        self.child.terminate()
        self.child.wait()
