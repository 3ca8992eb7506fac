"""Envelopes as a stream of bytes, and answers of undeclared length.

The answer to `POST /v1/get` is a sequence of envelopes, each a head (`gossip.messages.body_head`: id and
length) and as many bytes. Length 0 means *gone*: not held, or not for you. The sequence may end before every
id was answered: ask again for the rest.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from aiohttp import StreamReader

from p2pshare.errors import PeerError
from p2pshare.gossip.messages import BODY_HEAD_BYTES, body_head, decode_body_head
from p2pshare.http_server.bodies import pieces_of, read_piece
from p2pshare.http_server.rates import Pace
from p2pshare.identifiers import EnvelopeId
from p2pshare.limits import RESPONSE_BYTES_MAX


async def read_at_most(content: StreamReader, bytes_max: int, pace: Pace) -> bytes:
    """Returns a body of unknown length. Raises BodyCutOff, and PeerError `oversized` as soon as it exceeds `bytes_max`."""
    body = bytearray()
    while not content.at_eof():
        body += await read_piece(content, pace)
        if len(body) > bytes_max:
            raise PeerError("an answer is too large", reason="oversized")
    return bytes(body)


async def encode_envelopes(
    envelopes: AsyncIterator[tuple[EnvelopeId, bytes | None]],
) -> AsyncGenerator[bytes, None]:
    """Yields the pieces of an answer. It is full at RESPONSE_BYTES_MAX; a larger envelope travels alone."""
    sent = 0
    async for envelope_id, wire in envelopes:
        size = BODY_HEAD_BYTES + len(wire or b"")
        if sent and sent + size > RESPONSE_BYTES_MAX:
            return
        sent += size
        yield body_head(envelope_id, len(wire or b""))
        for piece in pieces_of(wire) if wire else ():
            yield piece


class EnvelopeSplitter:
    """A splitter of such an answer into envelopes; it holds no more than one of them and the last piece."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: tuple[EnvelopeId, int] | None = None

    @property
    def is_between_envelopes(self) -> bool:
        """Returns whether the sequence may end here."""
        return self._head is None and not self._buffer

    def feed(self, piece: bytes) -> Iterator[tuple[EnvelopeId, bytes | None]]:
        """Yields the envelopes that `piece` completes: (id, wire bytes), None for gone.

        Raises PeerError `oversized` for a length that no envelope has.
        """
        self._buffer += piece
        while True:
            if self._head is None:
                if len(self._buffer) < BODY_HEAD_BYTES:
                    return
                self._head = decode_body_head(self._take(BODY_HEAD_BYTES))
            envelope_id, length = self._head
            if len(self._buffer) < length:
                return
            self._head = None
            yield envelope_id, self._take(length) or None

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken
