"""
Runs the parts of the conformance tests and sums up: run.py BUILD NAME=CASES...

A part is the program BUILD/tests/conformance/NAME_conformance, or the script NAME.py beside this one,
which is given the program BUILD/sallyport. It takes the directory with its cases, prints what fails,
and ends with the line "N passed, N failed", as this script does. Exit status 1 if any case failed. A
program that ends in another way counts as one failed case.
"""

import re
import subprocess
import sys
from pathlib import Path


def command_of(build, name):
    script = Path(__file__).parent / f"{name}.py"
    if script.exists():
        return [sys.executable, str(script), str(build / "sallyport")]
    return [str(build / f"tests/conformance/{name}_conformance")]


def run_part(command, cases):
    """Returns (passed, failed)."""
    counts = None
    child = subprocess.Popen([*command, cases], stdout=subprocess.PIPE, text=True, errors="replace")
    for line in child.stdout:
        counts = re.fullmatch(r"(\d+) passed, (\d+) failed\n", line)
        if not counts:
            sys.stdout.write(line)
    status = child.wait()
    if counts is None or status not in (0, 1):
        print(f"{command[-1]} ended with status {status}")
        return 0, 1
    return int(counts[1]), int(counts[2])


def main():
    build, parts = Path(sys.argv[1]), [part.split("=", 1) for part in sys.argv[2:]]
    total = [0, 0]
    for name, cases in parts:
        passed, failed = run_part(command_of(build, name), cases)
        print(f"{name}: {passed} of {passed + failed} passed")
        total = [total[0] + passed, total[1] + failed]
    print(f"{total[0]} passed, {total[1]} failed")
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
