"""An incident of three real daemons: the network is cut and heals, everybody claims one task, and what an absent member wrote is late."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from tcp_proxy import Roads

from p2pshare.cli.session import connect
from p2pshare.operations.incidents import SayInIncident

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="skipped: no /proc here"),
]

LONG = 60.0  # seconds, on a busy machine
NOTES = int(
    os.environ.get("P2PSHARE_INCIDENT_NOTES", "15")
)  # of each side, while the network is cut: 200 is a minute
# The pauses of docs/spaces.md, a fiftieth as long: a daemon reads them from the module each time.
QUICK = """
import p2pshare.spaces.travel as travel
for name in dir(travel):
    if name.endswith("_SECONDS") and name not in ("RESEND_SECONDS", "INVITE_SECONDS"):
        setattr(travel, name, getattr(travel, name) / 50)
"""


@pytest.fixture
def roads(company: Company) -> Iterator[Roads]:
    def pids() -> dict[int, str]:
        return {one.process.pid: one.name for one in company.partners if one.process is not None}

    made = Roads(pids)
    yield made
    made.close()


def incident(partner: Partner, *words: str) -> Any:
    return partner.cli_json("incident", *words, "--json")


def entries(partner: Partner) -> int:
    return int(partner.query("SELECT count(*) FROM space_entry")[0][0])


def canonical(partner: Partner, case: str) -> str:
    return str(partner.cli("incident", "show", case, "--canonical").out)


def tell_much(partner: Partner, case: str) -> None:
    with connect(partner.home) as session:
        for number in range(NOTES):
            session.run(SayInIncident(case, "note", f"{partner.name} {number}".encode()))


INDICATORS = "SELECT value FROM v1_indicators WHERE active AND value IN ('evil.test.org', 'worse.test.org') ORDER BY value"


def tell_values(alpha: Partner, others: list[Partner], case: str, eventually: Callable[..., Any]) -> None:
    """Values of a member are indicators at its partners: one that is typed, and one in a file that `publish` reads."""
    file = alpha.home.parent / "values.csv"
    file.write_text("indicator\nworse.test.org\n")
    told = incident(alpha, "ioc", "add", case, "evil.test.org", str(file))
    assert [one["value"] for one in told["told"]] == ["evil.test.org", "worse.test.org"]
    for one in others:
        eventually(lambda one=one: len(one.query(INDICATORS)) == 2, "they are in its SIEM's view", LONG)
        assert one.query("SELECT DISTINCT labels FROM v1_claims WHERE value = 'evil.test.org'") == [
            (f'["incident:{case}"]',)
        ]


def see_again(three: list[Partner], case: str, eventually: Callable[..., Any]) -> None:
    """After the close a sighting at one member tells the others, and the lead takes one value back."""
    alpha, bravo, charlie = three
    incident(alpha, "close", case, "--override", "again")
    for one in (bravo, charlie):
        eventually(lambda one=one: incident(one, "show", case)["status"] == "closed", "the close came", LONG)
    bravo.cli("sight", "evil.test.org")
    for one in (alpha, charlie):
        eventually(
            lambda one=one: (
                [seen["value"] for seen in incident(one, "show", case)["recurrences"]] == ["evil.test.org"]
            ),
            "it is told that it was seen again",
            LONG,
        )
        assert "incident-recurrence" in [alarm["word"] for alarm in one.status()["alarms"]]
    [entry] = [
        one["entry"]
        for one in incident(alpha, "show", case)["observables"]
        if one["value"] == "worse.test.org"
    ]
    incident(alpha, "ioc", "remove", case, entry)
    for one in (bravo, charlie):
        eventually(lambda one=one: len(one.query(INDICATORS)) == 1, "it is withdrawn", LONG)
    file = alpha.home.parent / "proxy.log"
    file.write_bytes(b"GET /\n" * 50_000)
    digest = incident(bravo, "attach", case, str(file))["sha256"]
    copy = alpha.home.parent / "copy.log"
    eventually(
        lambda: alpha.cli("incident", "fetch", case, digest, "-o", str(copy), codes=(0, 3)).code == 0,
        "the attachment came",
        LONG,
    )
    assert copy.read_bytes() == file.read_bytes()


def test_what_was_told_while_the_network_was_cut_is_the_same_at_all_when_it_has_healed(
    company: Company, roads: Roads, eventually: Callable[..., Any]
) -> None:
    names = ("alpha", "bravo", "charlie")
    three = []
    for name in names:
        three.append(company.found(name, url_port=roads.build(name)))
        roads.leads(name, three[-1].port)
        three[-1].stay_in_sight()
    for one in three:
        for other in three:
            if one is not other:
                one.trust(other)
    for one in three:
        one.preface = QUICK
        one.start()
    alpha, bravo, charlie = three
    case = str(
        incident(
            alpha,
            "open",
            "--title",
            "Ransomware",
            "--type",
            "ransomware",
            "--tlp",
            "green",
            "--invite",
            "bravo",
            "--invite",
            "charlie",
            "--yes",
        )["incident"]
    )
    for one in (bravo, charlie):
        eventually(
            lambda one=one: one.cli("incident", "join", case, codes=(0, 3, 5)).code == 0,
            "it is invited, and joins",
            LONG,
        )
    task = str(incident(alpha, "task", "add", case, "block it")["entry"])
    for one in (bravo, charlie):
        eventually(lambda one=one: incident(one, "show", case)["tasks"] != [], "the task came", LONG)
    eventually(lambda: len({canonical(one, case) for one in three}) == 1, "all have the same", LONG)

    tell_values(alpha, [bravo, charlie], case, eventually)
    eventually(lambda: len({canonical(one, case) for one in three}) == 1, "all have the same", LONG)
    for other in ("alpha", "charlie"):
        roads.cut("bravo", other)
    for one in (alpha, bravo):
        incident(one, "task", "claim", case, task[:12])
        tell_much(one, case)
    incident(bravo, "own-status", case, "engaged")
    incident(alpha, "close", case, "--override", "nobody heard of bravo")
    wanted = entries(alpha) + NOTES + 2  # and what bravo wrote alone
    charlie.kill()  # and comes back to a network that is whole
    for other in ("alpha", "charlie"):
        roads.mend("bravo", other)
    charlie.start()

    for one in three:
        eventually(lambda one=one: entries(one) >= wanted, "everything came through", 2 * LONG)

    def is_equal() -> bool:
        return len({canonical(one, case) for one in three}) == 1

    eventually(is_equal, "byte for byte the same at all three", 2 * LONG)
    for one in (bravo, charlie):
        shown = incident(one, "show", case)
        assert shown["status"] == "closed" and len(shown["late"]) == NOTES + 2, "what bravo wrote alone"
        assert shown["tasks"][0]["conflict"] and len(shown["tasks"][0]["claims"]) == 2
    incident(bravo, "reopen", case, "--text", "we are not done")
    for one in three:
        eventually(lambda one=one: entries(one) > wanted, "the reopening came", LONG)
        assert incident(one, "show", case)["status"] == "open", "an affected organisation reopens"
    see_again(three, case, eventually)
