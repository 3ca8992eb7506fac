"""Audiences and admission: who may be sealed for, and what may move on which link."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import pytest

from p2pshare.envelope.card import Card
from p2pshare.envelope.envelope import Mode
from p2pshare.envelope.keys import create_identity
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.partners.roster import Roster, RosterEntry
from p2pshare.policy.admission import Admit, RefuseEntry, admit, may_leave
from p2pshare.policy.audience import Audience, Refuse, resolve
from p2pshare.policy.gate import GateSettings

NOW = 1_800_000_000
MAIN, OTHER = CircleId.of("main"), CircleId.of("other")
STRICT_OFF, STRICT_ON = GateSettings(), GateSettings(relay_strict=True)


@functools.cache
def card(name: str) -> Card:
    return create_identity(name, [f"https://{name}.example:8443"], NOW).card


def entry(
    name: str, *, has_link: bool = True, is_frozen: bool = False, circle: CircleId = MAIN
) -> RosterEntry:
    one = card(name)
    return RosterEntry(one.partner_id, name, one, has_link, frozenset({circle}), is_frozen)


OWN = card("alpha").partner_id
ROSTER = Roster.of(
    OWN,
    [entry("bravo"), entry("charlie", has_link=False), entry("delta")],
    {"hospitals": ("bravo", "charlie"), "broken": ("nobody",)},
)


def aliases(audience: Audience | Refuse) -> list[str]:
    assert isinstance(audience, Audience), audience
    return [one.alias for one in audience.recipients]


def reason(audience: Audience | Refuse) -> str:
    assert isinstance(audience, Refuse), audience
    assert audience.hint
    return audience.reason


@pytest.mark.parametrize("tlp", [Tlp.CLEAR, Tlp.GREEN])
def test_without_names_clear_and_green_go_to_all(tlp: Tlp) -> None:
    assert aliases(resolve(tlp, [], ROSTER, STRICT_OFF, NOW)) == ["bravo", "charlie", "delta"]


@pytest.mark.parametrize("tlp", [Tlp.AMBER, Tlp.AMBER_STRICT, Tlp.RED])
def test_without_names_amber_and_stricter_are_refused(tlp: Tlp) -> None:
    assert reason(resolve(tlp, [], ROSTER, STRICT_ON, NOW)) == "names-needed"


def test_red_takes_no_group() -> None:
    assert reason(resolve(Tlp.RED, ["hospitals"], ROSTER, STRICT_ON, NOW)) == "group-not-allowed"
    assert reason(resolve(Tlp.RED, ["delta", "hospitals"], ROSTER, STRICT_ON, NOW)) == "group-not-allowed"


@pytest.mark.parametrize("tlp", list(Tlp))
def test_mode_is_direct_exactly_when_no_relay_may_carry(tlp: Tlp) -> None:
    for settings in (STRICT_OFF, STRICT_ON):
        audience = resolve(tlp, ["bravo"], ROSTER, settings, NOW)
        assert isinstance(audience, Audience)
        is_direct = tlp in (Tlp.AMBER_STRICT, Tlp.RED) and not settings.relay_strict
        assert audience.mode is (Mode.DIRECT if is_direct else Mode.RELAY)


def test_direct_content_for_a_partner_without_link_is_refused_and_named() -> None:
    refuse = resolve(Tlp.RED, ["bravo", "charlie"], ROSTER, STRICT_OFF, NOW)
    assert reason(refuse) == "no-direct-link"
    assert isinstance(refuse, Refuse) and "charlie" in refuse.message and "bravo" not in refuse.message


def test_unknown_name_suggests_the_nearest() -> None:
    refuse = resolve(Tlp.GREEN, ["charly"], ROSTER, STRICT_OFF, NOW)
    assert reason(refuse) == "unknown-recipient"
    assert isinstance(refuse, Refuse) and "charlie" in refuse.hint
    assert reason(resolve(Tlp.GREEN, ["broken"], ROSTER, STRICT_OFF, NOW)) == "unknown-recipient"


def test_named_twice_by_alias_group_and_id_is_one_recipient() -> None:
    names = ["bravo", "hospitals", card("bravo").partner_id.text]
    assert aliases(resolve(Tlp.AMBER, names, ROSTER, STRICT_OFF, NOW)) == ["bravo", "charlie"]


def test_expired_or_frozen_is_refused_when_named_and_skipped_visibly_when_not() -> None:
    roster = Roster.of(OWN, [entry("bravo"), entry("delta", is_frozen=True)])
    assert reason(resolve(Tlp.GREEN, ["delta"], roster, STRICT_OFF, NOW)) == "partner-frozen"
    audience = resolve(Tlp.GREEN, [], roster, STRICT_OFF, NOW)
    assert aliases(audience) == ["bravo"]
    assert isinstance(audience, Audience) and audience.skipped == (("delta", "partner-frozen"),)
    late = card("bravo").expires
    assert reason(resolve(Tlp.GREEN, ["bravo"], roster, STRICT_OFF, late)) == "card-expired"
    assert reason(resolve(Tlp.GREEN, [], roster, STRICT_OFF, late)) == "no-recipients"


def test_nobody_to_publish_to_is_told() -> None:
    assert reason(resolve(Tlp.CLEAR, [], Roster.of(OWN, []), STRICT_OFF, NOW)) == "no-recipients"


def arrives(
    author: str,
    received_from: str | None,
    *,
    mode: Mode = Mode.RELAY,
    circle: CircleId = MAIN,
    roster: Roster = ROSTER,
) -> str:
    received_from_id = card(received_from).partner_id if received_from else None
    answer = admit(
        mode=mode,
        circle=circle,
        author=card(author).partner_id,
        received_from=received_from_id,
        roster=roster,
        now=NOW,
    )
    return answer.reason if isinstance(answer, RefuseEntry) else "admitted"


def test_admission_table() -> None:
    assert arrives("bravo", "bravo") == "admitted"
    assert arrives("charlie", "bravo") == "admitted"
    assert arrives("alpha", "bravo") == "admitted"  # our own, coming back after a restore
    assert arrives("stranger", "bravo") == "author-unknown"
    assert arrives("bravo", "stranger") == "circle-not-on-link"
    assert arrives("bravo", "charlie") == "circle-not-on-link"  # trusted, but there is no link
    assert arrives("bravo", None) == "circle-not-on-link"
    assert arrives("bravo", "bravo", circle=OTHER) == "circle-not-on-link"
    assert arrives("bravo", "bravo", mode=Mode.DIRECT) == "admitted"
    assert arrives("charlie", "bravo", mode=Mode.DIRECT) == "direct-from-another"
    assert arrives("alpha", "bravo", mode=Mode.DIRECT) == "admitted"  # our own, from its recipient
    assert arrives("alpha", "charlie", mode=Mode.DIRECT) == "direct-from-another"  # there is no link
    assert arrives("alpha", "stranger", mode=Mode.DIRECT) == "direct-from-another"
    assert arrives("alpha", None, mode=Mode.DIRECT) == "direct-from-another"
    frozen = Roster.of(OWN, [replace(entry("bravo"), is_frozen=True)])
    assert arrives("bravo", "bravo", roster=frozen) == "author-frozen"


@pytest.mark.parametrize(
    ("mode", "has_link", "circle_matches", "whose", "is_awaited"),
    list(itertools.product(Mode, (False, True), (False, True), ("ours", "theirs", "another"), (False, True))),
)
def test_nothing_leaves_that_the_link_may_not_carry(
    mode: Mode, has_link: bool, circle_matches: bool, whose: str, is_awaited: bool
) -> None:
    link = entry("delta", has_link=has_link)
    recipients: set[PartnerId] = {link.partner_id} if is_awaited else {card("bravo").partner_id}
    leaves = may_leave(
        mode=mode,
        circle=MAIN if circle_matches else OTHER,
        link=link,
        is_own=whose == "ours",
        is_home=whose == "theirs",
        direct_recipients=recipients,
    )
    if mode is Mode.DIRECT:
        assert leaves is (has_link and (whose == "theirs" or (whose == "ours" and is_awaited)))
    else:
        assert leaves is (has_link and circle_matches)


def test_admitted_is_a_value_of_its_own() -> None:
    assert Admit() != RefuseEntry("anything")
