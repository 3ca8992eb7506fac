"""Refresh: time passes, and an observable that counted yesterday may not count today.

Scores, ends and the change feed follow time here and nowhere else (docs/decisions/0037): a batch of observables at once,
each batch one transaction of the store, so that other writers wait for one batch and never for all. So does what a change
of the roster or of a setting has left to evaluate (`knowledge.walks`). How far the feed has come is marked at the end.
"""

from __future__ import annotations

from p2pshare.limits import REEVALUATE_OBSERVABLES
from p2pshare.node.node import Node


def reevaluate(node: Node, now: int, *, may_end: bool = True) -> bool:
    """Reevaluate one batch of what is stale or due at `now` (unix seconds); returns whether there may be more. Without
    `may_end`, where the clock is in doubt, what is due waits. Raises StoreError."""
    if node.store.knowledge.go_on(now):
        return True
    if not may_end:
        return False
    is_more = node.store.knowledge.reevaluate(now, REEVALUATE_OBSERVABLES) == REEVALUATE_OBSERVABLES
    if not is_more:
        node.store.knowledge.mark_feed()
    return is_more


def reevaluate_all(node: Node, now: int) -> None:
    """Reevaluate everything that is due, for a process that is alone with the store. Raises StoreError."""
    while reevaluate(node, now):
        pass
