"""Whole nodes without a network: real keys, real SQLite, real homes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from copies import copy_of

from p2pshare.envelope.card import fingerprint
from p2pshare.envelope.envelope import Mode
from p2pshare.envelope.payload import ALONE, PayloadHeader, compress_frame, encode_payload
from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.envelope.sealing import Recipient, SealRequest
from p2pshare.envelope.sealing import seal as seal_envelope
from p2pshare.identifiers import CircleId, EnvelopeId, PublicationId
from p2pshare.intel.authoring import indicator_object
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import detect
from p2pshare.node.init import found_home
from p2pshare.node.node import Door, Live, Node, close_node, open_node
from p2pshare.operations.payload_readers import load_readers
from p2pshare.sharing import intake
from p2pshare.sharing.drafting import DraftPart, Progress
from p2pshare.sharing.intake import Arrival, IntakeVerdict
from p2pshare.sharing.partners import add_partner
from p2pshare.sharing.publishing import PublishReport, prepare, seal
from p2pshare.sharing.reading import read_all
from p2pshare.sharing.screening import NOTHING_CONFIRMED, Confirmed
from p2pshare.sharing.spool import drop, spooling, taken

READERS = load_readers()

NOW = 1_800_000_000


class World:
    """Partners in one test, each with a home of its own under one folder. Who has a name is the same partner in every test."""

    def __init__(self, folder: Path, now: int = NOW) -> None:
        self._now = now
        self.folder = folder
        self._nodes: dict[str, Node] = {}

    def found(self, name: str) -> Node:
        copy_of(("home", name, self._now), partial(_make_home, name, self._now), self.folder / name)
        return self.open(name)

    def open(self, name: str) -> Node:
        self._nodes[name] = open_node(self.folder / name)
        return self._nodes[name]

    def reopen(self, name: str) -> Node:
        close_node(self._nodes.pop(name))
        return self.open(name)

    def close(self) -> None:
        for node in self._nodes.values():
            close_node(node)


def _make_home(name: str, now: int, home: Path) -> None:
    """A home as `init` leaves it, opened once: its keys and tables are made."""
    url = f"https://{name}.example:8443"
    found_home(home, name=name, url=url, listen="", passphrase=None, now=now)
    close_node(open_node(home))


def befriend(node: Node, other: Node, *, has_link: bool = True, now: int = NOW) -> None:
    """`node` trusts `other`."""
    add_partner(
        node,
        other.identity.card.raw,
        confirmed_fingerprint=fingerprint(other.identity.partner_id),
        alias="",
        has_link=has_link,
        now=now,
    )


def seen_by_daemon(node: Node) -> Node:
    """The node as its running daemon knows it, which has no links and met nobody."""
    return replace(node, live=Live({}, Door(0, {})))


def draft(node: Node, values: list[str], tlp: Tlp = Tlp.GREEN, now: int = NOW) -> DraftPart:
    """One part with an indicator for each value."""
    objects = [
        indicator_object(detect(value), author=node.identity.partner_id, created=now, tlp=tlp)
        for value in values
    ]
    return DraftPart(tlp, (compress_frame(b"[" + b",".join(objects) + b"]"),), len(objects))


def raw_draft(objects: list[object], tlp: Tlp = Tlp.GREEN) -> DraftPart:
    """One part with these objects, whatever they are."""
    return DraftPart(tlp, (compress_frame(json.dumps(objects).encode()),), len(objects))


def stix_header(part: DraftPart, now: int = NOW) -> PayloadHeader:
    """What an honest author says of `part` as a publication of its own."""
    publication = PublicationId(bytes(PublicationId.length))
    return PayloadHeader("stix", now, part.tlp.label, part.objects, publication, ALONE)


def seal_unchecked(
    node: Node,
    part: DraftPart,
    other: Node,
    now: int = NOW,
    *,
    mode: Mode = Mode.RELAY,
    circle: str = "main",
    ahead: int = 1,
    header: PayloadHeader | None = None,
    ttl_class: int = 4,
    recipient_sequence: int = 1,
    incarnation: int | None = None,
) -> bytes:
    """The wire of an envelope for `other` with whatever `part` holds, as an author who checks nothing would seal it.

    Its place is `ahead` of the author's chain, which it does not move, or as far into `incarnation`.
    """
    state = node.store.log.author_state(now)
    header = header or stix_header(part, now)
    request = SealRequest(
        payload=encode_payload(header, part.frames),
        recipients=(Recipient(other.identity.card, RecipientNumber(recipient_sequence)),),
        incarnation=state.incarnation if incarnation is None else incarnation,
        sequence=(state.sequence if incarnation is None else 0) + ahead,
        previous=state.previous,
        circle=CircleId.of(circle),
        mode=mode,
        created=now,
        ttl_class=ttl_class,
    )
    return seal_envelope(node.identity, request).wire


def take_in(node: Node, arrivals: Sequence[Arrival], now: int) -> list[IntakeVerdict]:
    """Intake, and all that is read after it with the readers that the daemon hands in."""
    verdicts = intake.take_in(node, arrivals, now)
    read_all(node, READERS, now)
    return verdicts


def quiet(what: str, done: int, of: int) -> None:
    """Progress that nobody watches."""


@dataclass
class Published(PublishReport):
    """What was published, or would be, and the envelopes; none on a dry run."""

    envelopes: list[EnvelopeId] = field(default_factory=list)


def publish(
    node: Node,
    parts: Sequence[DraftPart],
    *,
    names: Sequence[str],
    ttl_class: int,
    is_dry_run: bool,
    now: int,
    progress: Progress,
    confirmed: Confirmed = NOTHING_CONFIRMED,
) -> Published:
    """Prepares, and seals what came back out of the spool, as the operations do."""
    with spooling(node, now) as waiting:
        prepared = prepare(
            node,
            parts,
            names=names,
            ttl_class=ttl_class,
            confirmed=confirmed,
            now=now,
            progress=progress,
            keep=waiting.keep,
        )
        waiting.end_with(prepared.terms, now)
    if is_dry_run:
        drop(node.home, waiting.token)
        return Published(**vars(prepared.report))
    with taken(node.home, waiting.token, now) as (terms, kept):
        return Published(**vars(prepared.report), envelopes=seal(node, terms, kept, now, progress))


def send(
    node: Node,
    values: list[str],
    *,
    to: list[str],
    tlp: Tlp = Tlp.GREEN,
    now: int = NOW,
    ttl_class: int = 4,
) -> Published:
    """Publishes indicators for `values`."""
    return publish(
        node,
        [draft(node, values, tlp, now)],
        names=to,
        ttl_class=ttl_class,
        is_dry_run=False,
        now=now,
        progress=quiet,
    )


def wire_of(node: Node, envelope_id: EnvelopeId) -> bytes:
    wire = node.store.log.wire(envelope_id)
    assert wire is not None
    return wire
