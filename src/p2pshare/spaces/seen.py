"""Seen: which member has which entry, by what members said they hold (docs/spaces.md, "Who has seen what").

Four words, the strongest that is known of an entry and a member:

==========  =================================================================================
shown       the member says that a person there was shown it, or wrote it
held        the member says that it holds it
sent        it was handed to the member, who has not said yet that it holds it
not-known   none of these
==========  =================================================================================

Members speak of themselves: whoever says that it holds, or has shown, what it did not, is believed. No node can check that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from p2pshare.identifiers import EntryId, PartnerId

SHOWN, HELD, SENT, NOT_KNOWN = "shown", "held", "sent", "not-known"


class HeldUpTo(NamedTuple):
    """What a member said of one author, in its heads: the number of the last entry it holds, its id, and the number up to which a
    person was shown the author's entries."""

    number: int
    entry_id: EntryId
    shown: int


class EntryPlace(NamedTuple):
    """An entry, and where it stands among those of its author."""

    entry_id: EntryId
    author: PartnerId
    number: int


class MembersNews(Protocol):
    """What members of one space told about themselves."""

    def heads_of(self, member: PartnerId) -> Mapping[PartnerId, HeldUpTo] | None:
        """Returns by author what a member holds; None where it never said."""
        ...

    def partners_of(self, member: PartnerId) -> frozenset[PartnerId] | None:
        """Returns which members a member named as its partners; None where it never said."""
        ...

    def was_sent(self, member: PartnerId, entry: EntryPlace) -> bool:
        """Returns whether an entry was handed to a member."""
        ...


class NoNews:
    """Nobody has told anything."""

    def heads_of(self, member: PartnerId) -> Mapping[PartnerId, HeldUpTo] | None:
        return None

    def partners_of(self, member: PartnerId) -> frozenset[PartnerId] | None:
        return None

    def was_sent(self, member: PartnerId, entry: EntryPlace) -> bool:
        return False


def seen_by(entry: EntryPlace, member: PartnerId, news: MembersNews) -> str:
    """Returns the word for an entry and a member other than ourselves."""
    if member == entry.author:
        return SHOWN
    heads = news.heads_of(member)
    told = heads.get(entry.author) if heads is not None else None
    if told is not None and entry.number <= told.number:
        return SHOWN if entry.number <= told.shown else HELD
    return SENT if news.was_sent(member, entry) else NOT_KNOWN


def seen_here(entry: EntryPlace, own: PartnerId, shown: Mapping[PartnerId, int]) -> str:
    """Returns the word for an entry that is held here; `shown` as `spaces.space_store.SpaceReading.shown` gives it."""
    return SHOWN if entry.author == own or entry.number <= shown.get(entry.author, 0) else HELD
