"""A second fold and scoring of exercises, written from docs/exercises.md alone: each rule as the page has it, over written-out pasts.

Which entries have an effect, which are `as_lead`, what is redacted and who has which role is asked of the fold of spaces, which has a naive one of its
own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import msgpack
from space_histories import Teller

from p2pshare.identifiers import EntryId
from p2pshare.spaces.fold import SpaceFold

LEAD_ONLY = ("pack", "start", "resume", "end", "inject", "stamp")
ACTIONS = {"inject-ack": "acknowledge", "answer": "answer", "object": "publish", "sighting": "sight", "withdrawal": "withdraw"}  # fmt: skip
TLP = ["clear", "green", "amber", "amber+strict", "red"]
HALVES = {"success": 2, "partial": 1, "failed": 0}
LOOKED_AT = 256
WEIGHT_MAX = 4_096


class NaiveExercise:
    """An exercise, by ids."""

    def __init__(self, told: Teller, space: SpaceFold) -> None:
        self.state = space.state()
        self.space = space
        self.entries = {one: entry for one, entry in told.entries.items() if one in space}
        self.past = {one: told.past(entry.header.parents) for one, entry in self.entries.items()}
        self.counted = sorted((one for one in self.entries if space.effect_of(one) == ""), key=self.order)
        self.roles = {bytes(member): role for member, role in self.state.kind._view.roles().items()}  # type: ignore[union-attr]
        self.read_course()

    # --- words of the page ---------------------------------------------------------------------------

    def order(self, one: EntryId) -> tuple[int, EntryId]:
        return self.entries[one].header.depth, one

    def of(self, *kinds: str) -> list[EntryId]:
        return [one for one in self.counted if self.entries[one].header.kind in kinds]

    def body(self, one: EntryId) -> Any:
        return msgpack.unpackb(self.entries[one].content, strict_map_key=False)

    def author(self, one: EntryId) -> bytes:
        return bytes(self.entries[one].header.author)

    def created(self, one: EntryId) -> int:
        return self.entries[one].header.created

    def as_lead(self, one: EntryId) -> bool:
        vertex = self.space.graph.get(one)
        assert vertex is not None
        return vertex.term is not None

    # --- the course ----------------------------------------------------------------------------------

    def clock(self, instant: int) -> int:
        """Counted second by second would be the page's word; it is the sum over the stretches in which it ran."""
        if self.ended is not None:
            instant = min(instant, self.ended)
        passed = 0
        for place, (begin, factor) in enumerate(self.turned):
            end = self.turned[place + 1][0] if place + 1 < len(self.turned) else instant
            passed += max(0, min(end, instant) - begin) * factor
        return min(passed, self.duration)

    def is_over(self, instant: int) -> bool:
        if self.ended is not None and instant > self.ended:
            return True
        if not self.turned or not self.turned[-1][1]:
            return False
        begin, factor = self.turned[-1]
        return self.clock(begin) + (instant - begin) * factor > self.duration and instant > begin

    def read_course(self) -> None:
        own = [one for one in self.of("pause") if self.as_lead(one)]
        self.course = sorted([*self.of(*LEAD_ONLY), *own], key=self.order)
        events = [one for one in self.of("pause") if not self.as_lead(one) and self.body(one)[0] == 1]
        self.events = events
        self.instants: dict[EntryId, int] = {}
        self.turned: list[tuple[int, int]] = []
        self.duration, self.ended, self.factor = 0, None, 0
        self.pack: Any = None
        self.phase = "made"
        self.stops: list[EntryId] = []
        self.turns: list[tuple[int, EntryId, str]] = []
        self.injects: list[dict[str, Any]] = []
        self.stamped: dict[bytes, EntryId] = {}
        self.attested: list[tuple[list[Any], EntryId]] = []
        instant = 0
        for x in self.course:
            instant = self.instants[x] = max(instant, self.created(x))
            body, over = self.body(x), self.is_over(instant) or self.phase == "ended"
            match self.entries[x].header.kind:
                case "pack":
                    self.pack = self.pack or body
                case "start" if self.phase == "made" and self.pack:
                    self.phase, self.duration, self.factor, self.stops = "running", self.pack[7], body[0], []
                    self.turn(instant, x, "started", self.factor)
                case "pause" if not over:
                    self.pause(instant, x, real=body[0] == 1)
                case "resume" if self.phase == "paused":
                    self.phase, self.stops = "running", []
                    self.turn(instant, x, "resumed", self.factor)
                case "end" if self.phase != "ended":
                    if not over:
                        self.turns.append((instant, x, "ended"))
                    self.phase, self.ended = "ended", instant
                case "stamp" if self.phase != "ended":
                    for one in body[0]:
                        if one not in self.stamped:
                            self.stamped[one] = x
                            if one in events and not (self.is_over(instant) or self.phase == "ended"):
                                self.pause(instant, EntryId(one), real=True)
                    for act in body[1]:
                        if act[0] not in [known[0] for known, _ in self.attested]:
                            self.attested.append((act, x))
                case "inject":
                    self.release(instant, x, body, over)
        self.last = instant
        self.is_ended = self.phase == "ended" or self.is_over(instant)
        self.effective = [one for one in self.injects if not one["fault"]]

    def turn(self, instant: int, x: EntryId, what: str, factor: int) -> None:
        self.turned.append((instant, factor))
        self.turns.append((instant, x, what))

    def pause(self, instant: int, x: EntryId, *, real: bool) -> None:
        if self.phase == "running":
            self.phase = "paused"
            self.turn(instant, x, "real-event" if real else "paused", 0)
        if real:
            self.stops.append(x)

    def release(self, instant: int, x: EntryId, body: Any, over: bool) -> None:
        number, salt, jcs, sha384, sha256, _ = body.values()
        said: Any = None
        leaf = hashlib.sha384(b"p2pshare/v1/inject\0" + salt + hashlib.sha384(jcs).digest() + sha384).digest()
        if not self.pack:
            fault = "no-pack"
        elif self.phase == "made":
            fault = "not-started"
        elif over:
            fault = "after-end"
        elif any(one["number"] == number and not one["fault"] for one in self.injects):
            fault = "number-taken"
        elif number > len(self.pack[11]) or leaf[:32] != self.pack[11][number - 1]:
            fault = "not-in-commitment"
        else:
            said = json.loads(jcs)
            fits = said["number"] == number and bool(said["payload"]) == bool(sha256)
            fault = "" if fits else "not-in-commitment"
        self.injects.append(
            {
                "id": x,
                "number": number,
                "fault": fault,
                "released": instant,
                "at": self.clock(instant),
                "said": said,
            }
        )

    def real_event(self) -> EntryId | None:
        if self.is_ended:
            return None
        if self.stops:
            return self.stops[0]
        known = {one for x in self.of("resume", "start") for one in self.past[x]}
        left = [one for one in self.events if one not in self.stamped and one not in known]
        return left[0] if left else None

    def shown_phase(self) -> str:
        if self.is_ended:
            return "ended"
        return "paused" if self.phase == "running" and self.real_event() else self.phase

    # --- places --------------------------------------------------------------------------------------

    def places(self) -> dict[bytes, str]:
        stated = self.pack[10] if self.pack else []
        white = next((row[0] for row in stated if row[1] == "white"), "white")
        found = {}
        for member, role in sorted(self.roles.items()):
            if role == "white":
                found[member] = white
            elif role in [row[0] for row in stated]:
                found[member] = role
        return found

    def role(self, member: bytes) -> str:
        place = self.places().get(member)
        rows = self.pack[10] if self.pack else []
        return next((row[1] for row in rows if row[0] == place), "white" if place else "")

    # --- acts ----------------------------------------------------------------------------------------

    def acts(self) -> list[dict[str, Any]]:
        found = []
        for x in sorted(
            self.of(*ACTIONS), key=lambda one: (self.author(one), self.entries[one].header.number, one)
        ):
            upto = 0
            while upto < len(self.effective) and self.effective[upto]["id"] in self.past[x]:
                upto += 1
            stamp = self.stamped.get(bytes(x))
            kind = self.entries[x].header.kind
            found.append(
                {
                    "id": bytes(x), "author": self.author(x), "action": ACTIONS[kind], "upto": upto, "kind": kind, "body": self.body(x),
                    "moment": None if stamp is None else self.moment(self.created(x), stamp), "detail": "", "to": [],
                }
            )  # fmt: skip
        for act, stamp in self.attested:
            own, author, action, detail, to, created = act
            upto = 0
            while (
                upto < len(self.effective)
                and self.course.index(self.effective[upto]["id"]) < self.course.index(stamp)
                and self.effective[upto]["released"] <= created
            ):
                upto += 1
            found.append(
                {
                    "id": own, "author": author, "action": action, "upto": upto, "kind": "", "body": None,
                    "moment": self.moment(created, stamp), "detail": detail, "to": to,
                }
            )  # fmt: skip
        return found

    def moment(self, created: int, stamp: EntryId) -> int | None:
        moment = min(created, self.instants[stamp])
        return None if self.is_over(moment) else moment

    def unstamped(self) -> list[EntryId]:
        return sorted(
            (one for one in [*self.of(*ACTIONS), *self.events] if bytes(one) not in self.stamped),
            key=self.order,
        )

    # --- scoring -------------------------------------------------------------------------------------

    def after(self, k: int, acts: Iterable[dict[str, Any]]) -> int | None:
        """The least after of some acts for I(k), from 0."""
        released = self.effective[k]["released"]
        found = [
            self.clock(max(act["moment"], released)) - self.clock(released)
            for act in acts
            if act["upto"] > k and act["moment"] is not None
        ]
        return min(found, default=None)

    def of_player(self, player: bytes, action: str, value: str | None = None) -> list[dict[str, Any]]:
        found = [act for act in self.acts_ if act["author"] == player and act["action"] == action]
        if value is not None:
            found = [act for act in found if value.casefold() in self.values(act)]
        return found[:LOOKED_AT]

    def values(self, act: dict[str, Any]) -> list[str]:
        match act["kind"]:
            case "sighting":
                return [act["body"][1].casefold()]
            case "object" | "withdrawal":
                return [value.casefold() for _, value in act["body"][0]]
        return []

    def wanted_of(self, player: bytes, to: list[str]) -> set[bytes]:
        return {member for member, place in self.places().items() if place in to} - {player}

    def reached(self, to: list[bytes], wanted: set[bytes]) -> tuple[bool, bool]:
        """Whether all of them, and whether any: nobody named means all."""
        if not to or not wanted:
            return True, True
        return wanted <= set(to), bool(wanted & set(to))

    def whole_and_part(self, k: int, player: bytes, one: Any) -> tuple[int | None, int | None, bool]:
        match, action = one["match"], one["action"]
        number = self.effective[k]["number"]
        words = [word.casefold() for word in match.get("words", [])]
        wanted = self.wanted_of(player, match.get("to", []))
        if action == "acknowledge":
            acks = [act for act in self.acts_ if act["author"] == player and act["action"] == action]
            return self.after(k, [act for act in acks if act["body"][0] == number][:LOOKED_AT]), None, False
        if action == "answer":
            answers = [act for act in self.acts_ if act["author"] == player and act["action"] == action]
            answers = [act for act in answers if act["body"][0] == number and act["upto"] > k]
            if not answers or answers[0]["moment"] is None:
                return None, None, False
            _, choice, text = answers[0]["body"].values()
            fits = all(word in text.casefold() for word in words)
            if "choice" in match:
                fits &= match["choice"].strip().casefold() == choice.strip().casefold()
            if "number" in match:
                fits &= str(match["number"]) in [word.strip(".,;:!?()\"'") for word in text.split()]
            return (self.after(k, answers[:1]), None, False) if fits else (None, None, True)
        if action in ("sight", "publish", "withdraw"):
            wholes, parts = [], []
            for value in match.get("values", [None]):
                acts = self.of_player(player, action, value)
                if action == "sight":
                    acts = [
                        act
                        for act in acts
                        if act["body"][2] >= match.get("count_min", 1)
                        and act["body"][3] == int(match.get("false_positive", False))
                    ]
                good, some = acts, acts
                if action == "publish":
                    most = TLP.index(match.get("tlp_max", "red"))
                    good = [
                        act
                        for act in acts
                        if act["body"][2] <= most and self.reached(act["body"][1], wanted)[0]
                    ]
                    some = [act for act in acts if self.reached(act["body"][1], wanted)[1]]
                wholes.append(self.after(k, good))
                parts.append(self.after(k, some))
            some_parts = [after for after in parts if after is not None]
            whole = None if None in wholes else max(after for after in wholes if after is not None)
            return whole, min(some_parts, default=None), False
        acts = self.of_player(player, action)
        if action in ("note", "ask"):
            acts = [act for act in acts if all(word in act["detail"].casefold() for word in words)]
            return (
                self.after(k, [act for act in acts if self.reached(act["to"], wanted)[0]]),
                self.after(k, [act for act in acts if self.reached(act["to"], wanted)[1]]),
                False,
            )
        for value in match.values():
            acts = [
                act
                for act in acts
                if (
                    value in act["detail"].split(" ")
                    if action.startswith(("incident", "task"))
                    else act["detail"] == value
                    or (action == "duty-done" and act["detail"].startswith(value + ":"))
                )
            ]
        return self.after(k, acts), None, False

    def rated(self, player: bytes, one: Any) -> str:
        newest: dict[bytes, tuple[Any, str]] = {}
        for x in self.of("observation"):
            body = self.body(x)
            if self.role(self.author(x)) not in ("white", "observer") or not body[4] or body[1] != one["id"]:
                continue
            if body[3] in ([], [player]):
                key = (self.entries[x].header.number, x)
                if self.author(x) not in newest or newest[self.author(x)][0] < key:
                    newest[self.author(x)] = (key, body[4])
        words = {
            {"P": "success", "S": "partial", "M": "partial", "U": "failed"}[rating]
            for _, rating in newest.values()
        }
        return "pending" if not words else words.pop() if len(words) == 1 else "spread"

    def result(self, k: int, player: bytes, one: Any) -> tuple[str, int | None]:
        if one["action"] == "rated":
            return self.rated(player, one), None
        whole, part, is_wrong = self.whole_and_part(k, player, one)
        deadline = one["late_within"] or one["within"]
        if whole is not None and whole <= one["within"]:
            return "success", whole
        late = [after for after in (whole, part) if after is not None and after <= deadline]
        if late:
            return "partial", min(late)
        spent = self.clock(self.last) - self.clock(self.effective[k]["released"])
        is_due = spent > deadline or (spent == deadline and self.is_ended)
        return ("failed" if is_wrong or is_due else "pending"), None

    def scored(self) -> dict[int, list[Any]]:
        """k -> what is scored of I(k)."""
        weight, found = 0, {}
        for k, inject in enumerate(self.effective):
            for one in inject["said"]["expect"]:
                weight += 1 + len(one["match"].get("values", [])) + len(one["match"].get("words", []))
            found[k] = inject["said"]["expect"] if weight <= WEIGHT_MAX else []
        return found

    def players(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The rows of players and of objectives."""
        self.acts_ = self.acts()
        places, scored = self.places(), self.scored()
        by_number = sorted(scored, key=lambda k: self.effective[k]["number"])
        sums = {row[0]: [0, 0] for row in (self.pack[9] if self.pack else [])}
        players = []
        for player in sorted(places, key=lambda one: (places[one], one)):
            rows, points, of = [], 0, 0
            for k in by_number:
                for one in scored[k]:
                    if places[player] not in one["by"]:
                        continue
                    word, after = self.result(k, player, one)
                    rows.append((self.effective[k]["number"], one["id"], word, after))
                    if word in HALVES:
                        points, of = points + HALVES[word] * one["weight"], of + 2 * one["weight"]
                        objective = sums.get(self.effective[k]["said"]["objective"])
                        if objective is not None:
                            objective[0] += HALVES[word] * one["weight"]
                            objective[1] += 2 * one["weight"]
            if rows or self.role(player) in ("red", "blue"):
                score = points * 100 // of if of else None
                players.append({"member": player.hex(), "rows": rows, "half_points": points, "half_of": of, "score": score})  # fmt: skip
        objectives = [
            {"id": name, "half_points": points, "half_of": of, "score": points * 100 // of if of else None}
            for name, (points, of) in sums.items()
        ]
        return players, objectives
