"""A space in one file: everything that a node holds of it, to be kept, handed on or checked anywhere (docs/spaces.md, "A space in a file").

::

    file  = frame(head) frame(card)* frame(entry)* frame(digest)
    frame = length (4 bytes, big-endian) || that many bytes
    head  = ["p2ps", 1, realm (bin 16), space (bin 32), number of cards, number of entries]     canonical encoding

Rules:

1. One order: cards by partner id, entries by (depth, id). Who holds the same writes the same bytes, and parents come before children.
2. Nothing in it is believed for standing in it: `examine` asks all rules of what is taken in but 8 and 9, with the cards in the file
   alone. A card's partner id follows from its first roots; whose it is, people compare.
3. A file that ends early or has a byte more is told by its counts and digest, so a damaged copy is known as such. They prove nothing of
   who made it: what an author has signed cannot be changed, and that nothing newer was left out nobody can see.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from p2pshare.envelope.card import believe_chain
from p2pshare.envelope.card_format import CardBody, decode_versions
from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.envelope.entry import VerifiedEntry, decode_entry, verify_entry
from p2pshare.errors import PeerError
from p2pshare.identifiers import EntryId, PartnerId, Realm
from p2pshare.limits import (
    CARD_CHAIN_BYTES_MAX,
    ENTRY_BYTES_MAX,
    ENTRY_NUMBER_MAX,
    SPACE_MEMBERS_MAX,
)
from p2pshare.spaces.canonical import canonical, unfolded
from p2pshare.spaces.fold import SpaceFold, SpaceState
from p2pshare.spaces.taking_in import Awaited, Held, SpaceIntake, key_for
from p2pshare.spaces.vertex import SpaceEntry

FILE_MAGIC = b"p2ps"
FORMAT_VERSION = 1
DOMAIN_SPACE_FILE = b"p2pshare/v1/space-file\x00"
DIGEST_BYTES = 48
HEAD_BYTES_MAX = 80  # of the largest numbers it is 71
FILE_ENTRIES_MAX = SPACE_MEMBERS_MAX * ENTRY_NUMBER_MAX  # a node holds no more of one space
_LENGTH_BYTES = 4

WAITS_FOR_CARD = "card"
WAITS_FOR_PARENTS = "parents"


@dataclass(frozen=True, slots=True)
class EntryProblem:
    """An entry of a file that is not taken in, or waits for what is not in the file: its place from 1, and the code of the rule. No
    id where it had no shape."""

    number: int
    entry_id: EntryId | None
    reason: str


@dataclass(slots=True)
class SpaceFileReport:
    """What a file holds, and what is wrong with it."""

    realm: Realm | None = None
    space: EntryId | None = None
    names: dict[PartnerId, str] = field(default_factory=dict)
    """Of each card that is good, what it says its owner is called."""
    bad_cards: int = 0
    entries: int = 0
    """Entries in the file, as far as it could be read."""
    held: int = 0
    without_body: int = 0
    problems: list[EntryProblem] = field(default_factory=list)
    fault: str = ""
    """What is wrong with the file itself, from where on it was not read; empty: nothing."""
    state: SpaceState | None = None
    has_other_rules: bool = False
    """The space has rules that this program does not know: who leads it nobody can say here."""
    output: bytes = b""
    """The canonical output, where there is an opening."""

    @property
    def verdict(self) -> str:
        """Returns good, bad, or incomplete: nothing is wrong, but cards of authors are missing, or its rules are not known."""
        reasons = {one.reason for one in self.problems}
        if self.fault or self.bad_cards or (not self.output and WAITS_FOR_CARD not in reasons):
            return "bad"
        if not reasons:
            return "incomplete" if self.has_other_rules else "good"
        is_explained = WAITS_FOR_CARD in reasons and reasons <= {WAITS_FOR_CARD, WAITS_FOR_PARENTS}
        return "incomplete" if is_explained else "bad"


def write_space(
    realm: Realm,
    space: EntryId,
    cards: Mapping[PartnerId, bytes],
    entries: Iterable[VerifiedEntry],
    count: int,
) -> Iterator[bytes]:
    """Yields the bytes of a file. `entries` by (depth, id), `count` of them; `cards` are card files with every version."""
    hashed = hashlib.sha384(DOMAIN_SPACE_FILE)
    head = pack([FILE_MAGIC, FORMAT_VERSION, realm, space, len(cards), count])
    for content in _contents(head, cards, entries):
        framed = len(content).to_bytes(_LENGTH_BYTES, "big") + content
        hashed.update(framed)
        yield framed
    yield DIGEST_BYTES.to_bytes(_LENGTH_BYTES, "big") + hashed.digest()


def _contents(
    head: bytes, cards: Mapping[PartnerId, bytes], entries: Iterable[VerifiedEntry]
) -> Iterator[bytes]:
    yield head
    for _, card in sorted(cards.items()):
        yield card
    for entry in entries:
        yield entry.wire


class _Frames:
    """The frames of a file, front to back, with the digest over those that were read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hashed = hashlib.sha384(DOMAIN_SPACE_FILE)

    def next(self, most: int) -> bytes:
        """Returns the next frame's bytes. Raises PeerError `truncated`, `oversized`."""
        length = self._take(_LENGTH_BYTES)
        size = int.from_bytes(length, "big")
        if size > most:
            raise refusal("oversized", "a part of the file is larger than it may be")
        content = self._take(size)
        self._hashed.update(length + content)
        return content

    def end(self) -> None:
        """Require the digest, and nothing behind it. Raises PeerError `truncated`, `wrong-digest`, `malformed`."""
        expected = self._hashed.digest()
        length = self._take(_LENGTH_BYTES)
        if length != DIGEST_BYTES.to_bytes(_LENGTH_BYTES, "big") or self._take(DIGEST_BYTES) != expected:
            raise refusal("wrong-digest", "the file is not as it was written")
        if self._stream.read(1):
            raise refusal("malformed", "bytes follow the end")

    def _take(self, size: int) -> bytes:
        taken = self._stream.read(size)
        if len(taken) < size:
            raise refusal("truncated", "the file ends too early")
        return taken


def _read_head(raw: bytes) -> tuple[Realm, EntryId, int, int]:
    """Returns realm, space, and the numbers of cards and entries. Raises PeerError `malformed`, `not-canonical`, `unknown-version`."""
    reader = Reader(raw)
    reader.array(6, 6)
    if reader.blob(4, 4) != FILE_MAGIC:
        raise refusal("malformed", "not a file of a space")
    if reader.integer() != FORMAT_VERSION:
        raise refusal("unknown-version", "a format that this program does not know")
    realm = Realm(reader.blob(Realm.length, Realm.length))
    space = EntryId(reader.blob(EntryId.length, EntryId.length))
    cards, entries = reader.integer(FILE_ENTRIES_MAX), reader.integer(FILE_ENTRIES_MAX)
    reader.end()
    return realm, space, cards, entries


def examine(stream: BinaryIO, progress: Callable[[int, int], None]) -> SpaceFileReport:
    """Returns what a file holds, and everything that is wrong with it; `progress` is told of how many entries of how many were checked."""
    report = SpaceFileReport()
    frames = _Frames(stream)
    fold = SpaceFold()
    try:
        report.realm, report.space, cards, entries = _read_head(frames.next(HEAD_BYTES_MAX))
        versions = _read_cards(frames, cards, report)
        _read_entries(frames, entries, versions, fold, report, progress)
        frames.end()
    except PeerError as error:
        report.fault = error.reason
    if len(fold) and fold.are_rules_known:
        report.state = fold.state()
        report.output = canonical(report.state)
    elif len(fold):
        report.has_other_rules = True
        report.output = unfolded(fold.graph, fold.act)
    return report


def _read_cards(frames: _Frames, count: int, report: SpaceFileReport) -> dict[PartnerId, list[CardBody]]:
    found: dict[PartnerId, list[CardBody]] = {}
    last: PartnerId | None = None
    for _ in range(count):
        raw = frames.next(CARD_CHAIN_BYTES_MAX)
        try:
            card = believe_chain(raw)
        except PeerError:
            report.bad_cards += 1
            continue
        if last is not None and card.partner_id <= last:
            raise refusal("not-canonical", "the cards are in another order")
        last = card.partner_id
        found[last] = [one.body for one in decode_versions(raw)]
        report.names[last] = card.name
    return found


def _read_entries(
    frames: _Frames,
    count: int,
    versions: Mapping[PartnerId, Sequence[CardBody]],
    fold: SpaceFold,
    report: SpaceFileReport,
    progress: Callable[[int, int], None],
) -> None:
    intake: SpaceIntake | None = None
    last: tuple[int, bytes] = (0, b"")
    assert report.realm is not None
    for number in range(1, count + 1):
        wire = frames.next(ENTRY_BYTES_MAX)
        report.entries += 1
        progress(number, count)
        entry_id = None
        try:
            decoded = decode_entry(wire, report.realm)
            entry_id = decoded.entry_id
            place = (decoded.header.depth, bytes(entry_id))
            if place <= last:
                raise refusal("not-canonical", "the entries are in another order")
            last = place
            key = key_for(decoded, versions.get(decoded.header.author, ()))
            if key is None:
                report.problems.append(EntryProblem(number, entry_id, WAITS_FOR_CARD))
                continue
            entry = verify_entry(decoded, key)
            if intake is None:
                intake = _begin(fold, entry, report.space)
                reason = ""
            else:
                reason = _take(intake, entry)
        except PeerError as error:
            reason = error.reason
        if reason:
            report.problems.append(EntryProblem(number, entry_id, reason))
            continue
        report.held += 1
        report.without_body += not entry.body_fits()


def _begin(fold: SpaceFold, entry: VerifiedEntry, space: EntryId | None) -> SpaceIntake:
    """Begin with the opening. Raises PeerError."""
    if entry.entry_id != space:
        waits = entry.header.space == space and entry.header.kind != "open"
        raise refusal(WAITS_FOR_PARENTS if waits else "not-a-member", "the first entry is no opening of it")
    entry.content()
    fold.add(SpaceEntry.of(entry))
    return SpaceIntake(fold, waiting_max=FILE_ENTRIES_MAX)


def _take(intake: SpaceIntake, entry: VerifiedEntry) -> str:
    """Returns why an entry is not taken in, or ""."""
    outcome = intake.take_in(entry)[0]
    if isinstance(outcome, Held):
        return "" if entry.body_fits() or not entry.decoded.body else "body-mismatch"
    return WAITS_FOR_PARENTS if isinstance(outcome, Awaited) else outcome.reason
