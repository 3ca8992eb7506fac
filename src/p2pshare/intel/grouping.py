"""Grouping: checked objects, one group for each marking, because each envelope carries one marking.

With an object travel its companions, without which it cannot be read: the marking definitions it names and the
identity of its creator. A companion with a marking of its own never enters a group that is looser than it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from p2pshare.intel.bundle import BundleObject
from p2pshare.intel.marking import Marking, MarkingProblem, Meaning, Tlp, effective, meaning_of
from p2pshare.intel.refusals import Refusals, every_refusal

DEFINITION = "marking-definition"
IDENTITY = "identity"


@dataclass
class MarkingGroup:
    """Objects of one marking, companions first. `repeats` of them stand in an earlier group as well (those that a
    reader added are not counted, here and below: they were never read)."""

    tlp: Tlp
    objects: list[BundleObject] = field(default_factory=list)
    repeats: int = 0


@dataclass
class Grouping:
    """Groups from the loosest to the strictest. Objects given = sum(objects - repeats) + refusals.total."""

    groups: list[MarkingGroup] = field(default_factory=list)
    refusals: Refusals = field(default_factory=every_refusal)


def split_by_marking(objects: Iterable[BundleObject], default: Tlp | None = None) -> Grouping:
    """Returns `objects` in groups by effective marking. `default` (the marking a person gave with --tlp)
    marks objects without one and tightens looser ones; it never loosens.

    Refusal reasons: no-marking, unknown-marking, two-markings, not-referenced (a definition nobody names).
    """
    grouping = Grouping()
    sorted_ = _sort(list(objects), default, grouping.refusals)
    placed: set[int] = set()
    for level in sorted(sorted_.members):
        own = sorted_.members[level]
        own_ids = {one.object_id for one in own}
        along = [
            companion
            for companion in _named_by(own, sorted_.companions)
            if sorted_.levels.get(companion.object_id, level) <= level and companion.object_id not in own_ids
        ]
        group = MarkingGroup(level, along + own)
        group.repeats = sum(id(one) in placed and not one.is_added for one in along)
        placed.update(id(one) for one in group.objects)
        grouping.groups.append(group)
    left = [one for one in sorted_.waiting if id(one) not in placed]
    if left and default is not None:  # nobody names them, but the person gave a marking for what has none
        if not grouping.groups:
            grouping.groups.append(MarkingGroup(default))
        grouping.groups[0].objects[:0] = left
    else:
        for one in left:
            if not one.is_added:
                grouping.refusals.add(
                    "not-referenced" if one.type == DEFINITION else "no-marking", one.object_id
                )
    return grouping


@dataclass
class _Sorted:
    """Objects by level; companions by id, and the level of each that has one; and objects without a marking
    of their own, which wait to be named by one that has."""

    members: dict[Tlp, list[BundleObject]] = field(default_factory=dict)
    companions: dict[str, BundleObject] = field(default_factory=dict)
    levels: dict[str, Tlp] = field(default_factory=dict)
    waiting: list[BundleObject] = field(default_factory=list)


def _sort(objects: list[BundleObject], default: Tlp | None, refusals: Refusals) -> _Sorted:
    definitions: dict[str, Meaning] = {
        one.object_id: meaning_of(one.definition) for one in objects if one.definition is not None
    }
    result = _Sorted()
    markings: dict[tuple[tuple[str, ...], tuple[str, ...]], Marking | MarkingProblem] = {}
    for one in objects:
        if one.type == DEFINITION:
            result.companions[one.object_id] = one
            result.waiting.append(one)
            continue
        refs = (one.marking_refs, one.granular_refs)
        found = markings.get(refs)
        if found is None:
            found = markings[refs] = effective(*refs, definitions)
        is_unmarked = isinstance(found, MarkingProblem) and found.reason == "no-marking"
        if is_unmarked and default is None and one.type == IDENTITY and not one.granular_refs:
            result.companions[one.object_id] = one
            result.waiting.append(one)
            continue
        if isinstance(found, MarkingProblem):
            if not is_unmarked or default is None:
                if not one.is_added:
                    refusals.add(found.reason, one.object_id)
                continue
            found = found.at_least
        level = found.tlp if default is None else max(found.tlp, default)
        result.members.setdefault(level, []).append(one)
        if one.type == IDENTITY:
            result.companions[one.object_id] = one
            result.levels[one.object_id] = max(level, result.levels.get(one.object_id, level))
    return result


def _named_by(objects: Iterable[BundleObject], companions: dict[str, BundleObject]) -> list[BundleObject]:
    """Returns the companions that `objects` name, and those that these name in turn, each once."""
    found: dict[str, BundleObject] = {}
    pending = list(objects)
    while pending:
        for id_ in _references(pending.pop()):
            companion = companions.get(id_)
            if companion is not None and id_ not in found:
                found[id_] = companion
                pending.append(companion)
    return list(found.values())


def _references(one: BundleObject) -> Iterator[str]:
    yield from one.marking_refs
    yield from one.granular_refs
    if one.created_by is not None:
        yield one.created_by
