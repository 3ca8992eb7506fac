"""The index of all envelopes that were seen and have not expired: one sorted set of keys for each shard.

A key is `created` (8 bytes, big endian) || envelope id (32), so the newest differences of two stores lie
together at the end and what expires lies together at the start. A key stays until an hour after its
envelope expired, held or not: an envelope that was seen once is never fetched again. The key of a notice goes with it when
a newer card has pushed it out: what is compared is what is newest, and who still has the old one is given the new.
"""

from __future__ import annotations

from collections.abc import Iterable

from p2pshare.gossip.messages import Shard, ShardRoot
from p2pshare.gossip.negentropy.key_index import HOUR_SECONDS, SortedKeys, expiry_cut, key_of
from p2pshare.identifiers import CircleId, EnvelopeId
from p2pshare.limits import EXPIRED_KEY_KEEP_SECONDS, SHARD_SECONDS_BY_CLASS

__all__ = ["HOUR_SECONDS", "Index", "ItemKey", "created_of", "cut_of", "id_of", "key_of"]

ItemKey = bytes


def created_of(key: ItemKey) -> int:
    return int.from_bytes(key[:8], "big")


def id_of(key: ItemKey) -> EnvelopeId:
    return EnvelopeId(key[8:])


def cut_of(shard: Shard, clock: int) -> int:
    """Returns the `created` (unix seconds) below which keys of the shard are not compared at `clock` (unix seconds)."""
    return expiry_cut(clock, SHARD_SECONDS_BY_CLASS[shard.ttl_class])


class Index:
    """All shards. An empty shard and one that does not exist are the same."""

    def __init__(self) -> None:
        self._shards: dict[Shard, SortedKeys] = {}

    def load(self, shard: Shard, keys: Iterable[ItemKey]) -> None:
        """Add the keys that the store has of the shard; those known already stay.

        Raises ValueError unless they ascend strictly (checked when the shard is new).
        """
        known = self._shards.get(shard)
        if known is None:
            self._shards[shard] = keys if isinstance(keys, SortedKeys) else SortedKeys(keys)
            return
        for key in keys:
            known.add(key)

    def add(self, shard: Shard, key: ItemKey) -> bool:
        """Add a key; returns False when it was there. Raises ValueError for a malformed key."""
        return self._shards.setdefault(shard, SortedKeys()).add(key)

    def remove(self, shard: Shard, key: ItemKey) -> bool:
        """Remove a key; returns False when it was not there."""
        return shard in self._shards and self._shards[shard].remove(key)

    def __getitem__(self, shard: Shard) -> SortedKeys:
        return self._shards.setdefault(shard, SortedKeys())

    def __len__(self) -> int:
        return sum(map(len, self._shards.values()))

    def roots(self, circles: Iterable[CircleId], clock: int) -> tuple[ShardRoot, ...]:
        """Returns the roots of the shards that are not empty at `clock` (unix seconds, cut at its hour), ascending.

        That is the form in which a hello carries them.
        """
        wanted = set(circles)
        roots = (
            self._root(shard, keys, clock) for shard, keys in self._shards.items() if shard.circle in wanted
        )
        return tuple(sorted((one for one in roots if one.count), key=lambda one: one.shard))

    def _root(self, shard: Shard, keys: SortedKeys, clock: int) -> ShardRoot:
        cut = cut_of(shard, clock)
        return ShardRoot(shard, len(keys) - keys.rank(key_of(cut, b"")), keys.root(cut))

    def expire(self, now: float) -> int:
        """Drop the keys that have been expired for an hour at the start of this hour, and return their number."""
        kept_until = int(now) - EXPIRED_KEY_KEEP_SECONDS
        return sum(keys.expire(cut_of(shard, kept_until)) for shard, keys in sorted(self._shards.items()))
