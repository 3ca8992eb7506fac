"""The process that asks the inventory for `risk exposure`: it opens the file, writes one aggregate to stdout, and ends.

`python -P -m p2pshare.cli.risk.exposure_answer HOME SPACE CVE ...`; SPACE is empty where nothing will be told.
"""

from __future__ import annotations

import sys
from pathlib import Path

from p2pshare.cli import console
from p2pshare.cli.risk.aggregate import Aggregate, write_aggregate
from p2pshare.cli.risk.opening import day_of, now_seconds, open_own
from p2pshare.errors import ShareError


def main(home: str, space: str, *cves: str) -> int:
    """Write the answer about `cves`; returns the exit code."""
    try:
        from p2pshare.risk.responses import answer_exposure

        with open_own(Path(home)) as store:
            answers = list(answer_exposure(store.file, cves, space=space, now=now_seconds()))
    except ShareError as error:
        console.complain(error)
        return error.exit_code
    oldest = day_of(min(one.answered_at for one in answers)) or ""
    told = Aggregate(oldest, tuple((one.vulnerability, one.exposed, one.bucket) for one in answers))
    with console.result_bytes() as stream:
        stream.write(write_aggregate(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
