"""Waiting for a condition with a deadline. No test ever waits for a time."""

import os
import time

#: Slow machines and valgrind stretch every deadline by this factor.
TIME_SCALE = float(os.environ.get("SALLYPORT_TIME_SCALE", "1"))

POLL_SECONDS = 0.01


class Deadline:
    """A moment that is `seconds` (scaled) from now."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds * TIME_SCALE

    def left(self):
        """Seconds that are left; raises TimeoutError when none are."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline passed")
        return left

    @property
    def passed(self):
        return time.monotonic() >= self.end


def wait_until(condition, what, seconds=10):
    """Returns the first true value of condition(); fails with `what` (text or a callable) else."""
    deadline = Deadline(seconds)
    while True:
        value = condition()
        if value:
            return value
        if deadline.passed:
            detail = what() if callable(what) else what
            raise AssertionError(f"not within {seconds:g} s: {detail}")
        time.sleep(POLL_SECONDS)


def stays(condition, what, seconds):
    """Fails as soon as condition() is false during `seconds`: for "nothing happens" statements."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), what() if callable(what) else what
        time.sleep(POLL_SECONDS)
