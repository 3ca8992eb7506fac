"""Withdrawing what we published, for everybody it went to, and knowing who has heard of it.

Rules:

1. Only our own objects are withdrawn: those whose envelopes we signed. Others' claims are theirs to take back.
2. Every partner that was sent any version of the object is sent the withdrawal, whatever happened to groups since.
3. Each recipient gets it under the strictest marking of what it was sent, and direct if any of that went direct: so the
   withdrawal tells nobody more than the object did, and still reaches everybody.
4. It is carried at least as long as the object: in the longest ttl class that any version had.
5. What takes back an object that only named readers were sent is sealed as that was: nobody hands it on.
6. Of what came home after a backup was put back we know the recipients that its hints tell (`envelope.own_audience.addressed_to`),
   and not whether there were more: where its marking is for everybody, everybody is told; else the report says that somebody
   may be missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from p2pshare.envelope.envelope import Mode
from p2pshare.envelope.payload import compress_frame
from p2pshare.errors import AuthorError, NotFoundError, RefusedError
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.assessing import TYPES as ASSESSMENT_TYPES
from p2pshare.intel.checks import is_id
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import detect
from p2pshare.intel.withdrawing import WITHDRAWAL, Reason, WithdrawalFacts, withdrawal_object
from p2pshare.knowledge.interface import Carrier, NewFrame
from p2pshare.limits import FRAME_OBJECTS_MAX, RECIPIENTS_MAX
from p2pshare.node.node import Node, Progress, gate_settings
from p2pshare.node.store import StoreReading
from p2pshare.partners.roster import Roster, RosterEntry, UnknownName
from p2pshare.policy.audience import Audience, why_not_for
from p2pshare.policy.gate import Exit, GateSettings, may_pass
from p2pshare.sharing.content import Content
from p2pshare.sharing.partners import load_roster
from p2pshare.sharing.publishing import Addressed, PreparedPart, seal_addressed

T = TypeVar("T")

IMMUTABLE_TYPES = frozenset({*ASSESSMENT_TYPES, WITHDRAWAL})
"""Types of objects that count once, when they arrive; saying otherwise is another object."""


@dataclass(frozen=True)
class WithdrawalRequest:
    """A person's request. `what` is an object's id or a value; `names` are partners and groups that shall hear of it
    besides the earlier audience."""

    what: str
    reason: Reason
    replaced_by: str | None = None
    names: Sequence[str] = ()


@dataclass
class WithdrawalReport:
    """The objects taken back, the recipients, and those that cannot be told (name -> reason); `already`: objects that are
    withdrawn as they stand."""

    objects: list[str] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    envelopes: list[EnvelopeId] = field(default_factory=list)
    recipients: set[str] = field(default_factory=set)
    skipped: dict[str, str] = field(default_factory=dict)
    markings: set[Tlp] = field(default_factory=set)


@dataclass(frozen=True, order=True)
class _Way:
    """The way in which a withdrawal goes to a recipient."""

    tlp: Tlp
    is_direct: bool
    ttl_class: int
    is_named: bool
    """Whether every version went to readers that a person named: then so does this (`payload_kinds.NAMED`)."""


def withdraw(
    node: Node, request: WithdrawalRequest, *, is_dry_run: bool, now: int, progress: Progress
) -> WithdrawalReport:
    """Take back an object, or each of ours that claims a value. `now` in unix seconds. Raises NotFoundError, RefusedError
    and AuthorError when there is nothing to take back, StoreError with nothing kept."""
    report = WithdrawalReport()
    own = node.identity.partner_id
    targets = _targets(node.store, own, request.what, report)
    _check_replacement(node.store, request.replaced_by, targets)
    roster = load_roster(node)
    ways = {target: _ways(node, roster, target, request.names, now, report) for target in targets}
    if targets and not any(ways.values()):
        raise RefusedError(
            "nobody who was sent it can be told",
            hint=f"{_hint_of(report)}; name who should hear of it with --to",
            reason="no-recipients",
        )
    report.objects += targets
    parcels = list(_parcels(ways))
    report.markings.update(parcel.way.tlp for parcel in parcels)
    known = node.store.partners.names()
    report.recipients.update(known[partner] for parcel in parcels for partner in parcel.recipients)
    if parcels and not is_dry_run:
        facts = _facts(node, request, targets, now)
        addressed = (_address(parcel, roster, facts, own, now) for parcel in parcels)
        report.envelopes = seal_addressed(node, addressed, len(parcels), now, progress)
    return report


def _facts(
    node: Node, request: WithdrawalRequest, targets: Sequence[str], now: int
) -> dict[str, WithdrawalFacts]:
    """Returns the withdrawal of each target: up to everything we have sealed, and to the latest `modified` of ours."""
    state, own = node.store.log.author_state(now), node.identity.partner_id
    reach = (state.incarnation, state.sequence)
    why = (request.reason, request.replaced_by)
    return {
        target: WithdrawalFacts(target, *reach, _last_modified(node.store, own, target), *why)
        for target in targets
    }


def _targets(store: StoreReading, own: PartnerId, what: str, report: WithdrawalReport) -> list[str]:
    """Returns our objects to take back; those that are withdrawn go into the report. Raises NotFoundError, RefusedError."""
    if is_id(what):
        if what.partition("--")[0] in IMMUTABLE_TYPES:
            raise RefusedError(
                "what this says counted when it arrived, and cannot be taken back",
                hint="say otherwise with `p2pshare sight` or `p2pshare opinion`; a new version revives what was withdrawn",
                reason="not-withdrawable",
            )
        found = [
            (one.author, what, one.is_revoked)
            for one in store.knowledge.object_versions(what)
            if one.is_current
        ]
    else:
        observable = detect(what)
        claims = store.knowledge.lookup([observable]).get(observable, ())
        found = [(claim.author, claim.object_id, claim.is_revoked) for claim in claims]
    if not found:
        raise NotFoundError("nothing is known of this", hint="`p2pshare search` finds objects and their ids")
    ours: dict[str, bool] = {}
    for author, object_id, is_revoked in found:
        if author == own:
            ours[object_id] = ours.get(object_id, True) and is_revoked
    if not ours:
        raise RefusedError(
            "others published this, and only its author can take it back",
            hint="`p2pshare sight VALUE --false-positive` tells the author; `p2pshare allow` lets it rest here",
            reason="not-ours",
        )
    report.already += [object_id for object_id, is_revoked in ours.items() if is_revoked]
    return sorted(object_id for object_id, is_revoked in ours.items() if not is_revoked)


def _check_replacement(store: StoreReading, replaced_by: str | None, targets: Sequence[str]) -> None:
    if replaced_by is None:
        return
    if not is_id(replaced_by) or replaced_by in targets:
        raise AuthorError(
            "what replaces it is another object's id", hint="TYPE--UUID, as `show` prints it", reason="bad-id"
        )
    if not store.knowledge.object_versions(replaced_by):
        raise NotFoundError("what should replace it is not held here", hint="publish it first")


def _last_modified(store: StoreReading, own: PartnerId, target: str) -> int | None:
    instants = [one.modified_us for one in store.knowledge.object_versions(target) if one.author == own]
    return max((instant for instant in instants if instant is not None), default=None)


# --- who, and how ---


def _ways(
    node: Node, roster: Roster, target: str, names: Sequence[str], now: int, report: WithdrawalReport
) -> dict[PartnerId, _Way]:
    """Returns how each partner that was sent `target` is told (rules 2 to 4); those that cannot be go into the report,
    with the reason."""
    carriers = node.store.knowledge.carriers(target)
    settings = gate_settings(node.config)
    ttl_class = max(one.ttl_class for one in carriers)
    sent: dict[PartnerId, list[Carrier]] = defaultdict(list)
    for carrier in carriers:
        partners = set(carrier.recipients or ())
        if carrier.recipients is None or carrier.came_home:
            if may_pass(carrier.tlp, Exit.EVERYONE, settings):
                partners.update(entry.partner_id for entry in roster)
            else:
                unknown = "audience-incomplete" if partners else "audience-unknown"
                report.skipped[f"envelope {carrier.envelope_id.short}"] = unknown
        for partner in partners:
            sent[partner].append(carrier)
    for entry in _named(roster, names, max(one.tlp for one in carriers), settings):
        sent.setdefault(entry.partner_id, carriers)
    known = node.store.partners.names()
    is_named = all(_was_named(node.store, one) for one in carriers)
    ways: dict[PartnerId, _Way] = {}
    for partner, received in sent.items():
        tlp = max(one.tlp for one in received)
        is_direct = not may_pass(tlp, Exit.RELAY, settings) or any(
            one.mode is Mode.DIRECT and partner in (one.recipients or ()) for one in received
        )
        reason = _why_not(roster.get(partner), tlp, now, is_direct=is_direct)
        if reason:
            report.skipped[known.get(partner, partner.text)] = reason
        else:
            ways[partner] = _Way(tlp, is_direct, ttl_class, is_named)
    return ways


def _was_named(store: StoreReading, carrier: Carrier) -> bool:
    """Returns whether it is known that a person named the readers of an envelope of ours."""
    if carrier.publication is None:
        return False
    try:
        return store.log.audience_named(carrier.publication) is not None
    except LookupError:
        return False


def _why_not(entry: RosterEntry | None, tlp: Tlp, now: int, *, is_direct: bool) -> str:
    """Returns the reason why a partner cannot be told, or empty."""
    if entry is None:
        return "partner-removed"
    if reason := why_not_for(tlp, entry, now):
        return reason
    return "no-direct-link" if is_direct and not entry.has_link else ""


def _named(roster: Roster, names: Sequence[str], tlp: Tlp, settings: GateSettings) -> tuple[RosterEntry, ...]:
    """Returns the partners that shall hear of it though they were not sent it: the gate of publishing holds for them.
    Raises RefusedError."""
    exit_ = Exit.GROUP if any(name in roster.groups for name in names) else Exit.NAMED
    if names and not may_pass(tlp, exit_, settings):
        raise RefusedError(
            f"{tlp.label} is for named partners, not for groups",
            hint="name each partner with --to",
            reason="group-not-allowed",
        )
    found = roster.expand(names)
    if isinstance(found, UnknownName):
        hint = f"did you mean '{found.nearest}'?" if found.nearest else "see `p2pshare partner list`"
        raise RefusedError(
            f"no partner or group is called '{found.name}'", hint=hint, reason="unknown-recipient"
        )
    return found


def _hint_of(report: WithdrawalReport) -> str:
    skipped = [f"{name}: {reason}" for name, reason in sorted(report.skipped.items())]
    return ", ".join(skipped[:5]) or "it was sent to nobody"


@dataclass(frozen=True)
class _Parcel:
    """Withdrawals that can share an envelope: the same way, the same recipients."""

    way: _Way
    recipients: tuple[PartnerId, ...]
    targets: tuple[str, ...]


def _parcels(ways: Mapping[str, Mapping[PartnerId, _Way]]) -> Iterator[_Parcel]:
    together: dict[tuple[_Way, tuple[PartnerId, ...]], list[str]] = defaultdict(list)
    for target, by_partner in ways.items():
        by_way: dict[_Way, list[PartnerId]] = defaultdict(list)
        for partner, way in by_partner.items():
            by_way[way].append(partner)
        for way, partners in by_way.items():
            for some in _cut(sorted(partners), RECIPIENTS_MAX):
                together[way, some].append(target)
    for (way, recipients), targets in sorted(together.items()):
        for part in _cut(targets, FRAME_OBJECTS_MAX):
            yield _Parcel(way, recipients, part)


def _cut(things: Sequence[T], size: int) -> Iterator[tuple[T, ...]]:
    for start in range(0, len(things), size):
        yield tuple(things[start : start + size])


def _address(
    parcel: _Parcel, roster: Roster, facts: Mapping[str, WithdrawalFacts], own: PartnerId, now: int
) -> Addressed:
    way = parcel.way
    objects = [withdrawal_object(facts[one], author=own, now=now, tlp=way.tlp) for one in parcel.targets]
    frame = compress_frame(b"[" + b",".join(objects) + b"]")
    frames = [NewFrame(one.frame, one.objects) for one in Content([frame], way.tlp)]
    entries = tuple(entry for entry in roster if entry.partner_id in parcel.recipients)
    mode = Mode.DIRECT if way.is_direct else Mode.RELAY
    return Addressed(PreparedPart(way.tlp, frames), Audience(entries, mode), way.ttl_class, way.is_named)
