"""What the entries of an incident say: the content of each kind (docs/incidents.md, "Kinds of entry").

Each is one canonical map with exactly the keys 0, 1, 2 ... in the order of the fields here, but a note, which is its text. Deciding
kinds have no audience; what does not read so has no effect (`bad-body`), the same for every member.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.incident_words import (
    DETERMINATIONS,
    ENUMERATED_DETAILS,
    EVENT_STATUSES,
    FIDELITIES,
    IMPACT_DETAILS,
    LESSON_STATUSES,
    OPINION_WORDS,
    OWN_STATUSES,
    RECOVERABILITIES,
    TASK_OUTCOMES,
)
from p2pshare.limits import SPACE_MEMBERS_MAX, VALUE_BYTES_MAX
from p2pshare.spaces.entry_fields import (
    DECIDING_TEXT_BYTES_MAX,
    TIME_MAX,
    ascend,
    blob,
    entry,
    entry_or_none,
    map_of,
    one_of,
    optional_word,
    partners,
    stated_time,
    text_of,
    time,
    word,
)
from p2pshare.spaces.notebook import read_text

TITLE_BYTES_MAX = 256  # of a task: what stands in a list
CONTENT_TEXT_BYTES_MAX = 65_536  # of an event, an impact, a question: a long report
OBJECT_STIX_BYTES_MAX = 196_608  # a STIX object beside its value; larger ones travel as `part`
DETAIL_BYTES_MAX = 256  # of one property of an impact
DETAILS_MAX = 16  # properties of one impact: the longest category has 7
COUNTS_MAX = 32  # kinds of things that one impact counts: the vocabulary has 23
TYPES_MAX = 16  # words for one incident, event or task
ZONE_BYTES_MAX = 64  # the longest name in the tz database has 32
CRITICALITY_MAX = 100  # STIX's scale

IncidentWords = tuple[str, ...]


class IncidentEvent(NamedTuple):
    """`event`: something that happened, or may. Times in unix seconds, 0: not stated."""

    status: str
    start: int
    start_fidelity: str
    end: int
    end_fidelity: str
    types: IncidentWords
    text: str


class IncidentImpact(NamedTuple):
    """`impact`: one category of harm. `details` and `counts` are pairs with ascending keys."""

    category: str
    details: tuple[tuple[str, str], ...]
    start: int
    end: int
    criticality: tuple[int, ...]
    recoverability: str
    counts: tuple[tuple[str, int], ...]
    text: str


class IncidentObject(NamedTuple):
    """`object`: an observable, a rule or a vulnerability by type and value, with its STIX object as its author wrote it, or b""."""

    type: str
    value: str
    text: str
    stix: bytes


class IncidentOpinion(NamedTuple):
    """`opinion`: on an entry, or (b"") on the determination; `determination` is the one its author would make, or ""."""

    opinion: str
    about: bytes
    determination: str
    text: str


class IncidentQuestion(NamedTuple):
    """`ask`: a question to members, ascending; to nobody: to all."""

    to: tuple[PartnerId, ...]
    text: str


class IncidentAnswer(NamedTuple):
    """`answer`: to a question."""

    ask: EntryId
    text: str


class IncidentRecurrence(NamedTuple):
    """`recurrence`: a value of the incident was seen again; `day` is the first second of its day in UTC."""

    type: str
    value: str
    day: int
    text: str


class IncidentTask(NamedTuple):
    """`task`: work to be done; due at a time, or 0."""

    title: str
    text: str
    due: int
    types: IncidentWords


class TaskClaim(NamedTuple):
    """`claim`, `release`: its author takes a task, or lets it go."""

    task: EntryId


class TaskAssignment(NamedTuple):
    """`assign`: the lead gives a task to a member, or to nobody."""

    task: EntryId
    to: tuple[PartnerId, ...]


class TaskOutcome(NamedTuple):
    """`outcome`: what came of a task."""

    task: EntryId
    outcome: str
    text: str


class OwnStatus(NamedTuple):
    """`own-status`: how far its author is, in its own house."""

    status: str
    text: str


class IncidentDetermination(NamedTuple):
    """`determination`: what the incident is. `criticality` is 0 to 100, or not stated."""

    determination: str
    criticality: tuple[int, ...]
    types: IncidentWords
    text: str


class DutyStatement(NamedTuple):
    """`duty`: its author states when an event took place from which its duties under a template run; `zone` is where it is bound."""

    event: str
    stage: str
    template: str
    at: int
    zone: str
    text: str


class IncidentLesson(NamedTuple):
    """`lesson`: what is to be done so that it does not happen again; `lesson` b"": a new one, else the one it changes."""

    lesson: bytes
    text: str
    owner: tuple[PartnerId, ...]
    due: int
    link: str
    status: str


class IncidentClosing(NamedTuple):
    """`close`, `reopen`: with a reason."""

    text: str


class IncidentDuplicate(NamedTuple):
    """`duplicate`: another space is about the same incident."""

    space: EntryId
    text: str


IncidentBody = (
    IncidentEvent
    | IncidentImpact
    | IncidentObject
    | IncidentOpinion
    | IncidentQuestion
    | IncidentAnswer
    | IncidentRecurrence
    | IncidentTask
    | TaskClaim
    | TaskAssignment
    | TaskOutcome
    | OwnStatus
    | IncidentDetermination
    | DutyStatement
    | IncidentLesson
    | IncidentClosing
    | IncidentDuplicate
)


def encode_incident(body: IncidentBody) -> bytes:
    """Returns the content of an entry that says `body`."""
    return pack(dict(enumerate(body)))


# --- fields --------------------------------------------------------------------------------------------


def _words(reader: Reader) -> IncidentWords:
    words = tuple(word(reader) for _ in range(reader.array(0, TYPES_MAX)))
    ascend(words)
    return words


def _day(reader: Reader) -> int:
    day = reader.integer(TIME_MAX)
    if day % 86_400:
        raise refusal("malformed", "a day begins at midnight UTC")
    return day


def _scale(reader: Reader) -> tuple[int, ...]:
    return tuple(reader.integer(CRITICALITY_MAX) for _ in range(reader.array(0, 1)))


def _details(reader: Reader) -> tuple[tuple[str, str], ...]:
    found = []
    for _ in range(reader.array(1, DETAILS_MAX)):
        reader.array(2, 2)
        found.append((word(reader), reader.text(1, DETAIL_BYTES_MAX)))
    ascend([key for key, _ in found])
    return tuple(found)


def _counts(reader: Reader) -> tuple[tuple[str, int], ...]:
    found = []
    for _ in range(reader.array(0, COUNTS_MAX)):
        reader.array(2, 2)
        found.append((word(reader), reader.integer()))
    ascend([key for key, _ in found])
    return tuple(found)


def _zone(reader: Reader) -> str:
    zone = reader.text(1, ZONE_BYTES_MAX)
    if not (
        zone.isascii() and zone.replace("/", "").replace("_", "").replace("-", "").replace("+", "").isalnum()
    ):
        raise refusal("malformed", "a time zone has other characters than such names have")
    return zone


def _impact(content: bytes) -> IncidentImpact:
    impact = _plain_impact(content)
    needed, also = IMPACT_DETAILS[impact.category]
    details = dict(impact.details)
    if needed not in details or not details.keys() <= {needed, *also}:
        raise refusal("malformed", "an impact does not have the properties of its category")
    for key, words in ENUMERATED_DETAILS.items():
        if details.get(key, words[0]) not in words:
            raise refusal("malformed", "a property of an impact is none of those that may stand there")
    return impact


def _duty(content: bytes) -> DutyStatement:
    duty = _plain_duty(content)
    if (duty.event == "submitted") != bool(duty.stage):
        raise refusal("malformed", "what was submitted names its stage, and nothing else does")
    return duty


_deciding_text = text_of(0, DECIDING_TEXT_BYTES_MAX)
_content_text = text_of(0, CONTENT_TEXT_BYTES_MAX)

_plain_impact = map_of(
    IncidentImpact,
    one_of(tuple(IMPACT_DETAILS)),
    _details,
    time,
    time,
    _scale,
    one_of(RECOVERABILITIES, or_none=True),
    _counts,
    _content_text,
)
_plain_duty = map_of(DutyStatement, word, optional_word, word, stated_time, _zone, _deciding_text)
_closing = map_of(IncidentClosing, _deciding_text)
_claim = map_of(TaskClaim, entry)

READERS: Mapping[str, Callable[[bytes], object]] = {
    "note": read_text,
    "event": map_of(
        IncidentEvent,
        one_of(EVENT_STATUSES),
        time,
        one_of(FIDELITIES, or_none=True),
        time,
        one_of(FIDELITIES, or_none=True),
        _words,
        _content_text,
    ),
    "impact": _impact,
    "object": map_of(
        IncidentObject,
        word,
        text_of(1, VALUE_BYTES_MAX),
        _content_text,
        blob(0, OBJECT_STIX_BYTES_MAX),
    ),
    "opinion": map_of(
        IncidentOpinion,
        one_of(OPINION_WORDS),
        entry_or_none,
        one_of(DETERMINATIONS, or_none=True),
        _content_text,
    ),
    "ask": map_of(IncidentQuestion, partners(SPACE_MEMBERS_MAX), text_of(1, CONTENT_TEXT_BYTES_MAX)),
    "answer": map_of(IncidentAnswer, entry, text_of(1, CONTENT_TEXT_BYTES_MAX)),
    "recurrence": map_of(IncidentRecurrence, word, text_of(1, VALUE_BYTES_MAX), _day, _content_text),
    "task": map_of(IncidentTask, text_of(1, TITLE_BYTES_MAX), _deciding_text, time, _words),
    "claim": _claim,
    "release": _claim,
    "assign": map_of(TaskAssignment, entry, partners(1)),
    "outcome": map_of(TaskOutcome, entry, one_of(TASK_OUTCOMES), _deciding_text),
    "own-status": map_of(OwnStatus, one_of(OWN_STATUSES), _deciding_text),
    "determination": map_of(IncidentDetermination, one_of(DETERMINATIONS), _scale, _words, _deciding_text),
    "duty": _duty,
    "lesson": map_of(
        IncidentLesson,
        entry_or_none,
        text_of(1, DECIDING_TEXT_BYTES_MAX),
        partners(1),
        time,
        text_of(0, TITLE_BYTES_MAX),
        one_of(LESSON_STATUSES),
    ),
    "close": _closing,
    "reopen": _closing,
    "duplicate": map_of(IncidentDuplicate, entry, _deciding_text),
}
"""Kind of an entry -> reads its content. Raises PeerError `malformed`, `not-canonical`."""
