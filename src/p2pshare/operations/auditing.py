"""`audit list` and `check`: the records of the audit log, and what is wrong with it."""

from __future__ import annotations

from collections import deque
from typing import Annotated

from msgspec import Meta, Struct

from p2pshare.audit_log import AuditFault, AuditReading, AuditRecord
from p2pshare.errors import AuthorError, OperatorError
from p2pshare.intel.instants import format_instant
from p2pshare.node.node import NodeReading, Progress
from p2pshare.operations.interface import Query

AUDIT_LIST_MAX = 20_000  # records in one answer, some 5 MB: what a person or a report asks for at once
AUDIT_FAULTS_MAX = 20  # the newest of them: one is enough to look at the files
SECOND_US = 1_000_000


class Audit(Struct, frozen=True, forbid_unknown_fields=True):
    """A record: when (RFC 3339), the system user who asked and its id (-1: nobody knows), what, to what, and `done` or a reason code."""

    at: str
    user: str
    uid: int
    action: str
    subject: str
    result: str


class AuditListed(Struct, frozen=True, forbid_unknown_fields=True):
    """Records in their order, whether older ones were left out, what is wrong with the log, and where it ends (`NUMBER:DIGEST`)."""

    each: list[Audit]
    is_cut: bool
    faults: list[str]
    ends: str


class ListAudit(Query[AuditListed], frozen=True, tag="audit-list"):
    """List the newest records since an instant (unix seconds), at most `limit`, of one action or of all."""

    since: int = 0
    action: Annotated[str, Meta(max_length=64)] = ""
    limit: Annotated[int, Meta(ge=1, le=AUDIT_LIST_MAX)] = 1_000

    def run(self, node: NodeReading, now: int, progress: Progress) -> AuditListed:
        return self.read(node.audit)

    def read(self, log: AuditReading) -> AuditListed:
        """Returns what the log has. Raises OperatorError `audit-unreadable`."""
        kept: deque[AuditRecord] = deque(maxlen=self.limit)
        faults: deque[str] = deque(maxlen=AUDIT_FAULTS_MAX)
        found = 0
        try:
            for one in log.records():
                if isinstance(one, AuditFault):
                    faults.append(f"record {one.number}: {one.what}")
                elif one.at >= self.since and self.action in ("", one.action):
                    kept.append(one)
                    found += 1
            place = log.last_place()
        except OSError as error:
            raise unreadable(error) from None
        each = [
            Audit(
                format_instant(one.at * SECOND_US) or "",
                one.user,
                one.uid,
                one.action,
                one.subject,
                one.result,
            )
            for one in kept
        ]
        return AuditListed(each, found > len(each), list(faults), place.short if place else "")


class AuditChecked(Struct, frozen=True, forbid_unknown_fields=True):
    """The number of records that are there, where the log ends, and what is wrong with it."""

    records: int
    ends: str
    faults: list[str]


class CheckAudit(Query[AuditChecked], frozen=True, tag="audit-check"):
    """Check that every record follows the one before it, and that the log has the `place` (`NUMBER:DIGEST`, of a line in the journal)."""

    place: Annotated[str, Meta(max_length=80)] = ""

    def run(self, node: NodeReading, now: int, progress: Progress) -> AuditChecked:
        return self.read(node.audit)

    def read(self, log: AuditReading) -> AuditChecked:
        """Returns what is wrong with the log. Raises OperatorError `audit-unreadable`, AuthorError."""
        records, faults = 0, []
        try:
            for one in log.records():
                if isinstance(one, AuditFault):
                    faults.append(f"record {one.number}: {one.what}")
                else:
                    records += 1
            if self.place and not self._has_place(log):
                faults.insert(
                    0, f"it does not have {self.place}: its end was cut off, or it was written anew"
                )
            place = log.last_place()
        except OSError as error:
            raise unreadable(error) from None
        return AuditChecked(records, place.short if place else "", faults[:AUDIT_FAULTS_MAX])

    def _has_place(self, log: AuditReading) -> bool:
        number, _, digest = self.place.partition(":")
        if not number.isascii() or not number.isdigit() or len(number) > 12 or len(digest) < 8:
            raise AuthorError(
                "that is no place in the audit log",
                hint="NUMBER:DIGEST, as the journal has it",
                reason="bad-argument",
            )
        found = log.place_of(int(number))
        return found is not None and found.digest.startswith(digest)


def unreadable(error: OSError) -> OperatorError:
    return OperatorError(
        f"the audit log cannot be read: {(error.strerror or 'unknown').lower()}", reason="audit-unreadable"
    )
