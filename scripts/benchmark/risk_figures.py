"""Child of run.py: an inventory and sources of a size, taken in and ranked; prints the figures as JSON, one process for all.

10,000 assets x 200,000 distinct components x 50,000 vulnerabilities: each component is on eight assets, each vulnerability in a
package of which ten versions are here, half of them affected. Two million findings.
"""

from __future__ import annotations

import csv
import json
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from p2pshare.risk.risk_store import PartnerVulnerability, open_risk

VERSIONS = 10
ASSETS_PER_COMPONENT = 8
SHOWN = 1_000  # rows of a ranking that are explained
EXPOSURES = ("small", "controlled", "open", "")
IMPACTS = ("low", "medium", "high", "very high", "")


def main(folder: Path, assets: int, components: int, vulnerabilities: int) -> None:
    now = int(time.time())
    figures: dict[str, float] = {}
    packages = components // VERSIONS
    _write_list(folder / "devices.csv", assets, packages)
    _write_osv(folder / "osv", range(vulnerabilities), packages)
    _write_osv(folder / "one", range(vulnerabilities, vulnerabilities + 1), packages)
    _write_epss(folder / "epss.csv", vulnerabilities, 1)
    _write_epss(folder / "epss-2.csv", vulnerabilities, 2)
    store = open_risk(folder / "risk.sqlite")

    def timed(name: str, work: Callable[[], object]) -> None:
        start, cpu = time.perf_counter(), time.process_time()
        work()
        figures[name] = time.perf_counter() - start
        figures[f"{name}, CPU"] = time.process_time() - cpu
        print(
            f"  {name}: {figures[name]:.2f} s, CPU {figures[f'{name}, CPU']:.2f} s, peak {_peak_mib():.0f} MiB",
            file=sys.stderr,
        )

    def ranked() -> None:
        assert store.rank(now=now, limit=SHOWN)

    def one_document() -> None:
        store.add_source("osv", folder / "one", now=now)
        ranked()

    def one_sighting() -> None:
        store.take_partner_vulnerabilities(
            [PartnerVulnerability("CVE-2026-100000", "partner", now, "sighting")], now=now
        )
        ranked()

    def another_day() -> None:
        store.add_source("epss", folder / "epss-2.csv", now=now)
        ranked()

    timed("import the inventory", lambda: store.import_inventory(folder / "devices.csv", now=now))
    timed("read EPSS", lambda: store.add_source("epss", folder / "epss.csv", now=now))
    timed("read and match documents", lambda: store.add_source("osv", folder / "osv", now=now))
    store.close()
    start, cpu = time.perf_counter(), time.process_time()
    store = open_risk(folder / "risk.sqlite")
    ranked()
    figures["rank, cold"] = time.perf_counter() - start
    figures["rank, cold, CPU"] = time.process_time() - cpu
    timed("rank again", ranked)
    timed("one document and rank", one_document)
    timed("one sighting and rank", one_sighting)
    timed("another EPSS day and rank", another_day)
    timed("rank by BOD 26-04", lambda: store.rank(table="cisa-bod-26-04", now=now, limit=SHOWN))
    ((findings,),) = store.fetch("SELECT count(*) FROM finding WHERE deciding = 'ssvc-deployer'")
    figures |= {
        "findings": findings,
        "places": store.fetch("SELECT count(*) FROM asset_component")[0][0],
        "file MiB": (folder / "risk.sqlite").stat().st_size / 2**20,
        "peak MiB": _peak_mib(),
    }
    store.close()
    print(json.dumps(figures))


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _write_list(path: Path, assets: int, packages: int) -> None:
    draw = random.Random(7)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["asset", "purl", "product", "version", "exposure", "human_impact"])
        for asset in range(assets):
            exposure, impact = draw.choice(EXPOSURES), draw.choice(IMPACTS)
            here = packages * VERSIONS * ASSETS_PER_COMPONENT // assets
            for number in range(here):
                component = (asset * here + number) % (packages * VERSIONS)
                package, version = divmod(component, VERSIONS)
                rows.writerow(
                    [
                        f"device-{asset}",
                        f"pkg:npm/package-{package}@1.{version}.0",
                        f"package-{package}",
                        f"1.{version}.0",
                        exposure,
                        impact,
                    ]
                )


def _write_osv(folder: Path, numbers: range, packages: int) -> None:
    folder.mkdir()
    for number in numbers:
        record = {
            "id": f"GHSA-{number}",
            "modified": "2026-11-01T00:00:00Z",
            "aliases": [f"CVE-2026-{100_000 + number}"],
            "affected": [
                {
                    "package": {"ecosystem": "npm", "name": f"package-{number % packages}"},
                    "ranges": [
                        {"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": f"1.{VERSIONS // 2}.0"}]}
                    ],
                }
            ],
        }
        (folder / f"{number}.json").write_text(json.dumps(record))


def _write_epss(path: Path, vulnerabilities: int, day: int) -> None:
    def lines() -> Iterator[str]:
        draw = random.Random(day)
        yield f"#model_version:v2026.01.01,score_date:2026-11-{day:02}T00:00:00+0000\ncve,epss,percentile\n"
        for number in range(vulnerabilities):
            yield f"CVE-2026-{100_000 + number},{draw.random():.5f},{draw.random():.5f}\n"

    with path.open("w") as file:
        file.writelines(lines())


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
