"""The states of a peer as a literal table; the diagram in docs/gossip.md is drawn from it.

A pair that is not in the table is a bug of ours and raises. Only a link that is CONNECTED asks anything of
its peer; every link answers, in every state.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """The state of a peer as seen from here; the value is the word that `status` shows."""

    WAITING = "waiting"  # not reached: until the next try, or, when it cannot be dialled, until it calls
    GREETING = "connecting"  # our hello is on its way
    CONNECTED = "connected"  # it answered our hello; or called, and cannot be dialled
    RESTING = "resting"  # it asked for a pause (429)


class Cause(Enum):
    """The reasons for which a state changes."""

    DIALLED = "our hello leaves"
    GREETED = "its hello arrives, and it cannot be dialled"
    ANSWERED = "it answers our hello"
    FAILED = "a request of ours got no answer"
    BUSY = "it answers 429"
    RESTED = "the pause is over"


TRANSITIONS: dict[tuple[State, Cause], State] = {
    (State.WAITING, Cause.DIALLED): State.GREETING,
    (State.WAITING, Cause.GREETED): State.CONNECTED,
    (State.GREETING, Cause.ANSWERED): State.CONNECTED,
    (State.GREETING, Cause.FAILED): State.WAITING,
    (State.GREETING, Cause.BUSY): State.WAITING,
    (State.CONNECTED, Cause.GREETED): State.CONNECTED,
    (State.CONNECTED, Cause.ANSWERED): State.CONNECTED,
    (State.CONNECTED, Cause.FAILED): State.WAITING,
    (State.CONNECTED, Cause.BUSY): State.RESTING,
    (State.RESTING, Cause.ANSWERED): State.RESTING,
    (State.RESTING, Cause.FAILED): State.WAITING,
    (State.RESTING, Cause.BUSY): State.RESTING,
    (State.RESTING, Cause.RESTED): State.CONNECTED,
}
