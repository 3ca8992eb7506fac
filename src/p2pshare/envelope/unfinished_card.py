"""Unfinished cards: the next version of a card on its way from one holder of root keys to the next (docs/card.md).

An unfinished card is a card file whose newest version has fewer signatures than it needs, or none. Every signer checks what
the others did, and the file that the last one writes is a card file like any other.

Rules:

1. All versions but the newest are believed as ever; the newest follows them.
2. What is signed is one body: nobody can change it on the way, and every signature that is there must hold.
3. Only roots of the newest version or of the one before may sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from p2pshare.envelope.card import (
    Card,
    believe_chain,
    check_first,
    check_follows,
    count_signatures,
)
from p2pshare.envelope.card_format import (
    CardBody,
    DecodedCard,
    OperationalKey,
    decode_versions,
    encode_body,
    encode_versions,
    sign_body,
)
from p2pshare.envelope.hybrid import SigningKey, VerifyKey
from p2pshare.errors import AuthorError


@dataclass(frozen=True, slots=True)
class SignatureCount:
    """How many roots of one version have signed, and how many must."""

    have: int
    need: int

    @property
    def missing(self) -> int:
        return max(0, self.need - self.have)


@dataclass(frozen=True)
class UnfinishedCard:
    """The next version of a card, as far as it is signed; `raw` is its file, a card file when nothing is missing."""

    body: CardBody
    own: SignatureCount
    """Of its own roots."""
    before: SignatureCount
    """Of the roots of the version before; none needed for version 1."""
    raw: bytes = field(repr=False)
    _versions: tuple[DecodedCard, ...] = field(repr=False)

    @property
    def is_finished(self) -> bool:
        return not self.own.missing and not self.before.missing

    def changes(self) -> tuple[str, ...]:
        """Returns, for a signer to read, what this version says and what it changes in the one before, a line each."""
        body = self.body
        lines = [f"version {body.version} of {body.name!r}, partner {body.partner_id.text}"]
        if len(self._versions) < 2:
            return (*lines, "the first version: nothing before it")
        before = self._versions[-2].body
        for name in ("name", "urls", "threshold"):
            old, new = getattr(before, name), getattr(body, name)
            if old != new:
                lines.append(f"{name}: {old!r} becomes {new!r}")
        for kind in ("roots", "sign_keys", "kem_keys", "hint_keys", "tls_certificates"):
            old, new = ({_raw_of(one) for one in getattr(version, kind)} for version in (before, body))
            if old != new:
                lines.append(f"{kind.replace('_', ' ')}: {len(new - old)} new, {len(old - new)} taken off")
        revoked = {entry.key_id for entry in body.revoked} - {entry.key_id for entry in before.revoked}
        lines.extend(f"revokes the sign key {key_id.text}" for key_id in sorted(revoked))
        return tuple(lines)

    def signed_by(self, roots: Sequence[SigningKey]) -> UnfinishedCard:
        """Returns it with the signatures of `roots`, too. Raises AuthorError `not-a-root` with nothing signed."""
        *history, newest = self._versions
        known = {root.key_id for version in self._versions[-2:] for root in version.body.roots}
        if any(root.key_id not in known for root in roots):
            raise AuthorError(
                "a root key is neither of this card nor of the one before it",
                hint="compare the fingerprint: the file may be another partner's",
                reason="not-a-root",
            )
        return _counted((*history, newest), sign_body(newest.body_raw, roots, newest.signatures))


def _raw_of(key: VerifyKey | OperationalKey[Any] | bytes) -> bytes:
    if isinstance(key, OperationalKey):
        raw: bytes = key.key.raw
        return raw
    return key if isinstance(key, bytes) else key.raw


def begin_card(card: Card | None, body: CardBody) -> UnfinishedCard:
    """Returns `body`, the version after `card` (None: version 1), without any signature. Raises PeerError."""
    history = () if card is None else decode_versions(card.raw)
    raw = encode_versions([*(version.raw for version in history), sign_body(encode_body(body), ())])
    return read_unfinished(raw)


def read_unfinished(raw: bytes) -> UnfinishedCard:
    """Returns an unfinished card out of its file (rules 1 to 3). Raises PeerError, for one that was changed on its way
    `bad-signature` as soon as anybody has signed."""
    versions = decode_versions(raw, is_unfinished=True)
    *history, newest = versions
    if history:
        believe_chain(encode_versions([version.raw for version in history]))
        check_follows(newest, history[-1])
    else:
        check_first(newest.body)
    return _counted(versions, newest.raw)


def _counted(versions: Sequence[DecodedCard], newest_raw: bytes) -> UnfinishedCard:
    raw = encode_versions([*(version.raw for version in versions[:-1]), newest_raw])
    versions = decode_versions(raw, is_unfinished=True)
    newest, previous = versions[-1], versions[-2] if len(versions) > 1 else None
    own, before = count_signatures(newest, previous)
    return UnfinishedCard(
        newest.body,
        SignatureCount(own, newest.body.threshold),
        SignatureCount(before, previous.body.threshold if previous else 0),
        raw,
        versions,
    )
