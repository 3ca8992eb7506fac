"""A circle that is set up by introductions: one compares all, and each accepts the others in one command. `scripts/introduce-twenty` runs
it with twenty daemons, the suite with six homes and none."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 180.0


class Circle:
    """A hub and those behind it: who has compared whom, who introduced whom, and what each of them holds."""

    def __init__(
        self,
        company: Any,
        nodes: int,
        *,
        wait_until: Callable[..., Any] | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        """`company` makes the partners; `wait_until` waits for what daemons do, None: there are none, and the list comes as a file."""
        self.wait_until, self._say = wait_until, say
        self.has_daemons = wait_until is not None
        self.began = time.monotonic()
        self.hub, *self.others = (company.found(f"lab-{number:02}") for number in range(nodes))
        self.say(f"{nodes} homes")

    def say(self, text: str) -> None:
        self._say(f"{time.monotonic() - self.began:6.1f} s  {text}")

    def compare(self) -> None:
        """The only comparisons: the hub's with each, and each one's with the hub."""
        for one in self.others:
            one.trust(self.hub)
            self.hub.trust(one)
        self.say(f"{2 * len(self.others)} fingerprints compared")
        if self.has_daemons:
            for one in (self.hub, *self.others):
                one.start()
            self.say("all daemons run")

    def introduce(self, folder: Path) -> None:
        """One command at the hub, and one at each of the others."""
        file = folder / "circle.p2pintro"
        self.hub.cli("introduce", "export", str(file))
        source = self.hub.name if self.has_daemons else str(file)
        slowest = 0.0
        for one in self.others:
            began = time.monotonic()
            told = one.cli_json("introduce", "accept", source, "--yes", "--json")
            slowest = max(slowest, time.monotonic() - began)
            names = sorted(other.name for other in self.others if other is not one)
            assert sorted(told["accepted"]) == names, (one.name, told)
            assert told["refused"] == [], (one.name, told)
        commands = len(self.others)
        self.say(f"{commands} commands, {commands - 1} acceptances in each; the slowest took {slowest:.2f} s")

    def exchange(self) -> None:
        """Everybody publishes for everybody: with a dry run where no daemon would carry it."""
        everybody = [self.hub, *self.others]
        for one in everybody:
            answer = one.publish(f"{one.name}.example\n", *(() if self.has_daemons else ("--dry-run",)))
            reached = sorted(other.name for other in everybody if other is not one)
            assert answer["recipients"] == reached, (one.name, answer)
            assert answer["missing_cards"]["count"] == 0, (one.name, answer)
        self.say(f"{len(everybody)} published, each for {len(everybody) - 1}")
        if self.wait_until is not None:
            values = {f"{one.name}.example" for one in everybody}
            for one in everybody:
                self.wait_until(
                    lambda one=one: _holds(one, values), f"{one.name} holds all", PATIENCE_SECONDS
                )
            self.say("everybody holds what everybody published")


def _holds(one: Any, values: set[str]) -> bool:
    """Its own value is no indicator of others' here: it is held like any."""
    return values <= one.values()
