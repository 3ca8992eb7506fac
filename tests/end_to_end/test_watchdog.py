"""A partner's envelopes must not make the watchdog kill the daemon: its work would be undone, and begin again at each start."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from whole_nodes import raw_draft, seal_unchecked

from p2pshare.intel.marking import Tlp
from p2pshare.node.node import close_node, open_node
from p2pshare.sharing.drafting import DraftPart
from p2pshare.sharing.intake import Arrival, IntakeStatus, take_in

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = pytest.mark.end_to_end

WATCHDOG_SECONDS = 8  # the shipped unit waits for 60; the daemon pings twice in it
BOMBS = 16
BOMB_INDICATORS = 25
VALUES = 1_000
AHEAD_SECONDS = (
    700  # by our clock, when the envelopes came: more than what is taken for a clock that is a little wrong
)


def bomb(number: int) -> DraftPart:
    """Indicators that all name the same values: a few kilobytes, and a claim for each pair of them."""
    names = ",".join(f"'{value}'" for value in values_of(number))
    return raw_draft(
        [
            {
                "type": "indicator",
                "spec_version": "2.1",
                "id": f"indicator--00000000-0000-4000-8000-{number * 1_000 + n:012}",
                "created": "2026-01-01T00:00:00Z",
                "modified": "2026-01-01T00:00:00Z",
                "pattern": f"[mutex:name IN ({names})]",
                "pattern_type": "stix",
                "valid_from": "2026-01-01T00:00:00Z",
            }
            for n in range(BOMB_INDICATORS)
        ],
        Tlp.GREEN,
    )


def values_of(number: int) -> list[str]:
    return [f"m{number}-{n}" for n in range(VALUES)]


def defer_bombs(victim: Partner, mallory: Partner) -> None:
    """Hands the bombs over as they came twelve minutes ago, when they were of the future; they are due now."""
    now = int(time.time()) - 5
    node, author = open_node(victim.home), open_node(mallory.home)
    try:
        wires = [
            seal_unchecked(author, bomb(n), node, now, ahead=n, recipient_sequence=n)
            for n in range(1, BOMBS + 1)
        ]
        arrivals = [Arrival(wire, author.identity.partner_id) for wire in wires]
        verdicts = take_in(node, arrivals, now - AHEAD_SECONDS)
        assert {one.status for one in verdicts} == {IntakeStatus.DEFERRED}
    finally:
        close_node(node)
        close_node(author)


def gaps_until_all_is_read(victim: Partner, patience_seconds: float) -> list[float]:
    """Seconds between two pings, from READY on, as the watchdog measures them; it would kill at WATCHDOG_SECONDS."""
    gaps, pings, last = [], 0, time.monotonic()
    deadline = last + patience_seconds
    looked = 0.0
    while True:
        now = time.monotonic()
        seen = victim.told_manager().count("WATCHDOG=1")
        if seen > pings:
            gaps.append(now - last)
            pings, last = seen, now
        assert now - last < WATCHDOG_SECONDS, (
            f"no ping for {now - last:.1f} s: the watchdog kills\n{victim.log()}"
        )
        assert now < deadline, victim.log()
        if now - looked > 0.5:
            looked = now
            held, unread = victim.query("SELECT count(*), coalesce(sum(content = 0), 0) FROM envelope")[0]
            if held == BOMBS and not unread and len(gaps) >= 2:
                return gaps
        time.sleep(0.02)


def test_deferred_bombs_come_in_between_two_pings_of_the_watchdog(company: Company) -> None:
    """16 envelopes, 240 KB, were a crash loop under the shipped unit: all were taken in and read in one transaction."""
    victim, mallory = company.found("victim"), company.found("mallory")
    victim.trust(mallory)
    mallory.trust(victim)
    defer_bombs(victim, mallory)
    victim.start(watchdog_seconds=WATCHDOG_SECONDS)
    gaps = gaps_until_all_is_read(victim, patience_seconds=120)
    assert max(gaps) < WATCHDOG_SECONDS
    assert victim.query("SELECT count(*) FROM deferred") == [(0,)]
    assert victim.values() == {value for n in range(1, BOMBS + 1) for value in values_of(n)}
    told = victim.status()["writer"]
    assert told["longest_call"]
    assert 0 < told["longest_ping_seconds"] < WATCHDOG_SECONDS
    assert victim.log().count(" ready") == 1, "one life, no second start"
    assert victim.stop() == 0
