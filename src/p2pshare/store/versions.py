"""Which version of an object holds. Pure rules over what is known of one object of one author.

Rules (docs/store.md, "Versions"):

1. Versions are ordered by the author's (incarnation, sequence), within one envelope by `modified`, then by place.
   No clock of ours and no order of arrival takes part.
2. The same `modified` with the same content is the same version: nothing is stored again.
3. The same `modified` with other content is a fork: both are kept and flagged, the stricter marking holds for
   both. From the third content on only the count grows: two are proof, and more would let one object grow
   without end.
4. A marking only tightens: a version sent again under a stricter one takes it; under a looser one it does not.
5. Objects without `modified` have no versions that could fork: other content is simply a later or earlier one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

FORKED_CONTENTS_MAX = 2

Order = tuple[int, int, int, int, int]
"""(incarnation, sequence, modified_us or 0, frame, position)."""


class Kind(Enum):
    """What to do with an arriving version."""

    SAME = "same"  # store nothing; perhaps tighten
    FORK = "fork"  # store beside the other, flag both
    FORK_AGAIN = "fork-again"  # store nothing, count it
    NEWER = "newer"  # store as current, supersede what was
    OLDER = "older"  # store as superseded


@dataclass(slots=True, eq=False)
class Version:
    """A version that is stored, or about to be; the ids of its rows in the claim or the object table."""

    order: Order
    modified_us: int | None
    tlp: int
    claim_ids: list[int] = field(default_factory=list)
    object_ids: list[int] = field(default_factory=list)

    @property
    def place(self) -> tuple[int, int]:
        """(frame, position): where its JSON is."""
        return self.order[3], self.order[4]


@dataclass(slots=True)
class ObjectVersions:
    """What is known of one object of one author: its current versions, and all of some `modified`."""

    current: list[Version]
    by_modified: dict[int, list[Version]]

    @classmethod
    def of(cls, current: list[Version]) -> ObjectVersions:
        versions = cls(current, {})
        for version in current:
            versions.remember(version)
        return versions

    def remember(self, version: Version) -> None:
        if version.modified_us is not None:
            self.by_modified.setdefault(version.modified_us, []).append(version)

    def twins(self, modified_us: int | None) -> list[Version]:
        """Versions that claim to be the one of `modified_us`."""
        if modified_us is None:
            return [version for version in self.current if version.modified_us is None]
        return self.by_modified.get(modified_us, [])

    def take(self, new: Version, verdict: Verdict) -> None:
        """`new` was stored as `verdict` said."""
        self.current = [version for version in self.current if version not in verdict.supersede]
        if verdict.is_current:
            self.current.append(new)
        self.remember(new)


@dataclass(slots=True)
class Verdict:
    """What to do, and with which stored versions: those to tighten to `tlp`, those to supersede."""

    kind: Kind
    tlp: int
    is_current: bool
    tighten: list[Version] = field(default_factory=list)
    supersede: list[Version] = field(default_factory=list)
    forked_with: Version | None = None


def judge(known: ObjectVersions, new: Version, is_same_content: Callable[[Version], bool]) -> Verdict:
    """Decides about `new` by the rules above; `known` must hold its twins."""
    twins = known.twins(new.modified_us)
    same = next((version for version in twins if is_same_content(version)), None)
    if same is not None:
        return Verdict(Kind.SAME, max(same.tlp, new.tlp), same in known.current, _looser(twins, new.tlp))
    if twins and new.modified_us is not None:
        strictest = max(new.tlp, *(version.tlp for version in twins))
        kind = Kind.FORK if len(twins) < FORKED_CONTENTS_MAX else Kind.FORK_AGAIN
        is_current = any(version in known.current for version in twins)
        return Verdict(kind, strictest, is_current, _looser(twins, strictest), forked_with=twins[0])
    if all(version.order < new.order for version in known.current):
        return Verdict(Kind.NEWER, new.tlp, True, supersede=list(known.current))
    return Verdict(Kind.OLDER, new.tlp, False)


def _looser(versions: list[Version], tlp: int) -> list[Version]:
    return [version for version in versions if version.tlp < tlp]
