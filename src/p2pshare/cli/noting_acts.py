"""What commands write into the audit log by themselves: what they do without a daemon, and what never was an operation (exports, keys)."""

from __future__ import annotations

import os
import syslog
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p2pshare.audit_log import DONE, append_record, require_auditable
from p2pshare.cli import console
from p2pshare.errors import ShareError

if TYPE_CHECKING:
    from p2pshare.operations.interface import Request


def note_act(home: Path, action: str, subject: str = "", result: str = DONE) -> None:
    """Write down that this process's user did something, and say it to the system's log. Where the log cannot be written a warning says so:
    who may not write it may not write anything else of the home either, and what was read is read."""
    uid = os.getuid()
    try:
        place = append_record(home, int(time.time()), uid, action, subject, result)
    except OSError as error:
        reason = (error.strerror or "unknown").lower()
        console.warn(f"the audit log of {console.shown(str(home))} does not have this {action}: {reason}")
        return
    syslog.openlog("p2pshare", syslog.LOG_PID, syslog.LOG_USER)
    syslog.syslog(syslog.LOG_INFO, f"audit {place.short}: uid {uid} {action} {result} {subject}")
    syslog.closelog()


@contextmanager
def noted(home: Path, action: str, subject: str = "") -> Iterator[None]:
    """Do what is inside, and write down what came of it: `done`, or the reason code of the error it ended with."""
    try:
        yield
    except ShareError as error:
        note_act(home, action, subject, error.reason)
        raise
    note_act(home, action, subject)


@contextmanager
def auditing(home: Path, request: Request[Any], exercise: str) -> Iterator[list[Any]]:
    """Yields a list for the answer to a request of ours, and writes down what came of it. Raises OperatorError `audit-not-writable` before
    anything is done."""
    from p2pshare.operations.audited import audited, outcome, subject

    answered: list[Any] = []
    if (row := audited(request)) is None:
        yield answered
        return
    require_auditable(home)
    try:
        yield answered
    except ShareError as error:
        note_act(home, row.action, subject(row, request, None, exercise), error.reason)
        raise
    if answered and (result := outcome(row, answered[0])):
        note_act(home, row.action, subject(row, request, answered[0], exercise), result)
