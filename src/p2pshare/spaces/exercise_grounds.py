"""The exercises that a node holds: their grounds are made, found, opened again at a start, and removed (docs/exercises.md, "Walls").

Rules:

1. A realm has one file (`node.exercise_file`), one node over it, and one space of kind `exercise`; its id is the exercise's.
2. An unknown realm makes a file only for an `open` of kind `exercise`, or an `invite`, that a partner of ours signed and that names us; at most
   `EXERCISES_PER_PARTNER_MAX` that one partner handed over, `EXERCISES_HELD_MAX` in all. A realm that was removed makes none.
3. What one exercise may take of the disk is `EXERCISE_BYTES_MAX`; what is beyond it is refused `exercise-full` (`spaces.spaces`).
4. A file that cannot be opened, or that is to go and cannot be deleted, keeps no other exercise, and nothing real, from going on: it is named in
   `damaged`.

Everything but `all`, `get` and `circles` runs in the writer thread.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from p2pshare.envelope.card_format import decode_versions
from p2pshare.envelope.entry import DecodedEntry, VerifiedEntry, decode_entry, verify_entry
from p2pshare.errors import AuthorError, NotFoundError, OperatorError, PeerError, RefusedError, StoreError
from p2pshare.identifiers import CircleId, EntryId, PartnerId, Realm
from p2pshare.limits import (
    EXERCISES_HELD_MAX,
    EXERCISES_PER_PARTNER_MAX,
)
from p2pshare.node.exercise_file import (
    ExerciseNode,
    delete_exercise_file,
    files_of,
    open_exercise_node,
    realms_held,
)
from p2pshare.node.ground import NodeGround
from p2pshare.node.node import Node
from p2pshare.spaces.acts import Inviting, Opening, decode_act
from p2pshare.spaces.exercise import ExerciseFold
from p2pshare.spaces.exercise_outlet import ExerciseOutlet
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.space_store import SpaceReading, SpaceStore
from p2pshare.spaces.spaces import EXERCISE_KIND
from p2pshare.spaces.taking_in import key_for

LOOKED_AT_MAX = (
    16  # entries of a frame of an unknown realm: an opening stands first, and each may cost two signatures
)
_DIGITS = re.compile("[0-9a-f]{6,64}")


@dataclass(frozen=True, slots=True)
class DamagedExercise:
    """A file of an exercise that could not be opened, or not deleted, and why."""

    realm: Realm
    reason: str


@dataclass(frozen=True, slots=True)
class ExerciseRemoval:
    """What was removed, and what was looked for after: `deleted` are the files that were there, `left` those that are (none)."""

    exercise: EntryId | None
    realm: Realm
    deleted: tuple[str, ...]
    left: tuple[str, ...]
    entries: int
    """That were held in it."""


class Exercises:
    """The exercises of one real node, each with a node of its own. One per node (`exercises_of`)."""

    def __init__(self, carrier: Node) -> None:
        self._carrier = carrier
        self._nodes: dict[Realm, ExerciseNode] = {}
        self._circles: frozenset[CircleId] = frozenset()
        self.damaged: list[DamagedExercise] = []
        reading = SpaceReading(carrier.store.database)
        for realm in list(realms_held(carrier.home)):
            try:
                if reading.is_purged(removed_mark(realm)):
                    delete_exercise_file(carrier.home, realm)  # a crash came in between
                else:
                    self._put(open_exercise_node(carrier, realm))
            except StoreError as error:
                self.damaged.append(DamagedExercise(realm, error.reason))

    def all(self) -> list[Node]:
        """Returns the nodes of all exercises, in the order of their realms."""
        return [node for _, node in sorted(self._nodes.items())]

    def get(self, realm: Realm) -> Node | None:
        return self._nodes.get(realm)

    def circles(self) -> frozenset[CircleId]:
        """Returns the circles in which nothing but what is played may come."""
        return self._circles

    def _put(self, node: ExerciseNode) -> None:
        node.outlet = ExerciseOutlet(node)
        self._nodes[node.ground.realm] = node
        self._follow()
        note_exercise(node)

    def _follow(self) -> None:
        self._circles = frozenset(map(CircleId.of_realm, self._nodes))

    def made(self, realm: Realm) -> Node:
        """Returns the node of a new realm, with its file. Raises RefusedError `too-many-exercises`, StoreError."""
        if len(self._nodes) + len(self.damaged) >= EXERCISES_HELD_MAX:
            raise RefusedError(
                f"{EXERCISES_HELD_MAX} exercises are held here",
                hint="`p2pshare exercise remove` one that is over",
                reason="too-many-exercises",
            )
        node = open_exercise_node(self._carrier, realm)
        self._put(node)
        return node

    # --- what comes --------------------------------------------------------------------------------

    def admitted(self, realm: Realm, wires: Iterable[bytes], handed_by: PartnerId, now: int) -> Node:
        """Returns the node of an unknown realm, made for an opening or invitation among these entries (rule 2).

        Raises PeerError: `unknown-realm` where nothing of it invites us, `not-a-member` where it was removed here, `later` where there are
        too many.
        """
        if SpaceReading(self._carrier.store.database).is_purged(removed_mark(realm)):
            raise PeerError("an entry is of an exercise that was removed here", reason="not-a-member")
        if any(one.realm == realm for one in self.damaged):
            raise PeerError("the file of this exercise is damaged here", reason="later")
        if not any(self._invites_us(realm, wire) for wire in islice(wires, LOOKED_AT_MAX)):
            raise PeerError("an entry is of no exercise that we know", reason="unknown-realm")
        from_it = sum(introduced_by(node) == handed_by for node in self._nodes.values())
        if from_it >= EXERCISES_PER_PARTNER_MAX:
            raise PeerError("a partner has invited us into many exercises", reason="later")
        try:
            return self.made(realm)
        except RefusedError as error:
            raise PeerError(error.message, reason="later") from None

    def _invites_us(self, realm: Realm, wire: bytes) -> bool:
        """Returns whether an entry is an opening of an exercise, or an invitation, of a partner of ours that names us, and whose
        signatures hold."""
        own, partners = self._carrier.identity.partner_id, self._carrier.store.partners
        try:
            decoded = decode_entry(wire, realm)
            header = decoded.header
            if header.kind not in ("open", "invite") or not _is_partner(self._carrier, header.author):
                return False
            act = decode_act(header.kind, VerifiedEntry(decoded).content())
            if not isinstance(act, Opening | Inviting) or own not in dict(act.names):
                return False
            if isinstance(act, Opening) and act.kind != EXERCISE_KIND:
                return False
            return self._is_signed(decoded, partners.newest_card(header.author))
        except PeerError:
            return False

    def _is_signed(self, decoded: DecodedEntry, card: bytes | None) -> bool:
        key = None if card is None else key_for(decoded, [one.body for one in decode_versions(card)])
        if key is None:
            return False
        verify_entry(decoded, key)
        return True

    # --- life --------------------------------------------------------------------------------------

    def dropped(self, realm: Realm) -> None:
        """Close the file of an exercise, and forget it. Raises OperatorError `exercise-busy` while somebody reads it."""
        node = self._nodes.get(realm)
        if node is None:
            return
        try:
            node.store.close()
        except Exception:  # noqa: BLE001 another thread reads it in this moment: SQLite's own word for that is not for this room
            raise OperatorError(
                "the exercise is being read", hint="try again", reason="exercise-busy"
            ) from None
        del self._nodes[realm]
        self._follow()
        node.spaces = node.space_exchange = None  # whoever holds what was of it stops

    def close(self) -> None:
        """Close all files."""
        for realm in list(self._nodes):
            self.dropped(realm)


def exercises_of(node: Node) -> Exercises:
    """Returns the exercises of a real node, the same for everybody in the process; from the first call on their files are open."""
    assert node.ground.is_real, "an exercise holds no exercises"
    if node.exercises is None:
        node.exercises = Exercises(node)
    found: Exercises = node.exercises
    return found


def open_exercises(node: Node) -> list[Node]:
    """Returns the nodes of all exercises that are held; a daemon's start opens them."""
    return exercises_of(node).all()


def note_exercise(node: Node) -> EntryId | None:
    """Returns the id of the exercise that is played on a node's ground, and has the ground know it; None as long as its opening is not here."""
    if node.ground.exercise is None and not node.ground.is_real:
        for row in SpaceReading(node.store.database).all():
            if row.kind == EXERCISE_KIND:
                node.ground = NodeGround(node.ground.realm, row.space)
    return node.ground.exercise


def make_exercise(
    node: Node,
    title: str,
    tlp: int,
    invited: Sequence[tuple[PartnerId, str]],
    now: int,
    *,
    role: str = "white",
    realm: Realm | None = None,
) -> Node:
    """Draw a realm, make its file, and open its exercise with these partners, each with a role, and ourselves with `role`. Returns its node, whose
    ground has the id.

    Raises RefusedError `too-many-exercises`, what `Spaces.open` raises, StoreError; then no file is left.
    """
    exercises = exercises_of(node)
    realm = Realm(secrets.token_bytes(Realm.length)) if realm is None else realm
    made = exercises.made(realm)
    try:
        spaces_of(made).open(EXERCISE_KIND, title, tlp, invited, now, role=role)
    except BaseException:
        exercises.dropped(realm)
        delete_exercise_file(node.home, realm)
        raise
    note_exercise(made)
    return made


def exercise_named(node: Node, digits: str) -> Node:
    """Returns the node of the exercise whose id begins with these hexadecimal digits (6 at least), by its opening, or an invitation whose
    opening is not here.

    Raises AuthorError `bad-id`, `ambiguous`, NotFoundError `unknown-exercise`.
    """
    begun = digits.strip().lower()
    if not _DIGITS.fullmatch(begun):
        raise AuthorError(
            "an exercise is called by 6 to 64 hexadecimal digits of its id",
            hint="see `p2pshare exercise list`",
            reason="bad-id",
        )
    found = [
        one for one in open_exercises(node) if any(space.text.startswith(begun) for space in ids_of(one))
    ]
    if len(found) > 1:
        raise AuthorError("several exercises begin so", hint="give more of the id", reason="ambiguous")
    if not found:
        raise NotFoundError(
            "there is no such exercise here", hint="see `p2pshare exercise list`", reason="unknown-exercise"
        )
    return found[0]


def ids_of(node: Node) -> list[EntryId]:
    """Returns what an exercise's node may be called by: its exercise; else the spaces into which we are invited on its ground."""
    exercise = note_exercise(node)
    if exercise is not None:
        return [exercise]
    return sorted({one.space for one in SpaceReading(node.store.database).waiting(names_us=True)})


def introduced_by(node: Node) -> PartnerId | None:
    """Returns who handed over an exercise: its opening, else the first invitation; ourselves where we made it."""
    reading = SpaceReading(node.store.database)
    for row in reading.all():
        return row.introduced_by
    for one in reading.waiting(names_us=True):
        return one.handed_by
    return None


# --- a real event ----------------------------------------------------------------------------------


def note_stop(node: Node, played: Node, now: int) -> None:
    """Have the real store know whether a real event has stopped an exercise, by what was folded last: its id and nothing else."""
    exercise = note_exercise(played)
    state = None if exercise is None else spaces_of(played).newest(exercise)
    if exercise is None or state is None:
        return
    has_stopped = isinstance(state.kind, ExerciseFold) and state.kind.real_event() is not None
    store = SpaceStore(node.store.database)
    if has_stopped != any(one == exercise for one, _ in store.stopped()):
        store.put_stopped(exercise, now if has_stopped else None)


# --- removing --------------------------------------------------------------------------------------


def removed_mark(realm: Realm) -> EntryId:
    """Returns what stands for a removed realm among the purged spaces of the real store; the realm does not follow from it."""
    return EntryId(CircleId.of_realm(realm) + bytes(EntryId.length - CircleId.length))


def remove_exercise(node: Node, played: Node, now: int) -> ExerciseRemoval:
    """Remove an exercise from this node: its file, and what SQLite keeps beside it. Nothing of its realm is taken in any more.

    Its sealed envelopes stay in the log as ciphertext until they expire, at most 7 days. Raises StoreError where anything of the file is left, OperatorError
    `exercise-busy` while somebody reads it: ask again.
    """
    realm, exercise = played.ground.realm, note_exercise(played)
    reading = SpaceReading(played.store.database)
    entries = sum(reading.entry_count(row) for row in reading.all())
    exercises, store = exercises_of(node), SpaceStore(node.store.database)
    store.note_purged(removed_mark(realm), now)
    exercises.dropped(realm)
    if exercise is not None:
        store.put_stopped(exercise, None)
        node.store.database.cut_log()  # its id is in no older page of the store's log either
    try:
        deleted = delete_exercise_file(node.home, realm)
    except StoreError as error:  # it is removed once whatever keeps it is mended
        exercises.damaged.append(DamagedExercise(realm, error.reason))
        raise
    return ExerciseRemoval(exercise, realm, tuple(deleted), tuple(files_of(node.home, realm)), entries)


def remove_damaged(node: Node, realm: Realm, now: int) -> ExerciseRemoval:
    """Remove the file of an exercise that cannot be opened. Raises as `remove_exercise`."""
    exercises = exercises_of(node)
    SpaceStore(node.store.database).note_purged(removed_mark(realm), now)
    deleted = delete_exercise_file(node.home, realm)
    exercises.damaged = [one for one in exercises.damaged if one.realm != realm]
    return ExerciseRemoval(None, realm, tuple(deleted), tuple(files_of(node.home, realm)), 0)


def _is_partner(node: Node, author: PartnerId) -> bool:
    return any(row.partner_id == author for row in node.store.partners.all())
