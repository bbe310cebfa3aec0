"""Node programs of tests/e2e/node with their npm packages."""

import os
import shutil
import subprocess

from lib.process import Process


class Node:
    def __init__(self, source, target):
        self.source = source
        self.modules = target / "node_modules"
        lock = source / "package-lock.json"
        stamp = target / "installed.json"
        if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
            return
        target.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(source / name, target / name)
        subprocess.run(["npm", "ci", "--omit=dev", "--omit=optional", "--ignore-scripts",
                        "--no-audit", "--no-fund", "--loglevel=error"], cwd=target, check=True,
                       stdin=subprocess.DEVNULL)
        shutil.copy(lock, stamp)

    def start(self, script, *args):
        """A Process that runs a script of tests/e2e/node."""
        env = {**os.environ, "NODE_PATH": str(self.modules), "NODE_TLS_REJECT_UNAUTHORIZED": "0",
               "NODE_NO_WARNINGS": "1"}
        return Process(["node", self.source / script, *args], env, subprocess.PIPE)
