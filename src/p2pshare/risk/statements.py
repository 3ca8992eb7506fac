"""What a document says of products and vulnerabilities, before it is stored: the form that every reader of `sources/` makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class DocumentSaid:
    """A document's head. `namespace` and `tracking_id` name it, a higher `version` replaces a lower; `dated` in seconds."""

    kind: str
    namespace: str
    tracking_id: str
    version: str
    publisher: str = ""
    publisher_category: str = ""
    title: str = ""
    dated: int | None = None
    sharing_group: str = ""


@dataclass(frozen=True, slots=True)
class AdvisoryProduct:
    """A product as an advisory names it. `versions` is its statement as written, `is_range` whether the author calls it one;
    `ranges` are OSV's, each with its kind first: (release, 12), (range, SEMVER, introduced, 1.0, fixed, 2.0), (versions, 1.0, ...); `host` is the product that it is a component of."""

    name: str
    vendor: str = ""
    product: str = ""
    variant: str = ""
    versions: str = ""
    is_range: bool = False
    ranges: tuple[tuple[str, ...], ...] = ()
    purl: str = ""
    cpe: str = ""
    models: tuple[str, ...] = ()
    skus: tuple[str, ...] = ()
    serials: tuple[str, ...] = ()
    host: AdvisoryProduct | None = None


@dataclass(frozen=True, slots=True)
class ProductStatement:
    """One status of one product (or of what a BOM-Link names). `affects_below`: a fix that stands alone."""

    vulnerability: str
    status: str
    product: AdvisoryProduct | None = None
    link: str = ""
    affects_below: bool = False
    justification: str = ""
    remedy: str = ""
    remedy_kind: str = ""


@dataclass(frozen=True, slots=True)
class VulnerabilitySaid:
    """What a document says of a vulnerability itself; None and '' are "not said"."""

    name: str
    other_names: tuple[str, ...] = ()
    title: str = ""
    cvss: float | None = None
    cvss_vector: str = ""
    ssvc_exploitation: int | None = None
    automatable: int | None = None
    technical_impact: int | None = None
    ssvc_day: int | None = None


@dataclass
class DocumentRead:
    """A document with all it says; `told` are sentences about what could not be understood or was left out."""

    document: DocumentSaid
    vulnerabilities: list[VulnerabilitySaid] = field(default_factory=list)
    statements: list[ProductStatement] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


class SourceRead(NamedTuple):
    """The answer of `risk source add` and `risk vex import`: `as_of` is the day the source itself names (ISO 8601, '' unknown)."""

    source: str
    read: int
    kept: int
    refused: list[dict[str, Any]]
    told: list[dict[str, Any]]
    as_of: str


def decoded_reference(reference: str) -> str:
    """Returns the name that a BOM-Link's percent-encoded one stands for; itself where that is no UTF-8, or not to be printed."""
    try:
        decoded = unquote(reference, errors="strict")
    except UnicodeDecodeError:
        return reference
    return decoded if decoded.isprintable() else reference
