"""A partner that leaves stops counting at once for everything it said, in steps between which others write."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from p2pshare.knowledge.walks import STEP_OBSERVABLES
from p2pshare.node.node import Node, close_node, open_node

if TYPE_CHECKING:
    from conftest import Company

pytestmark = pytest.mark.end_to_end

VALUES = 2 * STEP_OBSERVABLES + 100
ACTIVE = "SELECT count(*) FROM v1_indicators WHERE active"


def call_all_false(node: Node) -> None:
    """As if both partners had sent an assessment of each value."""
    with node.store.database.transaction() as writer:
        writer.execute(
            """INSERT INTO sighting SELECT o.id, p.organisation, 1, 1, 0, 0, NULL, 1, 2, 0, NULL
            FROM observable o CROSS JOIN partner p"""
        )
        node.store.knowledge.recount_reports()
    while node.store.knowledge.go_on(int(time.time())):
        pass


def test_what_a_removed_partner_called_false_counts_again_before_the_next_sweep(
    company: Company, eventually: Any
) -> None:
    """The sweep comes once a minute; the daemon goes on with what the command began at once."""
    alpha, bravo, charlie = (company.found(name) for name in ("alpha", "bravo", "charlie"))
    alpha.trust(bravo)
    alpha.trust(charlie)
    alpha.publish("".join(f"n{n}.example\n" for n in range(VALUES)))
    node = open_node(alpha.home)
    call_all_false(node)
    close_node(node)
    assert alpha.query(ACTIVE) == [(0,)]
    alpha.start()
    alpha.cli("partner", "remove", "bravo")
    assert alpha.query(ACTIVE)[0][0] >= STEP_OBSERVABLES, "the first step is the command's"
    eventually(lambda: alpha.query(ACTIVE) == [(VALUES,)], "all of them count again")
    assert alpha.status()["writer"]["longest_call"]
