"""Revoking a sign key of ours that somebody else may have: for which envelopes under it we stand all the same.

A thief chooses times and numbers, so only ids can say it (`envelope.vouch`). We stand for what this store sealed itself
and has not expired. What came home from partners in our name may be ours, from before a backup was restored, or the
thief's: a person says.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from msgspec import Struct

from p2pshare.envelope.card_format import decode_versions
from p2pshare.envelope.envelope import Mode, decode_envelope
from p2pshare.envelope.vouch import Scope, vouch
from p2pshare.errors import NotFoundError
from p2pshare.identifiers import EnvelopeId, KeyId
from p2pshare.intel.display import clip
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.object_texts import title_of
from p2pshare.log.interface import EnvelopeEntry
from p2pshare.node.card_issuing import CardChange
from p2pshare.node.node import Node, NodeReading
from p2pshare.node.vouch_pages import keep_pages
from p2pshare.sharing.own_card import KEY_DIGITS_MIN, IssuedVersion, describe_card, issue, shown_by
from p2pshare.sharing.staging import move_released

ENTRIES_AT_ONCE = 1_000
NOT_VOUCHED_LISTED_MAX = 1_000  # more is not looked through by a person
TITLED_MAX = 100  # a frame is inflated for each: half a second in which others wait for the writer
OBJECTS_LOOKED_AT = 16  # for one with a title
RevocationReason = Literal["unspecified", "compromised", "lost", "superseded"]
REASONS: dict[RevocationReason, int] = {"unspecified": 0, "compromised": 1, "lost": 2, "superseded": 3}


class NotVouched(Struct, frozen=True, forbid_unknown_fields=True):
    """An envelope in our name under the key that this store did not seal. `title`: of the first object in it that has one, for the
    newest TITLED_MAX; empty where it could not be read here."""

    envelope_id: str
    created: str
    title: str = ""


class RevokedKey(IssuedVersion, frozen=True):
    """The version of our card that revokes a key, how many envelopes it vouches for, and for how many it does not; the newest of
    those are listed."""

    key_id: str = ""
    vouched: int = 0
    not_vouched: int = 0
    not_vouched_newest: list[NotVouched] = []  # noqa: RUF012 - msgspec makes a new one each time


@dataclass
class _UnderKey:
    """Our envelopes under one key: those that are vouched for, by scope, and the rest."""

    listed: dict[Scope, set[EnvelopeId]] = field(default_factory=dict)
    vouched: set[EnvelopeId] = field(default_factory=set)
    rest: list[EnvelopeEntry] = field(default_factory=list)


def revoke(
    node: Node,
    key: str,
    reason: RevocationReason,
    *,
    since: int,
    confirmed: Collection[EnvelopeId],
    is_dry_run: bool,
    now: int,
) -> RevokedKey:
    """Revoke the sign key whose id begins with `key`, with its whole set, and issue the card that says so. `confirmed` are
    envelopes that came home and that a person knows to be ours. New keys are made where those in use are revoked.

    Runs in the writer thread. Raises NotFoundError, AuthorError, KeyFileError, StoreError with nothing changed.
    """
    key_id = _own_sign_key(node, key)
    move_released(node, now)  # what has left counts, also where a crash or a full disk came between
    found = _under(node, key_id, confirmed, now)
    if unknown := set(confirmed) - found.vouched:
        raise NotFoundError(
            f"{len(unknown)} of the envelopes to vouch for are not held here under that key, or their recipients are not known",
            hint="with --dry-run and without --vouch it is listed what came home",
        )
    made = vouch(node.card.partner_id, key_id, found.listed)
    newest = sorted(found.rest, key=lambda entry: -entry.created)[:NOT_VOUCHED_LISTED_MAX]
    told: dict[str, Any] = {
        "key_id": key_id.text,
        "vouched": len(found.vouched),
        "not_vouched": len(found.rest),
        "not_vouched_newest": [
            NotVouched(
                entry.envelope_id.text,
                format_instant(entry.created * SECOND_US) or "",
                _title_of(node, entry.envelope_id) if number < TITLED_MAX else "",
            )
            for number, entry in enumerate(newest)
        ],
    }
    if is_dry_run:
        return _with(describe_card(node.card, is_new=False), told)
    keep_pages(node.home, made)
    change = CardChange(
        now,
        has_new_keys=key_id == node.identity.operational.sign.key_id,
        shown=shown_by(node, now).certificate,
        revoked=((bytes(key_id), since, REASONS[reason], made.root),),
    )
    return _with(issue(node, change), told)


def _with(issued: IssuedVersion, told: dict[str, Any]) -> RevokedKey:
    return RevokedKey(**{name: getattr(issued, name) for name in IssuedVersion.__struct_fields__}, **told)


def _title_of(node: NodeReading, envelope_id: EnvelopeId) -> str:
    """Returns what a person knows an envelope by: a title of what is in it."""
    for raw in itertools.islice(node.store.knowledge.envelope_objects(envelope_id), OBJECTS_LOOKED_AT):
        with suppress(msgspec.DecodeError):
            if title := title_of(msgspec.json.decode(raw, type=dict[str, Any])):
                return clip(title)
    return ""


def _own_sign_key(node: NodeReading, key: str) -> KeyId:
    """Returns the one sign key of any version of our card whose id begins with these hexadecimal digits."""
    wanted = key.lower()
    bodies = [version.body for version in decode_versions(node.card.raw)]
    known = {entry.key.key_id for body in bodies for entry in body.sign_keys}
    matching = [one for one in known if one.text.startswith(wanted)]
    if len(wanted) < KEY_DIGITS_MIN or len(matching) != 1:
        raise NotFoundError(
            f"no sign key of our card has this id, or {KEY_DIGITS_MIN} digits are not enough to tell which",
            hint="`p2pshare card show --json` lists the keys: those of kind sign can be revoked",
            reason="key-unknown",
        )
    return matching[0]


def _under(node: NodeReading, key_id: KeyId, confirmed: Collection[EnvelopeId], now: int) -> _UnderKey:
    found, log = _UnderKey(), node.store.log
    for entry in _own_unexpired(node, now):
        wire, record = log.wire(entry.envelope_id), log.record(entry.envelope_id)
        if wire is None or record is None or decode_envelope(wire).core.key_id != key_id:
            continue
        is_direct = entry.mode == Mode.DIRECT
        scopes: Collection[Scope] = log.audience(entry.envelope_id) if is_direct else (entry.circle,)
        is_ours = record.received_from is None or entry.envelope_id in confirmed
        if not is_ours or not scopes:  # of a direct one that came home it is not known for whom it was
            found.rest.append(entry)
            continue
        found.vouched.add(entry.envelope_id)
        for scope in scopes:
            found.listed.setdefault(scope, set()).add(entry.envelope_id)
    return found


def _own_unexpired(node: NodeReading, now: int) -> Iterator[EnvelopeEntry]:
    after = 0
    while entries := node.store.log.entries(after, ENTRIES_AT_ONCE):
        yield from (entry for entry in entries if entry.is_own and entry.expires > now)
        after = entries[-1].lsn
