"""Audience of a publication: marking + names + roster -> an Audience, or a Refuse with its reason.

Answers are values. The rules, in order: unknown names are refused; no names means everyone, which only CLEAR
and GREEN allow; RED takes no groups; a marking that no relay may carry needs a link to each of its
recipients; an expired, frozen or suspended partner, and for AMBER and above one that was introduced, is refused when it was
named and skipped, visibly, when it was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from p2pshare.envelope.envelope import Mode
from p2pshare.intel.marking import Tlp
from p2pshare.limits import RECIPIENTS_MAX
from p2pshare.partners.roster import Roster, RosterEntry, UnknownName
from p2pshare.policy.gate import Exit, GateSettings, may_pass
from p2pshare.policy.introductions import NOT_COMPARED, SUSPENDED, PartnerStanding, why_not_sealed


@dataclass(frozen=True)
class Audience:
    """The partners who may open, resolved; `skipped` are (alias, reason) of those left out unnamed."""

    recipients: tuple[RosterEntry, ...]
    mode: Mode
    skipped: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Refuse:
    """Policy says no: a reason code to count, a sentence, and how to mend it."""

    reason: str
    message: str
    hint: str


def resolve(
    tlp: Tlp, names: Sequence[str], roster: Roster, settings: GateSettings, now: int
) -> Audience | Refuse:
    """Returns the audience of content marked `tlp` that was addressed to `names` (aliases and groups; empty:
    all), or the refusal. `now` in unix seconds."""
    exit_ = _exit_of(names, roster)
    if not may_pass(tlp, exit_, settings):
        return _refuse_exit(tlp, exit_)
    expanded = roster.expand(names) if names else tuple(roster)
    if isinstance(expanded, UnknownName):
        hint = f"did you mean '{expanded.nearest}'?" if expanded.nearest else "see `p2pshare partner list`"
        return Refuse("unknown-recipient", f"no partner or group is called '{expanded.name}'", hint)
    reasons = {entry.partner_id: why_not_for(tlp, entry, now) for entry in expanded}
    usable = tuple(entry for entry in expanded if not reasons[entry.partner_id])
    unusable = [(entry.alias, reason) for entry in expanded if (reason := reasons[entry.partner_id])]
    if names and unusable:
        alias, reason = unusable[0]
        return Refuse(reason, f"nothing can be sealed for {alias}: {reason}", _hint_on(reason, alias))
    if not usable:
        return Refuse(
            "no-recipients", "there is nobody to publish to", "add a partner first: `p2pshare partner add`"
        )
    if len(usable) > RECIPIENTS_MAX:
        return Refuse(
            "too-many-recipients",
            f"{len(usable)} recipients; {RECIPIENTS_MAX} fit",
            "publish to groups in turn",
        )
    mode = Mode.RELAY if may_pass(tlp, Exit.RELAY, settings) else Mode.DIRECT
    apart = [entry.alias for entry in usable if not entry.has_link]
    if mode is Mode.DIRECT and apart:
        return Refuse(
            "no-direct-link",
            f"{tlp.label} goes only straight to its recipients, and there is no link to {', '.join(apart)}",
            "link the partner, or set policy.relay_strict to let relays carry it unread",
        )
    return Audience(usable, mode, tuple(unusable))


def _exit_of(names: Sequence[str], roster: Roster) -> Exit:
    if not names:
        return Exit.EVERYONE
    return Exit.GROUP if any(name in roster.groups for name in names) else Exit.NAMED


def _refuse_exit(tlp: Tlp, exit_: Exit) -> Refuse:
    if exit_ is Exit.GROUP:
        return Refuse(
            "group-not-allowed",
            f"{tlp.label} is for named partners, not for groups",
            "name each partner with --to",
        )
    return Refuse(
        "names-needed", f"{tlp.label} is not for everyone", "name the partners or a group with --to"
    )


def why_not_for(tlp: Tlp, entry: RosterEntry, now: int) -> str:
    """Returns the reason why content of this marking cannot be sealed for a partner at `now` (unix seconds): `partner-frozen`,
    `partner-suspended`, `card-expired`, `not-compared`; empty when it can."""
    if entry.is_frozen:
        return "partner-frozen"
    return why_not_sealed(tlp, standing_of(entry, now)) or ("" if entry.is_usable(now) else "card-expired")


def standing_of(entry: RosterEntry, now: int) -> PartnerStanding:
    """Returns the standing of a partner at `now` (unix seconds)."""
    if entry.is_compared:
        return PartnerStanding.COMPARED
    return PartnerStanding.SUSPENDED if entry.is_suspended(now) else PartnerStanding.INTRODUCED


def _hint_on(reason: str, alias: str) -> str:
    if reason == NOT_COMPARED:
        return f"it was introduced: compare its fingerprint, and `p2pshare partner confirm {alias}`"
    if reason == SUSPENDED:
        return f"nobody introduces it any more: `p2pshare partner confirm {alias}`, or remove it"
    return "ask the partner for its newest card"
