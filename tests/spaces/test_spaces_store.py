"""The tables of spaces over a real file: what is stored is read again, and what may not be there cannot get in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from envelope_forge import NOW, named_identity
from store_rows import rows

from p2pshare.envelope.entry import (
    NO_SPACE,
    REAL,
    EntryDraft,
    VerifiedEntry,
    decode_entry,
    sign_entry,
    without_body,
)
from p2pshare.envelope.keys import Identity
from p2pshare.identifiers import EntryId, PartnerId, Realm
from p2pshare.node.store import Store, open_store
from p2pshare.spaces.acts import Opening
from p2pshare.spaces.space_store import WAITS_FOR_CARD, WAITS_FOR_PARENTS, SpaceReading, SpaceRow, SpaceStore


@pytest.fixture(scope="module")
def alpha() -> Identity:
    return named_identity("alpha")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "store.sqlite", free_space_bytes_min=0)
    yield opened
    opened.close()


@pytest.fixture
def spaces(store: Store) -> SpaceStore:
    return SpaceStore(store.database)


def opened(author: Identity, realm: Realm = REAL) -> tuple[VerifiedEntry, Opening]:
    act = Opening(1, "note", "ours", ((author.partner_id, ""),))
    draft = EntryDraft(realm, NO_SPACE, author.partner_id, 1, (), 1, NOW, "open", 1)
    return sign_entry(draft, act.encode(), author.operational.sign), act


def note(author: Identity, space: EntryId, number: int, *parents: EntryId) -> VerifiedEntry:
    draft = EntryDraft(REAL, space, author.partner_id, number, parents, max(2, number), NOW, "note", 1)
    return sign_entry(draft, b"text %d" % number, author.operational.sign)


@pytest.fixture
def space(spaces: SpaceStore, alpha: Identity) -> SpaceRow:
    opening, act = opened(alpha)
    return spaces.put_space(opening, act, alpha.partner_id, NOW)


def test_what_is_stored_is_read_again_parents_first(
    spaces: SpaceStore, space: SpaceRow, store: Store, alpha: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pshare.spaces.space_store.ENTRIES_AT_ONCE", 2)
    one = note(alpha, space.space, 2, space.space)
    two = note(alpha, space.space, 3, one.entry_id)
    for entry in (one, two):
        spaces.put_entry(space, entry, NOW + 5)
    read = list(SpaceReading(store.database).entries(space))
    assert [entry.header.kind for entry in read] == ["open", "note", "note"]
    assert [entry.wire for entry in read[1:]] == [one.wire, two.wire]
    assert decode_entry(read[0].wire, REAL).entry_id == space.space
    found = spaces.find(space.space)
    assert found is not None and (found.title, found.kind, found.changes) == ("ours", "note", 3)
    assert spaces.begin_with(space.space.text[:6].upper()) == [found] and spaces.begin_with("zz") == []
    assert spaces.space_of_entry(two.entry_id) == space.space and spaces.entry_count(space) == 3


def test_a_body_comes_later_and_is_never_replaced(
    spaces: SpaceStore, space: SpaceRow, alpha: Identity
) -> None:
    entry = note(alpha, space.space, 2, space.space)
    spoilt = VerifiedEntry(replace(entry.decoded, body=bytes(len(entry.decoded.body))))
    spaces.put_entry(space, spoilt, NOW)
    assert list(spaces.entries(space))[1].wire == without_body(entry).wire, "a body that does not fit is none"
    spaces.put_entry(space, entry, NOW)
    assert list(spaces.entries(space))[1].wire == entry.wire
    spaces.put_entry(space, spoilt, NOW)
    assert list(spaces.entries(space))[1].wire == entry.wire


def test_an_entry_without_its_parents_cannot_be_read_before_them(
    spaces: SpaceStore, space: SpaceRow, alpha: Identity, store: Store, tmp_path: Path
) -> None:
    """The transaction that stored it fails as a whole."""
    orphan = note(alpha, space.space, 3, EntryId(b"x" * 32))
    with pytest.raises(ValueError, match="parents"):
        spaces.put_entry(space, orphan, NOW)
    assert spaces.entry_count(space) == 1
    assert rows(store.database.path, "SELECT count(*) FROM space_parent") == [(0,)]


def test_an_exercise_never_gets_into_this_file(spaces: SpaceStore, alpha: Identity) -> None:
    opening, act = opened(alpha, Realm(b"e" * 16))
    with pytest.raises(apsw.ConstraintError):
        spaces.put_space(opening, act, alpha.partner_id, NOW)
    assert spaces.all() == []


def test_an_unverified_copy_keeps_no_other_out_and_makes_no_organisation(
    spaces: SpaceStore, space: SpaceRow, alpha: Identity, store: Store
) -> None:
    stranger = named_identity("stranger")
    entry = note(stranger, space.space, 1, space.space)
    spoilt = replace(entry.decoded, signatures=bytes(len(entry.decoded.signatures)))
    before = rows(store.database.path, "SELECT count(*) FROM organisation")
    bravo, charlie = PartnerId(b"b" * 32), PartnerId(b"c" * 32)
    for copy, handed_by in ((spoilt, bravo), (entry.decoded, charlie), (entry.decoded, charlie)):
        spaces.put_waiting(copy, VerifiedEntry(copy).wire, WAITS_FOR_CARD, handed_by, NOW)
    assert rows(store.database.path, "SELECT count(*) FROM organisation") == [(before[0][0] + 2,)]
    waiting = spaces.waiting(author=stranger.partner_id, reason=WAITS_FOR_CARD)
    assert [one.handed_by for one in waiting] == [bravo, charlie]
    assert spaces.waiting_wire(waiting[1].row) == entry.wire
    assert spaces.waiting_bytes(charlie) == len(entry.wire)
    spaces.end_waiting(entry.entry_id, WAITS_FOR_CARD)
    assert spaces.waiting() == []


def test_a_verified_entry_waits_once_whoever_hands_it_over(
    spaces: SpaceStore, space: SpaceRow, alpha: Identity
) -> None:
    entry = note(alpha, space.space, 3, EntryId(b"x" * 32))
    bare = without_body(entry)
    for copy, handed_by in ((bare, b"b"), (entry, b"c")):
        spaces.put_waiting(copy.decoded, copy.wire, WAITS_FOR_PARENTS, PartnerId(handed_by * 32), NOW)
    (waiting,) = spaces.waiting(space=space.space)
    assert spaces.waiting_wire(waiting.row) == entry.wire and waiting.handed_by == PartnerId(b"b" * 32)
    spaces.drop_waiting(waiting.row)
    assert spaces.waiting_wire(waiting.row) is None


def test_an_output_is_good_for_the_entries_it_was_made_of(
    spaces: SpaceStore, space: SpaceRow, alpha: Identity
) -> None:
    now = spaces.find(space.space)
    assert now is not None
    spaces.put_canonical(now, b"{}")
    assert spaces.canonical(now) == b"{}"
    spaces.put_entry(space, note(alpha, space.space, 2, space.space), NOW)
    later = spaces.find(space.space)
    assert later is not None and spaces.canonical(later) is None


def test_an_older_card_does_not_replace_a_newer(spaces: SpaceStore, alpha: Identity) -> None:
    member, bravo = PartnerId(b"m" * 32), PartnerId(b"b" * 32)
    assert spaces.introduced_card(member) is None
    for version, raw in ((2, b"two"), (1, b"one")):
        spaces.put_introduced_card(member, version, raw, bravo, NOW)
    assert spaces.introduced_card(member) == b"two"
