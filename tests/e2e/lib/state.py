"""State directories that are damaged, full or read-only, and a gateway that has to start with them."""

import os
import resource
import shutil
import subprocess
from pathlib import Path

from lib import config
from lib.gateway import BINARY, WRAP

DATABASE = "sallyport.db"
#: What makes root obey the permissions of files, as everybody else does.
OBEDIENT = ("setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search,-fowner")


def wrap_of_obedient():
    return OBEDIENT if os.geteuid() == 0 else ()


def can_mount():
    """May this process have mounts of its own?"""
    done = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
                          capture_output=True, check=False)
    return done.returncode == 0


def snapshot(directory):
    """The bytes of its files, by name, without SQLite's shared memory and a log with nothing in it."""
    found = {p.name: p.read_bytes() for p in Path(directory).iterdir() if p.is_file()}
    return {name: data for name, data in found.items()
            if not name.endswith("-shm") and (data or not name.endswith("-wal"))}


def try_start(gateway, state, wrap=()):
    """Runs `serve` with another state_dir; it is to end by itself. Returns the finished process."""
    file = gateway.directory / "other.cfg"
    file.write_text(config.text({**gateway.settings, "state_dir": str(state)}))
    return subprocess.run([*wrap, *WRAP, BINARY, "serve", "-c", file], capture_output=True,
                          text=True, timeout=60, check=False)


class FileLimit:
    """A limit of the size of files stands in for a full disk."""

    def __init__(self, scene, settings):
        self.gateway = scene.start_gateway(settings)

    def fill(self):
        resource.prlimit(self.gateway.pid, resource.RLIMIT_FSIZE, (1, -1))

    def free(self):
        resource.prlimit(self.gateway.pid, resource.RLIMIT_FSIZE, (-1, -1))


class SmallDisk:
    """A state_dir on a file system of 2 MiB, which only the gateway and those who enter it see."""

    def __init__(self, scene, settings):
        place = scene.directory / "small"
        place.mkdir()
        script = ('mount -t tmpfs -o size=2m,mode=700 tmpfs "$0" && '
                  'cp -p "$1"/* "$0" && shift && exec "$@"')
        state = scene.directory / f"gateway{len(scene.gateways) + 1}" / "state"
        self.gateway = scene.start_gateway(
            {**settings, "state_dir": str(place)},
            wrap=("unshare", "-m", "sh", "-c", script, str(place), str(state)))
        self.gateway.enter = ("nsenter", "-m", "-t", str(self.gateway.pid))
        self.place = Path(f"/proc/{self.gateway.pid}/root{place}")

    def fill(self):
        with open(self.place / "ballast", "wb", buffering=0) as f:
            try:
                while f.write(bytes(4096)) == 4096:
                    pass
            except OSError:
                pass  # no room

    def free(self):
        os.unlink(self.place / "ballast")


def copy_of(state, to):
    """A copy of a state directory, with the modes of its files."""
    shutil.copytree(state, to, ignore=shutil.ignore_patterns("*.sock"))
    os.chmod(to, 0o700)
    return Path(to)
