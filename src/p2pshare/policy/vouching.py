"""Vouching: whether an envelope under a revoked key is in effect here (docs/card.md, "Revocation"). Pure.

A thief of a sign key chooses time and number of what it seals. So neither decides alone: what the owner lists is in effect,
whatever its time, and for the rest the owner has a day to bring its lists.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2pshare.envelope.card_format import NOTHING_VOUCHED

PAGES_SECONDS = 86_400  # in which pages may still come for what was created before the theft


@dataclass(frozen=True, slots=True)
class KnownRevocation:
    """A revocation as it is known here: since when the key counts as stolen, what is vouched for, and since when that is known
    here. Seconds are unix seconds."""

    since: int
    root: bytes
    noted_at: int

    def may_lack_pages(self, now: int) -> bool:
        """Returns whether pages that are missing at `now` may still come in time."""
        return self.root != NOTHING_VOUCHED and now < self.noted_at + PAGES_SECONDS


def is_in_effect(
    revocation: KnownRevocation,
    now: int,
    *,
    created: int,
    received_at: int,
    has_expired: bool,
    is_listed: bool,
    has_all_pages: bool,
) -> bool:
    """Returns whether an envelope that is held under a revoked key is in effect at `now`; the table of docs/card.md.

    `has_all_pages`: every page of its circle (or of its pair) is here. Lists name nothing that has expired: of that
    what came before the theft stays, since nobody else had the key when it came.
    """
    if is_listed:
        return True
    if has_expired:
        return created < revocation.since and received_at < revocation.since
    return not has_all_pages and created < revocation.since and revocation.may_lack_pages(now)
