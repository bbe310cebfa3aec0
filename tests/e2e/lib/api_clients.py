"""
Published clients of the API that the gateway's is compatible with, from npm and PyPI, in build/. Where a
registry cannot be reached, the tests that need it are skipped with a message.
"""

import json
import os
import subprocess
import sys

import pytest

from lib.gateway import ROOT
from lib.install import install_once
from lib.wait import TIME_SCALE

NPM = "@ngrok/ngrok-api@0.11.0"
PYPI = "ngrok-api==0.19.0"
SCRIPTS = ROOT / "tests/e2e/clients"
INSTALL_SECONDS = 180


def _install(folder, text, *commands):
    def install():
        for argv in commands:
            try:
                done = subprocess.run(argv, cwd=folder, capture_output=True, text=True,
                                      timeout=INSTALL_SECONDS, check=False,
                                      stdin=subprocess.DEVNULL)
            except (OSError, subprocess.TimeoutExpired) as problem:
                pytest.skip(f"{text} cannot be installed: {problem}")
            if done.returncode != 0:
                pytest.skip(f"{text} cannot be installed: {done.stderr.strip()[-300:]}")

    install_once(folder, text, install)


def _run(argv, cases, env):
    done = subprocess.run(argv, input=json.dumps([case.as_json() for case in cases]),
                          capture_output=True, text=True, timeout=120 * TIME_SCALE, check=False,
                          env={**os.environ, "NO_PROXY": "127.0.0.1", **env})
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def run_npm(base, token, cases):
    """What clients/api_client.js saw of each case."""
    folder = ROOT / "build/api_clients/npm"
    _install(folder, NPM,
             ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund",
              "--ignore-scripts", "--loglevel=error", NPM])
    return _run(["node", str(SCRIPTS / "api_client.js"), base, token], cases,
                {"NODE_PATH": str(folder / "node_modules"), "NODE_NO_WARNINGS": "1"})


def run_pypi(base, token, cases):
    """What clients/api_client.py saw of each case."""
    folder = ROOT / "build/api_clients/pypi"
    python = folder / "venv/bin/python"
    _install(folder, PYPI,
             [sys.executable, "-m", "venv", str(folder / "venv")],
             [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PYPI])
    return _run([str(python), str(SCRIPTS / "api_client.py"), base, token], cases, {})
