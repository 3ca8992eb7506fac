"""Lineages: what versions of objects say that they stem from, read out of the tables that `derivations` writes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.identifiers import PartnerId
from p2pshare.intel.derivation import Derivation, ObjectOrigin
from p2pshare.knowledge.known_versions import claim_key
from p2pshare.knowledge.sources import Lineage, Stem

STEMS_REMEMBERED_MAX = 4_096  # some 2 MB; wide objects have one derivation for all of their values
Named = tuple[bytes, str, bytes | str]
"""An object as a derivation names it: partner id, type, key (`object_keys.EncodedId`)."""

_ORIGINS = """
SELECT d.origin_author, t.name, d.origin_key FROM derived_from d INDEXED BY derived_from_derivation
JOIN object_type t ON t.id = d.origin_type WHERE d.derivation = ? ORDER BY 1, 2, 3
"""


_STEM = """
SELECT v.public_source, d.origin_author, t.name, d.origin_key FROM derivation v
LEFT JOIN derived_from d INDEXED BY derived_from_derivation ON d.derivation = v.id
LEFT JOIN object_type t ON t.id = d.origin_type WHERE v.id = ?
"""


def origins_of(connection: apsw.Connection, derivation: int) -> list[Named]:
    """Returns what one version names, in an order that is the same at every partner."""
    return [(partner, type_, key) for partner, type_, key in fetch(connection, _ORIGINS, (derivation,))]


def said_by(connection: apsw.Connection, derivations: Collection[int]) -> dict[int, Derivation]:
    """Returns what these versions say that they stem from, by the id of their row."""
    found = {}
    for one in set(derivations):
        [(text, source)] = fetch(
            connection, "SELECT derived_from, public_source FROM derivation WHERE id = ?", (one,)
        )
        entries = () if text is None else json.loads(text)
        origins = [ObjectOrigin(PartnerId.parse(it["author"]), it["object"]) for it in entries]
        found[one] = Derivation(tuple(origins), source)
    return found


class Lineages:
    """Lineages of claims about a value, for `sources`; what was read is remembered from one value to the next."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._partners: dict[int, bytes] = {}
        self._authors: dict[bytes, int] = {}
        self._stems: dict[int, Stem] = {}
        self.voices: dict[int, int] = dict(
            fetch(connection, "SELECT organisation, voice FROM partner WHERE voice IS NOT NULL")
        )
        """By author that is no voice of its own, whose it is: introduced by that one alone."""

    def of(self, derivations: Iterable[int], authors: Iterable[int]) -> Lineage:
        """Returns what these derivations say, and the partner ids of `authors` (ids of their rows)."""
        for author in authors:
            if author not in self._partners:
                self._partners[author] = partner_of(self._connection, author)
        if len(self._stems) >= STEMS_REMEMBERED_MAX:
            self._stems.clear()
        stems = {}
        for one in set(derivations):
            if one not in self._stems:
                self._stems[one] = self._read(one)
            stems[one] = self._stems[one]
        return Lineage(stems, self._partners, self.voices)

    def _read(self, derivation: int) -> Stem:
        rows = fetch(self._connection, _STEM, (derivation,))
        origins = [
            (self._author(partner), claim_key((type_, key)))
            for _, partner, type_, key in rows
            if partner is not None
        ]
        return Stem(tuple(origins), rows[0][0])

    def _author(self, partner: bytes) -> int:
        if partner not in self._authors:
            found = author_of(self._connection, partner)
            self._authors[partner] = -1 - len(self._authors) if found is None else found
        return self._authors[partner]


def partner_of(connection: apsw.Connection, author: int) -> bytes:
    """Returns the partner id of the organisation in a row."""
    [(partner,)] = fetch(connection, "SELECT partner_id FROM organisation WHERE id = ?", (author,))
    return bytes(partner)


def author_of(connection: apsw.Connection, partner: bytes) -> int | None:
    """Returns the row of an organisation; None for one of which nothing came yet."""
    found = fetch(connection, "SELECT id FROM organisation WHERE partner_id = ?", (partner,))
    return int(found[0][0]) if found else None
