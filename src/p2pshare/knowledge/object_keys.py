"""Object ids as the store keeps them: "TYPE--UUID" is a type and 16 bytes; any other id stays text.

An id costs 46 bytes as text and occurs twice (row and index), so this halves what a claim takes. Only the one
canonical spelling (lower case, dashes in place) becomes bytes, so the text always comes back as it was.
"""

from __future__ import annotations

INDICATOR = "indicator"
UUID_CHARACTERS = 36

EncodedId = tuple[str, bytes | str]
"""(type, 16 bytes) of a canonical id, else ('', the id)."""


def encode_object_id(object_id: str) -> EncodedId:
    """Returns (type, 16 bytes) of a canonical id, else ('', the id)."""
    prefix, _, tail = object_id.partition("--")
    if len(tail) == UUID_CHARACTERS and tail[8:24:5] == "----" and tail == tail.lower() and prefix:
        try:
            raw = bytes.fromhex(tail.replace("-", ""))
        except ValueError:
            return "", object_id
        if len(raw) == 16:
            return prefix, raw
    return "", object_id


def decode_object_id(prefix: str, key: bytes | str) -> str:
    """Returns the id as it was written."""
    if isinstance(key, str):
        return key
    text = key.hex()
    return f"{prefix}--{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
