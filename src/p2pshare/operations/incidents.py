"""`incident ...`: what a command asks of a node about an incident besides the verbs that every space has (`operations.spaces`).

The command makes the content of an entry, as everywhere (docs/decisions/0003), and `SayInIncident` writes it; what it says is checked again,
here and by the fold. What is larger than a message of the control socket, the exports, the command reads beside the daemon.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import DecodeError, Meta, Struct
from msgspec import json as msgspec_json

from p2pshare.errors import AuthorError, PeerError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.checks import is_id
from p2pshare.intel.duty_templates import DutyTemplate
from p2pshare.intel.incident_record import IncidentRecord, ToldDuty
from p2pshare.intel.marking import Tlp
from p2pshare.limits import ENTRY_BODY_BYTES_MAX
from p2pshare.node.duty_files import load_duty_templates
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.interface import Query, Request, Several
from p2pshare.operations.space_links import news_of
from p2pshare.operations.space_standing import Standing, standing_of
from p2pshare.operations.spaces import (
    NOTE_BYTES_MAX,
    TLP_LABELS,
    Called,
    Invited,
    SpaceWritten,
    Title,
    checked_as,
    member_called,
    names_here,
    partner_called,
    space_called,
    written,
)
from p2pshare.spaces.exercise_lead import white_members
from p2pshare.spaces.fold import SpaceFold, SpaceState
from p2pshare.spaces.incident import IncidentFold
from p2pshare.spaces.incident_entries import READERS, TYPES_MAX, IncidentDetermination, encode_incident
from p2pshare.spaces.incident_telling import ATTACHMENT, Telling, duties_shown, readable_object
from p2pshare.spaces.parts import decode_part
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.space_store import SpaceReading, SpaceRow, SpaceStore
from p2pshare.spaces.vertex import SpaceEntry, by_order
from p2pshare.spaces.writing import SpaceStatement

INCIDENT = "incident"
AMBER_STRICT = 3  # from here on content names its audience (rule 6)

IncidentKind = Literal[
    "note", "event", "impact", "object", "opinion", "ask", "answer", "recurrence", "task", "react", "claim", "release", "assign",
    "outcome", "own-status", "determination", "duty", "lesson", "close", "reopen", "duplicate",
]  # fmt: skip
IncidentTypes = Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(max_length=TYPES_MAX)]


class IncidentOpened(Struct, frozen=True, forbid_unknown_fields=True):
    """The id of the incident, which is that of its space and of its opening; its members; and the entry that says its type."""

    incident: str
    space: str
    members: list[str]
    entry: str


class IncidentListed(Struct, frozen=True, forbid_unknown_fields=True):
    """An incident that is held here. `role` is our own: `lead`, else our status in it. `unread`: entries that no person was shown here.

    `lead`, `members` and `invited_by` are names, else ids. Type and status are empty where it is too large to be folded for a list.
    """

    incident: str
    title: str
    type: str
    status: str
    lead: str | None
    members: list[str]
    role: str
    unread: int
    invited_by: str | None


class IncidentShown(Struct, frozen=True, forbid_unknown_fields=True):
    """What `incident show --json` prints, as JSON, but for the duties, which follow from templates of the command's home; the canonical
    output, and of each author the greatest number in it."""

    shown: str
    canonical: str
    numbers: dict[str, int]


class OpenIncident(Request[IncidentOpened], frozen=True, tag="incident-open"):
    """Open an incident with ourselves and the partners of these names or ids, and say of what types it seems to be."""

    title: Title
    types: IncidentTypes
    tlp: Tlp
    invite: Invited = ()

    def run(self, node: Node, now: int, progress: Progress) -> IncidentOpened:
        invited = {partner_called(node.store, name) for name in self.invite} | _watching(node)
        content = checked_content(
            "determination",
            encode_incident(IncidentDetermination("suspected", (), tuple(sorted(set(self.types))), "")),
        )
        spaces = spaces_of(node)
        opening = spaces.open(INCIDENT, self.title, int(self.tlp), [(member, "") for member in invited], now)
        said = SpaceStatement("determination", content, int(self.tlp))
        entry = spaces.say(opening.entry_id, said, now)[-1]
        members = sorted({*invited, node.identity.partner_id})
        incident = opening.entry_id.text
        return IncidentOpened(incident, incident, [member.text for member in members], entry.entry_id.text)


class SayInIncident(Request[SpaceWritten], frozen=True, tag="incident-say"):
    """Write an entry of a kind into the incident of that id. `tlp` None: marked as the incident is. `audience`: members who alone may
    read it, besides ourselves."""

    id: Called
    kind: IncidentKind
    content: Annotated[bytes, Meta(max_length=ENTRY_BODY_BYTES_MAX)]
    tlp: Tlp | None = None
    audience: Invited = ()

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        row = space_called(node.store, self.id, INCIDENT)
        if len(self.content) > NOTE_BYTES_MAX:
            raise AuthorError(
                f"an entry says at most {NOTE_BYTES_MAX:,} bytes, this one {len(self.content):,}",
                hint="say it in several, or `p2pshare incident attach` a file",
                reason="oversized",
            )
        content = checked_content(self.kind, self.content)
        tlp = row.tlp if self.tlp is None else int(self.tlp)
        own = node.identity.partner_id
        audience: set[PartnerId] = set()
        if self.audience:
            members = spaces_of(node).state(row.space).members
            names = names_here(node.store)
            audience = {own, *(member_called(members, names, name) for name in self.audience)}
        elif tlp >= AMBER_STRICT:
            raise AuthorError(
                f"content of {TLP_LABELS[tlp]} names who may read it",
                hint="--to NAME, once for each member: no later invitation widens that",
                reason="names-needed",
            )
        return written(node, row, SpaceStatement(self.kind, content, tlp, tuple(sorted(audience))), now)


class ListIncidents(Query[Several[IncidentListed]], frozen=True, tag="incident-list"):
    """List the incidents that are held here, oldest first, and the invitations whose opening is not here: of which kind those are only it
    says. `is_archived`: those that were put away, and no others."""

    is_archived: bool = False

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[IncidentListed]:
        reading = SpaceReading(node.store.database)
        archived = reading.archived()
        listed = [
            _listed(node, reading, row, standing_of(node.store, row))
            for row in reading.all()
            if row.kind == INCIDENT and (row.space in archived) == self.is_archived
        ]
        if not self.is_archived:
            listed += _not_here(node, reading)
        return Several(listed)


class ShowIncident(Query[IncidentShown], frozen=True, tag="incident-show"):
    """Show the incident of that id, by what is held here. `by_graph`: the time line in the order of the graph."""

    id: Called
    by_graph: bool = False

    def run(self, node: NodeReading, now: int, progress: Progress) -> IncidentShown:
        from p2pshare.spaces.canonical import canonical

        row = space_called(node.store, self.id, INCIDENT)
        fold = fold_of(node, row)
        state = fold.state()
        missing = missing_attachments(node, row, state)
        telling = Telling(state, names_here(node.store), is_sealed_told=True, missing=missing)
        reading = SpaceReading(node.store.database)
        names = names_here(node.store)
        introduced = {
            member: names.get(by) or by.text
            for member in state.members
            if (by := _introduced_by(node, reading, member)) is not None
        }
        numbers: dict[str, int] = {}
        for vertex in state.timeline:
            numbers[vertex.author.text] = max(numbers.get(vertex.author.text, 0), vertex.number)
        void = [
            {
                "entry": vertex.entry_id.text,
                "kind": vertex.kind,
                "author": vertex.author.text,
                "reason": vertex.code,
            }
            for vertex in sorted(fold.graph.vertices, key=by_order)
            if not vertex.has_effect
        ]
        shown = {"void": void} | telling.shown(
            introduced_by=introduced, seen_up_to=_seen_up_to(node, row, state), is_by_graph=self.by_graph
        )
        return IncidentShown(json.dumps(shown, ensure_ascii=False), canonical(state).decode("utf-8"), numbers)


class IncidentArchived(Struct, frozen=True, forbid_unknown_fields=True):
    """An incident, and whether it is put away now."""

    incident: str
    archived: bool


class ArchiveIncident(Request[IncidentArchived], frozen=True, tag="incident-archive"):
    """Put the incident of that id away: lists leave it out, everything else goes on. With `is_undone` fetch it back."""

    id: Called
    is_undone: bool = False

    def run(self, node: Node, now: int, progress: Progress) -> IncidentArchived:
        row = space_called(node.store, self.id, INCIDENT)
        SpaceStore(node.store.database).put_archived(row, None if self.is_undone else now)
        return IncidentArchived(row.space.text, not self.is_undone)


class FirstWord(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether nothing was written here yet, and then who would read it, by name or id, and how it is marked at least."""

    is_first: bool
    members: list[str]
    tlp: str


class AskFirstWord(Query[FirstWord], frozen=True, tag="incident-first-word"):
    """Show who will read what is written into the incident of that id, where we have written nothing yet. What is too large to be folded
    for a list counts as written into."""

    id: Called

    def run(self, node: NodeReading, now: int, progress: Progress) -> FirstWord:
        row = space_called(node.store, self.id, INCIDENT)
        standing, own = standing_of(node.store, row), node.card.partner_id
        tlp = TLP_LABELS[row.tlp]
        if standing is None or any(
            one["author"] == own.text and one["kind"] in READERS for one in standing.output["timeline"]
        ):
            return FirstWord(is_first=False, members=[], tlp=tlp)
        names = names_here(node.store)
        readers = [
            names.get(member) or member.text
            for member, status in sorted(standing.members.items())
            if status in ("joined", "invited", "forked") and member != own
        ]
        return FirstWord(is_first=True, members=readers, tlp=tlp)


def _watching(node: Node) -> set[PartnerId]:
    """Returns who is invited into every incident of an exercise, so that what is done in it counts: its white members, but for us."""
    exercise = node.ground.exercise
    if node.ground.is_real or exercise is None:
        return set()
    return white_members(spaces_of(node).state(exercise)) - {node.identity.partner_id}


def checked_content(kind: str, content: bytes) -> bytes:
    """Returns the content of an entry that says something under its kind. Raises AuthorError `bad-argument`."""
    return checked_as(kind, content, READERS, "incidents.md")


def state_of(node: NodeReading, row: SpaceRow) -> SpaceState:
    """Returns what holds in an incident, folded from the store."""
    return fold_of(node, row).state()


def fold_of(node: NodeReading, row: SpaceRow) -> SpaceFold:
    """Returns the fold of an incident as it stands in the store."""
    fold = SpaceFold()
    for entry in SpaceReading(node.store.database).entries(row):
        fold.add(SpaceEntry.of(entry))
    return fold


class Attachment(Struct, frozen=True):
    """A file that an incident names: the entry, its SHA-256, and the name that its author gave it. UNTRUSTED text."""

    entry: str
    digest: str
    name: str


def attachments(state: SpaceState) -> Iterator[Attachment]:
    """Yields the attachments that may be read here."""
    fold = state.kind
    assert isinstance(fold, IncidentFold)
    for vertex in fold.by_kind["object"]:
        said = readable_object(vertex, fold)
        if said is not None and said.type == ATTACHMENT:
            yield Attachment(vertex.entry_id.text, said.value, said.text)


def parts_in(node: NodeReading, row: SpaceRow) -> Iterator[tuple[PartnerId, bytes]]:
    """Yields (author, content) of the parts that may be read here. The fold keeps none of them."""
    for entry in SpaceReading(node.store.database).entries(row):
        if entry.header.kind == "part" and entry.body_fits():
            yield entry.header.author, entry.content()


def missing_attachments(node: NodeReading, row: SpaceRow, state: SpaceState) -> set[str]:
    """Returns the SHA-256 of the attachments of which parts are not held; whether the bytes are right is asked when they are fetched."""
    named = {one.digest for one in attachments(state)}
    if not named:
        return named
    said: defaultdict[tuple[PartnerId, bytes, int], set[int]] = defaultdict(set)
    for author, content in parts_in(node, row):
        with suppress(PeerError):
            part = decode_part(content)
            said[author, part.digest, part.count].add(part.index)
    return named - {digest.hex() for (_, digest, count), found in said.items() if len(found) == count}


class _Identified(Struct):
    id: str = ""


def stix_id_of(stix: bytes) -> str:
    """Returns the id of the STIX object that came with an entry; "" where it is none: its author may write anything."""
    with suppress(DecodeError, RecursionError):
        found = msgspec_json.decode(stix, type=_Identified).id
        if is_id(found):
            return found
    return ""


def duties_in(canonical: Mapping[str, Any], home: Path, now: int) -> list[dict[str, Any]]:
    """Returns how the duties stand that were stated in an incident, by its canonical output and the templates of a home."""
    return duties_by(canonical["state"]["duties"], load_duty_templates(home), now)


def duties_by(
    rows: Iterable[Mapping[str, Any]], templates: Mapping[str, DutyTemplate], now: int
) -> list[dict[str, Any]]:
    """Returns how duties stand, by the `duties` of a canonical `state`."""
    stated = [
        ToldDuty(
            id=one["id"],
            author=PartnerId.parse(one["author"]),
            event=one["event"],
            stage=one["stage"] or "",
            template=one["template"],
            at=one["at"],
            zone=one["zone"],
        )
        for one in rows
    ]
    return duties_shown(stated, templates, now)


class IncidentFile:
    """An incident as a command writes it into a file: its record, and what duties come to."""

    def __init__(self, home: Path, node: NodeReading, digits: str, now: int) -> None:
        """Raises what `space_called` raises."""
        row = space_called(node.store, digits, INCIDENT)
        self.own = node.card.partner_id
        self.templates: dict[str, DutyTemplate] = load_duty_templates(home)
        self.record: IncidentRecord = Telling(state_of(node, row), names_here(node.store)).record()
        self.duties: list[dict[str, Any]] = duties_shown(self.record.duties, self.templates, now)

    @property
    def own_duties(self) -> list[dict[str, Any]]:
        return [duty for duty in self.duties if duty["organisation"] == self.own.text]


def _seen_up_to(node: NodeReading, row: SpaceRow, state: SpaceState) -> dict[PartnerId, dict[str, int]]:
    """Returns of each member that told it, up to which number of each author a person was shown the incident there. Of ourselves, here."""
    news, own = news_of(node.store, row.space), node.card.partner_id
    seen: dict[PartnerId, dict[str, int]] = {}
    for member in state.members:
        if member == own:
            here = SpaceReading(node.store.database).shown(row)
            seen[member] = {author.text: number for author, number in sorted(here.items())}
        elif (heads := news.heads_of(member)) is not None:
            seen[member] = {author.text: one.shown for author, one in sorted(heads.items()) if one.shown}
    return seen


def _not_here(node: NodeReading, reading: SpaceReading) -> list[IncidentListed]:
    """Returns the invitations of ours whose opening is not here."""
    names = names_here(node.store)
    newest = {one.space: one for one in reading.waiting(names_us=True) if reading.find(one.space) is None}
    return [
        IncidentListed(
            space.text, "", "", "", None, [], "invited", 0, names.get(one.author) or one.author.text
        )
        for space, one in newest.items()
    ]


def _introduced_by(node: NodeReading, reading: SpaceReading, member: PartnerId) -> PartnerId | None:
    if any(row.partner_id == member for row in node.store.partners.all()) or member == node.card.partner_id:
        return None
    return reading.introduced_by(member)


def _listed(
    node: NodeReading, reading: SpaceReading, row: SpaceRow, standing: Standing | None
) -> IncidentListed:
    names, own = names_here(node.store), node.card.partner_id

    def called(member: PartnerId | None) -> str | None:
        return None if member is None else names.get(member) or member.text

    invited_by = None if row.opener == own else called(row.opener)
    if standing is None:
        return IncidentListed(row.space.text, row.title, "", "", None, [], "", 0, invited_by)
    state = standing.output["state"] or {}
    shown = reading.shown(row)
    unread = sum(
        1
        for one in standing.output["timeline"]
        if one["author"] != own.text and one["number"] > shown.get(PartnerId.parse(one["author"]), 0)
    )
    types = state.get("types") or [""]
    return IncidentListed(
        row.space.text,
        row.title,
        types[0],
        state.get("status", ""),
        called(standing.lead),
        [called(member) or "" for member in standing.members],
        "lead" if standing.lead == own else standing.status_of(own),
        unread,
        invited_by,
    )


def entry_named(digits: str, ids: list[str], what: str) -> EntryId:
    """Returns the one of some ids that begins so. Raises as `operations.spaces.one_of`."""
    from p2pshare.operations.spaces import checked_digits, one_of

    begun = checked_digits(digits, what)
    found: EntryId = one_of(
        [EntryId.parse(one) for one in ids if one.startswith(begun)], what, "see `p2pshare incident show`"
    )
    return found
