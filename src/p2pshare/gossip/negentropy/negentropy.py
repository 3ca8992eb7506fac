"""Find the difference of two sets of keys: Negentropy protocol version 1, without input or output.

The initiator asks, the responder answers each message from its index alone (it keeps nothing between
messages), until the initiator has nothing left to ask. It then knows the ids it *has* and the responder
lacks, and those it *needs*::

    initiator                          responder
    begin()          ---- 16 fingerprints ---->   respond(): equal ranges are skipped, others are split in
    receive(answer)  <--- fingerprints, ids ---   16 again, or listed when they hold fewer than 32 keys
         ...         ---- what still differs -->
    receive() is None: done

Rules this file keeps:

1. A message never exceeds the frame. Ranges that do not fit are covered by one last range up to the end whose
   fingerprint differs from the peer's, so that it comes up again in the next round.
2. Nothing here may hold the loop: the long functions are generators that yield after about STEP_WORK
   fingerprints or as much other work. The index may change while they are suspended: positions are looked
   up again from bounds, a range is compared as of the moment it is looked at.
3. A message counts as a whole: its differences are kept only once it was read to its end, or to where our
   answer was full. Anything wrong with it is a PeerError (see `negentropy_wire`) that ends the session.
4. Memory is bounded by one frame and SYNC_DIFFERENCES_MAX ids, time by SYNC_ROUNDS_MAX messages; the CPU
   budget of a session is the caller's, who can stop between any two steps.

The responder's bytes equal the reference implementation's. The initiator's do with `lists_own_ids`; without
it, it asks for a small range by an *empty* list of ids instead of listing its own: the answer is the same
(a responder lists all it has in either case) and a third of the bytes is saved. It also asks for the whole
rest once so many keys differ that narrowing down costs more than a list (`LIST_PAYS_FROM_SHARE`).
`docs/reconciliation.md` has the bytes.
"""

from __future__ import annotations

from collections.abc import Generator, Set
from typing import NamedTuple, Protocol, TypeVar

from p2pshare.errors import PeerError
from p2pshare.gossip.negentropy.negentropy_wire import (
    CREATED_BYTES,
    EMPTY_FINGERPRINT,
    END,
    ID_BYTES,
    KEY_BYTES,
    START,
    VERSION,
    Bound,
    MessageWriter,
    Range,
    RangeMode,
    read_ranges,
    read_version,
    split_ids,
)
from p2pshare.limits import (
    SYNC_DIFFERENCES_MAX,
    SYNC_FRAME_BYTES_MAX,
    SYNC_FRAME_BYTES_MIN,
    SYNC_ROUNDS_MAX,
)

BUCKETS = 16  # ranges a differing range is split into; the reference's
FRAME_RESERVE_BYTES = 200  # the reference's: room for one id, two full bounds and the last fingerprint
STEP_WORK = 16  # fingerprints, or ranges read, between two yields: half a millisecond
IDS_PER_WORK = 50  # ids listed or compared that cost as much as a fingerprint
IDS_STEP = 1024  # own ids compared before looking up positions again

# Narrowing down to one scattered difference costs about 850 bytes (two levels of 16 fingerprints and a list
# of 15 ids), a list 32 bytes a key: listing is cheaper once one key in 26 differs.
LIST_PAYS_FROM_SHARE = 26

Result = TypeVar("Result")
_Steps = Generator[None, None, Result]


class KeySource(Protocol):
    """The part of an index that reconciliation uses: `SortedKeys`, or `AuditView` for another fingerprint."""

    def __len__(self) -> int: ...
    def rank(self, key: bytes) -> int: ...
    def key_at(self, rank: int) -> bytes: ...
    def ids(self, lower: int, upper: int) -> bytes: ...
    def fingerprint(self, lower: int, upper: int) -> bytes: ...


def finish(steps: _Steps[Result]) -> Result:
    """Run a generator of this file to its end at once, for callers with nothing to interleave."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def respond(
    index: KeySource,
    raw: bytes,
    *,
    created_min: int = 0,
    frame_bytes_max: int = SYNC_FRAME_BYTES_MAX,
    work_max: float = float("inf"),
) -> _Steps[bytes]:
    """Answer one message of an initiator, comparing only keys created at `created_min` (seconds) or later.

    `frame_bytes_max` bounds the answer; an incoming message may always have SYNC_FRAME_BYTES_MAX. After `work_max`
    (fingerprints, or as much other work) the rest is covered by one range, as when the frame is full.

    A message of another version is answered by the one byte that names ours (section Message).
    Raises PeerError: `sync-oversized` and the reasons of `negentropy_wire`.
    """
    _check_frame(raw)
    if read_version(raw) != VERSION:
        return bytes([VERSION])
    answer = _Answer(index, created_min, frame_bytes_max)
    for part in read_ranges(raw):
        if part.mode is RangeMode.IDS:
            answer.list_own(part.upper)
        elif part.mode is RangeMode.FINGERPRINT and (differing := answer.compare(part)):
            answer.narrow(differing)
        else:
            answer.skip(part.upper)
        if answer.is_full:
            break
        if answer.is_step_due():
            work_max -= STEP_WORK
            if work_max <= 0:
                answer.leave_off()
                break
            yield
    return bytes(answer.message.raw)


class Initiator:
    """A session: `begin` gives the first message, `receive` turns each answer into the next or None.

    Afterwards `need` holds ids, `have` our keys by id; sort before use, the order of a set is not the same twice.
    With `is_cut` one of them holds `differences_max` and more remain: transfer these, then start again.
    """

    def __init__(
        self,
        index: KeySource,
        *,
        created_min: int = 0,
        frame_bytes_max: int = SYNC_FRAME_BYTES_MAX,
        rounds_max: int = SYNC_ROUNDS_MAX,
        differences_max: int = SYNC_DIFFERENCES_MAX,
        lists_own_ids: bool = False,
    ) -> None:
        self.have: dict[bytes, bytes] = {}
        self.need: set[bytes] = set()
        self.rounds = 0
        self.is_cut = False
        self._index = index
        self._created_min = created_min
        self._frame_bytes_max = frame_bytes_max
        self._rounds_max = rounds_max
        self._differences_max = differences_max
        self._lists_own_ids = lists_own_ids

    def begin(self) -> bytes:
        """Returns the first message: 16 fingerprints, the last of them split in 16 again, down to a few newest keys.

        That way the newest keys, where stores mostly differ, are found in two rounds. The reference, and so
        `lists_own_ids`, splits once. Fewer than 32 keys are a list of ids, or an empty one.
        """
        answer = _Answer(self._index, self._created_min, self._frame_bytes_max)
        lower, upper = answer.ranks(END)
        if self._lists_own_ids or upper - lower < 2 * BUCKETS:
            answer.narrow(_Differing(END, lower, upper, b""), by_asking=not self._lists_own_ids)
        else:
            answer.split_newest(lower, upper)
        return bytes(answer.message.raw)

    def receive(self, raw: bytes) -> _Steps[bytes | None]:
        """Take in one answer; the result is the next message, None when nothing is left to ask.

        Raises PeerError: as `respond`, `sync-version` (the peer does not speak ours), `sync-rounds`.
        """
        self.rounds += 1
        if self.rounds > self._rounds_max:
            raise PeerError("the sync session does not come to an end", reason="sync-rounds")
        _check_frame(raw)
        if read_version(raw) != VERSION:
            raise PeerError("the peer speaks another version of Negentropy", reason="sync-version")
        answer = _Answer(self._index, self._created_min, self._frame_bytes_max)
        found = _Found(self, self._differences_max)
        for part in read_ranges(raw):
            if part.mode is RangeMode.IDS:
                yield from found.compare_ids(answer, part)
            if part.mode is RangeMode.FINGERPRINT and (differing := answer.compare(part)):
                answer.narrow(differing, by_asking=self._is_asked_for(differing, found.count))
            else:
                answer.skip(part.upper)
            if answer.is_full or found.is_cut:
                break
            if answer.is_step_due():
                yield
        found.merge()
        is_done = self.is_cut or len(answer.message.raw) == 1
        return None if is_done else bytes(answer.message.raw)

    def _is_asked_for(self, differing: _Differing, found: int) -> bool:
        """Returns whether to ask for all ids of a differing range at once instead of splitting it."""
        if self._lists_own_ids:
            return False
        if differing.upper - differing.lower < 2 * BUCKETS:
            return True
        compared = differing.lower - self._index.rank(self._created_min.to_bytes(CREATED_BYTES, "big"))
        return differing.bound == END and prefers_list(compared, found)


def prefers_list(compared: int, differing: int) -> bool:
    """Returns whether a plain list of the rest is cheaper than narrowing down.

    `compared` own keys were compared so far and `differing` ids differed; the rest is taken to be like them.
    """
    return differing * LIST_PAYS_FROM_SHARE > compared


class _Found:
    """The differences found in one message, beside those of the session before it; merged only once it was read."""

    def __init__(self, session: Initiator, differences_max: int) -> None:
        self.have: dict[bytes, bytes] = {}
        self.need: set[bytes] = set()
        self.is_cut = False
        self._session = session
        self._differences_max = differences_max

    @property
    def count(self) -> int:
        """Returns the number of differences of the session so far."""
        return len(self.have) + len(self.need) + len(self._session.have) + len(self._session.need)

    def compare_ids(self, answer: _Answer, part: Range) -> _Steps[None]:
        """Compare the peer's list of a range with ours. Own positions are looked up again after each yield."""
        theirs = set(split_ids(part.payload))
        answer.work += len(theirs) / IDS_PER_WORK
        cursor = answer.lower.key
        while True:
            lower, upper = answer.ranks(part.upper, cursor)
            stop = min(upper, lower + IDS_STEP)
            own = split_ids(answer.index.ids(lower, stop))
            ranks = {one: rank for rank, one in enumerate(own, start=lower) if one not in theirs}
            for one in self._new(ranks.keys(), self.have.keys(), self._session.have.keys()):
                self.have[one] = answer.index.key_at(ranks[one])
            theirs.difference_update(own)
            answer.work += (stop - lower) / IDS_PER_WORK
            if self.is_cut:
                return
            cursor = answer.index.key_at(stop) if stop < upper else b""
            if answer.is_step_due():
                yield
            if not cursor:
                break
        self.need |= self._new(theirs, self.need, self._session.need)

    def merge(self) -> None:
        """Add the differences of this message to those of the session."""
        self._session.have |= self.have
        self._session.need |= self.need
        self._session.is_cut = self.is_cut

    def _new(self, ids: Set[bytes], found: Set[bytes], known: Set[bytes]) -> Set[bytes]:
        """Returns those of `ids` that are new, as many as there is room for; sets `is_cut` when some do not fit."""
        new = ids - known
        room = self._differences_max - len(known) - len(found)
        if len(new) > room:
            self.is_cut = True
            new = set(sorted(new)[:room])  # sorted: two runs of one simulation must keep the same ones
        return new


class _Differing(NamedTuple):
    """A range whose fingerprint is not ours: its end, our ranks in it, and the fingerprint."""

    bound: Bound
    lower: int
    upper: int
    theirs: bytes


class _Answer:
    """A message in the making, while ranges of the peer's message are gone through from the lower end."""

    def __init__(self, index: KeySource, created_min: int, frame_bytes_max: int) -> None:
        if frame_bytes_max < SYNC_FRAME_BYTES_MIN:
            raise ValueError("the frame is too small for Negentropy")
        self.index = index
        self.message = MessageWriter()
        self.lower = START  # where the range to look at begins
        self.is_full = False
        self.work = 0.0
        self._floor = created_min.to_bytes(CREATED_BYTES, "big").ljust(KEY_BYTES, b"\x00")
        self._written = START  # where the last written range ends
        self._room_bytes = frame_bytes_max - FRAME_RESERVE_BYTES

    def ranks(self, upper: Bound, lower_key: bytes = b"") -> tuple[int, int]:
        """Returns the own ranks (lower, upper) of the range from `lower_key` (or the end of the last range) to `upper`."""
        lower = self.index.rank(max(lower_key or self.lower.key, self._floor))
        return lower, max(lower, self.index.rank(upper.key))

    def is_step_due(self) -> bool:
        """Count the range just done; returns whether enough was done to yield (rule 2)."""
        self.work += 1
        if self.work < STEP_WORK:
            return False
        self.work = 0
        return True

    def skip(self, upper: Bound) -> None:
        """Skip the keys below `upper`: there is nothing to say about them."""
        self.lower = upper

    def compare(self, part: Range) -> _Differing | None:
        """Returns the range when its fingerprint is not the one that the peer gives, else None; nothing is written."""
        lower, upper = self.ranks(part.upper)
        self.work += 1
        if self.index.fingerprint(lower, upper) == part.payload:
            return None
        return _Differing(part.upper, lower, upper, part.payload)

    def narrow(self, differing: _Differing, *, by_asking: bool = False) -> None:
        """Say more about a range: 16 fingerprints, a list of ids, or an empty list to ask.

        When it does not fit any more, the last range covers it. That range begins where the last written one
        ended, yet its fingerprint leaves out the keys below `upper`, as the reference's does: it differs
        from the peer's for certain, as the peer has other keys there. But a peer with *no* keys there
        might hold exactly the rest, and would take the two as equal: then nothing is left out.
        """
        bound, lower, upper, theirs = differing
        length_bytes = len(self.message.raw)
        self._write_skip()
        if by_asking:
            self.message.add(bound, RangeMode.IDS)
        elif upper - lower < 2 * BUCKETS:
            self._write_ids(bound, lower, upper)
        else:
            self._split(bound, lower, upper)
        if len(self.message.raw) > self._room_bytes:
            self.message.cut(length_bytes)
            is_empty = theirs == EMPTY_FINGERPRINT
            self._cover_rest(self.ranks(END, self._written.key)[0] if is_empty else upper)
        self._written = self.lower = bound

    def list_own(self, bound: Bound) -> None:
        """List all own ids of a range, or as many as fit."""
        lower, upper = self.ranks(bound)
        ids_max = (self._room_bytes - len(self.message.raw)) // ID_BYTES + 1
        if upper - lower > ids_max:
            upper = lower + ids_max
            bound = Bound.at(self.index.key_at(upper))
        self._write_skip()
        self._write_ids(bound, lower, upper)
        self._written = self.lower = bound
        if len(self.message.raw) > self._room_bytes and bound != END:
            self._cover_rest(upper)

    def leave_off(self) -> None:
        """Cover the rest by one range, for lack of time; it begins where the last range that was looked at ended."""
        if self.lower != END:
            self._write_skip()
            self._cover_rest(self.ranks(END)[0])

    def _write_skip(self) -> None:
        if self._written != self.lower:
            self.message.add(self.lower, RangeMode.SKIP)

    def _write_ids(self, bound: Bound, lower: int, upper: int) -> None:
        self.message.add(bound, RangeMode.IDS, self.index.ids(lower, upper))
        self.work += (upper - lower) / IDS_PER_WORK

    def split_newest(self, lower: int, upper: int) -> None:
        """Split up to the end into 15 ranges and, in place of the 16th, again 15, until it has fewer than 32 keys."""
        while upper - lower >= 2 * BUCKETS:
            lower = self._split(END, lower, upper, buckets=BUCKETS - 1)
        self.message.add(END, RangeMode.FINGERPRINT, self.index.fingerprint(lower, upper))

    def _split(self, bound: Bound, lower: int, upper: int, buckets: int = BUCKETS) -> int:
        """Write the first `buckets` of 16 ranges of equal size; returns the rank where the next begins.

        The first ranges are larger by one key where the number does not divide, as the reference's.
        """
        size, larger = divmod(upper - lower, BUCKETS)
        for bucket in range(buckets):
            stop = lower + size + (bucket < larger)
            end = bound
            if stop < upper:
                end = Bound.between(self.index.key_at(stop - 1), self.index.key_at(stop))
            self.message.add(end, RangeMode.FINGERPRINT, self.index.fingerprint(lower, stop))
            lower = stop
        self.work += buckets
        return lower

    def _cover_rest(self, lower: int) -> None:
        """Cover all from rank `lower` to the end by one range: the frame is full (rule 1)."""
        rest = self.index.fingerprint(lower, max(lower, self.index.rank(END.key)))
        self.message.add(END, RangeMode.FINGERPRINT, rest)
        self.is_full = True


def _check_frame(raw: bytes) -> None:
    if len(raw) > SYNC_FRAME_BYTES_MAX:
        raise PeerError("the sync message is larger than the frame", reason="sync-oversized")
