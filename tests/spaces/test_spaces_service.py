"""The spaces of one node over a real store: what comes is held, waits or is refused by reason, and a restart changes nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from entry_forge import sign_header
from envelope_forge import NOW, named_identity, named_keys
from store_rows import rows

from p2pshare.envelope.card_format import Revocation
from p2pshare.envelope.entry import (
    NO_SPACE,
    REAL,
    EntryDraft,
    VerifiedEntry,
    encode_header,
    sign_entry,
    without_body,
)
from p2pshare.envelope.keys import reissue_card
from p2pshare.errors import AuthorError, NotFoundError, PeerError, RefusedError, StoreError
from p2pshare.identifiers import EntryId, PartnerId, Realm
from p2pshare.node.store import open_store
from p2pshare.partners.interface import PartnerRow
from p2pshare.spaces import fold, space_store
from p2pshare.spaces import spaces as service
from p2pshare.spaces.acts import Handover, Inviting, Opening, Plain, Rekey, Removal
from p2pshare.spaces.fold import SpaceFold
from p2pshare.spaces.space_store import SpaceReading
from p2pshare.spaces.spaces import ALREADY_HELD, HELD, REFUSED, WAITS, EntryVerdict, Spaces, read_canonical
from p2pshare.spaces.writing import SpaceStatement

NOTHING = Plain().encode()
THEN, LATER = NOW + 200_000, NOW + 400_000


class OneNode:
    """A node with a store of its own, which can be started again."""

    def __init__(self, folder: Path, name: str) -> None:
        self.identity = named_identity(name)
        self.path = folder / f"{name}.sqlite"
        self.start()

    @property
    def id(self) -> PartnerId:
        return self.identity.partner_id

    def start(self) -> None:
        self.store = open_store(self.path, free_space_bytes_min=0)
        self.spaces = Spaces(self.store.database, self.store.partners, lambda: self.identity)

    def restart(self) -> None:
        self.store.close()
        self.start()

    def befriend(self, *others: OneNode) -> None:
        for other in others:
            card = other.identity.card
            self.store.partners.put(
                PartnerRow(other.id, card.name, card.raw, card.version, True, (), False, NOW)
            )

    def say(self, space: EntryId, kind: str, content: bytes = NOTHING) -> list[VerifiedEntry]:
        return self.spaces.say(space, SpaceStatement(kind, content, 1), NOW)

    def note(self, space: EntryId, text: str) -> VerifiedEntry:
        return self.say(space, "note", text.encode())[-1]

    def hear(self, *entries: VerifiedEntry | bytes, of: OneNode) -> list[EntryVerdict]:
        wires = [one if isinstance(one, bytes) else one.wire for one in entries]
        return self.spaces.take_in(wires, of.id, NOW).verdicts

    def held(self, space: EntryId) -> list[VerifiedEntry]:
        row = SpaceReading(self.store.database).find(space)
        return [] if row is None else list(SpaceReading(self.store.database).entries(row))

    def refused(self) -> dict[str, int]:
        return self.store.partners.refusals()

    def waiting(self, reason: str) -> int:
        return len(SpaceReading(self.store.database).waiting(reason=reason))


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[OneNode]]:
    made = [OneNode(tmp_path, name) for name in ("alpha", "bravo", "charlie")]
    for node in made:
        node.befriend(*(other for other in made if other is not node))
    yield made
    for node in made:
        node.store.close()


def opened(lead: OneNode, *members: OneNode) -> VerifiedEntry:
    return lead.spaces.open("note", "ours", 1, [(one.id, "") for one in members], NOW)


def statuses(verdicts: Sequence[EntryVerdict]) -> list[tuple[str, str]]:
    return [(one.status, one.reason) for one in verdicts]


def forged(author: OneNode, like: VerifiedEntry, /, **changes: object) -> bytes:
    """An entry that its author did sign, with whatever in its header."""
    header = replace(like.header, **changes)  # type: ignore[arg-type]
    return sign_header(author.identity, header.realm, encode_header(header), like.decoded.body)


# --- the same space at all ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_nodes_that_lose_double_delay_and_restart_end_with_the_same_space(
    seed: int, nodes: list[OneNode]
) -> None:
    draw = random.Random(seed)
    opening = opened(nodes[0], *nodes[1:])
    space = opening.entry_id
    written = [opening]
    for node in nodes[1:]:
        node.hear(opening, of=nodes[0])
        written.append(node.spaces.join(space, NOW))
    for round_ in range(15):
        node = draw.choice(nodes)
        kind = draw.choice(["note", "note", "merge", "reopen"])
        written += node.say(space, kind, f"note {round_}".encode() if kind == "note" else NOTHING)
        hearer = draw.choice(nodes)
        hearer.hear(*draw.choices(written, k=4), of=node)
        if draw.random() < 0.3:
            hearer.restart()
    assert any(node.waiting("parents") for node in nodes), "else nothing is shown"
    for node in nodes:
        draw.shuffle(written)
        node.hear(*written, of=nodes[0])
        node.restart()
    outputs = {node.spaces.canonical(space) for node in nodes}
    assert len(outputs) == 1 and {node.waiting("parents") for node in nodes} == {0}
    assert {len(node.held(space)) for node in nodes} == {len(written)}
    assert all(sum(node.refused().values()) == 0 for node in nodes)


def test_what_waits_for_parents_goes_on_after_a_restart(nodes: list[OneNode]) -> None:
    alpha, bravo, _ = nodes
    opening = opened(alpha, bravo)
    one, two, three = (alpha.note(opening.entry_id, text) for text in ("one", "two", "three"))
    assert statuses(bravo.hear(opening, three, two, of=alpha)) == [
        (HELD, ""),
        (WAITS, "parents"),
        (WAITS, "parents"),
    ]
    bravo.restart()
    assert bravo.spaces.wanted(opening.entry_id) == [one.entry_id]
    taken = bravo.spaces.take_in([one.wire], alpha.id, NOW)
    assert statuses(taken.verdicts) == [(HELD, "")]
    assert [verdict.entry_id for verdict in taken.freed] == [two.entry_id, three.entry_id]
    assert bravo.waiting("parents") == 0
    assert bravo.spaces.canonical(opening.entry_id) == alpha.spaces.canonical(opening.entry_id)


def test_an_output_that_is_there_is_not_folded_again(
    nodes: list[OneNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha = nodes[0]
    space = opened(alpha).entry_id
    alpha.note(space, "one")
    output = alpha.spaces.canonical(space)
    alpha.restart()
    folded: list[object] = []
    real = SpaceFold.state
    monkeypatch.setattr(SpaceFold, "state", lambda fold: (folded.append(fold), real(fold))[1])
    assert alpha.spaces.canonical(space) == output and folded == []
    alpha.note(space, "two")
    folded.clear()
    assert alpha.spaces.canonical(space) != output and folded


@pytest.mark.parametrize("limit", ["LOADED_ENTRIES_MAX", "LOADED_BYTES_MAX"])
def test_a_space_that_was_put_out_of_memory_comes_back(
    limit: str, nodes: list[OneNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, limit, 1)
    alpha = nodes[0]
    spaces = [opened(alpha).entry_id for _ in range(3)]
    for number in range(2):
        for space in spaces:
            assert alpha.note(space, f"note {number}").header.number == 2 + number
            assert [one for one in spaces if alpha.spaces.newest(one) is not None] == [space]
    with pytest.raises(NotFoundError):
        alpha.spaces.state(EntryId(b"x" * 32))


def test_a_body_that_comes_later_is_stored_and_shown(nodes: list[OneNode]) -> None:
    alpha, bravo, _ = nodes
    opening = opened(alpha, bravo)
    note = alpha.note(opening.entry_id, "hello")
    assert statuses(bravo.hear(opening, without_body(note), without_body(note), of=alpha)) == [
        (HELD, ""),
        (HELD, ""),
        (ALREADY_HELD, ""),
    ]
    assert b"hello" not in bravo.spaces.canonical(opening.entry_id)
    bravo.restart()
    assert statuses(bravo.hear(note, of=alpha)) == [(HELD, "")]
    bravo.restart()
    assert bravo.spaces.canonical(opening.entry_id) == alpha.spaces.canonical(opening.entry_id)


# --- whose space, and whose invitation -------------------------------------------------------------------


def test_a_space_is_taken_from_a_partner_that_names_us_alone(nodes: list[OneNode], tmp_path: Path) -> None:
    alpha, bravo, charlie = nodes
    stranger = OneNode(tmp_path, "stranger")
    stranger.befriend(bravo)
    for_charlie = opened(alpha, charlie)
    unknown = opened(stranger, bravo)
    good = opened(alpha, bravo)
    spoilt = VerifiedEntry(replace(good.decoded, body=b"x" * len(good.decoded.body)))
    note = alpha.note(for_charlie.entry_id, "not for bravo")
    offered = (for_charlie, unknown, spoilt, without_body(good), note, good)
    assert statuses(bravo.hear(*offered, of=alpha)) == [
        (REFUSED, "not-a-member"),
        (REFUSED, "not-a-member"),
        (REFUSED, "body-mismatch"),
        (REFUSED, "body-mismatch"),
        (REFUSED, "not-a-member"),
        (HELD, ""),
    ]
    assert bravo.refused() == {"not-a-member": 3, "body-mismatch": 2}
    assert [row.space for row in SpaceReading(bravo.store.database).all()] == [good.entry_id]
    stranger.store.close()


def test_an_invitation_is_joined_before_its_own_past_is_here(nodes: list[OneNode]) -> None:
    """Charlie has the invitation alone; opening and rest come after a restart, in the worst order."""
    alpha, bravo, charlie = nodes
    opening = opened(alpha, bravo)
    space = opening.entry_id
    note = alpha.note(space, "before")
    invite = alpha.say(space, "invite", Inviting(((charlie.id, ""),)).encode())[-1]
    later = alpha.note(space, "after")
    assert statuses(charlie.hear(invite, later, of=alpha)) == [(WAITS, "parents"), (WAITS, "parents")]
    assert [one.entry_id for one in charlie.spaces.invitations()] == [invite.entry_id]
    join = charlie.spaces.join(space, NOW)
    assert join.header.parents == (invite.entry_id,) and join.header.number == 1
    assert statuses(alpha.hear(join, of=charlie)) == [(HELD, "")]
    charlie.restart()
    assert statuses(charlie.hear(note, of=alpha)) == [(WAITS, "parents")]
    taken = charlie.spaces.take_in([opening.wire], alpha.id, NOW)
    assert statuses(taken.verdicts) == [(HELD, "")]
    assert [one.status for one in taken.freed if one.status == HELD] == [HELD] * 4
    assert charlie.spaces.state(space).members[charlie.id] == "joined"
    assert charlie.spaces.canonical(space) == alpha.spaces.canonical(space)
    assert charlie.spaces.invitations() == [] and charlie.waiting("parents") == 0
    assert charlie.note(space, "mine").header.number == 2


def test_who_was_removed_joins_again_when_invited_again(nodes: list[OneNode]) -> None:
    alpha, bravo, _ = nodes
    opening = opened(alpha, bravo)
    space = opening.entry_id
    bravo.hear(opening, of=alpha)
    alpha.hear(bravo.spaces.join(space, NOW), bravo.note(space, "mine"), of=bravo)
    bravo.hear(*alpha.say(space, "remove", Removal((bravo.id,)).encode()), of=alpha)
    for refused in (lambda: bravo.spaces.join(space, NOW), lambda: bravo.note(space, "late")):
        with pytest.raises(RefusedError):
            refused()
    bravo.hear(*alpha.say(space, "invite", Inviting(((bravo.id, ""),)).encode()), of=alpha)
    join = bravo.spaces.join(space, NOW)
    assert join.header.number == 3
    assert statuses(alpha.hear(join, of=bravo)) == [(HELD, "")]
    assert alpha.spaces.state(space).members[bravo.id] == "joined"
    assert alpha.spaces.effect_of(space, join.entry_id) == ""
    with pytest.raises(RefusedError) as caught:
        bravo.spaces.join(space, NOW)
    assert caught.value.reason == "joined"


# --- what is wrong with what comes -----------------------------------------------------------------------


def test_bad_entries_are_refused_by_reason_and_the_good_ones_beside_them_held(nodes: list[OneNode]) -> None:
    alpha, bravo, charlie = nodes
    opening = opened(alpha, bravo)
    note, last = (alpha.note(opening.entry_id, text) for text in ("good", "last"))
    wire = note.wire
    bad = {
        wire[:-1]: "malformed",
        b"": "malformed",
        wire[:-9] + bytes(9): "bad-signature",
        bytes(280_001): "oversized",
        forged(alpha, note, realm=Realm(b"e" * 16)): "wrong-realm",
        forged(charlie, note): "bad-signature",
        forged(alpha, note, depth=7, number=9): "wrong-depth",
        forged(alpha, note, number=9): "broken-chain",
        forged(alpha, note, tlp=0): "looser-than-space",
        forged(alpha, note, created=NOW - 400 * 86_400): "key-time",
        forged(alpha, note, number=10_001): "author-full",
        forged(alpha, note, tlp=4): "names-needed",
        forged(alpha, note, space=EntryId(b"y" * 32)): "not-a-member",
    }
    verdicts = bravo.hear(opening, *bad, note, last, of=alpha)
    assert statuses(verdicts[1:-2]) == [(REFUSED, reason) for reason in bad.values()]
    assert [one.status for one in (verdicts[0], *verdicts[-2:])] == [HELD] * 3
    assert sum(bravo.refused().values()) == len(bad), "in = held + refused"
    counted = {reason: list(bad.values()).count(reason) for reason in bad.values()}
    assert bravo.refused() == counted
    assert bravo.spaces.canonical(opening.entry_id) == alpha.spaces.canonical(opening.entry_id)


def test_what_follows_a_refused_entry_is_counted_to_who_handed_it_over(nodes: list[OneNode]) -> None:
    alpha, bravo, charlie = nodes
    opening = opened(alpha, bravo)
    note = alpha.note(opening.entry_id, "good")
    wrong = forged(alpha, note, depth=7, number=9)
    wrong_id = EntryId(bravo.hear(opening, wrong, of=alpha)[1].entry_id or b"")
    child = forged(alpha, note, number=10, depth=8, parents=(wrong_id,))
    bravo.restart()  # what was refused is forgotten, and found wrong again
    assert statuses(bravo.hear(child, of=charlie)) == [(WAITS, "parents")]
    taken = bravo.spaces.take_in([wrong], alpha.id, NOW)
    assert statuses(taken.verdicts + taken.freed) == [(REFUSED, "wrong-depth"), (REFUSED, "bad-parent")]
    path = bravo.path
    counted = rows(
        path,
        "SELECT o.partner_id, r.reason, r.count FROM refusal r JOIN organisation o ON o.id = r.organisation ORDER BY 2",
    )
    assert counted == [(charlie.id, "bad-parent", 1), (alpha.id, "wrong-depth", 2)]
    assert bravo.waiting("parents") == 0


def test_a_fault_of_the_disk_leaves_nothing_half_done(
    nodes: list[OneNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third entry cannot be stored: none is held, neither in the store nor in the fold, and all come in again."""
    alpha, bravo, _ = nodes
    opening = opened(alpha, bravo)
    notes = [alpha.note(opening.entry_id, f"note {number}") for number in range(3)]
    bravo.hear(opening, of=alpha)
    before = bravo.spaces.canonical(opening.entry_id)
    real = service.SpaceStore.put_entry

    def failing(store: object, space: object, entry: VerifiedEntry, now: int) -> None:
        if entry.entry_id == notes[2].entry_id:
            raise StoreError("the disk failed")
        real(store, space, entry, now)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(service.SpaceStore, "put_entry", failing)
        with pytest.raises(StoreError):
            bravo.hear(*notes, of=alpha)
    assert len(bravo.held(opening.entry_id)) == 1 and bravo.spaces.canonical(opening.entry_id) == before
    assert len(bravo.spaces.state(opening.entry_id).timeline) == 1
    assert statuses(bravo.hear(*notes, of=alpha)) == [(HELD, "")] * 3


# --- what waits for a card ---------------------------------------------------------------------------------


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[list[OneNode]]:
    """Alpha, whose partners bravo and charlie are none of each other."""
    made = [OneNode(tmp_path, name) for name in ("alpha", "bravo", "charlie")]
    made[0].befriend(*made[1:])
    for node in made[1:]:
        node.befriend(made[0])
    yield made
    for node in made:
        node.store.close()


def test_a_members_card_frees_what_waits_for_it_and_no_forgery(apart: list[OneNode]) -> None:
    alpha, bravo, charlie = apart
    opening = opened(alpha, bravo, charlie)
    space = opening.entry_id
    for node in (bravo, charlie):
        node.hear(opening, of=alpha)
    join, note = charlie.spaces.join(space, NOW), charlie.note(space, "hello")
    flipped = VerifiedEntry(replace(note.decoded, signatures=bytes(len(note.decoded.signatures))))
    assert statuses(bravo.hear(note, join, flipped, of=alpha)) == [(WAITS, "card")] * 3
    assert bravo.waiting("card") == 2, "one copy of each from one partner"
    bravo.restart()
    freed = bravo.spaces.take_card(charlie.identity.card.raw, alpha.id, NOW).freed
    assert {one.entry_id for one in freed if one.status == HELD} == {join.entry_id, note.entry_id}
    assert bravo.waiting("card") == bravo.waiting("parents") == 0
    alpha.hear(join, note, of=charlie)
    assert bravo.spaces.canonical(space) == alpha.spaces.canonical(space)
    bravo.restart()
    assert statuses(bravo.hear(charlie.note(space, "again"), of=alpha)) == [(HELD, "")], "the card was kept"


def test_a_spoilt_copy_from_one_partner_keeps_no_good_one_out(apart: list[OneNode], tmp_path: Path) -> None:
    alpha, bravo, charlie = apart
    delta = OneNode(tmp_path, "delta")
    bravo.befriend(delta)
    opening = opened(alpha, bravo, charlie)
    for node in (bravo, charlie):
        node.hear(opening, of=alpha)
    join = charlie.spaces.join(opening.entry_id, NOW)
    spoilt = VerifiedEntry(replace(join.decoded, signatures=bytes(len(join.decoded.signatures))))
    bravo.hear(spoilt, of=delta)
    bravo.hear(join, of=alpha)
    freed = bravo.spaces.take_card(charlie.identity.card.raw, alpha.id, NOW).freed
    assert statuses(freed) == [(REFUSED, "bad-signature"), (HELD, "")]
    assert bravo.refused() == {"bad-signature": 1}
    delta.store.close()


def test_cards_are_taken_of_named_members_alone(apart: list[OneNode], tmp_path: Path) -> None:
    alpha, bravo, charlie = apart
    stranger = named_identity("stranger")
    opening = opened(alpha, bravo)
    bravo.hear(opening, of=alpha)
    outside = replace(opening.header, kind="note", number=1, depth=2, parents=(opening.entry_id,))
    outside = replace(
        outside, space=opening.entry_id, author=stranger.partner_id, key_id=stranger.operational.sign.key_id
    )
    wire = sign_header(stranger, REAL, encode_header(outside), opening.decoded.body)
    assert statuses(bravo.hear(wire, of=alpha)) == [(WAITS, "card")]
    for raw, reason in (
        (stranger.card.raw, "not-a-member"),
        (charlie.identity.card.raw, "not-a-member"),
        (alpha.identity.card.raw, "not-introduced"),
        (bravo.identity.card.raw, "not-introduced"),
        (bytes(300_000), "oversized"),
    ):
        with pytest.raises(PeerError) as caught:
            bravo.spaces.take_card(raw, alpha.id, NOW)
        assert caught.value.reason == reason
    assert rows(bravo.path, "SELECT count(*) FROM introduced_card") == [(0,)]


def test_a_rekey_waits_until_the_card_revokes_what_it_disowns(nodes: list[OneNode]) -> None:
    """Bravo knows the new key already; what counts is that the old one is revoked."""
    alpha, bravo, _ = nodes
    opening = opened(alpha, bravo)
    space = opening.entry_id
    bravo.hear(opening, of=alpha)
    old = alpha.identity.operational.sign.key_id
    fresh = named_keys("alpha again", alpha.id)
    rotated = reissue_card(alpha.identity, THEN, operational=fresh)
    alpha.identity = rotated
    bravo.store.partners.update_card(alpha.id, rotated.card.raw, rotated.card.version)
    said = SpaceStatement("rekey", Rekey({old: space}).encode(), 1)
    rekey = alpha.spaces.say(space, said, THEN)[-1]
    assert statuses(bravo.hear(without_body(rekey), rekey, of=alpha)) == [
        (REFUSED, "body-mismatch"),
        (WAITS, "card"),
    ]
    bravo.restart()
    assert statuses(bravo.spaces.card_came(alpha.id, THEN).freed) == [(WAITS, "card")]
    again = named_keys("alpha a third time", alpha.id)
    revoked = reissue_card(rotated, LATER, operational=again, revoked=[Revocation(old, LATER, 1)])
    bravo.store.partners.update_card(alpha.id, revoked.card.raw, revoked.card.version)
    assert statuses(bravo.spaces.card_came(alpha.id, LATER).freed) == [(HELD, "")]
    assert bravo.waiting("card") == 0 and bravo.spaces.effect_of(space, rekey.entry_id) == ""


def test_a_stripped_copy_that_is_held_first_leaves_the_whole_one(
    apart: list[OneNode], tmp_path: Path
) -> None:
    alpha, bravo, charlie = apart
    delta = OneNode(tmp_path, "delta")
    bravo.befriend(delta)
    opening = opened(alpha, bravo, charlie)
    for node in (bravo, charlie):
        node.hear(opening, of=alpha)
    join, note = charlie.spaces.join(opening.entry_id, NOW), charlie.note(opening.entry_id, "hello")
    bravo.hear(join, without_body(note), of=delta)
    bravo.hear(note, of=alpha)
    bravo.spaces.take_card(charlie.identity.card.raw, alpha.id, NOW)
    assert b"hello" in bravo.spaces.canonical(opening.entry_id) and bravo.waiting("card") == 0
    delta.store.close()


# --- limits ------------------------------------------------------------------------------------------------


def test_unverified_entries_are_bounded_and_who_hands_over_most_loses(
    apart: list[OneNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "SPACE_WAITING_FOR_CARD_MAX", 5)
    alpha, bravo, charlie = apart
    opening = opened(alpha, bravo, charlie)
    for node in (bravo, charlie):
        node.hear(opening, of=alpha)
    join = charlie.spaces.join(opening.entry_id, NOW)
    bravo.hear(join, of=alpha)
    junk = [forged(charlie, join, kind="note", number=2 + n, depth=3 + n) for n in range(20)]
    verdicts = bravo.hear(*junk, of=charlie)
    assert statuses(verdicts) == [(WAITS, "card")] * 4 + [(REFUSED, "later")] * 16
    assert bravo.waiting("card") == 5 and bravo.refused() == {"later": 16}
    freed = bravo.spaces.take_card(charlie.identity.card.raw, alpha.id, NOW).freed
    assert freed[0] == EntryVerdict(join.entry_id, HELD)


def test_orphans_are_bounded_in_the_store_as_in_memory(
    nodes: list[OneNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = service.SpaceIntake
    monkeypatch.setattr(service, "SpaceIntake", lambda fold: real(fold, waiting_max=4))
    alpha, bravo, charlie = nodes
    opening = opened(alpha, bravo, charlie)
    bravo.hear(opening, of=alpha)
    charlie.hear(opening, of=alpha)
    join = charlie.spaces.join(opening.entry_id, NOW)
    mine = charlie.note(opening.entry_id, "mine")
    orphans = [
        forged(alpha, mine, author=alpha.id, key_id=alpha.identity.operational.sign.key_id, depth=3 + n,
               parents=(EntryId(n.to_bytes(32, "big")),))
        for n in reversed(range(10))
    ]  # fmt: skip
    bravo.hear(*orphans, of=alpha)
    bravo.hear(mine, of=charlie)
    assert bravo.waiting("parents") == 4
    bravo.restart()
    taken = bravo.spaces.take_in([join.wire], charlie.id, NOW)
    assert statuses(taken.verdicts + taken.freed) == [(HELD, ""), (HELD, "")]
    assert bravo.waiting("parents") == 3


def test_what_waits_for_nothing_is_let_go_after_two_weeks_and_comes_again_when_it_is_whole(
    nodes: list[OneNode],
) -> None:
    alpha, bravo, charlie = nodes
    opening = opened(alpha, bravo, charlie)
    space = opening.entry_id
    for node in (bravo, charlie):
        node.hear(opening, of=alpha)
    join, mine = charlie.spaces.join(space, NOW), charlie.note(space, "mine")
    last = charlie.note(space, "and more")
    bravo.hear(last, of=charlie)
    assert bravo.waiting("parents") == 1

    def tick(now: int) -> None:
        while bravo.spaces.go_on(now):
            pass

    tick(NOW + service.WAITING_SECONDS_MAX - service.WAITING_SWEEP_SECONDS)
    assert bravo.waiting("parents") == 1
    tick(NOW + service.WAITING_SECONDS_MAX + service.WAITING_SWEEP_SECONDS)
    assert bravo.waiting("parents") == 0 and bravo.refused() == {"later": 1}
    assert bravo.spaces.wanted(space) == [], "nor is what it waited for asked for any more"
    assert statuses(bravo.hear(join, mine, last, of=charlie)) == [(HELD, "")] * 3


def test_an_invitation_of_ours_and_our_join_beside_it_wait_for_ever(nodes: list[OneNode]) -> None:
    alpha, bravo, charlie = nodes
    opening = opened(alpha, charlie)
    note = alpha.note(opening.entry_id, "before")
    invite = alpha.say(opening.entry_id, "invite", Inviting(((bravo.id, ""),)).encode())[-1]
    assert note.entry_id in invite.header.parents
    bravo.hear(invite, of=alpha)
    bravo.spaces.join(opening.entry_id, NOW)
    assert bravo.waiting("parents") == 2
    while bravo.spaces.go_on(NOW + 10 * service.WAITING_SECONDS_MAX):
        pass
    assert bravo.waiting("parents") == 2


def test_the_bytes_that_wait_are_bounded_for_each_partner(
    nodes: list[OneNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, bravo, charlie = nodes
    opening = opened(alpha, bravo)
    notes = [alpha.note(opening.entry_id, f"note {number}") for number in range(5)]
    monkeypatch.setattr(service, "SPACE_WAITING_BYTES_MAX", 2 * len(notes[1].wire))
    bravo.hear(opening, of=alpha)
    assert statuses(bravo.hear(*notes[1:], of=charlie)) == [(WAITS, "parents")] * 2 + [(REFUSED, "later")] * 2
    assert statuses(bravo.hear(notes[3], of=alpha)) == [(WAITS, "parents")], "another's account"
    assert statuses(bravo.hear(*notes, of=charlie))[0] == (HELD, ""), "what waits for nothing comes in"


def test_spaces_and_invitations_of_one_partner_are_bounded(
    nodes: list[OneNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "SPACES_PER_OPENER_MAX", 2)
    monkeypatch.setattr(service, "SPACE_INVITATIONS_MAX", 2)
    alpha, bravo, _ = nodes
    openings = [opened(alpha, bravo) for _ in range(3)]
    assert statuses(bravo.hear(*openings, of=alpha)) == [(HELD, "")] * 2 + [(REFUSED, "later")]
    invites = []
    for _ in range(3):
        other = opened(alpha)
        alpha.note(other.entry_id, "first")
        invites.append(alpha.say(other.entry_id, "invite", Inviting(((bravo.id, ""),)).encode())[-1])
    assert statuses(bravo.hear(*invites, of=alpha)) == [(WAITS, "parents")] * 2 + [(REFUSED, "later")]
    assert len(bravo.spaces.invitations()) == 2


def test_an_invitation_is_not_pushed_out_by_what_waits_beside_it(
    nodes: list[OneNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "SPACE_WAITING_MAX", 3)
    alpha, bravo, _ = nodes
    opening = opened(alpha)
    for number in range(3):
        alpha.note(opening.entry_id, f"note {number}")
    invite = alpha.say(opening.entry_id, "invite", Inviting(((bravo.id, ""),)).encode())[-1]
    before = [entry for entry in alpha.held(opening.entry_id) if entry.header.kind == "note"]
    bravo.hear(invite, *before, of=alpha)
    assert bravo.waiting("parents") == 3
    assert [one.entry_id for one in bravo.spaces.invitations()] == [invite.entry_id]


def test_an_author_that_forks_without_end_is_bounded(
    nodes: list[OneNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twins under one number are no content (merges), so they are not left aside; they fill the author's own account."""
    monkeypatch.setattr(service, "ENTRY_NUMBER_MAX", 4)
    alpha, bravo, _ = nodes
    opening = opened(alpha, bravo)
    bravo.hear(opening, of=alpha)
    twins = []
    for number in range(6):
        draft = EntryDraft(
            REAL, opening.entry_id, alpha.id, 2, (opening.entry_id,), 2, NOW + number, "merge", 1
        )
        twins.append(sign_entry(draft, NOTHING, alpha.identity.operational.sign))
    bravo.hear(bravo.spaces.join(opening.entry_id, NOW), of=bravo)
    assert statuses(bravo.hear(*twins, of=alpha)) == [(HELD, "")] * 3 + [(REFUSED, "later")] * 3
    assert bravo.note(opening.entry_id, "mine").header.number == 2


# --- writing -----------------------------------------------------------------------------------------------


def test_what_would_have_no_effect_is_not_written(nodes: list[OneNode]) -> None:
    alpha, bravo, charlie = nodes
    opening = opened(alpha, bravo)
    space = opening.entry_id
    bravo.hear(opening, of=alpha)
    tries: list[tuple[Callable[[], object], str]] = [
        (lambda: bravo.note(space, "not joined"), "not-member"),
        (lambda: bravo.say(space, "invite", Inviting(((charlie.id, ""),)).encode()), "not-lead"),
        (lambda: bravo.say(space, "close"), "not-lead"),
        (lambda: bravo.say(space, "accept"), "not-handed"),
        (lambda: alpha.note(space, ""), "bad-body"),
        (lambda: alpha.say(space, "leave"), "is-lead"),
        (lambda: alpha.spaces.say(space, SpaceStatement("note", b"x", 0), NOW), "looser-than-space"),
        (lambda: alpha.spaces.say(space, SpaceStatement("note", b"x", 4), NOW), "names-needed"),
        (lambda: alpha.note(space, "x" * 262_129), "oversized"),
    ]
    before = [node.spaces.canonical(space) for node in (alpha, bravo)]
    for attempt, reason in tries:
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert caught.value.reason == reason
        assert caught.value.exit_code == 5
    assert [len(node.held(space)) for node in (alpha, bravo)] == [1, 1]
    assert [node.spaces.canonical(space) for node in (alpha, bravo)] == before
    assert alpha.note(space, "good").header.number == 2


def test_the_lead_is_handed_over_and_the_notebook_closed_by_the_new_one(nodes: list[OneNode]) -> None:
    alpha, bravo, _ = nodes
    opening = opened(alpha, bravo)
    space = opening.entry_id
    bravo.hear(opening, of=alpha)
    alpha.hear(bravo.spaces.join(space, NOW), of=bravo)
    bravo.hear(*alpha.say(space, "handover", Handover(bravo.id).encode()), of=alpha)
    alpha.hear(*bravo.say(space, "accept"), *bravo.say(space, "close"), of=bravo)
    assert alpha.spaces.state(space).lead == bravo.id
    assert b'"closed":true' in alpha.spaces.canonical(space)
    bravo.hear(*alpha.say(space, "reopen"), of=alpha)
    assert b'"closed":false' in bravo.spaces.canonical(space)
    assert alpha.spaces.canonical(space) == bravo.spaces.canonical(space)


def test_an_opening_that_says_nothing_good_is_not_written(nodes: list[OneNode]) -> None:
    alpha = nodes[0]
    with pytest.raises(AuthorError):
        alpha.spaces.open("no-such-kind", "ours", 1, [], NOW)
    for title in ("", "x" * 257):
        with pytest.raises(RefusedError) as caught:
            alpha.spaces.open("note", title, 1, [], NOW)
        assert caught.value.reason == "bad-body"
    assert SpaceReading(alpha.store.database).all() == []


def test_a_space_of_other_rules_is_held_and_shown_and_nothing_is_said_in_it(nodes: list[OneNode]) -> None:
    alpha, bravo, _ = nodes
    names = tuple(sorted((one.id, "") for one in (alpha, bravo)))
    draft = EntryDraft(REAL, NO_SPACE, alpha.id, 1, (), 1, NOW, "open", 1)
    opening = sign_entry(draft, Opening(2, "note", "ours", names).encode(), alpha.identity.operational.sign)
    space = opening.entry_id
    note = forged(alpha, opening, kind="note", number=2, depth=2, parents=(space,), space=space)
    assert statuses(bravo.hear(opening, note, of=alpha)) == [(HELD, "")] * 2
    bravo.restart()
    while not bravo.spaces.ready(space, NOW):
        pass
    assert not bravo.spaces.go_on(NOW) and bravo.spaces.newest(space) is None
    row = SpaceReading(bravo.store.database).find(space)
    assert row is not None and row.title == "ours"
    output = bravo.spaces.canonical(space)
    assert output == read_canonical(SpaceReading(bravo.store.database), row)
    shown = json.loads(output)
    assert [one["kind"] for one in shown["timeline"]] == ["open", "note"]
    assert (shown["rules"], shown["lead"], shown["members"], shown["heads"]) == (2, None, [], [])
    for attempt in (
        lambda: bravo.note(space, "no"),
        lambda: bravo.spaces.join(space, NOW),
        lambda: bravo.spaces.state(space),
    ):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert caught.value.reason == "unknown-rules"
    assert len(bravo.held(space)) == 2


# --- in slices ---------------------------------------------------------------------------------------------


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space_store, "ENTRIES_AT_ONCE", 3)
    monkeypatch.setattr(service, "WAITING_AT_ONCE", 1)
    monkeypatch.setattr(fold, "STEP_ENTRIES", 2)


def slices(node: OneNode, space: EntryId, now: int = NOW) -> int:
    """Has a space read and folded; returns in how many slices."""
    count = 0
    while not node.spaces.ready(space, now):
        count += 1
    return count


@pytest.mark.usefixtures("small_steps")
def test_a_space_is_read_and_folded_in_slices_and_other_work_comes_between(nodes: list[OneNode]) -> None:
    """Whatever is heard, written and asked between any two slices, the end is the same."""
    alpha, bravo, charlie = nodes
    opening = opened(alpha, bravo, charlie)
    space = opening.entry_id
    bravo.hear(opening, of=alpha)
    entries = [alpha.note(space, f"note {number}") for number in range(12)]
    bravo.hear(*entries[:6], *entries[8:], of=alpha)
    bravo.restart()
    count = slices(bravo, space)
    assert count > 8 and bravo.waiting("parents") == 4
    assert slices(bravo, space) == 0 == slices(bravo, EntryId(b"?" * 32))
    for stop in range(count):
        bravo.restart()
        for _ in range(stop):
            bravo.spaces.ready(space, NOW)
        match stop % 3:
            case 0:
                assert bravo.spaces.canonical(space)
            case 1:
                bravo.hear(entries[6 + stop % 2], of=alpha)
            case _:
                assert bravo.spaces.state(space).lead == alpha.id
        slices(bravo, space)
        assert bravo.spaces.newest(space) is not None
    bravo.hear(*entries, of=alpha)
    assert bravo.waiting("parents") == 0
    assert bravo.spaces.canonical(space) == alpha.spaces.canonical(space)


@pytest.mark.usefixtures("small_steps")
def test_what_comes_is_folded_whole_at_most_once_in_ten_seconds(
    nodes: list[OneNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small space is folded once a second; this one counts as a large one."""
    monkeypatch.setattr(service, "SMALL_SPACE_ENTRIES", 0)
    alpha, bravo, charlie = nodes
    opening = opened(alpha, bravo, charlie)
    space = opening.entry_id
    bravo.hear(opening, of=alpha)
    slices(bravo, space)

    def folds(now: int) -> int:
        count = 0
        while bravo.spaces.go_on(now):
            count += 1
        return count

    def lead_and_members() -> set[PartnerId]:
        state = bravo.spaces.newest(space)
        assert state is not None
        return {member for member, status in state.members.items() if status in ("invited", "joined")}

    remove = alpha.say(space, "remove", Removal((charlie.id,)).encode())
    bravo.hear(*remove, of=alpha)
    assert folds(NOW + 9) == 0 and charlie.id in lead_and_members()
    assert folds(NOW + 10) > 3 and charlie.id not in lead_and_members()
    bravo.hear(*alpha.say(space, "invite", Inviting(((charlie.id, ""),)).encode()), of=alpha)
    assert folds(NOW + 19) == 0 and charlie.id not in lead_and_members()
    note = alpha.note(space, "content is there at once, once what came before is folded")
    assert folds(NOW + 20) > 3
    bravo.hear(note, of=alpha)
    state = bravo.spaces.newest(space)
    assert state is not None and [one.entry_id for one in state.timeline][-1] == note.entry_id


@pytest.mark.usefixtures("small_steps")
def test_a_space_in_which_much_comes_is_folded_all_the_same(nodes: list[OneNode]) -> None:
    """An entry comes between any two slices of a fold; the fold ends with what was there when it began."""
    alpha, bravo, charlie = nodes
    opening = opened(alpha, bravo, charlie)
    space = opening.entry_id
    bravo.hear(opening, of=alpha)
    slices(bravo, space)
    bravo.hear(*alpha.say(space, "remove", Removal((charlie.id,)).encode()), of=alpha)
    for number in range(100):
        bravo.hear(alpha.note(space, f"note {number}"), of=alpha)
        if not bravo.spaces.go_on(NOW + 10):
            break
    else:
        raise AssertionError("the fold never ended")
    state = bravo.spaces.newest(space)
    assert state is not None and state.members[charlie.id] == "removed"
    assert len(state.timeline) == number + 3
    assert bravo.spaces.canonical(space) == alpha.spaces.canonical(space)


def test_who_wrote_on_after_a_removal_and_is_invited_again_does_not_fork(nodes: list[OneNode]) -> None:
    """Nobody could tell it; the invitation has not seen what it wrote meanwhile."""
    alpha, bravo, _ = nodes
    opening = opened(alpha, bravo)
    space = opening.entry_id
    bravo.hear(opening, of=alpha)
    alpha.hear(bravo.spaces.join(space, NOW), of=bravo)
    removal = alpha.say(space, "remove", Removal((bravo.id,)).encode())
    late = [bravo.note(space, text) for text in ("cut off", "and still writing")]
    invite = alpha.say(space, "invite", Inviting(((bravo.id, ""),)).encode())
    bravo.hear(*removal, *invite, of=alpha)
    join = bravo.spaces.join(space, NOW)
    assert join.header.number == 4 and join.header.parents == tuple(
        sorted((invite[-1].entry_id, late[-1].entry_id))
    )
    alpha.hear(*late, join, of=bravo)
    assert alpha.spaces.state(space).members[bravo.id] == "joined"
    assert [alpha.spaces.effect_of(space, one.entry_id) for one in (*late, join)] == ["cut", "cut", ""]


def test_a_stripped_copy_does_not_replace_an_invitation_that_waits_without_its_opening(
    nodes: list[OneNode],
) -> None:
    alpha, bravo, charlie = nodes
    opening = opened(alpha)
    invite = alpha.say(opening.entry_id, "invite", Inviting(((bravo.id, ""),)).encode())[-1]
    assert statuses(bravo.hear(invite, of=alpha)) == [(WAITS, "parents")]
    assert statuses(bravo.hear(without_body(invite), of=charlie)) == [(WAITS, "parents")]
    bravo.spaces.join(opening.entry_id, NOW)
    taken = bravo.spaces.take_in([opening.wire], alpha.id, NOW)
    assert [(one.status, one.reason) for one in taken.freed] == [(HELD, ""), (HELD, "")]


def test_a_lead_that_invites_a_forked_member_again_pardons_it(nodes: list[OneNode]) -> None:
    """What a fork wrote has no effect, so nothing cites it by itself; a pardon needs both branches in its past."""
    alpha, bravo, charlie = nodes
    opening = opened(alpha, bravo, charlie)
    space = opening.entry_id
    bravo.hear(opening, of=alpha)
    join = bravo.spaces.join(space, NOW)
    mine = bravo.note(space, "one story")
    twin = forged(bravo, mine, created=NOW + 1)
    later = bravo.note(space, "and on")
    alpha.hear(join, mine, twin, later, of=bravo)
    assert alpha.spaces.state(space).members[bravo.id] == "forked"
    alpha.say(space, "invite", Inviting(((bravo.id, ""),)).encode())
    assert alpha.spaces.state(space).members[bravo.id] == "joined"
    bravo.hear(twin, *(one for one in alpha.held(space) if one.header.author == alpha.id), of=alpha)
    assert bravo.spaces.canonical(space) == alpha.spaces.canonical(space)
    alpha.hear(bravo.note(space, "again"), of=bravo)
    assert alpha.spaces.state(space).members[bravo.id] == "joined"


def test_a_body_that_is_sealed_for_others_is_not_kept_whoever_hands_it_over(nodes: list[OneNode]) -> None:
    alpha, bravo, charlie = nodes
    opening = opened(alpha, bravo, charlie)
    space = opening.entry_id
    for node in (bravo, charlie):
        node.hear(opening, of=alpha)
    who = tuple(sorted((alpha.id, charlie.id)))
    sealed = alpha.spaces.say(space, SpaceStatement("note", b"not for bravo", 4, who), NOW)[-1]
    assert statuses(bravo.hear(sealed, of=charlie)) == [(HELD, "")]
    assert statuses(bravo.hear(sealed, of=charlie)) == [(ALREADY_HELD, "")]
    charlie.hear(sealed, of=alpha)
    (of_bravo,), (of_charlie,) = (node.held(space)[1:] for node in (bravo, charlie))
    assert of_bravo.decoded.body == b"" and of_charlie.content() == b"not for bravo"
    assert bravo.spaces.canonical(space) == charlie.spaces.canonical(space)
