"""Sources into the tables: catalogues replace what they said before, documents replace their older versions.

Each is read whole and counted: in = kept + refused; with the day that it names itself, so that its age can be shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.errors import AuthorError
from p2pshare.risk.documents import put_document, put_vulnerability, vulnerability_id
from p2pshare.risk.risk_file import RiskFile
from p2pshare.risk.sources.csaf_statements import read_csaf_statements
from p2pshare.risk.sources.cve_records import read_cve_record
from p2pshare.risk.sources.cyclonedx_vex import read_cyclonedx_vex
from p2pshare.risk.sources.epss_scores import EpssRead, read_epss_scores
from p2pshare.risk.sources.kev_catalogue import read_kev_catalogue
from p2pshare.risk.sources.osv_records import read_osv_record
from p2pshare.risk.sources.source_files import iso_day, read_bytes
from p2pshare.risk.statements import DocumentRead, SourceRead

KINDS = ("kev", "epss", "vulnrichment", "osv", "csaf", "vex")
DAY_SECONDS = 86_400
DOCUMENTS_PER_STEP = 500  # in one transaction, which is then matched: some seconds of work at most
NOTES_MAX = 1_000  # sentences of one kind in an answer

READERS: dict[str, Callable[[bytes], DocumentRead]] = {
    "csaf": read_csaf_statements,
    "osv": read_osv_record,
    "vex": read_cyclonedx_vex,
}


@dataclass
class Added:
    """What is counted while a source is read. `documents`: ids of those that are new."""

    kind: str
    read: int = 0
    kept: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    refused_count: int = 0
    told: list[dict[str, Any]] = field(default_factory=list)
    day: int | None = None
    documents: list[int] = field(default_factory=list)
    detail: str = ""
    touched: set[int] = field(default_factory=set)
    """Components of which a replaced document spoke."""

    def refuse(self, where: str, why: str) -> None:
        self.refused_count += 1
        if len(self.refused) < NOTES_MAX:
            self.refused.append({"row": where, "why": why})

    def tell(self, where: str, why: str) -> None:
        if len(self.told) < NOTES_MAX:
            self.told.append({"row": where, "why": why})

    def answer(self) -> SourceRead:
        return SourceRead(self.kind, self.read, self.kept, self.refused, self.told, iso_day(self.day))


def add_source_file(
    file: RiskFile, kind: str, path: Path, matched: Callable[[list[int], set[int], Added], None], *, now: int
) -> Added:
    """Read a source. `matched` is called with the ids of new documents and with `touched`, inside the transaction that keeps them.

    Raises AuthorError `unknown-source`, `unreadable`, and as the readers do where nothing of it can be read.
    """
    if kind not in KINDS:
        raise AuthorError(
            f"'{kind}' is no source", hint=f"one of: {', '.join(KINDS)}", reason="unknown-source"
        )
    if not path.exists():
        raise AuthorError(f"there is no {path}", reason="unreadable")
    added = Added(kind)
    if kind == "kev":
        with file.transaction() as writer:
            _add_kev(writer, path, added)
            _note(writer, path, added, now)
    elif kind == "epss":
        with file.transaction() as writer:
            _add_epss(writer, path, added)
            _note(writer, path, added, now)
    else:
        _add_documents(file, path, added, matched, now)
    return added


def _note(writer: apsw.Connection, path: Path, added: Added, now: int) -> None:
    """Keep that the source was read, with its age; one that is older than what was held is told."""
    for (day,) in fetch(writer, "SELECT as_of FROM source WHERE kind = ?", (added.kind,)):
        if added.kind in ("kev", "epss") and day is not None and added.day is not None and added.day < day:
            added.tell(
                path.name, f"it is of {iso_day(added.day)}, older than that of {iso_day(day)} it replaces"
            )
    digest = ""
    if path.is_file():
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    writer.execute(
        "INSERT OR REPLACE INTO source (kind, path, sha256, as_of, detail, read, kept, refused, read_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            added.kind,
            path.name,
            digest,
            added.day,
            added.detail,
            added.read,
            added.kept,
            added.refused_count,
            now,
        ),
    )


def _add_kev(writer: apsw.Connection, path: Path, added: Added) -> None:
    catalogue = read_kev_catalogue(read_bytes(path))
    added.read, added.kept, added.day, added.detail = (
        catalogue.read,
        len(catalogue.entries),
        catalogue.as_of,
        catalogue.detail,
    )
    for one in catalogue.refused:
        added.refuse(str(one["row"]), one["why"])
    # An empty one says of every vulnerability that it is not listed: it must at least be dated.
    if not catalogue.entries and (catalogue.read or catalogue.as_of is None):
        raise AuthorError(f"{path.name} holds no entry that can be read", reason="not-kev")
    writer.execute(
        "UPDATE vulnerability SET is_in_kev = 0, kev_added = NULL, kev_due = NULL, kev_ransomware = NULL, kev_action = '' WHERE is_in_kev"
    )
    for entry in catalogue.entries:
        number = vulnerability_id(writer, entry.cve)
        writer.execute(
            """UPDATE vulnerability SET is_in_kev = 1, kev_added = ?, kev_due = ?, kev_ransomware = ?, kev_action = ?,
            title = CASE title WHEN '' THEN ? ELSE title END WHERE id = ?""",
            (entry.added, entry.due, entry.is_ransomware, entry.action, entry.title, number),
        )
    writer.execute("UPDATE rule SET kev_is_checked = 1")
    _tell_other_day(writer, "epss", added)


def _add_epss(writer: apsw.Connection, path: Path, added: Added) -> None:
    read = EpssRead()
    writer.execute(
        "CREATE TEMP TABLE IF NOT EXISTS new_epss (name TEXT PRIMARY KEY, score REAL, percentile REAL) WITHOUT ROWID"
    )
    writer.execute("DELETE FROM new_epss")
    writer.executemany("INSERT OR REPLACE INTO new_epss VALUES (?, ?, ?)", read_epss_scores(path, read))
    writer.execute(
        "UPDATE vulnerability SET epss = NULL, epss_percentile = NULL WHERE epss IS NOT NULL AND name NOT IN (SELECT name FROM new_epss)"
    )
    writer.execute(
        """INSERT INTO vulnerability (name, epss, epss_percentile) SELECT name, score, percentile FROM new_epss WHERE true
        ON CONFLICT DO UPDATE SET epss = excluded.epss, epss_percentile = excluded.epss_percentile"""
    )
    writer.execute("DELETE FROM new_epss")
    added.read, added.kept = read.read, read.read - read.refused_count
    added.refused_count = read.refused_count
    added.refused, added.day, added.detail = read.refused, read.as_of, read.model
    if read.as_of is None:
        added.tell(path.name, "the file names no day: its age is not known")
    _tell_other_day(writer, "kev", added)


def _tell_other_day(writer: apsw.Connection, other: str, added: Added) -> None:
    for (day,) in fetch(writer, "SELECT as_of FROM source WHERE kind = ? AND as_of IS NOT NULL", (other,)):
        if added.day is not None and added.day != day:
            added.tell(added.kind, f"{added.kind} is of {iso_day(added.day)}, {other} is of {iso_day(day)}")


def _files(path: Path) -> Iterator[Path]:
    """Yields a file, or every JSON file below a folder in the order of names."""
    if path.is_dir():
        yield from (one for one in sorted(path.rglob("*.json")) if one.is_file())
    else:
        yield path


def _add_documents(
    file: RiskFile, path: Path, added: Added, matched: Callable[[list[int], set[int], Added], None], now: int
) -> None:
    files = _files(path)
    is_alone = not path.is_dir()
    while True:
        step = list(islice(files, DOCUMENTS_PER_STEP))
        with file.transaction() as writer:
            new: list[int] = []
            for one in step:
                added.read += 1
                try:
                    raw = read_bytes(one)
                    if added.kind == "vulnrichment":
                        _add_record(writer, raw, one.name, added)
                    elif (
                        document := add_document(writer, raw, one.name, added, partner="", now=now)
                    ) is not None:
                        new.append(document)
                except AuthorError as error:
                    if is_alone:
                        raise
                    added.refuse(one.relative_to(path).as_posix(), error.message)
            if new:
                matched(new, added.touched, added)
                added.touched.clear()
            if len(step) < DOCUMENTS_PER_STEP:
                if not added.read:
                    raise AuthorError(f"there is no JSON file below {path}", reason="unreadable")
                _note_whole(writer, added)
                _note(writer, path, added, now)
                return


def _note_whole(writer: apsw.Connection, added: Added) -> None:
    """Take the newest day of what is held as the source's own."""
    if added.kind == "vulnrichment":
        ((day,),) = fetch(writer, "SELECT max(ssvc_day) FROM vulnerability")
        added.day = day
        return
    ((dated,),) = fetch(
        writer, "SELECT max(dated) FROM document WHERE kind = ? AND partner = ''", (added.kind,)
    )
    added.day = dated // DAY_SECONDS if dated is not None else None


def _add_record(writer: apsw.Connection, raw: bytes, name: str, added: Added) -> None:
    said, told = read_cve_record(raw)
    put_vulnerability(writer, said)
    added.kept += 1
    for sentence in told:
        added.tell(name, sentence)
    if said.ssvc_day is None and said.automatable is None:
        added.tell(name, f"{said.name} has no SSVC points")


def add_document(
    writer: apsw.Connection, raw: bytes, name: str, added: Added, *, partner: str, now: int
) -> int | None:
    """Keep one document. Returns its id, None where a newer one is held. Raises AuthorError as its reader does."""
    read = READERS[added.kind](raw)
    if read.document.tracking_id.startswith("sha256:"):
        # A VEX without a serial number: the next one of the same file name replaces it.
        read.document = replace(read.document, tracking_id=f"file:{name}")
    return keep_document(writer, read, hashlib.sha256(raw).hexdigest(), name, added, partner=partner, now=now)


def keep_document(
    writer: apsw.Connection,
    read: DocumentRead,
    sha256: str,
    name: str,
    added: Added,
    *,
    partner: str,
    now: int,
) -> int | None:
    """Keep what was read of one document, as `add_document`."""
    document, why = put_document(writer, read, added.touched, partner=partner, sha256=sha256, now=now)
    if document:
        added.documents.append(document)
        for sentence in read.told:
            added.tell(name, sentence)
    else:
        added.tell(name, f"{read.document.tracking_id} {why}")
    added.kept += 1
    return document or None
