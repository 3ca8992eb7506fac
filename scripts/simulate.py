"""The command line of the simulator; scripts/simulate explains it."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import logging
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from p2pshare.errors import ConfigError, ShareError
from simulator.disks import Foundry
from simulator.faults import FAULTS
from simulator.flooding import flood_spreads, spreads
from simulator.identities import cheap_signatures
from simulator.runs import Outcome, campaign, play
from simulator.scenario import Scenario, load_scenario, load_scenarios
from simulator.world import World, memory_folder

SCENARIOS = Path(__file__).parent.parent / "tests" / "scenarios"
KEPT = "ONCE_FAILED of tests/simulation/test_simulation_slice.py: every run of the tests plays it"
EXAMPLES_SHOWN = 3
FAILURES_SHOWN = 20
FIGURE_SEEDS = 20
BLOCKS_END = "<!-- scripts/simulate --campaign --append adds lines above this one -->"


def main() -> int:
    options = _options()
    logging.disable(logging.CRITICAL)  # partners are refused and disks are full all the time: the trace tells
    scenarios = load_scenarios(SCENARIOS)
    if options.list:
        for scenario in scenarios.values():
            print(f"{scenario.name:24} {scenario.title}")
        return 0
    if options.campaign:
        chosen = (
            [_chosen(scenarios, options.scenario)]
            if options.scenario
            else [one for one in scenarios.values() if not one.is_large]
        )
        return _campaign(chosen, options.seeds, options.first_seed, options.workers, options.append)
    if options.figures:
        return _figures(scenarios, options.seed)
    if not options.scenario:
        print("simulate: --scenario, --campaign, --figures or --list is needed", file=sys.stderr)
        return 2
    return _one(_chosen(scenarios, options.scenario), options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument(
        "--scenario",
        metavar="NAME",
        help="a file of tests/scenarios, without .toml; or the path of another file",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--log", action="store_true", help="print every message")
    parser.add_argument("--real-signatures", action="store_true", help="sign and verify for real; same trace")
    parser.add_argument("--campaign", action="store_true", help="many seeds of every scenario")
    parser.add_argument(
        "--seeds", type=int, default=10_000, metavar="N", help="runs in all (10000), in whole seeds"
    )
    parser.add_argument("--first-seed", type=int, default=0, metavar="N", help="where this block begins (0)")
    parser.add_argument(
        "--append", type=Path, metavar="PAGE", help="add the block's line to the table of docs/simulation.md"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument(
        "--figures", action="store_true", help="what spreading and being in sync cost; minutes"
    )
    parser.add_argument("--list", action="store_true", help="the scenarios there are")
    return parser.parse_args()


def _chosen(scenarios: dict[str, Scenario], name: str) -> Scenario:
    if name.endswith(".toml"):
        return load_scenario(Path(name), lambda text: print(f"simulate: {text}", file=sys.stderr))
    if name not in scenarios:
        print(f"simulate: no scenario is called '{name}'; see --list", file=sys.stderr)
        raise SystemExit(2)
    return scenarios[name]


def _one(scenario: Scenario, options: argparse.Namespace) -> int:
    report = print if options.log else None
    signatures = contextlib.nullcontext() if options.real_signatures else cheap_signatures()
    with _foundry() as foundry, signatures:
        outcome = play(scenario, options.seed, foundry, report)
    settled = "never" if outcome.settled_after is None else f"{outcome.settled_after:.0f} s after the faults"
    print(f"trace {outcome.digest}, {outcome.lines} lines, all everywhere {settled}")
    _report_failures(outcome)
    return 1 if outcome.failures else 0


def planned_runs(scenarios: list[Scenario], first_seed: int, runs: int) -> list[tuple[Scenario, int]]:
    """Returns a block: whole seeds from the first on, each of every scenario that is due with it, until they are `runs` or more."""
    planned: list[tuple[Scenario, int]] = []
    seed = first_seed
    while len(planned) < runs:
        planned += [(one, seed) for one in scenarios if seed % one.every == 0]
        seed += 1
    return planned


def _campaign(
    scenarios: list[Scenario], runs: int, first_seed: int, workers: int, append: Path | None
) -> int:
    """Play a block, and add its line to a page; one that was cut short has no line, and is played again."""
    planned = planned_runs(scenarios, first_seed, runs)
    last_seed = planned[-1][1]
    began, failed, stored, spare, worst = time.monotonic(), 0, Counter(), Counter(), Counter()
    for done, outcome in enumerate(campaign(planned, workers), start=1):
        stored[outcome.scenario] += outcome.stored
        spare[outcome.scenario] += outcome.spare
        worst[outcome.scenario] = max(worst[outcome.scenario], outcome.settled_after or 0)
        if outcome.failures:
            failed += 1
            if failed <= FAILURES_SHOWN:
                _report_failures(outcome)
        if sys.stderr.isatty():
            print(f"\r{done} of {len(planned)}, {failed} failed", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    for scenario in scenarios:
        name = scenario.name
        ratio = 1 + spare[name] / max(1, stored[name])
        print(f"{name:24} bodies a stored one {ratio:.3f}, longest to settle {worst[name]:.0f} s")
    ratio = 1 + spare.total() / max(1, stored.total())
    line = (
        f"| `{set_hash(scenarios)}` ({len(scenarios)}) | {first_seed} to {last_seed} | {len(planned)} "
        f"| {failed} | {ratio:.3f} | {max(worst.values(), default=0):.0f} s |"
    )
    print(line)
    if append is not None:
        _append(append, line)
    print(f"{time.monotonic() - began:.0f} s; the next block: --first-seed {last_seed + 1}", flush=True)
    return 1 if failed else 0


def set_hash(scenarios: list[Scenario]) -> str:
    """Returns eight hex digits for these scenarios as they are: figures of two sets are not of one campaign."""
    told = "".join(repr(one) for one in sorted(scenarios, key=lambda one: one.name))
    return hashlib.blake2b(told.encode(), digest_size=4).hexdigest()


def _append(page: Path, line: str) -> None:
    """Add a block's line to the table of blocks on a page. Raises ConfigError where it has none."""
    text = page.read_text("utf-8")
    if text.count(BLOCKS_END) != 1:
        raise ConfigError(f"{page} has no line '{BLOCKS_END}', above which blocks are added")
    page.write_text(text.replace(BLOCKS_END, f"{line}\n{BLOCKS_END}"), "utf-8")


def _figures(scenarios: dict[str, Scenario], seed: int) -> int:
    """The figures of docs/simulation.md: ratios within one run, virtual seconds, bytes without HTTP and TLS."""
    with _foundry() as foundry, cheap_signatures():
        for name in ("quiet", "storm-of-everything"):
            outcomes = [play(scenarios[name], seed + number, foundry) for number in range(FIGURE_SEEDS)]
            ratio = 1 + sum(one.spare for one in outcomes) / sum(one.stored for one in outcomes)
            requests = statistics.fmean(one.quiet_requests_per_minute for one in outcomes)
            size = statistics.fmean(one.quiet_bytes_per_minute for one in outcomes)
            print(f"{name}: {ratio:.3f} bodies for each one stored ({FIGURE_SEEDS} seeds)")
            print(f"{name}: in sync {requests:.2f} requests and {size:.0f} bytes a minute and link")
        world = World(scenarios["five-hundred"], seed, foundry, faults=FAULTS)
        try:
            world.run()
            ours, floods = spreads(world), flood_spreads(world)
        finally:
            world.close()
    for name, found in (("ours", ours), ("flooding", floods)):
        seconds = [one.seconds for one in found]
        redundancy = statistics.fmean(one.redundancy for one in found)
        print(
            f"{len(world.simulated_nodes)} partners, {name}: median {statistics.median(seconds):.2f} s, "
            f"longest {max(seconds):.2f} s, {redundancy:.3f} bodies each"
        )
    ratio = statistics.median(one.seconds for one in ours) / statistics.median(one.seconds for one in floods)
    print(f"{len(world.simulated_nodes)} partners: {ratio:.2f} times the time of flooding")
    return 0


@contextlib.contextmanager
def _foundry() -> Iterator[Foundry]:
    with tempfile.TemporaryDirectory(prefix="p2pshare-foundry-", dir=memory_folder()) as folder:
        yield Foundry(Path(folder))


def _report_failures(outcome: Outcome) -> None:
    for name, found in outcome.failures.items():
        print(f"FAILED {name}: {len(found)}", *found[:EXAMPLES_SHOWN], sep="\n  ")
    if outcome.failures:
        print(f"again: {outcome.command}")
        print(f"keep:  ({outcome.scenario!r}, {outcome.seed}) in {KEPT}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ShareError as error:
        print(f"simulate: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
