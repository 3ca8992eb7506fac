"""The change feed's id: change numbers mean something within one feed only.

A store that was put back from a backup gives change numbers a second time, and whoever reads the feed would miss what is new
and keep what is gone. So a reader keeps (feed id, seq), and another id tells it to begin again from 0 (docs/siem.md, "v1_feed").
The id is made anew

1. with the store;
2. at an opening for writing where the mark beside the store is another feed's, or has gone further than the store, or cannot be
   read: the file was put back under it;
3. once a life, when an envelope of ours is read that came home: this store is a backup or a copy, though the mark came with it;
4. by `restore`, after which envelopes of the incarnations before come home without another one.

The mark is written with each sweep and at the end, never beyond what is committed: what changed after the last one is not missed
where the backup is younger than it.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

import apsw

from p2pshare.database.settings import Setting, get_setting, put_setting
from p2pshare.knowledge.state_table import last_change

FEED_ID = Setting("feed_id", bytes)
RESTORED_BEFORE = Setting("feed_restored_before", int)
FEED_ID_BYTES = 8  # one is drawn at each restore, and compared with those a reader has met
MARK_NAME = "feed.mark"


def feed_id(connection: apsw.Connection) -> bytes:
    return get_setting(connection, FEED_ID) or b""


def renew(connection: apsw.Connection) -> bytes:
    """Begin another feed; returns its id."""
    fresh = secrets.token_bytes(FEED_ID_BYTES)
    put_setting(connection, FEED_ID, fresh)
    return fresh


def begin_restored(connection: apsw.Connection, incarnation: int) -> bytes:
    """Begin the feed of a restored home, whose own envelopes are of `incarnation` or later; returns its id."""
    put_setting(connection, RESTORED_BEFORE, incarnation)
    return renew(connection)


def restored_before(connection: apsw.Connection) -> int:
    """Returns the first incarnation of ours after the latest restore; 0 where there was none."""
    return get_setting(connection, RESTORED_BEFORE) or 0


def is_over(connection: apsw.Connection, mark: str | None) -> bool:
    """Returns whether the store has no feed yet, or was put back under `mark` (None: there is none)."""
    current = feed_id(connection)
    if not current:
        return True
    if mark is None:
        return False
    name, _, seq = mark.partition("-")
    is_whole = name == current.hex() and seq.isascii() and seq.isdigit() and len(seq) < 20
    return not is_whole or int(seq) > last_change(connection)


def mark_of(connection: apsw.Connection) -> str:
    return f"{feed_id(connection).hex()}-{last_change(connection)}"


def read_mark(folder: Path) -> str | None:
    """Returns the mark beside the store, None where there is none, empty where it cannot be read."""
    try:
        return (folder / MARK_NAME).read_text(encoding="ascii")[:64].strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError):
        return ""


def write_mark(folder: Path, mark: str) -> None:
    """Write the mark, whole or not at all. A disk that is full keeps the old one, which only knows less."""
    beside = folder / f"{MARK_NAME}.new"
    with suppress(OSError):
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(mark + "\n")
        beside.replace(folder / MARK_NAME)
