"""Versions of an object: rules for the one that is current. Pure, over all that is known of one object of one author.

Rules (docs/store.md, "Versions"). Together they make the current version depend on the envelopes held, never
on the order in which they came:

1. Versions are ordered by the author's (incarnation, sequence), within one envelope by `modified`, then by
   place; two envelopes in one place of the chain (an equivocation) by their ids. No clock of ours takes part.
2. The same `modified` with the same content is the same version: nothing is stored again. It stands where its
   author sealed it *first*, so that sending an old version again does not make it new.
3. The same `modified` with other content is a fork: both are kept and flagged, the stricter marking holds for
   both, and they stand where the first of them was sealed. From the third content on only the count grows: two
   are proof, and more would let one object grow without end. The two that were sealed first are those that hold.
4. A marking only tightens: a version sent again under a stricter one takes it; under a looser one it does not.
5. Objects without `modified` have no versions that could fork: other content is simply a later or earlier
   one, and the same content stands where it was sealed *last*.

A version that arrives in its author's order is decided here. Where one that was sealed earlier comes late and changes
which is current (`VersionDecision.is_dirty`), rule 1 is asked of all versions anew, when they have their rows: `latest`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import Enum

FORKED_CONTENTS_MAX = 2
TWINS_MAX = 3  # contents of one version that are stored: a version has one, a fork two, a hostile one many

Order = tuple[int, int, bytes, int, int, int]
"""(incarnation, sequence, envelope id, modified_us or 0, frame, position)."""


class VersionOutcome(Enum):
    """Outcome for an arriving version."""

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
        """Returns (frame, position) of its JSON."""
        return self.order[4], self.order[5]


@dataclass(slots=True)
class ObjectVersions:
    """Versions known of one object of one author: the current ones, and all of some `modified`."""

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
        """Returns the versions that claim to be the one of `modified_us`."""
        if modified_us is None:
            return [version for version in self.current if version.modified_us is None]
        return self.by_modified.get(modified_us, [])

    def take(self, new: Version, verdict: VersionDecision) -> None:
        """Note that `new` was stored as `verdict` says."""
        self.current = [version for version in self.current if version not in verdict.supersede]
        if verdict.is_current:
            self.current.append(new)
        self.remember(new)


@dataclass(slots=True)
class VersionDecision:
    """Outcome for an arriving version, and the stored versions concerned: those to tighten to `tlp`, those to
    supersede, one to move here."""

    kind: VersionOutcome
    tlp: int
    is_current: bool
    tighten: list[Version] = field(default_factory=list)
    supersede: list[Version] = field(default_factory=list)
    forked_with: Version | None = None
    move: Version | None = None
    """The same version, whose place is that of the arriving one."""
    is_dirty: bool = False
    """True when the current version must be decided anew over all versions."""


def decide(
    known: ObjectVersions, new: Version, is_same_content: Callable[[Version], bool]
) -> VersionDecision:
    """Returns the decision about `new` by the rules above; `known` must hold its twins."""
    twins = known.twins(new.modified_us)
    same = next((version for version in twins if is_same_content(version)), None)
    if same is not None:
        return _decide_same(known, twins, same, new)
    if twins and new.modified_us is not None:
        return _decide_fork(known, twins, new)
    if not known.current or min(version.order for version in known.current) < new.order:
        return VersionDecision(VersionOutcome.NEWER, new.tlp, True, supersede=list(known.current))
    return VersionDecision(VersionOutcome.OLDER, new.tlp, False)


def _decide_same(known: ObjectVersions, twins: list[Version], same: Version, new: Version) -> VersionDecision:
    is_current = same in known.current
    verdict = VersionDecision(
        VersionOutcome.SAME, max(same.tlp, new.tlp), is_current, _looser(twins, new.tlp)
    )
    is_moved = new.order < same.order if new.modified_us is not None else new.order > same.order
    if is_moved:
        verdict.move = same
        verdict.is_dirty = is_current or len(twins) > 1
    return verdict


def _decide_fork(known: ObjectVersions, twins: list[Version], new: Version) -> VersionDecision:
    strictest = max(new.tlp, *(version.tlp for version in twins))
    verdict = VersionDecision(
        VersionOutcome.FORK, strictest, False, _looser(twins, strictest), forked_with=twins[0]
    )
    earlier = sum(version.order < new.order for version in twins)
    if len(twins) >= TWINS_MAX or earlier >= FORKED_CONTENTS_MAX:
        verdict.kind = VersionOutcome.FORK_AGAIN
    elif len(twins) >= FORKED_CONTENTS_MAX or earlier == 0:
        verdict.is_dirty = True
    else:
        verdict.is_current = any(version in known.current for version in twins)
    return verdict


def latest(versions: Collection[Version]) -> list[Version]:
    """Returns the current ones of all versions of an object: one, or the two contents of a fork."""
    by_modified: dict[int | None, list[Version]] = defaultdict(list)
    for version in versions:
        by_modified[version.modified_us].append(version)
    apart = [[version] for version in by_modified.pop(None, ())]
    groups = [sorted(group, key=_order_of) for group in by_modified.values()] + apart
    return max(groups, key=lambda group: group[0].order)[:FORKED_CONTENTS_MAX] if groups else []


def _order_of(version: Version) -> Order:
    return version.order


def _looser(versions: list[Version], tlp: int) -> list[Version]:
    return [version for version in versions if version.tlp < tlp]
