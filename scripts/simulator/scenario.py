"""Scenarios: the parts of a world and its faults, as data (tests/scenarios/*.toml).

Every number that may differ between seeds is a span, `[low, high]` in the file; one number is a span of itself. An
unknown key is refused: a fault that is misspelt would otherwise be a test that tests nothing. Keys of files that are older than a
name of ours (`OLDER_NAMES`) are read under that name, and each of them is told.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any, TypeVar, get_type_hints

from p2pshare.errors import ConfigError
from p2pshare.gossip.intake_schedule import IntakeLimits
from p2pshare.limits import WANT_ENTRIES_MAX

T = TypeVar("T")


@dataclass(frozen=True)
class Span:
    """A range from `low` to `high`, both included."""

    low: float
    high: float

    def draw(self, random: Random) -> float:
        return self.low + (self.high - self.low) * random.random()

    def count(self, random: Random) -> int:
        return random.randint(int(self.low), int(self.high))


NONE = Span(0, 0)

TOPOLOGIES = ("chain", "ring", "full", "star", "tree", "random")
"""Graphs of links; `topology.edges_of` draws them. In a chain, a star and a tree there is one path between any two."""

OLDER_NAMES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "": {"sites": "simulated_nodes", "weather": "network_conditions", "liars": "byzantine_partners"},
        "circles": {"sites": "simulated_nodes"},
        "faults": {"site": "node"},
    }
)
"""By table ("" is the file's own): a key of older files, and its name today."""


@dataclass(frozen=True)
class Traffic:
    """The publications of honest partners while the scenario lasts."""

    envelopes: Span = Span(10, 20)
    directs: Span = NONE
    bursts: Span = NONE
    """How many times one partner publishes 20 at once."""
    body_bytes: Span = Span(300, 4_000)
    large: Span = NONE
    """How many envelopes above the size that is pushed unasked (64 KiB)."""
    ttl_class: int = 4


@dataclass(frozen=True)
class CardRule:
    """The cards that honest partners issue while the scenario lasts. Where it is none of a scenario, no notices go round in it."""

    renewals: Span = Span(1, 2)
    """How many times somebody's card gets another version."""
    revocations: Span = NONE
    """How many times somebody revokes the key it signs with and vouches for all that it has sealed."""


@dataclass(frozen=True)
class ContentRule:
    """Publications with content, sealed and read for real, and what their authors take back. Where it is none of a scenario,
    envelopes are filled with random bytes."""

    publications: Span = Span(6, 10)
    indicators: Span = Span(1, 4)
    """Values in each. Some are claimed by several authors."""
    withdrawals: Span = Span(2, 5)
    """How many times an author takes back a value that it had published; some before others have it."""
    direct_share: float = 0.3
    """Part of the publications that goes to one partner alone, as a direct envelope."""


@dataclass(frozen=True)
class ArchiveRule:
    """What stores hold when the world begins: more than a page of keys, an announcement or a reading of the outbox takes."""

    keys: int = 4_300
    """Relayed envelopes of node 0 that it holds; a quarter of them share their `created` with others."""
    lacking: int = 700
    """How many of the newest of them no other node holds."""
    directs: int = 0
    """Direct envelopes of node 0 that wait for node 1."""
    burst: int = 0
    """How many envelopes node 0 publishes at one moment in the middle, in one transaction."""


@dataclass(frozen=True)
class NetworkConditions:
    """The behaviour of the network between any two partners, all the time."""

    latency_seconds: Span = Span(0.01, 0.08)
    jitter_seconds: float = 0.0
    """Added to each message at random: more than the pause between messages reorders them."""
    loss: float = 0.0
    """Chance that a request or its answer never arrives."""
    duplication: float = 0.0
    """Chance that a request is heard twice."""
    bytes_per_second: float = 4_000_000.0


@dataclass(frozen=True)
class IntakeRule:
    """The bodies that intake takes at once and that may wait for it: few and small, so that few bodies fill it."""

    batch_bodies: int = 8
    batch_bytes: int = 65_536
    waiting_bytes: int = 262_144
    waiting_bytes_per_partner: int = 65_536

    @property
    def limits(self) -> IntakeLimits:
        """Returns the limits as the schedule takes them."""
        return IntakeLimits(
            self.batch_bodies, self.batch_bytes, self.waiting_bytes, self.waiting_bytes_per_partner
        )


@dataclass(frozen=True)
class Fault:
    """One kind of fault, `times` times, each at a random moment and for `seconds`; see `faults.FAULTS`."""

    kind: str
    times: Span = Span(1, 1)
    seconds: Span = Span(5, 30)
    node: int | None = None
    """The number of the node that it befalls; anyone where absent."""


@dataclass(frozen=True)
class ByzantineRule:
    """`count` partners that lie in one way; see `byzantine.BEHAVIOURS`."""

    lie: str
    count: Span = Span(1, 1)


@dataclass(frozen=True)
class CircleRule:
    """A circle beside `main`: a link carries it when both ends are among `simulated_nodes`."""

    name: str
    simulated_nodes: tuple[int, ...]
    share: float = 0.3
    """Part of what its members publish that goes there."""


@dataclass(frozen=True)
class Scenario:
    """One kind of world. `seconds` of traffic and faults, then peace: all must be everywhere in `settle_seconds`."""

    name: str
    title: str
    store: str = "disk"
    """`disk`: the product's. `memory`: a stand-in, for worlds too large for campaigns."""
    simulated_nodes: Span = Span(4, 4)
    topology: str = "ring"
    degree: int = 4
    """Links of a partner, on average, where the topology is `random`."""
    dial_only: Span = NONE
    """How many partners cannot be dialled."""
    seconds: float = 60.0
    settle_seconds: float = 700.0
    """How long after the faults everybody may take: whoever was away is dialled within 300 s, a hello passes each link every
    300 s, and roots that differ are compared within a minute."""
    quiet_seconds: float = 900.0
    sweep_seconds: float = 60.0
    reconcile_seconds: float = 60.0
    commit_seconds: Span = Span(0.002, 0.02)
    want_entries_max: int = WANT_ENTRIES_MAX
    """Room of an engine's want table; where it is small, comparisons are cut."""
    redundancy_max: float = 1.5
    """Bodies that may travel for each one stored, over the whole run (a few more are always excused)."""
    spread_seconds: float = 0.0
    """Where no fault comes between: within how many seconds everybody holds what is published. 0: only the end is asked for."""
    every: int = 1
    """Campaigns play it with every so many seeds: worlds that cost much are played more rarely."""
    traffic: Traffic = field(default_factory=Traffic)
    network_conditions: NetworkConditions = field(default_factory=NetworkConditions)
    intake: IntakeRule = field(default_factory=IntakeRule)
    cards: CardRule | None = None
    content: ContentRule | None = None
    archive: ArchiveRule | None = None
    circles: tuple[CircleRule, ...] = ()
    faults: tuple[Fault, ...] = ()
    byzantine_partners: tuple[ByzantineRule, ...] = ()

    @property
    def is_large(self) -> bool:
        """Returns whether it is played alone, never in campaigns."""
        return self.store == "memory"


_LISTS: Mapping[str, type[Any]] = MappingProxyType(
    {"circles": CircleRule, "faults": Fault, "byzantine_partners": ByzantineRule}
)
_TABLES: Mapping[str, type[Any]] = MappingProxyType(
    {
        "traffic": Traffic,
        "network_conditions": NetworkConditions,
        "intake": IntakeRule,
        "cards": CardRule,
        "content": ContentRule,
        "archive": ArchiveRule,
    }
)


def load_scenario(path: Path, tell: Callable[[str], None] | None = None) -> Scenario:
    """Returns the scenario in a file, named after it. `tell` is handed a sentence for each key that has an older name; without
    it such a key is refused. Raises ConfigError for anything unknown or misshapen."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read the scenario {path}: {error}") from None
    _rename(table, "", path.name, tell)
    for key, kind in _TABLES.items():
        if key in table:
            table[key] = _build(kind, table[key], f"{path.name}: {key}")
    for key, kind in _LISTS.items():
        for one in table.get(key, ()):
            _rename(one, key, path.name, tell)
        table[key] = tuple(_build(kind, one, f"{path.name}: {key}") for one in table.get(key, ()))
    scenario = _build(Scenario, {"name": path.stem} | table, path.name)
    if scenario.topology not in TOPOLOGIES:
        raise ConfigError(
            f"{path.name}: no topology is called '{scenario.topology}'",
            hint=f"known are {', '.join(TOPOLOGIES)}",
        )
    return scenario


def _rename(table: Any, of: str, where: str, tell: Callable[[str], None] | None) -> None:
    """Put the keys of a table that have an older name under that of today."""
    older = OLDER_NAMES.get(of, {})
    for key in [key for key in table if key in older] if isinstance(table, dict) else ():
        if tell is None or older[key] in table:
            raise ConfigError(f"{where}: '{key}' is an older name", hint=f"say '{older[key]}'")
        table[older[key]] = table.pop(key)
        tell(f"{where}: '{key}' is read as '{older[key]}'")


def load_scenarios(folder: Path) -> dict[str, Scenario]:
    """Returns all scenarios of a folder, by name."""
    return {path.stem: load_scenario(path) for path in sorted(folder.glob("*.toml"))}


def _build(kind: type[T], table: Any, where: str) -> T:
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: a table was expected")
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(table) - known)
    if unknown:
        raise ConfigError(
            f"{where}: unknown key '{unknown[0]}'", hint=f"known are {', '.join(sorted(known))}"
        )
    hints = get_type_hints(kind)
    try:
        return kind(**{key: _value(hints[key], value) for key, value in table.items()})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from None


def _value(hint: Any, value: Any) -> Any:
    if hint is Span:
        low, high = value if isinstance(value, list) else (value, value)
        if low > high:
            raise ValueError("a span runs from low to high")
        return Span(low, high)
    return tuple(value) if isinstance(value, list) else value
