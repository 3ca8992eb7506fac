"""Entries between whole nodes: sealed, taken in, read by the daemon's readers; and what a partner can try that is no member, or lies.

The network is missing: what a node has sealed is handed to each that it is for, as gossip would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from handing_over import HandingOver
from store_rows import rows
from whole_nodes import READERS, World, befriend

from p2pshare.envelope.entry import REAL
from p2pshare.envelope.payload import compress_frame
from p2pshare.errors import NotFoundError, StoreError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.sharing.partners import load_roster
from p2pshare.sharing.payload_kinds import ENTRIES, HEADS
from p2pshare.sharing.publishing import SealedContent
from p2pshare.sharing.sending import send
from p2pshare.spaces import parts, space_exchange, travel
from p2pshare.spaces.acts import Inviting, Plain
from p2pshare.spaces.entry_frames import encode_entry_frame, encode_heads_frame
from p2pshare.spaces.heads import SpaceHeads
from p2pshare.spaces.space_exchange import exchange_of, spaces_of
from p2pshare.spaces.space_store import SpaceReading
from p2pshare.spaces.writing import SpaceStatement

AMBER, RED = 2, 4


class Company(HandingOver):
    """Nodes of one test."""

    def link(self, *pairs: tuple[str, str]) -> None:
        for one, other in pairs:
            befriend(self[one], self[other])
            befriend(self[other], self[one])

    def run(self, seconds: int = 1) -> None:
        """Let a time pass in which everybody does what is due, second by second."""
        for _ in range(seconds):
            for name, node in self.nodes.items():
                self.do(node, node)
                self.deliver(name, node)
            self.now += 1

    def send(
        self, sender: str, to: str, frames: list[bytes], *, kind: str = "entries", objects: int = 1
    ) -> None:
        """Seal any frames for one partner, as a partner would that checks nothing, and hand them over."""
        node = self[sender]
        ttl = 2 if kind == "entries" else 1
        content = SealedContent(Tlp.AMBER, objects, frames, ttl, kind)
        recipient = self[to].identity.partner_id
        (envelope,) = send(node, load_roster(node), content, [recipient], self.now).envelopes
        wire = node.store.log.wire(envelope)
        assert wire is not None
        self.skip(sender)
        self.hand(node, self[to], wire)

    # --- spaces ---

    def opened(self, lead: str, *members: str) -> EntryId:
        invited = [(self.id(name), "") for name in members]
        space = spaces_of(self[lead]).open("note", "ours", AMBER, invited, self.now).entry_id
        self.run(2)
        for name in members:
            spaces_of(self[name]).join(space, self.now)
            self.run(2)
        return space

    def note(self, name: str, space: EntryId, text: str, *, audience: tuple[str, ...] = ()) -> EntryId:
        who = tuple(sorted(self.id(one) for one in audience))
        said = SpaceStatement("note", text.encode(), RED if who else AMBER, who)
        return spaces_of(self[name]).say(space, said, self.now)[-1].entry_id

    def holds(self, name: str, entry_id: EntryId) -> bool:
        return SpaceReading(self[name].store.database).entry(entry_id) is not None

    def body(self, name: str, entry_id: EntryId) -> bytes:
        found = SpaceReading(self[name].store.database).entry(entry_id)
        assert found is not None
        return found.decoded.body

    def count(self, name: str, table: str = "space_entry") -> int:
        ((count,),) = rows(self[name].store.database.path, f"SELECT count(*) FROM {table}")
        return int(count)

    def refused(self, name: str) -> dict[str, int]:
        return self[name].store.partners.refusals()


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """alpha leads, bravo is partner of all, charlie of bravo alone; mallory is a partner of all that is in no space."""
    world = World(tmp_path_factory.mktemp("nodes"))
    company = Company(world, "alpha", "bravo", "charlie", "mallory")
    company.link(
        ("alpha", "bravo"),
        ("bravo", "charlie"),
        ("mallory", "alpha"),
        ("mallory", "bravo"),
        ("mallory", "charlie"),
    )
    yield company
    world.close()


@pytest.fixture(scope="module")
def space(company: Company) -> EntryId:
    """A space that bravo opened, with alpha and charlie, who are no partners of each other."""
    return company.opened("bravo", "alpha", "charlie")


@contextmanager
def refusing(company: Company, name: str, **reasons: int) -> Iterator[None]:
    """What happens inside is refused at `name` so many times by these reasons, and by no other."""
    before = company.refused(name)
    yield
    after = company.refused(name)
    found = {one.replace("-", "_"): after[one] - before.get(one, 0) for one in after}
    assert {one: count for one, count in found.items() if count} == reasons


def test_entries_go_to_who_is_no_partner_with_the_card_that_they_need(
    company: Company, space: EntryId
) -> None:
    there = company.note("alpha", space, "from alpha")
    company.run(3)
    assert company.holds("charlie", there) and company.holds("bravo", there)
    assert company.count("charlie", "introduced_card") == 1
    back = company.note("charlie", space, "from charlie")
    company.run(3)
    assert company.holds("alpha", back)
    assert company.refused("alpha") == {} and company.refused("charlie") == {}
    assert [one.member for one in exchange_of(company["alpha"]).no_ways(space)] == [company.id("charlie")]


def test_no_envelope_for_who_is_outside_an_audience_has_the_body(company: Company, space: EntryId) -> None:
    sealed = company.note("bravo", space, "for charlie", audience=("bravo", "charlie"))
    after = company.note("bravo", space, "after")
    company.run(100)
    assert company.holds("alpha", after) and company.holds("alpha", sealed)
    assert company.body("alpha", sealed) == b""
    assert company.body("charlie", sealed).endswith(b"for charlie")
    heads = SpaceHeads(REAL, space, wanted=(sealed,), wanted_bodies=(sealed,), asks=True)
    company.send("alpha", "bravo", [encode_heads_frame(heads)], kind="heads")
    company.run(20)
    assert company.body("alpha", sealed) == b""
    assert all(company.count("mallory", table) == 0 for table in ("space", "space_entry", "space_waiting"))


def test_a_partner_that_is_no_member_gets_nothing_for_its_heads_and_it_is_counted(
    company: Company, space: EntryId
) -> None:
    company.run(30)
    heads = SpaceHeads(REAL, space, asks=True)
    unknown = SpaceHeads(REAL, EntryId(bytes(31) + b"\x07"), asks=True)
    played = replace(heads, realm=type(REAL)(bytes([1]) * 16))
    with refusing(company, "alpha", not_a_member=2, wrong_realm=1):
        for one in (heads, unknown, played):
            company.send("mallory", "alpha", [encode_heads_frame(one)], kind="heads")
        company.run(20)
    assert company.count("mallory", "space_waiting") == 0
    assert rows(
        company["alpha"].store.database.path,
        "SELECT count(*) FROM space_heads h JOIN organisation o ON o.id = h.member WHERE o.partner_id = ?",
        bytes(company.id("mallory")),
    ) == [(0,)]


def test_a_frame_that_is_none_costs_itself_and_what_is_good_beside_it_is_kept(
    company: Company, space: EntryId
) -> None:
    note = company.note("alpha", space, "good")
    wire = SpaceReading(company["alpha"].store.database).entry(note)
    assert wire is not None
    bomb = compress_frame(bytes(16 << 20))
    frames = [
        b"no zstd",
        bomb,
        compress_frame(b"\x93"),
        encode_entry_frame([b"no card"], [wire.wire, b"no entry"]),
    ]
    with refusing(company, "bravo", bad_frame=1, inflated_too_large=1, malformed=3):
        company.send("alpha", "bravo", frames, objects=2)
    assert company.holds("bravo", note)
    company.run(3)


def test_entries_of_others_that_a_stranger_hands_over_are_taken_for_what_they_are(
    company: Company, space: EntryId
) -> None:
    """A signed entry is its author's, whoever brings it; a space that is not known is refused; both are counted to who brought it."""
    mine = spaces_of(company["mallory"]).open(
        "note", "a trap", AMBER, [(company.id("alpha"), "")], company.now
    )
    stranger = company.note("mallory", mine.entry_id, "nobody asked")
    note = SpaceReading(company["mallory"].store.database).entry(stranger)
    assert note is not None
    with refusing(company, "charlie", not_a_member=1):
        company.send("mallory", "charlie", [encode_entry_frame([], [note.wire])])
    flipped = bytearray(note.wire)
    flipped[-1] ^= 1
    company.run(2)  # alpha is told of the trap: it is an invitation of a partner
    with refusing(company, "alpha", bad_signature=1):
        company.send("mallory", "alpha", [encode_entry_frame([], [bytes(flipped)])])
    exchange_of(company["mallory"])._travel.forget(mine.entry_id)  # type: ignore[union-attr]


def test_more_than_600_new_entries_of_its_author_in_an_hour_come_when_they_were_asked_for(
    company: Company, space: EntryId, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.run(70)
    monkeypatch.setattr(space_exchange, "UNASKED_PER_HOUR_MAX", 5)
    exchange_of(company["bravo"])._unasked.clear()
    notes = [company.note("alpha", space, f"many {number}") for number in range(9)]
    with refusing(company, "bravo", later=4):
        company.run(1)
    assert [company.holds("bravo", one) for one in notes] == [True] * 5 + [False] * 4
    company.run(90)  # by heads
    assert all(company.holds("bravo", one) for one in notes)


def test_heads_and_cards_are_there_after_a_restart_and_all_are_asked_before_anything_is_written(
    company: Company, space: EntryId
) -> None:
    company.run(70)
    node = company.reopen("alpha")
    exchange = exchange_of(node)
    exchange.begin(company.now)
    roster = load_roster(node)
    row = SpaceReading(node.store.database).find(space)
    assert row is not None
    assert {company.id("alpha"), company.id("bravo")} <= SpaceReading(node.store.database).heads_shown(
        row
    ).keys()
    assert SpaceReading(node.store.database).handed(row)[company.id("bravo")][company.id("alpha")] > 1
    exchange.step(company.now, roster, [company.id("bravo")])
    assert exchange.seconds_before_writing(company.now) > 5
    company.run(15)
    assert exchange.seconds_before_writing(company.now) == 0


def test_heads_that_are_read_late_say_nothing(company: Company, space: EntryId) -> None:
    """Envelopes are read in any order: an older list of what a partner holds must not stand in place of the newer."""
    exchange, sender = exchange_of(company["bravo"]), company.id("alpha")
    newer, older = (
        SpaceHeads(REAL, space, cards=((sender, 9),)),
        SpaceHeads(REAL, space, cards=((sender, 8),)),
    )
    exchange.heads_came(sender, newer, company.now, (2**50, 7))
    exchange.heads_came(sender, older, company.now, (2**50, 6))
    row = SpaceReading(company["bravo"].store.database).find(space)
    assert row is not None
    shown = SpaceReading(company["bravo"].store.database).heads_shown(row)[sender].heads
    assert shown == newer
    exchange._newest_heads.clear()
    company.run(70)


def test_a_transaction_that_was_undone_has_told_nobody_anything(company: Company, space: EntryId) -> None:
    node = company["bravo"]
    note = company.note("alpha", space, "twice")
    found = SpaceReading(company["alpha"].store.database).entry(note)
    assert found is not None
    with pytest.raises(StoreError), node.store.transaction():
        exchange_of(node).entries_came(company.id("alpha"), [found.wire], {}, company.now)
        raise StoreError("the disk failed")
    assert not company.holds("bravo", note)
    READERS[ENTRIES.name](node)  # made anew after that
    company.run(2)
    assert company.holds("bravo", note)


def test_a_late_joiner_whom_the_opener_does_not_know_gets_all(company: Company, space: EntryId) -> None:
    """mallory is a partner of all and joins late: alpha's and charlie's cards it has, the opening is believed by the space's id."""
    said = SpaceStatement("invite", Inviting(((company.id("mallory"), ""),)).encode(), AMBER)
    spaces_of(company["bravo"]).say(space, said, company.now)
    company.run(3)
    assert (company.count("mallory", "space_waiting"), company.holds("mallory", space)) == (1, True)
    spaces_of(company["mallory"]).join(space, company.now)
    company.run(40)
    row = SpaceReading(company["bravo"].store.database).find(space)
    assert row is not None
    for name in ("alpha", "charlie", "mallory"):
        one = SpaceReading(company[name].store.database).find(space)
        assert one is not None
        assert SpaceReading(company[name].store.database).entry_count(one) == SpaceReading(
            company["bravo"].store.database
        ).entry_count(row)
    assert spaces_of(company["mallory"]).canonical(space) == spaces_of(company["bravo"]).canonical(space)


def test_what_is_larger_than_an_entry_is_missing_until_its_last_part_has_come(
    company: Company, space: EntryId
) -> None:
    whole = bytes(range(256)) * 1_000
    digest = hashlib.sha256(whole).digest()
    for _ in exchange_of(company["alpha"]).saying_whole(space, whole, AMBER, company.now):
        pass
    assert exchange_of(company["alpha"]).whole(space, digest) == whole
    with pytest.raises(NotFoundError) as missing:
        exchange_of(company["bravo"]).whole(space, digest)
    assert missing.value.reason == "content-missing"
    company.run(2)
    assert exchange_of(company["bravo"]).whole(space, digest) == whole


def test_the_table_of_kinds_has_both_and_what_they_state_is_bounded() -> None:
    assert (ENTRIES.ttl_classes, HEADS.ttl_classes) == ({2}, {1})
    assert ENTRIES.objects_max >= travel.PARCEL_ENTRIES_MAX
    assert ENTRIES.inflated_bytes_max > travel.PARCEL_BYTES * 2


def test_large_content_travels_in_parts_and_is_missing_until_all_are_there() -> None:
    alpha, liar = PartnerId(bytes([1]) * 32), PartnerId(bytes([2]) * 32)
    whole = bytes(range(256)) * 2_000
    pieces = parts.split(whole)
    assert [one.index for one in pieces] == [1, 2, 3]
    digest = pieces[0].digest
    said = [(alpha, one.encode()) for one in pieces]
    lies = [(liar, replace(one, content=b"x" * len(one.content)).encode()) for one in pieces]
    assert parts.assemble(digest, said) == whole
    assert parts.assemble(digest, [*lies, *said[::-1]]) == whole
    assert parts.assemble(digest, [*said[:2], *lies]) is None
    assert parts.assemble(digest, [(alpha, Plain().encode()), *said[1:]]) is None
    assert all(len(one.encode()) + 16 <= 262_144 for one in pieces)
