"""Playbooks to begin with: derived ones, the least that is valid; and which ones are templates."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playbooks_made import AT, action, playbook_with, raw, sound_playbook, step_id

from p2pshare.errors import AuthorError
from p2pshare.intel.playbooks.playbook_diff import compare
from p2pshare.intel.playbooks.playbook_lint import lint
from p2pshare.intel.playbooks.playbook_making import cacao_instant, derive, new_playbook
from p2pshare.intel.playbooks.playbook_standing import PLAYBOOK, REFUSED, TEMPLATE, standing_of
from p2pshare.intel.playbooks.playbook_text import playbook_of

Document = dict[str, Any]
NEW = {
    "playbook_id": step_id("playbook", 2),
    "created_by": step_id("identity", 2),
    "at": "2026-11-30T08:00:00.000Z",
}
MANUAL = {"type": "manual", "command": "Do it"}


def test_a_derived_playbook_says_what_the_other_says_and_whose_it_is_now() -> None:
    before = sound_playbook() | {
        "revoked": True,
        "signatures": [{"type": "jss"}],
        "derived_from": [step_id("playbook", 7)],
    }
    derived = derive(playbook_of(raw(before)), **NEW)
    after = json.loads(derived)
    assert after["derived_from"] == [step_id("playbook", 1), step_id("playbook", 7)]
    (change,) = compare(before, after)
    names = {one.pointer for one in change.properties}
    assert names == {"/id", "/created_by", "/created", "/modified", "/derived_from", "/revoked"}
    assert "signatures" not in after and "revoked" not in after
    assert lint(derived).problems == []
    assert list(after)[:4] == list(before)[:4]


@pytest.mark.parametrize("named", [None, 5, "x", [5, None], [step_id("playbook", 1)]])
def test_a_derived_playbook_is_valid_whatever_its_first_said_of_its_own_ancestors(named: Any) -> None:
    derived = derive(playbook_of(raw(sound_playbook() | {"derived_from": named})), **NEW)
    assert json.loads(derived)["derived_from"] == [step_id("playbook", 1)]
    assert lint(derived).problems == []


def test_from_what_has_no_id_nothing_is_derived() -> None:
    for spoilt in ({}, {"id": 5}):
        with pytest.raises(AuthorError) as caught:
            derive(playbook_of(raw(spoilt)), **NEW)
        assert caught.value.reason == "schema" and caught.value.hint


def test_deriving_again_names_each_ancestor_once_the_nearest_first() -> None:
    text = raw(sound_playbook())
    for number in (2, 3, 2):
        text = derive(playbook_of(text), **NEW | {"playbook_id": step_id("playbook", number)})
    assert json.loads(text)["derived_from"] == [step_id("playbook", number) for number in (3, 2, 1)]


@given(st.text(min_size=1, max_size=40).filter(lambda name: name.isprintable()))
def test_the_least_playbook_is_valid_without_a_warning_whatever_it_is_called(name: str) -> None:
    text = new_playbook(name, **NEW)
    assert lint(text).problems == []
    document = json.loads(text)
    assert (document["name"], document["id"], document["created_by"]) == (
        name,
        NEW["playbook_id"],
        NEW["created_by"],
    )
    assert new_playbook(name, **NEW) == text
    assert (
        set(document["workflow"])
        & set(json.loads(new_playbook(name, **NEW | {"playbook_id": step_id("playbook", 3)}))["workflow"])
        == set()
    )


def test_an_instant_is_written_to_the_millisecond() -> None:
    assert cacao_instant(0) == "1970-01-01T00:00:00.000Z"
    assert cacao_instant(1_772_352_000_000_000 + 999) == AT


def without(*names: str) -> Callable[[Document], Any]:
    return lambda document: [document["workflow"][step_id("action", 1)].pop(name) for name in names]


STANDINGS: list[tuple[str, Callable[[Document], Any], str]] = [
    ("as it is", lambda document: None, PLAYBOOK),
    ("without an agent", without("agent"), TEMPLATE),
    ("without commands", without("commands"), TEMPLATE),
    ("without both", without("agent", "commands"), TEMPLATE),
    ("without both, and no agents", lambda d: [d.pop("agent_definitions"), *(s.pop("agent", 0) for s in d["workflow"].values())], TEMPLATE),
    ("with an empty list", lambda d: d["workflow"][step_id("action", 1)].update(commands=[]), REFUSED),
    ("with an agent that is nowhere", lambda d: d["workflow"][step_id("action", 1)].update(agent=step_id("group", 9)), REFUSED),
    ("without an agent, and with a loop", lambda d: [without("agent")(d), d["workflow"][step_id("action", 5)].update(on_completion=step_id("parallel", 1))], REFUSED),
    ("without an agent or a name", lambda d: [without("agent")(d), d.pop("name")], REFUSED),
    ("with a step that is a number", lambda d: [without("agent")(d), d["workflow"].update({step_id("action", 2): 5})], REFUSED),
    ("without an agent, with agents that are a list", lambda d: [without("agent")(d), d.update(agent_definitions=[])], REFUSED),
]  # fmt: skip


@pytest.mark.parametrize("name", [one[0] for one in STANDINGS])
def test_a_template_lacks_who_or_with_what_and_nothing_else(name: str) -> None:
    _, spoil, wanted = next(one for one in STANDINGS if one[0] == name)
    document = sound_playbook()
    spoil(document)
    standing = standing_of(raw(document))
    assert standing.kind == wanted
    assert standing.report == lint(raw(document))
    assert standing.report.valid == (wanted == PLAYBOOK)


def test_what_is_no_playbook_is_no_template() -> None:
    for text in (b"", b"{}", b"[]", b'{"workflow": 5}', b"[" * 100_000):
        assert standing_of(text).kind == REFUSED


def test_a_playbook_with_a_command_by_a_machine_is_no_template() -> None:
    workflow = {
        step_id("start", 1): {"type": "start", "on_completion": step_id("action", 1)},
        step_id("action", 1): action(
            1, step_id("end", 1), commands=[MANUAL, {"type": "bash", "command": "id"}]
        ),
        step_id("end", 1): {"type": "end"},
    }
    assert standing_of(raw(playbook_with(workflow))).kind == PLAYBOOK
