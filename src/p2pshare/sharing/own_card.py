"""Our own card: when its keys are renewed, which of its certificates partners are shown, and how a new one is taken up.

The card is issued elsewhere (`node.card_issuing`), by a process that holds the roots.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from p2pshare.envelope.card import Card, OperationalKey, accept_update
from p2pshare.envelope.card_format import AnyKey, CardBody, decode_versions
from p2pshare.envelope.certificate import ends_at
from p2pshare.envelope.hybrid import key_id_of
from p2pshare.envelope.keys import Identity, TlsKey, under_card
from p2pshare.envelope.unfinished_card import UnfinishedCard, read_unfinished
from p2pshare.errors import AuthorError, NotFoundError, PeerError, RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.limits import OPERATIONAL_OVERLAP_SECONDS
from p2pshare.node.card_issuing import CardChange, issue_apart, newer_chain
from p2pshare.node.keyfile import identity_of, write_card_file
from p2pshare.node.node import Node, NodeReading, card_path, key_path, note_config
from p2pshare.node.vouch_pages import drop_pages

RESTORED_SECONDS = (
    60  # a partner that talks with us so long has compared its cards with ours: that takes some seconds
)
KEY_DIGITS_MIN = 8  # of a key id that is typed: of 2^32 others one begins so
SHOWN_MARGIN_SECONDS = 86_400  # before a certificate ends the next one is shown: partners' clocks differ


class CardKey(Struct, frozen=True, forbid_unknown_fields=True):
    """A public key of our card: its kind (root, sign, kem, hint, tls) and state: current, older (believed and used to open, no
    longer to make), revoked (as the card says)."""

    key_id: str
    kind: str
    state: str


class IssuedVersion(Struct, frozen=True, forbid_unknown_fields=True):
    """A version of our card. `signed` is False where `missing` more root keys must sign it first: then `unfinished` is the file
    for the next signer, and nothing has changed yet."""

    version: int
    expires: str
    keys: list[CardKey]
    signed: bool
    missing: int = 0
    unfinished: bytes = b""
    is_new: bool = True
    """False where nothing had to be done."""


class NewerOwnCard(Struct, frozen=True, forbid_unknown_fields=True):
    """A newer card of ours than this home has: its version and the digest of its body, and what it changed, a line each."""

    version: int
    body: bytes
    changes: list[str]


def describe_newer(own: Card, newer: Card) -> NewerOwnCard:
    """Returns what a person looks at before going on from a newer card of ours: whoever has our roots could have made it."""
    lines = [f"version {newer.version} of {newer.name!r}; this home has version {own.version}"]
    for name in ("name", "urls", "threshold"):
        old, new = getattr(own, name), getattr(newer, name)
        if old != new:
            lines.append(f"{name}: {old!r} becomes {new!r}")
    ours = {entry.key.key_id for entry in own.sign_keys}
    lines += [
        f"sign key {entry.key.key_id.text}, not in this home, since {format_instant(entry.not_before * SECOND_US)}"
        for entry in newer.sign_keys
        if entry.key.key_id not in ours
    ]
    if newer.roots != own.roots:
        lines.append("root keys: others than before")
    before = {entry.key_id for entry in own.revoked}
    lines += [
        f"revokes the sign key {entry.key_id.text}" for entry in newer.revoked if entry.key_id not in before
    ]
    return NewerOwnCard(newer.version, newer.body_digest, lines)


def ends_of(card: Card) -> int:
    """Returns until when (unix seconds) partners believe what is made with the newest keys of the card."""
    return min(card.sign_keys[0].expires, card.expires)


def needs_renewal(card: Card, now: int) -> bool:
    """Returns whether the newest keys have been in use for their time, 30 days of 90, or their card ends as soon."""
    return now >= ends_of(card) - OPERATIONAL_OVERLAP_SECONDS


def shown_tls_key(
    identity: Identity, links: Iterable[PartnerId], fetched: Mapping[PartnerId, int], now: int
) -> TlsKey:
    """Returns the TLS key to show partners with. A partner that does not know the newest certificate yet would refuse us, and
    so never learn it: an older one of the card is shown until each of `links` has fetched a version with the newest, at most
    until it ends.

    A change of roots waits for a person at each partner, and nobody tells us when: from then on an older one is shown until
    it ends. `fetched` are the versions of our card that partners have fetched; `now` in unix seconds.
    """
    held = {keys.tls.certificate: keys.tls for keys in (identity.operational, *identity.retired)}
    usable = [held[one] for one in identity.card.tls_certificates if one in held]
    newest = usable[0] if usable else identity.operational.tls
    if len(usable) < 2:
        return newest
    versions = [version.body for version in decode_versions(identity.card.raw)]
    since = _first_with(versions, newest.certificate)
    known = versions[_first_with(versions, usable[-1].certificate) - 1 :]
    is_waiting = len({(body.roots, body.threshold) for body in known}) > 1
    if not is_waiting and all(fetched.get(peer, 0) >= since for peer in links):
        return newest
    older = (one for one in usable[1:] if now < ends_at(one.certificate) - SHOWN_MARGIN_SECONDS)
    return next(older, newest)


def _first_with(versions: Sequence[CardBody], certificate: bytes) -> int:
    return next(body.version for body in versions if certificate in body.tls_certificates)


def shown_by(node: Node, now: int) -> TlsKey:
    """Returns the TLS key to show now, by the links and fetched cards that the store knows of."""
    partners = node.store.partners
    links = [row.partner_id for row in partners.all() if row.has_link]
    return shown_tls_key(node.identity, links, partners.card_fetches(), now)


def renew(node: Node, now: int, *, must_finish: bool = False) -> IssuedVersion:
    """Put new operational keys on our card, as `issue` does. Raises KeyFileError `roots-offline` where others must sign it,
    too, and `must_finish`."""
    shown = shown_by(node, now).certificate
    return issue(node, CardChange(now, has_new_keys=True, shown=shown, must_finish=must_finish))


def issue(node: Node, change: CardChange) -> IssuedVersion:
    """Issue the next version of our card and use it from here on, or return the unfinished one. Runs in the writer thread.

    Raises KeyFileError, AuthorError, and RefusedError `own-card-newer` where partners have a newer one, with nothing changed.
    """
    if not change.over:
        _require_newest(node)
    issued = issue_apart(key_path(node), card_path(node), change)
    node.identity = identity_of(issued.material, key_path(node), card_path(node))
    if issued.missing:
        return describe_unfinished(read_unfinished(issued.card))
    note_config(node)
    drop_pages(node.home, node.card)
    return describe_card(node.card)


def _require_newest(node: Node) -> None:
    """Require that no partner is known to have a newer card of ours, and after a restore that one of them could say so. Raises RefusedError
    `own-card-newer`, `own-card-unsure`."""
    partners = node.store.partners
    newest = partners.own_card_elsewhere()
    if newest > node.card.version:
        raise RefusedError(
            f"partners have version {newest} of our card, and this home has {node.card.version}: another one now would be a fork",
            hint="`p2pshare card renew --over-newer` goes on from theirs with new keys; or put the newest backup back",
            reason="own-card-newer",
        )
    if not is_sure_of_card(node):
        raise RefusedError(
            "this home was restored, and no partner has yet shown whether it has a newer card of ours: another one now might be a fork",
            hint=f"leave the daemon running with a partner for {RESTORED_SECONDS} s, then try again; or go on from a card that a partner gives:"
            " `p2pshare card renew --over-newer --card FILE`",
            reason="own-card-unsure",
        )


def is_sure_of_card(node: Node) -> bool:
    """Returns whether partners could have shown a newer card of ours: always where the home was not restored, or has no link."""
    partners = node.store.partners
    if not (restored_at := partners.restored_at()):
        return True
    heard = partners.last_exchanges()
    links = [row.partner_id for row in partners.all() if row.has_link and not row.is_frozen]
    if links and not any(heard.get(one, 0) >= restored_at + RESTORED_SECONDS for one in links):
        return False
    partners.forget_restored()
    return True


def begin_after_restore(node: Node, now: int) -> None:
    """Begin a life of a daemon: what partners show of our card is heard from now on. `now` in unix seconds."""
    if node.store.partners.restored_at():
        node.store.partners.note_restored(now)


def keep_newer_card(node: Node, raw: bytes) -> None:
    """Keep a newer file of our own card that a partner handed over, until a person goes on from it. Raises PeerError."""
    try:
        newer = newer_chain(node.card, raw)
    except AuthorError as error:
        raise PeerError(error.message, reason=error.reason) from None
    if newer.version > node.card.version:
        node.store.partners.keep_own_card_newer(newer.raw, newer.version)


def newer_card(node: NodeReading, raw: bytes = b"") -> Card:
    """Returns the newer card of ours to go on from: of the file `raw`, else the one that partners have shown. Raises AuthorError (as
    `newer_chain`), NotFoundError `not-newer`."""
    kept = raw or node.store.partners.own_card_newer()
    if not kept:
        raise NotFoundError(
            "no partner has shown a newer card of ours",
            hint="`p2pshare status` has the alarm `own-card-newer` where one does; else give a card file that a partner has of you",
            reason="not-newer",
        )
    return newer_chain(node.card, kept)


def renew_over(node: Node, newer: Card, now: int) -> IssuedVersion:
    """Issue the version that follows a newer card of ours, whose keys this home has not, with new operational keys. What was sealed with the
    lost ones stays believed. Raises as `issue`."""
    held = {keys.tls.certificate for keys in (node.identity.operational, *node.identity.retired)}
    shown = next((one for one in newer.tls_certificates if one in held), None)
    issued = issue(node, CardChange(now, has_new_keys=True, shown=shown, over=newer.raw))
    if issued.signed:
        node.store.partners.forget_restored()
    return issued


def set_roots(
    node: Node, threshold: int, *, add: Sequence[bytes], drop: Sequence[str], now: int
) -> IssuedVersion:
    """Change how many root keys must sign our card, and which they are, as `issue` does. `drop` are first digits of key ids."""
    roots = {root.key_id.text: root.raw for root in node.card.roots}
    for wanted in drop:
        matching = [key_id for key_id in roots if key_id.startswith(wanted.lower())]
        if len(wanted) < KEY_DIGITS_MIN or len(matching) != 1:
            raise NotFoundError(
                f"no root key of our card has this id, or {KEY_DIGITS_MIN} digits are not enough to tell which",
                hint="`p2pshare card show` lists the keys",
                reason="key-unknown",
            )
        del roots[matching[0]]
    return issue(node, CardChange(now, roots=(*roots.values(), *add), threshold=threshold))


def install(node: Node, raw: bytes, now: int) -> IssuedVersion:
    """Use the next version of our card, which holders of root keys have signed. Raises RefusedError with nothing changed."""
    card = node.card
    try:
        installed = accept_update(card, raw, now)
    except PeerError as error:
        what, reason = error.message, error.reason
        missing = _missing_signatures(raw)
        if missing:
            what, reason = f"too few root keys have signed it, {missing} more must", "card-threshold"
        raise RefusedError(
            f"the file is not the next version of our card: {what}",
            hint="a file that lacks signatures goes to the next signer; one made before the newest card is void",
            reason=reason,
        ) from None
    if installed is card:
        return describe_card(card, is_new=False)
    identity = under_card(node.identity, installed)
    if identity is None:
        raise RefusedError(
            "the file names operational keys that are not in the key file",
            hint="it was made before the newest `card rotate`, or on another machine: make it again",
            reason="card-keys-missing",
        )
    write_card_file(card_path(node), installed)
    node.identity = identity
    note_config(node)
    drop_pages(node.home, installed)
    return describe_card(installed)


def _missing_signatures(raw: bytes) -> int:
    """Returns how many more root keys must sign an unfinished card; 0 for a finished one, and for what is no card file."""
    try:
        return describe_unfinished(read_unfinished(raw)).missing
    except PeerError:
        return 0


def describe_unfinished(card: UnfinishedCard) -> IssuedVersion:
    """Returns a version that is on its way, or that its last signer has finished."""
    return IssuedVersion(
        card.body.version,
        format_instant(card.body.expires * SECOND_US) or "",
        keys_of(card.body),
        signed=card.is_finished,
        missing=max(card.own.missing, card.before.missing),
        unfinished=card.raw,
    )


def describe_card(card: Card, *, is_new: bool = True) -> IssuedVersion:
    """Returns the version that is in force."""
    expires = format_instant(card.expires * SECOND_US) or ""
    return IssuedVersion(card.version, expires, keys_of(card), signed=True, is_new=is_new)


def keys_of(card: CardBody) -> list[CardKey]:
    """Returns the public keys on a card and those it revokes, a kind after the other, the newest first."""
    revoked = {entry.key_id.text for entry in card.revoked}
    found = [
        *(CardKey(root.key_id.text, "root", "current") for root in card.roots),
        *_of_kind("sign", card.sign_keys, revoked),
        *_of_kind("kem", card.kem_keys),
        *_of_kind("hint", card.hint_keys),
        *(
            CardKey(key_id_of(certificate).text, "tls", "older" if number else "current")
            for number, certificate in enumerate(card.tls_certificates)
        ),
    ]
    listed = {key.key_id for key in found}
    gone = (CardKey(key_id, "sign", "revoked") for key_id in sorted(revoked - listed))
    return [*found, *gone]


def _of_kind(
    kind: str, entries: Sequence[OperationalKey[AnyKey]], revoked: Collection[str] = ()
) -> Iterator[CardKey]:
    for number, entry in enumerate(entries):
        key_id = key_id_of(entry.key.raw).text
        state = "revoked" if key_id in revoked else "older" if number else "current"
        yield CardKey(key_id, kind, state)
