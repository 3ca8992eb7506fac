"""Places for connections whose handshake is not done, and the draw of the one that makes room. Pure: no socket, no clock.

1. Four rooms, so that a flood in one takes no place in another: strangers and known addresses apart, and in each
   those that have said nothing yet (a socket) apart from those that have (memory and work for TLS).
2. The newcomer always finds a place. When none is free, another connection of that room is dropped.
3. One address has few places in a room; the newcomer of a crowded address takes one of its own.
4. Else it is drawn from the largest prefix there, from all of them when several are equally large: a flood from few
   networks drops its own. Among known addresses, which are few, each stands for itself.
5. It is drawn at random: which connection waits longest, or shortest, is nothing to go by, because an attacker
   chooses how long it waits, and a partner far away cannot.
"""

from __future__ import annotations

import random
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

from p2pshare.http_server.interface import ServerLimits
from p2pshare.http_server.known_addresses import Origin

T = TypeVar("T", bound=Hashable)

CROWDED = "crowded-address"
OVERTAKEN_SILENT = "overtaken-silent"
OVERTAKEN_TALKING = "overtaken-talking"
OVERTAKEN_KNOWN = "overtaken-known"


class Dropped(NamedTuple, Generic[T]):
    """A connection that makes room, and the reason it is counted by."""

    connection: T
    reason: str


class Room(Generic[T]):
    """At most `places` connections, at most `per_address` of one address."""

    def __init__(self, places: int, per_address: int, reason: str, chance: random.Random) -> None:
        self._places = places
        self._per_address = per_address
        self._reason = reason
        self._chance = chance
        self._waiting: dict[T, Origin] = {}
        self._prefixes: dict[str, list[T]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, connection: T, origin: Origin) -> Dropped[T] | None:
        """Give the connection a place; returns the one that loses its own for it, None when there was room."""
        dropped = self._make_room(origin)
        if dropped is not None:
            self.leave(dropped.connection)
        self._waiting[connection] = origin
        self._prefixes.setdefault(origin.prefix, []).append(connection)
        return dropped

    def leave(self, connection: T) -> None:
        """Free the connection's place, if it has one."""
        origin = self._waiting.pop(connection, None)
        if origin is not None:
            self._prefixes[origin.prefix].remove(connection)
            if not self._prefixes[origin.prefix]:
                del self._prefixes[origin.prefix]

    def _make_room(self, origin: Origin) -> Dropped[T] | None:
        beside = self._prefixes.get(origin.prefix, ())
        crowd = [one for one in beside if self._waiting[one].address == origin.address]
        if len(crowd) >= self._per_address:
            return Dropped(self._chance.choice(crowd), CROWDED)
        if len(self._waiting) >= self._places:
            return Dropped(self._drawn_from_largest(), self._reason)
        return None

    def _drawn_from_largest(self) -> T:
        largest = max(map(len, self._prefixes.values()))
        equally_large = [members for members in self._prefixes.values() if len(members) == largest]
        return self._chance.choice(self._chance.choice(equally_large))


class HandshakePlaces(Generic[T]):
    """The rooms of one listener. A connection arrives, may speak, and leaves."""

    def __init__(self, limits: ServerLimits, chance: random.Random) -> None:
        def room(reason: str) -> Room[T]:
            return Room(limits.handshakes, limits.handshakes_per_address, reason, chance)

        self._silent = {False: room(OVERTAKEN_SILENT), True: room(OVERTAKEN_KNOWN)}
        self._talking = {False: room(OVERTAKEN_TALKING), True: room(OVERTAKEN_KNOWN)}

    def __len__(self) -> int:
        """Returns the number of connections that have a place."""
        return sum(map(len, (*self._silent.values(), *self._talking.values())))

    def arrive(self, connection: T, origin: Origin, *, is_known: bool) -> Dropped[T] | None:
        """Give a place to a connection that has said nothing; returns the one that loses its own for it."""
        return self._silent[is_known].enter(connection, _weighed(origin, is_known))

    def speak(self, connection: T, origin: Origin, *, is_known: bool) -> Dropped[T] | None:
        """Move a connection among those that have said something; returns the one that loses its place for it."""
        self._silent[is_known].leave(connection)
        return self._talking[is_known].enter(connection, _weighed(origin, is_known))

    def leave(self, connection: T) -> None:
        """Free the connection's place, if it has one: its handshake is over, or it was dropped."""
        for room in (*self._silent.values(), *self._talking.values()):
            room.leave(connection)


def _weighed(origin: Origin, is_known: bool) -> Origin:
    return Origin(origin.address, origin.address) if is_known else origin
