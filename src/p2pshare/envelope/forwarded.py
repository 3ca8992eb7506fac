"""One frame of a payload `forwarded`: another author's envelope as it was received, and its content key (docs/envelope.md, "Forwarded")."""

from __future__ import annotations

from p2pshare.envelope.encoding import Reader, pack
from p2pshare.envelope.envelope import CONTENT_KEY_BYTES
from p2pshare.limits import ENVELOPE_BYTES_MAX


def encode_forwarded(wire: bytes, content_key: bytes) -> bytes:
    """Returns the frame in which an envelope is handed on."""
    return pack([wire, content_key])


def decode_forwarded(frame: bytes) -> tuple[bytes, bytes]:
    """Returns the envelope's bytes and the content key; neither is believed. Raises PeerError `malformed`, `not-canonical`."""
    reader = Reader(frame)
    reader.array(2, 2)
    wire = reader.blob(1, ENVELOPE_BYTES_MAX)
    content_key = reader.blob(CONTENT_KEY_BYTES, CONTENT_KEY_BYTES)
    reader.end()
    return wire, content_key
