"""The kind `framework`: which playbook answers what, who approves it, who adopted it (docs/frameworks.md).

1. The manifest is the newest of the lead's. Of several beside each other the last by (depth, id), and the conflict is shown.
2. A playbook is owned by who wrote the first version of it, by (depth, id), that the first manifest naming it has in its past; by that
   manifest's author where there is none. So nobody takes a playbook over by an entry that comes late and says it came early. While no
   manifest names it, its first version says whose it is. Versions by others than its owner and the lead are shown, and count for nothing.
3. Approvals are of a playbook, a version and a digest, exactly. One stands unless a revocation of its author, of the same, is not in its
   past. They are counted by `intel.playbooks.quorum`; whether a signature is good is said by who holds the playbook's text.
4. An organisation has adopted the manifest that its newest adoption names; a new manifest is adopted anew.

What follows is found when it is asked for, and kept until an entry changes it.
"""

from __future__ import annotations

import re
from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.errors import AuthorError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.playbooks.framework_manifest import FrameworkEntry, FrameworkManifest, read_manifest
from p2pshare.intel.playbooks.quorum import ApprovalSaid, PlaybookVersion, QuorumTally, instant_order, tally
from p2pshare.limits import KIB
from p2pshare.spaces.entry_fields import blob, entry, map_of, text_of
from p2pshare.spaces.interface import EntryKind, FoldView, Json, SpaceKind
from p2pshare.spaces.notebook import read_text
from p2pshare.spaces.register_clock import RegisterClock
from p2pshare.spaces.vertex import Vertex, by_order, precedes

STEP_ENTRIES = 512  # folded between two yields: some 5 ms
WEIGHT_BYTES = 128  # of what an entry says: as much work as an entry
ID_BYTES_MAX = 64  # `playbook--` and a UUID have 46
MODIFIED_BYTES_MAX = 32  # 2026-11-30T08:00:00.000Z has 24
NAME_BYTES_MAX = 256
MANIFEST_ENTRY_BYTES_MAX = 64 * KIB  # all members fold it; ours of three entries has 3 KiB
APPROVAL_JSS_BYTES_MAX = 4 * KIB  # one of ours has 700 bytes; a fold keeps each
TIME_MAX = 253_402_300_799
DIGEST_BYTES = 32
_PLAYBOOK_ID = re.compile(r"playbook--[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z", re.ASCII)


class PlaybookSaid(NamedTuple):
    """`playbook`: a version of a playbook, whose text travels as parts named by `raw_digest`. `review`: unix seconds, 0 for none.
    `is_template`: 1 where it is to derive from, and nobody approves it."""

    playbook: str
    modified: str
    digest: bytes
    raw_digest: bytes
    name: str
    review: int
    is_template: int


class ManifestSaid(NamedTuple):
    """`manifest`: the framework's file."""

    raw: bytes


class PlaybookApproval(NamedTuple):
    """`approve`: of one exact content. `jss` is the canonical form of a CACAO signature over it."""

    playbook: str
    modified: str
    digest: bytes
    jss: bytes


class ApprovalRevoked(NamedTuple):
    """`revoke-approval`: takes back its author's approvals of that content that knew nothing of it."""

    playbook: str
    modified: str
    digest: bytes


class ManifestAdoption(NamedTuple):
    """`adopt`: its author works by the manifest that this entry has."""

    manifest: EntryId


FrameworkBody = PlaybookSaid | ManifestSaid | PlaybookApproval | ApprovalRevoked | ManifestAdoption
F = TypeVar("F", bound=FrameworkBody)


def encode_framework(body: FrameworkBody) -> bytes:
    """Returns the content of an entry that says `body`."""
    return pack(dict(enumerate(body)))


def _number(high: int) -> Callable[[Reader], int]:
    return lambda reader: reader.integer(high)


def _matching(pattern: re.Pattern[str], high: int, what: str) -> Callable[[Reader], str]:
    def read(reader: Reader) -> str:
        text = reader.text(1, high)
        if not pattern.fullmatch(text):
            raise refusal("malformed", f"no {what}")
        return text

    return read


_digest = blob(DIGEST_BYTES, DIGEST_BYTES)
_subject = (
    _matching(_PLAYBOOK_ID, ID_BYTES_MAX, "id of a playbook"),
    _matching(_INSTANT, MODIFIED_BYTES_MAX, "instant of CACAO"),
    _digest,
)
_plain_manifest = map_of(ManifestSaid, blob(1, MANIFEST_ENTRY_BYTES_MAX))


def _manifest(content: bytes) -> ManifestSaid:
    said = _plain_manifest(content)
    try:
        read_manifest(said.raw, "the manifest")
    except AuthorError as error:
        raise refusal("malformed", error.message) from None
    return said


READERS: Mapping[str, Callable[[bytes], object]] = {
    "playbook": map_of(
        PlaybookSaid,
        *_subject,
        _digest,
        text_of(0, NAME_BYTES_MAX),
        _number(TIME_MAX),
        _number(1),
    ),
    "manifest": _manifest,
    "approve": map_of(PlaybookApproval, *_subject, blob(1, APPROVAL_JSS_BYTES_MAX)),
    "revoke-approval": map_of(ApprovalRevoked, *_subject),
    "adopt": map_of(ManifestAdoption, entry),
    "note": read_text,
}
LEAD_ONLY = ("manifest",)
DECIDING = frozenset(READERS) - {"note"}


ApprovalSubject = tuple[str, str, bytes]
"""What an approval is of: playbook, `modified`, digest."""


class PlaybookHeld(NamedTuple):
    """A version of a playbook that counts. `is_forked`: another content of the same version counts as well."""

    vertex: Vertex
    said: PlaybookSaid
    is_forked: bool


class HeldManifest(NamedTuple):
    vertex: Vertex
    manifest: FrameworkManifest
    in_conflict: bool


class HeldApproval(NamedTuple):
    """An approval. `stands`: no revocation takes it out."""

    vertex: Vertex
    said: PlaybookApproval
    stands: bool


class FrameworkFold:
    """A framework: the entries with an effect by kind, and what follows from them."""

    def __init__(self, view: FoldView) -> None:
        self._view = view
        self._begin()

    def _begin(self) -> None:
        self._clock = RegisterClock()
        self._subjects: dict[Vertex, ApprovalSubject] = {}
        self._naming: dict[str, Vertex] = {}
        """The first manifest that names a playbook."""
        self.by_kind: dict[str, list[Vertex]] = {kind: [] for kind in READERS}
        """Entries with an effect, by (depth, id)."""
        self._approvals: defaultdict[ApprovalSubject, defaultdict[PartnerId, list[Vertex]]]
        self._revocations: defaultdict[ApprovalSubject, defaultdict[PartnerId, list[Vertex]]]
        self._approvals = defaultdict(partial(defaultdict, list))
        self._revocations = defaultdict(partial(defaultdict, list))
        self._forget()

    def _forget(self) -> None:
        self._manifest: tuple[HeldManifest | None] | None = None
        self._playbooks: tuple[dict[str, list[PlaybookHeld]], dict[str, list[PlaybookHeld]]] | None = None

    # --- from entries ------------------------------------------------------------------------------

    def whole(self, vertices: Sequence[Vertex]) -> Iterator[None]:
        self._begin()
        weight = 0
        for vertex in vertices:
            self._place(vertex)
            weight += 1 + len(vertex.content or b"") // WEIGHT_BYTES
            if weight >= STEP_ENTRIES:
                weight = 0
                yield
        yield

    def add(self, vertex: Vertex) -> bool:
        self._place(vertex)
        return True

    def _place(self, vertex: Vertex) -> None:
        self._clock.add(vertex, is_register=vertex.kind in DECIDING)
        placed = self.by_kind.get(vertex.kind)
        if placed is None or not vertex.has_effect:
            return
        insort(placed, vertex, key=by_order)
        match vertex.kind:
            case "manifest":
                manifest = _manifest_of(self._file_of(vertex))
                for entry in manifest.entries:
                    first = self._naming.setdefault(entry.playbook, vertex)
                    self._naming[entry.playbook] = min(first, vertex, key=by_order)
                self._forget()
            case "playbook":
                self._forget()
            case "approve":
                subject = self._subject_of(vertex, PlaybookApproval)
                insort(self._approvals[subject][vertex.author], vertex, key=by_order)
            case "revoke-approval":
                subject = self._subject_of(vertex, ApprovalRevoked)
                insort(self._revocations[subject][vertex.author], vertex, key=by_order)

    def _subject_of(
        self, vertex: Vertex, body: type[PlaybookApproval] | type[ApprovalRevoked]
    ) -> ApprovalSubject:
        said = self._said(vertex, body)
        self._subjects[vertex] = said.playbook, said.modified, said.digest
        return self._subjects[vertex]

    def _said(self, vertex: Vertex, body: type[F]) -> F:
        """Returns what a deciding entry with an effect says."""
        assert vertex.content is not None
        said = READERS[vertex.kind](vertex.content)
        assert isinstance(said, body)
        return said

    def _file_of(self, vertex: Vertex) -> ManifestSaid:
        """Returns the file of a manifest with an effect, which was read once already."""
        assert vertex.content is not None
        return _plain_manifest(vertex.content)

    # --- manifest, playbooks, adoptions --------------------------------------------------------------

    def manifest(self) -> HeldManifest | None:
        if self._manifest is None:
            newest = self._clock.newest(self.by_kind["manifest"])
            held = None
            if newest:
                said = [self._file_of(vertex) for vertex in newest]
                held = HeldManifest(newest[-1], _manifest_of(said[-1]), len(set(said)) > 1)
            self._manifest = (held,)
        return self._manifest[0]

    def playbooks(self) -> dict[str, list[PlaybookHeld]]:
        """Returns the versions that count of each playbook, by its id, in the order of their entries."""
        return self._versions()[0]

    def proposals(self) -> dict[str, list[PlaybookHeld]]:
        """Returns the versions that count for nothing: others wrote them."""
        return self._versions()[1]

    def owner_of(self, playbook: str) -> PartnerId | None:
        """Returns who makes versions of a playbook; None where nothing names it."""
        own = [vertex for vertex in self.by_kind["playbook"] if self._playbook_of(vertex) == playbook]
        return self._owner(playbook, own)

    def _owner(self, playbook: str, versions: Sequence[Vertex]) -> PartnerId | None:
        naming = self._naming.get(playbook)
        if naming is not None:
            past = self._clock.past_of([naming])
            return next((one.author for one in versions if past.holds(one)), naming.author)
        return versions[0].author if versions else None

    def _playbook_of(self, vertex: Vertex) -> str:
        return self._said(vertex, PlaybookSaid).playbook

    def _versions(self) -> tuple[dict[str, list[PlaybookHeld]], dict[str, list[PlaybookHeld]]]:
        if self._playbooks is None:
            of: defaultdict[str, list[tuple[Vertex, PlaybookSaid]]] = defaultdict(list)
            for vertex in self.by_kind["playbook"]:
                said = self._said(vertex, PlaybookSaid)
                of[said.playbook].append((vertex, said))
            counted: dict[str, list[PlaybookHeld]] = {}
            proposed: dict[str, list[PlaybookHeld]] = {}
            for playbook, held in sorted(of.items()):
                owner = self._owner(playbook, [vertex for vertex, _ in held])
                for versions, is_counted in ((counted, True), (proposed, False)):
                    own = [
                        one
                        for one in held
                        if (one[0].author == owner or one[0].term is not None) is is_counted
                    ]
                    if own:
                        versions[playbook] = _held_versions(own)
            self._playbooks = counted, proposed
        return self._playbooks

    def adopted(self) -> dict[PartnerId, EntryId]:
        """Returns which manifest each organisation adopted last."""
        by_author: defaultdict[PartnerId, list[Vertex]] = defaultdict(list)
        for vertex in self.by_kind["adopt"]:
            by_author[vertex.author].append(vertex)
        return {
            author: self._said(self._clock.newest(own)[-1], ManifestAdoption).manifest
            for author, own in sorted(by_author.items())
        }

    def entry_of(self, playbook: str) -> FrameworkEntry | None:
        """Returns the manifest's entry for a playbook."""
        held = self.manifest()
        entries = () if held is None else held.manifest.entries
        return next((one for one in entries if one.playbook == playbook), None)

    # --- approvals -----------------------------------------------------------------------------------

    def approvals(self) -> list[tuple[Vertex, PlaybookApproval]]:
        return [(vertex, self._said(vertex, PlaybookApproval)) for vertex in self.by_kind["approve"]]

    def approval(self, vertex: Vertex) -> PlaybookApproval:
        return self._said(vertex, PlaybookApproval)

    def approvals_of(self, version: PlaybookSaid) -> dict[PartnerId, list[Vertex]]:
        """Returns the approvals of exactly that content by author, each author's by (depth, id): revoked ones, too."""
        return dict(self._approvals.get((version.playbook, version.modified, version.digest), {}))

    def tally_of(
        self,
        playbook: str,
        needed: int,
        least: str,
        members: Collection[PartnerId],
        forked: Collection[PartnerId],
        bad: Collection[EntryId] = (),
    ) -> QuorumTally:
        """Returns who approves which version of a playbook. `members` have joined; `forked` are those who equivocate; `bad` are approvals
        whose signature is none."""
        versions = [one.said for one in self.playbooks().get(playbook, ()) if not one.said.is_template]
        approvals: list[ApprovalSaid] = []
        revocations: list[ApprovalSaid] = []
        by_text: dict[str, Vertex] = {}
        for subject in sorted({(one.playbook, one.modified, one.digest) for one in versions}):
            for said, kept in ((approvals, self._approvals), (revocations, self._revocations)):
                for author, own in kept.get(subject, {}).items():
                    good = [one for one in own if one.entry_id not in bad] if bad else own
                    # what is in the past of another of its author changes nothing: two of a member without a fork are one
                    for one in self._clock.newest(good):
                        by_text[one.entry_id.text] = one
                        said.append(ApprovalSaid(one.entry_id.text, author.text, _content_of(subject)))
        counted = tally(
            [
                PlaybookVersion(one.modified, _content_of((one.playbook, one.modified, one.digest)))
                for one in versions
            ],
            approvals,
            revocations,
            members={one.text for one in members},
            equivocators={one.text for one in forked},
            needed=needed,
            least_version=least,
            precedes=lambda one, other: precedes(by_text[one], by_text[other]),
        )
        return counted._replace(
            version=None if counted.version is None else _plain(counted.version),
            of=tuple(one._replace(version=_plain(one.version)) for one in counted.of),
        )

    def _held_approvals(self) -> Iterator[HeldApproval]:
        """Yields the approvals, by (depth, id), each with whether it stands."""
        newest: dict[tuple[ApprovalSubject, PartnerId], list[Vertex]] = {}
        for vertex in self.by_kind["approve"]:
            subject = self._subjects[vertex]
            key = subject, vertex.author
            if key not in newest:
                own = self._revocations[subject][vertex.author] if subject in self._revocations else []
                newest[key] = self._clock.newest(own)
            stands = all(precedes(one, vertex) for one in newest[key])
            yield HeldApproval(vertex, self._said(vertex, PlaybookApproval), stands)

    # --- canonical output --------------------------------------------------------------------------

    def canonical(self) -> Json:
        held = self.manifest()
        counted, proposed = self._versions()
        playbooks: list[Json] = [
            _version_shown(one, counts=counts)
            for versions, counts in ((counted, True), (proposed, False))
            for _, of in sorted(versions.items())
            for one in of
        ]
        return {
            "adoptions": [
                {"author": author.text, "manifest": manifest.text}
                for author, manifest in self.adopted().items()
            ],
            "approvals": [
                {
                    "author": one.vertex.author.text,
                    "id": one.vertex.entry_id.text,
                    "modified": one.said.modified,
                    "playbook": one.said.playbook,
                    "sha256": one.said.digest.hex(),
                    "stands": one.stands,
                }
                for one in self._held_approvals()
            ],
            "manifest": None if held is None else held.vertex.entry_id.text,
            "manifest_conflict": held is not None and held.in_conflict,
            "manifest_version": None if held is None else held.manifest.version,
            "notes": [self._note(vertex) for vertex in self.by_kind["note"]],
            "playbooks": playbooks,
            "revocations": [
                _ids_of(vertex, self._subjects[vertex]) for vertex in self.by_kind["revoke-approval"]
            ],
        }

    def _note(self, vertex: Vertex) -> Json:
        is_redacted, is_sealed = self._view.is_redacted(vertex), bool(vertex.header.audience)
        is_shown = not is_redacted and not is_sealed and vertex.content is not None
        return {
            "id": vertex.entry_id.text,
            "redacted": is_redacted,
            "sealed": is_sealed,
            "text": read_text(vertex.content) if is_shown and vertex.content is not None else None,
        }


def _manifest_of(said: ManifestSaid) -> FrameworkManifest:
    return read_manifest(said.raw, "the manifest")


def _content_of(subject: ApprovalSubject) -> bytes:
    """Returns what is counted as one content: a digest that two versions claim is two."""
    return subject[1].encode() + subject[2]


def _plain(version: PlaybookVersion) -> PlaybookVersion:
    return version._replace(digest=version.digest[-DIGEST_BYTES:])


def _held_versions(said: Sequence[tuple[Vertex, PlaybookSaid]]) -> list[PlaybookHeld]:
    contents: defaultdict[tuple[str, str], set[bytes]] = defaultdict(set)
    for _, one in said:
        contents[instant_order(one.modified)].add(one.digest)
    return [PlaybookHeld(vertex, one, len(contents[instant_order(one.modified)]) > 1) for vertex, one in said]


def _version_shown(one: PlaybookHeld, *, counts: bool) -> Json:
    return {
        "author": one.vertex.author.text,
        "counts": counts,
        "forked": one.is_forked,
        "id": one.vertex.entry_id.text,
        "modified": one.said.modified,
        "name": one.said.name,
        "playbook": one.said.playbook,
        "raw_sha256": one.said.raw_digest.hex(),
        "review": one.said.review or None,
        "sha256": one.said.digest.hex(),
        "template": bool(one.said.is_template),
    }


def _ids_of(vertex: Vertex, subject: ApprovalSubject) -> Json:
    playbook, modified, digest = subject
    return {
        "author": vertex.author.text,
        "id": vertex.entry_id.text,
        "modified": modified,
        "playbook": playbook,
        "sha256": digest.hex(),
    }


KIND = SpaceKind(
    name="framework",
    entry_kinds={
        kind: EntryKind(is_deciding=kind in DECIDING, is_lead_only=kind in LEAD_ONLY, read=read)
        for kind, read in READERS.items()
    },
    lead_role="",
    fold=FrameworkFold,
)
