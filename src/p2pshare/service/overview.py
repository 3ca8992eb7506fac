"""Overview: one screen that says who we are, whom we hear, what we hold and what was refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from p2pshare.identifiers import PartnerId
from p2pshare.intel.instants import format_instant
from p2pshare.node.node import Node
from p2pshare.policy.roster import RosterEntry
from p2pshare.service.alarms import ALARMS, AlarmFunction, alarms
from p2pshare.service.partners import describe, load_roster

DAY_SECONDS = 86_400
KEYS_WARNING_DAYS = 30  # time to agree on new cards with partners who answer once a week


@dataclass(frozen=True)
class LinkState:
    """What the running daemon knows of one link: a state word, how many envelopes wait for it, why our last
    request there failed (empty when it did not), and what it has noted of the partner since its start, by reason."""

    state: str
    backlog: int = 0
    last_error: str = ""
    noted: Mapping[str, int] = field(default_factory=dict)


NO_LINK = LinkState("")


def partner_rows(node: Node, links: Mapping[PartnerId, LinkState], now: int) -> list[dict[str, Any]]:
    """The partners, in alias order, with the state of their links (`stopped` while no daemon runs)."""
    exchanges = node.store.partners.last_exchanges()
    circles = list(node.config.gossip.circles)
    return [
        describe(entry)
        | {
            "state": _state_word(entry, links, now),
            "last_exchange": format_instant(_to_us(exchanges.get(entry.partner_id))),
            "circles": circles if entry.has_link else [],
            "backlog": link.backlog,
            "last_error": link.last_error,
            "noted": dict(sorted(link.noted.items())),
        }
        for entry in load_roster(node)
        for link in (links.get(entry.partner_id, NO_LINK),)
    ]


def _state_word(entry: RosterEntry, links: Mapping[PartnerId, LinkState], now: int) -> str:
    if entry.is_frozen:
        return "frozen"
    if not entry.is_usable(now):
        return "card-expired"
    if not entry.has_link:
        return "no-link"
    return links[entry.partner_id].state if entry.partner_id in links else "stopped"


def _to_us(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1_000_000


def status(
    node: Node,
    links: Mapping[PartnerId, LinkState],
    *,
    is_running: bool,
    now: int,
    alarm_functions: Sequence[AlarmFunction] = ALARMS,
) -> dict[str, Any]:
    """The JSON of `p2pshare status`; `alarm_functions` are those of this room and of rooms above it."""
    store = node.store
    counts = store.log.counts()
    card = node.identity.card
    keys_expire = min(card.expires, card.sign_keys[0].expires)
    return {
        "partner_id": node.identity.partner_id.text,
        "name": node.config.name,
        "running": is_running,
        "partners": partner_rows(node, links, now),
        "envelopes": {
            "held": counts.held,
            "opened": counts.opened,
            "relayed": counts.relayed,
            "pending": counts.pending,
        },
        "observables": dict(sorted(store.knowledge.observable_counts().items())),
        "refused": dict(sorted(store.partners.refusals().items())),
        "forks": store.log.fork_count() + store.knowledge.fork_count() + store.partners.fork_count(),
        "keys_expire": format_instant(_to_us(keys_expire)),
        "warnings": _warnings(keys_expire, now),
        "alarms": alarms(
            node.store,
            node.identity.partner_id,
            is_running=is_running,
            now=now,
            functions=alarm_functions,
        ),
    }


def _warnings(keys_expire: int, now: int) -> list[str]:
    """What will stop working soon, in words for a person."""
    left_days = (keys_expire - now) // DAY_SECONDS
    told = []
    if left_days < KEYS_WARNING_DAYS:
        told.append(
            f"the operational keys on the card end in {max(left_days, 0)} days; then partners refuse this node"
        )
    return told
