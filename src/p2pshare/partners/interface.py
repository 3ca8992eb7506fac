"""Rows about partners. Seconds are unix seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Struct

from p2pshare.identifiers import PartnerId

NOT_ACCEPTED_YET = "not-accepted-yet"
REMOVED_BY_PARTNER = "removed-by-partner"
OTHER_CERTIFICATE = "other-certificate"
"""Reasons of a closed door: the pinned server does not know our certificate, and we had never talked before, or had; or the
server shows another certificate than its card names."""


@dataclass(frozen=True)
class PartnerRow:
    """A partner whose card we accepted; `circles` are the names its link carries."""

    partner_id: PartnerId
    alias: str
    card: bytes
    card_version: int
    has_link: bool
    circles: tuple[str, ...]
    is_frozen: bool
    added_at: int
    is_compared: bool = True
    """Whether a person compared its fingerprint; else others introduced it."""
    introduced_until: int = 0
    """When the last list expires that introduces it."""
    suspended: str = ""
    """The reason why nobody introduces it any more; empty while somebody does."""
    suspended_at: int = 0
    introduced_by: tuple[str, ...] = ()
    """Our names of those whose introduction of it a person accepted."""


class Account(Struct, frozen=True):
    """Number of envelopes that one partner handed over. `came_in == stored + already_held + deferred +
    sum(refused)`, always."""

    partner: PartnerId
    came_in: int
    stored: int
    already_held: int
    deferred: int
    refused: Mapping[str, int]


class StoredCardFork(Struct, frozen=True):
    """Two cards of one version of one partner."""

    partner_id: PartnerId
    first: bytes
    second: bytes
    noted_at: int


class Distrust(Struct, frozen=True):
    """A partner whose claims a person took out of effect here, and how far that is done. `since` in unix seconds; `is_out` False: it
    is trusted again, and what it said is on its way back. `place` is the lsn behind which the walk goes on (`partners.notices.ENDED`:
    it has ended), `frame` and `position` where in the next envelope."""

    since: int
    is_out: bool = True
    place: int = 0
    frame: int = 0
    position: int = 0


@dataclass(frozen=True)
class ClosedDoor:
    """A partner whose server does not let us in: why (one of the reasons above), since when, when we last knocked there and
    what came of it. `knocked_at` is 0 and `outcome` empty where we have not."""

    reason: str
    since: int
    knocked_at: int = 0
    outcome: str = ""
