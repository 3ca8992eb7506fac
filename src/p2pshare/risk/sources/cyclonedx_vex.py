"""CycloneDX VEX (1.4 to 1.6, JSON and XML): what is known of vulnerabilities in the components of one BOM, named by BOM-Link.

A BOM-Link is `urn:cdx:serial/version#bom-ref`, percent-encoded or not. Serial and version must both fit what is imported; what does not is told and
has no effect. A VEX that names components of its own file (`bom-ref`) speaks of their purl or CPE.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from p2pshare.errors import AuthorError
from p2pshare.risk.extra import base_score
from p2pshare.risk.sources.cyclonedx_vex_xml import is_xml, vex_of_xml
from p2pshare.risk.sources.source_files import (
    list_in,
    parse_json,
    seconds_of,
    text_in,
    vulnerability_name,
)
from p2pshare.risk.statements import (
    AdvisoryProduct,
    DocumentRead,
    DocumentSaid,
    ProductStatement,
    VulnerabilitySaid,
    decoded_reference,
)

STATES = {
    "exploitable": "affected",
    "in_triage": "under_investigation",
    "resolved": "fixed",
    "resolved_with_pedigree": "fixed",
    "not_affected": "not_affected",
    "false_positive": "not_affected",
}
VERSION_STATES = {"affected": "", "unaffected": "not_affected", "unknown": "possible"}
NESTING_MAX = 64
TEXT_CHARACTERS_MAX = 500

_LINK = re.compile(
    r"urn:cdx:([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/([1-9]\d{0,8})#(.+)",
    re.IGNORECASE,
)


class BomLink(NamedTuple):
    """The BOM's serial number as its `serialNumber` has it, its version, and a component's name in it."""

    serial_number: str
    version: int
    reference: str


def read_bom_link(text: str) -> list[BomLink]:
    """Returns what a BOM-Link to a component may name, [] where it is none: the name as it is written, then the percent-decoded one where that
    is another. CycloneDX has names encoded (RFC 3986, section 2.1); many write them as they are, and a purl has `%` of its own.
    """
    found = _LINK.fullmatch(text)
    if found is None:
        return []
    written = BomLink(f"urn:uuid:{found[1].lower()}", int(found[2]), found[3])
    decoded = decoded_reference(written.reference)
    return [written] if decoded == written.reference else [written, written._replace(reference=decoded)]


def read_cyclonedx_vex(raw: bytes) -> DocumentRead:
    """Returns what a VEX says. Raises AuthorError `not-vex`, and as `parse_json` and `vex_of_xml` do."""
    content = vex_of_xml(raw) if is_xml(raw) else parse_json(raw)
    if content.get("bomFormat") != "CycloneDX" or not isinstance(content.get("vulnerabilities"), list):
        raise AuthorError("the file is no CycloneDX VEX", hint="it has no vulnerabilities", reason="not-vex")
    serial = text_in(content, "serialNumber")
    version = content.get("version")
    supplier = content.get("metadata")
    publisher = text_in(supplier, "supplier", "name") or text_in(supplier, "manufacturer", "name")
    digest = hashlib.sha256(raw).hexdigest()
    read = DocumentRead(
        DocumentSaid(
            "vex",
            publisher,
            serial or f"sha256:{digest[:32]}",
            str(version) if isinstance(version, int) else "1",
            publisher=publisher,
            publisher_category="vendor" if publisher else "user",
            title=text_in(supplier, "component", "name"),
            dated=seconds_of(text_in(supplier, "timestamp")),
        )
    )
    components = dict(_components(content))
    for number, item in enumerate(list_in(content, "vulnerabilities")):
        name = vulnerability_name(text_in(item, "id"))
        if not name:
            read.told.append(f"vulnerabilities[{number}] has no id: left out")
            continue
        scores = [
            (score, vector)
            for rating in list_in(item, "ratings")
            if (vector := text_in(rating, "vector")[:200])
            and (score := base_score(_with_prefix(rating, vector))) is not None
        ]
        score, vector = max(scores, default=(None, ""))
        read.vulnerabilities.append(VulnerabilitySaid(name, cvss=score, cvss_vector=vector))
        read.statements += _statements(item, name, components, serial, content, read)
    return read


def _with_prefix(rating: object, vector: str) -> str:
    """Returns a vector with the version that stands beside it (`method`): many leave it out."""
    prefix = {"CVSSv3": "CVSS:3.0/", "CVSSv31": "CVSS:3.1/", "CVSSv4": "CVSS:4.0/"}.get(
        text_in(rating, "method"), ""
    )
    return vector if vector.startswith("CVSS:") else prefix + vector


def _components(content: dict[str, Any]) -> Iterator[tuple[str, AdvisoryProduct]]:
    """Yields (bom-ref, component) of the file's own components."""
    pending: list[tuple[object, int]] = [(one, 1) for one in list_in(content, "components")]
    metadata = content.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("component"), dict):
        pending.append((metadata["component"], 1))
    while pending:
        one, depth = pending.pop()
        if reference := text_in(one, "bom-ref"):
            yield (
                reference,
                AdvisoryProduct(
                    name=text_in(one, "name"),
                    vendor=text_in(one, "supplier", "name")
                    or text_in(one, "publisher")
                    or text_in(one, "group"),
                    product=text_in(one, "name"),
                    versions=text_in(one, "version"),
                    purl=text_in(one, "purl"),
                    cpe=text_in(one, "cpe"),
                ),
            )
        if depth < NESTING_MAX:
            pending += [(below, depth + 1) for below in list_in(one, "components")]


def _statements(
    item: object,
    name: str,
    components: dict[str, AdvisoryProduct],
    serial: str,
    content: dict[str, Any],
    read: DocumentRead,
) -> Iterator[ProductStatement]:
    state = text_in(item, "analysis", "state")
    status = STATES.get(state, "possible")
    if state and state not in STATES:
        read.told.append(f"{name}: state '{state[:40]}' is not understood: a person must look")
    why = (
        text_in(item, "analysis", "justification")
        or text_in(item, "analysis", "detail")[:TEXT_CHARACTERS_MAX]
    )
    for affected in list_in(item, "affects"):
        reference = text_in(affected, "ref")
        links: list[BomLink | None] = [*read_bom_link(reference)]
        product = None
        if not links:
            links = [None]
            product = components.get(reference)
            if product is None or not (product.purl or product.cpe or product.product):
                read.told.append(
                    f"{name} names '{reference[:120]}', which is no BOM-Link and no component here"
                )
                continue
            if serial and reference in components:
                # The file is a BOM as well: its own place says it better than a name that others may have, too.
                version = content.get("version")
                own = read_bom_link(f"urn:cdx:{serial.removeprefix('urn:uuid:')}/{version}#{reference}")
                yield (
                    ProductStatement(name, status, link=_written(own[0]), justification=why)
                    if own
                    else ProductStatement(name, status, product, justification=why)
                )
                continue
        for versions, one_status in _versions(affected, status):
            for link in links:
                yield ProductStatement(
                    name,
                    one_status,
                    _with_versions(product, versions),
                    link=_written(link),
                    justification=why,
                )


def _with_versions(product: AdvisoryProduct | None, versions: str) -> AdvisoryProduct | None:
    """Returns the product with other versions; one made of versions alone where a BOM-Link names the component."""
    if not versions:
        return product
    if product is None:
        return AdvisoryProduct(name="", versions=versions, is_range=True)
    return AdvisoryProduct(
        **{name: getattr(product, name) for name in product.__slots__}
        | {"versions": versions, "is_range": True}
    )


def _written(link: BomLink | None) -> str:
    """Returns a BOM-Link as it is kept: the serial number in lower case."""
    return f"{link.serial_number}/{link.version}#{link.reference}" if link else ""


def _versions(affected: object, status: str) -> Iterator[tuple[str, str]]:
    """Yields (statement of versions, status); the whole component where none is named."""
    versions = list_in(affected, "versions")
    if not versions:
        yield "", status
    for one in versions:
        text = text_in(one, "version") or text_in(one, "range")
        said = VERSION_STATES.get(text_in(one, "status") or "affected", "possible")
        if text:
            yield text, said or status
