"""Duties to report: each law's periods across time zones and summer time, nothing guessed, and a new law is a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.intel.duty_templates import (
    TEMPLATE_BYTES_MAX,
    DutyPeriod,
    DutyStanding,
    DutyTemplate,
    duties_of,
    end_of_period,
    read_template,
)
from p2pshare.node.duty_files import load_duty_templates

TEMPLATES = load_duty_templates()
HOUR, DAY = 3_600, 86_400


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def told(seconds: int | None, zone: str) -> str | None:
    return (
        None
        if seconds is None
        else datetime.fromtimestamp(seconds, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")
    )


def standing(
    template: str, stage: str, events: Mapping[str, int], zone: str = "Europe/Berlin", now: int = 0
) -> DutyStanding:
    return next(one for one in duties_of(TEMPLATES[template], events, zone, now) if one.stage == stage)


def test_the_laws_that_come_with_the_program() -> None:
    assert list(TEMPLATES) == ["cra-incident", "cra-vulnerability", "dora", "gdpr", "nis2", "nis2-trust"]
    for template in TEMPLATES.values():
        assert template.source.url.startswith("https://eur-lex.europa.eu/eli/"), template.template
        assert all(rule.article and rule.asks for rule in template.duties)


@pytest.mark.parametrize("name", TEMPLATES)
def test_without_its_event_no_duty_runs_whatever_the_time(name: str) -> None:
    for duty in duties_of(TEMPLATES[name], {}, "Europe/Berlin", 2**40):
        assert (duty.state, duty.due, duty.runs_from, duty.submitted_at) == ("not-running", None, None, None)


@pytest.mark.parametrize(
    ("template", "stage", "event", "began", "zone", "due"),
    [
        # hours are elapsed time: over the night in which clocks go forward, 24 hours end an hour later on the wall
        ("nis2", "early", "aware", "2027-03-27 12:00", "Europe/Berlin", "2027-03-28 13:00:00"),
        ("nis2", "72h", "aware", "2027-10-30 12:00", "Europe/Berlin", "2027-11-02 11:00:00"),
        ("gdpr", "72h", "aware", "2027-12-24 18:00", "Europe/Paris", "2027-12-27 18:00:00"),
        ("nis2", "72h", "aware", "2027-04-03 23:30", "Pacific/Auckland", "2027-04-06 22:30:00"),
        # a month ends with the last second of the same date, or of the last day of a shorter month
        ("nis2", "final", "submitted:72h", "2027-01-31 09:00", "Europe/Berlin", "2027-02-28 23:59:59"),
        ("nis2", "final", "submitted:72h", "2028-01-31 09:00", "Europe/Berlin", "2028-02-29 23:59:59"),
        ("nis2", "final", "submitted:72h", "2027-12-15 00:00", "Europe/Berlin", "2028-01-15 23:59:59"),
        ("nis2", "final", "submitted:72h", "2027-02-28 23:59", "America/New_York", "2027-03-28 23:59:59"),
        # 28 February is a Sunday, which moves a directive's month nowhere; 14 March is one, too
        ("cra-incident", "final", "submitted:72h", "2027-01-31 09:00", "Europe/Berlin", "2027-03-01 23:59:59"),
        ("cra-vulnerability", "final", "fix-available", "2027-03-01 09:00", "Europe/Berlin", "2027-03-15 23:59:59"),
        ("cra-vulnerability", "final", "fix-available", "2027-02-27 09:00", "Europe/Berlin", "2027-03-15 23:59:59"),
        ("dora", "final", "submitted:intermediate", "2027-02-14 09:00", "Europe/Berlin", "2027-03-15 12:00:00"),
        ("dora", "final", "submitted:intermediate", "2027-02-15 09:00", "Europe/Berlin", "2027-03-15 23:59:59"),
        ("dora", "intermediate", "submitted:initial", "2027-02-12 09:00", "Europe/Berlin", "2027-02-15 09:00:00"),
        ("dora", "initial", "classified-major", "2027-02-12 09:00", "Europe/Berlin", "2027-02-12 13:00:00"),
        ("nis2-trust", "24h", "aware", "2027-02-12 09:00", "Europe/Berlin", "2027-02-13 09:00:00"),
    ],
)  # fmt: skip
def test_each_period_ends_when_its_law_says(
    template: str, stage: str, event: str, began: str, zone: str, due: str
) -> None:
    assert told(standing(template, stage, {event: at(began, zone)}, zone).due, zone) == due


def test_the_date_is_that_of_the_organisations_own_zone() -> None:
    """One instant, two dates: in Auckland it is already the 1st."""
    events = {"submitted:72h": at("2027-05-31 13:00", "UTC")}
    assert (
        told(standing("nis2", "final", events, "Europe/Berlin").due, "Europe/Berlin") == "2027-06-30 23:59:59"
    )
    assert (
        told(standing("nis2", "final", events, "Pacific/Auckland").due, "Pacific/Auckland")
        == "2027-07-01 23:59:59"
    )


def test_dora_has_a_second_bound_that_ends_with_a_late_classification() -> None:
    aware = at("2027-02-12 09:00")
    early = standing("dora", "initial", {"aware": aware, "classified-major": aware + 2 * HOUR})
    assert (early.due, early.note) == (aware + 6 * HOUR, "")
    near = standing("dora", "initial", {"aware": aware, "classified-major": aware + 23 * HOUR})
    assert near.due == aware + 24 * HOUR, "no later than 24 hours from awareness"
    late = standing("dora", "initial", {"aware": aware, "classified-major": aware + 30 * HOUR})
    assert late.due == aware + 34 * HOUR, "Article 5(2)"
    alone = standing("dora", "initial", {"classified-major": aware})
    assert (alone.due, alone.note) == (aware + 4 * HOUR, "bound-unknown")
    assert standing("dora", "initial", {"aware": aware}).state == "not-running", "nobody has classified it"


def test_a_duty_runs_is_overdue_is_done_or_is_stopped() -> None:
    aware = at("2027-02-12 09:00")
    due = aware + DAY
    assert standing("nis2", "early", {"aware": aware}, now=due).state == "running", "its last second"
    assert standing("nis2", "early", {"aware": aware}, now=due + 1).state == "overdue"
    in_time = standing("nis2", "early", {"aware": aware, "submitted:early": due - 5}, now=due + DAY)
    assert (in_time.state, in_time.submitted_at, in_time.note) == ("done", due - 5, "")
    assert standing("nis2", "early", {"aware": aware, "submitted:early": due + 5}).note == "late"
    stopped = standing("nis2", "early", {"aware": aware, "not-significant": aware + 60}, now=due + 1)
    assert (stopped.state, stopped.due) == ("not-running", None)
    assert standing("nis2", "final", {"aware": aware}, now=due + 99 * DAY).state == "not-running", (
        "nothing was submitted"
    )


def test_what_cannot_be_told_is_not_guessed() -> None:
    began = {"submitted:72h": at("2027-02-12 09:00"), "aware": at("2027-02-12 09:00")}
    for zone in ("Europe/Nowhere", "../../etc/passwd", "", "\0", "a" * 5_000):
        final = standing("nis2", "final", began, zone, now=2**40)
        assert (final.due, final.note, final.state) == (None, "unknown-zone", "running")
        assert standing("nis2", "early", began, zone).due is not None, "hours need no zone"
    beyond = {"submitted:72h": at("9999-12-30 00:00"), "aware": at("9999-12-31 12:00")}
    assert (
        standing("nis2", "final", beyond).note == standing("nis2", "early", beyond).note == "beyond-calendar"
    )


def test_holidays_are_no_working_days() -> None:
    began = at("2026-12-11 09:00", "Europe/Berlin")
    fortnight = DutyPeriod(days=14, moves="next-working-day")
    assert told(end_of_period(fortnight, began, "Europe/Berlin")[0], "Europe/Berlin") == "2026-12-25 23:59:59"
    moved = end_of_period(fortnight, began, "Europe/Berlin", {"2026-12-25"})[0]
    assert told(moved, "Europe/Berlin") == "2026-12-28 23:59:59", "past Friday's holiday and the weekend"


@given(
    st.integers(min_value=at("1980-01-01 00:00"), max_value=at("2100-01-01 00:00")),
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "Pacific/Auckland", "Asia/Kathmandu", "Africa/Casablanca", "UTC", "America/Santiago"]),
    st.integers(min_value=1, max_value=12),
)  # fmt: skip
def test_a_month_ends_on_its_date_and_a_period_never_before_it_began(
    start: int, zone: str, months: int
) -> None:
    due, note = end_of_period(DutyPeriod(months=months), start, zone)
    assert due is not None and note == "" and due > start
    began, ended = (datetime.fromtimestamp(one, ZoneInfo(zone)).date() for one in (start, due))
    assert (ended.year * 12 + ended.month) - (began.year * 12 + began.month) == months
    assert ended.day == began.day or (ended.day < began.day and (ended.day >= 28))
    assert datetime.fromtimestamp(due + 1, ZoneInfo(zone)).date() > ended, "the last second of that day"
    hours = end_of_period(DutyPeriod(hours=72), start, zone)[0]
    assert hours == start + 72 * HOUR


def test_a_new_law_is_one_file_in_the_home(tmp_path: Path) -> None:
    law = {
        "template": "moon", "version": 1, "title": "The Moon's own law", "applies_from": "2030-01-01",
        "source": {"act": "Act 1", "published": "OJ Moon 1", "url": "https://moon.example", "read": "2030-01-01"},
        "follows": "hours", "duties": [{"duty": "call", "stage": "call", "title": "Call Earth", "article": "1", "from": "landed", "within": {"hours": 2}}],
    }  # fmt: skip
    (tmp_path / "duties").mkdir()
    (tmp_path / "duties" / "moon.json").write_text(json.dumps(law))
    (tmp_path / "duties" / "gdpr.json").write_text(json.dumps({**law, "template": "gdpr", "title": "ours"}))
    found = load_duty_templates(tmp_path)
    assert found["gdpr"].title == "ours", "a home's own takes the place of the program's"
    assert duties_of(found["moon"], {"landed": 100}, "UTC", 100)[0].due == 100 + 2 * HOUR
    (tmp_path / "duties" / "moon.json").rename(tmp_path / "duties" / "sun.json")
    with pytest.raises(AuthorError) as caught:
        load_duty_templates(tmp_path)
    assert caught.value.hint == "call the file moon.json"


def _template(**change: object) -> bytes:
    duty = {"duty": "a", "stage": "a", "title": "t", "article": "1", "from": "aware", "within": {"hours": 1}}
    return json.dumps(
        {
            "template": "x", "version": 1, "title": "t", "applies_from": "2026-01-01", "follows": "f",
            "source": {"act": "a", "published": "p", "url": "u", "read": "2026-01-01"}, "duties": [duty | change],
        }
    ).encode()  # fmt: skip


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[]", b"\xff", b'{"template": 1}', b"[" * 5_000, b"x" * (TEMPLATE_BYTES_MAX + 1),
        _template(within={}), _template(within={"hours": 1, "days": 1}), _template(within={"hours": 0}), _template(within={"hours": 1, "moves": "next-working-day"}),
        _template(extra=1), _template(**{"from": "submitted:other"}), _template(stops=["submitted:b"]), _template(stage="A b"),
        _template(within={"months": 13}), _template(asks=[{"ask": "x", "fill": "moon"}]),
    ],
)  # fmt: skip
def test_a_file_that_is_no_template_is_refused_with_its_place(raw: bytes) -> None:
    with pytest.raises(AuthorError) as caught:
        read_template(raw, "x.json")
    assert caught.value.reason == "bad-template" and "x.json" in caught.value.message and caught.value.hint


def test_two_duties_of_one_stage_are_refused() -> None:
    parsed = json.loads(_template())
    parsed["duties"] *= 2
    with pytest.raises(AuthorError, match="two duties of one stage"):
        read_template(json.dumps(parsed).encode(), "x.json")


def test_the_template_of_a_valid_file_is_read() -> None:
    assert isinstance(read_template(_template(), "x.json"), DutyTemplate)
    assert datetime.fromtimestamp(0, UTC).year == 1970
