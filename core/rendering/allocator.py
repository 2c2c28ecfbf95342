"""The C library's allocator, tuned for tensors that come and go."""

import ctypes
import functools
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


@functools.cache
def tune_allocator() -> None:
    """Make glibc keep the memory it frees; call before the first tensor.

    On a CPU the page faults of large tensors, given back and fetched again for every layer, cost more than
    the arithmetic. Elsewhere than on glibc this does nothing.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_M_ARENA_MAX, 1)
