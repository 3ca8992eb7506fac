"""A support bundle: what helps a maintainer to find a fault, and nothing that names anybody or anything (docs/operations/doctor.md,
"Support bundle").

Nothing is taken out of a text: each member is put together of figures and of words that stand in this program, so what is not known
here does not get in. A partner is a pseudonym, which stays the same as long as this node's feed does.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import ssl
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from p2pshare import __version__
from p2pshare.config import Config, field_explanations, load_config
from p2pshare.errors import ShareError
from p2pshare.knowledge.feed import FEED_ID
from p2pshare.node.home import (
    CARD_FILE_NAME,
    CONFIG_NAME,
    EXERCISES_NAME,
    KEY_FILE_NAME,
    STORE_NAME,
    WARNING_INDEX_NAME,
)
from p2pshare.node.store import reading_store
from p2pshare.queries.doctor_words import Finding
from p2pshare.queries.status import NodeStatus

LIBRARIES = ("aiohttp", "apsw", "click", "cryptography", "msgpack", "msgspec", "zstandard")
OWN_FILES = (
    CONFIG_NAME,
    KEY_FILE_NAME,
    CARD_FILE_NAME,
    STORE_NAME,
    f"{STORE_NAME}-wal",
    f"{STORE_NAME}-shm",
    WARNING_INDEX_NAME,
    "feed.mark",
    "lock",
)
"""Names that every home has, or may have; others are counted by folder."""
OWN_FOLDERS = (EXERCISES_NAME, "spool", "run", "duties", "courses", "audit")
WORDS_OF_CONFIG = frozenset({"ttl", "risk.kev_absence_means", "lab.siem_status_min", "lab.cage"})
"""Fields of text that are one of a few words of ours."""
PSEUDONYM_DIGITS = 8
LOG_LINES_MAX = 1_000_000  # a day of a daemon that complains ten times a second
OTHER = "other"
"""What stands for a word that is not of this program."""

HOLDS = {
    "about.json": "versions of the program, its libraries and the system",
    "doctor.json": "each check of the doctor: its level, and which fault it found, without the words",
    "status.json": "figures of this node and its links; partners by pseudonym, reasons by their codes",
    "config.json": "numbers and switches of the config; of texts only whether they are set, of lists how long they are",
    "files.json": "sizes, modes and owners of the home's own files; others are counted",
    "log.json": "which lines of the program are in the log, how often and when, without what stands in them",
}
"""What each member holds, in the words that are shown before it is handed on."""


@dataclass(frozen=True)
class Seen:
    """What a bundle is made of. `status` None: this node did not tell; `log` None: none was given."""

    home: Path
    findings: Sequence[Finding]
    status: NodeStatus | None
    log: Iterable[str] | None
    now: int


def bundle(seen: Seen) -> dict[str, bytes]:
    """Returns the members by name, each JSON."""
    members: dict[str, object] = {
        "about.json": _about(seen.now),
        "doctor.json": [
            {"check": one.check, "level": one.level, "fault": one.fault} for one in seen.findings
        ],
        "status.json": None if seen.status is None else _figures(seen.status, _pseudonyms(seen)),
        "config.json": _config(seen.home),
        "files.json": _files(seen.home),
    }
    if seen.log is not None:
        members["log.json"] = reduced_log(seen.log)
    return {name: json.dumps(member, indent=1).encode() for name, member in members.items()}


def _about(now: int) -> dict[str, object]:
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "none"
    return {
        "program": __version__,
        "python": platform.python_version(),
        "openssl": ".".join(map(str, ssl.OPENSSL_VERSION_INFO[:3])),
        "libraries": versions,
        "system": platform.system(),
        "kernel": ".".join(
            re.findall(r"\d+", platform.release())[:3]
        ),  # a release may be named by its builder
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "made_at": now,
    }


class _Pseudonyms:
    """Partners' stand-ins: a digest keyed by what is in this store alone."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, partner_id: str) -> str:
        digest = hashlib.blake2b(partner_id.encode(), key=self._key).hexdigest()
        return f"partner-{digest[:PSEUDONYM_DIGITS]}"


def _pseudonyms(seen: Seen) -> _Pseudonyms:
    """Returns the pseudonyms of this node: stable while its feed is, and of no other node."""
    key = os.urandom(32)
    try:
        with reading_store(seen.home / STORE_NAME) as store:
            key = hashlib.blake2b(store.database.setting(FEED_ID) or key, digest_size=32).digest()
    except (ShareError, OSError):  # a member of the group: stable within this bundle
        pass
    return _Pseudonyms(key)


def _figures(status: NodeStatus, pseudonym: _Pseudonyms) -> dict[str, object]:
    return {
        "running": status.running,
        "envelopes": _numbers(status.envelopes),
        "disk": _numbers(status.disk),
        "observables": _known(status.observables),
        "refused": _known(status.refused),
        "forks": status.forks,
        "keys_expire": status.keys_expire,
        "door": {
            "requests_seen": status.door.requests_seen,
            "handshakes_refused": _known(status.door.handshakes_refused),
            "guests": _known(status.door.guests),
        }
        if status.door
        else None,
        "writer": _numbers(status.writer) if status.writer else None,
        "publishing": [{"done": one.done, "of": one.of} for one in status.publishing],
        "spaces": {
            "held": status.spaces.held,
            "waiting": status.spaces.waiting,
            "invitations": len(status.spaces.invitations),
            "contested": len(status.spaces.contested),
            "votes": len(status.spaces.votes),
            "cut_off": len(status.spaces.cut_off),
        },
        "alarms": [
            {"word": _word(one.word), "partner": pseudonym(one.partner_id), "since": one.since}
            for one in status.alarms
        ],
        "partners": [
            {
                "partner": pseudonym(one.partner_id),
                "state": _word(one.state),
                "last_error": _word(one.last_error),
                "door": _word(one.door),
                "knock": _word(one.knock),
                "last_exchange": one.last_exchange,
                "card_version": one.card_version,
                "card_expires": one.card_expires,
                "has_link": one.has_link,
                "is_dialable": bool(one.url),
                "circles": len(one.circles),
                "backlog": one.backlog,
                "noted": _known(one.noted),
                "carried_bytes": one.carried_bytes,
                "cost_bytes": one.cost_bytes,
                "clock_offset": one.clock_offset,
                "distrusted": one.distrusted is not None,
            }
            for one in status.partners
        ],
    }


def _numbers(struct: object) -> dict[str, float]:
    names = getattr(struct, "__struct_fields__", ())
    return {
        name: value
        for name in names
        if isinstance(value := getattr(struct, name), int | float) and not isinstance(value, bool)
    }


def _config(home: Path) -> object:
    try:
        config = load_config(home / CONFIG_NAME)
    except (ShareError, OSError):
        return None
    return {key: _of_config(config, key) for key in field_explanations()}


def _of_config(config: Config, key: str) -> object:
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    if isinstance(value, bool | int) or key in WORDS_OF_CONFIG:
        return value
    if isinstance(value, str):
        return "set" if value else "empty"
    return len(value)


def _files(home: Path) -> dict[str, object]:
    owner = home.stat()
    found: dict[str, object] = {".": {"mode": f"{owner.st_mode & 0o777:04o}"}}
    for name in OWN_FILES:
        try:
            one = (home / name).lstat()
        except OSError:
            continue
        found[name] = {
            "bytes": one.st_size,
            "mode": f"{one.st_mode & 0o777:04o}",
            "is_the_owners": one.st_uid == owner.st_uid,
        }
    for name in OWN_FOLDERS:
        sizes = _sizes_below(home / name)
        if sizes:
            found[f"{name}/"] = {"files": len(sizes), "bytes": sum(sizes)}
    try:
        names = os.listdir(home)
    except OSError:
        names = []
    found["others"] = len(set(names) - set(OWN_FILES) - set(OWN_FOLDERS))
    return found


def _sizes_below(folder: Path) -> list[int]:
    sizes = []
    for above, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append((Path(above) / name).lstat().st_size)
            except OSError:
                continue
    return sizes


# --- words of this program ----------------------------------------------------------------------------


def _word(text: str) -> str:
    """Returns a reason code or a word of a state, where it is one of this program's: a partner may send any."""
    return text if not text or text in _own_words() else OTHER


def _known(counts: Mapping[str, int]) -> dict[str, int]:
    told: Counter[str] = Counter()
    for name, count in counts.items():
        told[_word(name)] += count
    return dict(sorted(told.items()))


@cache
def _sources() -> dict[str, str]:
    """Returns the program's own files by their place in the package."""
    folder = Path(str(resources.files("p2pshare")))
    return {
        str(path.relative_to(folder.parent)): path.read_text("utf-8") for path in sorted(folder.rglob("*.py"))
    }


@cache
def _own_words() -> frozenset[str]:
    """Returns each word of small letters and dashes that stands alone between quotes in this program."""
    words = re.compile(r"[\"']([a-z0-9]+(?:-[a-z0-9]+)*)[\"']")
    return frozenset(word for text in _sources().values() for word in words.findall(text))


@cache
def _own_lines() -> list[tuple[str, list[str]]]:
    """Returns each line that this program may log, as it stands in the program, with what of it is always the same; the longest first."""
    lines = set()
    for text in _sources().values():
        if "logging.getLogger" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("debug", "info", "warning", "error", "exception", "critical")
                and node.args
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, str)
            ):
                lines.add(node.args[0].value.partition("\n")[0])
    return [(line, re.split("%[-0-9.]*[a-z]", line)) for line in sorted(lines, key=len, reverse=True)]


def _is_of(text: str, pieces: list[str]) -> bool:
    """Returns whether `text` is these pieces in their order, with anything between: each is looked for once, so that no line takes long."""
    if len(pieces) == 1:
        return text == pieces[0]
    first, *between, last = pieces
    if not text.startswith(first):
        return False
    at = len(first)
    for piece in between:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(text) - len(last) >= at and text.endswith(last)


_TIMED = re.compile(r"(?:<\d>)?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z ")
_PLACE = re.compile(r'File "[^"]*?(p2pshare/[\w/]+\.py)", line (\d+), in (\w+)')
_ROOM = re.compile(r"\bp2pshare\.[\w.]+: ")
_WRITTEN_MAX = 2_000  # characters of a line that are looked at: a longer one is none of ours


def reduced_log(lines: Iterable[str]) -> dict[str, object]:
    """Returns which lines of this program are among `lines`, how often, and when first and last; and the places of its code that
    a traceback named. Of anything else only how many lines there were."""
    own: dict[str, dict[str, Any]] = {}
    places: Counter[str] = Counter()
    others = 0
    for number, written in enumerate(lines):
        if number >= LOG_LINES_MAX:
            break
        text = written.rstrip("\n")[:_WRITTEN_MAX]
        if (place := _PLACE.search(text)) and place[1] in _sources():
            places[f"{place[1]}:{place[2]}"] += 1
            continue
        room = _ROOM.search(text)
        said = text[room.end() :] if room else ""
        line = next((line for line, pieces in _own_lines() if room and _is_of(said, pieces)), None)
        if line is None:
            others += 1
            continue
        timed = _TIMED.match(text)
        one = own.setdefault(line, {"count": 0, "first": timed and timed[1]})
        one["count"] += 1
        one["last"] = timed and timed[1]
    return {"lines": own, "places": dict(places), "others": others}
