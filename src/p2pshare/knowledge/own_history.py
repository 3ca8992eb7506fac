# ruff: noqa: S608 - statements are put together from this program's own text only
"""Our own objects as they stand, envelope by envelope: what a partner that comes later may be told. Functions on any connection,
promised by `KnowledgeReading`.

There is no index by frame: an object is found by its id, read out of the frame again.
"""

from __future__ import annotations

from collections.abc import Iterator

import apsw
import msgspec

from p2pshare.database.arrays import key_tables
from p2pshare.database.fetching import fetch
from p2pshare.database.settings import OWN_ID, get_setting
from p2pshare.envelope.payload import inflate_frame
from p2pshare.errors import PeerError
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.json_rescue import elements_of
from p2pshare.intel.marking import Tlp
from p2pshare.knowledge.interface import OwnEnvelope, OwnVersion
from p2pshare.knowledge.known_versions import claim_key
from p2pshare.knowledge.object_keys import EncodedId, encode_object_id

_OWN = "(SELECT id FROM organisation WHERE partner_id = :own)"
_ENVELOPES = f"""
SELECT e.lsn, e.envelope_id, e.ttl_class, p.publication FROM envelope e
LEFT JOIN publication_part p ON p.envelope = e.lsn
WHERE e.lsn > :after AND e.author = {_OWN} AND e.created >= :since AND e.is_out = 0
AND EXISTS (SELECT 1 FROM frame f WHERE f.envelope = e.lsn)
ORDER BY e.lsn LIMIT :limit
"""
_CLAIMS = """
SELECT c.position, max(c.status), max(c.tlp), max(c.is_fallen)
FROM {keys} k CROSS JOIN claim c INDEXED BY claim_current
ON c.object_key = k.value AND c.author = (SELECT id FROM organisation WHERE partner_id = ?) AND c.status < 2
WHERE c.frame = ? GROUP BY c.position
"""
_OBJECTS = """
SELECT o.position, o.status, o.tlp, EXISTS (
    SELECT 1 FROM derivation d WHERE d.id = o.derivation AND coalesce(o.modified_us, 0) <= d.fell_us
)
FROM {keys} k CROSS JOIN object o INDEXED BY object_current
ON o.object_key = k.value AND o.author = (SELECT id FROM organisation WHERE partner_id = ?) AND o.status < 2
WHERE o.frame = ?
"""
_SENT_AGAIN = """
SELECT t.name, a.object_key FROM {keys} k CROSS JOIN carried_again a ON a.object_key = k.value
JOIN object_type t ON t.id = a.type JOIN envelope_recipient x ON x.lsn = a.lsn
WHERE a.lsn > ? AND x.recipient = (SELECT id FROM organisation WHERE partner_id = ?)
"""
_TOLD = f"""
SELECT 1 FROM withdrawal_said w JOIN object_type t ON t.id = w.type JOIN envelope_recipient x ON x.lsn = w.lsn
WHERE w.object_key = :key AND t.name = :type AND w.author = {_OWN}
AND x.recipient = (SELECT id FROM organisation WHERE partner_id = :partner) LIMIT 1
"""
_TLPS = {int(level): level for level in Tlp}


class _Named(msgspec.Struct):
    id: str = ""
    type: str = ""


def own_envelopes(connection: apsw.Connection, after: int, since: int, limit: int) -> list[OwnEnvelope]:
    """See `KnowledgeReading.own_envelopes`."""
    bound = {"own": get_setting(connection, OWN_ID), "after": after, "since": since, "limit": limit}
    return [
        OwnEnvelope(lsn, EnvelopeId(envelope_id), ttl_class, publication)
        for lsn, envelope_id, ttl_class, publication in fetch(connection, _ENVELOPES, bound)
    ]


def own_versions(connection: apsw.Connection, lsn: int, partner: PartnerId) -> Iterator[list[OwnVersion]]:
    """See `KnowledgeReading.own_versions`."""
    own = get_setting(connection, OWN_ID)
    frames = fetch(connection, "SELECT id, bytes FROM frame WHERE envelope = ? ORDER BY id", (lsn,))
    for frame, raw in frames:
        try:
            elements = elements_of(inflate_frame(raw))
        except PeerError:
            continue  # it was read when it was stored: the disk is damaged, and `doctor` says so
        ids = [_named(bytes(one)) for one in elements]
        keys = {encode_object_id(one.id) for one in ids}
        standing: dict[int, tuple[int, int, int]] = {}
        for statement, wanted in (
            (_CLAIMS, {claim_key(key) for key in keys}),
            (_OBJECTS, {key for _, key in keys}),
        ):
            for table, bound in key_tables(wanted):
                rows = fetch(connection, statement.format(keys=table), (bound, own, frame))
                standing |= {position: tuple(state) for position, *state in rows}
        again = _sent_again(connection, keys, lsn, partner)
        yield [
            OwnVersion(
                ids[position].id,
                ids[position].type,
                bytes(elements[position]),
                _TLPS[tlp],
                is_revoked=status == 1,
                is_fallen=bool(fallen),
                was_sent_again=encode_object_id(ids[position].id) in again,
            )
            for position, (status, tlp, fallen) in sorted(standing.items())
            if position < len(elements)
        ]


def is_told(connection: apsw.Connection, object_id: str, partner: PartnerId) -> bool:
    """See `KnowledgeReading.was_withdrawal_sent`."""
    type_, key = encode_object_id(object_id)
    bound = {"key": key, "type": type_, "own": get_setting(connection, OWN_ID), "partner": bytes(partner)}
    return bool(fetch(connection, _TOLD, bound))


def _named(raw: bytes) -> _Named:
    try:
        return msgspec.json.decode(raw, type=_Named)
    except msgspec.DecodeError:
        return _Named()


def _sent_again(
    connection: apsw.Connection, keys: set[EncodedId], lsn: int, partner: PartnerId
) -> set[EncodedId]:
    """Returns those that an envelope behind `lsn` has carried to the partner, as they stand in it."""
    found: set[EncodedId] = set()
    for table, bound in key_tables({key for _, key in keys}):
        found.update(fetch(connection, _SENT_AGAIN.format(keys=table), (bound, lsn, bytes(partner))))
    return found & keys
