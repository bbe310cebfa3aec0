"""
Other SSH clients than OpenSSH's, behind one face: Client(node).start(gateway, key, host, port,
target, command) returns an Output with .url, .exit_status() and .stop().
"""

import asyncio
import socket
import threading

import asyncssh
import paramiko

from lib.process import Output, Process
from lib.tunnel import SSH_ENV, Tunnel
from lib.wait import TIME_SCALE, wait_until

USER = "v2"


class Openssh:
    name = "openssh"

    def start(self, gateway, key, host, port, target, command):
        return _with_status(Tunnel(gateway, [f"{host}:{port}:127.0.0.1:{target}"], command, key))


class Dropbear:
    name = "dbclient"

    def start(self, gateway, key, host, port, target, command):
        argv = ["dbclient", "-y", "-y", "-T", "-i", key.dropbear, "-p", gateway.ssh_port,
                "-R", f"{host}:{port}:127.0.0.1:{target}", f"{USER}@{gateway.address}", command]
        return _with_status(Process(argv, {**SSH_ENV, "HOME": str(gateway.directory)}))


class Plink:
    name = "plink"

    def start(self, gateway, key, host, port, target, command):
        argv = ["plink", "-batch", "-ssh", "-T", "-no-antispoof", "-noagent", "-noshare",
                "-i", key.putty, "-P", gateway.ssh_port]
        for fingerprint in gateway.host_keys():
            argv += ["-hostkey", fingerprint]
        argv += ["-R", f"{host}:{port}:127.0.0.1:{target}", f"{USER}@{gateway.address}", command]
        return _with_status(Process(argv, {**SSH_ENV, "HOME": str(gateway.directory)}))


class Ssh2:
    """The npm package ssh2."""

    name = "ssh2"

    def __init__(self, node):
        self.node = node

    def start(self, gateway, key, host, port, target, command):
        return _with_status(self.node.start("ssh2_client.js", gateway.ssh_port, key.path, USER,
                                            host, port, target, command))


def _with_status(process):
    process.exit_status = process.wait_exit
    return process


class Paramiko:
    name = "paramiko"

    def start(self, gateway, key, host, port, target, command):
        return ParamikoSession(gateway, key, host, port, target, command)


class ParamikoSession(Output):
    def __init__(self, gateway, key, host, port, target, command):
        super().__init__()
        self.target = target
        self.pumps = []
        self.transport = paramiko.Transport(
            socket.create_connection((gateway.address, gateway.ssh_port), 10))
        try:
            self.transport.start_client(timeout=20 * TIME_SCALE)
            self.transport.auth_publickey(USER, _paramiko_key(key.path))
        except paramiko.SSHException:
            self.transport.close()
            raise
        self.transport.request_port_forward(host, port, self._on_channel)
        self.channel = self.transport.open_session()
        self.channel.exec_command(command)
        self.readers = [threading.Thread(target=self._read, args=args, daemon=True) for args in (
            (self.channel.makefile("r"), self.on_out),
            (self.channel.makefile_stderr("r"), self.on_err))]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _read(file, take):
        for line in file:
            take(line.rstrip("\r\n"))

    def _on_channel(self, channel, origin, server):
        thread = threading.Thread(target=self._serve, args=(channel,), daemon=True)
        self.pumps.append(thread)
        thread.start()

    def _serve(self, channel):
        """Copies both ways, half-closes included."""
        try:
            sock = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            channel.close()
            return
        back = threading.Thread(target=_copy, daemon=True, args=(
            sock.recv, channel.sendall, channel.shutdown_write))
        back.start()
        _copy(channel.recv, sock.sendall, lambda: sock.shutdown(socket.SHUT_WR))
        back.join()
        channel.close()
        sock.close()

    def running_or_unread(self):
        return any(r.is_alive() for r in self.readers)

    def describe(self):
        return f"paramiko: out {self.out} err {self.err}"

    def exit_status(self, seconds=10):
        wait_until(self.channel.exit_status_ready, "exit status for paramiko", seconds)
        return self.channel.recv_exit_status()

    def stop(self):
        self.transport.close()


def _copy(read, write, end):
    try:
        while data := read(65536):
            write(data)
        end()
    except (OSError, EOFError):
        pass


def _paramiko_key(path):
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key_file(str(path))
        except paramiko.SSHException:
            continue
    raise ValueError(path)


class Asyncssh:
    name = "asyncssh"

    def __init__(self, **options):
        self.options = options

    def start(self, gateway, key, host, port, target, command):
        return AsyncsshSession(gateway, key, host, port, target, command, self.options)


class AsyncsshSession(Output):
    """Runs on an event loop in a thread of its own."""

    def __init__(self, gateway, key, host, port, target, command, options):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.readers = []
        self.run(self._open(gateway, key, host, port, target, command, options))

    def run(self, job, seconds=20):
        return asyncio.run_coroutine_threadsafe(job, self.loop).result(seconds * TIME_SCALE)

    async def _open(self, gateway, key, host, port, target, command, options):
        self.conn = await asyncssh.connect(
            gateway.address, gateway.ssh_port, username=USER, client_keys=[str(key.path)],
            known_hosts=None, agent_path=None, config=None, **options)
        self.listener = await self.conn.forward_remote_port(host, port, "127.0.0.1", target)
        self.process = await self.conn.create_process(command)
        self.readers = [self.loop.create_task(self._read(self.process.stdout, self.on_out)),
                        self.loop.create_task(self._read(self.process.stderr, self.on_err))]

    @staticmethod
    async def _read(stream, take):
        while line := await stream.readline():
            take(line.rstrip("\r\n"))

    def running_or_unread(self):
        return any(not r.done() for r in self.readers)

    def describe(self):
        return f"asyncssh: out {self.out} err {self.err}"

    def exit_status(self, seconds=10):
        self.run(self.process.wait_closed(), seconds)
        return self.process.exit_status

    def stop(self):
        async def close():
            self.conn.close()
            await self.conn.wait_closed()

        self.run(close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


def all_clients(node):
    return {c.name: c for c in (Openssh(), Dropbear(), Plink(), Paramiko(), Asyncssh(),
                                Ssh2(node))}


NAMES = ("openssh", "dbclient", "plink", "paramiko", "asyncssh", "ssh2")
