"""The one gate: the exits that each marking may pass. A literal table; everything that leaves asks it.

TLP 2.0 (FIRST, 2022): RED for the eyes of named recipients only; AMBER+STRICT for the recipients'
organisations; AMBER also for their clients; GREEN for the community; CLEAR for anyone. Anything unmarked or
unknown counts as RED on receipt and cannot be sent at all (`intel.marking`).

TLP limits who may have content, PAP (MISP's taxonomy) what they may do with it: RED nothing that could be
seen outside, AMBER only what the adversary cannot see, GREEN also blocking. Without PAP there is no limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from p2pshare.intel.marking import Pap, Tlp


class Exit(Enum):
    """A way by which content, sealed or plain, leaves this node."""

    NAMED = "named partners"
    GROUP = "a named group"
    EVERYONE = "all partners, unnamed"
    RELAY = "sealed, through partners who cannot read it"
    SIEM = "views, exports and feeds for the own organisation's tools"


@dataclass(frozen=True)
class GateSettings:
    """The operator's two opt-ins (`[policy]` in the configuration)."""

    siem_red: bool = False
    relay_strict: bool = False


PASSES: dict[Tlp, frozenset[Exit]] = {
    Tlp.RED: frozenset({Exit.NAMED}),
    Tlp.AMBER_STRICT: frozenset({Exit.NAMED, Exit.GROUP, Exit.SIEM}),
    Tlp.AMBER: frozenset({Exit.NAMED, Exit.GROUP, Exit.RELAY, Exit.SIEM}),
    Tlp.GREEN: frozenset({Exit.NAMED, Exit.GROUP, Exit.EVERYONE, Exit.RELAY, Exit.SIEM}),
    Tlp.CLEAR: frozenset({Exit.NAMED, Exit.GROUP, Exit.EVERYONE, Exit.RELAY, Exit.SIEM}),
}


def strictest(exit_: Exit, settings: GateSettings = GateSettings()) -> Tlp:
    """Returns the strictest marking that may take this exit; every looser one may, too."""
    return max(tlp for tlp in Tlp if may_pass(tlp, exit_, settings))


def may_pass(tlp: Tlp, exit_: Exit, settings: GateSettings = GateSettings()) -> bool:
    """Returns whether content of this marking may take this exit."""
    if exit_ is Exit.SIEM and tlp is Tlp.RED:
        return settings.siem_red
    if exit_ is Exit.RELAY and tlp in (Tlp.RED, Tlp.AMBER_STRICT):
        return settings.relay_strict
    return exit_ in PASSES[tlp]


class Use(Enum):
    """Use of an export by a tool."""

    DETECT = "compares with what is seen: logs, alerts"
    BLOCK = "acts on traffic, which whoever is blocked can notice"


USES: dict[Use, frozenset[Pap]] = {
    Use.DETECT: frozenset(Pap),
    Use.BLOCK: frozenset({Pap.CLEAR, Pap.GREEN}),
}


def may_use(pap: Pap | None, use: Use) -> bool:
    """Returns whether content under this PAP, or under none, may be used so."""
    return pap is None or pap in USES[use]


def strictest_pap(use: Use) -> Pap:
    """Returns the strictest PAP under which content may be used so; every looser one may, too."""
    return max(pap for pap in Pap if may_use(pap, use))
