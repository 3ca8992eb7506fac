"""Stories of labs, one for each rule of docs/labs.md, each with what every node must say of it.

What is expected is written by hand, never computed: `expect` names places in the canonical `state` ("rules.0.status") and their values.
`scripts/make-vectors` writes them to lab.json, which other implementations run.
"""

from __future__ import annotations

import hashlib
from typing import Any

from kind_stories import Expecting, KindStory, telling
from lab_histories import SET, SOAKED, LabTeller, digest_of
from space_histories import NOW, key_of_partner, partner

from p2pshare.envelope.encoding import pack
from p2pshare.spaces.lab import SOAK_SECONDS
from p2pshare.spaces.lab_entries import (
    FieldFigure,
    LabReview,
    LabRun,
    LabSample,
    RuleVersion,
    encode_lab,
    sample_set_hash,
)

A, B, C, L = (partner(name).text for name in "ABCL")


LAB_STORIES: list[KindStory] = []


class TellingLab(Expecting, LabTeller):
    """A teller of labs."""


story = telling(TellingLab, LAB_STORIES, "LABC")


def missing(what: str, have: int, need: int, who: str = "", not_before: int | None = None) -> dict[str, Any]:
    named = sorted(partner(name).text for name in who)
    return {"have": have, "need": need, "not_before": not_before, "what": what, "who": named}


def status(word: str, *more: dict[str, Any], rule: int = 0) -> dict[str, Any]:
    return {f"rules.{rule}.status": word, f"rules.{rule}.missing": list(more)}


def raw(body: RuleVersion | LabRun | LabSample | LabReview | FieldFigure, **changed: Any) -> bytes:
    """Returns the content of an entry with fields of any type."""
    values = {**body._asdict(), **changed}
    return pack(dict(enumerate(values.values())))


RULE = RuleVersion(b"", "sigma", digest_of("one"), 3, "a rule", "Ada", "DRL-1.1", "high", ("t1059",), "")
RUN = LabRun(digest_of("one"), SET, "an engine 1.0", 1, 0, 0, 1, 5, 0, 2, 1)
SAMPLE = LabSample(digest_of("event"), "event-json", "positive", 100, "own", (), 0)
FIGURE = FieldFigure(digest_of("one"), 1, 2, 100, 5, 0)


@story("a rule begins as experimental, and says what it lacks")
def _(s: TellingLab) -> None:
    s.expect({"rules": [], "question": None, "benign_permille": 100, "closed": False, "samples": []})
    rule = s.rule("C")
    s.expect(
        {
            **status("experimental", missing("agreement", 0, 2), missing("independent-run", 0, 1)),
            "rules.0.id": rule.text,
            "rules.0.author": C,
            "rules.0.hash": hashlib.sha256(b"one").hexdigest(),
            "rules.0.type": "sigma",
            "rules.0.versions.0.rule_author": "Ada",
            "rules.0.versions.0.licence": "DRL-1.1",
            "rules.0.versions.0.level": "high",
            "rules.0.versions.0.techniques": ["t1059"],
        }
    )


@story("test: two organisations besides the author agree, and one that is not the author ran it")
def _(s: TellingLab) -> None:
    s.rule("C")
    s.review("C")
    s.run("C")
    s.expect(status("experimental", missing("agreement", 0, 2), missing("independent-run", 0, 1)))
    s.review("A")
    s.review("A")
    s.expect(status("experimental", missing("agreement", 1, 2, "A"), missing("independent-run", 0, 1)))
    s.review("B")
    s.expect(status("experimental", missing("independent-run", 0, 1)))
    s.run("B")
    test_since = NOW + s._salt
    s.expect(
        status(
            "test",
            missing("promotion", 0, 1, not_before=test_since + SOAK_SECONDS),
            missing("field-figures", 0, 2),
        )
        | {"rule_texts.0.test_since": test_since, "rule_texts.0.agree": sorted([A, B])}
    )


@story(
    "a run that found nothing, missed, hit a negative sample or broke off proves nothing; a later one replaces it"
)
def _(s: TellingLab) -> None:
    s.rule("C")
    s.review("A")
    s.review("B")
    lacks = status("experimental", missing("independent-run", 0, 1))
    for counts, errors in (((0, 0, 0, 1), 0), ((1, 1, 0, 1), 0), ((1, 0, 1, 0), 0), ((1, 0, 0, 1), 1)):
        s.run("A", counts=counts, errors=errors)
        s.expect(lacks)
    s.run("A")
    s.expect({"rules.0.status": "test"})
    s.run("A", counts=(1, 1, 0, 0), samples=digest_of("another set"))
    s.expect({"rules.0.status": "test"})
    s.run("A", counts=(1, 1, 0, 0))
    s.expect(lacks)


@story("the newest word of an organisation counts: who agreed and disagrees now agrees no more")
def _(s: TellingLab) -> None:
    s.rule("C")
    s.test()
    s.expect({"rules.0.status": "test"})
    s.review("A", verdict="disagree")
    s.expect(status("experimental", missing("agreement", 1, 2, "B")) | {"rule_texts.0.disagree": [A]})
    s.review("A")
    s.expect({"rules.0.status": "test", "rule_texts.0.disagree": []})


@story("stable: a promotion 30 days after test, quiet in two houses, and nobody disagrees")
def _(s: TellingLab) -> None:
    s.rule("C")
    s.test()
    since = NOW + s._salt
    soak = missing("promotion", 0, 1, not_before=since + SOAK_SECONDS)
    s.field("A")
    s.expect(status("test", soak, missing("field-figures", 1, 2, "A")))
    s.field("B")
    s.expect(status("test", soak))
    early = s.promote("C", created=since + SOAK_SECONDS - 1)
    waits = missing("soak", 0, 1, "C", since + SOAK_SECONDS)
    s.expect(status("test", waits))
    ready = s.promote("A", created=since + SOAK_SECONDS)
    s.expect(status("stable") | {"rule_texts.0.promotion": ready.text})
    s.review("L", verdict="disagree")
    s.expect(status("test", missing("disagreement", 1, 0, "L")))
    s.review("L")
    s.expect(status("stable"))
    assert early


@story("a promotion counts by what it has in its past: what came beside it does not help it")
def _(s: TellingLab) -> None:
    s.rule("C")
    s.review("A")
    s.field("A")
    s.field("B")
    seen = s.heads()
    s.review("B", after=seen)
    s.run("B")
    since = NOW + s._salt
    s.promote("A", after=seen)
    s.expect(status("test", missing("soak", 0, 1, "A", since + SOAK_SECONDS)))
    ready = s.promote("C")
    s.expect(status("stable") | {"rule_texts.0.promotion": ready.text})


@story(
    "nobody agreed before the text was written, whatever it says of its time; a promotion gains nothing by a wrong clock"
)
def _(s: TellingLab) -> None:
    s.rule("C", created=NOW)
    for name in "AB":
        s.review(name, created=NOW - SOAK_SECONDS)
        s.field(name)
    s.run("A", created=NOW - SOAK_SECONDS)
    s.promote("A", created=NOW + 5)
    s.expect(
        status("test", missing("soak", 0, 1, "A", NOW + SOAK_SECONDS)) | {"rule_texts.0.test_since": NOW}
    )
    s.promote("A", created=NOW - SOAK_SECONDS)
    s.expect({"rules.0.status": "test"})
    s.promote("A", created=NOW + SOAK_SECONDS)
    s.expect({"rules.0.status": "stable"})


@story("who changed its mind begins again: the days count from its newest agreement, not from its first")
def _(s: TellingLab) -> None:
    s.rule("C")
    s.stable()
    s.expect({"rules.0.status": "stable"})
    s.review("A", verdict="disagree", created=SOAKED + 10)
    s.review("A", created=SOAKED + 20)
    s.expect(status("test", missing("soak", 0, 1, "A", SOAKED + 20 + SOAK_SECONDS)))
    s.review("A", created=SOAKED + 30)
    s.promote("L", created=SOAKED + 20 + SOAK_SECONDS)
    s.expect({"rules.0.status": "stable"})


@story(
    "one byte changed is a new rule: experimental, without reviews or runs; the text before it is what it was"
)
def _(s: TellingLab) -> None:
    rule = s.rule("C")
    s.stable()
    changed = s.revise("C", rule, "one.")
    s.expect(
        status("experimental", missing("agreement", 0, 2), missing("independent-run", 0, 1))
        | {
            "rules.0.current": changed.text,
            "rules.0.versions.0.status": "stable",
            "rules.0.versions.1.status": "experimental",
        }
    )
    s.revise("C", changed, "one")
    s.expect({"rules.0.status": "stable"})


@story("others propose, and the author or the lead adopts; neither of the authors counts as another")
def _(s: TellingLab) -> None:
    rule = s.rule("C")
    other = s.revise("A", rule, "stolen")
    s.expect({"rules.0.current": rule.text, "rules.0.proposals": []})
    proposal = s.propose("A", rule, "two", by="Ada, Alan")
    s.expect({"rules.0.current": rule.text, "rules.0.proposals.0.id": proposal.text})
    s.adopt("B", proposal)
    s.expect({"rules.0.current": rule.text})
    s.adopt("C", proposal)
    s.test("two", "AB", "A")
    s.review("C", "two")
    s.expect(
        status("experimental", missing("agreement", 1, 2, "B"), missing("independent-run", 0, 1))
        | {
            "rules.0.current": proposal.text,
            "rules.0.proposals": [],
            "rules.0.versions.1.rule_author": "Ada, Alan",
        }
    )
    s.review("L", "two")
    s.run("B", "two")
    s.expect({"rules.0.status": "test"})
    third = s.propose("B", proposal, "three", by="Ada, Alan")
    s.adopt("L", third)
    s.expect({"rules.0.current": third.text})
    assert other


@story("author and licence are never dropped: such a text does not count, nor what follows it")
def _(s: TellingLab) -> None:
    rule = s.rule("C")
    nameless = s.propose("A", rule, "two", by="Alan")
    follower = s.propose("A", nameless, "three", by="Alan")
    relicensed = s.propose("A", rule, "four", licence="proprietary")
    other = s.propose("A", rule, "five", language="yara")
    for proposal in (nameless, follower, relicensed, other):
        s.adopt("C", proposal)
    s.expect({"rules.0.current": rule.text, "rules.0.proposals": []})
    s.revise("C", rule, "six", by="Alan")
    s.expect({"rules.0.current": rule.text})
    own = s.revise("C", rule, "seven", licence="MIT")
    s.expect({"rules.0.current": own.text, "rules.0.versions.1.licence": "MIT"})
    bare = s.write("C", "revise", raw(RULE, follows=rule, licence=""))
    blank = s.write("C", "revise", raw(RULE, follows=rule, author="  "))
    s.expect({"rules.0.current": own.text}, {bare: "bad-body", blank: "bad-body"})


@story("what follows a text counts whichever came first, and nothing while that is void")
def _(s: TellingLab) -> None:
    seen = s.heads()
    rule = s.rule("C", after=seen)
    changed = s.revise("C", rule, "two", after=[rule])
    last = s.revise("C", changed, "three", after=[changed])
    s.expect({"rules.0.current": last.text})
    void = s.write("C", "rule", b"\xc1")
    s.revise("C", void, "four")
    s.expect({"rules.0.current": last.text, "rules.1": None}, {void: "bad-body"})


@story("two changes beside each other are a conflict, which is shown; the next settles it")
def _(s: TellingLab) -> None:
    rule = s.rule("C")
    proposal = s.propose("A", rule, "two")
    seen = s.heads()
    changed = s.revise("C", rule, "three", after=seen)
    s.adopt("L", proposal, after=seen)
    s.expect({"rules.0.conflict": True})
    s.merge("L")
    last = s.revise("C", changed, "four")
    s.expect({"rules.0.conflict": False, "rules.0.current": last.text})


@story("deprecated by its author, and by nobody else; a later text of its author brings it back")
def _(s: TellingLab) -> None:
    rule = s.rule("C")
    s.stable()
    s.deprecate("L", rule)
    s.expect(status("stable"))
    seen = s.heads()
    s.deprecate("C", rule)
    s.expect(status("deprecated"))
    s.review("L", after=seen)
    s.expect(status("deprecated"))
    s.expect({"rules.0.versions.0.deprecated": True})
    s.revise("C", rule, "two")
    s.expect(
        {
            "rules.0.status": "experimental",
            "rules.0.versions.0.deprecated": True,
            "rules.0.versions.0.status": "stable",
            "rules.0.versions.1.deprecated": False,
        }
    )


@story("who wrote two entries under one number counts in nothing until it is pardoned")
def _(s: TellingLab) -> None:
    s.rule("C")
    s.test("one", "AB", "A")
    s.expect({"rules.0.status": "test"})
    seen = s.heads()
    one = s.note("A", "one story", after=seen)
    two = s.note("A", "another", after=seen)
    s.merge("L")
    s.expect(
        status("experimental", missing("agreement", 1, 2, "B"), missing("independent-run", 0, 1)),
    )
    s.invite("L", "A")
    s.expect({"rules.0.status": "test"})
    assert one and two


@story("the lab's limit: the newest of the lead; a share is taken at its worst of what the buckets hide")
def _(s: TellingLab) -> None:
    s.rule("C")
    s.test()
    since = NOW + s._salt
    s.promote("C")
    s.field("A", hits=100, benign=10)
    s.field("B", hits=100, benign=9 + 1)
    s.expect(status("test", missing("field-figures", 0, 2)))
    void = s.ask_lab("A", 1_000)
    s.ask_lab("L", 101)
    s.expect(status("stable") | {"benign_permille": 101, "question": "what?"}, {void: "not-lead"})
    s.field("B", hits=41, benign=1)
    s.expect(status("stable"), {void: "not-lead"})
    s.field("B", hits=39, benign=1)
    s.expect(status("test", missing("field-figures", 1, 2, "A")), {void: "not-lead"})
    s.field("B", hits=0)
    s.expect(status("stable"), {void: "not-lead"})
    assert since


@story(
    "numbers that came as text, counts below 10 as they are, and windows that end before they begin are no entries"
)
def _(s: TellingLab) -> None:
    bad = [
        s.write("A", "run", raw(RUN, tp="1")),
        s.write("A", "run", raw(RUN, engine="")),
        s.write("A", "run", raw(RUN, digest=b"short")),
        s.write("A", "field", raw(FIGURE, hits="100")),
        s.write("A", "field", raw(FIGURE, benign=3)),
        s.write("A", "field", raw(FIGURE, benign=9)),
        s.write("A", "field", raw(FIGURE, start=2)),
        s.write("A", "field", raw(FIGURE, hits=10, confirmed=10, benign=1)),
        s.write("A", "rule", raw(RULE, language="splunk")),
        s.write("A", "rule", raw(RULE, follows=s.opening)),
        s.write("A", "revise", raw(RULE)),
        s.write("A", "rule", raw(RULE, size=0)),
        s.write("A", "rule", raw(RULE, techniques=["t2", "t1"])),
        s.write("A", "review", raw(LabReview(digest_of("one"), "agree", ""), verdict="perhaps")),
        s.write("A", "sample", raw(SAMPLE, kind="file", has_content=1)),
        s.write("A", "sample", raw(SAMPLE, size=4 * 1_048_576 + 1, has_content=1)),
        s.write("A", "sample", raw(SAMPLE, label="perhaps")),
        s.write("L", "question", pack({0: "what?", 1: 0})),
        s.write("L", "question", pack({0: "what?", 1: 1_001})),
    ]
    s.expect({"rules": [], "samples": [], "rule_texts": []}, dict.fromkeys(bad, "bad-body"))
    s.write("A", "sample", raw(SAMPLE, size=4 * 1_048_576, has_content=1))
    s.expect({"samples.0.has_content": True}, dict.fromkeys(bad, "bad-body"))


@story(
    "samples: each author's newest word; two that say otherwise of one are a conflict; a withdrawn one is gone"
)
def _(s: TellingLab) -> None:
    rule = s.rule("C")
    own = s.sample("A", "event", "positive", [rule])
    s.expect({"samples.0.id": own.text, "samples.0.label": "positive", "samples.0.rules": [rule.text]})
    other = s.sample("B", "event", "negative")
    s.expect({"samples.0.conflict": True, "samples.1.conflict": True})
    s.sample("B", "event", "withdrawn")
    s.expect({"samples.0.id": own.text, "samples.0.conflict": False, "samples.1": None})
    s.sample("A", "event", "negative")
    s.expect({"samples.0.label": "negative", "samples.1": None})
    assert other
    assert sample_set_hash(
        [("positive", b"\x02" * 32), ("negative", b"\x01" * 32), ("positive", b"\x02" * 32)]
    ) == (hashlib.sha256(b"\x00" + b"\x01" * 32 + b"\x01" + b"\x02" * 32).digest())


@story(
    "a remedy is reviewed like a rule, and replaced by its author; another's rule with its text changes nothing"
)
def _(s: TellingLab) -> None:
    first = s.remedy("C")
    s.review("A", "cure")
    s.expect({"remedies.0.status": "experimental", "remedies.0.vulnerabilities": ["CVE-2026-1"]})
    s.review("B", "cure")
    s.expect({"remedies.0.status": "reviewed", "remedies.0.current": first.text})
    s.rule("A", "cure")
    s.expect({"remedies.0.status": "reviewed"})
    s.review("L", "cure", "disagree")
    s.expect(
        {"remedies.0.status": "experimental", "remedy_texts.0.missing": [missing("disagreement", 1, 0, "L")]}
    )
    s.remedy("A", "poison", first)
    s.expect({"remedies.0.current": first.text, "remedies.1": None})
    better = s.remedy("C", "better cure", first)
    s.expect(
        {"remedies.0.current": better.text, "remedies.0.status": "experimental", "remedies.0.id": first.text}
    )


@story("what another says of a rule it says of the text: who adds the same text gains no author's place")
def _(s: TellingLab) -> None:
    s.rule("C")
    s.test()
    s.rule("A")
    s.expect(status("experimental", missing("agreement", 1, 2, "B"), missing("independent-run", 0, 1)))
    s.review("L")
    s.run("B")
    s.expect(
        {"rules.0.status": "test", "rules.1.status": "test", "rules.1.author": A, "rule_texts.0.shared": True}
    )


@story("close: what nobody saw is late, and the status goes on")
def _(s: TellingLab) -> None:
    s.rule("C")
    s.review("A")
    seen = s.heads()
    close = s.close_lab("L")
    late = s.review("B", after=seen)
    after = s.run("B")
    s.expect(
        {
            "closed": True,
            "closes": [close.text],
            "late": [late.text],
            "after": [after.text],
            "rules.0.status": "test",
        }
    )
    void = s.close_lab("A")
    s.expect({"closed": True}, {void: "not-lead"})


@story("what was written beside a removal is void; what was written before it stands")
def _(s: TellingLab) -> None:
    s.rule("C")
    s.review("A")
    seen = s.heads()
    s.remove("L", "B")
    void = s.review("B", after=seen)
    s.remove("L", "A")
    s.expect(
        status("experimental", missing("agreement", 1, 2, "A"), missing("independent-run", 0, 1)),
        {void: "cut"},
    )


@story("a disagreement is open while its author is a member; what a member agreed to stands")
def _(s: TellingLab) -> None:
    s.rule("C")
    s.stable("one", "LA")
    s.review("B", verdict="disagree")
    s.expect(status("test", missing("disagreement", 1, 0, "B")) | {"rule_texts.0.disagree": [B]})
    s.remove("L", "B")
    s.expect(status("stable") | {"rule_texts.0.disagree": []})
    s.leave("A")
    s.expect(status("stable") | {"rule_texts.0.agree": sorted([A, L])})


@story("what a thief of a key said counts for nothing once its owner has disowned it")
def _(s: TellingLab) -> None:
    s.rule("C")
    good = s.review("A")
    s.review("B")
    stolen = s.run("A")
    s.expect({"rules.0.status": "test"})
    s.rekey("A", {key_of_partner("A"): good}, key=2)
    s.expect(status("experimental", missing("independent-run", 0, 1)), {stolen: "disowned"})
    s.run("A", key=2)
    s.expect({"rules.0.status": "test"}, {stolen: "disowned"})


@story(
    "the owner of a rule that writes two texts under one number has both shown as a conflict, and is pardoned"
)
def _(s: TellingLab) -> None:
    rule = s.rule("C")
    seen = s.heads()
    s.revise("C", rule, "two", after=seen)
    s.revise("C", rule, "three", after=seen)
    s.merge("L")
    s.expect({"rules.0.conflict": True})
    s.invite("L", "C")
    s.expect({"rules.0.conflict": True})
    last = s.revise("C", rule, "four")
    s.expect({"rules.0.conflict": False, "rules.0.current": last.text})


@story("sealed and redacted notes are listed without what they say; hostile text comes out as it was written")
def _(s: TellingLab) -> None:
    hostile = 'a"\\\b\n\x00\x1f\u202e\u2028</script>|`=1+1`\U0001f512'
    s.note("A", hostile)
    gone = s.note("A", "gone")
    s.note("A", "sealed", audience="A")
    s.redact("A", gone)
    s.rule("C", hostile, by=hostile)
    s.expect(
        {
            "notes.0.text": hostile,
            "notes.1.redacted": True,
            "notes.1.text": None,
            "notes.2.sealed": True,
            "notes.2.text": None,
            "rules.0.versions.0.rule_author": hostile,
        }
    )


assert encode_lab(RULE) == raw(RULE)
