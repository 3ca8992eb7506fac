"""The decision tables: every row as CERT/CC wrote it comes out of the store, and what is not known is a range."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from advisories_made import written
from risk_cases import NOW

from p2pshare.errors import OperatorError
from p2pshare.risk.decision_tables import (
    CISA_BOD_26_04,
    HUMAN_IMPACT,
    SSVC_DEPLOYER,
    expanded_rows,
    human_impact_of,
    read_decision_table,
)
from p2pshare.risk.risk_store import RiskRules, RiskStore, open_risk
from p2pshare.risk.words import HumanImpact, Mission, Safety

EXPOSURES = {"S": "small", "C": "controlled", "O": "open"}
IMPACTS = {"L": "low", "M": "medium", "H": "high", "VH": "very high"}
EXPLOITATION = {"N": 0, "P": 1, "A": 2}
AUTOMATABLE = {"N": 0, "Y": 1}
TECHNICAL = {"P": 0, "T": 1}


def content(name: str) -> dict[str, Any]:
    return json.loads((resources.files("p2pshare") / "risk" / "tables" / f"{name}.json").read_text())


def outcome_names(name: str) -> dict[str, str]:
    table = content(name)
    return {
        value["key"]: value["name"].lower() for value in table["decision_points"][table["outcome"]]["values"]
    }


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RiskStore]:
    """Assets of every exposure and human impact, on each a component with vulnerabilities of all points, known and unknown."""
    folder = tmp_path_factory.mktemp("tables")
    store = open_risk(folder / "risk.sqlite")
    rows = ["asset,purl,exposure,human_impact"]
    for exposure, impact in itertools.product([*EXPOSURES.values(), ""], [*IMPACTS.values(), ""]):
        rows.append(f"{exposure or '?'}/{impact or '?'},pkg:npm/here@1.0.0,{exposure},{impact}")
    store.import_inventory(written(folder, "list.csv", "\n".join(rows)), now=NOW)
    kev = []
    for number, (exploitation, automatable, impact, listed) in enumerate(points()):
        cve = f"CVE-2026-{10_000 + number}"
        record = {"id": f"G-{number}", "modified": "2026-11-01T00:00:00Z", "aliases": [cve]}
        record["affected"] = [{"package": {"ecosystem": "npm", "name": "here"}, "versions": ["1.0.0"]}]
        written(folder, f"{number}.osv.json", record)
        store.add_source("osv", folder / f"{number}.osv.json", now=NOW)
        if listed:
            kev.append({"cveID": cve, "dateAdded": "2026-11-02", "vulnerabilityName": "x"})
        with store.transaction() as writer:
            writer.execute(
                "UPDATE vulnerability SET ssvc_exploitation = ?, automatable = ?, technical_impact = ? WHERE name = ?",
                (EXPLOITATION.get(exploitation), AUTOMATABLE.get(automatable), TECHNICAL.get(impact), cve),
            )
    catalogue = {
        "catalogVersion": "2026.11.28",
        "dateReleased": "2026-11-28T00:00:00Z",
        "vulnerabilities": kev,
    }
    store.add_source("kev", written(folder, "kev.json", catalogue), now=NOW)
    yield store
    store.close()


def points() -> list[tuple[str, str, str, bool]]:
    """Every combination of (exploitation, automatable, technical impact, in KEV); '?' is not known."""
    return list(itertools.product("NPA?", "NY?", "PT?", (False, True)))


@cache
def outcomes(store: RiskStore, table: str) -> dict[tuple[str, int], Any]:
    """Returns (asset, number of the vulnerability) -> finding."""
    return {
        (one.asset, int(one.vulnerability.rpartition("-")[2]) - 10_000): one
        for one in store.rank(table=table, now=NOW, with_all=True)
    }


def test_every_row_of_the_deployers_table_comes_out_of_the_store(filled: RiskStore) -> None:
    names, found, numbers = outcome_names(SSVC_DEPLOYER), outcomes(filled, SSVC_DEPLOYER), points()
    rows = content(SSVC_DEPLOYER)["mapping"]
    assert len(rows) == 72
    for row in rows:
        asset = f"{EXPOSURES[row['ssvc:EXP:1.0.1']]}/{IMPACTS[row['ssvc:HI:2.0.2']]}"
        number = numbers.index((row["ssvc:E:1.1.0"], row["ssvc:A:2.0.0"], "P", False))
        one = found[asset, number]
        assert one.outcome == names[row[content(SSVC_DEPLOYER)["outcome"]]] and not one.unknown


def test_every_row_of_cisas_table_comes_out_of_the_store(filled: RiskStore) -> None:
    names, found, numbers = outcome_names(CISA_BOD_26_04), outcomes(filled, CISA_BOD_26_04), points()
    rows = content(CISA_BOD_26_04)["mapping"]
    days = {"FSU": None, "60D": 60, "14D": 14, "3D": 3, "3DF": 3}
    assert len(rows) == 16
    for row in rows:
        exposures = ("open",) if row["cisa:PE:1.0.0"] == "Y" else ("small", "controlled")
        number = numbers.index(("N", row["ssvc:A:2.0.0"], row["ssvc:TI:1.0.0"], row["cisa:KEV:1.0.0"] == "Y"))
        for exposure in exposures:
            one = found[f"{exposure}/low", number]
            assert (
                one.outcome == names[row["cisa:BOD2604:1.0.0"]]
                and one.outcome_range[0] == one.outcome_range[1]
            )
            assert (one.due is None) == (days[row["cisa:BOD2604:1.0.0"]] is None)


@pytest.mark.parametrize("name", [SSVC_DEPLOYER, CISA_BOD_26_04])
def test_what_is_not_known_is_the_range_over_all_its_values(filled: RiskStore, name: str) -> None:
    """Against a plain walk over the rows of the file."""
    table, names, found, numbers = content(name), outcome_names(name), outcomes(filled, name), points()
    order = list(names)
    checked = 0
    for (asset, number), one in found.items():
        exposure, _, impact = asset.partition("/")
        exploitation, automatable, technical, listed = numbers[number]
        known = {
            "ssvc:E:1.1.0": "A" if listed else exploitation,
            "ssvc:EXP:1.0.1": next((key for key, word in EXPOSURES.items() if word == exposure), "?"),
            "ssvc:HI:2.0.2": next((key for key, word in IMPACTS.items() if word == impact), "?"),
            "ssvc:A:2.0.0": automatable,
            "ssvc:TI:1.0.0": technical,
            "cisa:KEV:1.0.0": "Y" if listed else "N",
            "cisa:PE:1.0.0": "?" if exposure == "?" else "Y" if exposure == "open" else "N",
        }
        fitting = [
            order.index(row[table["outcome"]])
            for row in table["mapping"]
            if all(known[point] in ("?", value) for point, value in row.items() if point != table["outcome"])
        ]
        assert one.outcome_range == (names[order[max(fitting)]], names[order[min(fitting)]])
        assert bool(one.unknown) == (max(fitting) != min(fitting))
        checked += 1
    assert checked == len(points()) * 20


def test_the_tables_have_as_many_rows_as_the_design_says() -> None:
    ids = [row[0] for name in (SSVC_DEPLOYER, CISA_BOD_26_04) for row in expanded_rows(name)]
    assert len(ids) == len(set(ids)) == 240 + 60 + 81  # 60: what KEV does not list is taken as "none or PoC"


def test_human_impact_follows_safety_and_mission_by_its_sixteen_rows() -> None:
    rows = content(HUMAN_IMPACT)["mapping"]
    assert len(rows) == 16
    for row in rows:
        safety = Safety("NMRC".index(row["ssvc:SI:2.0.1"]))
        mission = Mission(
            [
                value["key"] for value in content(HUMAN_IMPACT)["decision_points"]["ssvc:MI:2.0.0"]["values"]
            ].index(row["ssvc:MI:2.0.0"])
        )
        assert human_impact_of(safety, mission) == HumanImpact(list(IMPACTS).index(row["ssvc:HI:2.0.2"]))
    assert human_impact_of(None, Mission.DEGRADED) is HumanImpact.UNKNOWN
    assert human_impact_of(Safety.CATASTROPHIC, None) is HumanImpact.VERY_HIGH


def test_a_table_that_is_not_monotone_is_refused() -> None:
    """The worst of all inputs gets the mildest outcome."""
    table = copy.deepcopy(content(SSVC_DEPLOYER))
    worst = {"ssvc:E:1.1.0": "A", "ssvc:EXP:1.0.1": "O", "ssvc:A:2.0.0": "Y", "ssvc:HI:2.0.2": "VH"}
    (row,) = (one for one in table["mapping"] if worst.items() <= one.items())
    row[table["outcome"]] = "D"
    with pytest.raises(OperatorError, match="not monotone"):
        read_decision_table(table, SSVC_DEPLOYER)


@pytest.mark.parametrize("fault", ["missing", "twice", "points"])
def test_a_table_that_is_not_whole_is_refused(fault: str) -> None:
    table = copy.deepcopy(content(CISA_BOD_26_04))
    if fault == "missing":
        table["mapping"].pop()
    elif fault == "twice":
        table["mapping"].append(table["mapping"][0])
    else:
        table["decision_points"]["ssvc:E:1.1.0"] = {}
    with pytest.raises(OperatorError):
        read_decision_table(table, CISA_BOD_26_04)


def test_days_of_the_deployers_table_are_ours_and_marked(tmp_path: Path, filled: RiskStore) -> None:
    assert {one.due_by for one in outcomes(filled, SSVC_DEPLOYER).values()} == {"own rule", ""}
    store = open_risk(tmp_path / "risk.sqlite", rules=RiskRules(due_days={"immediate": 1, "scheduled": None}))
    days = dict(store.fetch("SELECT name, days FROM outcome WHERE deciding = ?", (SSVC_DEPLOYER,)))
    assert days == {"immediate": 1, "out-of-cycle": 14, "scheduled": None, "defer": None}
    store.close()


def test_absence_from_kev_means_nothing_until_the_configuration_says_so(
    tmp_path: Path, store: RiskStore
) -> None:
    for path, absence in ((tmp_path / "one.sqlite", "unknown"), (tmp_path / "two.sqlite", "not-active")):
        opened = open_risk(path, rules=RiskRules(kev_absence_means=absence))
        opened.import_inventory(
            written(tmp_path, "l.csv", "asset,purl,exposure\na,pkg:npm/x@1.0.0,open"), now=NOW
        )
        record = {
            "id": "CVE-2026-1",
            "modified": "2026-01-01T00:00:00Z",
            "affected": [{"package": {"ecosystem": "npm", "name": "x"}, "versions": ["1.0.0"]}],
        }
        opened.add_source("osv", written(tmp_path, "o.json", record | {"id": "CVE-2026-1000"}), now=NOW)
        (before,) = opened.rank(now=NOW)
        assert before.why[0].status == "not-checked" and before.why[1].value == "unknown"
        opened.add_source(
            "kev",
            written(
                tmp_path,
                "k.json",
                {"catalogVersion": "2026.11.28", "dateReleased": "2026-11-28", "vulnerabilities": []},
            ),
            now=NOW,
        )
        (after,) = opened.rank(now=NOW)
        assert after.why[1].value == "not listed"
        assert after.why[0].value == ("unknown" if absence == "unknown" else "none or poc (assumed)")
        opened.close()
