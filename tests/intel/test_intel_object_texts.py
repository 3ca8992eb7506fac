"""Titles: one line that says what an object is, also of those that are about another."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.identifiers import PartnerId
from p2pshare.intel.assessing import (
    PROPOSAL,
    Proposal,
    Target,
    false_positive_object,
    opinion_object,
    proposal_object,
    sighting_object,
)
from p2pshare.intel.marking import Tlp
from p2pshare.intel.object_texts import title_of
from p2pshare.intel.observable import detect
from p2pshare.intel.withdrawing import WITHDRAWAL

ME = PartnerId(bytes(32))
ID = "indicator--00000000-0000-4000-8000-000000000001"
VALUE = Target(ID, ME, detect("198.51.100.7"))
WHOLE = Target(ID, ME)
SAID: dict[str, Any] = {"reporter": ME, "now": 1_790_000_000, "tlp": Tlp.AMBER}


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        (sighting_object(VALUE, count=3, **SAID), "seen 3 times: 198.51.100.7"),
        (sighting_object(VALUE, count=0, **SAID), "looked for and not seen: 198.51.100.7"),
        (sighting_object(WHOLE, count=1, **SAID), f"seen: {ID}"),
        (false_positive_object(VALUE, **SAID), "harmless: 198.51.100.7"),
        (opinion_object(WHOLE, opinion="agree", text="", **SAID), f"agree: {ID}"),
        (
            proposal_object(VALUE, Proposal(confidence=5, note="x"), **SAID),
            "proposes confidence, note: 198.51.100.7",
        ),
        (
            json.dumps({"type": WITHDRAWAL, "reason": "mistake", "object_ref": ID}),
            f"taken back, mistake: {ID}",
        ),
    ],
)
def test_what_is_about_another_object_says_what_and_of_which(raw: bytes | str, title: str) -> None:
    """All of them were a dash in `search`."""
    assert title_of(json.loads(raw)) == title


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
KEYS = (
    "count",
    "opinion",
    "reason",
    "proposed",
    "object_ref",
    "object_refs",
    "sighting_of_ref",
    "extensions",
    "name",
)


@given(
    st.sampled_from(["sighting", "opinion", PROPOSAL, WITHDRAWAL, "x"]),
    st.dictionaries(st.sampled_from(KEYS), JSON),
)
def test_members_of_any_kind_have_a_title(type_: str, members: dict[str, Any]) -> None:
    assert isinstance(title_of({"type": type_} | members), str)
