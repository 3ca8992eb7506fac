"""How much a daemon logs: as its config says, from a reload on, and never what partners share."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Company

pytestmark = pytest.mark.end_to_end
Eventually = Callable[[Callable[[], Any], str], Any]


def test_debug_tells_of_requests_and_of_no_content_and_a_reload_makes_it_quiet(
    company: Company, eventually: Eventually
) -> None:
    alpha, bravo = company.linked("alpha", "bravo")
    for one in (alpha, bravo):
        one.configure("level", '"debug"')
        one.start()
    alpha.publish("never-logged.example\n")
    bravo.wait_for("never-logged.example")
    said = alpha.log() + bravo.log()
    assert "DEBUG p2pshare.daemon.driver: request " in said
    assert "never-logged" not in said
    assert "DEBUG asyncio" not in said
    alpha.configure("level", '"warning"')
    alpha.configure("rooms", '["peering=error"]')
    alpha.signal(signal.SIGHUP)
    eventually(
        lambda: alpha.cli_json("audit", "list", "--action", "config-reload", "--json"),
        "the reload is in the audit log",
    )
    before = alpha.log()
    alpha.publish("quiet.example\n")
    bravo.wait_for("quiet.example")
    assert alpha.log() == before
    [reloaded] = alpha.cli_json("audit", "list", "--action", "config-reload", "--json")
    assert reloaded["subject"] == "changed=log.level,log.rooms"
