"""
Runs the unit tests, as many programs at once as there are processors, and then the end-to-end tests,
as many files at once as --jobs says; shows what they print, and ends with the names of those that
failed and one line, "N passed, N failed", which counts test cases of both kinds. Exit status 1 if any
failed. A unit test program or a pytest process that crashes counts as a failed case.
"""

import argparse
import glob
import os
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: Set for every run, so that the program under test does not start itself again outside valgrind.
TUNABLES = "glibc.cpu.x86_rep_movsb_threshold=1073741824"

VALGRIND = (f"valgrind --quiet --suppressions={ROOT}/tests/valgrind.supp --leak-check=full --show-leak-kinds=definite,indirect "
            "--errors-for-leak-kinds=definite,indirect --error-exitcode=99")


def run_unit_test(argv, env):
    """Returns what it printed, how many passed, and the names of those that failed."""
    done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False)
    passed = sum(int(n) for n in re.findall(r"^\[  PASSED  \] (\d+) test\(s\)", done.stdout, re.M))
    names = re.findall(r"^\[  FAILED  \] (\w+)$", done.stdout, re.M)
    failed = [f"{argv[-1]}: {name}" for name in dict.fromkeys(names)]  # each is printed twice
    if done.returncode != 0 and not failed:
        failed.append(f"{argv[-1]} ended with status {done.returncode}")
    return done.stdout, passed, failed


def side_by_side(jobs):
    """
    Arguments that make pytest run `jobs` files at once. A worker that crashes ends the run: pytest-xdist
    3.1 would give the test that crashed it to the next one, and may wait for ever.
    """
    if jobs == 1:
        return []
    return ["-n", str(jobs), "--dist", "loadfile", "--max-worker-restart=0"]


def run_end_to_end_tests(options, jobs, env, report):
    """Returns how many passed, the names of those that failed, and how many were skipped."""
    argv = [sys.executable, "-m", "pytest", "-q", "tests/e2e", *side_by_side(jobs),
            f"--junitxml={report}", *shlex.split(options)]
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    status = subprocess.run(argv, cwd=ROOT, env=env, check=False).returncode
    if not report.exists():
        return 0, [f"pytest ended with status {status} and no report"], 0
    passed = skipped = 0
    failed = []
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{case.get('classname')}: {case.get('name')}")
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    if status not in (0, 1, 5):  # 5: none was chosen
        failed.append(f"pytest ended with status {status}, not all tests were run")
    return passed, failed, skipped


def valgrind_findings(pattern):
    """The names of logs that are not empty; each is shown and counts as one failed case."""
    bad = [path for path in glob.glob(pattern) if os.path.getsize(path) > 0]
    for path in bad:
        print(f"-- {path}\n{Path(path).read_text(errors='replace')}")
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--workers", default="2")
    parser.add_argument("--jobs", type=int, default=1, help="files of end-to-end tests at once")
    parser.add_argument("--pytest", default="", help="more arguments for pytest")
    parser.add_argument("--valgrind", action="store_true")
    parser.add_argument("units", nargs="*")
    args = parser.parse_args()

    program = Path(args.program).resolve()
    env = {**os.environ, "SALLYPORT_BIN": str(program), "SALLYPORT_WORKERS": args.workers}
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    env.setdefault("LSAN_OPTIONS", f"suppressions={ROOT}/tests/lsan.supp:print_suppressions=0")
    wrap = []
    logs = program.parent / "valgrind"
    if args.valgrind:
        logs.mkdir(parents=True, exist_ok=True)
        for old in logs.glob("*.log"):
            old.unlink()
        wrap = shlex.split(VALGRIND)
        env["GLIBC_TUNABLES"] = TUNABLES
        env["SALLYPORT_WRAP"] = f"{VALGRIND} --log-file={logs}/%p.log"
        env.setdefault("SALLYPORT_TIME_SCALE", "10")

    passed = 0
    failed = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for output, good, bad in pool.map(lambda unit: run_unit_test([*wrap, unit], env), args.units):
            print(output, end="", flush=True)
            passed, failed = passed + good, failed + bad
    good, bad, skipped = run_end_to_end_tests(args.pytest, args.jobs, env,
                                              program.parent / "e2e.xml")
    passed, failed = passed + good, failed + bad
    failed += valgrind_findings(f"{logs}/*.log") if args.valgrind else []
    for name in failed:
        print(f"failed: {name}")
    if skipped:
        print(f"{skipped} skipped")
    print(f"{passed} passed, {len(failed)} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
