"""The keys of one shard in order: a chunked list with a cached sum of ids a chunk.

A key is 40 bytes: created (seconds, 8 bytes, big endian), then the id (32). Rules this file keeps:

1. Keys ascend, none is held twice, none has the reserved `created` 2^64 - 1.
2. A chunk is immutable packed bytes of 1 to 128 keys; to change it is to replace it. So a reader
   of an old chunk still reads a whole one, memory is 40 bytes a key and little more, and the garbage
   collector has nothing to walk through: lists of a million objects would stall the loop.
3. `_sums[n]` is the sum of the ids of chunk n as little-endian numbers, not reduced; `_total` is their sum.
4. `_starts` is a prefix of the positions (rank x 40 bytes) at which chunks begin. A change cuts it off behind
   the changed chunk, a question for a rank extends it: 0 for newest keys, 1 ms a million for oldest ones.

The whole shard's fingerprint (its *root*) therefore costs the same at any size.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate, islice
from operator import lt

from p2pshare.gossip.negentropy.negentropy_wire import (
    CREATED_BYTES,
    END,
    ID_BYTES,
    KEY_BYTES,
    fingerprint,
)

LOAD_KEYS = 64  # a chunk splits in two of this size; 32 and 128 measure the same within 20 %
CHUNK_BYTES_MAX = 2 * LOAD_KEYS * KEY_BYTES
HOUR_SECONDS = 3_600


def key_of(created: int, envelope_id: bytes) -> bytes:
    """Returns the key (40 bytes) of an envelope created at `created` (unix seconds)."""
    return created.to_bytes(CREATED_BYTES, "big") + envelope_id


def expiry_cut(now: int, ttl_seconds: int) -> int:
    """Returns the `created` (unix seconds) below which keys of a shard count as expired at `now`, cut at the full hour.

    Both sides of a comparison use the initiator's cut; a key is kept EXPIRED_KEY_KEEP_SECONDS longer than
    its envelope so that the other side still has it although its clock is ahead.
    """
    return max(0, now // HOUR_SECONDS * HOUR_SECONDS - ttl_seconds)


class SortedKeys:
    """The sorted keys of one shard. Raises ValueError unless `keys` ascend strictly (`ORDER BY created, id`)."""

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._chunks: list[bytes] = []
        self._firsts: list[bytes] = []
        self._sums: list[int] = []
        self._starts: list[int] = [0]
        self._count = 0
        self._total = 0
        self._load(iter(keys))

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: bytes) -> bool:
        where = bisect_right(self._firsts, key) - 1
        if where < 0:
            return False
        chunk = self._chunks[where]
        at = _place(chunk, key) * KEY_BYTES
        return chunk[at : at + KEY_BYTES] == key

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            yield from _split(chunk)

    def add(self, key: bytes) -> bool:
        """Add `key`; returns False when it was there. Raises ValueError for a malformed key (rule 1)."""
        _check(key)
        if not self._chunks or self._is_past_full_end(key):
            self._append_chunk(key)
            return True
        where = max(0, bisect_right(self._firsts, key) - 1)
        chunk = self._chunks[where]
        at = _place(chunk, key) * KEY_BYTES
        if chunk[at : at + KEY_BYTES] == key:
            return False
        added = int.from_bytes(key[CREATED_BYTES:], "little")
        self._chunks[where] = b"".join((chunk[:at], key, chunk[at:]))
        self._firsts[where] = self._chunks[where][:KEY_BYTES]
        self._sums[where] += added
        self._total += added
        self._count += 1
        del self._starts[where + 1 :]
        if len(self._chunks[where]) > CHUNK_BYTES_MAX:
            self._split_chunk(where)
        return True

    def remove(self, key: bytes) -> bool:
        """Remove `key`; returns False when it was not there."""
        if key not in self:
            return False
        where = bisect_right(self._firsts, key) - 1
        chunk = self._chunks[where]
        at = _place(chunk, key) * KEY_BYTES
        rest = chunk[:at] + chunk[at + KEY_BYTES :]
        removed = int.from_bytes(key[CREATED_BYTES:], "little")
        if rest:
            self._chunks[where], self._firsts[where] = rest, rest[:KEY_BYTES]
            self._sums[where] -= removed
        else:
            for column in (self._chunks, self._firsts, self._sums):
                del column[where]
        self._total -= removed
        self._count -= 1
        del self._starts[where + 1 :]
        return True

    def expire(self, created_before: int) -> int:
        """Drop every key created before this second, and return their number. Expiry is a prefix: nothing is searched."""
        cut = self.rank(created_before.to_bytes(CREATED_BYTES, "big"))
        if not cut:
            return 0
        where, at = self._locate(cut)
        if where < len(self._chunks):
            # Re-cut the chunk the border runs through; it is never empty: the border is a key in it.
            rest = self._chunks[where][at:]
            self._chunks[where], self._firsts[where] = rest, rest[:KEY_BYTES]
            self._sums[where] = sum_of_ids(rest)
        for column in (self._chunks, self._firsts, self._sums):
            del column[:where]
        self._starts = [0]
        self._count -= cut
        self._total = sum(self._sums)
        return cut

    def rank(self, key: bytes) -> int:
        """Returns the number of keys below `key`, which may be shorter than 40 bytes (then: filled with zeros)."""
        where = bisect_right(self._firsts, key) - 1
        if where < 0:
            return 0
        return self._positions()[where] // KEY_BYTES + _place(self._chunks[where], key)

    def key_at(self, rank: int) -> bytes:
        """Returns the key with `rank` keys below it. Raises IndexError outside 0 .. len - 1."""
        if not 0 <= rank < self._count:
            raise IndexError("rank outside the index")
        where, at = self._locate(rank)
        return self._chunks[where][at : at + KEY_BYTES]

    def pieces(self, lower: int, upper: int) -> Iterator[bytes]:
        """Yields the packed keys of the ranks lower .. upper - 1; a whole chunk is handed out as the very object kept."""
        left_bytes = (upper - lower) * KEY_BYTES
        if left_bytes <= 0:
            return
        where, at = self._locate(lower)
        while left_bytes > 0:
            piece = self._chunks[where][at : at + left_bytes]
            yield piece
            left_bytes -= len(piece)
            where, at = where + 1, 0

    def ids(self, lower: int, upper: int) -> bytes:
        """Returns the packed 32-byte ids of the ranks lower .. upper - 1."""
        return b"".join(
            piece[at : at + ID_BYTES]
            for piece in self.pieces(lower, upper)
            for at in range(CREATED_BYTES, len(piece), KEY_BYTES)
        )

    def chunks(self) -> Iterator[bytes]:
        """Yields all keys, packed, in the chunks they are kept in; the index may change meanwhile.

        A change may then make a chunk come twice or not at all.
        """
        where = 0
        while where < len(self._chunks):
            yield self._chunks[where]
            where += 1

    def fingerprint(self, lower: int, upper: int) -> bytes:
        """Returns the fingerprint (16 bytes) of the keys with ranks lower .. upper - 1.

        Sums of whole chunks are cached; only the ids at both ends are added up.
        """
        if lower == 0 and upper == self._count:
            return fingerprint(self._total, self._count)
        if lower >= upper:
            return fingerprint(0, 0)
        if upper - lower <= LOAD_KEYS:
            return fingerprint(sum(map(sum_of_ids, self.pieces(lower, upper))), upper - lower)
        first, lower_at = self._locate(lower)
        last, upper_at = self._locate(upper)
        total = (
            sum(self._sums[first:last]) + self._sum_below(last, upper_at) - self._sum_below(first, lower_at)
        )
        return fingerprint(total, upper - lower)

    def root(self, created_min: int = 0) -> bytes:
        """Returns the fingerprint of all keys created at `created_min` or later: equal roots, equal shards."""
        lower = self.rank(created_min.to_bytes(CREATED_BYTES, "big"))
        return self.fingerprint(lower, self._count)

    def _sum_below(self, where: int, border: int) -> int:
        """Returns the sum of the ids in the first `border` bytes of a chunk, reckoned from the nearer end."""
        if not border:
            return 0
        chunk = self._chunks[where]
        if 2 * border <= len(chunk):
            return sum_of_ids(chunk[:border])
        return self._sums[where] - sum_of_ids(chunk[border:])

    def _locate(self, rank: int) -> tuple[int, int]:
        """Returns the number of the chunk that holds the key of `rank`, and the key's byte in it.

        For `rank` = len that is one behind the last chunk.
        """
        position = rank * KEY_BYTES
        starts = self._positions()
        where = bisect_right(starts, position) - 1
        return where, position - starts[where]

    def _positions(self) -> list[int]:
        """Returns the position at which each chunk begins, and the end of the last (rule 4)."""
        starts = self._starts
        known = len(starts) - 1
        if known < len(self._chunks):
            lengths = map(len, islice(self._chunks, known, None))
            starts.extend(islice(accumulate(lengths, initial=starts[known]), 1, None))
        return starts

    def _is_past_full_end(self, key: bytes) -> bool:
        """Returns whether `key` belongs behind a last chunk that is full: a new chunk leaves the old one full."""
        end = self._chunks[-1]
        return len(end) == CHUNK_BYTES_MAX and key > end[-KEY_BYTES:]

    def _append_chunk(self, chunk: bytes) -> None:
        added = sum_of_ids(chunk)
        self._chunks.append(chunk)
        self._firsts.append(chunk[:KEY_BYTES])
        self._sums.append(added)
        self._total += added
        self._count += len(chunk) // KEY_BYTES

    def _split_chunk(self, where: int) -> None:
        chunk = self._chunks[where]
        left, right = chunk[: LOAD_KEYS * KEY_BYTES], chunk[LOAD_KEYS * KEY_BYTES :]
        moved = sum_of_ids(right)
        self._chunks[where : where + 1] = [left, right]
        self._firsts.insert(where + 1, right[:KEY_BYTES])
        self._sums[where : where + 1] = [self._sums[where] - moved, moved]

    def _load(self, keys: Iterator[bytes]) -> None:
        last = b""
        while batch := list(islice(keys, LOAD_KEYS)):
            for key in batch:
                _check(key)
            if batch[0] <= last or not all(map(lt, batch, islice(batch, 1, None))):
                raise ValueError("keys to load do not ascend")
            last = batch[-1]
            self._append_chunk(b"".join(batch))


def sum_of_ids(packed: bytes) -> int:
    """Returns the sum of the ids in packed keys, as little-endian numbers, not reduced."""
    number = int.from_bytes
    return sum(
        [number(packed[at : at + ID_BYTES], "little") for at in range(CREATED_BYTES, len(packed), KEY_BYTES)]
    )


def _check(key: bytes) -> None:
    if len(key) != KEY_BYTES or key >= END.key:
        raise ValueError("a key has 40 bytes and a created below 2^64 - 1")


def _split(packed: bytes) -> list[bytes]:
    return [packed[at : at + KEY_BYTES] for at in range(0, len(packed), KEY_BYTES)]


def _place(chunk: bytes, key: bytes) -> int:
    """Returns the number of keys of `chunk` that are below `key`."""
    return bisect_left(
        range(len(chunk) // KEY_BYTES), key, key=lambda at: chunk[at * KEY_BYTES : (at + 1) * KEY_BYTES]
    )
