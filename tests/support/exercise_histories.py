"""Histories of exercises, told entry by entry and drawn: honest play, and anybody saying anything from any past."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from drawn_spaces import Drawn
from space_histories import NOW, Teller, partner

from p2pshare.identifiers import EntryId
from p2pshare.intel.exercise_pack import (
    ExercisePack,
    MatchValue,
    PackExpectation,
    PackInject,
    PackObjective,
    PackPlace,
    pack_leaves,
)
from p2pshare.spaces.acts import Plain
from p2pshare.spaces.exercise_entries import (
    AttestedAct,
    ExerciseBody,
    ExerciseObject,
    ExerciseObservation,
    ExercisePause,
    ExerciseSighting,
    ExerciseStamp,
    ExerciseStart,
    ExerciseWithdrawal,
    InjectAck,
    InjectAnswer,
    encode_exercise,
    released_inject,
    stated_pack,
)

BEGUN = NOW + 10_000  # when drawn and told exercises start
ROLES = {"L": "white", "W": "white", "A": "clinic", "B": "ward", "C": "ward", "O": "watch"}
PLACES = (
    PackPlace("white-cell", "white", "White cell", False),
    PackPlace("clinic", "blue", "Clinic", False),
    PackPlace("ward", "blue", "Wards", True),
    PackPlace("watch", "observer", "Observers", False),
)
OBJECTIVES = (PackObjective("O1", "what is told is read"), PackObjective("O2", "what is seen is shared"))


def expecting(
    name: str,
    action: str,
    match: Mapping[str, MatchValue] | None = None,
    *,
    by: Sequence[str] = ("clinic", "ward"),
    within: int = 1_200,
    late: int | None = None,
    weight: int = 1,
    kind: str = "detect",
) -> PackExpectation:
    return PackExpectation(name, kind, action, dict(match or {}), tuple(by), within, late, weight)


def inject_of(
    number: int,
    *expect: PackExpectation,
    at: int = 0,
    objective: str = "O1",
    text: str = "something happens",
    payload: str = "",
) -> PackInject:
    return PackInject(
        number,
        at,
        ("clinic", "ward"),
        "CERT",
        "message",
        objective,
        payload,
        "" if payload else text,
        "do it",
        expect,
    )


def pack_of(injects: Sequence[PackInject], *, duration: int = 14_400) -> ExercisePack:
    return ExercisePack(
        "drill", "1.0.0", "A drill", "functional", "en", duration, 60, "", OBJECTIVES, PLACES, tuple(injects)
    )


def salt_of(number: int) -> bytes:
    return hashlib.sha256(f"salt {number}".encode()).digest()[:16]


class ExerciseTeller(Teller):
    """Tells an exercise. Each method returns the id of the entry. Times are seconds after `BEGUN`; a stamp names all that none has named."""

    def __init__(
        self,
        members: str = "LWABCO",
        *,
        injects: Sequence[PackInject] = (inject_of(1), inject_of(2)),
        duration: int = 14_400,
        **how: Any,
    ) -> None:
        roles = {name: ROLES.get(name, "") for name in members}
        Teller.__init__(self, members, kind="exercise", roles=roles, title="a drill", **how)
        self.plan(*injects, duration=duration)

    def plan(self, *injects: PackInject, duration: int = 14_400) -> None:
        """Play these injects."""
        self.injects = list(injects)
        self.played = pack_of(injects, duration=duration)
        self.payloads = {one.payload: f"payload {one.number}".encode() for one in injects if one.payload}
        salts = [salt_of(number) for number in range(1, len(injects) + 1)]
        self.leaves = pack_leaves(self.played, self.payloads, salts)

    def say(self, author: str, kind: str, body: ExerciseBody, **how: Any) -> EntryId:
        if "at" in how:
            how["created"] = BEGUN + how.pop("at")
        return self.write(author, kind, encode_exercise(body), **how)

    def plain(self, author: str, kind: str, **how: Any) -> EntryId:
        if "at" in how:
            how["created"] = BEGUN + how.pop("at")
        return self.write(author, kind, Plain().encode(), **how)

    def commit(self, author: str = "L", **how: Any) -> EntryId:
        return self.say(author, "pack", stated_pack(self.played, b"the archive", self.leaves), **how)

    def start(self, author: str = "L", factor: int = 60, **how: Any) -> EntryId:
        return self.say(author, "start", ExerciseStart(factor), **{"at": 0, **how})

    def begin(self, *injects: PackInject, duration: int = 14_400, factor: int = 60) -> None:
        """Plan, commit to the pack and start; without injects those that are planned."""
        if injects:
            self.plan(*injects, duration=duration)
        self.commit()
        self.start(factor=factor)

    def pause(self, author: str = "L", *, real: bool = False, **how: Any) -> EntryId:
        return self.say(author, "pause", ExercisePause(int(real)), **how)

    def resume(self, author: str = "L", **how: Any) -> EntryId:
        return self.plain(author, "resume", **how)

    def end(self, author: str = "L", **how: Any) -> EntryId:
        return self.plain(author, "end", **how)

    def release(
        self, which: int, author: str = "L", *, inject: PackInject | None = None, **how: Any
    ) -> EntryId:
        told = inject or self.injects[which - 1]
        body = released_inject(told, salt_of(which), self.payloads.get(told.payload, b""))
        return self.say(author, "inject", body._replace(number=which), **how)

    def stamp(
        self, author: str = "L", *names: EntryId, attested: Iterable[AttestedAct] = (), **how: Any
    ) -> EntryId:
        body = ExerciseStamp(tuple(sorted(set(names))), tuple(sorted(attested, key=lambda one: one.entry)))
        return self.say(author, "stamp", body, **how)

    def ack_inject(self, author: str, which: int, **how: Any) -> EntryId:
        return self.say(author, "inject-ack", InjectAck(which), **how)

    def answer(self, author: str, which: int, text: str = "", choice: str = "", **how: Any) -> EntryId:
        return self.say(author, "answer", InjectAnswer(which, choice, text), **how)

    def publish(self, author: str, *values: str, to: str = "", tlp: int = 1, **how: Any) -> EntryId:
        listed = tuple(sorted(("domain-name", value) for value in values))
        named = tuple(sorted(partner(name) for name in to))
        body = ExerciseObject(listed, named, tlp, hashlib.sha256(repr(listed).encode()).digest(), 9)
        return self.say(author, "object", body, **how)

    def sight(self, author: str, value: str, count: int = 1, *, false: bool = False, **how: Any) -> EntryId:
        return self.say(
            author, "sighting", ExerciseSighting("domain-name", value, count, int(false), ()), **how
        )

    def withdraw(self, author: str, *values: str, **how: Any) -> EntryId:
        listed = tuple(sorted(("domain-name", value) for value in values))
        return self.say(author, "withdrawal", ExerciseWithdrawal(listed, ""), **how)

    def observe(
        self, author: str, expectation: str, rating: str, about: str = "", text: str = "", **how: Any
    ) -> EntryId:
        named = tuple(partner(name) for name in about)
        body = ExerciseObservation(0, expectation, "", named, rating, text, "", (), 0)
        return self.say(author, "observation", body, **how)

    def elsewhere(
        self, author: str, action: str, detail: str, at: int, name: str = "", to: str = ""
    ) -> AttestedAct:
        """Returns what a stamp says of something done in an incident."""
        entry = EntryId(hashlib.sha256(f"{author} {action} {detail} {at} {name}".encode()).digest())
        named = tuple(sorted(partner(one) for one in to))
        return AttestedAct(entry, partner(author), action, detail, named, BEGUN + at)


VALUES = ("a.example", "b.example")
DRAWN_INJECTS = (
    inject_of(
        1,
        expecting("read", "acknowledge", within=600, late=1_800),
        expecting("seen", "sight", {"values": VALUES}, late=3_600, weight=3),
        expecting("opened", "incident-open", {"incident_type": "malware"}, by=("clinic",)),
    ),
    inject_of(
        2,
        expecting("told", "publish", {"values": VALUES[:1], "to": ("ward",), "tlp_max": "green"}, late=4_000),
        expecting("said", "answer", {"choice": "yes"}, by=("ward",)),
        expecting("calm", "rated", weight=2),
        objective="O2",
    ),
    inject_of(
        3,
        expecting("gone", "withdraw", {"values": VALUES}),
        expecting("noted", "note", {"words": ("Lesson",), "to": ("ward",)}),
        expecting("good", "sight", {"values": VALUES[1:], "false_positive": True}, within=300),
        objective="",
    ),
    inject_of(4, expecting("often", "sight", {"count_min": 2}, by=("clinic", "watch"))),
)
EXERCISE_KINDS = {
    "ack_inject": 9, "answer": 8, "publish": 10, "sight": 16, "withdraw": 8, "observe": 8, "stamp": 22, "release": 12, "pause": 3, "resume": 4,
    "real": 2, "end": 1, "note": 2, "commit": 1, "start": 2, "spoilt": 1, "member": 2,
}  # fmt: skip


class DrawnExercise(ExerciseTeller, Drawn):
    """An exercise in which much counts and much is wrong: who leads and who is a member is drawn as in `drawn_spaces`."""

    def __init__(self, draw: random.Random, members: str, *, wildness: float) -> None:
        duration = draw.choice([3_600, 7_200, 86_400])
        ExerciseTeller.__init__(self, members, injects=DRAWN_INJECTS, duration=duration)
        self.draw = draw
        self.wildness = wildness
        self.members = members
        self.everybody = members + "X"
        self.time = 0

    def go_on(self, entries: int) -> None:
        for _ in range(entries):
            if self.draw.random() < 0.06:  # membership and the lead
                Drawn.next(self, self.draw.choice(["invite", "remove", "takeover", "takeover", "ack", "join", "handover", "accept", "leave"]), self.drawn_past())  # fmt: skip
            else:
                self.play(self.draw.choices(list(EXERCISE_KINDS), weights=list(EXERCISE_KINDS.values()))[0])

    def play(self, kind: str) -> EntryId:
        """Write an entry, mostly by who may, now; sometimes by anybody, from any past, with any clock."""
        draw = self.draw
        self.time += draw.choice([0, 1, 1, 2, 5])
        how: dict[str, Any] = {"after": self.drawn_past(), "at": self.time}
        if draw.random() < 0.1:
            how["at"] = draw.choice([-500, 0, self.time - 10, self.time + 30])
        who, lead = draw.choice(self.members), "L" if draw.random() < 0.85 else draw.choice("LWA")
        value = draw.choice(VALUES)
        match kind:
            case "ack_inject":
                return self.ack_inject(who, draw.randint(1, 4), **how)
            case "answer":
                return self.answer(who, 2, "it is so", draw.choice(["yes", "yes", "no"]), **how)
            case "publish":
                return self.publish(
                    who, *draw.sample(VALUES, draw.randint(1, 2)), to=draw.choice(["", "B", "BC", "A"]), tlp=draw.randint(1, 3), **how
                )  # fmt: skip
            case "sight":
                return self.sight(who, value, draw.randint(1, 3), false=draw.random() < 0.2, **how)
            case "withdraw":
                return self.withdraw(who, *draw.sample(VALUES, draw.randint(1, 2)), **how)
            case "observe":
                rater = draw.choice("OOW" + self.members)
                about = draw.choice(["", "A", "B"])
                return self.observe(
                    rater, draw.choice(["calm", "calm", "other"]), draw.choice("PPSMU"), about, **how
                )
            case "stamp":
                return self.draw_stamp(lead, how)
            case "release":
                which = draw.randint(1, 4)
                other = DRAWN_INJECTS[draw.randint(0, 3)] if draw.random() < 0.1 else None
                return self.release(which, lead, inject=other, **how)
            case "real":
                return self.pause(draw.choice(self.members), real=True, **how)
            case "spoilt":
                how["created"] = BEGUN + how.pop("at")
                return self.write(who, draw.choice(["inject", "stamp", "answer", "pack"]), b"\xc1", **how)
            case "note":
                how["created"] = BEGUN + how.pop("at")
                return self.note(who, **how)
            case "commit":
                return self.commit(lead, **how)
            case "end" if draw.random() < 0.6:
                return self.pause(lead, **how)
            case "member":
                invited = draw.choice("ABC")
                role = draw.choice(["clinic", "ward", "white", "nowhere"])
                how["created"] = BEGUN + how.pop("at")
                return self.invite(lead, invited, {invited: role}, **how)
            case _:
                write: Any = getattr(self, kind)
                return EntryId(write(lead, **how))

    def draw_stamp(self, lead: str, how: dict[str, Any]) -> EntryId:
        """Mostly all that is in its past; with acts elsewhere, old and new."""
        draw = self.draw
        kinds = ("inject-ack", "answer", "object", "sighting", "withdrawal", "pause")
        past = sorted(one for one in self.past(how["after"]) if self.entries[one].header.kind in kinds)
        named = past if draw.random() < 0.7 else draw.sample(past, min(len(past), 2))
        attested = [
            self.elsewhere(
                draw.choice(self.members), draw.choice(["incident-open", "note"]), draw.choice(["malware", "a lesson", ""]),
                self.time - draw.choice([0, 1, 5, 60]), to=draw.choice(["", "B", "BC", "A"]),
            )
            for _ in range(draw.randint(0, 2))
        ]  # fmt: skip
        unique = {one.entry: one for one in attested}
        if not named and not unique:
            named = [self.opening]
        return self.stamp(lead, *named, attested=unique.values(), **how)


class AttackedExercise(DrawnExercise):
    """What a few players of an honest exercise write afterwards, from any past, of any kind, under their own names. None of them leaves: who leaves
    changes whom others had to reach."""

    def __init__(self, honest: ExerciseTeller, draw: random.Random, hands: str) -> None:
        self.__dict__.update(honest.__dict__)
        self.entries = dict(honest.entries)
        self.draw, self.wildness, self.hands = draw, 0.9, hands
        self.members = self.everybody = "LWABCO"
        self.time = 0

    def write(self, author: str, kind: str, content: bytes | None, **how: Any) -> EntryId:
        hand = author if author in self.hands else self.draw.choice(self.hands)
        how.pop("number", None)
        return super().write(hand, "note" if kind in ("leave", "decline") else kind, content, **how)


def honest_exercise() -> ExerciseTeller:
    """An exercise that went as it should: A did some things in time, some late, some not; it has ended."""
    told = ExerciseTeller(injects=DRAWN_INJECTS)
    told.begin()
    told.release(1, at=5)
    told.stamp("L", told.ack_inject("A", 1, at=8), told.sight("A", "a.example", at=30), at=31)
    told.release(2, at=40)
    told.stamp(
        "L",
        told.publish("A", "a.example", to="B", at=50),
        told.ack_inject("B", 1, at=51),
        attested=[told.elsewhere("A", "incident-open", "malware", 20)],
        at=52,
    )
    told.observe("O", "calm", "S", "A")
    told.pause(at=60)
    told.resume(at=90)
    told.release(3, at=95)
    told.stamp("L", told.withdraw("A", *VALUES, at=110), at=111)
    told.end(at=190)
    return told


def drawn_exercise(seed: int, entries: int = 80) -> DrawnExercise:
    """Returns a drawn exercise; one seed, one history."""
    draw = random.Random(seed)
    told = DrawnExercise(draw, "LWABCO", wildness=draw.choice([0, 0, 0.03, 0.1, 0.3]))
    if draw.random() < 0.95:
        told.commit()
    if draw.random() < 0.95:
        told.start(factor=draw.choice([1, 60, 60, 600]))
    if draw.random() < 0.8:
        told.release(1, at=0)
    told.go_on(draw.randint(entries // 3, entries))
    if draw.random() < 0.3:
        told.end(at=told.time + 1)
    return told
