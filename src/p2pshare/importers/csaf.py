"""CSAF 2.0 documents (OASIS) as STIX: vulnerabilities, courses of action, and which of them mitigates which.

Checked are the parts that every document must have (section 3.2.1 and 3.2.2; the rest of a profile's tests is
the publisher's work). Each vulnerability becomes one of ours with `x_csaf`: the document and its publisher,
scores, and products by status, with what identifies the first of them (`identified`). Each remediation that mends something becomes a course of action with a
`mitigates` relationship; the same advice given for ten vulnerabilities is one course of action. `none_available`
and `no_fix_planned` mend nothing and stand in `x_csaf`. The document's TLP label is the marking of all of them. Other
words of marking tighten it: those of a vulnerability for its own objects, all others for every object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from p2pshare.errors import AuthorError
from p2pshare.importers.advisories import (
    filled,
    keep,
    lacking,
    members_of,
    object_of_ours,
    outermost_members,
    tell_once,
    text_of,
    words_of,
)
from p2pshare.importers.interface import InputSource, ObjectFormat
from p2pshare.importers.rules import marking_refs
from p2pshare.intel.artefacts import canonical_cve
from p2pshare.intel.bundle import BundleObject, Reading, object_of
from p2pshare.intel.instants import SECOND_US, format_instant, parse_instant
from p2pshare.intel.json_text import Fault, find_half_surrogate, parse_object, without_bom
from p2pshare.intel.marking import Tlp
from p2pshare.intel.marking_words import MarkingWords
from p2pshare.intel.refusals import InvalidValue
from p2pshare.limits import PRODUCT_CHARACTERS_MAX, PRODUCTS_PER_STATUS_MAX

# Section 3.2.1: what /document must hold. A slash leads into an object.
MANDATORY: dict[str, type] = {
    "category": str,
    "csaf_version": str,
    "publisher/category": str,
    "publisher/name": str,
    "publisher/namespace": str,
    "title": str,
    "tracking/current_release_date": str,
    "tracking/id": str,
    "tracking/initial_release_date": str,
    "tracking/revision_history": list,
    "tracking/status": str,
    "tracking/version": str,
}
# Section 4: what the profiles add that we read.
MANDATORY_OF_PROFILE = {
    "csaf_security_advisory": ("product_tree", "vulnerabilities"),
    "csaf_vex": ("product_tree", "vulnerabilities"),
}
MENDS_NOTHING = frozenset({"none_available", "no_fix_planned"})
IDENTIFIED_PER_STATUS_MAX = (
    64  # of one vulnerability: what identifies a product takes up to 2 KiB, its name 256 bytes
)
HELPERS_MAX = 16  # model numbers and order numbers of one product; the most in CISA's advisories is 12
# Section 3.1.2.2: the branches above a product that say what it is. The last leaf says the version, whatever its category.
NAMING_BRANCHES = {"vendor": "vendor", "product_family": "family", "product_name": "product"}


@dataclass(frozen=True)
class _Document:
    """Properties of a document that all objects made from it share."""

    source: InputSource
    name: str  # of the document, in ids: namespace of the publisher, then the id that is unique there
    created: str
    tlp: list[str]
    words: MarkingWords
    about: dict[str, Any]  # for x_csaf
    references: list[dict[str, str]]
    products: dict[str, str]
    identified: dict[str, dict[str, Any]]  # by product id: what identifies it beyond its name


def read_csaf(raw: bytes, source: InputSource) -> Reading:
    """Returns the vulnerabilities of a document and their remediations. Raises AuthorError, as
    `outermost_members` does, and missing-property, wrong-type, csaf-version, bad-timestamp, unknown-marking:
    a document is valid or it is not. Only half of a surrogate pair, which no checker of CSAF finds, costs no
    more than the vulnerability it stands in."""
    half: AuthorError | None = None
    try:
        outermost_members(raw)
    except AuthorError as error:
        if error.reason != "half-surrogate":
            raise
        half = error
    content, fault = parse_object(without_bom(raw))
    if half and (content is None or find_half_surrogate(content | {"vulnerabilities": None})):
        raise half
    if content is None:
        raise AuthorError(
            "the JSON is ambiguous",
            hint=fault.path if fault else "",
            reason=fault.reason if fault else "not-json",
        )
    reading = Reading()
    around = words_of(raw, content, "product_tree", "vulnerabilities")
    document = _open(content, source, tell_once(around, "the document", reading))
    seen: dict[str, BundleObject] = {}
    for position, item in enumerate(members_of(content, "vulnerabilities")):
        where = f"vulnerabilities[{position}]"
        own = words_of(raw, item if isinstance(item, dict) else {})
        words = own.without_spoken().merged(document.words)
        made = (half and find_half_surrogate(item)) or _vulnerability(item, document, words, reading)
        if not keep(reading, seen, made, where) or isinstance(made, Fault):
            continue
        for number, action in enumerate(_actions(item, document)):
            path = f"{where}/remediations[{number}]"
            if keep(reading, seen, object_of(action, around=words), path):
                mitigates = _mitigates(action["id"], made.object_id, document)
                keep(reading, seen, object_of(mitigates, around=words), path)
    return reading


def _open(content: Mapping[str, Any], source: InputSource, words: MarkingWords) -> _Document:
    """Check the parts that every document must have, and return what all objects of it share. Raises AuthorError."""
    document: Any = content.get("document")
    for path, type_ in MANDATORY.items():
        value: Any = document
        for name in path.split("/"):
            value = value.get(name) if isinstance(value, dict) else None
        if not value:
            raise lacking(f"/document/{path}")
        if not isinstance(value, type_):
            raise AuthorError(f"/document/{path} is of the wrong type", reason="wrong-type")
    if document["csaf_version"] != "2.0":
        raise AuthorError("the document is not CSAF 2.0", hint="only 2.0 is read", reason="csaf-version")
    for name in MANDATORY_OF_PROFILE.get(document["category"], ()):
        if not content.get(name):
            raise lacking(f"/{name}")
    tracking, publisher = document["tracking"], document["publisher"]
    return _Document(
        source=source,
        name=f"csaf:{publisher['namespace']}:{tracking['id']}",
        created=_instant(tracking["initial_release_date"], source.now),
        tlp=marking_refs(source.tlp, _tlp(document)),
        words=words,
        about=_about(document),
        references=_references_to(document),
        products=dict(_products(content.get("product_tree"))),
        identified=_identified(content.get("product_tree")),
    )


def _instant(text: str, now: int) -> str:
    try:
        instant_us = min(parse_instant(text), now * SECOND_US)
    except ValueError:
        raise AuthorError(
            "/document/tracking/initial_release_date is no instant", reason="bad-timestamp"
        ) from None
    return format_instant(instant_us) or ""


def _tlp(document: Mapping[str, Any]) -> Tlp | None:
    """Returns the document's level. Raises AuthorError unknown-marking: section 3.2.1.5 knows four labels."""
    distribution = document.get("distribution")
    tlp = distribution.get("tlp") if isinstance(distribution, dict) else None
    return Tlp.parse(text_of(tlp, "label")) if tlp is not None else None


def _about(document: Mapping[str, Any]) -> dict[str, Any]:
    tracking, publisher = document["tracking"], document["publisher"]
    return filled(
        {
            "title": document["title"],
            "category": document["category"],
            "tracking_id": tracking["id"],
            "version": tracking["version"],
            "status": tracking["status"],
            "current_release_date": tracking["current_release_date"],
            "publisher": publisher["name"],
            "publisher_category": publisher["category"],
            "publisher_namespace": publisher["namespace"],
            "distribution": text_of(document.get("distribution"), "text"),
        }
    )


def _references_to(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """Returns the references to the document itself: its publisher's name for it, and the addresses it states."""
    own = [
        text_of(one, "url")
        for one in members_of(document, "references")
        if text_of(one, "category") == "self"
    ]
    first = {
        "source_name": document["publisher"]["name"],
        "external_id": document["tracking"]["id"],
        "url": own[0] if own else "",
    }
    return [filled(first), *({"source_name": "reference", "url": url} for url in own[1:] if url)]


def _products(tree: object) -> Iterator[tuple[str, str]]:
    """Yields (product id, name) of every product in the tree (section 3.2.2). Bounded by the depth of the JSON."""
    pending: list[object] = [tree]
    while pending:
        node = pending.pop()
        if not isinstance(node, dict):
            continue
        pending += members_of(node, "branches") + members_of(node, "relationships")
        for product in (
            node.get("product"),
            node.get("full_product_name"),
            *members_of(node, "full_product_names"),
        ):
            if text_of(product, "product_id") and text_of(product, "name"):
                yield text_of(product, "product_id"), text_of(product, "name")[:PRODUCT_CHARACTERS_MAX]


def _identified(tree: object) -> dict[str, dict[str, Any]]:
    """Returns what identifies each product of the tree, by product id: vendor, product and versions of its branches, its helpers
    (section 3.1.3.3), and of a component the product it is in (`component_of`, one level)."""
    found: dict[str, dict[str, Any]] = {}
    pending: list[tuple[object, dict[str, Any]]] = [(tree, {})]
    while pending:
        node, above = pending.pop()
        if not isinstance(node, dict):
            continue
        for product in (node.get("product"), *members_of(node, "full_product_names")):
            if text_of(product, "product_id"):
                found[text_of(product, "product_id")] = filled(above | _helpers(product))
        for branch in members_of(node, "branches"):
            category, name = text_of(branch, "category"), text_of(branch, "name")[:PRODUCT_CHARACTERS_MAX]
            said = {NAMING_BRANCHES.get(category, "versions"): name}
            pending.append(
                (branch, above | said | ({"is_range": True} if category.endswith("_range") else {}))
            )
    for relationship in members_of(tree, "relationships"):
        made = (
            text_of(relationship.get("full_product_name"), "product_id")
            if isinstance(relationship, dict)
            else ""
        )
        part = found.get(text_of(relationship, "product_reference"))
        whole = found.get(text_of(relationship, "relates_to_product_reference"))
        if made and part:
            found[made] = part | ({"component_of": whole} if whole and "component_of" not in whole else {})
    return found


def _helpers(product: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the helpers of a product that name it; hashes and addresses do not tell a model."""
    helper = product.get("product_identification_helper")
    return {
        "purl": text_of(helper, "purl")[:PRODUCT_CHARACTERS_MAX],
        "cpe": text_of(helper, "cpe")[:PRODUCT_CHARACTERS_MAX],
    } | {
        name: [one[:PRODUCT_CHARACTERS_MAX] for one in members_of(helper, name) if isinstance(one, str)][
            :HELPERS_MAX
        ]
        for name in ("model_numbers", "skus")
    }


def _vulnerability(
    item: object, document: _Document, words: MarkingWords, reading: Reading
) -> BundleObject | Fault:
    if not isinstance(item, dict):
        return Fault("wrong-type", "")
    own_ids = [text_of(one, "text") for one in members_of(item, "ids")]
    name = text_of(item, "cve") or next((one for one in own_ids if one), "")
    if not name:
        return Fault("missing-property", "/cve")
    if "cve" in item:
        try:
            name = canonical_cve(name)
        except InvalidValue as invalid:
            return Fault(invalid.reason, "/cve")
    notes = [text_of(note, "text") for note in members_of(item, "notes")]
    stix = _object_of("vulnerability", f"{document.name}:{name}", document)
    stix |= {
        "name": name,
        "description": "\n\n".join(note for note in (text_of(item, "title"), *notes) if note),
        "external_references": [
            *([{"source_name": "cve", "external_id": name}] if "cve" in item else []),
            *document.references,
            *_references_of(item),
        ],
        "x_csaf": document.about
        | filled(
            {
                "scores": [score for one in members_of(item, "scores") for score in _scores(one)],
                "products": _products_by_status(item, document, reading),
                "identified": _identified_by_status(item, document),
                "no_fix": [
                    filled({"category": text_of(one, "category"), "details": text_of(one, "details")})
                    for one in members_of(item, "remediations")
                    if text_of(one, "category") in MENDS_NOTHING
                ],
            }
        ),
    }
    return object_of(filled(stix), around=words)


def _references_of(item: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    cwe = item.get("cwe")
    if text_of(cwe, "id"):
        yield filled(
            {"source_name": "cwe", "external_id": text_of(cwe, "id"), "description": text_of(cwe, "name")}
        )
    for own in members_of(item, "ids"):
        if text_of(own, "text"):
            yield {"source_name": text_of(own, "system_name") or "id", "external_id": text_of(own, "text")}
    for reference in members_of(item, "references"):
        if text_of(reference, "url"):
            yield filled(
                {
                    "source_name": "reference",
                    "description": text_of(reference, "summary"),
                    "url": text_of(reference, "url"),
                }
            )


def _scores(score: object) -> Iterator[dict[str, Any]]:
    for name in ("cvss_v2", "cvss_v3"):
        cvss = score.get(name) if isinstance(score, dict) else None
        if isinstance(cvss, dict) and isinstance(cvss.get("baseScore"), int | float):
            yield filled(
                {
                    "version": text_of(cvss, "version"),
                    "base_score": cvss["baseScore"],
                    "base_severity": text_of(cvss, "baseSeverity"),
                    "vector": text_of(cvss, "vectorString"),
                }
            )


def _products_by_status(
    item: Mapping[str, Any], document: _Document, reading: Reading
) -> dict[str, list[str]]:
    """Returns names of products under `known_affected`, `fixed` and so on; the first of each status."""
    found: dict[str, list[str]] = {}
    statuses = item.get("product_status")
    for status in sorted(statuses) if isinstance(statuses, dict) else ():
        ids = [one for one in members_of(statuses, status) if isinstance(one, str)]
        if len(ids) > PRODUCTS_PER_STATUS_MAX:
            reading.notes.add(
                "products-left-out", text_of(item, "cve"), count=len(ids) - PRODUCTS_PER_STATUS_MAX
            )
        found[status] = [
            document.products.get(one, one[:PRODUCT_CHARACTERS_MAX]) for one in ids[:PRODUCTS_PER_STATUS_MAX]
        ]
    return filled(found)


def _identified_by_status(item: Mapping[str, Any], document: _Document) -> dict[str, list[dict[str, Any]]]:
    """Returns what identifies the first products of each status, where anything does; each also has its name."""
    statuses = item.get("product_status")
    return filled(
        {
            status: [
                {"name": document.products[one]} | document.identified[one]
                for one in members_of(statuses, status)[:IDENTIFIED_PER_STATUS_MAX]
                if isinstance(one, str) and one in document.products and document.identified.get(one)
            ]
            for status in (sorted(statuses) if isinstance(statuses, dict) else ())
        }
    )


def _actions(item: Mapping[str, Any], document: _Document) -> Iterator[dict[str, Any]]:
    """Yields a course of action for each remediation that mends something; its id is of its content."""
    for remediation in members_of(item, "remediations"):
        category, details = text_of(remediation, "category"), text_of(remediation, "details")
        if category in MENDS_NOTHING:
            continue
        url = text_of(remediation, "url")
        digest = hashlib.sha256(
            "\0".join((category, details, url)).encode("utf-8", "surrogatepass")
        ).hexdigest()
        name = f"{document.name}:remediation:{digest}"
        stix = _object_of("course-of-action", name, document)
        yield filled(
            stix
            | {
                "name": f"{category.replace('_', ' ') or 'remediation'} of {document.about['tracking_id']}",
                "description": details,
                "external_references": [
                    *document.references,
                    *([{"source_name": "reference", "url": url}] if url else []),
                ],
                "labels": [category] if category else [],
            }
        )


def _object_of(type_: str, name: str, document: _Document) -> dict[str, Any]:
    """Returns the beginning of an object of ours that the document is the source of."""
    return object_of_ours(type_, name, document.source, document.created, document.tlp, document.name)


def _mitigates(action_id: str, vulnerability_id: str, document: _Document) -> dict[str, Any]:
    name = f"{action_id}:mitigates:{vulnerability_id}"
    stix = _object_of("relationship", name, document)
    return filled(
        stix | {"relationship_type": "mitigates", "source_ref": action_id, "target_ref": vulnerability_id}
    )


FORMAT = ObjectFormat(read_csaf)
