"""An answer about vulnerabilities in a space: under a marking and for readers of its own, and with no room for anything else."""

from __future__ import annotations

from typing import Any

import pytest
from whole_nodes import NOW, World, befriend, quiet

from p2pshare.errors import OperatorError
from p2pshare.identifiers import EntryId
from p2pshare.intel.marking import Tlp
from p2pshare.operations.exposing import TellExposure, ToldExposure
from p2pshare.operations.spaces import OpenSpace, spaces_of
from p2pshare.operations.table import read_request

GOOD: dict[str, Any] = {
    "operation": "space-exposure",
    "id": "a" * 64,
    "as_of": "2026-11-30",
    "answers": [{"cve": "CVE-2026-97002", "assets": "1-9"}],
}


@pytest.mark.parametrize(("marked", "told"), [(Tlp.GREEN, Tlp.AMBER_STRICT), (Tlp.RED, Tlp.RED)])
def test_it_is_sealed_for_the_members_of_now_under_amber_strict_or_stricter(
    world: World, marked: Tlp, told: Tlp
) -> None:
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    space = OpenSpace("note", "ours", marked, ("bravo",)).run(alpha, NOW, quiet).space
    answers = (ToldExposure("CVE-2026-97002", "10-99"), ToldExposure("CVE-2026-97001", "no"))
    entry = TellExposure(space[:10], "2026-11-30", answers).run(alpha, NOW, quiet).entry
    state = spaces_of(alpha).state(EntryId.parse(space))
    [said] = [vertex for vertex in state.timeline if vertex.entry_id.text == entry]
    assert said.header.tlp == told
    assert set(said.header.audience) == {alpha.identity.partner_id, bravo.identity.partner_id}
    assert said.content == b"exposure as of 2026-11-30: CVE-2026-97002 yes (10-99 assets), CVE-2026-97001 no"


@pytest.mark.parametrize(
    "change",
    [
        {"as_of": "2026-11-30 in ward 3"},
        {"as_of": "2026-11-30\n"},
        {"answers": []},
        {"answers": GOOD["answers"] * 6},
        {"answers": [{"cve": "CVE-2026-97002 pump-ics-1", "assets": "1-9"}]},
        {"answers": [{"cve": "CVE-2026-97002\n", "assets": "1-9"}]},
        {"answers": [{"cve": "CVE-2026-97002", "assets": "7"}]},
        {"answers": [{"cve": "CVE-2026-97002", "assets": "1-9", "note": "pump-ics-1"}]},
        {"text": "pump-ics-1"},
    ],
)
def test_the_daemon_is_asked_to_tell_nothing_else(change: dict[str, Any]) -> None:
    assert isinstance(read_request(GOOD), TellExposure)
    with pytest.raises(OperatorError) as caught:
        read_request(GOOD | change)
    assert caught.value.reason == "bad-argument"
