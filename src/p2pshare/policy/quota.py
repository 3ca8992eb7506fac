"""Quota: how much of one author is carried here in one circle, so that no partner can fill another's disk.

Counted are the bytes of its envelopes until they expire, against who wrote them and not who passed them on. The last part
is kept for small envelopes: whoever has filled its quota with lists can still withdraw them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.limits import QUOTA_ALARM_PERCENT, QUOTA_RESERVE_PARTS, QUOTA_SMALL_BYTES_MAX


class Quota:
    """What is carried, and what comes to it; sizes in bytes."""

    def __init__(self, quota_bytes: int, carried: Mapping[tuple[PartnerId, CircleId], int]) -> None:
        self._quota = quota_bytes
        self._carried = Counter(carried)

    def has_room(self, author: PartnerId, circle: CircleId, size: int) -> bool:
        """Whether an envelope of `size` bytes may come to what is carried."""
        reserve = 0 if size <= QUOTA_SMALL_BYTES_MAX else self._quota // QUOTA_RESERVE_PARTS
        return self._carried[author, circle] + size <= self._quota - reserve

    def add(self, author: PartnerId, circle: CircleId, size: int) -> None:
        """It came."""
        self._carried[author, circle] += size


def nearly_full(
    quota_bytes: int, carried: Mapping[tuple[PartnerId, CircleId], int]
) -> list[tuple[PartnerId, CircleId, int]]:
    """(author, circle, bytes) of those who take up most of their quota, in order."""
    return [
        (author, circle, size)
        for (author, circle), size in sorted(carried.items())
        if size * 100 >= quota_bytes * QUOTA_ALARM_PERCENT
    ]
