"""The bytes of Negentropy protocol version 1: numbers, bounds, ranges, messages, fingerprints.

Follows negentropy-protocol-v1.md of github.com/hoytech/negentropy (here: docs/reconciliation.md); section names in
the code are its. A message::

    Message     := 0x61 Range*
    Range       := upper Bound, mode Varint, payload          each begins where the one before it ended
    Bound       := created Varint (0 = end, else 1 + difference to the last), length Varint, id prefix
    payload     := nothing (SKIP) | 16 bytes (FINGERPRINT) | count Varint, count x 32 bytes (IDS)

Keys behind the last range count as skipped. A bound is kept as the 40-byte key it stands for (created,
big endian, then the id prefix filled with zeros), so that bounds and keys compare as plain bytes.

Reading is stricter than the specification asks, because a message is read once and an oddity is never
innocent: numbers have their shortest form, bounds ascend, no id is listed twice. One oddity of the
reference is let through: a full frame may end with an empty range from the end to the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from p2pshare.errors import PeerError

VERSION = 0x61
ID_BYTES = 32
CREATED_BYTES = 8
KEY_BYTES = CREATED_BYTES + ID_BYTES
FINGERPRINT_BYTES = 16
CREATED_END = 2**64 - 1  # reserved: "items may not use the max uint64 value"
VARINT_BYTES_MAX = 10  # 64 bits, seven a byte


class RangeMode(IntEnum):
    """The content of a range: nothing, a fingerprint, or ids (section Range)."""

    SKIP = 0
    FINGERPRINT = 1
    IDS = 2


class Bound(NamedTuple):
    """The exclusive upper end of a range: 40 bytes to compare with, and the number of id bytes that were written."""

    key: bytes
    prefix_bytes: int

    @classmethod
    def at(cls, key: bytes) -> Bound:
        """Returns the bound just below `key`, written in full."""
        return cls(key, ID_BYTES)

    @classmethod
    def between(cls, before: bytes, after: bytes) -> Bound:
        """Returns the shortest bound above key `before` and not above key `after` (section Bound)."""
        if before[:CREATED_BYTES] != after[:CREATED_BYTES]:
            return cls(after[:CREATED_BYTES] + bytes(ID_BYTES), 0)
        shared = CREATED_BYTES
        while before[shared] == after[shared]:
            shared += 1
        written = shared + 1
        return cls(after[:written] + bytes(KEY_BYTES - written), written - CREATED_BYTES)


START = Bound(bytes(KEY_BYTES), 0)
END = Bound(CREATED_END.to_bytes(CREATED_BYTES, "big") + bytes(ID_BYTES), 0)


class Range(NamedTuple):
    """A range as read; `payload` is empty, a fingerprint, or ids one after another."""

    upper: Bound
    mode: RangeMode
    payload: bytes


def encode_varint(number: int) -> bytes:
    """Encode a number in base 128, most significant digit first, high bit on every byte but the last (section Varint)."""
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(0x80 | number & 0x7F)
    return bytes(reversed(digits))


def fingerprint(total: int, count: int) -> bytes:
    """Returns the fingerprint (16 bytes) of `count` ids whose little-endian sum is `total` (section Fingerprint Algorithm)."""
    reduced = (total & (2**256 - 1)).to_bytes(ID_BYTES, "little")
    return hashlib.sha256(reduced + encode_varint(count)).digest()[:FINGERPRINT_BYTES]


EMPTY_FINGERPRINT = fingerprint(0, 0)


class MessageWriter:
    """A message in the making; it remembers the last `created`, from which the next one is counted."""

    def __init__(self) -> None:
        self.raw = bytearray([VERSION])
        self._created = 0

    def add(self, upper: Bound, mode: RangeMode, payload: bytes = b"") -> None:
        """Append one range; `payload` as in `Range`, the count of ids is written here."""
        self._add_bound(upper)
        self.raw += encode_varint(mode)
        if mode is RangeMode.IDS:
            self.raw += encode_varint(len(payload) // ID_BYTES)
        self.raw += payload

    def cut(self, length_bytes: int) -> None:
        """Cut the message to `length_bytes`. Only a range up to END may follow: its bound does not depend on the last one."""
        del self.raw[length_bytes:]

    def _add_bound(self, bound: Bound) -> None:
        if bound.key >= END.key:
            self.raw += b"\x00\x00"
            return
        created = int.from_bytes(bound.key[:CREATED_BYTES], "big")
        self.raw += encode_varint(1 + created - self._created)
        self.raw += encode_varint(bound.prefix_bytes)
        self.raw += bound.key[CREATED_BYTES : CREATED_BYTES + bound.prefix_bytes]
        self._created = created


def read_version(raw: bytes) -> int:
    """Returns the version byte of a message. Raises PeerError `sync-malformed` when there is none."""
    if not raw or not 0x60 <= raw[0] <= 0x6F:
        raise _malformed("does not begin with a version")
    return raw[0]


def read_ranges(raw: bytes) -> Iterator[Range]:
    """Yields the ranges of a message of our version, each checked before it is handed out.

    Raises PeerError: `sync-malformed` (cut short, numbers not in shortest form, unknown mode, prefix too
    long), `sync-order` (bounds do not ascend, or go on after the end), `sync-duplicate-id`.
    """
    reader = _Reader(raw)
    last, is_first_end = START, True
    seen: set[bytes] = set()
    while reader.offset < len(raw):
        upper = reader.bound()
        if upper.key <= last.key:
            if upper != END or not is_first_end:
                raise PeerError("a bound of the sync message does not ascend", reason="sync-order")
            is_first_end = False
        last = upper
        mode = reader.mode()
        yield Range(upper, mode, reader.payload(mode, seen))


def _malformed(what: str) -> PeerError:
    return PeerError(f"the sync message {what}", reason="sync-malformed")


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.offset = 1  # the version byte was read before
        self._created = 0

    def take(self, length: int) -> bytes:
        piece = self.raw[self.offset : self.offset + length]
        if len(piece) != length:
            raise _malformed("is cut short")
        self.offset += length
        return piece

    def varint(self) -> int:
        number, start = 0, self.offset
        while True:
            byte = self.take(1)[0]
            if byte == 0x80 and self.offset == start + 1:
                raise _malformed("holds a number with leading zeros")
            number = number << 7 | byte & 0x7F
            if byte < 0x80:
                break
            if self.offset - start == VARINT_BYTES_MAX:
                raise _malformed("holds a number over 64 bits")
        if number > CREATED_END:
            raise _malformed("holds a number over 64 bits")
        return number

    def bound(self) -> Bound:
        step = self.varint()
        prefix_bytes = self.varint()
        if step == 0:
            if prefix_bytes:
                raise _malformed("holds an end with an id prefix")
            return END
        created = self._created + step - 1
        if created >= CREATED_END or prefix_bytes > ID_BYTES:
            raise _malformed("holds a bound beyond the end")
        self._created = created
        prefix = self.take(prefix_bytes)
        key = created.to_bytes(CREATED_BYTES, "big") + prefix + bytes(ID_BYTES - prefix_bytes)
        return Bound(key, prefix_bytes)

    def mode(self) -> RangeMode:
        number = self.varint()
        if number > RangeMode.IDS:
            raise _malformed("holds an unknown mode")
        return RangeMode(number)

    def payload(self, mode: RangeMode, seen: set[bytes]) -> bytes:
        """Read a payload. `seen` gathers the ids of the whole message; it is bounded by the frame the message came in."""
        if mode is RangeMode.SKIP:
            return b""
        if mode is RangeMode.FINGERPRINT:
            return self.take(FINGERPRINT_BYTES)
        count = self.varint()
        ids = self.take(count * ID_BYTES)
        before = len(seen)
        seen.update(split_ids(ids))
        if len(seen) != before + count:
            raise PeerError("the sync message lists an id twice", reason="sync-duplicate-id")
        return ids


def split_ids(packed: bytes) -> list[bytes]:
    """Returns the ids (32 bytes each) in packed ids."""
    return [packed[at : at + ID_BYTES] for at in range(0, len(packed), ID_BYTES)]
