"""What readers of sources share: whole files within bounds, JSON that is checked before it is believed, days and CVE ids."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.intel.artefacts import canonical_cve
from p2pshare.intel.instants import SECOND_US, parse_instant
from p2pshare.intel.json_text import is_shallow, without_bom
from p2pshare.intel.refusals import InvalidValue
from p2pshare.limits import MIB

DOCUMENT_BYTES_MAX = 64 * MIB  # the largest CSAF of Red Hat has 23 MB; JSON is held whole to be checked
BRACKETS_MAX = (
    2_000_000  # objects and lists in one document: each takes 100 bytes or more, so 200 MB at worst
)
EPOCH = date(1970, 1, 1)
NAME_CHARACTERS_MAX = 200  # of the id of a vulnerability


def read_bytes(path: Path, bytes_max: int = DOCUMENT_BYTES_MAX) -> bytes:
    """Returns a file. Raises AuthorError `file-too-large`, `unreadable`."""
    try:
        with path.open("rb") as file:
            raw = file.read(bytes_max + 1)
    except OSError as error:
        raise AuthorError(f"cannot read {path.name}: {error.strerror}", reason="unreadable") from None
    if len(raw) > bytes_max:
        raise AuthorError(f"{path.name} is longer than {bytes_max // MIB} MiB", reason="file-too-large")
    return raw


def parse_json(raw: bytes, *, bytes_max: int = DOCUMENT_BYTES_MAX) -> dict[str, Any]:
    """Returns the object that a document is. Raises AuthorError: file-too-large, too-deep, too-many-objects, not-json."""
    raw = without_bom(raw)
    if len(raw) > bytes_max:
        raise AuthorError("the document is too long", reason="file-too-large")
    if raw.count(b"{") + raw.count(b"[") > BRACKETS_MAX:
        raise AuthorError("the document holds too many objects", reason="too-many-objects")
    if not is_shallow(raw):
        raise AuthorError("the JSON nests too deep", reason="too-deep")
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise AuthorError(f"the document is no JSON object: {str(error)[:120]}", reason="not-json") from None


def text_in(holder: object, *path: str) -> str:
    """Returns the text that lies at `path` below `holder`, without white space around it; '' where there is none."""
    for name in path:
        holder = holder.get(name) if isinstance(holder, dict) else None
    return holder.strip() if isinstance(holder, str) else ""


def list_in(holder: object, *path: str) -> list[Any]:
    """Returns the list that lies at `path` below `holder`, or an empty one."""
    for name in path:
        holder = holder.get(name) if isinstance(holder, dict) else None
    return holder if isinstance(holder, list) else []


def texts_in(holder: object, *path: str) -> tuple[str, ...]:
    """Returns the texts of a list; what is no text is passed over."""
    return tuple(one.strip() for one in list_in(holder, *path) if isinstance(one, str) and one.strip())


def cve_or_none(text: str) -> str | None:
    """Returns the CVE id in its only form, None where it is none."""
    try:
        return canonical_cve(text.strip())
    except InvalidValue:
        return None


def vulnerability_name(text: str) -> str:
    """Returns the id of a vulnerability: a CVE in its only form, any other as it is written."""
    return cve_or_none(text) or text.strip()[:NAME_CHARACTERS_MAX]


def seconds_of(text: str) -> int | None:
    """Returns an instant or a day as seconds since 1970, None where it is neither."""
    try:
        return parse_instant(text) // SECOND_US
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def day_of(text: str) -> int | None:
    """Returns `2026-11-01...` as days since 1970, None where it is no day."""
    try:
        return (date.fromisoformat(text[:10]) - EPOCH).days
    except ValueError:
        return None


def iso_day(day: int | None) -> str:
    """Returns days since 1970 as `2026-11-01`, '' for None."""
    return date.fromordinal(EPOCH.toordinal() + day).isoformat() if day is not None else ""
