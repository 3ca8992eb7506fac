"""Cooperative scheduling: work that takes longer than an event may, in steps of a few milliseconds, each peer in turn.

The engine is a machine without threads, so a long computation is a generator that yields; the driver hands in
`events.Step` while there is work, and serves the network between two steps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from p2pshare.errors import PeerError
from p2pshare.gossip.negentropy.negentropy import Result, _Steps
from p2pshare.identifiers import PartnerId


@dataclass(frozen=True, slots=True)
class _Job:
    peer: PartnerId
    advance: Callable[[], bool]
    count_step: Callable[[], None]


class Scheduler:
    """All jobs, run round-robin, a step each. Callers keep to one job for each peer and side."""

    def __init__(self) -> None:
        self._jobs: deque[_Job] = deque()

    def __len__(self) -> int:
        return len(self._jobs)

    def add(
        self,
        peer: PartnerId,
        steps: _Steps[Result],
        done: Callable[[Result], None],
        failed: Callable[[PeerError], None],
        count_step: Callable[[], None],
    ) -> None:
        """Schedule `steps`. At its end `done` is called, or `failed` for a PeerError; neither when the peer is dropped before."""

        def advance() -> bool:
            try:
                next(steps)
            except StopIteration as end:
                done(end.value)
                return True
            except PeerError as error:
                failed(error)
                return True
            return False

        self._jobs.append(_Job(peer, advance, count_step))

    def step(self) -> PartnerId | None:
        """Run one step of the job that waits longest; returns its peer, None without a job."""
        if not self._jobs:
            return None
        job = self._jobs.popleft()
        if not job.advance():
            self._jobs.append(job)
        job.count_step()
        return job.peer

    def drop(self, peer: PartnerId) -> None:
        """Drop all jobs of a peer: the link to it is gone, or carries other circles now."""
        self._jobs = deque(job for job in self._jobs if job.peer != peer)
