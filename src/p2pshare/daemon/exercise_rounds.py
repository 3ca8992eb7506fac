"""The rounds of exercises: has this node do by itself what is due in each that it holds (`operations.exercise_leading`), on the real clock.

A bug in one exercise holds up no other, and nothing real. After a start nothing is written before it is known what others hold.
"""

from __future__ import annotations

import asyncio
import time

from p2pshare.daemon.intake_queue import StoreWriter
from p2pshare.daemon.space_rounds import SpaceRounds, log_failure
from p2pshare.identifiers import Realm
from p2pshare.node.node import Node
from p2pshare.operations.exercise_leading import LeadRounds
from p2pshare.spaces.exercise_grounds import exercises_of, open_exercises

LOOK_SECONDS = 1.0  # between two looks: at 60 times speed a minute of exercise time
STEPS_AT_ONCE_MAX = (
    64  # of one exercise in one look: what was overdue after a long pause is released within seconds
)
TROUBLE_SECONDS = 60.0  # for which an exercise is let alone that failed


class ExerciseRounds:
    """The rounds of one daemon's life; `entries` is held by who writes entries in spaces."""

    def __init__(self, node: Node, writer: StoreWriter, spaces: SpaceRounds, entries: asyncio.Lock) -> None:
        self._node = node
        self._writer = writer
        self._spaces = spaces
        self._entries = entries
        self._rounds: dict[Realm, tuple[Node, LeadRounds]] = {}
        self._let_alone: dict[Realm, float] = {}

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                held = await self._writer(open_exercises, self._node)
            except Exception as error:  # noqa: BLE001 the daemon outlives a bug in exercises
                log_failure("exercises are not followed", error)
                await asyncio.sleep(TROUBLE_SECONDS)
                continue
            self._rounds = {
                realm: one for realm, one in self._rounds.items() if any(one[0] is node for node in held)
            }
            for played in held:
                await self._follow(played)

    async def _follow(self, played: Node) -> None:
        realm = played.ground.realm
        if time.monotonic() < self._let_alone.get(realm, 0.0):
            return
        _, rounds = self._rounds.setdefault(realm, (played, LeadRounds(played)))
        if rounds.is_over:
            return
        try:
            for _ in range(STEPS_AT_ONCE_MAX):
                if not await self._spaces.may_write(played):
                    return
                async with self._entries:
                    has_written = await self._writer(self._step, played, rounds)
                if not has_written:
                    return
                self._spaces.wake()
        except Exception as error:  # noqa: BLE001 a bug in one exercise holds up nothing else
            log_failure("an exercise is not followed", error)
            self._let_alone[realm] = time.monotonic() + TROUBLE_SECONDS

    def _step(self, played: Node, rounds: LeadRounds) -> bool:
        if exercises_of(self._node).get(played.ground.realm) is not played:
            return False  # it was removed while this waited for the writer
        return rounds.step(int(time.time()))
