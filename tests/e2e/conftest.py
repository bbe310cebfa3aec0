"""Fixtures of the end-to-end tests; see lib/ for what they give."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lib.gateway import BINARY, ROOT, Gateway  # noqa: E402
from lib.keys import Keys  # noqa: E402
from lib.node import Node  # noqa: E402
from lib.process import Process  # noqa: E402
from lib.scene import Scene  # noqa: E402
from lib.tunnel import ssh_options  # noqa: E402
from lib.ways import WAYS, Stage, Way  # noqa: E402


def pytest_sessionstart(session):
    if not session.config.option.collectonly and not BINARY.exists():
        pytest.exit(f"{BINARY} is missing: run make first", 2)


LOST_WORKER = pytest.StashKey()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """A worker of pytest-xdist has ended, by itself if there is an error."""
    if error:
        node.config.stash[LOST_WORKER] = error


def pytest_sessionfinish(session):
    """Without a test at hand, the loss of a worker, and of what it had to run, would count as success."""
    if LOST_WORKER in session.config.stash:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def gateway(request, keys, tmp_path_factory):
    """One gateway a module; the module's SETTINGS are laid over the default configuration."""
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), keys,
                      getattr(request.module, "SETTINGS", None))
    try:
        yield gateway.start()
        assert gateway.terminate() == 0, gateway.process.describe()
        gateway.check()
    finally:
        if gateway.process:
            gateway.process.stop()


@pytest.fixture(autouse=True)
def scene(request, keys, tmp_path):
    """What the test builds. At its end the gateway must be idle, alive and without complaint."""
    scene = Scene(keys, tmp_path, lambda: request.getfixturevalue("gateway").revive())
    yield scene
    scene.close()


@pytest.fixture
def master(scene, tmp_path):
    """An ssh with a control socket; returns (ssh, run) where run(...) is `ssh -O ...`."""
    socket_path = tmp_path / "control"

    def start(*remotes, **kw):
        ssh = scene.ssh(*remotes, args=("-M",), options=(f"ControlPath={socket_path}",), **kw)

        def control(*words):
            done = scene.keep(Process(["ssh", "-F", "none", "-p", scene.gateway.ssh_port,
                                       *ssh_options(scene.gateway,
                                                    [f"ControlPath={socket_path}"]),
                                       *words, "v2@127.0.0.1"]), "stop")
            return done.wait_exit(), done

        return ssh, control

    return start


@pytest.fixture(scope="session")
def node():
    """Node with the packages of tests/e2e/node, installed when they are missing."""
    return Node(ROOT / "tests/e2e/node", ROOT / "build/node")


@pytest.fixture(scope="module")
def stage(request, gateway, keys, node, tmp_path_factory):
    """Tunnels to every kind of upstream, shared by the tests of a module."""
    stage = Stage(keys, tmp_path_factory.mktemp("stage"), gateway.revive, node)
    yield stage
    stage.close()


@pytest.fixture(params=WAYS, ids="-".join)
def way(request, stage):
    """One way at a time. At its end nothing may be left in the gateway."""
    way = Way(stage, *request.param)
    yield way
    way.close()
