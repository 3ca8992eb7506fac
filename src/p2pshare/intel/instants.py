"""Instants: RFC 3339 text to integer microseconds since 1970 UTC, and back.

STIX 2.1 section 3.2 wants RFC 3339 in UTC with `Z`; other offsets are read too. Finer parts than a microsecond
are cut off. Leap seconds (`:60`) are refused, as by every common parser.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US

_SECONDS_US = {f"{second:02d}": second * SECOND_US for second in range(60)}
_MINUTES_US = {
    f"{hour:02d}:{minute:02d}:": (hour * 60 + minute) * 60 * SECOND_US
    for hour in range(24)
    for minute in range(60)
}
_MILLISECONDS_US = {"Z": 0} | {f".{millisecond:03d}Z": millisecond * 1_000 for millisecond in range(1_000)}
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,30}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def parse_instant(text: str) -> int:
    """Returns microseconds since 1970 UTC. Raises ValueError for anything but an RFC 3339 instant."""
    # Fast path: a day is looked up once, its minutes, seconds and milliseconds stand in tables.
    try:
        whole_us = _day_us(text[:11]) + _MINUTES_US[text[11:17]] + _SECONDS_US[text[17:19]]
    except KeyError:
        return _to_us(_parse_slowly(text))
    part_us = _MILLISECONDS_US.get(text[19:])
    if part_us is None:
        fraction = text[20:-1]
        if len(text) != 27 or text[19] + text[26] != ".Z" or not (fraction.isascii() and fraction.isdigit()):
            return _to_us(_parse_slowly(text))
        part_us = int(fraction)
    return whole_us + part_us


@lru_cache(maxsize=4_096)
def _day_us(text: str) -> int:
    """Returns `2021-05-28T` as microseconds. Raises ValueError, which is not remembered."""
    return _to_us(_parse_slowly(f"{text}00:00:00Z"))


def _to_us(moment: datetime) -> int:
    delta = moment - EPOCH
    return delta.days * DAY_US + delta.seconds * SECOND_US + delta.microseconds


def _parse_slowly(text: str) -> datetime:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 instant")
    day, time, fraction, offset = match.groups()
    if time.startswith("24"):
        raise ValueError("hour 24")
    microseconds = (fraction or "")[:6].ljust(6, "0")
    try:
        return datetime.fromisoformat(f"{day}T{time}.{microseconds}{offset.upper()}").astimezone(UTC)
    except OverflowError:
        raise ValueError("outside the years 1 to 9999") from None


def format_instant(instant_us: int | None) -> str | None:
    """Returns RFC 3339 text in UTC with `Z`: to the second, or to the microsecond where there is a fraction.
    `instant_us` in microseconds since 1970; None stays None."""
    if instant_us is None:
        return None
    instant = (EPOCH + timedelta(microseconds=instant_us)).replace(tzinfo=None)
    return instant.isoformat(timespec="microseconds" if instant.microsecond else "seconds") + "Z"
