"""The daily audit: the same keys, compared by fingerprints that nobody could have planned for.

The sum of ids in Negentropy's fingerprint is not collision resistant against someone who can choose many
ids: planted on two sides, two sets with equal sums hide a real difference between them. So once a day and
link the same protocol runs on an `AuditView`, in which each id is replaced, for the sums only, by a tag
keyed with 32 bytes the initiator drew for this session. Positions, bounds and listed ids stay the same.

    tag(id) = BLAKE2b-256(key = session key, person = "p2pshare-audit", data = id)

as a little-endian number in place of the id (docs/decisions/0020 says why not AES).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from p2pshare.gossip.negentropy.key_index import SortedKeys
from p2pshare.gossip.negentropy.negentropy_wire import (
    CREATED_BYTES,
    ID_BYTES,
    KEY_BYTES,
    fingerprint,
)

SESSION_KEY_BYTES = 32
PERSON = b"p2pshare-audit"
WARM_STEP_CHUNKS = 32  # about 2,000 tags between two yields: 2 to 3 ms


class AuditView:
    """A `KeySource` over `index` with keyed fingerprints. Costs 1 us a key once, so `warm` it first.

    Raises ValueError unless the session key has 32 bytes.
    """

    def __init__(self, index: SortedKeys, session_key: bytes) -> None:
        if len(session_key) != SESSION_KEY_BYTES:
            raise ValueError("a session key has 32 bytes")
        self._index = index
        self._keyed = hashlib.blake2b(key=session_key, person=PERSON, digest_size=ID_BYTES)
        # Chunks are immutable: a changed one is another object that is not in here, and is summed afresh.
        self._sums: dict[bytes, int] = {}
        self.ids = index.ids
        self.key_at = index.key_at
        self.rank = index.rank

    def __len__(self) -> int:
        return len(self._index)

    def warm(self) -> Iterator[None]:
        """Compute the sums of all chunks, yielding every few milliseconds."""
        for number, chunk in enumerate(self._index.chunks()):
            self._sums[chunk] = self._sum(chunk)
            if number % WARM_STEP_CHUNKS == WARM_STEP_CHUNKS - 1:
                yield

    def fingerprint(self, lower: int, upper: int) -> bytes:
        """Returns the same as `SortedKeys.fingerprint`, over tags."""
        total, known = 0, self._sums
        for piece in self._index.pieces(lower, upper):
            found = known.get(piece)
            total += self._sum(piece) if found is None else found
        return fingerprint(total, max(0, upper - lower))

    def root(self, created_min: int = 0) -> bytes:
        """Returns the same as `SortedKeys.root`, over tags."""
        lower = self.rank(created_min.to_bytes(CREATED_BYTES, "big"))
        return self.fingerprint(lower, len(self))

    def _sum(self, packed: bytes) -> int:
        total = 0
        for at in range(CREATED_BYTES, len(packed), KEY_BYTES):
            tag = self._keyed.copy()
            tag.update(packed[at : at + ID_BYTES])
            total += int.from_bytes(tag.digest(), "little")
        return total
