"""The keys that a partner holds, and the first and later issues of its card.

Root keys (1 to 8, any `threshold` of them) are the partner's identity and may be kept offline; operational keys
do the daily work and are replaced by a new version of the card. Other rooms import all kinds of keys from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from p2pshare.envelope.agreement import HintKey, HintPublicKey, KemKey, KemPublicKey
from p2pshare.envelope.card import Card, accept_first, accept_update
from p2pshare.envelope.card_format import (
    NO_PREVIOUS,
    NOTHING_VOUCHED,
    AnyKey,
    CardBody,
    OperationalKey,
    Revocation,
    is_good_name,
    is_good_url,
    partner_id_of,
    sign_card,
)
from p2pshare.envelope.certificate import TlsKey
from p2pshare.envelope.hybrid import Secret, SigningKey, VerifyKey
from p2pshare.envelope.jss import PlaybookKey
from p2pshare.errors import AuthorError, KeyFileError
from p2pshare.identifiers import PartnerId
from p2pshare.limits import (
    CARD_HINT_KEYS_MAX,
    CARD_KEM_KEYS_MAX,
    CARD_LIFE_SECONDS_MAX,
    CARD_SIGN_KEYS_MAX,
    CARD_TLS_CERTIFICATES_MAX,
    CARD_URLS_MAX,
    OPERATIONAL_LIFE_SECONDS,
    OPERATIONAL_OVERLAP_SECONDS,
    ROOT_KEYS_MAX,
)
from p2pshare.lookalikes import faults_of

__all__ = [
    "HintKey",
    "HintPublicKey",
    "Identity",
    "KemKey",
    "KemPublicKey",
    "OperationalKeys",
    "PlaybookKey",
    "Secret",
    "SigningKey",
    "TlsKey",
    "VerifyKey",
    "create_identity",
    "generate_operational_keys",
    "next_body",
    "reissue_card",
    "under_card",
]

_KEY_VALID_SECONDS = OPERATIONAL_LIFE_SECONDS + OPERATIONAL_OVERLAP_SECONDS
KEY_CLOCK_TOLERANCE_SECONDS = 86_400  # our clock may be set back after the keys were made
RETIRED_MAX = CARD_HINT_KEYS_MAX - 1  # older keys stand in nobody's copy of the card any more


@dataclass(frozen=True, slots=True)
class OperationalKeys:
    """A set of daily keys: to sign envelopes, unwrap content, find one's own wrap, and speak TLS."""

    sign: SigningKey
    kem: KemKey
    hint: HintKey
    tls: TlsKey


@dataclass(frozen=True, slots=True)
class Identity:
    """All that a partner needs to act. `roots` is empty where they are kept offline.

    `retired` are earlier operational keys, newest first, which still open envelopes. `playbook` signs playbooks; None in a home of a
    version before it, until its key file is written anew.
    """

    partner_id: PartnerId
    roots: tuple[SigningKey, ...]
    operational: OperationalKeys
    card: Card
    retired: tuple[OperationalKeys, ...] = ()
    playbook: PlaybookKey | None = None


def under_card(identity: Identity, card: Card) -> Identity | None:
    """Returns the identity with `card`, and the set that it names in use; None where no such set is at hand."""
    sets = (identity.operational, *identity.retired)
    newest = card.sign_keys[0].key.key_id
    in_use = next((keys for keys in sets if keys.sign.key_id == newest), None)
    if card.partner_id != identity.partner_id or in_use is None:
        return None
    retired = tuple(keys for keys in sets if keys is not in_use)
    return replace(identity, operational=in_use, card=card, retired=retired)


def generate_operational_keys(partner_id: PartnerId, now: int) -> OperationalKeys:
    """Returns new daily keys, valid from `now` (unix seconds) on."""
    tls = TlsKey.generate(partner_id, now, _KEY_VALID_SECONDS // 86_400)
    return OperationalKeys(SigningKey.generate(), KemKey.generate(), HintKey.generate(), tls)


def create_identity(
    name: str, urls: Sequence[str], now: int, *, roots: int = 1, threshold: int = 1
) -> Identity:
    """Returns an identity with new root keys, operational keys and card version 1.

    Raises AuthorError (`bad-name`, `bad-url`, `bad-threshold`).
    """
    _check_new_name(name)
    _check_name_and_urls(name, urls)
    _check_threshold(threshold, roots)
    root_keys = tuple(SigningKey.generate() for _ in range(roots))
    root_publics = tuple(key.verify_key for key in root_keys)
    partner_id = partner_id_of(root_publics, threshold)
    operational = generate_operational_keys(partner_id, now)
    body = CardBody(
        partner_id=partner_id,
        version=1,
        previous=NO_PREVIOUS,
        not_before=now,
        expires=now + CARD_LIFE_SECONDS_MAX,
        roots=root_publics,
        threshold=threshold,
        sign_keys=(_dated(operational.sign.verify_key, now),),
        kem_keys=(_dated(operational.kem.public, now),),
        hint_keys=(_dated(operational.hint.public, now),),
        tls_certificates=(operational.tls.certificate,),
        name=name,
        urls=tuple(urls),
        revoked=(),
    )
    card = accept_first(sign_card(body, root_keys), now)
    return Identity(partner_id, root_keys, operational, card, playbook=PlaybookKey.generate())


def reissue_card(
    identity: Identity,
    now: int,
    *,
    name: str | None = None,
    urls: Sequence[str] | None = None,
    operational: OperationalKeys | None = None,
    revoked: Sequence[Revocation] = (),
) -> Identity:
    """Returns the identity with the next version of its card (`next_body`), signed with its roots.

    Raises AuthorError as that does, and KeyFileError `roots-offline` when too few root keys are at hand; then
    `unfinished_card.begin_card` and other machines are the way.
    """
    card = identity.card
    body = next_body(identity, now, name=name, urls=urls, operational=operational, revoked=revoked)
    if len(identity.roots) < card.threshold:
        raise KeyFileError(
            f"a new card needs {card.threshold} root keys and {len(identity.roots)} are in the key file",
            hint="bring the root keys that are kept offline",
            reason="roots-offline",
        )
    updated = accept_update(card, sign_card(body, identity.roots), now)
    if operational is None:
        return replace(identity, card=updated)
    retired = (identity.operational, *identity.retired)[:RETIRED_MAX]
    return replace(identity, card=updated, operational=operational, retired=retired)


def next_body(
    identity: Identity,
    now: int,
    *,
    name: str | None = None,
    urls: Sequence[str] | None = None,
    operational: OperationalKeys | None = None,
    shown: bytes | None = None,
    revoked: Sequence[Revocation] = (),
    roots: Sequence[VerifyKey] | None = None,
    threshold: int | None = None,
) -> CardBody:
    """Returns the next version of the card, changed as given, and valid for a whole life again.

    New `operational` keys go first and the old ones stay as long as the card has room; of the certificates that is `shown`,
    the one that partners are shown now, where it is not the newest. `revoked` is added, in place of what the card said of
    the same key; the whole set of a revoked key leaves the card, but for a sign key under which something is vouched for.
    `roots` and `threshold` are those of the next version. Raises AuthorError for a bad name, address or threshold, and
    `key-in-use` when the set in use is revoked and no new one given.
    """
    card = identity.card
    chosen_name = card.name if name is None else name
    chosen_urls = card.urls if urls is None else tuple(urls)
    if name is not None:
        _check_new_name(name)
    _check_name_and_urls(chosen_name, chosen_urls)
    chosen_roots = card.roots if roots is None else tuple(sorted(roots, key=lambda root: root.raw))
    chosen_threshold = card.threshold if threshold is None else threshold
    _check_threshold(chosen_threshold, len(chosen_roots))
    body = CardBody(**{field: getattr(card, field) for field in CardBody.__dataclass_fields__})
    body = replace(
        body,
        version=card.version + 1,
        previous=card.body_digest,
        not_before=now,
        expires=now + CARD_LIFE_SECONDS_MAX,
        roots=chosen_roots,
        threshold=chosen_threshold,
        name=chosen_name,
        urls=chosen_urls,
        revoked=_revocations(card, revoked),
    )
    body = _without_revoked_keys(body, (identity.operational, *identity.retired))
    if operational is not None:
        return _with_new_keys(body, operational, shown, now)
    if identity.operational.sign.key_id in {entry.key_id for entry in body.revoked}:
        raise AuthorError("the keys in use are revoked, and there are no new ones", reason="key-in-use")
    return body


def _revocations(card: Card, revoked: Sequence[Revocation]) -> tuple[Revocation, ...]:
    """Returns those of the card and the new ones, one a key, as a card has them in order."""
    by_key = {entry.key_id: entry for entry in (*card.revoked, *revoked)}
    return tuple(by_key[key_id] for key_id in sorted(by_key))


def _without_revoked_keys(body: CardBody, sets: Sequence[OperationalKeys]) -> CardBody:
    """Returns the body without the keys of every one of `sets` whose sign key it revokes: a thief of the set could go on
    connecting and reading as this partner. A sign key stays that is needed to verify what is vouched for."""
    roots = {entry.key_id: entry.vouch_root for entry in body.revoked}
    stolen = [one for one in sets if one.sign.key_id in roots]
    certificates = {one.tls.certificate for one in stolen}
    return replace(
        body,
        sign_keys=tuple(entry for entry in body.sign_keys if roots.get(entry.key.key_id) != NOTHING_VOUCHED),
        kem_keys=_but(body.kem_keys, {one.kem.public.raw for one in stolen}),
        hint_keys=_but(body.hint_keys, {one.hint.public.raw for one in stolen}),
        tls_certificates=tuple(one for one in body.tls_certificates if one not in certificates),
    )


def _but(keys: Sequence[OperationalKey[AnyKey]], left_out: set[bytes]) -> tuple[OperationalKey[AnyKey], ...]:
    return tuple(entry for entry in keys if entry.key.raw not in left_out)


def _with_new_keys(body: CardBody, keys: OperationalKeys, shown: bytes | None, now: int) -> CardBody:
    older = sorted(body.tls_certificates, key=lambda certificate: certificate != shown)  # stable
    certificates = (keys.tls.certificate, *older)
    return replace(
        body,
        sign_keys=(_dated(keys.sign.verify_key, now), *body.sign_keys)[:CARD_SIGN_KEYS_MAX],
        kem_keys=(_dated(keys.kem.public, now), *body.kem_keys)[:CARD_KEM_KEYS_MAX],
        hint_keys=(_dated(keys.hint.public, now), *body.hint_keys)[:CARD_HINT_KEYS_MAX],
        tls_certificates=certificates[:CARD_TLS_CERTIFICATES_MAX],
    )


def _dated(key: AnyKey, now: int) -> OperationalKey[AnyKey]:
    return OperationalKey(key, now - KEY_CLOCK_TOLERANCE_SECONDS, now + _KEY_VALID_SECONDS)


def _check_threshold(threshold: int, roots: int) -> None:
    if not 1 <= threshold <= roots <= ROOT_KEYS_MAX:
        raise AuthorError(
            f"the threshold must be 1 to {roots}, the roots 1 to {ROOT_KEYS_MAX}",
            hint="more root keys come with --new-root FILE",
            reason="bad-threshold",
        )


def _check_name_and_urls(name: str, urls: Sequence[str]) -> None:
    if not is_good_name(name):
        raise AuthorError(
            "the name must have 1 to 256 bytes and no control or invisible characters", reason="bad-name"
        )
    if len(urls) > CARD_URLS_MAX or len(set(urls)) != len(urls) or not all(map(is_good_url, urls)):
        raise AuthorError(
            f"an address must look like https://host:port, at most {CARD_URLS_MAX} of them, none twice",
            hint="no user, query or fragment in the address",
            reason="bad-url",
        )


def _check_new_name(name: str) -> None:
    """Stricter than for the cards of others: nobody needs a name that its readers cannot tell from another one."""
    if faults := faults_of(name):
        raise AuthorError(
            f"the name would be read as another one: {'; '.join(faults)}",
            hint="write each word in one script, and nothing that does not show",
            reason="bad-name",
        )
