"""Lifecycle: time passes, and what counted yesterday may not count today.

Scores, ends and the change feed follow time here and nowhere else (docs/decisions/0037): a batch of observables at
once, each batch one transaction of the store, so that whoever else writes waits for one batch and never for all.
"""

from __future__ import annotations

from p2pshare.limits import SETTLE_OBSERVABLES
from p2pshare.node.node import Node


def settle(node: Node, now: int) -> bool:
    """Judges one batch of what is due at `now` (unix seconds); whether there may be more. Raises StoreError."""
    return node.store.knowledge.settle(now, SETTLE_OBSERVABLES) == SETTLE_OBSERVABLES


def settle_all(node: Node, now: int) -> None:
    """Judges everything that is due, for a process that is alone with the store. Raises StoreError."""
    while settle(node, now):
        pass
