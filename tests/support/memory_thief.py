"""A process that goes for the memory of its own child, as another program of the same user could; prints what it got.

    memory_thief.py COMMAND...

It starts COMMAND, waits for a line of it that ends with "ready", reads its memory, attaches to it and has it dump core.
Root may read everything, so that capability is given up first, for both (capabilities(7)): the answer is then root's
as it is anybody's. It is the child's parent, since Yama (ptrace_scope 1) lets nobody else try.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

PR_CAPBSET_DROP, CAP_SYS_PTRACE = 24, 19
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
GIVEN_UP = "given-up"


def main() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.argv[1] != GIVEN_UP:
        libc.prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0)  # fails where there is nothing to give up
        os.execv(sys.executable, [sys.executable, __file__, GIVEN_UP, *sys.argv[1:]])
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    child = subprocess.Popen(
        sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert child.stdout is not None
    said = []
    for line in child.stdout:
        said.append(line.decode())
        if line.rstrip().endswith(b"ready"):
            break
    got = {"said": said, "memory": read_memory(child.pid), "attached": attach(libc, child.pid)}
    os.kill(child.pid, signal.SIGABRT)
    print(json.dumps(got | {"core": os.WCOREDUMP(os.waitpid(child.pid, 0)[1])}))
    os._exit(0)  # the child is waited for already


def read_memory(pid: int) -> bool:
    try:
        first = Path(f"/proc/{pid}/maps").read_text().split("-")[0]
        with open(f"/proc/{pid}/mem", "rb") as memory:
            memory.seek(int(first, 16))
            return bool(memory.read(1))
    except (OSError, ValueError):
        return False


def attach(libc: ctypes.CDLL, pid: int) -> bool:
    none = ctypes.c_void_p(0)
    if libc.ptrace(PTRACE_ATTACH, pid, none, none) != 0:
        return False
    os.waitpid(pid, 0)
    return bool(libc.ptrace(PTRACE_DETACH, pid, none, none) == 0)


if __name__ == "__main__":
    main()
