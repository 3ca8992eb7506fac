"""A framework as one node holds it: the fold, and what only who holds the playbooks' texts can say (docs/frameworks.md, "Approval").

The fold counts approvals; whether the signature of one is good is judged here, once for each approval and run of the program. One that is not
counts in no quorum, and is told as `bad-jss`. While the text is not here nobody can say, and nobody can work by the playbook either.

The text of a version are parts by the author of its entry, so that nobody's bytes but the author's are put together.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import suppress
from functools import partial
from typing import NamedTuple, cast
from weakref import WeakKeyDictionary

from p2pshare.database.database import Database
from p2pshare.envelope.entry import BODY_SALT_BYTES, decode_header
from p2pshare.envelope.jss import JssChecker
from p2pshare.errors import AuthorError, NotFoundError, OperatorError, PeerError, RefusedError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.json_text import is_shallow
from p2pshare.intel.playbooks.framework_manifest import FrameworkEntry
from p2pshare.intel.playbooks.playbook_text import PLAYBOOK_BYTES_MAX, Playbook, playbook_digest, playbook_of
from p2pshare.intel.playbooks.quorum import QuorumTally
from p2pshare.jcs import jcs_bytes
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.framework import READERS, FrameworkFold, PlaybookApproval, PlaybookHeld
from p2pshare.spaces.parts import CONTENT_MISSING, PART_BYTES_MAX, assemble, decode_part
from p2pshare.spaces.space_store import FoldedEntry, SpaceReading, SpaceRow

BAD_JSS = "bad-jss"
PLAYBOOK_PARTS_MAX = -(-PLAYBOOK_BYTES_MAX // PART_BYTES_MAX)  # a text of more is refused anyway
JSS_DEPTH_MAX = 4  # a signature is flat; an extension in it nests
STEP_SIGNATURES = 4  # checked between two yields: some 5 ms of a playbook of 5,000 steps
APPROVALS_JUDGED_MAX = (
    8  # of one member and content, the newest: who writes bad ones on purpose pays with its good ones
)


class HeldFramework(NamedTuple):
    """A framework as it stands here. `bad`: approvals whose signature is none; `passed_over`: those that nobody judges, for their author wrote so
    many later ones; `texts`: the digests whose text is held, and fits."""

    row: SpaceRow
    state: SpaceState
    fold: FrameworkFold
    bad: frozenset[EntryId] = frozenset()
    passed_over: frozenset[EntryId] = frozenset()
    texts: frozenset[bytes] = frozenset()

    @property
    def joined(self) -> set[PartnerId]:
        return {one for one, status in self.state.members.items() if status == "joined"}

    @property
    def forked(self) -> set[PartnerId]:
        return {one for one, status in self.state.members.items() if status == "forked"}

    def tally_of(self, entry: FrameworkEntry) -> QuorumTally:
        return self.tally(entry.playbook, entry.quorum, entry.least)

    def tally(self, playbook: str, needed: int, least: str) -> QuorumTally:
        return self.fold.tally_of(
            playbook, needed, least, self.joined, self.forked, self.bad | self.passed_over
        )

    def adopters(self) -> list[PartnerId]:
        """Returns the members that adopted the manifest of now."""
        held = self.fold.manifest()
        if held is None:
            return []
        named, joined = held.vertex.entry_id, self.joined
        return [one for one, manifest in self.fold.adopted().items() if manifest == named and one in joined]


def hold_framework(database: Database, row: SpaceRow, state: SpaceState) -> HeldFramework:
    """Returns a framework of which all is judged that can be. May take seconds where much of it is new."""
    steps = holding_framework(database, row, state)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return cast(HeldFramework, done.value)


def holding_framework(
    database: Database, row: SpaceRow, state: SpaceState
) -> Generator[None, None, HeldFramework]:
    """Do what `hold_framework` does, and yield between small steps; a text is read in one. Returns the framework."""
    fold = state.kind
    assert isinstance(fold, FrameworkFold)
    bad: set[EntryId] = set()
    passed_over: set[EntryId] = set()
    texts: set[bytes] = set()
    judged = _judged_of(database)
    yield from judged.parts(row).look(SpaceReading(database), row)
    for versions in list(fold.playbooks().values()):
        for one in versions:
            yield from _judge(database, row, fold, one)
            if judged.fits.get(one.vertex.entry_id):
                texts.add(one.said.digest)
            for approvals in fold.approvals_of(one.said).values():
                passed_over.update(by.entry_id for by in approvals[:-APPROVALS_JUDGED_MAX])
                bad.update(by.entry_id for by in approvals if judged.is_good.get(by.entry_id) is False)
    return HeldFramework(row, state, fold, frozenset(bad), frozenset(passed_over), frozenset(texts))


class _Judged:
    """What was found out about texts and signatures, by entry, which nothing changes: an entry's id is its digest."""

    def __init__(self) -> None:
        self.is_good: dict[EntryId, bool] = {}
        self.fits: dict[EntryId, bool] = {}
        self._parts: dict[EntryId, _PartsSeen] = {}

    def parts(self, row: SpaceRow) -> _PartsSeen:
        return self._parts.setdefault(row.space, _PartsSeen())


_judged: WeakKeyDictionary[Database, _Judged] = WeakKeyDictionary()


def _judged_of(database: Database) -> _Judged:
    return _judged.setdefault(database, _Judged())


class _PartsSeen:
    """Which parts of texts are held in a space, without their content. Only what is new is looked at again."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._last = self._bodies = 0
        self._of: defaultdict[tuple[PartnerId, bytes], defaultdict[int, dict[int, EntryId]]]
        self._of = defaultdict(partial(defaultdict, dict))

    def look(self, reading: SpaceReading, row: SpaceRow) -> Iterator[None]:
        """Look at what was stored since; from the beginning where bodies came or went behind us."""
        yield from self._go_on(reading, row)
        if self._bodies != reading.body_count(row):
            self._begin()
            yield from self._go_on(reading, row)

    def _go_on(self, reading: SpaceReading, row: SpaceRow) -> Iterator[None]:
        while stored := reading.entries_behind(row, self._last):
            for one in stored:
                if one.body is not None:
                    self._bodies += 1
                    with suppress(PeerError):
                        self._note(one)
            self._last = stored[-1].row
            yield

    def _note(self, one: FoldedEntry) -> None:
        header = decode_header(one.header)
        if header.kind == "part" and one.body is not None:
            part = decode_part(one.body[BODY_SALT_BYTES:])
            if part.count <= PLAYBOOK_PARTS_MAX:
                held = self._of[header.author, part.digest][part.count]
                held.setdefault(part.index, EntryId(one.entry_id))

    def whole(self, author: PartnerId, digest: bytes) -> list[EntryId]:
        """Returns the entries with all parts of a text by one author; none where some are missing."""
        for count, held in sorted(self._of.get((author, digest), {}).items()):
            if len(held) == count:
                return [held[index] for index in range(1, count + 1)]
        return []


def _judge(database: Database, row: SpaceRow, fold: FrameworkFold, version: PlaybookHeld) -> Iterator[None]:
    """Judge what is not judged yet about one content. Nothing is, while its text or the extra `framework` is not here."""
    judged = _judged_of(database)
    approvals = [
        vertex
        for own in fold.approvals_of(version.said).values()
        for vertex in own[-APPROVALS_JUDGED_MAX:]
        if vertex.entry_id not in judged.is_good
    ]
    named = version.vertex.entry_id
    is_whole = judged.parts(row).whole(version.vertex.author, version.said.raw_digest)
    if not is_whole or judged.fits.get(named) is False or (not approvals and named in judged.fits):
        return
    yield
    try:
        checker = JssChecker(_text(database, row, version).document)
    except (NotFoundError, OperatorError):
        return
    except (AuthorError, RefusedError):
        judged.fits[named] = False
        return
    judged.fits[named] = True
    for start in range(0, len(approvals), STEP_SIGNATURES):
        yield
        for vertex in approvals[start : start + STEP_SIGNATURES]:
            assert vertex.content is not None
            said = READERS["approve"](vertex.content)
            assert isinstance(said, PlaybookApproval)
            judged.is_good[vertex.entry_id] = is_good_jss(checker, said.jss)


def is_good_jss(checker: JssChecker, raw: bytes) -> bool:
    """Returns whether an approval's signature is one: Ed25519, in its canonical form, over that playbook."""
    if not is_shallow(raw, JSS_DEPTH_MAX):
        return False
    try:
        jss = json.loads(raw)
        if not isinstance(jss, dict) or jss.get("algorithm") != "Ed25519" or jcs_bytes(jss) != raw:
            return False
        checker.check(jss)
    except (AuthorError, ValueError, RecursionError):
        return False
    return True


def playbook_text(database: Database, row: SpaceRow, version: PlaybookHeld) -> Playbook:
    """Returns the playbook of a version. Raises NotFoundError `content-missing`, RefusedError `hash-mismatch`, AuthorError as `playbook_of`."""
    for _ in _judged_of(database).parts(row).look(SpaceReading(database), row):
        pass
    return _text(database, row, version)


def holds_parts(database: Database, row: SpaceRow, author: PartnerId, digest: bytes) -> bool:
    """Returns whether all parts of a text by one author are held."""
    parts = _judged_of(database).parts(row)
    for _ in parts.look(SpaceReading(database), row):
        pass
    return bool(parts.whole(author, digest))


def _text(database: Database, row: SpaceRow, version: PlaybookHeld) -> Playbook:
    """Does what `playbook_text` does, by the parts that were seen last."""
    said, author, reading = version.said, version.vertex.author, SpaceReading(database)
    found = (reading.entry(one) for one in _judged_of(database).parts(row).whole(author, said.raw_digest))
    contents = [(author, one.content()) for one in found if one is not None and one.body_fits()]
    raw = assemble(said.raw_digest, contents)
    if raw is None:
        raise NotFoundError(
            "not all parts of the playbook are here yet",
            hint="they come from members",
            reason=CONTENT_MISSING,
        )
    playbook = playbook_of(raw)
    named = playbook.document.get("id"), playbook.document.get("modified")
    if named != (said.playbook, said.modified) or playbook_digest(playbook.document) != said.digest:
        raise RefusedError(
            "the playbook's text is not what its entry says: another id, version or hash",
            hint="its owner imports it again",
            reason="hash-mismatch",
        )
    return playbook
