"""OSV records: packages by ecosystem, with events or lists of versions (OSV schema 1.7)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from p2pshare.errors import AuthorError
from p2pshare.risk.extra import base_score
from p2pshare.risk.sources.source_files import (
    cve_or_none,
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

# OSV's ecosystem without its release -> purl type and namespace.
ECOSYSTEMS = {
    "almalinux": ("rpm", "almalinux"),
    "alpine": ("apk", "alpine"),
    "crates.io": ("cargo", ""),
    "debian": ("deb", "debian"),
    "go": ("golang", ""),
    "hex": ("hex", ""),
    "maven": ("maven", ""),
    "npm": ("npm", ""),
    "nuget": ("nuget", ""),
    "opensuse": ("rpm", "opensuse"),
    "packagist": ("composer", ""),
    "pub": ("pub", ""),
    "pypi": ("pypi", ""),
    "red hat": ("rpm", "redhat"),
    "rocky linux": ("rpm", "rocky-linux"),
    "rubygems": ("gem", ""),
    "suse": ("rpm", "suse"),
    "ubuntu": ("deb", "ubuntu"),
}
VERSIONS_MAX = 20_000  # listed in one record: the longest have some thousand
KINDS_OF_EVENTS = ("introduced", "fixed", "last_affected", "limit")


def read_osv_record(raw: bytes) -> DocumentRead:
    """Returns what a record says. Raises AuthorError `not-osv`, and as `parse_json` does."""
    record = parse_json(raw)
    identifier = text_in(record, "id")[:200]
    if not identifier or not isinstance(record.get("affected", []), list):
        raise AuthorError("the file is no OSV record", hint="is it the right file?", reason="not-osv")
    aliases = texts_in(record, "aliases")
    # A distribution's own record is of what it names as upstream.
    named = (identifier, *aliases, *texts_in(record, "upstream"))
    cves = sorted({cve for name in named if (cve := cve_or_none(name))})
    names = cves or [vulnerability_name(identifier)]
    modified = text_in(record, "modified")
    read = DocumentRead(
        DocumentSaid(
            "osv",
            "osv",
            identifier,
            modified,
            publisher=text_in(record, "database_specific", "source") or "OSV",
            publisher_category="coordinator",
            title=text_in(record, "summary")[:500],
            dated=seconds_of(modified),
        )
    )
    score, vector = _score(record)
    others = tuple(one for one in (identifier, *aliases) if one not in cves)
    read.vulnerabilities = [
        VulnerabilitySaid(
            name,
            others if len(cves) < 2 else (),
            title=text_in(record, "summary")[:500],
            cvss=score,
            cvss_vector=vector,
        )
        for name in names
    ]
    if text_in(record, "withdrawn"):
        read.told.append(f"{identifier} was withdrawn: it says nothing any more")
        return read
    for affected in list_in(record, "affected"):
        product = _product(affected, identifier, read)
        if product is not None:
            read.statements += [ProductStatement(name, "affected", product) for name in names]
    return read


def _product(affected: object, identifier: str, read: DocumentRead) -> AdvisoryProduct | None:
    ecosystem, _, release = text_in(affected, "package", "ecosystem").partition(":")
    name = text_in(affected, "package", "name")
    purl = text_in(affected, "package", "purl") or _purl(ecosystem, name)
    if not purl:
        read.told.append(
            f"{identifier}: no package-url for {ecosystem or '?'} {name[:80]}; its names are not matched"
        )
        return None
    every = list_in(affected, "ranges")
    ranges = [
        ("range", text_in(one, "type"), *_events(one))
        for one in every
        if text_in(one, "type") != "GIT"  # commits are no versions; the list of versions says the same
    ]
    listed = texts_in(affected, "versions")
    if len(listed) > VERSIONS_MAX:
        read.told.append(
            f"{identifier}: {len(listed)} versions listed; those beyond {VERSIONS_MAX} are not read"
        )
    ranges += [("versions", *listed[:VERSIONS_MAX])] if listed else []
    if release and ranges:
        ranges.insert(0, ("release", release))
    return AdvisoryProduct(
        name=name,
        product=name,
        versions="" if ranges else "only commits are named" if every else "*",
        is_range=True,
        ranges=tuple(ranges),
        purl=purl,
    )


def _events(one: object) -> list[str]:
    """Returns the events of a range as kind and version, one after the other."""
    flat: list[str] = []
    for event in list_in(one, "events"):
        for kind in KINDS_OF_EVENTS:
            if text := text_in(event, kind):
                flat += [kind, text[:200]]
    return flat


def _purl(ecosystem: str, name: str) -> str:
    kind, namespace = ECOSYSTEMS.get(ecosystem.lower(), ("", ""))
    if not kind or not name:
        return ""
    if kind == "maven":
        name = name.replace(":", "/", 1)
    path = "/".join(quote(part, safe="") for part in name.split("/"))
    return f"pkg:{kind}/{namespace}/{path}" if namespace else f"pkg:{kind}/{path}"


def _score(record: dict[str, Any]) -> tuple[float | None, str]:
    best: tuple[float | None, str] = (None, "")
    for severity in list_in(record, "severity"):
        vector = text_in(severity, "score")[:200]
        score = base_score(vector) if vector else None
        if score is not None and (best[0] is None or score > best[0]):
            best = (score, vector)
    return best
