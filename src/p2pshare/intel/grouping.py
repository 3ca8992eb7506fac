"""Grouping: checked objects, one group for each marking, because each envelope carries one marking.

What an object cannot be read without travels with it: the marking definitions it names and the identity of its
creator. A companion with a marking of its own never enters a group that is looser than it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from p2pshare.intel.bundle import BundleObject
from p2pshare.intel.marking import MarkingProblem, Meaning, Tlp, effective, meaning_of
from p2pshare.intel.refusals import Refusals

DEFINITION = "marking-definition"
IDENTITY = "identity"


@dataclass
class MarkingGroup:
    """Objects of one marking, companions first. `repeats` of them stand in an earlier group as well."""

    tlp: Tlp
    objects: list[BundleObject] = field(default_factory=list)
    repeats: int = 0


@dataclass
class Grouping:
    """Groups from the loosest to the strictest. Objects given = sum(objects - repeats) + refusals.total."""

    groups: list[MarkingGroup] = field(default_factory=list)
    refusals: Refusals = field(default_factory=Refusals)


def split_by_marking(objects: Iterable[BundleObject], default: Tlp | None = None) -> Grouping:
    """Groups `objects` by effective marking. `default` (what the person gave with --tlp) marks what has no
    marking and tightens what is looser; it never loosens.

    Refusal reasons: no-marking, unknown-marking, two-markings, not-referenced (a definition nobody names).
    """
    everything = list(objects)
    definitions: dict[str, Meaning] = {
        one.object_id: meaning_of(one.definition) for one in everything if one.definition is not None
    }
    grouping = Grouping()
    members: dict[Tlp, list[BundleObject]] = {}
    companions: dict[str, BundleObject] = {}
    levels: dict[str, Tlp] = {}
    waiting: list[BundleObject] = []
    for one in everything:
        if one.type in (DEFINITION, IDENTITY):
            companions[one.object_id] = one
        if one.type == DEFINITION:
            waiting.append(one)
            continue
        found = effective(one.marking_refs, one.granular_refs, definitions)
        if isinstance(found, MarkingProblem):
            if found.reason != "no-marking" or (default is None and one.type != IDENTITY):
                grouping.refusals.add(found.reason, one.object_id)
                continue
            if default is None:  # an unmarked identity goes where it is named, or nowhere
                waiting.append(one)
                continue
            found = found.at_least
        level = found.tlp if default is None else max(found.tlp, default)
        members.setdefault(level, []).append(one)
        if one.type == IDENTITY:
            levels[one.object_id] = max(level, levels.get(one.object_id, level))
    if default is not None and members.get(default) is None and waiting:
        members.setdefault(default, [])
    _fill(grouping, members, companions, levels, waiting, default)
    return grouping


def _fill(
    grouping: Grouping,
    members: dict[Tlp, list[BundleObject]],
    companions: dict[str, BundleObject],
    levels: dict[str, Tlp],
    waiting: list[BundleObject],
    default: Tlp | None,
) -> None:
    placed: set[int] = set()
    for level in sorted(members):
        own = members[level]
        along = [
            companion
            for companion in _named_by(own, companions)
            if levels.get(companion.object_id, level) <= level and companion not in own
        ]
        if level == default:
            along += [one for one in waiting if one not in along]
        group = MarkingGroup(level, along + own)
        group.repeats = sum(id(one) in placed for one in group.objects)
        placed.update(id(one) for one in group.objects)
        if group.objects:
            grouping.groups.append(group)
    for one in waiting:
        if id(one) not in placed:
            grouping.refusals.add("not-referenced" if one.type == DEFINITION else "no-marking", one.object_id)


def _named_by(objects: Iterable[BundleObject], companions: dict[str, BundleObject]) -> list[BundleObject]:
    """The companions that `objects` name, and those that these name in turn, each once."""
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
