"""Deterministic pseudo-random bytes of any length, and their SHA-256."""

import functools
import hashlib
import random

PIECE = 64 * 1024
_BASE = random.Random(20240229).randbytes(1024 * 1024)


def pieces(size, seed=0):
    """Yields `size` bytes in memoryviews of at most PIECE bytes; each seed gives other bytes."""
    base = memoryview(_BASE)
    span = len(_BASE) - PIECE
    index = seed * 7919
    while size > 0:
        n = min(PIECE, size)
        start = (index * 40503) % span
        yield base[start:start + n]
        size -= n
        index += 1


def content(size, seed=0):
    """All of it as bytes, for small sizes."""
    return b"".join(pieces(size, seed))


@functools.lru_cache(maxsize=64)
def digest(size, seed=0):
    """The SHA-256 of content(size, seed) in hexadecimal."""
    h = hashlib.sha256()
    for piece in pieces(size, seed):
        h.update(piece)
    return h.hexdigest()
