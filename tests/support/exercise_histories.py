"""Histories of exercises, told entry by entry and drawn: honest play, and anybody saying anything from any past."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from drawn_spaces import NAMES, Drawn
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

    def ack_inject(self, author: str, number: int, **how: Any) -> EntryId:
        return self.say(author, "inject-ack", InjectAck(number), **how)

    def answer(self, author: str, number: int, text: str = "", choice: str = "", **how: Any) -> EntryId:
        return self.say(author, "answer", InjectAnswer(number, choice, text), **how)

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
