"""Grouping: checked objects, one group for each marking, because each envelope carries one marking.

With an object travel its companions, without which it cannot be read: the marking definitions it names and the
identity of its creator. A companion with a marking of its own never enters a group that is looser than it. An
object is at least as strict as each object that it names, but for its creator: a reference says that this object
exists, the id of a cyber-observable is computed from its content, and a report is about the objects it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from p2pshare.intel.bundle import BundleObject
from p2pshare.intel.marking import (
    KNOWN,
    Marking,
    MarkingProblem,
    Meaning,
    Tlp,
    effective,
    meaning_of,
)
from p2pshare.intel.marking_words import NO_WORDS, MarkingWords
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
    notes: Refusals = field(default_factory=Refusals)
    """`tightened`: objects that became stricter than their own references to markings say. `marking-spoken-of`: objects
    with a word of marking and no level."""


def split_by_marking(
    objects: Iterable[BundleObject], default: Tlp | None = None, beside: Iterable[BundleObject] = ()
) -> Grouping:
    """Returns `objects` in groups by effective marking. `default` (the marking a person gave with --tlp)
    marks objects without one and tightens looser ones; it never loosens. `beside` are others of the same file that are
    in no group: what names one of them is at least as strict all the same.

    Refusal reasons: no-marking, unknown-marking, two-markings, not-referenced (a definition nobody names).
    """
    grouping = Grouping()
    sorted_ = _sort(list(objects), list(beside), default, grouping)
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
        for one in reversed(left):
            _group_of(max(default, sorted_.levels.get(one.object_id, default)), grouping).objects.insert(
                0, one
            )
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


def _group_of(level: Tlp, grouping: Grouping) -> MarkingGroup:
    """Returns the loosest group that may hold an object of this level, a new one where there is none."""
    found = next((group for group in grouping.groups if group.tlp >= level), None)
    if found is None:
        found = MarkingGroup(level)
        grouping.groups.append(found)
    return found


def _sort(
    objects: list[BundleObject], beside: list[BundleObject], default: Tlp | None, grouping: Grouping
) -> _Sorted:
    definitions: dict[str, Meaning] = {
        one.object_id: meaning_of(one.definition) for one in (*beside, *objects) if one.definition is not None
    }
    result = _Sorted()
    markings: dict[tuple[object, ...], Marking | MarkingProblem] = {}

    def marking_of(one: BundleObject, words: MarkingWords) -> Marking | MarkingProblem:
        key = (one.marking_refs, one.granular_refs, words)
        found = markings.get(key)
        if found is None:
            found = markings[key] = effective(one.marking_refs, one.granular_refs, definitions, words)
        return found

    marked: list[tuple[BundleObject, Tlp]] = []
    levels: dict[str, Tlp] = {}  # by id; of what is refused, too
    for one in objects:
        found = marking_of(one, one.words)
        is_unmarked = isinstance(found, MarkingProblem) and found.reason == "no-marking"
        level = _level_of(found)
        if one.type == DEFINITION:
            result.companions[one.object_id] = one
            result.waiting.append(one)
            if (
                one.object_id not in KNOWN and level > Tlp.CLEAR
            ):  # it is marked itself, and its text may be a secret
                levels[one.object_id] = result.levels[one.object_id] = level
            continue
        if one.words.spoken:
            grouping.notes.add("marking-spoken-of", f"{one.object_id}: {min(one.words.spoken)}")
        if is_unmarked and default is None and one.type == IDENTITY and not one.granular_refs:
            result.companions[one.object_id] = one
            result.waiting.append(one)
            if level > Tlp.CLEAR:
                result.levels[one.object_id] = level
            continue
        level = level if default is None else max(level, default)
        levels[one.object_id] = max(level, levels.get(one.object_id, level))
        if isinstance(found, MarkingProblem) and (not is_unmarked or default is None):
            if not one.is_added:
                grouping.refusals.add(found.reason, _example(one, found.reason))
            continue
        marked.append((one, level))
    in_groups = len(marked)
    for one in beside:
        level = _level_of(marking_of(one, one.words))
        levels[one.object_id] = max(level, levels.get(one.object_id, level))
        marked.append((one, level))
    for one, before, level in islice(_raised(marked, levels), in_groups):
        if level > before or (
            one.words and level > max(_level_of(marking_of(one, NO_WORDS)), default or Tlp.CLEAR)
        ):
            grouping.notes.add("tightened", f"{one.object_id}: {level.label}")
        result.members.setdefault(level, []).append(one)
        if one.type == IDENTITY:
            result.companions[one.object_id] = one
            result.levels[one.object_id] = max(level, result.levels.get(one.object_id, level))
    return result


def _level_of(found: Marking | MarkingProblem) -> Tlp:
    return found.at_least.tlp if isinstance(found, MarkingProblem) else found.tlp


def _example(one: BundleObject, reason: str) -> str:
    """Returns an object's id, with the words in it that are not understood."""
    words = min(one.words.unknown, default="") if reason == "unknown-marking" else ""
    return f"{one.object_id}: {words}" if words else one.object_id


def _raised(
    marked: list[tuple[BundleObject, Tlp]], levels: dict[str, Tlp]
) -> Iterator[tuple[BundleObject, Tlp, Tlp]]:
    """Yields each object with its own level and its level here: that of the strictest object that it names, directly or
    through others. Each is raised once, for the strictest are followed first."""
    raised = [level for _, level in marked]
    if len(set(levels.values())) > 1:
        naming: dict[str, list[int]] = {}
        for place, (one, _) in enumerate(marked):
            for id_ in (*one.names, *one.marking_refs, *one.granular_refs, *one.words.refs):
                if id_ in levels and id_ != one.object_id:
                    naming.setdefault(id_, []).append(place)
        for level in sorted(Tlp, reverse=True):
            pending = [id_ for id_, own in levels.items() if own == level]
            while pending:
                for place in naming.get(pending.pop(), ()):
                    if raised[place] < level:
                        raised[place] = level
                        id_ = marked[place][0].object_id
                        if levels[id_] < level:
                            levels[id_] = level
                            pending.append(id_)
    for (one, before), level in zip(marked, raised, strict=True):
        yield one, before, level


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
    yield from one.words.refs
    if one.created_by is not None:
        yield one.created_by
