"""The naive fold of spaces keeps each rule of docs/spaces.md; so what is compared with it is compared with the page."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import msgpack
import naive_fold
import pytest
from naive_fold import ZEROS, PlainEntry, canonical, effects, plain_entry
from wild_space_histories import WrittenSpace, history, parents_first

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "space.json"
STORIES = json.loads(VECTORS.read_text(encoding="utf-8"))["stories"]

A, B, C, D, E, STRANGER = (bytes([number]) * 32 for number in (0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0x77))


class Told(WrittenSpace):
    """A space that A opened; each author goes on from its own last entry, the opening, and whatever it is said to have seen."""

    def __init__(self, *members: bytes, joined: bool = True, **opened: Any) -> None:
        super().__init__(random.Random(7))
        self.opened = self.open(A, {A, *members}, **opened)
        self.last: dict[bytes, bytes] = {A: self.opened}
        self.start = {self.opened}
        if joined:
            self.start |= {self.says(m, "join") for m in members}

    def says(self, author: bytes, kind: str, content: Any = None, *seen: bytes, **more: Any) -> bytes:
        """Write what the author says after its own last entry."""
        own = {self.last[author]} if author in self.last else set()
        x = self.write(
            author, kind, {} if content is None else content, own | (set(seen) or {self.opened}), **more
        )
        self.last[author] = x
        return x

    def twin(self, author: bytes, before: bytes, kind: str, content: Any = None, *seen: bytes) -> bytes:
        """Write what a liar says after `before`, whatever else it wrote since."""
        return self.write(author, kind, {} if content is None else content, {before, *seen})

    def code(self, x: bytes, *heads: bytes) -> str:
        """Returns the effect of x among all that was written, or among `heads`, itself and their pasts."""
        return self.fold.effect(x, self.past_of([x, *heads]) if heads else self.fold.all)

    def shown(self) -> dict[str, Any]:
        raw = canonical(self.entries)
        assert raw is not None
        shown = json.loads(raw)
        assert type(shown) is dict
        return shown

    def status(self, m: bytes) -> str:
        return str({row["id"]: row["status"] for row in self.shown()["members"]}[m.hex()])

    def lead(self) -> str | None:
        """Returns the lead that is shown: a partner id, or None."""
        lead = self.shown()["lead"]
        assert lead is None or type(lead) is str
        return lead

    def votes(self, t: bytes, *voters: bytes) -> list[bytes]:
        return [self.says(voter, "ack", {0: t}, t) for voter in voters]

    def takes_over(self, author: bytes, epoch: int, round_: int, *seen: bytes) -> bytes:
        return self.says(author, "takeover", {0: epoch, 1: round_}, *(seen or self.start))


@pytest.mark.parametrize("story", [pytest.param(story, id=story["name"]) for story in STORIES])
def test_the_vectors_hold(story: dict[str, Any]) -> None:
    """Also the twelve of the design, which are the first (docs/spaces.md, "Vectors"); the random bytes are no part of them."""
    entries = [
        plain_entry(
            base64.b64decode(row["header"]),
            b"" if row["content"] is None else bytes(16) + base64.b64decode(row["content"]),
        )
        for row in story["entries"]
    ]
    assert story["checks"]
    for check in story["checks"]:
        known = [entries[number] for number in check["known"]]
        codes = effects(known)
        raw = canonical(known)
        assert codes is not None and raw is not None
        assert {
            str(number): codes[entries[number].id] for number in check["known"] if codes[entries[number].id]
        } == check["void"]
        assert raw.decode() == check["canonical"]
        shown = json.loads(raw)
        assert (shown["lead"], shown["term"]) == (check["lead"], check["term"])
        assert {row["id"]: row["status"] for row in shown["members"]} == check["members"]
        assert bool(shown["state"] and shown["state"]["closed"]) == check["closed"]


# ------------------------------------------------------------------------------------------------------------ the output


def test_the_output_is_these_bytes() -> None:
    space = WrittenSpace(random.Random(1), realm=bytes(15) + b"\x01")
    opened = space.open(A, {A, B}, title='Ü "\\\x00\x1f\x7f\b\t\n\f\r/\u2028', tlp=2)
    note = space.write(A, "note", "é\x01".encode(), [opened])
    sealed = space.write(A, "note", b"\xff", [note], tlp=4, audience=[B])
    headless = space.write(A, "note", b"text", [sealed], held=False)
    rows = [space.fold.entries[x] for x in (opened, note, sealed, headless)]

    def line(one: PlainEntry, tlp: str) -> str:
        return (
            f'{{"author":"{A.hex()}","created":{one.created},"depth":{one.depth},"id":"{one.id.hex()}",'
            f'"kind":"{one.kind}","number":{one.number},"tlp":"{tlp}"}}'
        )

    marks = ("TLP:AMBER", "TLP:AMBER", "TLP:RED", "TLP:AMBER")
    expected = (
        f'{{"contested":false,"heads":["{headless.hex()}"],"kind":"note","lead":"{A.hex()}",'
        f'"members":[{{"id":"{A.hex()}","status":"joined"}},{{"id":"{B.hex()}","status":"invited"}}],'
        f'"realm":"{"0" * 31}1","rules":1,"space":"{opened.hex()}",'
        '"state":{"after":[],"closed":false,"late":[],"notes":['
        f'{{"id":"{note.hex()}","redacted":false,"sealed":false,"text":"é\\u0001"}},'
        f'{{"id":"{sealed.hex()}","redacted":false,"sealed":true,"text":null}},'
        f'{{"id":"{headless.hex()}","redacted":false,"sealed":false,"text":null}}]}},'
        f'"term":[0,0,0],"timeline":[{",".join(map(line, rows, marks))}],'
        '"title":"Ü \\"\\\\\\u0000\\u001f\x7f\\b\\t\\n\\f\\r/\u2028","tlp":"TLP:AMBER"}'
    )
    assert canonical(space.entries) == expected.encode()


def test_a_space_of_a_kind_that_is_not_known_has_no_state_and_its_close_is_content() -> None:
    space = Told(B, kind="quest")
    close = space.says(B, "close", b"anything")
    shown = space.shown()
    assert shown["state"] is None and shown["kind"] == "quest"
    assert space.code(close) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"rules": 2},
        {"rules": 0},
        {"title": ""},
        {"title": "x" * 257},
        {"kind": ""},
        {"kind": "x" * 33},
        {"role": "x" * 33},
    ],
)
def test_an_opening_that_is_no_good_gives_no_fold(wrong: dict[str, Any]) -> None:
    space = WrittenSpace(random.Random(1))
    space.open(A, {A}, **wrong)
    assert canonical(space.entries) is None and effects(space.entries) is None


def test_an_opening_that_does_not_name_its_author_gives_no_fold() -> None:
    space = WrittenSpace(random.Random(1))
    space.open(A, {B})
    assert canonical(space.entries) is None


# ------------------------------------------------------------------------------------------------- void by its own past

ROW = [B, ""]
NO_MAPS: list[Any] = [b"", b"\x80\x80", {0: 1}, []]
NO_IDS: list[Any] = [{0: B + b"x"}, {0: "x"}, {}, {0: B, 1: B}, {0: 1}, msgpack.packb({0: B}) + b"\x00"]
BAD: dict[str, list[Any]] = {
    **dict.fromkeys(("join", "leave", "decline", "accept", "merge", "close", "reopen"), NO_MAPS),
    **dict.fromkeys(("handover", "ack", "redact"), NO_IDS),
    "invite": [
        {0: []},
        {0: [[C, ""], ROW]},
        {0: [ROW, ROW]},
        {0: [[B]]},
        {0: [[B, "ü" * 17]]},  # 34 bytes
        {0: [[B[1:], ""]]},
        {0: [[B, b""]]},
        {0: [[bytes([1, number]) * 16, ""] for number in range(256)] + [ROW]},
        {1: [ROW]},
    ],
    "remove": [
        {0: []},
        {0: [C, B]},
        {0: [B, B]},
        {0: [B[1:]]},
        {0: B},
        {0: [bytes([1, number]) * 16 for number in range(256)] + [B]},
    ],
    "takeover": [
        {0: 0, 1: 1},
        {0: 1, 1: 0},
        {0: 1},
        {0: 1, 1: 2**53},
        {0: True, 1: 1},
        {0: 1.0, 1: 1},
        {1: 1, 0: 1},
        b"\x82\x00\xcc\x01\x01\x01",  # 1 in a longer form
    ],
    "rekey": [
        {0: []},
        {0: [[B, ZEROS]]},
        {0: [[bytes(16), b""]]},
        {0: [[bytes(16), ZEROS]] * 2},
        {0: [[bytes([number]) * 16, ZEROS] for number in range(9)]},
    ],
}


@pytest.mark.parametrize(
    ("kind", "content"), [(kind, content) for kind, bad in BAD.items() for content in bad]
)
def test_a_deciding_content_that_is_not_as_in_the_table_is_void(kind: str, content: Any) -> None:
    space = Told(B)
    assert space.code(space.says(B, kind, content)) == "bad-body"


def test_a_member_writes_64_authority_entries_and_the_next_is_void() -> None:
    space = Told(B)
    acks = [space.says(B, "ack", {0: ZEROS}) for _ in range(64)]  # with the join: 65
    assert [space.code(x) for x in acks] == ["no-proposal"] * 63 + ["too-many"]
    assert space.code(space.says(B, "note", b"content is not counted")) == ""
    assert space.code(space.says(A, "invite", {0: [[C, ""]]}, acks[-1])) == ""


def test_a_lead_writes_4096_authority_entries_and_the_next_is_void() -> None:
    space = Told()
    layer = [
        space.write(A, "handover", {0: B}, [space.opened]) for _ in range(4094)
    ]  # beside each other: short pasts
    while len(layer) > 16:
        layer = [space.write(A, "merge", {}, layer[at : at + 16]) for at in range(0, len(layer), 16)]
    last_good = space.write(A, "invite", {0: [[C, ""]]}, layer)  # its past: 4,094 and the opening
    assert space.fold.void(last_good) == ""
    assert space.fold.void(space.write(A, "remove", {0: [C]}, [last_good])) == "too-many"


def test_an_invitation_beyond_256_that_were_ever_named_is_void_and_those_beside_it_are_not() -> None:
    many = [bytes([1, number]) * 16 for number in range(256)]
    space = Told(*many[:250], joined=False)  # with A: 251
    removed = space.says(A, "remove", {0: many[:9]})
    more = space.says(A, "invite", {0: [[m, ""] for m in many[240:255]]})
    assert space.code(more) == ""  # 256
    assert space.code(space.says(A, "invite", {0: [[many[255], ""]]})) == "members-full"
    assert space.code(space.twin(A, removed, "invite", {0: [[many[255], ""]]})) == ""
    assert space.code(space.says(A, "invite", {0: [[many[3], ""]]})) == ""  # named before


# ---------------------------------------------------------------------------------------- members: before, beside, after


def test_what_was_written_before_a_removal_stands_and_what_is_beside_or_after_it_is_cut() -> None:
    space = Told(B)
    before = space.says(B, "note", b"before")
    removed = space.says(A, "remove", {0: [B]}, before)
    beside = space.says(B, "note", b"beside")
    after = space.says(B, "note", b"after", removed)
    assert [space.code(x) for x in (before, beside, after)] == ["", "cut", "cut"]
    assert space.status(B) == "removed"
    again = space.says(A, "invite", {0: [[B, ""]]}, beside)
    assert [space.code(x) for x in (before, beside, after)] == ["", "", "cut"]
    assert space.status(B) == "invited"
    space.says(B, "join", {}, again)
    assert space.status(B) == "joined"
    assert space.code(space.says(B, "note", b"again")) == ""
    assert space.code(removed) == ""


def test_a_join_upon_a_removed_invitation_is_cut() -> None:
    space = Told(B, joined=False)
    space.says(A, "remove", {0: [B]})
    assert space.code(space.says(B, "join")) == "cut"
    assert space.status(B) == "removed"


def test_strangers_and_who_did_not_join_write_nothing_that_counts() -> None:
    space = Told(B, joined=False)
    assert space.code(space.says(STRANGER, "note", b"me too")) == "not-member"
    assert space.code(space.says(STRANGER, "join")) == "not-member"
    assert space.code(space.says(STRANGER, "leave")) == "not-member"
    assert space.code(space.says(B, "note", b"before my join")) == "not-member"
    assert space.code(space.says(B, "merge")) == "not-member"
    assert len(space.shown()["timeline"]) == 1


def test_a_join_that_a_removal_cuts_still_tells_that_its_author_came() -> None:
    space = Told(B, joined=False)
    removed = space.says(A, "remove", {0: [B]})
    again = space.write(A, "invite", {0: [[B, ""]]}, [removed])
    joined = space.says(B, "join")  # beside both, and no other join follows
    note = space.says(B, "note", b"here again", again)
    assert [space.code(x) for x in (joined, note)] == ["cut", ""]


def test_a_leave_before_any_invitation_ends_one_that_has_not_seen_it() -> None:
    space = Told()
    space.says(B, "leave")
    space.says(A, "invite", {0: [[B, ""]]})
    assert space.status(B) == "left"
    space.says(A, "invite", {0: [[B, ""]]}, space.last[B])
    assert space.status(B) == "invited"


def test_a_decline_and_a_leave_end_a_membership_and_the_lead_cannot_leave() -> None:
    space = Told(B, C)
    left, declined = space.says(B, "leave"), space.says(C, "decline")
    assert space.code(space.says(A, "leave")) == "is-lead"
    assert space.code(space.says(A, "remove", {0: [A]})) == ""  # and changes nothing
    assert [space.code(x) for x in (left, declined)] == ["", ""]
    assert [space.status(m) for m in (A, B, C)] == ["joined", "left", "declined"]


def test_only_the_lead_invites_removes_and_hands_over() -> None:
    space = Told(B)
    acts = [
        space.says(B, "invite", {0: [[C, ""]]}),
        space.says(B, "remove", {0: [A]}),
        space.says(B, "handover", {0: B}),
        space.says(B, "close"),
    ]
    assert [space.code(x) for x in acts] == ["not-lead"] * 4
    assert [row["id"] for row in space.shown()["members"]] == [A.hex(), B.hex()]


# ---------------------------------------------------------------------------------------------------------- handing over


def test_a_handover_is_accepted_once_by_whom_it_names() -> None:
    space = Told(B, C)
    offer = space.says(A, "handover", {0: B}, *space.start)
    assert space.code(space.says(C, "accept", {}, offer)) == "not-handed"
    accepted = space.says(B, "accept", {}, offer)
    assert space.code(accepted) == "" and space.lead() == B.hex() and space.shown()["term"] == [0, 0, 1]
    assert space.code(space.says(B, "accept")) == "not-handed"  # that offer was of the term before
    late = space.says(A, "invite", {0: [[D, ""]]})
    assert space.code(late) == "cut"
    assert space.code(space.says(A, "invite", {0: [[E, ""]]}, accepted)) == "not-lead"
    assert space.code(space.says(B, "remove", {0: [A]})) == ""


def test_a_handover_to_one_who_has_not_joined_or_was_removed_gives_nothing() -> None:
    space = Told(B, C, joined=False)
    offer = space.says(A, "handover", {0: B})
    assert space.code(space.says(B, "accept", {}, offer)) == "not-handed"
    joined = space.says(C, "join")
    gone = space.says(A, "remove", {0: [C]}, joined)
    offer = space.says(A, "handover", {0: C}, gone)
    assert space.code(space.says(C, "accept", {}, offer)) == "not-handed"


def test_two_accepts_beside_each_other_contest_the_lead_and_a_vote_settles_it() -> None:
    space = Told(B, C)
    offer = space.says(A, "handover", {0: B}, *space.start)
    one, two = space.says(B, "accept", {}, offer), space.twin(B, space.last[B], "accept", {}, offer)
    two = space.twin(B, space.fold.entries[one].parents[0], "accept", {}, offer, *space.start)
    shown = space.shown()
    assert shown["contested"] and shown["lead"] is None and shown["term"] == [0, 0, 1]
    assert space.code(space.says(C, "note", b"goes on", one, two)) == ""
    t = space.takes_over(C, 1, 1, one, two)
    space.votes(t, A)
    assert space.lead() == C.hex() and not space.shown()["contested"]


def test_an_old_lead_and_its_puppet_never_outrank_a_vote() -> None:
    space = Told(B, C, D, E)
    t = space.takes_over(C, 1, 1)
    space.votes(t, D, E)
    offer = space.says(A, "handover", {0: B}, *space.start)
    for _ in range(3):  # to and fro
        space.says(B, "accept", {}, offer)
        offer = space.says(B, "handover", {0: A})
        space.says(A, "accept", {}, offer)
        offer = space.says(A, "handover", {0: B})
    shown = space.shown()
    assert shown["lead"] == C.hex() and shown["term"] == [1, 1, 0]
    assert space.code(offer) == "cut"


# ------------------------------------------------------------------------------------------------------ takeover and votes


def test_of_two_members_both_are_needed() -> None:
    space = Told(B)
    t = space.takes_over(B, 1, 1)
    assert space.code(t) == "" and space.lead() == A.hex()
    space.votes(t, A)
    assert space.lead() == B.hex() and space.shown()["term"] == [1, 1, 0]


def test_who_was_invited_and_did_not_join_counts_among_the_voters() -> None:
    space = Told(B, C, D, joined=False)
    joins = [space.says(m, "join") for m in (B, C)]
    t = space.takes_over(B, 1, 1, *joins)
    (c,) = space.votes(t, C)
    assert space.lead() == A.hex()  # 2 of 4
    assert space.code(space.says(D, "ack", {0: t}, t)) == "not-member"
    d = space.says(D, "join")
    assert space.code(space.says(D, "ack", {0: t}, t, d)) == ""
    assert space.lead() == B.hex() and space.code(c) == ""


def test_a_removal_of_the_voters_beside_their_votes_is_cut() -> None:
    space = Told(B, C)
    removed = space.says(A, "remove", {0: [B, C]}, *space.start)
    assert space.status(B) == "removed"
    t = space.takes_over(B, 1, 1)
    space.votes(t, C)
    assert space.lead() == B.hex() and space.code(removed) == "cut"
    assert [space.status(m) for m in (A, B, C)] == ["joined"] * 3


def test_a_removal_that_the_new_lead_had_seen_stands_and_takes_the_vote_away() -> None:
    space = Told(B, C, D)
    removed = space.says(A, "remove", {0: [D]}, *space.start)
    t = space.takes_over(B, 1, 1, removed)
    space.votes(t, C)
    assert space.lead() == B.hex() and space.code(removed) == ""
    assert space.code(space.says(D, "ack", {0: t}, t)) == "not-member"
    assert space.status(D) == "removed"


def test_a_second_vote_is_void_and_a_vote_in_a_higher_round_is_not() -> None:
    space = Told(B, C, D, E)
    one, two = space.takes_over(B, 1, 1), space.takes_over(C, 1, 1)
    space.votes(one, D)
    assert space.code(space.says(D, "ack", {0: one}, one)) == "voted"
    assert space.code(space.says(D, "ack", {0: two}, two)) == "voted"
    assert space.code(space.says(B, "ack", {0: two}, two)) == "voted"  # a proposal is a vote
    higher = space.takes_over(E, 1, 2, one, two)
    assert [space.code(x) for x in space.votes(higher, B, D)] == ["", ""]
    assert space.shown()["term"] == [1, 2, 0] and space.lead() == E.hex()
    (late,) = space.votes(two, A)
    assert space.code(late) == ""  # A has not seen the settled term
    assert space.lead() == E.hex()


def test_a_vote_after_a_settled_term_is_void() -> None:
    space = Told(B, C)
    one, two = space.takes_over(B, 1, 1), space.takes_over(C, 1, 1)
    settled = space.votes(one, A)
    assert space.code(space.says(A, "ack", {0: two}, two)) == "settled"
    assert space.code(space.says(C, "takeover", {0: 1, 1: 2}, *settled)) == "wrong-round"


def test_wrong_epochs_and_rounds_are_void() -> None:
    space = Told(B, C)
    for epoch, round_ in ((1, 2), (2, 1), (1, 1 << 40)):
        assert space.code(space.takes_over(B, epoch, round_)) == "wrong-round"
    one = space.takes_over(B, 1, 1)
    assert space.code(space.takes_over(C, 1, 1, one, *space.start)) == "wrong-round"
    assert space.code(space.takes_over(C, 1, 3, one, *space.start)) == "wrong-round"
    assert space.code(space.takes_over(C, 1, 2, one, *space.start)) == ""


def test_a_proposal_that_is_void_does_not_count_as_a_round() -> None:
    space = Told(B, C)
    void = space.says(STRANGER, "takeover", {0: 1, 1: 1})
    assert space.code(void) == "not-member"
    assert space.code(space.takes_over(B, 1, 1, void, *space.start)) == ""


def test_an_ack_that_names_no_proposal_in_its_past_is_void() -> None:
    space = Told(B, C)
    t = space.takes_over(B, 1, 1)
    void = space.takes_over(C, 5, 1)
    for named, *seen in ((t,), (ZEROS,), (space.opened,), (void, void)):
        assert space.code(space.says(A, "ack", {0: named}, *seen)) == "no-proposal"


def test_the_vote_is_for_the_proposal_that_it_names_and_no_other() -> None:
    space = Told(B, C, D, E)
    one, two = space.takes_over(B, 1, 1), space.takes_over(C, 1, 1)
    for voter in (A, D):
        space.says(voter, "ack", {0: two}, one, two)
    assert space.lead() == C.hex()


def test_the_lead_the_forked_the_removed_and_strangers_cannot_take_over() -> None:
    space = Told(B, C, D)
    assert space.code(space.takes_over(A, 1, 1)) == "is-lead"
    assert space.code(space.says(STRANGER, "takeover", {0: 1, 1: 1})) == "not-member"
    twins = [space.twin(B, space.last[B], "merge"), space.twin(B, space.last[B], "note", b"x")]
    assert space.code(space.says(B, "takeover", {0: 1, 1: 1}, *twins)) == "forked"
    removed = space.says(A, "remove", {0: [C]}, *space.start)
    assert space.code(space.takes_over(C, 1, 1, removed)) == "not-member"
    t = space.takes_over(D, 1, 1, *twins, *space.start)
    assert space.code(space.says(B, "ack", {0: t}, t)) == "not-member"


def test_a_fork_beside_a_vote_does_not_void_it() -> None:
    space = Told(B, C)
    t = space.takes_over(B, 1, 1)
    before = space.last[C]
    (vote,) = space.votes(t, C)
    space.twin(C, before, "merge")
    assert space.code(vote) == "" and space.lead() == B.hex() and space.status(C) == "forked"


def test_two_majorities_with_one_number_are_contested_and_the_next_epoch_settles_it() -> None:
    space = Told(B, C)
    liar = space.last[A]
    one, two = space.takes_over(B, 1, 1), space.takes_over(C, 1, 1)
    votes = space.twin(A, liar, "ack", {0: one}, one), space.twin(A, liar, "ack", {0: two}, two)
    shown = space.shown()
    assert shown["contested"] and shown["lead"] is None and shown["term"] == [1, 1, 0]
    assert space.status(A) == "forked"
    acts = (
        space.says(B, "invite", {0: [[D, ""]]}, votes[0]),
        space.says(C, "invite", {0: [[E, ""]]}, votes[1]),
    )
    assert [space.code(x) for x in acts] == ["", ""]  # of each of both
    assert space.code(space.says(B, "invite", {0: [[STRANGER, ""]]}, *votes)) == "not-lead"
    t = space.takes_over(B, 2, 1, *votes, *acts)
    space.says(C, "ack", {0: t}, t)
    joins = [space.says(m, "join", {}, act) for m, act in zip((D, E), acts, strict=True)]
    space.says(D, "ack", {0: t}, t, *joins)
    shown = space.shown()
    assert shown["lead"] == B.hex() and shown["term"] == [2, 1, 0] and not shown["contested"]
    assert [space.code(x) for x in acts] == ["", ""]  # the line has both


def test_what_was_settled_in_its_own_past_stays_whatever_comes_later() -> None:
    """An old lead that comes back and removes, invites and hands over beside all that was settled moves none of it."""
    space = Told(B, C)
    t = space.takes_over(B, 1, 1)
    (vote,) = space.votes(t, C)
    act = space.says(B, "remove", {0: [A]}, vote)
    before = space.shown()["members"]
    space.says(A, "invite", {0: [[D, ""]]})
    space.says(A, "remove", {0: [B, C]})
    space.says(A, "note", b"I was here")
    assert space.shown()["members"] == before and space.lead() == B.hex()
    assert [space.code(x) for x in (t, vote, act)] == [""] * 3


def test_the_17th_proposal_of_an_author_in_an_epoch_is_void() -> None:
    space = Told(B, C)
    proposals = [space.takes_over(B, 1, round_) for round_ in range(1, 18)]
    assert [space.code(x) for x in proposals] == [""] * 16 + ["too-many"]
    assert space.code(space.takes_over(C, 1, 17, proposals[-1], *space.start)) == ""


# ----------------------------------------------------------------------------------------------------------------- forks


def test_what_a_forked_author_wrote_counts_once_another_has_it_in_its_past() -> None:
    space = Told(B, C)
    early = space.says(B, "note", b"early")
    one, two = space.says(B, "note", b"one"), space.twin(B, early, "note", b"two")
    assert [space.code(x) for x in (early, one, two)] == ["", "unconfirmed", "unconfirmed"]
    space.says(STRANGER, "ack", b"void by its own past, and has seen it", two)
    assert [space.code(x) for x in (one, two)] == ["unconfirmed", ""]
    space.says(B, "note", b"and has seen its own", one, two)
    assert space.code(one) == "unconfirmed"
    space.says(C, "note", b"seen", one)
    assert space.code(one) == "" and space.status(B) == "forked"


def test_inviting_again_pardons_a_fork_that_the_lead_has_seen() -> None:
    space = Told(B)
    early = space.last[B]
    one, two = space.says(B, "note", b"one"), space.twin(B, early, "note", b"two")
    space.says(A, "invite", {0: [[B, ""]]}, one)
    assert space.status(B) == "forked"
    space.says(A, "invite", {0: [[B, ""]]}, two)
    assert space.status(B) == "joined" and space.code(two) == ""
    space.twin(B, early, "note", b"three")
    assert space.status(B) == "forked"


def test_two_joins_are_no_fork() -> None:
    space = Told(B, joined=False)
    for _ in range(2):
        space.write(B, "join", {}, [space.opened])
    assert space.status(B) == "joined"
    space.write(B, "merge", {}, [space.opened])
    assert space.status(B) == "forked"


def test_entries_that_are_void_fork_too() -> None:
    space = Told(B)
    before = space.last[B]
    space.says(B, "ack", b"no map")
    space.twin(B, before, "leave", b"no map")
    assert space.status(B) == "forked"


# ------------------------------------------------------------------------------------------------------------------ keys


def test_what_a_thief_writes_with_a_key_that_is_disowned_is_void_also_if_it_cites_the_rekey() -> None:
    space = Told(B, C)
    good = space.says(B, "note", b"good")
    stolen = space.says(B, "note", b"stolen")
    merge = space.says(B, "merge")
    rekey = space.says(B, "rekey", {0: [[space.key(B), good]]}, stolen, key=1)
    later = space.says(B, "note", b"stolen too", rekey)
    fresh = space.says(B, "note", b"fresh", key=1)
    assert [space.code(x) for x in (good, stolen, merge, rekey, later, fresh)] == [
        "",
        "disowned",
        "disowned",
        "",
        "disowned",
        "",
    ]
    assert space.code(space.says(B, "leave")) == ""  # authority kinds never


def test_zeros_disown_all_that_a_key_wrote_and_a_second_rekey_only_adds() -> None:
    space = Told(B)
    note = space.says(B, "note", b"mine")
    space.says(B, "rekey", {0: [[space.key(B), note]]}, key=1)
    assert space.code(note) == ""
    space.says(B, "rekey", {0: [[space.key(B), ZEROS]]}, key=2)
    assert space.code(note) == "disowned"


def test_a_stolen_key_of_the_lead_acts_no_more_and_what_was_seen_before_stands() -> None:
    space = Told(B, C)
    before = space.says(A, "invite", {0: [[D, ""]]})
    rekey = space.twin(A, before, "rekey", {0: [[space.key(A), ZEROS]]})
    assert space.code(rekey) == "bad-rekey"  # with the key itself
    rekey = space.write(A, "rekey", {0: [[space.key(A), ZEROS]]}, [before], key=1)
    beside = space.twin(A, before, "remove", {0: [B]})
    after = space.twin(A, rekey, "remove", {0: [C]})
    assert [space.code(x) for x in (before, beside, after)] == ["", "disowned", "disowned"]
    assert [space.status(m) for m in (B, C, D)] == ["joined", "joined", "invited"]
    assert space.code(beside, before) == ""  # where the rekey is not


def test_a_lead_act_that_the_next_term_has_seen_stays_whatever_is_disowned_later() -> None:
    space = Told(B, C)
    removed = space.says(A, "remove", {0: [C]}, *space.start)
    offer = space.says(A, "handover", {0: B})
    accepted = space.says(B, "accept", {}, offer)
    space.write(A, "rekey", {0: [[space.key(A), ZEROS]]}, [space.opened], key=1)
    assert [space.code(x) for x in (removed, offer, accepted)] == ["", "", ""]
    assert space.code(removed, space.last[A]) == ""
    assert space.status(C) == "removed"


def test_a_rekey_names_an_entry_of_its_author_in_its_past() -> None:
    space = Told(B)
    note = space.says(B, "note", b"mine")
    for after in (space.opened, b"\x09" * 32):
        assert space.code(space.says(B, "rekey", {0: [[space.key(B, 1), after]]})) == "bad-rekey"
    assert space.code(space.says(B, "rekey", {0: [[space.key(B, 1), note]]})) == ""
    assert space.code(space.says(STRANGER, "rekey", {0: [[space.key(STRANGER, 1), ZEROS]]})) == ""
    void = space.says(B, "leave", b"no map")
    assert space.code(space.says(B, "rekey", {0: [[space.key(B, 1), void]]})) == ""


def test_nobody_disowns_the_key_of_another() -> None:
    space = Told(B)
    note = space.says(B, "note", b"mine")
    space.says(A, "rekey", {0: [[space.key(B), ZEROS]]}, note, key=1)
    assert space.code(note) == ""


# ---------------------------------------------------------------------------------------------------------------- redact


def test_a_note_is_redacted_by_its_author_or_the_lead_and_by_nobody_else() -> None:
    space = Told(B, C)
    one, two, three = (space.says(B, "note", text) for text in (b"one", b"two", b"three"))
    assert space.code(space.says(C, "redact", {0: one}, one)) == "not-lead"
    assert space.code(space.says(B, "redact", {0: two})) == ""
    assert space.code(space.says(A, "redact", {0: three})) == ""  # though it is not in its past
    notes = {row["id"]: (row["redacted"], row["text"]) for row in space.shown()["state"]["notes"]}
    assert notes == {one.hex(): (False, "one"), two.hex(): (True, None), three.hex(): (True, None)}


def test_what_decides_is_not_redacted_nor_is_what_is_not_there() -> None:
    space = Told(B)
    close = space.says(A, "close")
    for named in (space.opened, close, ZEROS):
        assert space.code(space.says(A, "redact", {0: named}, close)) == "no-entry"


def test_a_lead_that_was_outvoted_redacts_its_own_as_a_member() -> None:
    space = Told(B, C)
    mine, theirs = space.says(A, "note", b"mine"), space.says(B, "note", b"theirs")
    own, other = space.says(A, "redact", {0: mine}), space.says(A, "redact", {0: theirs})
    t = space.takes_over(B, 1, 1)
    space.votes(t, C)
    assert [space.code(x) for x in (own, other)] == ["", "cut"]


def test_a_redaction_of_ones_own_is_not_undone_by_disowning_the_key() -> None:
    space = Told(B)
    note = space.says(B, "note", b"mine")
    redact = space.says(B, "redact", {0: note})
    space.says(B, "rekey", {0: [[space.key(B), note]]}, key=1)
    assert space.code(redact) == ""


def test_a_text_that_is_none_is_void_until_it_is_redacted() -> None:
    space = Told(B)
    bad = [space.says(B, "note", raw) for raw in (b"", b"\xff", b"\xed\xa0\x80")]
    assert [space.code(x) for x in bad] == ["bad-body"] * 3
    assert space.code(space.says(B, "note", b"\xff", held=False)) == ""
    assert space.code(space.says(B, "note", b"\xff", audience=[A])) == ""
    space.says(A, "redact", {0: bad[1]})
    assert [space.code(x) for x in bad] == ["bad-body", "", "bad-body"]


# ---------------------------------------------------------------------------------------------------------- a notebook


def test_notes_are_before_after_or_late_of_a_close() -> None:
    space = Told(B)
    before = space.says(B, "note", b"before")
    close = space.says(A, "close", {}, before)
    late = space.says(B, "note", b"late")
    after = space.says(A, "note", b"after")
    state = space.shown()["state"]
    assert state["closed"] and state["late"] == [late.hex()] and state["after"] == [after.hex()]
    assert [row["id"] for row in state["notes"]] == [
        x.hex() for x in space.fold.by_depth((before, late, after))
    ]
    beside = space.says(B, "reopen")
    state = space.shown()["state"]
    assert not state["closed"] and state["late"] == state["after"] == []
    assert space.code(close) == ""
    again = space.says(A, "close", {}, beside)
    state = space.shown()["state"]
    assert state["closed"] and state["late"] == state["after"] == []  # all in its past
    space.says(B, "reopen", {}, again)
    assert not space.shown()["state"]["closed"]


def test_a_reopen_without_effect_opens_nothing() -> None:
    space = Told(B)
    space.says(A, "close")
    space.says(STRANGER, "reopen")
    assert space.shown()["state"]["closed"]


def test_heads_skip_what_has_no_effect() -> None:
    space = Told(B)
    note = space.says(A, "note", b"x", *space.start)
    space.says(STRANGER, "note", b"void", note)
    assert space.shown()["heads"] == [note.hex()]


# ------------------------------------------------------------------------------------------------------ drawn histories

SEEDS = range(80)


def test_equal_sets_give_equal_bytes_in_any_order() -> None:
    for seed in SEEDS:
        entries, rng = history(seed).entries, random.Random(seed)
        whole = canonical(entries)
        assert canonical(parents_first(entries, rng)) == whole
        assert canonical(rng.sample(entries, len(entries))) == whole


def test_histories_could_be_taken_in_and_come_again_from_their_seed() -> None:
    for seed in SEEDS:
        space = history(seed)
        entries = space.fold.entries
        assert list(history(seed).wire.items()) == list(space.wire.items())
        for x, entry in entries.items():
            past = space.fold.past[x]
            own = [entries[y].number for y in past if entries[y].author == entry.author]
            decides = entry.kind in space.fold.deciding
            assert bool(entry.parents) == (entry.kind != "open") and len(entry.parents) <= 16
            assert list(entry.parents) == sorted(set(entry.parents)) and past.issuperset(entry.parents)
            assert entry.depth == 1 + max((entries[y].depth for y in entry.parents), default=0)
            assert entry.number == 1 + max(own, default=0)
            assert entry.tlp >= space.tlp and entry.realm == space.realm
            assert list(entry.audience) == sorted(set(entry.audience))
            assert not (decides and entry.audience) and (entry.body or not decides)
            assert decides or entry.audience or entry.tlp < 3
            assert len(space.wire[x][0]) <= 12_288 and entry.space == (
                space.space if entry.parents else ZEROS
            )


def test_what_its_own_past_decides_nothing_later_changes() -> None:
    """The whole history, and the entry with its past alone, say the same of terms, votes and keys."""
    for seed in SEEDS:
        fold = history(seed).fold
        for x, entry in fold.entries.items() if fold.folds() else ():
            if entry.kind in ("accept", "takeover", "ack", "rekey"):
                assert fold.effect(x, fold.all) == fold.effect(x, fold.past[x] | {x})


def test_histories_reach_every_code_of_every_kind() -> None:
    """What no seed reaches is compared by nobody."""
    reached: dict[str, Counter[str]] = defaultdict(Counter)
    shown: Counter[str] = Counter()
    for seed in range(400):
        space = history(seed)
        raw = canonical(space.entries)
        if raw is None:
            shown["no fold"] += 1
            continue
        for x, entry in space.fold.entries.items():
            reached[entry.kind][space.fold.effect(x, space.fold.all)] += 1
        result = json.loads(raw)
        shown.update(member["status"] for member in result["members"])
        shown.update(
            word for word in ("closed", "late", "after") if result["state"] and result["state"][word]
        )
        shown.update({"contested": result["contested"], "handed over": result["term"][2] > 0})
        shown.update({"voted": result["term"][0] > 0, "voted again": result["term"][0] > 1})
    lead, member = {"", "not-lead", "cut", "disowned", "bad-body"}, {"", "not-member", "cut"}
    wanted = {
        "open": {""},
        "invite": lead | {"members-full"},
        "remove": lead,
        "handover": lead,
        "close": lead,
        "decline": {"", "not-member", "is-lead", "bad-body"},
        "leave": {"", "not-member", "is-lead", "bad-body"},
        "join": member | {"bad-body"},
        "accept": {"", "not-handed", "bad-body"},
        "takeover": {"", "not-member", "is-lead", "forked", "wrong-round", "too-many", "bad-body"},
        "ack": {"", "no-proposal", "not-member", "settled", "voted", "bad-body"},
        "rekey": {"", "bad-rekey", "bad-body", "too-many"},
        "redact": member | {"no-entry", "not-lead", "bad-body", "too-many", "disowned"},
        "merge": member | {"disowned", "bad-body"},
        "reopen": member | {"disowned", "bad-body"},
        "note": member | {"disowned", "unconfirmed", "bad-body"},
        "poll": member | {"disowned", "unconfirmed"},
    }
    assert {
        kind: codes - reached[kind].keys() for kind, codes in wanted.items() if codes - reached[kind].keys()
    } == {}
    states = [
        "joined",
        "invited",
        "removed",
        "left",
        "declined",
        "forked",
        "closed",
        "late",
        "after",
        "contested",
        "voted",
    ]
    assert [one for one in [*states, "handed over", "voted again", "no fold"] if not shown[one]] == []


def test_a_deciding_entry_without_its_body_is_the_fault_of_the_caller() -> None:
    space = Told(B)
    with pytest.raises(ValueError, match="with its body"):
        naive_fold.canonical([one._replace(body=b"") if one.kind == "join" else one for one in space.entries])
