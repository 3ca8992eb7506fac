"""Recalling: which partners have heard of a withdrawal, as far as it is proven.

Who passed the object on is told, too: what says that it stems from ours falls with it, and what has the same id and says
nothing of where it is from (a possible echo) does not.

An acknowledgement is a partner's answer, over a connection that its card vouches for, that it holds the envelope. A
relayed envelope is acknowledged by partners that took it from us or told us that they have it, so of a recipient further
away nothing is known, and the state says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from p2pshare.envelope.envelope import Mode
from p2pshare.errors import AuthorError, NotFoundError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.checks import is_id
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.marking import Tlp
from p2pshare.intel.withdrawing import withdrawal_id
from p2pshare.knowledge.interface import Carrier, EchoRow
from p2pshare.node.store import StoreReading
from p2pshare.partners.roster import Roster

ECHO_STATES = ("possible-echo", "stands", "origin-withdrawn", "withdrawn")
STATES = ("acknowledged", "waiting", "not-known", "expired", "not-addressed")


class RecallRecipient(Struct, frozen=True, forbid_unknown_fields=True):
    """A partner that was sent the object; `state` (one of STATES) says what is proven of the withdrawal."""

    name: str
    partner_id: str
    state: str
    has_link: bool
    envelope_id: str | None


class RecallEcho(Struct, frozen=True, forbid_unknown_fields=True):
    """Another author's object that repeats ours, and whether it counts still (`state`, one of ECHO_STATES): `stands` and
    `possible-echo` do."""

    author: str
    author_id: str
    object_id: str
    state: str


class RecallStatus(Struct, frozen=True, forbid_unknown_fields=True):
    """A withdrawal and those who were to hear of it; `revived`: a version that was published since counts again."""

    object_id: str
    reason: str
    replaced_by: str | None
    withdrawn_at: str | None
    revived: bool
    recipients: list[RecallRecipient]
    counts: dict[str, int]
    echoes: list[RecallEcho]


def recall_status(store: StoreReading, roster: Roster, object_id: str) -> RecallStatus:
    """Returns how far the withdrawal of an object of ours has come. Raises AuthorError `bad-id`, NotFoundError when we
    have not withdrawn such an object."""
    own = roster.own_id
    if not is_id(object_id):
        raise AuthorError(
            "that is no object's id",
            hint="TYPE--UUID, as `withdraw` prints it; `p2pshare lookup VALUE` shows it, too",
            reason="bad-id",
        )
    withdrawal = store.knowledge.withdrawals(object_id).get(own)
    if withdrawal is None:
        raise NotFoundError(
            "we have not withdrawn such an object", hint="`p2pshare withdraw ID --reason R` takes one back"
        )
    published = store.knowledge.carriers(object_id)
    said = [
        carrier for tlp in Tlp for carrier in store.knowledge.carriers(withdrawal_id(own, object_id, tlp))
    ]
    last = max((one.lsn for one in published), default=0)
    is_revived = not any(one.lsn > last for one in said)
    latest = said if is_revived else [one for one in said if one.lsn > last]
    recipients = {one for carrier in published + latest for one in carrier.recipients or ()}
    names = store.partners.names()
    found = [_recipient(partner, latest, names, roster) for partner in recipients]
    return RecallStatus(
        object_id=object_id,
        reason=withdrawal.reason.value,
        replaced_by=withdrawal.replaced_by,
        withdrawn_at=format_instant(withdrawal.received_at * SECOND_US),
        revived=is_revived,
        recipients=sorted(found, key=lambda one: (STATES.index(one.state), one.name)),
        counts=dict(Counter(one.state for one in found)),
        echoes=[_echo(one, names) for one in store.knowledge.echoes(own, object_id)],
    )


def _echo(row: EchoRow, names: Mapping[PartnerId, str]) -> RecallEcho:
    if row.is_revoked:
        state = "withdrawn"
    elif row.is_fallen:
        state = "origin-withdrawn"
    else:
        state = "stands" if row.is_restated else "possible-echo"
    return RecallEcho(names.get(row.author, row.author.text), row.author.text, row.object_id, state)


def _recipient(
    partner: PartnerId, said: Sequence[Carrier], names: Mapping[PartnerId, str], roster: Roster
) -> RecallRecipient:
    entry = roster.get(partner)
    addressed = [one for one in said if partner in (one.recipients or ())]
    states = {_state_of(one, partner): one for one in addressed}
    state = next((one for one in STATES if one in states), "not-addressed")
    return RecallRecipient(
        name=names.get(partner, partner.text),
        partner_id=partner.text,
        state=state,
        has_link=entry is not None and entry.has_link,
        envelope_id=states[state].envelope_id.text if states else None,
    )


def _state_of(carrier: Carrier, partner: PartnerId) -> str:
    if carrier.recipients and carrier.recipients[partner]:
        return "acknowledged"
    if carrier.is_expired:
        return "expired"
    return "waiting" if carrier.mode is Mode.DIRECT or carrier.awaits_first_hop else "not-known"
