"""A MISP beside a node: what it takes in, what it keeps of it, and what it gives out again."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Collection, Iterable
from typing import Any

from whole_drafts import draft_file
from whole_nodes import Published, publish, quiet, take_in

from p2pshare.exporters.interface import Selection
from p2pshare.exporters.registry import load_exporter
from p2pshare.intel.marking import Tlp
from p2pshare.node.node import Node
from p2pshare.sharing.already_held import Stance, shared_in
from p2pshare.sharing.drafting import Author, Draft, published_before
from p2pshare.sharing.intake import Arrival


def exported(node: Node, format_name: str, now: int, *, tlp_max: Tlp = Tlp.AMBER_STRICT) -> bytes:
    selection = Selection(now * 1_000_000, tlp_max, names=node.store.partners.names())
    return b"".join(load_exporter(format_name).render(node.store.knowledge, selection))


def with_other_uuids(raw: bytes, *, keeps_tags: bool = True) -> bytes:
    """An export of MISP events as a MISP gives it out that copied the attributes into events of its own: all UUIDs are new. A
    MISP whose user may make no tags keeps only those of the marking."""
    events = json.loads(raw)["response"]
    for event in (one["Event"] for one in events):
        event["uuid"] = str(uuid.uuid4())
        if not keeps_tags:
            event["Tag"] = [tag for tag in event["Tag"] if tag["name"].startswith("tlp:")]
        for attribute in event.get("Attribute", ()):
            attribute["uuid"] = str(uuid.uuid4())
    return json.dumps({"response": events}).encode()


def only(raw: bytes, values: Collection[str]) -> bytes:
    """The events with the attributes of these values, as a search in MISP gives them."""
    events: list[dict[str, Any]] = []
    for one in json.loads(raw)["response"]:
        attributes = [attribute for attribute in one["Event"]["Attribute"] if attribute["value"] in values]
        if attributes:
            events.append({"Event": one["Event"] | {"Attribute": attributes}})
    return json.dumps({"response": events}).encode()


def read(
    node: Node,
    raw: bytes,
    now: int,
    stance: Stance = Stance.LEAVE,
    *,
    tlp: Tlp | None = None,
    format_name: str = "auto",
) -> Draft:
    """`raw` as `publish` reads it on `node`; what was read adds up."""
    own = node.identity.partner_id
    draft = draft_file(
        io.BufferedReader(io.BytesIO(raw)),
        name="-",
        format_name=format_name,
        tlp=tlp,
        author=Author(own, node.config.name),
        now=now,
        first_created=published_before(node.store, own),
        progress=quiet,
        shared=shared_in(node.store),
        stance=stance,
    )
    kept = sum(part.objects - part.repeats for part in draft.parts)
    assert draft.read == kept + draft.merged + draft.held.total() + draft.refusals.total
    return draft


def share(node: Node, draft: Draft, now: int, names: Iterable[str] = ()) -> Published:
    node.store.knowledge.note_findings(draft.findings, now)
    return publish(
        node, draft.parts, names=tuple(names), ttl_class=4, is_dry_run=False, now=now, progress=quiet
    )


def deliver(giver: Node, takers: Iterable[Node], now: int, after: int = 0) -> int:
    """Hand over what `giver` sealed behind the place `after` of its log; the place it has come to."""
    own = giver.identity.partner_id
    entries = giver.store.log.entries(after, 10_000)
    wires = [
        wire
        for one in entries
        if one.author == own and (wire := giver.store.log.wire(one.envelope_id)) is not None
    ]
    for taker in takers:
        if wires:
            take_in(taker, [Arrival(wire, own) for wire in wires], now)
    return max((one.lsn for one in entries), default=after)
