"""The kind `framework`: which playbook answers what, who approves it, who adopted it (docs/playbooks.md, "Frameworks").

1. A playbook is its author's: who wrote the first entry of an id owns it, and versions of it by others are shown and count for nothing.
2. The manifest is the newest of the lead's. Of several beside each other the last by (depth, id), and the conflict is shown.
3. Approvals and revocations are counted by `intel.playbooks.quorum`, over one exact digest.
4. An organisation has adopted the manifest that its newest adoption names; a new manifest is adopted anew.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.errors import AuthorError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.playbooks.framework_manifest import FrameworkEntry, FrameworkManifest, read_manifest
from p2pshare.intel.playbooks.quorum import ApprovalSaid, PlaybookVersion, QuorumTally, tally
from p2pshare.limits import KIB
from p2pshare.spaces.interface import EntryKind, FoldView, Json, SpaceKind
from p2pshare.spaces.notebook import read_text
from p2pshare.spaces.register_clock import RegisterClock
from p2pshare.spaces.vertex import Vertex, by_order, precedes

STEP_ENTRIES = 1_024  # folded between two yields: some 2 ms
ID_BYTES_MAX = 64  # `playbook--` and a UUID have 46
MODIFIED_BYTES_MAX = 64
NAME_BYTES_MAX = 256
MANIFEST_ENTRY_BYTES_MAX = 64 * KIB  # all members fold it; ours of three entries has 3 KiB
JSS_BYTES_MAX = 16 * KIB
TIME_MAX = 253_402_300_799
DIGEST_BYTES = 32


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
    """`approve`, `revoke-approval`: of one exact content. `jss` is a signature of CACAO, or b""."""

    playbook: str
    modified: str
    digest: bytes
    jss: bytes


class ManifestAdoption(NamedTuple):
    """`adopt`: its author works by the manifest that this entry has."""

    manifest: EntryId


FrameworkBody = PlaybookSaid | ManifestSaid | PlaybookApproval | ManifestAdoption
F = TypeVar("F", bound=FrameworkBody)


def encode_framework(body: FrameworkBody) -> bytes:
    """Returns the content of an entry that says `body`."""
    return pack(dict(enumerate(body)))


def _map_of(made: Callable[..., F], *fields: Callable[[Reader], object]) -> Callable[[bytes], F]:
    def read(content: bytes) -> F:
        reader = Reader(content)
        reader.map(len(fields))
        values = []
        for number, field in enumerate(fields):
            reader.key(number)
            values.append(field(reader))
        reader.end()
        return made(*values)

    return read


def _text(low: int, high: int) -> Callable[[Reader], str]:
    return lambda reader: reader.text(low, high)


def _blob(low: int, high: int) -> Callable[[Reader], bytes]:
    return lambda reader: reader.blob(low, high)


def _number(high: int) -> Callable[[Reader], int]:
    return lambda reader: reader.integer(high)


_digest = _blob(DIGEST_BYTES, DIGEST_BYTES)
_approval = _map_of(
    PlaybookApproval, _text(1, ID_BYTES_MAX), _text(1, MODIFIED_BYTES_MAX), _digest, _blob(0, JSS_BYTES_MAX)
)
_plain_manifest = _map_of(ManifestSaid, _blob(1, MANIFEST_ENTRY_BYTES_MAX))


def _manifest(content: bytes) -> ManifestSaid:
    said = _plain_manifest(content)
    try:
        read_manifest(said.raw, "the manifest")
    except AuthorError as error:
        raise refusal("malformed", error.message) from None
    return said


READERS: Mapping[str, Callable[[bytes], object]] = {
    "playbook": _map_of(
        PlaybookSaid,
        _text(1, ID_BYTES_MAX),
        _text(1, MODIFIED_BYTES_MAX),
        _digest,
        _digest,
        _text(0, NAME_BYTES_MAX),
        _number(TIME_MAX),
        _number(1),
    ),
    "manifest": _manifest,
    "approve": _approval,
    "revoke-approval": _approval,
    "adopt": _map_of(ManifestAdoption, lambda reader: EntryId(reader.blob(EntryId.length, EntryId.length))),
    "note": read_text,
}
LEAD_ONLY = ("manifest",)
DECIDING = frozenset(READERS) - {"note"}


class HeldVersion(NamedTuple):
    """A version of a playbook. `is_forked`: the owner said another content under the same `modified`."""

    vertex: Vertex
    said: PlaybookSaid
    is_forked: bool


class HeldManifest(NamedTuple):
    vertex: Vertex
    manifest: FrameworkManifest
    in_conflict: bool


class FrameworkFold:
    """A framework: the entries with an effect by kind, and what follows from them."""

    def __init__(self, view: FoldView) -> None:
        self._view = view
        self._begin()

    def _begin(self) -> None:
        self._clock = RegisterClock()
        self._bodies: dict[Vertex, object] = {}
        self.by_kind: dict[str, list[Vertex]] = {kind: [] for kind in READERS}

    def whole(self, vertices: Sequence[Vertex]) -> Iterator[None]:
        self._begin()
        for start in range(0, len(vertices), STEP_ENTRIES):
            for vertex in vertices[start : start + STEP_ENTRIES]:
                self._place(vertex)
            yield

    def add(self, vertex: Vertex) -> bool:
        self._place(vertex)
        return True

    def _place(self, vertex: Vertex) -> None:
        self._clock.add(vertex, is_register=vertex.kind in DECIDING)
        placed = self.by_kind.get(vertex.kind)
        if placed is not None and vertex.has_effect:
            insort(placed, vertex, key=by_order)

    def _said(self, vertex: Vertex, body: type[F]) -> F:
        said = self._bodies.get(vertex)
        if said is None:
            assert vertex.content is not None
            said = self._bodies[vertex] = READERS[vertex.kind](vertex.content)
        assert isinstance(said, body)
        return said

    # --- what is asked -----------------------------------------------------------------------------

    def manifest(self) -> HeldManifest | None:
        newest = self._clock.newest(self.by_kind["manifest"])
        if not newest:
            return None
        said = [self._said(vertex, ManifestSaid) for vertex in newest]
        return HeldManifest(newest[-1], read_manifest(said[-1].raw, "the manifest"), len(set(said)) > 1)

    def playbooks(self) -> dict[str, list[HeldVersion]]:
        """Returns the versions of each playbook, by its owner, in the order of their entries."""
        of: defaultdict[str, list[tuple[Vertex, PlaybookSaid]]] = defaultdict(list)
        for vertex in self.by_kind["playbook"]:
            said = self._said(vertex, PlaybookSaid)
            own = of[said.playbook]
            if not own or own[0][0].author == vertex.author:
                own.append((vertex, said))
        contents: defaultdict[tuple[str, str], set[bytes]] = defaultdict(set)
        for name, held in of.items():
            for _, said in held:
                contents[name, said.modified].add(said.digest)
        return {
            name: [HeldVersion(vertex, said, len(contents[name, said.modified]) > 1) for vertex, said in held]
            for name, held in sorted(of.items())
        }

    def approvals(self) -> list[tuple[Vertex, PlaybookApproval]]:
        return [(vertex, self._said(vertex, PlaybookApproval)) for vertex in self.by_kind["approve"]]

    def adopted(self) -> dict[PartnerId, EntryId]:
        """Returns which manifest each organisation adopted last."""
        by_author: defaultdict[PartnerId, list[Vertex]] = defaultdict(list)
        for vertex in self.by_kind["adopt"]:
            by_author[vertex.author].append(vertex)
        return {
            author: self._said(self._clock.newest(own)[-1], ManifestAdoption).manifest
            for author, own in sorted(by_author.items())
        }

    def tally_of(
        self,
        playbook: str,
        needed: int,
        least: str,
        members: Collection[PartnerId],
        forked: Collection[PartnerId],
    ) -> QuorumTally:
        """Returns who approves which version of a playbook. `members` have joined; `forked` are those who equivocate."""
        by_text = {
            vertex.entry_id.text: vertex
            for kind in ("approve", "revoke-approval")
            for vertex in self.by_kind[kind]
        }

        def of(kind: str) -> list[ApprovalSaid]:
            return [
                ApprovalSaid(vertex.entry_id.text, vertex.author.text, said.digest)
                for vertex in self.by_kind[kind]
                if (said := self._said(vertex, PlaybookApproval)).playbook == playbook
            ]

        return tally(
            [
                PlaybookVersion(one.said.modified, one.said.digest)
                for one in self.playbooks().get(playbook, ())
                if not one.said.is_template
            ],
            of("approve"),
            of("revoke-approval"),
            members={one.text for one in members},
            equivocators={one.text for one in forked},
            needed=needed,
            least_version=least,
            precedes=lambda one, other: precedes(by_text[one], by_text[other]),
        )

    def entry_of(self, playbook: str) -> FrameworkEntry | None:
        """Returns the manifest's entry for a playbook."""
        held = self.manifest()
        entries = () if held is None else held.manifest.entries
        return next((one for one in entries if one.playbook == playbook), None)

    # --- canonical output --------------------------------------------------------------------------

    def canonical(self) -> Json:
        held = self.manifest()
        playbooks: list[Json] = [
            {
                "forked": one.is_forked,
                "id": one.vertex.entry_id.text,
                "modified": one.said.modified,
                "name": one.said.name,
                "owner": one.vertex.author.text,
                "playbook": name,
                "raw_sha256": one.said.raw_digest.hex(),
                "review": one.said.review or None,
                "sha256": one.said.digest.hex(),
                "template": bool(one.said.is_template),
            }
            for name, versions in self.playbooks().items()
            for one in versions
        ]
        return {
            "adoptions": [
                {"author": author.text, "manifest": manifest.text}
                for author, manifest in self.adopted().items()
            ],
            "approvals": [_approval_shown(vertex, said) for vertex, said in self.approvals()],
            "manifest": None if held is None else held.vertex.entry_id.text,
            "manifest_conflict": held is not None and held.in_conflict,
            "playbooks": playbooks,
            "revocations": [
                _approval_shown(vertex, self._said(vertex, PlaybookApproval))
                for vertex in self.by_kind["revoke-approval"]
            ],
        }


def _approval_shown(vertex: Vertex, said: PlaybookApproval) -> Json:
    return {
        "author": vertex.author.text,
        "id": vertex.entry_id.text,
        "modified": said.modified,
        "playbook": said.playbook,
        "sha256": said.digest.hex(),
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
