"""A second decoder of payloads, written from docs/envelope.md alone, upon a general MessagePack library."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgpack

PARTS_MAX = 65_535
FRAMES_MAX = 4_096
TEXT_BYTES_MAX = 32
INTEGER_MAX = 2**53 - 1


class PlainPayload(NamedTuple):
    type: str
    created: int
    marking: str
    objects: int
    publication: bytes
    part: tuple[int, int]
    frames: tuple[bytes, ...]


def plain_payload(raw: bytes) -> PlainPayload | None:
    """What `raw` says; None where the page refuses it."""
    try:
        value = msgpack.unpackb(raw, strict_map_key=False)
        if msgpack.packb(value) != raw:  # one form for each value
            return None
    except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException):
        return None
    return _payload(value) if _is_list(value, 2) else None


def _payload(value: list[Any]) -> PlainPayload | None:
    fields, frames = value
    if type(fields) is not dict or list(fields) != [0, 1, 2, 3, 4, 5]:
        return None
    kind, created, marking, objects, publication, part = fields.values()
    holds = (
        _is_text(kind, 1)
        and _is_text(marking, 0)
        and _is_integer(created)
        and _is_integer(objects)
        and (type(publication) is bytes and len(publication) == 16)
        and (_is_list(part, 2) and all(map(_is_integer, part)) and 1 <= part[0] <= part[1] <= PARTS_MAX)
        and (type(frames) is list and len(frames) <= FRAMES_MAX)
        and all(type(frame) is bytes and frame for frame in frames)
    )
    if not holds:
        return None
    return PlainPayload(kind, created, marking, objects, publication, (part[0], part[1]), tuple(frames))


def _is_list(value: Any, length: int) -> bool:
    return type(value) is list and len(value) == length


def _is_integer(value: Any) -> bool:
    return type(value) is int and 0 <= value <= INTEGER_MAX


def _is_text(value: Any, low: int) -> bool:
    """Printable ASCII."""
    return (
        type(value) is str and low <= len(value) <= TEXT_BYTES_MAX and all(" " <= one <= "~" for one in value)
    )
