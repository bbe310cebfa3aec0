"""Internal endpoints, and how a user reaches them over SSH."""

import re
import socket
import subprocess

import paramiko

from lib.ports import free_port
from lib.raw import Conn
from lib.tunnel import SSH_ENV, ssh_options
from lib.wait import wait_until

PROHIBITED = paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED


def is_open(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def name(scene):
    """An internal name that nobody has."""
    return f"{scene.name()}.internal"


def internal(scene, host, port, upstream, command="tcp", **kw):
    """An internal endpoint that is online; `upstream` is a server or a port."""
    target = upstream if isinstance(upstream, int) else upstream.port
    tunnel = scene.ssh(f"{host}:{port}:127.0.0.1:{target}", command=command, **kw)
    line = tunnel.wait_out(1)[0]
    assert re.fullmatch(r"(https?|tcp|tls)://[a-z0-9.*-]+\.internal(:\d+)?", line), line
    return tunnel


def local_forward(scene, host, port, key="alice"):
    """`ssh -N -L` that listens; .port is the local one."""
    return _listening(scene, key, "-L", lambda local: f"{local}:{host}:{port}")


def socks(scene, key="alice"):
    """`ssh -N -D` that listens; .port is the local one."""
    return _listening(scene, key, "-D", str)


def _listening(scene, key, option, words):
    port = free_port()
    ssh = scene.ssh(command=None, key=key, args=("-N", option, words(port)),
                    options=("ExitOnForwardFailure=yes",))
    wait_until(lambda: is_listening(port) or not ssh.running, ssh.describe)
    assert ssh.running, ssh.describe()
    ssh.port = port
    return ssh


def is_listening(port):
    """Looks without connecting, which would open a channel."""
    wanted = f"0100007F:{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:
        return any(row.split()[1] == wanted and row.split()[3] == "0A" for row in list(table)[1:])


def connect(scene, ssh, **kw):
    """A connection to what listens for `ssh`."""
    return scene.keep(Conn(ssh.port, "localhost", **kw))


def standard_io(scene, target, data=b"", key="alice", seconds=20):
    """`ssh -W target` with this input: (exit status, stdout, stderr)."""
    gateway = scene.gateway
    done = subprocess.run(
        ["ssh", "-F", "none", "-p", str(gateway.ssh_port), *ssh_options(gateway),
         "-i", str(getattr(scene.keys, key).path), "-W", target, f"v2@{gateway.address}"],
        input=data, capture_output=True, timeout=seconds, env=SSH_ENV, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def jump_options(scene, user_key, known_hosts, key="alice"):
    """Options of ssh and scp that go by way of the gateway, as -J does, but with its key and port."""
    gateway = scene.gateway
    proxy = ["ssh", "-F", "none", "-p", str(gateway.ssh_port), *ssh_options(gateway),
             "-i", str(getattr(scene.keys, key).path), "-W", "[%h]:%p", f"v2@{gateway.address}"]
    return ["-F", "none", "-i", str(user_key.path), "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={known_hosts}",
            "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
            "-o", f"ProxyCommand={' '.join(proxy)}"]


def is_cut(scene, host, port):
    """A connection to it ends without a byte."""
    conn = connect(scene, local_forward(scene, host, port))
    try:
        conn.send(b"no ClientHello")
    except OSError:
        pass  # it was closed before
    return conn.read_all() == b""


def answers(channel):
    """What was asked comes back over the channel."""
    channel.sendall(b"ping")
    got = b""
    while len(got) < 4:
        data = channel.recv(4)
        assert data, "the channel ended"
        got += data
    return got == b"ping"


class Visitor:
    """A session of paramiko that opens channels itself, and sees what it is refused with."""

    def __init__(self, gateway, key):
        self.sock = socket.create_connection((gateway.address, gateway.ssh_port), 10)
        self.transport = paramiko.Transport(self.sock)
        self.transport.start_client(timeout=20)
        self.transport.auth_publickey("v2", paramiko.Ed25519Key.from_private_key_file(key.path))

    def open(self, host, port, seconds=20):
        channel = self.transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 1234),
                                              timeout=seconds)
        channel.settimeout(seconds)
        return channel

    def refusal(self, host, port):
        """The reason of the refusal, or None when the channel was opened."""
        try:
            self.open(host, port).close()
        except paramiko.ChannelException as e:
            return e.code
        return None

    def close(self):
        self.transport.close()


def visitor(scene, key="alice"):
    """A session that opens channels by itself."""
    return scene.keep(Visitor(scene.gateway, getattr(scene.keys, key)))
