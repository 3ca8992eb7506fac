"""The time line of an exercise, drawn as SVG inside the page: injects above, a lane for each player, a bar for each thing that was expected.

Shapes say what colours say, for paper without colour: a disc is done, a diamond done in part or late, a cross missed, a ring not due yet or seen
differently by evaluators. How much is drawn is bounded; what is not drawn stands in the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from p2pshare.intel.exercise_record import (
    FAILED,
    PARTIAL,
    SUCCESS,
    ExerciseRecord,
    RecordedExpectation,
    RecordedPlayer,
    span,
)

WIDTH, LEFT, RIGHT = (
    760,
    150,
    24,
)  # units of the drawing: little more than the pixels of an A4 page, so that its words can be read on paper
TOP, ROW, GAP = 46, 13, 8
LANES_MAX = 40  # players that are drawn: three pages of paper
BARS_MAX = 4_000  # of one drawing
ROWS_MAX = 24  # of one lane
NAME_CHARACTERS_MAX = 22
LABEL_UNITS = 16  # between two numbers of injects that are both written
TICKS_MAX = 12
_STEPS = (60, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400, 604_800)

Escape = Callable[[str], str]


class _Bar(NamedTuple):
    start: int
    end: int
    one: RecordedExpectation


def draw_time_line(record: ExerciseRecord, escape: Escape) -> str:
    """Returns the drawing as an element of the page. `escape`: makes a text that may stand in an element."""
    whole = max(record.duration, record.clock, 1)

    def x(seconds: int) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(max(seconds, 0), whole) / whole, 1)

    backs: list[str] = []
    lanes: list[str] = []
    y = TOP
    left = BARS_MAX
    for number, player in enumerate(record.players[:LANES_MAX]):
        rows = _rows(record, player, left)
        left -= sum(map(len, rows))
        height = max(len(rows), 2) * ROW + GAP
        if number % 2 == 0:
            backs.append(f'<rect class="lane" x="0" y="{y}" width="{WIDTH}" height="{height}"/>')
        lanes += _lane(player, rows, y, x, escape)
        y += height
    bottom = y + 4
    pieces = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 44}" role="img">\n',
        f"<title>{escape('Time line of ' + record.name)}</title>\n",
        *(f"{line}\n" for line in backs),
    ]
    pieces += [f"{line}\n" for line in _axis(whole, bottom, x)]
    pieces += [f"{line}\n" for line in _releases(record, bottom, x)]
    pieces += [f"{line}\n" for line in lanes]
    if record.state in ("running", "paused"):
        at = x(record.clock)
        pieces.append(f'<line class="now" x1="{at}" y1="{TOP - 14}" x2="{at}" y2="{bottom}"/>\n')
    pieces += [f"{line}\n" for line in _legend(bottom + 32)]
    not_drawn = len(record.players) - LANES_MAX
    if not_drawn > 0 or left <= 0:
        told = f"{not_drawn} more players are not drawn" if not_drawn > 0 else "not everything is drawn"
        pieces.append(
            f'<text class="small" x="{WIDTH - RIGHT}" y="{bottom + 36}" text-anchor="end">{told}</text>\n'
        )
    pieces.append("</svg>\n")
    return "".join(pieces)


def _rows(record: ExerciseRecord, player: RecordedPlayer, most: int) -> list[list[_Bar]]:
    """Returns the bars of a player in rows, so that none lies on another, the first free row taking each."""
    released = {inject.number: inject.released for inject in record.injects}
    rows: list[list[_Bar]] = []
    gap = max(record.duration, 1) // 40
    for one in sorted(player.expectations, key=lambda one: (one.inject, one.id))[: max(most, 0)]:
        start = released.get(one.inject)
        if start is None:
            continue
        length = one.after if one.after is not None else one.late_within or one.within
        bar = _Bar(start, start + length, one)
        for row in rows:
            if row[-1].end + gap <= start:
                row.append(bar)
                break
        else:
            if len(rows) < ROWS_MAX:
                rows.append([bar])
    return rows


def _lane(
    player: RecordedPlayer, rows: Sequence[Sequence[_Bar]], y: int, x: Callable[[int], float], escape: Escape
) -> Iterator[str]:
    name = (
        player.name
        if len(player.name) <= NAME_CHARACTERS_MAX
        else player.name[: NAME_CHARACTERS_MAX - 1] + "…"
    )
    score = "not scored yet" if player.score is None else f"{player.score} %"
    yield f'<text x="6" y="{y + 14}">{escape(name)}</text><text class="small" x="6" y="{y + 26}">{escape(score)}</text>'
    for number, row in enumerate(rows):
        middle = y + GAP + number * ROW + ROW // 2 - 2
        for bar in row:
            start, end = x(bar.start), x(bar.end)
            one = bar.one
            tells = f"{one.inject}: {one.id}, {one.result}" + (
                "" if one.after is None else f" after {span(one.after)}"
            )
            kind = {SUCCESS: "ok", PARTIAL: "half", FAILED: "bad"}.get(one.result, "open")
            late = " late" if one.result != SUCCESS else ""
            yield (
                f'<g><title>{escape(tells)}</title><line class="bar {kind}{late}" x1="{start}" y1="{middle}" x2="{end}" y2="{middle}"/>'
                f"{_mark(kind, end, middle)}</g>"
            )


def _mark(kind: str, x: float, y: int) -> str:
    if kind == "ok":
        return f'<circle class="ok" cx="{x}" cy="{y}" r="4"/>'
    if kind == "half":
        return f'<path class="half" d="M{x} {y - 5}l5 5l-5 5l-5 -5z"/>'
    if kind == "bad":
        return f'<path class="bad" d="M{x - 4} {y - 4}l8 8m0 -8l-8 8"/>'
    return f'<circle class="open" cx="{x}" cy="{y}" r="4"/>'


def _axis(whole: int, bottom: int, x: Callable[[int], float]) -> Iterator[str]:
    step = next((step for step in _STEPS if whole / step <= TICKS_MAX), _STEPS[-1] * 4)
    for at in range(0, whole + 1, step):
        yield f'<line class="axis" x1="{x(at)}" y1="{TOP - 4}" x2="{x(at)}" y2="{bottom}"/>'
        yield f'<text class="small" x="{x(at)}" y="{bottom + 12}" text-anchor="middle">{span(at)[:-3]}</text>'


def _releases(record: ExerciseRecord, bottom: int, x: Callable[[int], float]) -> Iterator[str]:
    yield f'<text x="6" y="{TOP - 18}">Injects</text>'
    written = -float(LABEL_UNITS)
    for inject in record.injects:
        at = x(inject.released if inject.released is not None else inject.at)
        kind = "white" if inject.released is not None else "open"
        if inject.released is not None:
            yield f'<line class="release" x1="{at}" y1="{TOP - 12}" x2="{at}" y2="{bottom}"/>'
        if at - written >= LABEL_UNITS:
            written = at
            yield (
                f'<circle class="{kind}" cx="{at}" cy="{TOP - 22}" r="9"/>'
                f'<text class="small" x="{at}" y="{TOP - 19}" text-anchor="middle">{inject.number}</text>'
            )


def _legend(y: int) -> Iterator[str]:
    at = 12
    for kind, words in (
        ("ok", "done in time"),
        ("half", "done late or in part"),
        ("bad", "not done in time"),
        ("open", "not due yet, or evaluators differ"),
    ):
        yield f'{_mark(kind, at, y)}<text class="small" x="{at + 9}" y="{y + 3}">{words}</text>'
        at += 30 + 6 * len(words)
