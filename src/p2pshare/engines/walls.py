"""The walls of the cage: what the child takes away from itself before it reads a byte of anybody's (Linux on x86-64 and aarch64).

- `limits`: CPU, address space, size of files, open files, processes, no core dump (setrlimit(2)).
- `seccomp`: a filter of our own (seccomp(2), classic BPF) that refuses, for good and for every thread, what `REFUSED` names. Nothing is opened
  any more either: what is needed was imported before.
- `landlock`: no file system at all (landlock(7)), where the kernel has it and the unit allows it.
- `nice`: 19, where the unit allows it.

Without the filter there is no run. `prove` tries what must not be possible, in this very process.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import socket
import struct
from collections.abc import Iterable, Mapping

from p2pshare.limits import MIB

CPU_SECONDS = 10  # of one run: SigmaHQ's slowest rule takes 0.2 s on 1,000 events
ADDRESS_SPACE_BYTES = 512 * MIB
OPEN_FILES_MAX = 16

LIMITS: Mapping[int, tuple[int, int]] = {
    resource.RLIMIT_CPU: (CPU_SECONDS, CPU_SECONDS + 1),  # SIGXCPU, and a second later SIGKILL
    resource.RLIMIT_AS: (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES),
    resource.RLIMIT_FSIZE: (0, 0),
    resource.RLIMIT_NOFILE: (OPEN_FILES_MAX, OPEN_FILES_MAX),
    resource.RLIMIT_NPROC: (0, 0),  # counts for the user, and not for root: the filter is what holds
    resource.RLIMIT_CORE: (0, 0),
}

LIMIT_WALL, FILTER_WALL, LANDLOCK_WALL, NICE_WALL = "limits", "seccomp", "landlock", "nice"

# Numbers of system calls: (x86-64, aarch64), from the kernel's own tables; None where that machine has no such call.
REFUSED: Mapping[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "kill": (62, 129),
    "unshare": (272, 97),
    "io_uring_setup": (425, 425),
    "open": (2, None),
    "openat": (257, 56),
    "creat": (85, None),
    "bind": (49, 200),
    "listen": (50, 201),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "setns": (308, 268),
    "mount": (165, 40),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "truncate": (76, 45),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "chmod": (90, None),
    "fchmodat": (268, 53),
    "tkill": (200, 130),
}
"""Answered with EPERM."""
ABSENT: Mapping[str, tuple[int, int]] = {"clone3": (435, 435), "openat2": (437, 437)}
"""Answered with ENOSYS: their arguments stand where a filter cannot look, and libraries then use the older call."""
CLONE: tuple[int, int] = (56, 220)
"""Allowed with CLONE_THREAD alone."""
TRIED = (
    "socket", "socketpair", "connect", "fork", "vfork", "clone", "clone3", "execve", "execveat", "ptrace", "kill", "unshare",
    "io_uring_setup", "openat",
)  # fmt: skip
"""The closed calls that are tried, each by its number, in a child that answers for it."""

_MACHINES: Mapping[str, tuple[int, int]] = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_CLONE_THREAD = 0x00010000
_X32_BIT = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _MACHINE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 4, 38, 22, 2
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
_LANDLOCK_VERSION = 1


class CageFault(Exception):
    """A wall that must stand does not."""


def place_of(machine: str) -> tuple[int, int] | None:
    """Returns the column of REFUSED and the audit number of a machine, None where no filter is known for it."""
    return _MACHINES.get(machine)


def filter_of(machine: str) -> bytes:
    """Returns the BPF program for a machine (`x86_64`, `aarch64`): `struct sock_filter` after `struct sock_filter`. Raises CageFault."""
    place = place_of(machine)
    if place is None:
        raise CageFault(f"no filter for {machine}")
    column, audit = place
    program = [
        (_LOAD, 0, 0, _MACHINE_AT),
        (_EQUAL, 1, 0, audit),
        (_RETURN, 0, 0, _KILL),  # calls of another machine have other numbers
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if machine == "x86_64":
        program += [(_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]
    program += [
        (_EQUAL, 0, 4, CLONE[column]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        (_ANY_BIT, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
    ]
    for numbers, code in ((REFUSED.values(), errno.EPERM), (ABSENT.values(), errno.ENOSYS)):
        for number in (one[column] for one in numbers):
            if number is not None:
                program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | code)]
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *one) for one in program)


def close_doors() -> tuple[str, ...]:
    """Take everything away that a run does not need. Returns the walls that stand. Raises CageFault where the limits or the filter do not.

    What is needed must be imported, and warm, before: nothing is opened afterwards.
    """
    walls = []
    library = ctypes.CDLL(None, use_errno=True)
    try:
        for kind, limit in LIMITS.items():
            resource.setrlimit(kind, limit)
    except (OSError, ValueError) as error:
        raise CageFault(f"a limit cannot be set: {error}") from None
    walls.append(LIMIT_WALL)
    library.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise CageFault("no_new_privs cannot be set")
    try:
        os.nice(19)
        walls.append(NICE_WALL)
    except OSError:  # the unit's filter has it
        pass
    if _shut_file_systems(library):
        walls.append(LANDLOCK_WALL)
    raw = filter_of(platform.machine())
    buffer = ctypes.create_string_buffer(raw, len(raw))
    program = struct.pack("@HP", len(raw) // 8, ctypes.addressof(buffer))
    if library.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0) != 0:
        raise CageFault(f"the filter cannot be set: {os.strerror(ctypes.get_errno())}")
    walls.append(FILTER_WALL)
    return tuple(sorted(walls))


def _shut_file_systems(library: ctypes.CDLL) -> bool:
    """Shut all file systems by Landlock, and TCP where its version can. Returns whether it was done."""
    version = library.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_LANDLOCK_VERSION))
    if version < 1:
        return False
    rights = (1 << (13, 14, 15, 15, 16)[min(version, 5) - 1]) - 1
    attributes = struct.pack("=QQ", rights, 3) if version >= 4 else struct.pack("=Q", rights)
    rules = library.syscall(
        _LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0)
    )
    if rules < 0:
        return False
    is_shut: bool = library.syscall(_LANDLOCK_RESTRICT, rules, ctypes.c_uint32(0)) == 0
    os.close(rules)
    return is_shut


def prove() -> None:
    """Try to dial, to fork and to open a file. Raises CageFault where one of them can be done."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
        raise CageFault("a socket can be opened")
    except OSError as error:
        _must_be_refused(error, "a socket")
    try:
        child = os.fork()
    except OSError as error:
        _must_be_refused(error, "a fork")
    else:
        if child == 0:
            os._exit(0)
        raise CageFault("a process can be forked")
    try:
        os.close(os.open("/proc/self/stat", os.O_RDONLY))
        raise CageFault("a file can be opened")
    except OSError as error:
        _must_be_refused(error, "a file")


def try_calls(names: Iterable[str] = TRIED) -> dict[str, str]:
    """Try closed calls by their numbers, with arguments that would do something. Returns what each was answered: the name of an
    error, `absent` where this machine has no such call, `done` where it was not refused."""
    place = place_of(platform.machine())
    if place is None:
        raise CageFault("no filter for this machine")
    column = place[0]
    library = ctypes.CDLL(None, use_errno=True)
    path = b"/bin/true\0"
    arguments: Mapping[str, tuple[int | bytes | None, ...]] = {
        "socket": (2, 1, 0),
        "socketpair": (1, 1, 0, bytes(8)),
        "connect": (0, struct.pack("=HH12x", 2, 80), 16),
        "clone": (17, 0, 0, 0, 0),  # SIGCHLD: a process
        "clone3": (struct.pack("=11Q", 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0), 88),
        "execve": (path, None, None),
        "execveat": (-100, path, None, None, 0),
        "ptrace": (0, 0, 0, 0),
        "kill": (os.getpid(), 0),
        "unshare": (0x10000000,),
        "io_uring_setup": (1, bytes(120)),
        "openat": (-100, b"/proc/self/stat\0", 0, 0),
    }
    answers = {}
    for name in names:
        number = {**REFUSED, **ABSENT, "clone": CLONE}[name][column]
        if number is None:
            answers[name] = "absent"
            continue
        ctypes.set_errno(0)
        given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments.get(name, ())]
        done = library.syscall(ctypes.c_long(number), *given)
        if done == 0 and name in ("fork", "vfork", "clone", "clone3"):
            os._exit(0)  # we are the child that must not be
        answers[name] = "done" if done >= 0 else errno.errorcode.get(ctypes.get_errno(), "?")
    return answers


def _must_be_refused(error: OSError, what: str) -> None:
    if error.errno not in (errno.EPERM, errno.EACCES):
        raise CageFault(f"{what} is not refused, but fails: {error.strerror}") from None
