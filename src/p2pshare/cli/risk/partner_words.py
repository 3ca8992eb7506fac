"""What partners say of vulnerabilities, read from the store: who spoke of one or saw it, and advisories that came with it.

Nothing here believes a partner more than a partner: who relays a vendor's advisory is not that vendor, so such a document never
counts as the product's own vendor's, and never takes the place of a file that a person read here. What a partner withdraws is
gone at the next reading.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from p2pshare.identifiers import PartnerId
from p2pshare.intel.artefacts import canonical_cve
from p2pshare.intel.instants import SECOND_US, parse_instant
from p2pshare.intel.object_texts import title_of
from p2pshare.intel.refusals import InvalidValue
from p2pshare.knowledge.knowledge import KnowledgeReading
from p2pshare.knowledge.vulnerabilities import HeldObjectRow

VULNERABILITY, RELATIONSHIP, INDICATOR = "vulnerability", "relationship", "indicator"
SAID, SEEN = "vulnerability", "sighting"
LINKS_MAX = 100_000  # indicators that are linked to vulnerabilities, over all: some 30 MiB of ids
PRODUCTS_MAX = 512  # of one vulnerability of an advisory: eight statuses of 64 each (importers/csaf.py)
TEXT_CHARACTERS_MAX = 512  # of one text of an advisory; a product's name has 256 at most where we wrote it
STATUSES = {
    "known_affected": "affected",
    "first_affected": "affected",
    "last_affected": "affected",
    "known_not_affected": "not_affected",
    "fixed": "fixed",
    "first_fixed": "fixed",
    "under_investigation": "under_investigation",
}
"""Section 3.2.3.9 of CSAF 2.0, in our words; `recommended` says nothing about being affected."""


class PartnerWord(NamedTuple):
    """That a partner spoke of a vulnerability (SAID) or saw it (SEEN), and when last, in seconds."""

    vulnerability: str
    organisation: str
    last_seen: int
    kind: str
    title: str
    cvss_vector: str = ""


class PartnerDocument(NamedTuple):
    """An advisory as a partner sent it, put together from the vulnerabilities of it that are held."""

    partner: str
    about: Mapping[str, Any]
    vulnerabilities: tuple[tuple[str, Mapping[str, Any]], ...]
    """(name, its `x_csaf`)"""
    rows: frozenset[int]
    """Where its vulnerabilities are held: another part of it, or another version, stands in another row."""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and tracking id. The namespace is of its own: what a partner passes on stands beside a file of the same id,
        and replaces nothing."""
        return f"partner:{self.partner}:{_text(self.about, 'publisher_namespace')}", _text(
            self.about, "tracking_id"
        )


@dataclass
class _Held:
    """A vulnerability object, as far as it is of use here."""

    object_id: str
    author: PartnerId
    name: str
    title: str
    received_at: int
    csaf: Mapping[str, Any] | None


@dataclass
class PartnerWords:
    """What was read of the store so far; `read` goes on from there."""

    before: frozenset[PartnerWord] | None = None
    """What `read` said when it was last taken; None: nothing was."""
    taken: set[frozenset[int]] = field(default_factory=set)
    """Rows of the documents that were taken."""
    counted_day: int = -1
    """The last day (since 1970) whose sums were kept."""
    _own: bytes = b""
    _held: dict[int, _Held] = field(default_factory=dict)
    _links: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """vulnerability id -> ids of indicators that a relationship links to it"""
    _links_count: int = 0
    _relationships_up_to: int = 0

    def read(
        self, knowledge: KnowledgeReading, own_id: bytes | None
    ) -> tuple[list[PartnerWord], list[PartnerDocument]]:
        """Returns all that partners say of vulnerabilities now. `own_id`: the partner id whose words are ours."""
        self._own = own_id or b""
        rows = knowledge.current_rows(VULNERABILITY)
        for gone in self._held.keys() - rows:
            del self._held[gone]
        for held in knowledge.objects_at(rows - self._held.keys()):
            if (read := _read_vulnerability(held)) is not None:
                self._held[held.row] = read
        self._read_links(knowledge)
        return list(self._words(knowledge)), list(self._documents())

    def _read_links(self, knowledge: KnowledgeReading) -> None:
        new = knowledge.current_rows(RELATIONSHIP, self._relationships_up_to)
        for held in knowledge.objects_at(new):
            stix = _parsed(held.raw)
            ends = (stix.get("source_ref"), stix.get("target_ref"))
            for one, other in (ends, ends[::-1]):
                if _is_of(one, VULNERABILITY) and _is_of(other, INDICATOR) and self._links_count < LINKS_MAX:
                    self._links_count += str(other) not in self._links[str(one)]
                    self._links[str(one)].add(str(other))
        self._relationships_up_to = max(new, default=self._relationships_up_to)

    def _words(self, knowledge: KnowledgeReading) -> Iterator[PartnerWord]:
        by_id: dict[str, _Held] = {}
        for held in self._held.values():
            by_id[held.object_id] = held
            if bytes(held.author) != self._own:
                yield PartnerWord(
                    held.name, held.author.text, held.received_at, SAID, held.title, _vector_of(held.csaf)
                )
        for object_id, partner, at in knowledge.seen_objects(VULNERABILITY):
            if object_id in by_id:
                yield PartnerWord(by_id[object_id].name, partner.text, at, SEEN, "")
        for object_id in self._links.keys() & by_id.keys():
            for indicator in self._links[object_id]:
                for partner, at in knowledge.seen_values(indicator):
                    yield PartnerWord(by_id[object_id].name, partner.text, at, SEEN, "")

    def _documents(self) -> Iterator[PartnerDocument]:
        found: dict[tuple[str, str, str, str], dict[int, _Held]] = defaultdict(dict)
        for row, held in self._held.items():
            if held.csaf is not None and bytes(held.author) != self._own:
                key = (
                    _text(held.csaf, "publisher_namespace"),
                    _text(held.csaf, "tracking_id"),
                    _text(held.csaf, "version"),
                )
                found[held.author.text, *key][row] = held
        for (partner, *_), each in found.items():
            parts = tuple((one.name, one.csaf) for one in each.values() if one.csaf is not None)
            yield PartnerDocument(partner, parts[0][1], parts, frozenset(each))


def document_read(document: PartnerDocument) -> Any:
    """Returns the document in the form that a reader of `risk.sources` makes."""
    from p2pshare.risk.statements import DocumentRead, DocumentSaid, ProductStatement, VulnerabilitySaid

    about = document.about
    namespace, tracking_id = document.key
    said = DocumentSaid(
        kind="csaf",
        namespace=namespace,
        tracking_id=tracking_id,
        version=_text(about, "version"),
        publisher=_text(about, "publisher"),
        publisher_category="",  # who passes it on is not the vendor, whatever the document says
        title=_text(about, "title"),
        dated=_instant(_text(about, "current_release_date")),
    )
    read = DocumentRead(said)
    for name, csaf in document.vulnerabilities:
        read.vulnerabilities.append(VulnerabilitySaid(name, title=_text(about, "title")))
        read.statements += [ProductStatement(name, status, product) for status, product in _products(csaf)]
    return read


def digest_of(document: PartnerDocument) -> str:
    """Returns what changes when any of the document does."""
    parts = sorted(
        (name, msgspec.json.encode(csaf, order="sorted")) for name, csaf in document.vulnerabilities
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _vector_of(csaf: Mapping[str, Any] | None) -> str:
    return next((_text(one, "vector") for one in _listed(csaf, "scores") if _text(one, "vector")), "")


def _products(csaf: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields (status, product) of all that is named, identified or by its name alone."""
    identified, named = csaf.get("identified"), csaf.get("products")
    count = 0
    for csaf_status, status in STATUSES.items():
        told: set[str] = set()
        for one in _listed(identified, csaf_status):
            if isinstance(one, dict):
                told.add(_text(one, "name"))
                count += 1
                yield status, _product(one)
        for name in _listed(named, csaf_status):
            if isinstance(name, str) and name not in told:
                count += 1
                yield status, _product({"name": name})
        if count > PRODUCTS_MAX:
            return


def _product(said: Mapping[str, Any], *, is_inner: bool = True) -> Any:
    from p2pshare.risk.statements import AdvisoryProduct

    host = said.get("component_of")
    return AdvisoryProduct(
        name=_text(said, "name"),
        vendor=_text(said, "vendor"),
        product=_text(said, "product") or _text(said, "family"),
        versions=_text(said, "versions"),
        is_range=said.get("is_range") is True,
        purl=_text(said, "purl"),
        cpe=_text(said, "cpe"),
        models=tuple(one for one in _listed(said, "model_numbers") if isinstance(one, str)),
        skus=tuple(one for one in _listed(said, "skus") if isinstance(one, str)),
        host=_product(host, is_inner=False) if is_inner and isinstance(host, dict) else None,
    )


def _read_vulnerability(held: HeldObjectRow) -> _Held | None:
    """Returns what an object says; None where it names no vulnerability."""
    stix = _parsed(held.raw)
    name = _cve_of(stix) or _text(stix, "name")
    if not name or not isinstance(stix.get("id"), str):
        return None
    csaf = stix.get("x_csaf")
    return _Held(
        object_id=str(stix["id"]),
        author=held.author,
        name=name,
        title=title_of(stix)[:TEXT_CHARACTERS_MAX],
        received_at=held.received_at,
        csaf=csaf if isinstance(csaf, dict) and _text(csaf, "tracking_id") else None,
    )


def _cve_of(stix: Mapping[str, Any]) -> str:
    """Returns the CVE id of its references (STIX 2.1 section 4.18), else of its name; '' where there is none."""
    references = (
        _text(one, "external_id")
        for one in _listed(stix, "external_references")
        if _text(one, "source_name").lower() == "cve"
    )
    for text in (*references, _text(stix, "name")):
        try:
            return canonical_cve(text.strip())
        except InvalidValue:
            continue
    return ""


def _parsed(raw: bytes) -> dict[str, Any]:
    """Returns an object as its author sealed it; what cannot be read is empty."""
    try:
        found = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(mapping: object, name: str) -> str:
    value = mapping.get(name) if isinstance(mapping, dict) else None
    return value[:TEXT_CHARACTERS_MAX] if isinstance(value, str) else ""


def _listed(mapping: object, name: str) -> list[Any]:
    value = mapping.get(name) if isinstance(mapping, dict) else None
    return value if isinstance(value, list) else []


def _instant(text: str) -> int | None:
    try:
        return parse_instant(text) // SECOND_US
    except ValueError:
        return None


def _is_of(object_id: object, type_: str) -> bool:
    return isinstance(object_id, str) and object_id.startswith(f"{type_}--")
