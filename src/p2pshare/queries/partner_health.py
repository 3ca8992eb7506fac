"""What the doctor says of partners: who is not reached and why, whose clock is wrong, whose circles are others. Pure.

Whose clock is wrong is put to the vote: a clock is a voice, ours among them, and more than half of the voices must agree.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from p2pshare.limits import CLOCK_NEAR_SECONDS, FUTURE_DEFER_SECONDS
from p2pshare.queries.doctor_words import OK, Finding, fault
from p2pshare.queries.status import PartnerStatus

PROXY_REASONS = (
    "proxy-"  # how the reasons begin that blame the proxy between us and a partner (peering/proxies.py)
)
CONNECTED = frozenset({"connected", "resting"})
STATES_WITHOUT_LINK = frozenset({"frozen", "card-expired", "no-link"})


def look_at_clocks(partners: Sequence[PartnerStatus]) -> Iterator[Finding]:
    """Yields what is wrong with our own clock, by those of the partners that are connected."""
    offsets = _offsets(partners)
    truth = _agreed(list(offsets.values()))
    if truth is not None and abs(truth) >= CLOCK_NEAR_SECONDS:
        count = sum(abs(one - truth) < CLOCK_NEAR_SECONDS for one in offsets.values())
        name = "clock-wrong" if abs(truth) > FUTURE_DEFER_SECONDS else "clock-drifts"
        yield fault(name, seconds=abs(truth), way=_way(-truth), count=count)
    elif truth is None:
        for name, offset in offsets.items():
            if abs(offset) > FUTURE_DEFER_SECONDS:
                yield fault("clock-disputed", seconds=abs(offset), way=_way(-offset), name=name)


def look_at_partners(
    partners: Sequence[PartnerStatus], circles: Collection[str], *, is_running: bool
) -> Iterator[Finding]:
    """Yields what is wrong with partners and the links to them; one line where nothing is. `circles` are those of the config."""
    found = [finding for one in partners for finding in _about(one, circles, is_running=is_running)]
    offsets = _offsets(partners)
    truth = _agreed(list(offsets.values()))
    if truth is not None and abs(truth) < CLOCK_NEAR_SECONDS:
        for name, offset in offsets.items():
            if abs(offset) > FUTURE_DEFER_SECONDS:
                found.append(fault("partner-clock", name=name, seconds=abs(offset), way=_way(offset)))
    yield from found
    linked = [one for one in partners if one.has_link]
    if linked and not is_running:
        yield fault("partners-unknown")
    elif not found:
        connected = sum(one.state in CONNECTED for one in linked)
        yield Finding("partners", OK, f"{connected} of {len(linked)} linked partners are connected")


def _about(one: PartnerStatus, circles: Collection[str], *, is_running: bool) -> Iterator[Finding]:
    if one.state == "frozen":
        yield fault("partner-frozen", name=one.alias)
    if one.state == "card-expired":
        yield fault("partner-card-ended", name=one.alias)
    if one.state in STATES_WITHOUT_LINK:
        return
    if one.door:
        yield fault(one.door, name=one.alias)
    elif is_running and one.state not in CONNECTED and one.last_error.startswith(PROXY_REASONS):
        yield fault("proxy-unreached", name=one.alias, error=one.last_error)
    elif is_running and one.state not in CONNECTED and one.last_error:
        yield fault(
            "partner-unreached", name=one.alias, error=one.last_error, url=one.url or "the one on its card"
        )
    if one.foreign_circles and one.state in CONNECTED:
        yield fault("partner-circles", name=one.alias, count=one.foreign_circles)
    if set(one.circles) != set(circles):
        told = {"circles": ", ".join(one.circles) or "none", "configured": ", ".join(circles) or "none"}
        yield fault("circles-of-before", name=one.alias, **told)


def _offsets(partners: Sequence[PartnerStatus]) -> dict[str, int]:
    """Returns by how many seconds the clock of each connected partner is ahead of ours, by name."""
    return {
        one.alias: one.clock_offset
        for one in partners
        if one.clock_offset is not None and one.state in CONNECTED
    }


def _agreed(offsets: Sequence[int]) -> int | None:
    """Returns the offset from our clock on which more than half of all clocks agree, ours among them (0); None where none do."""
    voices = sorted([0, *offsets])
    for voice in sorted(voices, key=abs):
        agreeing = [one for one in voices if abs(one - voice) < CLOCK_NEAR_SECONDS]
        if 2 * len(agreeing) > len(voices):
            return 0 if 0 in agreeing else agreeing[len(agreeing) // 2]
    return None


def _way(seconds: int) -> str:
    return "ahead of" if seconds > 0 else "behind"
