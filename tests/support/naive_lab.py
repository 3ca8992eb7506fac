"""A second fold of labs, written from docs/labs.md alone: each rule as the page has it, over written-out pasts.

Which entries have an effect, which are `as_lead`, who is forked and what is redacted is asked of the fold of spaces, which has a naive one of its
own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgpack
from space_histories import Teller

from p2pshare.identifiers import EntryId
from p2pshare.spaces.fold import SpaceFold

OWN = {
    "note", "question", "rule", "revise", "propose", "adopt", "sample", "run", "review", "field", "remedy", "promote", "deprecate", "close",
}  # fmt: skip
DAYS_30 = 2_592_000
GREATEST = {0: 0, 1: 4, 5: 9}


class NaiveLab:
    """A lab, by ids."""

    def __init__(self, told: Teller, space: SpaceFold) -> None:
        self.state = space.state()
        self.entries = told.entries
        self.space = space
        self.past = {one: told.past(entry.header.parents) for one, entry in told.entries.items()}
        self.counted = sorted(
            (one for one in told.entries if space.effect_of(one) == ""), key=lambda one: self.order(one)
        )
        effects = space._effects
        assert effects is not None
        self.forked = {
            entry.header.author for entry in told.entries.values() if effects.least_fork(entry.header.author)
        }

    # --- words of the page ---------------------------------------------------------------------------

    def order(self, one: EntryId) -> tuple[int, EntryId]:
        return self.entries[one].header.depth, one

    def of(self, *kinds: str) -> list[EntryId]:
        return [one for one in self.counted if self.entries[one].header.kind in kinds]

    def body(self, one: EntryId) -> Any:
        return msgpack.unpackb(self.entries[one].content, strict_map_key=False)

    def author(self, one: EntryId) -> bytes:
        return self.entries[one].header.author

    def created(self, one: EntryId) -> int:
        return self.entries[one].header.created

    def as_lead(self, one: EntryId) -> bool:
        vertex = self.space.graph.get(one)
        assert vertex is not None
        return vertex.term is not None

    def newest(self, some: Iterable[EntryId]) -> list[EntryId]:
        all_ = sorted(some, key=self.order)
        return [one for one in all_ if not any(one in self.past[other] for other in all_)]

    # --- the texts of a rule -------------------------------------------------------------------------

    def traced(self, v: EntryId) -> EntryId | None:
        """The rule to which a version is traced, a `rule` to itself."""
        if v not in self.of("rule", "revise", "propose"):
            return None
        kind, body = self.entries[v].header.kind, self.body(v)
        if kind == "rule":
            return v
        f = next((one for one in self.of("rule", "revise", "propose") if one == body[0]), None)
        rule = None if f is None else self.traced(f)
        if f is None or rule is None:
            return None
        before, owns = self.body(f), self.author(v) == self.author(rule)
        if body[1] != before[1] or before[5] not in body[5]:
            return None
        if (body[6] != before[6] and not owns) or (kind == "revise" and not owns):
            return None
        return rule

    def statements(self, rule: EntryId) -> dict[EntryId, EntryId]:
        """Each statement of a rule, and what it states."""
        found = {one: one for one in self.of("rule", "revise") if self.traced(one) == rule}
        for one in self.of("adopt"):
            named = next((p for p in self.of("propose") if p == self.body(one)[0]), None)
            if named is None or self.traced(named) != rule:
                continue
            if self.author(one) == self.author(rule) or self.as_lead(one):
                found[one] = named
        return found

    def rules(self) -> list[dict[str, Any]]:
        return [self.rule(one) for one in self.of("rule")]

    def rule(self, rule: EntryId) -> dict[str, Any]:
        stated = self.statements(rule)
        newest = self.newest(stated)
        now = stated[newest[-1]]
        gone = [
            one
            for one in self.of("deprecate")
            if self.body(one)[0] == rule and self.author(one) == self.author(rule)
        ]
        versions = list(dict.fromkeys(stated[one] for one in sorted(stated, key=self.order)))
        proposals = [one for one in self.of("propose") if self.traced(one) == rule and one not in versions]
        is_deprecated = any(one in gone for one in self.newest([*stated, *gone]))
        text = self.text(self.body(now)[2], "rule", "revise", "propose")
        return {
            "id": rule.text,
            "current": now.text,
            "conflict": len({self.body(stated[one])[2] for one in newest}) > 1,
            "versions": [
                (one.text, all(any(s in self.past[d] for d in gone) for s, v in stated.items() if v == one))
                for one in versions
            ],
            "proposals": [one.text for one in proposals],
            "status": "deprecated" if is_deprecated else text["status"],
            "missing": [] if is_deprecated else text["missing"],
        }

    # --- counting ------------------------------------------------------------------------------------

    def authors(self, h: bytes, *kinds: str) -> set[bytes]:
        found = {self.author(one) for one in self.of(*kinds) if self.hash(one) == h}
        if "rule" in kinds:
            for rule in self.of("rule"):
                if any(
                    self.hash(stated) == h and self.entries[stated].header.kind == "propose"
                    for stated in self.statements(rule).values()
                ):
                    found.add(self.author(rule))
        return found

    def hash(self, one: EntryId) -> bytes:
        place = 2 if self.entries[one].header.kind in ("rule", "revise", "propose", "remedy") else 0
        found: bytes = self.body(one)[place]
        return found

    def words(self, kind: str, h: bytes) -> dict[bytes, list[EntryId]]:
        """Of each organisation its words on h, the newest last."""
        found: dict[bytes, list[EntryId]] = {}
        for one in self.of(kind):
            if self.hash(one) == h and self.author(one) not in self.forked:
                found.setdefault(self.author(one), []).append(one)
        for words in found.values():
            words.sort(key=lambda one: (self.entries[one].header.number, one))
            if kind == "review":
                words.sort(
                    key=lambda one: (self.entries[one].header.number, self.body(one)[1] == "disagree", one)
                )
        return found

    def passes(self, run: EntryId) -> bool:
        said = self.body(run)
        return bool(said[3] > 0 and said[4] == said[5] == said[8] == 0)

    def ending(self, words: list[EntryId], good: Callable[[EntryId], bool]) -> EntryId:
        """The first of the good ones with which words end."""
        first = words[-1]
        for one in reversed(words):
            if not good(one):
                break
            first = one
        return first

    def limit(self) -> int:
        asked = self.newest(self.of("question"))
        return int(self.body(asked[-1])[1]) if asked else 100

    def text(self, h: bytes, *kinds: str) -> dict[str, Any]:
        authors = self.authors(h, *kinds)
        reviews = self.words("review", h)
        agrees = lambda one: self.body(one)[1] == "agree"  # noqa: E731
        agree = sorted(o for o, words in reviews.items() if agrees(words[-1]) and o not in authors)
        named = {
            m for m, status in self.state.members.items() if status not in ("removed", "left", "declined")
        }
        disagree = sorted(o for o, words in reviews.items() if not agrees(words[-1]) and o in named)
        sets: dict[tuple[bytes, bytes], list[EntryId]] = {}
        for o, runs in self.words("run", h).items():
            for run in runs:
                sets.setdefault((o, self.body(run)[1]), []).append(run)
        passed = {key: runs for key, runs in sets.items() if self.passes(runs[-1]) and key[0] not in authors}
        agreements = [self.ending(reviews[o], agrees) for o in agree]
        passing = [self.ending(runs, self.passes) for runs in passed.values()]
        written = min(self.created(one) for one in self.of(*kinds) if self.hash(one) == h)

        def completed(some: Callable[[EntryId], bool]) -> int | None:
            times = sorted(max(self.created(one), written) for one in agreements if some(one))
            runs = sorted(max(self.created(one), written) for one in passing if some(one))
            return max(times[1], runs[0]) if len(times) >= 2 and runs else None

        since = completed(lambda one: True)
        promotions = {o: words[-1] for o, words in self.words("promote", h).items()}
        counting = [
            p
            for p in promotions.values()
            if (then := completed(lambda one, p=p: one in self.past[p])) is not None  # type: ignore[misc]
            and self.created(p) >= then + DAYS_30
        ]
        quiet = []
        for o, figures in self.words("field", h).items():
            said = self.body(figures[-1])
            if said[3] == 0 or 1_000 * GREATEST.get(said[5], said[5]) < self.limit() * said[3]:
                quiet.append(o)
        missing: list[tuple[str, int, int, list[bytes]]] = []
        found: dict[str, Any] = {
            "agree": [one.hex() for one in agree],
            "disagree": [one.hex() for one in disagree],
            "passed": sorted({o.hex() for o, _ in passed}),
            "promotion": None,
            "shared": False,
        }
        if kinds == ("remedy",):
            if len(agree) < 2:
                missing.append(("agreement", len(agree), 2, agree))
            if disagree:
                missing.append(("disagreement", len(disagree), 0, disagree))
            return found | self.told("experimental" if missing else "reviewed", missing, None)
        rules = {self.traced(one) for one in self.of(*kinds) if self.hash(one) == h} - {None}
        found["shared"] = len(rules) > 1
        if len(agree) < 2 or not passed:
            if len(agree) < 2:
                missing.append(("agreement", len(agree), 2, agree))
            if not passed:
                missing.append(("independent-run", 0, 1, []))
            return found | self.told("experimental", missing, None)
        assert since is not None
        if not counting:
            missing.append(("soak" if promotions else "promotion", 0, 1, sorted(promotions)))
        else:
            found["promotion"] = min(counting, key=self.order).text
        if len(quiet) < 2:
            missing.append(("field-figures", len(quiet), 2, sorted(quiet)))
        if disagree:
            missing.append(("disagreement", len(disagree), 0, disagree))
        return found | self.told("test" if missing else "stable", missing, since)

    def told(
        self, status: str, missing: list[tuple[str, int, int, list[bytes]]], since: int | None
    ) -> dict[str, Any]:
        return {
            "status": status,
            "missing": [
                {
                    "have": have,
                    "need": need,
                    "not_before": since + DAYS_30
                    if what in ("promotion", "soak") and since is not None
                    else None,
                    "what": what,
                    "who": [one.hex() for one in who],
                }
                for what, have, need, who in missing
            ],
            "test_since": since,
        }

    def texts(self, *kinds: str) -> dict[str, dict[str, Any]]:
        hashes = sorted({self.hash(one) for one in self.of(*kinds)})
        return {h.hex(): self.text(h, *kinds) for h in hashes}

    # --- samples, remedies, closing ------------------------------------------------------------------

    def samples(self) -> list[tuple[str, str, bool]]:
        newest: dict[tuple[bytes, bytes], EntryId] = {}
        for one in self.of("sample"):
            key = self.author(one), self.hash(one)
            rank = self.entries[one].header.number, one
            if key not in newest or rank > (self.entries[newest[key]].header.number, newest[key]):
                newest[key] = one
        held = [
            one for one in self.of("sample") if one in newest.values() and self.body(one)[2] != "withdrawn"
        ]
        labels = {h: {self.body(one)[2] for one in held if self.hash(one) == h} for h in map(self.hash, held)}
        return [(one.text, self.body(one)[2], len(labels[self.hash(one)]) > 1) for one in held]

    def remedies(self) -> list[tuple[str, str]]:
        found = []
        for first in self.of("remedy"):
            if self.body(first)[0]:
                continue
            replacing = {first}
            while more := {
                one
                for one in self.of("remedy")
                if self.body(one)[0] in replacing
                and self.author(one) == self.author(first)
                and one not in replacing
            }:
                replacing |= more
            found.append((first.text, self.newest(replacing)[-1].text))
        return found

    def sides(self) -> tuple[list[str], list[str], list[str]]:
        """Returns the closes that hold, what is late, and what comes after."""
        closes = self.of("close")
        late, after = [], []
        for one in self.of(*(OWN - {"close"})):
            if not closes or any(one in self.past[c] for c in closes):
                continue
            (after if any(c in self.past[one] for c in closes) else late).append(one.text)
        return [c.text for c in closes], late, after
