"""Playbooks out: what leaves is what is held, the readers of others load it, and reading it back gives the same bytes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pymisp
import pytest
import stix2
from hypothesis import given
from hypothesis import strategies as st
from playbooks_made import action, playbook_with, raw, sound_playbook, step_id

from p2pshare.envelope.hybrid import Secret
from p2pshare.envelope.jss import PlaybookKey, check_jss, sign_playbook
from p2pshare.errors import AuthorError
from p2pshare.exporters.playbooks.playbook_formats import PLAYBOOK_EXPORTERS, load_playbook_exporter
from p2pshare.exporters.playbooks.playbook_misp import TEXT_BYTES_MAX
from p2pshare.exporters.playbooks.playbook_record import PlaybookRecord, cacao_text, heading_of
from p2pshare.exporters.playbooks.playbook_soarca import SOARCA_RULES, soarca_warnings
from p2pshare.importers.playbook_containers import read_container
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.intel.playbooks.playbook_carriers import STIX_EXTENSION
from p2pshare.intel.playbooks.playbook_lint import lint
from p2pshare.intel.playbooks.playbook_text import playbook_digest, playbook_of

OURS = ("exposed-vulnerability", "phishing", "ransomware-in-a-hospital")
Document = dict[str, Any]


def signature(document: Mapping[str, Any], number: int) -> Document:
    return sign_playbook(
        document,
        PlaybookKey(Secret(bytes([number]) * 32)),
        jss_id=step_id("jss", number),
        created_by=step_id("identity", number),
        signee=f"Hospital {number}",
        at=f"2026-11-30T08:00:0{number}.000Z",
    )


def record(text: bytes, signed: int = 0, **more: Any) -> PlaybookRecord:
    playbook = playbook_of(text)
    return PlaybookRecord(
        playbook, tuple(signature(playbook.document, number) for number in range(1, signed + 1)), **more
    )


def back(exported: bytes) -> bytes:
    read = read_container(exported)
    assert not read.problems and not read.notes, read
    (only,) = read.playbooks
    return only.playbook.raw


def misp_object(exported: bytes) -> Document:
    (found,) = json.loads(exported)["Event"]["Object"]
    return dict(found)


def course_of_action(exported: bytes) -> Document:
    return dict(next(one for one in json.loads(exported)["objects"] if one["type"] == "course-of-action"))


def test_each_row_of_the_registry_is_a_format() -> None:
    for name, row in PLAYBOOK_EXPORTERS.items():
        assert row.about
        assert load_playbook_exporter(name)(record(raw(sound_playbook())))


@given(
    st.sampled_from(sorted(PLAYBOOK_EXPORTERS)),
    st.text(min_size=1, max_size=20),
    st.sampled_from([None, 0, 2, "\t"]),
    st.booleans(),
    st.integers(0, 2),
    st.booleans(),
)
def test_what_is_exported_and_read_back_is_the_same_text_and_has_the_same_digest(
    name: str, word: str, indent: Any, is_ascii: bool, signed: int, is_unsigned: bool
) -> None:
    document = sound_playbook() | {"description": word, "x": [1.5, 1e-7, -1, True, None, {"é": "\U0001f480"}]}
    text = json.dumps(document, indent=indent, ensure_ascii=is_ascii).encode(errors="surrogatepass")
    try:
        held = record(text, signed, is_unsigned=is_unsigned)
    except AuthorError as error:
        assert error.reason == "not-json"  # half a surrogate pair
        return
    found = back(load_playbook_exporter(name)(held))
    assert found == cacao_text(held)
    assert playbook_digest(playbook_of(found).document) == playbook_digest(held.playbook.document)
    if not signed or is_unsigned:
        assert found == text


@pytest.mark.parametrize("name", OURS)
def test_our_own_leave_as_they_are_held_and_each_approval_verifies_after_the_way_through_misp_and_stix(
    name: str, repository: Path
) -> None:
    text = (repository / "config" / "playbooks" / f"{name}.json").read_bytes()
    assert cacao_text(record(text)) == text
    assert cacao_text(record(text, 3, is_unsigned=True)) == text
    for format_name in PLAYBOOK_EXPORTERS:
        signed = back(load_playbook_exporter(format_name)(record(text, 3)))
        document = playbook_of(signed).document
        assert [one["signee"] for one in document["signatures"]] == ["Hospital 1", "Hospital 2", "Hospital 3"]
        for one in document["signatures"]:
            check_jss(document, one)
        assert lint(signed).problems == []


def test_signatures_of_others_stay_ours_follow_each_once_and_unsigned_takes_all_out() -> None:
    document = sound_playbook()
    first, second = signature(document, 1), signature(document, 2)
    held = playbook_of(raw(document | {"signatures": [first]}))
    both = PlaybookRecord(held, (first, second, second))
    assert json.loads(cacao_text(both))["signatures"] == [first, second]
    assert cacao_text(PlaybookRecord(held, (first,))) == held.raw
    assert "signatures" not in json.loads(cacao_text(both._replace(is_unsigned=True)))


def test_pymisp_loads_the_event_and_the_object_is_what_its_template_says(repository: Path) -> None:
    text = (repository / "config" / "playbooks" / "phishing.json").read_bytes()
    exported = load_playbook_exporter("misp")(record(text, 1, tlp=Tlp.AMBER))
    event = pymisp.MISPEvent()
    event.from_json(exported.decode())
    (found,) = event.objects
    made = misp_object(exported)
    template = pymisp.MISPObject("security-playbook", strict=True)._definition
    assert template is not None
    assert (made["template_uuid"], int(made["template_version"])) == (template["uuid"], template["version"])
    assert made["meta-category"] == template["meta-category"]
    assert made["description"] == template["description"]
    for attribute in made["Attribute"]:
        wanted = template["attributes"][attribute["object_relation"]]
        assert attribute["type"] == wanted["misp-attribute"]
        assert attribute["disable_correlation"] == wanted.get("disable_correlation", False)
    relations = [attribute["object_relation"] for attribute in made["Attribute"]]
    several = {name for name, wanted in template["attributes"].items() if wanted.get("multiple")}
    assert {name for name in relations if relations.count(name) > 1} <= several
    assert len({attribute["uuid"] for attribute in made["Attribute"]}) == len(made["Attribute"])
    (file,) = found.get_attributes_by_relation("playbook-file")
    (short,) = found.get_attributes_by_relation("playbook-base64")
    assert file.data is not None
    assert file.data.getvalue() == base64.b64decode(short.value) == cacao_text(record(text, 1))
    assert [tag.name for tag in event.tags] == ["tlp:amber"]
    assert (
        event.Orgc.name == json.loads(text)["created_by"]
        and event.Orgc.uuid in json.loads(text)["created_by"]
    )
    assert str(event.distribution) == "0"
    # What PyMISP writes of it is read back as well.
    assert back(event.to_json().encode()) == cacao_text(record(text, 1))


def test_what_is_too_long_for_an_attribute_is_in_the_file_alone() -> None:
    long = raw(sound_playbook() | {"description": "a" * 60_000})
    exported = load_playbook_exporter("misp")(record(long))
    values = {one["object_relation"]: one for one in misp_object(exported)["Attribute"]}
    assert "playbook-base64" not in values
    assert all(len(one["value"].encode()) <= TEXT_BYTES_MAX for one in values.values())
    assert back(exported) == long


def test_a_newer_version_takes_the_place_of_the_older_one_in_misp_and_in_a_stix_store() -> None:
    old = sound_playbook()
    new = old | {"modified": "2026-04-01T08:00:00.000Z"}
    for name in ("misp", "stix"):
        before, after = (json.loads(load_playbook_exporter(name)(record(raw(one)))) for one in (old, new))
        if name == "misp":
            assert before["Event"]["uuid"] == after["Event"]["uuid"]
            assert int(before["Event"]["timestamp"]) < int(after["Event"]["timestamp"])
        else:
            first, second = (next(o for o in b["objects"] if "course" in o["type"]) for b in (before, after))
            assert first["id"] == second["id"] and first["modified"] < second["modified"]


def test_stix2_loads_the_bundle_and_both_readers_of_the_extension_find_the_playbook(repository: Path) -> None:
    text = (repository / "config" / "playbooks" / "ransomware-in-a-hospital.json").read_bytes()
    exported = load_playbook_exporter("stix")(record(text, 2))
    bundle = stix2.parse(exported.decode(), allow_custom=True)
    assert [one["type"] for one in bundle.objects] == [
        "marking-definition",
        "extension-definition",
        "course-of-action",
    ]
    made = course_of_action(exported)
    extension = made["extensions"][STIX_EXTENSION]
    signed = cacao_text(record(text, 2))
    assert (
        base64.b64decode(extension["playbook_bin"])
        == signed
        == base64.b64decode(extension["playbook_base64"])
    )
    assert made["object_marking_refs"] == [TLP2_IDS[Tlp.CLEAR]]
    # A version of an object has one content: with another signature it is another version.
    assert made["modified"] == extension["modified"] == "2026-11-30T08:00:02.000Z"
    assert extension["playbook_modification_time"] == playbook_of(text).document["modified"]
    assert None not in extension.values() and [] not in extension.values()


def test_the_extension_breaks_its_published_schema_only_by_the_word_of_the_roaster(repository: Path) -> None:
    """The properties of version 3.0.0 (cyentific-rni/stix2.1-coa-playbook-extension), which admit no other."""
    text = (repository / "config" / "playbooks" / "phishing.json").read_bytes()
    instant = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
    texts = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    score = {"type": "integer", "minimum": 0, "maximum": 100}
    names = ("created", "modified", "playbook_creation_time", "playbook_modification_time")
    properties: Document = dict.fromkeys((*names, "playbook_valid_from", "playbook_valid_until"), instant)
    properties |= dict.fromkeys(("playbook_impact", "playbook_severity", "playbook_priority"), score)
    properties |= dict.fromkeys(("labels", "playbook_type"), texts)
    properties |= {
        name: {"type": "string"}
        for name in ("playbook_id", "description", "organization_type", "playbook_standard", "playbook_bin")
    }
    properties |= {
        "extension_type": {"enum": ["property-extension"]},
        "revoked": {"type": "boolean"},
        "playbook_creator": {"type": "string", "pattern": "^identity--"},
        "playbook_abstraction": {"enum": ["template", "executable"]},
    }
    schema = {
        "type": "object",
        "properties": properties,
        "required": ["extension_type", "created", "modified"],
        "additionalProperties": False,
    }
    extension = course_of_action(load_playbook_exporter("stix")(record(text)))["extensions"][STIX_EXTENSION]
    (fault,) = jsonschema.Draft7Validator(schema).iter_errors(extension)
    assert fault.validator == "additionalProperties" and "'playbook_base64' was" in fault.message


@pytest.mark.parametrize(
    ("own", "held", "wanted"),
    [
        (None, None, None),
        ("TLP:GREEN", None, Tlp.GREEN),
        ("TLP:GREEN", Tlp.AMBER, Tlp.AMBER),
        ("TLP:RED", Tlp.CLEAR, Tlp.RED),
        ("TLP:PURPLE", Tlp.CLEAR, Tlp.RED),
        (None, Tlp.AMBER_STRICT, Tlp.AMBER_STRICT),
    ],
)
def test_the_stricter_marking_counts_and_one_that_nobody_can_read_is_the_strictest(
    own: str | None, held: Tlp | None, wanted: Tlp | None
) -> None:
    document = sound_playbook()
    if own is not None:
        name = step_id("marking-tlp", 1)
        definition = {"type": "marking-tlp", "id": name, "tlpv2_level": own}
        document |= {"markings": [name], "data_marking_definitions": {name: definition}}
    assert heading_of(record(raw(document), tlp=held)).tlp == wanted
    exported = json.loads(load_playbook_exporter("misp")(record(raw(document), tlp=held)))["Event"]
    assert [tag["name"] for tag in exported["Tag"]] == ([] if wanted is None else [wanted.label.lower()])
    assert (exported["distribution"] == "0") == (wanted not in (Tlp.CLEAR, Tlp.GREEN))


def test_a_marking_that_is_defined_nowhere_is_the_strictest_and_a_copyright_says_nothing() -> None:
    document = sound_playbook() | {"markings": [step_id("marking-tlp", 7)]}
    assert heading_of(record(raw(document))).tlp is Tlp.RED
    name = step_id("marking-statement", 1)
    statement = {"type": "marking-statement", "id": name, "statement": "(c) Hospital A"}
    document = sound_playbook() | {"markings": [name], "data_marking_definitions": {name: statement}}
    assert heading_of(record(raw(document))).tlp is None


@pytest.mark.parametrize("property_", ["id", "name", "created_by", "created", "modified"])
def test_what_says_not_which_playbook_it_is_leaves_as_cacao_alone(property_: str) -> None:
    text = raw(sound_playbook() | {property_: 7})
    assert cacao_text(record(text)) == text
    for name in ("misp", "stix"):
        with pytest.raises(AuthorError, match=property_) as caught:
            load_playbook_exporter(name)(record(text))
        assert caught.value.reason == "schema" and caught.value.hint


def test_soarca_warnings_name_each_part_that_it_passes_over_and_nothing_that_it_runs() -> None:
    soarca, own = step_id("soarca", 1), step_id("organization", 1)
    ends = {step_id("end", number): {"type": "end"} for number in range(1, 4)}
    workflow = {
        step_id("start", 1): {"type": "start", "on_completion": step_id("action", 1)},
        step_id("action", 1): action(1, step_id("parallel", 1), agent=soarca),
        step_id("parallel", 1): {
            "type": "parallel",
            "next_steps": [step_id("end", 1)],
            "on_completion": step_id("switch-condition", 1),
        },
        step_id("switch-condition", 1): {
            "type": "switch-condition",
            "switch": "__who__:value",
            "cases": {"Ada": step_id("end", 2)},
            "on_completion": step_id("action", 2),
        },
        step_id("action", 2): {
            **{k: v for k, v in action(2, "").items() if k not in ("targets", "on_completion")},
            "on_success": step_id("end", 3),
            "on_failure": step_id("end", 3),
        },
    } | ends
    document = playbook_with(workflow, workflow_exception=step_id("end", 3))
    document["agent_definitions"][soarca] = {"type": "soarca", "name": "soarca-manual"}
    found = [(one.level, one.rule, one.pointer) for one in soarca_warnings(document)]
    at = "/workflow/"
    assert found == [
        ("warning", "soarca-exception", "/workflow_exception"),
        ("warning", "soarca-agent", f"/agent_definitions/{own}"),
        ("warning", "soarca-parallel", at + step_id("parallel", 1)),
        ("warning", "soarca-switch", at + step_id("switch-condition", 1)),
        ("warning", "soarca-no-target", at + step_id("action", 2)),
        ("warning", "soarca-on-failure", at + step_id("action", 2) + "/on_failure"),
    ]
    assert {rule for _, rule, _ in found} == set(SOARCA_RULES)
    assert all(one.message for one in soarca_warnings(document))


def test_soarcas_own_examples_draw_no_warning_but_for_what_its_code_leaves_out(shared_data: Path) -> None:
    folder = shared_data / "cacao" / "soarca-examples"
    told = {
        file.name: [one.rule for one in soarca_warnings(json.loads(file.read_bytes()))]
        for file in sorted(folder.glob("*.json"))
    }
    assert len(told) == 6
    assert not any("soarca-agent" in rules for rules in told.values()), told


def test_a_wild_document_is_warned_of_without_a_crash() -> None:
    for wild in ({}, {"workflow": 5}, {"workflow": {"parallel--1": 7}}, {"agent_definitions": {"a": 1}}):
        assert isinstance(soarca_warnings(wild), list)
