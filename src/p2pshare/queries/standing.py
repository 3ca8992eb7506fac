"""How this node stands, in one line: the service manager shows it (`systemctl status`), so a person sees there whether to look further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from p2pshare.gossip.states import State
from p2pshare.identifiers import PartnerId
from p2pshare.node.node import LinkState, NodeReading
from p2pshare.queries.alarms import Alarm

WORDS_MAX = 4  # of alarms, in one line; `status` has them all
HEARD = (State.CONNECTED.value, State.RESTING.value)


def standing_line(node: NodeReading, links: Mapping[PartnerId, LinkState], asking: Sequence[Alarm]) -> str:
    """Returns how many linked partners are heard, how much is held, and what asks for a person; no name and no value is in it."""
    heard = sum(one.state in HEARD for one in links.values())
    held = sum(node.store.knowledge.observable_counts().values())
    words = list(dict.fromkeys(one.word for one in asking))
    named = ", ".join(words[:WORDS_MAX]) + (", ..." if len(words) > WORDS_MAX else "")
    verb = "alarm needs" if len(asking) == 1 else "alarms need"
    needs = f"{len(asking)} {verb} a person: {named}" if asking else "nothing needs a person"
    return f"{heard} of {len(links)} partners linked, {held} observables, {needs}"
