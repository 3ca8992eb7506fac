"""What passes between systemd and us, when it started us. Elsewhere its variables are unset, and every call here does nothing.

`Type=notify` waits for READY=1; a reload is RELOADING=1 with the monotonic clock and READY=1 again; the
watchdog kills what does not ping; STATUS= is the line that `systemctl status` shows (sd_notify(3)). A socket unit hands its
sockets over (sd_listen_fds(3)). A line for the journal begins with its priority (sd-daemon(3)), and has no time: the journal has one.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from contextlib import suppress
from typing import IO

from p2pshare.errors import OperatorError

FIRST_HANDED = 3  # SD_LISTEN_FDS_START
HANDED_MAX = 64  # sockets of one unit: more than any file of ours names
LISTEN_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
ERROR_PRIORITY = 3  # of syslog(3)
WARNING_PRIORITY = 4


def is_managed() -> bool:
    """Returns whether a service manager hears what `notify` says."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def notify(state: str) -> None:
    """Tell the service manager `state` (lines of KEY=VALUE). A manager that is gone is no error of ours."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # the abstract namespace: sd_notify(3)
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        try:
            connection.sendto(state.encode(), address)
        except OSError:
            return


def notify_reloading() -> None:
    """Tell the service manager that a reload began; `notify("READY=1")` ends it."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def watchdog_seconds() -> float | None:
    """Returns how often the watchdog wants a ping (half its period), or None where none watches this process."""
    period, watched = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not period.isdigit() or (watched and watched != str(os.getpid())):
        return None
    return int(period) / 2_000_000


def handed_sockets() -> list[socket.socket]:
    """Returns the listening sockets that a socket unit handed to this process, each once: a child inherits neither them nor their
    number. Raises OperatorError where one is no TCP socket that listens."""
    told = {name: os.environ.pop(name, "") for name in LISTEN_VARIABLES}
    count = told["LISTEN_FDS"]
    if told["LISTEN_PID"] != str(os.getpid()) or not count.isdigit():
        return []
    if int(count) > HANDED_MAX:
        raise _not_ours(f"{count} sockets")
    handed = []
    for descriptor in range(FIRST_HANDED, FIRST_HANDED + int(count)):
        os.set_inheritable(descriptor, False)
        try:
            one = socket.socket(fileno=descriptor)
        except OSError as error:
            if error.errno == errno.EBADF:
                raise _not_ours(f"descriptor {descriptor}, which is closed") from None
            raise _not_ours(f"descriptor {descriptor}, which is no socket") from None
        is_tcp = one.family in (socket.AF_INET, socket.AF_INET6) and one.type == socket.SOCK_STREAM
        if not is_tcp or not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise _not_ours(f"descriptor {descriptor}, which is no TCP socket that listens")
        handed.append(one)
    return handed


def _not_ours(what: str) -> OperatorError:
    return OperatorError(
        f"the service manager handed over {what}",
        hint="a socket unit for p2pshare has ListenStream= with a port, and Accept=no",
        reason="handed-socket",
    )


def writes_to_journal(stream: IO[str]) -> bool:
    """Returns whether what is written to `stream` goes to the journal: JOURNAL_STREAM (systemd.exec(5)) names its device and inode."""
    told = os.environ.get("JOURNAL_STREAM", "")
    with suppress(OSError, ValueError):  # a stream without a descriptor
        if told:
            found = os.fstat(stream.fileno())
            return told == f"{found.st_dev}:{found.st_ino}"
    return False


def with_priority(text: str, priority: int) -> str:
    """Returns lines for the journal, each with its priority, a number of syslog(3)."""
    return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))
