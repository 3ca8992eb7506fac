"""What is held from others already: told instead of published again, or said anew under an id of our own.

What comes in is exported to MISP or another program, and that program's export is published: without this, each value has a
second author after one round, and lives on when the true one withdraws it. Rules:

1. An object of a file is *held* where its id is another author's here, or where it says that it comes from our own export
   (`intel.export_origin`) and names nothing that the object it names does not. That word is anybody's to write, so it is
   believed only as far as it hides nothing new.
2. It is ours where we published that id before, or where our own identity created it: others who use an id of ours, or publish it
   first, keep nobody from going on.
3. Held is told with its author and a count. Beside it go what is nothing without it: identities and definitions that only it
   names, and the event that our own export had put around it.
4. `AS_OWN` and `RESTATE` give it an id that follows from us and the original, so that saying it again is another version and
   never another object. What refers to it in the same file follows.
5. Neither is looser than what is held, and what its author meant for the recipients alone (AMBER+STRICT, RED) is refused.
6. The store is asked for a thousand objects at a time; nothing of an answer is kept but what was decided by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, Protocol

import msgspec

from p2pshare.identifiers import PartnerId
from p2pshare.intel.assessing import TYPES as ASSESSMENT_TYPES
from p2pshare.intel.authoring import identity_id, named_id
from p2pshare.intel.bundle import BundleObject, object_of
from p2pshare.intel.derivation import Derivation, ObjectOrigin, restated_id, restating, with_derivation
from p2pshare.intel.export_origin import (
    ORIGINS_READ_MAX,
    SOURCE_NAME,
    ExportOrigin,
    authors_tagged,
    is_event_info,
    misp_event_name,
    origins_in,
    without_origins,
)
from p2pshare.intel.grouping import DEFINITION, IDENTITY
from p2pshare.intel.instants import SECOND_US, format_instant, parse_instant
from p2pshare.intel.json_text import Fault, parse_object
from p2pshare.intel.marking import TLP2_IDS, TLP_IDS, Tlp
from p2pshare.intel.observable import Observable
from p2pshare.intel.pattern import observables_of
from p2pshare.intel.refusals import Refusals, every_refusal
from p2pshare.intel.withdrawing import WITHDRAWAL
from p2pshare.knowledge.derivations import NEVER_AFFIRMED_US
from p2pshare.knowledge.interface import OwnFinding, SharedObject
from p2pshare.limits import FUTURE_REFUSE_SECONDS
from p2pshare.node.store import StoreReading

OBJECTS_PER_LOOKUP = 1_024
MILLISECOND_US = 1_000
NOT_OURS_TO_SHARE = "not-ours-to-share"
ORIGIN_WITHDRAWN = "origin-withdrawn"
AUTHOR_WITHDREW = "author-withdrew"  # note: its author has taken it back
HELD_DIFFERS = "held-differs"  # note: under the same id its author says something else
ORIGIN_DIFFERS = "origin-differs"  # note: it names an origin that does not say this, so it was not believed
IMMUTABLE_TYPES = frozenset({*ASSESSMENT_TYPES, WITHDRAWAL})
"""What is said once and by its author only: never said anew in our name."""
WRAPPER_TYPES = frozenset({"report", "grouping"})
_TEXTS_WITH_ORIGINS = ("description", "x_misp_comment")


class Stance(Enum):
    """What a publisher says about objects that are held from others."""

    LEAVE = "they are told, and not published"
    AS_OWN = "each is a finding of our own, independent of theirs"
    RESTATE = "each is passed on, and falls with theirs"
    AFFIRM = "each is passed on, and we stand for what its author has withdrawn, too"


class SharedIndex(Protocol):
    """What is held, as publishing asks. Each method is asked for some thousand things at once."""

    def shared_objects(self, object_ids: Collection[str]) -> Mapping[str, Sequence[SharedObject]]:
        """Returns, by id, what each author says under it, in order of arrival."""
        ...

    def own_statements(self, observables: Collection[Observable]) -> Mapping[Observable, str]:
        """Returns the id of an object of ours that states each of these as our own."""
        ...


class NothingShared:
    """The index of a draft that sees no store."""

    def shared_objects(self, object_ids: Collection[str]) -> Mapping[str, Sequence[SharedObject]]:
        return {}

    def own_statements(self, observables: Collection[Observable]) -> Mapping[Observable, str]:
        return {}


def shared_in(store: StoreReading) -> SharedIndex:
    """Returns the index of what `store` holds."""
    return store.knowledge


@dataclass
class Sifted:
    """The objects of a file. Read (not added by a reader) = those in `taken` + `held` + `merged` + refusals.total."""

    taken: list[BundleObject] = field(default_factory=list)
    """What may be published, in order: as it was read, or said anew."""
    beside: list[BundleObject] = field(default_factory=list)
    """What is left out. Its markings still tighten what names it."""
    held: Counter[PartnerId] = field(default_factory=Counter)
    merged: int = 0
    """Said before, by us."""
    refusals: Refusals = field(default_factory=every_refusal)
    notes: Refusals = field(default_factory=Refusals)
    findings: list[OwnFinding] = field(default_factory=list)
    """Objects of ours and those of others beside which they stand (`AS_OWN`)."""


class _Match(NamedTuple):
    """The object that one of the file is, and how."""

    author: PartnerId
    object_id: str
    tlp: Tlp
    is_revoked: bool
    out_us: int | None
    """When it was taken back, or what it stems from; None while it stands."""
    modified_us: int
    """Never later than it was sealed: no author can say something so late that no withdrawal reaches it."""
    derivation: Derivation | None
    values: tuple[Observable, ...]
    """What the object of the file claims."""
    is_whole: bool
    """Whether it stands for all of the held one, not for one of its values."""
    differs: bool
    is_settled: bool
    """Held whatever we say of others' objects: our own export come back, or the event that it had put around them."""


def sift(
    objects: Sequence[BundleObject], index: SharedIndex, *, own: PartnerId, now: int, stance: Stance
) -> Sifted:
    """Returns the objects of a file apart: those to publish as `own` at `now` (unix seconds), and those that are held."""
    return _Sifting(objects, index, own, now, stance).sift()


class _Sifting:
    """One file, on its way."""

    def __init__(
        self, objects: Sequence[BundleObject], index: SharedIndex, own: PartnerId, now: int, stance: Stance
    ) -> None:
        self._objects = objects
        self._index = index
        self._own = own
        self._own_identity = identity_id(own)
        self._now = now
        self._stance = stance
        self._result = Sifted()
        self._matches: dict[int, _Match] = {}
        """By the place of the object in the file."""
        self._left_out: set[int] = set()
        self._anew: dict[int, str] = {}
        """Place -> the id under which the object is said anew ..."""
        self._modified: dict[int, int] = {}
        """... and its `modified`, in microseconds."""
        self._stating: dict[Observable, str] = {}
        """Value -> the id under which we state it as our own, before or by this file."""
        self._renamed: dict[str, str] = {}
        """Id in the file -> the id under which the same is held, or said."""

    def sift(self) -> Sifted:
        for batch in _batches(range(len(self._objects))):
            self._match(batch)
        if not self._matches:  # nearly always
            self._result.taken = list(self._objects)
            return self._result
        self._match_wrappers()
        self._decide()
        self._leave_out_companions()
        for place, one in enumerate(self._objects):
            if place in self._left_out:
                self._result.beside.append(one)
                continue
            made = self._said(place, one)
            if isinstance(made, Fault):
                self._refuse(place, one, made.reason)
                self._result.beside.append(one)
            else:
                self._result.taken.append(made)
        return self._result

    # --- which are held ---

    def _match(self, places: Sequence[int]) -> None:
        wanted: set[str] = set()
        origins = {}
        for place in places:
            one = self._objects[place]
            if one.type == DEFINITION:
                continue
            wanted |= {one.object_id, one.object_id.lower()}
            named = origins[place] = _origins_of(one)
            wanted.update(origin.object_id for origin in named)
        shared = self._index.shared_objects(wanted)
        if not shared:
            return
        for place, named in origins.items():
            one = self._objects[place]
            found = self._held_by_id(one, named, shared)
            if found is None:
                found = self._held_by_origin(one, named, shared)
            if found is not None:
                self._matches[place] = found

    def _held_by_id(
        self, one: BundleObject, named: Sequence[Any], shared: Mapping[str, Sequence[SharedObject]]
    ) -> _Match | None:
        under = shared.get(one.object_id) or shared.get(one.object_id.lower()) or ()
        ours = next((held for held in under if held.author == self._own), None)
        values = _values_of(one)
        if ours is not None:
            # our own export come back, perhaps after we withdrew it: a person who changes what we said changes its source
            is_exported = any(
                origin.author == self._own and origin.object_id == ours.object_id for origin in named
            )
            is_same = is_exported and not _is_revoked(one) and values <= ours.values
            return self._as_match(one, ours, values) if is_same else None
        if self._is_of_ours(one):
            return None
        others = [held for held in under if held.author != self._own]
        if not others:
            return None
        saying = next((held for held in others if values <= held.values), others[0])
        return self._as_match(one, saying, values)

    def _is_of_ours(self, one: BundleObject) -> bool:
        """Returns whether we are its creator. A rule that brings its own id is not: its reader only names who publishes it."""
        is_rule = one.raw.count(one.object_id.partition("--")[2].encode()) > 1 and bool(_rule_type(one))
        return one.created_by == self._own_identity and not is_rule

    def _held_by_origin(
        self, one: BundleObject, named: Sequence[Any], shared: Mapping[str, Sequence[SharedObject]]
    ) -> _Match | None:
        if self._is_of_ours(one) and not any(origin.author == self._own for origin in named):
            return None
        if any(
            held.author == self._own
            for held in (*shared.get(one.object_id, ()), *shared.get(one.object_id.lower(), ()))
        ):
            return None  # ours by its id, and another version of it
        values = _values_of(one)
        is_known = False
        for origin in named:
            for held in shared.get(origin.object_id, ()):
                if held.author != origin.author:
                    continue
                if self._says_nothing_new(one, values, held):
                    return self._as_match(one, held, values)
                is_known = True
        if is_known:
            self._result.notes.add(ORIGIN_DIFFERS, one.object_id)
        return None

    def _says_nothing_new(self, one: BundleObject, values: frozenset[Observable], held: SharedObject) -> bool:
        """Returns whether all that an object names is named by the held one. Of what claims nothing (an attribute that is not to
        be detected any more) it is what was seen; anything else is new, for its words are nobody's values."""
        if values:
            return values <= held.values
        seen = set(self._seen(one))
        return bool(seen) and seen <= {value.value for value in held.values}

    def _seen(self, one: BundleObject) -> Iterator[str]:
        """Yields what an attribute that is not to be detected names: of the things that a reader put beside it, all."""
        if one.type == "x-misp-attribute":
            yield str(msgspec.json.decode(one.raw).get("x_misp_value"))
        elif one.type == "observed-data":
            for name in one.names:
                yield from _texts_in(msgspec.json.decode(self._added.get(name, b"{}")))

    @property
    def _added(self) -> Mapping[str, bytes]:
        """Returns the things that a reader put beside what saw them, by id."""
        if self._added_texts is None:
            self._added_texts = {one.object_id: one.raw for one in self._objects if one.is_added}
        return self._added_texts

    _added_texts: Mapping[str, bytes] | None = None

    def _as_match(self, one: BundleObject, held: SharedObject, values: frozenset[Observable]) -> _Match:
        return _Match(
            held.author,
            held.object_id,
            held.tlp,
            held.is_revoked,
            held.out_us,
            min(held.modified_us or 0, held.sealed_at * SECOND_US),
            held.derivation,
            tuple(sorted(values)),
            values >= held.values or one.object_id.lower() == held.object_id.lower(),
            not values <= held.values,
            held.author == self._own,
        )

    def _match_wrappers(self) -> None:
        """Match the event that our own export had put around what is held: a report of nothing else."""
        by_id = {
            self._objects[place].object_id: match
            for place, match in self._matches.items()
            if not _is_companion(self._objects[place])
        }
        for place, one in enumerate(self._objects):
            if one.type not in WRAPPER_TYPES or place in self._matches or not one.names:
                continue
            named = [by_id.get(name) for name in one.names]
            inside = {match.author: match for match in named if match is not None}
            if len(inside) != 1 or None in named:
                continue
            [(author, match)] = inside.items()
            if (
                author in authors_tagged(one.raw)
                or one.object_id.partition("--")[2] in _event_uuids(author)
                or is_event_info(_name_of(one))
            ):
                self._matches[place] = match._replace(
                    object_id=one.object_id,
                    is_revoked=False,
                    out_us=None,
                    values=(),
                    is_whole=True,
                    differs=False,
                    is_settled=True,
                )

    # --- what becomes of them ---

    def _decide(self) -> None:
        """Hold, refuse, merge or say anew each object that was matched, but for companions."""
        anew: dict[int, str] = {}
        said: set[str] = set()
        for place, match in self._matches.items():
            one = self._objects[place]
            if _is_companion(one):
                continue
            if match.object_id.lower() != one.object_id.lower() and one.type not in WRAPPER_TYPES:
                self._renamed[one.object_id] = match.object_id
            if (
                self._stance is Stance.LEAVE
                or match.is_settled
                or one.type in IMMUTABLE_TYPES
                or _is_revoked(one)
                or (self._stance is not Stance.AS_OWN and self._stems_from_ours(match))
            ):
                self._hold(place, one, match)
            elif match.tlp > Tlp.AMBER:
                self._refuse(place, one, NOT_OURS_TO_SHARE)
            elif match.out_us is not None and (
                self._stance is Stance.RESTATE
                or (self._stance is Stance.AFFIRM and match.out_us >= NEVER_AFFIRMED_US)
            ):
                self._refuse(place, one, ORIGIN_WITHDRAWN)
            else:
                own_id = self._own_id(one, match)
                self._renamed[one.object_id] = own_id
                if own_id in said:
                    self._merge(place, one)
                else:
                    said.add(own_id)
                    anew[place] = own_id
        for batch in _batches(list(anew)):
            self._say_anew({place: anew[place] for place in batch})

    def _stems_from_ours(self, match: _Match) -> bool:
        """Returns whether it passes on what we said: else two who restate each other's every night would never come to an end."""
        said = match.derivation
        return said is not None and any(origin.author == self._own for origin in said.origins)

    def _say_anew(self, own_ids: Mapping[int, str]) -> None:
        """Say each of these anew, but for what we said before and its author has not changed since."""
        before = self._index.shared_objects(set(own_ids.values()))
        is_own = self._stance is Stance.AS_OWN
        stated = self._stating
        if is_own:
            stated |= self._index.own_statements(
                {value for place in own_ids for value in self._matches[place].values}
            )
        for place, own_id in own_ids.items():
            match, one = self._matches[place], self._objects[place]
            values = frozenset(match.values)
            ours = next((held for held in before.get(own_id, ()) if held.author == self._own), None)
            is_said = (
                ours is not None
                and ours.out_us is None
                and _is_restated(ours) != is_own
                and (ours.modified_us or 0) >= match.modified_us
                and values <= ours.values
                and ours.tlp >= match.tlp
            )
            saying = {own_id} if is_said else {stated[value] for value in values if value in stated}
            if match.is_revoked:
                self._result.notes.add(AUTHOR_WITHDREW, one.object_id)
            if is_said or (values and all(value in stated for value in values)):
                self._renamed[one.object_id] = min(saying)
                self._merge(place, one)
            else:
                self._anew[place] = own_id
                self._modified[place] = self._modified_of(match, ours)
                saying = {own_id}
                if is_own:  # what others pass on stands in the same file: one finding is stated once
                    stated |= dict.fromkeys(match.values, own_id)
            if is_own:
                self._result.findings += [
                    OwnFinding(match.author, match.object_id, own) for own in sorted(saying)
                ]

    def _modified_of(self, match: _Match, ours: SharedObject | None) -> int:
        """Returns the `modified` of what is said anew, after whatever we said under that id before.

        What is passed on is not younger than what it passes on: so it falls with a withdrawal that we had not heard of
        (docs/intelligence.md, "Derivation").
        """
        is_stated_now = self._stance is Stance.AS_OWN or match.out_us is not None or not match.modified_us
        modified_us = self._now * SECOND_US if is_stated_now else match.modified_us
        if match.out_us is not None and self._stance is Stance.AFFIRM:
            # no withdrawal that was taken in is dated later, whatever is written in it
            latest_us = (self._now + FUTURE_REFUSE_SECONDS) * SECOND_US
            modified_us = max(modified_us, min(match.out_us, latest_us) + MILLISECOND_US)
        if ours is not None and ours.modified_us is not None:
            modified_us = max(modified_us, ours.modified_us + MILLISECOND_US)
        return modified_us

    def _own_id(self, one: BundleObject, match: _Match) -> str:
        """Returns the id under which we say what `match` does: it follows from us, the original, and, of an object that says
        only a part of it, from that part."""
        part = "" if match.is_whole else _part_of(match.values)
        if self._stance is Stance.AS_OWN:
            uuid = named_id(f"own-finding:{self._own.text}:{match.object_id}{part}")
        elif part:
            uuid = named_id(f"restated:{self._own.text}:{match.author.text}:{match.object_id}{part}")
        else:
            uuid = restated_id(self._own, ObjectOrigin(match.author, match.object_id)).partition("--")[2]
        return f"{one.type}--{uuid}"

    def _leave_out_companions(self) -> None:
        """Leave out identities, definitions and things seen that are another's here or that only what is left out names."""
        companions = {place for place, one in enumerate(self._objects) if _is_companion(one)}
        others = self._left_out | companions
        kept = self._named_from(
            (place for place in range(len(self._objects)) if place not in others), companions
        )
        along = self._named_from((place for place in self._left_out if place in self._matches), companions)
        most = self._result.held.most_common(1)
        for place in sorted(companions):
            one = self._objects[place]
            if one.object_id in kept:
                continue
            match = self._matches.get(place)
            if match is not None:
                self._hold(place, one, match)
            elif one.object_id in along and most:
                self._left_out.add(place)
                self._result.held[most[0][0]] += not one.is_added
            elif one.object_id in along and self._result.merged:
                self._merge(place, one)

    def _named_from(self, places: Iterable[int], companions: Collection[int]) -> set[str]:
        """Returns all ids that the objects in `places` name, and the companions among them in turn."""
        by_id = {self._objects[place].object_id: place for place in companions}
        named: set[str] = set()
        pending = list(places)
        while pending:
            place = pending.pop()
            one = self._objects[place]
            creator = self._own_identity if place in self._anew else one.created_by
            refs = (*one.names, *one.marking_refs, *one.granular_refs, *one.words.refs)
            for name in (*refs, *(() if creator is None else (creator,))):
                if name not in named:
                    named.add(name)
                    if name in by_id:
                        pending.append(by_id[name])
        return named

    def _hold(self, place: int, one: BundleObject, match: _Match) -> None:
        self._left_out.add(place)
        if one.is_added:
            return
        self._result.held[match.author] += 1
        if match.is_revoked:
            self._result.notes.add(AUTHOR_WITHDREW, one.object_id)
        if match.differs:
            self._result.notes.add(HELD_DIFFERS, one.object_id)

    def _refuse(self, place: int, one: BundleObject, reason: str) -> None:
        self._left_out.add(place)
        if not one.is_added:
            self._result.refusals.add(reason, one.object_id)

    def _merge(self, place: int, one: BundleObject) -> None:
        self._left_out.add(place)
        self._result.merged += not one.is_added

    # --- what is said ---

    def _said(self, place: int, one: BundleObject) -> BundleObject | Fault:
        """Returns the object as it is published: as it was read, with references that follow what has another id, or anew."""
        own_id = self._anew.get(place)
        if own_id is None and self._renamed.keys().isdisjoint(one.names):
            return one
        stix, fault = parse_object(one.raw)
        if stix is None:
            return fault or Fault("not-json", "")
        stix = _following(stix, self._renamed)
        if own_id is not None:
            stix = self._in_our_name(stix, own_id, self._matches[place], self._modified[place])
        elif "modified" in stix:  # other content is another version
            before_us = parse_instant(stix["modified"])
            try:
                stix["modified"] = format_instant(max(self._now * SECOND_US, before_us + MILLISECOND_US))
            except OverflowError:  # nothing is later than the last instant there is
                return Fault("bad-timestamp", "/modified")
        return object_of(stix, is_added=one.is_added, around=one.words)

    def _in_our_name(
        self, stix: dict[str, Any], own_id: str, match: _Match, modified_us: int
    ) -> dict[str, Any]:
        derivation: Derivation | None = None
        if self._stance is not Stance.AS_OWN:
            derivation = restating(ObjectOrigin(match.author, match.object_id), match.derivation)
        said = with_derivation(stix, derivation)
        said |= {"id": own_id, "created_by_ref": self._own_identity, "modified": format_instant(modified_us)}
        if parse_instant(said.get("created", "") or said["modified"]) > modified_us:
            said["created"] = said["modified"]
        for name in _TEXTS_WITH_ORIGINS:
            if isinstance(said.get(name), str):
                said[name] = without_origins(said[name])
                if not said[name]:
                    del said[name]
        references = said.get("external_references")
        if isinstance(references, list):
            kept = [one for one in references if not _is_export_reference(one)]
            said["external_references"] = kept
            if not kept:
                del said["external_references"]
        _tighten(said, match.tlp)
        return said


def _batches(places: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(places), OBJECTS_PER_LOOKUP):
        yield places[start : start + OBJECTS_PER_LOOKUP]


def _is_companion(one: BundleObject) -> bool:
    """Returns whether an object is no statement by itself: a definition, an identity, a thing seen (STIX 2.1 section 6, whose
    ids follow from their content, so that any two authors may have the same)."""
    return one.type in (DEFINITION, IDENTITY) or not one.modified


class _Claiming(msgspec.Struct, gc=False):
    """The properties by which an indicator claims something."""

    pattern: str = ""
    pattern_type: str = "stix"
    revoked: bool = False


_decode_claiming: Callable[[bytes], _Claiming] = msgspec.json.Decoder(_Claiming).decode


def _values_of(one: BundleObject) -> frozenset[Observable]:
    """Returns the observables that an object claims."""
    if one.type != "indicator":
        return frozenset()
    said = _decode_claiming(one.raw)
    return frozenset(observables_of(said.pattern)) if said.pattern_type == "stix" else frozenset()


_ABOUT_A_THING = frozenset({"type", "spec_version", "id", "object_marking_refs"})


def _texts_in(said: Any) -> Iterator[str]:
    """Yields the texts and numbers of a cyber-observable object, without those that are about the object itself."""
    if isinstance(said, dict):
        for name, value in said.items():
            if name not in _ABOUT_A_THING:
                yield from _texts_in(value)
    elif isinstance(said, list):
        for value in said:
            yield from _texts_in(value)
    else:
        yield str(said)


def _rule_type(one: BundleObject) -> str:
    """Returns the language of a rule, empty for all else."""
    said = _decode_claiming(one.raw) if one.type == "indicator" else _Claiming()
    return "" if said.pattern_type == "stix" else said.pattern_type


def _name_of(one: BundleObject) -> str:
    name = msgspec.json.decode(one.raw).get("name")
    return name if isinstance(name, str) else ""


def _is_revoked(one: BundleObject) -> bool:
    return b'"revoked"' in one.raw and bool(msgspec.json.decode(one.raw).get("revoked"))


def _is_restated(held: SharedObject) -> bool:
    """Returns whether it passes on what another says."""
    return held.derivation is not None and bool(held.derivation.origins)


def _part_of(values: Sequence[Observable]) -> str:
    return "".join(f":{value.type}:{value.value}" for value in values)


def _event_uuids(author: PartnerId) -> frozenset[str]:
    """Returns the UUIDs of the events of an author's claims in a MISP export."""
    return frozenset(named_id(misp_event_name(author, tlp.name)) for tlp in Tlp)


def _following(value: Any, renamed: Mapping[str, str], name: str = "") -> Any:
    """Returns a JSON value whose references (STIX 2.1 section 2.9) name what `renamed` says. Its depth was checked."""
    if isinstance(value, dict):
        return {key: _following(one, renamed, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_following(one, renamed, name) for one in value]
    if isinstance(value, str) and name.endswith(("_ref", "_refs")) and name not in _NOT_FOLLOWED:
        return renamed.get(value, value)
    return value


_NOT_FOLLOWED = frozenset({"created_by_ref", "object_marking_refs", "marking_ref"})


def _origins_of(one: BundleObject) -> Sequence[ExportOrigin]:
    """Returns the origins that an object names. Where its author wrote so many into it that no look-up is left for another, those
    of its references come first, from the last on: there our exports put the true one."""
    found = origins_in(one.raw)
    if len(found) < ORIGINS_READ_MAX:
        return found
    references = msgspec.json.decode(one.raw).get("external_references")
    urls = (
        [it["url"] for it in references if _is_export_reference(it)] if isinstance(references, list) else []
    )
    last = origins_in(" ".join(urls[: -ORIGINS_READ_MAX - 1 : -1]).encode("utf-8", "replace"))
    return tuple(dict.fromkeys((*last, *found)))


def _is_export_reference(reference: object) -> bool:
    return (
        isinstance(reference, dict)
        and reference.get("source_name") == SOURCE_NAME
        and isinstance(reference.get("url"), str)
        and bool(origins_in(reference["url"].encode("utf-8", "replace")))
    )


def _tighten(stix: dict[str, Any], tlp: Tlp) -> None:
    """Mark an object at least as strictly as `tlp`. One whose level stands in a definition of its own is tightened beside it:
    granular markings count for the whole object (docs/intelligence.md, "Markings")."""
    refs = list(stix.get("object_marking_refs") or ())
    levels = [TLP_IDS[ref] for ref in refs if ref in TLP_IDS]
    if not refs or (len(set(levels)) == 1 and levels[0] < tlp):
        stix["object_marking_refs"] = [*(ref for ref in refs if ref not in TLP_IDS), TLP2_IDS[tlp]]
    elif not levels:
        granular = list(stix.get("granular_markings") or ())
        stix["granular_markings"] = [*granular, {"marking_ref": TLP2_IDS[tlp], "selectors": ["id"]}]
