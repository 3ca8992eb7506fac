"""The messages two nodes exchange, and the one way to write each of them (docs/gossip.md, "Messages").

Rules this file keeps:

1. A message is a MessagePack array of unsigned integers, bins, short texts and arrays of these: no map, no
   float, no boolean, no extension. The order of the fields is the order of the dataclass.
2. Re-encoding what was read gives the same bytes, or it is refused: there is no second form.
3. Every list has a limit and every number a range; nothing is read that is larger than its route allows.
4. A message does not name its sender: that is known from TLS alone.

`raw` is untrusted; a decoded message has the right shape and is as untrusted as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import msgpack

from p2pshare.errors import PeerError
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch
from p2pshare.limits import (
    ANNOUNCE_ITEMS_MAX,
    CARD_URLS_MAX,
    ENVELOPE_BYTES_MAX,
    GET_IDS_MAX,
    POLL_DIRECT_MAX,
    POLL_WAIT_SECONDS_MAX,
    REASON_BYTES_MAX,
    REQUEST_BYTES_MAX,
    SHARD_SECONDS_BY_CLASS,
    SHARDS_PER_LINK_MAX,
    SYNC_BYTES_MAX,
    SYNC_PARTS_MAX,
)

PROTOCOL_VERSION = 1
INTEGER_MAX = (1 << 53) - 1  # what every language's numbers hold exactly
ROOT_BYTES = 16
NONCE_BYTES = 32
BODY_HEAD_BYTES = 36  # envelope id (32) || length (4, big endian); length 0 says "gone"
MESSAGE_BYTES_MAX = REQUEST_BYTES_MAX  # every message but a body and a sync


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """A set that is compared as a whole: the relayed envelopes of one circle and one ttl class, or its notices (class 7)."""

    circle: CircleId
    ttl_class: int


@dataclass(frozen=True, slots=True)
class ShardRoot:
    """The number of keys in a shard, and their fingerprint (16 bytes): equal on both sides means in sync."""

    shard: Shard
    count: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Hello:
    """The sender's epoch, its clock (unix seconds) and the version of its card.

    `shards` are those that the link carries and that are not empty, in ascending order.
    """

    epoch: Epoch
    clock: int
    card_version: int
    shards: tuple[ShardRoot, ...] = ()


HelloAnswer = Hello


@dataclass(frozen=True, slots=True)
class AnnounceItem:
    """An envelope, or a notice, that the announcer holds; `size` is its length on the wire in bytes, 0 in a repair (not known)."""

    envelope_id: EnvelopeId
    created: int
    ttl_class: int
    circle: CircleId
    size: int


@dataclass(frozen=True, slots=True)
class Announce:
    """The items that arrived at the announcer since it had announced `from_count` of them; with these it is `to_count`.

    Both count items of this link in this `epoch`. Equal numbers mean a repair: items that a comparison found missing, in no
    order.
    """

    epoch: Epoch
    from_count: int
    to_count: int
    items: tuple[AnnounceItem, ...]


@dataclass(frozen=True, slots=True)
class AnnounceAnswer:
    """The `to_count` that was heard. `want` are ids that the announcer shall PUT, because it cannot be dialled to fetch them."""

    ack_count: int
    want: tuple[EnvelopeId, ...] = ()


@dataclass(frozen=True, slots=True)
class Poll:
    """A question of a peer that cannot be dialled: the items after the first `since` that were announced to it in `epoch`.

    `epoch` is that of the answering node. The answer may take `wait_seconds` when there is no news. `held` are direct
    envelopes that the asker holds now.
    """

    epoch: Epoch
    since: int
    wait_seconds: int
    held: tuple[EnvelopeId, ...] = ()


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """As an `Announce`, and `direct`: envelopes of the answering node for the asker alone, to be fetched like the others.

    A `from_count` above the `since` of the question means that the items between are too old to be listed: compare.
    """

    epoch: Epoch
    from_count: int
    to_count: int
    items: tuple[AnnounceItem, ...]
    direct: tuple[EnvelopeId, ...] = ()


@dataclass(frozen=True, slots=True)
class GetBodies:
    """A question for bodies, smallest first; the answer is a stream of `body_head` and bytes for each id."""

    ids: tuple[EnvelopeId, ...]


class PutVerdict(StrEnum):
    """The outcome of a PUT. HELD is said after COMMIT only; a full disk is HTTP 507 instead."""

    HELD = "held"
    ALREADY_HELD = "already-held"
    REFUSED = "refused"
    DEFERRED = "deferred"


@dataclass(frozen=True, slots=True)
class PutAnswer:
    """The verdict on an envelope, and the reason code when it was not taken."""

    verdict: PutVerdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DialAnswer:
    """What came of dialling back: the version of the asker's card that is known, and for each address on it, in order, REACHED or the
    reason code for which its owner did not answer there."""

    card_version: int
    outcomes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SyncPart:
    """A Negentropy message about one shard (docs/reconciliation.md)."""

    shard: Shard
    message: bytes


@dataclass(frozen=True, slots=True)
class Sync:
    """A round of a comparison of shards, cut at the hour of `clock` (unix seconds, the later one of both sides' clocks).

    `nonce` is empty, or the key of an audit (32 bytes). Parts ascend by shard.
    """

    clock: int
    nonce: bytes
    parts: tuple[SyncPart, ...]


@dataclass(frozen=True, slots=True)
class SyncAnswer:
    """An answer to each part, in the same order."""

    parts: tuple[SyncPart, ...]


EngineAnswer = Hello | AnnounceAnswer | PollAnswer | SyncAnswer
"""The answers that one engine gives another."""


# --- writing ---------------------------------------------------------------------------------------


def _pack(value: Any) -> bytes:
    return bytes(msgpack.packb(value, use_bin_type=True))


def encode_hello(message: Hello) -> bytes:
    shards = [[one.shard.circle, one.shard.ttl_class, one.count, one.root] for one in message.shards]
    return _pack([PROTOCOL_VERSION, message.epoch, message.clock, message.card_version, shards])


def encode_announce(message: Announce) -> bytes:
    items = [_packed_item(one) for one in message.items]
    return _pack([message.epoch, message.from_count, message.to_count, items])


def encode_poll(message: Poll) -> bytes:
    return _pack([message.epoch, message.since, message.wait_seconds, list(message.held)])


def encode_poll_answer(message: PollAnswer) -> bytes:
    items = [_packed_item(one) for one in message.items]
    return _pack([message.epoch, message.from_count, message.to_count, items, list(message.direct)])


def _packed_item(item: AnnounceItem) -> list[Any]:
    return [item.envelope_id, item.created, item.ttl_class, item.circle, item.size]


def encode_announce_answer(message: AnnounceAnswer) -> bytes:
    return _pack([message.ack_count, list(message.want)])


def encode_get_bodies(message: GetBodies) -> bytes:
    return _pack([list(message.ids)])


def encode_put_answer(message: PutAnswer) -> bytes:
    return _pack([message.verdict.value, message.reason])


def encode_dial_answer(message: DialAnswer) -> bytes:
    return _pack([message.card_version, list(message.outcomes)])


def encode_sync(message: Sync) -> bytes:
    return _pack([message.clock, message.nonce, _packed_parts(message.parts)])


def encode_sync_answer(message: SyncAnswer) -> bytes:
    return _pack([_packed_parts(message.parts)])


def _packed_parts(parts: tuple[SyncPart, ...]) -> list[list[Any]]:
    return [[one.shard.circle, one.shard.ttl_class, one.message] for one in parts]


def body_head(envelope_id: EnvelopeId, length: int) -> bytes:
    """Returns the 36 bytes that precede each body in the answer to `GetBodies`; `length` 0 means gone, and no bytes follow."""
    return envelope_id + length.to_bytes(4, "big")


# --- reading ---------------------------------------------------------------------------------------


def decode_hello(raw: bytes) -> Hello:
    """Decode a hello. Raises PeerError `oversized`, `malformed`, `not-canonical` or `unknown-version`.

    So do all decoders below, save for `unknown-version`.
    """
    fields = _unpack(raw)
    if fields and fields[0] != PROTOCOL_VERSION:
        raise PeerError("a hello of a protocol version we do not speak", reason="unknown-version")
    _, epoch, clock, card_version, shards = _exactly(fields, 5)
    roots = tuple(_shard_root(one) for one in _list(shards, SHARDS_PER_LINK_MAX))
    if any(left.shard >= right.shard for left, right in pairwise(roots)):
        raise _malformed("shards are not in ascending order")
    return Hello(_epoch(epoch), _integer(clock), _integer(card_version), roots)


def decode_announce(raw: bytes) -> Announce:
    epoch, from_count, to_count, items = _exactly(_unpack(raw), 4)
    return Announce(_epoch(epoch), *_stretch(from_count, to_count), _announce_items(items))


def decode_poll(raw: bytes) -> Poll:
    epoch, since, wait_seconds, held = _exactly(_unpack(raw), 4)
    wait = _integer(wait_seconds, high=POLL_WAIT_SECONDS_MAX)
    return Poll(_epoch(epoch), _integer(since), wait, _ids(held, ANNOUNCE_ITEMS_MAX))


def decode_poll_answer(raw: bytes) -> PollAnswer:
    epoch, from_count, to_count, items, direct = _exactly(_unpack(raw), 5)
    return PollAnswer(
        _epoch(epoch), *_stretch(from_count, to_count), _announce_items(items), _ids(direct, POLL_DIRECT_MAX)
    )


def decode_announce_answer(raw: bytes) -> AnnounceAnswer:
    ack_count, want = _exactly(_unpack(raw), 2)
    return AnnounceAnswer(_integer(ack_count), _ids(want, ANNOUNCE_ITEMS_MAX))


def decode_get_bodies(raw: bytes) -> GetBodies:
    (ids,) = _exactly(_unpack(raw), 1)
    return GetBodies(_ids(ids, GET_IDS_MAX))


def decode_put_answer(raw: bytes) -> PutAnswer:
    verdict, reason = _exactly(_unpack(raw), 2)
    if type(verdict) is not str or verdict not in set(PutVerdict):
        raise _malformed("no such verdict")
    if type(reason) is not str or not _is_reason(reason):
        raise _malformed("no reason code")
    return PutAnswer(PutVerdict(verdict), reason)


def decode_dial_answer(raw: bytes) -> DialAnswer:
    version, outcomes = _exactly(_unpack(raw), 2)
    if type(version) is not int or not 1 <= version <= INTEGER_MAX:
        raise _malformed("no card has such a version")
    if type(outcomes) is not list or len(outcomes) > CARD_URLS_MAX:
        raise _malformed("a card has fewer addresses")
    if not all(type(one) is str and one and _is_reason(one) for one in outcomes):
        raise _malformed("no reason code")
    return DialAnswer(version, tuple(outcomes))


def decode_sync(raw: bytes) -> Sync:
    clock, nonce, parts = _exactly(_unpack(raw, SYNC_BYTES_MAX), 3)
    if type(nonce) is not bytes or len(nonce) not in (0, NONCE_BYTES):
        raise _malformed("a nonce has 32 bytes")
    return Sync(_integer(clock), nonce, _sync_parts(parts))


def decode_sync_answer(raw: bytes) -> SyncAnswer:
    (parts,) = _exactly(_unpack(raw, SYNC_BYTES_MAX), 1)
    return SyncAnswer(_sync_parts(parts))


def _sync_parts(value: Any) -> tuple[SyncPart, ...]:
    parts = tuple(_sync_part(one) for one in _list(value, SYNC_PARTS_MAX))
    if not parts or any(left.shard >= right.shard for left, right in pairwise(parts)):
        raise _malformed("parts of a sync ascend by shard, and there is one at least")
    return parts


def _sync_part(value: Any) -> SyncPart:
    circle, ttl_class, message = _exactly(value, 3)
    if type(message) is not bytes or not message:
        raise _malformed("a part of a sync has a message")
    return SyncPart(_shard(circle, ttl_class), message)


def decode_body_head(raw: bytes) -> tuple[EnvelopeId, int]:
    """Returns (id, length in bytes); length 0 means gone. Raises PeerError `malformed` or `oversized`."""
    if len(raw) != BODY_HEAD_BYTES:
        raise _malformed("a body's head has 36 bytes")
    length = int.from_bytes(raw[32:], "big")
    if length > ENVELOPE_BYTES_MAX:
        raise PeerError("a body is too large", reason="oversized")
    return EnvelopeId(raw[:32]), length


def _malformed(message: str) -> PeerError:
    """Returns the error for a malformed message, without repeating any of the input."""
    return PeerError(message, reason="malformed")


def _unpack(raw: bytes, bytes_max: int = MESSAGE_BYTES_MAX) -> list[Any]:
    """Returns the array of which `raw` is the canonical form. Raises PeerError `oversized`, `malformed` or `not-canonical`."""
    if len(raw) > bytes_max:
        raise PeerError("a message is too large", reason="oversized")
    try:
        value = msgpack.unpackb(raw, max_map_len=0, max_ext_len=0, max_array_len=ANNOUNCE_ITEMS_MAX)
        again = _pack(value)
    except Exception:  # noqa: BLE001 the library raises eight classes; one boundary, and its text is not repeated
        raise _malformed("not a message") from None
    if again != raw:
        raise PeerError("a message is not in canonical form", reason="not-canonical")
    if type(value) is not list:
        raise _malformed("a message is an array")
    return value


def _exactly(fields: Any, count: int) -> Sequence[Any]:
    if type(fields) is not list or len(fields) != count:
        raise _malformed(f"an array of {count} fields was expected")
    return fields


def _list(value: Any, most: int) -> Sequence[Any]:
    if type(value) is not list or len(value) > most:
        raise _malformed(f"an array of at most {most} was expected")
    return value


def _integer(value: Any, *, low: int = 0, high: int = INTEGER_MAX) -> int:
    if type(value) is not int or not low <= value <= high:
        raise _malformed("a number is out of range")
    return value


def _blob(value: Any, length: int) -> bytes:
    if type(value) is not bytes or len(value) != length:
        raise _malformed(f"a bin of {length} bytes was expected")
    return value


def _ids(value: Any, most: int) -> tuple[EnvelopeId, ...]:
    ids = tuple(EnvelopeId(_blob(one, EnvelopeId.length)) for one in _list(value, most))
    _require_distinct(ids)
    return ids


def _require_distinct(ids: Sequence[EnvelopeId]) -> None:
    if len(set(ids)) != len(ids):
        raise _malformed("an id occurs twice")


def _epoch(value: Any) -> Epoch:
    return Epoch(_blob(value, Epoch.length))


def _stretch(from_count: Any, to_count: Any) -> tuple[int, int]:
    first, last = _integer(from_count), _integer(to_count)
    if first > last:
        raise _malformed("an announcement runs backwards")
    return first, last


def _announce_items(value: Any) -> tuple[AnnounceItem, ...]:
    decoded = tuple(_announce_item(one) for one in _list(value, ANNOUNCE_ITEMS_MAX))
    _require_distinct([one.envelope_id for one in decoded])
    return decoded


def _shard(circle: Any, ttl_class: Any) -> Shard:
    if type(ttl_class) is not int or ttl_class not in SHARD_SECONDS_BY_CLASS:
        raise _malformed("no such ttl class")
    return Shard(CircleId(_blob(circle, CircleId.length)), ttl_class)


def _shard_root(value: Any) -> ShardRoot:
    circle, ttl_class, count, root = _exactly(value, 4)
    return ShardRoot(_shard(circle, ttl_class), _integer(count), _blob(root, ROOT_BYTES))


def _announce_item(value: Any) -> AnnounceItem:
    envelope_id, created, ttl_class, circle, size = _exactly(value, 5)
    shard = _shard(circle, ttl_class)
    return AnnounceItem(
        EnvelopeId(_blob(envelope_id, EnvelopeId.length)),
        _integer(created),
        shard.ttl_class,
        shard.circle,
        _integer(size, high=ENVELOPE_BYTES_MAX),
    )


def _is_reason(text: str) -> bool:
    return len(text) <= REASON_BYTES_MAX and all(
        one.isascii() and (one.isalnum() or one == "-") for one in text
    )
