"""Rounds, medians and ratios. All runs of one table are interleaved, so that a busy moment hits each of them."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Series:
    """Figures of one thing over the rounds; `unit` is what each of them counts."""

    name: str
    unit: str
    figures: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.figures)

    def line(self) -> str:
        low, high = min(self.figures), max(self.figures)
        return f"  {self.name:<52} {_short(low):>9} {_short(self.median):>9} {_short(high):>9}  {self.unit}"

    def to_json(self) -> dict[str, object]:
        return {"unit": self.unit, "min": min(self.figures), "median": self.median, "max": max(self.figures)}


@dataclass
class Gate:
    """A ratio or figure that speed.md asks for."""

    name: str
    figure: float
    must: float
    is_at_least: bool = True

    @property
    def is_met(self) -> bool:
        return self.figure >= self.must if self.is_at_least else self.figure <= self.must

    def line(self) -> str:
        sign = ">=" if self.is_at_least else "<="
        return f"  {'met ' if self.is_met else 'MISS'} {self.name:<56} {_short(self.figure):>9} {sign} {_short(self.must)}"


@dataclass
class Report:
    """Everything one run measured."""

    series: list[Series] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)

    def add(self, name: str, unit: str, figures: list[float]) -> Series:
        series = Series(name, unit, figures)
        self.series.append(series)
        print(series.line(), flush=True)
        return series

    def gate(self, name: str, figure: float, must: float, *, is_at_least: bool = True) -> None:
        self.gates.append(Gate(name, figure, must, is_at_least))

    def to_json(self) -> dict[str, object]:
        return {
            "series": {one.name: one.to_json() for one in self.series},
            "gates": {
                one.name: {"figure": one.figure, "must": one.must, "is_met": one.is_met} for one in self.gates
            },
        }


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process; the garbage of what came before is not counted."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def percentile(figures: list[float], share: float) -> float:
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _short(figure: float) -> str:
    if figure >= 1_000_000:
        return f"{figure / 1_000_000:.2f} M"
    if figure >= 10_000:
        return f"{figure / 1_000:.1f} k"
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.3g}"
