"""Introductions: what a partner may have that another one introduced, and when that ends (docs/introductions.md). Pure.

A person compares a fingerprint, or accepts that a partner has done so. The latter is worth less: it makes an author, for whom CLEAR
and GREEN are sealed, and no more. When nobody introduces it any longer it is suspended, and a person says what becomes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from p2pshare.identifiers import PartnerId
from p2pshare.intel.marking import Tlp

NOT_COMPARED = "not-compared"
"""Nothing of this marking is sealed for a partner whose fingerprint nobody here has compared."""
SUSPENDED = "partner-suspended"
"""Nothing is sealed for a partner whom nobody introduces any more."""


class PartnerStanding(Enum):
    """PartnerStanding of a partner: how its keys came to be trusted, and whether that holds."""

    COMPARED = "compared"
    INTRODUCED = "introduced"
    SUSPENDED = "suspended"


STRICTEST: dict[PartnerStanding, Tlp | None] = {
    PartnerStanding.COMPARED: Tlp.RED,
    PartnerStanding.INTRODUCED: Tlp.GREEN,
    PartnerStanding.SUSPENDED: None,
}
"""The strictest marking that is sealed for a partner of this standing; None: nothing is."""


def why_not_sealed(tlp: Tlp, standing: PartnerStanding) -> str:
    """Returns the reason why content of this marking is not sealed for a partner of this standing, whatever else allows it; empty
    when it may be."""
    strictest = STRICTEST[standing]
    if strictest is None:
        return SUSPENDED
    return "" if tlp <= strictest else NOT_COMPARED


@dataclass(frozen=True, slots=True)
class Introduction:
    """An introduction that a person accepted, by what is known now of the introducer and of its newest list. `introducer_is` is empty
    where that is a partner that a person compared, else what it is: `removed`, `frozen`, `distrusted`, `not-compared`."""

    introducer: PartnerId
    introducer_is: str
    is_listed: bool
    is_key_good: bool
    expires: int

    def why_void(self, now: int) -> str:
        """Returns the reason why it counts no more at `now` (unix seconds): `introducer-removed`, `introducer-frozen`,
        `introducer-distrusted`, `introducer-not-compared`, `list-revoked`, `not-listed`, `list-expired`; empty when it counts."""
        if self.introducer_is:
            return f"introducer-{self.introducer_is}"
        if not self.is_key_good:
            return "list-revoked"
        if not self.is_listed:
            return "not-listed"
        return "" if now < self.expires else "list-expired"


@dataclass(frozen=True, slots=True)
class Review:
    """What its introductions come to for one partner: until when they hold (unix seconds), or why none does; and with whom it is one
    voice. `voice` is None where it counts by itself, and where none holds: then it stays as it was."""

    until: int
    suspended: str
    voice: PartnerId | None = None


def review(introductions: Sequence[Introduction], now: int) -> Review:
    """Returns what these introductions of one partner come to at `now`."""
    good = [one for one in introductions if not one.why_void(now)]
    if not good:
        reasons = sorted(one.why_void(now) for one in introductions)
        return Review(0, reasons[0] if reasons else "introducer-removed")
    introducers = {one.introducer for one in good}
    voice = next(iter(introducers)) if len(introducers) == 1 else None
    return Review(max(one.expires for one in good), "", voice)
