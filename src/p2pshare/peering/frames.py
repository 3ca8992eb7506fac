"""Frames: what is sent to a guest and by it, in place of HTTP: `u32 length (big-endian) || message` (docs/card.md, "The guests' door").

Nothing is believed of a length: memory grows with the bytes that came. Only a message that holds a card file may be
long, and its first bytes say so.
"""

from __future__ import annotations

import asyncio
import contextlib

from p2pshare.envelope.encoding import refusal
from p2pshare.envelope.knock import CARD_MESSAGE_BYTES_MAX
from p2pshare.http_server.bodies import pieces_of
from p2pshare.limits import KIB
from p2pshare.peering.faults import PeerUnreachable

FRAME_HEAD_BYTES = 4
GUEST_MESSAGE_BYTES_MAX = (
    64 * KIB
)  # as any small message; those of a knock have 40, a card file its own limit
READ_BUFFER_BYTES = 64 * KIB  # beyond twice as much the other side waits, unless a message is longer


async def read_message(
    reader: asyncio.StreamReader, card_begins: bytes = b"", card_bytes_max: int = CARD_MESSAGE_BYTES_MAX
) -> bytes:
    """Returns the next message. One that begins with `card_begins` (when given) may have `card_bytes_max` bytes.

    Raises PeerError `oversized`, `malformed` (an empty one), PeerUnreachable `cut-off` when the other side ends before.
    """
    try:
        length = int.from_bytes(await reader.readexactly(FRAME_HEAD_BYTES), "big")
        if length == 0:
            raise refusal("malformed", "a message is empty")
        if length <= GUEST_MESSAGE_BYTES_MAX:
            return await reader.readexactly(length)
        begins = await reader.readexactly(len(card_begins))
        if not card_begins or begins != card_begins or length > card_bytes_max:
            raise refusal("oversized", "a message is too long")
        return begins + await reader.readexactly(length - len(begins))
    except asyncio.IncompleteReadError:
        raise PeerUnreachable("the other side hung up", reason="cut-off") from None


async def write_message(writer: asyncio.StreamWriter, message: bytes) -> None:
    """Send one message; a long one in pieces, each when the one before has left. Raises OSError."""
    for piece in pieces_of(len(message).to_bytes(FRAME_HEAD_BYTES, "big") + message):
        writer.write(piece)
        await writer.drain()


async def end_of(reader: asyncio.StreamReader) -> None:
    """Wait until the other side has ended: it has read what was sent last. Raises PeerError `malformed` when it says more."""
    if await reader.read(1):
        raise refusal("malformed", "more was said than the conversation has")


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """End a conversation with TLS's goodbye: the other side knows that this was all. It has TLS_SHUTDOWN_SECONDS for its own."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def cut(writer: asyncio.StreamWriter) -> None:
    """End a connection now, unless it has ended, or ends by itself."""
    if not writer.transport.is_closing():  # Python 3.11.2 fails to abort one that has ended
        writer.transport.abort()
