"""Courses: what partners learn by, as a folder with a manifest, and as the STIX object in which it travels (docs/training.md). Pure.

The object is of a type of our extension (STIX 2.1 section 7.3), so a course is published, corrected, withdrawn and relayed as everything else. It
holds the course as canonical JSON, whose digest is the *course hash*, and the materials that are small enough; of the others the course has
the SHA-256. The same folder gives the same course hash on every machine.

Texts of a course stand in `course_bin` and `payload_bin`, in base64 as STIX has its `binary` type: a quiz that asks what TLP:RED means must not
mark the object (`marking_words`).

A manifest has the right answers; a course has a digest of each in their place. Who reads along does not see them; who tries all choices finds them
in a moment, and so the score is the learner's own word.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple
from uuid import uuid5

import msgspec

from p2pshare.errors import AuthorError, PeerError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.authoring import NAMESPACE, identity_id, named_id
from p2pshare.intel.display import clip, is_safe
from p2pshare.intel.instants import format_instant
from p2pshare.intel.json_text import is_shallow
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.intel.marking_words import words_of_object
from p2pshare.limits import KIB, MIB

COURSE = "p2pshare-course"
EXTENSION = f"extension-definition--{uuid5(NAMESPACE, 'extension:course')}"
FORMAT: Literal["p2pshare-course/1"] = "p2pshare-course/1"
DOMAIN_COURSE = b"p2pshare/v1/course\x00"
DOMAIN_ANSWER = b"p2pshare/v1/course-answer\x00"
COURSE_HASH_BYTES = 32
ANSWER_BYTES = 16

MANIFEST_BYTES_MAX = 128 * KIB  # a hundred questions of a screen each
MATERIALS_MAX = 64  # of one course; ours has three
MATERIAL_BYTES_MAX = 4 * 1024 * MIB  # of one that is named by hash: an hour of film
TRAVELLING_BYTES_MAX = (
    384 * KIB
)  # of one that travels, and of all together: in base64, beside the course, below one STIX object's MiB
QUESTIONS_MAX = 100
CHOICES_MAX = 8
TITLE_BYTES_MAX = 256  # as a card's name
PROSE_CHARACTERS_MAX = 4_000  # of a summary or a question: a screen of text

_WORD = r"^[a-z0-9][a-z0-9-]{0,63}\Z"
_NUMBER = "(0|[1-9][0-9]{0,3})"
_DAY = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])\Z"
CourseWord = Annotated[str, msgspec.Meta(pattern=_WORD)]
CourseVersion = Annotated[str, msgspec.Meta(pattern=rf"^{_NUMBER}([.]{_NUMBER}){{0,2}}\Z")]
CourseDay = Annotated[str, msgspec.Meta(pattern=_DAY)]
_PackHash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
CourseSha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Percent = Annotated[int, msgspec.Meta(ge=1, le=100)]
_Language = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}\Z")]  # of RFC 5646
_Prose = Annotated[str, msgspec.Meta(max_length=PROSE_CHARACTERS_MAX)]

# How a file of a material is written. What a browser would run is written as text.
PLAIN_KINDS = frozenset(
    [
        "md",
        "txt",
        "csv",
        "json",
        "toml",
        "pdf",
        "png",
        "jpg",
        "jpeg",
        "odt",
        "odp",
        "ods",
        "docx",
        "pptx",
        "xlsx",
        "mp3",
        "mp4",
        "ogg",
        "webm",
    ]
)
ACTIVE_KINDS = frozenset(["htm", "html", "xhtml", "svg", "js", "mjs", "css", "xml"])
_MATERIAL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
COURSE_FILE = "course.json"  # the course itself, beside its materials where it is fetched
_DEVICE_NAME = re.compile(
    r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?"
)  # files that Windows takes for devices


class CourseProblem(NamedTuple):
    """A fault of a course's folder: the rule, the place in the manifest, and what is wrong there."""

    rule: str
    where: str
    message: str


# --- the course as it travels --------------------------------------------------------------------------


class CourseMaterial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the course: its name here, its SHA-256 and its size."""

    name: str
    sha256: CourseSha256
    bytes: Annotated[int, msgspec.Meta(ge=0, le=MATERIAL_BYTES_MAX)]

    @property
    def written_name(self) -> str:
        """Returns the name of its file where it is fetched: that of an active kind ends in `.txt`."""
        return f"{self.name}.txt" if _kind_of(self.name) in ACTIVE_KINDS else self.name


class CourseQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question; `right` is the digest of the numbers of the right choices (`answer_digest`)."""

    id: CourseWord
    text: _Prose
    choices: Annotated[tuple[_Prose, ...], msgspec.Meta(min_length=2, max_length=CHOICES_MAX)]
    several: bool
    right: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]


class CourseQuiz(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A short quiz, passed with `pass_mark` percent of its questions."""

    pass_mark: _Percent
    questions: Annotated[tuple[CourseQuestion, ...], msgspec.Meta(min_length=1, max_length=QUESTIONS_MAX)]


class CourseExercise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The exercise pack that belongs to the course, by its hash, which covers its manifest and each payload
    (`exercise_pack.pack_hash`); passed with a score of `pass_mark`."""

    pack: CourseWord
    version: CourseVersion
    pack_hash: _PackHash
    pass_mark: _Percent


class Course(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A course, as its hash covers it."""

    format: Literal["p2pshare-course/1"]
    id: CourseWord
    version: CourseVersion
    title: str
    provider: str
    language: _Language
    begins: CourseDay | None
    ends: CourseDay | None
    summary: _Prose
    materials: Annotated[tuple[CourseMaterial, ...], msgspec.Meta(max_length=MATERIALS_MAX)]
    quiz: CourseQuiz | None
    exercise: CourseExercise | None


def course_bytes(course: Course) -> bytes:
    """Returns the canonical JSON of a course (RFC 8785): each member is written, and there are texts, small integers, true and false alone."""
    value = msgspec.to_builtins(course)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def course_hash(raw: bytes) -> bytes:
    """Returns the hash of a course, by its canonical bytes."""
    return hashlib.sha384(DOMAIN_COURSE + raw).digest()[:COURSE_HASH_BYTES]


def read_course(raw: bytes) -> Course:
    """Returns the course in its canonical bytes. Raises PeerError `malformed`, `not-canonical`."""
    if len(raw) > MANIFEST_BYTES_MAX:
        raise PeerError("a course is too large", reason="malformed")
    try:
        course = msgspec.json.decode(raw, type=Course) if is_shallow(raw) else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        course = None
    if course is None or next(_problems_of(course), None) is not None:
        raise PeerError("a course has other members or words than there are", reason="malformed")
    try:
        is_canonical = course_bytes(course) == raw
    except UnicodeEncodeError:
        is_canonical = False
    if not is_canonical:
        raise PeerError("a course is not written in the one way", reason="not-canonical")
    return course


def version_key(version: str) -> tuple[int, ...]:
    """Returns what versions are ordered by: `1.10` is later than `1.9`, and `1` is `1.0.0`."""
    numbers = [int(one) for one in version.split(".")]
    return (*numbers, *[0] * (3 - len(numbers)))


def answer_digest(course: str, version: str, question: CourseQuestion, chosen: Iterable[int]) -> str:
    """Returns the digest of choices, by their numbers from 1: ascending, one byte each, behind the question."""
    asked = [course, version, question.id, question.text, list(question.choices), question.several]
    text = json.dumps(asked, separators=(",", ":"), ensure_ascii=False).encode()
    return hashlib.sha384(DOMAIN_ANSWER + text + b"\x00" + bytes(sorted(set(chosen)))).hexdigest()[
        : 2 * ANSWER_BYTES
    ]


class QuizScore(NamedTuple):
    """How many questions were answered as they should be, and percent, rounded down."""

    right: int
    of: int

    @property
    def percent(self) -> int:
        return 100 * self.right // self.of


def score_quiz(course: Course, answers: Mapping[str, Sequence[int]]) -> QuizScore:
    """Returns the score of `answers`, the numbers of choices by the id of a question; a question without any is answered wrong. Raises
    AuthorError `unknown-question`, `unknown-choice`."""
    questions = () if course.quiz is None else course.quiz.questions
    known = {one.id: one for one in questions}
    for name, chosen in answers.items():
        if name not in known:
            raise AuthorError(
                f"the quiz has no question {clip(name)!r}",
                hint=f"it has {', '.join(known)}",
                reason="unknown-question",
            )
        if not all(1 <= one <= len(known[name].choices) for one in chosen):
            raise AuthorError(
                f"question {name} has the choices 1 to {len(known[name].choices)}", reason="unknown-choice"
            )
    right = sum(
        answer_digest(course.id, course.version, one, answers.get(one.id, ())) == one.right
        for one in questions
    )
    return QuizScore(right, len(questions))


# --- the STIX object -----------------------------------------------------------------------------------


class TravellingCourse(NamedTuple):
    """A course read from its object. `raw` are its canonical bytes, `payloads` the materials that came with it, by SHA-256."""

    course: Course
    raw: bytes
    payloads: Mapping[str, bytes]

    @property
    def hash(self) -> bytes:
        return course_hash(self.raw)


def course_object_id(author: PartnerId, course: str) -> str:
    """Returns the id of `author`'s course of that id, whatever the version."""
    return f"{COURSE}--{named_id(f'course:{author.text}:{course}')}"


def course_object(
    course: Course,
    payloads: Iterable[bytes],
    *,
    author: PartnerId,
    created_us: int,
    modified_us: int,
    tlp: Tlp,
) -> bytes:
    """Returns the object in which a course travels, as JSON. `created_us` is that of the first version; both in microseconds since 1970."""
    stix: dict[str, Any] = {
        "type": COURSE,
        "spec_version": "2.1",
        "id": course_object_id(author, course.id),
        "created_by_ref": identity_id(author),
        "created": format_instant(created_us),
        "modified": format_instant(modified_us),
        "name": course.title,
        "course_bin": _base64(course_bytes(course)),
        "materials": [
            {"hashes": {"SHA-256": hashlib.sha256(one).hexdigest()}, "payload_bin": _base64(one)}
            for one in payloads
        ],
        "object_marking_refs": [TLP2_IDS[tlp]],
        "extensions": {EXTENSION: {"extension_type": "new-sdo"}},
    }
    return msgspec.json.encode(stix)


class _Payload(msgspec.Struct):
    payload_bin: str


class _CourseFields(msgspec.Struct):
    """Properties of the object that are read; others may stand beside them."""

    type: Literal["p2pshare-course"]
    id: str
    course_bin: str
    created_by_ref: str = ""
    created: str = ""
    materials: Annotated[tuple[_Payload, ...], msgspec.Meta(max_length=MATERIALS_MAX)] = ()


class CourseHead(NamedTuple):
    """A course as a list shows it: without its materials."""

    course: Course
    hash: bytes
    created: str


def read_course_head(raw: bytes, author: PartnerId) -> CourseHead:
    """Returns the course of an object that `author` sealed. Raises PeerError `malformed`, `not-canonical`, `wrong-author`."""
    fields, course_raw = _read_fields(raw, author)
    return CourseHead(_course_of(course_raw, fields, author), course_hash(course_raw), fields.created)


def read_course_object(raw: bytes, author: PartnerId) -> TravellingCourse:
    """Returns the course of an object that `author` sealed, and the materials in it: each is one that the course names. Raises PeerError as
    `read_course_head`, and `wrong-material`."""
    fields, course_raw = _read_fields(raw, author)
    course = _course_of(course_raw, fields, author)
    named = {one.sha256: one.bytes for one in course.materials}
    payloads: dict[str, bytes] = {}
    for one in fields.materials:
        payload = _decoded(one.payload_bin)
        digest = hashlib.sha256(payload).hexdigest()
        if named.get(digest) != len(payload):
            raise PeerError("a course brings a material that it does not name", reason="wrong-material")
        payloads[digest] = payload
    return TravellingCourse(course, course_raw, payloads)


def _read_fields(raw: bytes, author: PartnerId) -> tuple[_CourseFields, bytes]:
    try:
        fields = msgspec.json.decode(raw, type=_CourseFields)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PeerError("an object is no course", reason="malformed") from None
    return fields, _decoded(fields.course_bin)


def _course_of(raw: bytes, fields: _CourseFields, author: PartnerId) -> Course:
    course = read_course(raw)
    if fields.id != course_object_id(author, course.id) or fields.created_by_ref != identity_id(author):
        raise PeerError("a course stands under an id that is not its author's", reason="wrong-author")
    return course


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise PeerError("a course has a binary that is not base64", reason="malformed") from None


# --- the folder ----------------------------------------------------------------------------------------


class _ManifestMaterial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    file: str
    name: str = ""
    sha256: CourseSha256 | None = None
    travels: bool = True


class _ManifestQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: CourseWord
    text: _Prose
    choices: Annotated[tuple[_Prose, ...], msgspec.Meta(min_length=2, max_length=CHOICES_MAX)]
    answer: Annotated[tuple[int, ...], msgspec.Meta(min_length=1, max_length=CHOICES_MAX)]


class _ManifestQuiz(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    question: Annotated[tuple[_ManifestQuestion, ...], msgspec.Meta(min_length=1, max_length=QUESTIONS_MAX)]
    pass_mark: _Percent = 80


class CourseManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The manifest of a course's folder, as its author writes it."""

    format: Literal["p2pshare-course/1"]
    id: CourseWord
    version: CourseVersion
    title: str
    provider: str
    language: _Language
    begins: CourseDay | None = None
    ends: CourseDay | None = None
    summary: _Prose = ""
    material: Annotated[tuple[_ManifestMaterial, ...], msgspec.Meta(max_length=MATERIALS_MAX)] = ()
    quiz: _ManifestQuiz | None = None
    exercise: CourseExercise | None = None

    def files(self) -> list[str]:
        """Returns the paths of the materials, relative to the folder; those that lead out of it are problems (`build_course`)."""
        return [one.file for one in self.material if _is_inside(one.file)]


class FileFound(NamedTuple):
    """A file of the folder: its size, its SHA-256, and its bytes where there are no more than TRAVELLING_BYTES_MAX."""

    size: int
    sha256: str
    raw: bytes | None


class BuiltCourse(NamedTuple):
    """A course made of a folder, and the materials that travel with it, in order; the names of those that do not."""

    course: Course
    payloads: tuple[bytes, ...]
    by_hash: tuple[str, ...]


def read_manifest(raw: bytes, *, is_json: bool) -> tuple[CourseManifest | None, list[CourseProblem]]:
    """Returns the manifest in TOML or JSON, or what is wrong with it as a whole."""
    if len(raw) > MANIFEST_BYTES_MAX:
        return None, [CourseProblem("too-large", "", f"a manifest has at most {MANIFEST_BYTES_MAX} bytes")]
    if not is_shallow(raw):
        return None, [CourseProblem("format", "", "it nests too deep")]
    try:
        value = _json_once(raw) if is_json else tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        said = "" if isinstance(error, UnicodeDecodeError) else f": {clip(str(error))}"
        return None, [CourseProblem("format", "", f"no {'JSON' if is_json else 'TOML'} in UTF-8{said}")]
    try:
        return msgspec.convert(value, CourseManifest), []
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at ")
        return None, [CourseProblem("format", where.strip("`").removeprefix("$"), clip(message))]


def _json_once(raw: bytes) -> Any:
    """Returns JSON in which no member stands twice. Raises ValueError."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a member stands twice")
        return found

    return json.loads(raw.decode("utf-8"), object_pairs_hook=members)


def build_course(
    manifest: CourseManifest, found: Mapping[str, FileFound | None]
) -> tuple[BuiltCourse | None, list[CourseProblem]]:
    """Returns the course of a manifest and the files of its folder, or its problems. `found` has each of `manifest.files()`; None for one that
    cannot be read: it is not there, a link, or no file."""
    problems = list(_material_problems(manifest, found))
    problems += _answer_problems(manifest)
    if problems:
        return None, problems
    materials, payloads, by_hash, left = [], [], [], TRAVELLING_BYTES_MAX
    for one in manifest.material:
        there = found[one.file]
        assert there is not None, "a missing file is a problem"
        material = CourseMaterial(_name_of(one), there.sha256, there.size)
        materials.append(material)
        if one.travels and there.raw is not None and there.size <= left:
            payloads.append(there.raw)
            left -= there.size
        else:
            by_hash.append(material.name)
    course = Course(
        FORMAT,
        manifest.id,
        manifest.version,
        manifest.title,
        manifest.provider,
        manifest.language,
        manifest.begins,
        manifest.ends,
        manifest.summary,
        tuple(materials),
        None if manifest.quiz is None else _quiz_of(manifest, manifest.quiz),
        manifest.exercise,
    )
    problems += _problems_of(course)
    if len(course_bytes_or_none(course) or b" " * (MANIFEST_BYTES_MAX + 1)) > MANIFEST_BYTES_MAX:
        problems.append(CourseProblem("too-large", "", "the course is larger than a manifest may be"))
    return (None if problems else BuiltCourse(course, tuple(payloads), tuple(by_hash))), problems


def course_bytes_or_none(course: Course) -> bytes | None:
    """Returns `course_bytes`, None for a course with half a surrogate pair in a text."""
    try:
        return course_bytes(course)
    except UnicodeEncodeError:
        return None


def _quiz_of(manifest: CourseManifest, quiz: _ManifestQuiz) -> CourseQuiz:
    questions = []
    for one in quiz.question:
        question = CourseQuestion(one.id, one.text, one.choices, len(one.answer) > 1, "0" * 2 * ANSWER_BYTES)
        right = answer_digest(manifest.id, manifest.version, question, one.answer)
        questions.append(msgspec.structs.replace(question, right=right))
    return CourseQuiz(quiz.pass_mark, tuple(questions))


def _name_of(one: _ManifestMaterial) -> str:
    return one.name or one.file.rpartition("/")[2]


def _kind_of(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def _is_inside(path: str) -> bool:
    """Returns whether a path is relative and stays below the folder, on every system."""
    parts = path.split("/")
    return (
        bool(path)
        and is_safe(path)
        and not any(one in ("", ".", "..") for one in parts)
        and not re.search(r"[\\:]", path)
    )


def _material_problems(
    manifest: CourseManifest, found: Mapping[str, FileFound | None]
) -> Iterator[CourseProblem]:
    for number, one in enumerate(manifest.material):
        where = f"/material/{number}/file"
        if not _is_inside(one.file):
            yield CourseProblem("path-outside", where, f"{clip(one.file)!r} is no path inside the folder")
        elif (there := found.get(one.file)) is None:
            yield CourseProblem(
                "material-missing", where, f"{clip(one.file)!r} is not there, or is a link or no file"
            )
        elif there.size > MATERIAL_BYTES_MAX:
            yield CourseProblem(
                "too-large", where, f"{clip(one.file)!r} has more than {MATERIAL_BYTES_MAX} bytes"
            )
        elif one.sha256 not in (None, there.sha256):
            yield CourseProblem(
                "wrong-hash", where, f"{clip(one.file)!r} has another SHA-256 than the manifest says"
            )


def _answer_problems(manifest: CourseManifest) -> Iterator[CourseProblem]:
    for number, one in enumerate(() if manifest.quiz is None else manifest.quiz.question):
        if len(set(one.answer)) != len(one.answer) or not all(
            1 <= chosen <= len(one.choices) for chosen in one.answer
        ):
            yield CourseProblem(
                "answer",
                f"/quiz/question/{number}/answer",
                f"the choices are 1 to {len(one.choices)}, each once",
            )


def _problems_of(course: Course) -> Iterator[CourseProblem]:
    """Yields what is wrong with a course, of ours or of a partner: what no type says."""
    for name in ("title", "provider"):
        text = getattr(course, name)
        if not is_line(text):
            yield CourseProblem(
                "text", f"/{name}", f"one line of 1 to {TITLE_BYTES_MAX} bytes, nothing that does not show"
            )
    if any(words_of_object({"type": COURSE, "name": course.title})):
        yield CourseProblem(
            "marking-in-title", "/title", "a title that names a TLP or PAP level marks the course"
        )
    if not _is_prose(course.summary):
        yield CourseProblem("text", "/summary", "it has characters that do not show")
    if course.begins and course.ends and course.ends < course.begins:
        yield CourseProblem("time-backwards", "/ends", "it ends before it begins")
    yield from _name_problems(course.materials)
    questions = () if course.quiz is None else course.quiz.questions
    for number, one in enumerate(questions):
        where = f"/quiz/question/{number}"
        if (
            not one.text.strip()
            or not all(map(_is_prose, (one.text, *one.choices)))
            or not all(choice.strip() for choice in one.choices)
        ):
            yield CourseProblem("text", where, "a text is empty, or has characters that do not show")
        if len(set(one.choices)) != len(one.choices):
            yield CourseProblem("choice-twice", f"{where}/choices", "two choices say the same")
    if len({one.id for one in questions}) != len(questions):
        yield CourseProblem("id-twice", "/quiz/question", "two questions have one id")
    if not (course.materials or course.quiz or course.exercise):
        yield CourseProblem("empty", "", "it has no material, no quiz and no exercise")


def _name_problems(materials: Sequence[CourseMaterial]) -> Iterator[CourseProblem]:
    names: set[str] = set()
    for number, one in enumerate(materials):
        where = f"/material/{number}/name"
        if (
            not _MATERIAL_NAME.fullmatch(one.name)
            or _DEVICE_NAME.fullmatch(one.name)
            or one.name.endswith(".")
        ):
            yield CourseProblem(
                "material-name",
                where,
                f"{clip(one.name)!r} is no name for a file: letters, digits, `.`, `_` and `-`, at most 100",
            )
        elif _kind_of(one.name) not in PLAIN_KINDS | ACTIVE_KINDS:
            yield CourseProblem(
                "material-kind", where, f"{clip(one.name)!r} is of a kind that is not handed to learners"
            )
        written = one.written_name.lower()
        if written in names or written == COURSE_FILE:
            yield CourseProblem(
                "name-twice", where, f"{clip(one.name)!r} would be written over another material"
            )
        names.add(written)
    if len({one.sha256 for one in materials}) != len(materials):
        yield CourseProblem("material-twice", "/material", "two materials have the same bytes")


def is_line(text: str) -> bool:
    """Returns whether a title or a provider's name can be shown, and fits an attestation."""
    size = len(text.encode("utf-8", "replace"))
    return 1 <= size <= TITLE_BYTES_MAX and text == text.strip() and is_safe(text)


def _is_prose(text: str) -> bool:
    return is_safe(text.replace("\n", " ").replace("\t", " "))


def learner_texts(course: Course) -> list[str]:
    """Returns what a person wrote in a course, for the privacy lint."""
    questions = () if course.quiz is None else course.quiz.questions
    texts = [course.title, course.provider, course.summary]
    return texts + [text for one in questions for text in (one.text, *one.choices)]
