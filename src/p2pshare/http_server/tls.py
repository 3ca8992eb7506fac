"""The part of TLS that is the same for every caller: the version, no tickets, a key that touches no disk, pins, and that a
caller whose certificate is not accepted is told so."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
import ssl
from contextvars import ContextVar
from typing import cast

Pin = bytes  # SHA-256 of a certificate's DER bytes


def pin_of(certificate: bytes) -> Pin:
    """Returns the pin (32 bytes) of a certificate (DER)."""
    return hashlib.sha256(certificate).digest()


def peer_pin(ssl_object: ssl.SSLObject | None) -> Pin | None:
    """Returns the pin of the certificate that the other end of a finished handshake showed; None without one."""
    certificate = ssl_object.getpeercert(binary_form=True) if ssl_object is not None else None
    return pin_of(certificate) if certificate else None


socket_in_handshake: ContextVar[socket.socket | None] = ContextVar("socket_in_handshake", default=None)
"""The socket of the handshake that begins in this context: where its alert goes."""


class _AlertingConnection(ssl.SSLObject):
    """The server's end of a connection. asyncio drops what OpenSSL says last when a handshake fails; a caller whose certificate is
    not accepted would see a broken line, and cannot know that its new one must be made known first (RFC 8446 section 6.2)."""

    outgoing: ssl.MemoryBIO
    plain: socket.socket | None

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError:
            if self.plain is not None:
                with contextlib.suppress(
                    OSError
                ):  # nothing of ours is under way: the caller has answered our part
                    self.plain.send(self.outgoing.read())
            raise


class _AlertingServer(ssl.SSLContext):
    sslobject_class = _AlertingConnection

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        wrapped = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        connection = cast("_AlertingConnection", wrapped)
        connection.outgoing, connection.plain = outgoing, socket_in_handshake.get()
        return connection


def hardened_context(protocol: int) -> ssl.SSLContext:
    """Returns a context of TLS 1.3 and nothing else, without compression or tickets; it has no trust anchors yet."""
    context = (_AlertingServer if protocol == ssl.PROTOCOL_TLS_SERVER else ssl.SSLContext)(protocol)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    return context


def load_own_key(context: ssl.SSLContext, certificate: bytes, private_key: bytes) -> None:
    """Load a certificate and its PKCS #8 key (DER) into `context`, past the disk.

    `ssl` reads keys from files only, so it gets one that exists in memory and has no name.
    """
    memory_file = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        pem = _private_pem(private_key) + ssl.DER_cert_to_PEM_cert(certificate).encode()
        with os.fdopen(memory_file, "wb", closefd=False) as stream:
            stream.write(pem)
        context.load_cert_chain(f"/proc/self/fd/{memory_file}")
    finally:
        os.close(memory_file)


def _private_pem(private_key: bytes) -> bytes:
    """Returns the PEM form (RFC 7468 section 10) of a PKCS #8 DER key."""
    return b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(private_key) + b"-----END PRIVATE KEY-----\n"
