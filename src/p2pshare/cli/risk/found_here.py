"""The process that asks the inventory for `status`: which vulnerabilities of closed incidents are on own assets. It writes them to stdout, and ends.

`python -P -m p2pshare.cli.risk.found_here HOME`. Nothing of it leaves this machine: who asks prints it, and no daemon reads it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from p2pshare.cli import console
from p2pshare.cli.risk.opening import now_seconds, open_own
from p2pshare.errors import ShareError

CVE = "cve"
FOUND_MAX = 64  # told by one `status`


def main(home: str) -> int:
    """Write what is found, as a JSON list of [incident, title, CVE, assets]; returns the exit code."""
    try:
        found = found_in(Path(home))
    except ShareError as error:
        console.complain(error)
        return error.exit_code
    with console.result_bytes() as stream:
        stream.write(json.dumps(found[:FOUND_MAX]).encode())
    return 0


def found_in(home: Path) -> list[tuple[str, str, str, int]]:
    """Returns (incident, title, CVE, number of assets) of what is watched here and is on own assets, or may be. Raises ShareError."""
    from p2pshare.node.home import STORE_NAME
    from p2pshare.node.store import reading_store
    from p2pshare.spaces.space_store import SpaceReading

    with reading_store(home / STORE_NAME) as reading:
        watched = SpaceReading(reading.database).watched(CVE, now_seconds())
    if not watched:
        return []
    from p2pshare.risk.responses import assets_with

    with open_own(home) as store:
        assets = assets_with(store.file, {value for _, _, value in watched})
    return [(space.text, title, value, assets[value]) for space, title, value in watched if assets.get(value)]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
