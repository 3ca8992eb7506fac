"""Duties to report: what a law asks of an organisation after an event, as data, and how each duty stands at a time.

A template is one JSON file (`config/duties/`, docs/incidents.md, "Duties"). Its duties name the event each runs from, the period, and what
stops it. Nothing is guessed: a duty whose event nobody stated does not run. Periods follow Regulation (EEC, Euratom) No 1182/71
where the template says so, and where a law leaves two readings the earlier one:

1. Hours are elapsed time, whatever the clocks on the wall do. Article 3(1) would let the hour begun not count; here it does.
2. Days and months run by the date in the organisation's own zone, and end with the last second of the same date, or of the last day of a
   shorter month (Article 3(2)(c)). A period that ends on no working day is moved where the template says so (Article 3(4)).
3. Working days are all but Saturday, Sunday and the holidays that are given. Without a list of those a duty looks earlier, never later.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.limits import KIB

TEMPLATE_BYTES_MAX = 64 * KIB  # a file: the longest here has 3 KiB
DUTIES_PER_TEMPLATE_MAX = 32  # a law asks for three to six reports
ASKS_MAX = 32  # things that one report must say
HOURS_MAX = 8_784  # a year: beyond it a period is no duty of an incident
NOON = time(12)

TemplateWord = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,31}\Z")]
DutyEventName = Annotated[
    str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,31}(:[a-z0-9][a-z0-9.-]{0,31})?\Z")
]
TemplateLine = Annotated[str, msgspec.Meta(min_length=1, max_length=1_024)]

NOT_RUNNING, RUNNING, OVERDUE, DONE = "not-running", "running", "overdue", "done"


class DutyPeriod(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A length of time: exactly one of hours, days and months. `moves` is for days and months that end on no working day."""

    hours: Annotated[int, msgspec.Meta(ge=1, le=HOURS_MAX)] | None = None
    days: Annotated[int, msgspec.Meta(ge=1, le=366)] | None = None
    months: Annotated[int, msgspec.Meta(ge=1, le=12)] | None = None
    moves: Literal["never", "next-working-day", "noon-of-next-working-day"] = "never"

    def __post_init__(self) -> None:
        if sum(one is not None for one in (self.hours, self.days, self.months)) != 1:
            raise ValueError("a period has hours, or days, or months")
        if self.hours is not None and self.moves != "never":
            raise ValueError("a period in hours is not moved")


class DutyBound(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"event": "from"}):
    """A second end, by another event: the earlier counts, unless the duty began to run only after it."""

    event: DutyEventName
    within: DutyPeriod


class DutyAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a report must say. `fill`: the part of the incident that says it, or "" where a person writes it."""

    ask: TemplateLine
    fill: Literal["", "aware", "what", "impacts", "indicators", "timeline", "tasks", "lessons", "members"] = (
        ""
    )


class DutyRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"event": "from"}):
    """One report that a law asks for. `stops`: events after which it does not run any more, beside its own submission."""

    duty: TemplateWord
    stage: TemplateWord
    title: TemplateLine
    article: TemplateLine
    event: DutyEventName
    within: DutyPeriod
    at_most: DutyBound | None = None
    stops: Annotated[tuple[DutyEventName, ...], msgspec.Meta(max_length=8)] = ()
    asks: Annotated[tuple[DutyAsk, ...], msgspec.Meta(max_length=ASKS_MAX)] = ()


class DutySource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where it stands in the law, and on which day somebody read it there."""

    act: TemplateLine
    published: TemplateLine
    url: TemplateLine
    read: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]


class DutyTemplate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one law asks for. `version` changes with each change of the file."""

    template: TemplateWord
    version: Annotated[int, msgspec.Meta(ge=1)]
    title: TemplateLine
    applies_from: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
    source: DutySource
    follows: TemplateLine
    """Which rules of counting time it takes, in words."""
    duties: Annotated[tuple[DutyRule, ...], msgspec.Meta(min_length=1, max_length=DUTIES_PER_TEMPLATE_MAX)]

    def names(self, event: str) -> bool:
        """Returns whether a duty runs from an event, or ends by it."""
        return any(
            event in (rule.event, *rule.stops) or (rule.at_most is not None and event == rule.at_most.event)
            for rule in self.duties
        )

    def rule_of(self, stage: str) -> DutyRule | None:
        """Returns the duty of a stage."""
        return next((rule for rule in self.duties if rule.stage == stage), None)


@dataclass(frozen=True, slots=True)
class DutyStanding:
    """How a duty stands. `runs_from`, `due`, `submitted_at` in unix seconds; `due` None where it does not run, or cannot be told."""

    duty: str
    template: str
    stage: str
    event: str
    runs_from: int | None
    due: int | None
    state: str
    submitted_at: int | None
    note: str = ""
    """A word: `unknown-zone`, `beyond-calendar`, `bound-unknown` (a second event is not stated), `late` (submitted after it was due)."""


_decode = msgspec.json.Decoder(DutyTemplate).decode


def read_template(raw: bytes, name: str) -> DutyTemplate:
    """Returns the template of a file called `name`. Raises AuthorError `bad-template` with the place in it."""
    hint = "docs/incidents.md, Duties, says what a template has"
    if len(raw) > TEMPLATE_BYTES_MAX:
        raise AuthorError(
            f"{name} is larger than {TEMPLATE_BYTES_MAX} bytes", hint=hint, reason="bad-template"
        )
    try:
        template = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AuthorError(f"{name} is no duty template: {error}", hint=hint, reason="bad-template") from None
    stages = [rule.stage for rule in template.duties]
    if len(set(stages)) != len(stages):
        raise AuthorError(f"{name} has two duties of one stage", hint=hint, reason="bad-template")
    known = {"submitted:" + stage for stage in stages}
    for rule in template.duties:
        events = (rule.event, *rule.stops, *((rule.at_most.event,) if rule.at_most else ()))
        unknown = [event for event in events if ":" in event and event not in known]
        if unknown:
            raise AuthorError(
                f"{name}: {rule.duty} names {unknown[0]}, and no duty of it has that stage",
                hint=hint,
                reason="bad-template",
            )
    return template


def duties_of(
    template: DutyTemplate, events: Mapping[str, int], zone: str, now: int, holidays: Collection[str] = ()
) -> list[DutyStanding]:
    """Returns how each duty of one organisation stands at `now`.

    `events`: name (`aware`, `submitted:early`) to unix seconds, as the organisation stated them. `zone`: a name of the tz database.
    `holidays`: dates (`2026-12-25`) that are no working days.
    """
    return [duty_of(template.template, rule, events, zone, now, holidays) for rule in template.duties]


def duty_of(
    template: str, rule: DutyRule, events: Mapping[str, int], zone: str, now: int, holidays: Collection[str]
) -> DutyStanding:
    """Returns how one duty stands; as `duties_of`."""
    runs_from = events.get(rule.event)
    submitted_at = events.get(f"submitted:{rule.stage}")
    due: int | None = None
    note = ""
    if runs_from is not None:
        due, note = _due(rule, runs_from, events, zone, holidays)
    if submitted_at is not None:
        state = DONE
        if due is not None and submitted_at > due:
            note = "late"
    elif runs_from is None or any(event in events for event in rule.stops):
        state, due, note = NOT_RUNNING, None, ""
    else:
        state = OVERDUE if due is not None and now > due else RUNNING
    return DutyStanding(
        rule.duty, template, rule.stage, rule.event, runs_from, due, state, submitted_at, note
    )


def _due(
    rule: DutyRule, runs_from: int, events: Mapping[str, int], zone: str, holidays: Collection[str]
) -> tuple[int | None, str]:
    due, note = end_of_period(rule.within, runs_from, zone, holidays)
    if rule.at_most is None or due is None:
        return due, note
    began = events.get(rule.at_most.event)
    if began is None:
        return due, "bound-unknown"
    bound, bound_note = end_of_period(rule.at_most.within, began, zone, holidays)
    if bound is None:
        return due, bound_note
    return (due if runs_from > bound else min(due, bound)), note


def end_of_period(
    period: DutyPeriod, start: int, zone: str, holidays: Collection[str] = ()
) -> tuple[int | None, str]:
    """Returns the last second of a period from `start` (unix seconds) on; or None, and a word why nobody can say."""
    try:
        if period.hours is not None:
            return _unix(datetime.fromtimestamp(start, UTC) + timedelta(hours=period.hours)), ""
        try:
            place = ZoneInfo(zone)
        except (
            KeyError,
            ValueError,
            OSError,
        ):  # not found, a name that is no name, or that of something else
            return None, "unknown-zone"
        began = datetime.fromtimestamp(start, place).date()
        last = (
            began + timedelta(days=period.days) if period.days else _months_later(began, period.months or 0)
        )
        if period.moves == "never" or _is_working(last, holidays):
            return _end_of_day(last, place), ""
        while not _is_working(last, holidays):
            last += timedelta(days=1)
        if period.moves == "next-working-day":
            return _end_of_day(last, place), ""
        return _unix(datetime.combine(last, NOON, place)), ""
    except (OverflowError, OSError):
        return None, "beyond-calendar"
    except (
        KeyError,
        ValueError,
    ):  # ZoneInfoNotFoundError is a KeyError; a name that is no name, a ValueError
        return None, "unknown-zone"


def is_zone(name: str) -> bool:
    """Returns whether a name is one of the tz database, as it is on this machine."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def read_time(text: str, zone: str = "") -> int | None:
    """Returns a time that a person wrote, in unix seconds; None for what is none, or is not one time.

    With an offset it is RFC 3339, or the same without seconds; without one it is by the clocks of `zone`, and not one time where
    they were put back or forward just then.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if moment.tzinfo is None:
        if not is_zone(zone):
            return None
        moment = moment.replace(tzinfo=ZoneInfo(zone))
        if moment.utcoffset() != moment.replace(fold=1).utcoffset():
            return None
    try:
        return int(moment.timestamp())
    except (OverflowError, OSError, ValueError):
        return None


def _months_later(day: date, months: int) -> date:
    """Returns the same date so many months later, or the last day of a shorter month."""
    whole = day.year * 12 + day.month - 1 + months
    year, month = divmod(whole, 12)
    if not 1 <= year < 9_999:
        raise OverflowError
    first_of_next = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    return date(year, month + 1, min(day.day, (first_of_next - timedelta(days=1)).day))


def _is_working(day: date, holidays: Collection[str]) -> bool:
    return day.weekday() < 5 and day.isoformat() not in holidays


def _end_of_day(day: date, place: ZoneInfo) -> int:
    """Returns the last second of a day in a zone: the one before the next begins, however long the day is there."""
    return _unix(datetime.combine(day + timedelta(days=1), time(0), place)) - 1


def _unix(moment: datetime) -> int:
    return int(moment.timestamp())
