"""Reports of an exercise: a page that tells who was slowest at what, the same for the same record, and in which no text of others does anything."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from exercise_records import HOSTILE, hostile_record, played_record

from p2pshare.exporters.exercises.exercise_drawing import BARS_MAX, LANES_MAX
from p2pshare.exporters.exercises.exercise_formats import EXERCISE_REPORTERS, load_exercise_reporter
from p2pshare.exporters.exercises.exercise_lines import ROWS_MAX
from p2pshare.intel.exercise_record import (
    ImprovementItem,
    RecordedObservation,
    improvement_items,
    slowest,
    span,
    spreads,
    strengths,
    why_slow,
)

ELEMENTS = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "p",
        "h1",
        "h2",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "br",
        "svg",
        "rect",
        "line",
        "text",
        "circle",
        "path",
        "g",
    ]
)


class _Page(HTMLParser):
    """A page as a browser takes it apart: its elements, their attributes, and the text in cells."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.values: list[str] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.cells: list[str] = []
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.values += [value or "" for _, value in attrs]
        if tag == "td":
            self.cells.append("")
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.cells[-1] += data


def test_the_page_says_who_was_slowest_at_what_and_why() -> None:
    page = _Page(load_exercise_reporter("html")(played_record()))
    assert not page.faults and not page.open
    row = page.cells.index("the inject was never acknowledged, so nobody may have read it")
    assert page.cells[row - 4 : row] == ["Hospital B", "inject 3: isolated", "never", "0:15:00"]
    assert "Nobody wrote down what was decided." in page.cells
    assert "Eva: P, Otto: M" in page.cells and "they differ" in page.cells


def test_what_an_evaluator_wants_done_is_an_item_with_its_owner_and_date() -> None:
    said = RecordedObservation(
        "Eva",
        "Hospital B",
        "O2",
        "",
        "P",
        "Quick.",
        "Write the numbers down",
        "Hospital A",
        1_800_000_000,
    )
    record = played_record()._replace(players=(), observations=(said, said._replace(item="", text="")))
    assert improvement_items(record) == [
        ImprovementItem(
            "observation-1",
            "Hospital A",
            "O2",
            "Write the numbers down",
            1_800_000_000,
        )
    ]
    page = _Page(load_exercise_reporter("html")(record))
    row = page.cells.index("observation-1")
    assert page.cells[row + 1 : row + 3] == ["Hospital A", "2027-01-15"]


def test_slowness_is_told_by_when_the_inject_was_read() -> None:
    record = played_record()
    assert [(one.name, one.expectation.id) for one in slowest(record)] == [
        ("Hospital B", "isolated"),
        ("Hospital A", "isolated"),
    ]
    fast, slow = record.players
    assert why_slow(slow.expectations[0]) == "it was read after 0:18:20"
    assert "read late" in why_slow(fast.expectations[1]._replace(acknowledged=400))
    never = slow.expectations[2]
    assert "is not what was expected" in why_slow(never._replace(action="task-done", attempted=60))
    assert why_slow(never._replace(action="answer", attempted=60)).startswith(
        "it was answered after 0:01:00, and otherwise than expected"
    )
    late = never._replace(attempted=(never.late_within or never.within) + 1)
    assert "too late" in why_slow(late) and "expected" not in why_slow(late)
    item, *_ = improvement_items(
        record._replace(players=(slow._replace(expectations=(late,)),), observations=())
    )
    assert "was done too late" in item.text
    assert "2 other injects waited" in why_slow(slow.expectations[1])
    assert "0:06:40 went by until it was done" in why_slow(fast.expectations[1])
    assert "was not acknowledged before" in why_slow(fast.expectations[1]._replace(acknowledged=None))
    quick = record._replace(players=(fast._replace(expectations=fast.expectations[:2]),))
    assert slowest(quick) == []


def test_strengths_items_and_spreads_follow_from_the_record_alone() -> None:
    record = played_record()
    assert strengths(record) == [
        "Objective O2 was reached in full: Each decides in time.",
        "Eva says of Hospital A: Called the other house at once.",
    ]
    assert [one.id for one in improvement_items(record)] == [
        "heard.hospital-b",
        "told.hospital-b",
        "isolated.hospital-a",
        "isolated.hospital-b",
        "observation-2",
        "observation-3",
    ]
    assert [(one.about, one.differs) for one in spreads(record)] == [
        ("Hospital A", True),
        ("Hospital B", False),
    ]
    shared = record._replace(players=tuple(player._replace(place="partner") for player in record.players))
    items = [one.id for one in improvement_items(shared)]
    assert len(set(items)) == len(items) and "isolated.partner-2" in items


@pytest.mark.parametrize("format_", EXERCISE_REPORTERS)
def test_equal_records_give_equal_bytes(format_: str) -> None:
    render = load_exercise_reporter(format_)
    assert render(played_record()) == render(played_record())
    assert render(hostile_record()) == render(hostile_record())


def test_no_text_of_others_does_anything_in_the_page() -> None:
    """Neither an element nor an attribute of theirs comes to be, and what they wrote can be read as they wrote it."""
    raw = load_exercise_reporter("html")(hostile_record())
    page = _Page(raw)
    assert page.elements <= ELEMENTS
    assert not page.faults and not page.open
    assert not any(name.startswith("on") or name in ("src", "href", "srcdoc") for name in page.attributes)
    assert not any("script" in value or "alert" in value for value in page.values)
    assert b"default-src &#x27;none&#x27;" in raw and b"<script" not in raw.lower()
    assert raw.count(b"<style>") == raw.count(b"</style>") == 1
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", raw) and "\u202e".encode() not in raw
    assert HOSTILE[1] in page.cells
    assert any("\\x1b[2J\\x00\\u202e" in cell for cell in page.cells)


def test_no_text_of_others_is_markup_in_markdown() -> None:
    text = load_exercise_reporter("markdown")(hostile_record()).decode()
    assert not re.search(r"(?<!\\)<(?:script|img|style|!--)", text)
    assert not re.search(r"(?<!\\)!\[|(?<!\\)\]\(", text)
    assert "\x1b" not in text and "\u202e" not in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert (
        len({len(re.findall(r"(?<!\\)\|", line)) for line in tables}) <= 6
    )  # one number for each table's columns


def test_the_drawing_keeps_within_its_page_whatever_is_in_the_record() -> None:
    record = played_record()
    player = record.players[0]
    wild = record._replace(
        duration=1,
        clock=10**9,
        players=tuple(
            player._replace(
                name=f"p{number}",
                expectations=tuple(
                    one._replace(inject=inject, after=10**8)
                    for inject in range(1, 5)
                    for one in player.expectations * 8
                ),
            )
            for number in range(64)
        ),
    )
    drawn = load_exercise_reporter("html")(wild).decode()
    places = [float(found) for found in re.findall(r' (?:x1|x2|cx)="([\d.]+)"', drawn)]
    assert places and max(places) <= 1_000
    assert drawn.count('class="bar') <= BARS_MAX
    assert f"{64 - LANES_MAX} more players are not drawn" in drawn


def test_a_long_table_is_cut_and_says_so() -> None:
    record = played_record()
    many = record._replace(acts=record.acts * ROWS_MAX)
    for format_ in EXERCISE_REPORTERS:
        text = load_exercise_reporter(format_)(many).decode()
        assert f"The first {ROWS_MAX} of {2 * ROWS_MAX} are told." in text


@pytest.mark.parametrize("state", ("made", "running", "paused"))
def test_a_report_before_the_end_says_that_it_is_none_of_the_end(state: str) -> None:
    record = played_record()._replace(
        state=state, clock=0 if state == "made" else 3_000, players=(), injects=()
    )
    for format_ in EXERCISE_REPORTERS:
        text = load_exercise_reporter(format_)(record).decode()
        assert "not started" in text if state == "made" else "results may change" in text
    drawn = load_exercise_reporter("html")(record).decode()
    assert ('class="now"' in drawn) == (state != "made")


def test_spans_are_told_in_hours_minutes_and_seconds() -> None:
    assert [span(seconds) for seconds in (0, 59, 3_600, 100 * 3_600 + 61)] == [
        "0:00:00",
        "0:00:59",
        "1:00:00",
        "100:01:01",
    ]
