"""A network that is cut: clients live in a network namespace whose link goes away."""

import contextlib
import ctypes
import os
import shutil
import subprocess

import pytest

from lib.wait import Deadline, wait_until

pytestmark = pytest.mark.netns
HOST, CLIENT = "10.213.77.1", "10.213.77.2"


CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False)


class Net:
    """
    Two namespaces joined by a veth pair. The test itself moves into the gateway's, so that all it
    starts lives there; clients and their upstreams are put into the other.
    """

    def __init__(self, tag):
        self.tag = tag
        self.gateway_side = f"{tag}g"
        self.client_side = f"{tag}c"
        self.device = f"{tag}1"
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def lay(self):
        near, far = self.gateway_side, self.client_side
        for words in (
                ["netns", "add", far],
                ["link", "add", f"{self.tag}0", "netns", near, "type", "veth", "peer", "name",
                 self.device, "netns", far],
                ["-n", near, "addr", "add", f"{HOST}/24", "dev", f"{self.tag}0"],
                ["-n", far, "addr", "add", f"{CLIENT}/24", "dev", self.device],
                ["-n", near, "link", "set", "lo", "up"],
                ["-n", far, "link", "set", "lo", "up"],
                ["-n", near, "link", "set", f"{self.tag}0", "up"],
                ["-n", far, "link", "set", self.device, "up"]):
            done = ip(*words)
            assert done.returncode == 0, (words, done.stderr)

    @contextlib.contextmanager
    def client(self):
        """Sockets made inside belong to the client's side."""
        enter(f"/run/netns/{self.client_side}")
        try:
            yield
        finally:
            enter(f"/run/netns/{self.gateway_side}")

    def cut(self):
        """Nothing passes any more, and nobody is told."""
        assert ip("-n", self.client_side, "link", "set", self.device, "down").returncode == 0

    def mend(self):
        assert ip("-n", self.client_side, "link", "set", self.device, "up").returncode == 0

    def close(self):
        assert LIBC.setns(self.home, CLONE_NEWNET) == 0
        os.close(self.home)
        for name in (self.gateway_side, self.client_side):
            ip("netns", "del", name)


def enter(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        assert LIBC.setns(fd, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    finally:
        os.close(fd)


@pytest.fixture
def net(scene):
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("network namespaces need root and iproute2")
    net = Net(f"sp{os.getpid()}")
    probe = ip("netns", "add", net.gateway_side)
    if probe.returncode != 0:
        pytest.skip(f"no network namespaces here: {probe.stderr.strip()}")
    inside = ip("-n", net.gateway_side, "link")  # fails in a chroot whose / is no mount point
    if inside.returncode != 0:
        ip("netns", "delete", net.gateway_side)
        pytest.skip(f"no way into network namespaces here: {inside.stderr.strip()}")
    scene.keep_to_the_end(net)
    net.lay()
    enter(f"/run/netns/{net.gateway_side}")
    return net


@pytest.fixture
def remote(scene, net):
    """remote(name, key, app name): a tunnel whose client and upstream are on the other side."""
    scene.start_gateway({
        "listen": {"ssh": [f"{HOST}:0"]},
        "limits": {"keepalive_interval_ms": 500, "keepalive_count": 2, "hold_ms": 3000},
    })

    def start(name, key="alice", app="app"):
        with net.client():
            upstream = scene.app(name=app)
            tunnel = scene.tunnel(upstream, name=name, key=key, address=HOST)
        tunnel.upstream = upstream
        return tunnel

    return start


def offline(scene, name):
    return scene.get(f"{name}.example.test").error_code == "ERR_SALLYPORT_3200"


def test_through_the_wire(scene, remote):
    """The set-up itself: a tunnel between the namespaces."""
    assert scene.get(remote("wire")).body == b"hello from app\n"


def test_cut_client_is_noticed(scene, net, remote):
    """A client that vanishes without a word: its endpoint goes, the name is held."""
    remote("gone")
    assert scene.get("gone.example.test").status == 200
    net.cut()
    wait_until(lambda: scene.gateway.metrics()["sallyport_endpoints"] == 0, "endpoint gone", 10)
    assert offline(scene, "gone")


def test_cut_in_a_transfer(scene, net, remote):
    """A cut in the middle of a body: the visitor's body breaks off, nothing hangs."""
    tunnel = remote("bulk")
    visitor = scene.https(tunnel, seconds=30)
    visitor.send(visitor.request_bytes("GET", "/bytes/1000000000"))
    visitor.read_exactly(1000000)
    net.cut()
    while visitor.fill(Deadline(30)):
        visitor.buffer.clear()
    wait_until(lambda: offline(scene, "bulk"), "endpoint offline")


def test_cut_while_a_request_waits(scene, net, remote):
    """A request that waits for its answer gets 502 E3210 or 504 E3005."""
    tunnel = remote("wait")
    tunnel.upstream.route("/never", lambda conn, request: conn.read_all(60) and False)
    visitor = scene.https(tunnel, seconds=30)
    visitor.send(visitor.request_bytes("GET", "/never"))
    tunnel.upstream.wait_seen("/never")
    net.cut()
    assert visitor.read_response().error_code in ("ERR_SALLYPORT_3210", "ERR_SALLYPORT_3005")


def test_client_comes_back_by_another_connection(scene, net, remote):
    """While the old session still seems alive, the same key takes its name over at once."""
    scene.gateway.configure(limits={"keepalive_interval_ms": 60000})
    scene.gateway.reload()
    remote("back", app="old")
    net.cut()
    net.mend()
    with net.client():
        upstream = scene.app(name="new")
        tunnel = scene.tunnel(upstream, name="back", address=HOST)
    assert scene.get(tunnel).body == b"hello from new\n"


def test_short_cut_is_survived(scene, net, remote):
    """A cut shorter than the patience of both sides: the tunnel goes on."""
    scene.gateway.configure(limits={"keepalive_interval_ms": 20000})
    scene.gateway.reload()
    tunnel = remote("short")
    net.cut()
    net.mend()
    wait_until(lambda: tunnel.running and answers(scene, "short"), "the tunnel answers again", 20)
    assert tunnel.running


def answers(scene, name):
    try:
        return scene.get(f"{name}.example.test").status == 200
    except TimeoutError:
        return False
