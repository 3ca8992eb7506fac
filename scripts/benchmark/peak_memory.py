"""Child of run.py: takes in a bundle of 100,000 and prints how far memory rose above where it stood, in MiB.

The envelopes lie in files, and each is read when it is its turn, as a daemon gets them: some ten megabytes are
never in memory at once. Both a first small envelope and the modules are paid for before the base is taken.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from material import Partners, indicator, take_in_and_read, values

from p2pshare.sharing.intake import Arrival

OBJECTS = 100_000


def main(folder: Path) -> None:
    import random

    now = int(time.time())
    partners = Partners(folder, now)
    random_ = random.Random(1)
    paths = []
    for number in range(OBJECTS // 10_000):
        objects = [indicator(type_, value, random_) for type_, value in values(10_000, number)]
        (arrival,) = partners.sealed(0, objects, 10_000)
        paths.append(folder / f"envelope-{number}")
        paths[-1].write_bytes(arrival.wire)
    (small,) = partners.sealed(0, objects[:10], 10)
    received_from = small.received_from
    del objects, arrival
    take_in_and_read(partners.receiver, [small], now)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    base = _resident("VmRSS")
    for path in paths:
        take_in_and_read(partners.receiver, [Arrival(path.read_bytes(), received_from)], now)
    assert partners.receiver.store.log.counts().held == len(paths) + 1
    print((_resident("VmHWM") - base) / 1024)


def _resident(field: str) -> int:
    """KiB, from /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(Path(sys.argv[1]))
