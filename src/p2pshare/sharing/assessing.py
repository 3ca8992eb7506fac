"""Assessing: assessments of ours about others' objects, and proposals of others about ours.

An assessment goes to the author of the object and to nobody else, unless names are given. It tells which object and which
value it is about, so it is marked as strictly as the object, and AMBER at least; and it may be addressed to others than
the author only when the object is our own, or may be shared within the community (CLEAR or GREEN).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from p2pshare.envelope.payload import compress_frame
from p2pshare.errors import NotFoundError, RefusedError
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.assessing import Target
from p2pshare.intel.authoring import vulnerability_id
from p2pshare.intel.checks import is_id
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import detect
from p2pshare.limits import PROPOSALS_LISTED_MAX, TTL_CLASS_BY_NAME
from p2pshare.node.node import Node, NodeReading
from p2pshare.node.store import StoreReading
from p2pshare.policy.audience import Refuse
from p2pshare.sharing.drafting import DraftPart
from p2pshare.sharing.publishing import PreparedPart, prepare, seal

Write = Callable[[Target, Tlp], bytes]
"""(target, marking) -> the assessment, as the JSON of a STIX object."""


@dataclass
class Said:
    """The assessments that were sealed: how many, for whom, and `refused`: author -> why nothing was said of its object."""

    objects: int = 0
    envelopes: list[EnvelopeId] = field(default_factory=list)
    recipients: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    refuse: Refuse | None = None
    """The first refusal of policy for the recipients that the person named."""


def find_targets(store: StoreReading, what: str) -> dict[Target, Tlp]:
    """Returns the objects behind a value or an object id, one for each author, with their markings. Those behind a CVE id are the
    vulnerabilities that partners published under it as a value.

    Raises AuthorError when it is neither, NotFoundError when nothing is known of it.
    """
    found: dict[Target, Tlp] = {}
    observable = None if is_id(what) else detect(what)
    object_ids = [what]
    if observable is not None and observable.type == "cve":
        object_ids = [vulnerability_id(author, observable.value) for author in store.partners.names()]
        observable = None
    if observable is None:
        versions = ((one, version) for one in object_ids for version in store.knowledge.object_versions(one))
        for object_id, version in versions:
            if version.is_current:
                target = Target(object_id, version.author)
                found[target] = max(found.get(target, version.tlp), version.tlp)
    else:
        for claim in store.knowledge.lookup([observable]).get(observable, ()):
            if not claim.is_revoked:
                target = Target(claim.object_id, claim.author, observable)
                found[target] = max(found.get(target, claim.tlp), claim.tlp)
    if not found:
        raise NotFoundError(
            "nobody claims this, as far as is known here",
            hint="publish it, if you know it to be bad; `p2pshare lookup` shows what is known",
        )
    return found


def say(node: Node, what: str, write: Write, *, names: Sequence[str], ttl: str, now: int) -> Said:
    """Write an assessment of each object behind `what` and publish it. `names`: its recipients, else the object's author;
    `now` in unix seconds.

    Raises RefusedError when nobody may hear of any, NotFoundError, AuthorError, StoreError with nothing kept.
    """
    targets = find_targets(node.store, what)
    own = node.identity.partner_id
    known = node.store.partners.names()
    audiences: dict[tuple[str, ...], dict[Target, Tlp]] = defaultdict(dict)
    said = Said()
    for target, tlp in targets.items():
        reason = _why_not(target, tlp, own, names)
        if reason:
            said.refused[known.get(target.author, target.author.text)] = reason
        else:
            audiences[tuple(names) or (target.author.text,)][target] = tlp
    node.store.log.author_state(now)  # a new incarnation is durable even where the rest is undone
    with node.store.transaction():
        for audience, addressed in audiences.items():
            _publish(node, said, addressed, write, audience, ttl=ttl, now=now)
    if not said.objects:
        if names and said.refuse is not None:
            raise RefusedError(said.refuse.message, hint=said.refuse.hint, reason=said.refuse.reason)
        reason = next(iter(said.refused.values()))
        raise RefusedError(
            _MESSAGES.get(reason, f"nobody may hear of it: {reason}"),
            hint=_HINTS.get(reason, ""),
            reason=reason,
        )
    return said


_MESSAGES = {
    "own-object": "the object is our own: there is no author to tell",
    "not-ours-to-share": "the object is too strictly marked to be spoken of to others than its author",
    "unknown-recipient": "the object's author is no partner any more",
}
_HINTS = {
    "own-object": "name who should hear of it with --to",
    "not-ours-to-share": "leave out --to: then its author alone hears of it",
    "unknown-recipient": "add the partner again, or name others with --to",
}


def _why_not(target: Target, tlp: Tlp, own: PartnerId, names: Sequence[str]) -> str:
    """Returns the reason not to speak of a target, or empty."""
    if target.author == own:
        return "" if names else "own-object"
    return "not-ours-to-share" if names and tlp > Tlp.GREEN else ""


def _publish(
    node: Node,
    said: Said,
    targets: dict[Target, Tlp],
    write: Write,
    names: Sequence[str],
    *,
    ttl: str,
    now: int,
) -> None:
    by_marking: dict[Tlp, list[bytes]] = defaultdict(list)
    for target, tlp in targets.items():
        level = max(tlp, Tlp.AMBER)
        by_marking[level].append(write(target, level))
    parts = [
        DraftPart(level, (compress_frame(b"[" + b",".join(objects) + b"]"),), len(objects))
        for level, objects in sorted(by_marking.items())
    ]
    kept: list[PreparedPart] = []
    prepared = prepare(
        node,
        parts,
        names=names,
        ttl_class=TTL_CLASS_BY_NAME[ttl],
        now=now,
        progress=_unseen,
        keep=kept.append,
    )
    report = prepared.report
    said.envelopes += seal(node, prepared.terms, kept, now, _unseen)
    said.objects += report.published
    said.recipients |= report.recipients
    said.refuse = said.refuse or report.refuse
    reason = report.refuse.reason if report.refuse is not None else next(iter(report.refusals.counts), "")
    if reason:
        known = node.store.partners.names()
        said.refused.update((known.get(target.author, target.author.text), reason) for target in targets)


def _unseen(what: str, done: int, of: int) -> None:
    """Ignore progress: the work takes no time."""


class ReceivedProposal(Struct, frozen=True, forbid_unknown_fields=True):
    """A change that another partner proposes to an object of ours; `proposed` as its author wrote it."""

    proposal: str
    object_id: str
    value: str | None
    by: str
    proposed: dict[str, Any]
    received_at: str | None


def proposals(node: NodeReading) -> list[ReceivedProposal]:
    """Returns the proposals about our objects, newest first, at most PROPOSALS_LISTED_MAX."""
    names = node.store.partners.names()
    listed = []
    for row in node.store.knowledge.proposals_to(node.card.partner_id, PROPOSALS_LISTED_MAX):
        proposed = json.loads(row.raw).get("proposed")
        listed.append(
            ReceivedProposal(
                proposal=row.object_id,
                object_id=row.target,
                value=None if row.observable is None else row.observable.value,
                by=names.get(row.reporter, row.reporter.text),
                proposed=proposed if isinstance(proposed, dict) else {},
                received_at=format_instant(row.received_at * SECOND_US),
            )
        )
    return listed
