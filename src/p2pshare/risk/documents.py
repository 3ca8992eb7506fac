"""Documents into the tables: each with its products and statements, the newest version of each alone."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.risk.match_keys import product_keys
from p2pshare.risk.statements import AdvisoryProduct, DocumentRead, DocumentSaid, VulnerabilitySaid

_NUMBERS = re.compile(r"\d+")


def is_newer(one: DocumentSaid, version: str, dated: int | None) -> bool:
    """Returns whether `one` is newer than a version that is held. CSAF's versions are integers or semantic (section 3.1.11).

    Of one version (a draft, published again) the later date holds.
    """
    if one.kind == "osv":  # its version is an instant
        return (one.dated or 0) >= (dated or 0)
    first, second = _version_key(one.version), _version_key(version)
    if first != second:
        return first > second
    return (one.dated or 0) >= (dated or 0)


_Identifiers = tuple[tuple[bool, int, str], ...]


def _version_key(text: str) -> tuple[tuple[int, ...], bool, _Identifiers]:
    """Returns what versions are ordered by: numbers, then a release after its pre-releases, and these by their parts, numbers
    before words (semver 2.0.0, section 11). Build metadata does not count."""
    plain, _, before = text.partition("+")[0].partition("-")
    numbers = tuple(int(one[:18]) for one in _NUMBERS.findall(plain))
    while numbers and not numbers[-1]:
        numbers = numbers[:-1]
    parts = tuple(
        (not one.isdecimal(), int(one[:18]) if one.isdecimal() else 0, one) for one in before.split(".")
    )
    return numbers, not before, parts if before else ()


def vulnerability_id(writer: apsw.Connection, name: str) -> int:
    """Returns the id of a vulnerability by any of its names, made when it is new."""
    found = fetch(
        writer,
        """SELECT id FROM vulnerability WHERE name = ?
        UNION ALL SELECT vulnerability FROM vulnerability_name WHERE name = ? LIMIT 1""",
        (name, name),
    )
    if found:
        return int(found[0][0])
    writer.execute("INSERT INTO vulnerability (name) VALUES (?)", (name,))
    return writer.last_insert_rowid()


def put_vulnerability(writer: apsw.Connection, said: VulnerabilitySaid) -> int:
    """Keep what is said of a vulnerability: the higher score, the newer decision points, the first title. Returns its id."""
    number = vulnerability_id(writer, said.name)
    for other in said.other_names:
        writer.execute("INSERT OR IGNORE INTO vulnerability_name VALUES (?, ?)", (other, number))
    if said.title:
        writer.execute("UPDATE vulnerability SET title = ? WHERE id = ? AND title = ''", (said.title, number))
    if said.cvss is not None:
        writer.execute(
            "UPDATE vulnerability SET cvss = ?, cvss_vector = ? WHERE id = ? AND (cvss IS NULL OR cvss < ?)",
            (said.cvss, said.cvss_vector, number, said.cvss),
        )
    points = (said.ssvc_exploitation, said.automatable, said.technical_impact)
    if any(point is not None for point in points):
        writer.execute(
            """UPDATE vulnerability SET ssvc_exploitation = coalesce(?, ssvc_exploitation),
            automatable = coalesce(?, automatable), technical_impact = coalesce(?, technical_impact), ssvc_day = ?
            WHERE id = ? AND coalesce(ssvc_day, 0) <= coalesce(?, 0)""",
            (*points, said.ssvc_day, number, said.ssvc_day),
        )
    return number


def put_document(
    writer: apsw.Connection, read: DocumentRead, touched: set[int], *, partner: str, sha256: str, now: int
) -> tuple[int, str]:
    """Keep a document in place of an older version. Returns (its id, ''), or (0, why it is not kept).

    Components of which the older version spoke are added to `touched`: what they come to changes.
    """
    said = read.document
    held = fetch(
        writer,
        """SELECT id, tracking_version, dated, sha256 FROM document
        WHERE kind = ? AND namespace = ? AND tracking_id = ? AND partner = ?""",
        (said.kind, said.namespace, said.tracking_id, partner),
    )
    for number, version, dated, digest in held:
        if digest == sha256:
            return 0, "is held already"
        if said.kind == "csaf" and (said.version, said.dated) == (version, dated):
            read.told.append(
                f"{said.tracking_id} {version[:40]} was held with another text of the same day: what is read last holds"
            )
        if not is_newer(said, version, dated):
            return 0, f"version {said.version[:40]} is not newer than {version[:40]}, which is held"
        touched.update(
            one for (one,) in fetch(writer, "SELECT component FROM verdict WHERE document = ?", (number,))
        )
        writer.execute("DELETE FROM document WHERE id = ?", (number,))
    writer.execute(
        """INSERT INTO document (kind, namespace, tracking_id, tracking_version, publisher, publisher_category, title, dated,
        sharing_group, partner, sha256, read_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            said.kind,
            said.namespace,
            said.tracking_id,
            said.version,
            said.publisher,
            said.publisher_category,
            said.title,
            said.dated,
            said.sharing_group,
            partner,
            sha256,
            now,
        ),
    )
    document = writer.last_insert_rowid()
    vulnerabilities = {one.name: put_vulnerability(writer, one) for one in read.vulnerabilities}
    products: dict[AdvisoryProduct, int] = {}
    rows = []
    for statement in read.statements:
        vulnerability = vulnerabilities.get(statement.vulnerability)
        if vulnerability is None:
            vulnerability = vulnerabilities[statement.vulnerability] = vulnerability_id(
                writer, statement.vulnerability
            )
        product = None
        if statement.product is not None:
            product = product_id(writer, statement.product, products)
        rows.append(
            (
                document,
                vulnerability,
                product,
                statement.link,
                statement.status,
                statement.affects_below,
                statement.justification,
                statement.remedy,
                statement.remedy_kind,
            )
        )
    writer.executemany(
        """INSERT INTO statement (document, vulnerability, product, link, status, affects_below, justification, remedy,
        remedy_kind) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        _distinct(rows),
    )
    return document, ""


def _distinct(rows: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Returns each row once: architectures of one package say the same."""
    return list(dict.fromkeys(rows))


def product_id(writer: apsw.Connection, product: AdvisoryProduct, known: dict[AdvisoryProduct, int]) -> int:
    """Returns the id of a product, made with its keys when it is new. Its hosts stand before it, at most 16 deep."""
    if product in known:
        return known[product]
    host = product_id(writer, product.host, known) if product.host is not None else None
    # A purl with a version says all: leaf names of five architectures of one package are five spellings of it.
    is_named_whole = "@" in product.purl and not product.is_range and not product.ranges
    texts = (
        "" if is_named_whole else product.versions,
        product.is_range,
        json.dumps(product.ranges) if product.ranges else "",
        product.purl,
        product.cpe,
        json.dumps(product.models, ensure_ascii=False),
        json.dumps(product.skus, ensure_ascii=False),
        json.dumps(product.serials, ensure_ascii=False),
    )
    sides = ("", "", "") if product.purl else (product.vendor, product.product, product.variant)
    digest = hashlib.sha256(
        json.dumps((sides, texts, host), ensure_ascii=False).encode("utf-8", "surrogatepass")
    ).digest()
    found = fetch(writer, "SELECT id FROM advisory_product WHERE digest = ?", (digest,))
    if found:
        known[product] = int(found[0][0])
        return known[product]
    theirs = None
    if product.product and not product.purl and not product.ranges:
        theirs = _their_model_id(writer, sides)
    writer.execute(
        """INSERT INTO advisory_product (digest, their_model, name, versions, is_range, ranges, purl, cpe, models, skus, serials,
        host) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (digest, theirs, product.name, *texts, host),
    )
    number = known[product] = writer.last_insert_rowid()
    writer.executemany(
        "INSERT OR IGNORE INTO product_key VALUES (?, ?)", ((key, number) for key in product_keys(product))
    )
    return number


def _their_model_id(writer: apsw.Connection, sides: tuple[str, str, str]) -> int:
    writer.execute("INSERT OR IGNORE INTO their_model (vendor, product, variant) VALUES (?, ?, ?)", sides)
    ((number,),) = fetch(
        writer, "SELECT id FROM their_model WHERE vendor = ? AND product = ? AND variant = ?", sides
    )
    return int(number)
