"""The counters of a server: nothing is refused silently."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Generic

from p2pshare.http_server.interface import Caller


@dataclass
class Tally(Generic[Caller]):
    """Counters since start. `refused` is keyed by (caller, or None when unknown; reason code)."""

    handshakes_refused: Counter[str] = field(default_factory=Counter)
    connections_admitted: int = 0
    refused: Counter[tuple[Caller | None, str]] = field(default_factory=Counter)

    def refuse_handshake(self, reason: str) -> None:
        """Count a connection that was not admitted, its caller unknown."""
        self.handshakes_refused[reason] += 1
        self.refused[None, reason] += 1

    def refuse(self, caller: Caller | None, reason: str) -> None:
        """Count a connection or a request of a caller that was refused; None for an unknown caller."""
        self.refused[caller, reason] += 1

    def take_refused(self) -> dict[tuple[Caller | None, str], int]:
        """Returns the refusals since the last call, to be added to a lasting account, and clears them."""
        taken = dict(self.refused)
        self.refused.clear()
        return taken
