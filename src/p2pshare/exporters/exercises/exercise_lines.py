"""The lines of a report, the same for every format: what is told under which title, in which order, each cell a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from p2pshare.intel.exercise_record import (
    RATING_WORDS,
    ExerciseRecord,
    RecordedExpectation,
    improvement_items,
    slowest,
    span,
    spreads,
    strengths,
)
from p2pshare.intel.instants import SECOND_US, format_instant

ROWS_MAX = 5_000  # of one table: more is no page to read, and a hostile exercise's are many
STATES = {
    "made": "not started",
    "running": "running: this is how it stands now, and results may change",
    "paused": "paused: this is how it stands now, and results may change",
    "ended": "ended",
}


class ReportTable(NamedTuple):
    """A title, what is said above it, the names of the columns, and rows of as many cells. `result`: the column that is a result."""

    title: str
    about: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    result: int | None = None


def summary(record: ExerciseRecord) -> Iterator[tuple[str, str]]:
    """Yields what stands at the top, as pairs."""
    yield "Exercise", record.exercise
    yield "Pack", record.pack
    yield "Kind", record.kind
    yield "State", STATES.get(record.state, record.state)
    yield (
        "Exercise time",
        f"{span(record.clock)} of {span(record.duration)}, "
        + ("in real time" if record.time_factor == 1 else f"{record.time_factor} times real time"),
    )
    for event in record.events:
        text = f": {event.text}" if event.text else ""
        yield event.what.capitalize(), f"{format_instant(event.at * SECOND_US)}, {event.who}{text}"
    if record.not_here:
        yield "Not in here", record.not_here


def tables(record: ExerciseRecord) -> Iterator[ReportTable]:
    """Yields the tables behind the time line."""
    for table in (
        _slowest(record),
        _strengths(record),
        _improvements(record),
        _objectives(record),
        _ratings(record),
        _observations(record),
        _expectations(record),
        _injects(record),
        _acts(record),
    ):
        if len(table.rows) > ROWS_MAX:
            told = f"{table.about} The first {ROWS_MAX} of {len(table.rows)} are told.".strip()
            table = table._replace(about=told, rows=table.rows[:ROWS_MAX])
        if table.rows:
            yield table


def scores(record: ExerciseRecord) -> ReportTable:
    """Returns who reached what."""
    rows = [
        (
            player.name,
            player.place,
            f"{player.points} of {player.of}",
            "nothing scored yet" if player.score is None else f"{player.score} %",
            *(str(_count(player.expectations, result)) for result in ("success", "partial", "failed")),
            str(_count(player.expectations, "pending") + _count(player.expectations, "spread")),
        )
        for player in record.players
    ]
    about = "Points are the weight of what was done, half of it where it was done in part or late. What is not due yet and what evaluators see differently does not count."
    columns = ("player", "place", "points", "score", "success", "partial", "failed", "not counted")
    return ReportTable("Scores", about, columns, rows)


def _count(expectations: Sequence[RecordedExpectation], result: str) -> int:
    return sum(one.result == result for one in expectations)


def _slowest(record: ExerciseRecord) -> ReportTable:
    rows = [
        (
            one.name,
            f"inject {one.expectation.inject}: {one.expectation.id}",
            "never" if one.expectation.after is None else span(one.expectation.after),
            span(one.expectation.within),
            one.why,
        )
        for one in slowest(record)
    ]
    about = "Of each player what it was slowest at, against the time it had. Why is what the times tell: when the inject was read, and what else waited."
    return ReportTable(
        "Who was slowest at what, and why", about, ("player", "at", "needed", "had", "why"), rows
    )


def _strengths(record: ExerciseRecord) -> ReportTable:
    return ReportTable("Strengths", "", ("what went well",), [(one,) for one in strengths(record)])


def _improvements(record: ExerciseRecord) -> ReportTable:
    rows = [
        (
            one.id,
            one.owner or "to be settled",
            (format_instant(one.due * SECOND_US) or "")[:10] if one.due else "-",
            one.objective or "-",
            one.text,
        )
        for one in improvement_items(record)
    ]
    about = "An item becomes a task when somebody adopts it (exercise adopt ITEM), with an owner and a date."
    return ReportTable("To improve", about, ("item", "owner", "due", "objective", "what"), rows)


def _objectives(record: ExerciseRecord) -> ReportTable:
    rows = [
        (one.id, one.text, f"{one.points} of {one.of}", "-" if one.score is None else f"{one.score} %")
        for one in record.objectives
    ]
    return ReportTable("Objectives", "", ("objective", "what is to be shown", "points", "score"), rows)


def _ratings(record: ExerciseRecord) -> ReportTable:
    rows = [
        (
            one.about or "all",
            one.objective or "-",
            one.expectation or "-",
            ", ".join(f"{who}: {rating}" for who, rating in one.ratings),
            "they differ" if one.differs else "they agree" if len(one.ratings) > 1 else "one evaluator",
        )
        for one in spreads(record)
    ]
    about = (
        "; ".join(f"{letter}: {words}" for letter, words in RATING_WORDS.items())
        + ". Where evaluators differ both stand."
    )
    return ReportTable("Ratings", about, ("about", "objective", "expectation", "ratings", "spread"), rows)


def _observations(record: ExerciseRecord) -> ReportTable:
    rows = [
        (one.evaluator, one.about or "all", one.objective or "-", one.rating or "-", one.text)
        for one in record.observations
    ]
    return ReportTable(
        "Observations", "", ("evaluator", "about", "objective", "rating", "in their words"), rows
    )


def _expectations(record: ExerciseRecord) -> ReportTable:
    rows = sorted(
        (
            one.inject,
            one.id,
            player.name,
            (
                f"{one.inject}: {one.id}",
                f"{one.kind}: {one.action}",
                player.name,
                span(one.within)
                + (f" (late {span(one.late_within)})" if one.late_within is not None else ""),
                "-" if one.after is None else span(one.after),
                str(one.weight),
                one.result,
            ),
        )
        for player in record.players
        for one in player.expectations
    )
    columns = ("inject", "expected", "of", "within", "after", "weight", "result")
    about = "Times run from the release of the inject, in exercise time."
    return ReportTable(
        "What was expected, and when it was done", about, columns, [row for *_, row in rows], 6
    )


def _injects(record: ExerciseRecord) -> ReportTable:
    rows = [
        (
            str(one.number),
            span(one.at),
            "not yet" if one.released is None else span(one.released),
            ", ".join(one.to),
            f"{one.sender} ({one.channel})",
            one.summary + ("" if one.fits else " [not what was committed to: it counts for nothing]"),
            one.expected or "-",
        )
        for one in record.injects
    ]
    columns = ("no.", "planned", "released", "to", "from", "what", "expected")
    return ReportTable("Injects", "", columns, rows)


def _acts(record: ExerciseRecord) -> ReportTable:
    rows = [
        (span(one.at), one.name, one.action, str(one.inject) if one.inject else "-", one.detail)
        for one in record.acts
    ]
    return ReportTable("What players did", "", ("at", "player", "action", "inject", "what"), rows)
