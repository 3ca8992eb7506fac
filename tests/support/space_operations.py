"""Operations for tests of spaces on real daemons: any entry, written as the daemon's own operations write theirs.

`register` adds them to the table of a process: the test's own, and by `PREFACE` that of a daemon.
"""

from __future__ import annotations

from pathlib import Path

from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.node.node import Node, Progress
from p2pshare.operations.interface import Request
from p2pshare.operations.spaces import SpaceWritten
from p2pshare.operations.table import OPERATIONS, Operation
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.writing import SpaceStatement

PREFACE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parent)!r})
import space_operations
space_operations.register()
"""


class SayAnything(Request[SpaceWritten], frozen=True, tag="test-space-say"):
    """Write an entry of any kind."""

    space: str
    kind: str
    content: bytes
    tlp: int
    audience: tuple[str, ...] = ()

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        audience = tuple(sorted(PartnerId.parse(one) for one in self.audience))
        said = SpaceStatement(self.kind, self.content, self.tlp, audience)
        entry = spaces_of(node).say(EntryId.parse(self.space), said, now)[-1]
        return SpaceWritten(self.space, entry.entry_id.text)


class JoinInvited(Request[SpaceWritten], frozen=True, tag="test-space-join"):
    """Accept the newest invitation into a space."""

    space: str

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        return SpaceWritten(self.space, spaces_of(node).join(EntryId.parse(self.space), now).entry_id.text)


def register() -> None:
    OPERATIONS["test-space-say"] = Operation(SayAnything, writes_spaces=True)
    OPERATIONS["test-space-join"] = Operation(JoinInvited, writes_spaces=True)
