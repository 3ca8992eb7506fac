"""Histories of incidents, told entry by entry and drawn: honest work, and anybody saying anything from any past."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from drawn_spaces import NAMES, Drawn
from space_histories import Teller, partner

from p2pshare.identifiers import EntryId
from p2pshare.intel.incident_words import DETERMINATIONS, OWN_STATUSES, TASK_OUTCOMES
from p2pshare.spaces.entry_fields import NO_ENTRY
from p2pshare.spaces.incident_entries import (
    DutyStatement,
    IncidentAnswer,
    IncidentBody,
    IncidentClosing,
    IncidentDetermination,
    IncidentDuplicate,
    IncidentEvent,
    IncidentImpact,
    IncidentLesson,
    IncidentObject,
    IncidentOpinion,
    IncidentQuestion,
    IncidentRecurrence,
    IncidentTask,
    OwnStatus,
    TaskAssignment,
    TaskClaim,
    TaskOutcome,
    encode_incident,
)

DAY = 86_400
START = 1_799_971_200  # a midnight in UTC
assert START % DAY == 0


class IncidentTeller(Teller):
    """Tells an incident; each method returns the id of the entry."""

    def __init__(self, members: str = "LAB", *, title: str = "ransomware at A", **how: Any) -> None:
        Teller.__init__(
            self, members, kind="incident", title=title, **how
        )  # not the next base: a drawn one is both

    def say(self, author: str, kind: str, body: IncidentBody, **how: Any) -> EntryId:
        return self.write(author, kind, encode_incident(body), **how)

    def event(self, author: str, text: str = "seen", start: int = 0, end: int = 0, **how: Any) -> EntryId:
        return self.say(
            author, "event", IncidentEvent("occurred", start, "", end, "", ("ransomware",), text), **how
        )

    def impact(self, author: str, **how: Any) -> EntryId:
        details = (("availability_impact", "70"),)
        body = IncidentImpact(
            "availability", details, START, 0, (80,), "regular", (("computers-server", 7),), "down"
        )
        return self.say(author, "impact", body, **how)

    def object_(self, author: str, value: str = "evil.example", stix: bytes = b"", **how: Any) -> EntryId:
        return self.say(author, "object", IncidentObject("domain", value, "its server", stix), **how)

    def opine(self, author: str, about: bytes = NO_ENTRY, **how: Any) -> EntryId:
        return self.say(author, "opinion", IncidentOpinion("disagree", about, "confirmed", "why"), **how)

    def ask(self, author: str, to: Iterable[str] = (), **how: Any) -> EntryId:
        asked = tuple(sorted(partner(name) for name in to))
        return self.say(author, "ask", IncidentQuestion(asked, "since when?"), **how)

    def answer(self, author: str, question: EntryId, **how: Any) -> EntryId:
        return self.say(author, "answer", IncidentAnswer(question, "since Monday"), **how)

    def recur(self, author: str, value: str = "evil.example", day: int = START, **how: Any) -> EntryId:
        return self.say(author, "recurrence", IncidentRecurrence("domain", value, day, ""), **how)

    def task(self, author: str, title: str = "block it", due: int = 0, **how: Any) -> EntryId:
        return self.say(author, "task", IncidentTask(title, "everywhere", due, ("containment",)), **how)

    def claim(self, author: str, task: EntryId, **how: Any) -> EntryId:
        return self.say(author, "claim", TaskClaim(task), **how)

    def release(self, author: str, task: EntryId, **how: Any) -> EntryId:
        return self.say(author, "release", TaskClaim(task), **how)

    def assign(self, author: str, task: EntryId, to: str = "", **how: Any) -> EntryId:
        return self.say(author, "assign", TaskAssignment(task, tuple(partner(name) for name in to)), **how)

    def outcome(self, author: str, task: EntryId, outcome: str = "successful", **how: Any) -> EntryId:
        return self.say(author, "outcome", TaskOutcome(task, outcome, ""), **how)

    def own_status(self, author: str, status: str = "engaged", **how: Any) -> EntryId:
        return self.say(author, "own-status", OwnStatus(status, ""), **how)

    def determine(self, author: str, word: str = "confirmed", criticality: int = 70, **how: Any) -> EntryId:
        body = IncidentDetermination(word, (criticality,), ("ransomware",), "")
        return self.say(author, "determination", body, **how)

    def duty(
        self, author: str, event: str = "aware", at: int = START, stage: str = "", **how: Any
    ) -> EntryId:
        return self.say(author, "duty", DutyStatement(event, stage, "nis2", at, "Europe/Berlin", ""), **how)

    def lesson(
        self,
        author: str,
        text: str = "patch",
        owner: str = "",
        of: bytes = NO_ENTRY,
        status: str = "open",
        **how: Any,
    ) -> EntryId:
        owners = tuple(partner(name) for name in owner)
        return self.say(
            author, "lesson", IncidentLesson(of, text, owners, START, "https://example/1", status), **how
        )

    def close(self, author: str, text: str = "", **how: Any) -> EntryId:
        return self.say(author, "close", IncidentClosing(text), **how)

    def reopen(self, author: str, text: str = "", **how: Any) -> EntryId:
        return self.say(author, "reopen", IncidentClosing(text), **how)

    def duplicate(self, author: str, space: EntryId, **how: Any) -> EntryId:
        return self.say(author, "duplicate", IncidentDuplicate(space, ""), **how)


INCIDENT_KINDS = {
    "claim": 14, "release": 7, "assign": 7, "outcome": 12, "task": 5, "own_status": 5, "determine": 5, "duty": 5, "lesson": 10,
    "close": 5, "reopen": 4, "event": 2, "impact": 1, "object_": 2, "opine": 1, "ask": 2, "answer": 2, "recur": 2, "duplicate": 1,
    "note": 2, "redact": 2, "spoilt": 1,
}  # fmt: skip


class DrawnIncident(IncidentTeller, Drawn):
    """An incident in which much counts and much is wrong: who leads and who is a member is drawn as in `drawn_spaces`."""

    def __init__(self, draw: random.Random, members: str, *, wildness: float) -> None:
        IncidentTeller.__init__(self, members, are_joined=draw.random() < 0.9)
        self.draw = draw
        self.wildness = wildness
        self.members = members
        self.everybody = members + "X"
        self.leads = [members[0]]

    def go_on(self, entries: int) -> None:
        for _ in range(entries):
            past = self.drawn_past()
            if self.draw.random() < 0.2:
                self.next(
                    self.draw.choice(
                        [
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
                    ),
                    past,
                )
            else:
                self.work(past)

    def disagree(self, task: EntryId) -> None:
        """Two say otherwise beside each other, of a task that both claim and of a lesson: what is written later may settle it."""
        seen, other = self.heads(), self.members[1]
        theirs = self.claim(other, task, after=seen)
        lesson = self.lesson("L", "a lesson", other, after=seen)
        self.outcome(other, task, "cancelled", after=[theirs])
        third = self.members[-1]
        self.outcome(third, task, "failed", after=[self.claim(third, task, after=[theirs])])
        self.lesson(other, "another lesson", other, lesson, after=[lesson])
        self.lesson("L", "one lesson more", other, lesson, after=[lesson])

    def work(self, after: list[EntryId]) -> EntryId:
        draw = self.draw
        kind = draw.choices(list(INCIDENT_KINDS), weights=list(INCIDENT_KINDS.values()))[0]
        how: dict[str, Any] = {"after": after}
        who = draw.choice(self.members)
        if kind in ("assign", "determine", "close", "duplicate") and draw.random() < 0.8:
            who = self.members[0] if draw.random() < 0.7 else draw.choice(self.members)
        by_kind: dict[str, list[EntryId]] = {}
        for one, entry in self.entries.items():
            by_kind.setdefault(entry.header.kind, []).append(one)
        tasks = by_kind.get("task", [])[:3] or [self.opening]
        if kind in ("claim", "outcome", "lesson") and draw.random() < 0.8:
            who = draw.choice(self.members[1:])  # what the lead says decides, and then nothing is disputed
        match kind:
            case "claim" | "release":
                return getattr(self, kind)(who, draw.choice(tasks), **how)
            case "assign":
                return self.assign(who, draw.choice(tasks), draw.choice(["", *self.members]), **how)
            case "outcome":
                return self.outcome(who, draw.choice(tasks), draw.choice(TASK_OUTCOMES[:2]), **how)
            case "own_status":
                return self.own_status(who, draw.choice(OWN_STATUSES), **how)
            case "determine":
                return self.determine(who, draw.choice(DETERMINATIONS), draw.randint(0, 2), **how)
            case "duty":
                return self.duty(who, draw.choice(["aware", "handled"]), START + draw.randint(1, 3), **how)
            case "lesson":
                first = draw.choice([NO_ENTRY, *by_kind.get("lesson", [])[:1]])
                if first and draw.random() < 0.7:
                    who = self.names[self.entries[EntryId(first)].header.author]
                return self.lesson(
                    who, f"lesson {draw.randint(1, 3)}", draw.choice(["", *self.members]), first, **how
                )
            case "answer":
                return self.answer(who, draw.choice(by_kind.get("ask", tasks)), **how)
            case "redact":
                return self.redact(who, draw.choice(list(self.entries)), **how)
            case "note" | "object_" | "event":
                sealed = draw.sample(self.members, 1) if draw.random() < 0.2 else ()
                return getattr(self, kind)(who, audience=sealed, **how)
            case "duplicate":
                return self.duplicate(who, self.opening, **how)
            case "spoilt":
                return self.write(
                    who, draw.choice(["event", "task", "claim", "close", "assign"]), b"\xc1", **how
                )
            case _:
                return getattr(self, kind)(who, **how)


def drawn_incident(seed: int, entries: int = 60) -> DrawnIncident:
    """Returns a drawn incident; one seed, one history."""
    draw = random.Random(seed)
    told = DrawnIncident(draw, NAMES[: draw.randint(2, 5)], wildness=draw.choice([0.1, 0.3, 0.6, 0.9]))
    task = told.task("L")
    if draw.random() < 0.5:
        told.disagree(task)
    told.go_on(draw.randint(entries // 2, entries))
    return told
