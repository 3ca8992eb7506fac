"""What a liar can make of signed entries and sealed envelopes, without the keys that made them: rewrites across the wall of an exercise."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from p2pshare.envelope.encoding import pack
from p2pshare.envelope.entry import VerifiedEntry, encode_entry
from p2pshare.envelope.envelope import DecodedEnvelope, decode_envelope, encode_envelope

REALM, SPACE, AUTHOR, KEY, NUMBER, PARENTS, DEPTH, CREATED, KIND, TLP, AUDIENCE, DIGEST, SIZE = range(13)
KINDS = ("open", "join", "note", "invite", "part", "object", "sighting", "withdrawal", "pause", "merge")


@dataclass(frozen=True)
class Side:
    """What is on one side of the wall: its realm, spaces, entries, authors and keys that a rewrite may name."""

    realm: bytes
    spaces: Sequence[bytes]
    entries: Sequence[bytes]
    authors: Sequence[bytes]
    keys: Sequence[bytes]
    last: Mapping[bytes, tuple[int, bytes, int]]
    """Of each author the number, id and depth of its last entry there."""


def rewritten_entries(
    entries: Sequence[VerifiedEntry], other: Side, count: int, rng: random.Random
) -> Iterator[tuple[str, bytes]]:
    """Yields `count` rewrites of signed entries so that they look as if they were of the other side: (what was done, wire)."""
    makers = (
        _realm_alone,
        _realm_and_more,
        _as_the_next,
        _label_cut_off,
        _kind,
        _other_space,
        _own_body,
        _signatures_of_another,
        _bytes_of_realm,
    )
    for number in range(count):
        entry = rng.choice(entries)
        make = makers[number % len(makers)]
        yield make.__name__.strip("_"), make(entry, entries, other, rng)


def _fields(entry: VerifiedEntry) -> dict[int, Any]:
    fields: dict[int, Any] = msgpack.unpackb(entry.decoded.header_raw, strict_map_key=False)
    return fields


def _put(entry: VerifiedEntry, fields: dict[int, Any], body: bytes | None = None) -> bytes:
    raw = pack(dict(sorted(fields.items())))
    return encode_entry(raw, entry.decoded.body if body is None else body, entry.decoded.signatures)


def _realm_alone(
    entry: VerifiedEntry, entries: Sequence[VerifiedEntry], other: Side, rng: random.Random
) -> bytes:
    return _put(entry, _fields(entry) | {REALM: other.realm})


def _realm_and_more(
    entry: VerifiedEntry, entries: Sequence[VerifiedEntry], other: Side, rng: random.Random
) -> bytes:
    """The realm, and some other fields, as they could stand on the other side."""
    drawn = {
        AUTHOR: rng.choice(other.authors),
        KEY: rng.choice(other.keys),
        NUMBER: rng.randint(1, 40),
        PARENTS: sorted(rng.sample(other.entries, rng.randint(0, min(3, len(other.entries))))),
        DEPTH: rng.randint(1, 40),
        CREATED: _fields(entry)[CREATED] + rng.randint(-1_000, 1_000),
        KIND: rng.choice(KINDS),
        TLP: rng.randint(0, 4),
        SPACE: rng.choice([*other.spaces, bytes(32)]),
        AUDIENCE: sorted(rng.sample(other.authors, rng.randint(0, len(other.authors)))),
    }
    chosen = rng.sample(sorted(drawn), rng.randint(1, 4))
    return _put(entry, _fields(entry) | {REALM: other.realm} | {key: drawn[key] for key in chosen})


def _as_the_next(
    entry: VerifiedEntry, entries: Sequence[VerifiedEntry], other: Side, rng: random.Random
) -> bytes:
    """All that an entry of its author would say there: nothing but the signatures is in the way."""
    number, last, depth = other.last[bytes(entry.header.author)]
    placed = {SPACE: other.spaces[0], NUMBER: number + 1, PARENTS: [last], DEPTH: depth + 1, KIND: "note"}
    return _put(entry, _fields(entry) | placed | {REALM: other.realm})


def _label_cut_off(
    entry: VerifiedEntry, entries: Sequence[VerifiedEntry], other: Side, rng: random.Random
) -> bytes:
    """The header without its realm; or with one that is shorter, absent, or in another place."""
    fields = _fields(entry)
    realm = fields.pop(REALM)
    how = rng.randrange(4)
    if how == 1:
        fields[REALM] = realm[: rng.randrange(16)]
    elif how == 2:
        fields[REALM] = b""
    elif how == 3:
        fields = {key - 1: value for key, value in fields.items()}
    return _put(entry, fields)


def _kind(entry: VerifiedEntry, entries: Sequence[VerifiedEntry], other: Side, rng: random.Random) -> bytes:
    return _put(entry, _fields(entry) | {REALM: other.realm, KIND: rng.choice(KINDS)})


def _other_space(
    entry: VerifiedEntry, entries: Sequence[VerifiedEntry], other: Side, rng: random.Random
) -> bytes:
    """Its own realm, and a space, and parents, of the other side."""
    fields = _fields(entry) | {SPACE: rng.choice(other.spaces), PARENTS: [rng.choice(other.entries)]}
    return _put(entry, fields | ({REALM: other.realm} if rng.random() < 0.5 else {}))


def _own_body(
    entry: VerifiedEntry, entries: Sequence[VerifiedEntry], other: Side, rng: random.Random
) -> bytes:
    return _put(entry, _fields(entry) | {REALM: other.realm}, rng.randbytes(rng.randint(16, 80)))


def _signatures_of_another(
    entry: VerifiedEntry, entries: Sequence[VerifiedEntry], other: Side, rng: random.Random
) -> bytes:
    raw = pack(_fields(entry) | {REALM: other.realm})
    return encode_entry(raw, entry.decoded.body, rng.choice(entries).decoded.signatures)


def _bytes_of_realm(
    entry: VerifiedEntry, entries: Sequence[VerifiedEntry], other: Side, rng: random.Random
) -> bytes:
    """Every place in the bytes at which its realm stands, overwritten; and a bit of the rest turned, half of the time."""
    wire = bytearray(entry.wire.replace(bytes(entry.header.realm), other.realm))
    if rng.random() < 0.5:
        wire[rng.randrange(len(wire))] ^= 1 << rng.randrange(8)
    return bytes(wire)


def rewritten_envelopes(
    wires: Sequence[bytes], circles: Sequence[bytes], count: int, rng: random.Random
) -> Iterator[tuple[str, bytes]]:
    """Yields `count` rewrites of sealed envelopes: another circle, mode, class of lifetime or other header field under the signatures that they
    had, the header of one with the body of another."""
    decoded = [decode_envelope(wire) for wire in wires]
    for number in range(count):
        one = rng.choice(decoded)
        core: dict[int, Any] = msgpack.unpackb(one.core_raw, strict_map_key=False)
        what = ("circle", "mode", "ttl", "body", "field")[number % 5]
        if what == "circle":
            core[6] = rng.choice([circle for circle in circles if circle != core[6]] or [rng.randbytes(16)])
        elif what == "mode":
            core |= {7: 1 - core[7], 6: rng.choice(circles)}
        elif what == "ttl":
            core[9] = rng.choice([klass for klass in (1, 2, 3, 4) if klass != core[9]])
        elif what == "field":
            key = rng.choice([3, 4, 8])
            core[key] += rng.randint(1, 5)
        yield what, _sealed_again(one, core, rng.choice(decoded) if what == "body" else one, rng)


def _sealed_again(
    one: DecodedEnvelope, core: dict[int, Any], body_of: DecodedEnvelope, rng: random.Random
) -> bytes:
    body = body_of.body
    if body_of is one and core == msgpack.unpackb(one.core_raw, strict_map_key=False):
        body = bytes([body[0] ^ 1]) + body[1:]
    core[13] = len(body)
    return encode_envelope(pack(core), one.wraps, body, one.signatures)
