"""Withdrawals: the documented example is what is written, what is written is read back, and nonsense withdraws nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.bundle import read_stix
from p2pshare.intel.extraction import extract
from p2pshare.intel.instants import SECOND_US
from p2pshare.intel.marking import Tlp
from p2pshare.intel.withdrawing import (
    REASONS,
    WITHDRAWAL,
    Reason,
    WithdrawalFacts,
    read_withdrawal,
    withdrawal_id,
    withdrawal_object,
)
from p2pshare.limits import CHAIN_NUMBER_MAX

AUTHOR = PartnerId(bytes(range(32)))
NOW = 1_800_000_000
TARGET = "indicator--d81f86b9-975b-5c0b-875e-810c5ad45a4f"
OTHER = "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
FACTS = WithdrawalFacts(
    TARGET, 1_799_990_000, 12, 1_799_999_000 * SECOND_US, Reason.FALSE_POSITIVE, replaced_by=OTHER
)


def made(facts: WithdrawalFacts = FACTS, **changed: Any) -> dict[str, Any]:
    stix: dict[str, Any] = json.loads(withdrawal_object(facts, author=AUTHOR, now=NOW, tlp=Tlp.GREEN))
    return {name: value for name, value in (stix | changed).items() if value is not ...}


def test_the_documented_example_is_what_is_written_and_what_is_read(repository: Path) -> None:
    section = (repository / "docs/intelligence.md").read_text().partition("\n## Withdrawal\n")[2]
    example = re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert example is not None
    assert json.loads(example[1]) == made()
    assert read_withdrawal(json.loads(example[1])) == FACTS
    for reason in REASONS:
        assert f"`{reason}`" in section.partition("\n## ")[0]


def test_it_is_a_stix_object_that_who_does_not_know_it_carries_on() -> None:
    raw = json.dumps(made()).encode()
    reading = read_stix(raw)
    assert (reading.read, len(reading.objects), reading.refusals.counts) == (1, 1, {})


@given(
    incarnation=st.integers(0, CHAIN_NUMBER_MAX),
    sequence=st.integers(0, CHAIN_NUMBER_MAX),
    up_to_us=st.none() | st.integers(0, 4_000_000_000 * SECOND_US),
    reason=st.sampled_from(REASONS),
    replaced_by=st.none() | st.just(OTHER),
)
def test_what_is_written_is_read_back(
    incarnation: int, sequence: int, up_to_us: int | None, reason: str, replaced_by: str | None
) -> None:
    facts = WithdrawalFacts(TARGET, incarnation, sequence, up_to_us, Reason(reason), replaced_by)
    frame = b"[" + withdrawal_object(facts, author=AUTHOR, now=NOW, tlp=Tlp.AMBER) + b"]"
    [fact] = extract(frame, floor=Tlp.CLEAR).objects
    assert (fact.withdrawal, fact.tlp, fact.type, fact.claims) == (facts, Tlp.AMBER, WITHDRAWAL, ())


@pytest.mark.parametrize(
    "changed",
    [
        {"object_ref": ...},
        {"object_ref": "indicator--x"},
        {"object_ref": [TARGET]},
        {"up_to_incarnation": ...},
        {"up_to_incarnation": -1},
        {"up_to_sequence": True},
        {"up_to_sequence": CHAIN_NUMBER_MAX + 1},
        {"up_to_sequence": "12"},
        {"up_to": "yesterday"},
        {"up_to": 7},
        {"reason": ...},
        {"reason": 3},
        {"replaced_by_ref": "evil"},
        {"replaced_by_ref": 3},
    ],
    ids=str,
)
def test_a_withdrawal_that_cannot_be_read_withdraws_nothing_and_is_noted(changed: dict[str, Any]) -> None:
    extraction = extract(json.dumps([made(**changed)]).encode(), floor=Tlp.CLEAR)
    [fact] = extraction.objects
    assert fact.withdrawal is None
    assert extraction.notes.counts == {"bad-withdrawal": 1}
    assert extraction.refusals.counts == {}


def test_a_reason_of_a_later_version_withdraws_all_the_same() -> None:
    read = read_withdrawal(made(reason="\x1b[2Jnew-word"))
    assert read is not None
    assert read.reason is Reason.UNKNOWN


def test_withdrawing_again_is_the_next_version_and_each_marking_has_its_own() -> None:
    ids = {withdrawal_id(AUTHOR, TARGET, tlp) for tlp in Tlp} | {withdrawal_id(AUTHOR, OTHER, Tlp.GREEN)}
    assert len(ids) == len(Tlp) + 1
    assert made()["id"] == withdrawal_id(AUTHOR, TARGET, Tlp.GREEN)


def test_a_reason_that_nobody_may_write_is_refused_with_those_that_may_be() -> None:
    for text in ("unknown", "", "False-Positive"):
        with pytest.raises(AuthorError, match="no reason") as caught:
            Reason.parse(text)
        assert "false-positive, superseded" in caught.value.hint
    assert [Reason.parse(text) for text in REASONS] == [one for one in Reason if one is not Reason.UNKNOWN]
