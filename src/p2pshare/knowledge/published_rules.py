"""Published rules: the detection rules among objects, read out of their frames for the SIEM view `v1_rules` (docs/siem.md).

A rule is an indicator whose pattern is of another language than STIX's: it gives no claims, and its row in `object` says whether it counts.
Rules:

1. They are read after they were stored, in the order of their rows, a step at a time: what a partner's bytes ask for holds nobody up. The
   place is a setting, changed in the transaction of its step.
2. A row is made once and says nothing of effect. Another version of the object is another row.
3. Texts are stored as they were written, but no more of them than TEXT_TIMES what the frame that brought them takes: who sends a thousand
   times the same does not fill the disk.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import apsw
import msgspec

from p2pshare.database.fetching import fetch
from p2pshare.database.settings import Setting, get_setting, put_setting
from p2pshare.intel.extraction import RULE_LANGUAGES
from p2pshare.knowledge.contents import Contents
from p2pshare.limits import RULE_BYTES_MAX

RULES_READ = Setting("rules_read", int)
"""The object behind which rules are still to be read."""
RULES_TEXT_BYTES = Setting("rules_text_bytes", int)
"""How many bytes of texts were kept of the frame of that object."""
STEP_OBJECTS = 4_096  # looked at in one step
STEP_RULES = 256  # read in one step ...
STEP_TEXT_BYTES = 4 * RULE_BYTES_MAX  # ... and so many bytes of text, and one more: some 20 ms
TEXT_TIMES = 16  # rules compress to a fifth, families of rules to a tenth
TEXT_BYTES_MIN = 16 * 1_024  # of a small frame: a common rule has 2 KiB
TITLE_CHARACTERS_MAX = 512
TECHNIQUES_MAX = 64

_NEXT = """
SELECT o.id, o.frame, o.position, y.name = 'indicator' FROM object o JOIN object_type y ON y.id = o.type
WHERE o.id > ? ORDER BY o.id LIMIT ?
"""


class _RuleFields(msgspec.Struct, gc=False):
    """Properties of an object that may be a rule; what is of another type says nothing."""

    pattern: Any = None
    pattern_type: Any = None
    name: Any = None
    labels: Any = None
    x_rule_author: Any = None
    x_rule_license: Any = None


def is_behind(connection: apsw.Connection) -> bool:
    """Returns whether objects were stored whose rules are still to be read."""
    ((last,),) = fetch(connection, "SELECT coalesce(max(id), 0) FROM object")
    return bool(last > (get_setting(connection, RULES_READ) or 0))


def read_on(connection: apsw.Connection) -> None:
    """Take a step. To be called in a transaction."""
    place, used = get_setting(connection, RULES_READ) or 0, get_setting(connection, RULES_TEXT_BYTES) or 0
    frame_before = _frame_of(connection, place)
    contents, rules, text_bytes, room = Contents(connection), 0, 0, 0
    for row, frame, position, is_indicator in fetch(connection, _NEXT, (place, STEP_OBJECTS)):
        if rules >= STEP_RULES or text_bytes > STEP_TEXT_BYTES:
            break
        place = row
        if not is_indicator:
            continue
        if frame != frame_before:
            frame_before, used, room = frame, 0, 0
        fields = _fields_of(contents.raw(frame, position))
        if fields is None:
            continue
        rules += 1
        room = room or max(TEXT_BYTES_MIN, TEXT_TIMES * _frame_bytes(connection, frame))
        size = len(fields.pattern.encode("utf-8", "surrogatepass"))
        is_kept = size <= RULE_BYTES_MAX and used + size <= room and _is_text(fields.pattern)
        if is_kept:
            used, text_bytes = used + size, text_bytes + size
        connection.execute(
            "INSERT OR REPLACE INTO published_rule VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            _row(row, fields, fields.pattern if is_kept else None),
        )
    put_setting(connection, RULES_READ, place)
    put_setting(connection, RULES_TEXT_BYTES, used)


def _fields_of(raw: bytes | None) -> _RuleFields | None:
    """Returns the properties of a rule; None for an object that is none, or cannot be read."""
    if raw is None:
        return None
    try:
        fields = msgspec.json.decode(raw, type=_RuleFields)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    is_rule = isinstance(fields.pattern, str) and fields.pattern_type in RULE_LANGUAGES
    return fields if is_rule else None


def _row(row: int, fields: _RuleFields, text: str | None) -> tuple[Any, ...]:
    labels = [one for one in fields.labels if isinstance(one, str)] if isinstance(fields.labels, list) else []
    levels = [one.removeprefix("sigma-level:") for one in labels if one.startswith("sigma-level:")]
    techniques = sorted({one[7:] for one in labels if one.startswith("attack.t") and one[8:9].isdigit()})
    return (
        row,
        fields.pattern_type,
        _short(fields.name),
        _short(fields.x_rule_author),
        _short(fields.x_rule_license),
        hashlib.sha256(fields.pattern.encode("utf-8", "surrogatepass")).digest(),
        _short(levels[0]) if levels else None,
        json.dumps([one[:TITLE_CHARACTERS_MAX] for one in techniques[:TECHNIQUES_MAX]]),
        text,
    )


def _short(text: object) -> str | None:
    return text[:TITLE_CHARACTERS_MAX] if isinstance(text, str) and text and _is_text(text) else None


def _is_text(text: str) -> bool:
    """Returns whether a text can be stored as UTF-8."""
    return text.isascii() or not any("\ud800" <= one <= "\udfff" for one in text)


def _frame_of(connection: apsw.Connection, row: int) -> int:
    rows = fetch(connection, "SELECT frame FROM object WHERE id = ?", (row,))
    return int(rows[0][0]) if rows else 0


def _frame_bytes(connection: apsw.Connection, frame: int) -> int:
    rows = fetch(connection, "SELECT length(bytes) FROM frame WHERE id = ?", (frame,))
    return int(rows[0][0]) if rows else 0
