"""Typed identifiers: parse, print, short form. Each is `bytes` of one fixed length, so it packs and hashes as such.

`text` is lower-case hexadecimal, the one form used in JSON, URLs, logs and commands; `short` is shown to people in
lists. Ids that are meant to be read aloud (fingerprints) live in `envelope.card`.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar, NamedTuple, Self

DOMAIN_CIRCLE = b"p2pshare/v1/circle\x00"
DOMAIN_EXERCISE_CIRCLE = b"p2pshare/v1/exercise-circle\x00"
DOMAIN_PAIR = b"p2pshare/v1/pair\x00"


class FixedBytes(bytes):
    """Bytes of one fixed length. Raises ValueError for any other length.

    Slots: an id has nothing but its bytes, so the garbage collector need not look at it, and a space has a hundred thousand.
    """

    __slots__ = ()
    length: ClassVar[int] = 0

    def __new__(cls, raw: bytes) -> Self:
        if len(raw) != cls.length:
            raise ValueError(f"{cls.__name__} has {cls.length} bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the id of the 2 * length hexadecimal digits of `text`. Raises ValueError."""
        if len(text) != 2 * cls.length:
            raise ValueError(f"{cls.__name__} has {2 * cls.length} hexadecimal digits, not {len(text)}")
        return cls(bytes.fromhex(text))

    @property
    def text(self) -> str:
        return self.hex()

    @property
    def short(self) -> str:
        return self.hex()[:10]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.short})"

    __str__ = __repr__


class PartnerId(FixedBytes):
    """The id of an organisation: hash of the root keys of its first card, 32 bytes; it never changes."""

    __slots__ = ()
    length = 32


class EnvelopeId(FixedBytes):
    """The hash of an envelope's three signed digests, 32 bytes; signatures are outside it."""

    __slots__ = ()
    length = 32


class NoticeId(FixedBytes):
    """The hash of a card or vouch page as it goes round a circle, 32 bytes; signatures are inside it."""

    __slots__ = ()
    length = 32


class KeyId(FixedBytes):
    """The hash of a hybrid public key, 16 bytes."""

    __slots__ = ()
    length = 16


class CircleId(FixedBytes):
    """The id of a circle, a named set of partners among whom ciphertext is carried; 16 bytes."""

    __slots__ = ()
    length = 16

    @classmethod
    def of(cls, name: str) -> Self:
        """Returns the id of the circle called `name` (both sides configure the same name)."""
        return cls(hashlib.sha384(DOMAIN_CIRCLE + name.encode()).digest()[:16])

    @classmethod
    def of_realm(cls, realm: Realm) -> Self:
        """Returns the id of the circle of an exercise, which no link is configured with: nobody relays what is played."""
        return cls(hashlib.sha384(DOMAIN_EXERCISE_CIRCLE + realm).digest()[:16])

    @classmethod
    def of_pair(cls, one: PartnerId, other: PartnerId) -> Self:
        """Returns the id under which two partners compare the direct envelopes between them; the same from either side."""
        return cls(hashlib.sha384(DOMAIN_PAIR + b"".join(sorted((one, other)))).digest()[:16])


class PublicationId(FixedBytes):
    """The id of a publication over all its envelopes, 16 bytes; random, and unique only together with its author."""

    __slots__ = ()
    length = 16


class EntryId(FixedBytes):
    """The hash of an entry's header, 32 bytes; body and signatures are outside it. That of the opening is the space's."""

    __slots__ = ()
    length = 32


class Realm(FixedBytes):
    """The ground on which entries stand, 16 bytes: zeros is the real one, random ones are those of exercises."""

    __slots__ = ()
    length = 16


class Epoch(FixedBytes):
    """The id of one start of a daemon, 16 random bytes; so no count on the wire outlives a restart or a restore."""

    length = 16


class ObjectKey(NamedTuple):
    """A version of a STIX object: `(id, modified)`; `modified` as written, empty where the type has none."""

    object_id: str
    modified: str
