"""`space open|note|list|show|export|purge`: what partners write together, as a whole; and how spaces, members and entries are called.

The verbs of members are in `space_membership`, votes in `space_takeover`, what is done with single entries in `space_entries`. All of
them stand for every kind of space: `only` is the kind under whose word a command was typed (`incident join`), empty for any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from p2pshare.envelope.entry import BODY_SALT_BYTES
from p2pshare.errors import AuthorError, NotFoundError, PeerError, RefusedError, ShareError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.limits import ENTRY_BODY_BYTES_MAX, ENTRY_NUMBER_MAX, SPACE_MEMBERS_MAX
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.node.store import StoreReading
from p2pshare.operations.interface import Query, Request, Several
from p2pshare.operations.space_links import Links, links_among, news_of
from p2pshare.operations.space_standing import Standing, standing_now, standing_of
from p2pshare.spaces.acts import SPACE_KIND_BYTES_MAX, TITLE_BYTES_MAX, Act, Plain
from p2pshare.spaces.space_exchange import exchange_of, spaces_of
from p2pshare.spaces.space_store import CANDIDATES_MAX, SpaceReading, SpaceRow
from p2pshare.spaces.writing import SpaceStatement

DIGITS_MIN = 6  # of an id that is typed: sixteen million of them
DIGITS_MAX = 2 * EntryId.length

_DIGITS = re.compile(f"[0-9a-fA-F]{{{DIGITS_MIN},{DIGITS_MAX}}}")
TLP_LABELS = {int(level): level.label for level in Tlp}

NOTE_BYTES_MAX = ENTRY_BODY_BYTES_MAX - BODY_SALT_BYTES
SpaceText = Annotated[str, Meta(max_length=ENTRY_BODY_BYTES_MAX)]
Title = Annotated[str, Meta(min_length=1, max_length=TITLE_BYTES_MAX)]
KindName = Annotated[str, Meta(max_length=SPACE_KIND_BYTES_MAX)]
Called = Annotated[str, Meta(max_length=DIGITS_MAX)]
"""The beginning of an id, or the alias of a partner."""
Invited = Annotated[tuple[Called, ...], Meta(max_length=SPACE_MEMBERS_MAX)]


class AmbiguousId(AuthorError):
    """The beginning of an id fits several things; it was typed in a way that cannot be followed."""

    exit_code = 2
    reason = "ambiguous"


class SpaceOpened(Struct, frozen=True, forbid_unknown_fields=True):
    """The id of the space, the partner ids of its members, and the id of the entry, which is the same as the space's. `links`: how the
    members are linked, as far as this node knows."""

    space: str
    members: list[str]
    entry: str
    links: Links


class SpaceWritten(Struct, frozen=True, forbid_unknown_fields=True):
    """The space and the id of the entry that was written."""

    space: str
    entry: str


class SpaceListed(Struct, frozen=True, forbid_unknown_fields=True):
    """A space that is held here, or into which we are invited: how many entries of it, and how many that wait.

    `status` is our own, `opener` and `lead` names, else ids. Kind, title and tlp are empty, and `opener` is who invites us, as long as
    its opening is not here. `lead` None: contested, or not known.
    """

    space: str
    kind: str
    title: str
    tlp: str
    opener: str
    entries: int
    waiting: int
    status: str
    lead: str | None
    contested: bool


class MemberShown(Struct, frozen=True, forbid_unknown_fields=True):
    """What this node knows of a member besides its status: what it is called here, and by what its card is known.

    `card`: `own`, `partner` (a person compared its fingerprint), `introduced` (it came beside entries, by `introduced_by`; nobody here has
    compared its fingerprint) or `none`.
    """

    name: str | None
    card: str
    introduced_by: str | None = None


class SpaceShown(Struct, frozen=True, forbid_unknown_fields=True):
    """The canonical output of a space, what is known here of its members and authors by id, and how many entries wait.

    `numbers`: of each author the greatest number in it, for `space-shown`. `links`: how the members are linked.
    """

    canonical: str
    members: dict[str, MemberShown]
    waiting: int
    numbers: dict[str, int]
    links: Links


class OpenSpace(Request[SpaceOpened], frozen=True, tag="space-open"):
    """Open a space with ourselves and the partners of these names or ids."""

    kind: KindName
    title: Title
    tlp: Tlp
    invite: Invited = ()

    def run(self, node: Node, now: int, progress: Progress) -> SpaceOpened:
        invited = {partner_called(node.store, name) for name in self.invite}
        opening = spaces_of(node).open(
            self.kind, self.title, int(self.tlp), [(member, "") for member in invited], now
        )
        members = sorted({*invited, node.identity.partner_id})
        return SpaceOpened(
            opening.entry_id.text,
            [member.text for member in members],
            opening.entry_id.text,
            links_among(node.store, node.card.partner_id, members, news_of(node.store, opening.entry_id)),
        )


class PreviewMembers(Query[Links], frozen=True, tag="space-links"):
    """Show how we and the partners of these names are linked, before a space is opened with them."""

    invite: Invited = ()

    def run(self, node: NodeReading, now: int, progress: Progress) -> Links:
        invited = {partner_called(node.store, name) for name in self.invite}
        return links_among(
            node.store,
            node.card.partner_id,
            sorted({*invited, node.card.partner_id}),
            news_of(node.store, None),
        )


class NoteInSpace(Request[SpaceWritten], frozen=True, tag="space-note"):
    """Write a note into the notebook of that id, marked as it is."""

    id: Called
    text: SpaceText

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        row = space_called(node.store, self.id, "note")
        text = self.text.encode("utf-8")
        if not 1 <= len(text) <= NOTE_BYTES_MAX:
            raise AuthorError(
                f"a note has 1 to {NOTE_BYTES_MAX:,} bytes, this one {len(text):,}",
                hint="write several notes, or publish a file and name it" if text else "",
                reason="bad-body",
            )
        said = SpaceStatement("note", text, row.tlp)
        return written(node, row, said, now)


class CloseNotebook(Request[SpaceWritten], frozen=True, tag="space-close"):
    """Close the notebook of that id: its lead may."""

    id: Called

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        return decided(node, space_called(node.store, self.id, "note"), "close", Plain(), now)


class ReopenNotebook(Request[SpaceWritten], frozen=True, tag="space-reopen"):
    """Open the notebook of that id again: any member may."""

    id: Called

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        return decided(node, space_called(node.store, self.id, "note"), "reopen", Plain(), now)


class ListSpaces(Query[Several[SpaceListed]], frozen=True, tag="space-list"):
    """List the spaces that are held here, oldest first, and then those into which we are invited."""

    only: KindName = ""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[SpaceListed]:
        reading, names = SpaceReading(node.store.database), names_here(node.store)
        own = node.card.partner_id
        listed = [
            _listed(reading, row, standing_of(node.store, row), own, names)
            for row in reading.all()
            if self.only in ("", row.kind)
        ]
        if not self.only:  # its kind is not known before its opening is here
            listed += _invitations(reading, names)
        return Several(listed)


class ShowSpace(Query[SpaceShown], frozen=True, tag="space-show"):
    """Show what holds in the space of that id, by what is held here."""

    id: Called
    only: KindName = ""

    def run(self, node: NodeReading, now: int, progress: Progress) -> SpaceShown:
        row = space_called(node.store, self.id, self.only)
        reading = SpaceReading(node.store.database)
        standing = standing_now(node.store, row)
        members = {PartnerId.parse(one["id"]): one["status"] for one in standing.output["members"]}
        numbers: dict[str, int] = {}
        for one in standing.output["timeline"]:
            numbers[one["author"]] = max(numbers.get(one["author"], 0), one["number"])
        linked = [member for member, status in members.items() if status in ("joined", "invited", "forked")]
        return SpaceShown(
            standing.raw.decode("utf-8"),
            _members_shown(node, reading, {*members, *map(PartnerId.parse, numbers)}),
            len(reading.waiting(space=row.space)),
            numbers,
            links_among(node.store, node.card.partner_id, linked, news_of(node.store, row.space)),
        )


class MarkShown(Request[SpaceWritten], frozen=True, tag="space-shown"):
    """Note up to which number of each author a person was shown the space of that id: members are told. Answers with its last entry."""

    id: Called
    numbers: Annotated[dict[str, Annotated[int, Meta(ge=1, le=ENTRY_NUMBER_MAX)]], Meta(max_length=4_096)]

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        row = space_called(node.store, self.id)
        try:
            numbers = {PartnerId.parse(author): number for author, number in self.numbers.items()}
        except ValueError:
            raise AuthorError(
                "that is no id of an author", hint=f"{DIGITS_MAX} hexadecimal digits", reason="bad-id"
            ) from None
        spaces_of(node).mark_shown(row.space, numbers)
        exchange_of(node).space_changed(row.space, now)
        return SpaceWritten(row.space.text, row.space.text)


class SpacePurged(Struct, frozen=True, forbid_unknown_fields=True):
    """A space that leaves this node, and how many of its entries are still here: ask again until there are none. `is_overwritten`: the
    store's log has no older page of it either; False as long as some program reads the store."""

    space: str
    left: int
    is_overwritten: bool


class PurgeSpace(Request[SpacePurged], frozen=True, tag="space-purge"):
    """Take the space of that id, or our invitation into it, off this node, a part at a time."""

    id: Called
    only: KindName = ""

    def run(self, node: Node, now: int, progress: Progress) -> SpacePurged:
        space = self._called(node)
        left = spaces_of(node).purge(space, now)
        exchange_of(node).forget(space)
        return SpacePurged(space.text, left, left == 0 and node.store.database.cut_log())

    def _called(self, node: Node) -> EntryId:
        """Returns the space, also where a part of it has gone already."""
        digits = checked_digits(self.id, "space")
        try:
            return invited_or_held(node.store, digits, self.only)
        except NotFoundError:
            going = SpaceReading(node.store.database).purged_begin_with(digits)
            found: EntryId = one_of(going, "space")
            return found


class TakeSpaceAgain(Request[SpacePurged], frozen=True, tag="space-take-again"):
    """Let a space that was purged come in again, when a partner hands it over."""

    id: Called

    def run(self, node: Node, now: int, progress: Progress) -> SpacePurged:
        digits = checked_digits(self.id, "space")
        space = one_of(SpaceReading(node.store.database).purged_begin_with(digits), "purged space")
        spaces_of(node).take_again(space)
        return SpacePurged(space.text, 0, is_overwritten=False)


# --- writing, for all verbs --------------------------------------------------------------------------


def caught_up(node: Node, request: Request[Any], now: int) -> bool:
    """Do a slice of what is to be done before a request writes into its space: read it into memory, and fold it. Returns True when that is
    done, or it names none that is held."""
    digits = getattr(request, "id", "")
    try:
        space = invited_or_held(node.store, digits)
    except ShareError:
        return True  # the request itself says what is wrong
    return spaces_of(node).caught_up(space, now)


def written(
    node: Node, row: SpaceRow, said: SpaceStatement, now: int, left_out: Iterable[EntryId] = ()
) -> SpaceWritten:
    """Write an entry. Raises RefusedError that says who may, NotFoundError."""
    spaces = spaces_of(node)
    try:
        entry = spaces.say(row.space, said, now, left_out=left_out)[-1]
    except RefusedError as error:
        raise who_may(node, row, error) from None
    return SpaceWritten(row.space.text, entry.entry_id.text)


def decided(
    node: Node, row: SpaceRow, kind: str, act: Act, now: int, left_out: Iterable[EntryId] = ()
) -> SpaceWritten:
    """Write a deciding entry, marked as the space is. Raises as `written`."""
    return written(node, row, SpaceStatement(kind, act.encode(), row.tlp), now, left_out)


def who_may(node: Node, row: SpaceRow, error: RefusedError) -> RefusedError:
    """Returns the refusal with the hint who may write what was refused, by name."""
    standing, names = standing_of(node.store, row), names_here(node.store)
    if standing is None:  # too large to be folded for an error
        return error
    lead = "nobody: the lead is contested" if standing.lead is None else _name(standing.lead, names)
    members = standing.members
    joined = ", ".join(_name(one, names) for one in sorted(members) if members[one] == "joined")
    own = members.get(node.identity.partner_id, "")
    hints = {
        "not-lead": f"its lead may: {lead}",
        "is-lead": f"its lead is {lead}; `p2pshare space handover` offers the lead to another member",
        "not-member": (
            f"`p2pshare space join {row.space.short}` accepts the invitation"
            if own == "invited"
            else f"members that have joined may: {joined}"
        ),
        "cut": f"the lead, {lead}, may invite us again",
        "not-handed": f"the lead, {lead}, offers it with `p2pshare space handover`",
        "no-entry": "`p2pshare space show` lists the entries; deciding ones are never redacted",
    }
    hint = hints.get(error.reason, error.hint or f"its lead is {lead}")
    return RefusedError(error.message, hint=hint, reason=error.reason)


# --- how things are called ---------------------------------------------------------------------------


def names_here(store: StoreReading) -> dict[PartnerId, str]:
    """Returns what partners are called here, present or past, and ourselves."""
    return store.partners.names() | {row.partner_id: row.alias for row in store.partners.all()}


def _name(member: PartnerId, names: Mapping[PartnerId, str]) -> str:
    return names.get(member) or member.text


def checked_digits(digits: str, what: str) -> str:
    """Returns the beginning of an id, in small letters. Raises AuthorError `bad-id`."""
    if not _DIGITS.fullmatch(digits):
        raise AuthorError(
            f"that is no id of a {what}",
            hint=f"{DIGITS_MIN} to {DIGITS_MAX} hexadecimal digits",
            reason="bad-id",
        )
    return digits.lower()


def one_of(found: Iterable[Any], what: str, hint: str = "see `p2pshare space list`") -> Any:
    """Returns the one id that was found. Raises NotFoundError for none, AmbiguousId with the candidates for several."""
    ids = list(dict.fromkeys(found))
    if not ids:
        raise NotFoundError(f"no {what} of that id is held here", hint=hint)
    if len(ids) > 1:
        candidates = ", ".join(one.text for one in ids[:CANDIDATES_MAX])
        more = ", ..." if len(ids) >= CANDIDATES_MAX else ""
        raise AmbiguousId(f"several ids of a {what} begin so: {candidates}{more}", hint="type more digits")
    return ids[0]


def space_called(store: StoreReading, digits: str, only: str = "") -> SpaceRow:
    """Returns the space whose id begins so, of the kind `only` if that is given. Raises AuthorError `bad-id`, AmbiguousId, NotFoundError."""
    what = only or "space"
    reading = SpaceReading(store.database)
    rows = [row for row in reading.begin_with(checked_digits(digits, what)) if only in ("", row.kind)]
    space = one_of((row.space for row in rows), what, f"see `p2pshare {what} list`")
    return next(row for row in rows if row.space == space)


def invited_or_held(store: StoreReading, digits: str, only: str = "") -> EntryId:
    """Returns the space whose id begins so, also one into which we are invited and whose opening is not here.

    Raises as `space_called`.
    """
    reading = SpaceReading(store.database)
    begun = checked_digits(digits, only or "space")
    held = [row.space for row in reading.begin_with(begun) if only in ("", row.kind)]
    # of which kind it is the opening says
    asked = [one.space for one in reading.waiting(names_us=True) if one.space.text.startswith(begun)]
    found: EntryId = one_of([*held, *asked], only or "space")
    return found


def entry_called(store: StoreReading, row: SpaceRow, digits: str) -> EntryId:
    """Returns the entry of a space whose id begins so. Raises as `space_called`."""
    found: EntryId = one_of(
        SpaceReading(store.database).entries_begin_with(row, checked_digits(digits, "entry")),
        "entry",
        "see `p2pshare space show --json`: `timeline` has the ids",
    )
    return found


def partner_called(store: StoreReading, name: str) -> PartnerId:
    """Returns the partner of that alias or id. Raises NotFoundError."""
    for row in store.partners.all():
        if name in (row.alias, row.partner_id.text):
            return row.partner_id
    raise NotFoundError("no partner of that name can be invited", hint="see `p2pshare partner list`")


def member_called(members: Collection[PartnerId], names: Mapping[PartnerId, str], name: str) -> PartnerId:
    """Returns who of these is called so, or whose id begins so. Raises NotFoundError, AmbiguousId."""
    found = [one for one in members if names.get(one) == name]
    if not found and _DIGITS.fullmatch(name):
        found = [one for one in members if one.text.startswith(name.lower())]
    member: PartnerId = one_of(
        found, "member", "see `p2pshare space show`: the alias of a partner, or 6 digits of an id"
    )
    return member


def _members_shown(
    node: NodeReading, reading: SpaceReading, members: Iterable[PartnerId]
) -> dict[str, MemberShown]:
    """Returns what this node knows of each member, by id."""
    names, own = names_here(node.store), node.card.partner_id
    partners = {row.partner_id for row in node.store.partners.all()}
    found = {}
    for member in members:
        by = None if member in partners or member == own else reading.introduced_by(member)
        if member == own:
            card = "own"
        elif member in partners:
            card = "partner"
        else:
            card = "none" if by is None else "introduced"
        found[member.text] = MemberShown(
            names.get(member), card, None if by is None else names.get(by) or by.text
        )
    return found


# --- listing -----------------------------------------------------------------------------------------


def _listed(
    reading: SpaceReading,
    row: SpaceRow,
    standing: Standing | None,
    own: PartnerId,
    names: Mapping[PartnerId, str],
) -> SpaceListed:
    lead = None if standing is None else standing.lead
    return SpaceListed(
        row.space.text,
        row.kind,
        row.title,
        TLP_LABELS[row.tlp],
        names.get(row.opener, row.opener.text),
        reading.entry_count(row),
        len(reading.waiting(space=row.space)),
        "" if standing is None else standing.status_of(own),
        None if lead is None else _name(lead, names),
        standing is not None and standing.is_contested,
    )


def _invitations(reading: SpaceReading, names: Mapping[PartnerId, str]) -> list[SpaceListed]:
    """Returns the spaces into which we are invited and whose opening is not here."""
    newest = {one.space: one for one in reading.waiting(names_us=True)}
    return [
        SpaceListed(
            space.text,
            "",
            "",
            "",
            _name(one.author, names),
            0,
            len(reading.waiting(space=space)),
            "invited",
            None,
            contested=False,
        )
        for space, one in newest.items()
        if reading.find(space) is None
    ]


def checked_as(
    kind: str, content: bytes, readers: Mapping[str, Callable[[bytes], object]], page: str
) -> bytes:
    """Returns the content of an entry that says something under its kind; `page` has what each says. Raises AuthorError `bad-argument`."""
    try:
        readers[kind](content)
    except PeerError as error:
        raise AuthorError(
            f"that is no {kind}: {error.message}",
            hint=f"docs/{page} has what each says",
            reason="bad-argument",
        ) from None
    return content
