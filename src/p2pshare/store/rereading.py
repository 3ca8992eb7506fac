"""Reading again what an earlier version stored, for what it did not look at: PAP. Once, when the store is opened.

An envelope is read again only if it names a marking that is neither a TLP level nor a statement: nearly none does.
"""

from __future__ import annotations

import re
from itertools import groupby

import apsw

from p2pshare.envelope.payload import inflate_frame
from p2pshare.errors import PeerError
from p2pshare.intel.extraction import extract
from p2pshare.intel.marking import STATEMENT_IDS, TLP_IDS, Meaning, Tlp
from p2pshare.store.fetching import fetch
from p2pshare.store.object_keys import encode_object_id
from p2pshare.store.settings import get_setting, put_setting

PAP_UNREAD = "pap_unread"
_NAMED = re.compile(rb"marking-definition--[0-9a-f-]{36}")
_WITHOUT_PAP = frozenset(one.encode() for one in (*TLP_IDS, *STATEMENT_IDS))


def has_unread(connection: apsw.Connection) -> bool:
    return bool(get_setting(connection, PAP_UNREAD))


def read_pap(connection: apsw.Connection) -> None:
    """Writes down the PAP of claims that were stored without, inside the caller's transaction."""
    frames = fetch(connection, "SELECT envelope, id FROM frame ORDER BY envelope, id")
    for _, of_envelope in groupby(frames, key=lambda row: row[0]):
        ids = [frame for _, frame in of_envelope]
        if any(_names_more(_text(connection, frame)) for frame in ids):
            definitions: dict[str, Meaning] = {}
            for frame in ids:
                _read_frame(connection, frame, definitions)
    put_setting(connection, PAP_UNREAD, 0)


def _names_more(text: bytes) -> bool:
    return any(name not in _WITHOUT_PAP for name in _NAMED.findall(text))


def _text(connection: apsw.Connection, frame: int) -> bytes:
    """The frame's JSON; empty when it cannot be read, for then it gave no claims either."""
    ((compressed,),) = fetch(connection, "SELECT bytes FROM frame WHERE id = ?", (frame,))
    try:
        return inflate_frame(compressed)
    except PeerError:
        return b""


def _read_frame(connection: apsw.Connection, frame: int, definitions: dict[str, Meaning]) -> None:
    extraction = extract(_text(connection, frame), floor=Tlp.CLEAR, definitions=definitions)
    connection.executemany(
        "UPDATE claim SET pap = ? WHERE object_key = ? AND status < 2 AND frame = ? AND position = ?",
        (
            (int(fact.claims[0].pap), encode_object_id(fact.object_id)[1], frame, fact.position)
            for fact in extraction.objects
            if fact.claims and fact.claims[0].pap is not None
        ),
    )
