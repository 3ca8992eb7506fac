"""A process whose memory is its own: prctl(2), PR_SET_DUMPABLE.

Memory holds the keys in the clear. A process that is not dumpable leaves no core file, to a pipe of the kernel's
neither (core(5)), and no other process of the same user may attach to it or read its memory (ptrace(2)); root may.
The setting is the process's own: it ends with execve(2), so each process that touches keys asks for it anew.
"""

from __future__ import annotations

import sys

PR_SET_DUMPABLE = 4  # linux/prctl.h


def make_undumpable() -> bool:
    """Forbid core dumps of this process and access to its memory. Returns False where the system has no such thing."""
    if sys.platform != "linux":
        return False
    import ctypes  # only a process that touches keys pays for it

    zero = ctypes.c_ulong(0)  # prctl is variadic: each argument has the width that the kernel reads
    return bool(ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, zero, zero, zero, zero) == 0)
