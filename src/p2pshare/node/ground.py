"""The ground on which a node stands: the real one, or that of one exercise (docs/exercises.md, "Walls").

Whoever is handed a node asks it, and nothing else, on which ground it works: no operation, round or reader carries a realm of its own.
"""

from __future__ import annotations

from typing import NamedTuple

from p2pshare.envelope.entry import REAL
from p2pshare.identifiers import EntryId, Realm


class NodeGround(NamedTuple):
    """A realm, and the exercise that is played in it: its opening's id, None on real ground and as long as the opening is not here."""

    realm: Realm
    exercise: EntryId | None = None

    @property
    def is_real(self) -> bool:
        return self.realm == REAL


REAL_GROUND = NodeGround(REAL)
