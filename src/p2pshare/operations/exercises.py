"""`exercise new|list|invite|join|remove|show|inbox|score`: what a command asks of a node about exercises (docs/exercises.md).

`exercise-new`, `exercise-list` and `exercise-remove` are asked of the real node, which holds the exercises; all others name one, and are done on its
ground: the node that they are handed is the exercise's. What the lead does is in `exercise_leading`, what players and evaluators say in
`exercise_playing`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from p2pshare.errors import AuthorError, NotFoundError, PeerError, RefusedError, ShareError
from p2pshare.identifiers import PartnerId, Realm
from p2pshare.intel.exercise_pack import (
    PACK_BYTES_MAX,
    ExercisePack,
    PackArchive,
    pack_leaves,
    read_archive,
)
from p2pshare.intel.exercise_record import ExerciseRecord, improvement_items, score_json
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.marking import Tlp
from p2pshare.limits import MIB, SPACE_MEMBERS_MAX
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.incidents import AMBER_STRICT, fold_of
from p2pshare.operations.interface import LongRequest, Query, Request, Several
from p2pshare.operations.labs import HeldParts
from p2pshare.operations.spaces import (
    TLP_LABELS,
    Called,
    SpaceWritten,
    names_here,
    partner_called,
    written,
)
from p2pshare.spaces.acts import PLAIN, TITLE_BYTES_MAX, Inviting
from p2pshare.spaces.entry_fields import DECIDING_TEXT_BYTES_MAX
from p2pshare.spaces.exercise import ENDED, OBSERVER, WHITE, ExerciseFold, HeldInject
from p2pshare.spaces.exercise_entries import ExerciseBody, StatedPack, encode_exercise, stated_pack
from p2pshare.spaces.exercise_grounds import (
    exercise_named,
    exercises_of,
    ids_of,
    make_exercise,
    note_exercise,
    open_exercises,
    remove_damaged,
    remove_exercise,
)
from p2pshare.spaces.exercise_lead import HERE, white_members
from p2pshare.spaces.exercise_telling import record_of
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.parts import CONTENT_MISSING
from p2pshare.spaces.space_exchange import exchange_of, spaces_of
from p2pshare.spaces.space_store import SpaceReading, SpaceRow
from p2pshare.spaces.writing import SpaceStatement

EXERCISE = "exercise"
INBOX_PAYLOADS_BYTES_MAX = 16 * MIB  # together, as much as a pack has once: many injects may name one file
RATINGS_SHOWN_MAX = 1_000  # the newest: 8 MB where each says as much as it may

PlaceName = Annotated[str, Meta(max_length=32)]
Taken = Annotated[tuple[tuple[PlaceName, Called], ...], Meta(max_length=SPACE_MEMBERS_MAX)]
"""(place of the pack, partner) of each who is invited."""


class ExerciseMade(Struct, frozen=True, forbid_unknown_fields=True):
    """A new exercise: its id, its realm, the partner ids of its members, and how many of them are white, ourselves among them."""

    exercise: str
    realm: str
    members: list[str]
    white: int


class ExerciseListed(Struct, frozen=True, forbid_unknown_fields=True):
    """An exercise that is held here, or into which we are invited; of one whose file is damaged only the realm and why.

    `role` is our own: `lead`, else our status. `lead` and `invited_by` are names, else ids.
    """

    exercise: str
    realm: str
    title: str
    pack: str
    phase: str
    place: str
    role: str
    lead: str | None
    members: list[str]
    invited_by: str | None
    damaged: str


class ExerciseInvited(Struct, frozen=True, forbid_unknown_fields=True):
    """Who was invited, by partner id and place."""

    exercise: str
    entry: str
    invited: dict[str, str]


class ExerciseRemoved(Struct, frozen=True, forbid_unknown_fields=True):
    """What is gone: the names of files that were deleted, how many entries were in them; `left` is what was found afterwards: nothing."""

    exercise: str | None
    realm: str
    deleted: list[str]
    left: list[str]
    entries: int


class ExerciseTold(Struct, frozen=True, forbid_unknown_fields=True):
    """What `exercise show --json` and `score --json` print, as JSON; the former with the numbers for `space-shown`."""

    told: str
    numbers: dict[str, int]


class InboxItem(Struct, frozen=True, forbid_unknown_fields=True):
    """An inject as a player reads it. `at`: when it was released (RFC 3339). `payload`: its text; None where it has none, or what it has is not text,
    not here yet, or too much beside the payloads above: then `payload_name` says that there is one. UNTRUSTED text.

    `expected` is None for players until the exercise has ended. `is_ours`: it is for our place.
    """

    inject: int
    at: str
    sender: str
    channel: str
    text: str
    payload: str | None
    payload_name: str
    payload_bytes: int
    to: list[str]
    is_ours: bool
    is_acked: bool
    is_answered: bool
    expected: str | None


# --- of the real node --------------------------------------------------------------------------------


class NewExercise(LongRequest[ExerciseMade], frozen=True, tag="exercise-new"):
    """Make an exercise of a pack: a realm and a file, the invitations, the commitment, and the pack itself for its white members."""

    archive: Annotated[bytes, Meta(max_length=PACK_BYTES_MAX)]
    taken: Taken
    tlp: Tlp
    title: Annotated[str, Meta(max_length=TITLE_BYTES_MAX)] = ""

    def steps(self, node: Node, now: int) -> Iterator[ExerciseMade | None]:
        if self.tlp >= AMBER_STRICT:
            raise AuthorError(
                f"an exercise is marked AMBER at most, not {TLP_LABELS[int(self.tlp)]}",
                hint="what is stricter would hide from those who are invited later what was played",
                reason="bad-argument",
            )
        archive = archive_in(self.archive)
        own = node.identity.partner_id
        places = places_taken(node, archive.pack, self.taken, {})
        if own in places:
            raise AuthorError(
                "we are white ourselves, and take no other place",
                hint="name partners alone",
                reason="place-taken",
            )
        invited = [(partner, role_of(archive.pack, place)) for partner, place in sorted(places.items())]
        title = self.title or archive.pack.name
        played = make_exercise(node, title, int(self.tlp), invited, now, role=WHITE)
        try:
            yield None
            row = played_row(played)
            say_in_exercise(played, row, "pack", committed(archive, self.archive), now)
            white = sorted({own, *(partner for partner, role in invited if role == WHITE)})
            yield None
            for _ in exchange_of(played).saying_whole(row.space, self.archive, row.tlp, now, tuple(white)):
                yield None
        except ShareError:
            remove_exercise(node, played, now)
            raise
        yield ExerciseMade(
            row.space.text,
            played.ground.realm.hex(),
            [one.text for one in sorted({own, *places})],
            len(white),
        )


class ListExercises(Request[Several[ExerciseListed]], frozen=True, tag="exercise-list"):
    """List the exercises that are held here, and the invitations."""

    def run(self, node: Node, now: int, progress: Progress) -> Several[ExerciseListed]:
        names = names_here(node.store)
        listed = [one for played in open_exercises(node) for one in _listed(played, names, now)]
        listed += [
            ExerciseListed("", one.realm.hex(), "", "", "damaged", "", "", None, [], None, one.reason)
            for one in exercises_of(node).damaged
        ]
        return Several(listed)


class RemoveExercise(Request[ExerciseRemoved], frozen=True, tag="exercise-remove"):
    """Remove the exercise of that id from this node, with its file; of a damaged one by its realm."""

    id: Called

    def run(self, node: Node, now: int, progress: Progress) -> ExerciseRemoved:
        wanted = self.id.strip().lower()
        for one in exercises_of(node).damaged:
            if len(wanted) == 2 * Realm.length and one.realm.hex() == wanted:
                gone = remove_damaged(node, one.realm, now)
                break
        else:
            gone = remove_exercise(node, exercise_named(node, self.id), now)
        return ExerciseRemoved(
            None if gone.exercise is None else gone.exercise.text,
            gone.realm.hex(),
            list(gone.deleted),
            list(gone.left),
            gone.entries,
        )


def _listed(played: Node, names: Mapping[PartnerId, str], now: int) -> Iterator[ExerciseListed]:
    own, realm = played.identity.partner_id, played.ground.realm.hex()

    def called(member: PartnerId | None) -> str | None:
        return None if member is None else names.get(member) or member.text

    exercise = note_exercise(played)
    if exercise is None:
        by_space = {
            one.space: one.author for one in SpaceReading(played.store.database).waiting(names_us=True)
        }
        for space in ids_of(played):
            yield ExerciseListed(
                space.text, realm, "", "", "", "", "invited", None, [], called(by_space.get(space)), ""
            )
        return
    found = ExerciseHere(played, now)
    pack = found.fold.pack()
    status = found.state.members.get(own, "")
    inviters = [
        one.author
        for one in SpaceReading(played.store.database).waiting(space=exercise, names_us=True)
        if status
        not in HERE  # who was named later is handed what came before its invitation once it has joined
    ]
    yield ExerciseListed(
        exercise.text,
        realm,
        found.row.title,
        "" if pack is None else pack.id,
        found.fold.phase_at(now),
        found.place_of(own) or "",
        "lead" if found.state.lead == own else "invited" if inviters else status,
        called(found.state.lead),
        [called(member) or "" for member in sorted(found.state.members)],
        None if found.row.opener == own else called(inviters[-1] if inviters else found.row.opener),
        "",
    )


# --- on the ground of an exercise --------------------------------------------------------------------


class JoinExercise(Request[SpaceWritten], frozen=True, tag="exercise-join"):
    """Accept our newest invitation into the exercise on whose ground it is asked, also where its opening is not here yet."""

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        found = ids_of(node)
        if not found:
            raise NotFoundError("nothing invites us into this exercise", reason="unknown-exercise")
        entry = spaces_of(node).join(found[0], now)
        note_exercise(node)
        return SpaceWritten(found[0].text, entry.entry_id.text)


class InviteToExercise(LongRequest[ExerciseInvited], frozen=True, tag="exercise-invite"):
    """Invite partners into the exercise, each to a place: its lead may. A white one is handed the pack."""

    taken: Taken

    def steps(self, node: Node, now: int) -> Iterator[ExerciseInvited | None]:
        here = ExerciseHere(node, now)
        archive = archive_of(here)
        held = {one: place for one, place in here.places().items() if here.state.members.get(one) in HERE}
        places = places_taken(node, archive.pack, self.taken, held)
        if not places:
            raise AuthorError("nobody is named", hint="--as PLACE=PARTNER", reason="bad-argument")
        named = tuple((one, role_of(archive.pack, place)) for one, place in sorted(places.items()))
        entry = say_plainly(
            node, here.row, SpaceStatement("invite", Inviting(named).encode(), here.row.tlp), now
        )
        yield None
        white = {one for one, role in named if role == WHITE}
        if white:
            readers = tuple(sorted({node.identity.partner_id, *white}))
            raw = whole_archive(here)
            for _ in exchange_of(node).saying_whole(here.row.space, raw, here.row.tlp, now, readers):
                yield None
        yield ExerciseInvited(
            here.row.space.text, entry.entry, {one.text: place for one, place in places.items()}
        )


class ShowExercise(Query[ExerciseTold], frozen=True, tag="exercise-show"):
    """Show what the exercise has come to, by what is held here."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> ExerciseTold:
        here = ExerciseHere(node, now)
        return ExerciseTold(json.dumps(here.shown(now), ensure_ascii=False), here.numbers())


class ReadInbox(Query[Several[InboxItem]], frozen=True, tag="exercise-inbox"):
    """Show the injects that were released for our place, in the order of release; all of them to white members and observers. `number`: that one
    alone."""

    number: Annotated[int, Meta(ge=0)] = 0

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[InboxItem]:
        here = ExerciseHere(node, now)
        found, left = list[InboxItem](), INBOX_PAYLOADS_BYTES_MAX
        for held in here.injects_shown():
            if self.number in (0, held.number):
                left -= held.said.payload_size
                found.append(here.inbox_item(held, with_payload=left >= 0))
        if self.number and not found:
            raise here.no_inject(self.number)
        return Several(found)


class InjectPayload(Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of an inject, as it was written into the pack. UNTRUSTED bytes."""

    inject: int
    name: str
    payload: bytes


class FetchPayload(Query[InjectPayload], frozen=True, tag="exercise-payload"):
    """Fetch the payload of a released inject."""

    number: Annotated[int, Meta(ge=1)]

    def run(self, node: NodeReading, now: int, progress: Progress) -> InjectPayload:
        here = ExerciseHere(node, now)
        held = next((one for one in here.injects_shown() if one.number == self.number), None)
        if held is None:
            raise here.no_inject(self.number)
        raw = here.payload(held)
        if raw is None:
            raise NotFoundError(
                "that inject has no payload here",
                hint="where it has one, its parts are under way",
                reason=CONTENT_MISSING if held.said.payload_size else "not-found",
            )
        assert held.inject is not None, "what has an effect says one"
        return InjectPayload(held.number, held.inject.payload, raw)


class ScoreExercise(Query[ExerciseTold], frozen=True, tag="exercise-score"):
    """Score the exercise by what is held here. Expectations are shown to white members and observers alone until it has ended."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> ExerciseTold:
        here = ExerciseHere(node, now)
        here.require_insight("the score")
        return ExerciseTold(json.dumps(score_json(here.record(now)), ensure_ascii=False), {})


class ItemListed(Struct, frozen=True, forbid_unknown_fields=True):
    """An improvement item. `owner`: whom it concerns, by name, or ""; `due`: until when, RFC 3339; `played`: the values in its text that were played,
    which may not leave the exercise."""

    id: str
    owner: str
    objective: str
    text: str
    due: str | None
    played: list[str]


class ListItems(Query[Several[ItemListed]], frozen=True, tag="exercise-items"):
    """List what to do better, with what in `text`, or in each item's own, and in `title` may not leave the exercise."""

    text: Annotated[str, Meta(max_length=DECIDING_TEXT_BYTES_MAX)] = ""
    title: Annotated[str, Meta(max_length=DECIDING_TEXT_BYTES_MAX)] = ""
    """Of a real incident that is to be opened for it."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[ItemListed]:
        here = ExerciseHere(node, now)
        here.require_insight("what to do better")
        values = sorted(here.played_values())
        return Several(
            [
                ItemListed(
                    one.id,
                    one.owner,
                    one.objective,
                    one.text,
                    instant(one.due) if one.due else None,
                    [value for value in values if value in self._crossing(one.text)],
                )
                for one in improvement_items(here.record(now))
            ]
        )

    def _crossing(self, text: str) -> str:
        """Returns what would be real of an item with this text, in folded case."""
        return f"{self.text or text}\n{self.title}".casefold()


# --- what is found in an exercise --------------------------------------------------------------------


class ExerciseHere:
    """The exercise on a node's ground as it stands in its file: its fold, and whose place is which."""

    def __init__(self, node: NodeReading, now: int) -> None:
        """Raises NotFoundError `no-opening` where only an invitation is here."""
        self.node, self.row = node, played_row(node)
        self.state: SpaceState = fold_of(node, self.row).state()
        self.names = names_here(node.store)
        fold = self.state.kind
        assert isinstance(fold, ExerciseFold)
        self.fold: ExerciseFold = fold
        self.own: PartnerId = node.card.partner_id
        self.phase: str = fold.phase_at(now)
        self._parts = HeldParts(SpaceReading(node.store.database), self.state)

    def whole(self, digest: bytes) -> bytes | None:
        """Returns the content with that SHA-256, None while parts of it are not held."""
        return self._parts.whole(digest)

    def called(self, member: PartnerId) -> str:
        """Returns a member's name here, else its id."""
        return self.names.get(member) or member.text

    def places(self) -> Mapping[PartnerId, str]:
        return self.fold.places()

    def place_of(self, member: PartnerId) -> str | None:
        return self.fold.places().get(member)

    def role(self, member: PartnerId) -> str:
        """Returns a member's role in the pack, "" for none: white, red, blue or observer."""
        return self.fold.role(member)

    @property
    def has_insight(self) -> bool:
        """Returns whether we may be shown what players are expected to do: white and observers, and everybody once it has ended."""
        return self.phase == ENDED or self.role(self.own) in (WHITE, OBSERVER) or self.state.lead == self.own

    def require_insight(self, what: str) -> None:
        """Raises RefusedError `not-ended` where a player asks too early."""
        if not self.has_insight:
            raise RefusedError(
                f"{what} is shown to players once the exercise has ended",
                hint="`p2pshare exercise inbox` has what came for us",
                reason="not-ended",
            )

    def require_open(self) -> None:
        """Raises RefusedError `wrong-phase` where it has ended by its lead's word: what is done now counts for nothing. Our own clock says nothing."""
        if self.fold.phase == ENDED:
            raise RefusedError(
                "this exercise has ended, and nothing counts any more",
                hint="`p2pshare exercise report` has what it came to",
                reason="wrong-phase",
            )

    def white(self) -> set[PartnerId]:
        """Returns the members that are white now, whether joined or only invited."""
        return white_members(self.state)

    def injects_shown(self) -> list[HeldInject]:
        """Returns the released injects that may be shown to us, in the order of release."""
        place = self.place_of(self.own)
        return [
            one
            for one in self.fold.injects()
            if one.inject is not None and one.fits and (self.has_insight or place in one.inject.to)
        ]

    def inject_called(self, number: int) -> HeldInject:
        """Returns a released inject that is for our place. Raises NotFoundError, RefusedError `not-addressed`."""
        for one in self.fold.injects():
            if one.inject is not None and one.fits and one.number == number:
                if self.place_of(self.own) not in one.inject.to:
                    raise RefusedError(
                        f"inject {number} is not for our place",
                        hint="`p2pshare exercise inbox` has those that are",
                        reason="not-addressed",
                    )
                return one
        raise self.no_inject(number)

    def no_inject(self, number: int) -> NotFoundError:
        return NotFoundError(
            f"no inject {number} has been released for us",
            hint="`p2pshare exercise inbox` has those that were",
            reason="no-inject",
        )

    def payload(self, held: HeldInject) -> bytes | None:
        """Returns an inject's payload; None where it has none, or its parts are not here."""
        if not held.said.payload_size:
            return None
        raw = self._parts.whole(held.said.payload_sha256)
        if raw is None or hashlib.sha384(raw).digest() != held.said.payload_sha384:
            return None
        return raw

    def inbox_item(self, held: HeldInject, *, with_payload: bool) -> InboxItem:
        raw, inject = self.payload(held) if with_payload else None, held.inject
        assert inject is not None, "what has an effect says one"
        return InboxItem(
            held.number,
            instant(held.released),
            inject.sender,
            inject.channel,
            inject.text,
            None if raw is None else text_in(raw),
            inject.payload,
            held.said.payload_size,
            list(inject.to),
            self.place_of(self.own) in inject.to,
            self.fold.has_acked(held.number, self.own),
            self.fold.has_answered(held.number, self.own),
            inject.expected if self.has_insight else None,
        )

    def played_values(self) -> set[str]:
        """Returns the values that were played, in folded case: in objects, sightings and withdrawals, and in what injects expect."""
        found = self.fold.played_values()
        for held in self.fold.injects():
            for one in () if held.inject is None else held.inject.expect:
                values = one.match.get("values", ())
                assert isinstance(values, tuple)
                found |= {value.casefold() for value in values}
        return found

    def numbers(self) -> dict[str, int]:
        """Returns the greatest number of each author, for `space-shown`."""
        numbers: dict[str, int] = {}
        for vertex in self.state.timeline:
            author = vertex.author.text
            numbers[author] = max(numbers.get(author, 0), vertex.number)
        return numbers

    # --- what is shown ---

    def shown(self, now: int) -> dict[str, Any]:
        """Returns what `exercise show --json` prints."""
        fold, state, pack = self.fold, self.state, self.fold.pack()
        stopped = fold.real_event()
        return {
            "exercise": self.row.space.text,
            "realm": self.state.opening.header.realm.hex(),
            "title": self.row.title,
            "tlp": TLP_LABELS[self.row.tlp],
            "pack": None
            if pack is None
            else {
                "id": pack.id,
                "version": pack.version,
                "name": pack.name,
                "kind": pack.kind,
                "language": pack.language,
                "injects": len(pack.leaves),
                "commitment": [leaf.hex() for leaf in pack.leaves],
                "objectives": [{"id": one.id, "text": one.text} for one in pack.objectives],
                "places": [
                    {"id": one.id, "role": one.role, "title": one.title, "many": one.many}
                    for one in pack.places
                ],
            },
            "phase": self.phase,
            "time_factor": fold.time_factor,
            "clock_seconds": fold.clock(now),
            "duration_seconds": None if pack is None else pack.duration_seconds,
            "stopped_by_real_event": stopped is not None,
            "stopped_by": None if stopped is None else stopped.author.text,
            "lead": None if state.lead is None else state.lead.text,
            "place": self.place_of(self.own),
            "members": [
                {
                    "partner_id": member.text,
                    "name": self.names.get(member),
                    "place": self.place_of(member),
                    "role": self.role(member),
                    "status": status,
                }
                for member, status in sorted(state.members.items())
            ],
            "white": len(self.white()),
            "injects": [
                {"inject": one.number, "at": instant(one.released), "reason": one.fault}
                for one in fold.injects()
            ],
            "ratings": self.ratings() if self.has_insight else [],
        }

    def ratings(self) -> list[dict[str, Any]]:
        """Returns what evaluators said, the newest of it, in the order of the graph; each stands, whoever else says another."""
        return [
            {
                "entry": vertex.entry_id.text,
                "evaluator": vertex.author.text,
                "about": said.about[0].text if said.about else None,
                "inject": said.inject or None,
                "objective": said.objective,
                "expectation": said.expectation,
                "rating": said.rating,
                "text": said.text,
                "item": said.item,
                "owner": said.owner[0].text if said.owner else None,
                "due": instant(said.due) if said.due else None,
            }
            for vertex, said in self.fold.observations()[-RATINGS_SHOWN_MAX:]
        ]

    def record(self, now: int) -> ExerciseRecord:
        """Returns the exercise as a report tells it."""
        return record_of(self.state, self.names, now)


def instant(seconds: int) -> str:
    """Returns unix seconds as RFC 3339 writes them."""
    return format_instant(seconds * SECOND_US) or ""


def text_in(raw: bytes) -> str | None:
    """Returns a payload as text, None where it is none."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def played_row(node: NodeReading) -> SpaceRow:
    """Returns the exercise that is played on a node's ground. Raises NotFoundError `no-opening`."""
    for row in SpaceReading(node.store.database).all():
        if row.kind == EXERCISE:
            return row
    raise NotFoundError(
        "what opens this exercise is not here yet",
        hint="it comes from who invited us; `p2pshare exercise join` accepts before that",
        reason="no-opening",
    )


def say_in_exercise(
    node: Node, row: SpaceRow, kind: str, body: ExerciseBody | None, now: int
) -> SpaceWritten:
    """Write an entry of a kind into an exercise. Raises RefusedError that says who may, AuthorError `not-utf8`."""
    try:
        content = PLAIN.encode() if body is None else encode_exercise(body)
    except UnicodeEncodeError:
        raise AuthorError(
            "what was typed holds bytes that are not UTF-8", hint="write it in UTF-8", reason="not-utf8"
        ) from None
    return say_plainly(node, row, SpaceStatement(kind, content, row.tlp), now)


def say_plainly(node: Node, row: SpaceRow, said: SpaceStatement, now: int) -> SpaceWritten:
    """Write an entry as `operations.spaces.written` does, with hints for who types `p2pshare exercise`."""
    try:
        return written(node, row, said, now)
    except RefusedError as error:
        hint = (error.hint or "").replace("p2pshare space ", "p2pshare exercise ")
        raise RefusedError(error.message, hint=hint, reason=error.reason) from None


def archive_in(raw: bytes) -> PackArchive:
    """Returns the pack in an archive. Raises AuthorError `bad-pack`."""
    try:
        return read_archive(raw)
    except PeerError as error:
        raise AuthorError(error.message, hint="import the pack again", reason="bad-pack") from None


def whole_archive(here: ExerciseHere) -> bytes:
    """Returns the archive of the exercise's pack. Raises NotFoundError `content-missing`, `no-pack`."""
    pack = here.fold.pack()
    if pack is None:
        raise NotFoundError("no pack was stated in this exercise", reason="no-pack")
    raw = here.whole(pack.archive)
    if raw is None:
        raise NotFoundError(
            "the pack is not here",
            hint="it goes to white members alone, in parts; they are asked for",
            reason=CONTENT_MISSING,
        )
    return raw


def archive_of(here: ExerciseHere) -> PackArchive:
    """Returns the exercise's pack, held against its commitment. Raises as `whole_archive`, RefusedError `not-in-commitment`."""
    archive = archive_in(whole_archive(here))
    pack = here.fold.pack()
    assert pack is not None
    if pack_leaves(archive.pack, archive.payloads, archive.salts) != tuple(pack.leaves):
        raise RefusedError(
            "the pack does not open the exercise's commitment",
            hint="end the exercise, and make a new one",
            reason="not-in-commitment",
        )
    return archive


def committed(archive: PackArchive, raw: bytes) -> StatedPack:
    """Returns what an exercise commits to: its pack, and a leaf for each inject."""
    return stated_pack(archive.pack, raw, pack_leaves(archive.pack, archive.payloads, archive.salts))


def role_of(pack: ExercisePack, place: str) -> str:
    """Returns the role that an invitation has: white, else the id of the place."""
    found = pack.place(place)
    assert found is not None
    return WHITE if found.role == WHITE else place


def places_taken(
    node: Node, pack: ExercisePack, taken: Iterable[tuple[str, str]], held: Mapping[PartnerId, str]
) -> dict[PartnerId, str]:
    """Returns who takes which place; `held` are those that are taken already.

    Raises AuthorError `unknown-place`, `place-taken`, NotFoundError.
    """
    found: dict[PartnerId, str] = {}
    counts = Counter(held.values())
    for name, called in taken:
        place, partner = pack.place(name), partner_called(node.store, called)
        if place is None:
            known = ", ".join(f"{one.id} ({one.role})" for one in pack.places)
            raise AuthorError(
                "the pack has no place of that name", hint=f"its places: {known}", reason="unknown-place"
            )
        if partner in found or partner in held:
            raise AuthorError(
                "a partner takes one place", hint="name each partner once", reason="place-taken"
            )
        if not place.many and place.role != WHITE and counts[name]:
            raise AuthorError(
                f"the place {name} is for one partner", hint="its pack says so", reason="place-taken"
            )
        found[partner] = name
        counts[name] += 1
    return found
