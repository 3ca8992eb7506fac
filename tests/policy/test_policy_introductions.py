"""What an introduced partner may have: marking x standing x exit against a small table that is written out here by itself."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.envelope.card import Card
from p2pshare.envelope.envelope import Mode
from p2pshare.envelope.keys import create_identity
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.partners.roster import Roster, RosterEntry
from p2pshare.policy.admission import Admit, RefuseEntry, admit, may_leave
from p2pshare.policy.audience import Audience, Refuse, resolve, standing_of
from p2pshare.policy.gate import GateSettings
from p2pshare.policy.introductions import Introduction, PartnerStanding, review, why_not_sealed

NOW = 1_800_000_000
MAIN = CircleId.of("main")
SETTINGS = (GateSettings(), GateSettings(relay_strict=True))
COMPARED, INTRODUCED, SUSPENDED = PartnerStanding
# who is sealed for, by marking: c compared, i introduced, s suspended; by everyone, by a group of all three, by name
TABLE = {
    Tlp.CLEAR: ("ci", "refused", "ci"),
    Tlp.GREEN: ("ci", "refused", "ci"),
    Tlp.AMBER: ("refused", "refused", "c"),
    Tlp.AMBER_STRICT: ("refused", "refused", "c"),
    Tlp.RED: ("refused", "refused", "c"),
}


@functools.cache
def card(name: str) -> Card:
    return create_identity(name, [f"https://{name}.example:8443"], NOW).card


def of(name: str, standing: PartnerStanding) -> RosterEntry:
    one = RosterEntry(card(name).partner_id, name, card(name), circles=frozenset({MAIN}))
    if standing is COMPARED:
        return one
    suspended = "not-listed" if standing is SUSPENDED else ""
    return replace(
        one, is_compared=False, introduced_by=("x",), introduced_until=NOW + 1, suspended=suspended
    )


ROSTER = Roster.of(
    card("alpha").partner_id,
    [of("bravo", COMPARED), of("charlie", INTRODUCED), of("delta", SUSPENDED)],
    {"all": ("bravo", "charlie", "delta"), "two": ("bravo", "charlie")},
)
LETTERS = {"bravo": "c", "charlie": "i", "delta": "s"}


def sealed_for(tlp: Tlp, names: list[str], settings: GateSettings) -> str:
    answer = resolve(tlp, names, ROSTER, settings, NOW)
    if isinstance(answer, Refuse):
        return "refused"
    return "".join(LETTERS[one.alias] for one in answer.recipients)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("tlp", list(Tlp))
def test_the_table_of_marking_standing_and_exit(tlp: Tlp, settings: GateSettings) -> None:
    everyone, group, named = TABLE[tlp]
    assert sealed_for(tlp, [], settings) == everyone
    assert sealed_for(tlp, ["all"], settings) == group, "a suspended one that was named refuses all, visibly"
    assert sealed_for(tlp, ["two"], settings) == ("ci" if tlp <= Tlp.GREEN else "refused")
    alone = [sealed_for(tlp, [name], settings) for name in ("bravo", "charlie", "delta")]
    assert "".join(one for one in alone if one != "refused") == named


@pytest.mark.parametrize("tlp", list(Tlp))
def test_the_gate_by_itself(tlp: Tlp) -> None:
    assert why_not_sealed(tlp, COMPARED) == ""
    assert why_not_sealed(tlp, INTRODUCED) == ("" if tlp <= Tlp.GREEN else "not-compared")
    assert why_not_sealed(tlp, SUSPENDED) == "partner-suspended"


def test_the_refusal_says_what_to_do() -> None:
    answers = [resolve(Tlp.AMBER, [name], ROSTER, SETTINGS[0], NOW) for name in ("charlie", "delta")]
    reasons = [one.reason for one in answers if isinstance(one, Refuse)]
    assert reasons == ["not-compared", "partner-suspended"]
    assert all("partner confirm" in one.hint for one in answers if isinstance(one, Refuse))
    green = resolve(Tlp.GREEN, [], ROSTER, SETTINGS[0], NOW)
    assert isinstance(green, Audience)
    assert green.skipped == (("delta", "partner-suspended"),)


def test_a_list_that_ends_suspends_at_that_second() -> None:
    one = of("charlie", INTRODUCED)
    assert [standing_of(one, at) for at in (NOW, NOW + 1)] == [INTRODUCED, SUSPENDED]
    assert [one.is_usable(at) for at in (NOW, NOW + 1)] == [True, False]


@pytest.mark.parametrize(("name", "found"), [("bravo", ""), ("charlie", ""), ("delta", "author-suspended")])
def test_whose_envelopes_are_let_in(name: str, found: str) -> None:
    answer = admit(
        mode=Mode.RELAY,
        circle=MAIN,
        author=card(name).partner_id,
        received_from=card("bravo").partner_id,
        roster=ROSTER,
        now=NOW,
    )
    assert answer == (RefuseEntry(found) if found else Admit())


def test_an_introduced_one_without_a_link_is_handed_nothing_and_with_one_what_it_carries() -> None:
    apart = replace(of("charlie", INTRODUCED), has_link=False)
    for one, expected in ((apart, False), (of("charlie", INTRODUCED), True)):
        assert may_leave(mode=Mode.RELAY, circle=MAIN, link=one, is_own=True, is_home=False) is expected


X, Y = PartnerId(b"x" * 32), PartnerId(b"y" * 32)
GOOD = Introduction(X, "", is_listed=True, is_key_good=True, expires=NOW + 100)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"introducer_is": "removed"}, "introducer-removed"),
        ({"introducer_is": "frozen"}, "introducer-frozen"),
        ({"introducer_is": "not-compared"}, "introducer-not-compared"),
        ({"is_key_good": False}, "list-revoked"),
        ({"is_listed": False}, "not-listed"),
        ({"expires": NOW}, "list-expired"),
        ({}, ""),
    ],
)
def test_what_ends_an_introduction(change: dict[str, object], why: str) -> None:
    one = replace(GOOD, **change)  # type: ignore[arg-type]
    assert one.why_void(NOW) == why
    assert review([one], NOW).suspended == why


introductions = st.builds(
    Introduction,
    introducer=st.sampled_from([X, Y]),
    introducer_is=st.sampled_from(["", "removed", "frozen", "not-compared"]),
    is_listed=st.booleans(),
    is_key_good=st.booleans(),
    expires=st.integers(NOW - 2, NOW + 2),
)


@given(st.lists(introductions, max_size=4))
def test_one_good_introduction_is_enough_and_two_introducers_make_a_voice(found: list[Introduction]) -> None:
    good = [one for one in found if not one.why_void(NOW)]
    answer = review(found, NOW)
    assert bool(answer.suspended) == (not good)
    assert answer.until == max((one.expires for one in good), default=0)
    only = {one.introducer for one in good}
    assert answer.voice == (next(iter(only)) if len(only) == 1 else None)
    for order in itertools.islice(itertools.permutations(found), 4):
        assert review(list(order), NOW) == answer
