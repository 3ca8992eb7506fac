"""EPSS scores of one day (FIRST), as CSV or gzip: with the line `#model_version:...,score_date:...`, or without any header."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO, cast

from p2pshare.errors import AuthorError
from p2pshare.limits import MIB
from p2pshare.risk.sources.source_files import cve_or_none, day_of

EXPANDED_BYTES_MAX = 512 * MIB  # 300,000 CVEs take 10 MB; a bomb of gzip stops here
REFUSED_SHOWN_MAX = 100
DELIMITERS = (",", ";", "\t")

_HEADER_WORDS = {
    "score": "epss",
    "epss_score": "epss",
    "epss score": "epss",
    "cve_id": "cve",
    "cve id": "cve",
    "cveid": "cve",
}
_DAY_IN_NAME = re.compile(r"(\d{4}-\d\d-\d\d)")


class EpssScore(NamedTuple):
    """The probability of exploitation in the next 30 days, and its place among all scores; both 0 to 1."""

    cve: str
    score: float
    percentile: float | None


@dataclass
class EpssRead:
    """What is known once all scores are yielded. `as_of`: the day of the scores, from the first line or the file's name."""

    read: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    refused_count: int = 0
    as_of: int | None = None
    model: str = ""

    def refuse(self, row: int, why: str) -> None:
        self.refused_count += 1
        if len(self.refused) < REFUSED_SHOWN_MAX:
            self.refused.append({"row": row, "why": why})


def read_epss_scores(path: Path, read: EpssRead) -> Iterator[EpssScore]:
    """Yields the scores of a file. Raises AuthorError `not-epss`, `file-too-large`, `not-gzip`."""
    named = _DAY_IN_NAME.search(path.name)
    read.as_of = day_of(named[1]) if named else None
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        opened = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_packed else file
        with io.TextIOWrapper(opened, "utf-8-sig", "replace", newline="") as text:
            try:
                yield from _scores(_lines(text), read)
            except (OSError, EOFError, zlib.error) as error:
                if not is_packed:
                    raise AuthorError(f"cannot read {path.name}: {error}", reason="unreadable") from None
                raise AuthorError(f"{path.name} is no whole gzip file", reason="not-gzip") from None
    if not read.read or read.refused_count == read.read:
        raise AuthorError(
            f"{path.name} holds no EPSS scores",
            hint="CVE, score and percentile on each line",
            reason="not-epss",
        )


def _lines(text: TextIO) -> Iterator[str]:
    taken = 0
    while line := text.readline(4096):
        taken += len(line)
        if taken > EXPANDED_BYTES_MAX:
            raise AuthorError("the scores are too many", reason="file-too-large")
        yield line


def _scores(lines: Iterator[str], read: EpssRead) -> Iterator[EpssScore]:
    row = 0
    delimiter, places = "", (0, 1, 2)
    for line in lines:
        row += 1
        if not line.strip():
            continue
        if line.startswith("#"):
            _note_head(line, read)
            continue
        if not delimiter:
            delimiter = max(DELIMITERS, key=line.count)
        cells = next(csv.reader([line], delimiter=delimiter), [])
        if (header := _header(cells)) is not None:
            places = header
            continue
        read.read += 1
        found = _score(cells, places)
        if isinstance(found, str):
            read.refuse(row, found)
        else:
            yield found


def _header(cells: list[str]) -> tuple[int, int, int] | None:
    names = [_HEADER_WORDS.get(one, one) for one in (cell.strip().strip('"').lower() for cell in cells)]
    if "cve" not in names or "epss" not in names:
        return None
    return (
        names.index("cve"),
        names.index("epss"),
        names.index("percentile") if "percentile" in names else len(names),
    )


def _note_head(line: str, read: EpssRead) -> None:
    """Read `#model_version:v2025.03.14,score_date:2026-11-01T00:00:00+0000`."""
    for part in line.lstrip("#").strip().split(","):
        name, _, value = part.partition(":")
        if name == "model_version":
            read.model = value[:40]
        elif name == "score_date":
            read.as_of = day_of(value) or read.as_of


def _score(cells: list[str], places: tuple[int, int, int]) -> EpssScore | str:
    """Returns the score, or why it is none."""
    texts = [cells[place].strip() if place < len(cells) else "" for place in places]
    cve = cve_or_none(texts[0])
    if cve is None:
        return "no CVE id"
    try:
        score = float(texts[1].replace(",", "."))
        percentile = float(texts[2].replace(",", ".")) if texts[2] else None
    except ValueError:
        return f"{cve}: no number"
    if not 0 <= score <= 1 or not (percentile is None or 0 <= percentile <= 1):
        return f"{cve}: not between 0 and 1"
    return EpssScore(cve, score, percentile)
