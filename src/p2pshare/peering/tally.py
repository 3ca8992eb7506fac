"""What the door counted: nothing is turned away silently."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from p2pshare.identifiers import PartnerId


@dataclass
class Tally:
    """Counters since start. `refused` is keyed by (partner, or None when unknown; reason code)."""

    handshakes_refused: Counter[str] = field(default_factory=Counter)
    connections_admitted: int = 0
    refused: Counter[tuple[PartnerId | None, str]] = field(default_factory=Counter)

    def refuse_handshake(self, reason: str) -> None:
        """Somebody who did not become a connection."""
        self.handshakes_refused[reason] += 1
        self.refused[None, reason] += 1

    def refuse(self, partner_id: PartnerId | None, reason: str) -> None:
        """A partner's connection or request that was turned away."""
        self.refused[partner_id, reason] += 1

    def take_refused(self) -> dict[tuple[PartnerId | None, str], int]:
        """What was refused since the last call: for whoever keeps the long account."""
        taken = dict(self.refused)
        self.refused.clear()
        return taken
