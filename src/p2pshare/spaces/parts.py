"""Parts: content that is larger than an entry may be travels as several entries `part` (docs/spaces.md, "Kinds of every space").

The fold does not look into them. Who needs the whole names its SHA-256; until all parts are held it is missing, and what stands there is not
it until the hash says so: any member may write any part.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.errors import AuthorError, PeerError
from p2pshare.identifiers import PartnerId

PART = "part"
PART_BYTES_MAX = 196_608  # 192 KiB: an entry's body with room for the rest
PARTS_MAX = 86  # of one whole: 16 MiB
CONTENT_MISSING = "content-missing"


@dataclass(frozen=True, slots=True)
class ContentPart:
    """One part of a whole: `index` from 1."""

    digest: bytes
    index: int
    count: int
    content: bytes

    def encode(self) -> bytes:
        return pack([self.digest, self.index, self.count, self.content])


def decode_part(content: bytes) -> ContentPart:
    """Returns what an entry `part` says. Raises PeerError `malformed`, `not-canonical`."""
    reader = Reader(content)
    reader.array(4, 4)
    digest = reader.blob(32, 32)
    index = reader.integer(PARTS_MAX)
    count = reader.integer(PARTS_MAX)
    part = ContentPart(digest, index, count, reader.blob(1, PART_BYTES_MAX))
    reader.end()
    if not 1 <= part.index <= part.count:
        raise refusal("malformed", "a part is none of its whole")
    return part


def split(whole: bytes) -> list[ContentPart]:
    """Returns the parts of a whole. Raises AuthorError `oversized` for an empty one, or one of more than `PARTS_MAX`."""
    pieces = [whole[start : start + PART_BYTES_MAX] for start in range(0, len(whole), PART_BYTES_MAX)]
    if not 1 <= len(pieces) <= PARTS_MAX:
        raise AuthorError(
            f"content has 1 byte to {PART_BYTES_MAX * PARTS_MAX}",
            hint="attach less, or split it",
            reason="oversized",
        )
    digest = hashlib.sha256(whole).digest()
    return [ContentPart(digest, number, len(pieces), piece) for number, piece in enumerate(pieces, start=1)]


def assemble(digest: bytes, contents: Iterable[tuple[PartnerId, bytes]]) -> bytes | None:
    """Returns the whole with that SHA-256 out of (author, content) of entries `part`, or None while parts of it are missing.

    Each author's parts are put together by themselves: nobody's can keep out the good ones of another. Of one that says two things about one part
    the first counts.
    """
    said: defaultdict[tuple[PartnerId, int], dict[int, bytes]] = defaultdict(dict)
    for author, content in contents:
        try:
            part = decode_part(content)
        except PeerError:
            continue
        if part.digest == digest:
            said[author, part.count].setdefault(part.index, part.content)
    for (_, count), pieces in sorted(said.items()):
        if len(pieces) == count:
            whole = b"".join(pieces[index] for index in range(1, count + 1))
            if hashlib.sha256(whole).digest() == digest:
                return whole
    return None
