"""The rows behind the SQL view of rules, as far as they are of labs (docs/siem.md, "v1_rules").

Of each rule the text that it is now is shown, and beside it an older one that has come farther: while a stable rule is changed, a SIEM goes
on with what was stable. Texts are put together from the parts that are held, each once however many rules name it. How that is done in
rounds: `spaces.view_rounds`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from p2pshare.database.database import Database
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.limits import RULE_BYTES_MAX
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.lab import DEPRECATED, STATUSES, HeldRule, HeldRuleVersion, LabFold
from p2pshare.spaces.parts import assemble
from p2pshare.spaces.space_store import LabRuleRow, SpaceRow
from p2pshare.spaces.spaces import Spaces
from p2pshare.spaces.vertex import Vertex
from p2pshare.spaces.view_rounds import ViewRounds

RULES_AT_ONCE = 64  # made and written in one step: some 5 ms
PARTS_AT_ONCE = 256  # of which it is looked up of which whole they are in one step: some 4 ms
CLOCK_SECONDS = 300  # by which two clocks may differ, as everywhere in spaces
COPIES_MAX = 16  # parts of one text by one author that are read: a text that is shown has two parts at most


class _NamedText(NamedTuple):
    """A text that is to be shown: its bytes, and who wrote it. Whose parts are looked at first."""

    size: int
    author: PartnerId


class LabViews(ViewRounds):
    """The rules of labs at one node."""

    def __init__(self, database: Database, spaces: Spaces) -> None:
        super().__init__(database, spaces)
        self._wholes: dict[EntryId, dict[EntryId, bytes | None]] = {}
        """Of each lab, of which whole its parts are."""
        self._in_vain: dict[tuple[EntryId, bytes], frozenset[EntryId]] = {}
        """Texts of labs, and the parts that were read for them and gave none: they are not read again for each entry that comes."""

    def due(self) -> list[SpaceRow]:
        return self._store.labs_to_show()

    def put_unknown(self, row: SpaceRow) -> None:
        self._store.put_lab_shown(row)

    def make(self, row: SpaceRow, state: SpaceState, now: int) -> Iterator[None]:
        fold = state.kind
        assert isinstance(fold, LabFold)
        there = {(one.rule, one.is_current): one for one in self._store.lab_rules(row)}
        named: dict[bytes, _NamedText] = {}
        rules, texts = fold.rule_ids(), fold.stated_texts()
        yield
        for start in range(0, len(texts), RULES_AT_ONCE):
            for digest in texts[start : start + RULES_AT_ONCE]:
                fold.standing(digest)  # is kept: a rule may have thousands
            yield
        for start in range(0, len(rules), RULES_AT_ONCE):
            fresh = []
            for rule in rules[start : start + RULES_AT_ONCE]:
                held = fold.rule(rule)
                assert held is not None
                for is_current, version in _shown(held):
                    shown = _row(held, version, self._counts_from(version), is_current=is_current)
                    named[shown.digest] = _NamedText(version.said.size, version.vertex.author)
                    if there.pop((shown.rule, is_current), None) != shown:
                        fresh.append(shown)
            if fresh:
                self._store.put_lab_rules(row, fresh)
            yield
        gone = list(there)
        for start in range(0, len(gone), RULES_AT_ONCE):
            self._store.drop_lab_rules(row, gone[start : start + RULES_AT_ONCE])
            yield
        yield from self._make_texts(row, state, fold, named)
        self._store.put_lab_shown(row)

    def _counts_from(self, version: HeldRuleVersion) -> int | None:
        """Returns the time that a promotion claims, where it was to come when it came here: no fold has a clock, and this node has one."""
        promotion = version.standing.promotion
        if promotion is None:
            return None
        claimed = promotion.header.created
        return None if claimed <= self._store.received_at(promotion.entry_id) + CLOCK_SECONDS else claimed

    def _make_texts(
        self, row: SpaceRow, state: SpaceState, fold: LabFold, named: dict[bytes, _NamedText]
    ) -> Iterator[None]:
        """Put the texts together that are to be shown and are not there yet."""
        there = self._store.lab_texts(row)
        gone = sorted(there - named.keys())
        if gone:
            self._store.drop_lab_texts(row, gone)
        wanted = sorted(digest for digest in named.keys() - there if named[digest].size <= RULE_BYTES_MAX)
        if not wanted:
            return
        yield
        parts: dict[bytes, defaultdict[PartnerId, list[Vertex]]] = {
            digest: defaultdict(list) for digest in wanted
        }
        yield from self._find_parts(row, state, fold, parts)
        for digest in wanted:
            by_author = parts[digest]
            held = frozenset(part.entry_id for own in by_author.values() for part in own)
            if self._in_vain.get((row.space, digest), frozenset()) == held:
                continue
            first = named[digest].author
            for author in sorted(by_author, key=lambda one: (one != first, one)):
                found = self._text(digest, by_author[author][:COPIES_MAX])
                if found is not None:
                    self._store.put_lab_text(row, digest, *found)
                    self._in_vain.pop((row.space, digest), None)
                    break
                yield
            else:
                self._in_vain[row.space, digest] = held
            yield

    def _find_parts(
        self,
        row: SpaceRow,
        state: SpaceState,
        fold: LabFold,
        parts: dict[bytes, defaultdict[PartnerId, list[Vertex]]],
    ) -> Iterator[None]:
        """Find the parts that are held of these texts; yields between small steps."""
        wholes = self._wholes.setdefault(row.space, {})
        held = [
            vertex
            for vertex in state.timeline
            if vertex.kind == "part" and vertex.has_body and not fold.is_redacted(vertex)
        ]
        for start in range(0, len(held), PARTS_AT_ONCE):
            for vertex in held[start : start + PARTS_AT_ONCE]:
                entry = vertex.entry_id
                if entry not in wholes:
                    wholes[entry] = self._store.whole_of_part(entry)
                whole = wholes[entry]
                if whole in parts:
                    parts[whole][vertex.author].append(vertex)
            yield

    def _text(self, digest: bytes, parts: Iterable[Vertex]) -> tuple[int, str] | None:
        """Returns the marking and the text of which these are parts of one author; None where some are missing, or it is no UTF-8."""
        contents, tlp = [], 0
        for vertex in parts:
            entry = self._store.entry(vertex.entry_id)
            if entry is not None and entry.body_fits():
                contents.append((vertex.author, entry.content()))
                tlp = max(tlp, vertex.header.tlp)
        whole = assemble(digest, contents)
        if whole is None:
            return None
        try:
            return tlp, whole.decode("utf-8")
        except UnicodeDecodeError:
            return None


def _shown(held: HeldRule) -> Iterator[tuple[bool, HeldRuleVersion]]:
    """Yields the text that a rule is now, and an older one that has come farther; of a deprecated one nothing."""
    if held.status == DEPRECATED:
        return
    yield True, held.current
    older = [one for one in held.versions if not one.is_deprecated]
    best = max((STATUSES.index(one.status) for one in older), default=0)
    if best > STATUSES.index(held.current.status):
        yield False, [one for one in older if one.status == STATUSES[best]][-1]


def _row(
    held: HeldRule, version: HeldRuleVersion, counts_from: int | None, *, is_current: bool
) -> LabRuleRow:
    said, standing = version.said, version.standing
    return LabRuleRow(
        held.rule,
        is_current,
        version.vertex.entry_id,
        said.language,
        said.title,
        held.first.author,
        said.author,
        said.licence,
        said.digest,
        version.vertex.header.tlp,
        version.status,
        said.level or None,
        json.dumps([*said.techniques]),
        len(standing.agree),
        len(standing.passed),
        counts_from,
        standing.is_shared,
    )
