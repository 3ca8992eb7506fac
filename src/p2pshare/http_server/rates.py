"""Rate limits of one caller: token buckets, and the slowest rate at which bytes must move.

Beyond a bucket the answer is 429 with the time to come back; the caller is not punished. Buckets belong to the
caller, not to a connection, so reconnecting gains nothing. `now` is the event loop's clock in seconds.
"""

from __future__ import annotations

from p2pshare.http_server.interface import ServerLimits

BURST_SECONDS = 2.0  # a bucket holds what accrues in this time


class TokenBucket:
    """A token bucket: `per_second` tokens accrue, up to `burst`."""

    __slots__ = ("_burst", "_filled_at", "_level", "_per_second")

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._level = burst
        self._filled_at = now

    def wait_seconds(self, amount: float, now: float) -> float:
        """Returns the seconds until `amount` tokens are there, 0.0 when they are; above the burst, until the bucket is full."""
        self._level = min(self._burst, self._level + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        return max(0.0, (min(amount, self._burst) - self._level) / self._per_second)

    def take(self, amount: float) -> None:
        """Take `amount`, into debt when need be: the next request waits for it."""
        self._level -= amount


class CallerRates:
    """The buckets of one caller: requests, bytes in, items in, bytes out."""

    def __init__(self, limits: ServerLimits, now: float) -> None:
        def bucket(per_second: float, burst_min: float) -> TokenBucket:
            return TokenBucket(per_second, max(burst_min, per_second * BURST_SECONDS), now)

        self._requests = bucket(limits.requests_per_second, 1)
        self._bytes_in = bucket(limits.bytes_per_second, limits.body_bytes_max)
        self._items = bucket(limits.items_per_second, 1)
        self._bytes_out = bucket(limits.bytes_per_second, limits.body_bytes_max)

    def admit_request(self, now: float) -> float:
        """Take a token for a request and return 0.0; or take none and return the seconds to wait."""
        return _take_all({self._requests: 1, self._bytes_out: 0}, now)

    def admit_body(self, body_bytes: int, items: int, now: float) -> float:
        """Take tokens for a request's body and return 0.0; or take none and return the seconds to wait."""
        return _take_all({self._bytes_in: body_bytes, self._items: items}, now)

    def count_sent(self, body_bytes: int) -> None:
        """Count an answer's bytes, which are known only afterwards: they become debt of the next request."""
        self._bytes_out.take(body_bytes)


def _take_all(wanted: dict[TokenBucket, int], now: float) -> float:
    wait = max(bucket.wait_seconds(amount, now) for bucket, amount in wanted.items())
    if wait == 0.0:
        for bucket, amount in wanted.items():
            bucket.take(amount)
    return wait


class Pace:
    """A deadline that moves on as bytes move: `grace_seconds`, then at least `bytes_per_second`."""

    __slots__ = ("_bytes_per_second", "_deadline")

    def __init__(self, grace_seconds: float, bytes_per_second: float, now: float) -> None:
        self._deadline = now + grace_seconds
        self._bytes_per_second = bytes_per_second

    @property
    def deadline(self) -> float:
        """Returns the instant to give up, on the event loop's clock (seconds)."""
        return self._deadline

    def moved(self, count: int) -> None:
        """Extend the deadline for `count` bytes that moved."""
        self._deadline += count / self._bytes_per_second

    def excuse(self, seconds: float) -> None:
        """Extend the deadline by `seconds` that were not the caller's fault."""
        self._deadline += seconds
