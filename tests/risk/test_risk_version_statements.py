"""What advisories say of versions: held against a person's reading, and against laws that any reader must keep."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hospital_devices import CISA, MEDICAL, leaves_of, read_documents
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pshare.risk import ecosystem_versions
from p2pshare.risk.device_versions import compare
from p2pshare.risk.version_statements import (
    STATEMENT_CHARACTERS_MAX,
    decide,
    decide_named,
    name_versions,
    names_a_variant,
)

LABELS = Path(__file__).parents[1] / "support" / "version_statements.tsv"

# The kinds of the design's cases, in our own words and numbers: statement, version of ours, decision.
KINDS = [
    ("vers:all/*", "", "affected"),
    ("vers:all/*", "12.1", "affected"),
    ("vers:all/<V4.1.2", "V4.1.1", "affected"),
    ("vers:all/<V4.1.2", "4.1.2", "not_affected"),
    ("vers:all/>=V2.0.4<V2.0.9", "2.0.8", "affected"),
    ("vers:all/>=V2.0.4<V2.0.9", "2.0.9", "not_affected"),
    ("vers:generic/%3C%3D1.4", "1.4", "affected"),
    ("vers:generic/!=1.5", "1.5", "possible"),
    ("<= 6.8", "6.8.1", "not_affected"),
    ("<= 6.8", "6.12", "not_affected"),
    ("<=6.8.3", "6.8", "affected"),
    (">= 3.2 | <= 3.11", "3.9", "affected"),
    (">= 3.2 | <= 3.11", "3.12", "not_affected"),
    (">= 3.2 | <= 3.11", "3", "possible"),
    (">= 3.2, < 3.11", "3.10", "affected"),
    ("< 3.11 and >= 3.2", "3.1", "not_affected"),
    ("< 1.0 | >= 2.0", "1.5", "not_affected"),
    (">= 5.0 | <= 4.0", "4.5", "possible"),
    ("4.2 | 4.7 | 4.15", "4.7", "affected"),
    ("4.2 | 4.7 | 4.15", "4.8", "not_affected"),
    ("4.2, 4.7 and 4.15", "4.15", "affected"),
    ("(Release 4.2 4.7 4.15)", "4.7", "affected"),
    ("<= U40 |<= L55", "L54", "affected"),
    ("<= U40", "L40", "possible"),
    ("<= D18", "D4", "affected"),
    ("<= D18", "vD19", "not_affected"),
    ("5.1.2 and  below", "5.1.1", "affected"),
    ("5.1.2 and earlier", "5.1.3", "not_affected"),
    ("Versions prior to 3.0", "3.0", "not_affected"),
    ("versions earlier than 3.0", "2.9.9", "affected"),
    ("before 3.0", "2.1", "affected"),
    ("up to and including 4.4", "4.4", "affected"),
    ("Versions 4.4 through 4.12", "4.12", "affected"),
    ("versions 1.1 to 1.3.2", "1.3.3", "not_affected"),
    ("between 1.1 and 1.3", "1.2", "affected"),
    ("2.1 and later", "2.0", "not_affected"),
    ("2.1 or newer", "2.2", "affected"),
    ("All versions < V12.2 Update 6", "V12.2 Update 5", "affected"),
    ("< V12.2 Update 6", "V12.2", "affected"),
    ("< V12.2 Update 6", "V12.2 Update 6", "not_affected"),
    ("<V12.2_SP1_Update_6", "V12.2 SP1", "affected"),
    ("<V12.2_SP1_Update_6", "V12.2 Update 9", "possible"),
    ("4.0 SP1 HF2 and earlier", "4.0 SP1 HF3", "not_affected"),
    ("4.0 SP1 HF2 and earlier", "4.0 SP1", "affected"),
    ("9.2.x", "9.2.7", "affected"),
    ("9.2.x", "9.3", "not_affected"),
    ("9.2.x", "9", "possible"),
    ("<= 8.x", "8.7", "affected"),
    ("<= 8.x", "9.0", "not_affected"),
    ("< 8.x", "8.7", "possible"),
    ("B.01 <= D.0x", "D.07", "affected"),
    ("B.01 <= D.0x", "D.11", "not_affected"),
    ("2.2.1 Build 8", "2.2.1 Build 8", "affected"),
    ("2.2.1 Build 8", "2.2.1 Build 9", "not_affected"),
    ("2.2.1 Build 8", "2.2.1", "possible"),
    ("<= 2.2.1", "2.2.1 Build 9", "possible"),
    ("<= 3.1A", "3.1A", "affected"),
    ("<= 3.1A", "3.1B", "not_affected"),
    ("<= H", "G", "affected"),
    ("<= H", "K", "not_affected"),
    ("Rev C-F", "D.02", "affected"),
    ("Rev C-F", "G.01", "not_affected"),
    ("C.01 | D.03", "D.03", "affected"),
    ("<2022.4", "2022.3", "affected"),
    ("BX 11 | BX14", "BX14", "affected"),
    ("BX 11 | BX14", "BX15", "not_affected"),
    ("BX 11 | BX14", "14", "possible"),
    ("0 < 4.4.2", "4.4.1", "affected"),
    ("A4 < A7", "A7", "possible"),
    ("2.2", "2.20", "possible"),
    ("1.2-1.6", "1.4", "possible"),
    ("1.2-1.6", "1.7", "not_affected"),
    ("<= 2.1 (integrated into another product)", "2.2", "possible"),
    ("<= 2.1 (inclusive)", "2.2", "not_affected"),
    ("* (end of life in 2010)", "1", "possible"),
    ("<=7.1 on Windows 7", "7.2", "possible"),
    ("<June 2016", "B.02", "possible"),
    ("<4/28/2016", "2.0", "possible"),
    ("sold  < march 3, 2016", "2.0", "possible"),
    ("<=the_first_4_digits_of_serial_number_2107", "1.0", "possible"),
    ("S/N 10000 to 20000", "1.0", "possible"),
    ("PMX-2040", "3.1", "possible"),
    ("PMX-2040 | PMX-2050", "3.1", "possible"),
    ("350 | 360 | 360c", "2.0", "possible"),
    ("<= 4.0", "", "possible"),
    ("<= 4.0", "unknown", "possible"),
    (">= 9.30", "9.19 / 9.33", "possible"),
    (">= 9.30", "9.19, 9.33", "possible"),
    ("<= 4.1", "SW V 4.1 (Build 7)", "possible"),
    ("<= 4.2", "Softwarestand V4.1, Build 7", "affected"),
    ("No version", "1.0", "possible"),
    ("", "1.0", "possible"),
    ("see the vendor's page", "1.0", "possible"),
]


@pytest.mark.parametrize(("statement", "version", "expected"), KINDS)
def test_each_kind_of_statement_is_decided_as_a_person_would(
    statement: str, version: str, expected: str
) -> None:
    judged = decide(statement, version)
    assert judged.state == expected, judged
    assert judged.because


def labelled() -> list[tuple[str, list[str], list[str], list[str]]]:
    """Returns (statement, affected, not affected, open) of each row."""
    lines = LABELS.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")][1:]

    def versions_in(cell: str) -> list[str]:
        return cell.split(";") if cell else []

    return [(row[0], versions_in(row[1]), versions_in(row[2]), versions_in(row[3])) for row in rows]


def test_no_statement_of_cisa_that_a_person_has_read_is_decided_otherwise() -> None:
    wrong = [
        (statement, version, expected, decide(statement, version))
        for statement, affected, not_affected, opened in labelled()
        for expected, versions in (
            ("affected", affected),
            ("not_affected", not_affected),
            ("possible", opened),
        )
        for version in versions
        if decide(statement, version).state != expected
    ]
    assert not wrong
    assert sum(len(row[1]) + len(row[2]) + len(row[3]) for row in labelled()) > 400


def test_every_distinct_statement_of_the_advisories_was_read_by_a_person() -> None:
    if not MEDICAL.is_dir():
        pytest.skip("skipped: ../shared/data not present")
    stated = {
        leaf["name"]
        for folder in (MEDICAL, CISA)
        for document in read_documents(folder)
        for _, leaf in leaves_of(document["product_tree"])
    }
    assert stated == {row[0] for row in labelled()}


numbers = st.lists(st.integers(0, 40), min_size=1, max_size=4)
versions = numbers.map(lambda parts: ".".join(map(str, parts)))
anything = st.text(max_size=60) | st.text("<>=|.,x*vV0123456789 -_()/abSPUpdate:%", max_size=60)


@given(numbers, numbers)
def test_natural_order_is_that_of_lists_of_numbers(one: list[int], other: list[int]) -> None:
    def bare(parts: list[int]) -> list[int]:
        while parts and parts[-1] == 0:
            parts = parts[:-1]
        return parts

    expected = (bare(one) > bare(other)) - (bare(one) < bare(other))
    assert compare(".".join(map(str, one)), "V" + ".".join(map(str, other))) == expected


@settings(max_examples=60)
@given(anything, anything)
def test_order_turns_with_its_sides(one: str, other: str) -> None:
    there, back = compare(one, other), compare(other, one)
    assert (there is None) == (back is None)
    assert there is None or there == -(back or 0)


@given(versions, versions)
def test_a_bound_and_what_it_leaves_out_share_nothing_and_miss_nothing(bound: str, version: str) -> None:
    pair = (decide(f"<= {bound}", version).state, decide(f"> {bound}", version).state)
    assert "possible" in pair or set(pair) == {"affected", "not_affected"}


@given(st.lists(versions, min_size=1, max_size=6), versions)
def test_more_alternatives_never_make_a_version_safer(alternatives: list[str], version: str) -> None:
    rank = {"not_affected": 0, "possible": 1, "affected": 2}
    states = [
        rank[decide(" | ".join(alternatives[:count]), version).state]
        for count in range(1, len(alternatives) + 1)
    ]
    assert all(one <= other for one, other in pairwise(states))


@settings(max_examples=60)
@given(anything, anything, anything)
def test_whatever_is_written_is_answered_and_what_a_stranger_adds_makes_nothing_safe(
    statement: str, version: str, more: str
) -> None:
    judged = decide(statement, version)
    assert judged.state in {"affected", "possible", "not_affected"}
    assert judged.because
    if judged.state == "not_affected":
        assert any(sign.isalnum() for sign in statement)
        assert decide(f"{statement} | while it is connected to the network", version).state == "possible"


@given(versions, st.sampled_from(["", "-", "n/a", "unknown", " ? ", "NOASSERTION"]))
def test_a_device_without_a_version_is_never_safe(bound: str, version: str) -> None:
    for statement in (f"< {bound}", bound, f">= {bound}", f"{bound}.x", f"{bound} and earlier"):
        assert decide(statement, version).state == "possible"


def test_a_statement_as_long_as_a_file_costs_nothing() -> None:
    for text in ("<" * 10**6, "1." * 10**6, "a-" * 10**6, "(" * 10**6, "1 | " * 10**6, "between 1" * 10**5):
        assert decide(text, text).state != "not_affected"
        for cut in (text[:STATEMENT_CHARACTERS_MAX], text[: STATEMENT_CHARACTERS_MAX // 2] + "\x00"):
            decide(cut, cut)


def test_ranges_of_packages_are_their_ecosystems_or_a_persons_work(monkeypatch: pytest.MonkeyPatch) -> None:
    if ecosystem_versions.univers_ranges is not None:
        assert decide("vers:deb/<1.2-3", "1.2~rc1-3").state == "affected"
        assert decide("vers:deb/<1.2-3", "1.2-3").state == "not_affected"
        assert decide("vers:rpm/<1.2-3.el8", "1.2-2.el8").state == "affected"
        assert decide("vers:pypi/>=1.0|<2.0", "2.0rc1").state == "affected"
        assert decide("vers:npm/>=1.0.0|<1.5.0", "1.5.0").state == "not_affected"
        assert decide("vers:maven/<2.0", "2.0-alpha-1").state == "affected"
        assert decide("vers:maven/bogus<<", "2").state == "possible"
        assert decide("vers:npm/<1.0.0", "no version at all").state == "possible"
    monkeypatch.setattr(ecosystem_versions, "univers_ranges", None)
    assert decide("vers:deb/<1.2-3", "1.2-3").state == "possible"
    assert decide("vers:deb/*", "1.2-3").state == "affected"


def test_a_name_that_holds_a_version_speaks_of_that_one() -> None:
    assert name_versions("Reading Portal 8.0.x") == ("8.0.x",)
    assert decide_named("Reading Portal 8.0.x", "vers:all/*", "8.0.3").state == "affected"
    assert decide_named("Reading Portal 8.0.x", "vers:all/*", "9.1").state == "possible"
    assert decide_named("Reading Portal 8.0.x", "vers:all/*", "").state == "affected"
    assert decide_named("Reading Portal", "vers:all/*", "9.1").state == "affected"


def test_a_model_in_the_versions_place_is_a_variant_of_the_product() -> None:
    for statement in (
        "771300 Fenna 16 Slice",
        "PMX-1711 | PMX-1712",
        "410 | 420",
        "Fenna Pro II",
        "410 | Fenna View",
    ):
        assert names_a_variant(statement), statement
        assert decide(statement, "1.0").state == "possible"
    for statement in (
        "vers:all/*",
        "2.2.1 Build 8",
        "< 3.0",
        "Rev C-F",
        "BX 11",
        "4.X | 5.X",
        "No version",
        "<May 2018",
        "2.0 and earlier",
    ):
        assert not names_a_variant(statement), statement
