"""Extraction: one frame (a JSON array of STIX objects) to facts about its objects and the claims in them.

The hot path of publishing and of intake alike, so both keep the same. It decodes only the properties it needs;
what it does not look at stays in the frame. Rules of this file:

1. One bad object costs that object, never the frame; a frame that is no JSON array costs the frame.
2. Depth is checked before any parser runs.
3. A marking only tightens: no object counts as looser than `floor`; what is not understood counts as RED. So do words
   that look like one; nearly always a look at the frame's bytes tells that there are none (`marking_words`).
4. A value that has no canonical form is noted; the object it stands in is kept (docs/intelligence.md).
5. Indicators and relationships are checked as far as they are decoded; everything else fully (`checks`).
6. Extensions are decoded where they may hold what the object stems from, and only then. One that cannot be read refuses the
   object: it must not count as its author's own (`derivation`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.intel.assessing import TYPES as ASSESSMENT_TYPES
from p2pshare.intel.assessing import AssessmentFacts, read_assessment
from p2pshare.intel.checks import find_wrong, is_id, is_id_of, is_indicator_id
from p2pshare.intel.derivation import BAD_DERIVATION, Derivation, may_hold_derivation, read_derivation
from p2pshare.intel.display import is_safe
from p2pshare.intel.instants import parse_instant
from p2pshare.intel.json_rescue import mask_faulty
from p2pshare.intel.json_text import Fault, has_too_many_brackets, is_shallow, parse_object
from p2pshare.intel.marking import MarkingProblem, Meaning, Pap, Tlp, effective, meaning_of
from p2pshare.intel.marking_words import (
    DEFINITION_ID,
    NO_WORDS,
    SHORT_NAMES,
    TOO_MANY,
    Look,
    MarkingWords,
    definitions_named,
    look_at,
    may_hold_words,
    objects_to_look_at,
    words_in_labels_only,
    words_of_bytes,
    words_of_object,
)
from p2pshare.intel.pattern import canonical_comparison, comparisons_of, plain_pair
from p2pshare.intel.refusals import InvalidValue, Refusals
from p2pshare.intel.withdrawing import WITHDRAWAL, WithdrawalFacts, read_withdrawal
from p2pshare.limits import (
    FRAME_BYTES_MAX,
    FRAME_CLAIMS_MAX,
    FRAME_COMMAS_MAX,
    FRAME_OBJECTS_MAX,
    FRAME_PLACES_MAX,
    LABEL_CHARACTERS_MAX,
    LABELS_MAX,
)


class ClaimFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A statement of one author about one observable. Instants in microseconds since 1970, None where absent."""

    type: str
    value: str
    confidence: int | None
    valid_from_us: int | None
    valid_until_us: int | None
    labels: tuple[str, ...]
    revoked: bool
    tlp: Tlp
    pap: Pap | None = None


class ObjectFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An object of a frame; `position` is its index there. `modified_us` is None for types without versions."""

    position: int
    object_id: str
    type: str
    modified_us: int | None
    created_by: str | None
    tlp: Tlp
    revoked: bool
    claims: tuple[ClaimFacts, ...]
    assessment: AssessmentFacts | None = None
    withdrawal: WithdrawalFacts | None = None
    derivation: Derivation | None = None


@dataclass
class Extraction:
    """Facts about one frame. Objects kept and refused add up to the frame's; `notes` counts faults inside kept objects."""

    objects: list[ObjectFacts] = field(default_factory=list)
    refusals: Refusals = field(default_factory=Refusals)
    notes: Refusals = field(default_factory=Refusals)


_NO_EXTENSIONS = msgspec.Raw()


class _Granular(msgspec.Struct, gc=False):
    marking_ref: str = ""


class _Fields(msgspec.Struct, gc=False):
    """Properties of an object that the hot path decodes; the parser skips every other."""

    type: str
    id: str
    created: str = ""
    modified: str = ""
    created_by_ref: str | None = None
    revoked: bool = False
    confidence: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    labels: tuple[str, ...] = ()
    object_marking_refs: tuple[str, ...] = ()
    granular_markings: tuple[_Granular, ...] = ()
    indicator_types: tuple[str, ...] = ()
    pattern: str = ""
    pattern_type: str = "stix"
    valid_from: str = ""
    valid_until: str = ""
    relationship_type: str = ""
    source_ref: str = ""
    target_ref: str = ""
    extensions: msgspec.Raw = _NO_EXTENSIONS


class _CommonFields(msgspec.Struct, gc=False):
    """Properties that are decoded of a type whose other properties may be anything."""

    type: str
    id: str
    modified: str = ""
    created_by_ref: str | None = None
    revoked: bool = False
    object_marking_refs: tuple[str, ...] = ()
    granular_markings: tuple[_Granular, ...] = ()
    extensions: msgspec.Raw = _NO_EXTENSIONS


_decode_frame = msgspec.json.Decoder(list[_Fields]).decode
_decode_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_object = msgspec.json.Decoder(_Fields).decode
_decode_common = msgspec.json.Decoder(_CommonFields).decode
_decode_any = msgspec.json.Decoder().decode
RULE_LANGUAGES = frozenset(
    {"pcre", "sigma", "snort", "suricata", "yara"}
)  # STIX 2.1 section 10.8, but for stix
_FAST_TYPES = frozenset({"indicator", "relationship"})
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Refuse(Exception):
    """Raised to refuse an object; the argument is the reason."""


def extract(
    frame_json: bytes,
    *,
    floor: Tlp,
    definitions: dict[str, Meaning] | None = None,
    claims_max: int = FRAME_CLAIMS_MAX,
) -> Extraction:
    """Returns facts about the objects of one frame. Never raises for what the frame holds.

    `definitions` carries the meaning of marking definitions from one frame of a payload to the next; it is
    added to. Patterns with several values give at most `claims_max` claims together. Refusal reasons: frame-*, and those of `checks` and `json_text`.
    """
    extraction = Extraction()
    if len(frame_json) > FRAME_BYTES_MAX:
        extraction.refusals.add("frame-too-large")
        return extraction
    reader = _FrameReader(extraction, floor, {} if definitions is None else definitions, claims_max)
    try:
        if is_shallow(frame_json):
            # The bytes are looked at while the processor has them at hand, and what is decoded is kept while it has that.
            ids, may_hold = frame_json.count(DEFINITION_ID), may_hold_words(frame_json, SHORT_NAMES)
            reader.read_all(_decode_frame(frame_json), frame_json, ids, may_hold)
            return extraction
    except _UNREADABLE:
        pass
    reader.read_apart(frame_json)
    return extraction


class _FrameReader:
    """Reader of one frame; holds the small caches that make repeated texts free."""

    def __init__(
        self, extraction: Extraction, floor: Tlp, definitions: dict[str, Meaning], claims_max: int
    ) -> None:
        self._extraction = extraction
        self._floor = floor
        self._definitions = definitions
        self._instants: dict[str, int] = {}
        self._levels: dict[tuple[object, ...], tuple[Tlp, Pap | None, str]] = {}
        self._labels: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[tuple[str, ...], int]] = {}
        self._authors: set[str | None] = {None}
        self._assessments: dict[str, AssessmentFacts] = {}
        self._withdrawals: dict[int, WithdrawalFacts] = {}
        self._words: dict[int, MarkingWords] = {}
        self._places_left = FRAME_PLACES_MAX
        self._near_instant: str | None = None
        self._near_instant_us = 0
        self._claims_left = claims_max

    def read_all(self, decoded: list[_Fields], frame_json: bytes, ids: int, may_hold: bool) -> None:
        """Read the frame as it was decoded at once: the ordinary way. `ids`: how often DEFINITION_ID stands in it;
        `may_hold`: whether it may hold other words of marking."""
        if len(decoded) > FRAME_OBJECTS_MAX:
            self._extraction.refusals.add("frame-too-many-objects", count=len(decoded))
            return
        slow = [position for position, fields in enumerate(decoded) if fields.type not in _FAST_TYPES]
        raws: list[msgspec.Raw] = []
        has_other_ids = ids != _definitions_named(decoded)
        if has_other_ids or may_hold:
            labels = [fields.labels for fields in decoded]
            in_labels = None if has_other_ids else words_in_labels_only(frame_json, labels)
            if in_labels is None:
                raws = _decode_raws(frame_json)
                pieces = [bytes(raw) for raw in raws]
                look = look_at(frame_json, SHORT_NAMES)
                all_ = range(len(pieces))
                for position in all_ if has_other_ids else objects_to_look_at(pieces, look):
                    self._look_for_words(position, pieces[position], decoded[position], look)
            else:
                self._words = in_labels
        if not slow:
            self._keep(decoded)
            return
        parts: list[_Fields | _CommonFields | str] = [*decoded]
        raws = raws or _decode_raws(frame_json)
        for position in slow:
            parts[position] = self._check_fully(position, bytes(raws[position])) or decoded[position]
        self._keep(parts)

    def read_apart(self, frame_json: bytes) -> None:
        """Read one object at a time: the slow way, when at least one object could not be decoded."""
        refusals = self._extraction.refusals
        if frame_json.count(b",") > FRAME_COMMAS_MAX:
            refusals.add("frame-malformed")
            return
        try:
            faults: Mapping[int, Fault] = {}
            try:
                raws = _decode_raws(frame_json) if is_shallow(frame_json) else None
            except _UNREADABLE:
                raws = None
            if raws is None:
                text, faults = mask_faulty(frame_json)  # the slowest there is: never twice
                raws = _decode_raws(text)
        except (*_UNREADABLE, AuthorError):
            refusals.add("frame-malformed")
            return
        if len(raws) > FRAME_OBJECTS_MAX:
            refusals.add("frame-too-many-objects", count=len(raws))
            return
        parts: list[_Fields | _CommonFields | str] = []
        for position, raw in enumerate(raws):
            piece = bytes(raw)
            number = piece[1:-1]
            if faults and piece[:1] == b'"' and number.isdigit() and int(number) in faults:
                parts.append(faults[int(number)].reason)
            else:
                part = self._decode_apart(position, piece)
                if not isinstance(part, str):
                    self._look_for_words(position, piece, part, look_at(piece, SHORT_NAMES))
                parts.append(part)
        self._keep(parts)

    def _keep(self, parts: Iterable[_Fields | _CommonFields | str]) -> None:
        """Keep each decoded object in its place, and count each reason that stands where one was not decoded."""
        keep, refuse = self._extraction.objects.append, self._extraction.refusals.add
        plain_facts, facts = self._plain_facts, self._facts
        has_words, words_at = bool(self._words), self._words.get
        # Neighbours have the same markings and labels, mostly.
        near_refs: tuple[str, ...] = ()
        near_words: MarkingWords | None = None
        levels: tuple[Tlp, Pap | None, str] | None = None
        near_labels: tuple[str, ...] = ()
        near_types: tuple[str, ...] = ()
        kept: tuple[tuple[str, ...], int] = ((), 0)
        for position, part in enumerate(parts):
            try:
                if type(part) is not _Fields:
                    if isinstance(part, str):
                        raise _Refuse(part)
                    keep(facts(position, part))
                    continue
                refs, words = part.object_marking_refs, words_at(position) if has_words else None
                if refs != near_refs or words is not near_words or levels is None:
                    levels = self._levels.get((refs, (), words) if words else (refs, ()))
                    near_refs, near_words = refs, words
                if part.labels != near_labels or part.indicator_types != near_types:
                    near_labels, near_types = part.labels, part.indicator_types
                    kept = self._kept_labels((near_labels, near_types))
                plain = plain_facts(position, part, levels, kept)
                keep(facts(position, part) if plain is None else plain)
            except _Refuse as refused:
                refuse(str(refused))

    def _decode_apart(self, position: int, piece: bytes) -> _Fields | _CommonFields | str:
        """Returns one object decoded, or the reason to refuse it. A neighbour must not change the answer: so
        the same types are checked as far, and as fully, as when the whole frame is decoded at once."""
        try:
            fields = _decode_object(piece)
        except _UNREADABLE:
            fields = None
        if fields is not None and fields.type in _FAST_TYPES:
            return fields
        reason = self._check_fully(position, piece)
        if reason or fields is not None:
            return reason or fields or "wrong-type"
        try:
            common = _decode_common(piece)
        except _UNREADABLE:
            return "wrong-type"
        return "wrong-type" if common.type in _FAST_TYPES else common

    def _look_for_words(
        self, position: int, piece: bytes, fields: _Fields | _CommonFields, look: Look
    ) -> None:
        """Remembers the marking words of one object, beside its references to markings."""
        references = definitions_named(fields.object_marking_refs) + definitions_named(
            tuple([one.marking_ref for one in fields.granular_markings])
        )
        labels = fields.labels if isinstance(fields, _Fields) else ()
        words = words_of_bytes(piece, references, labels, look)
        if isinstance(words, int):
            self._places_left -= words
            words = self._words_inside(piece) if self._places_left > 0 else TOO_MANY
        if words:
            self._words[position] = words

    def _words_inside(self, piece: bytes) -> MarkingWords:
        if has_too_many_brackets(piece):
            return TOO_MANY
        try:
            stix = _decode_any(piece)
        except _UNREADABLE:
            stix = parse_object(piece)[0]
        return words_of_object(stix) if isinstance(stix, dict) else NO_WORDS

    def _check_fully(self, position: int, piece: bytes) -> str:
        """Returns the reason to refuse an object, or "". Remembers the meaning of a marking definition, and
        the facts of an assessment or a withdrawal."""
        stix, fault = parse_object(piece)
        if stix is None:
            return fault.reason if fault else "not-json"
        fault = find_wrong(stix)
        if fault is not None:
            return fault.reason
        if stix["type"] == "marking-definition":
            self._definitions[stix["id"]] = meaning_of(stix)
        if stix["type"] in ASSESSMENT_TYPES:
            assessment = read_assessment(stix)
            if assessment is not None:
                self._assessments[stix["id"]] = assessment
        if stix["type"] == WITHDRAWAL:
            withdrawal = read_withdrawal(stix)
            if withdrawal is None:
                self._extraction.notes.add("bad-withdrawal", stix["id"])
            else:
                self._withdrawals[position] = withdrawal
        return ""

    def _plain_facts(
        self,
        position: int,
        fields: _Fields,
        levels: tuple[Tlp, Pap | None, str] | None,
        kept: tuple[tuple[str, ...], int],
    ) -> ObjectFacts | None:
        """Returns the facts of an ordinary indicator: one value that is canonical as it stands, and an author and markings
        that this frame had before. Fast path over `_facts`: None decides nothing, and counts nothing."""
        pair = plain_pair(fields.pattern)
        author = fields.created_by_ref
        if (
            pair is None
            or levels is None
            or fields.type != "indicator"
            or fields.pattern_type != "stix"
            or author not in self._authors
            or fields.granular_markings
            or (fields.extensions and may_hold_derivation(bytes(fields.extensions)))
            or is_indicator_id(fields.id) is None
        ):
            return None
        tlp, pap, problem = levels
        labels, dropped = kept
        if problem or dropped:
            return None
        modified, valid_from, valid_until = fields.modified, fields.valid_from, fields.valid_until
        try:
            if modified != self._near_instant:
                self._near_instant_us, self._near_instant = self._instant(modified), modified
            modified_us = self._near_instant_us
            if fields.created != modified:
                self._instant(fields.created)
            from_us = modified_us if valid_from == modified else self._instant(valid_from)
            until_us = self._instants.get(valid_until) or self._instant(valid_until) if valid_until else None
        except _Refuse:
            return None
        revoked = fields.revoked
        claim = ClaimFacts(*pair, fields.confidence, from_us, until_us, labels, revoked, tlp, pap)
        return ObjectFacts(position, fields.id, "indicator", modified_us, author, tlp, revoked, (claim,))

    def _facts(self, position: int, fields: _Fields | _CommonFields) -> ObjectFacts:
        type_ = fields.type
        if not is_id_of(fields.id, type_):
            raise _Refuse("bad-id")
        author = fields.created_by_ref
        if author not in self._authors:
            if not is_id(author):
                raise _Refuse("bad-id")
            self._authors.add(author)
        derivation = _derivation_in(bytes(fields.extensions)) if fields.extensions else None
        tlp, pap = self._marking(fields, self._words.get(position, NO_WORDS))
        modified = fields.modified
        modified_us = self._instant(modified) if modified else None
        claims: tuple[ClaimFacts, ...] = ()
        if type_ in _FAST_TYPES and isinstance(fields, _Fields):
            if modified_us is None:
                raise _Refuse("missing-property")
            if fields.created != modified:
                self._instant(fields.created)
            if type_ == "indicator":
                claims = self._claims(fields, tlp, pap)
            else:
                _check_relationship(fields)
        assessment = self._assessments.get(fields.id) if type_ in ASSESSMENT_TYPES else None
        withdrawal = self._withdrawals.get(position)
        return ObjectFacts(
            position,
            fields.id,
            type_,
            modified_us,
            author,
            tlp,
            fields.revoked,
            claims,
            assessment,
            withdrawal,
            derivation,
        )

    def _claims(self, fields: _Fields, tlp: Tlp, pap: Pap | None) -> tuple[ClaimFacts, ...]:
        if not fields.pattern or not fields.valid_from:
            raise _Refuse("missing-property")
        from_us = self._instant(fields.valid_from)
        until_us = self._instant(fields.valid_until) if fields.valid_until else None
        if fields.pattern_type != "stix":
            if fields.pattern_type not in RULE_LANGUAGES:
                self._extraction.notes.add("opaque-pattern", f"{fields.id}: {fields.pattern_type}")
            return ()
        pairs = self._observables(fields.pattern, fields.id)
        if not pairs:
            return ()
        labels, dropped = self._kept_labels((fields.labels, fields.indicator_types))
        if dropped:
            self._extraction.notes.add("label-dropped", count=dropped)
        confidence, revoked = fields.confidence, fields.revoked
        if len(pairs) == 1:
            type_, value = pairs[0]
            return (ClaimFacts(type_, value, confidence, from_us, until_us, labels, revoked, tlp, pap),)
        return tuple(
            [
                ClaimFacts(type_, value, confidence, from_us, until_us, labels, revoked, tlp, pap)
                for type_, value in dict.fromkeys(pairs)
            ]
        )

    def _kept_labels(self, said: tuple[tuple[str, ...], tuple[str, ...]]) -> tuple[tuple[str, ...], int]:
        found = self._labels.get(said)
        if found is None:
            found = self._labels[said] = _kept_labels(said[0] + said[1])
        return found

    def _observables(self, pattern: str, object_id: str) -> Sequence[tuple[str, str]]:
        """Returns (type, canonical value) of each value that the pattern equals; one without canonical form is noted, and so is
        a pattern that equals none: somebody meant it to be detected."""
        found = []
        if self._claims_left <= 0 and pattern.count("'") > 2:  # not even to be parsed
            raise _Refuse("frame-too-many-claims")
        comparisons = comparisons_of(pattern)
        if not comparisons:
            self._extraction.notes.add("opaque-pattern", object_id)
        if len(comparisons) > 1:
            if len(comparisons) > self._claims_left:
                self._claims_left = 0
                raise _Refuse("frame-too-many-claims")
            self._claims_left -= len(comparisons)
        for type_, text in comparisons:
            try:
                found.append(canonical_comparison(type_, text))
            except InvalidValue as invalid:
                self._extraction.notes.add(invalid.reason, text)
        return found

    def _instant(self, text: str) -> int:
        instant = self._instants.get(text)
        if instant is None:
            try:
                instant = parse_instant(text)
            except ValueError:
                raise _Refuse("bad-timestamp" if text else "missing-property") from None
            self._instants[text] = instant
        return instant

    def _marking(self, fields: _Fields | _CommonFields, words: MarkingWords) -> tuple[Tlp, Pap | None]:
        """Returns the effective levels; the TLP is at least the floor, and the floor where there is no marking at all."""
        granular: tuple[str, ...] = ()
        if fields.granular_markings:
            granular = tuple([one.marking_ref for one in fields.granular_markings if one.marking_ref])
        key: tuple[object, ...] = (fields.object_marking_refs, granular)
        if words:
            key = (*key, words)
        found = self._levels.get(key)
        if found is None:
            marking = effective(fields.object_marking_refs, granular, self._definitions, words)
            problem = ""
            if isinstance(marking, MarkingProblem):
                problem = "" if marking.reason == "no-marking" else marking.reason
                marking = marking.at_least
            found = self._levels[key] = (max(self._floor, marking.tlp), marking.pap, problem)
        tlp, pap, problem = found
        if problem:
            self._extraction.notes.add(problem, fields.id)
        return tlp, pap


def _definitions_named(decoded: Sequence[_Fields]) -> int:
    """Returns how often DEFINITION_ID stands in the objects' references to markings, but for granular ones."""
    references = [fields.object_marking_refs for fields in decoded]
    first = references[0] if references else ()
    alike = references.count(first)
    others = [refs for refs in references if refs != first] if alike < len(references) else ()
    return definitions_named(first) * alike + sum([definitions_named(refs) for refs in others])


def _derivation_in(extensions: bytes) -> Derivation | None:
    """Returns what an object with these extensions says it stems from. What is decoded is bounded: brackets beyond measure are
    no derivation."""
    if not may_hold_derivation(extensions):
        return None
    if has_too_many_brackets(extensions):
        raise _Refuse(BAD_DERIVATION)
    try:
        return read_derivation({"extensions": _decode_any(extensions)})
    except (*_UNREADABLE, AuthorError):
        raise _Refuse(BAD_DERIVATION) from None


def _kept_labels(labels: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    """Returns the labels that may be kept, each once, and the number of the others."""
    distinct = tuple(dict.fromkeys(labels))
    kept = tuple(
        label for label in distinct if label and len(label) <= LABEL_CHARACTERS_MAX and is_safe(label)
    )[:LABELS_MAX]
    return kept, len(distinct) - len(kept)


def _check_relationship(fields: _Fields) -> None:
    if not fields.relationship_type:
        raise _Refuse("missing-property")
    if not is_id(fields.source_ref) or not is_id(fields.target_ref):
        raise _Refuse("bad-id" if fields.source_ref and fields.target_ref else "missing-property")
