"""Markings: a marking only tightens, what is not understood is never guessed, and groups never mix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import stix2
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.intel.bundle import BundleObject, read_stix
from p2pshare.intel.grouping import split_by_marking
from p2pshare.intel.marking import (
    KNOWN,
    PAP_EXTENSION,
    PAP_IDS,
    STATEMENT,
    TLP2_IDS,
    TLP_EXTENSION,
    TLP_IDS,
    Marking,
    MarkingProblem,
    Pap,
    StatementMarking,
    Tlp,
    definition_object,
    effective,
    meaning_of,
)
from p2pshare.intel.marking_words import MarkingWords, words_in, words_in_text

UUID = "34655650-3d18-47b5-bb6c-b9bdb7b26203"
INSTANT = "2023-07-28T12:14:36Z"
OWN = f"marking-definition--{UUID}"
UNKNOWN = f"marking-definition--{UUID[::-1][:8]}-{UUID[9:]}".replace("-30262b7b", "-00000000")
WHITE = "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"
OPENCTI_STRICT = "marking-definition--826578e1-40ad-459f-bc73-ede076f81f37"


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("clear", Tlp.CLEAR),
        ("TLP:WHITE", Tlp.CLEAR),
        ("tlp:green", Tlp.GREEN),
        (" TLP: AMBER ", Tlp.AMBER),
        ("amber+strict", Tlp.AMBER_STRICT),
        ("AMBER-STRICT", Tlp.AMBER_STRICT),
        ("TLP:AMBER_STRICT", Tlp.AMBER_STRICT),
        ("red", Tlp.RED),
        ("ＴＬＰ：ＲＥＤ", Tlp.RED),
    ],
)
def test_levels_as_people_write_them(text: str, level: Tlp) -> None:
    assert Tlp.parse(text) is level
    assert Tlp.parse(level.label) is level


@pytest.mark.parametrize(
    "text",
    [
        "",
        "TLP:",
        "TLP:PURPLE",
        "amber strict red",
        "r\u200bed",
        "rеd",
        "red" * 100,
        "green" + " " * 40 + "but red",
    ],
)
def test_an_unknown_level_is_never_a_level(text: str) -> None:
    with pytest.raises(AuthorError) as caught:
        Tlp.parse(text)
    assert caught.value.reason == "unknown-marking"


def test_clear_is_a_marking_and_not_nothing() -> None:
    assert (Tlp.from_label("CLEAR") or Tlp.RED) is Tlp.CLEAR
    assert sorted(Tlp) == [Tlp.CLEAR, Tlp.GREEN, Tlp.AMBER, Tlp.AMBER_STRICT, Tlp.RED]


@pytest.mark.parametrize(
    ("refs", "granular", "expected"),
    [
        ([TLP2_IDS[Tlp.GREEN]], [], Marking(Tlp.GREEN)),
        ([WHITE, TLP2_IDS[Tlp.CLEAR]], [], Marking(Tlp.CLEAR)),
        ([OPENCTI_STRICT], [], Marking(Tlp.AMBER_STRICT)),
        ([TLP2_IDS[Tlp.GREEN], OWN], [], Marking(Tlp.GREEN)),
        ([TLP2_IDS[Tlp.GREEN]], [TLP2_IDS[Tlp.RED], TLP2_IDS[Tlp.CLEAR]], Marking(Tlp.RED)),
        ([TLP2_IDS[Tlp.AMBER], next(iter(PAP_IDS))], [], Marking(Tlp.AMBER, Pap.CLEAR)),
        ([], [], MarkingProblem("no-marking", Marking(Tlp.CLEAR))),
        ([OWN], [], MarkingProblem("no-marking", Marking(Tlp.CLEAR))),
        ([], [TLP2_IDS[Tlp.RED]], MarkingProblem("no-marking", Marking(Tlp.RED))),
        ([TLP2_IDS[Tlp.GREEN], TLP2_IDS[Tlp.RED]], [], MarkingProblem("two-markings", Marking(Tlp.RED))),
        ([TLP2_IDS[Tlp.GREEN], UNKNOWN], [], MarkingProblem("unknown-marking", Marking(Tlp.RED, Pap.RED))),
        ([TLP2_IDS[Tlp.GREEN]], [UNKNOWN], MarkingProblem("unknown-marking", Marking(Tlp.RED, Pap.RED))),
    ],
)
def test_markings_fold_fail_closed(refs: list[str], granular: list[str], expected: object) -> None:
    assert effective(refs, granular, {OWN: STATEMENT}) == expected


RED_WORD, GREEN_WORD = words_in_text("TLP:RED"), words_in_text("TLP:GREEN")


@pytest.mark.parametrize(
    ("refs", "words", "expected"),
    [
        ([TLP2_IDS[Tlp.GREEN]], RED_WORD, Marking(Tlp.RED)),
        ([TLP2_IDS[Tlp.AMBER]], GREEN_WORD, Marking(Tlp.AMBER)),
        ([TLP2_IDS[Tlp.GREEN]], RED_WORD.merged(GREEN_WORD), Marking(Tlp.RED)),  # words are no second marking
        ([TLP2_IDS[Tlp.GREEN]], words_in_text("PAP:RED"), Marking(Tlp.GREEN, Pap.RED)),
        ([TLP2_IDS[Tlp.GREEN]], words_in_text("TLP:MAUVE"), MarkingProblem("unknown-marking", Marking(Tlp.RED, Pap.RED))),
        ([TLP2_IDS[Tlp.GREEN]], words_in({"x": TLP2_IDS[Tlp.RED]}), Marking(Tlp.RED)),
        ([TLP2_IDS[Tlp.GREEN]], words_in({"x": UNKNOWN}), MarkingProblem("unknown-marking", Marking(Tlp.RED, Pap.RED))),
        ([], GREEN_WORD, MarkingProblem("no-marking", Marking(Tlp.GREEN))),
    ],
)  # fmt: skip
def test_words_tighten_and_never_mark(refs: list[str], words: MarkingWords, expected: object) -> None:
    assert effective(refs, (), {}, words) == expected


@given(st.lists(st.sampled_from([*KNOWN, OWN, UNKNOWN]), max_size=4), st.sampled_from([*KNOWN, OWN, UNKNOWN]))
def test_one_more_marking_never_loosens(refs: list[str], more: str) -> None:
    def level(found: Marking | MarkingProblem) -> Tlp:
        return found.tlp if isinstance(found, Marking) else found.at_least.tlp

    definitions = {OWN: STATEMENT}
    assert level(effective([*refs, more], (), definitions)) >= level(effective(refs, (), definitions))
    assert level(effective(refs, [more], definitions)) >= level(effective(refs, (), definitions))


def test_a_bundle_cannot_redefine_a_known_marking() -> None:
    assert effective([TLP2_IDS[Tlp.RED]], (), {TLP2_IDS[Tlp.RED]: Tlp.CLEAR}) == Marking(Tlp.RED)


@pytest.mark.parametrize(
    ("definition", "meaning"),
    [
        ({"definition_type": "tlp", "definition": {"tlp": "amber"}}, Tlp.AMBER),
        ({"definition_type": "TLP", "definition": {"tlp": "TLP:RED"}}, Tlp.RED),
        ({"definition_type": "tlp", "definition": {"tlp": "mauve"}}, None),
        ({"definition_type": "statement", "definition": {"statement": "(c)"}}, STATEMENT),
        ({"definition_type": "iep", "definition": {}}, None),
        ({"extensions": {TLP_EXTENSION: {"tlp_2_0": "amber+strict"}}}, Tlp.AMBER_STRICT),
        ({"extensions": {PAP_EXTENSION: {"pap": "white"}}}, Pap.CLEAR),
        ({"extensions": {"extension-definition--x": {"acs": 1}}, "definition_type": "statement"}, None),
        ({"definition_type": "statement", "x_opencti_definition_type": "PAP", "x_opencti_definition": "PAP:RED"}, Pap.RED),
        ({"definition_type": "statement", "x_opencti_definition_type": "NATIONAL", "x_opencti_definition": "X"}, None),
        ({"definition_type": "statement", "definition": {"statement": "TLP:RED, do not share"}}, StatementMarking(Tlp.RED)),
        ({"definition_type": "statement", "definition": {"statement": "under PAP:AMBER"}}, StatementMarking(None, Pap.AMBER)),
        ({"definition_type": "statement", "definition": {"statement": "TLP:MAUVE"}}, None),
        ({"definition_type": "statement", "definition": {"statement": f"see {TLP2_IDS[Tlp.RED]}"}}, StatementMarking(Tlp.RED)),
        ({"definition_type": "statement", "definition": {"statement": f"see {OWN}"}}, None),
        ({"definition_type": "tlp", "definition": {"tlp": "green"}, "name": "TLP:RED"}, Tlp.RED),
        ({"definition_type": "tlp", "definition": {"tlp": "green"}, "name": "PAP:RED"}, None),
        ({"extensions": {PAP_EXTENSION: {"pap": "green"}}, "name": "TLP:RED"}, None),
        ({"extensions": {PAP_EXTENSION: {"pap": "green"}}, "name": "PAP:RED"}, Pap.RED),
        ({}, None),
        ({"definition_type": 5, "definition": [], "extensions": []}, None),
    ],
)  # fmt: skip
def test_what_a_definition_says_about_itself(definition: dict[str, Any], meaning: object) -> None:
    assert meaning_of(definition) == meaning


@pytest.mark.parametrize("level", list(Tlp))
def test_our_definitions_are_those_of_the_standard(level: Tlp) -> None:
    made = definition_object(level)
    assert TLP_IDS[made["id"]] is level
    assert meaning_of(made) is level
    parsed = stix2.parse(json.dumps(made), allow_custom=True)
    assert parsed.id == made["id"]


def stix(type_: str, number: int, **more: Any) -> dict[str, Any]:
    made = {
        "type": type_,
        "spec_version": "2.1",
        "id": f"{type_}--{number:08x}{UUID[8:]}",
        "created": INSTANT,
    }
    if type_ != "marking-definition":
        made |= {"modified": INSTANT, "name": "x"}
    return made | more


def read(*objects: dict[str, Any]) -> list[BundleObject]:
    reading = read_stix(json.dumps({"type": "bundle", "id": f"bundle--{UUID}", "objects": objects}).encode())
    assert reading.refusals.counts == {}
    return reading.objects


def marked(*levels: Tlp) -> dict[str, Any]:
    return {"object_marking_refs": [TLP2_IDS[level] for level in levels]}


def shape(groups: Any) -> list[tuple[str, list[str], int]]:
    return [
        (group.tlp.name, [one.object_id[:20] for one in group.objects], group.repeats) for group in groups
    ]


def test_each_group_has_one_marking_and_what_it_needs() -> None:
    author = stix("identity", 1)
    statement = stix("marking-definition", 2, definition_type="statement", definition={"statement": "(c)"})
    refs = {"object_marking_refs": [TLP2_IDS[Tlp.GREEN], statement["id"]], "created_by_ref": author["id"]}
    grouping = split_by_marking(
        read(
            stix("campaign", 3, **refs),
            stix("tool", 4, **marked(Tlp.RED), created_by_ref=author["id"]),
            author,
            statement,
            definition_object(Tlp.AMBER),
        )
    )
    assert shape(grouping.groups) == [
        ("GREEN", [statement["id"][:20], author["id"][:20], "campaign--00000003-3"[:20]], 0),
        ("RED", [author["id"][:20], "tool--00000004-3d18-"], 1),
    ]
    assert grouping.refusals.counts == {"not-referenced": 1}


def test_a_strict_identity_never_enters_a_looser_group() -> None:
    author = stix("identity", 1, **marked(Tlp.AMBER))
    grouping = split_by_marking(
        read(
            author,
            *(stix("tool", n, **marked(level), created_by_ref=author["id"]) for n, level in enumerate(Tlp)),
        )
    )
    holders = [group.tlp for group in grouping.groups if any(one.type == "identity" for one in group.objects)]
    assert holders == [Tlp.AMBER, Tlp.AMBER_STRICT, Tlp.RED]


def test_a_default_marks_the_unmarked_and_tightens_the_loose_but_never_loosens() -> None:
    objects = read(stix("tool", 1), stix("tool", 2, **marked(Tlp.CLEAR)), stix("tool", 3, **marked(Tlp.RED)))
    assert shape(split_by_marking(objects, Tlp.AMBER).groups) == [
        ("AMBER", ["tool--00000001-3d18-", "tool--00000002-3d18-"], 0),
        ("RED", ["tool--00000003-3d18-"], 0),
    ]
    assert split_by_marking(objects).refusals.counts == {"no-marking": 1}


def test_unknown_and_double_markings_are_refused_even_with_a_default() -> None:
    objects = read(
        stix("tool", 1, object_marking_refs=[UNKNOWN]), stix("tool", 2, **marked(Tlp.GREEN, Tlp.RED))
    )
    grouping = split_by_marking(objects, Tlp.RED)
    assert grouping.groups == []
    assert grouping.refusals.counts == {"unknown-marking": 1, "two-markings": 1}


def test_definitions_alone_go_with_the_default_or_nowhere() -> None:
    objects = read(definition_object(Tlp.GREEN))
    assert [group.tlp for group in split_by_marking(objects, Tlp.GREEN).groups] == [Tlp.GREEN]
    assert split_by_marking(objects).refusals.counts == {"not-referenced": 1}


@given(st.data())
def test_no_object_is_lost_and_none_is_in_a_looser_group(data: st.DataObject) -> None:
    ids = [f"identity--{number:08x}{UUID[8:]}" for number in range(3)]
    objects = []
    for number in range(data.draw(st.integers(0, 8))):
        type_ = data.draw(st.sampled_from(["tool", "identity", "marking-definition"]))
        more: dict[str, Any] = marked(*data.draw(st.lists(st.sampled_from(list(Tlp)), max_size=2)))
        more["created_by_ref"] = data.draw(st.sampled_from(ids))
        if type_ == "marking-definition":
            more |= {"definition_type": "statement", "definition": {"statement": "x"}}
        objects.append(stix(type_, number, **more))
    default = data.draw(st.sampled_from([None, *Tlp]))
    grouping = split_by_marking(read(*objects), default)
    placed = sum(len(group.objects) - group.repeats for group in grouping.groups)
    assert placed + grouping.refusals.total == len(objects)
    for group in grouping.groups:
        assert default is None or group.tlp >= default
        for one in group.objects:
            if one.type != "marking-definition":
                found = effective(one.marking_refs, one.granular_refs)
                assert (found.tlp if isinstance(found, Marking) else found.at_least.tlp) <= group.tlp


def test_real_bundles_keep_every_object(shared_data: Path) -> None:
    for path in (shared_data / "stix20").rglob("*.json"):
        reading = read_stix(path.read_bytes())
        for default in (None, Tlp.GREEN):
            grouping = split_by_marking(reading.objects, default)
            placed = sum(len(group.objects) - group.repeats for group in grouping.groups)
            assert placed + grouping.refusals.total == len(reading.objects)
        assert grouping.refusals.counts == {}, path
