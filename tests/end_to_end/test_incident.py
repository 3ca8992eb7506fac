"""An incident of three real daemons: the network is cut and heals, everybody claims one task, what an absent member wrote is late, and the lead
is lost for good.

One company for all tests of this file, each going on where the one before ended.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from quick_spaces import QUICK_SPACES
from tcp_proxy import Roads

from p2pshare.cli.session import connect
from p2pshare.exporters.incidents.incident_markdown import TO_WRITE
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


@pytest.fixture(scope="module")
def roads(shared_company: Company) -> Iterator[Roads]:
    def pids() -> dict[int, str]:
        return {one.process.pid: one.name for one in shared_company.partners if one.process is not None}

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


class Case(NamedTuple):
    alpha: Partner
    bravo: Partner
    charlie: Partner
    id: str

    @property
    def three(self) -> tuple[Partner, Partner, Partner]:
        return self[:3]


@pytest.fixture(scope="module")
def case_of_three(shared_company: Company, roads: Roads, eventually: Callable[..., Any]) -> Case:
    """A case that alpha leads; all have joined."""
    three = []
    for name in ("alpha", "bravo", "charlie"):
        three.append(shared_company.found(name, url_port=roads.build(name)))
        roads.leads(name, three[-1].port)
        three[-1].stay_in_sight()
    for one in three:
        for other in three:
            if one is not other:
                one.trust(other)
    for one in three:
        one.preface = QUICK_SPACES
        one.start()
    alpha, bravo, charlie = three
    invited = ("--invite", "bravo", "--invite", "charlie", "--yes")
    opened = incident(
        alpha, "open", "--title", "Ransomware", "--type", "ransomware", "--tlp", "green", *invited
    )
    case = str(opened["incident"])
    for one in (bravo, charlie):
        eventually(
            lambda one=one: one.cli("incident", "join", case, codes=(0, 3, 5)).code == 0,
            "it is invited, and joins",
            LONG,
        )
    return Case(alpha, bravo, charlie, case)


def test_what_was_told_while_the_network_was_cut_is_the_same_at_all_when_it_has_healed(
    case_of_three: Case, roads: Roads, eventually: Callable[..., Any]
) -> None:
    alpha, bravo, charlie, case = case_of_three
    three = case_of_three.three
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


def test_a_value_that_is_seen_again_after_the_close_is_told_and_one_that_is_taken_back_leaves(
    case_of_three: Case, eventually: Callable[..., Any]
) -> None:
    alpha, bravo, charlie, case = case_of_three
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
    incident(alpha, "reopen", case, "--text", "it is back")
    for one in (bravo, charlie):
        eventually(lambda one=one: incident(one, "show", case)["status"] == "open", "it is open again", LONG)


def test_the_views_are_fresh_at_all(case_of_three: Case, eventually: Callable[..., Any]) -> None:
    for one in case_of_three.three:
        fresh = "SELECT status, determination, tlp, late FROM v1_incidents WHERE is_current"
        eventually(
            lambda one=one, fresh=fresh: one.query(fresh) == [("open", "suspected", "TLP:GREEN", 0)],
            "it is read",
            LONG,
        )
        ((conflict, claims),) = one.query("SELECT conflict, json_array_length(claim) FROM v1_tasks")
        assert (conflict, claims) == (1, 2)


def test_one_stored_byte_that_changed_is_named_and_not_folded_over(
    case_of_three: Case, roads: Roads, eventually: Callable[..., Any]
) -> None:
    alpha, bravo, charlie, case = case_of_three
    text = "what the disk of bravo spoils"
    spoilt = str(incident(alpha, "note", case, text)["entry"])
    incident(charlie, "note", case, "what it does not")
    for one in case_of_three.three:
        eventually(
            lambda one=one: {text, "what it does not"} <= set(texts(one, case)), "both notes came", LONG
        )
    for other in ("alpha", "charlie"):
        roads.cut("bravo", other)
    assert bravo.stop() == 0
    change_a_byte(bravo.home / "store.sqlite", spoilt)
    bravo.start()

    [alarm] = eventually(
        lambda: [one for one in bravo.status()["alarms"] if one["word"] == "space-damaged"],
        "it is told",
        LONG,
    )
    assert spoilt in alarm["message"] and alarm["space"] == case
    state = json.loads(canonical(bravo, case))["state"]
    assert [one["text"] for one in state["notes"] if one["id"] == spoilt] == [None], "nothing is read from it"
    assert "what it does not" in texts(bravo, case)
    incident(bravo, "note", case, "and bravo goes on")
    assert "and bravo goes on" in texts(bravo, case)
    for other in ("alpha", "charlie"):
        roads.mend("bravo", other)
    eventually(lambda: text in texts(bravo, case), "a good copy came", 2 * LONG)
    eventually(lambda: len({canonical(one, case) for one in case_of_three.three}) == 1, "the same", LONG)
    assert "space-damaged" not in [one["word"] for one in bravo.status()["alarms"]]


def texts(partner: Partner, case: str) -> list[str]:
    return [str(one["text"]) for one in json.loads(canonical(partner, case))["state"]["notes"]]


def change_a_byte(store: Path, entry: str) -> None:
    """Change a bit of one byte of an entry's body in the file of a store that nobody has open."""
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((body,),) = connection.execute(
            "SELECT body FROM space_entry WHERE hex(entry_id) = ?", (entry.upper(),)
        )
    raw = bytearray(store.read_bytes())
    assert raw.count(body) == 1, "it stands in one place"
    raw[raw.index(body) + len(body) - 1] ^= 1
    store.write_bytes(raw)


def test_a_lead_that_is_lost_for_good_is_taken_over_by_two_of_three_and_never_by_one(
    case_of_three: Case, roads: Roads, eventually: Callable[..., Any]
) -> None:
    alpha, bravo, charlie, case = case_of_three
    for other in ("bravo", "charlie"):
        roads.cut("alpha", other)
    closing = str(incident(alpha, "close", case, "--override", "nobody hears this")["entry"])
    alpha.kill()
    assert incident(bravo, "takeover", case, "--yes")["needed"] == 1
    eventually(
        lambda: any(one["kind"] == "takeover" for one in incident(charlie, "show", case)["timeline"]),
        "charlie sees the proposal",
        LONG,
    )
    for one in (bravo, charlie):
        assert incident(one, "show", case)["lead"] == alpha.partner_id, "one of three is not enough"
        assert one.cli("incident", "determine", case, "confirmed", code=5).code == 5
    assert incident(charlie, "ack", case, "--yes")["needed"] == 0
    for one in (bravo, charlie):
        eventually(
            lambda one=one: incident(one, "show", case)["lead"] == bravo.partner_id, "bravo leads", LONG
        )
    incident(bravo, "determine", case, "confirmed")

    for other in ("bravo", "charlie"):
        roads.mend("alpha", other)
    alpha.start()
    for one in case_of_three.three:
        eventually(
            lambda one=one: one.query(f"SELECT 1 FROM space_entry WHERE hex(entry_id) = '{closing.upper()}'"),
            "the old lead's close came, late",
            2 * LONG,
        )
    eventually(lambda: len({canonical(one, case) for one in case_of_three.three}) == 1, "the same", 2 * LONG)
    shown = incident(alpha, "show", case)
    assert (shown["status"], shown["lead"], shown["determination"]) == ("open", bravo.partner_id, "confirmed")
    assert closing not in [one["entry"] for one in shown["timeline"]]
    for one in case_of_three.three:
        said = one.cli("incident", "show", case)
        assert f"{closing[:10]}" in said.out and "without effect" in said.out, "shown on every node"


def test_a_report_says_right_times_and_a_case_is_read_back(case_of_three: Case, tmp_path: Path) -> None:
    bravo, case = case_of_three.bravo, case_of_three.id
    zone = ("--zone", "America/Chicago", "--under", "nis2")
    incident(bravo, "aware", case, "--at", "2027-03-13T12:00:00", *zone)  # clocks go forward the night after
    incident(bravo, "event", "add", case, "--start", "2027-03-13T10:00:00Z", "--text", "encrypted")
    incident(bravo, "impact", "add", case, "availability", "availability_impact=70")
    incident(bravo, "ioc", "add", case, "evil.example")
    report = bravo.cli("incident", "sitrep", case, "--nis2", "72h").out
    assert "2027-03-13T18:00:00Z (zone America/Chicago)" in report
    assert "2027-03-16T18:00:00Z (zone America/Chicago)" in report, "72 hours, not three days of the clock"
    for filled in ("confirmed", "availability", "evil"):
        assert filled in report
    assert report.count(TO_WRITE) == 2, (
        "what only a person knows: what happened, and whether it was an attack"
    )
    bundle = tmp_path / "case.json"
    bravo.cli("incident", "export", case, "-o", str(bundle))
    copy = str(
        incident(bravo, "open", "--title", "Copy", "--type", "x", "--tlp", "green", "--yes")["incident"]
    )
    taken = incident(bravo, "import", copy, str(bundle))
    assert taken["refused"] == []
    again = tmp_path / "again.json"
    bravo.cli("incident", "export", copy, "-o", str(again))
    assert said_in(again) == said_in(bundle) and len(said_in(bundle)) > NOTES
    veris = json.loads(bravo.cli("incident", "export", case, "--format", "veris").out)
    assert veris.keys() >= REQUIRED_OF_VERIS and "year" in veris["timeline"]["incident"]


REQUIRED_OF_VERIS = frozenset(
    [
        "action",
        "actor",
        "asset",
        "discovery_method",
        "incident_id",
        "schema_version",
        "security_incident",
        "summary",
        "timeline",
    ]
)


def said_in(bundle: Path) -> list[str]:
    """What the objects of an export say, without ids, authors and times of writing."""
    extension = "extension-definition--ef765651-680c-498d-9894-99799f2fa126"
    said = []
    for one in json.loads(bundle.read_bytes())["objects"]:
        if one["type"] == "incident":
            core = one["extensions"][extension]
            said.append(f"incident {core['determination']} {core.get('incident_types')}")
        elif one["type"] in ("note", "event", "impact", "task"):
            words = (
                one.get(key)
                for key in (
                    "content",
                    "description",
                    "name",
                    "status",
                    "outcome",
                    "start_time",
                    "impact_category",
                )
            )
            said.append(f"{one['type']} {list(words)}")
        elif one["type"] in ("domain-name", "ipv4-addr"):
            said.append(f"{one['type']} {one['value']}")
    return sorted(said)
