"""What entries of labs say: one form each, hostile bytes refused, and folds whose size and work follow the entries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab_histories import SET, LabTeller, digest_of
from lab_stories import FIGURE, RULE, RUN, SAMPLE

from p2pshare.errors import PeerError
from p2pshare.identifiers import EntryId
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import SpaceFold, parents_first
from p2pshare.spaces.lab_entries import (
    BUCKETS,
    READERS,
    LabClosing,
    LabQuestion,
    LabRemedy,
    LabReview,
    RuleAdoption,
    RuleDeprecation,
    RulePromotion,
    bucket,
    encode_lab,
    greatest_in_bucket,
)

SOME = EntryId(bytes(range(32)))
BODIES: dict[str, Any] = {
    "question": LabQuestion("what?", 100),
    "rule": RULE,
    "revise": RULE._replace(follows=SOME),
    "propose": RULE._replace(follows=SOME),
    "adopt": RuleAdoption(SOME, ""),
    "sample": SAMPLE,
    "run": RUN,
    "review": LabReview(SET, "agree", "why"),
    "field": FIGURE,
    "remedy": LabRemedy(b"", "csaf", SET, 9, "cure", "Ada", ("CVE-2026-1",), (SOME,), ""),
    "promote": RulePromotion(SET, ""),
    "deprecate": RuleDeprecation(SOME, "old"),
    "close": LabClosing("done"),
}


def test_each_kind_but_a_note_has_its_body() -> None:
    assert BODIES.keys() | {"note"} == READERS.keys()
    for kind, body in BODIES.items():
        assert READERS[kind](encode_lab(body)) == body


@given(st.sampled_from(sorted(BODIES)), st.data())
def test_changed_bytes_are_refused_or_are_the_one_form_of_what_they_say(
    kind: str, data: st.DataObject
) -> None:
    content = bytearray(encode_lab(BODIES[kind]))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    try:
        said: Any = READERS[kind](cut)
    except PeerError as error:
        assert error.reason in ("malformed", "not-canonical")
    else:
        assert encode_lab(said) == cut


@given(st.integers(0, 2**53 - 1))
def test_a_bucket_holds_its_count_and_nothing_below_ten_is_exact_but_none(count: int) -> None:
    stated = bucket(count)
    assert stated <= count <= greatest_in_bucket(stated)
    assert stated in BUCKETS or stated == count >= 10


def far(size: int, write: Any) -> LabTeller:
    """A lab in which A writes `size` entries one behind the other."""
    told = LabTeller("LABC")
    told.rule("C")
    last, number = told.review("A"), told.last_number("A", told.heads())
    for step in range(size):
        last = write(told, step, {"after": [last], "number": number + 1 + step})
    return told


def folded(told: LabTeller) -> tuple[SpaceFold, int]:
    space, steps = SpaceFold(), 0
    for entry in parents_first(told.entries.values()):
        space.add(entry)
    for _ in space.steps():
        steps += 1
    return space, steps


def test_ten_thousand_runs_of_one_member_are_one_organisation_and_are_folded_in_steps() -> None:
    told = far(9_990, lambda s, step, how: s.run("A", samples=digest_of(str(step)), **how))
    space, steps = folded(told)
    assert steps > 9_990 // 256, "others have their turn between"
    state: Any = space.state().kind
    (rule,) = state.rules()
    assert [one.what for one in rule.missing] == ["agreement"] and len(rule.current.standing.passed) == 1
    assert len(rule.current.standing.runs) == 9_990
    assert len(canonical(space.state())) < 800 * 9_990


@pytest.mark.parametrize("kind", ["rules", "texts", "chain", "promotions"])
def test_output_grows_with_the_entries_and_not_with_their_square(kind: str) -> None:
    def write(told: LabTeller, step: int, how: Any) -> EntryId:
        text = str(step) if kind == "texts" else "one"
        if kind == "promotions":
            return (
                told.promote("A", **how) if step % 2 else told.run("A", samples=digest_of(str(step)), **how)
            )
        if kind == "chain":
            return told.propose("A", how["after"][0], text, **how)
        return told.rule("A", text, **how) if step % 2 else told.run("A", samples=digest_of(str(step)), **how)

    small, large = (len(canonical(folded(far(size, write))[0].state())) for size in (200, 800))
    assert large < 5 * small
