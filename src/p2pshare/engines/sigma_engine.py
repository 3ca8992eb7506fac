"""Sigma: a rule becomes SQL (pySigma and its SQLite backend), and its samples a table that has the fields which the rule names.

SQLite and RE2 do the work; a connection that runs a rule's SQL may select, read and call functions, and nothing else. Runs in the cage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apsw
import re2

from p2pshare.engines.sample_events import FULLTEXT, TIMESTAMP, BadSample, EventFields, events_of
from p2pshare.engines.trial_words import EVENTS_MAX, EngineSample, TrialAnswer
from p2pshare.limits import MIB

CHUNK_EVENTS = 10_000  # in the table at once
CORRELATED_EVENTS_MAX = 10_000  # a correlation needs all of them in one table
REGEX_BYTES_MAX = 8 * MIB  # RE2's automaton: beyond it the pattern is refused, and never backtracks
FIELDS_MAX = 1_000  # that one rule names; SQLite takes 2,000 columns
_PLAIN = "SELECT * FROM logs WHERE "
_ALLOWED = (apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_FUNCTION)


class RuleFault(Exception):
    """A rule that cannot be run: a code of docs/labs-engines.md, and why."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(why)
        self.reason, self.why = reason, why


class PreparedRule(NamedTuple):
    """The statements of a rule file, and which fields they ask for: name in small letters -> whether it is compared with a number."""

    statements: tuple[str, ...]
    fields: Mapping[str, bool]
    is_correlation: bool


class ReadSample(NamedTuple):
    """A sample, and of which content it is: its events, or why nothing can be said of it."""

    label: str
    place: int
    events: list[EventFields] | BadSample


class SigmaSamples(NamedTuple):
    """The samples of so many contents."""

    contents: int
    read: list[ReadSample]


class SampleHits(NamedTuple):
    """One sample: whether anything can be said of it, how many events it has, how many matched, and of which content it is."""

    label: str
    place: int
    is_bad: bool
    events: int
    hits: int


def engine_name() -> str:
    """Returns the engine with the versions that decide what it says."""
    from importlib.metadata import version

    return (
        f"pySigma {version('pysigma')}, SQLite backend {version('pysigma-backend-sqlite')},"
        f" SQLite {apsw.sqlite_lib_version()}, RE2 {version('google-re2')}"
    )


def prepare(text: bytes) -> PreparedRule:
    """Returns what a rule file asks. Raises RuleFault `rule-refused`."""
    from sigma.backends.sqlite import sqliteBackend
    from sigma.collection import SigmaCollection
    from sigma.correlations import SigmaCorrelationRule

    try:
        collection = SigmaCollection.from_yaml(text.decode("utf-8"))
        fields: dict[str, bool] = {}
        is_correlation = False
        for rule in collection.rules:
            if isinstance(rule, SigmaCorrelationRule):
                is_correlation = True
                for name in rule.group_by or ():
                    fields.setdefault(name.lower(), False)
                for name in _condition_fields(rule):
                    fields.setdefault(name.lower(), False)
            else:
                for name, is_number in _fields(rule.detection.detections.values()):
                    fields[name.lower()] = fields.get(name.lower(), False) or is_number
        statements = tuple(str(one) for one in sqliteBackend(fulltext_field=FULLTEXT).convert(collection))
    except RecursionError:
        raise RuleFault("rule-refused", "the rule nests too deep") from None
    except Exception as error:  # noqa: BLE001 the library's errors have no common root
        raise RuleFault("rule-refused", f"{type(error).__name__}: {error}") from None
    if not statements:
        raise RuleFault("rule-refused", "the file holds no rule")
    fields.pop(FULLTEXT, None)
    fields.pop(TIMESTAMP, None)
    if len(fields) > FIELDS_MAX:
        raise RuleFault("rule-refused", f"the rule names {len(fields)} fields, of at most {FIELDS_MAX}")
    return PreparedRule(statements, fields, is_correlation)


def _condition_fields(rule: Any) -> Iterator[str]:
    named = getattr(rule.condition, "fieldref", None)
    for one in named if isinstance(named, list) else [named]:
        if isinstance(one, str):
            yield one
    for alias in getattr(rule.aliases, "aliases", {}) or {}:
        yield str(alias)
        for name in rule.aliases.aliases[alias].mapping.values():
            yield str(name)


def _fields(detections: Iterable[Any]) -> Iterator[tuple[str, bool]]:
    """Yields (field, whether it is compared with a number) of detections; without recursion."""
    from sigma.rule import SigmaDetection
    from sigma.types import SigmaCompareExpression, SigmaFieldReference, SigmaNumber

    stack = list(detections)
    while stack:
        one = stack.pop()
        if isinstance(one, SigmaDetection):
            stack += one.detection_items
        elif one.field is not None:
            yield (
                one.field,
                any(isinstance(value, (SigmaNumber, SigmaCompareExpression)) for value in one.value),
            )
            for value in one.value:
                if isinstance(value, SigmaFieldReference):
                    yield value.field, False


def read_samples(samples: Sequence[EngineSample]) -> SigmaSamples:
    """Returns the events of samples, read once for all rules. Raises RuleFault `too-many-events`."""
    read: list[ReadSample] = []
    count = 0
    for place, sample in enumerate(samples):
        for events in events_of(sample.kind, sample.content):
            count += 0 if isinstance(events, BadSample) else len(events)
            if count > EVENTS_MAX:
                raise RuleFault("too-many-events", f"the samples have more than {EVENTS_MAX} events")
            read.append(ReadSample(sample.label, place, events))
    return SigmaSamples(len(samples), read)


def try_rule(text: bytes, samples: SigmaSamples) -> TrialAnswer:
    """Returns what a rule makes of its samples. Raises RuleFault."""
    rule = prepare(text)
    connection = apsw.Connection(":memory:")
    patterns: Any = _Patterns().search
    connection.create_scalar_function("regexp", patterns, 2, deterministic=True)
    connection.execute("PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF")
    tried = _correlated if rule.is_correlation else _plain
    return answer_of(engine_name(), tried(connection, rule, samples.read), samples.contents)


def answer_of(engine: str, tried: Iterable[SampleHits], count: int) -> TrialAnswer:
    """Returns the counts of what was tried; `count` contents were."""
    tp = fn = fp = tn = errors = events = hits = 0
    hits_of = [0] * count
    for one in tried:
        events, hits = events + one.events, hits + one.hits
        if one.is_bad:
            errors += 1
            hits_of[one.place] = -1
            continue
        if hits_of[one.place] >= 0:
            hits_of[one.place] += one.hits
        if one.label == "positive":
            tp, fn = tp + (one.hits > 0), fn + (one.hits == 0)
        else:
            fp, tn = fp + (one.hits > 0), tn + (one.hits == 0)
    return TrialAnswer(
        engine,
        (),
        tp=tp,
        fn=fn,
        fp=fp,
        tn=tn,
        errors=errors,
        events=events,
        hits=hits,
        hits_of=tuple(hits_of),
    )


def _plain(
    connection: apsw.Connection, rule: PreparedRule, samples: Iterable[ReadSample]
) -> Iterator[SampleHits]:
    """Yields what a rule without correlation makes of each sample: chunks of events of many samples stand in the table at once."""
    waiting: list[tuple[str, int, int]] = []  # label, place and number of events
    chunk: list[EventFields] = []
    for label, place, events in samples:
        if isinstance(events, BadSample):
            yield SampleHits(label, place, True, 0, 0)
            continue
        waiting.append((label, place, len(events)))
        chunk += events
        if len(chunk) >= CHUNK_EVENTS:
            yield from _count(connection, rule, chunk, waiting)
            waiting, chunk = [], []
    yield from _count(connection, rule, chunk, waiting)


def _count(
    connection: apsw.Connection,
    rule: PreparedRule,
    chunk: list[EventFields],
    waiting: list[tuple[str, int, int]],
) -> Iterator[SampleHits]:
    found = set()
    if chunk:
        _fill(connection, rule, chunk)
        for statement in rule.statements:
            if not statement.startswith(_PLAIN):
                raise RuleFault("rule-refused", "the rule became a statement of another shape")
            condition = statement.removeprefix(
                _PLAIN
            )  # made by the backend; the authorizer says what it may do
            found |= {row for (row,) in _ask(connection, f"SELECT rowid FROM logs WHERE {condition}")}  # noqa: S608
    first = 1
    for label, place, events in waiting:
        hits = sum(row in found for row in range(first, first + events))
        first += events
        yield SampleHits(label, place, False, events, hits)


def _correlated(
    connection: apsw.Connection, rule: PreparedRule, samples: Iterable[ReadSample]
) -> Iterator[SampleHits]:
    """Yields what a correlation makes of each sample, which has the table for itself."""
    for label, place, events in samples:
        if isinstance(events, BadSample):
            yield SampleHits(label, place, True, 0, 0)
            continue
        if len(events) > CORRELATED_EVENTS_MAX:
            raise RuleFault(
                "too-many-events", f"a correlation reads at most {CORRELATED_EVENTS_MAX} events of a sample"
            )
        _fill(connection, rule, events)
        hits = sum(1 for statement in rule.statements for _ in _ask(connection, statement))
        yield SampleHits(label, place, False, len(events), hits)


def _fill(connection: apsw.Connection, rule: PreparedRule, events: list[EventFields]) -> None:
    """Put events into the table, in place of those before."""
    asked = [name for name in (TIMESTAMP, FULLTEXT) if any(name in one for one in rule.statements)]
    names = [*rule.fields, *asked] or [FULLTEXT]
    columns = ", ".join(
        f"{_quoted(name)} {'NUMERIC' if rule.fields.get(name) else ''} COLLATE NOCASE" for name in names
    )
    try:
        connection.execute(f"DROP TABLE IF EXISTS logs; CREATE TABLE logs ({columns})")
    except (apsw.Error, UnicodeError):
        raise RuleFault("rule-refused", "the rule names a field that can be no column") from None
    places = ", ".join("?" * len(names))
    connection.executemany(
        f"INSERT INTO logs VALUES ({places})",  # noqa: S608 question marks
        (
            [_column(event, name, is_number=rule.fields.get(name, False)) for name in names]
            for event in events
        ),
    )


def _column(event: EventFields, name: str, *, is_number: bool) -> str | int | float | None:
    value = event.get(name)
    return value if value is None or is_number or isinstance(value, str) else str(value)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _ask(connection: apsw.Connection, statement: str) -> list[tuple[Any, ...]]:
    """Returns the rows of a statement that a rule became. Raises RuleFault `rule-refused`."""

    def allow(action: int, *_: str | None) -> int:
        return apsw.SQLITE_OK if action in _ALLOWED else apsw.SQLITE_DENY

    connection.authorizer = allow
    try:
        return list(connection.execute(statement))
    except (apsw.Error, re2.error, UnicodeError) as error:
        raise RuleFault("rule-refused", f"{type(error).__name__}: {error}") from None
    finally:
        connection.authorizer = None


class _Patterns:
    """Regular expressions of RE2, each compiled once."""

    def __init__(self) -> None:
        self._options = re2.Options()
        self._options.max_mem = REGEX_BYTES_MAX
        self._options.log_errors = False
        self._compiled: dict[str, Any] = {}

    def search(self, pattern: str, value: object) -> int | None:
        """SQLite's REGEXP: `value REGEXP pattern` calls regexp(pattern, value)."""
        if value is None:
            return None
        compiled = self._compiled.get(pattern)
        if compiled is None:
            compiled = self._compiled[pattern] = re2.compile(pattern, self._options)
        return int(compiled.search(str(value)) is not None)


def warm() -> None:
    """Convert and run once, so that nothing is imported later."""
    sample = EngineSample(
        "positive", "event-json", b'{"a": "warm", "n": 1, "timestamp": "2026-11-30T08:00:00Z"}'
    )
    rule = (
        b"title: warm\nlogsource:\n  category: test\ndetection:\n  a:\n    a|re: w.*m\n    n|gt: 0\n  b:\n    - warm\n"
        b"    - x\n  condition: a or not 1 of b*\nlevel: low\ntags:\n  - attack.t1059\ndate: 2026-11-30\n"
    )
    try_rule(rule, read_samples([sample]))
