"""A framework as one node holds it: the fold, and what only who holds the playbooks' texts can say (docs/playbooks.md, "Approval").

The fold counts approvals; whether the signature of one is good is judged here, once for each approval and run of the program. One that is not
counts in no quorum, and is told as `bad-jss`. While the text is not here nobody can say, and nobody can work by the playbook either.

The text of a version are parts by the author of its entry, so that nobody's bytes but the author's are put together.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import NamedTuple, cast
from weakref import WeakKeyDictionary

from p2pshare.database.database import Database
from p2pshare.envelope.jss import JssChecker
from p2pshare.errors import AuthorError, NotFoundError, OperatorError, PeerError, RefusedError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.json_text import is_shallow
from p2pshare.intel.playbooks.framework_manifest import FrameworkEntry
from p2pshare.intel.playbooks.playbook_text import PLAYBOOK_BYTES_MAX, Playbook, playbook_digest, playbook_of
from p2pshare.intel.playbooks.quorum import QuorumTally
from p2pshare.jcs import jcs_bytes
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.framework import READERS, FrameworkFold, HeldVersion, PlaybookApproval
from p2pshare.spaces.parts import CONTENT_MISSING, PART_BYTES_MAX, assemble, decode_part
from p2pshare.spaces.space_store import SpaceReading, SpaceRow

BAD_JSS = "bad-jss"
PLAYBOOK_PARTS_MAX = -(-PLAYBOOK_BYTES_MAX // PART_BYTES_MAX)  # a text of more is refused anyway
JSS_DEPTH_MAX = 4  # a signature is flat; an extension in it nests
STEP_SIGNATURES = 32  # checked between two yields: some 5 ms


class HeldFramework(NamedTuple):
    """A framework as it stands here. `bad`: approvals whose signature is none; `texts`: the digests whose text is held, and fits."""

    row: SpaceRow
    state: SpaceState
    fold: FrameworkFold
    bad: frozenset[EntryId] = frozenset()
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
        return self.fold.tally_of(playbook, needed, least, self.joined, self.forked, self.bad)

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
    texts: set[bytes] = set()
    judged, reading = _judged.setdefault(database, _Judged()), SpaceReading(database)
    for versions in list(fold.playbooks().values()):
        for one in versions:
            yield from _judge(reading, row, fold, one, judged)
            if judged.fits.get(one.vertex.entry_id):
                texts.add(one.said.digest)
            for approvals in fold.approvals_of(one.said).values():
                bad.update(by.entry_id for by in approvals if judged.is_good.get(by.entry_id) is False)
    return HeldFramework(row, state, fold, frozenset(bad), frozenset(texts))


class _Judged:
    """What was found out about texts and signatures, by entry, which nothing changes: an entry's id is its digest."""

    def __init__(self) -> None:
        self.is_good: dict[EntryId, bool] = {}
        self.fits: dict[EntryId, bool] = {}


_judged: WeakKeyDictionary[Database, _Judged] = WeakKeyDictionary()


def _judge(
    reading: SpaceReading, row: SpaceRow, fold: FrameworkFold, version: HeldVersion, judged: _Judged
) -> Iterator[None]:
    """Judge what is not judged yet about one content. Nothing is, while its text or the extra `framework` is not here."""
    approvals = [
        vertex
        for own in fold.approvals_of(version.said).values()
        for vertex in own
        if vertex.entry_id not in judged.is_good
    ]
    named = version.vertex.entry_id
    if not approvals and named in judged.fits:
        return
    yield
    try:
        checker = JssChecker(playbook_text(reading, row, version).document)
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


def playbook_text(reading: SpaceReading, row: SpaceRow, version: HeldVersion) -> Playbook:
    """Returns the playbook of a version. Raises NotFoundError `content-missing`, RefusedError `hash-mismatch`, AuthorError as `playbook_of`."""
    said = version.said
    raw = assemble(said.raw_digest, _parts_by(reading, row, version.vertex.author, said.raw_digest))
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


def holds_parts(reading: SpaceReading, row: SpaceRow, author: PartnerId, digest: bytes) -> bool:
    """Returns whether all parts of a text by one author are held."""
    return assemble(digest, _parts_by(reading, row, author, digest)) is not None


def _parts_by(
    reading: SpaceReading, row: SpaceRow, author: PartnerId, digest: bytes
) -> Iterator[tuple[PartnerId, bytes]]:
    """Yields (author, content) of an author's parts of one text, of no more than a playbook has."""
    for entry in reading.entries(row):
        if entry.header.kind == "part" and entry.header.author == author and entry.body_fits():
            content = entry.content()
            with suppress(PeerError):
                part = decode_part(content)
                if part.digest == digest and part.count <= PLAYBOOK_PARTS_MAX:
                    yield author, content
