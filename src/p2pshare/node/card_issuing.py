"""Issuing: the next version of our card, made by a process that reads the root keys, signs and ends.

The daemon never holds a root (docs/decisions/0064), so whoever wants a new card describes it (`CardChange`) and a child
does it, in this order:

1. the key file is read, and new operational keys are made where the change asks for them
2. the body is signed with those roots of it that the key file holds
3. the key file is replaced when there are new keys: a crash from here on leaves keys that no card names, and no card
   whose keys are lost
4. the card file is replaced when enough roots have signed; else the unfinished card is handed back

Steps 3 and 4 are each one rename. Keys that no card names are dropped the next time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import Struct, convert, msgpack, structs

from p2pshare.envelope.card import Card, Revocation, accept_update, believe_chain
from p2pshare.envelope.encoding import Reader, pack
from p2pshare.envelope.keys import (
    RETIRED_MAX,
    Identity,
    Secret,
    VerifyKey,
    generate_operational_keys,
    next_body,
)
from p2pshare.envelope.unfinished_card import begin_card
from p2pshare.errors import AuthorError, KeyFileError, PeerError
from p2pshare.identifiers import KeyId
from p2pshare.limits import CARD_CHAIN_BYTES_MAX, ROOT_KEYS_MAX
from p2pshare.node.keyfile import (
    CARD_FILE_MODE,
    KEY_FILE_BYTES_MAX,
    KeyMaterial,
    decode_keys,
    encode_keys,
    find_passphrase,
    identity_of,
    is_encrypted,
    read_key_file,
    replace_file,
    write_key_file,
)
from p2pshare.node.keys_apart import answer_apart, did_not_answer, run_apart

OVER_NAME = ".over-newer.p2pcard"
PROGRAM = "from p2pshare.node.card_issuing import issue_here; import sys; issue_here(*sys.argv)"


class CardChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What the next version of our card shall say; None leaves a field as it is. Nothing in it is secret.

    With `must_finish` a card that others must sign, too, is an error and nothing is written. `shown` is the certificate that
    partners are shown now, `revoked` (key id, since, reason, vouch root) each, `roots` are
    public keys; `now` in unix seconds.
    """

    now: int
    has_new_keys: bool = False
    name: str | None = None
    urls: tuple[str, ...] | None = None
    shown: bytes | None = None
    must_finish: bool = False
    revoked: tuple[tuple[bytes, int, int, bytes], ...] = ()
    over: bytes = b""
    """The card file that the next version follows, in place of the home's: a newer one of ours, whose keys this home has not."""
    roots: tuple[bytes, ...] | None = None
    threshold: int | None = None


def newer_chain(own: Card, raw: bytes) -> Card:
    """Returns our card out of a file that a partner has, with versions that `own` lacks. Raises AuthorError `not-newer` for one that has none,
    `card-other-partner`, or the reason for which nobody would believe it."""
    try:
        newer = believe_chain(raw)
    except PeerError as error:
        raise AuthorError(
            f"the file is no card that can be trusted: {error.message}",
            hint="ask a partner for the card of ours that it holds: `p2pshare partner card NAME FILE` there",
            reason=error.reason,
        ) from None
    if newer.partner_id != own.partner_id:
        raise AuthorError("the file is another partner's card", reason="card-other-partner")
    if newer.version < own.version or newer.body_digest == own.body_digest:
        raise AuthorError(
            f"the file has version {newer.version} of our card, and this home has version {own.version} itself",
            hint="nothing is lost: `p2pshare card renew` works",
            reason="not-newer",
        )
    return newer


def _no_root() -> KeyFileError:
    return KeyFileError(
        "no root key here is a root of the newer card: the roots were changed since the backup",
        hint="put the newest backup back, or have the keepers of the root keys sign: docs/operations/lost-key.md",
        reason="roots-offline",
    )


@dataclass(frozen=True, slots=True)
class IssuedCard:
    """Our keys without roots, and the card file of the next version: in force, or, when `missing` is not 0, for so many more
    root keys to sign."""

    material: KeyMaterial
    card: bytes
    missing: int


def issue_apart(key_path: Path, card_path: Path, change: CardChange) -> IssuedCard:
    """Issue the card in a process of its own. Raises KeyFileError as reading and writing the key file do, AuthorError for a
    card that nobody would accept (`bad-name`, `bad-url`, `bad-threshold`, `key-in-use`, ...)."""
    with _beside(card_path, change.over) as over:
        plain = msgpack.encode(structs.replace(change, over=b""))
        answer = run_apart(PROGRAM, key_path, str(card_path), plain.hex(), over)
    try:
        reader = Reader(answer)
        reader.array(3, 3)
        keys = decode_keys(reader.blob(1, KEY_FILE_BYTES_MAX))
        issued = IssuedCard(keys, reader.blob(1, CARD_CHAIN_BYTES_MAX), reader.integer(ROOT_KEYS_MAX))
        reader.end()
    except (PeerError, ValueError):
        raise did_not_answer(key_path) from None
    return issued


@contextmanager
def _beside(card_path: Path, over: bytes) -> Iterator[str]:
    """Yields the name of a file with the bytes `over`, empty where there are none: an argument holds 128 KiB at most, a card file 4 MiB."""
    if not over:
        yield ""
        return
    path = card_path.with_name(OVER_NAME)
    replace_file(path, over, CARD_FILE_MODE)
    try:
        yield str(path)
    finally:
        path.unlink(missing_ok=True)


def issue_here(key_path: str, card_path: str, change: str, over: str) -> None:
    """Be the child: issue the card and write the `IssuedCard` to stdout. `over` names the file of the card to go on from, or is empty."""
    wanted = convert(msgpack.decode(bytes.fromhex(change)), CardChange)
    if over:
        wanted = structs.replace(wanted, over=Path(over).read_bytes())

    def issued() -> bytes:
        made = issue_card(Path(key_path), Path(card_path), wanted, find_passphrase(os.environ))
        return pack([encode_keys(made.material), made.card, made.missing])

    answer_apart(issued)


def issue_card(key_path: Path, card_path: Path, change: CardChange, passphrase: Secret | None) -> IssuedCard:
    """Issue the card in this process, which holds roots from here on and should end. Raises KeyFileError, AuthorError."""
    material = read_key_file(key_path, passphrase)
    identity = identity_of(material, key_path, card_path)
    if change.over:
        identity = replace(identity, card=newer_chain(identity.card, change.over))
    fresh = generate_operational_keys(identity.partner_id, change.now) if change.has_new_keys else None
    try:
        body = next_body(
            identity,
            change.now,
            name=change.name,
            urls=change.urls,
            operational=fresh,
            shown=change.shown,
            revoked=[
                Revocation(KeyId(key), since, reason, root) for key, since, reason, root in change.revoked
            ],
            roots=None if change.roots is None else [VerifyKey.from_raw(raw) for raw in change.roots],
            threshold=change.threshold,
        )
        unfinished = begin_card(identity.card, body)
        known = {root.key_id for root in (*body.roots, *identity.card.roots)}
        unfinished = unfinished.signed_by([root for root in material.roots if root.key_id in known])
        if unfinished.is_finished:
            accept_update(identity.card, unfinished.raw, change.now)
    except PeerError as error:  # what any partner would refuse as well
        raise AuthorError(error.message, hint=error.hint, reason=error.reason) from None
    if change.over and material.roots and not any(root.key_id in known for root in material.roots):
        raise _no_root()
    missing = max(unfinished.own.missing, unfinished.before.missing)
    if missing and change.must_finish:
        raise KeyFileError(
            f"a new card needs {missing} more root keys than the key file holds",
            hint="`p2pshare card renew` writes a card for those who keep them to sign",
            reason="roots-offline",
        )
    sets = material.sets
    if fresh is not None:
        in_use = sets.index(identity.operational)  # those before it stand on no card, and never will
        sets = (fresh, *sets[in_use:])[: RETIRED_MAX + 1]
        kept = Identity(
            identity.partner_id, material.roots, sets[0], identity.card, sets[1:], material.playbook
        )
        write_key_file(key_path, kept, passphrase if is_encrypted(key_path) else None)
    if unfinished.is_finished:
        replace_file(card_path, unfinished.raw, CARD_FILE_MODE)
    return IssuedCard(replace(material, roots=(), sets=sets), unfinished.raw, missing)
