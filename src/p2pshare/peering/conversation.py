"""A guest's conversation at another's door: one TLS connection, through the proxy where there is one, bounded in time, and hung up at its end."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from p2pshare.limits import TLS_SHUTDOWN_SECONDS
from p2pshare.peering.frames import READ_BUFFER_BYTES, cut, hang_up
from p2pshare.peering.proxies import Proxy, open_stream

Conversation = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def conversation(
    host: str,
    port: int,
    context: ssl.SSLContext,
    proxy: Proxy | None,
    *,
    connect_seconds: float,
    seconds: float,
) -> AsyncIterator[Conversation]:
    """Yields both ends of a connection that lives `seconds` at most. Raises OSError, TimeoutError, and PeerUnreachable of the proxy."""
    async with asyncio.timeout(seconds):
        reader, writer = await open_stream(
            proxy,
            host,
            port,
            connect_seconds,
            ssl=context,
            limit=READ_BUFFER_BYTES,
            ssl_handshake_timeout=connect_seconds,
            ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS,
        )
        try:
            yield reader, writer
            await hang_up(writer)
        finally:
            cut(writer)
