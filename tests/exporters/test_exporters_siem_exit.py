"""P19 at the SIEM's exit: what the configuration says reaches the views, and RED is off unless it says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_rows import rows
from whole_nodes import World, befriend, send

from p2pshare.intel.marking import Tlp


def shown(home: Path) -> set[str]:
    """The values a SIEM reads."""
    path = home / "store.sqlite"
    claims = {value for (value,) in rows(path, "SELECT value FROM v1_claims")}
    indicators = {value for (value,) in rows(path, "SELECT value FROM v1_indicators")}
    assert claims == indicators
    return claims


@pytest.mark.parametrize("siem_red", [False, True])
def test_red_reaches_the_siem_only_when_the_configuration_says_so(world: World, siem_red: bool) -> None:
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    config = alpha.home / "config.toml"
    for wanted in (siem_red, not siem_red):  # also when it is changed later
        text = config.read_text().replace("siem_red = true", "siem_red = false")
        config.write_text(text.replace("siem_red = false", f"siem_red = {str(wanted).lower()}"))
        alpha = world.reopen("alpha")
        for tlp in Tlp:
            send(alpha, [f"{tlp.name.lower().replace('_', '-')}.example"], to=["bravo"], tlp=tlp)
        everything = {f"{tlp.name.lower().replace('_', '-')}.example" for tlp in Tlp}
        assert shown(alpha.home) == (everything if wanted else everything - {"red.example"})
