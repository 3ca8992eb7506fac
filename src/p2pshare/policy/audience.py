"""Audience of a publication: marking + names + roster -> an Audience, or a Refuse with its reason.

Answers are values. The rules, in order: unknown names are refused; no names means everyone, which only CLEAR
and GREEN allow; RED takes no groups; a marking that no relay may carry needs a link to each of its
recipients; an expired or frozen partner is refused when it was named and skipped, visibly, when it was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from p2pshare.envelope.envelope import Mode
from p2pshare.intel.marking import Tlp
from p2pshare.limits import RECIPIENTS_MAX
from p2pshare.partners.roster import Roster, RosterEntry, UnknownName
from p2pshare.policy.gate import Exit, GateSettings, may_pass


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
    usable = tuple(entry for entry in expanded if entry.is_usable(now))
    unusable = [(entry.alias, why_unusable(entry)) for entry in expanded if not entry.is_usable(now)]
    if names and unusable:
        alias, reason = unusable[0]
        return Refuse(
            reason, f"nothing can be sealed for {alias}: {reason}", "ask the partner for its newest card"
        )
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


def why_unusable(entry: RosterEntry) -> str:
    """Returns the reason why nothing can be sealed for a partner that is not usable."""
    return "partner-frozen" if entry.is_frozen else "card-expired"
