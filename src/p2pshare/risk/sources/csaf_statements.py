"""CSAF 2.0 and 2.1 (OASIS): what a document says of which product, as statements.

`fixed` alone means that the same component below it, in the same product, is affected: Red Hat writes a thousand `fixed` for
each `known_affected`. Statuses of products that are nowhere in the tree are told, and cost themselves alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from p2pshare.errors import AuthorError
from p2pshare.risk.device_versions import read_version
from p2pshare.risk.extra import base_score
from p2pshare.risk.match_keys import read_purl
from p2pshare.risk.sources.csaf_products import ProductTree, read_product_tree
from p2pshare.risk.sources.cve_records import AUTOMATABLE, EXPLOITATION, TECHNICAL_IMPACT
from p2pshare.risk.sources.source_files import (
    cve_or_none,
    day_of,
    list_in,
    parse_json,
    seconds_of,
    text_in,
    texts_in,
    vulnerability_name,
)
from p2pshare.risk.statements import (
    AdvisoryProduct,
    DocumentRead,
    DocumentSaid,
    ProductStatement,
    VulnerabilitySaid,
)

VERSIONS_READ = ("2.0", "2.1")
TEXT_CHARACTERS_MAX = 500
BETWEEN_MAX = 50  # of single versions of one product: more is a list, and no range is meant
STATEMENTS_MAX = 1_000_000  # of one document: vulnerabilities times products
TOLD_MAX = 200

# Section 3.2.3.9: status in the document -> ours. Of `first_affected`, `last_affected` and `recommended` see below.
STATUSES = {
    "known_affected": "affected",
    "first_affected": "affected",
    "last_affected": "affected",
    "known_not_affected": "not_affected",
    "fixed": "fixed",
    "first_fixed": "fixed",
    "under_investigation": "under_investigation",
    "unknown": "possible",
}
REMEDIES = (
    "vendor_fix",
    "mitigation",
    "workaround",
    "fix_planned",
    "optional_patch",
    "none_available",
    "no_fix_planned",
)

Family = tuple[str, str, str, str, str]


def read_csaf_statements(raw: bytes) -> DocumentRead:
    """Returns what a document says. Raises AuthorError `not-csaf`, `csaf-version`, and as `parse_json` does."""
    content = parse_json(raw)
    head = content.get("document")
    publisher = text_in(head, "publisher", "name")
    tracking = text_in(head, "tracking", "id")
    if not isinstance(head, dict) or not tracking or not text_in(head, "tracking", "version"):
        raise AuthorError(
            "the file is no CSAF document", hint="it lacks /document/tracking", reason="not-csaf"
        )
    if text_in(head, "csaf_version") not in VERSIONS_READ:
        raise AuthorError("the document is neither CSAF 2.0 nor 2.1", reason="csaf-version")
    read = DocumentRead(
        DocumentSaid(
            "csaf",
            _namespace(text_in(head, "publisher", "namespace")),
            tracking,
            text_in(head, "tracking", "version"),
            publisher=publisher,
            publisher_category=text_in(head, "publisher", "category").lower(),
            title=text_in(head, "title")[:TEXT_CHARACTERS_MAX],
            dated=seconds_of(text_in(head, "tracking", "current_release_date")),
            sharing_group=text_in(head, "distribution", "sharing_group", "id"),
        )
    )
    tree = read_product_tree(content.get("product_tree"), publisher)
    read.told += tree.told
    for number, item in enumerate(list_in(content, "vulnerabilities")):
        names = _names(item)
        if not names:
            read.told.append(f"vulnerabilities[{number}] has neither a CVE nor another id: left out")
            continue
        read.vulnerabilities.append(_vulnerability(item, names))
        read.statements += _statements(item, names[0], tree, read)
        if len(read.statements) > STATEMENTS_MAX:
            raise AuthorError(f"more than {STATEMENTS_MAX} statements", reason="too-many-statements")
    if len(read.told) > TOLD_MAX:
        read.told[TOLD_MAX:] = [f"... and {len(read.told) - TOLD_MAX} more"]
    return read


def _namespace(text: str) -> str:
    """Returns a publisher's namespace as it is compared: a host has no case, and a slash at the end says nothing."""
    scheme, sign, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{sign}{host.lower()}{slash}{path}".rstrip("/") if sign else text


def _names(item: object) -> list[str]:
    """Returns the CVE and other ids, the CVE first. Empty where there is none."""
    cve = cve_or_none(text_in(item, "cve"))
    ids = [vulnerability_name(text_in(one, "text")) for one in list_in(item, "ids") if text_in(one, "text")]
    return list(dict.fromkeys([*([cve] if cve else []), *ids]))


def _vulnerability(item: Mapping[str, Any], names: list[str]) -> VulnerabilitySaid:
    vectors = [
        text_in(holder, version, "vectorString")[:200]
        for holder in _metrics(item)
        for version in ("cvss_v4", "cvss_v3", "cvss_v2")
    ]
    scored = [(score, vector) for vector in vectors if vector and (score := base_score(vector)) is not None]
    score, vector = max(scored, default=(None, ""))
    # Ids of a vendor may stand for several CVEs: with a CVE only such that are no CVE themselves are its other names.
    others = tuple(name for name in names[1:] if cve_or_none(name) is None)
    return VulnerabilitySaid(
        names[0],
        others,
        title=text_in(item, "title")[:TEXT_CHARACTERS_MAX],
        cvss=score,
        cvss_vector=vector,
        **_points(item),
    )


def _metrics(item: object) -> Iterator[Any]:
    yield from list_in(item, "scores")  # 2.0
    for metric in list_in(item, "metrics"):  # 2.1
        if isinstance(metric, dict):
            yield metric.get("content")


def _points(item: object) -> dict[str, Any]:
    """Returns the SSVC points of a 2.1 document (`ssvc_v1`, `ssvc_v2`): the same for all products, or not said."""
    found: dict[str, Any] = {}
    fields = {
        "e": ("ssvc_exploitation", {**EXPLOITATION, "n": 0, "p": 1, "a": 2}),
        "a": ("automatable", {**AUTOMATABLE, "n": 0, "y": 1}),
        "ti": ("technical_impact", {**TECHNICAL_IMPACT, "p": 0, "t": 1}),
    }
    names = {"exploitation": "e", "automatable": "a", "technical impact": "ti"}
    for holder in _metrics(item):
        for version in ("ssvc_v1", "ssvc_v2"):
            ssvc = holder.get(version) if isinstance(holder, dict) else None
            for selection in list_in(ssvc, "selections"):
                point = text_in(selection, "key").lower() or names.get(text_in(selection, "name").lower(), "")
                values = [
                    text_in(value, "name").lower() or text_in(value, "key").lower()
                    if isinstance(value, dict)
                    else str(value).lower()
                    for value in list_in(selection, "values")
                ]
                field, numbers = fields.get(point, ("", {}))
                if field and len(values) == 1 and values[0] in numbers:
                    found[field] = numbers[values[0]]
                    found["ssvc_day"] = day_of(text_in(ssvc, "timestamp"))
    return found


def _statements(
    item: Mapping[str, Any], vulnerability: str, tree: ProductTree, read: DocumentRead
) -> Iterator[ProductStatement]:
    justifications = _by_product(item, "flags", "label", tree)
    impacts = _by_product(
        [one for one in list_in(item, "threats") if text_in(one, "category") == "impact"], "", "details", tree
    )
    remedies = _remedies(item, tree)
    statuses = item.get("product_status")
    said: dict[str, list[tuple[str, AdvisoryProduct]]] = {}
    for status in STATUSES:
        for identifier in texts_in(statuses, status):
            product = tree.products.get(identifier)
            if product is None:
                read.told.append(
                    f"{vulnerability}: {status} names {identifier[:80]!r}, which is no product here"
                )
            else:
                said.setdefault(status, []).append((identifier, product))
    _tell_contradictions(vulnerability, said, read)
    affected_families = {family_of(product) for status in _AFFECTED for _, product in said.get(status, ())}
    for status, word in STATUSES.items():
        for identifier, product in said.get(status, ()):
            kind, text = remedies.get(identifier, ("", ""))
            why = "" if word == "fixed" else justifications.get(identifier) or impacts.get(identifier, "")
            yield ProductStatement(
                vulnerability,
                word,
                product,
                affects_below=word == "fixed" and family_of(product) not in affected_families,
                justification=why,
                remedy=text,
                remedy_kind=kind,
            )
    for word, product in _between(said):
        yield ProductStatement(vulnerability, word, product)


_AFFECTED = tuple(status for status, word in STATUSES.items() if word == "affected")
_FIXED = tuple(status for status, word in STATUSES.items() if word == "fixed")


def _tell_contradictions(
    vulnerability: str, said: Mapping[str, list[tuple[str, AdvisoryProduct]]], read: DocumentRead
) -> None:
    """Tell of products with two statuses that exclude each other (mandatory test 6.1.6): the worst of them holds."""
    words: dict[str, set[str]] = {}
    for status, several in said.items():
        for identifier, _ in several:
            words.setdefault(identifier, set()).add(STATUSES[status])
    for identifier, found in words.items():
        if len(found) > 1:
            read.told.append(
                f"{vulnerability}: {identifier[:80]!r} is {' and '.join(sorted(found))} at once: the worst holds"
            )


def _between(
    said: Mapping[str, list[tuple[str, AdvisoryProduct]]],
) -> Iterator[tuple[str, AdvisoryProduct]]:
    """Yields what single versions say of those between them: from `first_affected` to `last_affected` is affected; what lies
    between an affected version and its fix, or beyond a first or a last one alone, may be."""
    families: dict[Family, dict[str, list[AdvisoryProduct]]] = {}
    for status in (*_AFFECTED, *_FIXED):
        for _, product in said.get(status, ()):
            if status in _FIXED and not families:
                return  # the common document: fixes alone
            if status in _AFFECTED or family_of(product) in families:
                kinds = families.setdefault(family_of(product), {})
                kinds.setdefault("fixed" if status in _FIXED else status, []).append(product)
    for kinds in families.values():
        first, last = kinds.get("first_affected", []), kinds.get("last_affected", [])
        if len(first) == len(last) == 1:
            yield from _range_of("affected", first[0], ">=", last[0], "<=")
            continue
        fixed = kinds.get("fixed", [])
        starts = [*first, *kinds.get("known_affected", [])]
        if len(fixed) == 1:
            for one in starts[:BETWEEN_MAX]:
                yield from _range_of("possible", one, ">=", fixed[0], "<")
        else:
            for one in first[:BETWEEN_MAX]:
                yield from _range_of("possible", one, ">=")
        for one in last[:BETWEEN_MAX]:
            yield from _range_of("possible", one, "<=")


def _range_of(
    word: str, one: AdvisoryProduct, sign: str, other: AdvisoryProduct | None = None, other_sign: str = ""
) -> Iterator[tuple[str, AdvisoryProduct]]:
    """Yields a product with a range of versions where those that stand for its ends are single ones."""
    ends = [_single_version(each) for each in (one, *([other] if other else []))]
    if all(ends):
        versions = " | ".join(f"{mark} {end}" for mark, end in zip((sign, other_sign), ends, strict=False))
        yield word, replace(one, versions=versions, is_range=True)


def _single_version(product: AdvisoryProduct) -> str:
    """Returns the only version that a product stands for, '' where it stands for several."""
    if product.is_range:
        return ""
    purl = read_purl(product.purl) if product.purl else None
    version = (purl.version if purl else "") or product.versions
    return version if read_version(version) is not None else ""


def family_of(product: AdvisoryProduct) -> Family:
    """Returns what two versions of one component in one product have in common."""
    purl = read_purl(product.purl) if product.purl else None
    host = family_of(product.host) if product.host is not None else ("", "", "", "", "")
    key = purl.key if purl else "\0".join((product.vendor, product.product, *product.models))
    return key.lower(), "\0".join(host), "" if purl else _own_variant(product), "", ""


def _own_variant(product: AdvisoryProduct) -> str:
    """Returns the variant, unless it only repeats the version field."""
    return "" if product.variant == product.versions else product.variant.lower()


def _by_product(item: object, name: str, field: str, tree: ProductTree) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in item if isinstance(item, list) else list_in(item, name):
        for identifier in tree.members(one):
            found.setdefault(identifier, text_in(one, field)[:TEXT_CHARACTERS_MAX])
    return found


def _remedies(item: object, tree: ProductTree) -> dict[str, tuple[str, str]]:
    """Returns the best remedy of each product: a fix before a mitigation before none."""
    ranked = sorted(
        (one for one in list_in(item, "remediations") if text_in(one, "category") in REMEDIES),
        key=lambda one: REMEDIES.index(text_in(one, "category")),
    )
    found: dict[str, tuple[str, str]] = {}
    for one in ranked:
        what = (text_in(one, "category"), text_in(one, "details")[:TEXT_CHARACTERS_MAX])
        for identifier in tree.members(one):
            found.setdefault(identifier, what)
    return found
