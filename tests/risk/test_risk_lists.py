"""Lists of assets as spreadsheets write them: what is odd is told with its line, what is good beside it is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from advisories_made import branches, csaf, leaf, written
from risk_cases import NOW

from p2pshare.errors import AuthorError
from p2pshare.risk.assets import Imported
from p2pshare.risk.inventory.asset_lists import parse_map, parse_values
from p2pshare.risk.risk_store import RiskStore
from p2pshare.risk.words import Exposure, HumanImpact


def told(answer: Imported) -> list[tuple[int, str]]:
    return [(one.row, one.why) for one in answer.told]


def names(store: RiskStore, asset: str) -> list[str]:
    return [f"{one.vendor} {one.name} {one.version}".strip() for one in store.components_of(asset)]


def test_a_german_list_in_cp1252_with_semicolons_is_read(store: RiskStore, tmp_path: Path) -> None:
    text = 'Gerät;Hersteller;Gerätetyp;Softwarestand;Standort;Exposition\r\nb1;"Dräger; AG";Evita V500;2.51;Intensiv "Süd";klein\r\n'
    path = written(tmp_path, "geräte.csv", text.encode("cp1252"))
    answer = store.import_inventory(path, values=parse_values("exposure:klein=small"), now=NOW)
    assert (answer.read, answer.assets, answer.components, answer.refused) == (1, 1, 1, ())
    assert told(answer) == [(0, "the file is no UTF-8: read as Windows-1252")]
    assert names(store, "b1") == ["Dräger; AG Evita V500 2.51"]
    assert store.asset("b1").exposure is Exposure.SMALL and store.asset("b1").site == 'Intensiv "Süd"'


def test_utf_16_with_a_bom_is_read(store: RiskStore, tmp_path: Path) -> None:
    path = written(tmp_path, "list.csv", "asset\tproduct\nä1\tPumpe\n".encode("utf-16"))
    assert store.import_inventory(path, now=NOW).assets == 1
    assert names(store, "ä1") == ["Pumpe"]


def test_cp1252_that_was_asked_for_as_utf_8_is_refused_whole(store: RiskStore, tmp_path: Path) -> None:
    path = written(tmp_path, "list.csv", "asset,product\nä,x\n".encode("cp1252"))
    with pytest.raises(AuthorError) as caught:
        store.import_inventory(path, encoding="utf-8", now=NOW)
    assert caught.value.reason == "bad-encoding" and store.assets() == []


def test_columns_are_mapped_and_what_is_not_read_is_told(store: RiskStore, tmp_path: Path) -> None:
    path = written(tmp_path, "list.csv", "Nr;Was;Stand (SW);Farbe\n7;Evita;2.5;blau\n")
    answer = store.import_inventory(
        path, column_map=parse_map("asset=Nr,product=Was,version=Stand (SW)"), now=NOW
    )
    assert names(store, "7") == ["Evita 2.5"] and told(answer) == [(1, "columns not read: Farbe")]


@pytest.mark.parametrize("text", ["asset=", "wrong=x", "asset"])
def test_a_map_that_maps_nothing_is_refused(text: str) -> None:
    with pytest.raises(AuthorError):
        parse_map(text)


@pytest.mark.parametrize("text", ["exposure:klein", "exposure:klein=tiny", "site:a=b", "exposure=small"])
def test_values_that_map_nothing_are_refused(text: str) -> None:
    with pytest.raises(AuthorError):
        parse_values(text)


def test_a_list_that_names_no_assets_says_which_columns_it_has(store: RiskStore, tmp_path: Path) -> None:
    with pytest.raises(AuthorError) as caught:
        store.import_inventory(written(tmp_path, "list.csv", "colour,size\nred,1\n"), now=NOW)
    assert caught.value.reason == "no-asset-column" and "colour" in caught.value.hint


def test_an_exposure_that_is_none_stays_unknown_and_is_told(store: RiskStore, tmp_path: Path) -> None:
    path = written(tmp_path, "list.csv", "asset,product,exposure,human impact\na,x,quite open,very-high\n")
    answer = store.import_inventory(path, now=NOW)
    assert (
        store.asset("a").exposure is Exposure.UNKNOWN
        and store.asset("a").human_impact is HumanImpact.VERY_HIGH
    )
    assert [row for row, _ in told(answer)] == [2]


def test_rows_are_named_by_the_line_on_which_they_begin(store: RiskStore, tmp_path: Path) -> None:
    text = 'asset,product\na,"one\ntwo\nthree"\n,lost\nb,"x\ny"\n,lost too\n'
    answer = store.import_inventory(written(tmp_path, "list.csv", text), now=NOW)
    assert [one.row for one in answer.refused] == [5, 8]
    assert names(store, "a") == ["one two three"]


def test_a_quote_that_is_left_open_costs_what_it_swallows_and_is_told(
    store: RiskStore, tmp_path: Path
) -> None:
    text = 'asset,product\ngood,Pump\nbad,"Monitor\n' + "".join(f"z{number},Pump\n" for number in range(60))
    answer = store.import_inventory(written(tmp_path, "list.csv", text), now=NOW)
    assert names(store, "good") == ["Pump"]
    assert any(row == 3 and "quote" in why for row, why in told(answer))
    long = 'asset,product\ngood,Pump\nbad,"' + "x" * 70_000 + '"\nlast,Pump\n'
    answer = store.import_inventory(written(tmp_path, "long.csv", long), now=NOW)
    assert [(one.row, "quote" in one.why) for one in answer.refused] == [(3, True)]
    assert names(store, "last") == ["Pump"]


def test_a_short_row_and_a_long_row_are_told(store: RiskStore, tmp_path: Path) -> None:
    answer = store.import_inventory(
        written(tmp_path, "list.csv", "asset,product,version\na,x\nb,x,1,2\n"), now=NOW
    )
    assert [row for row, _ in told(answer)] == [2, 3] and answer.assets == 2


def test_a_list_again_updates_and_tells_what_is_gone(store: RiskStore, tmp_path: Path) -> None:
    store.import_inventory(
        written(tmp_path, "list.csv", "asset,product,version,site\na,x,1,W1\nb,y,1,W1\nc,z,1,W1\n"), now=NOW
    )
    answer = store.import_inventory(
        written(tmp_path, "list.csv", "asset,product,version,site\na,x,2,W2\nb,y,1,\n"), now=NOW + 60
    )
    assert names(store, "a") == ["x 2"] and store.asset("a").site == "W2"
    assert store.asset("b").site == "W1", "a cell that says nothing takes nothing away"
    assert [why for _, why in told(answer)] == [
        "gone: a: x 1",
        "c is in the file no more; it stays until it is retired",
    ]
    assert names(store, "c") == ["z 1"]
    store.retire_asset("c", NOW + 120)
    assert [one.name for one in store.assets()] == ["a", "b"]


def test_next_months_list_replaces_what_this_months_said_of_its_assets(
    store: RiskStore, tmp_path: Path
) -> None:
    store.import_inventory(written(tmp_path, "2026-10.csv", "asset,product,version\na,x,1\nb,y,1\n"), now=NOW)
    store.import_inventory(written(tmp_path, "2026-11.csv", "asset,product,version\na,x,2\n"), now=NOW)
    assert names(store, "a") == ["x 2"] and names(store, "b") == ["y 1"]


def test_a_retired_asset_has_no_findings_and_is_back_when_it_is_imported(
    store: RiskStore, tmp_path: Path
) -> None:
    path = written(tmp_path, "list.csv", "asset,purl\na,pkg:npm/x@1.0.0\n")
    record = {
        "id": "CVE-2026-1000",
        "modified": "2026-11-01T00:00:00Z",
        "affected": [{"package": {"ecosystem": "npm", "name": "x"}, "versions": ["1.0.0"]}],
    }
    store.import_inventory(path, now=NOW)
    store.add_source("osv", written(tmp_path, "o.json", record), now=NOW)
    assert len(store.rank(now=NOW)) == 1
    store.retire_asset("a", NOW)
    assert store.rank(now=NOW, with_all=True) == []
    store.import_inventory(path, now=NOW)
    assert len(store.rank(now=NOW)) == 1


def test_human_impact_is_derived_from_safety_and_mission(store: RiskStore, tmp_path: Path) -> None:
    text = "asset,product,safety,mission\na,x,critical,crippled\nb,x,catastrophic,\nc,x,,degraded\n"
    store.import_inventory(written(tmp_path, "list.csv", text), now=NOW)
    assert [one.human_impact.word for one in store.assets()] == ["high", "very high", "unknown"]


@pytest.mark.parametrize(
    "text",
    [
        "asset,product,version\na,Dosa Pump 5,2\n",
        "asset,vendor,model,version\na,Brask,Dosa Pump 5,2\n",  # one column for name and model, as many lists have it
        "geraet;hersteller;modell;version\na;Brask;Dosa Pump 5;2\n",
    ],
)
def test_a_device_without_a_vendor_or_with_its_name_as_model_is_still_proposed(
    store: RiskStore, tmp_path: Path, text: str
) -> None:
    leaves = [leaf("P", "<3", category="product_version_range")]
    store.add_source(
        "csaf",
        written(
            tmp_path,
            "d.json",
            csaf({"known_affected": ["P"]}, {"branches": branches("Brask", Dosa_Pump_5=leaves)}),
        ),
        now=NOW,
    )
    store.import_inventory(written(tmp_path, "list.csv", text), now=NOW)
    (alias,) = store.aliases()
    assert alias.own["product"] == "Dosa Pump 5"
    assert alias.theirs["product"] == "Dosa Pump 5" and alias.status == "proposed"
    (candidate,) = store.rank(now=NOW)
    assert (candidate.match, candidate.state, candidate.due) == ("candidate-name", "affected", None)
    store.decide_aliases([alias.alias], status="rejected", by="a person", now=NOW)
    assert store.rank(now=NOW, with_all=True) == []
    store.decide_aliases([alias.alias], status="confirmed", by="a person", now=NOW)
    assert [(one.match, one.due) for one in store.rank(now=NOW)] == [("confirmed-name", "2026-12-03")]


def test_a_list_that_excel_names_its_separator_in_is_read(store: RiskStore, tmp_path: Path) -> None:
    path = written(tmp_path, "list.csv", "sep=;\r\nasset;product\r\np1;Pumpe\r\n;x\r\n")
    answer = store.import_inventory(path, now=NOW)
    assert (answer.assets, [one.row for one in answer.refused]) == (1, [4])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32"])
def test_two_and_four_bytes_a_sign_are_read(encoding: str, store: RiskStore, tmp_path: Path) -> None:
    path = written(tmp_path, "list.csv", "asset,product\nä1,Pumpe\n".encode(encoding))
    assert store.import_inventory(path, now=NOW).assets == 1
    assert names(store, "ä1") == ["Pumpe"]


def test_utf_16_that_breaks_off_loses_only_what_is_broken(store: RiskStore, tmp_path: Path) -> None:
    path = written(tmp_path, "list.csv", "asset,product\np1,Pumpe\np2,Bett\n".encode("utf-16")[:-3])
    answer = store.import_inventory(path, now=NOW)
    assert names(store, "p1") == ["Pumpe"]
    assert (3, "a sign could not be read in this encoding") in told(answer)


def test_a_quote_that_is_left_open_swallows_no_rows(store: RiskStore, tmp_path: Path) -> None:
    path = written(
        tmp_path, "list.csv", 'asset,vendor,product,version\np1,A,"B,1\np2,A,C,1\n,A,C,1\np3,A,C,2\n'
    )
    answer = store.import_inventory(path, now=NOW)
    assert told(answer) == [(2, "a quote is left open: read line by line")]
    assert (answer.read, answer.assets, [one.row for one in answer.refused]) == (4, 3, [4])


def test_a_quote_that_another_one_closes_is_told(store: RiskStore, tmp_path: Path) -> None:
    path = written(tmp_path, "list.csv", 'asset,vendor,product,version\np1,A,"B,1\np2,A,C,1\np3,A,"D",1\n')
    assert told(store.import_inventory(path, now=NOW)) == [
        (2, "a cell whose lines look like rows: is a quote left open?")
    ]


def test_signs_that_nobody_sees_are_no_part_of_a_name(store: RiskStore, tmp_path: Path) -> None:
    path = written(tmp_path, "list.csv", "asset,product\np1\u200b,Pum\x00pe\x1b[31m\n")
    store.import_inventory(path, now=NOW)
    assert names(store, "p1") == ["Pumpe[31m"]


def test_a_decimal_comma_is_told(store: RiskStore, tmp_path: Path) -> None:
    path = written(tmp_path, "list.csv", "asset;vendor;product;version\np1;A;B;2,1\n")
    assert told(store.import_inventory(path, now=NOW)) == [
        (2, "version 2,1 has a comma, and may be two: it is not compared")
    ]


def test_an_asset_that_returns_is_told(store: RiskStore, tmp_path: Path) -> None:
    path = written(tmp_path, "list.csv", "asset,product\np1,Pumpe\n")
    store.import_inventory(path, now=NOW)
    store.retire_asset("p1", now=NOW)
    answer = store.import_inventory(path, now=NOW)
    assert told(answer) == [(0, "p1 was retired, and is in use again")]
    assert [one.name for one in store.assets()] == ["p1"]
