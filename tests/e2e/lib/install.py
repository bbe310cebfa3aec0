"""What the tests install in build/: once, though several pytest processes may ask for it at the same time."""

import fcntl


def install_once(folder, version, install):
    """Calls install() unless the folder says that this version is there; who comes meanwhile waits for it."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "installed"
    with open(folder / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != version:
            install()
            stamp.write_text(version)
