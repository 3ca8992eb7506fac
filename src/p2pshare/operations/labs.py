"""`lab ...`: what a command asks of a node about a lab besides the verbs that every space has (`operations.spaces`).

The command makes the content of an entry, as everywhere (docs/decisions/0003); what it says is checked again, here and by the fold. What a rule or
a sample holds travels as entries `part` and is written with the entry that names it, all or nothing. A sample's content leaves only with
`lab-put`, which the command asks for when a person said so; where own samples lie otherwise is nothing the daemon opens.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta, Struct

from p2pshare.errors import AuthorError, NotFoundError, RefusedError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.marking import Tlp
from p2pshare.limits import ENTRY_BODY_BYTES_MAX
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.incident_attachments import require_harmless
from p2pshare.operations.incidents import AMBER_STRICT, fold_of
from p2pshare.operations.interface import LongRequest, Query, Request, Several
from p2pshare.operations.space_standing import standing_of
from p2pshare.operations.spaces import (
    TLP_LABELS,
    Called,
    Invited,
    SpaceWritten,
    Title,
    checked_as,
    checked_digits,
    names_here,
    one_of,
    partner_called,
    space_called,
    who_may,
    written,
)
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.lab import (
    HeldRemedy,
    HeldRule,
    HeldRuleVersion,
    HeldSample,
    LabFold,
    TextStanding,
    version_fault,
)
from p2pshare.spaces.lab_entries import (
    BUCKETS,
    READERS,
    SAMPLE_CONTENT_BYTES_MAX,
    FieldFigure,
    LabQuestion,
    LabRemedy,
    LabSample,
    RuleAdoption,
    RuleDeprecation,
    RulePromotion,
    RuleVersion,
    encode_lab,
)
from p2pshare.spaces.parts import CONTENT_MISSING, PART_BYTES_MAX, assemble
from p2pshare.spaces.space_exchange import exchange_of, spaces_of
from p2pshare.spaces.space_store import SpaceReading, SpaceRow
from p2pshare.spaces.writing import SpaceStatement

LAB = "lab"
WHO_REVISES = "its author revises a rule, others propose (`p2pshare lab rule propose`)"
FAULTS = {
    "other-language": ("it is in another language than the rule it follows", "add it as a rule of its own"),
    "author-dropped": (
        "it drops the author of the rule it follows",
        "licences of rules ask that authors stay named",
    ),
    "licence-dropped": ("it changes the licence of another's rule", "only the rule's author may"),
}
EVENT_KINDS = ("event-json", "event-jsonl", "evtx-json")
PCAP_BEGINNINGS = (
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\xc3\xd4",
    b"\x4d\x3c\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x0a\x0d\x0d\x0a",
)

PutKind = Literal["rule", "revise", "propose", "sample", "remedy"]
SayKind = Literal[
    "note", "question", "adopt", "sample", "run", "review", "field", "promote", "deprecate", "close"
]
LabContent = Annotated[bytes, Meta(max_length=ENTRY_BODY_BYTES_MAX)]


class LabOpened(Struct, frozen=True, forbid_unknown_fields=True):
    """The id of the lab, which is that of its space and of its opening; its members; and the entry that says its question."""

    lab: str
    space: str
    members: list[str]
    entry: str


class LabListed(Struct, frozen=True, forbid_unknown_fields=True):
    """A lab that is held here. `role` is our own: `lead`, else our status in it. `rules` by status.

    `lead`, `members` and `invited_by` are names, else ids. What is only invited has neither title nor rules.
    """

    lab: str
    title: str
    question: str
    status: str
    rules: dict[str, int]
    lead: str | None
    members: list[str]
    role: str
    invited_by: str | None


class LabShown(Struct, frozen=True, forbid_unknown_fields=True):
    """What `lab status --json` prints, as JSON."""

    shown: str


class OpenLab(Request[LabOpened], frozen=True, tag="lab-open"):
    """Open a lab with ourselves and the partners of these names or ids, and say what it is to find out. `benign_permille`: from which share of
    benign hits, in thousandths, a rule is too noisy."""

    title: Title
    question: Annotated[str, Meta(max_length=4_096)]
    benign_permille: Annotated[int, Meta(ge=1, le=1_000)]
    tlp: Tlp
    invite: Invited = ()

    def run(self, node: Node, now: int, progress: Progress) -> LabOpened:
        invited = {partner_called(node.store, name) for name in self.invite}
        content = checked_lab_content(
            "question", encode_lab(LabQuestion(self.question, self.benign_permille))
        )
        spaces = spaces_of(node)
        opening = spaces.open(LAB, self.title, int(self.tlp), [(member, "") for member in invited], now)
        said = SpaceStatement("question", content, int(self.tlp))
        entry = spaces.say(opening.entry_id, said, now)[-1]
        members = sorted({*invited, node.identity.partner_id})
        lab = opening.entry_id.text
        return LabOpened(lab, lab, [member.text for member in members], entry.entry_id.text)


class SayInLab(Request[SpaceWritten], frozen=True, tag="lab-say"):
    """Write an entry of a kind into the lab of that id. What would have no effect, because another may write it, is refused with who may."""

    id: Called
    kind: SayKind
    content: LabContent

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        row = space_called(node.store, self.id, LAB)
        content = checked_lab_content(self.kind, self.content)
        _require_effect(node, row, self.kind, content)
        audience = _readers(node, row, row.tlp) if self.kind == "note" else ()
        return written(node, row, SpaceStatement(self.kind, content, row.tlp, audience), now)


class PutInLab(LongRequest[SpaceWritten], frozen=True, tag="lab-put"):
    """Write a rule, a remedy, or a sample with its content into the lab of that id: the entry that names `whole` by its SHA-256, behind its parts,
    an entry a step. Parts that are here already are not written again."""

    id: Called
    kind: PutKind
    content: LabContent
    whole: Annotated[bytes, Meta(min_length=1, max_length=SAMPLE_CONTENT_BYTES_MAX)]
    tlp: Tlp | None = None
    """Of the content and its entry; None: as the lab is marked."""

    def steps(self, node: Node, now: int) -> Iterator[SpaceWritten | None]:
        row = space_called(node.store, self.id, LAB)
        said: Any = READERS[self.kind](checked_lab_content(self.kind, self.content))
        if said.digest != hashlib.sha256(self.whole).digest() or said.size != len(self.whole):
            raise AuthorError("it is not what its entry names", reason="bad-argument")
        if isinstance(said, LabSample):
            _require_sample(node, said, self.whole)
        _require_effect(node, row, self.kind, self.content)
        tlp = row.tlp if self.tlp is None else int(self.tlp)
        audience = _readers(node, row, tlp)
        if audience or not self._is_held(node, row, said.digest):  # who came later gets its own
            yield None
            try:
                for _ in exchange_of(node).saying_whole(row.space, self.whole, tlp, now, audience):
                    yield None
            except RefusedError as error:
                raise who_may(node, row, error) from None
            yield None
        yield written(node, row, SpaceStatement(self.kind, self.content, tlp), now)

    @staticmethod
    def _is_held(node: Node, row: SpaceRow, digest: bytes) -> bool:
        parts = HeldParts(SpaceReading(node.store.database), spaces_of(node).state(row.space))
        return parts.whole(digest) is not None


class ListLabs(Query[Several[LabListed]], frozen=True, tag="lab-list"):
    """List the labs that are held here, oldest first, and the invitations whose opening is not here: of which kind those are only it says."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[LabListed]:
        reading = SpaceReading(node.store.database)
        listed = [_listed(node, row) for row in reading.all() if row.kind == LAB]
        names = names_here(node.store)
        newest = {one.space: one for one in reading.waiting(names_us=True) if reading.find(one.space) is None}
        listed += [
            LabListed(
                space.text, "", "", "", {}, None, [], "invited", names.get(one.author) or one.author.text
            )
            for space, one in newest.items()
        ]
        return Several(listed)


class ShowLab(Query[LabShown], frozen=True, tag="lab-show"):
    """Show what the lab of that id has come to, by what is held here."""

    id: Called

    def run(self, node: NodeReading, now: int, progress: Progress) -> LabShown:
        row = space_called(node.store, self.id, LAB)
        return LabShown(json.dumps(LabTold(node, row).shown(), ensure_ascii=False))


# --- what is found in a lab --------------------------------------------------------------------------


class FoundText(NamedTuple):
    """A text in a lab that a person named: of a rule (with the version that has it) or of a remedy."""

    digest: bytes
    rule: HeldRule | None
    version: HeldRuleVersion | None
    remedy: HeldRemedy | None


class HeldParts:
    """The parts that are held in a space, by what they are of: their beginnings are read, and their bodies only when a whole is asked for."""

    def __init__(self, reading: SpaceReading, state: SpaceState) -> None:
        self._reading = reading
        self._entries: defaultdict[bytes, defaultdict[PartnerId, list[EntryId]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for vertex in state.timeline:
            if vertex.kind == "part" and vertex.has_body:
                digest = reading.whole_of_part(vertex.entry_id)
                if digest is not None:
                    self._entries[digest][vertex.author].append(vertex.entry_id)

    def is_here(self, digest: bytes, size: int) -> bool:
        """Returns whether somebody's parts are as many as a content of this size has; whether they are right is asked when it is read."""
        count = -(-size // PART_BYTES_MAX)
        return any(len(found) >= count for found in self._entries.get(digest, {}).values())

    def whole(self, digest: bytes) -> bytes | None:
        """Returns the content with that SHA-256, None while parts of it are not held."""
        for author, found in sorted(self._entries.get(digest, {}).items()):
            entries = (self._reading.entry(entry) for entry in found)
            parts = [(author, one.content()) for one in entries if one is not None and one.body_fits()]
            whole = assemble(digest, parts)
            if whole is not None:
                return whole
        return None


class LabTold:
    """A lab as it is told to a person: its fold, and the texts and samples that are held here."""

    def __init__(self, node: NodeReading, row: SpaceRow) -> None:
        self.node, self.row = node, row
        self.state: SpaceState = fold_of(node, row).state()
        self.names = names_here(node.store)
        fold = self.state.kind
        assert isinstance(fold, LabFold)
        self.fold: LabFold = fold
        self._parts = HeldParts(SpaceReading(node.store.database), self.state)

    def called(self, member: PartnerId) -> str:
        """Returns a member's name here, else its id."""
        return self.names.get(member) or member.text

    # --- contents ---

    def whole(self, digest: bytes) -> bytes | None:
        """Returns the content with that SHA-256, None while parts of it are not held."""
        return self._parts.whole(digest)

    def wholes(self, digests: Collection[bytes]) -> dict[bytes, bytes]:
        """Returns those contents that are held whole, by their SHA-256."""
        found = {digest: self._parts.whole(digest) for digest in digests}
        return {digest: whole for digest, whole in found.items() if whole is not None}

    def text(self, digest: bytes) -> bytes:
        """Returns the text of a rule or remedy. Raises NotFoundError `content-missing`."""
        whole = self.whole(digest)
        if whole is None:
            raise NotFoundError(
                "not all parts of its text are here yet",
                hint="they come from members",
                reason=CONTENT_MISSING,
            )
        return whole

    # --- names ---

    def text_called(self, name: str) -> FoundText:
        """Returns the rule, the proposal or the remedy of that name: the beginning of its id, or of the SHA-256 of its text, or its whole title.
        Raises NotFoundError, AmbiguousId with the candidates, AuthorError."""
        found: dict[bytes, FoundText] = {}
        wanted = name.lower()
        for rule in self.fold.rules():
            for version in (rule.current, *rule.versions, *rule.proposals):
                said, vertex = version.said, version.vertex
                is_meant = said.digest.hex().startswith(wanted)
                if vertex is not rule.first:  # whose id is that of the rule, and so of what it is now
                    is_meant |= vertex.entry_id.text.startswith(wanted)
                if vertex is rule.current.vertex:
                    is_meant |= rule.rule.text.startswith(wanted) or said.title == name
                if is_meant:
                    found.setdefault(said.digest, FoundText(said.digest, rule, version, None))
        for remedy in self.fold.remedies():
            ids = (remedy.first.entry_id.text, remedy.vertex.entry_id.text, remedy.said.digest.hex())
            if any(one.startswith(wanted) for one in ids) or remedy.said.title == name:
                found.setdefault(remedy.said.digest, FoundText(remedy.said.digest, None, None, remedy))
        if not found:
            raise NotFoundError(
                "no rule or remedy is called so", hint="`p2pshare lab status` has ids and whole titles"
            )
        if not any(name == self._title(one) for one in found.values()):
            checked_digits(name, "rule")
        chosen: bytes = one_of(map(_Digest, found), "rule or remedy", "see `p2pshare lab status`")
        return found[bytes(chosen)]

    @staticmethod
    def found(rule: HeldRule, version: HeldRuleVersion) -> FoundText:
        """Returns a text of a rule as `text_called` does."""
        return FoundText(version.said.digest, rule, version, None)

    @staticmethod
    def _title(found: FoundText) -> str:
        if found.version is not None:
            return found.version.said.title
        assert found.remedy is not None
        return found.remedy.said.title

    def rule_called(self, name: str) -> HeldRule:
        """Returns a rule, as `text_called`."""
        found = self.text_called(name)
        if found.rule is None:
            raise NotFoundError("that is a remedy, and no rule", hint="see `p2pshare lab status`")
        return found.rule

    def sample_called(self, name: str) -> HeldSample:
        """Returns a sample of ours by the beginning of its SHA-256 or of its entry's id. Raises as `text_called`."""
        wanted = checked_digits(name, "sample")
        own = self.node.card.partner_id
        found = {
            _Digest(one.said.digest): one
            for one in self.fold.samples()
            if one.vertex.author == own
            and (one.said.digest.hex().startswith(wanted) or one.vertex.entry_id.text.startswith(wanted))
        }
        return found[one_of(found, "sample of ours", "see `p2pshare lab status --json`")]

    # --- what is shown ---

    def shown(self) -> dict[str, Any]:
        """Returns what `lab status --json` prints."""
        fold, state = self.fold, self.state
        question = fold.question()
        lead = state.lead
        return {
            "lab": self.row.space.text,
            "title": self.row.title,
            "question": None if question is None else question.question,
            "benign_permille": fold.benign_permille,
            "tlp": TLP_LABELS[self.row.tlp],
            "status": "closed" if fold.is_closed else "open",
            "lead": None if lead is None else lead.text,
            "members": [
                {"partner_id": member.text, "name": self.names.get(member), "status": status}
                for member, status in sorted(state.members.items())
            ],
            "rules": [self._rule(rule) for rule in fold.rules()],
            "samples": [self._sample(sample) for sample in fold.samples()],
            "remedies": [self._remedy(remedy) for remedy in fold.remedies()],
            "notes": [
                {"entry": vertex.entry_id.text, "author": vertex.author.text, "text": fold.note(vertex)}
                for vertex in fold.by_kind["note"]
            ],
        }

    def _rule(self, rule: HeldRule) -> dict[str, Any]:
        current = rule.current
        return {
            "rule": rule.rule.text,
            "hash": current.said.digest.hex(),
            "status": rule.status,
            "language": current.said.language,
            "title": current.said.title,
            "author": current.said.author,
            "licence": current.said.licence,
            "level": current.said.level or None,
            "techniques": [*current.said.techniques],
            "added_by": rule.first.author.text,
            "is_here": self._parts.is_here(current.said.digest, current.said.size),
            "conflict": rule.in_conflict,
            "reviews": self._reviews(current.standing),
            "runs": [
                {
                    "organisation": vertex.author.text,
                    "name": self.names.get(vertex.author),
                    "sample_set": run.samples.hex(),
                    "engine": run.engine,
                    "tp": run.tp,
                    "fn": run.fn,
                    "fp": run.fp,
                    "tn": run.tn,
                    "ms": run.milliseconds,
                    "errors": run.errors,
                }
                for vertex, run in current.standing.runs
            ],
            "field": [
                {
                    "organisation": vertex.author.text,
                    "name": self.names.get(vertex.author),
                    "from": _instant(figure.start),
                    "until": _instant(figure.until),
                    "hits": told_count(figure.hits),
                    "confirmed": told_count(figure.confirmed),
                    "benign": told_count(figure.benign),
                }
                for vertex, figure in current.standing.fields
            ],
            "missing": self.missing(rule.missing),
            "versions": [self._version(one) for one in rule.versions],
            "proposals": [self._version(one) for one in rule.proposals],
        }

    def _version(self, version: HeldRuleVersion) -> dict[str, Any]:
        return {
            "entry": version.vertex.entry_id.text,
            "hash": version.said.digest.hex(),
            "author": version.vertex.author.text,
            "name": self.names.get(version.vertex.author),
            "title": version.said.title,
            "status": version.status,
            "text": version.said.text,
        }

    def _reviews(self, standing: TextStanding) -> list[dict[str, Any]]:
        return [
            {
                "organisation": vertex.author.text,
                "name": self.names.get(vertex.author),
                "verdict": review.verdict,
                "text": review.text,
            }
            for vertex, review in standing.reviews
        ]

    def _sample(self, sample: HeldSample) -> dict[str, Any]:
        said = sample.said
        return {
            "entry": sample.vertex.entry_id.text,
            "sha256": said.digest.hex(),
            "kind": said.kind,
            "label": said.label,
            "size": said.size,
            "origin": said.origin,
            "author": sample.vertex.author.text,
            "name": self.names.get(sample.vertex.author),
            "rules": [one.text for one in said.rules],
            "tlp": TLP_LABELS[sample.vertex.header.tlp],
            "has_content": bool(said.has_content),
            "is_here": self._parts.is_here(said.digest, said.size),
            "conflict": sample.in_conflict,
        }

    def _remedy(self, remedy: HeldRemedy) -> dict[str, Any]:
        said = remedy.said
        return {
            "remedy": remedy.first.entry_id.text,
            "hash": said.digest.hex(),
            "status": remedy.standing.status,
            "kind": said.kind,
            "title": said.title,
            "author": said.author,
            "vulnerabilities": [*said.vulnerabilities],
            "rules": [one.text for one in said.rules],
            "is_here": self._parts.is_here(said.digest, said.size),
            "reviews": self._reviews(remedy.standing),
            "missing": self.missing(remedy.standing.missing),
        }

    def missing(self, steps: Iterable[Any]) -> list[dict[str, Any]]:
        """Returns what is missing, each with what there is and what it takes."""
        return [
            {
                "what": one.what,
                "have": one.have,
                "need": one.need,
                "not_before": None if one.not_before is None else _instant(one.not_before),
                "who": [member.text for member in one.who],
            }
            for one in steps
        ]


class _Digest(bytes):
    """A SHA-256 as ids are shown when several begin alike."""

    @property
    def text(self) -> str:
        return self.hex()


def lab_told(node: NodeReading, digits: str) -> LabTold:
    """Returns the lab whose id begins so. Raises as `operations.spaces.space_called`."""
    return LabTold(node, space_called(node.store, digits, LAB))


def told_count(stated: int) -> str:
    """Returns a count of a field figure as it is told: `0`, `1-4`, `5-9`, or itself."""
    most = BUCKETS.get(stated, stated)
    return str(stated) if most == stated else f"{stated}-{most}"


def checked_lab_content(kind: str, content: bytes) -> bytes:
    """Returns the content of an entry that says something under its kind. Raises AuthorError `bad-argument`."""
    return checked_as(kind, content, READERS, "labs.md")


# --- who may -----------------------------------------------------------------------------------------


def _fold_here(node: Node, row: SpaceRow) -> LabFold:
    fold = spaces_of(node).state(row.space).kind
    assert isinstance(fold, LabFold)
    return fold


def _readers(node: Node, row: SpaceRow, tlp: int) -> tuple[PartnerId, ...]:
    """Returns whom content of a marking names as its readers, where it must: everybody who is a member now. Later ones are not handed it."""
    if tlp < AMBER_STRICT:
        return ()
    members = spaces_of(node).state(row.space).members
    named = [one for one, status in members.items() if status in ("joined", "invited", "forked")]
    return tuple(sorted({*named, node.identity.partner_id}))


def _require_effect(node: Node, row: SpaceRow, kind: str, content: bytes) -> None:
    """Raises RefusedError for what the fold would pass over, with who may; NotFoundError for what is about nothing here."""
    said: Any = READERS[kind](content)
    if isinstance(said, RuleVersion) and said.follows:
        _require_version(node, row, kind, said)
    elif isinstance(said, RuleAdoption):
        rule = _proposed(_fold_here(node, row), said.version)
        lead = spaces_of(node).state(row.space).lead
        own = node.identity.partner_id
        if own not in (rule.first.author, lead):
            raise _not_ours(node, rule.first.author, "adopts a proposal, or the lead does")
    elif isinstance(said, RuleDeprecation):
        held = _fold_here(node, row).rule(said.rule)
        if held is None:
            raise NotFoundError("there is no such rule here", hint="see `p2pshare lab status`")
        if held.first.author != node.identity.partner_id:
            raise _not_ours(node, held.first.author, "deprecates it")
    elif isinstance(said, LabRemedy) and said.follows:
        owners = [
            one.first.author
            for one in _fold_here(node, row).remedies()
            if EntryId(said.follows) in (one.first.entry_id, one.vertex.entry_id)
        ]
        if owners and owners[0] != node.identity.partner_id:
            raise _not_ours(node, owners[0], "replaces a remedy")
    elif isinstance(said, RulePromotion | FieldFigure):
        fold = _fold_here(node, row)
        if not any(said.digest in _digests(rule) for rule in fold.rules()):
            raise NotFoundError("there is no rule of that hash here", hint="see `p2pshare lab status`")


def _digests(rule: HeldRule) -> set[bytes]:
    return {one.said.digest for one in (*rule.versions, *rule.proposals)}


def _require_version(node: Node, row: SpaceRow, kind: str, said: RuleVersion) -> None:
    own = node.identity.partner_id
    for rule in _fold_here(node, row).rules():
        for version in (*rule.versions, *rule.proposals):
            if version.vertex.entry_id != EntryId(said.follows):
                continue
            is_own = rule.first.author == own
            if kind == "revise" and not is_own:
                raise _not_ours(node, rule.first.author, "revises it, others propose")
            fault = version_fault(version.said, said, is_own=is_own)
            if fault:
                message, hint = FAULTS[fault]
                raise RefusedError(message, hint=hint, reason=fault)
            return
    raise NotFoundError("the rule that it follows is not here", hint="see `p2pshare lab status`")


def _proposed(fold: LabFold, version: EntryId) -> HeldRule:
    """Returns the rule for which an entry proposes a text. Raises NotFoundError."""
    for rule in fold.rules():
        if any(one.vertex.entry_id == version for one in rule.proposals):
            return rule
    raise NotFoundError("there is no such proposal here", hint="see `p2pshare lab status --json`")


def _not_ours(node: Node, author: PartnerId, does: str) -> RefusedError:
    name = names_here(node.store).get(author) or author.text
    return RefusedError("it is another's", hint=f"its author, {name}, {does}", reason="not-author")


def _require_sample(node: Node, said: LabSample, whole: bytes) -> None:
    """Raises RefusedError for content that may not travel: malware, and what is not of the kind that it says."""
    require_harmless(node.store, whole)
    if not said.has_content:
        raise AuthorError("its entry says that it stays here", reason="bad-argument")
    if said.kind in EVENT_KINDS:
        try:
            begins = whole.removeprefix(b"\xef\xbb\xbf").decode("utf-8").lstrip()[:1]
        except UnicodeDecodeError:
            begins = ""
        is_sound = begins in ("{", "[") and begins != ""
    else:
        is_sound = whole.startswith(PCAP_BEGINNINGS)
    if not is_sound:
        raise RefusedError(
            f"it does not begin as a sample of the kind {said.kind} does",
            hint="what may be malware travels by its hash alone: leave out --with-content",
            reason="not-of-its-kind",
        )


def _listed(node: NodeReading, row: SpaceRow) -> LabListed:
    names, own = names_here(node.store), node.card.partner_id
    standing = standing_of(node.store, row)

    def called(member: PartnerId | None) -> str | None:
        return None if member is None else names.get(member) or member.text

    invited_by = None if row.opener == own else called(row.opener)
    if standing is None:
        return LabListed(row.space.text, row.title, "", "", {}, None, [], "", invited_by)
    state: Mapping[str, Any] = standing.output["state"] or {}
    counted: dict[str, int] = {}
    for rule in state.get("rules", ()):
        counted[rule["status"]] = counted.get(rule["status"], 0) + 1
    return LabListed(
        row.space.text,
        row.title,
        state.get("question") or "",
        "closed" if state.get("closed") else "open",
        counted,
        called(standing.lead),
        [called(member) or "" for member in standing.members],
        "lead" if standing.lead == own else standing.status_of(own),
        invited_by,
    )


def _instant(seconds: int) -> str | None:
    return format_instant(seconds * SECOND_US)
