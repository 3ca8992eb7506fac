"""What is prepared over several messages: kept by its node under a token between two of them, and forgotten when nobody goes on."""

from __future__ import annotations

from typing import Protocol, TypeVar

from p2pshare.node.node import Node
from p2pshare.sharing.spool import OPEN_SECONDS_MAX, Spooling, not_prepared


class OpenWork(Protocol):
    """Work between two messages; `spooling` None where nothing of it is kept on the disk."""

    @property
    def spooling(self) -> Spooling | None: ...
    @property
    def paused_at(self) -> int: ...
    def abandon(self) -> None: ...


W = TypeVar("W", bound=OpenWork)


def take_open(node: Node, token: str, kind: type[W]) -> W:
    """Returns the work of this kind that goes on under `token`. Raises NotFoundError `not-prepared`."""
    found = node.preparing.pop(token, None)
    if not isinstance(found, kind):
        raise not_prepared()
    if found.spooling is not None:
        found.spooling.go_on()
    return found


def forget_open(node: Node, now: int) -> None:
    """Forget what nobody went on with in time."""
    for token, found in list(node.preparing.items()):
        if abs(now - found.paused_at) > OPEN_SECONDS_MAX:
            del node.preparing[token]
            found.abandon()
