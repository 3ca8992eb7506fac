"""Alarms of what the own inventory has of closed incidents, in `status` alone (docs/incidents.md, "Watch").

This file speaks with the daemon's side, so it never sees the inventory: a process of its own asks that (`found_here`). The daemon has no part
in it: it can open no file of `risk`, and so can tell nobody.

=====================  ===========================================================
incident-found-here    a vulnerability of a closed incident is on assets of ours
=====================  ===========================================================
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from p2pshare.cli import console

if TYPE_CHECKING:
    from p2pshare.queries.alarms import Alarm

CHILD = "p2pshare.cli.risk.found_here"
INVENTORY = Path("risk") / "risk.sqlite"
ANSWER_SECONDS_MAX = 20
ANSWER_BYTES_MAX = 1 << 16


def finding_alarms(home: Path, name: str, partner_id: str) -> list[Alarm]:
    """Returns an alarm for each; none where there is no inventory. `name` and `partner_id` are our own."""
    if not (home / INVENTORY).is_file():
        return []
    from p2pshare.intel.display import clip
    from p2pshare.queries.alarms import Alarm

    # -P: no folder of the moment says what is imported
    command = [sys.executable, "-P", "-m", CHILD, str(home)]
    try:
        # our own program, and no text of others
        said = subprocess.check_output(command, stdin=subprocess.DEVNULL, timeout=ANSWER_SECONDS_MAX)
        found = json.loads(said) if len(said) <= ANSWER_BYTES_MAX else []
    except (subprocess.SubprocessError, ValueError):
        console.say("warning: the inventory could not be asked what it has of closed incidents")
        return []
    return [
        Alarm(
            word="incident-found-here",
            partner=name,
            partner_id=partner_id,
            since=None,
            message=f"{cve} of the closed incident '{clip(title)}' ({incident[:10]}) is on {console.counted(assets, 'asset')} here, or may be; nobody is told",
            hint="`p2pshare risk rank` names them; what members may know of it `p2pshare risk exposure --share` tells",
            space=incident,
            count=assets,
        )
        for incident, title, cve, assets in found
    ]
