"""A kind of space is one file and one row; what it says about roles holds; what is not known is shown and changes nothing."""

from __future__ import annotations

import json
import types

import pytest
from space_histories import Teller, partner

from p2pshare.errors import PeerError
from p2pshare.spaces import registry
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import SpaceFold, SpaceState, fold
from p2pshare.spaces.interface import EntryKind
from p2pshare.spaces.notebook import KIND, NotebookFold, read_text
from p2pshare.spaces.registry import SPACE_KINDS, load_space_kind


def state_of(told: Teller) -> SpaceState:
    return fold(told.entries.values())


@pytest.mark.parametrize("name", SPACE_KINDS)
def test_every_row_leads_to_a_kind_of_that_name(name: str) -> None:
    kind = load_space_kind(name)
    assert kind is not None and kind.name == name
    assert not kind.entry_kinds.keys() & {"open", "invite", "join", "merge", "part"}, (
        "those are of every space"
    )


@pytest.fixture
def drill(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind in which only those with the role white may lead, written as a plug-in would be."""
    module = types.ModuleType("drill_kind")
    module.KIND = KIND._replace(name="drill", lead_role="white")  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "drill_kind", module)
    monkeypatch.setattr(registry, "SPACE_KINDS", {**SPACE_KINDS, "drill": "drill_kind:KIND"})


@pytest.mark.usefixtures("drill")
def test_only_who_has_the_role_takes_over_and_votes() -> None:
    told = Teller("LWVABC", kind="drill", roles={"L": "white", "W": "white", "V": "white", "A": "blue"})
    player = told.take_over("A", 1, 1)
    rival = told.take_over("W", 1, 1)
    votes = [told.ack(name, rival) for name in "LABC"]
    space = SpaceFold()
    for entry in sorted(told.entries.values(), key=lambda entry: entry.header.depth):
        space.add(entry)
    assert space.state().lead == partner("L")
    assert [space.effect_of(one) for one in (player, *votes)] == ["not-member"] * 5, (
        "the lead has no vote either"
    )
    assert space.effect_of(rival) == ""
    told.ack("V", rival)
    assert state_of(told).lead == partner("W")


@pytest.mark.usefixtures("drill")
@pytest.mark.parametrize(("others", "is_replaced"), [("", False), ("W", True), ("WV", False)])
def test_a_lead_that_is_lost_is_replaced_by_the_others_with_its_role(others: str, is_replaced: bool) -> None:
    """One other does, for there is nobody else; of two both must agree; with none it stays."""
    told = Teller("L" + others + "AB", kind="drill", roles=dict.fromkeys("L" + others, "white"))
    told.take_over((others or "A")[0], 1, 1)
    assert (state_of(told).lead != partner("L")) is is_replaced
    told.ack("B", told.take_over("A", 1, 2))
    assert (state_of(told).lead != partner("L")) is is_replaced, "players decide nothing"


@pytest.mark.usefixtures("drill")
def test_the_role_is_that_of_the_invitation_that_stands() -> None:
    told = Teller("LWA", kind="drill", roles={"L": "white", "W": "white"})
    told.invite("L", "A", {"A": "white"})
    told.ack("W", told.take_over("A", 1, 1))
    assert state_of(told).lead == partner("A"), "both who are white besides the lead"


def test_a_space_of_an_unknown_kind_has_members_and_a_time_line_and_no_state() -> None:
    told = Teller("LA", kind="of-next-year")
    told.write("A", "close", b"anything")
    output = json.loads(canonical(state_of(told)))
    assert output["state"] is None and output["kind"] == "of-next-year"
    assert [row["kind"] for row in output["timeline"]] == ["open", "join", "close"]
    assert [member["status"] for member in output["members"]] == ["joined", "joined"]


def test_other_rules_than_ours_are_not_folded() -> None:
    told = Teller("LA", rules=2, are_joined=False)
    with pytest.raises(PeerError) as caught:
        state_of(told)
    assert caught.value.reason == "unknown-rules"


def test_an_opening_that_does_not_name_its_author_is_no_space() -> None:
    told = Teller("LA", are_joined=False)
    (opening,) = told.entries.values()
    content = (opening.content or b"").replace(partner("L"), partner("0"))
    with pytest.raises(PeerError) as caught:
        fold([type(opening)(opening.entry_id, opening.header, content)])
    assert caught.value.reason == "bad-body"


def test_an_opening_that_says_nothing_readable_is_no_space() -> None:
    told = Teller("LA", are_joined=False)
    (opening,) = told.entries.values()
    for content in (b"", b"\xc1", (opening.content or b"") + b"\0", None):
        with pytest.raises(PeerError) as caught:
            fold([type(opening)(opening.entry_id, opening.header, content)])
        assert caught.value.reason == "bad-body"


def test_hostile_text_comes_out_as_json_that_reads_back() -> None:
    hostile = 'a"\\\b\f\n\r\t\x00\x1f\x7f\u200e\u202e\u2028\ufeff\U0001f512</script>'
    told = Teller("LA", title=hostile)
    told.note("A", hostile)
    output = json.loads(canonical(state_of(told)))
    assert output["title"] == output["state"]["notes"][0]["text"] == hostile


def test_sealed_redacted_and_missing_notes_show_no_text() -> None:
    told = Teller("LAB")
    secret = told.note("A", "only for two", audience="AB")
    erased = told.note("A", "erased")
    gone = told.write("A", "note", None)
    told.redact("A", erased)
    output = canonical(state_of(told))
    assert b"only for two" not in output and b'"erased"' not in output
    notes = {row["id"]: row for row in json.loads(output)["state"]["notes"]}
    assert {row["text"] for row in notes.values()} == {None}
    assert (notes[secret.text]["sealed"], notes[erased.text]["redacted"]) == (True, True)
    assert (notes[gone.text]["sealed"], notes[gone.text]["redacted"]) == (False, False)


def test_a_dropped_body_and_a_held_one_fold_alike_once_redacted() -> None:
    told = Teller("LA")
    erased = told.note("A", "erased")
    told.redact("A", erased)
    dropped = [
        type(entry)(entry.entry_id, entry.header, None if entry.entry_id == erased else entry.content)
        for entry in told.entries.values()
    ]
    assert canonical(fold(dropped)) == canonical(state_of(told))


def test_a_kind_of_two_words_can_be_made_of_the_same_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind's own table decides which entries are the lead's, and which all must read alike."""
    module = types.ModuleType("minutes_kind")
    kinds = {
        "note": EntryKind(False, False, read_text),
        "approve": EntryKind(True, True, KIND.entry_kinds["close"].read),
    }
    module.KIND = KIND._replace(name="minutes", entry_kinds=kinds, fold=NotebookFold)  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "minutes_kind", module)
    monkeypatch.setattr(registry, "SPACE_KINDS", {"minutes": "minutes_kind:KIND"})
    told = Teller("LA", kind="minutes")
    void = told.write("A", "approve", b"\x80")
    counts = told.write("L", "approve", b"\x80")
    space = SpaceFold()
    for entry in told.entries.values():
        space.add(entry)
    space.state()
    assert (space.effect_of(void), space.effect_of(counts)) == ("not-lead", "")
