"""Stories of one kind of space: what an incident, a framework or a lab must say at points of its telling, and how such stories are written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from p2pshare.identifiers import EntryId


@dataclass(frozen=True)
class KindCheck:
    """What holds when exactly `known` is held: `state` by place, `void` the code of each entry without effect, all others having one."""

    known: frozenset[EntryId]
    state: dict[str, Any]
    void: dict[EntryId, str]


@dataclass(frozen=True)
class KindStory:
    name: str
    teller: Any
    checks: list[KindCheck]


def at(state: Any, place: str) -> Any:
    """Returns the value at a place like `rules.0.status`; None beyond the end of a list."""
    for key in place.split("."):
        if isinstance(state, list):
            state = state[int(key)] if int(key) < len(state) else None
        else:
            state = state[key]
    return state


class Expecting:
    """What a teller is besides: it notes what must hold at points of its story."""

    entries: Mapping[EntryId, Any]
    checks: list[KindCheck]

    def expect(self, state: dict[str, Any], void: dict[EntryId, str] | None = None) -> None:
        self.checks.append(KindCheck(frozenset(self.entries), state, dict(void or {})))


T = TypeVar("T", bound=Expecting)
Told = Callable[[Callable[[T], None]], Callable[[T], None]]


def telling(made: Callable[[str], T], stories: list[KindStory], members: str) -> Callable[..., Told[T]]:
    """Returns the decorator `story(name, members)` of one kind: it tells a story at once, and keeps it among `stories`."""
    usual = members

    def story(name: str, members: str = usual) -> Told[T]:
        def tell(write: Callable[[T], None]) -> Callable[[T], None]:
            told = made(members)
            told.checks = []
            write(told)
            assert told.checks, name
            stories.append(KindStory(name, told, told.checks))
            return write

        return tell

    return story
