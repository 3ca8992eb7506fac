"""Search for the envelope that costs its recipients most for its bytes; scripts/search-costs explains it.

Costs are multiples of what an honest list of 1,000 random domains costs for each byte, measured in the same run. The search
is Hypothesis's, which is told each cost as a target, and is begun again and again, with the worst so far to change. It is
deterministic but for what the clock says.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings, target

from costs.grammar import recipes
from costs.known import KNOWN
from costs.laboratory import MEASURES, SECONDS_MAX, Costs, Laboratory, Measured
from costs.recipes import Recipe, kinds_of, scaled, written

RATIO_MAX = 50.0
EXAMPLES = 60  # of one beginning of the search
KEPT_BY_MEASURE = 6
SHOWN = 12
SCALES = (1, 1 / 16)  # of what was found before: whole, and in the room that bounds leave


class Search:
    """The worst of each kind so far, by measure."""

    def __init__(self, laboratory: Laboratory) -> None:
        self._laboratory = laboratory
        self.tried = 0
        self.found: dict[str, dict[str, tuple[float, Recipe, Measured]]] = {one: {} for one in MEASURES}

    def try_(self, recipe: Recipe) -> Measured:
        measured = self._laboratory.measure(recipe)
        self.tried += 1
        if (
            max(measured.ratios.values()) > RATIO_MAX
        ):  # the clock of a busy machine says too much now and then
            measured = measured.lower_of(self._laboratory.measure(recipe))
        name = kinds_of(recipe)
        for measure, ratio in measured.ratios.items():
            if ratio > self.found[measure].get(name, (0.0,))[0]:
                self.found[measure][name] = (ratio, recipe, measured)
        return measured

    def worst(self, measure: str) -> list[tuple[float, Recipe, Measured]]:
        """Returns the worst of each kind, the worst of all first."""
        return sorted(self.found[measure].values(), key=lambda one: -one[0])

    def begun(self) -> list[Recipe]:
        chosen = [recipe for measure in MEASURES for _, recipe, _ in self.worst(measure)[:KEPT_BY_MEASURE]]
        return list(dict.fromkeys(chosen))

    def go_on(self, number: int, until: float) -> None:
        """Try recipes until the time is up (of the monotonic clock), with seeds from `number` on."""
        while time.monotonic() < until:
            self._try_some(number, until)
            number += 1

    def _try_some(self, number: int, until: float) -> None:
        @seed(number)
        @settings(
            max_examples=EXAMPLES,
            phases=(Phase.generate, Phase.target),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(recipes(self.begun()))
        def tries(recipe: Recipe) -> None:
            if time.monotonic() >= until:
                return
            for measure, ratio in self.try_(recipe).ratios.items():
                target(math.log(max(ratio, 0.01)), label=measure)

        tries()


def main() -> int:
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="p2pshare-costs-", dir=options.folder))
    try:
        laboratory = Laboratory(folder, seconds_max=options.seconds_max)
        search = Search(laboratory)
        honest = laboratory.honest
        print("honest " + _costs(honest), flush=True)
        for name, recipe in KNOWN.items():
            if options.only and options.only not in name:
                continue
            for scale in SCALES if all(one.times == 1 for one in recipe) else SCALES[:1]:
                began = time.monotonic()
                measured = search.try_(scaled(recipe, scale))
                seconds = time.monotonic() - began
                print(f"{_ratios(measured)}  {name}, x {scale} ({seconds:.1f} s)", flush=True)
                if options.verbose:
                    for one in measured.envelopes:
                        print("    " + _costs(one), dict(one.refused) or "", flush=True)
        if not options.known:
            with suppress(KeyboardInterrupt):  # what was found until then is told
                search.go_on(options.seed, time.monotonic() + options.seconds)
        for measure in MEASURES:
            print(f"worst by {measure}, of {search.tried} recipes:")
            for ratio, recipe, measured in search.worst(measure)[:SHOWN]:
                print(f"  {ratio:8.1f}  {kinds_of(recipe)}\n            {written(recipe)}")
                for one in measured.envelopes:
                    print("            " + _costs(one))
        if options.json:
            Path(options.json).write_text(json.dumps(_result(search, honest, options), indent=1) + "\n")
        worst = max(
            (search.worst(measure)[0][0] for measure in MEASURES if search.found[measure]), default=0.0
        )
        return 0 if worst <= RATIO_MAX else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/search-costs", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=60.0, metavar="N", help="of search, after the known ones"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--known", action="store_true", help="only the recipes that were found before")
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="of those, the ones whose name holds WORDS"
    )
    parser.add_argument("--seconds-max", type=float, default=SECONDS_MAX, metavar="N", help="of one recipe")
    parser.add_argument("--json", metavar="FILE", help="write the result there")
    parser.add_argument(
        "--folder", metavar="DIR", help="where stores are made (default: the temporary folder)"
    )
    parser.add_argument("--verbose", action="store_true", help="print what each envelope cost")
    return parser.parse_args()


def _ratios(measured: Measured) -> str:
    cut = "cut off" if any(one.is_cut_off for one in measured.envelopes) else ""
    return " ".join(f"{measure} {ratio:7.1f}x" for measure, ratio in measured.ratios.items()) + f" {cut:7}"


def _costs(one: Costs) -> str:
    return (
        f"{one.wire_bytes:,} B of wire, {one.objects:,} objects, {one.inflated_bytes:,} B inflated: "
        f"cpu {one.cpu_seconds:.3f} s, next honest one +{one.next_seconds:.3f} s, disk {one.disk_bytes:,} B, "
        f"memory {one.memory_bytes:,} B, later {one.later_seconds:.3f} s{', cut off' * one.is_cut_off}"
    )


def _result(search: Search, honest: Costs, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "seconds": options.seconds,
        "seed": options.seed,
        "tried": search.tried,
        "honest": asdict(honest),
        "worst": {
            measure: [
                {
                    "ratio": round(ratio, 2),
                    "kinds": kinds_of(recipe),
                    "recipe": written(recipe),
                    "envelopes": [asdict(one) for one in measured.envelopes],
                }
                for ratio, recipe, measured in search.worst(measure)[:SHOWN]
            ]
            for measure in MEASURES
        },
    }


if __name__ == "__main__":
    sys.exit(main())
