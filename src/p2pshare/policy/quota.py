"""Quota: the bytes of one author that are carried here in one circle, so that no partner can fill another's disk.

Counted are the bytes of its envelopes until they expire, against the author and not the partner that passed
them on. The last part is kept for small envelopes: an author that has filled its quota with lists can still
withdraw them. Direct envelopes are counted together: no link says which circle they may name, so an author
could name another in each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from p2pshare.envelope.envelope import Mode
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.limits import QUOTA_ALARM_PERCENT, QUOTA_RESERVE_PARTS, QUOTA_SMALL_BYTES_MAX

DIRECT = CircleId(bytes(16))
"""The circle under which all direct envelopes are counted."""


def counted_under(mode: Mode, circle: CircleId) -> CircleId:
    """Returns the circle whose quota an envelope takes from."""
    return circle if mode is Mode.RELAY else DIRECT


class Quota:
    """Bytes carried of each author in each circle, against the quota in bytes."""

    def __init__(self, quota_bytes: int, carried: Mapping[tuple[PartnerId, CircleId], int]) -> None:
        self._quota = quota_bytes
        self._carried = Counter(carried)

    def has_room(self, author: PartnerId, circle: CircleId, size: int, *, more: int | None = None) -> bool:
        """Returns whether an envelope of `size` bytes may come to what is carried; or, where it is among that already, whether
        it may count for `more` bytes than it does."""
        reserve = 0 if size <= QUOTA_SMALL_BYTES_MAX else self._quota // QUOTA_RESERVE_PARTS
        return self._carried[author, circle] + (size if more is None else more) <= self._quota - reserve

    def add(self, author: PartnerId, circle: CircleId, size: int) -> None:
        """Count an envelope of `size` bytes that came in."""
        self._carried[author, circle] += size


def nearly_full(
    quota_bytes: int, carried: Mapping[tuple[PartnerId, CircleId], int]
) -> list[tuple[PartnerId, CircleId, int]]:
    """Returns (author, circle, bytes) of those that take up most of their quota, in order."""
    return [
        (author, circle, size)
        for (author, circle), size in sorted(carried.items())
        if size * 100 >= quota_bytes * QUOTA_ALARM_PERCENT
    ]
