"""The roster: the partners whose cards we trust, and the circles that each link carries.

A value, rebuilt from the store whenever a partner is added, removed or changes its card. An entry without a
link is a partner we can seal for and whose envelopes we can verify, but never connect to: relays reach it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from p2pshare.envelope.card import Card
from p2pshare.identifiers import CircleId, PartnerId


@dataclass(frozen=True)
class RosterEntry:
    """A partner: its accepted card, our name for it, and whether it has a link and the circles that this carries."""

    partner_id: PartnerId
    alias: str
    card: Card
    has_link: bool = True
    circles: frozenset[CircleId] = frozenset()
    is_frozen: bool = False
    """True once two cards of one version were seen: nothing new of this partner is believed until a person decides."""
    is_compared: bool = True
    """Whether a person compared its fingerprint; else those named in `introduced_by` introduced it."""
    introduced_by: tuple[str, ...] = ()
    introduced_until: int = 0
    """When the last list expires that introduces it, unix seconds."""
    suspended: str = ""
    """The reason why nobody introduces it any more; empty while somebody does, and where it was compared."""

    def is_suspended(self, now: int) -> bool:
        """Returns whether it was introduced and nobody introduces it any more at `now` (unix seconds)."""
        return not self.is_compared and (bool(self.suspended) or now >= self.introduced_until)

    def is_usable(self, now: int) -> bool:
        """Returns whether envelopes may be sealed for it at `now` (unix seconds)."""
        return not self.is_frozen and not self.is_suspended(now) and self.card.is_current(now)


@dataclass(frozen=True)
class UnknownName:
    """A name that is neither partner nor group; `nearest` is the one that may have been meant, or empty."""

    name: str
    nearest: str


@dataclass(frozen=True)
class Roster:
    """All partners by id. Iteration is in alias order, so that nothing depends on insertion."""

    own_id: PartnerId
    entries: Mapping[PartnerId, RosterEntry] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        own_id: PartnerId,
        entries: Iterable[RosterEntry],
        groups: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Roster:
        return cls(own_id, {entry.partner_id: entry for entry in entries}, dict(groups or {}))

    def __iter__(self) -> Iterator[RosterEntry]:
        return iter(sorted(self.entries.values(), key=lambda entry: entry.alias))

    def __len__(self) -> int:
        return len(self.entries)

    def get(self, partner_id: PartnerId) -> RosterEntry | None:
        return self.entries.get(partner_id)

    def links(self) -> tuple[RosterEntry, ...]:
        """Returns the partners we connect to, in alias order."""
        return tuple(entry for entry in self if entry.has_link)

    def by_name(self, name: str) -> RosterEntry | None:
        """Returns the partner with this alias or this hexadecimal id."""
        for entry in self:
            if name == entry.alias or name == entry.partner_id.text:
                return entry
        return None

    def expand(self, names: Iterable[str]) -> tuple[RosterEntry, ...] | UnknownName:
        """Returns the partners behind aliases and groups, each once, in alias order; the first name that is neither."""
        found: dict[PartnerId, RosterEntry] = {}
        for name in names:
            for member in self.groups.get(name, (name,)):
                entry = self.by_name(member)
                if entry is None:
                    return UnknownName(member, self._nearest(member))
                found[entry.partner_id] = entry
        return tuple(sorted(found.values(), key=lambda entry: entry.alias))

    def _nearest(self, name: str) -> str:
        known = [entry.alias for entry in self] + sorted(self.groups)
        return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.5)), "")
