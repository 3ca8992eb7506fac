"""Decision tables, as data: CERT/CC's files of SSVC and of CISA BOD 26-04 (`tables/`, with their licence), unchanged.

A table is expanded once: each input may also be unknown, and then the outcome is a range over all its values. Both tables are
monotone (a worse input never has a milder outcome), so the two ends of a range suffice; a table that is not is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import product
from typing import Any, NamedTuple

from p2pshare.errors import OperatorError
from p2pshare.risk.words import HumanImpact, Mission, Safety

SSVC_DEPLOYER = "ssvc-deployer"
CISA_BOD_26_04 = "cisa-bod-26-04"
HUMAN_IMPACT = "ssvc-human-impact"

Numbers = tuple[int, ...]


@dataclass(frozen=True)
class DecisionTable:
    """A table: inputs with the number of their values, outcomes from the mildest, and the outcome of each combination."""

    name: str
    inputs: tuple[str, ...]
    sizes: tuple[int, ...]
    outcomes: tuple[str, ...]
    outcome_keys: tuple[str, ...]
    rows: Mapping[Numbers, int]

    def range_of(self, values: Sequence[Sequence[int]]) -> OutcomeRange:
        """Returns the outcomes over every combination of `values`, the possible numbers of each input."""
        found = [self.rows[one] for one in product(*values)]
        matters = 0
        for place, several in enumerate(values):
            if len(several) > 1:
                others = [values[other] if other != place else (0,) for other in range(len(values))]
                for one in product(*others):
                    here = {self.rows[(*one[:place], value, *one[place + 1 :])] for value in several}
                    if len(here) > 1:
                        matters |= 1 << place
                        break
        return OutcomeRange(max(found), min(found), matters)


class OutcomeRange(NamedTuple):
    """The two ends of what the outcome may be, and a bit for each unknown input that changes it."""

    worst: int
    best: int
    matters: int


class _Expanded(NamedTuple):
    """How a table's inputs are kept: the sets of values that each number of a column stands for, and the row's id."""

    columns: tuple[tuple[tuple[int, ...], ...], ...]
    row_id: Callable[[Numbers], int]


# The points of each table in the order of the columns of risk.sqlite. `matching.sql` says how ids are made.
POINTS = {
    SSVC_DEPLOYER: ("ssvc:E:1.1.0", "ssvc:EXP:1.0.1", "ssvc:A:2.0.0", "ssvc:HI:2.0.2"),
    CISA_BOD_26_04: ("cisa:KEV:1.0.0", "cisa:PE:1.0.0", "ssvc:A:2.0.0", "ssvc:TI:1.0.0"),
    HUMAN_IMPACT: ("ssvc:SI:2.0.1", "ssvc:MI:2.0.0"),
}
INPUTS = {
    SSVC_DEPLOYER: ("exploitation", "exposure", "automatable", "human impact"),
    CISA_BOD_26_04: ("kev", "exposed", "automatable", "technical impact"),
    HUMAN_IMPACT: ("safety", "mission"),
}
_NO_YES_UNKNOWN = ((0,), (1,), (0, 1))
_EXPANDED = {
    SSVC_DEPLOYER: _Expanded(
        (
            (
                (0,),
                (1,),
                (2,),
                (0, 1, 2),
                (0, 1),
            ),  # the last: KEV does not list it, and that is taken as "not active"
            ((0,), (1,), (2,), (0, 1, 2)),
            _NO_YES_UNKNOWN,
            ((0,), (1,), (2,), (3,), (0, 1, 2, 3)),
        ),
        lambda one: ((one[0] * 4 + one[1]) * 3 + one[2]) * 5 + one[3],
    ),
    CISA_BOD_26_04: _Expanded(
        (_NO_YES_UNKNOWN,) * 4,
        lambda one: 1000 + ((one[0] * 3 + one[1]) * 3 + one[2]) * 3 + one[3],
    ),
}
# Days of BOD 26-04 by the key of its outcome; the deployer's table has none, `risk.due` sets them.
BOD_DAYS: dict[str, int | None] = {"FSU": None, "60D": 60, "14D": 14, "3D": 3, "3DF": 3}
DEPLOYER_DAYS: dict[str, int | None] = {"defer": None, "scheduled": 90, "out-of-cycle": 14, "immediate": 3}


@cache
def decision_table(name: str) -> DecisionTable:
    """Returns one of the tables that come with the program. Raises OperatorError, as `read_decision_table` does."""
    text = (resources.files("p2pshare") / "risk" / "tables" / f"{name}.json").read_text("utf-8")
    return read_decision_table(json.loads(text), name)


def read_decision_table(content: Mapping[str, Any], name: str) -> DecisionTable:
    """Returns a table of CERT/CC's JSON format (schema 2.0.0) with the points of `name`.

    Raises OperatorError `bad-decision-table`: other points, a combination that is missing or stands twice, not monotone.
    """
    points, outcome = POINTS[name], content["outcome"]
    defined = content["decision_points"]
    if set(defined) != {*points, outcome}:
        raise _bad(name, f"its points are {', '.join(sorted(defined))}")
    keys = {point: [value["key"] for value in defined[point]["values"]] for point in (*points, outcome)}
    rows: dict[Numbers, int] = {}
    for row in content["mapping"]:
        numbers = tuple(keys[point].index(row[point]) for point in points)
        if numbers in rows:
            raise _bad(name, f"the combination {numbers} stands twice")
        rows[numbers] = keys[outcome].index(row[outcome])
    sizes = tuple(len(keys[point]) for point in points)
    if len(rows) != len(list(product(*map(range, sizes)))):
        raise _bad(name, "a combination is missing")
    if (breach := first_breach(rows, sizes)) is not None:
        raise _bad(name, f"not monotone at {breach}")
    names = tuple(value["name"].lower() for value in defined[outcome]["values"])
    return DecisionTable(name, INPUTS[name], sizes, names, tuple(keys[outcome]), rows)


def first_breach(rows: Mapping[Numbers, int], sizes: Sequence[int]) -> Numbers | None:
    """Returns the first combination whose outcome is milder than that of one with a milder input; None in a monotone table."""
    for numbers in product(*map(range, sizes)):
        for place in range(len(sizes)):
            if (
                numbers[place]
                and rows[numbers] < rows[(*numbers[:place], numbers[place] - 1, *numbers[place + 1 :])]
            ):
                return numbers
    return None


def _bad(name: str, why: str) -> OperatorError:
    return OperatorError(f"the decision table {name} cannot be used: {why}", reason="bad-decision-table")


def expanded_rows(name: str) -> Iterator[tuple[int, str, int, int, int]]:
    """Yields (id, table, worst, best, matters) for each combination in which inputs may be unknown."""
    table, expanded = decision_table(name), _EXPANDED[name]
    for numbers in product(*(range(len(column)) for column in expanded.columns)):
        values = [column[number] for column, number in zip(expanded.columns, numbers, strict=True)]
        yield (expanded.row_id(numbers), name, *table.range_of(values))


def outcome_rows(
    name: str, due_days: Mapping[str, int | None]
) -> Iterator[tuple[str, int, str, int | None, bool]]:
    """Yields (table, number, name, days, whether the days are an own rule) for each outcome."""
    table = decision_table(name)
    for number, (key, outcome) in enumerate(zip(table.outcome_keys, table.outcomes, strict=True)):
        if name == CISA_BOD_26_04:
            yield name, number, outcome, BOD_DAYS[key], False
        else:
            yield name, number, outcome, {**DEPLOYER_DAYS, **due_days}[outcome], True


def human_impact_of(safety: Safety | None, mission: Mission | None) -> HumanImpact:
    """Returns the human impact of the 16-row table, UNKNOWN where one of the two is not said and it makes a difference."""
    table = decision_table(HUMAN_IMPACT)
    values = [
        range(size) if one is None else (int(one),)
        for one, size in zip((safety, mission), table.sizes, strict=True)
    ]
    ends = table.range_of([tuple(one) for one in values])
    return HumanImpact(ends.worst) if ends.worst == ends.best else HumanImpact.UNKNOWN
