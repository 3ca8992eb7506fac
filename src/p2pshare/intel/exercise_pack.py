"""Packs of exercises: what a pack is, the bytes of an inject that its leaf covers, and the one archive of a whole pack (docs/exercise-packs.md).

A pack is read from a folder by `exercise_manifest` and checked by `importers.exercise_lint`; what is here travels. An inject is written as
its JCS (RFC 8785): it has no numbers but integers and no member names but ours, so sorted keys and the shortest escapes are all of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, NoReturn

import msgspec

from p2pshare.errors import AuthorError, PeerError
from p2pshare.limits import KIB, MIB

FORMAT = "p2pshare-exercise/1"
DOMAIN_INJECT = b"p2pshare/v1/inject\x00"
DOMAIN_PACK = b"p2pshare/v1/exercise-pack\x00"
SALT_BYTES = 16
LEAF_BYTES = 32
PACK_HASH_BYTES = 32

INJECTS_MAX = 1_000  # of a pack: a week of one every ten minutes
PAYLOAD_BYTES_MAX = MIB  # of one inject: an advisory, a feed of some thousand indicators
PACK_BYTES_MAX = 16 * MIB  # of an archive: it fits the 86 parts that one content may have
PLACES_MAX = 64  # of a pack; any number of partners may share one
OBJECTIVES_MAX = 64
EXPECTATIONS_MAX = 32  # of one inject
VALUES_MAX = 64  # of one match, and places that one inject or expectation names
EXPECTED_MAX = 4_096  # of one exercise, each expectation counted with its values and words: every node scores each of them
INJECT_BYTES_MAX = 128 * KIB  # of an inject's JCS: an entry has 256 KiB
NAME_CHARACTERS_MAX = 256  # what stands in a line of a list: names, titles, senders
TEXT_CHARACTERS_MAX = 16_384  # of an inject's text: six pages
EXPECTED_CHARACTERS_MAX = 4_096  # of a summary, an objective, an expected action: a page and a half
VALUE_CHARACTERS_MAX = 4_096  # as canonical values have
SECONDS_MAX = 31 * 86_400  # of exercise time: a month
TIME_FACTOR_MAX = 3_600  # an hour in a second
WEIGHT_MAX = 100
NUMBER_MAX = 2**53 - 1  # RFC 8785: beyond it a number has no one spelling
COUNT_MAX = 1_000  # sightings that one expectation asks for

EXERCISE_KINDS = ("tabletop", "functional", "communication-check", "drill")
ROLES = ("white", "red", "blue", "observer")
CHANNELS = ("message", "feed", "incident", "advisory")
EXPECTATION_KINDS = ("detect", "report", "share", "contain", "decide", "answer")
MATCH_FIELDS: Mapping[str, tuple[str, ...]] = {
    "acknowledge": (),
    "answer": ("choice", "number", "words"),
    "sight": ("values", "count_min", "false_positive"),
    "publish": ("values", "to", "tlp_max"),
    "withdraw": ("values",),
    "incident-open": ("incident_type",),
    "incident-join": ("incident_type",),
    "incident-close": ("incident_type",),
    "note": ("words", "to"),
    "ask": ("words", "to"),
    "task-done": ("task_type",),
    "own-status": ("status",),
    "determine": ("determination",),
    "duty-done": ("duty",),
    "rated": (),
}
"""Action -> what its match may say (docs/exercise-packs.md, "Actions")."""
TLP_WORDS = ("clear", "green", "amber", "amber+strict", "red")

MatchValue = str | int | bool | tuple[str, ...]


class PackObjective(NamedTuple):
    """What is to be shown to work."""

    id: str
    text: str


class PackPlace(NamedTuple):
    """A place that a partner takes. `many`: any number of partners may, and each is scored."""

    id: str
    role: str
    title: str
    many: bool


class PackExpectation(NamedTuple):
    """What players are to do. Times in exercise seconds from the release of the inject; `by`: the places that are scored."""

    id: str
    kind: str
    action: str
    match: Mapping[str, MatchValue]
    by: tuple[str, ...]
    within: int
    late_within: int | None
    weight: int


class PackInject(NamedTuple):
    """One thing that happens. Exactly one of `payload` (a path inside the folder) and `text` says something; the other is empty."""

    number: int
    at_seconds: int
    to: tuple[str, ...]
    sender: str
    channel: str
    objective: str
    payload: str
    text: str
    expected: str
    expect: tuple[PackExpectation, ...]


class ExercisePack(NamedTuple):
    """A whole pack but for the bytes of its payloads."""

    id: str
    version: str
    name: str
    kind: str
    language: str
    duration_seconds: int
    time_factor: int
    summary: str
    objectives: tuple[PackObjective, ...]
    places: tuple[PackPlace, ...]
    injects: tuple[PackInject, ...]

    def place(self, place_id: str) -> PackPlace | None:
        """Returns the place of that id."""
        return next((place for place in self.places if place.id == place_id), None)


class PackProblem(NamedTuple):
    """What is wrong with a pack: the rule, the place in it, what is there, and how it is mended."""

    rule: str
    where: str
    message: str
    mend: str = ""


# --- an inject as its leaf covers it ------------------------------------------------------------------

_Id = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,64}\Z")]
_PlaceId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,32}\Z")]
_ObjectiveId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,32}\Z")]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
_Page = Annotated[str, msgspec.Meta(max_length=EXPECTED_CHARACTERS_MAX)]
_Value = Annotated[str, msgspec.Meta(min_length=1, max_length=VALUE_CHARACTERS_MAX)]
_Values = Annotated[tuple[_Value, ...], msgspec.Meta(min_length=1, max_length=VALUES_MAX)]
_Places = Annotated[tuple[_PlaceId, ...], msgspec.Meta(min_length=1, max_length=VALUES_MAX)]
_Seconds = Annotated[int, msgspec.Meta(ge=0, le=SECONDS_MAX)]
_Span = Annotated[int, msgspec.Meta(ge=1, le=SECONDS_MAX)]


class _MatchForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    choice: _Value | None = None
    count_min: Annotated[int, msgspec.Meta(ge=1, le=COUNT_MAX)] | None = None
    determination: _Value | None = None
    duty: _Value | None = None
    false_positive: bool | None = None
    incident_type: _Value | None = None
    number: Annotated[int, msgspec.Meta(ge=-NUMBER_MAX, le=NUMBER_MAX)] | None = None
    status: _Value | None = None
    task_type: _Value | None = None
    tlp_max: Literal["clear", "green", "amber", "amber+strict", "red"] | None = None
    to: _Places | None = None
    values: _Values | None = None
    words: _Values | None = None


class _ExpectationForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: _Id
    kind: Literal["detect", "report", "share", "contain", "decide", "answer"]
    action: str
    match: _MatchForm
    by: _Places
    within: _Span
    late_within: _Span | None
    weight: Annotated[int, msgspec.Meta(ge=1, le=WEIGHT_MAX)]

    def __post_init__(self) -> None:
        known = MATCH_FIELDS.get(self.action)
        if known is None:
            raise ValueError("an expectation has an action that is none")
        if any(field not in known for field in _stated(self.match)):
            raise ValueError("an expectation has a match that its action has not")
        if self.late_within is not None and self.late_within <= self.within:
            raise ValueError("an expectation is late before it is due")


class _InjectForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"sender": "from"}):
    number: Annotated[int, msgspec.Meta(ge=1, le=INJECTS_MAX)]
    at: _Seconds
    to: _Places
    sender: _Name
    channel: Literal["message", "feed", "incident", "advisory"]
    objective: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{0,32}\Z")]
    payload: Annotated[str, msgspec.Meta(max_length=NAME_CHARACTERS_MAX)]
    text: Annotated[str, msgspec.Meta(max_length=TEXT_CHARACTERS_MAX)]
    expected: _Page
    expect: Annotated[tuple[_ExpectationForm, ...], msgspec.Meta(max_length=EXPECTATIONS_MAX)]

    def __post_init__(self) -> None:
        if bool(self.payload) == bool(self.text):
            raise ValueError("an inject has a text or a payload")


_decode_inject = msgspec.json.Decoder(_InjectForm).decode


def _stated(match: _MatchForm) -> dict[str, MatchValue]:
    """Returns what a match says."""
    return {field: value for field in match.__struct_fields__ if (value := getattr(match, field)) is not None}


def _inject_of(form: _InjectForm) -> PackInject:
    expect = tuple(
        PackExpectation(
            one.id,
            one.kind,
            one.action,
            _stated(one.match),
            one.by,
            one.within,
            one.late_within,
            one.weight,
        )
        for one in form.expect
    )
    return PackInject(
        form.number,
        form.at,
        form.to,
        form.sender,
        form.channel,
        form.objective,
        form.payload,
        form.text,
        form.expected,
        expect,
    )


def inject_json(inject: PackInject) -> dict[str, Any]:
    """Returns an inject as JSON has it: what its leaf covers."""
    return {
        "number": inject.number,
        "at": inject.at_seconds,
        "to": list(inject.to),
        "from": inject.sender,
        "channel": inject.channel,
        "objective": inject.objective,
        "payload": inject.payload,
        "text": inject.text,
        "expected": inject.expected,
        "expect": [
            {
                "id": one.id,
                "kind": one.kind,
                "action": one.action,
                "match": {
                    field: list(value) if isinstance(value, tuple) else value
                    for field, value in one.match.items()
                },
                "by": list(one.by),
                "within": one.within,
                "late_within": one.late_within,
                "weight": one.weight,
            }
            for one in inject.expect
        ],
    }


def inject_jcs(inject: PackInject) -> bytes:
    """Returns the JCS of an inject."""
    return _jcs(inject_json(inject))


def read_inject(jcs: bytes) -> PackInject:
    """Returns the inject that these bytes are the JCS of. Raises PeerError `oversized`, `malformed`, `not-canonical`."""
    if len(jcs) > INJECT_BYTES_MAX:
        raise PeerError(f"an inject is larger than {INJECT_BYTES_MAX} bytes", reason="oversized")
    try:
        inject = _inject_of(_decode_inject(jcs))
        written = inject_jcs(inject)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise PeerError(f"an inject does not read as one: {error}", reason="malformed") from None
    if written != jcs:
        raise PeerError("an inject is not written in its one canonical form", reason="not-canonical")
    return inject


def inject_leaf(salt: bytes, jcs: bytes, payload: bytes) -> bytes:
    """Returns the leaf of an inject: what the exercise commits to before it starts, 32 bytes that tell nothing without the salt."""
    return leaf_by_digest(salt, jcs, hashlib.sha384(payload).digest())


def leaf_by_digest(salt: bytes, jcs: bytes, payload_sha384: bytes) -> bytes:
    """Returns the leaf of an inject whose payload is known by its SHA-384 (48 bytes; without a payload that of no bytes)."""
    return hashlib.sha384(DOMAIN_INJECT + salt + hashlib.sha384(jcs).digest() + payload_sha384).digest()[
        :LEAF_BYTES
    ]


def pack_leaves(
    pack: ExercisePack, payloads: Mapping[str, bytes], salts: Sequence[bytes]
) -> tuple[bytes, ...]:
    """Returns the leaf of each inject, in their order. Raises ValueError unless there is a salt of 16 bytes for each."""
    _check_salts(pack, salts)
    return tuple(
        inject_leaf(salt, inject_jcs(inject), payloads[inject.payload] if inject.payload else b"")
        for inject, salt in zip(pack.injects, salts, strict=True)
    )


def _check_salts(pack: ExercisePack, salts: Sequence[bytes]) -> None:
    if len(salts) != len(pack.injects) or any(len(salt) != SALT_BYTES for salt in salts):
        raise ValueError("a pack has one salt of 16 bytes for each inject")


def _jcs(value: Any) -> bytes:
    """Returns the JCS of a value whose numbers are integers and whose member names are ASCII. Raises UnicodeEncodeError for half a
    surrogate pair."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")


# --- the archive ---------------------------------------------------------------------------------------

ARCHIVE_MAGIC = b"p2px-pack-1\n"
_LENGTH_BYTES = 4  # of the header, big-endian, behind the magic


class PackArchive(NamedTuple):
    """What is in an archive. `payloads`: by path, of those that an inject names; `salts`: of the leaves, one an inject."""

    pack: ExercisePack
    payloads: Mapping[str, bytes]
    salts: tuple[bytes, ...]


class _PlaceForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: _PlaceId
    role: Literal["white", "red", "blue", "observer"]
    title: _Name
    many: bool


class _ObjectiveForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,32}\Z")]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=EXPECTED_CHARACTERS_MAX)]


class _FileForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: _Name
    size: Annotated[int, msgspec.Meta(ge=0, le=PAYLOAD_BYTES_MAX)]


class _ArchiveForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["p2pshare-exercise/1"]
    id: _Id
    version: _Name
    name: _Name
    kind: Literal["tabletop", "functional", "communication-check", "drill"]
    language: _Name
    duration: _Span
    time_factor: Annotated[int, msgspec.Meta(ge=1, le=TIME_FACTOR_MAX)]
    summary: _Page
    objectives: Annotated[tuple[_ObjectiveForm, ...], msgspec.Meta(max_length=OBJECTIVES_MAX)]
    places: Annotated[tuple[_PlaceForm, ...], msgspec.Meta(min_length=1, max_length=PLACES_MAX)]
    injects: Annotated[tuple[_InjectForm, ...], msgspec.Meta(min_length=1, max_length=INJECTS_MAX)]
    salts: Annotated[
        tuple[Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")], ...],
        msgspec.Meta(max_length=INJECTS_MAX),
    ]
    files: Annotated[tuple[_FileForm, ...], msgspec.Meta(max_length=INJECTS_MAX)]


_decode_archive = msgspec.json.Decoder(_ArchiveForm).decode


def payload_paths(pack: ExercisePack) -> list[str]:
    """Returns the paths that injects name, each once, ascending."""
    return sorted({inject.payload for inject in pack.injects if inject.payload})


def archive_pack(pack: ExercisePack, payloads: Mapping[str, bytes], salts: Sequence[bytes]) -> bytes:
    """Returns the one archive of a pack, its payloads and the salts of its leaves: equal content gives equal bytes.

    It travels to the white members alone, for whoever has the salts can tell what a leaf hides. Raises AuthorError `oversized` for
    more than `PACK_BYTES_MAX`, ValueError for salts that do not fit.
    """
    _check_salts(pack, salts)
    whole = _archived(pack, payloads, salts)
    if len(whole) > PACK_BYTES_MAX:
        raise AuthorError(
            f"the pack has {len(whole)} bytes, more than {PACK_BYTES_MAX}",
            hint="take payloads out, or make two packs of it",
            reason="oversized",
        )
    return whole


def pack_hash(pack: ExercisePack, payloads: Mapping[str, bytes]) -> str:
    """Returns the hash of a pack, 64 hexadecimal digits: of its archive without salts, so of its manifest and of each payload. Whether it was
    written in TOML or in JSON does not matter."""
    raw = _archived(pack, payloads, ())
    return hashlib.sha384(DOMAIN_PACK + raw).hexdigest()[: 2 * PACK_HASH_BYTES]


def _archived(pack: ExercisePack, payloads: Mapping[str, bytes], salts: Sequence[bytes]) -> bytes:
    paths = payload_paths(pack)
    header = _jcs(
        {
            "format": FORMAT,
            "id": pack.id,
            "version": pack.version,
            "name": pack.name,
            "kind": pack.kind,
            "language": pack.language,
            "duration": pack.duration_seconds,
            "time_factor": pack.time_factor,
            "summary": pack.summary,
            "objectives": [{"id": one.id, "text": one.text} for one in pack.objectives],
            "places": [
                {"id": one.id, "role": one.role, "title": one.title, "many": one.many} for one in pack.places
            ],
            "injects": [inject_json(inject) for inject in pack.injects],
            "salts": [salt.hex() for salt in salts],
            "files": [{"path": path, "size": len(payloads[path])} for path in paths],
        }
    )
    return b"".join(
        (
            ARCHIVE_MAGIC,
            len(header).to_bytes(_LENGTH_BYTES, "big"),
            header,
            *(payloads[path] for path in paths),
        )
    )


def read_archive(raw: bytes) -> PackArchive:
    """Returns what is in an archive. Raises PeerError `oversized`, `malformed`, `not-canonical`.

    It is the form alone that is checked: what injects say of places and objectives is held against the pack by who uses it.
    """
    if len(raw) > PACK_BYTES_MAX:
        raise PeerError(f"an archive is larger than {PACK_BYTES_MAX} bytes", reason="oversized")
    start = len(ARCHIVE_MAGIC) + _LENGTH_BYTES
    if not raw.startswith(ARCHIVE_MAGIC) or len(raw) < start:
        _malformed("it does not begin like one")
    end = start + int.from_bytes(raw[len(ARCHIVE_MAGIC) : start], "big")
    if end > len(raw):
        _malformed("it is cut off")
    try:
        form = _decode_archive(raw[start:end])
    except (msgspec.DecodeError, UnicodeError) as error:
        _malformed(str(error))
    payloads: dict[str, bytes] = {}
    for file in form.files:
        if end + file.size > len(raw):
            _malformed("a payload is cut off")
        payloads[file.path] = raw[end : end + file.size]
        end += file.size
    pack = ExercisePack(
        form.id,
        form.version,
        form.name,
        form.kind,
        form.language,
        form.duration,
        form.time_factor,
        form.summary,
        tuple(PackObjective(one.id, one.text) for one in form.objectives),
        tuple(PackPlace(one.id, one.role, one.title, one.many) for one in form.places),
        tuple(map(_inject_of, form.injects)),
    )
    salts = tuple(map(bytes.fromhex, form.salts))
    if len(salts) != len(pack.injects) or any(path not in payloads for path in payload_paths(pack)):
        _malformed("a salt or a payload is missing")
    try:
        written = archive_pack(pack, payloads, salts)
    except UnicodeError:
        _malformed("a text in it is none")
    if written != raw:
        raise PeerError("an archive is not written in its one canonical form", reason="not-canonical")
    return PackArchive(pack, payloads, salts)


def _malformed(what: str) -> NoReturn:
    raise PeerError(f"an archive of a pack does not read as one: {what}", reason="malformed")
