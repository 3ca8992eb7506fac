"""Drafting: a person's file becomes parts, each of one marking and ready to be sealed. Runs where the person is.

Parts are made one after another while the file is read (`open_draft`): of a list of any length one part is in memory, and
what was seen of it lies on the disk. Objects are told apart only in a text that is held whole, so their file is bounded.

Nothing here touches keys or the store's writer: the daemon takes the parts, believes them no more than a
partner's payload, resolves the audience and seals (docs/decisions/0003). What was read = published + merged + held
by others + refused by reason, always.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from io import BufferedReader
from itertools import islice
from typing import BinaryIO

import msgspec

from p2pshare.database.seen_keys import SeenKeys
from p2pshare.envelope.payload import compress_frame
from p2pshare.errors import AuthorError, RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.importers.detection import detect_format
from p2pshare.importers.interface import InputSource, ListValue, ObjectFormat, TakenValue, ValueFormat
from p2pshare.importers.registry import load_importer
from p2pshare.importers.values import under_marking
from p2pshare.intel.authoring import (
    identity_id,
    identity_object,
    incident_label,
    indicator_id,
    indicator_object,
    vulnerability_object,
)
from p2pshare.intel.bundle import BundleObject, Reading, frames
from p2pshare.intel.grouping import DEFINITION, MarkingGroup, split_by_marking
from p2pshare.intel.instants import SECOND_US, parse_instant
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.intel.refusals import Note, Refusal, Refusals
from p2pshare.knowledge.interface import OwnFinding
from p2pshare.limits import (
    ENVELOPE_OBJECTS_TARGET,
    ENVELOPE_PAYLOAD_BYTES_TARGET,
    FRAME_OBJECTS_MAX,
    INFLATED_BYTES_MAX,
    INPUT_BYTES_MAX,
)
from p2pshare.node.node import Progress
from p2pshare.node.store import StoreReading
from p2pshare.policy.content_cost import ROW_CHARACTERS, ContentBounds
from p2pshare.sharing.already_held import NothingShared, SharedIndex, Sifted, Stance, sift

HEAD_BYTES = 4_096  # enough to tell JSON from a list behind a few blank lines
COLUMN_VALUES_SHOWN = 5  # of each column that is read: enough to see whose they are
REPEATED = "repeated"
MENDED_BY_MARKING = frozenset({"no-marking", "event-distribution"})
UNDEFANGED_HINT = "look at them (--rejects FILE), then give --undefanged to take what nobody defanged, too"
MARKED_STRICTER_HINT = "publish what is marked stricter apart, under its own --tlp"
NO_MARKING_HINT = "give --tlp LEVEL for what has no marking: clear, green, amber, amber+strict or red"

NOTHING_SHARED = NothingShared()

Reject = Callable[[Refusal], None]
FirstCreated = Callable[[Mapping[str, Observable]], Mapping[str, int]]
"""Indicators by id -> those that we have published before, with the first time (unix seconds)."""


@dataclass(frozen=True)
class DraftPart:
    """The content of one envelope to be: compressed frames of STIX objects under one marking.

    `repeats` of the `objects` were not read as such: they stand in another part too, or were added for reading.
    """

    tlp: Tlp
    frames: tuple[bytes, ...]
    objects: int
    repeats: int = 0


@dataclass(frozen=True)
class Author:
    """The publisher: id and name as on the card."""

    partner_id: PartnerId
    name: str


@dataclass
class Draft:
    """A file, read, or as far as its parts were walked. `read` = what the parts hold + `merged` + `held` + refusals.total."""

    format: str
    author: Author
    read: int = 0
    merged: int = 0
    held: Counter[PartnerId] = field(default_factory=Counter)
    """How many objects each author has shared already (`already_held`)."""
    findings: list[OwnFinding] = field(default_factory=list)
    refusals: Refusals = field(default_factory=Refusals)
    notes: Refusals = field(default_factory=Refusals)
    """Things dropped from, or assumed about, values that were taken (`port-dropped`, ...)."""
    values: list[Observable] | None = None
    """Values found in a text that was searched (`ValueFormat.is_searched`): nobody has seen them as values yet. Else None."""
    columns: dict[str, list[Observable]] = field(default_factory=dict)
    """The first values of each column of a table that was read, by its title."""
    reject: Reject = lambda _: None
    """Called with each refusal: the counts keep only a few examples."""

    def refuse(self, refusal: Refusal) -> None:
        """Count a refusal and pass it on."""
        self.refusals.add_refusal(refusal)
        self.reject(refusal)

    @property
    def hint(self) -> str:
        """Returns the remedy for a refusal that a person can mend here, or an empty text."""
        if not MENDED_BY_MARKING.isdisjoint(self.refusals.counts):
            return NO_MARKING_HINT
        if "marked-stricter" in self.refusals.counts:
            return MARKED_STRICTER_HINT
        return UNDEFANGED_HINT if "not-defanged" in self.refusals.counts else ""


def nothing_before(by_id: Mapping[str, Observable]) -> Mapping[str, int]:
    """Returns nothing: for a draft that cannot see the store every indicator counts as new."""
    return {}


def published_before(store: StoreReading, author: PartnerId) -> FirstCreated:
    """Returns a function that asks the store. Our indicators of values are valid from their creation, which a new version keeps
    (STIX 2.1 section 3.2: `created` never changes), so the current claim tells it."""

    def first_created(by_id: Mapping[str, Observable]) -> Mapping[str, int]:
        found = store.knowledge.lookup(by_id.values())
        return {
            object_id: claim.valid_from_us // SECOND_US
            for object_id, observable in by_id.items()
            for claim in found.get(observable, ())
            if claim.author == author and claim.object_id == object_id and claim.valid_from_us is not None
        }

    return first_created


def open_draft(
    stream: BufferedReader,
    *,
    name: str,
    format_name: str,
    tlp: Tlp | None,
    author: Author,
    now: int,
    first_created: FirstCreated,
    progress: Progress,
    columns: tuple[str, ...] = (),
    takes_undefanged: bool = False,
    reject: Reject = lambda _: None,
    shared: SharedIndex = NOTHING_SHARED,
    stance: Stance = Stance.LEAVE,
    incident: str = "",
) -> tuple[Draft, Iterator[DraftPart]]:
    """Begin to read `stream` (called `name`) as `format_name`: auto, or a name in `importers.registry`. Returns the draft, and
    its parts to be walked once: its counts are whole when the last was taken.

    `reject` is called with each refusal; `shared` knows what is held from others, and `stance` what we say of it; values
    are indicators of their own in an `incident`. Raises
    AuthorError when nothing in it can be read or a list of values is to be restated, RefusedError for values without `tlp`;
    walking the parts raises AuthorError, and DiskFull where there is no room to note what was seen.
    """
    chosen = detect_format(stream.peek(HEAD_BYTES), name) if format_name == "auto" else format_name
    source = InputSource(name, author.partner_id, now, tlp, columns, takes_undefanged)
    draft = Draft(chosen, author, reject=reject)
    match load_importer(chosen):
        case ObjectFormat(read=read_objects):
            reading = read_objects(_read_bounded(stream), source)
            sifted = sift(reading.objects, shared, own=author.partner_id, now=now, stance=stance)
            return draft, _draft_objects(reading, sifted, draft, tlp, author, now, progress)
        case ValueFormat(read=read_values, is_searched=is_searched):
            if stance in (Stance.RESTATE, Stance.AFFIRM):
                raise AuthorError(
                    "a list of values does not say whose they are, so nothing in it can be passed on",
                    hint="publish it as your own, or restate STIX or MISP that was exported from here",
                    reason="nothing-to-restate",
                )
            if tlp is None:
                raise RefusedError(
                    "a list of values carries no marking", hint=NO_MARKING_HINT, reason="no-marking"
                )
            draft.values = [] if is_searched else None
            found = under_marking(read_values(stream, source), tlp)
            return draft, _draft_values(found, draft, tlp, author, now, first_created, progress, incident)


def _read_bounded(stream: BinaryIO) -> bytes:
    """Returns the whole file: objects are told apart only in a text that is held whole. Raises AuthorError."""
    raw = stream.read(INPUT_BYTES_MAX + 1)
    if len(raw) > INPUT_BYTES_MAX:
        raise AuthorError(
            f"the input is larger than {INPUT_BYTES_MAX} bytes", hint="split it", reason="input-too-large"
        )
    return raw


def _draft_objects(
    reading: Reading,
    sifted: Sifted,
    draft: Draft,
    tlp: Tlp | None,
    author: Author,
    now: int,
    progress: Progress,
) -> Iterator[DraftPart]:
    grouping = split_by_marking(sifted.taken, tlp, sifted.beside)
    draft.read = reading.read
    draft.held, draft.findings = sifted.held, sifted.findings
    for notes in (reading.notes, sifted.notes, grouping.notes):
        draft.notes.merge(notes)
    _note_what_is_over(sifted.taken, draft.notes, now)
    for refusals in (reading.refusals, sifted.refusals, grouping.refusals):
        draft.refusals.merge(refusals)
        for refusal in refusals.each:
            if refusal.reason != REPEATED:
                draft.reject(refusal)
    draft.merged = draft.refusals.take(REPEATED) + sifted.merged
    done = 0
    for group in grouping.groups:
        for part in _parts_of(group, author, now):
            done += part.objects
            progress("drafted", done, reading.read)
            yield part


class _End(msgspec.Struct, gc=False):
    """When an indicator ends."""

    type: str
    id: str
    valid_until: str = ""
    revoked: bool = False


_decode_end = msgspec.json.Decoder(_End).decode


def _note_what_is_over(objects: Iterable[BundleObject], notes: Refusals, now: int) -> None:
    """Note the indicators that count for nobody any more: who publishes them may take them for news."""
    for one in objects:
        if one.type != "indicator" or b"valid_until" not in one.raw:
            continue
        end = _decode_end(one.raw)
        if end.valid_until and not end.revoked and parse_instant(end.valid_until) <= now * SECOND_US:
            notes.add("expired", one.object_id)


def _own_identity(objects: Sequence[BundleObject], tlp: Tlp, author: Author, now: int) -> list[bytes]:
    """Returns our identity as a frame of its own, where objects of ours are and it is not among them."""
    own_id = identity_id(author.partner_id)
    if any(one.object_id == own_id for one in objects) or not any(
        one.created_by == own_id for one in objects
    ):
        return []
    return [b"[" + identity_object(author.partner_id, author.name, created=now, tlp=tlp) + b"]"]


def _parts_of(group: MarkingGroup, author: Author, now: int) -> Iterator[DraftPart]:
    """Yields a group in envelopes of bounded size. Each holds the marking definitions, for each is read on its own."""
    definitions = [one for one in group.objects if one.type == DEFINITION]
    others = [one for one in group.objects if one.type != DEFINITION]
    repeats = group.repeats  # companions stand first, so those that stand elsewhere too are in the first part
    for run in _envelopes_of(others) if others else [[]]:
        for added, objects, compressed in _sealable(run, definitions, group.tlp, author, now):
            count = len(added) + len(definitions) + len(objects)
            beside = len(added) + sum(one.is_added for one in objects)
            yield DraftPart(group.tlp, compressed, count, beside + repeats)
            repeats = len(definitions)


def _sealable(
    objects: Sequence[BundleObject],
    definitions: Sequence[BundleObject],
    tlp: Tlp,
    author: Author,
    now: int,
) -> Iterator[tuple[list[bytes], Sequence[BundleObject], tuple[bytes, ...]]]:
    """Yields (frames added, objects, all frames compressed) of one envelope each, within what its size allows its content
    (`policy.content_cost`): where it is too much, each half is an envelope of its own."""
    added = _own_identity(objects, tlp, author, now)
    texts = [*added, *frames([*definitions, *objects])]
    compressed = tuple(map(compress_frame, texts))
    size = sum(map(len, texts))
    bounds = ContentBounds.of(sum(map(len, compressed)))
    # what a pattern names stands in quotation marks: never fewer than its claims
    rows = sum(one.raw.count(b"'") // 2 for one in objects) + size // ROW_CHARACTERS
    count = len(added) + len(definitions) + len(objects)
    if len(objects) < 2 or bounds.allow(objects=count, rows=rows, inflated_bytes=size):
        yield added, objects, compressed
        return
    middle = len(objects) // 2
    for half in (objects[:middle], objects[middle:]):
        yield from _sealable(half, definitions, tlp, author, now)


def _envelopes_of(objects: Iterable[BundleObject]) -> Iterator[list[BundleObject]]:
    """Yields runs of objects that fit one envelope: by number, and by bytes before compression (a quarter of the limit
    for what is inflated, which after compression also keeps to the payload's target)."""
    bytes_max = min(INFLATED_BYTES_MAX // 4, 2 * ENVELOPE_PAYLOAD_BYTES_TARGET)
    run: list[BundleObject] = []
    size = 0
    for one in objects:
        if run and (len(run) >= ENVELOPE_OBJECTS_TARGET or size + len(one.raw) > bytes_max):
            yield run
            run, size = [], 0
        run.append(one)
        size += len(one.raw)
    if run:
        yield run


def _draft_values(
    found: Iterator[TakenValue],
    draft: Draft,
    tlp: Tlp,
    author: Author,
    now: int,
    first_created: FirstCreated,
    progress: Progress,
    incident: str,
) -> Iterator[DraftPart]:
    identity = identity_object(author.partner_id, author.name, created=now, tlp=tlp)
    pending: list[bytes] = []
    held = 0
    with closing(SeenKeys(_key_of)) as seen:
        values = _distinct(found, draft, seen)
        while batch := list(islice(values, FRAME_OBJECTS_MAX - 1)):
            objects = _indicators(batch, draft, tlp, author, now, first_created, incident)
            first = [identity] if not pending else []
            if objects:
                pending.append(compress_frame(b"[" + b",".join(first + objects) + b"]"))
                held += len(objects)
            progress("read", draft.read, 0)
            if held + FRAME_OBJECTS_MAX > ENVELOPE_OBJECTS_TARGET:
                yield DraftPart(tlp, tuple(pending), held + 1, 1)
                pending, held = [], 0
    if pending:
        yield DraftPart(tlp, tuple(pending), held + 1, 1)


def _distinct(found: Iterator[TakenValue], draft: Draft, seen: SeenKeys[Observable]) -> Iterator[Observable]:
    """Yields the values, each once, and counts refusals, notes and repeats; runs of them are looked up together."""
    while run := list(islice(found, FRAME_OBJECTS_MAX)):
        values = [one for one in run if isinstance(one, ListValue)]
        is_new = dict(zip(map(id, values), seen.add([one.observable for one in values]), strict=True))
        for one in run:
            if isinstance(one, Note):
                draft.notes.add_refusal(one)
                continue
            draft.read += 1
            if isinstance(one, Refusal):
                draft.refuse(one)
            elif not is_new[id(one)]:
                draft.merged += 1
            else:
                _note_value(one, draft)
                yield one.observable


def _key_of(observable: Observable) -> bytes:
    """Returns 16 bytes that stand for a value: among a billion of them no two are alike."""
    return hashlib.blake2b(f"{observable.type}\0{observable.value}".encode(), digest_size=16).digest()


def _note_value(one: ListValue, draft: Draft) -> None:
    if one.note:
        draft.notes.add(one.note, f"line {one.line}: {one.observable.value}")
    if draft.values is not None:
        draft.values.append(one.observable)
    if one.column:
        first = draft.columns.setdefault(one.column, [])
        if len(first) < COLUMN_VALUES_SHOWN:
            first.append(one.observable)


def _indicators(
    batch: Sequence[Observable],
    draft: Draft,
    tlp: Tlp,
    author: Author,
    now: int,
    first_created: FirstCreated,
    incident: str,
) -> list[bytes]:
    """Returns one indicator a value (a vulnerability for a CVE id); a value that we published before is a new version of
    the same object."""
    by_id = {indicator_id(author.partner_id, observable, incident): observable for observable in batch}
    created = first_created(by_id)
    objects = []
    for object_id, observable in by_id.items():
        if observable.type == "cve":
            objects.append(vulnerability_object(observable.value, author=author.partner_id, now=now, tlp=tlp))
            continue
        try:
            objects.append(
                indicator_object(
                    observable,
                    object_id=object_id,
                    author=author.partner_id,
                    created=created.get(object_id, now),
                    modified=now,
                    tlp=tlp,
                    labels=(incident_label(incident),) if incident else (),
                )
            )
        except AuthorError as error:
            draft.refuse(Refusal(error.reason, "", observable.value))
    return objects
