"""Playbooks in files of others: found in each form, to the byte; hostile files are refused with rule and place, what is good beside stays."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playbooks_made import playbook_with, raw, sound_playbook, step_id

from p2pshare.importers.playbook_containers import (
    CARRIED_MAX,
    CONTAINER_BYTES_MAX,
    CONTAINER_ERRORS,
    CONTAINER_NOTES,
    PlaybooksRead,
    read_container,
)
from p2pshare.intel.playbooks.playbook_carriers import STIX_EXTENSION
from p2pshare.intel.playbooks.playbook_diff import compare
from p2pshare.intel.playbooks.playbook_lint import lint
from p2pshare.intel.playbooks.playbook_making import new_playbook
from p2pshare.intel.playbooks.playbook_problems import ERRORS
from p2pshare.intel.playbooks.playbook_text import PLAYBOOK_BYTES_MAX, playbook_digest, playbook_of

Document = dict[str, Any]
GOOD = json.dumps(sound_playbook(), indent=3).encode() + b"\n"
OTHER = raw(sound_playbook() | {"id": step_id("playbook", 2)})
CHANGED = raw(sound_playbook() | {"name": "Something else"})


def b64(text: bytes) -> str:
    return base64.b64encode(text).decode()


def attribute(relation: str, text: bytes, **more: Any) -> Document:
    value = {"value": "a.json", "data": b64(text)} if relation == "playbook-file" else {"value": b64(text)}
    return {"object_relation": relation, "type": "text", "category": "Other"} | value | more


def misp_object(*attributes: Any, **more: Any) -> Document:
    return {"name": "security-playbook", "meta-category": "misc", "Attribute": list(attributes)} | more


def event(*objects: Document, **more: Any) -> Document:
    return {"Event": {"info": "E", "Attribute": [], "Object": list(objects)} | more}


def course(**extension: Any) -> Document:
    return {
        "type": "course-of-action",
        "id": step_id("course-of-action", 1),
        "extensions": {STIX_EXTENSION: {"extension_type": "property-extension"} | extension},
    }


def bundle(*objects: Document) -> Document:
    return {"type": "bundle", "id": step_id("bundle", 1), "objects": list(objects)}


FILE, SHORT = attribute("playbook-file", GOOD), attribute("playbook-base64", GOOD)
BIN = course(playbook_bin=b64(GOOD))
FORMS: list[tuple[str, Any, str, str]] = [
    ("plain", GOOD, "cacao", ""),
    ("base64", base64.b64encode(GOOD), "base64", ""),
    ("base64 in lines", base64.encodebytes(GOOD), "base64", ""),
    ("base64 for URLs, unpadded", base64.urlsafe_b64encode(GOOD).rstrip(b"="), "base64", ""),
    ("a list of one", b"\n [ " + GOOD + b" ]", "cacao", "/0"),
    ("MISP event, file", event(misp_object(FILE)), "misp", "/Event/Object/0"),
    ("MISP event, text", event(misp_object(SHORT)), "misp", "/Event/Object/0"),
    ("MISP event, both", event(misp_object(SHORT, FILE)), "misp", "/Event/Object/0"),
    ("MISP search", {"response": [event(misp_object(FILE))]}, "misp", "/response/0/Event/Object/0"),
    ("MISP object", misp_object(FILE), "misp", ""),
    ("MISP object, wrapped", {"Object": misp_object(FILE)}, "misp", "/Object"),
    ("STIX by misp-stix", bundle({"type": "x-misp-object", "x_misp_name": "security-playbook", "x_misp_attributes": [FILE]}), "misp", "/objects/0"),
    ("STIX bundle, published", bundle(BIN), "stix", f"/objects/0/extensions/{STIX_EXTENSION}"),
    ("STIX object, the roaster's", course(playbook_base64=b64(GOOD)), "stix", f"/extensions/{STIX_EXTENSION}"),
    ("STIX object, both", course(playbook_bin=b64(GOOD), playbook_base64=b64(GOOD)), "stix", f"/extensions/{STIX_EXTENSION}"),
]  # fmt: skip


def read(container: Any) -> PlaybooksRead:
    return read_container(container if isinstance(container, bytes) else json.dumps(container).encode())


def refused(found: PlaybooksRead) -> list[tuple[str, str]]:
    assert all(one.level == "error" and one.message for one in found.problems)
    return [(one.rule, one.pointer) for one in found.problems]


def noted(found: PlaybooksRead) -> list[tuple[str, str]]:
    assert all(one.level == "note" and one.message for one in found.notes)
    return [(one.rule, one.pointer) for one in found.notes]


@pytest.mark.parametrize("name", [form[0] for form in FORMS])
def test_each_form_gives_the_bytes_that_were_carried(name: str) -> None:
    _, container, form, pointer = next(one for one in FORMS if one[0] == name)
    found = read(container)
    wanted = GOOD.strip() if name == "a list of one" else GOOD
    assert [(one.playbook.raw, one.form, one.pointer) for one in found.playbooks] == [(wanted, form, pointer)]
    assert not found.problems and not found.notes
    assert found.playbooks[0].playbook.document == sound_playbook()


def test_a_byte_order_mark_belongs_to_the_container_and_to_no_playbook() -> None:
    mark = b"\xef\xbb\xbf"
    assert read(mark + json.dumps(bundle(BIN)).encode()).playbooks[0].playbook.raw == GOOD
    assert refused(read(mark + GOOD)) == [("not-json", "")]


@given(
    st.lists(st.sampled_from(["cacao", "number", "text"]), min_size=1, max_size=6),
    st.sampled_from([None, 1, "\t"]),
)
def test_playbooks_of_a_list_are_cut_out_to_the_byte_whatever_stands_between(
    kinds: list[str], indent: Any
) -> None:
    texts, wanted = [], []
    for number, kind in enumerate(kinds):
        document = sound_playbook() | {"id": step_id("playbook", number), "description": '"]}[{,é\\'}
        made = {"number": 10**30, "text": "] , ["}.get(kind, document)
        texts.append(json.dumps(made, indent=indent, ensure_ascii=bool(number % 2)))
        if kind == "cacao":
            wanted.append(texts[-1].encode())
    found = read(("[\r\n" + " ,\t".join(texts) + "\n]\n").encode())
    assert [one.playbook.raw for one in found.playbooks] == wanted
    assert refused(found) == ([] if wanted else [("no-playbook", "")])
    left = len(kinds) - len(wanted)
    assert [one.message for one in found.notes] == ([f"not read: {left} element"] if wanted and left else [])


def test_several_playbooks_come_in_the_order_of_the_file_and_one_that_stands_twice_comes_once() -> None:
    found = read(
        event(misp_object(FILE), misp_object(attribute("playbook-base64", OTHER)), misp_object(SHORT))
    )
    assert [one.playbook.raw for one in found.playbooks] == [GOOD, OTHER]
    assert noted(found) == [("repeated", "/Event/Object/2")] and not found.problems


def test_what_is_left_is_counted_by_kind() -> None:
    others = [
        {"type": "indicator", "id": step_id("indicator", 1)},
        {"type": "malware", "id": step_id("malware", 1)},
    ]
    (note,) = read(bundle(*others, BIN)).notes
    assert (note.rule, note.message) == ("left", "not read: 2 STIX object")
    more = {"category": "Other", "type": "text", "value": "x"}
    found = read(
        event(
            misp_object(FILE),
            {"name": "file", "meta-category": "file", "Attribute": [more]},
            Attribute=[more],
        )
    )
    assert [one.message for one in found.notes] == ["not read: 2 MISP attribute, 1 MISP object"]


HERE = f"/extensions/{STIX_EXTENSION}"
HOSTILE: list[tuple[str, Callable[[], Any], list[tuple[str, str]] | None]] = [
    ("nothing", lambda: b"", [("not-json", "")]),
    ("a text", lambda: b"Dear colleagues, see below", [("not-json", "")]),
    ("half an object", lambda: b'{"Event": {', [("not-json", "")]),
    ("no UTF-8", lambda: b'{"a": "\xff"}', [("not-json", "")]),
    ("an event without", lambda: event(), [("no-playbook", "")]),
    ("a bundle without", lambda: bundle({"type": "indicator", "id": "indicator--1"}), [("no-playbook", "")]),
    ("a number", lambda: b"[5]", [("no-playbook", "")]),
    ("100,000 brackets", lambda: b"[" * 100_000, [("too-deep", "")]),
    ("100,000 objects", lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000, [("too-deep", "")]),
    ("too large", lambda: b" " * (CONTAINER_BYTES_MAX + 1), [("too-large", "")]),
    ("too many values", lambda: b"[" + b"1," * 300_000 + b"1]", [("too-large", "")]),
    ("a key that stands twice", lambda: b'{"Event": {}, "Event": {}}', [("duplicate-key", "/Event")]),
    ("a playbook's key that stands twice", lambda: GOOD[:-3] + b', "name": "N"}', [("duplicate-key", "/name")]),
    ("1,000 bad numbers, then a key twice", lambda: b'{"n":[' + b"1e400," * 1_100 + b'1], "a":{"b":1,"b":2}}', None),
    ("a long variable", lambda: raw(playbook_with({}, x="a" * 1_000_000)), [("too-large", "/x")]),
    ("base64 of base64", lambda: base64.b64encode(base64.b64encode(GOOD)), [("not-json", "")]),
    ("base64 of an event", lambda: base64.b64encode(json.dumps(event(misp_object(FILE))).encode()), [("no-playbook", "")]),
    ("base64 of too much", lambda: base64.b64encode(b"a" * (PLAYBOOK_BYTES_MAX + 1)), [("too-large", "")]),
    ("base64 cut off", lambda: b"QUJDR", [("not-base64", "")]),
    ("nested base64 in MISP", lambda: misp_object(attribute("playbook-base64", base64.b64encode(GOOD))), [("not-json", "")]),
    ("two contents in MISP", lambda: event(misp_object(FILE, attribute("playbook-base64", CHANGED))), [("two-contents", "/Event/Object/0/Attribute/1/value")]),
    ("two files in MISP", lambda: misp_object(FILE, attribute("playbook-file", OTHER)), [("two-contents", "/Attribute/1/data")]),
    ("two contents in STIX", lambda: course(playbook_bin=b64(GOOD), playbook_base64=b64(CHANGED)), [("two-contents", f"{HERE}/playbook_base64")]),
    ("two contents of one version", lambda: b"[" + GOOD + b"," + CHANGED + b"]", [("two-contents", "/1"), ("two-contents", "/0")]),
    ("no list", lambda: misp_object(Attribute={"0": FILE}), [("wrong-type", "/Attribute")]),
    ("no attribute", lambda: misp_object("playbook-file"), [("wrong-type", "/Attribute/0")]),
    ("data that is no text", lambda: misp_object(FILE | {"data": 5}), [("wrong-type", "/Attribute/0/data")]),
    ("a value that is no text", lambda: misp_object(SHORT | {"value": ["a"]}), [("wrong-type", "/Attribute/0/value")]),
    ("an extension that is a list", lambda: {**course(), "extensions": {STIX_EXTENSION: [1]}}, [("wrong-type", HERE)]),
    ("a binary that is a number", lambda: course(playbook_bin=5), [("wrong-type", f"{HERE}/playbook_bin")]),
    ("no base64 in MISP", lambda: misp_object(SHORT | {"value": "%%%"}), [("not-base64", "/Attribute/0/value")]),
    ("no base64 beyond ASCII", lambda: course(playbook_bin="é"), [("not-base64", f"{HERE}/playbook_bin")]),
    ("neither form in STIX", lambda: course(), [("no-content", HERE)]),
    ("a file without its data", lambda: misp_object(FILE | {"data": None}), [("no-content", "")]),
    ("a picture", lambda: course(playbook_bin=b64(b"\x89PNG\r\n")), [("not-json", HERE)]),
    ("JSON that is no playbook", lambda: course(playbook_bin=b64(b'{"a": 1}')), [("no-playbook", HERE)]),
    ("a carried one with a fault", lambda: course(playbook_bin=b64(b'{"type": "playbook", "n": 1e999}')), [("number-not-jcs", HERE)]),
    ("a carried one 100,000 deep", lambda: course(playbook_bin=b64(b"[" * 100_000)), [("too-deep", HERE)]),
]  # fmt: skip


@pytest.mark.parametrize("name", [one[0] for one in HOSTILE])
def test_a_hostile_file_is_refused_with_rule_and_place(name: str) -> None:
    _, make, wanted = next(one for one in HOSTILE if one[0] == name)
    found = read(make())
    assert not found.playbooks
    if wanted is None:
        assert len(found.problems) == 1_000
    else:
        assert refused(found) == wanted


def test_the_rules_that_are_told_are_those_of_the_page_and_each_is_told_somewhere_here() -> None:
    told = {rule for _, make, wanted in HOSTILE for rule, _ in wanted or ()}
    assert set(CONTAINER_ERRORS) - told == {"too-many"}
    assert told <= {*CONTAINER_ERRORS, *ERRORS}
    assert set(CONTAINER_NOTES) == {
        "left",
        "repeated",
        "says-otherwise",
        "other-standard",
        "deleted",
        "revoked",
    }


def test_a_bad_playbook_costs_none_that_stands_beside_it() -> None:
    found = read(
        event(
            misp_object(SHORT | {"value": "%"}),
            misp_object(attribute("playbook-file", OTHER)),
            misp_object(FILE),
        )
    )
    assert [one.playbook.raw for one in found.playbooks] == [OTHER, GOOD]
    assert refused(found) == [("not-base64", "/Event/Object/0/Attribute/0/value")]


def test_a_third_content_of_one_version_does_not_bring_the_first_back() -> None:
    third = raw(sound_playbook() | {"name": "A third"})
    found = read(b"[" + b",".join([GOOD, CHANGED, third, GOOD, OTHER]) + b"]")
    assert [one.playbook.raw for one in found.playbooks] == [OTHER]
    assert {pointer for rule, pointer in refused(found) if rule == "two-contents"} == {"/0", "/1", "/2", "/3"}


def test_more_playbooks_than_anybody_has_are_refused_from_there_on() -> None:
    objects = [misp_object(SHORT) for _ in range(CARRIED_MAX + 5)]
    found = read(event(*objects))
    assert len(found.playbooks) == 1
    assert refused(found) == [("too-many", f"/Event/Object/{CARRIED_MAX}")]
    texts = [raw({"type": "playbook", "id": str(number)}) for number in range(CARRIED_MAX + 5)]
    found = read(b"[" + b",".join(texts) + b"]")
    assert len(found.playbooks) == CARRIED_MAX
    assert refused(found) == [("too-many", f"/{CARRIED_MAX}")]


def test_what_was_deleted_revoked_or_is_of_another_standard_is_noted() -> None:
    found = read(event(misp_object(FILE, deleted=True), misp_object(FILE | {"deleted": "1"}, SHORT)))
    assert [one.playbook.raw for one in found.playbooks] == [GOOD]
    assert noted(found) == [("deleted", "/Event/Object/0")]
    found = read(BIN | {"revoked": True})
    assert [one.playbook.raw for one in found.playbooks] == [GOOD] and noted(found) == [("revoked", HERE)]
    assert refused(read(misp_object(FILE, deleted=True))) == [("no-playbook", "")]
    bpmn = {"object_relation": "playbook-standard", "value": "BPMN"}
    found = read(event(misp_object(attribute("playbook-file", b"<bpmn/>"), bpmn), misp_object(FILE)))
    assert [one.playbook.raw for one in found.playbooks] == [GOOD]
    assert noted(found) == [("other-standard", "/Event/Object/0")]


def test_a_container_that_names_another_playbook_than_it_has_is_told_of() -> None:
    named = {"object_relation": "playbook-id", "value": step_id("playbook", 9)}
    found = read(misp_object(FILE, named))
    assert [one.playbook.raw for one in found.playbooks] == [GOOD]
    assert noted(found) == [("says-otherwise", "")]
    assert noted(read(course(playbook_bin=b64(GOOD), playbook_id="x"))) == [("says-otherwise", HERE)]


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([b64(GOOD), "security-playbook", "playbook"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["Event", "Object", "Attribute", "name", "type", "data", "value", "object_relation",
                         "extensions", STIX_EXTENSION, "playbook_bin", "deleted", "workflow_start", "objects"]),
        inner, max_size=5),
    max_leaves=25,
))  # fmt: skip
def test_no_file_crashes_the_reader_and_what_comes_out_is_what_went_in(wild: Any) -> None:
    found = read(wild)
    assert found.playbooks or found.problems
    assert all(one.playbook.document for one in found.playbooks)


def test_what_the_roaster_wrote_is_read_and_is_another_text_of_the_same_version(repository: Path) -> None:
    vector = json.loads((repository / "tests" / "vectors" / "roaster.json").read_text())
    (cacao,) = read(vector["cacao"].encode()).playbooks
    (stix,) = read(vector["stix"]).playbooks
    assert (cacao.form, stix.form) == ("cacao", "stix")
    assert lint(cacao.playbook.raw).problems == lint(stix.playbook.raw).problems == []
    assert compare(cacao.playbook.document, stix.playbook.document) == []
    who = {name: cacao.playbook.document[name] for name in ("created_by", "modified", "name")}
    ours = new_playbook(
        who["name"],
        playbook_id=cacao.playbook.document["id"],
        created_by=who["created_by"],
        at=who["modified"],
    )
    # It says of each thing that it is not revoked: approvals of ours are none of its.
    changes = compare(playbook_of(ours).document, cacao.playbook.document)
    assert [(one.pointer, one.after) for change in changes for one in change.properties] == [
        ("/revoked", False)
    ]
    assert playbook_digest(playbook_of(ours).document) != playbook_digest(cacao.playbook.document)
