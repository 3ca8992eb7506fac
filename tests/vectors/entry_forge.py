"""Makes entries of spaces that the product refuses to make, correctly signed. Used by tests and by `scripts/make-vectors`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from envelope_forge import NOW

from p2pshare.envelope.entry import (
    DOMAIN_ENTRY,
    NO_SPACE,
    REAL,
    EntryHeader,
    encode_entry,
    encode_header,
)
from p2pshare.envelope.keys import Identity

BODY = bytes(range(16)) + b"a note"


def header_of(author: Identity, body: bytes = BODY, **changes: Any) -> EntryHeader:
    """The header of a note that breaks no rule but those that `changes` breaks."""
    plain = EntryHeader(
        realm=REAL,
        space=type(NO_SPACE)(hashlib.sha256(b"a space").digest()),
        author=author.partner_id,
        key_id=author.operational.sign.key_id,
        number=2,
        parents=(type(NO_SPACE)(hashlib.sha256(b"a parent").digest()),),
        depth=3,
        created=NOW,
        kind="note",
        tlp=1,
        audience=(),
        body_digest=hashlib.sha384(body).digest(),
        body_bytes=len(body),
    )
    return replace(plain, **changes)


def forge_entry(
    author: Identity,
    body: bytes = BODY,
    *,
    encode: Callable[[EntryHeader], bytes] = encode_header,
    **changes: Any,
) -> bytes:
    """A signed wire whose header is whatever is asked for, in whatever encoding."""
    header = header_of(author, body, **changes)
    return sign_header(author, header.realm, encode(header), body)


def sign_header(author: Identity, realm: bytes, header_raw: bytes, body: bytes) -> bytes:
    """Sign any bytes as a header."""
    t = realm + hashlib.sha384(header_raw).digest()
    return encode_entry(header_raw, body, author.operational.sign.sign(DOMAIN_ENTRY, t))
