"""Markings that would leave as GREEN without a word: each form is published as a careless person would, with `--tlp green`.

The secret is a word that stands in the object (or value) that is marked RED. It leaves under RED, or it is refused with a
reason, or nothing leaves; whatever becomes of it, a reason or a note tells, unless its own marking said so.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from whole_drafts import draft_file
from whole_nodes import NOW, World, befriend, publish, quiet

from p2pshare.envelope.payload import inflate_frame
from p2pshare.errors import RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.bundle import frames, read_stix
from p2pshare.intel.extraction import extract
from p2pshare.intel.grouping import split_by_marking
from p2pshare.intel.marking import KNOWN, TLP2_IDS, Pap, Tlp
from p2pshare.intel.marking_words import LOOKALIKES, may_hold_words, words_in, words_in_text
from p2pshare.limits import INFLATED_BYTES_MAX, REPORT_REFS_MAX
from p2pshare.sharing.drafting import Author, Draft, nothing_before

SECRET = "hushhush"
GREEN, RED, AMBER = TLP2_IDS[Tlp.GREEN], TLP2_IDS[Tlp.RED], TLP2_IDS[Tlp.AMBER]
TLP1_RED = "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"
OWN = "marking-definition--0a0b0c0d-0000-4000-8000-000000000001"
INSTANT = "2026-01-01T00:00:00Z"

# What a person writes who means TLP:RED, and what looks so.
UNDERSTOOD = [
    "TLP:RED", "tlp:red", "TLP: RED", "tlp=red", 'tlp:"red"', "tlp-red", "tlp_red", "TLP RED", "tlp.red", "TLPRED", "TLP/RED",
    "TLP:\tRED ", "**TLP:** RED", "[TLP|RED]", "TLPv2:RED", "TLP 2.0: RED", "TLP:GREEN/RED", "TLP:GREEN or RED", "RED (TLP)",
    "Traffic Light Protocol: Red", "Traffic Light Protocol (TLP): RED", "the TLP level of this document is RED",
    'misp-galaxy:tlp="red"', "ＴＬＰ：ＲＥＤ", "ｔｌｐ：ｒｅｄ", "ⓉⓁⓅ:ⓇⒺⒹ", "𝐓𝐋𝐏:𝐑𝐄𝐃", "𝖳𝖫𝖯:𝖱𝖤𝖣", "TLP：RED", "TLP:\u00a0RED", "TLP:\u200bRED",
]  # fmt: skip
DISGUISED = [
    "TLP:R\u200bED", "T\u200bLP:RED", "TL\u00adP:RED", "\u2060T\u2060L\u2060P\u2060:\u2060R\u2060E\u2060D", "TLP:RE\u3164D", "ТLР:RЕD",
    "ТLР:RED", "TLP:RЕD", "тʟᴘ:ʀᴇᴅ", "ΤLΡ:RED", "TLP:RÉD", "TLP:R̶E̶D̶", "🅣🅛🅟:🅡🅔🅓", "🇹🇱🇵:🇷🇪🇩", "ᏗLP:RED", "TLP RЁD", "TLP:🔴",
    "TLP:ROT", "TLP:PURPLE", "tlp:ex:chr", "TLP:REDACTED", "TLP:R3D",
]  # fmt: skip


def draft(raw: bytes, name: str = "x.json", tlp: Tlp | None = Tlp.GREEN, format_name: str = "auto") -> Draft:
    made = draft_file(
        io.BufferedReader(io.BytesIO(raw)),
        name=name,
        format_name=format_name,
        tlp=tlp,
        author=Author(PartnerId(bytes(32)), "alpha"),
        now=NOW,
        first_created=nothing_before,
        progress=quiet,
    )
    kept = sum(part.objects - part.repeats for part in made.parts)
    assert made.read == kept + made.merged + made.refusals.total
    return made


def levels_of(made: Draft, word: str = SECRET) -> set[Tlp]:
    """The levels under which something leaves that holds `word`."""
    found = set()
    for part in made.parts:
        for frame in part.frames:
            text = inflate_frame(frame, budget_bytes=INFLATED_BYTES_MAX)
            assert all(fact.tlp <= part.tlp for fact in extract(text, floor=part.tlp).objects)
            if word.encode() in text:
                found.add(part.tlp)
    return found


def told(made: Draft) -> set[str]:
    return {*made.refusals.counts, *made.notes.counts}


def stix(type_: str = "indicator", number: int = 1, **more: Any) -> dict[str, Any]:
    made = {
        "type": type_,
        "spec_version": "2.1",
        "id": f"{type_}--{number:08x}-0000-4000-8000-000000000000",
        "created": INSTANT,
        "modified": INSTANT,
        "object_marking_refs": [GREEN],
    }
    if type_ == "indicator":
        made |= {
            "pattern": f"[domain-name:value = '{SECRET}.example']",
            "pattern_type": "stix",
            "valid_from": INSTANT,
        }
    return made | more


def bundle(*objects: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "bundle",
        "id": "bundle--00000000-0000-4000-8000-000000000000",
        "objects": list(objects),
    } | more


def definition(**more: Any) -> dict[str, Any]:
    return {"type": "marking-definition", "spec_version": "2.1", "id": OWN, "created": INSTANT} | more


def report(type_: str = "report", **more: Any) -> dict[str, Any]:
    return stix(type_, 9, name=SECRET, published=INSTANT, object_refs=[stix(number=2)["id"]]) | more


def observed(**more: Any) -> dict[str, Any]:
    return stix(
        "observed-data",
        9,
        first_observed=INSTANT,
        last_observed=INSTANT,
        number_observed=1,
        x_note=SECRET,
        **more,
    )


def event(*attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    plain = {"uuid": "00000000-0000-4000-8000-000000000077", "info": "Case", "date": "2026-01-01", "timestamp": "1767225600", "distribution": "3"}  # fmt: skip
    return {"Event": plain | {"Tag": [{"name": "tlp:green"}], "Attribute": list(attributes)} | more}


def attribute(**more: Any) -> dict[str, Any]:
    return {"uuid": "00000000-0000-4000-8000-000000000001", "type": "domain", "category": "Network activity", "value": f"{SECRET}.example", "timestamp": "1767225600", "to_ids": True} | more  # fmt: skip


def cluster(**more: Any) -> list[dict[str, Any]]:
    return [{"name": "Sharing", "type": "sharing", "GalaxyCluster": [{"value": "a cluster"} | more]}]


def advisory(document: dict[str, Any], **more: Any) -> dict[str, Any]:
    about = {
        "category": "csaf_base", "csaf_version": "2.0", "title": "An advisory",
        "publisher": {"category": "vendor", "name": "A", "namespace": "https://a.example"},
        "tracking": {"current_release_date": INSTANT, "id": "A-1", "initial_release_date": INSTANT, "revision_history": [{}], "status": "final", "version": "1"},
        "distribution": {"tlp": {"label": "GREEN", "url": "https://www.first.org/tlp/"}},
    }  # fmt: skip
    vulnerability = {
        "cve": "CVE-2026-0001",
        "title": SECRET,
        "remediations": [{"category": "vendor_fix", "details": f"update {SECRET}"}],
    }
    return {"document": about | document, "vulnerabilities": [vulnerability | more]}


def catalogue(entry: dict[str, Any], **more: Any) -> dict[str, Any]:
    plain = dict.fromkeys(("vendorProject", "product", "vulnerabilityName", "requiredAction"), "x")
    plain |= {
        "cveID": "CVE-2026-0001",
        "dateAdded": "2026-01-01",
        "dueDate": "2026-01-01",
        "shortDescription": SECRET,
    }
    return {"catalogVersion": "1", "count": 1, "vulnerabilities": [plain | entry]} | more


RED_DOMAIN = {"type": "domain-name", "value": f"{SECRET}.example", "object_marking_refs": [RED]}
RED_SCO = stix("domain-name", 2, value="x.example", object_marking_refs=[RED])

# What becomes of it: a level, or the reason of a refusal.
JSON_FORMS: dict[str, tuple[dict[str, Any], Tlp | str]] = {
    # inside another object
    "RED object inside STIX 2.0 observed-data": (observed(objects={"0": RED_DOMAIN}), Tlp.RED),
    "TLP 1 RED inside STIX 2.0 observed-data": (observed(objects={"0": RED_DOMAIN | {"object_marking_refs": [TLP1_RED]}}), Tlp.RED),
    "granular RED inside observed-data": (observed(objects={"0": {"type": "file", "name": "x", "granular_markings": [{"marking_ref": RED, "selectors": ["name"]}]}}), Tlp.RED),
    "unknown marking inside observed-data": (observed(objects={"0": RED_DOMAIN | {"object_marking_refs": [OWN]}}), "unknown-marking"),
    "label of an object inside observed-data": (observed(objects={"0": {"type": "domain-name", "value": "x.example", "labels": ["tlp:red"]}}), Tlp.RED),
    "RED object inside a report": (report(x_embedded=stix(number=3, object_marking_refs=[RED])), Tlp.RED),
    "RED object inside a list inside a list": (report(x_embedded=[[{"a": [stix(number=3, object_marking_refs=[RED])]}]]), Tlp.RED),
    "definition inside an object": (stix(x_marking={"definition_type": "tlp", "definition": {"TLP": "Red"}}), Tlp.RED),
    "OpenCTI's objectMarking": (stix(objectMarking=[{"definition_type": "TLP", "definition": "TLP:RED"}]), Tlp.RED),
    "RED object in an extension": (stix(extensions={"extension-definition--0a0b0c0d-0000-4000-8000-000000000009": {"extension_type": "property-extension", "source": RED_DOMAIN}}), Tlp.RED),
    # named by another object
    "report that names a RED object": (bundle(report(), stix(number=2, object_marking_refs=[RED])), Tlp.RED),
    "report that names a report that names a RED object": (bundle(report(object_refs=[stix("grouping", 5)["id"]]), stix("grouping", 5, context="x", object_refs=[stix(number=2)["id"]]), stix(number=2, object_marking_refs=[RED])), Tlp.RED),
    "observed-data that names a RED domain": (bundle(observed(object_refs=[RED_SCO["id"]]), RED_SCO), Tlp.RED),
    "note about a RED object": (bundle(report("note", content=SECRET), stix(number=2, object_marking_refs=[RED])), Tlp.RED),
    "translation of a RED object": (bundle(stix("language-content", 9, object_ref=stix(number=2)["id"], contents={"de": {"name": SECRET}}), stix(number=2, object_marking_refs=[RED])), Tlp.RED),
    "relationship to a RED object": (bundle(stix("relationship", 9, relationship_type=SECRET, source_ref=stix(number=3)["id"], target_ref=RED_SCO["id"]), RED_SCO), Tlp.RED),
    "sighting by a RED victim": (bundle(stix("sighting", 9, sighting_of_ref=stix(number=3)["id"], where_sighted_refs=[stix("identity", 2)["id"]], x_note=SECRET), stix("identity", 2, name="victim", object_marking_refs=[RED])), Tlp.RED),
    "report that names an object nobody understands": (bundle(report(), stix(number=2, object_marking_refs=[OWN])), Tlp.RED),
    "report that lists the RED definition": (report(object_refs=[RED]), Tlp.RED),
    # properties and labels
    "x_tlp": (stix(x_tlp="red"), Tlp.RED),
    "tlp": (stix(tlp="RED"), Tlp.RED),
    "TLP in full width": (stix(ＴＬＰ="ｒｅｄ"), Tlp.RED),
    "tlpLevel": (stix(tlpLevel="Red"), Tlp.RED),
    "documentTlp": (stix(x_documentTlp="red"), Tlp.RED),
    "x_traffic_light_protocol": (stix(x_traffic_light_protocol="red"), Tlp.RED),
    "x_tlp with several": (stix(x_tlp=["green", "red"]), Tlp.RED),
    "x_tlp as an object": (stix(x_tlp={"color": "red", "since": "2026"}), Tlp.RED),
    "x_tlp as a number": (stix(x_tlp=4), "unknown-marking"),
    "x_tlp that is no level": (stix(x_tlp="mauve"), "unknown-marking"),
    "x_tlp of which one is no level": (stix(x_tlp=["green", "mauve"]), "unknown-marking"),
    "x_tlp as an object without level": (stix(x_tlp={"since": "2026"}), "unknown-marking"),
    "key that is a marking": (stix(x_flags={"TLP:RED": True}), Tlp.RED),
    "TLP's extension on an object": (stix(extensions={"extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d": {"extension_type": "property-extension", "tlp_2_0": "red"}}), Tlp.RED),
    "id of RED in a property": (stix(x_marking=RED), Tlp.RED),
    "id of RED in capitals": (stix(x_marking=RED.upper().replace("MARKING-DEFINITION", "marking-definition")), Tlp.RED),
    "name": (stix(name="TLP:RED - do not share"), Tlp.RED),
    "description": (stix(description="Seen at a victim.\n\nClassification: TLP:RED"), Tlp.RED),
    "text in a text": (stix(x_raw='{"tlp": "red"}'), Tlp.RED),
    "comment of a rule": (stix(pattern_type="sigma", pattern=f"title: {SECRET}\n# TLP:RED\n"), Tlp.RED),
    "comment of a pattern": (stix(pattern=f"[file:name = '{SECRET}'] /* TLP:RED */"), Tlp.RED),
    "AMBER+STRICT": (stix(labels=["tlp:amber+strict"]), Tlp.AMBER_STRICT),
    # definitions
    "definition in odd case": (bundle(definition(definition_type="TLP", definition={"TLP": "RED"}), stix(object_marking_refs=[GREEN, OWN])), "unknown-marking"),
    "definition of an unknown colour": (bundle(definition(definition_type="tlp", definition={"tlp": "mauve"}), stix(object_marking_refs=[GREEN, OWN])), "unknown-marking"),
    "definition GREEN that is called RED": (bundle(definition(definition_type="tlp", definition={"tlp": "green"}, name="TLP:RED"), stix(object_marking_refs=[OWN])), Tlp.RED),
    "definition that is only called RED": (bundle(definition(name="TLP:RED"), stix(object_marking_refs=[GREEN, OWN])), "unknown-marking"),
    "statement": (bundle(definition(definition_type="statement", definition={"statement": "TLP:RED - do not share"}), stix(object_marking_refs=[GREEN, OWN])), Tlp.RED),
    "statement in full width": (bundle(definition(definition_type="statement", definition={"statement": "ＴＬＰ：ＲＥＤ"}), stix(object_marking_refs=[GREEN, OWN])), Tlp.RED),
    "statement in lookalikes": (bundle(definition(definition_type="statement", definition={"statement": "ТLР:RЕD"}), stix(object_marking_refs=[GREEN, OWN])), "unknown-marking"),
    "definition that is itself RED": (bundle(definition(definition_type="statement", definition={"statement": SECRET}, object_marking_refs=[RED]), stix(object_marking_refs=[GREEN, OWN])), Tlp.RED),
    "definition that is itself RED and that nobody names": (bundle(definition(definition_type="statement", definition={"statement": SECRET}, object_marking_refs=[RED])), Tlp.RED),
    # around
    "bundle with object_marking_refs": (bundle(stix(), object_marking_refs=[RED]), Tlp.RED),
    "bundle with granular_markings": (bundle(stix(), granular_markings=[{"marking_ref": RED, "selectors": ["objects"]}]), Tlp.RED),
    "bundle with x_tlp": (bundle(stix(), x_tlp="red"), Tlp.RED),
    "bundle with tlp in lookalikes": (bundle(stix(), tlp="rеd"), "unknown-marking"),
    "bundle with a label": (bundle(stix(), labels=["TLP:RED"]), Tlp.RED),
    "bundle with an unknown marking": (bundle(stix(), object_marking_refs=[OWN]), "unknown-marking"),
    "TAXII page with tlp": ({"more": False, "tlp": "red", "objects": [stix()]}, Tlp.RED),
    # MISP
    "galaxy of an event": (event(attribute(), Galaxy=cluster(tag_name="tlp:red")), Tlp.RED),
    "cluster's tag": (event(attribute(), Galaxy=cluster(Tag=[{"name": "tlp:red"}])), Tlp.RED),
    "cluster's meta": (event(attribute(), Galaxy=cluster(meta={"tlp": ["red"]})), Tlp.RED),
    "cluster's elements": (event(attribute(), Galaxy=cluster(GalaxyElement=[{"key": "x", "value": "TLP:RED"}])), Tlp.RED),
    "galaxy in lookalikes": (event(attribute(), Galaxy=cluster(tag_name="ТLР:rеd")), "unknown-marking"),
    "galaxy of an attribute": (event(attribute(Galaxy=cluster(tag_name="tlp:red"))), Tlp.RED),
    "galaxy of an object": (event(Object=[{"name": "file", "Galaxy": cluster(tag_name="tlp:red"), "Attribute": [attribute()]}]), Tlp.RED),
    "tag of an object": (event(Object=[{"name": "file", "Tag": [{"name": "tlp:red"}], "Attribute": [attribute()]}]), Tlp.RED),
    "comment of an object": (event(Object=[{"name": "file", "comment": "TLP:RED", "Attribute": [attribute()]}]), Tlp.RED),
    "comment of an attribute": (event(attribute(comment="TLP:RED, from a victim")), Tlp.RED),
    "comment of a URL": (event(attribute(type="url", value=f"http://{SECRET}.example/", comment="TLP:RED")), Tlp.RED),
    "tag that is a text": (event(attribute(Tag=["tlp:red"])), Tlp.RED),
    "tag without a list": (event(attribute(Tag={"name": "tlp:red"})), Tlp.RED),
    "tag in another scheme": (event(attribute(Tag=[{"name": 'misp-galaxy:tlp="red"'}])), Tlp.RED),
    "info of an event": (event(attribute(), info="TLP:RED Case"), Tlp.RED),
    "property of an event": (event(attribute(), tlp="red"), Tlp.RED),
    "sharing group": (event(attribute(), SharingGroup={"name": "x", "releasability": "TLP:RED"}), Tlp.RED),
    "beside the event": (event(attribute()) | {"tlp": "red"}, Tlp.RED),
    "beside the response": ({"response": [event(attribute())], "tlp": "red"}, Tlp.RED),
    "report of an event": (event(attribute(value="x.example"), EventReport=[{"name": SECRET, "content": "TLP:RED"}]), Tlp.RED),
    "tag of a report of an event": (event(attribute(value="x.example"), EventReport=[{"name": SECRET, "content": "x", "Tag": [{"name": "tlp:red"}]}]), Tlp.RED),
    "event without a level": (event(attribute(), Tag=[], Galaxy=cluster(tag_name="tlp:red")), Tlp.RED),
    # advisories
    "CSAF label in full width": (advisory({"distribution": {"tlp": {"label": "ＲＥＤ"}}}), Tlp.RED),
    "CSAF distribution text": (advisory({"distribution": {"text": "TLP:RED", "tlp": {"label": "GREEN"}}}), Tlp.RED),
    "CSAF distribution is a text": (advisory({"distribution": "TLP:RED"}), Tlp.RED),
    "CSAF note": (advisory({"notes": [{"category": "legal_disclaimer", "text": "This is TLP:RED."}]}), Tlp.RED),
    "CSAF property beside the document": (advisory({}) | {"x_tlp": "red"}, Tlp.RED),
    "CSAF vulnerability's note": (advisory({}, notes=[{"category": "details", "text": "TLP:RED"}]), Tlp.RED),
    "CSAF vulnerability's threat": (advisory({}, threats=[{"category": "impact", "details": "TLP:RED"}]), Tlp.RED),
    "KEV catalogue": (catalogue({}, tlp="red"), Tlp.RED),
    "KEV entry": (catalogue({"notes": "TLP:RED"}), Tlp.RED),
    "KEV entry's own property": (catalogue({"x_tlp": "red"}), Tlp.RED),
}  # fmt: skip
SIGMA = f"title: {SECRET}\nlogsource: {{product: x}}\ndetection: {{a: {{b: c}}, condition: a}}\n"
YARA = f"rule {SECRET} {{ meta: %s condition: true }}"

RULE_FORMS: dict[str, tuple[str, str, Tlp | str]] = {
    "Sigma comment": ("x.yml", f"# TLP:RED\n{SIGMA}", Tlp.RED),
    "Sigma key": ("x.yml", f"{SIGMA}tlp: red\n", Tlp.RED),
    "Sigma list": ("x.yml", f"{SIGMA}tlp:\n  - red\n", Tlp.RED),
    "Sigma tag in full width": ("x.yml", f"{SIGMA}tags: [ｔｌｐ．ｒｅｄ]\n", Tlp.RED),
    "Sigma tag with a dash": ("x.yml", f"{SIGMA}tags: [tlp-red]\n", Tlp.RED),
    "Sigma description": ("x.yml", f"{SIGMA}description: TLP:RED\n", Tlp.RED),
    "Sigma key that is no level": ("x.yml", f"{SIGMA}tlp: mauve\n", "unknown-marking"),
    "YARA meta in full width": ("x.yar", YARA % 'tlp = "ＲＥＤ"', Tlp.RED),
    "YARA meta of another name": ("x.yar", YARA % 'rule_matching_tlp = "TLP:RED"', Tlp.RED),
    "YARA meta in lookalikes": ("x.yar", YARA % 'tlp = "rеd"', "unknown-marking"),
    "YARA comment": ("x.yar", "// TLP:RED\n" + YARA % 'a = "b"', Tlp.RED),
    "YARA tag": ("x.yar", f"rule {SECRET} : TLP_RED {{ condition: true }}", Tlp.RED),
}

TEXT_FORMS: dict[str, tuple[str, str, str]] = {  # the whole file is refused
    "report's header": ("x.md", f"# Case\n\nTLP:RED\n\nSeen: {SECRET}[.]example\n", "marked-stricter"),
    "report's bold header": ("x.md", f"**TLP:** **RED**\n\nSeen: {SECRET}[.]example\n", "marked-stricter"),
    "report's footer": ("x.md", f"Seen: {SECRET}[.]example\n\n---\nClassification: TLP:RED\n", "marked-stricter"),
    "report's header over two lines": ("x.md", f"## TLP\n\nRED\n\nSeen: {SECRET}[.]example\n", "marked-stricter"),
    "report in full width": ("x.md", f"ＴＬＰ：ＲＥＤ\n\nSeen: {SECRET}[.]example\n", "marked-stricter"),
    "report in lookalikes": ("x.md", f"ТLР:RЕD\n\nSeen: {SECRET}[.]example\n", "unknown-marking"),
    "report of an unknown colour": ("x.md", f"TLP:ROT\n\nSeen: {SECRET}[.]example\n", "unknown-marking"),
    "report that spells it out": ("x.md", f"Traffic Light Protocol: red\n\nSeen: {SECRET}[.]example\n", "marked-stricter"),
    "report with a PAP": ("x.md", f"TLP:GREEN PAP:RED\n\nSeen: {SECRET}[.]example\n", "pap-not-carried"),
    "list's comment": ("x.txt", f"# TLP:RED\n{SECRET}.example\n", "marked-stricter"),
    "list's comment with slashes": ("x.txt", f"//TLP:RED\n{SECRET}.example\n", "marked-stricter"),
    "list's last comment": ("x.txt", f"{SECRET}.example\n; TLP:RED\n", "marked-stricter"),
    "list's comment over two lines": ("x.txt", f"# TLP:\n# RED\n{SECRET}.example\n", "marked-stricter"),
    "list's line": ("x.txt", f"TLP:RED\n{SECRET}.example\n", "marked-stricter"),
    "table's comment": ("x.csv", f"# TLP:RED\nioc,note\n{SECRET}.example,x\n", "marked-stricter"),
    "table's header": ("x.csv", f"ioc,note (TLP:RED)\n{SECRET}.example,x\n", "marked-stricter"),
    "table's broken row": ("x.csv", f"ioc,note\n{SECRET}.example,x\nTLP:RED,a,b,c\n", "marked-stricter"),
    "table's value column": ("x.csv", f"ioc,note\nTLP:RED,\n{SECRET}.example,x\n", "marked-stricter"),
}  # fmt: skip

ROW_FORMS: dict[str, tuple[str, str, str]] = {  # the value is refused, its neighbour is not
    "comment behind a value": ("x.txt", f"{SECRET}.example # TLP:RED\nnext.example\n", "marked-stricter"),
    "note behind a tab": ("x.txt", f"{SECRET}.example\ttlp:red\nnext.example\n", "marked-stricter"),
    "column of levels": ("x.csv", f"ioc,tlp\n{SECRET}.example,RED\nnext.example,GREEN\n", "marked-stricter"),
    "column of levels in full width": ("x.csv", f"ioc,ＴＬＰ\n{SECRET}.example,ＲＥＤ\nnext.example,GREEN\n", "marked-stricter"),
    "column of levels, one unknown": ("x.csv", f"ioc,tlp\n{SECRET}.example,mauve\nnext.example,GREEN\n", "unknown-marking"),
    "column of PAP": ("x.csv", f"ioc,pap\n{SECRET}.example,RED\nnext.example,GREEN\n", "pap-not-carried"),
    "column of tags": ("x.csv", f"ioc,tags\n{SECRET}.example,apt;tlp:red\nnext.example,\n", "marked-stricter"),
    "comment column": ("x.csv", f"ioc,comment\n{SECRET}.example,do not share (TLP:RED)\nnext.example,\n", "marked-stricter"),
}  # fmt: skip


@pytest.mark.parametrize("form", JSON_FORMS)
def test_json_leaves_red_or_is_refused(form: str) -> None:
    content, expected = JSON_FORMS[form]
    for escaped in (True, False):
        check(json.dumps(content, ensure_ascii=escaped).encode(), "x.json", expected)


@pytest.mark.parametrize("form", RULE_FORMS)
def test_a_rule_leaves_red_or_is_refused(form: str) -> None:
    name, text, expected = RULE_FORMS[form]
    check(text.encode(), name, expected)


def check(raw: bytes, name: str, expected: Tlp | str) -> None:
    made = draft(raw, name)
    if isinstance(expected, Tlp):
        assert levels_of(made) == {expected}
    else:
        assert levels_of(made) <= {Tlp.RED}
        assert made.refusals.counts[expected]
    assert levels_of(draft(raw, name, Tlp.RED)) <= {Tlp.RED}


@pytest.mark.parametrize("form", TEXT_FORMS)
def test_a_text_that_says_how_it_is_marked_is_refused_as_a_whole(form: str) -> None:
    name, text, reason = TEXT_FORMS[form]
    with pytest.raises(RefusedError) as caught:
        draft(text.encode(), name)
    assert caught.value.reason == reason
    assert caught.value.hint
    if reason != "pap-not-carried":  # the person may say so
        assert levels_of(draft(text.encode(), name, Tlp.RED)) == {Tlp.RED}


@pytest.mark.parametrize("form", ROW_FORMS)
def test_a_value_that_is_marked_stricter_is_refused(form: str) -> None:
    name, text, reason = ROW_FORMS[form]
    made = draft(text.encode(), name)
    assert made.refusals.counts == {reason: 1}
    assert levels_of(made) == set()
    assert levels_of(made, "next.example") == {Tlp.GREEN}
    if reason == "marked-stricter":
        assert levels_of(draft(text.encode(), name, Tlp.RED)) == {Tlp.RED}


@pytest.mark.parametrize("words", [*UNDERSTOOD, *DISGUISED])
def test_words_however_they_are_spelled(words: str) -> None:
    """In a label, a tag, a text, a property, a rule, a comment and a report."""
    expected: Tlp | str = Tlp.RED if words in UNDERSTOOD else "unknown-marking"
    for content in (
        stix(labels=[words]),
        stix(description=f"From a victim; {words}."),
        bundle(stix(), x_note=words),
        event(attribute(Tag=[{"name": words}])),
        event(attribute(), Galaxy=cluster(tag_name=words)),
        advisory({"notes": [{"text": words}]}),
    ):
        check(json.dumps(content).encode(), "x.json", expected)
        check(json.dumps(content, ensure_ascii=False).encode(), "x.json", expected)
    for name, text in (
        ("x.md", f"{words}\n\nSeen: {SECRET}[.]example\n"),
        ("x.txt", f"# {words}\n{SECRET}.example\n"),
    ):
        with pytest.raises(RefusedError) as caught:
            draft(text.encode(), name)
        assert caught.value.reason == ("marked-stricter" if expected is Tlp.RED else expected)


@pytest.mark.parametrize(
    "text",
    [
        "See https://www.first.org/tlp/ for more.", "a tulip, a paper, a PaP-server", "tlphabet", "x.tlp", "HTTP LP:RED", "flight plan: red",
        "TLP:CLEAR", "tlp:white", "TLP:GREEN", "Für alle: TLP:GREEN – Grüße", "Это TLP:GREEN для всех", "красный", "red", "this is TLP",
    ],
)  # fmt: skip
def test_what_marks_nothing_stricter_leaves_as_before(text: str) -> None:
    for content in (stix(name=text), stix(description=text), event(attribute(comment=text))):
        assert levels_of(draft(json.dumps(content).encode())) == {Tlp.GREEN}
    assert levels_of(draft(f"# {text}\n{SECRET}.example\n".encode(), "x.txt")) == {Tlp.GREEN}
    assert levels_of(draft(f"{text}\n\nSeen: {SECRET}[.]example\n".encode(), "x.md")) == {Tlp.GREEN}


def test_a_label_that_begins_like_a_level_is_one_that_nobody_understands() -> None:
    for words in ("tlp-mauve", "TLP mauve", "tlp.mauve", "TLP: see the report"):
        for content in (stix(labels=[words]), event(attribute(Tag=[{"name": words}]))):
            check(json.dumps(content).encode(), "x.json", "unknown-marking")


def test_a_scheme_that_is_spoken_of_is_told() -> None:
    for raw, name in (
        (json.dumps(stix(description="From a victim; tlp-mauve.")).encode(), "x.json"),
        (json.dumps(stix(description="As the TLP has it.")).encode(), "x.json"),
        (json.dumps(bundle(stix(), x_note="As the TLP has it.")).encode(), "x.json"),
        (json.dumps(event(attribute(), Galaxy=cluster(value="TLP"))).encode(), "x.json"),
        (json.dumps(advisory({"title": "About TLP"})).encode(), "x.json"),
        (f"# As the TLP has it\n{SECRET}.example\n".encode(), "x.txt"),
        (f"As the TLP has it\n\nSeen: {SECRET}[.]example\n".encode(), "x.md"),
        (f"ioc,comment\n{SECRET}.example,as the TLP has it\n".encode(), "x.csv"),
        (f"{SECRET}.example\ntlp.red\n".encode(), "x.txt"),  # a domain, maybe
    ):
        made = draft(raw, name)
        assert levels_of(made) == {Tlp.GREEN}
        assert "marking-spoken-of" in made.notes.counts


def test_what_was_tightened_is_told() -> None:
    made = draft(json.dumps(stix(labels=["tlp:red"])).encode())
    assert made.notes.counts == {"tightened": 1}
    made = draft(json.dumps(bundle(report(), stix(number=2, object_marking_refs=[RED]))).encode())
    assert made.notes.counts == {"tightened": 1}


def test_words_never_mark_and_never_loosen() -> None:
    unmarked = json.dumps(
        {name: value for name, value in stix(labels=["tlp:green"]).items() if name != "object_marking_refs"}
    )
    assert draft(unmarked.encode(), tlp=None).refusals.counts == {"no-marking": 1}
    assert levels_of(draft(unmarked.encode(), tlp=Tlp.AMBER)) == {Tlp.AMBER}
    assert levels_of(draft(json.dumps(stix(object_marking_refs=[RED], labels=["tlp:clear"])).encode())) == {
        Tlp.RED
    }
    for content in (
        event(attribute(), Tag=[], info="TLP:GREEN"),
        advisory({"distribution": {"text": "TLP:GREEN"}}),
    ):
        assert draft(json.dumps(content).encode(), tlp=None).refusals.counts["no-marking"]
    with pytest.raises(RefusedError, match="no marking"):
        draft(f"# TLP:GREEN\n{SECRET}.example\n".encode(), "x.txt", None)


def test_what_an_adversary_writes_marks_nothing() -> None:
    """Else a domain would be kept from those whom it attacks by its name."""
    for value in ("tlp-red.example", "tlp.red", "www.tlp-mauve.example"):
        for content in (
            stix(pattern=f"[domain-name:value = '{value}']", name=value, x_note=SECRET),
            observed(objects={"0": {"type": "domain-name", "value": value}}),
            event(attribute(value=value, comment=SECRET)),
        ):
            made = draft(json.dumps(content).encode())
            assert levels_of(made) == {Tlp.GREEN}
        for text, name in ((f"{value}\n", "x.txt"), (f"ioc,comment\n{value},x\n", "x.csv")):
            assert levels_of(draft(text.encode(), name), value) == {Tlp.GREEN}


def test_an_older_version_keeps_its_own_marking() -> None:
    older, newer = stix(), stix(modified="2026-02-01T00:00:00Z", object_marking_refs=[RED])
    assert levels_of(draft(json.dumps(bundle(older, newer)).encode())) == {Tlp.GREEN, Tlp.RED}


def test_the_same_object_in_a_stricter_bundle_is_stricter() -> None:
    lines = "\n".join(json.dumps(one) for one in (bundle(stix()), bundle(stix(), x_tlp="red")))
    made = draft(lines.encode())
    assert levels_of(made) == {Tlp.RED}
    assert made.merged == 1


def test_what_one_object_says_does_not_mark_its_neighbours() -> None:
    loud, quiet_one = stix(number=1, labels=["tlp:red"]), stix(number=2, x_note="neighbour")
    made = draft(json.dumps(bundle(loud, quiet_one, loud | {"id": stix(number=3)["id"]})).encode())
    assert levels_of(made, "neighbour") == {Tlp.GREEN}


def test_a_pap_that_only_words_say_goes_with_the_claim() -> None:
    frame = json.dumps([stix(labels=["PAP:RED"]), stix(number=2)]).encode()
    loud, plain = extract(frame, floor=Tlp.GREEN).objects
    assert (loud.claims[0].pap, plain.claims[0].pap) == (Pap.RED, None)


def test_a_partner_s_words_count_like_its_markings() -> None:
    frame = json.dumps([stix(labels=["tlp:red"]), stix(number=2, x_tlp="mauve"), stix(number=3)]).encode()
    extraction = extract(frame, floor=Tlp.GREEN)
    assert [fact.tlp for fact in extraction.objects] == [Tlp.RED, Tlp.RED, Tlp.GREEN]
    assert extraction.notes.counts == {"unknown-marking": 1}


def test_nothing_of_it_reaches_everybody(world: World) -> None:
    """The whole way, with a real store: prepared, shown, sealed."""
    alpha = world.found("alpha")
    befriend(alpha, world.found("bravo"))
    content = bundle(
        *(
            stix(number=number, **more)
            for number, more in enumerate(({}, {"labels": ["tlp:red"]}, {"x_tlp": "red"}))
        )
    )
    made = draft(json.dumps(content).encode())
    report_ = publish(alpha, made.parts, names=[], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)
    assert (report_.published, report_.markings) == (1, {"TLP:GREEN"})
    assert report_.refusals.total == 2


# --- a RED marking anywhere in any tree ---

MARKS = st.sampled_from(
    [
        {"object_marking_refs": [RED]}, {"granular_markings": [{"marking_ref": TLP1_RED, "selectors": ["x"]}]}, {"labels": ["TLP:RED"]}, {"tlp": "red"},
        {"x_tlp": ["RED"]}, {"definition": {"tlp": "Red"}}, {"TLP": {"level": "red"}}, {"note": "this is TLP:RED."}, {"tlp_2_0": "red"}, "tlp-red", "TLP:RED", RED,
        {"TLP:RED": 1}, {"objects": {"0": RED_DOMAIN}}, {"x": "ＴＬＰ：ＲＥＤ"}, {"x": "ТLР:RЕD"}, {"x": "T\u200bLP:RED"}, {"tlp": "mauve"}, {"tlp": 4},
    ]
)  # fmt: skip
KEYS = st.sampled_from(
    ["a", "labels", "x_note", "extensions", "ä", "name", "comment", "object_refs", "0", "light", "paper"]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.text(max_size=6)
    | st.sampled_from(["TLP:GREEN", "pap", "Zürich", GREEN, "light"])
)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


@st.composite
def marked_trees(draw: st.DrawFn) -> Any:
    """A tree with a mark in one place, however deep."""
    tree = draw(MARKS)
    for _ in range(draw(st.integers(0, 4))):
        siblings = draw(st.lists(TREES, max_size=2))
        if draw(st.booleans()):
            siblings.insert(draw(st.integers(0, len(siblings))), tree)
            tree = siblings
        else:
            tree = {f"k{place}": sibling for place, sibling in enumerate(siblings)} | {draw(KEYS): tree}
    return tree


def everything_of(raw: bytes, default: Tlp | None) -> Iterator[Tlp]:
    """The level of each object of the file that would be sealed, as the reader of partners' content sees it."""
    reading = read_stix(raw)
    grouping = split_by_marking(reading.objects, default)
    placed = sum(len(group.objects) - group.repeats for group in grouping.groups)
    assert placed + grouping.refusals.total + reading.refusals.total == reading.read
    for group in grouping.groups:
        for frame in frames(group.objects):
            extraction = extract(frame, floor=group.tlp)
            assert not extraction.refusals
            yield from (fact.tlp for fact in extraction.objects)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    marked_trees(),
    st.sampled_from(["x_custom", "extensions", "objects", "x_embedded"]),
    st.sampled_from(["report", "tool", "indicator", "observed-data", "x-custom"]),
    st.sampled_from([Tlp.GREEN, Tlp.CLEAR, None]),
    st.booleans(),
)
@example("TLP:RED", "x_custom", "indicator", None, True)
@example([[RED]], "x_custom", "tool", None, False)
def test_a_red_marking_anywhere_in_an_object_makes_it_red(
    tree: Any, name: str, type_: str, default: Tlp | None, escaped: bool
) -> None:
    more = {"tool": {"name": "x"}, "report": {"name": "x", "published": INSTANT, "object_refs": []}, "observed-data": {"first_observed": INSTANT, "last_observed": INSTANT, "number_observed": 1}}  # fmt: skip
    object_ = stix(type_, **more.get(type_, {})) | {name: {"in": tree}}
    raw = json.dumps([object_], ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    assert set(everything_of(raw, default)) <= {Tlp.RED}
    extraction = extract(raw, floor=Tlp.CLEAR)  # and where a partner sent it
    assert [fact.tlp for fact in extraction.objects] == [Tlp.RED] * (1 - extraction.refusals.total)


@given(marked_trees(), st.sampled_from([Tlp.GREEN, None]))
def test_a_red_marking_anywhere_on_a_bundle_makes_all_in_it_red(tree: Any, default: Tlp | None) -> None:
    raw = json.dumps(bundle(stix(), stix("tool", 2, name="x"), x_custom=tree)).encode(
        "utf-8", "surrogatepass"
    )
    assert set(everything_of(raw, default)) <= {Tlp.RED}


@given(TREES, st.booleans())
@example("\u200btlp\u200b:\u200bred", False)
@example({"tlp": "red"}, True)
def test_a_look_at_the_bytes_overlooks_nothing(tree: Any, escaped: bool) -> None:
    raw = json.dumps(tree, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    if not may_hold_words(raw):
        found = words_in(tree)
        assert not (found.tlp or found.pap or found.unknown or found.spoken)


@pytest.mark.parametrize("words", [*UNDERSTOOD, *DISGUISED])
def test_a_look_at_the_bytes_sees_each_spelling(words: str) -> None:
    found = words_in_text(words)
    assert found.tlp or found.unknown
    for escaped in (True, False):
        raw = json.dumps(words, ensure_ascii=escaped).encode()
        assert may_hold_words(raw)
        assert may_hold_words(raw + b" " * 10_000)


@st.composite
def disguised(draw: st.DrawFn) -> str:
    """A level in letters that look like its own, between characters that nobody sees."""
    scheme, sign, level = draw(st.sampled_from(["tlp", "pap"])), draw(st.sampled_from([":", ": ", "-", " ", "=", ": “"])), draw(st.sampled_from(["red", "amber", "mauve"]))  # fmt: skip
    text = ""
    for letter in scheme + sign + level:
        text += draw(st.sampled_from([letter, letter.upper(), *LOOKALIKES.get(letter, ())]))
        text += draw(st.sampled_from(["", "", "", "\u200b", "\u0301", "\u3164", "\ufe0f"]))
    return (
        draw(st.sampled_from(["", "see ", "é ", "— ", "日本 "]))
        + text
        + draw(st.sampled_from(["", ".", " ü", "日本"]))
    )


@given(disguised())
def test_a_look_at_the_bytes_overlooks_no_disguise(text: str) -> None:
    found = words_in_text(text)
    if found.tlp or found.pap or found.unknown:
        for escaped in (True, False):
            raw = json.dumps(text, ensure_ascii=escaped).encode()
            assert may_hold_words(raw)
            assert may_hold_words(raw + b" " * 10_000)


def test_a_level_at_the_end_of_a_long_text_is_found() -> None:
    for filler in ("word ", "слово ", "tulip ", "\ufdfa"):
        assert words_in_text(filler * 20_000 + "TLP:RED").tlp == {"RED"}
        assert words_in_text("TLP:RED " + filler * 20_000).tlp == {"RED"}
        assert words_in_text(filler * 20_000 + "ТLР:RЕD").unknown
        assert not words_in_text(filler * 20_000)


def test_more_than_anybody_marks_with_is_not_understood() -> None:
    """So that no text costs seconds: a partner may have written it."""
    for tree in (
        "tlp x " * 100,
        "tlp x " * 100_000,
        [f"tlp {number}" for number in range(1_000)],
        ["tlp", [0] * 100_000],
        {"x": [RED[:-4] + f"{number:04x}" for number in range(1_000)]},
    ):
        assert words_in(tree).unknown
    frame = json.dumps([stix(number=number, description="tlp x " * 100) for number in range(1_000)]).encode()
    extraction = extract(frame, floor=Tlp.GREEN)
    assert {fact.tlp for fact in extraction.objects} == {Tlp.RED}


def test_a_report_of_the_most_objects_may_speak_of_tlp() -> None:
    refs = [stix(number=number)["id"] for number in range(REPORT_REFS_MAX)]
    made = draft(json.dumps(report(object_refs=refs, labels=["tlp:green"])).encode())
    assert levels_of(made) == {Tlp.GREEN}


LEVELS = st.dictionaries(st.integers(0, 7), st.sampled_from(list(Tlp)), min_size=2)


@given(LEVELS, st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=14))
def test_no_object_is_looser_than_what_it_names(levels: dict[int, Tlp], edges: list[tuple[int, int]]) -> None:
    ids = {number: stix("grouping", number)["id"] for number in levels}
    named = {number: [ids[to] for from_, to in edges if from_ == number and to in ids] for number in levels}
    objects = [
        stix(
            "grouping", number, context="x", object_refs=named[number], object_marking_refs=[TLP2_IDS[level]]
        )
        for number, level in levels.items()
    ]
    grouping = split_by_marking(read_stix(json.dumps(objects).encode()).objects)
    placed = {one.object_id: group.tlp for group in grouping.groups for one in group.objects}
    assert placed.keys() == set(ids.values())
    for number, level in levels.items():
        expected = {number}
        while more := {to for from_, to in edges if from_ in expected and to in ids} - expected:
            expected |= more
        assert placed[ids[number]] == max(level, *(levels[one] for one in expected))


def test_known_ids_are_known_whatever_else_they_say() -> None:
    """The definition of TLP:RED beside GREEN objects, which nobody names, marks nothing."""
    red = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": RED,
        "created": INSTANT,
        "name": "TLP:RED",
        "definition_type": "tlp",
        "definition": {"tlp": "red"},
    }
    assert RED in KNOWN
    assert levels_of(draft(json.dumps(bundle(red, stix())).encode())) == {Tlp.GREEN}
    assert AMBER in KNOWN
