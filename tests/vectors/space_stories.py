"""Stories of authority, each with what every node must say of it: the twelve of the design, and one for each rule.

What is expected is written by hand, never computed. `scripts/make-vectors` writes them to space.json, which other
implementations run; tests/spaces runs them here. A partner is a letter or a word; L opens, and where nothing else is said all
who are named join, each citing the opening alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from space_histories import Teller, key_of_partner, partner

from p2pshare.identifiers import EntryId, PartnerId


@dataclass(frozen=True)
class Check:
    """What holds when exactly `known` is: `members` by id, `void` the code of each entry without effect, all others having one."""

    known: frozenset[EntryId]
    lead: PartnerId | None
    term: tuple[int, int, int]
    members: dict[PartnerId, str]
    void: dict[EntryId, str]
    is_closed: bool
    late: frozenset[EntryId]
    after: frozenset[EntryId]


@dataclass
class Story:
    name: str
    teller: Teller
    checks: list[Check] = field(default_factory=list)


STORIES: list[Story] = []
STATUSES = ("joined", "invited", "forked", "removed", "left", "declined")


class Told(Teller):
    """A teller that notes what must hold at points of its story."""

    checks: list[Check]

    def expect(
        self,
        lead: str | None,
        term: tuple[int, int, int],
        *,
        void: dict[EntryId, str] | None = None,
        is_closed: bool = False,
        late: Iterable[EntryId] = (),
        after: Iterable[EntryId] = (),
        **members: str | list[str],
    ) -> None:
        """`members`: a status and who has it (letters, or a list of names)."""
        assert set(members) <= set(STATUSES)
        self.checks.append(
            Check(
                frozenset(self.entries),
                None if lead is None else partner(lead),
                term,
                {partner(name): status for status, names in members.items() for name in names},
                dict(void or {}),
                is_closed,
                frozenset(late),
                frozenset(after),
            )
        )


def story(
    name: str, members: str = "LAB", *, are_joined: bool = True
) -> Callable[[Callable[[Told], None]], Callable[[Told], None]]:
    def tell(write: Callable[[Told], None]) -> Callable[[Told], None]:
        told = Told(members, are_joined=are_joined)
        told.checks = []
        write(told)
        assert told.checks, name
        STORIES.append(Story(name, told, told.checks))
        return write

    return tell


def _join_of(told: Told, name: str) -> EntryId:
    return next(
        one
        for one, entry in told.entries.items()
        if entry.header.kind == "join" and entry.header.author == partner(name)
    )


def _last(told: Told, kind: str) -> EntryId:
    return next(one for one, entry in reversed(told.entries.items()) if entry.header.kind == kind)


# --- the twelve of the design --------------------------------------------------------------------------


@story("1: B takes over, A acks; A's fork of number 2 is added")
def _(s: Told) -> None:
    proposal = s.take_over("B", 1, 1)
    s.expect("L", (0, 0, 0), joined="LAB")
    s.ack("A", proposal)
    s.expect("B", (1, 1, 0), joined="LAB")
    twin = s.note("A", after=[_join_of(s, "A")], number=2)
    s.expect("B", (1, 1, 0), joined="LB", forked="A", void={twin: "unconfirmed"})


@story("2: the highest round with its majority leads, whatever is acked later", "LABCD")
def _(s: Told) -> None:
    first = s.take_over("B", 1, 1)
    s.ack("A", first)
    seen = s.heads()
    second = s.take_over("C", 1, 2)
    s.ack("A", second)
    s.ack("B", second)
    s.expect("C", (1, 2, 0), joined="LABCD")
    s.ack("D", first, after=seen)
    s.expect("C", (1, 2, 0), joined="LABCD")


@story("3: who was invited counts though it has not joined", "LABCD", are_joined=False)
def _(s: Told) -> None:
    s.join("A")
    s.join("B")
    s.ack("B", s.take_over("A", 1, 1))
    s.expect("L", (0, 0, 0), joined="LAB", invited="CD")


@story("4: a removal beside the votes is cut")
def _(s: Told) -> None:
    before = s.heads()
    s.ack("A", s.take_over("B", 1, 1))
    removal = s.remove("L", "AB", after=before)
    s.expect("B", (1, 1, 0), joined="LAB", void={removal: "cut"})


@story("5: an old lead and a puppet never outrank a vote", "LABX")
def _(s: Told) -> None:
    before = s.heads()
    proposal = s.take_over("B", 1, 1)
    s.ack("A", proposal)
    s.ack("X", proposal, after=[proposal])
    s.expect("B", (1, 1, 0), joined="LABX")
    void = {s.hand_over("L", "X", after=before): "cut"}
    there = s.accept("X", after=[_last(s, "handover")])
    void[s.hand_over("X", "L", after=[there])] = "cut"
    s.accept("L", after=[_last(s, "handover")])
    s.expect("B", (1, 1, 0), joined="LAB", forked="X", void=void)


@story("6: two majorities of one number are contested, and the next epoch settles it", "LABCD")
def _(s: Told) -> None:
    before = s.heads()
    one = s.take_over("A", 1, 1)
    s.ack("B", one)
    s.ack("C", one, after=[one])
    s.expect("A", (1, 1, 0), joined="LABCD")
    invitation = s.invite("L", "EFGH", after=before)
    joins = [s.join(name, invitation) for name in "EFGH"]
    other = s.take_over("D", 1, 1, after=joins)
    for name in "EFGH":
        s.ack(name, other, after=[other])
    s.expect(None, (1, 1, 0), joined="LABCDEFGH")
    later = s.take_over("B", 2, 1)
    for name in "ACD":
        s.ack(name, later, after=[later])
    s.expect(None, (1, 1, 0), joined="LABCDEFGH")
    s.ack("E", later, after=[later])
    s.expect("B", (2, 1, 0), joined="LABCDEFGH")


@story("7: what is beside a removal is void, until an invitation cites it", "LM")
def _(s: Told) -> None:
    before = s.heads()
    removal = s.remove("L", "M", after=before)
    note = s.note("M", after=before)
    s.expect("L", (0, 0, 0), joined="L", removed="M", void={note: "cut"})
    s.invite("L", "M", after=[removal, note])
    s.expect("L", (0, 0, 0), joined="L", invited="M")


@story("8: a reopening beside a close wins", "LABCD")
def _(s: Told) -> None:
    before = s.heads()
    s.close("L", after=before)
    s.reopen("A", after=before)
    s.expect("L", (0, 0, 0), joined="LABCD")


@story("8: notes beside a close are late, none is lost", "LABCD")
def _(s: Told) -> None:
    s.note("A", "early")
    before = s.heads()
    s.close("L", after=before)
    late = [s.note(name, after=before) for name in "ABCD"]
    s.expect("L", (0, 0, 0), joined="LABCD", is_closed=True, late=late)
    after = s.note("B")
    s.expect("L", (0, 0, 0), joined="LABCD", is_closed=True, late=late, after=[after])
    s.reopen("C")
    s.expect("L", (0, 0, 0), joined="LABCD")


@story(
    "9: a fork's content waits for an entry that cites it, and has no vote until the author is invited again",
    "LAM",
)
def _(s: Told) -> None:
    before = s.heads()
    one = s.note("M", "one", after=before)
    other = s.note("M", "other", after=before)
    s.expect("L", (0, 0, 0), joined="LA", forked="M", void={one: "unconfirmed", other: "unconfirmed"})
    s.note("A", after=[*before, one])
    s.expect("L", (0, 0, 0), joined="LA", forked="M", void={other: "unconfirmed"})
    proposal = s.take_over("A", 1, 1)
    vote = s.ack("M", proposal)
    s.expect("L", (0, 0, 0), joined="LA", forked="M", void={vote: "not-member"})
    s.invite("L", "M")
    s.expect("L", (0, 0, 0), joined="LAM", void={vote: "not-member"})
    again = s.take_over("A", 1, 2)
    s.ack("M", again)
    s.expect("A", (1, 2, 0), joined="LAM", void={vote: "not-member"})


@story("10: nobody votes for two proposals of one round")
def _(s: Told) -> None:
    before = s.heads()
    one, other = s.take_over("A", 1, 1, after=before), s.take_over("B", 1, 1, after=before)
    crossed = {s.ack("A", other, after=[one, other]): "voted", s.ack("B", one, after=[one, other]): "voted"}
    s.expect("L", (0, 0, 0), joined="LAB", void=crossed)
    s.ack("B", s.take_over("A", 1, 2))
    s.expect("A", (1, 2, 0), joined="LAB", void=crossed)


@story("11: a round that nobody came to is wrong")
def _(s: Told) -> None:
    high = s.take_over("A", 1, 7)
    vote = s.ack("B", high)
    s.expect("L", (0, 0, 0), joined="LAB", void={high: "wrong-round", vote: "no-proposal"})


@story("12: an ack counts for the proposal it names and no other", "LABCD")
def _(s: Told) -> None:
    before = s.heads()
    one, other = s.take_over("A", 1, 1, after=before), s.take_over("B", 1, 1, after=before)
    s.ack("C", one, after=[one, other])
    s.ack("D", one, after=[one, other])
    s.expect("A", (1, 1, 0), joined="LABCD")


# --- votes ---------------------------------------------------------------------------------------------


@story("a second vote in the same round is none", "LABCD")
def _(s: Told) -> None:
    before = s.heads()
    one, other = s.take_over("A", 1, 1, after=before), s.take_over("B", 1, 1, after=before)
    first = s.ack("C", one, after=[one, other])
    second = s.ack("C", other, after=[first])
    s.ack("D", other, after=[one, other])
    s.expect("L", (0, 0, 0), joined="LABCD", void={second: "voted"})


@story("a vote for an earlier round than one has voted in is none, for a later round it counts", "LABCD")
def _(s: Told) -> None:
    one = s.take_over("A", 1, 1)
    two = s.take_over("B", 1, 2)
    vote = s.ack("C", two)
    back = s.ack("C", one, after=[vote])
    third = s.take_over("D", 1, 3, after=[vote])
    s.ack("C", third, after=[third, back])
    s.ack("B", third, after=[third])
    s.expect("D", (1, 3, 0), joined="LABCD", void={back: "voted"})


@story("a second ack for one proposal is void")
def _(s: Told) -> None:
    proposal = s.take_over("B", 1, 1)
    s.ack("A", proposal)
    s.expect("B", (1, 1, 0), joined="LAB")
    own = s.ack("B", proposal, after=[proposal])
    s.expect("B", (1, 1, 0), joined="LAB", void={own: "voted"})


@story("a vote with a term of that epoch in its past is none", "LABCD")
def _(s: Told) -> None:
    before = s.heads()
    low = s.take_over("A", 1, 1, after=before)
    high = s.take_over("B", 1, 2, after=[low])
    s.ack("C", low, after=[low])
    s.ack("D", low, after=[low])
    s.expect("A", (1, 1, 0), joined="LABCD")
    s.ack("L", high, after=[high])
    late = s.ack("D", high)
    s.expect("A", (1, 1, 0), joined="LABCD", void={late: "settled"})
    again = s.ack("C", high)
    s.expect("A", (1, 1, 0), joined="LABCD", void={late: "settled", again: "settled"})


@story("an ack counts for nothing when the proposal is not in its past", "LABCD")
def _(s: Told) -> None:
    before = s.heads()
    proposal = s.take_over("A", 1, 1, after=before)
    s.ack("B", proposal, after=[proposal])
    blind = s.ack("C", proposal, after=before)
    s.expect("L", (0, 0, 0), joined="LABCD", void={blind: "no-proposal"})
    rival = s.take_over("D", 1, 1, after=[*before, blind])
    s.ack("C", rival, after=[rival])
    s.ack("L", rival, after=[rival])
    s.expect("D", (1, 1, 0), joined="LABCD", void={blind: "no-proposal"})


@story("an ack that names no takeover is none")
def _(s: Told) -> None:
    note = s.note("A")
    vote = s.ack("B", note)
    nothing = s.ack("A", EntryId(bytes(range(32))))
    s.expect("L", (0, 0, 0), joined="LAB", void={vote: "no-proposal", nothing: "no-proposal"})


@story("a vote for a proposal that is wrong binds nobody")
def _(s: Told) -> None:
    wrong = s.take_over("A", 1, 7)
    vote = s.ack("B", wrong)
    s.ack("B", s.take_over("A", 1, 1))
    s.expect("A", (1, 1, 0), joined="LAB", void={wrong: "wrong-round", vote: "no-proposal"})


@story("wrong rounds: of a later epoch, of the round before, of the current epoch")
def _(s: Told) -> None:
    void = {s.take_over("A", 2, 1): "wrong-round"}
    s.take_over("A", 1, 1)
    void[s.take_over("B", 1, 1)] = "wrong-round"
    void[s.take_over("B", 1, 3)] = "wrong-round"
    s.expect("L", (0, 0, 0), joined="LAB", void=void)
    s.ack("A", s.take_over("B", 1, 2))
    s.expect("B", (1, 2, 0), joined="LAB", void=void)
    void[s.take_over("A", 1, 3)] = "wrong-round"
    s.ack("L", s.take_over("A", 2, 1))
    s.expect("A", (2, 1, 0), joined="LAB", void=void)


@story("a seventeenth proposal in one epoch is too many", "LAB")
def _(s: Told) -> None:
    for number in range(1, 17):
        s.take_over("A", 1, number)
    void = {s.take_over("A", 1, 17): "too-many"}
    s.expect("L", (0, 0, 0), joined="LAB", void=void)
    s.ack("A", s.take_over("B", 1, 17))
    s.expect("B", (1, 17, 0), joined="LAB", void=void)


@story(
    "who may propose: not the lead, nobody from outside, nobody who has not joined", "LABC", are_joined=False
)
def _(s: Told) -> None:
    s.join("A")
    s.join("B")
    void = {
        s.take_over("L", 1, 1): "is-lead",
        s.take_over("C", 1, 1): "not-member",
        s.take_over("X", 1, 1): "not-member",
    }
    proposal = s.take_over("A", 1, 1)
    void[s.ack("X", proposal)] = "not-member"
    void[s.ack("C", proposal)] = "not-member"
    s.ack("B", proposal)
    s.expect("L", (0, 0, 0), joined="LAB", invited="C", void=void)
    s.ack("L", proposal)
    s.expect("A", (1, 1, 0), joined="LAB", invited="C", void=void)


@story("who was removed may neither propose nor vote", "LABC")
def _(s: Told) -> None:
    before = s.heads()
    proposal = s.take_over("A", 1, 1, after=before)
    s.remove("L", "B")
    void = {s.take_over("B", 1, 2): "not-member"}
    void[s.ack("B", proposal)] = "not-member"
    s.expect("L", (0, 0, 0), joined="LAC", removed="B", void=void)
    s.ack("C", proposal)
    s.expect("L", (0, 0, 0), joined="LAC", removed="B", void=void)
    again = s.take_over("A", 1, 2)
    s.ack("C", again)
    s.expect("A", (1, 2, 0), joined="LAC", removed="B", void=void)


@story("a removal and a leave after a vote take no vote back", "LABCD")
def _(s: Told) -> None:
    proposal = s.take_over("A", 1, 1)
    vote = s.ack("B", proposal, after=[proposal])
    s.remove("L", "B", after=[vote])
    third = s.ack("C", proposal, after=[proposal])
    s.expect("A", (1, 1, 0), joined="LABCD", void={_last(s, "remove"): "cut"})
    s.leave("C", after=[third])
    s.expect("A", (1, 1, 0), joined="LABD", left="C", void={_last(s, "remove"): "cut"})


@story("a fork in the proposal's past is no voter, and proposes nothing")
def _(s: Told) -> None:
    before = s.heads()
    s.note("A", "one", after=before)
    s.note("A", "other", after=before)
    void = {s.take_over("A", 1, 1): "forked"}
    proposal = s.take_over("B", 1, 1)
    void[s.ack("A", proposal)] = "not-member"
    s.expect("L", (0, 0, 0), joined="LB", forked="A", void=void)
    s.ack("L", proposal)
    s.expect("B", (1, 1, 0), joined="LB", forked="A", void=void)


@story("an author with a fork beside its votes is one voter", "LABCDEF")
def _(s: Told) -> None:
    proposal = s.take_over("A", 1, 1)
    s.ack("B", proposal, after=[proposal])
    s.ack("B", proposal, after=[proposal], created=1)
    s.ack("C", proposal, after=[proposal])
    s.expect("L", (0, 0, 0), joined="LACDEF", forked="B")
    s.ack("D", proposal, after=[proposal])
    s.expect("A", (1, 1, 0), joined="LACDEF", forked="B")


@story("a majority that comes together only where two halves meet", "LABCD")
def _(s: Told) -> None:
    proposal = s.take_over("A", 1, 1)
    one = s.ack("B", proposal, after=[proposal])
    other = s.ack("C", proposal, after=[proposal])
    early = s.invite("A", "F", after=[one])
    s.invite("A", "E", after=[early, other])
    s.expect("A", (1, 1, 0), joined="LABCD", invited="E", void={early: "not-lead"})


@story("two members need both votes, and the lead is one of them", "LA")
def _(s: Told) -> None:
    proposal = s.take_over("A", 1, 1)
    s.expect("L", (0, 0, 0), joined="LA")
    s.ack("L", proposal)
    s.expect("A", (1, 1, 0), joined="LA")


@story("who votes twice by a fork can complete a ballot that was left open, and is seen: contested", "LABCD")
def _(s: Told) -> None:
    before = s.heads()
    one, other = s.take_over("B", 1, 1, after=before), s.take_over("D", 1, 1, after=before)
    s.ack("A", one, after=[one])
    s.ack("C", one, after=[one])
    s.ack("L", other, after=[other])
    s.expect("B", (1, 1, 0), joined="LABCD")
    s.ack("A", other, after=[other])
    s.expect(None, (1, 1, 0), joined="LBCD", forked="A")
    settled = s.take_over("B", 2, 1)
    s.ack("C", settled)
    s.expect(None, (1, 1, 0), joined="LBCD", forked="A")
    s.ack("L", settled)
    s.expect("B", (2, 1, 0), joined="LBCD", forked="A")


# --- lead ----------------------------------------------------------------------------------------------


@story("a handover that is accepted moves the lead")
def _(s: Told) -> None:
    s.hand_over("L", "A")
    s.expect("L", (0, 0, 0), joined="LAB")
    s.accept("A")
    s.expect("A", (0, 0, 1), joined="LAB")
    void = {s.remove("L", "B"): "not-lead"}
    s.expect("A", (0, 0, 1), joined="LAB", void=void)
    s.remove("A", "B")
    s.expect("A", (0, 0, 1), joined="LA", removed="B", void=void)
    s.leave("L")
    s.expect("A", (0, 0, 1), joined="A", left="L", removed="B", void=void)


@story("an accept of nothing, of another's offer, or of a lead that is none any more", "LABC")
def _(s: Told) -> None:
    void = {s.accept("A"): "not-handed"}
    s.hand_over("L", "A")
    offered = s.hand_over("L", "B")
    void[s.accept("C")] = "not-handed"
    s.hand_over("L", "C")
    s.accept("A")
    void[s.accept("C")] = "not-handed"
    s.expect("A", (0, 0, 1), joined="LABC", void=void)
    s.accept("B", after=[offered])
    s.expect(None, (0, 0, 1), joined="LABC", void=void)


@story("an accept by somebody who is no member any more, or not yet", "LAB", are_joined=False)
def _(s: Told) -> None:
    s.join("A")
    s.hand_over("L", "A")
    s.hand_over("L", "B")
    void = {s.accept("B"): "not-handed"}
    s.remove("L", "A")
    void[s.accept("A")] = "not-handed"
    s.expect("L", (0, 0, 0), joined="L", invited="B", removed="A", void=void)


@story("who opened and is no member any more accepts nothing", "LAB")
def _(s: Told) -> None:
    s.hand_over("L", "A")
    s.accept("A")
    s.leave("L")
    s.hand_over("A", "L")
    void = {s.accept("L"): "not-handed"}
    s.expect("A", (0, 0, 1), joined="AB", left="L", void=void)


@story("who opened and is no member any more neither proposes nor votes", "LAB")
def _(s: Told) -> None:
    s.hand_over("L", "A")
    s.accept("A")
    s.leave("L")
    void = {s.take_over("L", 1, 1): "not-member"}
    proposal = s.take_over("B", 1, 1)
    void[s.ack("L", proposal)] = "not-member"
    s.expect("A", (0, 0, 1), joined="AB", left="L", void=void)


@story("an offer that its rekey disowns is none for whoever knows of the rekey", "LAB")
def _(s: Told) -> None:
    before = s.heads()
    thief = s.hand_over("L", "A", after=before)
    rekey = s.rekey("L", {key_of_partner("L"): s.opening}, key=2, after=before)
    void = {thief: "disowned", s.accept("A", after=[thief, rekey]): "not-handed"}
    s.expect("L", (0, 0, 0), joined="AB", forked="L", void=void)


@story("an accept that does not know of the rekey stays", "LAB")
def _(s: Told) -> None:
    before = s.heads()
    thief = s.hand_over("L", "A", after=before)
    s.accept("A", after=[thief])
    s.rekey("L", {key_of_partner("L"): s.opening}, key=2, after=before)
    s.expect("A", (0, 0, 1), joined="AB", forked="L")


@story("a handover by a member is not the lead's")
def _(s: Told) -> None:
    void = {s.hand_over("A", "B"): "not-lead"}
    void[s.accept("B")] = "not-handed"
    void[s.invite("A", "X")] = "not-lead"
    void[s.remove("B", "A")] = "not-lead"
    s.expect("L", (0, 0, 0), joined="LAB", void=void)


@story("what the next term had in its past counts on, what was beside it is cut", "LABC")
def _(s: Told) -> None:
    seen = s.invite("L", "D")
    proposal = s.take_over("A", 1, 1)
    s.ack("B", proposal)
    s.ack("C", proposal, after=[proposal])
    beside = s.invite("L", "E", after=[seen])
    s.expect("A", (1, 1, 0), joined="LABC", invited="D", void={beside: "cut"})


@story("a lead neither leaves nor removes itself; it hands over first")
def _(s: Told) -> None:
    void = {s.leave("L"): "is-lead"}
    s.remove("L", "L")
    s.expect("L", (0, 0, 0), joined="LAB", void=void)


@story("a lead with a fork still leads, and a removal beats an invitation beside it")
def _(s: Told) -> None:
    before = s.heads()
    s.remove("L", "B", after=before)
    s.invite("L", "B", after=before)
    s.expect("L", (0, 0, 0), joined="A", forked="L", removed="B")


@story("the second epoch follows the first", "LABC")
def _(s: Told) -> None:
    first = s.take_over("A", 1, 1)
    s.ack("B", first)
    s.ack("C", first)
    s.hand_over("A", "B")
    s.accept("B")
    s.expect("B", (1, 1, 1), joined="LABC")
    second = s.take_over("C", 2, 1)
    s.ack("L", second)
    s.ack("A", second)
    s.expect("C", (2, 1, 0), joined="LABC")


@story("what was cut stays cut, though a later term has it in its past", "LABC")
def _(s: Told) -> None:
    before = s.heads()
    first = s.take_over("A", 1, 1, after=before)
    votes = [s.ack("B", first, after=[first]), s.ack("C", first, after=[first])]
    cut = s.invite("L", "X", after=before)
    second = s.take_over("B", 2, 1, after=[*votes, cut])
    s.ack("C", second)
    s.ack("A", second)
    s.expect("B", (2, 1, 0), joined="LABC", void={cut: "cut"})


@story(
    "of two that are contested both lead, and what either did counts on in the epoch that settles it", "LABCD"
)
def _(s: Told) -> None:
    before = s.heads()
    first, second = s.hand_over("L", "A", after=before), s.hand_over("L", "B", after=before)
    one, other = s.accept("A", after=[first]), s.accept("B", after=[second])
    s.invite("A", "X", after=[one])
    s.remove("B", "D", after=[other])
    s.expect(None, (0, 0, 1), joined="ABC", invited="X", forked="L", removed="D")
    void = {s.invite("A", "Y"): "not-lead"}
    s.expect(None, (0, 0, 1), joined="ABC", invited="X", forked="L", removed="D", void=void)
    proposal = s.take_over("C", 1, 1)
    s.ack("A", proposal)
    s.ack("B", proposal)
    s.expect("C", (1, 1, 0), joined="ABC", invited="X", forked="L", removed="D", void=void)


@story("who is contested may leave: it is not the lead", "LAB")
def _(s: Told) -> None:
    before = s.heads()
    first, second = s.hand_over("L", "A", after=before), s.hand_over("L", "B", after=before)
    s.accept("A", after=[first])
    s.accept("B", after=[second])
    s.leave("A")
    s.expect(None, (0, 0, 1), joined="B", forked="L", left="A")


@story("one author's two terms of one number are contested all the same", "LAB")
def _(s: Told) -> None:
    offer = s.hand_over("L", "A")
    s.accept("A", after=[offer])
    s.expect("A", (0, 0, 1), joined="LAB")
    s.accept("A", after=[offer], created=1)
    s.expect(None, (0, 0, 1), joined="LB", forked="A")


@story("what one wrote as lead does not count against one's votes", "LAB")
def _(s: Told) -> None:
    for _number in range(70):
        s.remove("L", "X")
    s.ack("A", s.take_over("B", 1, 1))
    s.expect("B", (1, 1, 0), joined="LAB")
    s.ack("L", s.take_over("A", 2, 1))
    s.expect("A", (2, 1, 0), joined="LAB")


# --- members -------------------------------------------------------------------------------------------


@story("declined, left, and invited again", "LABC", are_joined=False)
def _(s: Told) -> None:
    s.join("A")
    s.leave("A")
    s.decline("B", after=[s.opening])
    s.expect("L", (0, 0, 0), joined="L", left="A", declined="B", invited="C")
    invitation = s.invite("L", "AB")
    s.expect("L", (0, 0, 0), joined="L", invited="ABC")
    s.join("A", invitation)
    s.expect("L", (0, 0, 0), joined="LA", invited="BC")


@story("who left before it was invited is no member until an invitation knows of that", "LA")
def _(s: Told) -> None:
    left = s.leave("X", after=[s.opening])
    s.expect("L", (0, 0, 0), joined="LA", void={left: "not-member"})
    s.invite("L", "X", after=[s.opening])
    s.expect("L", (0, 0, 0), joined="LA", left="X")
    s.invite("L", "X")
    s.expect("L", (0, 0, 0), joined="LA", invited="X")


@story("what a lead wrote about leaving does not count when it is none any more", "LA")
def _(s: Told) -> None:
    leave = s.leave("L")
    s.hand_over("L", "A")
    s.accept("A")
    s.expect("A", (0, 0, 1), joined="LA", void={leave: "is-lead"})


@story("an old join does not answer a new invitation", "LAB")
def _(s: Told) -> None:
    s.remove("L", "A")
    invitation = s.invite("L", "A")
    s.expect("L", (0, 0, 0), joined="LB", invited="A")
    proposal = s.take_over("B", 1, 1)
    vote = s.ack("A", proposal)
    s.expect("L", (0, 0, 0), joined="LB", invited="A", void={vote: "not-member"})
    s.join("A", invitation, number=3, after=[invitation, vote])
    s.ack("A", proposal)
    s.expect("B", (1, 1, 0), joined="LAB", void={vote: "not-member"})


@story("a removal that did not know of a new invitation beats it", "LAB")
def _(s: Told) -> None:
    s.remove("L", "B")
    handed = s.hand_over("L", "A")
    s.accept("A", after=[handed])
    before = s.heads()
    s.invite("A", "B", after=before)
    s.expect("A", (0, 0, 1), joined="LA", invited="B")
    s.remove("A", "B", after=before)
    s.expect("A", (0, 0, 1), joined="L", forked="A", removed="B")


@story("two joins under one number are no fork", "LA", are_joined=False)
def _(s: Told) -> None:
    s.join("A")
    invitation = s.invite("L", "A", after=[s.opening])
    s.join("A", invitation)
    s.expect("L", (0, 0, 0), joined="LA")
    s.note("A")
    s.expect("L", (0, 0, 0), joined="LA")


@story("a join and a note under one number are a fork", "LA")
def _(s: Told) -> None:
    note = s.note("A", after=[s.opening], number=1)
    s.expect("L", (0, 0, 0), joined="L", forked="A", void={note: "not-member"})


@story("a fork after a pardon is a fork", "LAM")
def _(s: Told) -> None:
    before = s.heads()
    s.note("M", "one", after=before)
    s.note("M", "other", after=before)
    s.invite("L", "M")
    s.expect("L", (0, 0, 0), joined="LAM")
    third = s.note("M", "three", after=before)
    s.expect("L", (0, 0, 0), joined="LA", forked="M", void={third: "unconfirmed"})


@story("a pardon holds though the invitation that gave it stands no more", "LAM")
def _(s: Told) -> None:
    before = s.heads()
    one, other = s.note("M", "one", after=before), s.note("M", "other", after=before)
    s.invite("L", "M", after=[one, other])
    left = s.leave("M", after=[one])
    s.invite("L", "M", after=[left])
    s.expect("L", (0, 0, 0), joined="A", forked="L", invited="M", void={other: "cut"})


@story("entries of no effect are a fork like others", "LA")
def _(s: Told) -> None:
    before = s.heads()
    void = {s.write("A", "leave", content, after=before): "bad-body" for content in (b"", b"\xc1")}
    s.expect("L", (0, 0, 0), joined="L", forked="A", void=void)


@story("nothing of strangers, of who has not joined, or of who was removed", "LABC", are_joined=False)
def _(s: Told) -> None:
    void = {s.note("X"): "not-member", s.note("A"): "not-member", s.join("X"): "not-member"}
    s.join("B")
    s.note("B")
    s.remove("L", "B")
    void[s.note("B")] = "cut"
    void[s.leave("X")] = "not-member"
    s.expect("L", (0, 0, 0), joined="L", invited="AC", removed="B", void=void)


@story("a note before the invitation stands once the invitation has it in its past", "LA")
def _(s: Told) -> None:
    early = s.join("X")
    note = s.note("X", after=[early])
    s.expect("L", (0, 0, 0), joined="LA", void={early: "not-member", note: "not-member"})
    s.invite("L", "X", after=[note])
    s.expect("L", (0, 0, 0), joined="LA", invited="X")


@story("the sixty-fifth authority entry of a member is too many", "LA", are_joined=False)
def _(s: Told) -> None:
    s.join("A")
    for _ in range(63):
        s.leave("A")
    void = {s.join("A", after=[s.invite("L", "A")]): "too-many"}
    s.expect("L", (0, 0, 0), joined="L", invited="A", void=void)


@story("void authority entries are counted like others", "LAB")
def _(s: Told) -> None:
    void = {s.accept("A"): "not-handed" for _number in range(63)}
    proposal = s.take_over("B", 1, 1)
    void[s.ack("A", proposal)] = "too-many"
    s.expect("L", (0, 0, 0), joined="LAB", void=void)


@story("what was named by others than the lead does not fill a space", "LAB")
def _(s: Told) -> None:
    strangers = [f"stranger {number}" for number in range(250)]
    void = {s.invite("A", strangers): "not-lead"}
    guests = [f"guest {number}" for number in range(10)]
    s.invite("L", guests)
    s.expect("L", (0, 0, 0), joined="LAB", invited=guests, void=void)


@story("more than 256 members, ever, are too many", "LA")
def _(s: Told) -> None:
    crowd = [f"member {number}" for number in range(254)]
    s.invite("L", crowd)
    s.remove("L", crowd)
    full = s.invite("L", ["one more"])
    s.expect("L", (0, 0, 0), joined="LA", removed=crowd, void={full: "members-full"})
    s.invite("L", [*crowd[:5], "A"])
    s.expect("L", (0, 0, 0), joined="LA", removed=crowd[5:], invited=crowd[:5], void={full: "members-full"})


# --- keys ----------------------------------------------------------------------------------------------


@story("a rekey voids what a thief wrote, and nothing that its owner vouches for", "LA")
def _(s: Told) -> None:
    good = s.note("A", "mine")
    stolen = s.note("A", "a thief's", after=[good])
    after = s.note("L", after=[stolen])
    s.rekey("A", {key_of_partner("A"): good}, key=2, after=[stolen, after])
    later = s.note("A", "a thief's, later", after=[good], number=3)
    void = {stolen: "disowned", later: "disowned"}
    s.expect("L", (0, 0, 0), joined="L", forked="A", void=void)


@story("a rekey without a good entry voids everything of that key but joins and votes")
def _(s: Told) -> None:
    note = s.note("A")
    proposal = s.take_over("B", 1, 1)
    s.ack("A", proposal)
    s.rekey("A", {key_of_partner("A"): EntryId(bytes(32))}, key=2)
    s.expect("B", (1, 1, 0), joined="LAB", void={note: "disowned"})
    s.note("A", key=2)
    s.expect("B", (1, 1, 0), joined="LAB", void={note: "disowned"})


@story("acts of the lead beside its rekey are void, those in its past stand")
def _(s: Told) -> None:
    before = s.heads()
    s.invite("L", "C", after=before)
    seen = s.heads()
    thief = s.remove("L", "AB", after=seen)
    s.rekey("L", {key_of_partner("L"): s.opening}, key=2, after=seen, number=3)
    s.expect("L", (0, 0, 0), joined="AB", forked="L", invited="C", void={thief: "disowned"})


@story("an act of the lead under a key that its own past disowns is void")
def _(s: Told) -> None:
    s.rekey("L", {key_of_partner("L"): s.opening}, key=2)
    void = {s.invite("L", "X"): "disowned"}
    s.invite("L", "Y", key=2)
    s.expect("L", (0, 0, 0), joined="LAB", invited="Y", void=void)


@story("the rekey of a lead that was replaced does not reach what the new term has in its past", "LABC")
def _(s: Told) -> None:
    early = s.heads()
    s.invite("L", "D")
    proposal = s.take_over("A", 1, 1)
    s.ack("B", proposal)
    s.ack("C", proposal, after=[proposal])
    s.expect("A", (1, 1, 0), joined="LABC", invited="D")
    s.rekey("L", {key_of_partner("L"): s.opening}, key=2, after=early, number=2)
    s.expect("A", (1, 1, 0), joined="ABC", forked="L", invited="D")


@story("a thief's removals fall with the takeover that cites the rekey", "LABC")
def _(s: Told) -> None:
    before = s.heads()
    thief = s.remove("L", "BC", after=before)
    rekey = s.rekey("L", {key_of_partner("L"): s.opening}, key=2, after=before, number=2)
    proposal = s.take_over("A", 1, 1, after=[thief, rekey])
    s.ack("B", proposal)
    s.expect("A", (1, 1, 0), joined="ABC", forked="L", void={thief: "disowned"})


@story("a rekey by the key it names, or after another's entry, is none")
def _(s: Told) -> None:
    note = s.note("B")
    mine = s.note("A")
    void = {
        s.rekey("A", {key_of_partner("A"): mine}, key=1): "bad-rekey",
        s.rekey("A", {key_of_partner("A"): note}, key=2): "bad-rekey",
    }
    s.expect("L", (0, 0, 0), joined="LAB", void=void)


@story("a rekey may name an entry of no effect as the last good one, but none that is not in its past")
def _(s: Told) -> None:
    spoilt = s.write("A", "leave", b"\xc1")
    note = s.note("A", "a thief's")
    s.rekey("A", {key_of_partner("A"): spoilt}, key=2)
    void = {spoilt: "bad-body", note: "disowned"}
    s.expect("L", (0, 0, 0), joined="LAB", void=void)
    before = [_join_of(s, "B")]
    beside = s.note("B", "beside", after=before)
    wrong = s.rekey("B", {key_of_partner("B"): beside}, key=2, after=before, number=2)
    s.expect(
        "L", (0, 0, 0), joined="LA", forked="B", void={**void, wrong: "bad-rekey", beside: "unconfirmed"}
    )


@story("redacted by its author, by the lead, and by nobody else")
def _(s: Told) -> None:
    own, other, third = s.note("A", "own"), s.note("A", "by the lead"), s.note("A", "stays")
    s.redact("A", own)
    s.redact("L", other)
    void = {
        s.redact("B", third): "not-lead",
        s.redact("A", EntryId(bytes(range(32)))): "no-entry",
        s.redact("L", s.opening): "no-entry",
    }
    s.expect("L", (0, 0, 0), joined="LAB", void=void)


# --- bodies and kinds ----------------------------------------------------------------------------------


@story("bodies of deciding kinds that are not as the table says decide nothing")
def _(s: Told) -> None:
    void = {
        s.write("A", "takeover", b"\x82\x00\x01\x01\x00"): "bad-body",
        s.write("A", "takeover", b"\x82\x00\x01\x01\xcc\x01"): "bad-body",
        s.write("A", "takeover", b"\x82\x00\x01\x01\x01\x00"): "bad-body",
        s.write("L", "remove", b"\x81\x00\x90"): "bad-body",
        s.write("A", "merge", b""): "bad-body",
        s.write("A", "leave", b"\x81\x00\x01"): "bad-body",
        s.write("L", "close", b"{}"): "bad-body",
    }
    s.expect("L", (0, 0, 0), joined="LAB", void=void)


@story("notes: not UTF-8, empty, sealed, without a body, redacted")
def _(s: Told) -> None:
    void = {s.write("A", "note", b"\xff"): "bad-body", s.write("A", "note", b""): "bad-body"}
    s.write("A", "note", b"\xff", audience="AB")
    s.write("A", "note", None)
    spoilt = s.write("A", "note", b"\xfe")
    s.note("A", 'quotes " \\ \b\f\n\r\t \x01 \x7f \u00e4 \u2028 \U0001f512')
    s.expect("L", (0, 0, 0), joined="LAB", void={**void, spoilt: "bad-body"})
    s.redact("A", spoilt)
    s.expect("L", (0, 0, 0), joined="LAB", void=void)


@story("kinds that are not known, and parts, change nothing and stand")
def _(s: Told) -> None:
    s.write("A", "later-kind", b"\x80")
    s.write("A", "part", b"anything")
    void = {s.write("X", "later-kind", b""): "not-member"}
    s.merge("B")
    s.expect("L", (0, 0, 0), joined="LAB", void=void)


@story("only the lead closes, and a lead that was replaced does not")
def _(s: Told) -> None:
    void = {s.close("A"): "not-lead"}
    before = s.heads()
    s.ack("A", s.take_over("B", 1, 1))
    void[s.close("L", after=before)] = "cut"
    s.expect("B", (1, 1, 0), joined="LAB", void=void)
    s.close("B")
    s.expect("B", (1, 1, 0), joined="LAB", void=void, is_closed=True)


@story(
    "a close that the next term has in its past holds on; a reopening by who was removed does not count",
    "LABM",
)
def _(s: Told) -> None:
    s.close("L")
    s.remove("L", "M")
    proposal = s.take_over("A", 1, 1)
    s.ack("B", proposal)
    s.expect("A", (1, 1, 0), joined="LAB", removed="M", is_closed=True)
    void = {s.reopen("M"): "cut"}
    s.expect("A", (1, 1, 0), joined="LAB", removed="M", is_closed=True, void=void)
