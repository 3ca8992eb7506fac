"""Answers to a partner's requests, and the event that reports each to its engine: the part of peering for the real
driver, without HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from p2pshare.errors import PeerError
from p2pshare.gossip import events
from p2pshare.gossip.protocol import PUT, AnyVerb, Question
from p2pshare.identifiers import EnvelopeId


class Status(Enum):
    """The way in which a request ended."""

    ANSWERED = "answered"
    BUSY = "busy"
    FULL = "full"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came back: `raw` for a message, `bodies` for a `get`, `seconds` for a pause, `reason` for the rest."""

    status: Status
    raw: bytes = b""
    bodies: tuple[tuple[EnvelopeId, bytes | None], ...] = ()
    seconds: float = 0.0
    reason: str = ""


def end_of(number: int, verb: AnyVerb, answer: Answer, busy_seconds_when_full: float) -> events.Event:
    """Returns the event that reports to the engine how its request `number` ended."""
    match answer.status:
        case Status.BUSY:
            return events.Busy(number, answer.seconds)
        case Status.FULL:
            return events.Busy(number, busy_seconds_when_full)
        case Status.UNREACHABLE:
            return events.Failed(number, answer.reason)
        case Status.REFUSED:
            return events.Declined(number, answer.reason)
        case Status.ANSWERED if verb is PUT or isinstance(verb, Question):
            try:
                return events.Answered(number, verb.answer.decode(answer.raw))
            except PeerError as error:
                return events.Declined(number, error.reason)
        case Status.ANSWERED:
            return events.Answered(number)
