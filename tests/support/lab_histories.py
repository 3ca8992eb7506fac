"""Histories of labs, told entry by entry and drawn: honest work, and anybody saying anything from any past."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from typing import Any

from drawn_spaces import NAMES, Drawn
from space_histories import NOW, Teller

from p2pshare.identifiers import EntryId
from p2pshare.spaces.entry_fields import NO_ENTRY
from p2pshare.spaces.lab import SOAK_SECONDS
from p2pshare.spaces.lab_entries import (
    FieldFigure,
    LabBody,
    LabClosing,
    LabQuestion,
    LabRemedy,
    LabReview,
    LabRun,
    LabSample,
    RuleAdoption,
    RuleDeprecation,
    RulePromotion,
    RuleVersion,
    encode_lab,
)

SOAKED = NOW + SOAK_SECONDS + 1_000  # of what the teller writes at NOW and some seconds
SET = hashlib.sha256(b"a set of samples").digest()


def digest_of(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


class LabTeller(Teller):
    """Tells a lab; each method returns the id of the entry. Texts are named by a word, whose SHA-256 stands for theirs."""

    def __init__(self, members: str = "LABC", *, title: str = "who finds the loader", **how: Any) -> None:
        Teller.__init__(self, members, kind="lab", title=title, **how)  # a drawn one is both

    def say(self, author: str, kind: str, body: LabBody, **how: Any) -> EntryId:
        return self.write(author, kind, encode_lab(body), **how)

    def version(
        self,
        author: str,
        kind: str,
        follows: bytes,
        text: str,
        *,
        by: str = "Ada",
        licence: str = "DRL-1.1",
        language: str = "sigma",
        **how: Any,
    ) -> EntryId:
        body = RuleVersion(
            follows, language, digest_of(text), len(text), f"rule {text}", by, licence, "high", ("t1059",), ""
        )
        return self.say(author, kind, body, **how)

    def rule(self, author: str, text: str = "one", **how: Any) -> EntryId:
        return self.version(author, "rule", NO_ENTRY, text, **how)

    def revise(self, author: str, follows: bytes, text: str = "two", **how: Any) -> EntryId:
        return self.version(author, "revise", follows, text, **how)

    def propose(self, author: str, follows: bytes, text: str = "three", **how: Any) -> EntryId:
        return self.version(author, "propose", follows, text, **how)

    def adopt(self, author: str, proposal: EntryId, **how: Any) -> EntryId:
        return self.say(author, "adopt", RuleAdoption(proposal, ""), **how)

    def ask_lab(self, author: str, permille: int = 100, question: str = "what?", **how: Any) -> EntryId:
        return self.say(author, "question", LabQuestion(question, permille), **how)

    def sample(
        self,
        author: str,
        text: str = "event",
        label: str = "positive",
        rules: Iterable[EntryId] = (),
        **how: Any,
    ) -> EntryId:
        body = LabSample(digest_of(text), "event-json", label, 100, "own", tuple(sorted(rules)), 0)
        return self.say(author, "sample", body, **how)

    def run(
        self,
        author: str,
        text: str = "one",
        counts: tuple[int, int, int, int] = (1, 0, 0, 1),
        *,
        errors: int = 0,
        samples: bytes = SET,
        **how: Any,
    ) -> EntryId:
        body = LabRun(digest_of(text), samples, "an engine 1.0", *counts, 5, errors, 2, 1)
        return self.say(author, "run", body, **how)

    def review(self, author: str, text: str = "one", verdict: str = "agree", **how: Any) -> EntryId:
        return self.say(author, "review", LabReview(digest_of(text), verdict, ""), **how)

    def field(self, author: str, text: str = "one", hits: int = 100, benign: int = 0, **how: Any) -> EntryId:
        return self.say(author, "field", FieldFigure(digest_of(text), 1, 2, hits, 0, benign), **how)

    def remedy(
        self,
        author: str,
        text: str = "cure",
        follows: bytes = NO_ENTRY,
        rules: Iterable[EntryId] = (),
        **how: Any,
    ) -> EntryId:
        body = LabRemedy(
            follows, "patch-note", digest_of(text), 9, text, "Ada", ("CVE-2026-1",), tuple(sorted(rules)), ""
        )
        return self.say(author, "remedy", body, **how)

    def promote(self, author: str, text: str = "one", *, created: int | None = SOAKED, **how: Any) -> EntryId:
        return self.say(author, "promote", RulePromotion(digest_of(text), ""), created=created, **how)

    def deprecate(self, author: str, rule: EntryId, **how: Any) -> EntryId:
        return self.say(author, "deprecate", RuleDeprecation(rule, ""), **how)

    def close_lab(self, author: str, **how: Any) -> EntryId:
        return self.say(author, "close", LabClosing("done"), **how)

    def test(self, text: str = "one", reviewers: str = "AB", runner: str = "A") -> None:
        """Two organisations agree, and one of them has run it."""
        for name in reviewers:
            self.review(name, text)
        self.run(runner, text)

    def stable(self, text: str = "one", reviewers: str = "AB") -> EntryId:
        """All that `stable` takes, the promotion last."""
        self.test(text, reviewers, reviewers[0])
        for name in reviewers:
            self.field(name, text)
        return self.promote(reviewers[0], text)


LAB_KINDS = {
    "review": 20, "run": 12, "field": 12, "promote": 6, "revise": 6, "propose": 5, "adopt": 7, "rule": 3, "sample": 5, "deprecate": 2,
    "remedy": 3, "ask_lab": 2, "note": 2, "close_lab": 1, "redact": 1, "spoilt": 1,
}  # fmt: skip
TEXTS = ("one", "two", "three")


class DrawnLab(LabTeller, Drawn):
    """A lab in which much counts and much is wrong: who leads and who is a member is drawn as in `drawn_spaces`."""

    def __init__(self, draw: random.Random, members: str, *, wildness: float) -> None:
        LabTeller.__init__(self, members, are_joined=draw.random() < 0.97)
        self.draw = draw
        self.wildness = wildness
        self.members = members
        self.everybody = members + "X"
        self.leads = [members[0]]

    def go_on(self, entries: int) -> None:
        for _ in range(entries):
            past = self.drawn_past()
            if self.draw.random() < 0.05:
                words = [
                    "takeover",
                    "ack",
                    "handover",
                    "accept",
                    "invite",
                    "remove",
                    "rekey",
                    "leave",
                    "merge",
                ]
                self.next(self.draw.choice(words), past)
            else:
                self.work(past)

    def work(self, after: list[EntryId]) -> EntryId:
        draw = self.draw
        kind = draw.choices(list(LAB_KINDS), weights=list(LAB_KINDS.values()))[0]
        how: dict[str, Any] = {"after": after}
        if draw.random() < 0.2:
            how["created"] = NOW + draw.choice([-5, 2, 20]) * SOAK_SECONDS // 10
        who, text = draw.choice(self.members), draw.choice(TEXTS)
        of: dict[str, list[EntryId]] = {}
        for one, entry in self.entries.items():
            of.setdefault(entry.header.kind, []).append(one)
        rules = of.get("rule", [])[:2] or [self.opening]
        versions = [*rules, *of.get("revise", []), *of.get("propose", [])]
        by = draw.choice(["Ada", "Ada, Bob", "Ada", "Bob"])
        licence = draw.choice(["DRL-1.1", "DRL-1.1", "MIT"])
        if kind in ("rule", "revise", "propose") and draw.random() < 0.8:
            text = draw.choice(("four", "five", "six", "seven"))  # who wrote a text counts no more for it
        match kind:
            case "rule":
                return self.rule(who, text, by=by, licence=licence, **how)
            case "revise" | "propose":
                follows = draw.choice(versions)
                if kind == "revise" and draw.random() < 0.8:
                    who = self.names[self.entries[rules[0]].header.author]
                language = draw.choice(["sigma"] * 9 + ["yara"])
                return self.version(
                    who, kind, follows, text, by=by, licence=licence, language=language, **how
                )
            case "adopt":
                if draw.random() < 0.7:
                    who = self.names[self.entries[rules[0]].header.author]
                return self.adopt(who, draw.choice(of.get("propose", rules)), **how)
            case "review":
                return self.review(who, text, draw.choice(["agree"] * 6 + ["disagree"]), **how)
            case "run":
                faulty = draw.choice([(0, 0, 0, 1), (1, 1, 0, 0), (1, 0, 1, 0)])
                counts = faulty if draw.random() < 0.2 else (1, 0, 0, draw.randint(0, 1))
                samples = draw.choice([SET, digest_of("another set")])
                return self.run(
                    who, text, counts, errors=draw.choice([0, 0, 0, 0, 1]), samples=samples, **how
                )
            case "field":
                return self.field(who, text, draw.choice([0, 1, 5, 100]), draw.choice([0, 0, 0, 1]), **how)
            case "promote":
                how["created"] = draw.choice([SOAKED, SOAKED, NOW + SOAK_SECONDS, NOW])
                return self.promote(who, text, **how)
            case "deprecate":
                return self.deprecate(who, draw.choice(rules), **how)
            case "sample":
                label = draw.choice(["positive", "negative", "withdrawn"])
                return self.sample(who, text, label, draw.sample(rules, draw.randint(0, 1)), **how)
            case "remedy":
                return self.remedy(who, text, draw.choice([NO_ENTRY, *of.get("remedy", [])]), **how)
            case "ask_lab":
                who = self.members[0] if draw.random() < 0.8 else who
                return self.ask_lab(who, draw.choice([100, 10, 1_000]), **how)
            case "redact":
                return self.redact(who, draw.choice(list(self.entries)), **how)
            case "close_lab":
                return self.close_lab(self.members[0], **how)
            case "spoilt":
                return self.write(who, draw.choice(["rule", "review", "run", "promote"]), b"\xc1", **how)
            case _:
                sealed = draw.sample(self.members, 1) if draw.random() < 0.3 else ()
                return self.note(who, audience=sealed, **how)


def drawn_lab(seed: int, entries: int = 70) -> DrawnLab:
    """Returns a drawn lab; one seed, one history. Half of them begin with a rule that has come far."""
    draw = random.Random(seed)
    told = DrawnLab(draw, NAMES[: draw.randint(3, 5)], wildness=draw.choice([0, 0, 0.03, 0.1, 0.4]))
    if draw.random() < 0.8:
        owner, others = told.members[-1], told.members[:2]
        told.rule(owner, "one")
        if draw.random() < 0.6:
            if draw.random() < 0.5:
                told.stable("one", others)
            else:
                told.test("one", others, others[0])
    told.go_on(draw.randint(entries // 4, entries))
    rules = [one for one, entry in told.entries.items() if entry.header.kind == "rule"]
    if rules and draw.random() < 0.4:  # two beside each other, and nobody has settled it
        seen = [told.propose("A", rules[0], "two", after=told.drawn_past())]
        told.adopt("L", seen[0], after=seen)
        told.revise(told.names[told.entries[rules[0]].header.author], rules[0], "three", after=seen)
    if draw.random() < 0.3:
        seen = told.drawn_past()
        told.close_lab("L", after=seen)
        told.review("A", after=seen)
    return told
