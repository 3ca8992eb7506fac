"""P19: marking x exit x audience, against a reference table that was written from TLP 2.0, not from the code."""

from __future__ import annotations

import itertools

import pytest

from p2pshare.intel.marking import Tlp
from p2pshare.policy.gate import Exit, GateSettings, may_pass, strictest

# marking: named, group, everyone, relay (strict off / on), SIEM (red off / on); from FIRST's TLP 2.0 definitions
REFERENCE = """
    CLEAR         yes yes yes  yes yes  yes yes
    GREEN         yes yes yes  yes yes  yes yes
    AMBER         yes yes no   yes yes  yes yes
    AMBER_STRICT  yes yes no   no  yes  yes yes
    RED           yes no  no   no  yes  no  yes
"""


def reference() -> dict[Tlp, list[bool]]:
    rows = (line.split() for line in REFERENCE.strip().splitlines())
    return {Tlp[name]: [answer == "yes" for answer in answers] for name, *answers in rows}


@pytest.mark.parametrize("tlp", list(Tlp))
@pytest.mark.parametrize(("siem_red", "relay_strict"), list(itertools.product((False, True), repeat=2)))
def test_gate_agrees_with_the_reference_table(tlp: Tlp, siem_red: bool, relay_strict: bool) -> None:
    named, group, everyone, relay_off, relay_on, siem_off, siem_on = reference()[tlp]
    settings = GateSettings(siem_red=siem_red, relay_strict=relay_strict)
    assert may_pass(tlp, Exit.NAMED, settings) is named
    assert may_pass(tlp, Exit.GROUP, settings) is group
    assert may_pass(tlp, Exit.EVERYONE, settings) is everyone
    assert may_pass(tlp, Exit.RELAY, settings) is (relay_on if relay_strict else relay_off)
    assert may_pass(tlp, Exit.SIEM, settings) is (siem_on if siem_red else siem_off)


def test_both_opt_ins_are_off_by_default() -> None:
    assert GateSettings() == GateSettings(siem_red=False, relay_strict=False)


@pytest.mark.parametrize("exit_", list(Exit))
@pytest.mark.parametrize("siem_red", [False, True])
@pytest.mark.parametrize("relay_strict", [False, True])
def test_a_stricter_marking_never_passes_where_a_looser_one_is_stopped(
    exit_: Exit, siem_red: bool, relay_strict: bool
) -> None:
    settings = GateSettings(siem_red=siem_red, relay_strict=relay_strict)
    answers = [may_pass(tlp, exit_, settings) for tlp in sorted(Tlp)]
    assert answers == sorted(answers, reverse=True)
    passing = [tlp for tlp, passes in zip(sorted(Tlp), answers, strict=True) if passes]
    assert strictest(exit_, settings) is passing[-1]
