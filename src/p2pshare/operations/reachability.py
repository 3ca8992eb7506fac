"""Whether partners reach this node where its card says: they are asked to dial back, for `doctor`."""

from __future__ import annotations

from msgspec import Struct

from p2pshare.errors import DaemonUnreachable
from p2pshare.node.node import DialledBack, NodeReading, Progress
from p2pshare.operations.interface import Query


class Reachability(Struct, frozen=True, forbid_unknown_fields=True):
    """What partners said who were asked to dial us: `urls` are the addresses of our card, in the order of their outcomes where
    the version they know is `card_version`."""

    card_version: int
    urls: list[str]
    asked: list[DialledBack]


class AskDialBack(Query[Reachability], frozen=True, tag="ask-dial-back"):
    """Have up to three connected partners dial the addresses on our card, and wait for what they say. Only a daemon can."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Reachability:
        if node.live is None:
            raise DaemonUnreachable(
                "nobody can be asked to dial back: no daemon runs", hint="start it with `p2pshare run`"
            )
        card = node.card
        asked = node.live.ask_dial_back() if card.urls else []
        return Reachability(card.version, list(card.urls), asked)
