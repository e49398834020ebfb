"""Memory for the next step is that of the last: asking the system anew costs a quarter of an MD step on a CPU."""

from __future__ import annotations

import ctypes
import os
from functools import cache

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of mallopt, see malloc.h of glibc
_MIB = 1 << 20
_SETTINGS = ((_MMAP_THRESHOLD, 32 * _MIB), (_TRIM_THRESHOLD, 1024 * _MIB), (_TOP_PAD, 64 * _MIB))
"""Blocks below 32 MiB, the most glibc allows, come from the heap, and up to 1 GiB of it is kept once it is free."""


@cache
def keep_freed_memory() -> bool:
    """Have the C library keep what was freed; by default it gives large blocks back and pays for every page again.

    Does nothing where another C library is at work or where the environment (`MALLOC_…_`, `GLIBC_TUNABLES`) already
    says how.

    Returns:
        whether anything was set.
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc: macOS, musl, Windows
        return False
    accepted = [mallopt(name, value) for name, value in _SETTINGS]
    return all(accepted)
