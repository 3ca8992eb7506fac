"""Cost: what an envelope's content takes of who reads it, and the bounds that follow from its size on the wire. Pure.

Bytes on the wire say little: 14 KB of patterns named the same thousand values four hundred times, and took 37 MB of each
recipient's disk and seconds of its writer (docs/decisions/0067). So two things are counted beside them:

1. *Cost*, in bytes, is what the content of one author may take in all: the most of the bytes on the wire, an eighth of
   what they inflate to, and a hundred for each row. It is compared with the author's quota before content is read. A relay, which cannot read
   it, counts the wire alone.
2. *Bounds* of one envelope follow from the size of its compressed frames: objects, rows and inflated bytes. Honest content
   is far below: an object has an id of 16 random bytes, a value of its own some bytes more. Whoever writes obeys
   them too (`sharing.drafting`), so nothing honest is ever beyond.

A *row* is a claim, texts of claims weigh one more row for each ROW_CHARACTERS, and an origin that an object names weighs
ORIGIN_ROWS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from p2pshare.intel.extraction import ObjectFacts
from p2pshare.limits import (
    ENVELOPE_CLAIMS_MAX,
    INFLATED_BYTES_MAX,
    KIB,
    OBJECTS_PER_BUNDLE_MAX,
    PATTERN_OBSERVABLES_MAX,
)

INFLATION = 8  # inflated bytes that cost as much as one on the wire: a list of values inflates to eight times its size
ROW_COST_BYTES = 100  # of a claim with its indexes: 90 in a store of millions
ROW_CHARACTERS = (
    128  # of values and labels that weigh as much as a row: each is stored twice, once in an index
)

ORIGIN_ROWS = (
    2  # of an origin that an object names: 110 bytes in a table and its index, and 130 of text for the views
)

OBJECTS_MIN = 256  # objects that any envelope may hold: a page of text compresses to little ...
OBJECT_WIRE_BYTES = 16  # ... and beyond it one for so many compressed bytes: those of a random id
ROWS_MIN = (
    PATTERN_OBSERVABLES_MAX  # rows that any envelope may have: one pattern with all that it may name ...
)
ROW_WIRE_BYTES = (
    4  # ... and beyond it one for so many compressed bytes: an address of its own takes five in a pattern
)
INFLATED_BYTES_MIN = (
    256 * KIB
)  # what any envelope may inflate to: a hundred milliseconds of the slowest reading ...
INFLATED_TIMES = (
    32  # ... and beyond it so many times the compressed bytes: real bundles inflate to 8 to 20 times
)


@dataclass(frozen=True, slots=True)
class ContentBounds:
    """The most that the content of one envelope may hold."""

    objects: int
    rows: int
    inflated_bytes: int

    @classmethod
    def of(cls, compressed_bytes: int) -> ContentBounds:
        """Returns the bounds of content whose frames have `compressed_bytes` in all."""
        return cls(
            objects=min(OBJECTS_MIN + compressed_bytes // OBJECT_WIRE_BYTES, OBJECTS_PER_BUNDLE_MAX),
            rows=min(ROWS_MIN + compressed_bytes // ROW_WIRE_BYTES, ENVELOPE_CLAIMS_MAX),
            inflated_bytes=min(INFLATED_BYTES_MIN + INFLATED_TIMES * compressed_bytes, INFLATED_BYTES_MAX),
        )

    def allow(self, *, objects: int, rows: int, inflated_bytes: int) -> bool:
        """Returns whether content of this size may be in the envelope."""
        return objects <= self.objects and rows <= self.rows and inflated_bytes <= self.inflated_bytes


def cost_bytes(wire_bytes: int, *, inflated_bytes: int, rows: int) -> int:
    """Returns what an envelope costs who reads it."""
    return max(wire_bytes, inflated_bytes // INFLATION, rows * ROW_COST_BYTES)


def rows_of(objects: Sequence[ObjectFacts]) -> int:
    """Returns the rows of these objects together: their claims, what they stem from, and what the texts in them weigh."""
    rows = characters = 0
    near: tuple[str, ...] | None = None  # a set of labels is stored once, and neighbours have the same
    for one in objects:
        claims = one.claims
        rows += len(claims)
        if one.derivation is not None:
            rows += ORIGIN_ROWS * (len(one.derivation.origins) or 1)
            characters += len(one.derivation.public_source or "")
        for claim in claims:
            characters += len(claim.value)
        if claims and claims[0].labels is not near:
            near = claims[0].labels
            characters += sum(map(len, near))
    return rows + characters // ROW_CHARACTERS
