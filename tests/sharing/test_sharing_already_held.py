"""What is held from others is told and not sealed, whatever other programs did to it; and nothing new hides behind that."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from misp_loop import deliver, exported, read, share, with_other_uuids
from whole_nodes import NOW, quiet, send

from p2pshare.envelope.payload import inflate_frame
from p2pshare.errors import AuthorError
from p2pshare.importers.kev import CATALOGUE_URL
from p2pshare.intel.authoring import identity_id, indicator_id
from p2pshare.intel.derivation import EXTENSION, ObjectOrigin, restated_id
from p2pshare.intel.export_origin import ExportOrigin, origin_uri
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.intel.observable import detect
from p2pshare.intel.withdrawing import Reason
from p2pshare.node.node import Node
from p2pshare.operations.already_held import AskedIndex
from p2pshare.operations.crossing import fields_of, read_answer
from p2pshare.operations.interface import Query
from p2pshare.operations.table import read_request
from p2pshare.sharing.already_held import Stance, shared_in
from p2pshare.sharing.drafting import Draft
from p2pshare.sharing.withdrawing import WithdrawalRequest, withdraw

Three = tuple[Node, Node, Node]
VALUES = ["evil.example", "203.0.113.9", "http://evil.example/a", "cd" * 32]
LATER = NOW + 100


def objects_in(draft: Draft) -> list[dict[str, Any]]:
    return [one for part in draft.parts for frame in part.frames for one in json.loads(inflate_frame(frame))]


def indicator(number: int, value: str, **other: object) -> dict[str, object]:
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--00000000-0000-4000-8000-{number:012}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "pattern": f"[domain-name:value = '{value}']",
        "pattern_type": "stix",
        "valid_from": "2026-12-01T00:00:00Z",
        "object_marking_refs": [TLP2_IDS[Tlp.GREEN]],
        **other,
    }


def bundle(*objects: object) -> bytes:
    return json.dumps({"type": "bundle", "id": "bundle--1", "objects": list(objects)}).encode()


def told(three: Three, *objects: object) -> None:
    """alpha publishes these to bravo and charlie."""
    alpha, *others = three
    share(alpha, read(alpha, bundle(*objects), NOW), NOW)
    deliver(alpha, others, NOW)


def held(draft: Draft, *nodes: Node) -> list[int]:
    return [draft.held[node.identity.partner_id] for node in nodes]


@pytest.mark.parametrize("format_name", ["misp", "stix"])
def test_an_export_that_is_read_again_sends_nothing(three: Three, format_name: str) -> None:
    alpha, bravo, charlie = three
    send(alpha, VALUES, to=[])
    deliver(alpha, (bravo, charlie), NOW)
    for node in three:
        draft = read(node, exported(node, format_name, LATER), LATER)
        assert (draft.parts, draft.refusals.total) == ([], 0)
        assert held(draft, alpha) == [draft.read]


@pytest.mark.parametrize("keeps_tags", [True, False])
def test_what_misp_gave_other_uuids_is_found_by_its_comment(three: Three, keeps_tags: bool) -> None:
    alpha, bravo, charlie = three
    send(alpha, VALUES, to=[])
    deliver(alpha, (bravo, charlie), NOW)
    raw = with_other_uuids(exported(bravo, "misp", LATER), keeps_tags=keeps_tags)
    draft = read(bravo, raw, LATER)
    assert (draft.parts, held(draft, alpha)) == ([], [len(VALUES) + 1])


def test_an_object_full_of_other_origins_is_found_by_the_true_one(three: Three) -> None:
    """A hostile partner hides what is its own, so that whoever reads it with another id states it as well."""
    partner = three[0].identity.partner_id
    false = [
        origin_uri(ExportOrigin(partner, str(indicator(100 + number, "")["id"]))) for number in range(20)
    ]
    references = [{"source_name": "p2pshare", "url": uri} for uri in false]
    told(three, indicator(1, "a.example", description=" ".join(false), external_references=references))
    raw = exported(three[1], "stix", LATER).replace(
        b'00000000-0000-4000-8000-000000000001",', b'11111111-0000-4000-8000-000000000001",'
    )
    assert b"indicator--11111111" in raw
    draft = read(three[1], raw, LATER)
    assert (draft.parts, held(draft, three[0])) == ([], [1])


def test_the_import_of_our_own_export_is_no_new_version(three: Three) -> None:
    alpha = three[0]
    send(alpha, VALUES, to=[])
    for raw in (exported(alpha, "misp", LATER), with_other_uuids(exported(alpha, "misp", LATER))):
        draft = read(alpha, raw, LATER)
        assert draft.parts == []
        assert held(draft, alpha) == [len(VALUES) + 1]


def test_an_attribute_that_was_added_leaves_and_the_report_names_what_others_hold(three: Three) -> None:
    alpha, bravo, charlie = three
    send(alpha, VALUES, to=[])
    deliver(alpha, (bravo, charlie), NOW)
    found = json.loads(with_other_uuids(exported(bravo, "misp", LATER)))
    new = {"type": "domain", "category": "Network activity", "value": "new.example", "to_ids": True}
    found["response"][0]["Event"]["Attribute"].append(new)
    draft = read(bravo, json.dumps(found).encode(), LATER)
    by_type = {one["type"]: one for one in objects_in(draft)}
    assert by_type["indicator"]["pattern"] == "[domain-name:value = 'new.example']"
    theirs = {indicator_id(alpha.identity.partner_id, detect(value)) for value in VALUES}
    assert theirs < set(by_type["report"]["object_refs"])
    assert held(draft, alpha) == [len(VALUES)]


# --- nothing new hides ---


def test_a_comment_that_names_anothers_object_hides_no_new_value(three: Three) -> None:
    """A hostile event names what is held in each comment, so that whoever publishes it drops what is new in it."""
    told(three, indicator(1, "old.example"))
    alpha, bravo, _ = three
    uri = origin_uri(ExportOrigin(alpha.identity.partner_id, str(indicator(1, "")["id"])))
    event = {
        "info": "x", "date": "2026-01-01", "Tag": [{"name": "tlp:green"}, {"name": f'p2pshare:author="{alpha.identity.partner_id.text}"'}],
        "Attribute": [
            {"type": "domain", "category": "Network activity", "value": "new.example", "to_ids": True, "comment": uri},
            {"type": "domain", "category": "Network activity", "value": "old.example", "to_ids": True, "comment": uri},
        ],
    }  # fmt: skip
    draft = read(bravo, json.dumps({"Event": event}).encode(), LATER)
    patterns = [one["pattern"] for one in objects_in(draft) if one["type"] == "indicator"]
    assert patterns == ["[domain-name:value = 'new.example']"]
    assert held(draft, alpha) == [1]
    assert draft.notes.counts["origin-differs"] == 1


@pytest.mark.parametrize("word", ["type", "Emotet", "new.example"])
def test_a_held_value_that_is_any_word_hides_nothing_that_claims_nothing(three: Three, word: str) -> None:
    """A hostile partner holds a mutex by the name of a word that stands in every object, and has its origin in each comment."""
    told(three, indicator(1, "x", pattern=f"[mutex:name = '{word}']"))
    alpha, bravo, _ = three
    uri = origin_uri(ExportOrigin(alpha.identity.partner_id, str(indicator(1, "")["id"])))
    attributes = [
        {"type": "domain", "category": "Network activity", "value": "seen.example", "to_ids": False, "comment": uri},
        {"type": "vulnerability", "category": "External analysis", "value": "CVE-2026-1234", "comment": uri},
        {"type": "filename|md5", "category": "Payload delivery", "value": f"{word}|{'ab' * 16}", "to_ids": False, "comment": uri},
        {"type": "text", "category": "Other", "value": f"about {word}", "to_ids": False, "comment": uri},
    ]  # fmt: skip
    event = {"info": "x", "date": "2026-01-01", "Tag": [{"name": "tlp:green"}], "Attribute": attributes}
    draft = read(bravo, json.dumps({"Event": event}).encode(), LATER)
    assert held(draft, alpha) == [0]
    family = {
        "type": "malware", "spec_version": "2.1", "id": "malware--00000000-0000-4000-8000-000000000009", "is_family": True,
        "created": "2026-01-01T00:00:00Z", "modified": "2026-01-01T00:00:00Z", "name": "Emotet", "description": "new.example",
        "object_marking_refs": [TLP2_IDS[Tlp.GREEN]], "external_references": [{"source_name": "p2pshare", "url": uri}],
    }  # fmt: skip
    assert held(read(bravo, bundle(family), LATER), alpha) == [0]


def test_another_content_under_a_held_id_is_told_apart(three: Three) -> None:
    told(three, indicator(1, "old.example"))
    draft = read(three[1], bundle(indicator(1, "other.example"), indicator(2, "new.example")), LATER)
    assert [one["id"][-1] for one in objects_in(draft)] == ["2"]
    assert held(draft, three[0]) == [1]
    assert draft.notes.counts["held-differs"] == 1


def test_who_uses_our_ids_or_publishes_them_first_keeps_us_from_nothing(three: Three) -> None:
    alpha, bravo, charlie = three
    ours = indicator(1, "a.example", created_by_ref=identity_id(bravo.identity.partner_id))
    told(three, ours)  # alpha was first, with an object that bravo created
    assert len(objects_in(read(bravo, bundle(ours), LATER))) == 2  # with bravo's identity
    share(charlie, read(charlie, bundle(indicator(2, "b.example")), NOW), NOW)
    share(alpha, read(alpha, bundle(indicator(2, "b.example")), NOW), NOW)
    deliver(alpha, (bravo, charlie), NOW)
    again = indicator(2, "b.example", modified="2026-02-01T00:00:00.000Z")
    assert len(objects_in(read(charlie, bundle(again), LATER))) == 1


def test_a_withdrawn_object_does_not_come_back_by_its_echo(three: Three) -> None:
    told(three, indicator(1, "old.example"))
    alpha, bravo, charlie = three
    kept = exported(bravo, "misp", LATER)
    own = exported(alpha, "misp", LATER)
    take_back(alpha, "old.example", NOW + 10)
    deliver(alpha, (bravo, charlie), NOW + 10)
    file = bundle(indicator(1, "old.example"))  # which says nothing of where it comes from
    for node, raw in ((bravo, kept), (bravo, with_other_uuids(kept)), (bravo, file), (alpha, own)):
        draft = read(node, raw, LATER)
        assert draft.parts == []
        assert draft.notes.counts["author-withdrew"] == 1


def take_back(node: Node, what: str, now: int) -> None:
    request = WithdrawalRequest(what, Reason.FALSE_POSITIVE)
    withdraw(node, request, is_dry_run=False, now=now, progress=quiet)


SIGMA = b"""
title: A rule of everybody's
id: 6f3e2987-db24-4c78-a860-b4f4095a7095
logsource: {category: process_creation}
detection:
  selection: {Image: evil.exe}
  condition: selection
"""
KEV = json.dumps({"catalogVersion": "1", "vulnerabilities": [{"cveID": "CVE-2024-1234", "vendorProject": "a", "product": "b", "vulnerabilityName": "c", "dateAdded": "2024-01-01", "shortDescription": "d", "requiredAction": "e", "dueDate": "2024-02-01"}]}).encode()  # fmt: skip


def test_a_rule_that_brings_its_id_is_held_and_what_has_one_of_ours_is_not(three: Three) -> None:
    """The same catalogue from two partners is two objects, which name one public source."""
    alpha, bravo, charlie = three
    for raw in (SIGMA, KEV):
        share(alpha, read(alpha, raw, NOW, tlp=Tlp.GREEN), NOW)
    deliver(alpha, (bravo, charlie), NOW)
    rules = read(bravo, SIGMA, LATER, tlp=Tlp.GREEN)
    assert (rules.parts, held(rules, alpha)) == ([], [1])
    assert len(objects_in(read(alpha, SIGMA, LATER, tlp=Tlp.GREEN))) == 2  # alpha's next version
    found = [
        one for one in objects_in(read(bravo, KEV, LATER, tlp=Tlp.GREEN)) if one["type"] == "vulnerability"
    ]
    assert [one["extensions"][EXTENSION]["public_source"] for one in found] == [CATALOGUE_URL]


# --- what goes along ---


def test_identities_and_definitions_alone_are_not_sealed(three: Three) -> None:
    identity = {"type": "identity", "spec_version": "2.1", "id": "identity--00000000-0000-4000-8000-000000000009", "created": "2026-01-01T00:00:00Z", "modified": "2026-01-01T00:00:00Z", "name": "Org"}  # fmt: skip
    statement = {"type": "marking-definition", "spec_version": "2.1", "id": "marking-definition--00000000-0000-4000-8000-000000000008", "created": "2026-01-01T00:00:00Z", "definition_type": "statement", "definition": {"statement": "ours"}}  # fmt: skip
    marked = indicator(
        1, "a.example", created_by_ref=identity["id"], object_marking_refs=[TLP2_IDS[Tlp.GREEN], statement["id"]]
    )  # fmt: skip
    told(three, identity, statement, marked)
    for tlp in (None, Tlp.GREEN):
        draft = read(three[1], bundle(identity, statement, marked), LATER, tlp=tlp)
        assert (draft.parts, held(draft, three[0])) == ([], [3])
    fresh = indicator(2, "b.example", created_by_ref=identity["id"], object_marking_refs=[TLP2_IDS[Tlp.GREEN], statement["id"]])  # fmt: skip
    draft = read(three[1], bundle(identity, statement, marked, fresh), LATER)
    assert sorted(one["type"] for one in objects_in(draft)) == ["identity", "indicator", "marking-definition"]
    assert held(draft, three[0]) == [1]


def test_what_names_a_held_object_is_as_strict_as_that(three: Three) -> None:
    alpha, bravo, charlie = three
    strict = indicator(1, "a.example", object_marking_refs=[TLP2_IDS[Tlp.AMBER]])
    share(alpha, read(alpha, bundle(strict), NOW), NOW, ["bravo"])
    deliver(alpha, (bravo, charlie), NOW)
    report = {"type": "report", "spec_version": "2.1", "id": "report--00000000-0000-4000-8000-000000000007", "created": "2026-01-01T00:00:00Z", "modified": "2026-01-01T00:00:00Z", "name": "r", "published": "2026-01-01T00:00:00Z", "object_refs": [strict["id"]], "object_marking_refs": [TLP2_IDS[Tlp.GREEN]]}  # fmt: skip
    draft = read(bravo, bundle(strict, report), LATER)
    assert [part.tlp for part in draft.parts] == [Tlp.AMBER]
    assert draft.notes.counts["tightened"] == 1


# --- said anew ---


def relationship(number: int, source: object, target: object) -> dict[str, object]:
    return {"type": "relationship", "spec_version": "2.1", "id": f"relationship--00000000-0000-4000-8000-{number:012}", "created": "2026-01-01T00:00:00Z", "modified": "2026-01-01T00:00:00Z", "relationship_type": "indicates", "source_ref": source, "target_ref": target, "object_marking_refs": [TLP2_IDS[Tlp.GREEN]]}  # fmt: skip


@pytest.mark.parametrize("stance", [Stance.AS_OWN, Stance.RESTATE])
def test_what_is_said_anew_has_one_id_for_good_and_is_followed_by_what_names_it(
    three: Three, stance: Stance
) -> None:
    alpha, bravo, _ = three
    old = indicator(1, "a.example")
    told(three, old)
    link = relationship(5, old["id"], indicator(2, "")["id"])
    raw = bundle(old, link, indicator(2, "b.example"))
    draft = read(bravo, raw, LATER, stance)
    found = {one["id"]: one for one in objects_in(draft)}
    anew = next(one for one in found.values() if one["type"] == "indicator" and "a.example" in one["pattern"])
    assert anew["id"] != old["id"]
    assert anew["created_by_ref"] == identity_id(bravo.identity.partner_id)
    assert found[link["id"]]["source_ref"] == anew["id"]
    assert found[link["id"]]["modified"] > str(link["modified"])
    origin = ObjectOrigin(alpha.identity.partner_id, str(old["id"]))
    if stance is Stance.RESTATE:
        said = anew["extensions"][EXTENSION]["derived_from"]
        assert said == [{"author": alpha.identity.partner_id.text, "object": old["id"]}]
        assert anew["id"] == restated_id(bravo.identity.partner_id, origin)
        assert anew["modified"] == "2026-01-01T00:00:00Z"
    else:
        assert "extensions" not in anew
        assert [(one.object_id, one.own_id) for one in draft.findings] == [(old["id"], anew["id"])]
    share(bravo, draft, LATER)
    again = read(bravo, raw, LATER + 10, stance)
    assert again.merged == 1
    assert not any("a.example" in str(one) for one in objects_in(again))


def test_a_chain_of_restatements_names_every_link(three: Three) -> None:
    alpha, bravo, charlie = three
    told(three, indicator(1, "a.example"))
    share(bravo, read(bravo, exported(bravo, "stix", LATER), LATER, Stance.RESTATE), LATER)
    deliver(bravo, (alpha, charlie), LATER)
    draft = read(charlie, exported(charlie, "misp", LATER + 1), LATER + 1, Stance.RESTATE)
    chains = [
        [entry["author"] for entry in one["extensions"][EXTENSION]["derived_from"]]
        for one in objects_in(draft)
        if one["type"] == "indicator"
    ]
    ids = {name: node.identity.partner_id.text for name, node in zip("abc", three, strict=True)}
    assert sorted(chains, key=len) == [[ids["a"]], [ids["b"], ids["a"]]]
    for raw in (exported(charlie, "stix", LATER + 1), exported(charlie, "misp", LATER + 1)):
        draft = read(charlie, raw, LATER + 1, Stance.AS_OWN)
        [own] = [one for one in objects_in(draft) if one["type"] == "indicator"]
        assert "extensions" not in own  # also of what names an origin itself
        assert (draft.merged, len(draft.findings)) == (1, 2)


def test_partners_who_pass_on_every_night_come_to_an_end(three: Three) -> None:
    """Each night each restates what its MISP has: what stems from its own word is not passed on again."""
    told(three, indicator(1, "a.example"))
    sent = []
    for night in range(1, 7):
        now, sealed = LATER + night * 10, 0
        for node in three:
            draft = read(node, exported(node, "misp", now), now, Stance.RESTATE)
            if draft.parts:
                share(node, draft, now)
                deliver(node, [other for other in three if other is not node], now)
            sealed += sum(one["type"] == "indicator" for one in objects_in(draft))
        sent.append(sealed)
    assert sent[0] >= 2
    assert sent[3:] == [0, 0, 0]


def test_saying_anew_never_loosens_and_strict_markings_are_not_ours_to_pass_on(three: Three) -> None:
    alpha, bravo, charlie = three
    for number, level in enumerate((Tlp.AMBER, Tlp.AMBER_STRICT, Tlp.RED), start=1):
        stix = indicator(number, f"{number}.example", object_marking_refs=[TLP2_IDS[level]])
        share(alpha, read(alpha, bundle(stix), NOW), NOW, ["bravo"])
    deliver(alpha, (bravo, charlie), NOW)
    looser = [indicator(number, f"{number}.example") for number in (1, 2, 3)]
    for stance in (Stance.RESTATE, Stance.AS_OWN, Stance.AFFIRM):
        draft = read(bravo, bundle(*looser), LATER, stance)
        assert [part.tlp for part in draft.parts] == [Tlp.AMBER]
        assert draft.refusals.counts == {"not-ours-to-share": 2}


def test_what_its_author_withdrew_is_passed_on_only_by_who_stands_for_it(three: Three) -> None:
    told(three, indicator(1, "a.example"))
    alpha, bravo, charlie = three
    raw = exported(bravo, "misp", LATER)
    take_back(alpha, "a.example", NOW + 10)
    deliver(alpha, (bravo, charlie), NOW + 10)
    refused = read(bravo, raw, LATER, Stance.RESTATE)
    assert (refused.parts, refused.refusals.counts) == ([], {"origin-withdrawn": 1})
    affirmed = [
        one for one in objects_in(read(bravo, raw, LATER, Stance.AFFIRM)) if one["type"] == "indicator"
    ]
    assert len(affirmed) == 1
    assert EXTENSION in affirmed[0]["extensions"]


@pytest.mark.parametrize("stance", [Stance.AS_OWN, Stance.AFFIRM])
def test_an_end_of_time_in_what_is_held_ends_no_publishing(three: Three, stance: Stance) -> None:
    """A hostile partner revokes with the last instant there is: nothing could be said after it."""
    told(three, indicator(1, "a.example"))
    told(three, indicator(1, "a.example", modified="9999-12-31T23:59:59.999999Z", revoked=True))
    draft = read(three[1], bundle(indicator(1, "a.example"), indicator(2, "new.example")), LATER, stance)
    said = [one for one in objects_in(draft) if one["type"] == "indicator"]
    assert len(said) == 2
    naming = {
        "type": "malware", "spec_version": "2.1", "id": "malware--00000000-0000-4000-8000-000000000009", "is_family": True,
        "created": "2026-01-01T00:00:00Z", "modified": "9999-12-31T23:59:59.999999Z", "name": "x",
        "x_origin_ref": indicator(1, "")["id"], "object_marking_refs": [TLP2_IDS[Tlp.GREEN]],
    }  # fmt: skip
    refused = read(
        three[1], bundle(indicator(1, "a.example"), indicator(2, "new.example"), naming), LATER, stance
    )
    assert refused.refusals.counts == {"bad-timestamp": 1}
    assert max(one["modified"] for one in said) < "2028"


def test_a_half_of_an_object_said_anew_is_an_object_of_its_own(three: Three) -> None:
    both = indicator(1, "", pattern="[domain-name:value = 'a.example'] OR [domain-name:value = 'b.example']")
    told(three, both)
    bravo = three[1]
    raw = with_other_uuids(exported(bravo, "misp", LATER))
    draft = read(bravo, raw, LATER, Stance.RESTATE)
    ids = {one["id"] for one in objects_in(draft) if one["type"] == "indicator"}
    assert len(ids) == 2
    other = read(bravo, with_other_uuids(exported(bravo, "misp", LATER)), LATER, Stance.RESTATE)
    assert {one["id"] for one in objects_in(other) if one["type"] == "indicator"} == ids


def test_a_value_that_we_state_already_is_not_stated_again_as_own(three: Three) -> None:
    alpha, bravo, charlie = three
    send(bravo, ["a.example"], to=[])
    told(three, indicator(1, "a.example"), indicator(2, "b.example"))
    draft = read(bravo, bundle(indicator(1, "a.example"), indicator(2, "b.example")), LATER, Stance.AS_OWN)
    assert draft.merged == 1
    assert len([one for one in objects_in(draft) if one["type"] == "indicator"]) == 1
    assert len(draft.findings) == 2
    share(bravo, draft, LATER)
    take_back(alpha, "a.example", LATER + 10)
    deliver(alpha, (bravo, charlie), LATER + 10)
    [told_of] = bravo.store.knowledge.findings_withdrawn(10)
    assert (told_of.object_id, told_of.reason) == (str(indicator(1, "")["id"]), Reason.FALSE_POSITIVE)
    take_back(bravo, "a.example", LATER + 20)
    assert bravo.store.knowledge.findings_withdrawn(10) == []


def test_a_list_names_nobody_whose_statement_could_be_passed_on(three: Three) -> None:
    with pytest.raises(AuthorError) as caught:
        read(three[1], b"evil.example\n", NOW, Stance.RESTATE, tlp=Tlp.GREEN)
    assert caught.value.reason == "nothing-to-restate"


def test_a_command_that_asks_the_daemon_learns_the_same(three: Three) -> None:
    """Members of the daemon's group may not open the store's file."""
    alpha, bravo, charlie = three
    told(three, indicator(1, "a.example"), indicator(2, "b.example"))
    share(bravo, read(bravo, exported(bravo, "stix", LATER), LATER, Stance.RESTATE), LATER)
    deliver(bravo, (alpha, charlie), LATER)
    take_back(alpha, "b.example", LATER + 10)
    deliver(alpha, (bravo, charlie), LATER + 10)
    send(charlie, ["c.example"], to=[], now=LATER + 20)

    def run(query: Query[Any]) -> Any:
        asked = read_request(fields_of(query))
        assert isinstance(asked, Query)
        return read_answer(asked, fields_of(asked.run(charlie, LATER + 20, quiet)))

    seen, asked = shared_in(charlie.store), AskedIndex(run)
    ids = [str(indicator(number, "")["id"]) for number in (1, 2, 3)]
    ids += [
        restated_id(bravo.identity.partner_id, ObjectOrigin(alpha.identity.partner_id, one)) for one in ids
    ]
    found = asked.shared_objects(ids)
    assert found == seen.shared_objects(ids)
    assert [one for one in ids if one in found] == [ids[0], ids[1], ids[3], ids[4]]
    assert [found[one][0].out_us is None for one in found] == [True, False, True, False]
    values = [detect(f"{letter}.example") for letter in "abc"]
    assert asked.own_statements(values) == seen.own_statements(values)
    assert list(asked.own_statements(values)) == values[2:]


def unique(things: Iterable[str]) -> int:
    return len(set(things))


def test_thousands_are_asked_for_in_runs(three: Three) -> None:
    alpha, bravo, charlie = three
    objects = [indicator(number, f"h{number}.example") for number in range(2_500)]
    told(three, *objects)
    draft = read(bravo, bundle(*objects), LATER)
    assert (draft.parts, held(draft, alpha)) == ([], [2_500])
    draft = read(charlie, bundle(*objects), LATER, Stance.RESTATE)
    assert unique(one["id"] for one in objects_in(draft)) == 2_501  # with charlie's identity
