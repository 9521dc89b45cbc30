"""How a serving process uses garbage collection, threads and memory, set once when it begins."""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress

_SWITCH_S = 0.0005

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_KEPT_BYTES = 32 * 2**20


def collect_garbage_less_often() -> None:
    """Let Python's cyclic collector look past what stays for good, and look less often.

    A table of 10,000 records makes 10,000 objects that live for milliseconds and form no cycles: at the default
    threshold they are walked through again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def switch_threads_sooner() -> None:
    """Let the event loop have the interpreter's lock sooner: it takes it anew for each piece of a body.

    With Python's own 5 ms, 16 large bodies come in so slowly that cores are idle.
    """
    sys.setswitchinterval(_SWITCH_S)


def keep_freed_memory() -> None:
    """Have glibc keep the memory of large bodies for the next ones. Other C libraries do as they always do.

    By default the memory goes back to the kernel after each request, and fetching it again page by page takes longer
    than copying the body.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
