"""The kind `lab`: several organisations write rules and remedies together, and every node computes alike how far each has come (docs/labs.md).

A rule is known by the SHA-256 of its text. What is said of it, reviews, runs, figures, promotions, is said of that hash, so one byte
changed is a new rule. Of each organisation its newest word counts, organisations are counted and not entries, and who has written two
entries under one number counts in nothing until it is pardoned.

1. `experimental` -> `test`: two organisations besides the authors agree, and a run of one of those has found every positive sample and no
   negative one.
2. `test` -> `stable`: somebody promoted it 30 days after 1 was complete, by what the promotion had in its past; two organisations' field
   figures have few benign hits; nobody disagrees.
3. `deprecated`: by the organisation that added it.

Which text is the rule is a register: its author revises it, others propose, and its author or the lead adopts; *newest* is what is in the past
of no other. What follows from entries is found out when it is asked for, once for each hash, so that one more entry costs no more than its
place in a list.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.spaces.closing import Closing
from p2pshare.spaces.entry_fields import EntryBodies
from p2pshare.spaces.interface import EntryKind, FoldView, Json, SpaceKind
from p2pshare.spaces.lab_entries import (
    BENIGN_PERMILLE_DEFAULT,
    READERS,
    FieldFigure,
    LabQuestion,
    LabRemedy,
    LabReview,
    LabRun,
    LabSample,
    RuleAdoption,
    RuleDeprecation,
    RulePromotion,
    RuleVersion,
    greatest_in_bucket,
)
from p2pshare.spaces.register_clock import CombinedPast, RegisterClock
from p2pshare.spaces.vertex import Vertex, by_order

STEP_ENTRIES = 256  # folded between two yields: some 4 ms

EXPERIMENTAL, TEST, STABLE, DEPRECATED = "experimental", "test", "stable", "deprecated"
STATUSES = (EXPERIMENTAL, TEST, STABLE)
"""What a text can be, in ascending order; `deprecated` a rule."""
REVIEWED = "reviewed"
"""What a remedy becomes."""

AGREEING_MIN = 2  # organisations besides the authors
FIELD_FIGURES_MIN = 2  # organisations in whose house the rule is quiet
SOAK_SECONDS = 30 * 86_400  # between what completed `test` and a promotion

AGREEMENT, INDEPENDENT_RUN = "agreement", "independent-run"
PROMOTION, SOAK, FIELD_FIGURES, DISAGREEMENT = "promotion", "soak", "field-figures", "disagreement"

LEAD_ONLY = ("question", "close")
VERSION_KINDS = ("rule", "revise", "propose")


class MissingStep(NamedTuple):
    """What keeps a text from its next status: how much of it there is, and how much it takes. `who`: whose word it is about.

    `not_before` (unix seconds) of a promotion and a soak: what its `created` must reach.
    """

    what: str
    have: int
    need: int
    who: tuple[PartnerId, ...] = ()
    not_before: int | None = None


class TextStanding(NamedTuple):
    """How far the text with one hash has come, and by whose word. Lists are by organisation, runs also by sample set."""

    status: str
    missing: list[MissingStep]
    agree: list[PartnerId]
    """Those that count: none of the authors is among them."""
    passed: list[PartnerId]
    """Those whose newest run with some set of samples counts, the same way."""
    disagree: list[PartnerId]
    """Whoever it is, as long as it is a member."""
    reviews: list[tuple[Vertex, LabReview]]
    """The newest of each."""
    runs: list[tuple[Vertex, LabRun]]
    """The newest of each with each set of samples."""
    fields: list[tuple[Vertex, FieldFigure]]
    promotion: Vertex | None
    """The one that counts."""
    test_since: int | None
    """When `test` was complete, by the claims of those who completed it (unix seconds)."""
    is_shared: bool = False
    """Whether several rules have it: somebody added what another wrote."""


class HeldRuleVersion(NamedTuple):
    """A text of a rule, and how far it has come."""

    vertex: Vertex
    """The entry that states it."""
    said: RuleVersion
    standing: TextStanding
    is_deprecated: bool
    """Whether the rule was deprecated after it became one of its texts: it does not come back with a newer one."""

    @property
    def status(self) -> str:
        return self.standing.status


class HeldRule(NamedTuple):
    """A rule: the texts that count, oldest first, the one that it is now, and those that are proposed."""

    first: Vertex
    current: HeldRuleVersion
    versions: list[HeldRuleVersion]
    proposals: list[HeldRuleVersion]
    in_conflict: bool
    is_deprecated: bool

    @property
    def rule(self) -> EntryId:
        return self.first.entry_id

    @property
    def status(self) -> str:
        return DEPRECATED if self.is_deprecated else self.current.status

    @property
    def missing(self) -> list[MissingStep]:
        """Returns what is missing for the next status; of a deprecated one nothing is asked."""
        return [] if self.is_deprecated else self.current.standing.missing


class HeldSample(NamedTuple):
    """A sample as its author states it last. `in_conflict`: another says that it is of the other label."""

    vertex: Vertex
    said: LabSample
    in_conflict: bool


class HeldRemedy(NamedTuple):
    """A remedy as its author states it last, and how far it has come."""

    first: Vertex
    vertex: Vertex
    said: LabRemedy
    standing: TextStanding


class _Line:
    """A rule: what was ever said to be its text."""

    __slots__ = ("first", "versions")

    def __init__(self, first: Vertex) -> None:
        self.first = first
        self.versions: list[Vertex] = []
        """That do not drop what must stay: the first, revisions by the rule's author, and proposals."""


def version_fault(before: RuleVersion, after: RuleVersion, *, is_own: bool) -> str:
    """Returns what a text drops of the one that it follows: `other-language`, `author-dropped`, `licence-dropped`; or "".

    `is_own`: its author is that of the rule, who may put it under another licence.
    """
    if before.language != after.language:
        return "other-language"
    if before.author not in after.author:
        return "author-dropped"
    return "" if is_own or before.licence == after.licence else "licence-dropped"


def is_quiet(figure: FieldFigure, benign_permille: int) -> bool:
    """Returns whether the share of benign hits is below a limit, whatever the buckets hide."""
    if not figure.hits:
        return True
    return greatest_in_bucket(figure.benign) * 1_000 < benign_permille * figure.hits


def has_passed(run: LabRun) -> bool:
    """Returns whether a run found every positive sample, at least one, and no negative one, and looked at all."""
    return run.tp > 0 and not run.fn and not run.fp and not run.errors


class LabFold:
    """A lab: the entries with an effect by kind, and what follows from them."""

    def __init__(self, view: FoldView) -> None:
        self._view = view
        self._closing = Closing(view)
        self._begin()

    def _begin(self) -> None:
        self._clock = RegisterClock()
        self._said = EntryBodies(READERS).said
        self.by_kind: dict[str, list[Vertex]] = {kind: [] for kind in READERS}
        """Entries with an effect, by (depth, id)."""
        self._lines: dict[EntryId, _Line] = {}
        self._traced: dict[EntryId, tuple[EntryId, Vertex]] = {}
        """Each version that drops nothing: of which rule it is."""
        self._untraced: defaultdict[EntryId, list[Vertex]] = defaultdict(list)
        """Versions by the entry that they follow, which is not here."""
        self._adopting: defaultdict[EntryId, list[Vertex]] = defaultdict(list)
        self._deprecating: defaultdict[EntryId, list[Vertex]] = defaultdict(list)
        self._said_of: dict[str, defaultdict[bytes, list[Vertex]]] = {
            kind: defaultdict(list) for kind in ("review", "run", "field", "promote", "version", "remedy")
        }
        """By kind and hash; unordered."""
        self._standings: dict[tuple[str, bytes], TextStanding] = {}
        self._limit = 0
        self.after: list[Vertex] = []
        self.late: list[Vertex] = []

    # --- from entries ------------------------------------------------------------------------------

    def whole(self, vertices: Sequence[Vertex]) -> Iterator[None]:
        self._begin()
        yield from self._closing.whole(vertices)
        for start in range(0, len(vertices), STEP_ENTRIES):
            for vertex in vertices[start : start + STEP_ENTRIES]:
                self._place(vertex)
            yield

    def add(self, vertex: Vertex) -> bool:
        if vertex.kind == "close":
            return False
        self._closing.add(vertex)
        self._place(vertex)
        return True

    def _place(self, vertex: Vertex) -> None:
        kind = vertex.kind
        placed = self.by_kind.get(kind)
        self._clock.add(vertex, is_register=placed is not None and kind != "note")
        if placed is None or not vertex.has_effect:
            return
        insort(placed, vertex, key=by_order)
        if kind in VERSION_KINDS:
            self._trace(vertex)
        elif kind == "adopt":
            version = self._said(vertex, RuleAdoption).version
            self._adopting[version].append(vertex)
            if version in self._traced:  # its owner is now one of its authors
                self._forget(self._said(self._traced[version][1], RuleVersion).digest)
        elif kind == "deprecate":
            self._deprecating[self._said(vertex, RuleDeprecation).rule].append(vertex)
        elif kind == "question":
            self._standings.clear()
            self._limit = 0
        elif kind in self._said_of:
            digest = self._digest_of(vertex)
            self._said_of[kind][digest].append(vertex)
            self._forget(digest)
        if kind != "close":
            side = self._closing.side_of(vertex)
            if side:
                insort(self.after if side == "after" else self.late, vertex, key=by_order)

    def _trace(self, vertex: Vertex) -> None:
        """Find out of which rule a version is, and those that wait for it."""
        stack = [vertex]
        self._said_of["version"][self._said(vertex, RuleVersion).digest].append(vertex)
        while stack:
            version = stack.pop()
            said = self._said(version, RuleVersion)
            self._forget(said.digest)
            if version.kind == "rule":
                line = self._lines[version.entry_id] = _Line(version)
                self._traced[version.entry_id] = version.entry_id, version
            else:
                followed = self._traced.get(EntryId(said.follows))
                if followed is None:
                    self._untraced[EntryId(said.follows)].append(version)
                    continue
                line = self._lines[followed[0]]
                before = self._said(followed[1], RuleVersion)
                is_own = version.author == line.first.author
                if version_fault(before, said, is_own=is_own) or (version.kind == "revise" and not is_own):
                    continue
                self._traced[version.entry_id] = line.first.entry_id, version
            line.versions.append(version)
            stack += self._untraced.pop(version.entry_id, ())

    def _forget(self, digest: bytes) -> None:
        """Let what follows for a text be found out anew, when it is asked for."""
        self._standings.pop(("version", digest), None)
        self._standings.pop(("remedy", digest), None)

    def _digest_of(self, vertex: Vertex) -> bytes:
        match vertex.kind:
            case "review":
                return self._said(vertex, LabReview).digest
            case "run":
                return self._said(vertex, LabRun).digest
            case "field":
                return self._said(vertex, FieldFigure).digest
            case "promote":
                return self._said(vertex, RulePromotion).digest
            case _:
                return self._said(vertex, LabRemedy).digest

    # --- what is asked -----------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        return self._closing.is_closed

    @property
    def closes(self) -> list[Vertex]:
        """Returns the closes that hold, by (depth, id)."""
        return sorted(self._closing.closes, key=by_order)

    def question(self) -> LabQuestion | None:
        """Returns what the lead asks, by its newest word; None where it has said nothing."""
        newest = self._clock.newest(self.by_kind["question"])
        return self._said(newest[-1], LabQuestion) if newest else None

    @property
    def benign_permille(self) -> int:
        """Returns the share of benign hits, in thousandths, from which a rule is too noisy."""
        if not self._limit:
            question = self.question()
            self._limit = BENIGN_PERMILLE_DEFAULT if question is None else question.benign_permille
        return self._limit

    def is_redacted(self, vertex: Vertex) -> bool:
        return self._view.is_redacted(vertex)

    def note(self, vertex: Vertex) -> str | None:
        """Returns the text of a note; None where not all members may read it, or nobody."""
        if vertex.header.audience or vertex.content is None or self._view.is_redacted(vertex):
            return None
        return str(READERS["note"](vertex.content))

    def rule_ids(self) -> list[EntryId]:
        """Returns the rules, in the order in which they were added."""
        return [vertex.entry_id for vertex in self.by_kind["rule"]]

    def stated_texts(self) -> list[bytes]:
        """Returns the hashes of all texts that anybody has stated of a rule, ascending."""
        return sorted(self._said_of["version"])

    def rules(self) -> list[HeldRule]:
        return [self._rule(self._lines[rule]) for rule in self.rule_ids()]

    def rule(self, rule: EntryId) -> HeldRule | None:
        line = self._lines.get(rule)
        return None if line is None else self._rule(line)

    def standing(self, digest: bytes) -> TextStanding:
        """Returns how far the text of a rule with a hash has come; nobody needs to have stated it."""
        return self._standing("version", digest)

    def _standing(self, of: str, digest: bytes) -> TextStanding:
        found = self._standings.get((of, digest))
        if found is None:
            found = self._standings[of, digest] = self._find_standing(of, digest)
        return found

    def samples(self) -> list[HeldSample]:
        """Returns each sample as its author states it last, but those that it withdrew."""
        newest: dict[tuple[PartnerId, bytes], Vertex] = {}
        for vertex in sorted(self.by_kind["sample"], key=_by_number):
            newest[vertex.author, self._said(vertex, LabSample).digest] = vertex
        labels: defaultdict[bytes, set[str]] = defaultdict(set)
        held = []
        for vertex in sorted(newest.values(), key=by_order):
            said = self._said(vertex, LabSample)
            if said.label != "withdrawn":
                labels[said.digest].add(said.label)
                held.append((vertex, said))
        return [HeldSample(vertex, said, len(labels[said.digest]) > 1) for vertex, said in held]

    def sample_set(self, rule: EntryId, of: PartnerId | None = None) -> list[HeldSample]:
        """Returns the samples that are for a rule, all of them or those of one organisation."""
        return [
            one
            for one in self.samples()
            if (not one.said.rules or rule in one.said.rules) and of in (None, one.vertex.author)
        ]

    def remedies(self) -> list[HeldRemedy]:
        """Returns the remedies as they stand, in the order in which they were first written."""
        newest: dict[EntryId, list[Vertex]] = {}
        first_of: dict[EntryId, Vertex] = {}
        waiting: defaultdict[EntryId, list[Vertex]] = defaultdict(list)
        stack: list[tuple[Vertex, Vertex]] = []
        for vertex in self.by_kind["remedy"]:
            follows = self._said(vertex, LabRemedy).follows
            if follows:
                waiting[EntryId(follows)].append(vertex)
            else:
                stack.append((vertex, vertex))
        while stack:
            vertex, first = stack.pop()
            first_of[vertex.entry_id] = first
            newest.setdefault(first.entry_id, []).append(vertex)
            stack += [(one, first) for one in waiting.pop(vertex.entry_id, ()) if one.author == first.author]
        held = []
        for first in self.by_kind["remedy"]:
            versions = newest.get(first.entry_id)
            if versions is not None:
                last = self._clock.newest(sorted(versions, key=by_order))[-1]
                said = self._said(last, LabRemedy)
                held.append(HeldRemedy(first, last, said, self._standing("remedy", said.digest)))
        return held

    # --- rules -------------------------------------------------------------------------------------

    def _rule(self, line: _Line) -> HeldRule:
        stated = self._stated(line)
        deprecations = [
            one for one in self._deprecating.get(line.first.entry_id, ()) if one.author == line.first.author
        ]
        newest = self._clock.newest(sorted([*stated, *deprecations], key=by_order))
        last = [stated[one] for one in self._clock.newest(sorted(stated, key=by_order))]
        ended = self._clock.past_of(deprecations)
        counted: dict[Vertex, bool] = {}
        for statement, version in sorted(stated.items(), key=lambda one: by_order(one[0])):
            counted[version] = counted.get(version, True) and ended.holds(statement)
        proposals = [
            one for one in sorted(line.versions, key=by_order) if one.kind == "propose" and one not in counted
        ]
        return HeldRule(
            line.first,
            self._held(last[-1], is_deprecated=counted[last[-1]]),
            [self._held(version, is_deprecated=is_ended) for version, is_ended in counted.items()],
            [self._held(version, is_deprecated=False) for version in proposals],
            len({self._said(version, RuleVersion).digest for version in last}) > 1,
            any(one.kind == "deprecate" for one in newest),
        )

    def _stated(self, line: _Line) -> dict[Vertex, Vertex]:
        """Returns the texts that count, by the entry that made them count: itself, or who adopted it."""
        found: dict[Vertex, Vertex] = {}
        for version in line.versions:
            if version.kind != "propose":
                found[version] = version
                continue
            for adoption in self._adopting.get(version.entry_id, ()):
                if adoption.term is not None or adoption.author == line.first.author:
                    found[adoption] = version
        return found

    def _held(self, version: Vertex, *, is_deprecated: bool) -> HeldRuleVersion:
        said = self._said(version, RuleVersion)
        return HeldRuleVersion(version, said, self.standing(said.digest), is_deprecated)

    # --- how far a text has come -------------------------------------------------------------------

    def _authors_of(self, of: str, digest: bytes) -> set[PartnerId]:
        """Returns who wrote a text, and whose rule it is: their words are not independent of it."""
        found: set[PartnerId] = set()
        if of == "remedy":
            return {remedy.author for remedy in self._said_of[of].get(digest, ())}
        for version in self._said_of["version"].get(digest, ()):
            found.add(version.author)
            traced = self._traced.get(version.entry_id)
            if traced is not None and version.kind == "propose":
                owner = self._lines[traced[0]].first.author
                if owner not in found and any(
                    one.term is not None or one.author == owner
                    for one in self._adopting.get(version.entry_id, ())
                ):
                    found.add(owner)
        return found

    def _words_of(self, kind: str, digest: bytes) -> list[Vertex]:
        """Returns what counting organisations say of a text, each in the order in which it wrote."""
        return sorted(
            (one for one in self._said_of[kind].get(digest, ()) if not self._view.is_forked(one.author)),
            key=_by_number,
        )

    def _written_at(self, of: str, digest: bytes) -> int:
        """Returns the least time that a statement of a text claims: nobody can have agreed to what was not written."""
        return min((one.header.created for one in self._said_of[of].get(digest, ())), default=0)

    def _find_standing(self, of: str, digest: bytes) -> TextStanding:
        authors = self._authors_of(of, digest)
        reviews: defaultdict[PartnerId, list[tuple[Vertex, LabReview]]] = defaultdict(list)
        for vertex in self._words_of("review", digest):
            reviews[vertex.author].append((vertex, self._said(vertex, LabReview)))
        for words in (
            reviews.values()
        ):  # where two stand under one number, which a fork makes, a disagreement is the last
            words.sort(key=lambda one: (one[0].number, one[1].verdict == "disagree", one[0].entry_id))
        runs: defaultdict[tuple[PartnerId, bytes], list[tuple[Vertex, LabRun]]] = defaultdict(list)
        for vertex in self._words_of("run", digest):
            run = self._said(vertex, LabRun)
            runs[vertex.author, run.samples].append((vertex, run))
        fields = {
            vertex.author: (vertex, self._said(vertex, FieldFigure))
            for vertex in self._words_of("field", digest)
        }
        agree = sorted(
            one for one, words in reviews.items() if words[-1][1].verdict == "agree" and one not in authors
        )
        disagree = sorted(
            one
            for one, words in reviews.items()
            if words[-1][1].verdict == "disagree" and self._view.is_named(one)
        )
        passed = {
            key: said for key, said in runs.items() if has_passed(said[-1][1]) and key[0] not in authors
        }
        agreed_first = [_first_of_streak(reviews[one], lambda said: said.verdict == "agree") for one in agree]
        passed_first = [_first_of_streak(said, has_passed) for said in passed.values()]
        earliest = self._written_at(of, digest)
        test_since = _completed(
            (max(one.header.created, earliest) for one in agreed_first),
            (max(one.header.created, earliest) for one in passed_first),
        )
        standing = TextStanding(
            EXPERIMENTAL,
            [],
            agree,
            sorted({author for author, _ in passed}),
            disagree,
            [words[-1] for _, words in sorted(reviews.items(), key=lambda one: one[0])],
            [said[-1] for _, said in sorted(runs.items(), key=lambda one: one[0])],
            [figure for _, figure in sorted(fields.items(), key=lambda one: one[0])],
            None,
            test_since,
        )
        if of == "remedy":
            return self._standing_of_remedy(standing)
        traced = {
            self._traced[one.entry_id][0]
            for one in self._said_of[of].get(digest, ())
            if one.entry_id in self._traced
        }
        standing = standing._replace(is_shared=len(traced) > 1)
        if test_since is None:
            missing = []
            if len(agree) < AGREEING_MIN:
                missing.append(MissingStep(AGREEMENT, len(agree), AGREEING_MIN, tuple(agree)))
            if not passed_first:
                missing.append(MissingStep(INDEPENDENT_RUN, 0, 1))
            return standing._replace(missing=missing)
        asked, promotion = self._promotions(digest, agreed_first, passed_first, earliest)
        missing = []
        if promotion is None:
            ready = test_since + SOAK_SECONDS
            missing.append(MissingStep(SOAK if asked else PROMOTION, 0, 1, tuple(asked), ready))
        limit = self.benign_permille
        quiet = tuple(one for one, (_, figure) in sorted(fields.items()) if is_quiet(figure, limit))
        if len(quiet) < FIELD_FIGURES_MIN:
            missing.append(MissingStep(FIELD_FIGURES, len(quiet), FIELD_FIGURES_MIN, quiet))
        if disagree:
            missing.append(MissingStep(DISAGREEMENT, len(disagree), 0, tuple(disagree)))
        return standing._replace(status=TEST if missing else STABLE, missing=missing, promotion=promotion)

    def _standing_of_remedy(self, standing: TextStanding) -> TextStanding:
        missing = []
        if len(standing.agree) < AGREEING_MIN:
            missing.append(MissingStep(AGREEMENT, len(standing.agree), AGREEING_MIN, tuple(standing.agree)))
        if standing.disagree:
            missing.append(MissingStep(DISAGREEMENT, len(standing.disagree), 0, tuple(standing.disagree)))
        return standing._replace(
            status=EXPERIMENTAL if missing else REVIEWED, missing=missing, test_since=None
        )

    def _promotions(
        self, digest: bytes, agreed: Sequence[Vertex], passed: Sequence[Vertex], earliest: int
    ) -> tuple[list[PartnerId], Vertex | None]:
        """Returns who asks that a text be stable, and the promotion that counts, which is the first by (depth, id)."""
        newest = {one.author: one for one in self._words_of("promote", digest)}
        counted = []
        by_author: defaultdict[PartnerId, list[Vertex]] = defaultdict(list)
        for one in passed:
            by_author[one.author].append(one)
        first_passes = [_FirstPass(author, own, earliest) for author, own in by_author.items()]
        for promotion in newest.values():
            past = self._clock.past_of([promotion])
            since = _completed(
                [max(one.header.created, earliest) for one in agreed if past.holds(one)],
                [at for one in first_passes if (at := one.within(past)) is not None],
            )
            if since is not None and promotion.header.created >= since + SOAK_SECONDS:
                counted.append(promotion)
        return sorted(newest), min(counted, key=by_order, default=None)

    # --- canonical output --------------------------------------------------------------------------

    def canonical(self) -> Json:
        question = self.question()
        return {
            "after": _ids(self.after),
            "benign_permille": self.benign_permille,
            "closed": self.is_closed,
            "closes": _ids(self.closes),
            "late": _ids(self.late),
            "notes": [
                {
                    "id": vertex.entry_id.text,
                    "redacted": self._view.is_redacted(vertex),
                    "sealed": bool(vertex.header.audience),
                    "text": self.note(vertex),
                }
                for vertex in self.by_kind["note"]
            ],
            "question": None if question is None else question.question,
            "remedies": [_remedy(one) for one in self.remedies()],
            "remedy_texts": self._texts("remedy"),
            "rule_texts": self._texts("version"),
            "rules": [_rule(one) for one in self.rules()],
            "samples": [_sample(one) for one in self.samples()],
        }

    def _texts(self, of: str) -> Json:
        """Returns how far each text that is stated has come, by hash."""
        return [_text(digest, self._standing(of, digest)) for digest in sorted(self._said_of[of])]


W = TypeVar("W")


def _first_of_streak(words: Sequence[tuple[Vertex, W]], is_good: Callable[[W], bool]) -> Vertex:
    """Returns the first of the good words at the end of those of one organisation, the last of which is good."""
    first = len(words) - 1
    while first and is_good(words[first - 1][1]):
        first -= 1
    return words[first][0]


def _completed(agreed: Iterable[int], passed: Iterable[int]) -> int | None:
    """Returns when there were enough agreements and a run, by their times; None: there are not."""
    agreements, first_pass = sorted(agreed), min(passed, default=None)
    if len(agreements) < AGREEING_MIN or first_pass is None:
        return None
    return max(agreements[AGREEING_MIN - 1], first_pass)


class _FirstPass:
    """When the runs of one organisation first passed, in any past: with 10,000 runs and 256 promotions nothing is looked at for each pair."""

    def __init__(self, author: PartnerId, passes: Iterable[Vertex], earliest: int) -> None:
        self._author = author
        self._numbers: list[int] = []
        self._first_upto: list[int] = []
        """By the same place: the least time up to that number."""
        self._twins: list[tuple[Vertex, int]] = []
        """Of which a number does not say whether they are in a past: those of a fork."""
        for vertex in sorted(passes, key=_by_number):
            at = max(vertex.header.created, earliest)
            if vertex.fork_bit:
                self._twins.append((vertex, at))
            else:
                self._first_upto.append(min(at, self._first_upto[-1]) if self._first_upto else at)
                self._numbers.append(vertex.number)

    def within(self, past: CombinedPast) -> int | None:
        count = bisect_right(self._numbers, past.upto(self._author))
        times = [at for vertex, at in self._twins if past.holds(vertex)]
        return min([*times, *self._first_upto[max(count - 1, 0) : count]], default=None)


def _by_number(vertex: Vertex) -> tuple[int, EntryId]:
    return vertex.number, vertex.entry_id


def _rule(held: HeldRule) -> Json:
    return {
        "author": held.first.author.text,
        "conflict": held.in_conflict,
        "current": held.current.vertex.entry_id.text,
        "hash": held.current.said.digest.hex(),
        "id": held.rule.text,
        "missing": _missing(held.missing),
        "proposals": [_version(one) for one in held.proposals],
        "status": held.status,
        "type": held.current.said.language,
        "versions": [_version(one) for one in held.versions],
    }


def _version(held: HeldRuleVersion) -> Json:
    said = held.said
    return {
        "author": held.vertex.author.text,
        "hash": said.digest.hex(),
        "id": held.vertex.entry_id.text,
        "deprecated": held.is_deprecated,
        "level": said.level or None,
        "licence": said.licence,
        "rule_author": said.author,
        "size": said.size,
        "techniques": [*said.techniques],
        "text": said.text,
        "title": said.title,
        "status": held.status,
    }


def _text(digest: bytes, standing: TextStanding) -> Json:
    return {
        "agree": [one.text for one in standing.agree],
        "disagree": [one.text for one in standing.disagree],
        "fields": [
            {
                "author": vertex.author.text,
                "benign": figure.benign,
                "confirmed": figure.confirmed,
                "hits": figure.hits,
                "id": vertex.entry_id.text,
                "start": figure.start,
                "until": figure.until,
            }
            for vertex, figure in standing.fields
        ],
        "hash": digest.hex(),
        "missing": _missing(standing.missing),
        "passed": [one.text for one in standing.passed],
        "promotion": None if standing.promotion is None else standing.promotion.entry_id.text,
        "reviews": [
            {
                "author": vertex.author.text,
                "id": vertex.entry_id.text,
                "text": review.text,
                "verdict": review.verdict,
            }
            for vertex, review in standing.reviews
        ],
        "shared": standing.is_shared,
        "runs": [
            {
                "author": vertex.author.text,
                "engine": run.engine,
                "errors": run.errors,
                "events": run.events,
                "fn": run.fn,
                "fp": run.fp,
                "hits": run.hits,
                "id": vertex.entry_id.text,
                "milliseconds": run.milliseconds,
                "sample_set": run.samples.hex(),
                "tn": run.tn,
                "tp": run.tp,
            }
            for vertex, run in standing.runs
        ],
        "status": standing.status,
        "test_since": standing.test_since,
    }


def _missing(missing: Iterable[MissingStep]) -> Json:
    return [
        {
            "have": one.have,
            "need": one.need,
            "not_before": one.not_before,
            "what": one.what,
            "who": [member.text for member in one.who],
        }
        for one in missing
    ]


def _sample(held: HeldSample) -> Json:
    said = held.said
    return {
        "author": held.vertex.author.text,
        "conflict": held.in_conflict,
        "has_content": bool(said.has_content),
        "hash": said.digest.hex(),
        "id": held.vertex.entry_id.text,
        "kind": said.kind,
        "label": said.label,
        "origin": said.origin,
        "rules": [one.text for one in said.rules],
        "size": said.size,
    }


def _remedy(held: HeldRemedy) -> Json:
    said = held.said
    return {
        "author": held.vertex.author.text,
        "current": held.vertex.entry_id.text,
        "hash": said.digest.hex(),
        "id": held.first.entry_id.text,
        "kind": said.kind,
        "remedy_author": said.author,
        "rules": [one.text for one in said.rules],
        "size": said.size,
        "text": said.text,
        "title": said.title,
        "status": held.standing.status,
        "vulnerabilities": [*said.vulnerabilities],
    }


def _ids(vertices: Iterable[Vertex]) -> Json:
    return [vertex.entry_id.text for vertex in vertices]


KIND = SpaceKind(
    name="lab",
    entry_kinds={
        kind: EntryKind(is_deciding=kind != "note", is_lead_only=kind in LEAD_ONLY, read=read)
        for kind, read in READERS.items()
    },
    lead_role="",
    fold=LabFold,
)
