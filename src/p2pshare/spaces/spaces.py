"""The spaces of one node: what it writes, what comes, what waits, and what holds (docs/spaces.md, "What is taken in").

Rules:

1. What comes is asked for rules 1 to 17 in their order; here are 8 to 12, `spaces.taking_in` has the rest. Each entry that was handed
   over has one verdict, and every refusal is counted to whoever handed it over.
2. What waits is in the store: it goes on after a restart. What waits for a card was verified by nobody, so it is limited by who
   handed it over; the rest by its author.
3. What a transaction did not keep is in no fold either: after a fault the folds are read from the store anew.
4. Nothing is written that would have no effect, but content of our own fork, which another's entry confirms.
5. What takes long is done in slices, and other work of the writer in between: a space is read into memory (`ready`), and folded after
   what came (`go_on`), at most once in `FOLD_PAUSE_SECONDS`. Who asks without waiting for that has the rest done at once.
6. A space of other rules than ours is held and shown, and nothing is said in it.

Only the thread that writes the store may use it. It sends nothing: `spaces.space_exchange` does.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from p2pshare.database.database import Database
from p2pshare.envelope.card import accept_update, believe_chain
from p2pshare.envelope.card_format import CardBody, decode_card, decode_versions, split_versions
from p2pshare.envelope.entry import (
    BODY_SALT_BYTES,
    NO_SPACE,
    REAL,
    DecodedEntry,
    EntryDraft,
    EntryHeader,
    HeaderRecall,
    VerifiedEntry,
    decode_entry,
    entry_id_of,
    is_body_of,
    sign_entry,
    verify_entry,
    without_body,
)
from p2pshare.envelope.hybrid import VerifyKey
from p2pshare.envelope.keys import Identity
from p2pshare.errors import AuthorError, NotFoundError, PeerError, RefusedError
from p2pshare.identifiers import EntryId, PartnerId, Realm
from p2pshare.limits import (
    ENTRY_NUMBER_MAX,
    EXERCISE_BYTES_MAX,
    INTRODUCED_CARD_BYTES_MAX,
    MIB,
    SPACE_BODIES_BYTES_MAX,
    SPACE_ENTRIES_MAX,
    SPACE_INVITATIONS_MAX,
    SPACE_WAITING_BYTES_MAX,
    SPACE_WAITING_FOR_CARD_MAX,
    SPACE_WAITING_MAX,
    SPACES_PER_OPENER_MAX,
)
from p2pshare.partners.partners import Partners
from p2pshare.spaces.acts import RULES, Act, Inviting, Names, Opening, Plain, Redaction, decode_act
from p2pshare.spaces.canonical import canonical, unfolded
from p2pshare.spaces.fold import SpaceFold, SpaceState
from p2pshare.spaces.looking_ahead import next_takeover
from p2pshare.spaces.registry import load_space_kind
from p2pshare.spaces.space_store import (
    WAITS_FOR_CARD,
    WAITS_FOR_PARENTS,
    SpaceReading,
    SpaceRow,
    SpaceStore,
    WaitingEntry,
)
from p2pshare.spaces.taking_in import Awaited, Held, IntakeOutcome, SpaceIntake, key_for
from p2pshare.spaces.vertex import SpaceEntry, Vertex
from p2pshare.spaces.writing import SpaceStatement, join_draft, write, write_join

LOADED_ENTRIES_MAX = (
    200_000  # of all spaces in memory with their folds, but for the one asked for last: some 2 kB each
)
LOADED_BYTES_MAX = 256 * MIB  # of the bodies that those folds read, as long
FREEZE_ENTRIES = (
    4_096  # that came since, before what is in memory is put aside from the garbage collector again
)
FOLD_PAUSE_SECONDS = 10  # between two whole folds for what comes; who asks has one at once
SMALL_SPACE_ENTRIES = (
    1_000  # folded once a second, in some 30 ms: entries wait for it, for who may have them follows from it
)
DROPPED_AT_ONCE = 64  # bodies overwritten in one step, at most 16 MiB: one attachment
WAITING_SECONDS_MAX = (
    14 * 86_400
)  # twice as long as an envelope is carried: what an entry waits for is with nobody who tells it
WAITING_SWEEP_SECONDS = 3_600
WAITING_AT_ONCE = 16  # entries that wait, read in one step of loading: of 280 kB each some 4 ms

HELD = "held"
ALREADY_HELD = "already-held"
WAITS = "waits"
REFUSED = "refused"

EXERCISE_KIND = "exercise"
INCIDENT_KIND = "incident"
WRONG_REALM = "wrong-realm"
NOT_PLAYING = "not-playing"
WRITTEN_WHEN_FULL = frozenset(
    {"pause", "stamp", "end", "leave", "redact"}
)  # small, and they end what filled it; acts to be stamped come no more


@dataclass(frozen=True, slots=True)
class EntryVerdict:
    """What became of an entry: one of the words above, and why it waits or was refused. No id where it had no shape."""

    entry_id: EntryId | None
    status: str
    reason: str = ""


@dataclass(slots=True)
class EntriesTaken:
    """What became of what was handed over, in its order, and of what had waited for it."""

    verdicts: list[EntryVerdict] = field(default_factory=list)
    freed: list[EntryVerdict] = field(default_factory=list)


class LoadedSpace:
    """A space in memory: its fold, its intake, and how much of each author is held."""

    def __init__(self, row: SpaceRow) -> None:
        self.row = row
        self.fold = SpaceFold()
        self.intake = SpaceIntake(self.fold)
        self.entries_of: Counter[PartnerId] = Counter()
        self.body_bytes_of: Counter[PartnerId] = Counter()
        self.read_bytes = 0
        """Of the bodies that the fold keeps."""
        self.folded_at = 0
        self.left_out: set[EntryId] = set()
        """Stored entries whose header was changed on the disk, and what follows them: no fold can have them before a good copy of the
        first has come."""
        self.dropped: set[EntryId] = set()
        """Entries whose bodies were dropped by a redaction that no fold knows yet."""
        self._to_drop: list[EntryId] = []
        self._swept: SpaceState | None = None
        """The state by which `_to_drop` was found."""
        self._frozen = 0

    def put_back(self, entry: SpaceEntry) -> None:
        """Add an entry that was taken in before, after its parents."""
        vertex = self.intake.put_back(entry)
        self._count(vertex.header)
        if vertex.content is not None:
            self.read_bytes += len(vertex.content)

    def count(self, entry: VerifiedEntry) -> None:
        """Count an entry that was added to the fold."""
        self._count(entry.header)
        self.read_bytes += len(entry.decoded.body)

    def _count(self, header: EntryHeader) -> None:
        self.entries_of[header.author] += 1
        self.body_bytes_of[header.author] += header.body_bytes

    def is_full_of(self, author: PartnerId) -> bool:
        """Returns whether an author has as much here as one without a fork can ever have."""
        return (
            self.entries_of[author] >= ENTRY_NUMBER_MAX
            or self.body_bytes_of[author] >= SPACE_BODIES_BYTES_MAX
        )

    def bodies_to_drop(self) -> list[EntryId]:
        """Returns the redacted entries whose bodies are still to leave the store, whoever folded it; whoever drops some takes them off the list."""
        state = self.fold.newest_state
        if state is not self._swept and not self.fold.is_under_way:
            self._swept = state
            self.dropped = {one for one in self.dropped if not self.fold.is_dropped(one)}
            self._to_drop = self.fold.redacted_bodies()
        return self._to_drop

    def is_due(self, now: int) -> bool:
        """Returns whether a whole fold is under way, or is to be begun."""
        fold = self.fold
        if fold.is_under_way:
            return True
        pause = 1 if len(fold) <= SMALL_SPACE_ENTRIES else FOLD_PAUSE_SECONDS
        return fold.are_rules_known and fold.is_stale and abs(now - self.folded_at) >= pause

    def step(self, now: int) -> None:
        """Do a small step of a fold that is due."""
        if not self.fold.is_under_way:
            self.folded_at = now
            if len(self.fold) - self._frozen >= FREEZE_ENTRIES:
                self._frozen = len(self.fold)
                gc.freeze()
        self.fold.step()


class Spaces:
    """The spaces of one node on one ground. `identity` gives ours as it is now; `realm` is that of the ground."""

    def __init__(
        self,
        database: Database,
        partners: Partners,
        identity: Callable[[], Identity],
        realm: Realm = REAL,
    ) -> None:
        self.realm = realm
        self._database = database
        self._store = SpaceStore(database)
        self._partners = partners
        self._identity = identity
        self._loaded: dict[EntryId, LoadedSpace] = {}
        self._mended: set[EntryId] = set()
        self._loading: dict[EntryId, tuple[LoadedSpace, Iterator[None]]] = {}
        self._asked: set[EntryId] = set()
        self._swept_at = 0
        self._has_dropped = False
        """Whether bodies were dropped that the write-ahead log may still have."""
        self._versions: dict[PartnerId, list[CardBody]] = {}
        self._partner_ids: set[PartnerId] = set()

    # --- in slices ---------------------------------------------------------------------------------

    def ready(self, space: EntryId, now: int) -> bool:
        """Do a slice of reading a space into memory and folding it once. Returns True when that is done, or it is not held."""
        loaded = self._loaded.get(space)
        if loaded is None:
            started = self._loading.get(space)
            if started is None:
                row = self._store.find(space)
                if row is None:
                    return True
                loaded = LoadedSpace(row)
                started = self._loading[space] = (loaded, self._reading(loaded))
            loaded, steps = started
            try:
                next(steps)
                gc.freeze()  # what was read stays as long as the space: to look through it again and again would hold everybody up
            except StopIteration:
                del self._loading[space]
                self._keep_loaded(loaded)
            except BaseException:
                del self._loading[space]
                raise
            return False
        if loaded.fold.newest_state is None and loaded.is_due(now):
            loaded.step(now)
            return False
        return True

    def go_on(self, now: int, *, may_end: bool = True) -> bool:
        """Do a slice of what is due: reading the spaces that `current` was asked for, folding after what came. Without `may_end`, where the
        clock is in doubt, nothing that waits is let go for its age. Returns whether more is to be done at once."""
        while self._asked:
            space = next(iter(self._asked))
            if not self.ready(space, now):
                return True
            self._asked.discard(space)
        due = [loaded for loaded in self._loaded.values() if loaded.is_due(now)]
        if due:
            due[0].step(now)
            return len(due) > 1 or due[0].is_due(now) or bool(due[0].bodies_to_drop())
        for loaded in self._loaded.values():
            if gone := loaded.bodies_to_drop():
                self._drop_bodies(loaded, gone[:DROPPED_AT_ONCE])
                del gone[:DROPPED_AT_ONCE]
                return True
        if may_end and (now >= self._swept_at + WAITING_SWEEP_SECONDS or now < self._swept_at):
            if self._end_long_waits(now):
                return True
            self._swept_at = now
        if self._has_dropped:  # a reader may have been in the way: then the next time
            self._has_dropped = not self._database.cut_log()
        return False

    def _end_long_waits(self, now: int) -> bool:
        """Let go of some of what has waited too long; returns whether there may be more. Where it was worth waiting for, heads bring it again."""
        own = self._identity().partner_id
        old = self._store.waits_since_before(now - WAITING_SECONDS_MAX, own, WAITING_AT_ONCE)
        if not old:
            return False
        with self._whole():
            for one in old:
                self._store.drop_waiting(one.row)
                self._count(one.handed_by, [EntryVerdict(one.entry_id, REFUSED, "later")])
                loaded = self._loaded.get(one.space)
                if loaded is not None and one.reason == WAITS_FOR_PARENTS:
                    loaded.intake.forget(one.entry_id)
        return True

    def newest(self, space: EntryId) -> SpaceState | None:
        """Returns what held in a space when it was folded last; nothing is read or folded. None: it was not, or is not in memory."""
        loaded = self._loaded.get(space)
        return None if loaded is None else loaded.fold.newest_state

    def _reading(self, loaded: LoadedSpace) -> Iterator[None]:
        """Read what is held of a space, and what waits; yields between small steps."""
        last, recall = 0, HeaderRecall()
        while stored := self._store.entries_behind(loaded.row, last):
            damaged = []
            for one in stored:
                entry_id = recall.entry_id(one.entry_id)
                if entry_id_of(one.header) != entry_id:
                    damaged.append(one.row)
                    loaded.left_out.add(entry_id)
                    continue
                header, content = recall.read(one.header), None
                if loaded.left_out and not loaded.left_out.isdisjoint(header.parents):
                    loaded.left_out.add(entry_id)
                    continue
                if one.body is not None:
                    if is_body_of(header, one.body):
                        content = one.body[BODY_SALT_BYTES:]
                    else:
                        damaged.append(one.row)
                loaded.put_back(SpaceEntry(entry_id, header, content))
            if damaged:
                self._store.note_damaged(loaded.row, damaged)
            last = stored[-1].row
            yield
        waiting = self._store.waiting(space=loaded.row.space, reason=WAITS_FOR_PARENTS)
        for number, waiting_one in enumerate(waiting):
            waits = self._waiting_entry(waiting_one)
            if waits is not None:  # it waits again: its parents were missing when this was last written
                loaded.intake.take_in(waits)
            if number % WAITING_AT_ONCE == WAITING_AT_ONCE - 1:
                yield

    # --- asking ------------------------------------------------------------------------------------

    def state(self, space: EntryId) -> SpaceState:
        """Returns what holds in a space, after all that is held of it. Raises NotFoundError, RefusedError `unknown-rules`."""
        return self._folded(self._require(space)).state()

    def effect_of(self, space: EntryId, entry_id: EntryId) -> str:
        """Returns "" for an entry with an effect, else the code why it has none. Raises as `state`, KeyError."""
        fold = self._folded(self._require(space))
        fold.state()
        return fold.effect_of(entry_id)

    def canonical(self, space: EntryId) -> bytes:
        """Returns the canonical output of a space; nothing is folded where nothing has changed. Raises NotFoundError."""
        row = self._store.find(space)
        if row is None:
            raise _unknown()
        output = self._store.canonical(row)
        if output is None:
            output = output_of(self._require(space).fold)
            self._store.put_canonical(row, output)
        return output

    def _folded(self, loaded: LoadedSpace) -> SpaceFold:
        """Returns the fold of a space. Raises RefusedError `unknown-rules`."""
        if not loaded.fold.are_rules_known:
            raise _void("unknown-rules")
        return loaded.fold

    def invitations(self) -> list[WaitingEntry]:
        """Returns the invitations of ours whose own past is not here yet."""
        return self._store.waiting(names_us=True)

    def current(self, space: EntryId) -> tuple[SpaceFold, SpaceIntake] | None:
        """Returns the fold of a space whose state is up to date, and what waits; None where it is to be read or folded first (`go_on` will),
        its opening is not held, or its rules are not known."""
        loaded = self._loaded.get(space)
        if loaded is None:
            self._asked.add(space)
            return None
        return (loaded.fold, loaded.intake) if loaded.fold.is_current else None

    def has_unknown_rules(self, space: EntryId) -> bool:
        """Returns whether a space is in memory and of other rules than ours."""
        loaded = self._loaded.get(space)
        return loaded is not None and not loaded.fold.are_rules_known

    def members_of(self, space: EntryId) -> Mapping[PartnerId, str] | None:
        """Returns the status of each member as it was last folded; None where that was not since the start."""
        state = self.newest(space)
        return None if state is None else state.members

    def forget(self) -> None:
        """Read every space from the store anew: what was taken in by a transaction that was undone is in no fold."""
        self._loaded.clear()
        self._loading.clear()
        gc.unfreeze()

    def wanted(self, space: EntryId) -> list[EntryId]:
        """Returns the ids for which entries of a space wait. Raises NotFoundError."""
        return list(self._require(space).intake.wanted())

    def room_for(self, space: EntryId, entries: int, size: int) -> str:
        """Returns the code why we cannot write so many entries, of so many bytes together, after all that is held; or "". Raises NotFoundError."""
        loaded, own = self._require(space), self._identity().partner_id
        if loaded.entries_of[own] + entries > ENTRY_NUMBER_MAX:
            return "author-full"
        is_full = (
            len(loaded.fold) + entries > SPACE_ENTRIES_MAX
            or loaded.body_bytes_of.total() + size > SPACE_BODIES_BYTES_MAX
        )
        return "space-full" if is_full else ""

    # --- writing -----------------------------------------------------------------------------------

    def open(
        self,
        kind: str,
        title: str,
        tlp: int,
        invited: Iterable[tuple[PartnerId, str]],
        now: int,
        *,
        role: str = "",
    ) -> VerifiedEntry:
        """Open a space with ourselves and who is invited, each with a role ("" mostly). Returns the opening.

        Raises AuthorError for a kind that is not known, RefusedError for what nobody would take in.
        """
        if load_space_kind(kind) is None:
            raise AuthorError(f"there is no kind of space called {kind}", reason="unknown-kind")
        own = self._identity()
        if reason := self._why_not_here(kind, own.partner_id):
            raise _void(reason)
        invited = list(invited)
        if kind == INCIDENT_KIND:
            self._require_players(member for member, _ in invited)
        names: Names = tuple(sorted({**dict(invited), own.partner_id: role}.items()))
        act = Opening(RULES, kind, title, names)
        draft = EntryDraft(self.realm, NO_SPACE, own.partner_id, 1, (), 1, now, "open", tlp)
        try:
            opening = sign_entry(draft, act.encode(), own.operational.sign)
            SpaceFold().add(SpaceEntry.of(opening))
        except PeerError as error:
            raise _void(error.reason) from error
        self._store.put_space(opening, act, own.partner_id, now)
        return opening

    def is_full(self) -> bool:
        """Returns whether an exercise takes as much of the disk as it may: then nothing more is taken in. What is real knows other bounds."""
        return self.realm != REAL and self._database.disk_bytes()[0] >= EXERCISE_BYTES_MAX

    def _why_not_here(self, kind: str, opener: PartnerId) -> str:
        """Returns why a space of a kind may not be opened on this ground by this partner, or "".

        On real ground no exercise. In a realm one exercise, and incidents of those who have joined it.
        """
        if self.realm == REAL:
            return WRONG_REALM if kind == EXERCISE_KIND else ""
        played = [row for row in self._store.all() if row.kind == EXERCISE_KIND]
        if kind == EXERCISE_KIND:
            return "realm-taken" if played else ""
        if kind != INCIDENT_KIND:
            return "kind-not-allowed"
        is_playing = played and self.state(played[0].space).members.get(opener) == "joined"
        return "" if is_playing else NOT_PLAYING

    def _require_players(self, members: Iterable[PartnerId]) -> None:
        """Raises RefusedError `not-playing` where one of these is invited on an exercise's ground and is no member of it."""
        if self.realm == REAL:
            return
        played = [row for row in self._store.all() if row.kind == EXERCISE_KIND]
        known = self.state(played[0].space).members if played else {}
        if any(known.get(member) not in ("joined", "invited", "forked") for member in members):
            raise _void(NOT_PLAYING)

    def say(
        self, space: EntryId, said: SpaceStatement, now: int, *, left_out: Iterable[EntryId] = ()
    ) -> list[VerifiedEntry]:
        """Write an entry after all that we hold of a space. Returns it, last, behind the merges it needed.

        `left_out`: heads not to cite (`spaces.writing.write`). Raises NotFoundError, RefusedError with the code why it would
        have no effect, or would not be taken in.
        """
        loaded = self._require(space)
        own = self._identity()
        if said.kind not in WRITTEN_WHEN_FULL and self.is_full():
            raise RefusedError(
                f"this exercise has {EXERCISE_BYTES_MAX:,} bytes here, as much as one may",
                hint="end it, and go on in a new one",
                reason="exercise-full",
            )

        def written() -> list[VerifiedEntry]:
            return write(loaded.fold, own.partner_id, said, now, self._sign, left_out=tuple(left_out))

        return self._put_own(loaded, written, now)

    def join(self, space: EntryId, now: int) -> VerifiedEntry:
        """Accept the newest invitation into a space, also where its own past is not here: then the join waits beside it.

        Raises NotFoundError, RefusedError `not-invited`, `joined`.
        """
        own = self._identity().partner_id
        loaded = self._load(space)
        if loaded is not None:
            state = self._folded(loaded).state()
            if state.members.get(own) == "joined":
                raise RefusedError("we have joined this space already", reason="joined")
            named = [vertex for vertex in state.timeline if _names(vertex, own)]
            if named and state.members.get(own) == "invited":
                invitation = named[-1].entry_id
                fold = loaded.fold
                return self._put_own(
                    loaded, lambda: [write_join(fold, own, invitation, now, self._sign)], now
                )[-1]
        return self._answer_waiting(space, "join", now)

    def _answer_waiting(self, space: EntryId, kind: str, now: int) -> VerifiedEntry:
        """Answer the newest invitation whose own past is not here. The answer waits beside it."""
        waiting = self._store.waiting(space=space, names_us=True)
        if not waiting:
            if self._load(space) is None:
                raise _unknown()
            raise RefusedError(
                "nobody has invited us into this space", hint="its lead may", reason="not-invited"
            )
        newest = max(waiting, key=lambda one: (one.depth, one.entry_id))
        wire = self._store.waiting_wire(newest.row)
        assert wire is not None
        own, cited = self._identity().partner_id, decode_entry(wire, self.realm)
        answer = self._sign(join_draft(cited.header, cited.entry_id, own, now, kind=kind), Plain().encode())
        with self._whole():
            self._take_verified(answer, own, now, EntriesTaken())
        return answer

    def _put_own(
        self, loaded: LoadedSpace, writing: Callable[[], list[VerifiedEntry]], now: int
    ) -> list[VerifiedEntry]:
        """Store what `writing` adds to the fold, if it has an effect; else the fold forgets it. Raises RefusedError."""
        if loaded.left_out:  # one of them may be ours: its number would be used twice, which is a fork
            raise _damaged("an entry")
        with self._whole():
            try:
                entries = writing()
            except PeerError as error:
                raise _void(error.reason) from error
            for entry in entries:
                reason = loaded.intake.refusal_of(entry.header)
                if reason:
                    raise _void(reason)
            code = loaded.fold.effect_of_newest()
            if code not in ("", "unconfirmed"):
                raise _void(code)
            for entry in entries:
                self._store.put_entry(loaded.row, entry, now)
                loaded.count(entry)
        return entries

    def _sign(self, draft: EntryDraft, content: bytes) -> VerifiedEntry:
        return sign_entry(draft, content, self._identity().operational.sign)

    # --- taking in ---------------------------------------------------------------------------------

    def take_in(self, wires: Sequence[bytes], handed_by: PartnerId, now: int) -> EntriesTaken:
        """Take in what a partner handed over, one transaction for all of it; whoever wants the state of that calls `go_on`.

        Raises DiskFull, StoreError; then nothing is kept.
        """
        taken = EntriesTaken()
        with self._whole():
            for wire in wires:
                taken.verdicts.append(self._take(wire, handed_by, now, taken))
            self._count(handed_by, taken.verdicts)
            if self.realm != REAL and any(one.status == HELD for one in taken.verdicts):
                self._open_what_waited(now, taken)
        return taken

    def _open_what_waited(self, now: int, taken: EntriesTaken) -> None:
        """Take in the openings that waited until their author had joined the exercise."""
        for one in self._store.waiting(names_us=True):
            if one.entry_id != one.space or self._why_not_here(INCIDENT_KIND, one.author):
                continue
            opening = self._waiting_entry(one)
            if opening is not None:
                self._store.drop_waiting(one.row)
                verdict = self._begin(opening, one.handed_by, now, taken)
                self._count(one.handed_by, [verdict])
                taken.freed.append(verdict)

    def take_card(self, raw: bytes, handed_by: PartnerId, now: int) -> EntriesTaken:
        """Take in the card of a member that is no partner, for whose entries it is needed; what waited for it is taken in.

        Raises PeerError: `oversized`, `not-introduced` (a partner's, or our own), `not-a-member`, or what is wrong with it.
        """
        if len(raw) > INTRODUCED_CARD_BYTES_MAX:
            raise PeerError("a member's card is too large", reason="oversized")
        member = decode_card(split_versions(raw)[-1]).body.partner_id
        self._look_at_partners()
        if member in self._partner_ids or member == self._identity().partner_id:
            raise PeerError("a partner's card comes from itself", reason="not-introduced")
        held = self._store.introduced_card(member)
        waiting = self._store.waiting(author=member, reason=WAITS_FOR_CARD)
        if held is None and not any(self._has_named(one, member) for one in waiting):
            raise PeerError("no space that waits for this card names its owner", reason="not-a-member")
        card = believe_chain(raw) if held is None else accept_update(believe_chain(held), raw, now)
        with self._whole():
            self._store.put_introduced_card(member, card.version, card.raw, handed_by, now)
            return self._free(member, now)

    def card_came(self, author: PartnerId, now: int) -> EntriesTaken:
        """Take in what waited for a card of `author`, of whom the node has a newer one now."""
        with self._whole():
            return self._free(author, now)

    def _free(self, author: PartnerId, now: int) -> EntriesTaken:
        taken = EntriesTaken()
        self._versions.pop(author, None)
        for one in self._store.waiting(author=author, reason=WAITS_FOR_CARD):
            wire = self._store.waiting_wire(one.row)
            if wire is not None:  # another copy was good
                self._store.drop_waiting(one.row)
                verdict = self._take(wire, one.handed_by, now, taken)
                self._count(one.handed_by, [verdict])
                taken.freed.append(verdict)
        return taken

    def _take(self, wire: bytes, handed_by: PartnerId, now: int, taken: EntriesTaken) -> EntryVerdict:
        """Returns what becomes of an entry: rules 1 to 12, and then the rest."""
        try:
            decoded = decode_entry(wire, self.realm)
        except PeerError as error:
            return EntryVerdict(None, REFUSED, error.reason)
        if decoded.body and self._is_for_others(decoded.header):
            stripped = without_body(VerifiedEntry(decoded))
            decoded, wire = stripped.decoded, stripped.wire
        entry_id = decoded.entry_id
        try:
            verdict = self._stop(decoded)
            if verdict is not None:
                return verdict
            key = self._key(decoded)
            if key is None:
                return self._wait_for_card(decoded, wire, handed_by, now)
            return self._take_verified(verify_entry(decoded, key), handed_by, now, taken)
        except PeerError as error:
            return EntryVerdict(entry_id, REFUSED, error.reason)

    def _is_for_others(self, header: EntryHeader) -> bool:
        """Returns whether a body is sealed for others: a liar in its audience plants it in no store that must not have it."""
        own = self._identity().partner_id
        return bool(header.audience) and own != header.author and own not in header.audience

    def _stop(self, decoded: DecodedEntry) -> EntryVerdict | None:
        """Returns why an entry is not even verified: rules 8 and 9. Raises PeerError `not-a-member`, `body-mismatch`."""
        header, entry_id = decoded.header, decoded.entry_id
        loaded = self._load(_space_of(decoded))
        if loaded is None:
            if self._store.is_purged(_space_of(decoded)):
                raise PeerError("an entry is of a space that was purged here", reason="not-a-member")
            if self._store.waiting(space=_space_of(decoded), names_us=True):
                return None
            if header.kind not in ("open", "invite") or header.author not in self._partner_ids:
                raise PeerError("an entry is of no space that we know", reason="not-a-member")
            content = VerifiedEntry(decoded).content()
            if not _is_named(header.kind, content, self._identity().partner_id):
                raise PeerError("an entry names others than us", reason="not-a-member")
            return None
        if entry_id in loaded.fold:
            is_dropped = entry_id in loaded.dropped or loaded.fold.is_dropped(entry_id)
            is_wanted = loaded.fold.lacks_body(entry_id) and not is_dropped
            if not (is_wanted and VerifiedEntry(decoded).body_fits()):
                return EntryVerdict(entry_id, ALREADY_HELD)
        elif loaded.is_full_of(header.author):
            return EntryVerdict(entry_id, REFUSED, "later")
        return None

    def _key(self, decoded: DecodedEntry) -> VerifyKey | None:
        """Returns the key that must have signed an entry; None: it waits for a card. Raises PeerError."""
        return key_for(decoded, self._versions_of(decoded.header.author))

    def _versions_of(self, author: PartnerId) -> list[CardBody]:
        """Returns the versions of an author's card that are here, oldest first."""
        found = self._versions.get(author)
        if found is None:
            own = self._identity()
            if author == own.partner_id:
                raw: bytes | None = own.card.raw
            else:
                raw = self._partners.newest_card(author) or self._store.introduced_card(author)
            found = [one.body for one in decode_versions(raw)] if raw else []
            self._versions[author] = found
        return found

    def _take_verified(
        self, entry: VerifiedEntry, handed_by: PartnerId, now: int, taken: EntriesTaken
    ) -> EntryVerdict:
        """Returns what becomes of an entry whose signatures held: rules 13 to 17."""
        if entry.header.kind == "open" and self._load(entry.entry_id) is None:
            return self._begin(entry, handed_by, now, taken)
        opening = entry.header.kind == "open"
        loaded = self._load(entry.entry_id if opening else entry.header.space)
        if loaded is None:
            return self._wait_without_space(entry, handed_by, now)
        if opening and not len(loaded.fold):
            return self._keep(loaded, Held(entry), handed_by, now, is_new=False)
        was_held = entry.entry_id in loaded.fold
        misses = any(parent not in loaded.fold for parent in entry.header.parents)
        if misses and loaded.intake.awaited(entry.entry_id) is None and self._has_too_much(handed_by, entry):
            return EntryVerdict(entry.entry_id, REFUSED, "later")
        outcomes = loaded.intake.take_in(entry)
        verdicts = [
            self._keep(
                loaded, outcome, handed_by, now, is_freed=number > 0, is_new=number > 0 or not was_held
            )
            for number, outcome in enumerate(outcomes)
        ]
        taken.freed += verdicts[1:]
        return verdicts[0]

    def _begin(
        self, opening: VerifiedEntry, handed_by: PartnerId, now: int, taken: EntriesTaken
    ) -> EntryVerdict:
        """Hold a space whose opening came, and take in what waited for it."""
        header, content = opening.header, opening.content()
        if header.author != self._identity().partner_id and (
            self._store.opened_by(header.author) >= SPACES_PER_OPENER_MAX
        ):
            return EntryVerdict(opening.entry_id, REFUSED, "later")
        SpaceFold().add(SpaceEntry.of(opening))  # raises for one that says nothing that could be folded
        act = decode_act("open", content)
        assert isinstance(act, Opening)
        reason = self._why_not_here(act.kind, header.author)
        if reason == NOT_PLAYING:
            return self._wait_without_space(opening, handed_by, now)
        if reason:
            return EntryVerdict(opening.entry_id, REFUSED, reason)
        row = self._store.put_space(opening, act, handed_by, now)
        loaded = self._keep_loaded(LoadedSpace(row))
        loaded.put_back(SpaceEntry.of(opening))
        for one in self._store.waiting(space=opening.entry_id, reason=WAITS_FOR_PARENTS):
            waits = self._waiting_entry(one)
            if waits is not None:
                outcomes = loaded.intake.take_in(waits)
                taken.freed += [self._keep(loaded, outcome, one.handed_by, now) for outcome in outcomes]
        return EntryVerdict(opening.entry_id, HELD)

    def _keep(
        self,
        loaded: LoadedSpace,
        outcome: IntakeOutcome,
        handed_by: PartnerId,
        now: int,
        *,
        is_new: bool = True,
        is_freed: bool = True,
    ) -> EntryVerdict:
        """Store what became of an entry. `is_freed`: it waited, and is counted to whoever had handed it over then."""
        if isinstance(outcome, Held):
            self._store.put_entry(loaded.row, outcome.entry, now)
            if outcome.entry.entry_id in loaded.left_out:
                self._mended.add(loaded.row.space)
            if is_new:
                loaded.count(outcome.entry)
            self._store.end_waiting(outcome.entry.entry_id, WAITS_FOR_PARENTS)
            if outcome.entry.body_fits():  # else another copy may have it
                self._store.end_waiting(outcome.entry.entry_id, WAITS_FOR_CARD)
            return EntryVerdict(outcome.entry.entry_id, HELD)
        if isinstance(outcome, Awaited):
            entry = loaded.intake.awaited(outcome.entry_id)
            assert entry is not None
            self._put_waiting(entry, handed_by, now)
            return EntryVerdict(outcome.entry_id, WAITS, WAITS_FOR_PARENTS)
        if outcome.reason == "held":
            return EntryVerdict(outcome.entry_id, ALREADY_HELD)
        verdict = EntryVerdict(outcome.entry_id, REFUSED, outcome.reason)
        for one in self._store.waiting(entry_id=outcome.entry_id, reason=WAITS_FOR_PARENTS):
            self._store.drop_waiting(one.row)
            if is_freed:
                self._count(one.handed_by, [verdict])
        return verdict

    # --- what waits --------------------------------------------------------------------------------

    def _put_waiting(self, entry: VerifiedEntry, handed_by: PartnerId, now: int) -> None:
        own, header = self._identity().partner_id, entry.header
        is_known = bool(self._store.waiting(entry_id=entry.entry_id, reason=WAITS_FOR_PARENTS))
        if is_known and not entry.body_fits():
            return  # whoever passes on a stripped copy spoils none that waits
        names_us = (
            header.kind in ("invite", "open")
            and header.author in self._partner_ids
            and entry.body_fits()
            and _is_named(header.kind, entry.content(), own)
        )
        self._store.put_waiting(
            entry.decoded, entry.wire, WAITS_FOR_PARENTS, handed_by, now, names_us=names_us
        )

    def _wait_for_card(
        self, decoded: DecodedEntry, wire: bytes, handed_by: PartnerId, now: int
    ) -> EntryVerdict:
        """Keep an entry that cannot be verified. Where too many wait, who handed over most loses what is farthest ahead."""
        if self._has_too_much(handed_by, VerifiedEntry(decoded)):
            return EntryVerdict(decoded.entry_id, REFUSED, "later")
        self._store.put_waiting(decoded, wire, WAITS_FOR_CARD, handed_by, now)
        waiting = self._store.waiting(space=_space_of(decoded), reason=WAITS_FOR_CARD)
        return self._make_room(
            waiting, SPACE_WAITING_FOR_CARD_MAX, lambda one: one.handed_by, decoded.entry_id, WAITS_FOR_CARD
        )

    def _wait_without_space(self, entry: VerifiedEntry, handed_by: PartnerId, now: int) -> EntryVerdict:
        """Keep an entry of a space into which we are invited, and whose opening is not here."""
        space = _space_of(entry.decoded)
        if not self._store.waiting(space=space, names_us=True):
            if entry.header.kind not in ("invite", "open"):
                return EntryVerdict(entry.entry_id, REFUSED, "not-a-member")
            invited = {one.space for one in self.invitations() if one.author == entry.header.author}
            if len(invited) >= SPACE_INVITATIONS_MAX:
                return EntryVerdict(entry.entry_id, REFUSED, "later")
        if self._has_too_much(handed_by, entry):
            return EntryVerdict(entry.entry_id, REFUSED, "later")
        self._put_waiting(entry, handed_by, now)
        waiting = self._store.waiting(space=space, reason=WAITS_FOR_PARENTS)
        return self._make_room(
            waiting, SPACE_WAITING_MAX, lambda one: one.author, entry.entry_id, WAITS_FOR_PARENTS
        )

    def _make_room(
        self,
        waiting: list[WaitingEntry],
        most: int,
        side: Callable[[WaitingEntry], PartnerId],
        entry_id: EntryId,
        reason: str,
    ) -> EntryVerdict:
        """Returns what becomes of `entry_id`, the newest of what waits: whoever has most loses what is farthest ahead, but no
        invitation of ours."""
        if len(waiting) > most:
            waiting = [one for one in waiting if not one.names_us] or waiting
            count = Counter(side(one) for one in waiting)
            greatest = max(count, key=lambda one: (count[one], one))
            lost = max(
                (one for one in waiting if side(one) == greatest), key=lambda one: (one.depth, one.entry_id)
            )
            self._store.drop_waiting(lost.row)
            if lost.entry_id == entry_id:
                return EntryVerdict(entry_id, REFUSED, "later")
        return EntryVerdict(entry_id, WAITS, reason)

    def _has_too_much(self, handed_by: PartnerId, entry: VerifiedEntry) -> bool:
        waiting = self._store.waiting_bytes(handed_by)
        return waiting + len(entry.wire) > SPACE_WAITING_BYTES_MAX

    def _waiting_entry(self, one: WaitingEntry) -> VerifiedEntry | None:
        """Returns an entry that waits for parents: its signatures held when it came."""
        wire = self._store.waiting_wire(one.row)
        return None if wire is None else VerifiedEntry(decode_entry(wire, self.realm))

    def _has_named(self, waiting: WaitingEntry, member: PartnerId) -> bool:
        """Returns whether a space names a member: by its fold; or, where its opening is what waits, by its id, which is that of the
        opening and stands in an invitation of ours."""
        loaded = self._load(waiting.space)
        if loaded is None:
            is_opening = waiting.entry_id == waiting.space
            return is_opening and bool(self._store.waiting(space=waiting.space, names_us=True))
        return loaded.fold.has_named(member)

    # --- what a command asks of a space besides ------------------------------------------------------

    def decide(
        self, space: EntryId, kind: str, act: Act, now: int, *, left_out: Iterable[EntryId] = ()
    ) -> VerifiedEntry:
        """Write a deciding entry, marked as the space is. Raises what `say` raises."""
        row = self._require(space).row
        if isinstance(act, Inviting) and row.kind == INCIDENT_KIND:
            self._require_players(member for member, _ in act.names)
        tlp = row.tlp
        return self.say(space, SpaceStatement(kind, act.encode(), tlp), now, left_out=left_out)[-1]

    def decline(self, space: EntryId, now: int) -> VerifiedEntry:
        """Decline the newest invitation into a space, also where its own past is not here.

        Raises NotFoundError, RefusedError `joined`, `not-invited`.
        """
        loaded = self._load(space)
        if loaded is not None:
            status = self._folded(loaded).state().members.get(self._identity().partner_id)
            if status in ("joined", "forked"):
                raise RefusedError("we have joined this space: a member leaves", reason="joined")
            if status == "invited":
                return self.decide(space, "decline", Plain(), now)
        return self._answer_waiting(space, "decline", now)

    def take_over(self, space: EntryId, now: int, *, left_out: Collection[EntryId] = ()) -> VerifiedEntry:
        """Propose ourselves as lead, in the round that is next. Raises what `say` raises."""
        loaded, own = self._require(space), self._identity().partner_id

        def written() -> list[VerifiedEntry]:
            act = next_takeover(loaded.fold, own, left_out)
            said = SpaceStatement("takeover", act.encode(), loaded.row.tlp)
            return write(loaded.fold, own, said, now, self._sign, left_out=left_out)

        return self._put_own(loaded, written, now)[-1]

    def caught_up(self, space: EntryId, now: int) -> bool:
        """Do a slice of reading a space and folding all that is held of it, without the pause that `go_on` keeps. Returns True when that is
        done, or it is not held: what is asked next holds up nobody."""
        if not self.ready(space, now):
            return False
        loaded = self._loaded.get(space)
        if loaded is None or not loaded.fold.are_rules_known or loaded.fold.is_current:
            return True
        loaded.step(now)
        return False

    def fold_of(self, space: EntryId) -> SpaceFold:
        """Returns the fold of a space, to be read and let go. Raises as `state`."""
        return self._folded(self._require(space))

    def mark_shown(self, space: EntryId, numbers: Mapping[PartnerId, int]) -> None:
        """Note up to which number of each author a person was shown a space. Raises NotFoundError."""
        row = self._store.find(space)
        if row is None:
            raise _unknown()
        self._store.put_shown(row, numbers)

    def purge(self, space: EntryId, now: int) -> int:
        """Take a space off this node, a part at a time: from the first on it is unknown, and nothing of it is taken in any more.

        Returns how many of its entries are left: ask again until there are none. Raises NotFoundError.
        """
        self._loaded.pop(space, None)
        self._loading.pop(space, None)
        self._asked.discard(space)
        left = self._store.purge_some(space, now)
        if left is None:
            raise _unknown()
        return left

    def take_again(self, space: EntryId) -> None:
        """Take a space in again that was purged, when somebody hands it over. Raises NotFoundError."""
        if not self._store.forget_purge(space):
            raise _unknown()

    def redact(self, space: EntryId, entry: EntryId, now: int) -> VerifiedEntry:
        """Redact an entry; its body leaves this node at once, and the parts of what it names. Raises what `say` raises."""
        redaction = self.decide(space, "redact", Redaction(entry), now)
        loaded = self._require(space)
        named = loaded.fold.graph.get(entry)
        parts = [] if named is None else loaded.fold.graph.parts_before(named)
        gone = [entry, *(part.entry_id for part in parts)]
        self._drop_bodies(loaded, gone)
        loaded.dropped.update(gone)
        return redaction

    def _drop_bodies(self, loaded: LoadedSpace, entries: Sequence[EntryId]) -> None:
        """Drop the bodies of redacted entries, from memory and from the store."""
        if entries:
            for entry in entries:
                loaded.fold.drop_body(entry)
            self._store.drop_bodies(loaded.row, entries)
            self._has_dropped = True

    # --- what is in memory -------------------------------------------------------------------------

    def _require(self, space: EntryId) -> LoadedSpace:
        loaded = self._load(space)
        if loaded is None:
            raise _unknown()
        if not len(loaded.fold):
            raise _damaged("the opening")
        return loaded

    def _load(self, space: EntryId) -> LoadedSpace | None:
        """Returns a space with its fold, read from the store where it is not in memory; None where its opening is not held."""
        loaded = self._loaded.get(space)
        if loaded is not None:
            self._loaded[space] = self._loaded.pop(space)  # the last that was asked for
            return loaded
        row = self._store.find(space)
        if row is None:
            return None
        started = self._loading.pop(space, None)
        if started is None:
            loaded = LoadedSpace(row)
            started = loaded, self._reading(loaded)
        loaded, steps = started
        for _ in steps:
            pass
        return self._keep_loaded(loaded)

    def _keep_loaded(self, loaded: LoadedSpace) -> LoadedSpace:
        self._loaded[loaded.row.space] = loaded
        entries = sum(len(one.fold) for one in self._loaded.values())
        size = sum(one.read_bytes for one in self._loaded.values())
        while len(self._loaded) > 1 and (entries > LOADED_ENTRIES_MAX or size > LOADED_BYTES_MAX):
            dropped = self._loaded.pop(next(iter(self._loaded)))
            gc.unfreeze()
            entries -= len(dropped.fold)
            size -= dropped.read_bytes
        return loaded

    def together(self) -> AbstractContextManager[None]:
        """Returns a transaction for several entries: what it undoes is in no fold either."""
        return self._whole()

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Make what is done inside one transaction, for the folds as well (rule 3)."""
        self._look_at_partners()
        try:
            with self._database.transaction():
                yield
        except BaseException:
            self.forget()
            raise
        for space in self._mended:  # it is read anew, with what follows the good copy
            self._loaded.pop(space, None)
        self._mended.clear()

    def _look_at_partners(self) -> None:
        self._versions.clear()
        self._partner_ids = {row.partner_id for row in self._partners.all()}

    def _count(self, handed_by: PartnerId, verdicts: Iterable[EntryVerdict]) -> None:
        reasons = Counter(one.reason for one in verdicts if one.status == REFUSED)
        if reasons:
            self._partners.count_refusals(handed_by, reasons)


def read_canonical(reading: SpaceReading, row: SpaceRow) -> bytes:
    """Returns the canonical output of a space for who only reads; it is folded where nobody has done so since the last change."""
    output = reading.canonical(row)
    if output is None:
        fold = SpaceFold()
        for entry in reading.entries(row):
            fold.add(SpaceEntry.of(entry))
        output = output_of(fold)
    return output


def output_of(fold: SpaceFold) -> bytes:
    """Returns the canonical output of a fold; that of a space of other rules than ours says what is held, and decides nothing."""
    return canonical(fold.state()) if fold.are_rules_known else unfolded(fold.graph, fold.act)


def _space_of(decoded: DecodedEntry) -> EntryId:
    return decoded.entry_id if decoded.header.kind == "open" else decoded.header.space


def _is_named(kind: str, content: bytes, member: PartnerId) -> bool:
    """Returns whether an opening or invitation with this content names a member."""
    try:
        act = decode_act(kind, content)
    except PeerError:
        return False
    return isinstance(act, Opening | Inviting) and member in dict(act.names)


def _names(vertex: Vertex, member: PartnerId) -> bool:
    return isinstance(vertex.act, Opening | Inviting) and member in dict(vertex.act.names)


def _damaged(what: str) -> RefusedError:
    return RefusedError(
        f"{what} of this space was changed on this disk, and no good copy has come yet",
        hint="link with its members, who hand it over again; `p2pshare status` names it",
        reason="damaged",
    )


def _unknown() -> NotFoundError:
    return NotFoundError("there is no such space here", reason="unknown-space")


_WHO_MAY = {
    "unknown-rules": "this program does not know the rules of the space, and shows it read-only",
    "not-lead": "only the lead of the space may write this",
    "not-member": "only a member that has joined may write this",
    "cut": "our membership in the space has ended",
    "not-handed": "only whom the lead was offered may accept it",
    "is-lead": "any member but the lead may write this; a lead hands over first",
    "forked": "a member may not that has written two entries under one number, until it is invited again",
    "too-many-branches": "the member has written too many things under one number to be pardoned; remove it",
    "voted": "a member has one vote in a round, and ours is given",
    "settled": "this vote is over: another has its majority",
    "no-proposal": "that proposal is not open to a vote",
    "no-entry": "only content is redacted, by its author or the lead",
    "wrong-realm": "an exercise has a ground of its own: `p2pshare exercise new`",
    "realm-taken": "there is one exercise on its ground",
    "kind-not-allowed": "in an exercise only incidents are opened",
    "not-playing": "in an exercise incidents are opened by its members, and for its members alone",
    "in-own-past": "what we wrote follows an entry that was to be left out",
}


def _void(reason: str) -> RefusedError:
    said = _WHO_MAY.get(reason, "it would have no effect, or nobody would take it in")
    return RefusedError(f"nothing was written: {said} ({reason})", reason=reason)
