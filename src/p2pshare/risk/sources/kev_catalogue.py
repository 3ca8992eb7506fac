"""KEV, CISA's catalogue of known exploited vulnerabilities, as JSON or CSV: what makes exploitation active."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from p2pshare.errors import AuthorError
from p2pshare.risk.sources.source_files import cve_or_none, day_of, list_in, parse_json, text_in

TEXT_CHARACTERS_MAX = 2_000


class KevEntry(NamedTuple):
    """One vulnerability of the catalogue; days since 1970. is_ransomware: None where the catalogue says Unknown."""

    cve: str
    title: str
    added: int
    due: int | None
    is_ransomware: bool | None
    action: str


@dataclass
class KevRead:
    """A catalogue. `as_of` is its day; `read` its entries, `refused` those that could not be read."""

    entries: list[KevEntry] = field(default_factory=list)
    read: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    as_of: int | None = None
    detail: str = ""


def read_kev_catalogue(raw: bytes) -> KevRead:
    """Returns the catalogue. Raises AuthorError `not-kev`, and as `parse_json` does."""
    if raw.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"{":
        return _read_json(raw)
    return _read_csv(raw)


def _read_json(raw: bytes) -> KevRead:
    catalogue = parse_json(raw)
    if not isinstance(catalogue.get("vulnerabilities"), list):
        raise AuthorError("the file is no KEV catalogue", hint="is it the right file?", reason="not-kev")
    version = text_in(catalogue, "catalogVersion")
    read = KevRead(detail=version)
    read.as_of = day_of(text_in(catalogue, "dateReleased")) or day_of(version.replace(".", "-"))
    _take(list_in(catalogue, "vulnerabilities"), read, first=0)
    return read


def _read_csv(raw: bytes) -> KevRead:
    text = raw.decode("utf-8-sig", "replace")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    if "cveID" not in (rows.fieldnames or ()) or "dateAdded" not in (rows.fieldnames or ()):
        raise AuthorError("the file is no KEV catalogue", hint="is it the right file?", reason="not-kev")
    read = KevRead()
    _take(_safely(rows, read), read, first=2)
    # The CSV names no day of its own: it is not older than its newest entry.
    read.as_of = max((entry.added for entry in read.entries), default=None)
    return read


def _safely(rows: Iterator[Mapping[str, Any]], read: KevRead) -> Iterator[Mapping[str, Any]]:
    while True:
        try:
            yield next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            read.read += 1
            read.refused.append({"row": read.read + 1, "why": f"no row: {error}"})


def _take(entries: Iterable[object], read: KevRead, *, first: int) -> None:
    for row, entry in enumerate(entries, first):
        read.read += 1
        cve = cve_or_none(text_in(entry, "cveID"))
        added = day_of(text_in(entry, "dateAdded"))
        if cve is None or added is None:
            why = "no CVE id" if cve is None else "no day in dateAdded"
            read.refused.append({"row": row, "why": why})
            continue
        ransomware = text_in(entry, "knownRansomwareCampaignUse").lower()
        read.entries.append(
            KevEntry(
                cve,
                text_in(entry, "vulnerabilityName")[:TEXT_CHARACTERS_MAX],
                added,
                day_of(text_in(entry, "dueDate")),
                True if ransomware == "known" else None,
                text_in(entry, "requiredAction")[:TEXT_CHARACTERS_MAX],
            )
        )
