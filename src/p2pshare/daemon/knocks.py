"""When to knock at whose door, and what is told of it: a table of the partners whose servers do not let us in.

A door is closed for one of three reasons (`ClosedDoor.reason`): `not-accepted-yet`, `removed-by-partner` (the pinned server does not
know our certificate, and had we talked before), `other-certificate` (it shows one that is not on its card). For each of them a knock
is due at once, again when our card is another, and each day; one that reached nobody is tried again after a pause that doubles
up to a day. At a door that never let us in a person may be about to say yes: there the first knocks follow one another within a minute
(`ASKING_PAUSES`). Pure: times are handed in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from p2pshare.identifiers import PartnerId
from p2pshare.partners.interface import (
    NOT_ACCEPTED_YET,
    OTHER_CERTIFICATE,
    REMOVED_BY_PARTNER,
    ClosedDoor,
)
from p2pshare.peering import faults

HANDED_OVER = "card-handed-over"
CARD_TAKEN = "card-taken"
NOTHING_NEW = "nothing-new"
"""What comes of a knock. Anything else is why it was not heard, or the reason for which the host's card was refused."""

KNOCK_SECONDS = 86_400.0  # between two knocks at a door that stays closed: a person opens it, or nobody
ASKING_PAUSES = ((600, 30.0), (3_600, 60.0), (86_400, 600.0))
"""(age of a door that never let us in, pause between two knocks until then), in seconds: of the 60 guests that a host admits in a
minute, twenty nodes that a person is just about to accept take 40."""
ASKING_SECONDS = 3_600.0  # between two knocks at a door that never let us in and is a day old
PLACE_SECONDS = (
    3_600.0  # before a place among the pending partners, which others may have taken, is asked for again
)
RETRY_SECONDS_MIN = 60.0  # after a knock that reached nobody
REOPENED_SECONDS = (
    10.0  # after a knock at a door that was opened since: one that opens and closes all the time costs little
)


def reason_of(fault: str, *, has_met: bool) -> str:
    """Returns the reason of a closed door for a fault of a request; empty for any other fault."""
    if fault == faults.CERTIFICATE_REFUSED:
        return REMOVED_BY_PARTNER if has_met else NOT_ACCEPTED_YET
    return OTHER_CERTIFICATE if fault == faults.OTHER_CERTIFICATE else ""


@dataclass(slots=True)
class _Due:
    """When to knock next (seconds of any clock), the version of our card that the last knock told, and whether one is under way."""

    at: float = 0.0
    ended_at: float = -KNOCK_SECONDS
    own_version: int = 0
    failures: int = 0
    is_knocking: bool = False
    place_at: float = 0.0
    place_version: int = 0


class Knocks:
    """The closed doors. `before` are those that an earlier life noted: a first knock of this life is due at once."""

    def __init__(self, before: Mapping[PartnerId, ClosedDoor]) -> None:
        self.doors: dict[PartnerId, ClosedDoor] = dict(before)
        self._due: dict[
            PartnerId, dict[str, _Due]
        ] = {}  # by reason: who makes a door look different each time gains nothing

    def closed(self, peer: PartnerId, reason: str, now: int) -> bool:
        """Note that a door is closed, at `now` (unix seconds); returns whether that, or the reason, is new."""
        door = self.doors.get(peer, ClosedDoor("", now))
        self.doors[peer] = replace(door, reason=reason)
        return door.reason != reason

    def opened(self, peer: PartnerId) -> bool:
        """Note that the partner has let us in; returns whether its door was closed."""
        for due in self._due.get(peer, {}).values():
            due.at, due.failures = min(due.at, due.ended_at + REOPENED_SECONDS), 0
        return self.doors.pop(peer, None) is not None

    def keep(self, linked: Collection[PartnerId]) -> bool:
        """Forget all but these partners; returns whether there was anybody to forget."""
        self._due = {peer: due for peer, due in self._due.items() if peer in linked}
        gone = [peer for peer in self.doors if peer not in linked]
        for peer in gone:
            del self.doors[peer]
        return bool(gone)

    def begin(self, peer: PartnerId, own_version: int, at: float) -> bool:
        """Returns whether a knock at a closed door is due at the instant `at`, and counts it as under way."""
        due = self._due.setdefault(peer, {}).setdefault(self.doors[peer].reason, _Due())
        if due.is_knocking or (at < due.at and own_version == due.own_version):
            return False
        due.is_knocking, due.own_version = True, own_version
        return True

    def asks_place(self, peer: PartnerId, own_version: int, at: float) -> bool:
        """Returns whether the knock under way is to ask for a place among the pending partners, too: the first one, each for another
        card of ours, and each an hour after the last."""
        door = self.doors.get(peer)
        due = None if door is None else self._due.get(peer, {}).get(door.reason)
        if door is None or due is None or door.reason == OTHER_CERTIFICATE:
            return False
        return at >= due.place_at or own_version != due.place_version

    def place_asked(self, peer: PartnerId, reason: str, own_version: int, at: float) -> None:
        """Note that a knock at the instant `at` asked for a place."""
        due = self._due.get(peer, {}).get(reason)
        if due is not None:
            due.place_at, due.place_version = at + PLACE_SECONDS, own_version

    def ended(
        self, peer: PartnerId, reason: str, outcome: str, *, was_heard: bool, now: int, at: float
    ) -> bool:
        """Note what came of the knock at a door closed for `reason`, at `now` (unix seconds) and the instant `at`; returns
        whether there is anything to note: meanwhile the door may have been opened, or its partner have left."""
        due = self._due.get(peer, {}).get(reason)
        if due is not None:
            due.is_knocking, due.ended_at = False, at
            due.failures = 0 if was_heard else due.failures + 1
            doubled = RETRY_SECONDS_MIN * 2.0 ** min(due.failures - 1, 16)
            due.at = at + (self._pause(peer, reason, now) if was_heard else min(KNOCK_SECONDS, doubled))
        door = self.doors.get(peer)
        if due is None or door is None:
            self.opened(peer)
            return False
        self.doors[peer] = replace(door, knocked_at=now, outcome=outcome)
        return True

    def _pause(self, peer: PartnerId, reason: str, now: int) -> float:
        """Returns the seconds until the next knock after one that was heard, at `now` (unix seconds)."""
        if reason != NOT_ACCEPTED_YET or peer not in self.doors:
            return KNOCK_SECONDS
        age = now - self.doors[peer].since
        return next((pause for until, pause in ASKING_PAUSES if age < until), ASKING_SECONDS)
