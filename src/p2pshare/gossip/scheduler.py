"""Work: what takes longer than an event may, cut into steps of a few milliseconds, each peer's in turn.

The engine is a machine without threads, so a long computation is a generator that yields; the driver hands in
`events.Step` while there is work and looks after the network between two of them.
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
    """All jobs. One a peer and side is what callers keep to; the order is that of asking, a step each."""

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
        """Runs `steps` to its end, then calls one of the two; neither when the peer is dropped before."""

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
        """One step of the job that waits longest; whose it was."""
        if not self._jobs:
            return None
        job = self._jobs.popleft()
        if not job.advance():
            self._jobs.append(job)
        job.count_step()
        return job.peer

    def drop(self, peer: PartnerId) -> None:
        """The link to the peer is gone, or is another one now."""
        self._jobs = deque(job for job in self._jobs if job.peer != peer)
