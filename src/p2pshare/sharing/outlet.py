"""The outlet: where it goes what a node publishes, sees and withdraws; the one place in which real ground and that of an exercise differ.

On real ground `Node.outlet` is None: parts are sealed in envelopes (`sharing.publishing`, `sharing.assessing`, `sharing.withdrawing`). On an
exercise's ground it has one, and they become entries of the exercise (`spaces.exercise_outlet`): nothing is sealed, and no row of knowledge is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from p2pshare.identifiers import EntryId
from p2pshare.intel.marking import Tlp
from p2pshare.node.node import Node
from p2pshare.policy.audience import Audience, Refuse
from p2pshare.sharing.publishing import PreparedPart


@dataclass
class Played:
    """What was said in an exercise: the entries that say it, the values they are about, and who of its members is meant, by name."""

    entries: list[EntryId] = field(default_factory=list)
    values: list[tuple[str, str]] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    markings: list[Tlp] = field(default_factory=list)


class Outlet(Protocol):
    """What an exercise's node does in place of sealing. `names`: members; none: all of them. Raises RefusedError, AuthorError, NotFoundError."""

    def audience(self, tlp: Tlp, names: Sequence[str], now: int) -> Audience | Refuse:
        """Returns the members that would read what is marked so and addressed to these, or why nobody may."""
        ...

    def publish(self, parts: Iterable[PreparedPart], names: Sequence[str], now: int) -> Played:
        """Say what was prepared."""
        ...

    def sight(
        self, what: str, *, count: int, is_false_positive: bool, names: Sequence[str], now: int
    ) -> Played:
        """Say that a value of the exercise was seen, or is harmless."""
        ...

    def withdraw(self, what: str, reason: str, *, is_dry_run: bool, now: int) -> Played:
        """Take back a value that we published in the exercise."""
        ...


def outlet_of(node: Node) -> Outlet | None:
    """Returns the outlet of a node's ground; None where what leaves is sealed."""
    found: Outlet | None = node.outlet
    assert (found is None) == node.ground.is_real, "an exercise's node seals nothing"
    return found
