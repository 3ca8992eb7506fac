"""Explaining: which partner gets an envelope, or got it, by which rule; and what a partner would get. Nothing is guessed.

Whether an envelope may leave on a link is asked of `policy.admission`, whom a publication may be addressed to of
`policy.audience`: the very functions that the exchange and publishing obey. Where this node cannot know, the answer is
unknown: who can read an envelope that another author sealed, and who has a relayed envelope beyond its first hop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from msgspec import UNSET, Struct, UnsetType, field, structs

from p2pshare.envelope.envelope import Mode
from p2pshare.errors import AuthorError, NotFoundError
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId
from p2pshare.intel.checks import is_id
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import detect
from p2pshare.log.interface import EnvelopeEntry
from p2pshare.node.node import NodeReading, gate_settings
from p2pshare.node.store import StoreReading
from p2pshare.partners.roster import RosterEntry
from p2pshare.policy.admission import why_kept
from p2pshare.policy.audience import Refuse, resolve
from p2pshare.queries.lookup import StatedOrigin, introducers_of
from p2pshare.queries.searching import show_object
from p2pshare.sharing.partners import find_partner, load_roster

ENTRIES_AT_ONCE = 1_000

RULES = {
    "author": "wrote it; where it has lost it, it gets it back",
    "direct-recipient": "it was sealed for this partner, and its author hands it over",
    "circle-on-link": "relayed envelopes of this circle go to every partner whose link carries it",
    "no-link": "there is no link to this partner; what is relayed may come to it through others",
    "circle-not-on-link": "the link to this partner does not carry the envelope's circle",
    "not-a-recipient": "a direct envelope goes to those it was sealed for only, and this partner is none of them",
    "direct-from-another": "another author sealed it straight for us, and such an envelope goes to nobody but that author",
    "expired": "its time is over, and its bytes are gone here",
}


class ExplainedEnvelope(Struct, frozen=True, forbid_unknown_fields=True):
    """An envelope: whether it leaves for the partner, by which `rule` (a key of RULES), whether it is there and readable."""

    envelope_id: str
    author: str
    mode: str
    circle: str
    created: str | None
    leaves: bool
    rule: str
    because: str
    got: str
    can_read: str
    author_introduced_by: list[str] = []
    """Who introduced its author; empty where a person compared it, and for ourselves."""
    tlp: str | None = None
    distrusted: bool = False
    """Whether its author is not believed here (`partner distrust`): what it says counts for nothing."""
    objects: tuple[str, ...] | UnsetType = UNSET
    """Its objects that were asked about; unset in a preview."""
    derived_from: list[StatedOrigin] | UnsetType = UNSET
    """What these objects say that they pass on, as they stand here now; unset in a preview."""
    possible_echo: list[str] | UnsetType = UNSET
    """Others that have an object of the same id, where these do not say that they stem from theirs; unset in a preview."""


class Addressing(Struct, frozen=True, forbid_unknown_fields=True):
    """The answer of publishing if content of this marking were addressed to the partner by name."""

    tlp: str
    allowed: bool
    reason: str | None
    because: str


class Explanation(Struct, frozen=True, forbid_unknown_fields=True):
    """Every envelope that brought the thing asked for; `addressing` None where no content of it could be read."""

    asked: str
    partner: str
    partner_id: str
    envelopes: list[ExplainedEnvelope]
    addressing: Addressing | None
    introduced_by: list[str] = []
    """Who introduced the partner; empty where a person compared it."""


class Preview(Struct, frozen=True, forbid_unknown_fields=True):
    """The envelopes that a partner would be handed: counts by circle, mode and marking, and whether it could read them; of those that
    stay, by reason."""

    partner: str
    has_link: bool
    circles: list[str]
    envelopes: int
    bytes: int
    own: int
    by_circle: dict[str, int]
    by_mode: dict[str, int]
    by_marking: dict[str, int]
    can_read: dict[str, int]
    """Of those that it would be handed: `yes`, `no` where it is not among those we sealed it for, `unknown` of others'."""
    handed_on: int
    """Envelopes of others that were handed on to it with their keys (`share history`): it can read these."""
    kept: dict[str, int]
    leaving: list[ExplainedEnvelope] = field(name="list")


@dataclass(frozen=True)
class _Content:
    """The thing asked about, as far as one envelope brought it: object ids and the strictest marking."""

    objects: tuple[str, ...]
    tlp: Tlp


def explain(node: NodeReading, asked: str, partner: str, now: int) -> Explanation:
    """Explain for each envelope with `asked` (the id of an object or of an envelope, or a value) whether `partner` gets
    it. Raises NotFoundError."""
    entry = find_partner(node, partner)
    found = _envelopes_about(node.store, asked)
    if not found:
        raise NotFoundError(
            "nothing of that is held here", hint="`p2pshare search --text WORDS` finds objects"
        )
    names = node.store.partners.names()
    introducers = introducers_of(node.store)
    explained = [
        structs.replace(
            _explain_envelope(node.store, stored, entry, names, _circle_names(node)),
            author_introduced_by=introducers.get(stored.author, []),
            tlp=content.tlp.label if content.objects else None,
            objects=content.objects,
            **_descent(node.store, content.objects, stored.author),
        )
        for envelope_id, content in found.items()
        if (stored := node.store.log.entry(envelope_id)) is not None
    ]
    levels = [content.tlp for content in found.values() if content.objects]
    addressing = None if not levels else _addressing(node, max(levels), entry, now)
    return Explanation(
        asked, entry.alias, entry.partner_id.text, explained, addressing, list(entry.introduced_by)
    )


def _descent(store: StoreReading, objects: Sequence[str], author: PartnerId) -> dict[str, Any]:
    """Returns what these objects of `author` pass on, and who has objects of the same ids, each once."""
    current = [
        one
        for object_id in objects
        for one in show_object(store, object_id).versions
        if one.is_current and one.author_id == author.text
    ]
    return {
        "derived_from": list(dict.fromkeys(origin for one in current for origin in one.derived_from)),
        "possible_echo": sorted({name for one in current for name in one.possible_echo}),
    }


def _envelopes_about(store: StoreReading, asked: str) -> dict[EnvelopeId, _Content]:
    """Returns the envelopes that brought an object, the claims about a value, or the one of that id; newest last."""
    try:
        return {EnvelopeId.parse(asked): _Content((), Tlp.RED)}
    except ValueError:
        pass
    if is_id(asked):
        pairs = [(one.envelope_id, asked, one.tlp) for one in store.knowledge.object_versions(asked)]
    else:
        try:
            observable = detect(asked)
        except AuthorError:
            return {}
        claims = store.knowledge.lookup([observable]).get(observable, [])
        pairs = [(claim.envelope_id, claim.object_id, claim.tlp) for claim in claims]
    return {envelope_id: _gathered(envelope_id, pairs) for envelope_id, _, _ in pairs}


def _gathered(envelope_id: EnvelopeId, pairs: Iterable[tuple[EnvelopeId, str, Tlp]]) -> _Content:
    brought = [(object_id, tlp) for envelope, object_id, tlp in pairs if envelope == envelope_id]
    return _Content(tuple(dict.fromkeys(one for one, _ in brought)), max(tlp for _, tlp in brought))


def _explain_envelope(
    store: StoreReading,
    entry: EnvelopeEntry,
    partner: RosterEntry,
    names: Mapping[PartnerId, str],
    circles: Mapping[CircleId, str],
) -> ExplainedEnvelope:
    record = store.log.record(entry.envelope_id)
    rule = _rule(store, entry, partner, is_carried=record is not None and record.is_carried)
    return ExplainedEnvelope(
        envelope_id=entry.envelope_id.text,
        author=names.get(entry.author, entry.author.text),
        mode=Mode(entry.mode).name.lower(),
        circle=circles.get(entry.circle, entry.circle.text),
        created=format_instant(entry.created * SECOND_US),
        leaves=rule in ("direct-recipient", "circle-on-link"),
        rule=rule,
        because=RULES[rule],
        got=_got(store, entry, partner, record.received_from if record else None),
        can_read=_can_read(store, entry, partner),
        distrusted=(how := store.partners.distrusts().get(entry.author)) is not None and how.is_out,
    )


def _rule(store: StoreReading, entry: EnvelopeEntry, partner: RosterEntry, *, is_carried: bool) -> str:
    """Returns the key of RULES by which this envelope goes to the partner, or does not."""
    if entry.author == partner.partner_id:
        return "author"
    kept = _why_kept(store, entry, partner)
    if kept:
        return kept
    if not is_carried:
        return "expired"
    return "direct-recipient" if entry.mode == Mode.DIRECT else "circle-on-link"


def _why_kept(store: StoreReading, entry: EnvelopeEntry, link: RosterEntry) -> str:
    """Returns why the envelope must not leave on `link`, empty when it may: the question of the exchange before it hands
    one over (`sharing.exchange`)."""
    is_direct = entry.mode == Mode.DIRECT
    return why_kept(
        mode=Mode(entry.mode),
        circle=entry.circle,
        link=link,
        is_own=entry.is_own,
        is_home=entry.author == link.partner_id,
        direct_recipients=store.log.audience(entry.envelope_id).keys() if is_direct else (),
    )


def _got(
    store: StoreReading, entry: EnvelopeEntry, partner: RosterEntry, received_from: PartnerId | None
) -> str:
    """Returns `yes`: it wrote it, handed it to us or acknowledged it; `not-yet`: it is awaited; `unknown`; `no`: never
    from us."""
    if partner.partner_id in (entry.author, received_from):
        return "yes"
    audience = store.log.audience(entry.envelope_id) if entry.is_own else {}
    if audience.get(partner.partner_id):
        return "yes"
    if entry.mode == Mode.DIRECT:
        return "not-yet" if partner.partner_id in audience else "no"
    return "unknown"


def _can_read(store: StoreReading, entry: EnvelopeEntry, partner: RosterEntry) -> str:
    """Returns `yes`, `no`, or `unknown`: the rows of an envelope do not tell for whom they are, by design."""
    if entry.author == partner.partner_id:
        return "yes"
    audience = store.log.audience(entry.envelope_id) if entry.is_own else {}
    if not audience:
        return "unknown"
    return "yes" if partner.partner_id in audience else "no"


def _addressing(node: NodeReading, tlp: Tlp, partner: RosterEntry, now: int) -> Addressing:
    roster = load_roster(node)
    answer = resolve(tlp, [partner.alias], roster, gate_settings(node.config), now)
    if isinstance(answer, Refuse):
        return Addressing(tlp.label, False, answer.reason, answer.message)
    return Addressing(tlp.label, True, None, f"by name, {answer.mode.name.lower()}")


def _circle_names(node: NodeReading) -> dict[CircleId, str]:
    return {CircleId.of(name): name for name in node.config.gossip.circles}


def preview(node: NodeReading, partner: str, *, with_list: bool) -> Preview:
    """Returns the envelopes that the partner would be handed if its link were enabled with the circles it has, by the
    rules of the exchange.

    Raises NotFoundError.
    """
    entry = find_partner(node, partner)
    linked = replace(entry, has_link=True)
    counts: dict[str, Counter[str]] = {
        name: Counter() for name in ("by_circle", "by_mode", "by_marking", "can_read", "kept")
    }
    circles, names = _circle_names(node), node.store.partners.names()
    markings = node.store.knowledge.envelope_markings()
    leaving: list[ExplainedEnvelope] = []
    total = size = own = 0
    for stored in _held(node.store):
        if stored.author == entry.partner_id:
            continue
        kept = _why_kept(node.store, stored, linked)
        if kept:
            counts["kept"][kept] += 1
            continue
        total, size, own = total + 1, size + stored.size, own + stored.is_own
        tlp = markings.get(stored.envelope_id)  # None: only carried, its marking is sealed too
        marking = None if tlp is None else tlp.label
        counts["by_circle"][circles.get(stored.circle, stored.circle.text)] += 1
        counts["can_read"][_can_read(node.store, stored, linked)] += 1
        counts["by_mode"][Mode(stored.mode).name.lower()] += 1
        counts["by_marking"][marking or "unread"] += 1
        if with_list:
            explained = _explain_envelope(node.store, stored, linked, names, circles)
            leaving.append(structs.replace(explained, tlp=marking))
    return Preview(
        partner=entry.alias,
        has_link=entry.has_link,
        circles=sorted(circles.get(one, one.text) for one in entry.circles),
        envelopes=total,
        bytes=size,
        own=own,
        handed_on=sum(count for _, count in node.store.knowledge.forwarded_to(entry.partner_id)),
        **{name: dict(sorted(counted.items())) for name, counted in counts.items()},
        leaving=leaving,
    )


def _held(store: StoreReading) -> Iterator[EnvelopeEntry]:
    """Yields every envelope whose bytes are still carried, in order of arrival."""
    after = 0
    while entries := store.log.entries(after, ENTRIES_AT_ONCE):
        yield from entries
        after = entries[-1].lsn
