"""`playbook ...` and `framework ...`: what a command asks of a node about playbooks that partners agree on.

A playbook is called by its id or the beginning of its UUID, a version by its `modified` or the beginning of its hash.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Annotated, Any, NamedTuple

from msgspec import Meta, Struct

from p2pshare.envelope.jss import sign_playbook
from p2pshare.errors import NotFoundError, OperatorError, PeerError, RefusedError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.authoring import identity_id
from p2pshare.intel.instants import SECOND_US
from p2pshare.intel.playbooks.framework_manifest import FrameworkEntry, read_manifest
from p2pshare.intel.playbooks.playbook_making import cacao_instant
from p2pshare.intel.playbooks.playbook_standing import PLAYBOOK, TEMPLATE, PlaybookStanding, standing_of
from p2pshare.intel.playbooks.playbook_text import PLAYBOOK_BYTES_MAX, Playbook, playbook_digest, playbook_of
from p2pshare.intel.playbooks.quorum import PlaybookVersion, QuorumTally, instant_order
from p2pshare.jcs import jcs_bytes
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.incidents import AMBER_STRICT
from p2pshare.operations.interface import AsideWork, LongRequest, Query, Request, Several
from p2pshare.operations.spaces import (
    TLP_LABELS,
    AmbiguousId,
    Called,
    SpaceWritten,
    names_here,
    space_called,
    who_may,
    written,
)
from p2pshare.spaces.fold import SpaceFold
from p2pshare.spaces.framework import (
    APPROVAL_JSS_BYTES_MAX,
    MANIFEST_ENTRY_BYTES_MAX,
    ApprovalRevoked,
    ManifestAdoption,
    ManifestSaid,
    PlaybookApproval,
    PlaybookHeld,
    PlaybookSaid,
    encode_framework,
)
from p2pshare.spaces.framework_holding import (
    HeldFramework,
    hold_framework,
    holding_framework,
    holds_parts,
    playbook_text,
)
from p2pshare.spaces.space_exchange import exchange_of, spaces_of
from p2pshare.spaces.space_store import SpaceReading, SpaceRow
from p2pshare.spaces.vertex import SpaceEntry
from p2pshare.spaces.writing import SpaceStatement

FRAMEWORK = "framework"
PlaybookCalled = Annotated[str, Meta(max_length=64)]
VersionCalled = Annotated[str, Meta(max_length=64)]
TriggerWords = Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(max_length=1_000)]


class ApprovalShown(Struct, frozen=True, forbid_unknown_fields=True):
    """Who approves, by name or id, and when it says it wrote so (unix seconds)."""

    by: str
    at: int


class PlaybookListed(Struct, frozen=True, forbid_unknown_fields=True):
    """A version of a playbook in a framework. `owner` is a name or an id; `review` unix seconds, or None; `needed` None: no entry of the
    framework asks for it. `in_force`: the newest version that has its quorum."""

    framework: str
    playbook: str
    name: str
    version: str
    hash: str
    owner: str
    review: int | None
    template: bool
    forked: bool
    approvals: list[ApprovalShown]
    needed: int | None
    in_force: bool
    adopted_by: list[str]
    bad_signatures: int = 0
    """Approvals of it whose signature is none (`bad-jss`)."""


class PlaybookShown(Struct, frozen=True, forbid_unknown_fields=True):
    """A version with its text, the signatures of its approvals (JSON each), and all versions that are held."""

    raw: bytes
    listed: PlaybookListed
    versions: list[PlaybookListed]
    signatures: list[bytes]
    tlp: str
    entry: str
    author: str
    number: int


class PlaybookWritten(Struct, frozen=True, forbid_unknown_fields=True):
    """What was written about a version. `is_new` False: it stood there already."""

    space: str
    entry: str
    playbook: str
    name: str
    version: str
    hash: str
    template: bool
    is_new: bool


class FrameworkEntryShown(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of a framework. `version` and `hash` are of the version that has its quorum, else of the one that is being approved, None
    where none is; `state` is `in-force`, `approving`, `forked` or `missing`; `missing` says how many approvals are lacking, `may_approve` of whom."""

    trigger: list[str]
    playbook: str
    name: str
    version: str | None
    hash: str | None
    approvals: list[ApprovalShown]
    needed: int
    missing: int
    may_approve: list[str]
    adopted_by: list[str]
    forked: bool
    state: str
    review: int | None


class FrameworkShown(Struct, frozen=True, forbid_unknown_fields=True):
    """A framework: its manifest's version (None: no manifest yet), members that have joined, and who adopted it."""

    framework: str
    title: str
    version: int | None
    conflict: bool
    members: list[str]
    adopted_by: list[str]
    entries: list[FrameworkEntryShown]
    manifest: bytes


# --- reading -----------------------------------------------------------------------------------------


def framework_beside(node: NodeReading, row: SpaceRow) -> HeldFramework:
    """Returns a framework, folded from the store."""
    fold = SpaceFold()
    for entry in SpaceReading(node.store.database).entries(row):
        fold.add(SpaceEntry.of(entry))
    return hold_framework(node.store.database, row, fold.state())


def judging(node: Node, rows: Iterable[SpaceRow], now: int) -> Iterator[None]:
    """Fold frameworks, and judge what is not judged yet about them, in small steps: `framework_here` has little to do then."""
    spaces = spaces_of(node)
    for row in rows:
        is_judged = False
        while not is_judged:
            while not spaces.caught_up(row.space, now):
                yield
            if spaces.has_unknown_rules(row.space):
                break
            is_judged = True
            for _ in holding_framework(node.store.database, row, spaces.state(row.space)):
                yield
                if spaces.current(row.space) is None:  # something came in between; what was judged is kept
                    is_judged = False
                    break


def framework_here(node: Node, row: SpaceRow) -> HeldFramework:
    """Returns a framework as the daemon has it folded."""
    return hold_framework(node.store.database, row, spaces_of(node).state(row.space))


def frameworks_here(node: Node, framework: str) -> list[HeldFramework]:
    """Returns the framework of that id; without one all of rules that are known here."""
    if framework:
        return [framework_here(node, row_called(node, framework))]
    return list(of_known_rules(map(partial(framework_here, node), rows(node))))


def of_known_rules(frameworks: Iterator[HeldFramework] | map[HeldFramework]) -> Iterator[HeldFramework]:
    """Yields the frameworks but those of rules that are not known here: whoever invites us into one stops nothing else."""
    while True:
        try:
            yield next(frameworks)
        except StopIteration:
            return
        except (PeerError, RefusedError) as error:
            if error.reason != "unknown-rules":
                raise


def rows(node: NodeReading) -> list[SpaceRow]:
    return [row for row in SpaceReading(node.store.database).all() if row.kind == FRAMEWORK]


def row_called(node: NodeReading, digits: str) -> SpaceRow:
    """Returns the framework of that id; without one the only one that is held, or the only one of those held that we have joined. Raises as
    `space_called`."""
    if digits:
        return space_called(node.store, digits, FRAMEWORK)
    held = rows(node)
    if not held:
        raise NotFoundError("no framework is held here", hint="`p2pshare framework new` opens one")
    if len(held) > 1:
        frameworks = of_known_rules(map(partial(framework_beside, node), held))
        joined = [one.row for one in frameworks if node.card.partner_id in one.joined]
        if len(joined) == 1:
            return joined[0]
        told = ", ".join(f"{row.space.short} {row.title}" for row in held[:5])
        raise AmbiguousId(f"several frameworks are held here: {told}", hint="say which: --framework ID")
    return held[0]


def is_called(playbook: str, called: str) -> bool:
    """Returns whether a playbook is called so: by its id, or six digits and more of its UUID."""
    begun = called.lower()
    return playbook == begun or (
        len(begun) >= 6
        and (playbook.startswith(begun) or playbook.removeprefix("playbook--").startswith(begun))
        and begun not in "playbook--"
    )


def _is_version(one: PlaybookHeld, called: str) -> bool:
    begun = called.lower()
    return one.said.modified == called or (len(begun) >= 6 and one.said.digest.hex().startswith(begun))


def versions_called(held: HeldFramework, called: str) -> list[PlaybookHeld]:
    """Returns the versions of the playbook of that id, oldest first. Raises NotFoundError, AmbiguousId."""
    found = {name: of for name, of in held.fold.playbooks().items() if is_called(name, called)}
    if not found:
        raise NotFoundError("no playbook of that id is held here", hint="see `p2pshare playbook list`")
    if len(found) > 1:
        raise AmbiguousId(f"several playbooks begin so: {', '.join(list(found)[:5])}", hint="type more of it")
    [versions] = found.values()
    return sorted(versions, key=lambda one: instant_order(one.said.modified))


def version_called(held: HeldFramework, called: str, version: str) -> PlaybookHeld:
    """Returns one version: of that `modified` or hash, else the newest. Raises NotFoundError, AmbiguousId."""
    versions = versions_called(held, called)
    if not version:
        return versions[-1]
    found = {one.said.digest: one for one in versions if _is_version(one, version)}
    if not found:
        raise NotFoundError(
            "no version is called so", hint=f"there are: {', '.join(one.said.modified for one in versions)}"
        )
    if len(found) > 1:
        hashes = ", ".join(digest.hex()[:12] for digest in found)
        raise AmbiguousId(f"several contents are called so: {hashes}", hint="give the beginning of a hash")
    return next(iter(found.values()))


def text_of(node: NodeReading, row: SpaceRow, version: PlaybookHeld) -> Playbook:
    """Returns the playbook of a version. Raises as `playbook_text`."""
    return playbook_text(node.store.database, row, version)


def _name(member: PartnerId, names: dict[PartnerId, str]) -> str:
    return names.get(member) or member.text


def approvals_of(
    held: HeldFramework, said: PlaybookSaid, names: dict[PartnerId, str], counted: tuple[str, ...]
) -> list[ApprovalShown]:
    """Returns the approvals that count, each with when it was written last."""
    at: dict[str, int] = {}
    for author, own in held.fold.approvals_of(said).items():
        for vertex in own:
            if vertex.entry_id not in held.bad:
                at[author.text] = vertex.header.created
    return [ApprovalShown(_name(PartnerId.parse(one), names), at.get(one, 0)) for one in counted]


def _listed(
    held: HeldFramework, versions: Iterable[PlaybookHeld], names: dict[PartnerId, str]
) -> Iterator[PlaybookListed]:
    """Yields the versions of one playbook, counted once for all of them."""
    versions = list(versions)
    playbook = versions[0].said.playbook
    entry = held.fold.entry_of(playbook)
    needed, least = (1, "") if entry is None else (entry.quorum, entry.least)
    counted = held.tally(playbook, needed, least)
    approvals = {of.version: of.approvals for of in counted.of}
    adopters = held.adopters()
    for one in versions:
        yield _listed_one(held, one, names, entry, counted, approvals.get(_version(one.said), ()), adopters)


def _listed_one(
    held: HeldFramework,
    one: PlaybookHeld,
    names: dict[PartnerId, str],
    entry: FrameworkEntry | None,
    counted: QuorumTally,
    approvals: tuple[str, ...],
    adopters: list[PartnerId],
) -> PlaybookListed:
    said = one.said
    return PlaybookListed(
        held.row.space.text,
        said.playbook,
        said.name,
        said.modified,
        said.digest.hex(),
        _name(one.vertex.author, names),
        said.review or None,
        bool(said.is_template),
        one.is_forked,
        approvals_of(held, said, names, approvals),
        None if entry is None else entry.quorum,
        entry is not None and counted.version == _version(said),
        [_name(member, names) for member in adopters] if entry is not None else [],
        sum(by.entry_id in held.bad for own in held.fold.approvals_of(said).values() for by in own),
    )


class ListPlaybooks(Query[Several[PlaybookListed]], frozen=True, tag="playbook-list"):
    """List the versions of playbooks that are held here, of one framework or of all."""

    framework: Called = ""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[PlaybookListed]:
        names = names_here(node.store)
        found: list[PlaybookListed] = []
        for held in _asked_beside(node, self.framework):
            for versions in held.fold.playbooks().values():
                found += _listed(held, versions, names)
        return Several(found)


class ShowPlaybook(Query[PlaybookShown], frozen=True, tag="playbook-show"):
    """Show a version of the playbook of that id, without one the newest."""

    playbook: PlaybookCalled
    version: VersionCalled = ""
    framework: Called = ""

    def run(self, node: NodeReading, now: int, progress: Progress) -> PlaybookShown:
        held = playbook_held(node, self.playbook, self.framework)
        one, names = version_called(held, self.playbook, self.version), names_here(node.store)
        raw = text_of(node, held.row, one).raw
        versions = versions_called(held, self.playbook)
        listed = list(_listed(held, versions, names))
        return PlaybookShown(
            raw,
            listed[versions.index(one)],
            listed,
            list(_signatures(held, one.said)),
            TLP_LABELS[held.row.tlp],
            one.vertex.entry_id.text,
            one.vertex.author.text,
            one.vertex.number,
        )


def _signatures(held: HeldFramework, said: PlaybookSaid) -> Iterator[bytes]:
    """Yields the signature of each organisation whose approval of exactly that content counts: of its newest that was checked, and is good."""
    counted = {
        by
        for of in held.tally(said.playbook, 1, "").of
        if of.version == _version(said)
        for by in of.approvals
    }
    for author, own in sorted(held.fold.approvals_of(said).items()):
        good = [one for one in own if one.entry_id not in held.bad | held.passed_over]
        if author.text in counted and good:
            yield held.fold.approval(good[-1]).jss


def _version(said: PlaybookSaid) -> PlaybookVersion:
    return PlaybookVersion(said.modified, said.digest)


def playbook_held(node: NodeReading, called: str, framework: str) -> HeldFramework:
    """Returns the framework that has a playbook. Raises NotFoundError, AmbiguousId."""
    return _having(called, _asked_beside(node, framework), node.card.partner_id)


def _asked_beside(node: NodeReading, framework: str) -> Iterator[HeldFramework]:
    if framework:
        yield framework_beside(node, row_called(node, framework))
    else:
        yield from of_known_rules(map(partial(framework_beside, node), rows(node)))


def _having(called: str, frameworks: Iterable[HeldFramework], own: PartnerId) -> HeldFramework:
    """Returns the one that has a playbook: of several the one that we have joined, for anybody may invite us into another."""
    found = [one for one in frameworks if any(is_called(name, called) for name in one.fold.playbooks())]
    found = [one for one in found if own in one.joined] or found
    if not found:
        raise NotFoundError("no playbook of that id is held here", hint="see `p2pshare playbook list`")
    if len(found) > 1:
        told = ", ".join(f"{one.row.space.short} {one.row.title}" for one in found)
        raise AmbiguousId(f"several frameworks have it: {told}", hint="say which: --framework ID")
    return found[0]


class ShowFramework(Query[FrameworkShown], frozen=True, tag="framework-status"):
    """Show the framework of that id: each entry with who approves and who adopted it."""

    id: Called = ""

    def run(self, node: NodeReading, now: int, progress: Progress) -> FrameworkShown:
        held = framework_beside(node, row_called(node, self.id))
        names, manifest = names_here(node.store), held.fold.manifest()
        adopters = [_name(one, names) for one in held.adopters()]
        entries = () if manifest is None else manifest.manifest.entries
        return FrameworkShown(
            held.row.space.text,
            held.row.title,
            None if manifest is None else manifest.manifest.version,
            manifest is not None and manifest.in_conflict,
            [_name(one, names) for one in sorted(held.joined)],
            adopters,
            [entry_shown(held, one, names, adopters) for one in entries],
            b"" if manifest is None else manifest_raw(held),
        )


def manifest_raw(held: HeldFramework) -> bytes:
    from p2pshare.intel.playbooks.framework_manifest import manifest_bytes

    manifest = held.fold.manifest()
    return b"" if manifest is None else manifest_bytes(manifest.manifest)


def triggers_of(entry: FrameworkEntry) -> list[str]:
    """Returns what calls for a playbook, in words: a type, a technique, `risk:OUTCOME`."""
    trigger = entry.trigger
    return [*trigger.types, *trigger.attack, *(f"risk:{one}" for one in trigger.risk)]


def entry_shown(
    held: HeldFramework, entry: FrameworkEntry, names: dict[PartnerId, str], adopters: list[str]
) -> FrameworkEntryShown:
    counted = held.tally_of(entry)
    begun = [one for one in counted.of if one.approvals]
    told = counted.version or (
        begun[0].version if len(begun) == 1 else counted.of[-1].version if counted.of and not begun else None
    )
    versions = held.fold.playbooks().get(entry.playbook, [])
    shown = next((one for one in versions if told is not None and _version(one.said) == told), None)
    state = "in-force" if counted.version else "approving" if versions else "missing"
    is_forked = any(one.is_forked for one in versions)
    if is_forked and not counted.version:
        state = "forked"
    elif told is not None and told.digest not in held.texts:
        state = "missing"
    return FrameworkEntryShown(
        triggers_of(entry),
        entry.playbook,
        shown.said.name if shown else versions[-1].said.name if versions else "",
        told.modified if told else None,
        told.digest.hex() if told else None,
        [] if shown is None else approvals_of(held, shown.said, names, counted.approvals),
        entry.quorum,
        counted.missing,
        [_name(PartnerId.parse(one), names) for one in counted.may_still_approve],
        adopters,
        is_forked,
        state,
        (shown.said.review or None) if shown else None,
    )


# --- writing -----------------------------------------------------------------------------------------


class ImportPlaybook(LongRequest[PlaybookWritten], frozen=True, tag="playbook-import"):
    """Put a playbook into the framework of that id, byte for byte. `review`: until when its owner looks at it again."""

    id: Called
    raw: Annotated[bytes, Meta(max_length=PLAYBOOK_BYTES_MAX)]
    review: Annotated[int, Meta(ge=0, le=253_402_300_799)] = 0

    def steps(self, node: Node, now: int) -> Iterator[PlaybookWritten | AsideWork[Any] | None]:
        row = space_called(node.store, self.id, FRAMEWORK)
        yield (linting := AsideWork(partial(standing_of, self.raw)))
        standing = linting.result
        yield from judging(node, [row], now)
        held, own = framework_here(node, row), node.identity.partner_id
        _require_playbook(standing, (PLAYBOOK, TEMPLATE))
        document = playbook_of(self.raw).document
        name, digest = str(document["id"]), playbook_digest(document)
        before, owned_by = held.fold.playbooks().get(name, []), held.fold.owner_of(name)
        if owned_by not in (None, own) and held.state.lead != own:
            owner = _name(owned_by, names_here(node.store)) if owned_by is not None else ""
            raise RefusedError(
                "only its owner makes versions of a playbook",
                hint=f"{owner} may; `p2pshare playbook derive` makes one of our own of it",
                reason="not-owner",
            )
        said = PlaybookSaid(
            name,
            str(document["modified"]),
            digest,
            hashlib.sha256(self.raw).digest(),
            _cut(str(document["name"])),
            self.review,
            int(standing.kind == TEMPLATE),
        )
        same = [one for one in before if one.said == said]
        if same:
            yield _written_of(row, same[-1].vertex.entry_id, said, is_new=False)
            return
        if not holds_parts(node.store.database, row, own, said.raw_digest):
            yield None
            try:
                for _ in exchange_of(node).saying_whole(row.space, self.raw, row.tlp, now, _readers(held)):
                    yield None
            except RefusedError as error:
                raise who_may(node, row, error) from None
            yield None
        entry = written(node, row, SpaceStatement("playbook", encode_framework(said), row.tlp), now).entry
        yield _written_of(row, EntryId.parse(entry), said, is_new=True)


def _require_playbook(standing: PlaybookStanding, kinds: tuple[str, ...] = (PLAYBOOK,)) -> None:
    """Raises RefusedError, its reason the rule that is broken first, for what is none of these kinds."""
    if standing.kind not in kinds:
        first = next(one for one in standing.report.problems if one.level == "error")
        raise RefusedError(
            f"the playbook is not valid: {first.rule} at {first.pointer or 'the whole file'}",
            hint="`p2pshare playbook lint` says all that is wrong",
            reason=first.rule,
        )


def _readers(held: HeldFramework) -> tuple[PartnerId, ...]:
    """Returns who is named as a reader of a text: all members, where content must name them (rule 6); else nobody is named."""
    if held.row.tlp < AMBER_STRICT:
        return ()
    return tuple(
        sorted(one for one, status in held.state.members.items() if status in ("joined", "invited", "forked"))
    )


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:256].decode("utf-8", "ignore")


def _written_of(row: SpaceRow, entry: EntryId, said: PlaybookSaid, *, is_new: bool) -> PlaybookWritten:
    return PlaybookWritten(
        row.space.text,
        entry.text,
        said.playbook,
        said.name,
        said.modified,
        said.digest.hex(),
        bool(said.is_template),
        is_new,
    )


class ApprovePlaybook(LongRequest[PlaybookWritten], frozen=True, tag="playbook-approve"):
    """Approve one exact content: of that version, else the newest that a person was shown here. `is_revoked`: take the approval back.
    `dry_run`: say of which it would be."""

    playbook: PlaybookCalled
    version: VersionCalled = ""
    framework: Called = ""
    is_revoked: bool = False
    dry_run: bool = False

    def steps(self, node: Node, now: int) -> Iterator[PlaybookWritten | AsideWork[Any] | None]:
        asked = [row_called(node, self.framework)] if self.framework else rows(node)
        yield from judging(node, asked, now)
        own = node.identity.partner_id
        row = _having(self.playbook, frameworks_here(node, self.framework), own).row
        held = framework_here(node, row)
        one = version_called(held, self.playbook, self.version or self._shown(node, held, own))
        said = one.said
        if said.is_template:
            raise RefusedError(
                "a template is approved by nobody",
                hint="`p2pshare playbook derive` makes a playbook of it",
                reason="template",
            )
        is_approved = self._is_approved(held, said, own)
        if self.is_revoked and not is_approved:
            raise RefusedError(
                "we do not approve that", hint="see `p2pshare framework status`", reason="not-approved"
            )
        if self.dry_run or is_approved != self.is_revoked:
            # what is told is what was asked of: the approval that stands, where there is one
            by = held.fold.approvals_of(said).get(own, ()) if is_approved else ()
            entry_id = by[-1].entry_id if by else one.vertex.entry_id
            yield _written_of(row, entry_id, said, is_new=is_approved == self.is_revoked)
            return
        if self.is_revoked:
            kind = "revoke-approval"
            content = encode_framework(ApprovalRevoked(said.playbook, said.modified, said.digest))
        else:
            playbook = text_of(node, row, one)  # nobody approves what is not held, or says something else
            yield (linting := AsideWork(partial(standing_of, playbook.raw)))
            _require_playbook(linting.result)  # its owner may have written it with another program
            if playbook.document.get("revoked") is True:
                raise RefusedError(
                    "its author has revoked that version: nobody is to work by it",
                    hint="`p2pshare playbook show` says which versions there are",
                    reason="revoked",
                )
            kind, content = "approve", encode_framework(_signed(node, said, playbook.document, now))
        entry = written(node, row, SpaceStatement(kind, content, row.tlp), now).entry
        yield _written_of(row, EntryId.parse(entry), said, is_new=True)

    def _is_approved(self, held: HeldFramework, said: PlaybookSaid, own: PartnerId) -> bool:
        return any(
            of.version.digest == said.digest and own.text in of.approvals
            for of in held.tally(said.playbook, 1, "").of
        )

    def _shown(self, node: Node, held: HeldFramework, own: PartnerId) -> str:
        """Returns the newest version that a person was shown here, or that is our own."""
        shown = SpaceReading(node.store.database).shown(held.row)
        versions = versions_called(held, self.playbook)
        seen = [
            one
            for one in versions
            if one.vertex.author == own or one.vertex.number <= shown.get(one.vertex.author, 0)
        ]
        if not seen:
            raise RefusedError(
                "no version of it was shown to anybody here",
                hint="look at it first: `p2pshare playbook show ID`; or say which: --version MODIFIED",
                reason="not-shown",
            )
        return seen[-1].said.digest.hex()


def _signed(node: Node, said: PlaybookSaid, document: dict[str, Any], now: int) -> PlaybookApproval:
    """Returns our approval of a playbook, signed. Raises OperatorError `no-playbook-key`."""
    key = node.identity.playbook
    if key is None:
        raise OperatorError(
            "the key file has no key that signs playbooks",
            hint="the daemon makes one when it starts and can write the key file",
            reason="no-playbook-key",
        )
    jss = sign_playbook(
        document,
        key,
        jss_id=f"jss--{uuid.UUID(bytes=secrets.token_bytes(16), version=4)}",
        created_by=identity_id(node.identity.partner_id),
        signee=node.card.name,
        at=cacao_instant(now * SECOND_US),
    )
    raw = jcs_bytes(jss)
    assert len(raw) <= APPROVAL_JSS_BYTES_MAX
    return PlaybookApproval(said.playbook, said.modified, said.digest, raw)


class WriteManifest(Request[SpaceWritten], frozen=True, tag="framework-write"):
    """Say what the framework of that id is from now on: its lead may."""

    id: Called
    raw: Annotated[bytes, Meta(min_length=1, max_length=MANIFEST_ENTRY_BYTES_MAX)]

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        row = space_called(node.store, self.id, FRAMEWORK)
        read_manifest(self.raw, "the manifest")
        return written(
            node, row, SpaceStatement("manifest", encode_framework(ManifestSaid(self.raw)), row.tlp), now
        )


class AdoptFramework(LongRequest[SpaceWritten], frozen=True, tag="framework-adopt"):
    """Adopt the manifest of now: from then on we react by it. `shown`: the SHA-256 (hexadecimal) of the manifest that a person was shown; of another
    one nothing is adopted. "": whichever it is."""

    id: Called
    shown: Annotated[str, Meta(max_length=64)] = ""

    def steps(self, node: Node, now: int) -> Iterator[SpaceWritten | None]:
        row = space_called(node.store, self.id, FRAMEWORK)
        yield from judging(node, [row], now)
        held = framework_here(node, row)
        manifest = held.fold.manifest()
        if manifest is None:
            raise RefusedError(
                "the framework says nothing yet",
                hint="its lead adds entries: `p2pshare framework add`",
                reason="no-manifest",
            )
        if self.shown and hashlib.sha256(manifest_raw(held)).hexdigest() != self.shown:
            raise RefusedError(
                "its lead has changed it since it was shown here",
                hint="look at it again: `p2pshare framework status`",
                reason="changed-meanwhile",
            )
        names = [entry.playbook for entry in manifest.manifest.entries]
        forked = [one for one in names if any(v.is_forked for v in held.fold.playbooks().get(one, ()))]
        if forked:
            raise RefusedError(
                f"two contents of one version are there: {forked[0]}",
                hint="its owner makes a new version; `p2pshare playbook list` shows both",
                reason="forked",
            )
        body = ManifestAdoption(manifest.vertex.entry_id)
        yield written(node, row, SpaceStatement("adopt", encode_framework(body), row.tlp), now)


# --- what answers an incident ------------------------------------------------------------------------


class AnsweringPlaybook(NamedTuple):
    """An entry of a framework of ours that answers something, as it stands here."""

    held: HeldFramework
    entry: FrameworkEntry
    tally: QuorumTally
    is_adopted: bool

    @property
    def name(self) -> str:
        versions = self.held.fold.playbooks().get(self.entry.playbook, [])
        return versions[-1].said.name if versions else self.entry.playbook


def answering(
    held: Iterator[HeldFramework],
    own: PartnerId,
    *,
    types: tuple[str, ...] = (),
    attack: tuple[str, ...] = (),
    risk: tuple[str, ...] = (),
    called: str = "",
) -> list[AnsweringPlaybook]:
    """Returns what answers an incident of these types, techniques of ATT&CK or outcomes of risk, or the playbook that is called so. A type
    may be a technique."""
    attack = (*attack, *(one.upper() for one in types))
    found = []
    for one in held:
        manifest = one.fold.manifest()
        if manifest is None or own not in one.joined:
            continue
        for entry in manifest.manifest.entries:
            is_meant = is_called(entry.playbook, called) if called else entry.matches(types, attack, risk)
            if is_meant:
                found.append(AnsweringPlaybook(one, entry, one.tally_of(entry), own in one.adopters()))
    return found


class AnswerListed(Struct, frozen=True, forbid_unknown_fields=True):
    """A playbook that answers, and how it stands. `state`: `ready`, `not-adopted`, or as in FrameworkEntryShown."""

    framework: str
    playbook: str
    name: str
    version: str | None
    hash: str | None
    needed: int
    missing: int
    state: str
    trigger: list[str]


class FindAnswers(Query[Several[AnswerListed]], frozen=True, tag="framework-answers"):
    """List the playbooks of our frameworks that answer incidents of these types, techniques or outcomes of risk."""

    types: TriggerWords = ()
    attack: TriggerWords = ()
    risk: TriggerWords = ()

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[AnswerListed]:
        held = _asked_beside(node, "")
        return Several(
            [
                answer_listed(one)
                for one in answering(
                    held, node.card.partner_id, types=self.types, attack=self.attack, risk=self.risk
                )
            ]
        )


def answer_listed(one: AnsweringPlaybook) -> AnswerListed:
    """Returns how a playbook that answers stands."""
    shown = entry_shown(one.held, one.entry, {}, [])
    state = shown.state if shown.state != "in-force" else "ready" if one.is_adopted else "not-adopted"
    return AnswerListed(
        one.held.row.space.text,
        one.entry.playbook,
        one.name,
        shown.version,
        shown.hash,
        one.entry.quorum,
        shown.missing,
        state,
        shown.trigger,
    )


def document_of(
    node: NodeReading, held: HeldFramework, playbook: str, digest: bytes
) -> tuple[dict[str, Any], PlaybookSaid]:
    """Returns the playbook with that hash. Raises NotFoundError."""
    for one in held.fold.playbooks().get(playbook, ()):
        if one.said.digest == digest:
            try:
                read = text_of(node, held.row, one)
            except NotFoundError:
                continue  # the same content may stand there a second time, in other bytes
            return read.document, one.said
    raise NotFoundError(
        "that version of the playbook is not here", hint="it comes from members", reason="content-missing"
    )
