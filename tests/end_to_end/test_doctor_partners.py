"""What the doctor says of partners and clocks, planted between real daemons: each side's words, and that what it says mends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from command_line import run_here
from doctor_faults import BETWEEN_NODES, read_findings, said
from msgspec.structs import replace
from whole_nodes import World, befriend

from p2pshare.cli import card as cli_card
from p2pshare.envelope.keys import reissue_card
from p2pshare.errors import PeerError
from p2pshare.limits import FUTURE_DEFER_SECONDS
from p2pshare.queries.doctor_words import Finding
from p2pshare.queries.partner_health import CLOCK_NEAR_SECONDS, look_at_clocks, look_at_partners
from p2pshare.queries.status import PartnerStatus
from p2pshare.sharing.partners import apply_card_update

if TYPE_CHECKING:
    from conftest import Company, Partner

DAY = 86_400
Wait = Callable[..., Any]


def test_every_fault_between_nodes_is_planted_here() -> None:
    text = Path(__file__).read_text()
    assert [name for name in BETWEEN_NODES if f'"{name}"' not in text] == []


def findings(partner: Partner) -> list[Finding]:
    return read_findings(partner.cli("doctor", "--json", codes=(0, 1)).out)


def told(partner: Partner, name: str, about: str = "") -> list[str]:
    return [one.message for one in said(findings(partner), name) if about in one.message]


# --- daemons ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trio(shared_company: Company) -> Iterator[tuple[Partner, Partner, Partner]]:
    """alpha, bravo and charlie, each linked with each; nobody runs."""
    three = [shared_company.found(name) for name in ("alpha", "bravo", "charlie")]
    for one in three:
        for other in three:
            if one is not other:
                one.trust(other)
    yield (three[0], three[1], three[2])


def connected(*pairs: tuple[Partner, Partner]) -> bool:
    return all(
        row["state"] == "connected"
        for one, other in pairs
        for row in one.status()["partners"]
        if row["alias"] == other.name
    )


def test_a_clock_that_is_wrong_is_said_on_each_side_and_of_the_right_node(
    trio: tuple[Partner, Partner, Partner], eventually: Wait
) -> None:
    alpha, bravo, charlie = trio
    bravo.start()
    charlie.start()
    for faketime, way, other_way in (("+2h", "ahead of", "ahead of"), ("-2h", "behind", "behind")):
        alpha.start(faketime=faketime)
        eventually(lambda: connected((alpha, bravo), (alpha, charlie)), "alpha is connected")
        (message,) = eventually(lambda: told(alpha, "clock-wrong"), "alpha says so")
        assert message.startswith("this clock is 7") and f" s {way} those of 2 partners" in message
        for other in (bravo, charlie):
            (message,) = eventually(lambda other=other: told(other, "partner-clock"), "so do the others")
            assert message.startswith("the clock of alpha is 7") and f" s {other_way} ours" in message
            assert [
                one.message for one in findings(other) if one.check == "clock" and one.level == "fail"
            ] == []
        if faketime == "+2h":
            alpha.publish("soon.example\n")
            eventually(lambda: told(bravo, "from-the-future", "alpha"), "what it published waits")
        alpha.stop()
    charlie.stop()
    alpha.start(faketime="-2h")
    eventually(lambda: connected((alpha, bravo)), "alpha is connected")
    for one, other, way in ((alpha, bravo, "behind"), (bravo, alpha, "ahead of")):
        (message,) = eventually(lambda one=one: told(one, "clock-disputed"), "two clocks, and no third")
        assert f" s {way} that of {other.name}, and one of the two is wrong" in message
    alpha.stop()
    assert "the clock jumped by" in alpha.log() and "the clock is believed again" not in alpha.log(), (
        "partners who tell another time end no doubt of a wrong clock"
    )
    alpha.start()
    eventually(lambda: connected((alpha, bravo)), "alpha is connected")
    for one in (alpha, bravo):
        eventually(
            lambda one=one: (
                not (told(one, "clock-disputed") or told(one, "clock-wrong") or told(one, "partner-clock"))
            ),
            "all is well again",
        )


def test_what_is_wrong_between_two_nodes_is_said_and_what_mends_it_does(
    trio: tuple[Partner, Partner, Partner], shared_company: Company, eventually: Wait
) -> None:
    """Begins where the test before ends: alpha and bravo run."""
    eventually = partial(
        eventually, seconds=60
    )  # a dial that failed is tried again after a pause that doubles
    alpha, bravo, charlie = trio
    if alpha.process is None:
        alpha.start()
    if bravo.process is None:
        bravo.start()
    eventually(lambda: told(alpha, "partner-unreached", "charlie"), "charlie does not run")

    delta = shared_company.found("delta", url_port=charlie.port)
    delta.configure("listen", f'"127.0.0.1:{charlie.port}"')
    delta.configure("circles", '["Main"]')
    delta.start()
    alpha.trust(delta)
    eventually(lambda: told(alpha, "not-accepted-yet", "delta"), "delta has not added alpha")
    eventually(lambda: told(alpha, "other-certificate", "charlie"), "delta answers where charlie did")
    delta.trust(alpha, "--no-link")
    assert told(alpha, "not-accepted-yet", "delta"), "a link that one side holds"
    delta.trust(alpha)
    eventually(lambda: connected((alpha, delta)), "both sides hold it")
    assert not told(alpha, "not-accepted-yet")
    for one, other in ((alpha, "delta"), (delta, "alpha")):
        eventually(
            lambda one=one, other=other: told(one, "partner-circles", other), "circles differ in a letter"
        )
    delta.configure("circles", '["main"]')
    assert told(delta, "circles-of-before", "alpha")
    delta.stop()
    delta.start()
    delta.trust(alpha)
    eventually(
        lambda: (
            connected((alpha, delta)) and not told(alpha, "partner-circles") + told(delta, "partner-circles")
        ),
        "and in no letter any more",
    )
    assert not told(delta, "circles-of-before")
    delta.stop()
    charlie.start()
    eventually(lambda: not told(alpha, "other-certificate"), "charlie is back")
    assert not told(alpha, "partner-unreached", "charlie")

    bravo.cli("partner", "remove", "alpha")
    eventually(lambda: told(alpha, "removed-by-partner", "bravo"), "bravo has removed alpha")
    bravo.trust(alpha)
    eventually(lambda: not told(alpha, "removed-by-partner"), "and added it again")

    bravo.cli(
        "space", "open", "--kind", "note", "--title", "T", "--tlp", "green", "--invite", "alpha", "--yes"
    )
    eventually(lambda: told(alpha, "spaces"), "an invitation waits")
    (invited,) = alpha.status()["spaces"]["invitations"]
    alpha.cli("space", "join", invited["space"])
    eventually(lambda: not told(alpha, "spaces"), "it is answered")

    alpha.stop()
    assert told(alpha, "partners-unknown")


# --- without a daemon -----------------------------------------------------------------------------------


def test_a_partner_that_is_frozen_is_said(tmp_path: Path) -> None:
    now = int(time.time())
    world = World(tmp_path, now)
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(bravo, alpha, now=now)
    one, other = (reissue_card(alpha.identity, now, name=name).card.raw for name in ("One", "Other"))
    apply_card_update(bravo, alpha.identity.partner_id, one, now)
    with pytest.raises(PeerError):
        apply_card_update(bravo, alpha.identity.partner_id, other, now)
    world.close()
    (found,) = said(
        read_findings(run_here(["--home", str(bravo.home), "doctor", "--json"]).out), "partner-frozen"
    )
    assert found.mend.startswith("`p2pshare doctor proof alpha FILE`")
    proof = ["doctor", "proof", "alpha", str(tmp_path / "proof")]
    assert run_here(["--home", str(bravo.home), *proof]).code == 0


def test_a_partner_whose_card_has_ended_is_said_until_its_new_one_is_here(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, bravo = company.linked("alpha", "bravo")
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() + 500 * DAY)
    monkeypatch.setattr(cli_card, "now_seconds", lambda: int(time.time()))
    assert told(alpha, "partner-card-ended", "bravo")
    bravo.cli("card", "renew")
    alpha.trust(bravo)
    assert not told(alpha, "partner-card-ended")


# --- whose clock it is ------------------------------------------------------------------------------------


def rows(**offsets: int | None) -> list[PartnerStatus]:
    return [
        PartnerStatus(
            alias=name,
            partner_id="",
            name=name,
            url="",
            fingerprint="",
            card_version=1,
            card_expires=None,
            has_link=True,
            state="connected" if offset is not None else "waiting",
            last_exchange=None,
            circles=[],
            backlog=0,
            last_error="",
            noted={},
            carried_bytes=0,
            cost_bytes=0,
            clock_offset=offset,
        )
        for name, offset in offsets.items()
    ]


FAR, NEAR = FUTURE_DEFER_SECONDS + 1, CLOCK_NEAR_SECONDS


def test_a_proxy_that_is_in_the_way_is_blamed_and_not_the_partner() -> None:
    [waits] = rows(b=None)
    found = list(look_at_partners([replace(waits, last_error="proxy-auth")], (), is_running=True))
    assert len(said(found, "proxy-unreached")) == len(found) == 1
    assert "proxy.md" in found[0].mend


@pytest.mark.parametrize(
    ("offsets", "own", "theirs"),
    [
        ({}, [], []),
        ({"b": None}, [], []),
        ({"b": NEAR - 1}, [], []),
        ({"b": FAR}, ["clock-disputed"], []),
        ({"b": -FAR}, ["clock-disputed"], []),
        ({"b": FAR, "c": FAR + 1}, ["clock-wrong"], []),
        ({"b": NEAR, "c": NEAR}, ["clock-drifts"], []),
        ({"b": FAR, "c": 0}, [], ["partner-clock"]),
        ({"b": FAR, "c": -FAR, "d": 0}, ["clock-disputed", "clock-disputed"], []),
        ({"b": FAR, "c": -FAR, "d": 0, "e": 1}, [], ["partner-clock", "partner-clock"]),
        ({"b": FAR, "c": FAR, "d": FAR, "e": 0}, ["clock-wrong"], []),
        ({"b": FAR, "c": -FAR}, ["clock-disputed", "clock-disputed"], []),
    ],
)
def test_more_than_half_of_all_clocks_must_agree(
    offsets: dict[str, int | None], own: list[str], theirs: list[str]
) -> None:
    partners = rows(**offsets)
    clocks = list(look_at_clocks(partners))
    links = [one for one in look_at_partners(partners, (), is_running=True) if one.level != "ok"]
    assert [len(said(clocks, name)) for name in dict.fromkeys(own)] == [
        own.count(one) for one in dict.fromkeys(own)
    ]
    assert len(clocks) == len(own)
    assert len(links) == len(said(links, "partner-clock")) == len(theirs)
