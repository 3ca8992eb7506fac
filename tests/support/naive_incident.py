"""A second fold of incidents, written from docs/incidents.md alone: each rule as the page has it, over written-out pasts.

Which entries have an effect, which are `as_lead` and what is redacted is asked of the fold of spaces, which has a naive one of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from hashlib import sha384
from typing import Any

import msgpack
from space_histories import Teller

from p2pshare.identifiers import EntryId
from p2pshare.spaces.fold import SpaceFold

OWN = {
    "note", "event", "impact", "object", "opinion", "ask", "answer", "recurrence", "task", "react", "claim", "release", "assign", "outcome",
    "own-status", "determination", "duty", "lesson", "close", "reopen", "duplicate",
}  # fmt: skip


class NaiveIncident:
    """The registers of an incident, by id."""

    def __init__(self, told: Teller, space: SpaceFold) -> None:
        space.state()
        self.entries = told.entries
        self.space = space
        self.space_id = next(one for one, entry in told.entries.items() if entry.header.kind == "open")
        self.past = {one: told.past(entry.header.parents) for one, entry in told.entries.items()}
        self.counted = sorted(
            (one for one in told.entries if space.effect_of(one) == ""),
            key=lambda one: (told.entries[one].header.depth, one),
        )

    def of(self, kind: str, test: Callable[[EntryId], bool] = lambda one: True) -> list[EntryId]:
        return [one for one in self.counted if self.entries[one].header.kind == kind and test(one)]

    def body(self, one: EntryId) -> Any:
        return msgpack.unpackb(self.entries[one].content, strict_map_key=False)

    def author(self, one: EntryId) -> bytes:
        return self.entries[one].header.author

    def as_lead(self, one: EntryId) -> bool:
        vertex = self.space.graph.get(one)
        assert vertex is not None
        return vertex.term is not None

    def newest(self, some: Iterable[EntryId]) -> list[EntryId]:
        all_ = list(some)
        return [one for one in all_ if not any(one in self.past[other] for other in all_)]

    def by_author(self, some: Iterable[EntryId]) -> dict[bytes, list[EntryId]]:
        found = defaultdict(list)
        for one in some:
            found[self.author(one)].append(one)
        return found

    # --- the rules -----------------------------------------------------------------------------------

    def tasks(self) -> list[dict[str, Any]]:
        entries: dict[EntryId, list[EntryId]] = {}
        for one in self.of("task"):
            step = self.body(one).get(4)
            hashed = (
                b"" if step is None else b"p2pshare/v1/task\0" + self.space_id + step[0] + step[1].encode()
            )
            entries.setdefault(EntryId(sha384(hashed).digest()[:32]) if hashed else one, []).append(one)
        return [self.task(task, of) for task, of in entries.items()]

    def task(self, task: EntryId, entries: list[EntryId]) -> dict[str, Any]:
        about = {
            kind: self.of(kind, lambda one: self.body(one)[0] == task)
            for kind in ("claim", "release", "assign", "outcome")
        }
        newest = self.newest(about["assign"])

        def released(member: bytes, taken: EntryId) -> bool:
            return any(self.author(r) == member and taken in self.past[r] for r in about["release"])

        stands = {
            c: not released(self.author(c), c) and not any(c in self.past[a] for a in about["assign"])
            for c in about["claim"]
        }
        given = [(a, m) for a in newest for m in self.body(a)[1] if not released(m, a)]
        holders = [m for _, m in given] + [self.author(c) for c in about["claim"] if stands[c]]
        owner = given[-1][1] if given else holders[0] if holders else None

        def may_say(o: EntryId) -> bool:
            return (
                self.as_lead(o)
                or any(self.author(c) == self.author(o) and c in self.past[o] for c in about["claim"])
                or any(self.author(o) in self.body(a)[1] and a in self.past[o] for a in about["assign"])
            )

        counted = [o for o in about["outcome"] if may_say(o)]
        of_leads = [o for o in counted if self.as_lead(o)]
        decided = self.newest(of_leads)
        latest = [o for own in self.by_author(counted).values() for o in self.newest(own)]
        others = [o for o in latest if not self.as_lead(o) and not any(o in self.past[d] for d in of_leads)]
        words = {self.body(o)[1] for o in [*decided, *others]}
        if decided:
            outcome, disputed = self.body(decided[-1])[1], len(words) > 1
        elif words:
            outcome, disputed = (words.pop(), False) if len(words) == 1 else ("unknown", True)
        else:
            outcome, disputed = ("ongoing" if owner else "pending"), False
        first = [one for one in entries if self.as_lead(one)] or entries
        return {
            "id": task.text,
            "title": self.body(first[0])[0],
            "differs": len({self.entries[one].content for one in entries}) > 1,
            "owner": owner and owner.hex(),
            "conflict": len(set(holders)) > 1,
            "claims": [(c.text, stands[c]) for c in about["claim"]],
            "assignments": [a.text for a in newest],
            "outcome": outcome,
            "disputed": disputed,
            "outcomes": sorted(o.text for o in latest),
        }

    def determination(self) -> tuple[Any, bool]:
        newest = self.newest(self.of("determination"))
        if not newest:
            return None, False
        return self.body(newest[-1])[0], len({self.entries[one].content for one in newest}) > 1

    def own_status(self) -> dict[str, str]:
        return {
            author.hex(): self.body(self.newest(own)[-1])[0]
            for author, own in self.by_author(self.of("own-status")).items()
        }

    def duties(self) -> list[tuple[str, str]]:
        about = defaultdict(list)
        for one in self.of("duty"):
            body = self.body(one)
            about[self.author(one), body[2], body[0], body[1]].append(one)
        return [
            (min((self.body(one)[3], one) for one in self.newest(about[key]))[1].text, key[2])
            for key in sorted(about)
        ]

    def lessons(self) -> list[tuple[str, str, bool]]:
        found = []
        for first in self.of("lesson", lambda one: self.body(one)[0] == b""):
            may = {self.author(first), *self.body(first)[2]}
            changes = self.of(
                "lesson",
                lambda one, first=first, may=may: (
                    self.body(one)[0] == first and (self.as_lead(one) or self.author(one) in may)
                ),  # type: ignore[misc]
            )
            all_ = sorted([first, *changes], key=lambda one: (self.entries[one].header.depth, one))
            newest = self.newest(all_)
            said = [{k: v for k, v in self.body(one).items() if k} for one in newest]
            found.append((first.text, said[-1][1], any(one != said[0] for one in said)))
        return found

    def sides(self) -> tuple[list[str], list[str], list[str]]:
        """Returns the closes that hold, what is late, and what comes after."""
        reopens = self.of(
            "reopen",
            lambda one: (
                self.as_lead(one)
                or any(
                    self.author(s) == self.author(one) and s in self.past[one] for s in self.of("own-status")
                )
            ),
        )
        closes = [c for c in self.of("close") if all(r in self.past[c] for r in reopens)]
        late, after = [], []
        for one in self.counted:
            if self.entries[one].header.kind not in OWN - {"close", "reopen"} or not closes:
                continue
            if any(one in self.past[c] for c in closes):
                continue
            (after if any(c in self.past[one] for c in closes) else late).append(one.text)
        return [c.text for c in closes], late, after
