"""Payload kinds: what is unknown or beyond its limits is left aside and counted; each kind goes to the reader that was handed in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from store_rows import rows
from whole_nodes import (
    NOW,
    READERS,
    draft,
    raw_draft,
    seal_unchecked,
    send,
    stix_header,
    take_in,
    wire_of,
)

from p2pshare.database.settings import Setting
from p2pshare.envelope.envelope import decode_envelope
from p2pshare.envelope.payload import PartPlace, PayloadHeader, compress_frame
from p2pshare.errors import DiskFull, PeerError
from p2pshare.identifiers import CircleId, PublicationId
from p2pshare.intel.observable import detect
from p2pshare.limits import INFLATED_BYTES_MAX, OBJECTS_PER_BUNDLE_MAX
from p2pshare.log.interface import EnvelopeOrigin
from p2pshare.node.home import STORE_NAME
from p2pshare.node.node import Node
from p2pshare.queries.lookup import look_up
from p2pshare.queries.searching import show_envelope
from p2pshare.queries.status import EnvelopeStatus, status
from p2pshare.sharing import intake, payload_kinds
from p2pshare.sharing.exchange import Exchange, ReceivedBody
from p2pshare.sharing.intake import Arrival, IntakeStatus, retry_deferred
from p2pshare.sharing.payload_kinds import PAYLOAD_KINDS, STIX, PayloadKind, Place, Readers, ReceivedPayload
from p2pshare.sharing.reading import ContentReader, read_all

HEADS = PayloadKind(
    "toys", frames_max=2, inflated_bytes_max=1_000, objects_max=3, ttl_classes=frozenset({1}), reader=""
)
HEADS_HEADER = PayloadHeader("toys", NOW, "", 0, PublicationId(bytes(range(16))), PartPlace(2, 5))


@pytest.fixture
def heads(monkeypatch: pytest.MonkeyPatch) -> PayloadKind:
    """A second row in the table, as a later version has it."""
    monkeypatch.setattr(payload_kinds, "PAYLOAD_KINDS", {**PAYLOAD_KINDS, HEADS.name: HEADS})
    return HEADS


def sealed(
    author: Node, reader: Node, header: PayloadHeader, *frames: bytes, number: int = 1, ttl_class: int = 4
) -> bytes:
    """A verified envelope with whatever payload; `number` is its place in the author's chain and in the reader's row."""
    part = replace(raw_draft([]), frames=frames)
    return seal_unchecked(
        author, part, reader, ahead=number, header=header, ttl_class=ttl_class, recipient_sequence=number
    )


def hand_over(
    reader: Node, received_from: Node, *wires: bytes, readers: Readers = READERS, now: int = NOW
) -> list[IntakeStatus]:
    arrivals = [Arrival(wire, received_from.identity.partner_id) for wire in wires]
    statuses = [verdict.status for verdict in intake.take_in(reader, arrivals, now)]
    read_all(reader, readers, now)
    return statuses


def refusals(node: Node) -> set[tuple[bytes, str, int]]:
    """(partner, reason, times) of all that was refused here."""
    sql = "SELECT o.partner_id, r.reason, r.count FROM refusal r JOIN organisation o ON o.id = r.organisation"
    return set(rows(node.home / STORE_NAME, sql))


def head(word: str) -> Setting[int]:
    """Where the reader of heads writes that it has read one."""
    return Setting(f"head {word}", int)


def found(node: Node, value: str) -> bool:
    return bool(look_up(node.store, [value], NOW)[0].found)


# --- left aside ------------------------------------------------------------------------------------


def test_a_kind_of_the_future_is_held_and_handed_on_and_shown_as_nothing_that_was_opened(
    three: tuple[Node, Node, Node],
) -> None:
    alpha, bravo, charlie = three
    header = PayloadHeader("future", NOW, "", 0, PublicationId(bytes(16)), PartPlace(1, 1))
    wire = sealed(alpha, bravo, header, b"no zstd, no JSON")
    envelope_id = decode_envelope(wire).envelope_id
    assert hand_over(bravo, alpha, wire) == [IntakeStatus.HELD]
    told = status(bravo, NOW)
    assert told.envelopes == EnvelopeStatus(held=1, opened=0, relayed=1, pending=0, unread=0, no_room=0)
    assert told.refused == {"content-payload-type-unknown": 1}
    shown = show_envelope(bravo.store, envelope_id)
    assert (shown.opened, shown.objects) == (False, [])
    exchange = Exchange(bravo)
    assert exchange.wire(charlie.identity.partner_id, envelope_id) == wire


def test_what_was_left_aside_is_counted_against_its_author_and_not_who_brought_it(
    three: tuple[Node, Node, Node],
) -> None:
    alpha, bravo, charlie = three
    header = replace(HEADS_HEADER, type="future")
    assert hand_over(charlie, bravo, sealed(alpha, charlie, header)) == [IntakeStatus.HELD]
    assert refusals(charlie) == {(alpha.identity.partner_id, "content-payload-type-unknown", 1)}
    account = {one.partner: one for one in charlie.store.partners.accounts()}[bravo.identity.partner_id]
    assert (account.came_in, account.stored, account.refused) == (1, 1, {})


def gaps(reader: Node, author: Node) -> list[tuple[int, ...]]:
    """The numbers (first, last) that `reader` misses of `author`, all of one incarnation."""
    found = reader.store.log.sequence_gaps(author.identity.partner_id)
    assert len({incarnation for incarnation, *_ in found}) <= 1
    return [tuple(numbers) for _, *numbers in found]


def test_what_was_left_aside_is_no_gap_in_what_its_author_sealed_for_us(
    three: tuple[Node, Node, Node],
) -> None:
    """Else a kind of a later version raises the alarm that somebody withholds envelopes."""
    alpha, bravo, _ = three
    unknown = sealed(alpha, bravo, replace(HEADS_HEADER, type="future"), number=1)
    malformed = sealed(alpha, bravo, replace(HEADS_HEADER, marking="\x1b"), number=2)
    stix = sealed(alpha, bravo, stix_header(raw_draft([])), number=4)
    assert hand_over(bravo, alpha, unknown, malformed, stix) == [IntakeStatus.HELD] * 3
    assert gaps(bravo, alpha) == [(3, 3)]
    assert bravo.store.partners.refusals() == {"content-payload-type-unknown": 1, "content-malformed": 1}


def test_a_row_without_a_reader_here_is_unknown(three: tuple[Node, Node, Node], heads: PayloadKind) -> None:
    alpha, bravo, _ = three
    hand_over(bravo, alpha, sealed(alpha, bravo, HEADS_HEADER, ttl_class=1))
    assert bravo.store.partners.refusals() == {"content-payload-type-unknown": 1}


# --- limits ----------------------------------------------------------------------------------------


def test_a_kind_that_is_carried_too_long_is_left_aside(
    three: tuple[Node, Node, Node], heads: PayloadKind
) -> None:
    """Heads that live for 90 days would tell of a state long gone, and fill the circle's shards."""
    alpha, bravo, _ = three
    read, readers = noted()
    wires = [
        sealed(alpha, bravo, HEADS_HEADER, number=number, ttl_class=ttl_class)
        for number, ttl_class in enumerate((4, 1, 2), 1)
    ]
    assert hand_over(bravo, alpha, *wires, readers=readers) == [IntakeStatus.HELD] * 3
    assert [one.envelope_id for one in read] == [decode_envelope(wires[1]).envelope_id]
    assert bravo.store.partners.refusals() == {"content-ttl-class-not-allowed": 2}
    assert (bravo.store.log.counts().opened, bravo.store.log.counts().relayed) == (1, 2)


@pytest.mark.parametrize(
    ("objects", "frames", "reason"),
    [
        (3, [compress_frame(bytes(500))] * 2, None),
        (4, [], "content-too-many-objects"),
        (0, [b"1", b"2", b"3"], "content-too-many-frames"),
        (0, [compress_frame(bytes(500)), compress_frame(bytes(501))], "content-inflated-too-large"),
    ],
)
def test_a_kind_at_its_limits_is_read_and_one_above_is_left_aside(
    three: tuple[Node, Node, Node],
    heads: PayloadKind,
    objects: int,
    frames: Sequence[bytes],
    reason: str | None,
) -> None:
    alpha, bravo, _ = three
    read, readers = noted()
    header = replace(HEADS_HEADER, objects=objects)
    assert hand_over(bravo, alpha, sealed(alpha, bravo, header, *frames, ttl_class=1), readers=readers) == [
        IntakeStatus.HELD
    ]
    assert bravo.store.partners.refusals() == ({} if reason is None else {reason: 1})
    assert len(read) == (reason is None)


def test_stix_that_states_more_than_an_envelope_may_hold_is_not_inflated_at_all(
    three: tuple[Node, Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is good in it is not read either: its author cannot have meant what no partner reads."""
    alpha, bravo, _ = three
    good, zeros = draft(alpha, ["evil.example"]), compress_frame(bytes(INFLATED_BYTES_MAX))
    monkeypatch.setattr("p2pshare.sharing.content.inflate_frame", None)
    wire = sealed(alpha, bravo, stix_header(good), *good.frames, zeros)
    assert hand_over(bravo, alpha, wire) == [IntakeStatus.HELD]
    assert bravo.store.partners.refusals() == {"content-inflated-too-large": 1}
    assert not found(bravo, "evil.example")


def test_stix_that_states_more_objects_than_an_envelope_may_hold_is_left_aside(
    three: tuple[Node, Node, Node],
) -> None:
    alpha, bravo, _ = three
    one, other = draft(alpha, ["one.example"]), draft(alpha, ["other.example"])
    at, above = (replace(stix_header(one), objects=OBJECTS_PER_BUNDLE_MAX + more) for more in (0, 1))
    wires = sealed(alpha, bravo, at, *one.frames), sealed(alpha, bravo, above, *other.frames, number=2)
    assert hand_over(bravo, alpha, *wires) == [IntakeStatus.HELD] * 2
    assert (found(bravo, "one.example"), found(bravo, "other.example")) == (True, False)
    assert bravo.store.partners.refusals() == {"content-too-many-objects": 1}


def test_a_frame_that_states_nothing_costs_the_good_one_beside_it_nothing(
    three: tuple[Node, Node, Node],
) -> None:
    alpha, bravo, _ = three
    good = draft(alpha, ["evil.example"])
    hand_over(bravo, alpha, sealed(alpha, bravo, stix_header(good), b"damaged", *good.frames))
    assert found(bravo, "evil.example")
    assert bravo.store.partners.refusals() == {"content-bad-frame": 1}


# --- readers ---------------------------------------------------------------------------------------


class HeadsReader:
    """A reader of a room above: its own table, in the reader's transaction."""

    def __init__(self, node: Node, read: list[ReceivedPayload], steps: list[str]) -> None:
        self._node, self._read, self._steps = node, read, steps

    def begin(self, now: int, *, is_hurried: bool) -> None:
        self._steps.append("begun")

    def read(
        self, source: EnvelopeOrigin, payload: ReceivedPayload, refused: Counter[str], place: Place
    ) -> Iterator[Place]:
        assert self._node.store.log.entry(payload.envelope_id) is not None, "it is in the log"
        self._read.append(payload)
        for number, frame in enumerate(payload.frames[sum(place) :], sum(place) + 1):
            match frame:
                case b"lie":
                    raise PeerError("no heads", reason="bad-heads")
                case b"bug":
                    raise KeyError
                case b"full":
                    raise DiskFull("no room")
                case b"odd":
                    refused["odd-head"] += 1
                case _:
                    self._node.store.database.put_setting(head(frame.decode("latin-1")), payload.received_at)
            self._steps.append("frame")
            yield (number,)

    def finish(self) -> None:
        self._steps.append("finished")


def noted(steps: list[str] | None = None) -> tuple[list[ReceivedPayload], Readers]:
    """What the second reader was given; and the mapping that a daemon with a room above would hand in."""
    read: list[ReceivedPayload] = []

    def make(node: Node) -> HeadsReader:
        return HeadsReader(node, read, [] if steps is None else steps)

    return read, {**READERS, HEADS.name: make}


def heads_with(author: Node, reader: Node, *frames: bytes, number: int = 1) -> bytes:
    return sealed(author, reader, HEADS_HEADER, *frames, number=number, ttl_class=1)


def test_the_reader_of_a_room_above_gets_what_was_verified_and_frames_as_they_were_sealed(
    three: tuple[Node, Node, Node], heads: PayloadKind
) -> None:
    alpha, bravo, charlie = three
    read, readers = noted()
    wire = heads_with(alpha, charlie, b"one", compress_frame(b"two"))
    assert hand_over(charlie, bravo, wire, readers=readers, now=NOW + 5) == [IntakeStatus.HELD]
    assert read == [
        ReceivedPayload(
            kind=HEADS,
            envelope_id=decode_envelope(wire).envelope_id,
            author=alpha.identity.partner_id,
            circle=CircleId.of("main"),
            created=NOW,
            received_at=NOW + 5,
            header=HEADS_HEADER,
            frames=(b"one", compress_frame(b"two")),
            stated_bytes=3,
        )
    ]


def test_a_reader_finishes_once_a_transaction_after_all_of_its_payloads(
    three: tuple[Node, Node, Node], heads: PayloadKind
) -> None:
    alpha, bravo, _ = three
    steps: list[str] = []
    _, readers = noted(steps)
    wires = [heads_with(alpha, bravo, b"a", b"b"), heads_with(alpha, bravo, b"c", number=2)]
    hand_over(bravo, alpha, *wires, readers=readers)
    whole = ["begun", *["frame"] * 3, "finished"]
    assert steps == whole
    hand_over(bravo, alpha, *wires, readers=readers)
    assert steps == whole, "what is held already is not read again"


def test_a_payload_that_comes_twice_in_one_batch_is_read_once(
    three: tuple[Node, Node, Node], heads: PayloadKind
) -> None:
    alpha, bravo, _ = three
    read, readers = noted()
    wire = heads_with(alpha, bravo, b"a")
    assert hand_over(bravo, alpha, wire, wire, readers=readers) == [
        IntakeStatus.HELD,
        IntakeStatus.ALREADY_HELD,
    ]
    assert len(read) == 1


def test_what_a_reader_refuses_is_counted_against_the_author_and_spares_the_others(
    three: tuple[Node, Node, Node], heads: PayloadKind
) -> None:
    alpha, bravo, charlie = three
    _, readers = noted()
    lines = [(b"one", b"lie"), (b"odd", b"two"), (b"three", b"bug"), (b"four",)]
    wires = [heads_with(alpha, charlie, *frames, number=n) for n, frames in enumerate(lines, 1)]
    stix = draft(bravo, ["evil.example"])
    wires.append(sealed(bravo, charlie, stix_header(stix), *stix.frames))
    assert hand_over(charlie, bravo, *wires, readers=readers) == [IntakeStatus.HELD] * 5
    author = alpha.identity.partner_id
    assert refusals(charlie) == {
        (author, "content-bad-heads", 1),
        (author, "odd-head", 1),
        (author, "content-gave-up", 1),
    }
    written = [charlie.store.database.setting(head(word)) for word in ("one", "two", "three", "four")]
    assert written == [NOW, NOW, None, NOW], "what stands before a mistake stays, unless the mistake is ours"
    assert found(charlie, "evil.example")


def test_a_disk_that_fills_up_while_a_reader_writes_loses_nothing_and_is_no_attempt(
    three: tuple[Node, Node, Node], heads: PayloadKind
) -> None:
    """What was acknowledged stays; what is in it waits until there is room, however long that takes."""
    alpha, bravo, _ = three
    _, readers = noted()
    wires = [heads_with(alpha, bravo, b"a"), heads_with(alpha, bravo, b"b", b"full", number=2)]
    for _ in range(5):
        with pytest.raises(DiskFull):
            hand_over(bravo, alpha, *wires, readers=readers)
        assert bravo.store.database.setting(head("a")) is None
    assert (bravo.store.log.counts().held, bravo.store.log.counts().unread) == (2, 2)
    assert bravo.store.partners.refusals() == {}


def test_what_was_deferred_is_read_like_everything_else(
    three: tuple[Node, Node, Node], heads: PayloadKind
) -> None:
    alpha, bravo, _ = three
    read, readers = noted()
    exchange, peer = Exchange(bravo), alpha.identity.partner_id
    wires = [heads_with(alpha, bravo, b"a", number=number) for number in (1, 2)]
    bodies = [ReceivedBody(peer, decode_envelope(wire).envelope_id, wire) for wire in wires]
    for take_in_now, count in (
        (lambda: exchange.commit(bodies[:1], NOW - 3600), 0),
        (lambda: exchange.commit(bodies[1:], NOW), 1),
        (lambda: exchange.sweep(NOW), 2),
    ):
        take_in_now()
        read_all(bravo, readers, NOW)
        assert len(read) == count
    assert retry_deferred(bravo, NOW) == []


def test_stix_is_read_on_in_a_later_transaction_and_from_its_place_in_a_later_life(
    three: tuple[Node, Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The envelope is held and told of first, and what is in it is read afterwards, a piece at a time."""
    alpha, bravo, _ = three
    monkeypatch.setattr("p2pshare.sharing.stix_reader.PIECE_ROWS", 1)
    parts = [draft(alpha, ["evil.example", "8.8.8.8"]), draft(alpha, ["8.8.4.4"])]
    wire = sealed(alpha, bravo, stix_header(parts[0]), b"damaged", *(part.frames[0] for part in parts))
    intake.take_in(bravo, [Arrival(wire, alpha.identity.partner_id)], NOW)
    values = ("evil.example", "8.8.8.8", "8.8.4.4")
    seen = [[found(bravo, value) for value in values]]
    while True:
        reader = ContentReader(bravo, READERS, lambda: 0.0)  # a new life each time
        is_more = reader.read_on(NOW + 60, lambda: True)
        seen.append([found(bravo, value) for value in values])
        if not is_more:
            break
    assert [sum(row) for row in seen] == sorted(sum(row) for row in seen)
    assert {sum(row) for row in seen} == {0, 1, 2, 3}
    assert bravo.store.partners.refusals() == {"content-bad-frame": 1}, "counted once"
    assert len(bravo.store.knowledge.lookup([detect("8.8.8.8")])[detect("8.8.8.8")]) == 1, "read once"
    listed = [detect("8.8.8.8"), detect("8.8.4.4")]
    assert set(bravo.store.knowledge.quarantined(listed)) == set(listed), "what lists block is seen in each"


def test_many_small_envelopes_share_their_chunks(
    three: tuple[Node, Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Envelopes with one indicator each share a chunk; and however many, memory is bounded."""
    alpha, bravo, _ = three
    stored: list[int] = []
    real = bravo.store.knowledge.add

    def add(frames: Any, now: int) -> None:
        stored.append(len(frames))
        real(frames, now)

    monkeypatch.setattr(bravo.store.knowledge, "add", add)
    monkeypatch.setattr("p2pshare.sharing.stix_reader.SLICE_ROWS", 4)
    values = [f"198.51.100.{number}" for number in range(6)]
    sent = [send(alpha, [value], to=["bravo"]).envelopes[0] for value in values]
    take_in(bravo, [Arrival(wire_of(alpha, one), alpha.identity.partner_id) for one in sent], NOW)
    assert stored == [4, 2]
    assert all(found(bravo, value) for value in values)


# --- the page --------------------------------------------------------------------------------------


def test_the_table_of_the_page_is_that_of_the_code(repository: Path) -> None:
    page = (repository / "docs" / "envelope.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `(\w+)` \| [^|]+ \| ([\d,]+) \| (\d+) MiB \| ([\d,]+) \| ([\d ]+) \|$", page, re.MULTILINE
    )
    assert {
        PayloadKind(
            name,
            int(frames.replace(",", "")),
            int(inflated) << 20,
            int(objects.replace(",", "")),
            frozenset(map(int, classes.split())),
            reader="",
        )
        for name, frames, inflated, objects, classes in rows
    } == {replace(kind, reader="") for kind in PAYLOAD_KINDS.values()}
    assert STIX in PAYLOAD_KINDS.values()


def test_every_reason_to_leave_a_payload_aside_is_on_the_page(repository: Path) -> None:
    page = (repository / "docs" / "envelope.md").read_text(encoding="utf-8")
    code = Path(payload_kinds.__file__).read_text(encoding="utf-8")
    reasons = set(re.findall(r'reason="([a-z-]+)"', code))
    assert len(reasons) == 5, "the search itself works"
    assert sorted(reason for reason in reasons if f"`{reason}`" not in page) == []
