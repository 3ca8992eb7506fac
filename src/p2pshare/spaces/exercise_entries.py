"""What the entries of an exercise say: the content of each kind (docs/exercises.md, "Kinds of entry").

Each is one canonical map with exactly the keys 0, 1, 2 ... in the order of the fields here, but a note, which is its text. All others are
deciding: every member computes the same score from them. The pack, payloads and the STIX objects that players publish are in none of them;
they travel as `part`, and an entry names them by their SHA-256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.exercise_pack import (
    EXERCISE_KINDS,
    INJECT_BYTES_MAX,
    INJECTS_MAX,
    LEAF_BYTES,
    OBJECTIVES_MAX,
    PACK_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    PLACES_MAX,
    ROLES,
    SALT_BYTES,
    SECONDS_MAX,
    TIME_FACTOR_MAX,
    ExercisePack,
    PackInject,
    PackObjective,
    PackPlace,
    inject_jcs,
)
from p2pshare.limits import SPACE_MEMBERS_MAX, VALUE_BYTES_MAX
from p2pshare.spaces.acts import decode_plain
from p2pshare.spaces.entry_fields import (
    DECIDING_TEXT_BYTES_MAX,
    ascend,
    blob,
    entry,
    map_of,
    one_of,
    partners,
    stated_time,
    text_of,
    time,
    word,
)
from p2pshare.spaces.notebook import read_text

PLACE_ID_BYTES_MAX = 32
ID_BYTES_MAX = 64  # of a pack, an expectation
LINE_BYTES_MAX = 256  # what stands in a line of a list: names, titles, versions
OBJECTIVE_BYTES_MAX = 1_024  # of an objective's text; the whole is in the archive
CHOICE_BYTES_MAX = 1_024  # a choice of 256 characters, as packs have it
STATED_VALUES_MAX = 16  # in one object or withdrawal: ten thousand such entries are read in two seconds; more values take more entries
SIGHTINGS_MAX = 1_000_000  # that one sighting tells of
STAMPED_MAX = 1_024  # entries in one stamp: 35 KB
ATTESTED_MAX = 128  # acts in one stamp, each with up to a page of text
DETAIL_BYTES_MAX = 1_024  # of an attested act: what words are looked for in
TLP_MAX = 4  # RED
SHA256_BYTES, SHA384_BYTES = 32, 48

ATTESTED_ACTIONS = (
    "ask",
    "determine",
    "duty-done",
    "incident-close",
    "incident-join",
    "incident-open",
    "note",
    "own-status",
    "task-done",
)
"""What is done in incidents of the realm, and what is content: a stamp says that it was done."""
RATINGS = ("P", "S", "M", "U")

StatedValues = tuple[tuple[str, str], ...]
"""(STIX type, canonical value), ascending."""
NamedPartners = tuple[PartnerId, ...]


class StatedPack(NamedTuple):
    """`pack`: what is played, and the commitment to it. `archive`: the SHA-256 of the archive of the whole, which white members have.

    `leaves` (each SHA-384 cut to 32 bytes) are of the injects 1, 2, 3 ... in their order.
    """

    archive: bytes
    size: int
    id: str
    version: str
    name: str
    kind: str
    language: str
    duration_seconds: int
    time_factor: int
    objectives: tuple[PackObjective, ...]
    places: tuple[PackPlace, ...]
    leaves: tuple[bytes, ...]

    def place(self, place_id: str) -> PackPlace | None:
        """Returns the place of that id."""
        return next((place for place in self.places if place.id == place_id), None)


class ExerciseStart(NamedTuple):
    """`start`: the clock begins, so many exercise seconds in one of the world."""

    time_factor: int


class ExercisePause(NamedTuple):
    """`pause`: the clock stands still. `is_real_event` 1: because something happens in the world; any member may say so."""

    is_real_event: int


class ExerciseInject(NamedTuple):
    """`inject`: one is released. `jcs`: what its leaf covers; the payload travels as `part` before it, and is named by its two digests.

    Without a payload `payload_sha384` is that of no bytes, `payload_sha256` empty and `payload_size` 0.
    """

    number: int
    salt: bytes
    jcs: bytes
    payload_sha384: bytes
    payload_sha256: bytes
    payload_size: int


class AttestedAct(NamedTuple):
    """What a member did where no fold of an exercise looks: in an incident of the realm, or as content. `created` in unix seconds.

    `detail`: of `incident-*` its types and of `task-done` those of the task, with blanks between; of `own-status`, `determine` the word; of
    `duty-done` TEMPLATE or TEMPLATE:STAGE; of `note` and `ask` the text, cut. `to`: whom a note or question is for, nobody: all.
    """

    entry: EntryId
    author: PartnerId
    action: str
    detail: str
    to: NamedPartners
    created: int


class ExerciseStamp(NamedTuple):
    """`stamp`: what the lead has received: entries of this space, ascending, and acts elsewhere, ascending by entry."""

    entries: tuple[EntryId, ...]
    attested: tuple[AttestedAct, ...]


class InjectAck(NamedTuple):
    """`inject-ack`: its author has read an inject."""

    inject: int


class InjectAnswer(NamedTuple):
    """`answer`: to an inject, in words or by a choice that it offers."""

    inject: int
    choice: str
    text: str


class ExerciseObject(NamedTuple):
    """`object`: what is published in play. `to` nobody: all. `digest`, `size`: of the STIX, which travels as `part` before it."""

    values: StatedValues
    to: NamedPartners
    tlp: int
    digest: bytes
    size: int


class ExerciseSighting(NamedTuple):
    """`sighting`: a value was seen so many times, or (`is_false_positive` 1) is nothing bad. `to` nobody: all."""

    type: str
    value: str
    times: int
    is_false_positive: int
    to: NamedPartners


class ExerciseWithdrawal(NamedTuple):
    """`withdrawal`: its author does not say these any more."""

    values: StatedValues
    text: str


class ExerciseObservation(NamedTuple):
    """`observation`: what an evaluator saw. `inject` 0, `expectation` "", `objective` "", `about` nobody: of none in particular, of all.

    `rating`: P, S, M, U (HSEEP), or "". An improvement item has a text, and may have an owner and a time at which it is due (or 0).
    """

    inject: int
    expectation: str
    objective: str
    about: NamedPartners
    rating: str
    text: str
    item: str
    owner: NamedPartners
    due: int


ExerciseBody = (
    StatedPack
    | ExerciseStart
    | ExercisePause
    | ExerciseInject
    | ExerciseStamp
    | InjectAck
    | InjectAnswer
    | ExerciseObject
    | ExerciseSighting
    | ExerciseWithdrawal
    | ExerciseObservation
)


def encode_exercise(body: ExerciseBody) -> bytes:
    """Returns the content of an entry that says `body`. `resume` and `end` are `acts.Plain`."""
    return pack(_plain(dict(enumerate(body))))


def attested_bytes(act: AttestedAct) -> int:
    """Returns how many bytes of a stamp an attested act takes."""
    return len(pack(_plain(tuple(act))))


def _plain(value: Any) -> Any:
    """Returns a value whose tuples are lists, as msgpack writes them anyhow, and whose flags are integers."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, bool) else value


def stated_pack(whole: ExercisePack, archive: bytes, leaves: Sequence[bytes]) -> StatedPack:
    """Returns what the entry `pack` says of a pack, its archive and its leaves. Texts that are longer than an entry has room for are cut; the
    archive has them whole."""
    return StatedPack(
        hashlib.sha256(archive).digest(),
        len(archive),
        whole.id,
        cut(whole.version, LINE_BYTES_MAX),
        cut(whole.name, LINE_BYTES_MAX),
        whole.kind,
        cut(whole.language, LINE_BYTES_MAX),
        whole.duration_seconds,
        whole.time_factor,
        tuple(PackObjective(one.id, cut(one.text, OBJECTIVE_BYTES_MAX)) for one in whole.objectives),
        tuple(one._replace(title=cut(one.title, LINE_BYTES_MAX)) for one in whole.places),
        tuple(leaves),
    )


def released_inject(inject: PackInject, salt: bytes, payload: bytes) -> ExerciseInject:
    """Returns what the entry says that releases an inject; `payload` is empty where it has none."""
    return ExerciseInject(
        inject.number,
        salt,
        inject_jcs(inject),
        hashlib.sha384(payload).digest(),
        hashlib.sha256(payload).digest() if inject.payload else b"",
        len(payload),
    )


def cut(text: str, most: int) -> str:
    """Returns the beginning of a text that has at most so many bytes in UTF-8; what is left out is shown as an ellipsis."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= most:
        return raw.decode("utf-8")
    return raw[: most - 3].decode("utf-8", "ignore") + "\N{HORIZONTAL ELLIPSIS}"


# --- fields --------------------------------------------------------------------------------------------


def _between(low: int, high: int) -> Callable[[Reader], int]:
    def read(reader: Reader) -> int:
        found = reader.integer(high)
        if found < low:
            raise refusal("malformed", f"a number is less than {low}")
        return found

    return read


def _line(most: int) -> Callable[[Reader], str]:
    """Returns a field for a text that must say something: blanks are nothing."""

    def read(reader: Reader) -> str:
        text = reader.text(1, most)
        if not text.strip():
            raise refusal("malformed", "a text that must say something is blank")
        return text

    return read


def _id(most: int, characters: frozenset[str], *, or_none: bool = False) -> Callable[[Reader], str]:
    def read(reader: Reader) -> str:
        found = reader.text(0 if or_none else 1, most)
        if not characters.issuperset(found):
            raise refusal("malformed", "an id has other characters than ids have")
        return found

    return read


def _objectives(reader: Reader) -> tuple[PackObjective, ...]:
    found = []
    for _ in range(reader.array(0, OBJECTIVES_MAX)):
        reader.array(2, 2)
        found.append(PackObjective(_objective_id(reader), reader.text(1, OBJECTIVE_BYTES_MAX)))
    _differ(one.id for one in found)
    return tuple(found)


def _places(reader: Reader) -> tuple[PackPlace, ...]:
    found = []
    for _ in range(reader.array(1, PLACES_MAX)):
        reader.array(4, 4)
        place_id, role = _place_id(reader), _role(reader)
        found.append(PackPlace(place_id, role, _title(reader), bool(_flag(reader))))
    _differ(one.id for one in found)
    return tuple(found)


def _differ(ids: Iterable[str]) -> None:
    listed = list(ids)
    if len(set(listed)) != len(listed):
        raise refusal("malformed", "two things have one id")


def _leaves(reader: Reader) -> tuple[bytes, ...]:
    return tuple(reader.blob(LEAF_BYTES, LEAF_BYTES) for _ in range(reader.array(1, INJECTS_MAX)))


def _values(reader: Reader) -> StatedValues:
    found = []
    for _ in range(reader.array(1, STATED_VALUES_MAX)):
        reader.array(2, 2)
        found.append((word(reader), reader.text(1, VALUE_BYTES_MAX)))
    ascend(found)
    return tuple(found)


def _entries(reader: Reader) -> tuple[EntryId, ...]:
    found = tuple(entry(reader) for _ in range(reader.array(0, STAMPED_MAX)))
    ascend(found)
    return found


def _attested(reader: Reader) -> tuple[AttestedAct, ...]:
    found = []
    for _ in range(reader.array(0, ATTESTED_MAX)):
        reader.array(6, 6)
        found.append(
            AttestedAct(
                entry(reader),
                PartnerId(reader.blob(PartnerId.length, PartnerId.length)),
                _action(reader),
                reader.text(0, DETAIL_BYTES_MAX),
                _to(reader),
                stated_time(reader),
            )
        )
    ascend([one.entry for one in found])
    return tuple(found)


_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_OBJECTIVE_CHARACTERS = _ID_CHARACTERS | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ._")

_place_id = _id(PLACE_ID_BYTES_MAX, _ID_CHARACTERS)
_objective_id = _id(PLACE_ID_BYTES_MAX, _OBJECTIVE_CHARACTERS)
_title = _line(LINE_BYTES_MAX)
_role = one_of(ROLES)
_flag = _between(0, 1)
_to = partners(SPACE_MEMBERS_MAX)
_action = one_of(ATTESTED_ACTIONS)
_sha256 = blob(SHA256_BYTES, SHA256_BYTES)
_number = _between(1, INJECTS_MAX)
_why = text_of(0, DECIDING_TEXT_BYTES_MAX)

_plain_inject = map_of(
    ExerciseInject,
    _number,
    blob(SALT_BYTES, SALT_BYTES),
    blob(1, INJECT_BYTES_MAX),
    blob(SHA384_BYTES, SHA384_BYTES),
    blob(0, SHA256_BYTES),
    _between(0, PAYLOAD_BYTES_MAX),
)
_plain_stamp = map_of(ExerciseStamp, _entries, _attested)
_plain_answer = map_of(InjectAnswer, _number, text_of(0, CHOICE_BYTES_MAX), _why)
_plain_observation = map_of(
    ExerciseObservation,
    _between(0, INJECTS_MAX),
    _id(ID_BYTES_MAX, _ID_CHARACTERS, or_none=True),
    _id(PLACE_ID_BYTES_MAX, _OBJECTIVE_CHARACTERS, or_none=True),
    partners(1),
    one_of(RATINGS, or_none=True),
    _why,
    _why,
    partners(1),
    time,
)


def _inject(content: bytes) -> ExerciseInject:
    inject = _plain_inject(content)
    if len(inject.payload_sha256) not in (0, SHA256_BYTES) or (
        not inject.payload_sha256 and inject.payload_size
    ):
        raise refusal("malformed", "a payload is named by both of its digests")
    return inject


def _stamp(content: bytes) -> ExerciseStamp:
    stamp = _plain_stamp(content)
    if not stamp.entries and not stamp.attested:
        raise refusal("malformed", "a stamp names nothing")
    return stamp


def _answer(content: bytes) -> InjectAnswer:
    answer = _plain_answer(content)
    if not answer.choice.strip() and not answer.text.strip():
        raise refusal("malformed", "an answer says nothing")
    return answer


def _observation(content: bytes) -> ExerciseObservation:
    observation = _plain_observation(content)
    if not (observation.rating or observation.text.strip() or observation.item.strip()):
        raise refusal("malformed", "an observation says nothing")
    return observation


READERS: Mapping[str, Callable[[bytes], object]] = {
    "note": read_text,
    "pack": map_of(
        StatedPack,
        _sha256,
        _between(1, PACK_BYTES_MAX),
        _id(ID_BYTES_MAX, _ID_CHARACTERS),
        _title,
        _title,
        one_of(EXERCISE_KINDS),
        _title,
        _between(1, SECONDS_MAX),
        _between(1, TIME_FACTOR_MAX),
        _objectives,
        _places,
        _leaves,
    ),
    "start": map_of(ExerciseStart, _between(1, TIME_FACTOR_MAX)),
    "pause": map_of(ExercisePause, _flag),
    "resume": decode_plain,
    "end": decode_plain,
    "inject": _inject,
    "stamp": _stamp,
    "inject-ack": map_of(InjectAck, _number),
    "answer": _answer,
    "object": map_of(
        ExerciseObject,
        _values,
        _to,
        _between(0, TLP_MAX),
        _sha256,
        _between(1, PACK_BYTES_MAX),
    ),
    "sighting": map_of(
        ExerciseSighting, word, text_of(1, VALUE_BYTES_MAX), _between(1, SIGHTINGS_MAX), _flag, _to
    ),
    "withdrawal": map_of(ExerciseWithdrawal, _values, _why),
    "observation": _observation,
}
"""Kind of an entry -> reads its content. Raises PeerError `malformed`, `not-canonical`."""
