"""Node programs of tests/e2e/node with their npm packages."""

import os
import shutil
import subprocess

from lib.install import install_once
from lib.process import Process


class Node:
    def __init__(self, source, target):
        self.source = source
        self.target = target
        self.modules = target / "node_modules"
        install_once(target, (source / "package-lock.json").read_text(), self._install)

    def _install(self):
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(self.source / name, self.target / name)
        subprocess.run(["npm", "ci", "--omit=dev", "--omit=optional", "--ignore-scripts",
                        "--no-audit", "--no-fund", "--loglevel=error"], cwd=self.target, check=True,
                       stdin=subprocess.DEVNULL)

    def start(self, script, *args):
        """A Process that runs a script of tests/e2e/node."""
        env = {**os.environ, "NODE_PATH": str(self.modules), "NODE_TLS_REJECT_UNAUTHORIZED": "0",
               "NODE_NO_WARNINGS": "1"}
        return Process(["node", self.source / script, *args], env, subprocess.PIPE)
